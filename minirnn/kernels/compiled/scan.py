"""The scan in compiled code: needs Numba, the extra ``minirnn[numba]``.

What a step computes is read off the cell's class (``pointwise.py``, ``cells.py``), the loop over
time stands in ``loops.py``, and the products in ``products.py``. While one of them runs,
other threads of Python may run too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...backend import Array, State
from ...cells import Arrays, Cell
from ...scan import Scan
from ...tokens import OneHotColumns
from ..pointwise import Step
from ..pool import parallel, shares
from . import loops, one_step
from .blocks import from_line
from .cells import CompiledCell, compiled_cell
from .compile import compile_for
from .plan import Plan, memory_in, plan_for
from .products import LANES

NO_TOKENS, NO_PADDING = np.empty((0, 0), np.intp), np.empty((0, 0), bool)
LEAST_COLUMNS = 8  # for each thread
LEAST_PRODUCTS = 1 << 19  # of W h, for each thread; fewer are not worth the handing over


class Part(NamedTuple):
    """The sequences that one thread computes."""

    own: slice  # of the batch
    plan: Plan
    tokens: Array  # (T, N), or empty
    padding: Array  # (T, N), true where a sequence has no such step; or empty
    kept: Array  # `Memory`


class NumbaSaved(NamedTuple):
    """The record of one scan."""

    cell: CompiledCell
    P: tuple[Array, ...]  # `CompiledCell.arrays`
    parts: list[Part]

    def trace(self, name: str) -> Array:
        """A gate or state over time, (T, H, N)."""
        kind, *key = self.cell.step.seen.get(name, ("new", name))
        found = []
        for _, plan, tokens, padding, kept in self.parts:
            m = memory_in.py_func(kept, plan, tokens, padding)
            if kind == "gate":
                shape = (plan.T, plan.h_blocks, plan.width, plan.N, LANES)
                blocks = m.gates.reshape(shape)[:, :, self.cell.gates.index((kind, *key))]
            else:
                shape = (plan.states, plan.T + 1, plan.h_blocks, plan.N, LANES)
                steps = slice(1, None) if kind == "new" else slice(None, -1)
                blocks = m.states.reshape(shape)[self.cell.states.index(*key), steps]
            found.append(_columns(blocks, plan.H))
        return np.concatenate(found, axis=-1)


def _columns(blocks: Array, H: int) -> Array:
    """(steps, blocks, N, 16) as (steps, H, N)."""
    steps, count, N, _ = blocks.shape
    return blocks.swapaxes(2, 3).reshape(steps, count * LANES, N)[:, :H]


def _whole(parts: State) -> Array:
    """Parts of a state (H, N) as one array (states, H, N); a single one is not copied."""
    if len(parts) == 1:
        return parts[0][None]
    whole = np.empty((len(parts), *parts[0].shape), parts[0].dtype)
    for k, part in enumerate(parts):
        whole[k] = part
    return whole


class NumbaScan(Scan):
    """The scan of `Scan` for a cell that can be printed, in float32 and float64, on several threads.

    Args:
        step: what the cell computes.
        other: the scan for complex numbers, which `minirnn.gradcheck` computes with.
    """

    name = "numba"
    leaves_threads = True

    def __init__(self, step: Step, other: Scan) -> None:
        self.cell = compiled_cell(step)
        self.text = self.cell.source
        self.other = other

    def split(self, x: Array, W: Array) -> list[slice]:
        """See `Scan.split`."""
        least = -(-LEAST_PRODUCTS // max(1, len(x) * W.size))
        return shares(x, x.shape[-1], max(LEAST_COLUMNS, least))

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, Any]:
        """See `Scan.forward`."""
        dtype, D, (H, N), T = P["U"].dtype, P["U"].shape[1], state[0].shape, len(x)
        if dtype.kind == "c":
            return self.other.forward(cell, P, x, state, real)
        compile_for(dtype)
        arrays = self.cell.arrays(P)
        columns = self.split(x, arrays[1])
        sizes = T, H, D, x.ndim == 2
        plans = [
            plan_for(self.cell, dtype.itemsize, own.stop - own.start, *sizes) for own in columns
        ]
        parts = self._parts(columns, plans, x, real, dtype)
        ys, final = np.empty((T, H, N), dtype), np.empty((len(state), H, N), dtype)
        begin = _whole(state)

        def scan(part: Part) -> None:
            own, plan = part.own, part.plan
            given = np.empty((0, 0, 0), dtype) if x.ndim == 2 else x[..., own]
            # Not within the compiled loop: NumPy asks the system for large pages, and Numba does not
            room = np.empty(plan.U_size + plan.W_size + plan.letters_size + LANES, dtype)
            memory = part.tokens, part.padding, part.kept, room
            loops.forward(
                plan, given, arrays, begin[..., own], *memory, ys[..., own], final[..., own]
            )

        parallel(scan, parts)
        if real is not None:
            np.copyto(ys, 0, where=~real[:, None])
        return ys, tuple(final), NumbaSaved(self.cell, arrays, parts)

    def backward(
        self, saved: Any, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        if not isinstance(saved, NumbaSaved):
            return self.other.backward(saved, dys, dstate, want_dx)
        P, plan = saved.P, saved.parts[0].plan
        dtype, (H, N) = P[0].dtype, dstate[0].shape
        initial, end = np.empty((len(dstate), H, N), dtype), _whole(dstate)
        has_dx = want_dx and plan.x_blocks > 0
        dx = np.empty((plan.T if has_dx else 0, plan.D, N), dtype)
        if dys is None:
            dys = np.empty((0, H, N), dtype)

        shapes = P[0].shape, P[1].shape, (sum(self.cell.names.values()) * H, 1)

        def scan(part: Part) -> tuple[Array, ...]:
            own, plan, dP = part.own, part.plan, tuple([np.empty(shape, dtype) for shape in shapes])
            dy = dys[..., own]
            if len(part.padding) and len(dy):
                dy = np.where(part.padding[:, None], 0, dy)
            size = 2 * (plan.U_size + plan.W_size) + plan.letters_size + plan.da_size + plan.dx_size
            room = np.empty(size + LANES, dtype)
            memory = part.tokens, part.padding, part.kept, room
            given = dy, end[..., own], initial[..., own], dx[..., own]
            loops.backward(plan, P, *memory, *given, dP)
            return dP

        totals, *others = parallel(scan, saved.parts)
        for dP in others:  # one after the other, so that the sum is the same every time
            for total, part in zip(totals, dP, strict=True):
                total += part
        return dx if has_dx else None, tuple(initial), self.cell.gradients(*totals)

    def _parts(
        self, columns: list[slice], plans: list[Plan], x: Array, real: Array | None, dtype: Any
    ) -> list[Part]:
        """Room for all that is kept: one block of memory, since pieces would be given back sooner."""
        sizes = [p.x_size + p.gates_size + p.states * p.state_size for p in plans]
        room = from_line.py_func(np.empty(sum(sizes) + LANES, dtype))
        found, stop = [], 0
        for own, plan, size in zip(columns, plans, sizes, strict=True):
            start, stop = stop, stop + size
            tokens = NO_TOKENS if x.ndim == 3 else np.array(x[:, own], np.intp, order="C")
            padding = NO_PADDING if real is None else np.logical_not(real[:, own], order="C")
            found.append(Part(own, plan, tokens, padding, room[start:stop]))
        return found

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """See `Scan.step`."""
        return self.other.step(cell, P, x, state)

    def step_all(self, cell: Cell, layers: list[Arrays], x: Any, state: State) -> State | None:
        """See `Scan.step_all`: of one sequence, and of real numbers."""
        dtype, shape = state[0].dtype, (len(state), *state[0].shape)
        if shape[-1] != 1 or dtype.kind == "c":
            return None
        token, column, own = -1, x, self.cell
        if isinstance(x, OneHotColumns):
            token, column = int(x.tokens[0]), state[0][0]  # which is not read
        told = own.addresses(dtype.itemsize)[0], own.width, own.blocks, own.letters
        column, h = np.ascontiguousarray(column), np.ascontiguousarray(state[0])
        others = np.ascontiguousarray(_whole(state[1:] or state))  # (without h: not to copy one)
        new = np.empty(shape, dtype)
        for k, P in enumerate(layers):
            arguments = *told, own.arrays(P), k, token, column, h, others, new
            try:
                one_step.step(*arguments)
            except TypeError:
                # others are in the parameters' place, of a dtype that is not compiled yet
                compile_for(dtype)
                one_step.step(*arguments)
        return tuple([new[k] for k in range(len(state))])  # (sooner made than tuple(new))
