"""What the tests of checkpoints share."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
from helpers import same_bits

posix = pytest.mark.skipif(os.name != "posix", reason="needs what POSIX systems have")


def same(a, b):
    """Whether two trees agree in every type, key, order of keys, and bit."""
    if isinstance(a, np.generic) and isinstance(b, np.generic):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()  # NumPy has two types of one dtype
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return same_bits(a, b)
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, np.random.Generator):
        bits = a.bit_generator, b.bit_generator
        return same(bits[0].state, bits[1].state)
    return a == b


def listing(folder):
    """Every file of a folder with its content."""
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def forge(path, header=None, **members):
    """Write a checkpoint anew, with right CRCs, a changed header and members in place of others."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents |= {name.replace("__", "/") + ".npy": data for name, data in members.items()}
    head = json.loads(contents.pop("minirnn.json"))
    head["members"] = {name: zlib.crc32(data) for name, data in contents.items()}
    contents["minirnn.json"] = json.dumps(head | (header or {})).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def generator(bits, seeds=None):
    """A node of the tree."""
    return {"generator": {"dict": {"bits": {"dict": bits}, "seeds": seeds}}}


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()
