"""The loop over time on a CUDA device: each step is one product and one kernel, in both directions.

What a unit computes is read off the cell's class (``cell.py``), what a kernel reads and writes stands in
``fused.cu``. Here are the products, and room for all that the kernels fill. Nothing waits for the
device. So that it does not wait for the host either, all that the steps have in common is worked out
once, before the loop.

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
from ....cells import Arrays, Cell
from ....scan import Scan
from ....tokens import add_up_columns
from ...side_by_side import by_step
from ..cell import CudaCell, cuda_cell, pieces
from ..cublas import product, repeated
from ..module import Kernel, by_value, filled, kernel, options, with_cell

THREADS = 128  # of a block
ONE_HOT = 1 << 24  # numbers in the matrix that a token's gradient is multiplied by, at most

_INTEGERS = ("t", "T", "H", "N", "K")
_ARRAYS = ("real", "tokens", "U", "w", "gates", "ys", "dys", "rest", "da", "dw")
_OF_STATES = ("state", "before", "d")


def step_of(cell: CudaCell) -> np.dtype[Any]:
    """`Step` of fused.cu: what a kernel is given, by value."""
    return np.dtype(
        [
            *((name, np.int32) for name in _INTEGERS),
            ("dys_strides", np.int64, (3,)),
            *((name, np.uintp) for name in _ARRAYS),
            *of_cell(cell, _OF_STATES),
        ],
        align=True,
    )


def of_cell(cell: CudaCell, names: tuple[str, ...]) -> list[tuple[str, type, tuple[int, ...]]]:
    """The fields of a struct that there are for each parameter of units, and for each state."""
    fields = [(name, np.uintp, (len(cell.states),)) for name in names]
    return [("own", np.uintp, (max(1, len(cell.parameters)),)), *fields]


class FusedSaved(NamedTuple):
    """The record of one scan."""

    cell: CudaCell
    P: Arrays
    columns: Array  # x as (D, T, N), or None for tokens
    tokens: Array  # (T, N), or None
    real: Array  # (T, N), or None
    gates: Array  # (rows, T, N), or None if there are none
    before: list[Array]  # the states before each step, each (H, T, N)
    last: State  # and after the last one

    def trace(self, name: str) -> Array:
        """See `Saved.trace`."""
        key = ("new", name) if name in self.cell.states else self.cell.seen[name]
        if key[0] == "gate":
            H, place = len(self.last[0]), self.cell.gates.index(key)
            return self.gates[place * H : (place + 1) * H].swapaxes(0, 1)
        k = self.cell.states.index(key[1])
        if key[0] == "state":
            return self.before[k].swapaxes(0, 1)
        xp, all_states = array_module(self.last[k]), [self.before[k], self.last[k][:, None]]
        return xp.concatenate(all_states, axis=1)[:, 1:].swapaxes(0, 1)


class FusedScan(Scan):
    """The scan of `Scan` for cells whose only products are U x and W h, in float32 and float64.

    Args:
        cell: what it is made for.
        raw_module: ``cupy.RawModule``, or what stands in for it.

    Raises:
        NotPointwise: the cell does something else.
    """

    name = "fused"
    folder: Path | None = None  # where the text of kernels is looked for first

    def __init__(self, cell: Cell, raw_module: Any) -> None:
        self.cuda_cell = cuda_cell(cell)
        self.text = self.cuda_cell.text
        self.raw_module = raw_module
        self.struct = step_of(self.cuda_cell)
        # Where the gradients of each parameter are: which of its blocks, and which of `da`
        self.pieces = {name: pieces(rows) for name, rows in self.cuda_cell.rows.items()}

    def _kernel(
        self, function: str, dtype: Any, file: str = "fused/fused.cu", cooperative: bool = False
    ) -> Kernel:
        code = with_cell(self.text, file, self.folder)
        return kernel(self.raw_module, code, options(dtype), cooperative, function)

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, FusedSaved]:
        """See `Scan.forward`."""
        xp, is_tokens = array_module(x), x.ndim == 2
        P = {name: xp.ascontiguousarray(value) for name, value in P.items()}
        (GH, D), T, (H, N) = P["U"].shape, len(x), state[0].shape
        if "W" not in P:
            P["W"] = xp.empty((0, H), P["U"].dtype)
        tokens: Array = xp.array(x, np.int64, order="C") if is_tokens else None
        real = None if real is None else xp.ascontiguousarray(real)
        ys, made = self._empty(P["W"], H, T, N), self.cuda_cell
        # Where U x is, which the gates or, if there are none, the outputs then replace
        blocks = max(len(made.gates), made.blocks["U"])
        room = self._empty(P["W"], blocks * H, T, N) if made.gates or blocks > 1 else ys
        gates: Array = room if made.gates else None
        columns: Array = None if is_tokens else _time_beside_batch(x, real)
        if columns is not None:
            product(P["U"], columns.reshape(D, T * N), out=room[:GH].reshape(GH, T * N))
        before = [self._empty(P["W"], H, T, N) for _ in state]
        last = self._forward_steps(P, tokens, real, room, ys, before, state)
        saved = FusedSaved(made, P, columns, tokens, real, gates, before, last)
        return ys.swapaxes(0, 1), last, saved

    def _empty(self, W: Array, rows: int, T: int, N: int) -> Array:
        """Room for numbers of all steps, (rows, T, N), of a cell with these weights W."""
        return array_module(W).empty((rows, T, N), W.dtype)

    def _forward_steps(
        self, P: Arrays, tokens: Array | None, real: Array | None, room: Array, ys: Array,
        before: list[Array], state: State,
    ) -> State:  # fmt: skip
        """All steps: return the last state; fill `before`, `ys`, and `room` with the gates."""
        xp, (rows, _), N = array_module(ys), P["W"].shape, ys.shape[-1]
        last = tuple(part.copy() for part in state)
        w = xp.empty((rows, N), ys.dtype)
        given = {"tokens": tokens, "real": real, "gates": room, "ys": ys, "w": w, "U": P["U"]}
        given |= {"K": P["U"].shape[1], "own": self._own(P), "before": before, "state": last}
        multiply = repeated(P["W"], last[0], out=w)
        for step in self._steps("step_forward", given):
            multiply()
            step()
        return last

    def backward(
        self, saved: FusedSaved, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        P, before = saved.P, saved.before
        xp, (_, D), (H, T, N) = array_module(P["U"]), P["U"].shape, before[0].shape
        da = self._empty(P["W"], self.cuda_cell.da * H, T, N)
        dstate = tuple(xp.ascontiguousarray(part) for part in dstate)
        dstate = self._backward_steps(saved, dys, dstate, da)
        by_column, h = da.reshape(len(da), T * N), before[0].reshape(H, T * N)

        dP = {name: xp.empty_like(P[name]) for name in ("W", "U") if self.pieces[name]}
        for own, place in self.pieces["W"]:
            product(by_column[_rows(place, H)], h.T, out=dP["W"][_rows(own, H)])
        sums = by_column.sum(axis=1, keepdims=True)
        for name in self.cuda_cell.parameters:
            parts = [sums[_rows(place, H)] for _, place in self.pieces[name]]
            dP[name] = parts[0] if len(parts) == 1 else xp.concatenate(parts)
        ((_, place),) = self.pieces["U"]
        du = by_column[_rows(place, H)]
        if saved.tokens is None:
            product(du, saved.columns.reshape(D, T * N).T, out=dP["U"])
        else:
            dP["U"][...] = 0
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
        given = {"real": saved.real, "da": da, "rest": rest, "dw": dw}
        given |= self._kept(saved, dys, dstate)
        multiply = repeated(W.T, dw, out=dh)
        for step in self._steps("step_backward", given):
            step()
            multiply()
        dh += rest
        return dstate

    def _steps(self, function: str, given: dict[str, Any]) -> Iterator[Callable[[], Any]]:
        """The kernel's launch for each step in turn, with what is given for `Step`, by name."""
        before = given["before"][0]
        xp, (H, T, N) = array_module(before), before.shape
        given |= {"H": H, "T": T, "N": N}
        steps = np.repeat(filled(self.struct, given, xp), T)
        steps["t"] = np.arange(T) if function == "step_forward" else np.arange(T)[::-1]
        launch, grid = self._kernel(function, before.dtype), (max(1, -(-H * N // THREADS)),)
        for step in by_value(steps).reshape(T, 1):
            yield partial(launch, grid, (THREADS,), (step,))

    def _own(self, P: Arrays) -> list[Array]:
        """The parameters of units."""
        return [P[name] for name in self.cuda_cell.parameters]

    def _kept(self, saved: FusedSaved, dys: Array | None, dstate: State) -> dict[str, Any]:
        """What kernels going back are given of the way there, and of the gradients, by name."""
        t, unit, sequence = (0, 0, 0) if dys is None else strides(dys)
        given = {"gates": saved.gates, "own": self._own(saved.P), "d": dstate}
        given |= {"before": saved.before, "state": saved.last}
        return given | {"dys": dys, "dys_strides": (unit, t, sequence)}


def _rows(blocks: slice, H: int) -> slice:
    """Of blocks of H rows."""
    return slice(blocks.start * H, blocks.stop * H)


def _time_beside_batch(x: Array, real: Array | None) -> Array:
    """A copy of x (T, D, N) as (D, T, N); zero where `real` is false, as padding may be NaN."""
    rows = x.swapaxes(0, 1)
    if real is None:
        return rows.copy()
    columns = array_module(x).zeros(rows.shape, x.dtype)
    array_module(x).copyto(columns, rows, where=real)
    return columns


def strides(array: Array) -> list[int]:
    """How far it is along each axis from number to number, as kernels take it."""
    return [stride // array.itemsize for stride in array.strides]
