"""Where compiled code is kept, what becomes of damaged files, and what is done without it."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import sys
from importlib import import_module

import invented_cells
import numpy as np
import pytest
from helpers import compile_scan

import minirnn as mr
from minirnn import compile as command
from minirnn.kernels import compiled as room
from minirnn.kernels import pointwise, pool

numba = pytest.importorskip("numba", reason="needs Numba: pip install 'minirnn[numba]'")

from minirnn.kernels.compiled import (  # noqa: E402
    blocks,
    cache,
    cells,
    compile,
    loops,
    one_step,
    plan,
    products,
    projections,
    runs,
    steps,
)

COMPILED = (
    blocks, loops, one_step, plan, products, projections,
    runs, steps,
)  # fmt: skip


def twice(x):
    return x + x


def compiled(missed):
    """A function with a cache of ours, compiled or loaded."""
    function = numba.njit(twice)
    function._cache = cache.Kept(function, lambda: missed.append(1))
    function.compile((numba.float64,))
    assert function(2.0) == 4
    return function._cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_compiled_is_loaded_whatever_its_date(folder):
    missed = []
    kept = compiled(missed)
    (file,) = kept.folder.iterdir()
    assert folder in file.parents
    assert missed == [1]
    for date in (0, 2**32):
        os.utime(file, (date, date))
        assert compiled(missed).folder == kept.folder
        assert missed == [1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: b"garbage" * 99,
        lambda content: content[:999] + bytes([content[999] ^ 1]) + content[1000:],
    ],
)
def test_a_damaged_file_is_thrown_away(folder, damage):
    missed = []
    (file,) = compiled(missed).folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert compiled(missed).folder == file.parent
    assert len(missed) == 2
    assert len(file.read_bytes()) == len(whole)
    compiled(missed)
    assert len(missed) == 2


def test_what_other_sources_were_compiled_to_is_thrown_away(folder, monkeypatch):
    missed = []
    compiled(missed)
    with monkeypatch.context() as changed:
        changed.setattr(cache, "_sources", lambda: b"others")
        assert len(list(compiled(missed).folder.iterdir())) == 1  # in its place
        assert len(missed) == 2
    compiled(missed)
    assert len(missed) == 3


def test_all_sources_of_compiled_code_are_looked_at(monkeypatch):
    class Source:
        def __init__(self, path):
            self.name, self.text = path.name, path.read_bytes()

        def read_bytes(self):
            return self.text

    here = [
        Source(path) for path in cache.files("minirnn.kernels.compiled").iterdir() if path.is_file()
    ]
    monkeypatch.setattr(cache, "files", lambda package: Here)

    class Here:
        iterdir = staticmethod(lambda: here)

    digest = cache._sources.__wrapped__
    before, seen = digest(), set()
    for source in here:
        source.text += b"#"
        if digest() != before:
            seen.add(source.name)
        source.text = source.text[:-1]
    assert seen == {f"{module.__name__.rpartition('.')[2]}.py" for module in COMPILED}
    for name in cache.NOT_COMPILED:
        module = import_module(f"minirnn.kernels.compiled.{name.removesuffix('.py')}")
        own = [value for value in vars(module).values() if hasattr(value, "py_func")]
        assert all(value.py_func.__module__ != module.__name__ for value in own)


def test_it_is_read_where_nothing_can_be_written(folder, tmp_path, monkeypatch):
    missed, blocked = [], tmp_path / "a file"
    blocked.write_bytes(b"")
    kept = compiled(missed).folder
    monkeypatch.setattr(cache, "written", lambda path, content: pytest.fail("written"))
    monkeypatch.setattr(cache, "folders", lambda: [blocked / "x", kept])
    assert compiled(missed).folder == kept
    assert missed == [1]


def test_without_a_place_it_is_compiled_all_the_same(tmp_path, monkeypatch):
    compile_scan("float32")  # which is not what is tried here
    missed, blocked = [], tmp_path / "a file"
    blocked.write_bytes(b"")
    monkeypatch.setattr(cache, "folders", lambda: [blocked / "x", blocked])
    assert compiled(missed).folder is None
    assert compiled(missed).folder is None
    assert len(missed) == 2
    monkeypatch.setattr(compile._caches[-1], "folder", None)
    why = "the fastest one on this device; each process compiles it anew, as no folder"
    assert f"numba scan: {why}" in mr.explain(mr.LSTM(3, 4))


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*names):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    assert not cache.written(tmp_path / "sub" / "name", b"content")
    assert not list((tmp_path / "sub").iterdir())


@pytest.mark.parametrize("home", [None, ""])
def test_a_user_without_a_home_gets_no_folder_named_tilde(home, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert [place.name for place in cache.folders()] == ["__pycache__"]


def test_the_compiler_may_not_choose_how_numbers_are_rounded():
    """Functions exist by themselves and within those that call them, and would differ."""
    for module in COMPILED:
        for name, value in vars(module).items():
            options = getattr(value, "targetoptions", {})
            if options.get("fastmath") and value.py_func.__module__ == module.__name__:
                alone = value is one_step.step or options.get("inline") == "always"
                assert alone, f"{module.__name__}.{name}"
    assert "fastmath" not in steps.IN_LINE


@pytest.fixture
def not_failed(monkeypatch):
    """What fails in a test has not failed after it."""
    monkeypatch.setattr(room, "_compiling_failed", "")


@pytest.mark.parametrize("error", [RuntimeError("LLVM ERROR: no\nmore"), ImportError("no")])
def test_what_cannot_be_compiled_is_computed_by_numpy(error, monkeypatch, not_failed, rng):
    def fail(dtype, *steps):
        raise error

    monkeypatch.setattr(compile, "compile_for", fail)
    rnn = mr.LSTM(3, 4, rng=0)
    why = f"it cannot be compiled here: {type(error).__name__}: {str(error).splitlines()[0]}"
    assert mr.explain(rnn).endswith(f"numpy scan: not the numba scan, because {why}")
    x = rng.standard_normal((5, 3, 2))
    ys, _, cache = rnn.forward(x)
    rnn.backward(cache, ys)
    rnn.step(x[0])
    with pytest.raises(ValueError, match=re.escape(f"scan: 'numba' cannot run here: {why}")):
        mr.LSTM(3, 4, scan="numba")
    assert pool.thread_count() == 0, "threads are BLAS's"


def test_a_pickled_network_takes_the_scan_of_the_machine_where_it_arrives(
    monkeypatch, not_failed, rng
):
    rnn, x = mr.LSTM(3, 4, rng=0), rng.standard_normal((5, 3, 1)).astype(np.float32)
    wanted, pickled = rnn.forward(x)[0], pickle.dumps(rnn)
    assert b"numba" not in pickled
    assert np.array_equal(pickle.loads(pickled).forward(x)[0], wanted)
    monkeypatch.setattr(room, "_compiling_failed", "numba is missing")
    there = pickle.loads(pickled)
    assert "numpy scan: not the numba scan, because numba is missing" in mr.explain(there)
    assert np.allclose(there.forward(x)[0], wanted, atol=1e-6)
    assert np.allclose(there.step(x[0])[0], wanted[0], atol=1e-6)


@pytest.mark.parametrize("name", ["numba", "threadpoolctl"])
@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("{}", "{} is missing: pip install 'minirnn[numba]'"),
        ("llvmlite", "{} cannot be imported: what it needs is not there"),
    ],
)
def test_what_is_missing_is_named(name, named, why, monkeypatch):
    def import_module(module):
        if module == name:
            raise ModuleNotFoundError("what it needs is not there", name=named.format(name))
        return numba

    monkeypatch.setattr(room, "import_module", import_module)
    monkeypatch.setattr(room, "_why_not_imported", room._why_not_imported.__wrapped__)
    why = why.format(name)
    with pytest.raises(ValueError, match=f"scan: 'numba' cannot run here: {re.escape(why)}"):
        mr.RNN(3, 4, scan="numba")
    assert f"numpy scan: not the numba scan, because {why}" in mr.explain(mr.RNN(3, 4))


@pytest.mark.parametrize("error", [ImportError, OSError, AttributeError])
def test_numba_that_does_not_go_with_what_is_here_is_done_without(error, monkeypatch):
    def import_module(module):
        raise error("Numba needs an older NumPy")

    monkeypatch.setattr(room, "import_module", import_module)
    why = room._why_not_imported.__wrapped__()
    assert why == "numba cannot be imported: Numba needs an older NumPy"


def test_a_numba_that_does_not_compile_is_done_without(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert room._why_not_imported.__wrapped__() == "NUMBA_DISABLE_JIT is set"


def test_compiling_is_announced_once(capsys):
    compile._say.__wrapped__()
    line = capsys.readouterr().err
    assert re.fullmatch("minirnn: compiling .* about 25 s; `python -m minirnn.compile` .*\n", line)


@pytest.mark.parametrize("error", [None, OSError, ValueError])
def test_no_word_where_there_is_no_standard_error(error, monkeypatch):
    class Closed:
        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stderr", error and Closed())
    compile._say.__wrapped__()


def test_the_command_says_where_it_is(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["minirnn.compile"])
    assert command.main() == 0
    assert capsys.readouterr().out == f"float32: compiled, in {compile.kept_in()}\n"


def test_the_command_says_what_is_missing(monkeypatch, capsys, not_failed):
    monkeypatch.setattr(sys, "argv", ["minirnn.compile", "--dtype", "float64"])
    with monkeypatch.context() as nowhere:
        nowhere.setattr(command, "compile_ahead", lambda dtype, *cells: "")
        nowhere.setattr(compile, "kept_in", lambda: None)
        assert command.main() == 2
    monkeypatch.setattr(room, "_compiling_failed", "numba is missing")
    assert command.main() == 2
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        f"minirnn.compile: {room.NOT_KEPT}\nminirnn.compile: numba is missing\n",
    )


def lines_of(cell):
    """What was compiled of a cell, as in a process that has compiled nothing."""
    made = cells.CompiledCell(pointwise._read_anew(cell))
    made.addresses(4)
    return made


def test_a_cell_is_compiled_once_and_again_when_its_source_changes(folder):
    class Changed(invented_cells.UGRNNCell):
        def forward(self, P, x, state):
            (h,), gates = super().forward(P, x, state)
            return (2 * h,), gates

    made = lines_of(invented_cells.UGRNNCell())
    (there,) = {path.parent for path in folder.rglob("*.compiled")}
    files = {path.name: path.stat().st_mtime_ns for path in there.iterdir()}
    assert len(files) == 3  # forward, backward, and the lines
    (text,) = there.glob("UGRNN-*.py")
    assert text.read_text() == made.source
    assert lines_of(invented_cells.UGRNNCell()).source == made.source
    assert {path.name: path.stat().st_mtime_ns for path in there.iterdir()} == files
    lines_of(Changed())
    assert len(list(there.iterdir())) == 6
    assert not list(there.glob("*.py.*")), "a file is whole, or not there"


def test_a_cell_is_compiled_where_nothing_can_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"")
    for module in (cache, cells):
        monkeypatch.setattr(module, "folders", lambda: [blocked / "x", blocked])
    made = lines_of(invented_cells.UGRNNCell())
    assert re.fullmatch(r"<UGRNN-\w{16}\.py>", made._file())
    assert made.addresses(4) == made.addresses(4)


@pytest.mark.parametrize("name", ["exp", "log"])
def test_exp_and_log_are_right_to_3e_7(name):
    function = getattr(steps, name)

    @numba.njit
    def of_all(values):
        return np.array([function(value) for value in values])

    bits = np.concatenate([np.arange(0, 0x7F800001, 65537), np.arange(0x3F000000, 0x40000000, 999)])
    values = bits.astype(np.uint32).view(np.float32)
    values = np.concatenate([values, -values, np.float32([np.inf, np.nan, 88.72, -87.3, 1])])
    with np.errstate(all="ignore"):
        right = getattr(np, name)(values.astype(np.float64))
        found, rounded = of_all(values), right.astype(np.float32)
        assert found.dtype == np.float32
        assert np.array_equal(np.isnan(found), np.isnan(right))
        huge = np.isinf(rounded)
        assert np.array_equal(found[huge], rounded[huge])
        fine = np.isfinite(rounded) & (np.abs(rounded) > 1e-36)
        assert (np.abs(found[fine] - right[fine]) <= 3e-7 * np.abs(right[fine])).all()
        tiny = np.isfinite(rounded) & ~fine
        assert (np.abs(found[tiny] - right[tiny]) <= 1e-36).all()


def test_the_larger_and_the_smaller_one_and_signs_are_those_of_numpy():
    @numba.njit
    def of_both(a, b):
        return steps.maximum(a, b), steps.minimum(a, b), steps.sign(a), steps.sqrt(abs(a))

    for number in (np.float32, np.float64):
        for a, b in itertools.product([0.0, -1.5, 2.0, np.inf, -np.inf, np.nan], repeat=2):
            a, b = number(a), number(b)
            wanted = np.maximum(a, b), np.minimum(a, b), np.sign(a), np.sqrt(abs(a))
            assert np.array_equal(of_both(a, b), wanted, equal_nan=True)
