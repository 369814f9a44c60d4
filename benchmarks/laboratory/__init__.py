"""CUDA kernels that have to win a row of a table on a device first; see ``README.md``."""

from __future__ import annotations

from minirnn.kernels.cuda.persistent.limits import device_limits
from minirnn.kernels.cuda.persistent.scan import PersistentScan
from minirnn.kernels.in_precision import InPrecision
from minirnn.recurrent import Recurrent


def take(net: Recurrent, kind: type[PersistentScan]) -> None:
    """Have a network on a CUDA device run a scan of this folder, such as `RegisterScan`."""
    xp, limits = net.backend.xp, device_limits(net.backend.device)
    occupancy = xp.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor
    scan = kind(net.cell, xp.RawModule, limits, occupancy)
    net.scan = InPrecision(scan, net.backend, net.precision) if net.precision else scan
    net.scan_reason = "because benchmarks/laboratory put it there"
