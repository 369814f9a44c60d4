"""The loop over time on NumPy arrays, in place.

``U x + W h + b`` is one product: ``h``, a row of ones and ``x`` are kept on top of one another in one
array Z (T+1, H+1+D, N), so that a step is ``M @ Z[t]`` with ``M = [W b U]``, and the new ``h`` is
written straight into ``Z[t+1]``. ``[h; 1]`` and ``[1; x]`` are slices of Z as well, for cells that need
the two products apart. Going back, the gradients of the pre-activations of some steps are collected in
dA, and one product with Z gives ``dW``, ``db`` and ``dU`` of all those steps together.

What differs from cell to cell stands in ``steps.py`` and ``gru.py``. No array is
allocated inside the loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

from ...backend import Array, State
from ...cells import Arrays, Cell
from ...scan import Scan
from ...tokens import add_up_columns
from ..side_by_side import SideBySide, SumOfProducts, steps_at_once
from .memory import one_block

# (the cell, its parameters, x (D, N) or tokens as `OneHotColumns`, the state) -> the new state
OneStep: TypeAlias = Callable[[Any, Arrays, Any, State], State]


@dataclass
class NumpySaved:
    """The record of one scan."""

    cell: Cell
    P: Arrays
    steps: Steps
    Z: Array  # (T+1, H+1+D, N), or (T+1, H+1, N) for tokens
    tokens: Array  # (T, N), or None
    padding: Array  # (T, N), true where a sequence has no such step; None if all have all
    states: list[Array]  # each (T+1, H, N): state 0 is the initial one
    gates: Array  # (T, rows, N), all gates of a step in one block
    operand: Array = None  # (T, H, N): what a weight multiplied besides Z, if anything
    names: dict[str, Array] = field(default_factory=dict)  # gates by name, each (T, H, N)

    @property
    def H(self) -> int:
        """Hidden size."""
        return int(self.states[0].shape[1])

    def trace(self, name: str) -> Array:
        """A gate or state over time, (T, H, N)."""
        if name in self.cell.states:
            return self.states[self.cell.states.index(name)][1:]
        return self.names[name]

    def pick_columns(self, out: Array) -> None:
        """Write U x_t into each `out[t]` for tokens: columns of U, with no product."""
        if self.tokens is not None:
            for tokens_t, out_t in zip(self.tokens, out, strict=True):
                np.take(self.P["U"], tokens_t, axis=1, out=out_t, mode="clip")

    def product(self, M: Array) -> Callable[[Array, Array], None]:
        """Return ``f(z, out)`` for ``out = M @ z``, or ``out += M @ z`` where tokens are in `out`."""
        matmul, add = np.matmul, np.add
        if self.tokens is None:
            return lambda z, out: matmul(M, z, out=out)
        buffer = np.empty((M.shape[0], self.Z.shape[2]), M.dtype)

        def accumulate(z: Array, out: Array) -> None:
            matmul(M, z, out=buffer)
            add(out, buffer, out=out)

        return accumulate

    def weights(self, rows: slice = slice(None)) -> Array:
        """A new matrix ``[W b U]`` (for tokens ``[W b]``), or some rows of it."""
        parts = [self.P["W"][rows], self.P["b"][rows]]
        return np.concatenate(parts if self.tokens is not None else [*parts, self.P["U"][rows]], 1)


class Steps(Protocol):
    """One cell's steps in place, over a `NumpySaved`."""

    gate_rows: int  # height of the gates of a step, in multiples of H
    rows: int  # height of dA[t], in multiples of H
    input_rows: slice  # of dA, in multiples of H: the gradients of U x + b

    def forward(self, s: NumpySaved) -> Callable[[int], None]:
        """Return ``step(t)``, which computes state t+1 and the gates of t from state t."""

    def backward(self, s: NumpySaved, dstate: list[Array]) -> Callable[[int, Array], None]:
        """Return ``step(t, da)``: `dstate`, of state t+1 to that of state t; fills `da`."""

    def products(self, s: NumpySaved) -> list[tuple[slice, slice]]:
        """Pairs (rows of dA, rows of [Z; s.operand]) whose products over time make up dP."""

    def gradients(self, s: NumpySaved, totals: list[Array]) -> dict[str, Array]:
        """The gradients of P by name, from the sums of those products."""


