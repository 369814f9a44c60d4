"""The scan in compiled code: needs Numba, the extra ``minirnn[numba]``.

What a step computes stands in ``numba_steps.py``, the loop over time in ``numba_loops.py``, and the
products in ``numba_products.py``. While one of them runs, other threads of Python may run too.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numba import types

from ..backend import Array, State
from ..cells import Arrays, Cell, GRUCell, LSTMCell, RNNCell
from ..pool import parallel, shares
from ..scan import Scan
from . import numba_loops as loops
from .memory import one_block
from .numba_cache import forget_if_older
from .numba_loops import Memory, Plan, Work
from .numba_products import LANES, blocks_at_once

BACKWARD_COLUMNS = 512  # whose gradients are multiplied at a time
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


class Part(NamedTuple):
    """The sequences that one thread computes."""

    own: slice  # of the batch
    plan: Plan
    memory: Memory


class NumbaSaved(NamedTuple):
    """The record of one scan."""

    cell: Cell
    P: tuple[Array, ...]
    parts: list[Part]

    def trace(self, name: str) -> Array:
        """A gate or state over time, (T, H, N)."""
        found = []
        for _, plan, m in self.parts:
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
        self.layout = LAYOUTS[type(cell)]
        self.is_relu = isinstance(cell, RNNCell | LSTMCell) and cell.act.name == "relu"
        self.other = other

    def split(self, x: Array, W: Array) -> list[slice]:
        """The sequences for each thread."""
        least = -(-LEAST_PRODUCTS // max(1, len(x) * W.size))
        return shares(x, x.shape[-1], max(LEAST_COLUMNS, least))

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, mask: Array | None
    ) -> tuple[Array, State, Any]:
        """See `Scan.forward`."""
        dtype, U = P["U"].dtype, P["U"]
        if dtype.kind == "c":
            return self.other.forward(cell, P, x, state, mask)
        _compile(dtype)
        (H, N), T = state[0].shape, len(x)
        arrays = tuple(P.get(name, P["b"]) for name in ("U", "W", "b", "bw"))
        columns = self.split(x, P["W"])
        plans = [
            self._plan(T, own.stop - own.start, H, U.shape[1], x.ndim == 2, dtype)
            for own in columns
        ]
        memories = self._memories(plans, columns, x, mask, dtype)
        parts = [Part(*part) for part in zip(columns, plans, memories, strict=True)]
        ys = np.empty((T, H, N), dtype)
        final = np.empty((H, N), dtype), np.empty((H, N), dtype)

        def scan(part: Part) -> None:
            own, work = part.own, _work(part.plan, dtype, 0, 0)
            given = np.empty((0, 0, 0), dtype) if x.ndim == 2 else x[..., own]
            begin = state[0][:, own], state[-1][:, own]
            end = final[0][:, own], final[1][:, own]
            loops.forward(part.plan, given, arrays, begin, part.memory, work, ys[..., own], end)

        parallel(scan, parts)
        if mask is not None:
            np.copyto(ys, 0, where=~mask[:, None])
        return ys, final[: len(state)], NumbaSaved(cell, arrays, parts)

    def backward(
        self, saved: Any, dys: Array | None, dstate: State
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        if not isinstance(saved, NumbaSaved):
            return self.other.backward(saved, dys, dstate)
        P, plan = saved.P, saved.parts[0].plan
        dtype, (H, N) = P[0].dtype, dstate[0].shape
        initial = tuple(np.empty((H, N), dtype) for _ in range(2))
        dx = np.empty((plan.T if plan.x_blocks else 0, plan.D, N), dtype)
        if dys is None:
            dys = np.empty((0, H, N), dtype)

        def scan(part: Part) -> tuple[Array, ...]:
            own, m, dP = part.own, part.memory, tuple([np.empty(p.shape, dtype) for p in P])
            dy, end = dys[..., own], (dstate[0][:, own], dstate[-1][:, own])
            if len(m.standing) and len(dy):
                dy = np.where(m.standing[:, None], 0, dy)
            begin = tuple([part[:, own] for part in initial])
            work = _work(part.plan, dtype, 1, part.plan.steps)
            loops.backward(part.plan, P, m, work, dy, end, begin, dx[..., own], dP)
            return dP

        totals, *others = parallel(scan, saved.parts)
        names = ("U", "W", "b", "bw") if plan.cell == loops.GRU else ("U", "W", "b")
        gradients = dict(zip(names, totals, strict=False))
        for dP in others:  # one after the other, so that the sum is the same every time
            for name, part in zip(names, dP, strict=False):
                gradients[name] += part
        return dx if plan.x_blocks else None, initial[: len(dstate)], gradients

    def _plan(self, T: int, N: int, H: int, D: int, is_tokens: bool, dtype: Any) -> Plan:
        cell = self.layout
        return Plan(
            cell.cell,
            self.is_relu,
            blocks_at_once(dtype.itemsize),
            *(T, N, H, D),
            h_blocks=-(-H // LANES),
            x_blocks=0 if is_tokens else -(-D // LANES),
            x_width=D if is_tokens else -(-D // LANES) * LANES,
            blocks=max(1, len(cell.names)),
            u_first=cell.u_first,
            u_gates=cell.u_gates,
            w_first=cell.w_first,
            w_gates=cell.w_gates,
            steps=max(1, min(T, BACKWARD_COLUMNS // max(1, N))),
        )

    def _memories(
        self, plans: list[Plan], columns: list[slice], x: Array, mask: Array | None, dtype: Any
    ) -> list[Memory]:
        """Room for all that is saved, in one block of memory (see ``memory.py``)."""
        sizes = []
        for plan in plans:
            step, states = plan.N * LANES, 2 if plan.cell == loops.LSTM else 1
            kept = plan.blocks if plan.cell != loops.RNN else 0
            sizes.append((plan.x_blocks * plan.T * step,))
            sizes.append((plan.h_blocks * kept * plan.T * step,))
            sizes += [(plan.h_blocks * (plan.T + 1) * step * (k < states),) for k in range(2)]
        rooms, found = iter(one_block(dtype, sizes)), []
        for plan, own in zip(plans, columns, strict=True):
            X, gates, h, c = (next(rooms) for _ in range(4))
            nothing, step = np.empty((0, plan.N)), plan.N * LANES
            place = (gates, 0, plan.h_blocks * plan.blocks * step)
            if plan.cell == loops.RNN:  # what is squashed to h is where h will be
                place = (h, plan.h_blocks * step, plan.h_blocks * step)
            tokens = nothing if x.ndim == 3 else x[:, own]
            standing = nothing if mask is None else ~mask[:, own]
            copies = np.array(tokens, np.intp, order="C"), np.array(standing, bool, order="C")
            found.append(Memory(X, *copies, *place, h, c))
        return found


def _work(plan: Plan, dtype: Any, sums: int, steps: int) -> Work:
    """Room for the arrays of `Work`: `sums` is 1 for backward, with so many steps of gradients.

    From NumPy, which asks the system for large pages, where Numba does not: without them a backward pass
    of an LSTM with H=1024 takes a fifth longer.
    """
    step, height = plan.N * LANES, plan.h_blocks * LANES
    U, W = len(plan.u_gates) * height * plan.x_width, len(plan.w_gates) * height * height
    da = steps * (plan.blocks * plan.h_blocks + 1) * step
    sizes = (U, W, sums * U, sums * W, da, steps * plan.x_blocks * step)
    return Work(*one_block(dtype, [(size,) for size in sizes]))


_compiled: set[np.dtype[Any]] = set()
_compiling = Lock()


def _compile(dtype: Any) -> None:
    """Compile the loops for `dtype`, or load what was compiled earlier on this machine.

    For one kind of arguments only, with arrays of any strides; Numba would compile them again for each
    combination of contiguous and other arrays that it is called with.
    """
    if dtype in _compiled:
        return
    with _compiling:
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
    fields = {
        "tokens": types.Array(whole, 2, "C"),
        "standing": types.Array(types.boolean, 2, "C"),
        "gates_start": whole,
        "gates_step": whole,
    }
    memory = types.NamedTuple([fields.get(name, flat) for name in Memory._fields], Memory)
    work = types.NamedUniTuple(flat, len(Work._fields), Work)
    P, state = types.UniTuple(given, 4), types.UniTuple(given, 2)
    dP, filled = types.UniTuple(columns, 4), types.UniTuple(columns, 2)
    forward = (plan, given_sequence, P, state, memory, work, sequence, filled)
    backward = (plan, P, memory, work, given_sequence, state, filled, sequence, dP)
    forget_if_older(loops.forward, loops.backward)
    for function, signature in ((loops.forward, forward), (loops.backward, backward)):
        function.disable_compile(False)
        function.compile(signature)
        function.disable_compile(True)
