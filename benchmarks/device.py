"""Rows measured on a CUDA device: our scans there and on the CPU, PyTorch with cuDNN, the limits."""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np

import minirnn as mr
from minirnn.backend import get_backend

from . import preset
from .events import EventClock, kernels
from .experiment import Experiment
from .products import Product, limit_products, needed_bytes, needed_flops, numpy_side
from .results import Row
from .rows import share
from .sides import HOST, LABELS, TF32, Unavailable, make, network, precision_of, scans
from .sizes import Size, draw
from .timing import Side, ratio

PATIENCE = 2.0  # seconds for each row


class DeviceExperiment(Experiment):
    """Sides, meter and results on a device, from the options that ``gpu.py`` adds."""

    device = "cuda"
    patience = PATIENCE

    def __init__(self, options: argparse.Namespace) -> None:
        self.xp = get_backend(self.device).xp
        clock = EventClock(self.xp)
        self.finish = clock.finish
        super().__init__(options, "gpu", clock)
        if not self.with_torch:
            print("kernels are not counted, which takes PyTorch's profiler")

    def _sides(self) -> list[str]:
        """Those asked for that can run here, in the order of `LABELS`; a line on each of the others."""
        on_host = mr.LSTM(1, 1).scan.name  # what a network takes there unasked
        chosen = self.options.sides or [*scans(self.device), on_host, "torch"]
        found = []
        for side in LABELS:
            name = side.removesuffix(TF32)
            if side not in HOST and precision_of(side) not in self.options.precision:
                continue
            if name not in chosen:
                continue
            if name == "torch":
                found += [side] if self.with_torch else []
                continue
            try:
                place = "cpu" if side in HOST else self.device
                network("LSTM", Size(1, 1, 1, 1, 1, 1, "numbers"), side, place)
            except Unavailable as error:
                print(f"{LABELS[side]} is left out: {error}")
            else:
                found.append(side)
        return found

    def sides_of(self, part: str) -> list[str]:
        """Of a part; the map needs no more than our own fastest ones, unless others are asked for."""
        if part != "map" or self.options.sides:
            return self.sides
        return [side for side in self.sides if side in ("fused", "persistent", *HOST)]

    def row(self, name: str, size: Size, cell: str, part: str) -> Row:
        """Measure all sides of a row; one that cannot run is told in a line, and left out of it."""
        work = {"scans": "backward", "map": "backward"}.get(part, "step")
        flops, moved = needed_flops(cell, size, work), needed_bytes(cell, size, work)
        row = Row(name, cell, part, size._asdict(), flops, {}, bytes=moved)
        run = partial(self._side, cell, size, part, work)
        runs: dict[str, Side] = {}
        for side in self.sides_of(part):
            try:
                runs[side] = run(side)
                runs[side]()
                self.finish()
            except Exception as error:  # many kinds: memory, a compiler, a device; the run goes on
                runs.pop(side, None)
                leave_out(row, side, error)
        limits = {} if part == "map" else self._limits(limit_products(cell, size, work))
        row.times = self.meter.times({**runs, **limits})
        if self.with_torch and part != "map":
            try:
                for side in (side for side in runs if side not in HOST):
                    row.kernels[side] = kernels(runs[side], self.finish)
            except Exception as error:  # a profiler that cannot run here should not cost the row
                leave_out(row, "kernels", error)
        return row

    def _side(self, cell: str, size: Size, part: str, work: str, side: str) -> Side:
        if part == "preset":
            streams = preset.text(size, self.options.seed)
            return preset.window(cell, size, streams, self.device, side)
        return make(side, cell, size, draw(size, self.options.seed), self.device)[work]

    def _limits(self, products: list[Product]) -> dict[str, Side]:
        """The products alone, in each precision; TF32 is PyTorch's to switch on."""
        limits = {"limit": numpy_side(products, self.xp)}
        if self.with_torch and "tf32" in self.options.precision:
            from .torch_sides import torch_limit

            limits["limit tf32"] = torch_limit(products, self.device, "limit tf32")
        return limits


def leave_out(row: Row, what: str, error: Exception) -> None:
    """Note why something is missing in a row, and say so."""
    why = " ".join((str(error).strip() or repr(error)).split())[:200]
    row.left_out[what] = why
    print(f"{LABELS.get(what, what)} is left out of {row.size}, {row.cell}: {why}")


def peer(side: str) -> str:
    """PyTorch in the same precision."""
    return "torch" + TF32 * side.endswith(TF32)


def limit(side: str) -> str:
    """The products alone in the same precision."""
    return "limit" + TF32 * side.endswith(TF32)


HEADING = (
    f"  {'':<26}{'ms':>10}{'PyTorch / it':>23}{'limit':>7}{'TFLOP/s':>9}{'GB/s':>7}{'kernels':>9}"
)


def lines(row: Row, about: str) -> str:
    """A row as text: what it is of, then a line for each side."""
    work = f"{row.flops / 1e9:.3g} GFLOP, {row.bytes / 1e6:.3g} MB"
    text = [f"{row.size} ({about}): {row.cell}, {work}"]
    for side, times in row.times.items():
        seconds, other, least = row.median(side), peer(side), limit(side)
        beside = ""
        if other in row.times and not side.startswith(("torch", "limit")):
            beside = str(ratio(row.times[other], times, np.random.default_rng(0)))
        line = f"  {LABELS[side]:<26}{seconds * 1e3:>10.3f}{beside:>23}"
        if side not in HOST:
            line += f"{share(row, least, side):>7.0%}" if least in row.times else f"{'':>7}"
            line += f"{row.flops / seconds / 1e12:>9.2f}{row.bytes / seconds / 1e9:>7.0f}"
        text.append(f"{line}{row.kernels.get(side, ''):>9}".rstrip())
    return "\n".join(text)
