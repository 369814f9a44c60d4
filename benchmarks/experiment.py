"""What experiments share: which sides there are, how they are measured, and where results go."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import minirnn as mr

from .machine import machine, this_run, torch_missing
from .options import folder, refuse
from .parts import LABELS, Unavailable
from .products import large_product, needed_flops, numpy_side, scan_products
from .results import Results, Row
from .rows import NOT_OURS, Meter, add_costs
from .sides import make, scans
from .sizes import Size, draw
from .timing import Clock, Side, wall

PATIENCE = 10.0  # seconds for each row


class Experiment:
    """Sides, meter and results on the CPU, from the options that ``table.py`` adds.

    Args:
        options: of the command line.
        name: of the files of results.
        clock: what times a call.
    """

    device = "cpu"
    patience = PATIENCE

    def __init__(self, options: argparse.Namespace, name: str, clock: Clock = wall) -> None:
        self.options, self.name = options, name
        self.folder = folder(options.out)
        missing = torch_missing(self.device)
        if missing:
            print(missing)
        self.with_torch = missing is None
        self.sides = self._sides()
        self.own = [side for side in self.sides if side not in NOT_OURS]
        quick = options.quick
        patience = 0.02 if quick else self.patience
        self.meter = Meter(
            seconds=options.seconds if options.seconds is not None else patience,
            alone=options.alone if options.alone is not None else 0.002 if quick else 0.05,
            rng=np.random.default_rng(options.seed),
            clock=clock,
        )
        here = machine(self.device, self.with_torch)
        for what, value in here.items():
            print(f"{what}: {value}")
        arguments = {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}
        arguments = {k: v for k, v in arguments.items() if not callable(v)}
        header = {"machine": here, "run": this_run(arguments.get("commit"))}
        self.results = Results(self.folder, name, {**header, "arguments": arguments})

    def _sides(self) -> list[str]:
        """Those asked for, in the order of `LABELS`; the scans that are asked for must exist."""
        there = scans("cpu")
        chosen = set(self.options.sides or [*(there[:-1] or there), "torch", "textbook"])
        if self.options.compile:
            chosen.add("compiled")
        if not self.with_torch:
            chosen -= {"torch", "compiled"}
        for side in chosen - set(NOT_OURS) - set(there):
            try:
                mr.LSTM(1, 1, scan=side)
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
                sides[side] = make(side, cell, size, data)[part]
            except Unavailable as error:
                print(f"{LABELS[side]} is left out from here on: {error}")
                self.sides.remove(side)
        alone = {"products": numpy_side(scan_products(cell, size, part))}
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
        large = large_product(256 if self.options.quick else 1536)
        times = self.meter.times({**sides, **limits, "large": large.run})
        row = Row(name, cell, part, size._asdict(), flops, times, large.flops)
        add_costs(row, sides)
        return row
