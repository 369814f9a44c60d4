"""What the compiled loop multiplies: steps of columns by packed weights, and sums over columns.

The operands are those of ``products.py``; `starts` says where blocks begin.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...backend import Array
from .products import LANES, Left, Right, Rows, product

# Parts of 16 rows of packed weights, 4 blocks wide, at a time: 128 KiB, for the second-level cache
PARTS = 32
# Blocks of da at a time in sums over columns: of 512 columns they are 512 KiB, for that cache, too
GROUP = 16


@njit(nogil=True, inline="always")
def project(
    steps: int, M: int, at_once: int, run: int, out: Rows, out_step: int, starts: Array, bias: Array,
    left: Left, left_step: int, packed: Array, depth: int,
) -> None:  # fmt: skip
    """Some steps of M columns of the blocks at `starts`: add a product, to a bias if there is one."""
    for k in range(0, len(starts), run):
        for first in range(k, k + run, at_once):
            width = min(at_once, k + run - first)
            wide = width * LANES
            for part in range(0, len(left.parts), PARTS):
                parts = left.parts[part : part + PARTS]
                place = first * depth * LANES + part * left.depth * wide
                right = Right(packed, place, left.depth * wide, wide, LANES)
                for s in range(steps):
                    start = out.start + starts[first] + s * out_step
                    here = Rows(out.array, start, out.row, out.block)
                    from_bias = len(bias) > 0 and part == 0
                    initial = Rows(bias, first * LANES, 0, LANES) if from_bias else here
                    begin = left.start + s * left_step
                    a = Left(left.array, begin, left.row, parts, left.depth, left.step)
                    product(M, width, here, initial, a, right)


@njit(nogil=True)
def sums_over(steps: int, N: int, a_step: int, z_step: int) -> tuple[Array, int, int, int, int]:
    """How to walk the columns of some steps: parts, columns in one, and distances in both operands."""
    if N == 1:  # the columns of all steps are one part
        return np.zeros(1, np.intp), steps, a_step, z_step, 0
    return np.arange(steps) * a_step, N, LANES, LANES, z_step


@njit(nogil=True, inline="always")
def add_outer(
    steps: int, N: int, at_once: int, da: Array, starts: Array, da_step: int, z: Array, z_start: int,
    z_blocks: int, total: Array,
) -> None:  # fmt: skip
    """Add da zᵀ, the sum over the columns of some steps, to blocks of 16 rows of `total`."""
    z_step = z_blocks * N * LANES
    parts, depth, a_column, z_column, z_part = sums_over(steps, N, da_step, z_step)
    for group in range(0, len(starts), GROUP):
        for k in range(0, z_blocks, at_once):
            right = Right(z, z_start + k * N * LANES, z_part, z_column, N * LANES)
            for j in range(group, min(len(starts), group + GROUP)):
                place = (j * LANES * z_blocks + k) * LANES
                out = Rows(total, place, z_blocks * LANES, LANES)
                left = Left(da, starts[j], 1, parts, depth, a_column)
                product(LANES, min(at_once, z_blocks - k), out, out, left, right)


@njit(nogil=True, inline="always")
def add_up(
    steps: int, N: int, at_once: int, run: int, da: Array, starts: Array, da_step: int, total: Array
) -> None:
    """Add da, summed over the columns of some steps, to `total`: the product with a row of ones."""
    one = np.ones(1, da.dtype)
    parts, depth, _, column, part = sums_over(steps, N, 0, da_step)
    for k in range(0, len(starts), run):
        for first in range(k, k + run, at_once):
            out = Rows(total, first * LANES, 0, LANES)
            left = Left(one, 0, 0, parts, depth, 0)
            right = Right(da, starts[first], part, column, N * LANES)
            product(1, min(at_once, k + run - first), out, out, left, right)
