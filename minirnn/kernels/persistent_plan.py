"""How the persistent kernels divide their work on a device, and what does not fit on it.

The letters are those of `Problem` in ``persistent.cu``. W has to be in the shared memory of a group of
blocks, one block to a multiprocessor, with something left for what it is multiplied by. Of the divisions
that fit, the one with the fewest cycles by a rough count is taken.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

THREADS = 256  # of a block, as the kernels are compiled for
SLICES = 16  # at most: there are as many sums to add up
CHUNK = 32  # rows of h in shared memory at a time, at least

# Cycles of a multiprocessor, guessed, to tell divisions apart
MEETING = 2000  # of the blocks of a group
READ = 700  # 16 numbers, by each thread, from memory that others have written
PRODUCTS = {
    True: 128,
    False: 32,
}  # in one cycle: if each weight that is loaded serves 4 columns, or one


class Limits(NamedTuple):
    """What counts of a device."""

    multiprocessors: int
    shared_memory: int  # bytes, of one block at most
    threads: int = THREADS
    cooperative: bool = True  # whether blocks can wait for each other


class Plan(NamedTuple):
    """How each launch divides its work; see `Problem` in ``persistent.cu``."""

    blocks: int
    groups: int
    columns: int
    across: int
    pitch: int
    chunk: int
    slices: int
    back_slices: int

    def shared_memory(self, gates: int, H: int, itemsize: int) -> int:
        """Bytes that a block needs, forward or backward: W, and what is multiplied or summed."""
        rows = gates * -(-H // self.blocks)
        forward = (self.chunk + self.slices * rows) * self.across
        return itemsize * (rows * self.pitch + max(forward, rows * self.across))


def device_limits(device: Any) -> Limits:
    """Of a ``cupy.cuda.Device``."""
    found = device.attributes
    cooperative = bool(found["CooperativeLaunch"]) and int(device.compute_capability) >= 70
    sizes = found["MultiProcessorCount"], found["MaxSharedMemoryPerBlockOptin"]
    return Limits(*sizes, cooperative=cooperative)


@lru_cache(maxsize=1024)
def divide(gates: int, H: int, N: int, itemsize: int, limits: Limits) -> Plan | None:
    """Return the plan for `gates` blocks of H rows of W and N sequences; None if W does not fit."""
    best, fewest = None, float("inf")
    for blocks in range(1, min(H, limits.multiprocessors) + 1):
        plan = _with_blocks(blocks, gates, H, N, itemsize, limits)
        if plan is not None:
            cycles = _cycles(plan, gates, H, N, limits)
            if cycles < fewest:
                best, fewest = plan, cycles
    return best


def _with_blocks(
    blocks: int, gates: int, H: int, N: int, itemsize: int, limits: Limits
) -> Plan | None:
    """The plan with groups of so many blocks, in as few launches as memory allows."""
    most = min(N, limits.multiprocessors // blocks)  # groups
    columns = min(-(-N // most), limits.threads)
    while columns:
        launches = -(-N // (most * columns))
        columns = -(-N // (most * launches))  # so that the last launch has no less to do
        groups = min(most, -(-N // columns))
        plan = layout(blocks, groups, columns, gates, H, itemsize, limits)
        if plan is not None:
            return plan
        columns -= 1
    return None


def layout(
    blocks: int, groups: int, columns: int, gates: int, H: int, itemsize: int, limits: Limits
) -> Plan | None:
    """The plan of such a division; None if it does not fit."""
    across = columns if columns <= 2 else _up(columns, 4)
    if across > limits.threads:
        return None
    depth = _up(H, 4)
    pitch = depth + 4 * (depth // 4 % 2 == 0)  # neighbouring rows then begin in different banks
    rows, wide = gates * -(-H // blocks), across // 4 if across > 2 else across
    slices = min(limits.threads // (_up(rows, 4) // 4 * wide), depth // 4, SLICES)
    back_slices = min(limits.threads // (depth // 4 * wide), rows, SLICES)
    room = limits.shared_memory // itemsize - rows * pitch
    slices, back_slices = max(1, slices), max(1, back_slices)
    chunk = min(depth, (room // across - slices * rows) // 4 * 4)
    if chunk < min(depth, CHUNK):
        return None
    return Plan(blocks, groups, columns, across, pitch, chunk, slices, back_slices)


def _cycles(plan: Plan, gates: int, H: int, N: int, limits: Limits) -> float:
    """About how many a step takes, forward and backward."""
    rows, sources = gates * -(-H // plan.blocks), plan.blocks * plan.back_slices
    products = 2 * rows * H * plan.across / PRODUCTS[plan.across > 2]
    own = -(-rows // gates * plan.across // limits.threads)  # units of a thread
    reads = -(-H * plan.across // limits.threads // 16) + own * -(-sources // 16)
    launches = -(-N // (plan.groups * plan.columns))
    return launches * (2 * MEETING * (plan.blocks > 1) + products + READ * reads)


def _up(n: int, k: int) -> int:
    """The next multiple of k."""
    return -(-n // k) * k
