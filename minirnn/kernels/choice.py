"""Which scan runs: every kind is asked, from the fastest on, what keeps it from running here.

The choice is made here, openly: `choose` gives the scan and the reason, and `minirnn.explain` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..backend import Backend
from ..cells import Cell, GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from ..scan import GenericScan, Scan
from .compiled import NOT_KEPT, compile_ahead, why_not_compiled
from .cuda.cell import cuda_cell
from .cuda.fused.scan import FusedScan
from .cuda.module import last_pass, title
from .cuda.persistent.limits import device_limits
from .cuda.persistent.scan import PersistentScan
from .cuda.persistent.scan import obstacle as too_large
from .in_place.gru import GRUResetBeforeSteps, GRUSteps
from .in_place.one_step import gru_reset_before_step, gru_step, lstm_step, rnn_step
from .in_place.scan import NumpyScan, OneStep, Steps
from .in_place.steps import LSTMSteps, RNNSteps
from .in_precision import InPrecision
from .pointwise import Step, read
from .terms import NotPointwise
from .threaded import ThreadedScan

IN_PLACE: dict[type, tuple[Callable[[Any], Steps], OneStep]] = {
    RNNCell: (RNNSteps, rnn_step),
    LSTMCell: (LSTMSteps, lstm_step),
    GRUCell: (lambda cell: GRUSteps(), gru_step),
    GRUResetBeforeCell: (lambda cell: GRUResetBeforeSteps(), gru_reset_before_step),
}


@dataclass(frozen=True)
class Wanted:
    """What is to be run, and where."""

    cell: Cell
    backend: Backend
    dtype: Any = np.float32
    H: int = 1
    precision: str | None = None

    @cached_property
    def _reading(self) -> Step | NotPointwise:  # once for all kinds, as it takes some milliseconds
        try:
            return read(self.cell)
        except NotPointwise as reason:
            return reason

    @property
    def step(self) -> Step:
        """What the cell computes for one unit.

        Raises:
            NotPointwise: it cannot be read.
        """
        if isinstance(self._reading, NotPointwise):
            raise self._reading
        return self._reading

    @property
    def why_not_printed(self) -> str:
        """Why it cannot be, in one sentence; empty if it can."""
        reason = self._reading
        return f"{self.cell.name} {reason}" if isinstance(reason, NotPointwise) else ""


class Kind:
    """A kind of scan; this one, the plain one, runs anything anywhere."""

    name = "generic"
    on_host: bool | None = None  # or on CUDA devices; None is both

    def misplaced(self, wanted: Wanted) -> str:
        """Where it should run instead; empty if it may run there."""
        if self.on_host in (None, wanted.backend.xp is np):
            return ""
        needs = "it runs on the host" if self.on_host else "it needs a CUDA device"
        return f"the parameters are on {wanted.backend.name}, and {needs}"

    def obstacle(self, wanted: Wanted) -> str:
        """What else keeps it from running; empty if nothing does."""
        return ""

    def doubt(self, wanted: Wanted) -> str:
        """What speaks against taking it unasked."""
        return ""

    def prepare(self, wanted: Wanted) -> str:
        """Make ready for it; return what keeps that from being done."""
        return ""

    def praise(self, wanted: Wanted) -> str:
        """What is said of it when it is taken unasked."""
        return ""

    def make(self, wanted: Wanted) -> Scan:
        """The scan, whatever the precision."""
        return GenericScan()


class InPlace(Kind):
    """On NumPy arrays, with no new ones."""

    name, on_host = "numpy", True

    def obstacle(self, wanted: Wanted) -> str:
        """A cell that it has no steps of."""
        known = type(wanted.cell) in IN_PLACE
        return "" if known else f"{wanted.cell.name} has no in-place steps in minirnn/kernels"

    def make(self, wanted: Wanted) -> Scan:
        """Threads share the batch."""
        steps, one_step = IN_PLACE[type(wanted.cell)]
        return ThreadedScan(NumpyScan(steps(wanted.cell), one_step))


class Compiled(InPlace):
    """Compiled by Numba, which takes a while to import."""

    name = "numba"

    def obstacle(self, wanted: Wanted) -> str:
        """A cell that cannot be printed, or nothing to compile it with."""
        return wanted.why_not_printed or why_not_compiled()

    def doubt(self, wanted: Wanted) -> str:
        """Double precision, in which the steps in place are as fast, if there are any."""
        made_for = np.dtype(wanted.dtype) == np.float32 or super().obstacle(wanted)
        return "" if made_for else f"it is made for float32, and this is {wanted.dtype}"

    def prepare(self, wanted: Wanted) -> str:
        """Compile it."""
        return compile_ahead(wanted.dtype, wanted.step)

    def praise(self, wanted: Wanted) -> str:
        """Its speed, and that it will be compiled again if it will."""
        from .compiled.compile import kept_in

        return "the fastest one on this device" + ("" if kept_in() else f"; {NOT_KEPT}")

    def make(self, wanted: Wanted) -> Scan:
        """With another one for complex numbers: in place, or the plain one."""
        from .compiled.scan import NumbaScan

        other = GenericScan() if super().obstacle(wanted) else super().make(wanted)
        return NumbaScan(wanted.step, other)


class Fused(Kind):
    """On CUDA, with a product and a kernel for each step."""

    name, on_host = "fused", False

    def obstacle(self, wanted: Wanted) -> str:
        """A cell that no kernels can be made of."""
        return wanted.why_not_printed

    def doubt(self, wanted: Wanted) -> str:
        """That its kernels, as they are, have not been tested on a device."""
        if self._proof(wanted):
            return ""
        return (
            f"it has not passed its tests{' in TF32' if wanted.precision else ''} on a device yet; "
            f'scan="{self.name}" takes it all the same'
        )

    def praise(self, wanted: Wanted) -> str:
        """Its speed, and where they have been tested."""
        passed = "it passed its tests on {device}, {date}, {commit}"
        return "the fastest one on this device; " + passed.format(**self._proof(wanted) or {})

    def make(self, wanted: Wanted) -> Scan:
        """CuPy compiles the kernels when they first run."""
        return FusedScan(wanted.cell, wanted.backend.xp.RawModule)

    def _proof(self, wanted: Wanted) -> dict[str, str] | None:
        text = cuda_cell(wanted.cell).text
        return last_pass(title(self.name, wanted.precision), wanted.cell.name, text)


class Persistent(Fused):
    """On CUDA, with one kernel for all steps, which keeps W on the device."""

    name = "persistent"

    def obstacle(self, wanted: Wanted) -> str:
        """A cell that no kernels can be made of, or a W that does not fit."""
        limits = device_limits(wanted.backend.device)
        cannot = super().obstacle(wanted)
        return cannot or too_large(wanted.cell, wanted.H, wanted.dtype, limits)

    def make(self, wanted: Wanted) -> Scan:
        """CuPy compiles the kernels when they first run."""
        xp, limits = wanted.backend.xp, device_limits(wanted.backend.device)
        occupancy = xp.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor
        return PersistentScan(wanted.cell, xp.RawModule, limits, occupancy)


KINDS = (Persistent(), Fused(), Compiled(), InPlace(), Kind())  # the fastest first
SCANS = ("auto", *(kind.name for kind in reversed(KINDS)))


def available(cell: Cell, backend: Backend) -> tuple[str, ...]:
    """The names of the scans that can run this cell on this device, the fastest one last."""
    wanted = Wanted(cell, backend)
    can_run = (kind for kind in KINDS if not (kind.misplaced(wanted) or kind.obstacle(wanted)))
    return tuple(kind.name for kind in can_run)[::-1]


def choose(
    cell: Cell,
    backend: Backend,
    scan: str = "auto",
    dtype: Any = np.float32,
    H: int = 1,
    precision: str | None = None,
) -> tuple[Scan, str]:
    """Return the scan to run, for a hidden size H and products in a precision, and why it is this one.

    Raises:
        ValueError: `scan` is not a known name, or is one that cannot run this cell on this device.
    """
    if not isinstance(scan, str) or scan not in SCANS:
        raise ValueError(f"scan: got {scan!r}, want one of {', '.join(map(repr, SCANS))}")
    wanted, unasked = Wanted(cell, backend, dtype, H, precision), scan == "auto"
    against: list[str] = []
    for kind in KINDS:
        if kind.misplaced(wanted) if unasked else kind.name != scan:
            continue
        obstacle = kind.misplaced(wanted) or kind.obstacle(wanted)
        obstacle = obstacle or (unasked and kind.doubt(wanted)) or kind.prepare(wanted)
        if not obstacle:
            break
        if not unasked:
            raise ValueError(f"scan: {scan!r} cannot run here: {obstacle}")
        against.append(f"not the {kind.name} scan, because {obstacle}")
    why = [*against, kind.praise(wanted)] if unasked else [f'because scan="{scan}" was asked for']
    made = kind.make(wanted)
    made = InPrecision(made, backend, precision) if precision else made
    return made, "; ".join(filter(None, why))
