"""Rows measured on a CUDA device: our scans there and on the CPU, PyTorch with cuDNN, the limits."""

from __future__ import annotations

import argparse

import numpy as np

import minirnn as mr
from minirnn.backend import get_backend

from . import preset
from .events import EventClock, kernels
from .experiment import Experiment
from .options import refuse
from .parts import HOST, LABELS, TF32, Unavailable, precision_of
from .products import limit_products, needed_bytes, needed_flops, numpy_side
from .results import Row
from .rows import share
from .sides import make, network, scans
from .sizes import Size, draw
from .timing import Side, ratio

PATIENCE = 2.0  # seconds for each row
ALONE = ("limit", f"limit{TF32}")  # the products alone
WORK = {"scans": "backward", "map": "backward"}  # of a part, where it is not a whole step


class DeviceExperiment(Experiment):
    """Sides, meter and results on a device, from the options that ``gpu.py`` adds."""

    device = "cuda"
    patience = PATIENCE

    def __init__(self, options: argparse.Namespace) -> None:
        self.backend = get_backend(self.device)
        self.precisions = self._precisions(options.precision)
        clock = EventClock(self.backend.xp)
        self.finish = clock.finish
        super().__init__(options, "gpu", clock)
        if not self.with_torch:
            print("kernels are not counted, which takes PyTorch's profiler")

    def _precisions(self, asked: list[str]) -> list[str]:
        """Those that this device has; a line on TF32 where it has not."""
        if "tf32" in asked:
            try:
                self.backend.check_precision("tf32", "float32")
            except ValueError as error:
                if "float32" not in asked:
                    refuse(f"argument --precision: {error}")
                print(f"TF32 is left out: {error}")
                return ["float32"]
        return asked

    def _sides(self) -> list[str]:
        """Those asked for that can run here, in the order of `LABELS`; a line on each of the others."""
        on_host = mr.LSTM(1, 1).scan.name  # what a network takes there unasked
        chosen = self.options.sides or [*scans(self.device), on_host, "torch"]
        found = []
        for side in LABELS:
            name = side.removesuffix(TF32)
            if side not in HOST and precision_of(side) not in self.precisions:
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
        """Of a part, with limits; the map needs our own fastest ones, unless others are asked for."""
        if part != "map":
            return self.sides + [side for side in ALONE if precision_of(side) in self.precisions]
        if self.options.sides:
            return self.sides
        return [side for side in self.sides if side in ("fused", "persistent", *HOST)]

    def row(self, name: str, size: Size, cell: str, part: str) -> Row:
        """Measure all sides of a row; one that cannot run is told in a line, and left out of it."""
        work = WORK.get(part, "step")
        flops, moved = needed_flops(cell, size, work), needed_bytes(cell, size, work)
        row = Row(name, cell, part, size._asdict(), flops, {}, bytes=moved)
        runs: dict[str, Side] = {}
        for side in self.sides_of(part):
            try:
                runs[side] = self._warm(cell, size, part, side)
            except Exception as error:  # many kinds: memory, a compiler, a device; the run goes on
                leave_out(row, side, error)
                self._answers(side)
        try:
            row.times = self.meter.times(runs)
        except Exception as error:
            leave_out(row, "times", error)
            self._answers("the times")
        return row

    def _answers(self, after: str) -> None:
        """End the program if the device is lost to this process, as after a wrong address."""
        try:
            self.finish()
        except Exception as error:
            refuse(
                f"the device does not answer after {LABELS.get(after, after)}: {error}; the rows before "
                "this one are kept, and --add goes on with them, with the other --sides"
            )

    def count(self, row: Row) -> None:
        """Add the kernels that a call of each side launches; if they cannot be seen, say so.

        What the profiler leaves behind may take time of later calls: this is for after the last row.
        """
        try:
            for side in (side for side in row.times if side not in (*HOST, *ALONE)):
                run = self._warm(row.cell, Size(**row.shape), row.part, side)
                row.kernels[side] = kernels(run, self.finish)
        except Exception as error:  # a profiler that cannot run here should not cost the row
            leave_out(row, "kernels", error)

    def _warm(self, cell: str, size: Size, part: str, side: str) -> Side:
        """A side of a row, or a limit, which has run once."""
        work, seed = WORK.get(part, "step"), self.options.seed
        if side in ALONE:
            products = numpy_side(limit_products(cell, size, work), self.backend.xp)
            run = self._in_tf32(products) if precision_of(side) == "tf32" else products
        elif part == "preset":
            run = preset.window(cell, size, preset.text(size, seed), self.device, side)
        else:
            run = make(side, cell, size, draw(size, seed), self.device)[work]
        run()
        self.finish()
        return run

    def _in_tf32(self, run: Side) -> Side:
        def in_tf32() -> None:
            with self.backend.products("tf32"):
                run()

        return in_tf32


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


HEADING = f"  {'':<26}{'ms':>10}{'PyTorch / it':>23}{'limit':>7}{'TFLOP/s':>9}{'GB/s':>7}"


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
        text.append(line.rstrip())
    return "\n".join(text)


def launched(row: Row) -> str:
    """The kernels of a row as text."""
    counts = (f"{LABELS[side]} {count:g}" for side, count in row.kernels.items())
    return f"  {row.part} {row.size}, {row.cell}: {'; '.join(counts) or 'unknown'}"
