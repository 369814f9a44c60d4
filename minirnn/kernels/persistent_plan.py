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
PRODUCTS = {True: 128, False: 32}  # in one: if each weight that is loaded serves 4 columns, or one
LOADS = 4, 2  # for tensor cores: 16 by 8 numbers of W, 8 by 8 of what it is multiplied by


class Grain(NamedTuple):
    """What is multiplied at a time; see ``products.cuh`` and ``products_tf32.cuh``."""

    threads: int  # that do it together
    rows: int
    columns: int  # at most
    multiple: int  # of columns
    deep: int  # numbers to a sum, forward
    back_deep: int  # and backward


BY_THREADS = Grain(threads=1, rows=4, columns=4, multiple=4, deep=4, back_deep=1)
ON_TENSOR_CORES = Grain(threads=32, rows=16, columns=32, multiple=8, deep=8, back_deep=8)


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
    h_pitch: int
    d_pitch: int
    chunk: int
    slices: int
    back_slices: int

    def shared_memory(self, gates: int, H: int, itemsize: int) -> int:
        """Bytes that a block needs, forward or backward: W, and what is multiplied or summed."""
        rows = gates * -(-H // self.blocks)
        forward = (self.chunk + self.slices * rows) * self.h_pitch
        return itemsize * (rows * self.pitch + max(forward, rows * self.d_pitch))


def device_limits(device: Any) -> Limits:
    """Of a ``cupy.cuda.Device``."""
    found = device.attributes
    cooperative = bool(found["CooperativeLaunch"]) and int(device.compute_capability) >= 70
    sizes = found["MultiProcessorCount"], found["MaxSharedMemoryPerBlockOptin"]
    return Limits(*sizes, cooperative=cooperative)


@lru_cache(maxsize=1024)
def divide(
    gates: int, H: int, N: int, itemsize: int, limits: Limits, tf32: bool = False
) -> Plan | None:
    """Return the plan for `gates` blocks of H rows of W and N sequences; None if W does not fit."""
    grain = ON_TENSOR_CORES if tf32 else BY_THREADS
    best, fewest = None, float("inf")
    for blocks in range(1, min(H, limits.multiprocessors) + 1):
        plan = _with_blocks(blocks, gates, H, N, itemsize, limits, grain)
        if plan is not None:
            cycles = _cycles(plan, gates, H, N, limits, grain)
            if cycles < fewest:
                best, fewest = plan, cycles
    return best


def _with_blocks(
    blocks: int, gates: int, H: int, N: int, itemsize: int, limits: Limits, grain: Grain
) -> Plan | None:
    """The plan with groups of so many blocks, in as few launches as memory allows."""
    most = min(N, limits.multiprocessors // blocks)  # groups
    columns = min(-(-N // most), limits.threads)
    while columns:
        launches = -(-N // (most * columns))
        columns = -(-N // (most * launches))  # so that the last launch has no less to do
        groups = min(most, -(-N // columns))
        plan = layout(blocks, groups, columns, gates, H, itemsize, limits, grain)
        if plan is not None:
            return plan
        columns -= 1
    return None


def layout(
    blocks: int, groups: int, columns: int, gates: int, H: int, itemsize: int, limits: Limits,
    grain: Grain,
) -> Plan | None:  # fmt: skip
    """The plan of such a division; None if it does not fit."""
    few = columns <= 2 and grain is BY_THREADS
    across = columns if few else _up(columns, grain.multiple)
    if across > limits.threads:
        return None
    # Rows that are read together begin in different banks
    if grain is BY_THREADS:
        depth = _up(H, 4)
        pitch, h_pitch, d_pitch = depth + 4 * (depth // 4 % 2 == 0), across, across
    else:
        depth = _up(H, 8)
        pitch, h_pitch, d_pitch = _up(H, 16) + 4, across + 8 * (across // 8 % 2 == 0), across + 4
    rows, workers = gates * -(-H // blocks), limits.threads // grain.threads
    wide = across if few else -(-across // grain.columns)
    slices = min(workers // (-(-rows // grain.rows) * wide), depth // grain.deep, SLICES)
    back_slices = min(workers // (-(-H // grain.rows) * wide), -(-rows // grain.back_deep), SLICES)
    slices, back_slices = max(1, slices), max(1, back_slices)
    room = limits.shared_memory // itemsize - rows * pitch
    chunk = min(depth, (room // h_pitch - slices * rows) // grain.deep * grain.deep)
    if chunk < min(depth, CHUNK) or room < rows * d_pitch:
        return None
    sizes = across, pitch, h_pitch, d_pitch, chunk, slices, back_slices
    return Plan(blocks, groups, columns, *sizes)


def _cycles(plan: Plan, gates: int, H: int, N: int, limits: Limits, grain: Grain) -> float:
    """About how many a step takes, forward and backward."""
    rows, sources = gates * -(-H // plan.blocks), plan.blocks * plan.back_slices
    if grain is BY_THREADS:
        products = 2 * rows * H * plan.across / PRODUCTS[plan.across > 2]
    else:
        warps = -(-plan.across // grain.columns)  # beside each other
        each = LOADS[0] * warps + LOADS[1] * plan.across // 8  # run of 8, of 16 rows
        products = 2 * _up(rows, 16) // 16 * _up(H, 16) // 8 * each
    own = -(-rows // gates * plan.across // limits.threads)  # units of a thread
    reads = -(-H * plan.across // limits.threads // 16) + own * -(-sources // 16)
    launches = -(-N // (plan.groups * plan.columns))
    return launches * (2 * MEETING * (plan.blocks > 1) + products + READ * reads)


def _up(n: int, k: int) -> int:
    """The next multiple of k."""
    return -(-n // k) * k
