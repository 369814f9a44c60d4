"""CUDA C++ from the files beside this one to kernels that can be launched."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ...backend import Array

NUMBERS = {"float32": "float", "float64": "double"}  # NumPy's names, and C++'s
FILES = {  # that the kernels of a name are made of besides this one, with what those include
    "fused": ("functions.cuh", "fused/fused.cu", "fused/scan.py", "cell.py", "cublas.py"),
    "persistent": (
        "functions.cuh",
        "persistent/shared.cu",
        "persistent/scan.py",
        "persistent/plan.py",
        "persistent/limits.py",
        "fused/scan.py",
        "cell.py",
        "cublas.py",
    ),
}
IN_PRECISION = ("../in_precision.py", "../../backend.py")  # what those of a precision have, too
FOLDER = Path(__file__).parent
PROVEN = FOLDER / "proven.json"  # what passed its tests on a device

# (the grid, the threads of a block, the arguments): launches the kernel on the current device
Kernel: TypeAlias = Callable[[tuple[int, ...], tuple[int, ...], tuple[Any, ...]], Any]


@cache
def source(name: str, first: Path | None = None, beside: Path = FOLDER) -> str:
    """The text of a file of kernels, with what it includes in place.

    A file is looked for in the folder `first`, by its last name, then from the folder of the one that
    includes it, then from this one. CuPy keeps what it has compiled on disk, by the text that it is
    given: it would not notice a change in a file that is merely included.
    """
    places = *([first / Path(name).name] if first else []), beside / name, FOLDER / name
    path = next(place for place in places if place.is_file())
    text = path.read_text(encoding="utf-8")
    return re.sub(r'#include "(.*)"\n', lambda found: source(found[1], first, path.parent), text)


def title(scan: str, precision: str | None) -> str:
    """What the kernels of a scan are called that multiply in a precision: each has its own proof."""
    return f"{scan} {precision}" if precision else scan


def digest(name: str, text: str) -> str:
    """Twelve letters that stand for the kernels with this `title`, for a cell with this text.

    They stand for all that launches them, too.
    """
    scan, _, precision = name.partition(" ")
    files = (Path(__file__).name, *FILES[scan], *(IN_PRECISION if precision else ()))
    whole = text + "".join(source(file) for file in files)
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


@cache
def with_cell(text: str, name: str, first: Path | None = None) -> str:
    """The kernels of a file, for the cell with this text; `first` is what `source` takes."""
    return source("functions.cuh") + text + source(name, first)


@cache  # (a dtype takes its time to say its name)
def options(dtype: Any) -> tuple[str, ...]:
    """What the compiler is told, for float32 or float64."""
    return (f"-DNUMBER={NUMBERS[np.dtype(dtype).name]}",)


@cache
def module(raw_module: Any, code: str, told: tuple[str, ...], cooperative: bool) -> Any:
    """All kernels of a source; CuPy compiles them at their first use on each device.

    `raw_module` is ``cupy.RawModule``, or what stands in for it; `told` is what `options` gives;
    `cooperative` is for kernels whose blocks wait for each other.
    """
    launch = {"enable_cooperative_groups": True} if cooperative else {}
    return raw_module(code=code, options=told, **launch)


@cache
def kernel(
    raw_module: Any, code: str, told: tuple[str, ...], cooperative: bool, function: str
) -> Kernel:
    """One of them, by its name."""
    found: Kernel = module(raw_module, code, told, cooperative).get_function(function)
    return found


def address(xp: Any, array: Array) -> int:
    """Where the numbers of an array of the module `xp` begin."""
    return int(array.ctypes.data if xp is np else array.data.ptr)


def filled(struct: np.dtype[Any], given: dict[str, Any], xp: Any) -> np.ndarray[Any, Any]:
    """A record of what is given by name: numbers, or where arrays begin; what is not given is 0."""
    values = []
    for name, of_arrays, nothing in _fields(struct):
        value = given.get(name)
        if value is None:
            value = nothing
        elif of_arrays:
            several = nothing != 0
            value = tuple([address(xp, each) for each in value]) if several else address(xp, value)
        values.append(value or nothing)
    return np.array([tuple(values)], struct)


@cache
def _fields(struct: np.dtype[Any]) -> list[tuple[str, bool, Any]]:
    """The names of a struct, whether each is of arrays, and what it is where nothing is given."""
    kinds = [(name, struct[name]) for name in struct.names or ()]
    return [(n, k.base == np.uintp, (0,) * k.shape[0] if k.shape else 0) for n, k in kinds]


def by_value(struct: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What a kernel is given for a struct, an array of one record: as one number of so many bytes.

    Of a record CuPy would ask all names at every launch, which takes longer than the launch.
    """
    return struct.view(f"V{struct.itemsize}")


@cache
def last_pass(name: str, cell: str, text: str) -> dict[str, str] | None:
    """When the kernels with a `title` passed their tests for a cell with this text, as they stand now.

    None if never. The tests write this list themselves, when they are run on a machine with a device.
    """
    entries: list[dict[str, str]] = json.loads(PROVEN.read_text(encoding="utf-8"))
    now = {"kernel": name, "cell": cell, "source": digest(name, text)}
    return next((entry for entry in reversed(entries) if entry.items() >= now.items()), None)
