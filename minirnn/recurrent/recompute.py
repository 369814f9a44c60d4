"""Long sequences in little memory: gates are computed again instead of being kept.

Back-propagation through time needs the gates of every step, so that what forward keeps grows with T.
`RecomputedScan` cuts the sequence into segments of k steps, and of each keeps only the state that it
starts from. Backward takes the segments from the last to the first: it runs the scan over the segment
once more, goes back through it, and forgets it. At any time there are T/k states and the gates of k
steps in memory (of 2 k, if a second thread computes the next ones meanwhile), which is least for k near
√T; the price is a second pass forward. (Chen et al. 2016, "Training deep nets with sublinear memory
cost", arXiv:1604.06174.)

This knows no cell and no kernel: a scan of a sequence is the scans of its segments, with the state
handed on, its gradient handed back, and the weight gradients added up.

What is still as long as the sequence: x (by reference, unless it is tokens), the outputs of each layer,
which the next one reads again, and the masks of dropout between layers.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

from .. import checks
from ..backend import Array, State, array_module
from ..cells import Arrays, Cell
from ..kernels.pool import ahead
from ..scan import Scan


class RecomputedSaved(NamedTuple):
    """What is needed to run each segment again: arguments by reference, and the states in between."""

    scan: Scan  # of a segment
    cell: Cell
    P: Arrays
    x: Array
    real: Array | None
    segments: list[tuple[slice, State]]  # the steps of each, and the state it starts from

    def again(self, k: int) -> Any:
        """What the scan over segment `k` saves."""
        own, state = self.segments[k]
        real = None if self.real is None else self.real[own]
        return self.scan.forward(self.cell, self.P, self.x[own], state, real)[2]

    def trace(self, name: str) -> Array:
        """See `Saved.trace`."""
        xp, h = array_module(self.x), self.segments[0][1][0]
        out = xp.empty((self.x.shape[0], *h.shape), h.dtype)
        for k, (own, _) in enumerate(self.segments):
            out[own] = self.again(k).trace(name)
        return out


class RecomputedScan(Scan):
    """Runs `scan` over segments of `k` steps; see `Scan` for the methods."""

    def __init__(self, scan: Scan, k: int) -> None:
        self.name = scan.name
        self.scan = scan
        self.k = k

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, RecomputedSaved]:
        """See `Scan.forward`."""
        xp, T = array_module(state[0]), x.shape[0]
        P = {name: value.copy() for name, value in P.items()}  # theirs will be updated
        ys = xp.empty((T, *state[0].shape), state[0].dtype)
        segments = []
        for start in range(0, max(T, 1), self.k):
            own = slice(start, min(start + self.k, T))
            segments.append((own, tuple(part.copy() for part in state)))
            here = None if real is None else real[own]
            ys[own], state = self.scan.forward(cell, P, x[own], state, here)[:2]
        return ys, state, RecomputedSaved(self.scan, cell, P, x, real, segments)

    def backward(
        self, saved: RecomputedSaved, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        xp, P, x = array_module(dstate[0]), saved.P, saved.x
        dx = xp.empty(x.shape, P["U"].dtype) if want_dx and x.ndim == 3 else None
        dP = {name: xp.zeros_like(value) for name, value in P.items()}
        # Compiled code leaves a second thread free to compute the segment before meanwhile
        start = ahead if self.scan.leaves_threads else partial
        record = start(saved.again, len(saved.segments) - 1)
        for k, (own, _) in reversed(list(enumerate(saved.segments))):
            dy, current = None if dys is None else dys[own], record()
            if k:
                record = start(saved.again, k - 1)
            dx_own, dstate, dP_own = self.scan.backward(current, dy, dstate, want_dx)
            del current  # before the next one is made, if there is no other thread
            if dx is not None:
                dx[own] = dx_own
            for name, gradient in dP_own.items():
                dP[name] += gradient
        return dx, dstate, dP


def recomputed(scan: Scan, recompute_every: Any, T: int) -> Scan:
    """Return `scan` for None, and otherwise a `RecomputedScan` of it.

    Raises:
        TypeError, ValueError: `recompute_every` is not None, ``"sqrt"`` or an integer of at least 1.
    """
    if recompute_every is None:
        return scan
    if isinstance(recompute_every, str) and recompute_every == "sqrt":
        return RecomputedScan(scan, math.isqrt(max(T - 1, 0)) + 1)  # √T, rounded up
    if isinstance(recompute_every, str):
        raise ValueError(f'recompute_every: got {recompute_every!r}, want "sqrt" or an integer')
    return RecomputedScan(scan, checks.whole_number("recompute_every", recompute_every))
