"""A cell is tried once, when a network is made of it: what does not fit is refused there, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, State
from ..cells import KNOWN, Cell

N = 2  # sequences


def try_cell(cell: Cell, H: int, dtype: Any) -> None:
    """Take a step forward, and one back if the cell has that yet, with zeros that cannot be written to.

    Raises:
        ValueError: a shape is not what it has to be; U is missing; the cell writes to what it is given.
    """
    if type(cell) in KNOWN:  # which the tests try
        return
    if len({*cell.states}) < len(cell.states):
        raise ValueError(f"{cell.name}.states: got {cell.states}, want a name for each")
    shapes = cell.shapes(1, H)
    if "U" not in shapes:
        got = ", ".join(shapes)
        raise ValueError(f"{cell.name}.shapes: got {got}; want input weights called U")
    P = {name: _zeros(shape, dtype) for name, shape in shapes.items()}
    x, state = _zeros((1, N), dtype), tuple(_zeros((H, N), dtype) for _ in cell.states)
    with np.errstate(all="ignore"):  # which zeros may be divided by
        new, gates = cell.forward(P, x, state)
        _refuse(cell, "forward: ", state, new)
        if not hasattr(cell, "backward"):
            return
        for array in (*new, *gates.values()):
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        dx, dstate, dP = cell.backward(P, x, state, new, gates, state)
    _refuse(cell, "backward: d", state, dstate)
    if getattr(dx, "shape", None) != x.shape:
        found = getattr(dx, "shape", type(dx).__name__)
        raise ValueError(f"{cell.name}.backward: dx is {found}, want {x.shape}")
    for name in {**P, **dP}:
        if name not in P or name not in dP or dP[name].shape != shapes[name]:
            found = dP[name].shape if name in dP else "missing"
            want = shapes.get(name, "no such parameter")
            raise ValueError(f"{cell.name}.backward: dP[{name!r}] is {found}, want {want}")


def _zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    array = np.zeros(shape, dtype)
    array.flags.writeable = False
    return array


def _refuse(cell: Cell, what: str, state: State, given: Any) -> None:
    """Raise a ValueError if what a cell has `given` is not a state like `state`."""
    method, _, d = what.partition(": ")
    names = [d + name for name in cell.states]
    form = f"({', '.join(names)}{',' * (len(names) == 1)})"
    if not isinstance(given, tuple) or len(given) != len(names):
        found = f"a tuple of {len(given)}" if isinstance(given, tuple) else type(given).__name__
        raise ValueError(f"{cell.name}.{method}: gave {found}, want a tuple {form}")
    for name, part, like in zip(names, given, state, strict=True):
        if getattr(part, "shape", None) != like.shape:
            found = getattr(part, "shape", type(part).__name__)
            raise ValueError(f"{cell.name}.{method}: {name} is {found}, want {like.shape}")
