"""What a checkpoint holds, as JSON has it and arrays beside that, and back.

What JSON has too (None, bool, str, lists, finite floats, integers below 2^53) stands there as
itself; the rest is an object whose one key is its kind: ``dict``, ``tuple``, ``int`` (hexadecimal),
``float`` (infinity or NaN: its eight bytes), ``scalar`` (of NumPy: dtype, bytes), ``array`` (the
member's name without .npy), ``generator`` (states of its bit generator and its seed sequence),
``object`` (of this package: its class, and what that is called with, which it keeps by these names).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from inspect import signature
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np
from numpy.lib import format as npy

from ..backend import array_module, to_host
from ..data import MinMaxScaler, Vocabulary
from ..optim.schedules import Constant, CosineWarmup, StepDecay

Arrays: TypeAlias = dict[str, np.ndarray[Any, Any]]  # by the names of their members

HEADER = "minirnn.json"
DEEPEST = 100  # far from Python's own limit, whose error names no place
BITS = np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64
SCALARS = "biufcmM"  # the kinds of NumPy's numbers
OBJECTS: tuple[Any, ...] = Constant, CosineWarmup, StepDecay, MinMaxScaler, Vocabulary
KINDS = (
    "want a dict, list, tuple, array, None, bool, int, float, str, NumPy number, numpy.random.Generator "
    "of NumPy's own bits, schedule, scaler or vocabulary; of a layer or optimizer, its state_dict()"
)
WRITTEN = {
    "dict": dict, "tuple": list, "int": str, "float": str, "scalar": list, "array": str,
    "generator": dict, "object": list,
}  # fmt: skip


def encode(value: Any, place: tuple[str | int, ...], arrays: Arrays) -> Any:
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
        nodes = [encode(v, (*place, k), arrays) for k, v in enumerate(value)]
        return nodes if kind is list else {"tuple": nodes}
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"{where}: got the key {key!r} ({type(key).__name__}), want a str")
        return {"dict": {key: encode(v, (*place, key), arrays) for key, v in value.items()}}
    if kind is np.random.Generator and type(value.bit_generator) in BITS:
        seeds = value.bit_generator.seed_seq  # so that spawn goes on as well
        seeds = seeds.state if type(seeds) is np.random.SeedSequence else None
        _check_seeds(where, seeds)
        states = {"bits": value.bit_generator.state, "seeds": seeds}
        return {"generator": encode(states, place, arrays)}
    if kind in OBJECTS:
        fields = {name: getattr(value, name) for name in signature(kind).parameters}
        return {"object": [kind.__name__, encode(fields, place, arrays)]}
    if isinstance(value, np.generic) and value.dtype.kind in SCALARS:
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


def decode(node: Any, arrays: Arrays, depth: int = 0) -> Any:
    """The value of a node; each of the arrays is taken out when its place is found."""
    if depth > DEEPEST + 3:  # a generator's states are deeper than itself
        raise ValueError(f"it is nested deeper than {DEEPEST}")
    if isinstance(node, list):
        return [decode(n, arrays, depth + 1) for n in node]
    if not isinstance(node, dict):
        if isinstance(node, float) and not math.isfinite(node):
            raise ValueError("it holds a number beyond all floats")
        return node
    ((kind, value),) = node.items()
    if kind not in WRITTEN:
        raise ValueError(f"the kind {kind!r} is unknown")
    if type(value) is not WRITTEN[kind]:
        raise ValueError(f"{kind}: is written as {type(value).__name__}")
    if kind == "dict":
        return {key: decode(n, arrays, depth + 1) for key, n in value.items()}
    if kind == "tuple":
        return tuple(decode(n, arrays, depth + 1) for n in value)
    if kind == "int":
        return int(value, 16)
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(value))[0]
    if kind == "scalar":
        dtype, data = np.dtype(value[0]), bytes.fromhex(value[1])
        if dtype.kind not in SCALARS or len(data) != dtype.itemsize:
            raise ValueError(f"a number of NumPy is of {dtype} and has {len(data)} bytes")
        return np.frombuffer(data, dtype)[0]
    if kind == "array":
        return arrays.pop(f"{value}.npy")
    if kind == "generator":
        return _generator(**decode(value, arrays, depth))
    name, fields = value
    return {c.__name__: c for c in OBJECTS}[name](**decode(fields, arrays, depth))


def _generator(bits: dict[str, Any], seeds: Mapping[str, Any] | None) -> np.random.Generator:
    _check_seeds("a generator", seeds)
    name, state = bits["bit_generator"], bits["state"]
    for key, most in (("pos", 624), ("buffer_pos", 4)):  # NumPy reads where they say
        if not 0 <= {**bits, **state}.get(key, 0) <= most:
            raise ValueError(f"a generator's {key} is beyond its state")
    kind = {c.__name__: c for c in BITS}[name]
    generator = np.random.Generator(kind(np.random.SeedSequence(**(seeds or {}))))
    generator.bit_generator.state = bits
    return generator


def _check_seeds(where: str, seeds: Mapping[str, Any] | None) -> None:
    """Raise a ValueError if a seed sequence is so large that NumPy would take long to make it."""
    if seeds is not None:
        words = _words(seeds["entropy"]) + _words(seeds["spawn_key"])
        if words > 2048 or seeds["pool_size"] > 64:
            raise ValueError(
                f"{where}: its seed sequence is too large, want 2,048 words, a pool of 64"
            )


def _words(seed: Any) -> int:
    """How many words of 32 bits a seed has, or more."""
    if isinstance(seed, list | tuple):
        return sum(map(_words, seed))
    return seed.size * 2 if isinstance(seed, np.ndarray) else int(seed or 0).bit_length() // 32 + 1
