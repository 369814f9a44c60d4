"""How the persistent kernels divide their work on a device, and what does not fit on it.

The letters are those of `Problem` in ``problem.cuh``. W has to be in the shared memory of a group of
blocks, one block to a multiprocessor, with something left for what it is multiplied by. Of the
divisions that fit, the one with the fewest cycles by a rough count is taken.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

from .limits import Limits, up

SLICES = 16, 8, 4, 2, 1  # at most: there are as many sums to add up
CHUNK = 32  # rows of h in shared memory at a time, at least
AT_ONCE = 8  # loads of a thread on their way together, as in exchange.cuh

# Cycles of a multiprocessor, to tell divisions apart: estimates for a device like the H200, from data
# sheets and what others have published. What a step does in any division is left out.
MEETING = 1900  # of the blocks of a group: a fence, an arrival, and a load that sees it
READ = 700  # a load from memory that others have written
BYTES = 24  # of such memory, in one cycle, if all multiprocessors want some
JOB = 100  # until a product has begun, and from its end to the next
TURN = 40  # of the loop along a sum, at least: loads and products wait for each other
ADD = 6  # one sum from shared memory, by all threads


class Grain(NamedTuple):
    """What is multiplied at a time; see ``products.cuh``."""

    rows: int
    columns: int
    deep: int = 4  # numbers to a sum, forward
    back_deep: int = 1  # and backward
    threads: int = 1  # that do it together

    def cycles(self, warps: int) -> float:
        """Of one turn, `deep` long, of so many warps.

        They share loads from shared memory, 128 bytes a cycle; there are four that multiply at a time.
        """
        loads, products = self.rows + self.columns, self.deep * self.rows * self.columns
        return max(self.deep * loads * warps, -(-warps // 4) * products + TURN)

    def pitches(self, H: int, across: int) -> tuple[int, int, int]:
        """How far rows of W, h and d are apart: those read together begin in different banks."""
        depth = up(H, 4)
        return depth + 4 * (depth // 4 % 2 == 0), across, across


BY_THREADS: tuple[Grain, ...] = Grain(4, 1), Grain(4, 4), Grain(8, 8)


class Plan(NamedTuple):
    """How each launch divides its work; see `Problem` in ``problem.cuh``."""

    blocks: int
    groups: int
    columns: int
    across: int
    tile: int
    pitch: int
    h_pitch: int
    d_pitch: int
    chunk: int
    slices: int
    back_slices: int
    readers: int

    def in_words(self, N: int) -> str:
        """The same for who asks."""
        launches = -(-N // (self.groups * self.columns))
        return (
            f"blocks that share W: {self.blocks}, groups of them: {self.groups}, "
            f"sequences of each: {self.columns}, launches: {launches}"
        )

    def shared_memory(self, gates: int, H: int, itemsize: int) -> int:
        """Bytes that a block needs, forward or backward: W, and what is multiplied or summed."""
        rows = gates * -(-H // self.blocks)
        forward = (self.chunk + self.slices * rows) * self.h_pitch
        backward = max(gates, self.readers) * rows // gates * self.d_pitch
        return itemsize * (rows * self.pitch + max(forward, backward))


@lru_cache(maxsize=1024)
def divide(
    gates: int,
    H: int,
    N: int,
    itemsize: int,
    limits: Limits,
    grains: tuple[Grain, ...] = BY_THREADS,
) -> Plan | None:
    """Return the plan for `gates` blocks of H rows of W and N sequences; None if W does not fit."""
    best, fewest = None, float("inf")
    for blocks in range(1, min(H, limits.multiprocessors) + 1):
        if -(-H // -(-H // blocks)) < blocks:
            continue  # fewer do, with no more units each
        for grain, slices in product(grains, SLICES):
            plan = _with_blocks(blocks, gates, H, N, itemsize, limits, grain, slices)
            if plan is not None:
                cycles = _cycles(plan, gates, H, N, itemsize, limits, grain)
                if cycles < fewest:
                    best, fewest = plan, cycles
    return best


def _with_blocks(
    blocks: int, gates: int, H: int, N: int, itemsize: int, limits: Limits, grain: Grain,
    slices: int,
) -> Plan | None:  # fmt: skip
    """The plan with groups of so many blocks, in as few launches as memory allows."""
    most = min(N, limits.multiprocessors // blocks)  # groups
    columns = min(-(-N // most), limits.threads)
    while columns:
        launches = -(-N // (most * columns))
        columns = -(-N // (most * launches))  # so that the last launch has no less to do
        groups = min(most, -(-N // columns))
        plan = layout(blocks, groups, columns, gates, H, itemsize, limits, grain, slices)
        if plan is not None:
            return plan
        columns -= 1
    return None


def layout(
    blocks: int, groups: int, columns: int, gates: int, H: int, itemsize: int, limits: Limits,
    grain: Grain, most: int = SLICES[0],
) -> Plan | None:  # fmt: skip
    """The plan of such a division, in `most` slices at most; None if it does not fit."""
    across = up(columns, grain.columns)
    if across > limits.threads:
        return None
    pitch, h_pitch, d_pitch = grain.pitches(H, across)
    units, depth = -(-H // blocks), up(H, grain.deep)
    rows, workers, wide = gates * units, limits.threads // grain.threads, across // grain.columns
    slices = min(workers // (-(-rows // grain.rows) * wide), depth // grain.deep, most)
    back_slices = min(workers // (-(-H // grain.rows) * wide), -(-rows // grain.back_deep), most)
    slices, back_slices = max(1, slices), max(1, back_slices)
    room = limits.shared_memory // itemsize - rows * pitch
    chunk = min(depth, (room // h_pitch - slices * rows) // grain.deep * grain.deep)
    at_once = limits.threads // -(-units * across // _neighbours(across))
    readers = max(1, min(blocks * back_slices, at_once, room // (units * d_pitch)))
    if chunk < min(depth, CHUNK) or room < rows * d_pitch:
        return None
    sizes = across, grain.columns, pitch, h_pitch, d_pitch, chunk, slices, back_slices, readers
    return Plan(blocks, groups, columns, *sizes)


def _cycles(
    plan: Plan, gates: int, H: int, N: int, itemsize: int, limits: Limits, grain: Grain
) -> float:
    """About how many a step takes, forward and backward."""
    units = -(-H // plan.blocks)
    rows, h = gates * units, H * plan.across
    at_once = limits.threads * AT_ONCE * _neighbours(plan.across)
    own = -(-units * plan.across // limits.threads)  # numbers of h that a thread makes

    def read(numbers: int) -> float:
        """By a block."""
        return max(READ * -(-numbers // at_once), READ + numbers * itemsize / BYTES)

    def multiply(tiles: int, slices: int, runs: int) -> float:
        """Tiles of so many runs of `deep`, each in slices."""
        jobs = tiles * (plan.across // grain.columns) * slices
        workers = max(1, min(jobs, limits.threads // grain.threads))
        warps = -(-workers * grain.threads // 32)
        return -(-jobs // workers) * (JOB + -(-runs // slices) * grain.cycles(warps))

    forward = multiply(-(-rows // grain.rows), plan.slices, -(-H // grain.deep))
    forward += ADD * own * gates * plan.slices
    if plan.blocks > 1 or plan.chunk < H:
        forward += sum(read(min(plan.chunk, H - k) * plan.across) for k in range(0, H, plan.chunk))
    backward = multiply(-(-H // grain.rows), plan.back_slices, -(-rows // grain.deep))
    backward += (
        read(plan.blocks * plan.back_slices * units * plan.across) + ADD * own * plan.readers
    )
    backward += plan.back_slices * h * itemsize / BYTES
    launches = -(-N // (plan.groups * plan.columns))
    return launches * (2 * MEETING * (plan.blocks > 1) + forward + backward)


def _neighbours(across: int) -> int:
    """Numbers that a thread loads at once."""
    return 4 if across % 4 == 0 else 1
