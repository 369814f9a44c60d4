"""Checkpoints: what was saved comes back to the bit, and what cannot be saved is refused."""

from __future__ import annotations

import collections
import enum
import inspect
import json
import re
import struct
import sys
import types
import zipfile

import numpy as np
import pytest
from checkpoints import listing, same
from helpers import draw_gradients, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minirnn as mr
from minirnn import data
from minirnn.checkpoint import files


def through(path, value):
    mr.save(path, value=value)
    return mr.load(path)["value"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


# round trip

keys = st.text(st.characters(exclude_categories=()), max_size=4) | st.sampled_from(
    [
        "a",
        "a/b",
        "b",
        ".",
        "..",
        "%",
        "%2F",
        "~",
        "0",
        "A",
        "minirnn.json",
        "a.npy",
        "x" * 300,
        "\\",
    ]
)
dtypes = st.one_of(
    hnp.scalar_dtypes(), hnp.unicode_string_dtypes(), hnp.byte_string_dtypes(),
    hnp.array_dtypes(hnp.integer_dtypes() | hnp.floating_dtypes(), max_size=3),
)  # fmt: skip
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=3))
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(
    st.characters(exclude_categories=())
)  # fmt: skip
trees = st.recursive(
    plain | arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(parts=st.dictionaries(keys, trees, max_size=4))
def test_whatever_is_saved_comes_back_to_the_bit(parts, folder):
    path = folder / "any.npz"
    mr.save(path, **parts)
    assert same(mr.load(path), parts)
    with np.load(path, allow_pickle=False) as file:
        assert len(set(file.files)) == len(file.files)
        assert all(file[name] is not None for name in file.files)


@pytest.mark.parametrize(
    "value",
    [
        0.1, -0.0, 5e-324, float("inf"), float("-inf"), 1e22, True, 1, 1.0, 2**53 - 1, 2**53, -(2**64),
        10**5000, -(10**5000), "", "\ud83d\ude00", "\U0001f600", "\0", "ä/ß", {}, [], (), [()], ({},),
        {"dict": {"array": "x"}}, {"int": "0x1"}, [[None]], {"": {"": np.zeros(1)}, "%": np.ones(1)},
        struct.unpack(">d", bytes.fromhex("fff800000000abcd"))[0],
    ],
    ids=lambda value: repr(value)[:20] if not isinstance(value, int) else f"{value:x}"[:20],
)  # fmt: skip
def test_values_at_the_edges(value, path):
    assert same(through(path, value), value)


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.5), np.zeros((0, 3)), np.arange(4, dtype=">f8"),
        np.arange(24).reshape(4, 6)[::2, ::-3],
        np.asfortranarray(np.arange(6).reshape(2, 3)), np.broadcast_to(np.float32(2), (3, 2)),
        np.array(["a", "\ud800"]), np.array([np.nan, -0.0, np.inf]), np.array(["NaT"], "M8[ns]"),
        np.array([(1, 2.0)], [("a", "i1"), ("ü", ">f8")]), np.zeros(2, "V0"),
        np.zeros(1, [(f"a long name for a field {k}", "f4") for k in range(500)]),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)  # fmt: skip
def test_arrays_at_the_edges(array, path):
    back = through(path, array)
    assert same(back, array)
    assert back.flags.writeable
    assert back.flags.f_contiguous or not array.flags.f_contiguous


def test_arrays_that_need_wide_fields_in_a_zip_file_are_saved(path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 4000)  # for 2 GiB, from which on it refuses without
    saved = [
        np.resize(np.arange(256, dtype="u1"), size) for size in (100, 2000, 3800, 3999, 4000, 9000)
    ]
    mr.save(path, arrays=saved)
    assert all(map(same_bits, mr.load(path)["arrays"], saved))


def test_gaps_between_fields_stay_where_they_are(path):
    array = np.array([(1, 2.0), (3, 4.0)], np.dtype([("a", "i1"), ("b", ">f8")], align=True))
    back = through(path, array)
    assert back.dtype == array.dtype
    assert (back == array).all()


