"""Into and out of the blocks of 16 units that the compiled scan works on; see ``products.py``.

`starts` says where blocks begin. Columns (K, N) are what the rest of the package works on.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ...backend import Array
from .products import LANES


@njit(nogil=True)
def aligned(size: int, like: Array) -> Array:
    """Zeros of the dtype of `like` whose first one begins a cache line, as vectors want it."""
    return from_line(np.zeros(size + LANES, like.dtype))[:size]


@njit(nogil=True)
def from_line(room: Array) -> Array:
    """What is left of `room` from where the first line of the cache begins."""
    return room[-room.ctypes.data % 64 // room.itemsize :]


@njit(nogil=True)
def joined(first: Array, second: Array) -> Array:
    """Two columns (K, 1) as one."""
    K = len(first)
    both = np.empty((K + len(second), 1), first.dtype)
    for k in range(len(both)):  # (to assign a slice takes seconds to compile, for its message)
        both[k, 0] = first[k, 0] if k < K else second[k - K, 0]
    return both


@njit(nogil=True)
def block_starts(first: int, count: int, every: int, groups: int, block: int) -> Array:
    """Of each `every` blocks, where `count` of them begin, from the `first` on."""
    found = np.empty(groups * count, np.intp)
    for k in range(len(found)):
        found[k] = (k // count * every + first + k % count) * block
    return found


@njit(nogil=True)
def to_blocks(columns: Array, blocks: Array, start: int, block: int, add: bool) -> None:
    """Write columns (K, N), with zeros beyond K, or add them."""
    K, N = columns.shape
    for first in range(0, K, LANES):
        place = start + first // LANES * block
        for u in range(LANES):
            at = place + u
            if first + u >= K:
                if not add:
                    for n in range(N):
                        blocks[at + n * LANES] = 0
                continue
            row = columns[first + u]
            if add:
                for n in range(N):
                    blocks[at + n * LANES] += row[n]
            else:
                for n in range(N):
                    blocks[at + n * LANES] = row[n]


@njit(nogil=True)
def from_blocks(blocks: Array, start: int, block: int, columns: Array) -> None:
    """Fill columns (K, N)."""
    K, N = columns.shape
    for first in range(0, K, LANES):
        place = start + first // LANES * block
        for u in range(min(LANES, K - first)):
            row = columns[first + u]
            for n in range(N):
                row[n] = blocks[place + n * LANES + u]


@njit(nogil=True)
def clear_padding(blocks: Array, start: int, H: int, N: int) -> None:
    """Set to 0 what is beyond unit H: 0 from finite numbers anyway, but 0 times infinity is none."""
    lanes = H % LANES
    if lanes:
        start += H // LANES * N * LANES
        for n in range(N):
            for u in range(start + n * LANES + lanes, start + (n + 1) * LANES):
                blocks[u] = 0


@njit(nogil=True)
def copy_where(
    padding: Array, target: Array, t_start: int, source: Array, s_start: int, starts: Array
) -> None:
    """Copy the columns for which `padding` (N,) is true; from an empty source, zeros."""
    for n in range(len(padding)):
        if padding[n]:
            for k in range(len(starts)):
                at = starts[k] + n * LANES
                for u in range(at, at + LANES):
                    target[t_start + u] = source[s_start + u] if len(source) else 0


@njit(nogil=True)
def repeat(row: Array, blocks: Array, starts: Array, count: int) -> None:
    """Fill each block with `count` times 16 numbers of `row`."""
    for k in range(len(starts)):
        for n in range(count):
            at = starts[k] + n * LANES
            for u in range(LANES):
                blocks[at + u] = row[k * LANES + u]


@njit(nogil=True)
def pick(
    tokens: Array, packed: Array, depth: int, bias: Array, blocks: Array, starts: Array, step: int
) -> None:
    """U x + b for tokens (S, N): picked from U in blocks that have been packed one at a time.

    The blocks of a step are `step` from those of the next.
    """
    N = tokens.shape[1]
    for k in range(len(starts)):
        row = bias[k * LANES : (k + 1) * LANES]
        for t in range(len(tokens)):
            for n in range(N):
                at = starts[k] + t * step + n * LANES
                column = (k * depth + tokens[t, n]) * LANES
                for u in range(LANES):
                    blocks[at + u] = row[u] + packed[column + u]


@njit(nogil=True)
def add_by_token(
    tokens: Array, blocks: Array, starts: Array, step: int, depth: int, total: Array
) -> None:
    """Add each column of the blocks to that of its token: the transpose of `pick`."""
    N = tokens.shape[1]
    for k in range(len(starts)):
        for t in range(len(tokens)):
            for n in range(N):
                at = starts[k] + t * step + n * LANES
                column = (k * depth + tokens[t, n]) * LANES
                for u in range(LANES):
                    total[column + u] += blocks[at + u]


@njit(nogil=True)
def pack_rows(
    M: Array, gates: Array, H: int, depth: int, run: int, at_once: int, packed: Array
) -> None:
    """Fill the right operand of ``M z``: rows of M (G·H, K) as blocks, K padded to `depth` as k.

    Blocks are in the order: `gates` of the first 16 units, then of the next. They lie beside each
    other in groups of `at_once`, of which none reaches beyond a run of `run` blocks.
    """
    K, total = M.shape[1], (H + LANES - 1) // LANES * len(gates)
    packed[:] = 0
    for block in range(total):
        lane = block % run % at_once
        width = min(at_once, run - (block % run - lane))
        place = ((block - lane) * depth + lane) * LANES
        unit = block // len(gates) * LANES
        row, lanes = gates[block % len(gates)] * H + unit, min(LANES, H - unit)
        if row < 0:  # a block that has no rows
            continue
        for first in range(0, K, LANES):
            for u in range(lanes):
                for k in range(first, min(K, first + LANES)):
                    packed[place + k * width * LANES + u] = M[row + u, k]


@njit(nogil=True)
def pack_columns(M: Array, gates: Array, H: int, at_once: int, packed: Array) -> None:
    """Fill the right operand of ``Mᵀ z``: columns of M (G·H, K) as blocks, its rows as k.

    The rows are in the order of `pack_rows`, the blocks in groups of `at_once`.
    """
    K, depth = M.shape[1], (H + LANES - 1) // LANES * len(gates) * LANES
    total = (K + LANES - 1) // LANES
    packed[:] = 0
    for k in range(depth):
        unit = k // LANES // len(gates) * LANES + k % LANES
        if unit < H:
            row = gates[k // LANES % len(gates)] * H + unit
            for block in range(total):
                lane = block % at_once
                width = min(at_once, total - (block - lane))
                place = ((block - lane) * depth + k * width + lane) * LANES
                for u in range(min(LANES, K - block * LANES)):
                    packed[place + u] = M[row, block * LANES + u]


@njit(nogil=True)
def unpack_rows(
    total: Array, gates: Array, H: int, depth: int, lane: int, column: int, M: Array
) -> None:
    """Fill M (G·H, K) from blocks of rows: [k, u] of a block is at ``k·column + u·lane``."""
    for block in range((H + LANES - 1) // LANES * len(gates)):
        unit = block // len(gates) * LANES
        if gates[block % len(gates)] < 0:
            continue
        for u in range(min(LANES, H - unit)):
            row = M[gates[block % len(gates)] * H + unit + u]
            at = block * depth * LANES + u * lane
            for k in range(M.shape[1]):
                row[k] = total[at + k * column]
