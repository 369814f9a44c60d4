"""Saving and loading: one .npz file, without pickle, that is there as a whole or not at all.

Each array is a member named by its place, such as ``model/rnn.l0.U.npy``. All else is text, in the
member ``minirnn.json``: versions, the CRC-32 of every array's member, and the tree of the parts (see
``checkpoint_tree.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import zipfile
from collections.abc import Iterator
from importlib import metadata
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from .archive import check_layout, read_array
from .kinds import HEAD, kind_of_file, kind_of_zip
from .tree import HEADER, Arrays, decode, encode
from .whole_file import file_name, written

FORMAT = 1


class CheckpointError(ValueError):
    """A file that is not a checkpoint, or not a whole one any more, or that of a newer minirnn."""


def save(path: str | os.PathLike[str], /, **parts: Any) -> None:
    """Save `parts` to one file, which `load` and ``numpy.load`` read.

    The file gets its name only when it is complete and on the disk: if anything goes wrong before,
    or the process is killed, an older file of that name is still there, unchanged. Until then the data
    is in a file of its own beside it, ``<path>.….partial``, which the next `save` to `path` removes if
    it was left behind. Of several processes or threads that save to one path, the last one wins. The
    permissions of the older file are kept; where `path` is a link, it stays one, and the file that it
    leads to is replaced.

    Args:
        path: the file, by convention ending in .npz, which is not added; its directory has to exist.
        parts: dicts (with str for keys), lists and tuples, at most 100 deep, of arrays (NumPy's or
            CuPy's, of any dtype that .npy files have, so no Python objects), None, bool, int, float,
            str, NumPy numbers, ``numpy.random.Generator``, schedules, `data.MinMaxScaler` and
            `data.Vocabulary`. What is there twice is saved twice, and two come back.

    Raises:
        TypeError: a part is something else, or a key is not a str; the message says where. `path` is
            not a name.
        ValueError: parts are nested too deep, or within themselves; `path` is there and not a file.
        FileNotFoundError: there is no such directory.
        OSError: writing failed, for example because the disk is full.
    """
    name = file_name(path)
    arrays: Arrays = {}
    tree = {"dict": {part: encode(value, (part,), arrays) for part, value in parts.items()}}
    with written(name) as file:
        _write(file, arrays, tree)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what was saved to `path`: the same types, and arrays of NumPy with the same bits.

    All members are compared with their CRC-32, nothing is ever unpickled, and whatever sizes a file
    claims, loading takes no more memory than a few times its own.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a directory.
        minirnn.checkpoint.CheckpointError: it is empty, truncated, damaged, something else than a
            checkpoint, or of a newer format; the message says which. It is a ValueError.
        TypeError, ValueError: `path` is not a name.
    """
    name = file_name(path)
    if not os.path.exists(name):
        raise FileNotFoundError(f"path: got {name}, but there is no such file")
    if os.path.isdir(name):
        raise IsADirectoryError(f"path: got {name}, which is a directory, want a file")
    if not os.path.isfile(name):
        raise _refusal(name, "is a pipe or a device, not a file")
    with open(name, "rb") as file, _judging(name, "its table of contents"):
        _check_ends(name, file)
        with zipfile.ZipFile(file) as archive:
            members = archive.namelist()
            if HEADER not in members:
                raise _refusal(name, f"is {kind_of_zip(members)}")
            check_layout(archive, file)
            return _read(name, archive)


def _write(file: BinaryIO, arrays: Arrays, tree: Any) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            large = array.nbytes > zipfile.ZIP64_LIMIT // 2  # the zip format needs wider fields
            with archive.open(name, "w", force_zip64=large) as member:
                version = (1, 0) if array.dtype.names is None else (3, 0)  # None would warn
                npy.write_array(member, array, version, allow_pickle=False)
        header = {
            "format": FORMAT,
            "minirnn": _version(),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "members": {name: archive.getinfo(name).CRC for name in arrays},
            "parts": tree,
        }
        text = json.dumps(header, ensure_ascii=False, allow_nan=False)
        # a ZipInfo has a fixed date, so that equal parts make equal files
        archive.writestr(zipfile.ZipInfo(HEADER), text.encode("utf-8", "surrogatepass"))


def _version() -> str:
    try:
        return metadata.version("minirnn")
    except metadata.PackageNotFoundError:
        return "unknown"


def _refusal(path: str, what: str) -> CheckpointError:
    return CheckpointError(f"path: got {path}, which {what}; want what minirnn.save has written")


@contextlib.contextmanager
def _judging(path: str, place: str) -> Iterator[None]:
    """Make one error of all that zipfile, json and numpy make of damaged bytes."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        said = said if len(said) <= 300 else f"{said[:300]}…"
        raise _refusal(path, f"is damaged in {_shown(place)} ({_shown(said)})") from error


def _shown(text: str) -> str:
    """A text out of a file, without letters that a terminal might take for something else."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _check_ends(path: str, file: BinaryIO) -> None:
    """Raise an error unless the file has the end of a zip archive."""
    head, size = file.read(HEAD), file.seek(0, os.SEEK_END)
    if not size:
        raise _refusal(path, "is empty")
    if not zipfile.is_zipfile(file):
        if b"PK\3\4".startswith(head[:4]):
            raise _refusal(path, f"is truncated: its end is missing, after {size:,} bytes")
        raise _refusal(path, f"is {kind_of_file(head, size)}")


def _read(path: str, archive: zipfile.ZipFile) -> dict[str, Any]:
    names, arrays = archive.namelist(), {}
    with _judging(path, HEADER):
        text = archive.read(HEADER).decode("utf-8", "surrogatepass")
        header = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
        number = header["format"]
        if type(number) is not int or number < 1:
            raise ValueError(f"its format is {number!r}")
        if number > FORMAT:
            made = _shown(f"is of format {number}, from minirnn {header['minirnn']}")
            raise _refusal(path, f"{made}: update minirnn, as {_version()} reads format {FORMAT}")
        crcs = header["members"]
        if type(crcs) is not dict:
            raise ValueError("its members are no dict")
        if sorted(names) != sorted([*crcs, HEADER]):
            odd = ", ".join(sorted({*names, HEADER} ^ {*crcs, HEADER})) or "some, twice"
            raise _refusal(path, f"is damaged: has lost members, or got other ones: {_shown(odd)}")
    for name, crc in crcs.items():
        with _judging(path, name):
            data = archive.read(name)  # to the end, which is when zipfile compares the CRC
            if archive.getinfo(name).CRC != crc:  # noqa: SIM300
                raise ValueError("it was not saved together with the rest")
            arrays[name] = read_array(data)
    with _judging(path, HEADER):
        parts = decode(header["parts"], arrays)
        if type(parts) is not dict or arrays:
            raise ValueError("its parts are no dict, or not all arrays are in it")
        return parts


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which JSON has not")