@pytest.mark.parametrize("kind", "?bhilqBHILQefdgFDG")
def test_numpy_numbers_keep_their_type(kind, path):
    value = np.dtype(kind).type(1) / 3 if kind in "efdgFDG" else np.dtype(kind).type(1)
    assert same(through(path, [value]), [value])


def test_times_of_numpy_keep_their_unit(path):
    value = [np.datetime64("2024-02-29T12", "s"), np.timedelta64(3, "D"), np.datetime64("NaT")]
    assert same(through(path, value), value)


def test_arrays_on_a_device_are_brought_to_the_host(path, monkeypatch):
    class Device:
        def get(self):
            return np.arange(3.0)

    Device.__module__ = "cupy"
    monkeypatch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=Device))
    assert same(through(path, {"on": Device()}), {"on": np.arange(3.0)})


def test_arrays_of_a_mapped_file_are_saved(path, tmp_path):
    mapped = np.memmap(tmp_path / "mapped", "f4", "w+", shape=(2, 3))
    mapped[:] = 7
    assert same(through(path, mapped), np.full((2, 3), 7, "f4"))


BITS = [np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64]


@pytest.mark.parametrize("bits", BITS)
def test_generators_go_on_where_they_were(bits, path):
    rng = np.random.Generator(bits(7))
    rng.spawn(2)
    rng.integers(0, 9, 3, dtype=np.uint32)  # an odd number, which leaves half of 64 bits behind
    back = through(path, {"a/b": [rng]})["a/b"][0]
    assert type(back.bit_generator) is bits
    assert same(back, rng)
    for _ in range(2):
        assert same(
            back.integers(0, 9, 700, dtype=np.uint32), rng.integers(0, 9, 700, dtype=np.uint32)
        )
        assert same(back.standard_normal(700), rng.standard_normal(700))
        back, rng = back.spawn(1)[0], rng.spawn(1)[0]


def test_a_generator_without_a_seed_sequence_goes_on_too(path):
    rng = np.random.Generator(np.random.RandomState(3)._bit_generator)
    assert same(through(path, rng).random(5), rng.random(5))


@pytest.mark.parametrize(
    "value",
    [
        data.MinMaxScaler.fit(np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 2.0]])),
        data.MinMaxScaler.fit([3.0, 7.0, 4.0]),
        mr.Constant(1e-3),
        mr.StepDecay(1e-3, 7),
        mr.CosineWarmup(1e-3, 100, warmup=5, final=1e-5),
        data.Vocabulary.build(["the cat sat"]),
        data.Vocabulary.build(["the cat sat on the mat"], "word", 4),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scalers_schedules_and_vocabularies_come_back(value, path):
    back = through(path, {"a": [value]})["a"][0]
    assert type(back) is type(value)
    fields = inspect.signature(type(value)).parameters
    assert fields
    for name in fields:
        assert same(getattr(back, name), getattr(value, name)), name
    if isinstance(value, data.Vocabulary):
        assert back.encode("the cat").tolist() == value.encode("the cat").tolist()


def test_training_goes_on_as_if_it_had_not_stopped(path):
    def world():
        rng = np.random.default_rng(0)
        model = mr.Model(rnn=mr.GRU(3, 4, rng=rng), out=mr.Linear(4, 2, rng=rng))
        return model, mr.Adam(model.parameters()), rng

    def train(model, adam, rng):
        for _ in range(3):
            draw_gradients(model.parameters(), rng)
            adam.step()

    model, adam, rng = world()
    train(model, adam, rng)
    mr.save(path, model=model.state_dict(), adam=adam.state_dict(), rng=rng)
    train(model, adam, rng)
    again, adam_again, _ = world()
    parts = mr.load(path)
    again.load_state_dict(parts["model"])
    adam_again.load_state_dict(parts["adam"])
    train(again, adam_again, parts["rng"])
    assert same(again.state_dict(), model.state_dict())
    assert same(adam_again.state_dict(), adam.state_dict())


