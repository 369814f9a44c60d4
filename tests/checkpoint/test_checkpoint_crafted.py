"""Files made to do harm: refused at once, in no more memory than they have, whatever they claim."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
from checkpoints import forge, generator, listing, npy

import minirnn as mr
from minirnn.checkpoint import CheckpointError

SEEDS = {"entropy": 1, "spawn_key": {"tuple": []}, "pool_size": 4, "n_children_spawned": 0}
PCG = {
    "bit_generator": "PCG64", "has_uint32": 0, "uinteger": 0,
    "state": {"dict": {"state": 1, "inc": 1}},
}  # fmt: skip
MT = {"bit_generator": "MT19937", "state": {"dict": {"key": list(range(624)), "pos": 10**6}}}
PHILOX = {
    "bit_generator": "Philox", "has_uint32": 0, "uinteger": 0, "buffer": [0] * 4, "buffer_pos": -9,
    "state": {"dict": {"counter": [0] * 4, "key": [0] * 2}},
}  # fmt: skip


def in_header(text):
    """A .npy with this header, in the place of that of `x`."""
    data = text.encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(data)) + data


def described(descr, shape, order="False"):
    return in_header(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}")


def nested(levels):
    return json.loads("[" * levels + "]" * levels)


# What is forged: the header's parts, or the .npy
TREES = {
    "no parts": 7,
    "parts of another kind": {"tuple": []},
    "a pool of 10^9": generator(PCG, {"dict": SEEDS | {"pool_size": 10**9}}),
    "entropy of a megabyte": generator(PCG, {"dict": SEEDS | {"entropy": {"int": hex(1 << 8**7)}}}),
    "a long spawn key": generator(PCG, {"dict": SEEDS | {"spawn_key": {"tuple": [1] * 10**5}}}),
    "a position beyond": generator(MT),
    "a negative position": generator(PHILOX),
    "minus signs": {"int": "-" * 200_000},
    "deep": nested(900),
    "a tuple of text": {"dict": {"x": {"array": "x"}, "y": {"tuple": "abc"}}},
    "a tuple of a dict": {"dict": {"x": {"array": "x"}, "y": {"tuple": {"a": 1}}}},
    "an array twice": {"dict": {"x": {"array": "x"}, "y": {"array": "x"}}},
    "an array of nobody": {"dict": {}},
    "an object's number": {"dict": {"x": {"array": "x"}, "y": {"scalar": ["|O", "00" * 8]}}},
    "a large number": {"dict": {"x": {"array": "x"}, "y": {"scalar": ["V1000000000", ""]}}},
    "half a number": {"dict": {"x": {"array": "x"}, "y": {"scalar": ["<f8", "00" * 4]}}},
    "two numbers": {"dict": {"x": {"array": "x"}, "y": {"scalar": ["<f8", "00" * 16]}}},
    "beyond floats": {"dict": {"x": {"array": "x"}, "y": float("inf")}},
}
ARRAYS = {
    "10 GB": described("'<f8'", "(1250000000,)"),
    "more than there is": described("'<f8'", "(10000000000, 10000000000, 10000000000)"),
    "negative": described("'<f8'", "(-1,)"),
    "twice negative": described("'<f8'", "(-1, -2)") + bytes(16),
    "no shape": described("'<f8'", "7"),
    "a shape of floats": described("'<f8'", "(1.0,)") + bytes(8),
    "objects": described("'|O'", "(1,)") + bytes(8),
    "objects in a record": described("[('a', 'O')]", "(1,)") + bytes(8),
    "elements of arrays": described("('<f8', (1000000000,))", "(0,)"),
    "large elements of none": described("'<U1000000000'", "(0,)"),
    "minus signs": in_header("-" * 60_000 + "1"),
    "brackets": in_header("(" * 60_000),
    "trailing": npy(np.ones(2)) + b"x",
    "other keys": in_header("{'descr': '<f8', 'fortran_order': False, 'shape': (0,), 'more': 1}"),
    "another order": described("'<f8'", "(1,)", order="2") + bytes(8),
    "code": in_header("__import__('os').abort()"),
    "a long header": b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1),
    "a header that is a little too long": b"\x93NUMPY\2\0"
    + struct.pack("<I", (1 << 20) + 1)
    + f"{{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}}{'':{(1 << 20) - 54}}".encode()
    + bytes(8),
    "another version": b"\x93NUMPY\x09\0" + npy(np.ones(1))[8:],
    "nothing": b"",
    "half a magic string": b"\x93NUM",
}


def refused(path):
    """Load the file, see it refused in a line, and return in how much memory, in bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            mr.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert len(message) < 700 + len(str(path))
    assert message.isprintable()
    return peak


@pytest.mark.parametrize("case", TREES)
def test_a_crafted_tree_is_refused(case, path):
    mr.save(path, x=np.ones(2))
    forge(path, {"parts": TREES[case]})
    assert refused(path) < 2e7


@pytest.mark.parametrize("case", ARRAYS)
def test_a_crafted_array_is_refused(case, path):
    mr.save(path, x=np.ones(2))
    forge(path, x=ARRAYS[case])
    assert refused(path) < 3e7


