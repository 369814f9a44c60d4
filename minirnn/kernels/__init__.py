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
from .cuda.fused.scan import LAYOUTS as FUSED_CELLS
from .cuda.fused.scan import FusedScan
from .cuda.module import last_pass, title
from .cuda.persistent.limits import Limits, device_limits
from .cuda.persistent.scan import PersistentScan
from .cuda.persistent.scan import obstacle as too_large
from .in_place.gru import GRUResetBeforeSteps, GRUSteps
from .in_place.scan import NumpyScan, Steps
from .in_place.steps import LSTMSteps, RNNSteps
from .in_precision import InPrecision
from .pool import compiling_failed, why_not_compiled
from .threaded import ThreadedScan

SCANS = ("auto", "generic", "numpy", "numba", "fused", "persistent")
NOT_KEPT = (
    "each process compiles it anew, as no folder for it can be written to: set NUMBA_CACHE_DIR"
)
NUMBA_CELLS = (RNNCell, LSTMCell, GRUCell)

_NUMPY_STEPS: dict[type, Callable[[Any], Steps]] = {
    RNNCell: RNNSteps,
    LSTMCell: LSTMSteps,
    GRUCell: lambda cell: GRUSteps(),
    GRUResetBeforeCell: lambda cell: GRUResetBeforeSteps(),
}


def available(cell: Cell, backend: Backend) -> tuple[str, ...]:
    """The names of the scans that can run this cell on this device, the fastest one last."""
    obstacles = {name: _obstacle(name, cell, backend) for name in SCANS[1:]}
    return tuple(name for name, obstacle in obstacles.items() if not obstacle)


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
    by_default = scan == "auto" and np.dtype(dtype) == np.float32
    if (scan == "numba" or by_default) and not _obstacle("numba", cell, backend):
        compile_ahead(dtype)  # here, so that what it fails for is an obstacle to what follows
    if scan != "auto":
        obstacle = _obstacle(scan, cell, backend, dtype, H)
        if obstacle:
            raise ValueError(f"scan: {scan!r} cannot run here: {obstacle}")
        return _scan(scan, cell, backend, precision), f'because scan="{scan}" was asked for'
    if backend.xp is not np:
        return _on_device(cell, backend, dtype, H, precision)
    can_run = available(cell, backend)
    if "numba" in can_run and np.dtype(dtype) == np.float32:
        from .compiled.compile import kept_in

        kept = "" if kept_in() else f"; {NOT_KEPT}"
        return _scan("numba", cell, backend), f"the fastest one on this device{kept}"
    compiled = _obstacle("numba", cell, backend) or f"it is made for float32, and this is {dtype}"
    if "numpy" in can_run:
        return _scan("numpy", cell, backend), f"not the numba scan, because {compiled}"
    return GenericScan(), f"not the numpy scan, because {_obstacle('numpy', cell, backend)}"


def compile_ahead(dtype: Any) -> str:
    """Compile for `dtype`, or load what was compiled; return why that cannot be, empty if it can."""
    if not why_not_compiled():
        try:
            from .compiled.compile import compile_for  # Numba takes a while to import

            compile_for(np.dtype(dtype))
        except Exception as error:  # whatever a compiler may fail for
            compiling_failed(error)
    return why_not_compiled()


def _on_device(
    cell: Cell, backend: Backend, dtype: Any, H: int, precision: str | None
) -> tuple[Scan, str]:
    """The fastest scan that can run and has passed its tests on a device; otherwise the generic one."""
    reasons: list[str] = []
    for name in ("persistent", "fused"):
        obstacle = _obstacle(name, cell, backend, dtype, H)
        proof = last_pass(title(name, precision), cell.name)
        if proof is not None and not obstacle:
            passed = f"it passed its tests on {proof['device']}, {proof['date']}, {proof['commit']}"
            why = [*reasons, f"the fastest one on this device; {passed}"]
            return _scan(name, cell, backend, precision), "; ".join(why)
        unproven = (
            f"it has not passed its tests{' in TF32' if precision else ''} on a device yet; "
            f'scan="{name}" takes it all the same'
        )
        reasons.append(f"not the {name} scan, because {obstacle or unproven}")
    return _scan("generic", cell, backend, precision), "; ".join(reasons)


def _obstacle(scan: str, cell: Cell, backend: Backend, dtype: Any = np.float32, H: int = 1) -> str:
    """Why a scan cannot run a cell on a device; empty if it can."""
    if scan == "generic":
        return ""
    on_host, place = backend.xp is np, f"the parameters are on {backend.name}"
    if scan in ("fused", "persistent"):
        if on_host:
            return f"{place}, and it needs a CUDA device"
        if type(cell) not in FUSED_CELLS:
            return f"{cell.name} has no CUDA kernels in minirnn/kernels"
        if scan == "fused":
            return ""
        return too_large(cell, H, dtype, _limits(backend))
    if not on_host:
        return f"{place}, and it runs on the host"
    if scan == "numpy":
        known = type(cell) in _NUMPY_STEPS
        return "" if known else f"{cell.name} has no in-place steps in minirnn/kernels"
    if type(cell) not in NUMBA_CELLS:
        return f"{cell.name} has no compiled steps in minirnn/kernels"
    return why_not_compiled()


def _limits(backend: Backend) -> Limits:
    """Of the CUDA device that it computes on."""
    return device_limits(backend.device)


def _scan(name: str, cell: Cell, backend: Backend, precision: str | None = None) -> Scan:
    """The scan of that name; what it leaves to cuBLAS is multiplied in `precision`, if there is one."""
    if precision:
        return InPrecision(_scan(name, cell, backend), backend, precision)
    if name == "generic":
        return GenericScan()
    if name == "fused":
        return FusedScan(cell, backend.xp.RawModule)
    if name == "persistent":
        occupancy = backend.xp.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor
        return PersistentScan(cell, backend.xp.RawModule, _limits(backend), occupancy)
    in_place = NumpyScan(_NUMPY_STEPS[type(cell)](cell))
    if name == "numpy":
        return ThreadedScan(in_place)
    from .compiled.scan import NumbaScan  # Numba takes a while to import

    return NumbaScan(cell, ThreadedScan(in_place))