class NumpyScan(Scan):
    """The scan of `Scan`, for cells that have `Steps` of their own.

    Args:
        in_place: those of the cell.
        one_step: what `step` does.
    """

    name = "numpy"

    def __init__(self, in_place: Steps, one_step: OneStep) -> None:
        self.in_place = in_place
        self.one_step = one_step

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, NumpySaved]:
        """See `Scan.forward`."""
        T, N, H = x.shape[0], x.shape[-1], state[0].shape[0]
        tokens: Array = x if x.ndim == 2 else None
        padding: Array = None if real is None else ~real
        D = 0 if tokens is not None else x.shape[1]
        shapes = [(T + 1, H + 1 + D, N), (T, self.in_place.gate_rows * H, N)]
        shapes += [(T + 1, H, N)] * len(state[1:])
        Z, gates, *rest = one_block(state[0].dtype, shapes)
        Z[:, H] = 1
        if tokens is None:
            Z[:T, H + 1 :] = x
            if padding is not None:  # padding may hold anything, even NaN
                np.copyto(Z[:T, H + 1 :], 0, where=padding[:, None])
        states = [Z[:, :H], *rest]
        for over_time, initial in zip(states, state, strict=True):
            over_time[0] = initial
        saved = NumpySaved(cell, P, self.in_place, Z, tokens, padding, states, gates)
        step = self.in_place.forward(saved)
        stops = [False] * T if padding is None else padding.any(axis=1).tolist()
        for t in range(T):
            step(t)
            if stops[t]:
                for s in states:
                    np.copyto(s[t + 1], s[t], where=padding[t])
        ys = states[0][1:].copy()
        if padding is not None:
            np.copyto(ys, 0, where=padding[:, None])
        return ys, tuple(s[T].copy() for s in states), saved

    def backward(
        self, saved: NumpySaved, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        P, Z, tokens, padding, H = saved.P, saved.Z, saved.tokens, saved.padding, saved.H
        T, N, dtype = Z.shape[0] - 1, Z.shape[2], Z.dtype
        U, rows = P["U"], self.in_place.input_rows
        inputs = slice(rows.start * H, rows.stop * H)
        if padding is not None and dys is not None:
            dys = np.where(padding[:, None], 0, dys)
        stops = [False] * T if padding is None else padding.any(axis=1).tolist()
        d = [np.array(part, dtype) for part in dstate]
        held = [np.empty_like(part) for part in d]
        dx: Array = np.empty((T, U.shape[1], N), dtype) if want_dx and tokens is None else None
        dU: Array = np.zeros_like(U) if tokens is not None else None
        k = steps_at_once(T, N)
        dA = np.empty((k, self.in_place.rows * H, N), dtype)
        stacks = [Z] if saved.operand is None else [Z, saved.operand]
        side_a = SideBySide(dA, dA.shape[1], k)
        side_z = SideBySide(Z, sum(stack.shape[1] for stack in stacks), k)
        side_dx = SideBySide(Z, U.shape[1], k) if dx is not None else None
        pairs = self.in_place.products(saved)
        sums = [SumOfProducts(Z, a.stop - a.start, z.stop - z.start) for a, z in pairs]
        step = self.in_place.backward(saved, d)
        for stop in range(T, 0, -k):
            start = max(0, stop - k)
            for t in reversed(range(start, stop)):
                if dys is not None:
                    np.add(d[0], dys[t], out=d[0])
                if stops[t]:  # where the state stood still, its gradient passes through
                    for part, kept in zip(d, held, strict=True):
                        np.copyto(kept, 0)
                        np.copyto(kept, part, where=padding[t])
                        np.copyto(part, 0, where=padding[t])
                step(t, dA[t - start])
                if stops[t]:
                    for part, kept in zip(d, held, strict=True):
                        np.add(part, kept, out=part)
            columns = side_a.copy(dA[: stop - start])
            operands = side_z.copy(*(stack[start:stop] for stack in stacks))
            for total, (a, z) in zip(sums, pairs, strict=True):
                total.add(columns[a], operands[z])
            if side_dx is not None:
                np.matmul(U.T, columns[inputs], out=side_dx.columns(stop - start))
                dx[start:stop] = side_dx.by_step(stop - start)
            if tokens is not None:
                add_up_columns(columns[inputs], tokens[start:stop].ravel(), dU)
        dP = self.in_place.gradients(saved, [s.total for s in sums])
        if dU is not None:
            dP["U"] = dU
        return dx, tuple(d), dP

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """See `Scan.step`."""
        return self.one_step(cell, P, x, state)