@pytest.mark.parametrize("number", [-0.5, True, 1e300, 0, -1, None, "1", [1], 1.0])
def test_a_format_that_is_none_is_refused(number, path):
    mr.save(path, x=np.ones(2))
    forge(path, {"format": number})
    refused(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 1, "format": 1'),
        ('"format": 1, ', ""),
        ('"epoch": 3', '"epoch": NaN'),
        ('"epoch": 3', '"epoch": -Infinity'),
        ('"epoch": 3', '"epoch": ' + "[" * 100_000 + "]" * 100_000),
        ('"epoch": 3', '"epoch": ' + "9" * 10_000),
        ('"epoch": 3', '"epoch": ' + "-" * 200_000),
        ('"members": {', '"members": [], "more": {'),
        ("{", "[{"),
        ("}", "}x"),
    ],
    ids=lambda text: text[:30],
)
def test_a_crafted_header_is_refused(old, new, path):
    mr.save(path, epoch=3)
    with zipfile.ZipFile(path) as archive:
        header = archive.read("minirnn.json").decode()
    assert old in header
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("minirnn.json", header.replace(old, new, 1))
    assert refused(path) < 3e7


def central(data, change):
    """`data`, a zip, with its first central record changed: a dict of struct's code by place."""
    at = data.index(b"PK\1\2")
    changed = bytearray(data)
    for place, (code, value) in change.items():
        struct.pack_into(code, changed, at + place, value)
    return bytes(changed)


LAYOUTS = {
    "trailing": lambda data: data + b"x",
    "trailing zeros": lambda data: data + bytes(5000),
    "before": lambda data: b"x" + data,
    "a gap": lambda data: data.replace(b"PK\1\2", b"..PK\1\2", 1),
    "a comment": lambda data: data[:-2] + b"\1\0x",
    "3 GB": lambda data: central(data, {20: ("<I", 3 * 10**9), 24: ("<I", 3 * 10**9)}),
    "unpacked 3 GB": lambda data: central(data, {24: ("<I", 3 * 10**9)}),
    "packed": lambda data: central(data, {10: ("<H", 8)}),
    "overlapping": lambda data: central(data, {42: ("<I", data.rindex(b"PK\3\4"))}),
    "elsewhere": lambda data: central(data, {42: ("<I", 2**31)}),
    "large directory": lambda data: data[:-10] + struct.pack("<I", 2**32 - 2) + data[-6:],
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_an_archive_of_another_layout_is_refused(case, path):
    mr.save(path, x=np.ones(2))
    path.write_bytes(LAYOUTS[case](path.read_bytes()))
    assert refused(path) < 1e7


def test_a_bomb_is_refused_before_it_goes_off(path):
    mr.save(path, x=np.ones(2))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.npy", bytes(10**7))
    assert refused(path) < 1e6


def some_files(folder, seed, count):
    """Files that came of a checkpoint by chance: bytes changed, put in, taken out and moved."""
    path, draw = folder / "some.npz", random.Random(seed)
    parts = {
        "a": np.arange(6.0).reshape(2, 3),
        "rng": np.random.default_rng(0),
        "t": (1, None, "x", 2**80),
    }
    mr.save(path, **parts, s=np.float32(2), inf=float("inf"))
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(count):
        if draw.random() < 0.5:
            path.write_bytes(altered(whole, draw))
        else:  # with right sums, so that it comes to what is behind them
            name = draw.choice([*members])
            changed = altered(members[name], draw)
            with zipfile.ZipFile(path, "w") as archive:
                for member, data in members.items():
                    archive.writestr(member, changed if member == name else data)
            if name != "minirnn.json":
                forge(path)
        yield path


def altered(data, draw):
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        at = draw.randrange(len(data))
        size = draw.choice([1, 1, 2, 4, 8, 100])
        match draw.randrange(5):
            case 0:
                data[at : at + size] = draw.randbytes(size)
            case 1:
                data[at : at + 1] = draw.choice(
                    [b"9" * size, b"-", b"[", b"{", b"}", b'"', b"\0", b"\xff" * 4]
                )
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[draw.randrange(len(data)) :][:size]
            case 4:
                data[at : at + 4] = struct.pack("<I", draw.choice([0, 1, 2**31, 2**32 - 1]))
    return bytes(data)


def test_files_that_came_by_chance_load_or_are_refused(tmp_path):
    loaded = 0
    for path in some_files(tmp_path, 0, 300):
        try:
            loaded += bool(mr.load(path))
        except CheckpointError:
            continue
    assert loaded < 100
    assert listing(tmp_path).keys() == {"some.npz"}


@pytest.mark.parametrize(("words", "fits"), [(2040, True), (2060, False)])
def test_every_number_of_a_seed_counts_as_a_word_also_a_zero(tmp_path, words, fits):
    seeds = np.random.SeedSequence(0, spawn_key=(0,) * words)
    rng = np.random.Generator(np.random.PCG64(seeds))
    with (
        nullcontext() if fits else pytest.raises(ValueError, match="its seed sequence is too large")
    ):
        mr.save(tmp_path / "ckpt.npz", rng=rng)
