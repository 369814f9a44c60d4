"""A scan on several threads, each with some columns of the batch; see ``minirnn/kernels/pool.py``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, State
from ..cells import Arrays, Cell
from ..scan import Saved, Scan
from .pool import parallel, shares

LEAST = 16  # columns for each thread: products of fewer are slow


class ThreadedSaved(NamedTuple):
    """The records of the scans of all threads."""

    parts: list[tuple[slice, Any]]

    def trace(self, name: str) -> Array:
        """See `Saved.trace`."""
        return np.concatenate([saved.trace(name) for _, saved in self.parts], axis=-1)


class ThreadedScan(Scan):
    """Gives each thread its columns, if `threads` are in use; otherwise all of them to one scan."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.name = scan.name

    def split(self, x: Array, W: Array) -> list[slice]:
        """See `Scan.split`."""
        return shares(x, x.shape[-1], LEAST)

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, Saved]:
        """See `Scan.forward`."""
        T, (H, N) = x.shape[0], state[0].shape
        columns = self.split(x, P["W"])
        if len(columns) == 1:
            return self.scan.forward(cell, P, x, state, real)
        ys = np.empty((T, H, N), state[0].dtype)
        final = tuple(np.empty_like(part) for part in state)

        def scan(own: slice) -> tuple[slice, Any]:
            begin = tuple(part[:, own] for part in state)
            here = None if real is None else real[:, own]
            ys[..., own], end, saved = self.scan.forward(cell, P, x[..., own], begin, here)
            for part, value in zip(final, end, strict=True):
                part[:, own] = value
            return own, saved

        return ys, final, ThreadedSaved(parallel(scan, columns))

    def backward(
        self, saved: Any, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        if not isinstance(saved, ThreadedSaved):
            return self.scan.backward(saved, dys, dstate, want_dx)

        def scan(part: tuple[slice, Any]) -> tuple[Array | None, State, dict[str, Array]]:
            own, saved = part
            dy = None if dys is None else dys[..., own]
            return self.scan.backward(saved, dy, tuple(d[:, own] for d in dstate), want_dx)

        dxs, dstates, dPs = zip(*parallel(scan, saved.parts), strict=True)
        for name, total in dPs[0].items():
            for dP in dPs[1:]:  # one after the other, so that the sum is the same every time
                total += dP[name]
        dx = None if dxs[0] is None else np.concatenate(dxs, axis=-1)
        initial = tuple(np.concatenate(parts, axis=-1) for parts in zip(*dstates, strict=True))
        return dx, initial, dPs[0]

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """See `Scan.step`."""
        return self.scan.step(cell, P, x, state)
