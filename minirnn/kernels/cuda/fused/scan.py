"""The loop over time on a CUDA device: each step is one product and one kernel, in both directions.

What a unit computes stands in ``cells.cuh``, what a kernel reads and writes in ``fused.cu``. Here are
the products, and room for all that the kernels fill. Nothing waits for the device. So that it does not
wait for the host either, all that the steps have in common is worked out once, before the loop.

Arrays that are kept are (rows, T, N), time beside the batch. All steps are then the columns of one
matrix (rows, T·N), so that ``U x`` of all steps is one product before the loop, and dW, dU and dx are
one each after it (GRU's dW is two), without a copy. W h and Wᵀ da of a step have rooms of their own,
(rows, N).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....backend import Array, State, array_module
from ....cells import Arrays, Cell, GRUCell, LSTMCell, RNNCell
from ....scan import Scan
from ....tokens import add_up_columns
from ...side_by_side import by_step
from ..cublas import product, repeated
from ..module import Kernel, address, by_value, kernel, options

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

_INTEGERS = ("t", "T", "H", "N", "K")
_ARRAYS = (
    "mask", "tokens", "U", "b", "bw", "w", "gates", "h", "c", "h_before", "c_before", "ys", "dys",
    "dh", "rest", "dc", "da", "dw",
)  # fmt: skip

# `Step` of fused.cu: what a kernel is given, by value
STEP = np.dtype(
    [
        *((name, np.int32) for name in _INTEGERS),
        ("dys_strides", np.int64, (3,)),
        *((name, np.uintp) for name in _ARRAYS),
    ],
    align=True,
)


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


class FusedScan(Scan):
    """The scan of `Scan` for RNN, LSTM and GRU (`reset_after=True`) in float32 and float64.

    Args:
        cell: one of those.
        raw_module: ``cupy.RawModule``, or what stands in for it.
    """

    name = "fused"
    folder: Path | None = None  # where the text of kernels is looked for first

    def __init__(self, cell: Cell, raw_module: Any) -> None:
        self.layout = LAYOUTS[type(cell)]
        self.act = cell.act.name if isinstance(cell, RNNCell | LSTMCell) else "tanh"
        self.raw_module = raw_module

    def _kernel(
        self, direction: str, dtype: Any, file: str = "fused/fused.cu", cooperative: bool = False
    ) -> Kernel:
        function = f"{self.layout.kernels}_{direction}"
        told = options(dtype, self.act)
        return kernel(self.raw_module, function, file, told, cooperative, self.folder)

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
            product(P["U"], columns.reshape(D, T * N), out=room[:GH].reshape(GH, T * N))
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
        xp, (GH, D), N = array_module(ys), P["U"].shape, ys.shape[-1]
        last = tuple(part.copy() for part in state)
        w = xp.empty((GH, N), ys.dtype)
        given = {"tokens": tokens, "K": D, "mask": mask, "gates": room, "ys": ys, "w": w, **P}
        given |= by_name(before, last)
        multiply = repeated(P["W"], last[0], out=w)
        for step in self._steps("forward", given):
            multiply()
            step()
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
        du = by_column[-GH:] if "bw" in P else by_column
        h = before[0].reshape(H, T * N)
        db = by_column.sum(axis=1, keepdims=True)
        if "bw" not in P:
            dP = {"W": product(by_column, h.T), "b": db}
        else:  # rows are m, r, z, n, and W has r, z, m
            dP = {"W": xp.empty_like(P["W"]), "b": db[H:], "bw": db[:H]}
            product(by_column[H : 3 * H], h.T, out=dP["W"][: 2 * H])
            product(by_column[:H], h.T, out=dP["W"][2 * H :])
        if saved.tokens is None:
            dP["U"] = product(du, saved.columns.reshape(D, T * N).T)
        else:
            dP["U"] = xp.zeros_like(P["U"])
            tokens, k = saved.tokens.ravel(), max(1, ONE_HOT // D)
            for start in range(0, T * N, k):
                own = slice(start, start + k)
                add_up_columns(du[:, own], tokens[own], dP["U"])
        has_dx = want_dx and saved.tokens is None
        dx = by_step(product(P["U"].T, du), T, N) if has_dx else None
        return dx, dstate, dP

    def _backward_steps(
        self, saved: FusedSaved, dys: Array | None, dstate: State, da: Array
    ) -> State:
        """All steps, backwards, in place of `dstate`: return the first state's gradient; fill `da`."""
        W, dh = saved.P["W"], dstate[0]
        xp, dtype = array_module(W), W.dtype
        rest, dw = xp.zeros(dh.shape, dtype), xp.empty((len(W), dh.shape[1]), dtype)
        given = {"mask": saved.mask, "gates": saved.gates, "da": da, "rest": rest, "dw": dw}
        given |= gradients_by_name(dys, dstate) | by_name(saved.before, saved.last)
        multiply = repeated(W.T, dw, out=dh)
        for step in self._steps("backward", given):
            step()
            multiply()
        dh += rest
        return dstate

    def _steps(self, direction: str, given: dict[str, Any]) -> Iterator[Callable[[], Any]]:
        """The kernel's launch for each step in turn, with what is given for `Step`, by name."""
        before = given["h_before"]
        xp, (H, T, N) = array_module(before), before.shape
        given |= {"H": H, "T": T, "N": N}
        numbers = [given.get(name, 0) for name in (*_INTEGERS, "dys_strides")]
        arrays = [address(xp, given.get(name)) for name in _ARRAYS]
        steps = np.repeat(np.array((*numbers, *arrays), STEP), T)
        steps["t"] = np.arange(T) if direction == "forward" else np.arange(T)[::-1]
        launch, grid = self._kernel(direction, before.dtype), (max(1, -(-H * N // THREADS)),)
        for step in by_value(steps).reshape(T, 1):
            yield partial(launch, grid, (THREADS,), (step,))


def by_name(before: list[Array], last: State) -> dict[str, Array]:
    """The states before each step and after the last one, as kernels call them."""
    names = zip(("h", "c"), before, last, strict=False)
    return {
        name: value for s, old, new in names for name, value in ((f"{s}_before", old), (s, new))
    }


def gradients_by_name(dys: Array | None, dstate: State) -> dict[str, Any]:
    """What comes from the outputs and the last state, as kernels call it."""
    t, unit, sequence = (0, 0, 0) if dys is None else strides(dys)
    given = {"dys": dys, "dys_strides": (unit, t, sequence)}
    return given | dict(zip(("dh", "dc"), dstate, strict=False))


def _time_beside_batch(x: Array, mask: Array | None) -> Array:
    """A copy of x (T, D, N) as (D, T, N); zero where `mask` is false, as padding may be NaN."""
    rows = x.swapaxes(0, 1)
    if mask is None:
        return rows.copy()
    columns = array_module(x).zeros(rows.shape, x.dtype)
    array_module(x).copyto(columns, rows, where=mask)
    return columns


def strides(array: Array) -> list[int]:
    """How far it is along each axis from number to number, as kernels take it."""
    return [stride // array.itemsize for stride in array.strides]
