"""The loop over time: the specification.

A *scan* is one layer in one direction. Forward it takes the input, the parameters and the initial
state to the outputs and the final state; backward it is the transpose of that. This one runs any
cell's equations as they stand, step by step, on any array module. The kernels in ``kernels/`` do the
same faster, and are held to this one by the tests.

Sequences of unequal length are told apart by `real` (T, N), true where a step exists. Where it does
not, the state stands still, the output is zero, and the input is never read.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from .backend import Array, State, array_module
from .cells import Arrays, Cell
from .tokens import OneHotColumns


class Saved(Protocol):
    """What one scan's backward pass needs, with the gates and states to be looked at by name."""

    def trace(self, name: str) -> Array:
        """A gate or state over time, (T, H, N); a state at t is the one after step t."""


class Scan(Protocol):
    """The whole contract between a cell and whatever runs it. Time runs along axis 0.

    A scan of one's own derives from this, and has `name`, `forward` and `backward`.
    """

    name: str
    leaves_threads: bool = False  # whether other threads of Python run while it does
    text: str = ""  # what was printed from the cell's class to run it

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, Any]:
        """Take x (T, D, N) or tokens (T, N) -> outputs (T, H, N), the final state, what to save."""

    def backward(
        self, saved: Any, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """Gradients of the outputs and the final state -> dx, the initial state's, the parameters'.

        dx is None for tokens, and where it is not wanted. The initial state's may be made in `dstate`.
        """

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """One step by itself, for sampling: x (D, N) or tokens as `OneHotColumns` -> the new state."""
        return cell.forward(P, x, state)[0]

    def step_all(self, cell: Cell, layers: list[Arrays], x: Any, state: State) -> State | None:
        """The same for all layers at once, with states (layers, H, N); None if it cannot."""
        return None

    def split(self, x: Array, W: Array) -> list[slice]:
        """The sequences of the batch that each thread takes."""
        return [slice(0, x.shape[-1])]

    def plan(self, x: Array, W: Array) -> str:
        """How the work is divided over the multiprocessors of a device, in words, if it is."""
        return ""


class Step(NamedTuple):
    """What one step took and gave, also for sequences that have no such step."""

    x: Array
    state: State
    new: State
    gates: Arrays


class GenericSaved(NamedTuple):
    """The record of a generic scan: every step, as it was."""

    cell: Cell
    P: Arrays
    steps: list[Step]
    final: State
    real: Array | None
    tokens: bool
    shape: tuple[int, ...]  # of x

    def trace(self, name: str) -> Array:
        """See `Saved.trace`."""
        states = self.cell.states
        h = self.final[0]
        out = array_module(h).empty((self.shape[0], *h.shape), h.dtype)
        after = [*(step.state for step in self.steps), self.final][1:]
        for step, state, out_t in zip(self.steps, after, out, strict=True):
            out_t[...] = state[states.index(name)] if name in states else step.gates[name]
        return out


class GenericScan(Scan):
    """Runs the equations of ``cells.py`` as they stand."""

    name = "generic"

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, GenericSaved]:
        """See `Scan.forward`."""
        xp = array_module(P["U"])
        tokens = x.ndim == 2
        T, N = x.shape[0], x.shape[-1]
        x, state = x.copy(), tuple(part.copy() for part in state)  # theirs may be reused
        if real is not None and not tokens:
            x = xp.where(real[:, None], x, 0)  # padding may hold anything, even NaN
        ys = xp.zeros((T, state[0].shape[0], N), state[0].dtype)
        steps = []
        for t in range(T):
            x_t = OneHotColumns(x[t], P["U"].shape[1]) if tokens else x[t]
            new, gates = cell.forward(P, x_t, state)
            steps.append(Step(x_t, state, new, gates))
            ys[t] = new[0] if real is None else xp.where(real[t], new[0], 0)
            if real is not None:
                pairs = zip(new, state, strict=True)
                new = tuple(xp.where(real[t], s_new, s) for s_new, s in pairs)
            state = new
        return ys, state, GenericSaved(cell, P, steps, state, real, tokens, x.shape)

    def backward(
        self, saved: GenericSaved, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        cell, P, real = saved.cell, saved.P, saved.real
        xp = array_module(P["U"])
        dx = xp.zeros(saved.shape, P["U"].dtype) if want_dx and not saved.tokens else None
        dP = {name: xp.zeros_like(value) for name, value in P.items()}
        for t in reversed(range(len(saved.steps))):
            step = saved.steps[t]
            held = tuple(0 for _ in dstate)
            if dys is not None:
                dy = dys[t] if real is None else xp.where(real[t], dys[t], 0)
                dstate = (dstate[0] + dy, *dstate[1:])
            if real is not None:  # where the state stood still, its gradient passes through
                held = tuple(xp.where(real[t], 0, d) for d in dstate)
                dstate = tuple(xp.where(real[t], d, 0) for d in dstate)
            dx_t, dstate, dP_t = cell.backward(P, step.x, step.state, step.new, step.gates, dstate)
            dstate = tuple(d + d_held for d, d_held in zip(dstate, held, strict=True))
            if dx is not None:
                dx[t] = dx_t
            for name, gradient in dP_t.items():
                dP[name] += gradient
        return dx, dstate, dP
