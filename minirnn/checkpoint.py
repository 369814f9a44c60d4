"""Saving and loading: one .npz file, without pickle, that is there as a whole or not at all.

Each array is a member named by its place, such as ``model/rnn.l0.U.npy``. All else is text, in the
member ``minirnn.json``: versions, the CRC-32 of every array's member, and the tree of the parts.
What JSON has too (None, bool, str, lists, finite floats, integers below 2^53) stands there as
itself; the rest is an object whose one key is its kind: ``dict``, ``tuple``, ``int`` (hexadecimal),
``float`` (infinity or NaN: its eight bytes), ``scalar`` (of NumPy: dtype, bytes), ``array`` (the
member's name without .npy), ``generator`` (states of its bit generator and its seed sequence),
``object`` (of this package: its class, and what that is called with, which it keeps by these names).
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import platform
import struct
import zipfile
from collections.abc import Iterator
from importlib import metadata
from inspect import signature
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy

from .backend import array_module, to_host
from .data import MinMaxScaler, Vocabulary
from .optim.schedules import Constant, CosineWarmup, StepDecay

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]  # by the names of their members

FORMAT = 1
HEADER = "minirnn.json"
DEEPEST = 100  # far from Python's own limit, whose error names no place
BITS = np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64
OBJECTS: tuple[Any, ...] = Constant, CosineWarmup, StepDecay, MinMaxScaler, Vocabulary
KINDS = (
    "want a dict, list, tuple, array, None, bool, int, float, str, NumPy number, numpy.random.Generator "
    "of NumPy's own bits, schedule, scaler or vocabulary; of a layer or optimizer, its state_dict()"
)


class CheckpointError(ValueError):
    """A file that is not a checkpoint, or not a whole one any more, or that of a newer minirnn."""


def save(path: str | os.PathLike[str], /, **parts: Any) -> None:
    """Save `parts` to one file, which `load` and ``numpy.load`` read.

    The file gets its name only when it is complete and on the disk: if anything goes wrong before,
    or the process is killed, an older file of that name is still there, unchanged. Until then the
    data is in ``<path>.partial``, so only one process at a time may save to a path.

    Args:
        path: the file, by convention ending in .npz; its directory has to exist.
        parts: dicts (with str for keys), lists and tuples, at most 100 deep, of arrays (NumPy's or
            CuPy's, of any dtype that .npy files have, so no Python objects), None, bool, int, float,
            str, NumPy numbers, ``numpy.random.Generator``, schedules, `data.MinMaxScaler` and
            `data.Vocabulary`. What is there twice is saved twice, and two come back.

    Raises:
        TypeError: a part is something else, or a key is not a str; the message says where.
        ValueError: parts are nested too deep, or within themselves; `path` is there and not a file.
        FileNotFoundError: there is no such directory.
        OSError: writing failed, for example because the disk is full.
    """
    target = Path(os.path.realpath(path))  # a link stays one
    if target.exists() and not target.is_file():
        raise ValueError(f"path: got {path}, which is there and not a file, want that of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: got {path}, but there is no directory {target.parent}")
    arrays: Arrays = {}
    tree = {"dict": {name: _encode(part, (name,), arrays) for name, part in parts.items()}}
    partial = target.with_name(f"{target.name}.partial")
    try:
        with open(partial, "wb") as file:
            _write(file, arrays, tree)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)
        raise
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):  # some file systems cannot, and the file is whole
            directory = os.open(target.parent, os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what was saved to `path`: the same types, and arrays of NumPy with the same bits.

    All members are compared with their CRC-32, and nothing is ever unpickled.

    Raises:
        FileNotFoundError: there is no such file.
        minirnn.checkpoint.CheckpointError: it is empty, truncated, damaged, something else than a
            checkpoint, or of a newer format; the message says which. It is a ValueError.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"path: got {path}, but there is no such file")
    with open(path, "rb") as file, _judging(path, "its table of contents"):
        _check_ends(path, file)
        with zipfile.ZipFile(file) as archive:
            return _read(path, archive)


def _encode(value: Any, place: tuple[str | int, ...], arrays: Arrays) -> Any:
    """Return `value` as JSON has it, its arrays put into `arrays`.

    Types are compared, not asked for their bases: a named tuple would come back as a tuple.
    """
    kind: Any = type(value)
    where = f"{place[0]}{''.join(f'[{key!r}]' for key in place[1:])}"
    if len(place) > DEEPEST:
        raise ValueError(f"{place[0]}: is nested deeper than {DEEPEST}, perhaps within itself")
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) < 2**53 else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    if kind in (list, tuple):
        nodes = [_encode(v, (*place, k), arrays) for k, v in enumerate(value)]
        return nodes if kind is list else {"tuple": nodes}
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"{where}: got the key {key!r} ({type(key).__name__}), want a str")
        return {"dict": {key: _encode(v, (*place, key), arrays) for key, v in value.items()}}
    if kind is np.random.Generator and type(value.bit_generator) in BITS:
        seeds = value.bit_generator.seed_seq  # so that spawn goes on as well
        seeds = seeds.state if type(seeds) is np.random.SeedSequence else None
        states = {"bits": value.bit_generator.state, "seeds": seeds}
        return {"generator": _encode(states, place, arrays)}
    if kind in OBJECTS:
        fields = {name: getattr(value, name) for name in signature(kind).parameters}
        return {"object": [kind.__name__, _encode(fields, place, arrays)]}
    if isinstance(value, np.generic) and value.dtype.kind in "biufcmM":
        return {"scalar": [value.dtype.str, value.tobytes().hex()]}
    if kind in (np.memmap, array_module(value).ndarray):
        array = to_host(value)
        if not _has_descr(array.dtype):
            raise TypeError(f"{where}: got an array of {array.dtype}, want a dtype of .npy files")
        name = "/".join(_quoted(str(key)) for key in place)
        if len(name) > 200 or name == HEADER or name.endswith(".npy"):  # numpy.load mixes those up
            name = f"{name[:200]}%~{len(arrays)}"  # _quoted gives no such %
        arrays[f"{name}.npy"] = array
        return {"array": name}
    raise TypeError(f"{where}: got {kind.__name__}, {KINDS}")


def _has_descr(dtype: np.dtype[Any]) -> bool:
    """Whether a .npy file gives `dtype` back: not with objects, not if fields are out of order."""
    try:
        return not dtype.hasobject and npy.descr_to_dtype(npy.dtype_to_descr(dtype)) == dtype
    except (TypeError, ValueError):
        return False


def _quoted(key: str) -> str:
    """Return `key` as part of a path, safe on every system and different for every key."""
    quoted = quote(key, safe="", errors="surrogatepass")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E") or "%"


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


def _refusal(path: Any, what: str) -> CheckpointError:
    return CheckpointError(f"path: got {path}, which {what}; want what minirnn.save has written")


@contextlib.contextmanager
def _judging(path: Any, place: str) -> Iterator[None]:
    """Make one error of all that zipfile, json and numpy make of damaged bytes."""
    try:
        yield
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:
        what = f"is damaged in {place} ({type(error).__name__}: {error})"
        raise _refusal(path, what) from error


def _check_ends(path: Any, file: BinaryIO) -> None:
    """Raise an error unless the file has the end of a zip archive."""
    head, size = file.read(4), file.seek(0, os.SEEK_END)
    if not size:
        raise _refusal(path, "is empty")
    if not zipfile.is_zipfile(file):
        if b"PK\3\4".startswith(head):
            raise _refusal(path, f"is truncated: its end is missing, after {size:,} bytes")
        known = {b"\x93NUM": "a .npy array", b"\x89HDF": "an HDF5 file", b"\x80": "a pickle"}
        looks = known.get(head) or known.get(head[:1]) or f"no .npz, but begins with {head!r}"
        raise _refusal(path, f"is {looks}")


def _read(path: Any, archive: zipfile.ZipFile) -> dict[str, Any]:
    names = archive.namelist()
    if HEADER not in names:
        pure = all(name.endswith(".npy") for name in names)
        kind = "an .npz of other arrays" if pure else "another zip"
        shown = [ascii(n.removesuffix(".npy")[:60])[1:-1] for n in names[:5]]
        shown += ["…"] * (len(names) > 5)
        raise _refusal(path, f"is {kind}: {', '.join(shown) or 'none'}")
    if start := min(info.header_offset for info in archive.infolist()):
        # a whole checkpoint may lie as an array in one whose end is lost
        raise _refusal(path, f"is damaged: the archive begins at byte {start}, not at 0")
    with _judging(path, HEADER):
        header = json.loads(_member(archive, HEADER))
        if header["format"] > FORMAT:
            made = f"is of format {header['format']}, from minirnn {header['minirnn']}"
            raise _refusal(path, f"{made}: update minirnn, as {_version()} reads format {FORMAT}")
        crcs, arrays = header["members"], {}
        if sorted(names) != sorted([*crcs, HEADER]):
            odd = ", ".join(sorted({*names, HEADER} ^ {*crcs, HEADER})) or "some, twice"
            raise _refusal(path, f"is damaged: has lost members, or got other ones: {odd}")
    for name, crc in crcs.items():
        with _judging(path, name):
            data = _member(archive, name)
            if archive.getinfo(name).CRC != crc:  # noqa: SIM300
                raise ValueError("it was not saved together with the rest")
            array = npy.read_array(io.BytesIO(data), allow_pickle=False, max_header_size=10**6)
            arrays[name] = array
    with _judging(path, HEADER):
        parts: dict[str, Any] = _decode(header["parts"], arrays)
        return parts


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    if info.compress_size != info.file_size:  # it would be believed, and as much memory asked for
        raise ValueError("it is compressed, or its sizes contradict each other")
    return archive.read(info)  # to the end, which is when zipfile compares the CRC


def _decode(node: Any, arrays: Arrays) -> Any:
    if isinstance(node, list):
        return [_decode(n, arrays) for n in node]
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind == "dict":
        return {key: _decode(n, arrays) for key, n in value.items()}
    if kind == "tuple":
        return tuple(_decode(n, arrays) for n in value)
    if kind == "int":
        return int(value, 16)
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(value))[0]
    if kind == "scalar":
        return np.frombuffer(bytes.fromhex(value[1]), value[0])[0]
    if kind == "array":
        return arrays[f"{value}.npy"]
    if kind == "generator":
        states = _decode(value, arrays)
        bits = {c.__name__: c for c in BITS}[states["bits"]["bit_generator"]]
        generator = np.random.Generator(bits(np.random.SeedSequence(**(states["seeds"] or {}))))
        generator.bit_generator.state = states["bits"]
        return generator
    if kind == "object":
        return {c.__name__: c for c in OBJECTS}[value[0]](**_decode(value[1], arrays))
    raise ValueError(f"the kind {kind!r} is unknown")