# the file's format


def test_the_file_is_an_ordinary_npz(path):
    parts = {
        "model": {"rnn.l0.U": np.arange(6.0).reshape(2, 3), "a/b": np.ones(2)},
        "epoch": 3,
        "large": 2**53,
    }
    mr.save(str(path), **parts)
    with np.load(path, allow_pickle=False) as file:
        assert sorted(file.files) == ["minirnn.json", "model/a%2Fb", "model/rnn.l0.U"]
        assert same_bits(file["model/rnn.l0.U"], parts["model"]["rnn.l0.U"])
        header = json.loads(file["minirnn.json"])
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert header["format"] == 1
    assert header["numpy"] == np.__version__
    assert {"minirnn", "python", "members", "parts"} < header.keys()
    assert header["parts"]["dict"]["epoch"] == 3
    assert header["parts"]["dict"]["large"] == {"int": hex(2**53)}  # for readers with floats only


def test_names_of_members_are_safe_and_none_is_there_twice(path):
    odd = [
        "",
        ".",
        "..",
        "../up",
        "/root",
        "a\\b",
        "C:",
        "nul\0",
        "ä",
        "%",
        "%2E",
        "a",
        "a.npy",
        "~",
    ]
    odd += ["x" * 300 + "1", "x" * 300 + "2", "minirnn.json", "\ud800", "\ud801", "?"]
    parts = {key: np.full(2, k) for k, key in enumerate(odd)}
    inner = {key: {key: array + len(odd)} for key, array in parts.items()}
    mr.save(path, **parts, inner=inner)
    assert same(mr.load(path), parts | {"inner": inner})
    with np.load(path, allow_pickle=False) as file:
        assert len(set(file.files)) == 2 * len(odd) + 1
        assert json.loads(file["minirnn.json"])["format"] == 1
        found = sorted(int(file[name][0]) for name in file.files if name != "minirnn.json")
        assert found == list(range(2 * len(odd)))
        for name in file.files:
            assert re.fullmatch(r"[\w.%~/-]{1,220}", name, re.ASCII), name
            assert all(part.strip(".") for part in name.split("/")), name


def test_members_are_as_old_a_kind_of_npy_as_can_be(path):
    """The third kind is for names of fields in any script; the first is read by every program."""
    named = np.ones(2, [("수", "i4")])
    mr.save(path, plain=np.ones(2), named=named)
    with zipfile.ZipFile(path) as archive:
        kinds = {name: archive.read(name)[6:8] for name in archive.namelist()}
    assert kinds["plain.npy"] == b"\1\0"
    assert kinds["named.npy"] == b"\3\0"
    assert same_bits(mr.load(path)["named"], named)


