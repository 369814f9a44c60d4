"""Which scan runs: the generic one, or a faster one for the cell and the device at hand.

The choice is made here, openly: `choose` gives the scan and the reason, and `minirnn.explain` prints it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Backend
from ..cells import Cell, GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from ..scan import GenericScan, Scan
from .numpy_gru import GRUResetBeforeSteps, GRUSteps
from .numpy_scan import NumpyScan, Steps
from .numpy_steps import LSTMSteps, RNNSteps
from .threaded import ThreadedScan

SCANS = ("auto", "generic", "numpy")

_NUMPY_STEPS: dict[type, Callable[[Any], Steps]] = {
    RNNCell: RNNSteps,
    LSTMCell: LSTMSteps,
    GRUCell: lambda cell: GRUSteps(),
    GRUResetBeforeCell: lambda cell: GRUResetBeforeSteps(),
}


def available(cell: Cell, backend: Backend) -> tuple[str, ...]:
    """The names of the scans that can run this cell on this device."""
    in_place = backend.xp is np and type(cell) in _NUMPY_STEPS
    return ("generic", "numpy") if in_place else ("generic",)


def choose(cell: Cell, backend: Backend, scan: str = "auto") -> tuple[Scan, str]:
    """Return the scan to run and why it is this one.

    Raises:
        ValueError: `scan` is not a known name, or is one that cannot run this cell on this device.
    """
    if scan not in SCANS:
        raise ValueError(f"scan: got {scan!r}, want one of {', '.join(map(repr, SCANS))}")
    if scan == "generic":
        return GenericScan(), 'because scan="generic" was asked for'
    if "numpy" in available(cell, backend):
        return ThreadedScan(
            NumpyScan(_NUMPY_STEPS[type(cell)](cell))
        ), "the fastest one on this device"
    obstacle = f"{cell.name} has no in-place steps in minirnn/kernels"
    if backend.xp is not np:
        obstacle = f"the parameters are on {backend.name}, for which there is no kernel"
    if scan == "numpy":
        raise ValueError(f'scan: "numpy" cannot run here: {obstacle}')
    return GenericScan(), f"not the numpy scan, because {obstacle}"
