"""What all experiments share: which sides there are, how they are measured, and where results go."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minirnn as mr
from minirnn.backend import get_backend

from .machine import finisher, machine, torch_missing
from .options import folder, refuse
from .products import large_product, needed_flops, products_side
from .results import Results, Row
from .rows import NOT_OURS, Meter, add_costs
from .sides import LABELS, Unavailable, make, scans
from .sizes import Size, draw
from .timing import Side


class Experiment:
    """Sides, meter and results, from the options that ``table.py`` adds.

    Args:
        options: of the command line.
        device: ``"cpu"`` or ``"cuda"``.
        name: of the files of results.
    """

    def __init__(self, options: argparse.Namespace, device: str, name: str) -> None:
        self.options, self.device, self.name = options, device, name
        self.folder = folder(options.out)
        missing = torch_missing(device)
        if missing:
            print(missing)
        self.with_torch = missing is None
        self.sides = self._sides()
        self.own = [side for side in self.sides if side not in NOT_OURS]
        quick = options.quick
        large = 256 if quick else 1536 if device == "cpu" else 8192
        self.meter = Meter(
            seconds=options.seconds if options.seconds is not None else 0.02 if quick else 10.0,
            alone=options.alone if options.alone is not None else 0.002 if quick else 0.05,
            rng=np.random.default_rng(options.seed),
            large=large_product(large, get_backend(device).xp),
            finish=None if device == "cpu" else finisher(device, self.with_torch),
        )
        here = machine(device, self.with_torch)
        for what, value in here.items():
            print(f"{what}: {value}")
        arguments = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
        arguments = {k: v for k, v in arguments.items() if not callable(v)}
        self.results = Results(self.folder, name, {"machine": here, "arguments": arguments})

    def _sides(self) -> list[str]:
        """Those asked for, in the order of `LABELS`; the scans that are asked for must exist."""
        there = scans(self.device)
        chosen = set(self.options.sides or [*(there[:-1] or there), "torch", "textbook"])
        if self.options.compile:
            chosen.add("compiled")
        if not self.with_torch:
            chosen -= {"torch", "compiled"}
        if self.device != "cpu":
            chosen.discard("textbook")
        for side in chosen - set(NOT_OURS) - set(there):
            try:
                mr.LSTM(1, 1, device=self.device, scan=side)
            except ValueError as error:
                refuse(f"argument --sides: {error}")
        if not chosen:
            refuse("argument --sides: nothing is left to measure")
        return [side for side in LABELS if side in chosen]

    def row(self, name: str, size: Size, cell: str, part: str) -> Row:
        """Measure all sides of a row; one that cannot run is told in a line, and left out."""
        data = draw(size, self.options.seed)
        sides: dict[str, Side] = {}
        for side in list(self.sides):
            try:
                sides[side] = make(side, cell, size, data, self.device)[part]
            except Unavailable as error:
                print(f"{LABELS[side]} is left out from here on: {error}")
                self.sides.remove(side)
        alone = {"products": products_side(cell, size, part, get_backend(self.device).xp)}
        return self.measured(name, size, cell, part, needed_flops(cell, size, part), sides, alone)

    def measured(
        self,
        name: str,
        size: Size,
        cell: str,
        part: str,
        flops: int,
        sides: dict[str, Side],
        limits: dict[str, Side],
    ) -> Row:
        """Measure `sides` and, beside them, `limits`; add what one call of a side costs besides time."""
        times = self.meter.times({**sides, **limits})
        row = Row(name, cell, part, size._asdict(), flops, times, self.meter.large.flops)
        add_costs(row, sides, traced=self.device == "cpu")
        return row