def test_equal_parts_make_equal_files(tmp_path):
    for name in ("a", "b"):
        mr.save(tmp_path / name, x=np.arange(3), y={"z": [1, 2.5]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_part_may_be_called_path(path):
    mr.save(path, path="p", file=1, parts={})
    assert mr.load(path) == {"path": "p", "file": 1, "parts": {}}


# refusals


class Own(np.random.PCG64):
    pass


Pair = collections.namedtuple("Pair", "a b")
Metal = type("Metal", (dict,), {})
Level = enum.IntEnum("Level", "LOW HIGH")
deep = []
for _ in range(200):
    deep = [deep]
round_about = {}
round_about["again"] = [round_about]
REFUSED = {
    "bytes": (b"x", TypeError, r"part\['k'\]\[1\]: got bytes, want a dict, list"),
    "bytearray": (bytearray(1), TypeError, r"part\['k'\]\[1\]: got bytearray, want"),
    "set": ({1}, TypeError, r"part\['k'\]\[1\]: got set, want"),
    "complex": (1j, TypeError, r"part\['k'\]\[1\]: got complex, want"),
    "function": (len, TypeError, r"part\['k'\]\[1\]: got builtin_function_or_method, want"),
    "model": (mr.Linear(2, 2), TypeError, r"part\['k'\]\[1\]: got Linear, want"),
    "named tuple": (Pair(1, 2), TypeError, r"part\['k'\]\[1\]: got Pair, want"),
    "kind of dict": (Metal(), TypeError, r"part\['k'\]\[1\]: got Metal, want"),
    "kind of int": (Level.LOW, TypeError, r"part\['k'\]\[1\]: got Level, want"),
    "dtype": (np.dtype("f4"), TypeError, r"part\['k'\]\[1\]: got Float32DType, want"),
    "text of NumPy": (np.str_("x"), TypeError, r"part\['k'\]\[1\]: got str_, want"),
    "record": (np.zeros(1, "i4,f4")[0], TypeError, r"part\['k'\]\[1\]: got void, want"),
    "object array": (np.array([None]), TypeError, r"\['k'\]\[1\]: got an array of object, want a dtype"),
    "object in a record": (
        np.zeros(1, "i4,O"), TypeError, r"\['k'\]\[1\]: got an array of \[.*'O'\)\], want a dtype"),
    "variable text": (
        np.array(["x"], np.dtypes.StringDType()), TypeError, r"got an array of StringDType.*, want"),
    "fields out of order": (
        np.zeros(1, "i4,f4")[["f1", "f0"]], TypeError, r"\['k'\]\[1\]: got an array of .*, want a"),
    "masked array": (np.ma.ones(2), TypeError, r"part\['k'\]\[1\]: got MaskedArray, want"),
    "integer key": (
        {"a": {3: 1}}, TypeError, r"part\['k'\]\[1\]\['a'\]: got the key 3 \(int\), want a str"),
    "key None": ({None: 1}, TypeError, r"part\['k'\]\[1\]: got the key None \(NoneType\), want a str"),
    "key of NumPy": ({np.str_("x"): 1}, TypeError, r"got the key .*'x'.* \(str_\), want a str"),
    "legacy generator": (np.random.RandomState(1), TypeError, r"got RandomState, want"),
    "other bits": (np.random.Generator(Own(1)), TypeError, r"got Generator, .*of NumPy's own bits"),
    "deep": (deep, ValueError, r"part: is nested deeper than 100, perhaps within itself"),
    "within itself": (round_about, ValueError, r"part: is nested deeper than 100"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_saved_is_refused_before_anything_is_written(case, path, monkeypatch):
    value, error, message = REFUSED[case]
    mr.save(path, epoch=1)
    before = listing(path.parent)
    monkeypatch.setattr(files, "_write", None)
    with pytest.raises(error, match=message):
        mr.save(path, good=np.ones(3), part={"k": [0, value]})
    assert listing(path.parent) == before


def test_a_dtype_that_numpy_would_save_as_another_is_refused(path):
    rational = pytest.importorskip("numpy._core._rational_tests").rational
    with pytest.raises(TypeError, match=r"x: got an array of rational, want a dtype of .npy files"):
        mr.save(path, x=np.array([rational(1, 3)]))
    assert listing(path.parent) == {}


def test_what_is_just_deep_enough_comes_back(path):
    value = np.ones(1)
    for _ in range(33):
        value = [({"k": value},)]
    assert same(through(path, value), value)
    with pytest.raises(ValueError, match="value: is nested deeper than 100"):
        mr.save(path, value=[value])


def test_a_path_that_cannot_be_is_refused(path, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"path: got .*none.ckpt.npz, but there is no dir.*none"
    ):
        mr.save(tmp_path / "none" / "ckpt.npz", epoch=1)
    with pytest.raises(ValueError, match=r"path: got .*, which is there and not a file"):
        mr.save(tmp_path, epoch=1)
    with pytest.raises(FileNotFoundError, match=r"path: got .*ckpt.npz, but there is no such file"):
        mr.load(path)
    with pytest.raises(IsADirectoryError, match=re.escape(tmp_path.name)):
        mr.load(tmp_path)
    assert listing(tmp_path) == {}
