"""A scan whose products are rounded more than its numbers: float32 multiplied in TF32."""

from __future__ import annotations

from typing import Any

from ..backend import Array, Backend, State
from ..cells import Arrays, Cell
from ..scan import Scan


class InPrecision(Scan):
    """Runs `scan` with all products of cuBLAS in `precision`; see `Scan` for the methods."""

    def __init__(self, scan: Scan, backend: Backend, precision: str) -> None:
        self.name, self.text = scan.name, scan.text
        self.scan = scan
        self.backend = backend
        self.precision = precision

    def forward(
        self, cell: Cell, P: Arrays, x: Array, state: State, real: Array | None
    ) -> tuple[Array, State, Any]:
        """See `Scan.forward`."""
        with self.backend.products(self.precision):
            return self.scan.forward(cell, P, x, state, real)

    def backward(
        self, saved: Any, dys: Array | None, dstate: State, want_dx: bool = True
    ) -> tuple[Array | None, State, dict[str, Array]]:
        """See `Scan.backward`."""
        with self.backend.products(self.precision):
            return self.scan.backward(saved, dys, dstate, want_dx)

    def step(self, cell: Cell, P: Arrays, x: Any, state: State) -> State:
        """See `Scan.step`."""
        with self.backend.products(self.precision):
            return self.scan.step(cell, P, x, state)

    def plan(self, x: Array, W: Array) -> str:
        """See `Scan.plan`."""
        return self.scan.plan(x, W)
