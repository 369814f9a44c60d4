"""What the persistent kernels have to know of a device."""

from __future__ import annotations

from typing import Any, NamedTuple

THREADS = 256  # of a block, as the kernels are compiled for


class Limits(NamedTuple):
    """What counts of a device."""

    multiprocessors: int
    shared_memory: int  # bytes, of one block at most
    threads: int = THREADS
    cooperative: bool = True  # whether blocks can wait for each other


def device_limits(device: Any) -> Limits:
    """Of a ``cupy.cuda.Device``."""
    found = device.attributes
    cooperative = bool(found["CooperativeLaunch"]) and int(device.compute_capability) >= 70
    sizes = found["MultiProcessorCount"], found["MaxSharedMemoryPerBlockOptin"]
    return Limits(*sizes, cooperative=cooperative)


def up(n: int, k: int) -> int:
    """The next multiple of k."""
    return -(-n // k) * k
