"""The scan in compiled code: needs Numba, the extra ``minirnn[numba]``.

What a step computes stands in ``numba_steps.py``, the loop over time in ``numba_loops.py``, and the
products in ``numba_products.py``. While one of them runs, other threads of Python may run too.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from ..backend import Array, State
from ..cells import Arrays, Cell, GRUCell, LSTMCell, RNNCell
from ..pool import parallel, shares
from ..scan import Scan
from . import numba_loops as loops
from .numba_blocks import from_line
from .numba_cache import forget_if_older
from .numba_loops import Plan
from .numba_products import LANES, blocks_at_once

BACKWARD_COLUMNS = 512  # whose gradients are multiplied at a time
NO_TOKENS, NO_STANDING = np.empty((0, 0), np.intp), np.empty((0, 0), bool)
LEAST_COLUMNS = 8  # for each thread
LEAST_PRODUCTS = 1 << 19  # of W h, for each thread; fewer are not worth the handing over


class Layout(NamedTuple):
    """Which blocks of pre-activations a cell has for each 16 units; see `Plan`."""

    cell: int
    names: str  # of the gates that are kept, in the order of their blocks
    u_first: int
    u_gates: Array
    w_first: int
    w_gates: Array


LAYOUTS = {
    RNNCell: Layout(loops.RNN, "", 0, np.arange(1), 0, np.arange(1)),
    LSTMCell: Layout(loops.LSTM, "ifog", 0, np.arange(4), 0, np.arange(4)),
    # U x goes to n, r, z, and W h to r, z, m
    GRUCell: Layout(loops.GRU, "nrzm", 0, np.array([2, 0, 1]), 1, np.arange(3)),
}


def is_relu(cell: Cell) -> bool:
    """Whether relu stands in the place of the cell's tanh."""
    return isinstance(cell, RNNCell | LSTMCell) and cell.act.name == "relu"


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
            m = loops.memory_in.py_func(kept, plan, tokens, standing)
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


class NumbaScan:
    """The scan of `Scan` for RNN, LSTM and GRU in float32 and float64, on the threads of ``pool.py``.

    Args:
        cell: one of those.
        other: the scan for complex numbers, which `minirnn.gradcheck` computes with.
    """

    name = "numba"

    def __init__(self, cell: Cell, other: Scan) -> None:
        self.is_relu = is_relu(cell)
        self.other = other

    def split(self, x: Array, W: Array) -> list[slice]:
        """The sequences for each thread."""
        least = -(-LEAST_PRODUCTS // max(1, len(x) * W.size))
        return shares(x, x.shape[-1], max(LEAST_COLUMNS, least))

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, mask: Array | None
    ) -> tuple[Array, State, Any]:
        """See `Scan.forward`."""
        dtype, D = P["U"].dtype, P["U"].shape[1]
        if dtype.kind == "c":
            return self.other.forward(cell, P, x, state, mask)
        _compile(dtype)
        (H, N), T = state[0].shape, len(x)
        arrays = tuple(P.get(name, P["b"]) for name in ("U", "W", "b", "bw"))
        columns = self.split(x, P["W"])
        kind = type(cell), self.is_relu, dtype.itemsize
        plans = [_plan(*kind, T, own.stop - own.start, H, D, x.ndim == 2) for own in columns]
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
        names = ("U", "W", "b", "bw") if plan.cell == loops.GRU else ("U", "W", "b")
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


@lru_cache  # the constants of this module are taken as they were at the first call
def _plan(
    cell: type[Cell], is_relu: bool, itemsize: int, T: int, N: int, H: int, D: int, is_tokens: bool
) -> Plan:
    layout = LAYOUTS[cell]
    h_blocks, x_blocks = -(-H // LANES), 0 if is_tokens else -(-D // LANES)
    steps = max(1, min(T, BACKWARD_COLUMNS // max(1, N)))
    x_width, blocks = D if is_tokens else x_blocks * LANES, max(1, len(layout.names))
    step, height = N * LANES, h_blocks * LANES
    return Plan(
        *(layout.cell, is_relu, blocks_at_once(itemsize), T, N, H, D),
        h_blocks=h_blocks,
        x_blocks=x_blocks,
        x_width=x_width,
        blocks=blocks,
        u_first=layout.u_first,
        u_gates=layout.u_gates,
        w_first=layout.w_first,
        w_gates=layout.w_gates,
        steps=steps,
        x_size=T * x_blocks * step,
        gates_size=T * h_blocks * len(layout.names) * step,
        h_size=(T + 1) * h_blocks * step,
        c_size=(T + 1) * h_blocks * step if layout.cell == loops.LSTM else 0,
        U_size=len(layout.u_gates) * height * x_width,
        W_size=len(layout.w_gates) * height * height,
        da_size=steps * (blocks * h_blocks + 1) * step,  # for the one block more, see `backward`
        dx_size=steps * x_blocks * step,
    )


_compiled: set[np.dtype[Any]] = set()

# A process that is forked while another thread compiles would wait for that thread, which it has not
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def _compile(dtype: Any) -> None:
    """Compile the loops for `dtype`, or load what was compiled earlier on this machine.

    For one kind of arguments only, with arrays of any strides; Numba would compile them again for each
    combination of contiguous and other arrays that it is called with.
    """
    if dtype in _compiled:
        return
    with global_compiler_lock:
        if dtype not in _compiled:
            _compile_for(types.float32 if dtype.itemsize == 4 else types.float64)
            _compiled.add(dtype)


def _compile_for(number: Any) -> None:
    whole = types.intp
    flat, integers = types.Array(number, 1, "C"), types.Array(whole, 1, "C")
    columns = types.Array(number, 2, "A")
    given = types.Array(number, 2, "A", readonly=True)
    sequence = types.Array(number, 3, "A")
    given_sequence = types.Array(number, 3, "A", readonly=True)
    fields = {"is_relu": types.boolean, "u_gates": integers, "w_gates": integers}
    plan = types.NamedTuple([fields.get(name, whole) for name in Plan._fields], Plan)
    tokens, standing = types.Array(whole, 2, "C"), types.Array(types.boolean, 2, "C")
    memory = (tokens, standing, flat, flat)
    P, state = types.UniTuple(given, 4), types.UniTuple(given, 2)
    dP, filled = types.UniTuple(columns, 4), types.UniTuple(columns, 2)
    forward = (plan, given_sequence, P, state, *memory, sequence, filled)
    backward = (plan, P, *memory, given_sequence, state, filled, sequence, dP)
    forget_if_older(loops.forward, loops.backward)
    for function, signature in ((loops.forward, forward), (loops.backward, backward)):
        function.disable_compile(False)
        function.compile(signature)
        function.disable_compile(True)
