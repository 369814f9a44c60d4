"""The rungs of ``python -m benchmarks ladder`` do the same work; the table, the file and the picture."""

import argparse
import sys
import tracemalloc
from functools import partial

import numpy as np
import pytest
from helpers import ROOT, run, same_bits, unchanged

import minirnn as mr
from benchmarks import ladder
from benchmarks.process import Process
from benchmarks.results import read
from benchmarks.rungs import draw, transposed
from benchmarks.staircase import Stair, staircase
from benchmarks.timing import Ratio
from minirnn.backend import get_backend
from minirnn.kernels.choice import available

SCANS = [name for name in ladder.changes() if name not in ladder.IN_NUMPY]
SHAPES = [
    (7, 300, 3, 4),
    (1, 1, 2, 3),
    (5, 2, 6, 1),
]  # the first has three gradient products: 3, 3, 1


def generic(problem):
    """By name: what minirnn's plain scan gives."""
    x, U, W, b, dys = (part.astype(np.float64) for part in problem)
    net = mr.LSTM(x.shape[1], W.shape[1], scan="generic", dtype="float64")
    net.load_state_dict({"l0.U": U, "l0.W": W, "l0.b": b})
    ys, _, cache = net.forward(x)
    dx, _ = net.backward(cache, dys)
    gradients = {f"d{name[-1]}": p.grad for name, p in net.named_parameters().items()}
    return {"ys": ys, "dx": dx, **gradients}


def result(name, problem):
    """The same of a rung, in columns."""
    found = ladder.rung(name, problem)()
    kind = ladder.IN_NUMPY.get(name)
    return (transposed(found) if kind and kind.axis == 1 else found)._asdict()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ladder.IN_NUMPY)
def test_rungs_give_what_the_plain_scan_gives(name, shape, rng):
    problem = draw(*shape, rng, np.float64)
    got, want = result(name, problem), generic(problem)
    assert list(got) == ["ys", "dx", "dU", "dW", "db"]
    for key, value in got.items():
        assert value.dtype == np.float64
        np.testing.assert_allclose(value, want[key], rtol=0, atol=1e-10, err_msg=key)


@pytest.mark.parametrize("name", [*ladder.IN_NUMPY, *SCANS])
def test_rungs_compute_in_float32_as_they_are_measured(name, rng):
    problem = draw(20, 40, 5, 12, rng, np.float32)
    with unchanged(*problem):
        got = result(name, problem)
    for key, want in generic(problem).items():
        assert got[key].dtype == np.float32
        assert abs(got[key] - want).max() <= 1e-4 * abs(want).max(), key


@pytest.mark.parametrize("name", [*ladder.IN_NUMPY, *SCANS])
def test_every_call_of_a_rung_starts_anew(name, rng):
    again = ladder.rung(name, draw(4, 3, 2, 5, rng, np.float32))
    first = [part.copy() for part in again()]
    assert all(map(same_bits, first, again()))


def test_every_scan_of_minirnn_is_a_rung():
    net = mr.LSTM(1, 1)
    assert {*SCANS, "generic"} == set(available(net.cell, get_backend("cpu")))


def test_each_rung_is_the_one_before_with_something_changed():
    for before, kind in zip(ladder.LADDER, ladder.LADDER[1:], strict=False):
        assert kind.__bases__ == (before,)
        assert kind.change != before.change


@pytest.mark.parametrize("kind", ladder.LADDER)
def test_in_place_no_array_is_made_in_a_step(kind, rng):
    problem = draw(6, 40, 8, 50, rng, np.float64)
    call = kind(problem if kind.axis == 0 else transposed(problem))
    call.prepare()
    outputs, state = problem.dys.nbytes, problem.dys[0].nbytes
    tracemalloc.start()
    try:
        call.forward()
        forward = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call.backward()
        backward = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    in_place = ladder.LADDER.index(kind) >= ladder.LADDER.index(ladder.InPlace)
    assert (
        forward < outputs + state
    ) == in_place  # all that forward makes is a copy of the outputs
    assert (backward < state) == in_place


# The command


def options(*arguments):
    parser = argparse.ArgumentParser()
    ladder.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.exhaustive
def test_command_prints_a_table_and_keeps_figures_and_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ladder, "torch_missing", lambda device: "PyTorch is not installed")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    ladder.run(options("--quick", "--out", str(tmp_path / "new" / "folder")))
    lines = capsys.readouterr().out.splitlines()
    assert "PyTorch is not installed" in lines
    heading = next(k for k, line in enumerate(lines) if line.endswith("faults"))
    names = ladder.changes()
    table = lines[heading + 1 : heading + 2 + len(names)]
    for k, (line, change) in enumerate(zip(table, names.values(), strict=False)):
        assert line.startswith(f"{k:>2} {change} ")
        assert ("[" in line) == (k > 0)
    assert "limit" in table[-1]
    assert table[-1].endswith("100%")

    out = tmp_path / "new" / "folder"
    header, (row,) = read(out / "ladder.json")
    assert header["changes"] == names
    assert list(row.times) == list(row.faults) == list(names)
    assert all(len(times) >= 5 for times in row.times.values())
    assert row.flops == 6 * 8 * 10 * 4 * 16 * (16 + 7)
    assert f"{row.median('numpy') * 1e3:.3f}" in table[-2 if SCANS == ["numpy"] else -3]
    assert (out / "ladder.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(out.iterdir())) == 2


@pytest.mark.torch
def test_pytorch_stands_beside_the_rungs(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(ladder, "changes", lambda: {"numpy": "our own"})
    ladder.run(options("--quick", "--out", str(tmp_path)))
    assert "   PyTorch  " in capsys.readouterr().out
    _, (row,) = read(tmp_path / "ladder.json")
    assert list(row.times) == list(row.faults) == ["numpy", "PyTorch"]


@pytest.mark.parametrize(
    "bad", [["--size", "5", "4", "0", "2"], ["--seconds", "-1"], ["--seed", "x"]]
)
def test_options_that_are_no_use_are_refused(bad, tmp_path):
    out = tmp_path / "out"
    done = run("-m", "benchmarks", "ladder", *bad, "--out", out, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    message = done.stderr.splitlines()[-1]
    assert bad[0] in message
    assert "want" in message
    assert not out.exists()


def test_without_matplotlib_the_picture_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    stairs = [Stair("first", 2.0, None), Stair("second", 1.0, Ratio(2.0, 1.9, 2.1))]
    staircase(stairs, {"limit": 0.5}, "title", tmp_path / "ladder.png")
    assert "matplotlib is missing" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


# Processes


def test_a_side_runs_in_a_process_of_its_own():
    side = Process("rung", partial(ladder.make, "Textbook", (2, 3, 4, 5), 0))
    side()
    assert side.page_faults(1.0) >= 0


def test_a_process_that_ends_is_told():
    side = Process("broken", partial(int, "none"))
    with pytest.raises(RuntimeError, match="broken: its process has ended"):
        side()
