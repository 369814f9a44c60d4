"""Whether what was printed for a cell (``kernels/pointwise.py``) computes what its class does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import Array
from ..cells import Cell
from ..kernels.languages import PYTHON
from ..kernels.pointwise import read
from ..kernels.symbols import Key

BARS = {"float64": 1e-12, "float32": 1e-4}  # of the errors below


def errors(
    cell: Cell, dtype: str, seed: int = 0, D: int = 3, H: int = 5, N: int = 7
) -> Iterator[Any]:
    """Compare the lines with the class at random points, by name: max|Δ| / max|class|.

    Args:
        cell: one that can be printed.
        dtype: of all numbers.
        seed: of the random values.
        D, H, N: inputs, units, sequences.

    Raises:
        NotPointwise: the cell cannot be printed.
    """
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> Array:
        return rng.normal(0, 0.7, shape).astype(dtype)

    step, P = read(cell), {name: random(*shape) for name, shape in cell.shapes(D, H).items()}
    x, state, dnew = random(D, N), *(tuple(random(H, N) for _ in cell.states) for _ in range(2))
    new, gates = cell.forward(P, x, state)
    dx, dstate, dP = cell.backward(P, x, state, new, gates, dnew)

    known: dict[Key, Array] = {
        ("parameter", n, k): p for n in P for k, p in enumerate(_cut(P[n], H))
    }
    for k, (u, w, bias) in enumerate(step.blocks):
        known["block", k] = (
            known[bias] + np.zeros((H, N), dtype) if bias else np.zeros((H, N), dtype)
        )
        known["block", k] += 0 if u is None else _cut(P["U"], H)[u] @ x
        known["block", k] += 0 if w is None else _cut(P["W"], H)[w] @ state[0]
    for kind, parts in (("state", state), ("new", new), ("d", dnew)):
        known |= {(kind, s): part for s, part in zip(cell.states, parts, strict=True)}
    forward = _run(step.text("forward", PYTHON), known, H, N)
    for s, part in zip(cell.states, new, strict=True):
        yield f"{s}_new", _error(forward["new", s], part)
    known |= {key: _cut(gates[key[1]], H)[key[2]] for key in forward if key[0] == "gate"}
    for key in (key for key in forward if key[0] == "gate"):
        yield key[1], _error(forward[key], known[key])

    back = _run(step.text("backward", PYTHON), known, H, N)
    dh, found = np.zeros((H, N), dtype), {name: np.zeros_like(p) for name, p in P.items()}
    found["x"] = np.zeros_like(x)
    for k, (u, w, bias) in enumerate(step.blocks):
        da = back["block", k]
        if u is not None:
            _cut(found["U"], H)[u][...], found["x"] = (
                da @ x.T,
                found["x"] + _cut(P["U"], H)[u].T @ da,
            )
        if w is not None:
            _cut(found["W"], H)[w][...], dh = da @ state[0].T, dh + _cut(P["W"], H)[w].T @ da
        if bias:
            back[bias] = da
    for key, term in back.items():
        if key[0] == "parameter":
            _cut(found[key[1]], H)[key[2]][...] = term.sum(axis=1, keepdims=True)
    for s, rest in zip(cell.states, (dh, *[0] * len(state)), strict=False):
        found[s] = back.get(("state", s), 0) + rest
    right = {**dP, "x": dx, **dict(zip(cell.states, dstate, strict=True))}
    yield from ((f"d{name}", _error(found[name], value)) for name, value in right.items())


def _cut(rows: Array, H: int) -> Array:
    """Rows (k·H, …) as k blocks of H, as a view."""
    return rows.reshape(-1, H, rows.shape[-1])


def _error(found: Array, right: Array) -> float:
    return float(np.abs(found - right).max() / max(np.abs(right).max(), 1e-6))


def _run(text: Any, known: dict[Key, Array], H: int, N: int) -> dict[Key, Array]:
    """What the lines give, each (H, N), for each unit of each sequence by itself."""
    dtype = known["block", 0].dtype
    names: dict[str, Any] = {"F": dtype.type, "fma": lambda a, b, c: a * b + c}
    names |= {name: getattr(np, name) for name in ("exp", "log", "tanh", "sqrt", "abs", "sign")}
    names |= {"maximum": np.maximum, "minimum": np.minimum}
    results = ", ".join([*text.results.values(), ""])
    lines = [f"def step({', '.join(text.given.values())}):", *text.lines, f"return {results}"]
    exec("\n    ".join(lines), names)
    found = {key: np.zeros((H, N), dtype) for key in text.results}
    columns = [np.broadcast_to(known[key], (H, N)) for key in text.given]
    for place in np.ndindex(H, N):
        numbers = names["step"](*(column[place] for column in columns))
        for array, number in zip(found.values(), numbers, strict=True):
            array[place] = number
    return found
