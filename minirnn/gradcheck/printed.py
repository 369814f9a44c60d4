"""Whether what was printed for a cell (``kernels/pointwise.py``) computes what its class does."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array
from ..cells import Cell
from ..kernels.languages import PYTHON, Text
from ..kernels.pointwise import read
from ..kernels.terms import FUNCTIONS, Key

SIZES = 3, 5, 7  # D inputs, H units, N sequences
BARS = {"float64": 1e-12, "float32": 1e-4}  # of the errors below


def errors_of(cell: Cell, dtype: str, seed: int = 0) -> dict[str, float]:
    """Compare the lines with the class at random points, by name: max|Δ| / max|class|.

    Args:
        cell: one that can be printed.
        dtype: of all numbers.
        seed: of the random values.

    Raises:
        NotPointwise: the cell cannot be printed.
    """
    rng, step, (D, H, N) = np.random.default_rng(seed), read(cell), SIZES

    def random(*shape: int) -> Array:
        return rng.normal(0, 0.7, shape).astype(dtype)

    P = {name: random(*shape) for name, shape in cell.shapes(D, H).items()}
    x, state, dnew = random(D, N), *(tuple(random(H, N) for _ in cell.states) for _ in range(2))
    new, gates = cell.forward(P, x, state)
    dx, dstate, dP = cell.backward(P, x, state, new, gates, dnew)
    wanted = dict(zip((f"{s}_new" for s in cell.states), new, strict=True)) | {"dx": dx}
    wanted |= {f"d{s}": part for s, part in zip(cell.states, dstate, strict=True)}
    wanted |= {f"d{name}": gradient for name, gradient in dP.items()}

    cut = {name: _cut(p) for name, p in P.items()}
    known: dict[Key, Array] = {key: cut[key[1]][key[2]] for key in step.parameters}
    for kind, parts in (("state", state), ("new", new), ("d", dnew)):
        known |= {(kind, s): part for s, part in zip(cell.states, parts, strict=True)}
    for k, (u, w, bias) in enumerate(step.blocks):
        known["block", k] = np.zeros((H, N), dtype) + (0 if bias is None else known[bias])
        known["block", k] += 0 if u is None else cut["U"][u] @ x
        known["block", k] += 0 if w is None else cut["W"][w] @ state[0]
    forward = _run(step.text("forward", PYTHON), known)
    known |= {key: _cut(gates[key[1]])[key[2]] for key in forward if key[0] == "gate"}
    back = _run(step.text("backward", PYTHON), known)

    found = {name: np.zeros_like(array) for name, array in wanted.items()}
    for key, value in (forward | back).items():
        if key[0] in ("new", "state"):
            found[f"{key[1]}_new" if key[0] == "new" else f"d{key[1]}"][...] = value
        elif key[0] == "gate":
            wanted[str(key[1:])], found[str(key[1:])] = known[key], value
    for k, (u, w, bias) in enumerate(step.blocks):
        da = back["block", k]
        if u is not None:
            _cut(found["dU"])[u] = da @ x.T
            found["dx"] += cut["U"][u].T @ da
        if w is not None:
            _cut(found["dW"])[w] = da @ state[0].T
            found[f"d{cell.states[0]}"] += cut["W"][w].T @ da
        if bias is not None:
            back[bias] = da
    for key in step.parameters:
        _cut(found[f"d{key[1]}"])[key[2]] = back[key].sum(axis=1, keepdims=True)
    size = {name: max(np.abs(value).max(), 1e-6) for name, value in wanted.items()}
    return {name: float(np.abs(found[name] - wanted[name]).max() / size[name]) for name in wanted}


def _cut(rows: Array) -> Array:
    """Rows (k·H, …) as k blocks of H, as a view."""
    return rows.reshape(-1, SIZES[1], rows.shape[-1])


def _run(text: Text, known: dict[Key, Array]) -> dict[Key, Array]:
    """What the lines give, each (H, N), for each unit of each sequence by itself."""
    dtype, shape = known["block", 0].dtype, SIZES[1:]
    names: dict[str, Any] = {name: getattr(np, name) for name in FUNCTIONS}
    names |= {"F": dtype.type, "fma": lambda a, b, c: a * b + c}
    results = ", ".join([*text.results.values(), ""])
    lines = [f"def step({', '.join(text.given.values())}):", *text.lines, f"return {results}"]
    exec("\n    ".join(lines), names)
    found = {key: np.zeros(shape, dtype) for key in text.results}
    columns = [np.broadcast_to(known[key], shape) for key in text.given]
    for place in np.ndindex(shape):
        numbers = names["step"](*(column[place] for column in columns))
        for array, number in zip(found.values(), numbers, strict=True):
            array[place] = number
    return found
