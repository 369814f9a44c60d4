"""The scan in compiled code: needs Numba, the extra ``minirnn[numba]``.

What a step computes stands in ``steps.py``, the loop over time in ``loops.py``, and the
products in ``products.py``. While one of them runs, other threads of Python may run too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...backend import Array, State
from ...cells import Arrays, Cell
from ...scan import Scan
from ...tokens import OneHotColumns
from ..pool import parallel, shares
from . import loops
from . import one_step as numba_one_step
from .blocks import from_line
from .compile import compile_for
from .plan import GRU, LAYOUTS, Plan, is_relu, memory_in, plan_for
from .products import LANES

NO_TOKENS, NO_STANDING = np.empty((0, 0), np.intp), np.empty((0, 0), bool)
LEAST_COLUMNS = 8  # for each thread
LEAST_PRODUCTS = 1 << 19  # of W h, for each thread; fewer are not worth the handing over


class Part(NamedTuple):
    """The sequences that one thread computes."""

    own: slice  # of the batch
    plan: Plan
    tokens: Array  # (T, N), or empty
    standing: Array  # (T, N), true where a sequence has no such step; or empty
    kept: Array  # `Memory`


class NumbaSaved(NamedTuple):
    """The record of one scan."""

    cell: Cell
    P: tuple[Array, ...]
    parts: list[Part]

    def trace(self, name: str) -> Array:
        """A gate or state over time, (T, H, N)."""
        found = []
        for _, plan, tokens, standing, kept in self.parts:
            m = memory_in.py_func(kept, plan, tokens, standing)
            if name in self.cell.states:
                room = m.h if name == "h" else m.c
                blocks = room.reshape(plan.T + 1, plan.h_blocks, plan.N, LANES)[1:]
            else:
                shape = (plan.T, plan.h_blocks, plan.blocks, plan.N, LANES)
                place = LAYOUTS[type(self.cell)].names.index(name)
                blocks = m.gates.reshape(shape)[:, :, place]
            found.append(_columns(blocks, plan.H))
        return np.concatenate(found, axis=-1)


def _columns(blocks: Array, H: int) -> Array:
    """(steps, blocks, N, 16) as (steps, H, N)."""
    steps, count, N, _ = blocks.shape
    return blocks.swapaxes(2, 3).reshape(steps, count * LANES, N)[:, :H]


class NumbaScan(Scan):
    """The scan of `Scan` for RNN, LSTM and GRU in float32 and float64, on the threads of ``pool.py``.

    Args:
        cell: one of those.
        other: the scan for complex numbers, which `minirnn.gradcheck` computes with.
    """

    name = "numba"
    leaves_threads = True

    def __init__(self, cell: Cell, other: Scan) -> None:
        self.is_relu = is_relu(cell)
        self.other = other

    def split(self, x: Array, W: Array) -> list[slice]:
        """See `Scan.split`."""
        least = -(-LEAST_PRODUCTS // max(1, len(x) * W.size))
        return shares(x, x.shape[-1], max(LEAST_COLUMNS, least))

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, mask: Array | None
    ) -> tuple[Array, State, Any]:
        """See `Scan.forward`."""
        dtype, D = P["U"].dtype, P["U"].shape[1]
        if dtype.kind == "c":
            return self.other.forward(cell, P, x, state, mask)
        compile_for(dtype)
        (H, N), T = state[0].shape, len(x)
        arrays = tuple(P.get(name, P["b"]) for name in ("U", "W", "b", "bw"))
        columns = self.split(x, P["W"])
        kind = type(cell), self.is_relu, dtype.itemsize
        plans = [plan_for(*kind, T, own.stop - own.start, H, D, x.ndim == 2) for own in columns]
        parts = self._parts(columns, plans, x, mask, dtype)
        ys = np.empty((T, H, N), dtype)
        final = np.empty((H, N), dtype), np.empty((H, N), dtype)

        def scan(part: Part) -> None:
            own, plan = part.own, part.plan
            given = np.empty((0, 0, 0), dtype) if x.ndim == 2 else x[..., own]
            begin = state[0][:, own], state[-1][:, own]
            end = final[0][:, own], final[1][:, own]
            # Not within the compiled loop: NumPy asks the system for large pages, and Numba does not
            room = np.empty(plan.U_size + plan.W_size + LANES, dtype)
            memory = part.tokens, part.standing, part.kept, room
            loops.forward(plan, given, arrays, begin, *memory, ys[..., own], end)

        parallel(scan, parts)
        if mask is not None:
            np.copyto(ys, 0, where=~mask[:, None])
        return ys, final[: len(state)], NumbaSaved(cell, arrays, parts)

    def backward(
        self, saved: Any, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        if not isinstance(saved, NumbaSaved):
            return self.other.backward(saved, dys, dstate, want_dx)
        P, plan = saved.P, saved.parts[0].plan
        dtype, (H, N) = P[0].dtype, dstate[0].shape
        initial = tuple(np.empty((H, N), dtype) for _ in range(2))
        has_dx = want_dx and plan.x_blocks > 0
        dx = np.empty((plan.T if has_dx else 0, plan.D, N), dtype)
        if dys is None:
            dys = np.empty((0, H, N), dtype)

        def scan(part: Part) -> tuple[Array, ...]:
            own, dP = part.own, tuple([np.empty(p.shape, dtype) for p in P])
            dy, end = dys[..., own], (dstate[0][:, own], dstate[-1][:, own])
            if len(part.standing) and len(dy):
                dy = np.where(part.standing[:, None], 0, dy)
            begin = tuple([part[:, own] for part in initial])
            size = 2 * (plan.U_size + plan.W_size) + part.plan.da_size + part.plan.dx_size
            room = np.empty(size + LANES, dtype)
            memory = part.tokens, part.standing, part.kept, room
            loops.backward(part.plan, P, *memory, dy, end, begin, dx[..., own], dP)
            return dP

        totals, *others = parallel(scan, saved.parts)
        names = ("U", "W", "b", "bw") if plan.cell == GRU else ("U", "W", "b")
        gradients = dict(zip(names, totals, strict=False))
        for dP in others:  # one after the other, so that the sum is the same every time
            for name, part in zip(names, dP, strict=False):
                gradients[name] += part
        return dx if has_dx else None, initial[: len(dstate)], gradients

    def _parts(
        self, columns: list[slice], plans: list[Plan], x: Array, mask: Array | None, dtype: Any
    ) -> list[Part]:
        """Room for all that is kept: one block of memory, since pieces would be given back sooner."""
        sizes = [plan.x_size + plan.gates_size + plan.h_size + plan.c_size for plan in plans]
        room = from_line.py_func(np.empty(sum(sizes) + LANES, dtype))
        found, stop = [], 0
        for own, plan, size in zip(columns, plans, sizes, strict=True):
            start, stop = stop, stop + size
            tokens = NO_TOKENS if x.ndim == 3 else np.array(x[:, own], np.intp, order="C")
            standing = NO_STANDING if mask is None else np.logical_not(mask[:, own], order="C")
            found.append(Part(own, plan, tokens, standing, room[start:stop]))
        return found

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """See `Scan.step`."""
        return self.other.step(cell, P, x, state)

    def step_all(self, cell: Cell, layers: list[Arrays], x: Any, state: State) -> State | None:
        """See `Scan.step_all`: of one sequence, and of real numbers."""
        dtype = state[0].dtype
        if state[0].shape[2] != 1 or dtype.kind == "c":
            return None
        kind = LAYOUTS[type(cell)].cell, is_relu(cell)
        token, column = -1, x
        if isinstance(x, OneHotColumns):
            token, column = int(x.tokens[0]), state[0][0]  # which is not read
        old = [np.ascontiguousarray(part) for part in (column, state[0], state[-1])]
        new = tuple([np.empty(part.shape, part.dtype) for part in state])
        for k, P in enumerate(layers):
            arguments = *kind, (P["U"], P["W"], P["b"], P.get("bw", P["b"])), k, token
            try:
                numba_one_step.step(*arguments, *old, new[0], new[-1])
            except (
                TypeError
            ):  # others are in the parameters' place, of a dtype that is not compiled yet
                compile_for(dtype)
                numba_one_step.step(*arguments, *old, new[0], new[-1])
        return new
