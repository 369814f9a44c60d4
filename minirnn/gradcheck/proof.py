"""The proof of the engine: every cell, in every arrangement, by the complex step.

A problem is a network with random values for everything that can be given, and a loss that is a random
projection of *all* outputs (every element of ys and of the final state), differentiated by *all* inputs
(x, every parameter, every initial state). What a projection reaches, a wrong line cannot hide from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np

from ..cells import Cell
from ..recurrent.network import Recurrent
from .check import gradcheck
from .diagnose import NOTHING
from .equations import wrong_equation
from .report import Report

LENGTHS = (2, 0, 4)  # one sequence shorter than T, one without any step, one that is whole
GIVEN = ("ys", "state", "both")  # which gradients backward is handed


@dataclass(frozen=True)
class Case:
    """One arrangement of a cell.

    Args:
        cell: the equations, one of ours or a new one.
        scan: what runs them, ``"generic"`` for a new cell.
        layers: on top of each other.
        bidirectional: both directions.
        lengths: sequences of unequal lengths.
        state: a random initial state, rather than None.
        given: what backward is handed gradients of: ``"ys"``, the final ``"state"`` or ``"both"``.
        tokens: x are tokens, rather than numbers.
        dropout: between layers.
        bias: with biases.
    """

    cell: Cell
    scan: str
    layers: int = 1
    bidirectional: bool = False
    lengths: bool = False
    state: bool = False  # a random initial state, rather than None
    given: str = "both"
    tokens: bool = False
    dropout: float = 0.0
    bias: bool = True

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name), f.default) for f in fields(self)[2:]]
        changed = [f"{name}={value!r}" for name, value, default in given if value != default]
        return f"Case({', '.join([self.cell.name, repr(self.scan), *changed])})"

    def check(self, seed: int = 0, T: int = 4, D: int = 5, H: int = 2, N: int = 3) -> Report:
        """Check every gradient of this arrangement; see `gradcheck`.

        All sizes (T steps, D inputs, H units, N sequences) differ by default, so that none passes for
        another. Where something is wrong, the report says which equation it is,
        and T=1 shows it before it has spread through time. `seed` is that of the random values.

        Raises:
            ValueError, TypeError: the cell gave what does not fit, or lost the imaginary part.
        """
        rng = np.random.default_rng(seed)
        net = Recurrent(
            self.cell,
            D,
            H,
            self.layers,
            self.bidirectional,
            self.dropout,
            bias=self.bias,
            dtype="float64",
            rng=rng,
            scan=self.scan,
        )
        for p in net.parameters():
            p.data = rng.normal(0, 0.7, p.shape)
        scans = net.num_layers * net.num_directions
        x = rng.integers(0, D, (T, N)) if self.tokens else rng.normal(size=(T, D, N))
        initial: dict[str, Any] = {
            f"{s}0": rng.normal(size=(scans, H, N)) for s in self.cell.states if self.state
        }
        r_ys = rng.normal(size=(T, net.output_size, N)) if self.given != "state" else None
        r_state = [rng.normal(size=(scans, H, N)) for _ in self.cell.states]
        if self.given == "ys":
            r_state = []

        def forward(**inputs: Any) -> tuple[Any, Any]:
            given = tuple(inputs[name] for name in initial) or None
            lengths = LENGTHS if self.lengths else None
            dropped = np.random.default_rng(1) if self.dropout else None
            ys, state, cache = net.forward(inputs["x"], given, lengths, dropped)
            loss = sum((r * s).sum() for r, s in zip(r_state, state, strict=False))
            return loss + (0 if r_ys is None else (r_ys * ys).sum()), cache

        def backward(cache: Any) -> dict[str, Any]:
            dx, dstate = net.backward(cache, r_ys, tuple(r_state) or None)
            return {"x": dx} | dict(zip(initial, dstate, strict=False))

        report = gradcheck(forward, backward, net.parameters(), x=x, **initial)
        if report.ok:
            return report
        where = wrong_equation(self.cell, D, H, N, seed)
        rows = (replace(r, hint=where) if r.hint == NOTHING else r for r in report.rows)
        return replace(report, rows=tuple(rows), notes=(*report.notes, where))


def arrangements(cell: Cell, scan: str) -> Iterator[Case]:
    """The cases of `cell` on `scan`: layers × directions × lengths × initial state × what is given."""
    for layers, both, lengths, state, given in product(
        (1, 2, 3), (False, True), (False, True), (False, True), GIVEN
    ):
        yield Case(cell, scan, layers, both, lengths, state, given)
