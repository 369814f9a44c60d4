"""The loop over time on a CUDA device: each step is one product and one kernel, in both directions.

What a unit computes stands in ``cells.cuh``, what a kernel reads and writes in ``fused.cu``. Here are
the products, and room for all that the kernels fill. Nothing waits for the device.

Arrays that are kept are (rows, T, N), time beside the batch. All steps are then the columns of one
matrix (rows, T·N), so that ``U x`` of all steps is one product before the loop, and dW, dU and dx are
one each after it, without a copy. W h and Wᵀ da of a step have rooms of their own, (rows, N).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, State, array_module
from ..cells import Arrays, Cell, GRUCell, LSTMCell, RNNCell
from ..products import by_step
from ..tokens import add_up_columns
from .cuda_module import Kernel, kernel, options

THREADS = 128  # of a block
ONE_HOT = 1 << 24  # numbers in the matrix that a token's gradient is multiplied by, at most


class Layout(NamedTuple):
    """What the kernels of a cell are called, and the rows that they fill."""

    kernels: str  # the names of both begin so
    gates: str  # that are kept, one letter each
    da: int  # blocks of H rows: W's gradient is of the first ones, U's and b's of the last ones


LAYOUTS = {
    RNNCell: Layout("rnn", "", 1),
    LSTMCell: Layout("lstm", "ifog", 4),
    GRUCell: Layout("gru", "rznm", 4),  # dm, da_r, da_z, da_n
}


class FusedSaved(NamedTuple):
    """The record of one scan."""

    cell: Cell
    P: Arrays
    columns: Array  # x as (D, T, N), or None for tokens
    tokens: Array  # (T, N), or None
    mask: Array  # (T, N), or None
    gates: Array  # (rows, T, N), or None if there are none
    before: list[Array]  # the states before each step, each (H, T, N)
    last: State  # and after the last one

    def trace(self, name: str) -> Array:
        """See `Saved.trace`."""
        if name in self.cell.states:
            k = self.cell.states.index(name)
            xp, all_states = array_module(self.last[k]), [self.before[k], self.last[k][:, None]]
            return xp.concatenate(all_states, axis=1)[:, 1:].swapaxes(0, 1)
        H, place = len(self.last[0]), LAYOUTS[type(self.cell)].gates.index(name)
        return self.gates[place * H : (place + 1) * H].swapaxes(0, 1)


class FusedScan:
    """The scan of `Scan` for RNN, LSTM and GRU (`reset_after=True`) in float32 and float64.

    Args:
        cell: one of those.
        raw_module: ``cupy.RawModule``, or what stands in for it.
    """

    name = "fused"
    precision: str | None = None  # of products within kernels, of which there are none here

    def __init__(self, cell: Cell, raw_module: Any) -> None:
        self.layout = LAYOUTS[type(cell)]
        self.act = cell.act.name if isinstance(cell, RNNCell | LSTMCell) else "tanh"
        self.raw_module = raw_module

    def _kernel(
        self, direction: str, dtype: Any, file: str = "fused.cu", cooperative: bool = False
    ) -> Kernel:
        function = f"{self.layout.kernels}_{direction}"
        told = options(dtype, self.act, self.precision)
        return kernel(self.raw_module, file, told, cooperative, function)

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, mask: Array | None
    ) -> tuple[Array, State, FusedSaved]:
        """See `Scan.forward`."""
        xp, is_tokens = array_module(x), x.ndim == 2
        P = {name: xp.ascontiguousarray(value) for name, value in P.items()}
        (GH, D), T, (H, N) = P["U"].shape, len(x), state[0].shape
        tokens: Array = xp.array(x, np.int64, order="C") if is_tokens else None
        mask = None if mask is None else xp.ascontiguousarray(mask)
        ys = self._empty(P["W"], H, T, N)
        rows = len(self.layout.gates) * H
        gates: Array = self._empty(P["W"], rows, T, N) if rows else None
        room = ys if gates is None else gates  # for U x, which the outputs or gates then replace
        columns: Array = None if is_tokens else _time_beside_batch(x, mask)
        if columns is not None:
            xp.matmul(P["U"], columns.reshape(D, T * N), out=room[:GH].reshape(GH, T * N))
        before = [self._empty(P["W"], H, T, N) for _ in state]
        last = self._forward_steps(P, tokens, mask, room, ys, before, state)
        saved = FusedSaved(cell, P, columns, tokens, mask, gates, before, last)
        return ys.swapaxes(0, 1), last, saved

    def _empty(self, W: Array, rows: int, T: int, N: int) -> Array:
        """Room for numbers of all steps, (rows, T, N), of a cell with these weights W."""
        return array_module(W).empty((rows, T, N), W.dtype)

    def _forward_steps(
        self, P: Arrays, tokens: Array | None, mask: Array | None, room: Array, ys: Array,
        before: list[Array], state: State,
    ) -> State:  # fmt: skip
        """All steps: return the last state; fill `before`, `ys`, and `room` with the gates."""
        (GH, D), (H, T, N), dtype = P["U"].shape, ys.shape, ys.dtype
        last = tuple(part.copy() for part in state)
        xp, (h, *c) = array_module(ys), last
        w = xp.empty((GH, N), dtype)
        extra = (P["bw"],) if "bw" in P else (*c, *before[1:])
        sizes = np.int32(T), np.int32(H), np.int32(N)
        given = P["U"], np.int32(D), _or_null(tokens), w, P["b"]
        arguments = (*sizes, _or_null(mask), *given, room, h, before[0], ys, *extra)
        step, grid = self._kernel("forward", dtype), _blocks(H * N)
        for t in range(T):
            xp.matmul(P["W"], h, out=w)
            step(grid, (THREADS,), (np.int32(t), *arguments))
        return last

    def backward(
        self, saved: FusedSaved, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        P, before = saved.P, saved.before
        xp, (GH, D), (H, T, N) = array_module(P["U"]), P["U"].shape, before[0].shape
        da = self._empty(P["W"], self.layout.da * H, T, N)
        dstate = tuple(xp.ascontiguousarray(part) for part in dstate)
        dstate = self._backward_steps(saved, dys, dstate, da)
        by_column = da.reshape(len(da), T * N)
        du = by_column[-GH:]
        dW = by_column[:GH] @ before[0].reshape(H, T * N).T
        dP = {"W": dW, "b": du.sum(axis=1, keepdims=True)}
        if "bw" in P:
            dP["W"] = xp.concatenate([dW[H:], dW[:H]])  # m, r, z as r, z, m
            dP["bw"] = by_column[:H].sum(axis=1, keepdims=True)
        if saved.tokens is None:
            dP["U"] = du @ saved.columns.reshape(D, T * N).T
        else:
            dP["U"] = xp.zeros_like(P["U"])
            tokens, k = saved.tokens.ravel(), max(1, ONE_HOT // D)
            for start in range(0, T * N, k):
                own = slice(start, start + k)
                add_up_columns(du[:, own], tokens[own], dP["U"])
        has_dx = want_dx and saved.tokens is None
        dx = by_step(P["U"].T @ du, T, N) if has_dx else None
        return dx, dstate, dP

    def _backward_steps(
        self, saved: FusedSaved, dys: Array | None, dstate: State, da: Array
    ) -> State:
        """All steps, backwards, in place of `dstate`: return the first state's gradient; fill `da`."""
        P, before, last, dtype = saved.P, saved.before, saved.last, da.dtype
        xp, (H, T, N) = array_module(da), before[0].shape
        outputs = (_or_null(dys), *strides(dys))
        product, *dc = dstate  # product + rest is dh
        rest = xp.zeros((H, N), dtype)
        dw = xp.empty((len(P["W"]), N), dtype)
        extra = {
            "rnn": (before[0], last[0]),
            "lstm": (saved.gates, before[-1], last[-1], *dc),
            "gru": (saved.gates, before[0]),
        }[self.layout.kernels]
        sizes = np.int32(T), np.int32(H), np.int32(N)
        arguments = (*sizes, _or_null(saved.mask), *outputs, product, rest, da, dw, *extra)
        step, grid = self._kernel("backward", dtype), _blocks(H * N)
        for t in reversed(range(T)):
            step(grid, (THREADS,), (np.int32(t), *arguments))
            xp.matmul(P["W"].T, dw, out=product)
        return (product + rest, *dc)


def _or_null(array: Array) -> Any:
    """What a kernel gets for an array that may be None: a null pointer (not all of CuPy takes None)."""
    return np.uintp(0) if array is None else array


def _blocks(threads: int) -> tuple[int]:
    """The grid with at least so many threads."""
    return (max(1, -(-threads // THREADS)),)


def _time_beside_batch(x: Array, mask: Array | None) -> Array:
    """A copy of x (T, D, N) as (D, T, N); zero where `mask` is false, as padding may be NaN."""
    rows = x.swapaxes(0, 1)
    if mask is None:
        return rows.copy()
    columns = array_module(x).zeros(rows.shape, x.dtype)
    array_module(x).copyto(columns, rows, where=mask)
    return columns


def strides(array: Array | None) -> list[Any]:
    """How far each axis of an array of rank 3 goes from number to number, as kernels take it."""
    if array is None:
        return [np.int64(0)] * 3
    return [np.int64(stride // array.dtype.itemsize) for stride in array.strides]
