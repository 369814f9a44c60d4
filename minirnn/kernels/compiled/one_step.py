"""One step of one sequence, compiled; ``one_step.py`` does it for more columns, and complex numbers.

With one column, a product is a loop that reads the matrix once, as fast as BLAS does, and the gates
follow in the same call. Each layer is a call, which reads and writes its part of the state in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ...backend import Array
from .blocks import joined
from .runs import call
from .steps import IN_LINE

# Sums may be taken in any order, so that they run on vectors. The compiler chooses the order, and there
# may be no second copy of them, in which it chose another (see ``steps.py``): hence "inline".
SUMS: dict[str, Any] = {**IN_LINE, "fastmath": {"contract", "reassoc"}}


@njit(**SUMS, inline="always")
def _add_product(out: Array, W: Array, h: Array) -> None:
    """out += W h."""
    for k in range(len(out)):
        total = out[k]
        for j in range(len(h)):
            total += W[k, j] * h[j]
        out[k] = total


@njit(**SUMS)
def step(
    address: int, width: int, blocks: Array, letters: Array, P: Any, layer: int, token: int, x: Array,
    hs: Array, others: Array, new: Array,
) -> None:  # fmt: skip
    """One layer: its part of the new state (states, layers, H, 1), from `token`, or x (D, 1).

    The old state is hs (layers, H, 1) and the `others`, if there are any. A layer above the first reads
    what the one below has written, and x if `token` is negative. For `width` and `letters` see
    `CompiledCell`; `blocks` has a row (u, w, bias) for each block.
    """
    U, W, _, _ = P
    rows = joined(P[2], P[3])
    states, layers, H, _ = new.shape
    h, after = hs.reshape((layers, H))[layer], new.reshape((states, layers, H))
    below = after[0, layer - 1] if layer else x.reshape(x.size)
    gates = np.zeros((max(1, width), H), U.dtype)
    if not width:
        gates = after[0, layer : layer + 1]
    for k in range(len(blocks)):
        u, w, bias = blocks[k]
        a = gates[k]
        for j in range(H):
            a[j] = rows[bias * H + j, 0] if bias >= 0 else 0
        if u >= 0 and (layer or token < 0):
            _add_product(a, U[u * H : (u + 1) * H], below)
        elif u >= 0:
            for j in range(H):
                a[j] += U[u * H + j, token]
        if w >= 0:
            _add_product(a, W[w * H : (w + 1) * H], h)
    table = np.empty(width + 2 * states + len(letters), np.intp)
    for k in range(width):
        table[k] = gates[k].ctypes.data
    for s in range(states):
        table[width + s] = others[s - 1, layer].ctypes.data if s else h.ctypes.data
        table[width + states + s] = after[s, layer].ctypes.data
    for k in range(len(letters)):
        table[width + 2 * states + k] = rows[letters[k] * H :].ctypes.data
    call(address, table, H, (gates, rows))
