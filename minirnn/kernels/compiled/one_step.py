"""One step of one sequence, compiled; that of ``in_place/`` takes more columns, and complex numbers.

With one column, a product is a loop that reads the matrix once, as fast as BLAS does, and the gates
follow in the same call. Each layer is a call, which reads and writes its part of the state in place.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from ...backend import Array
from .plan import GRU, LSTM
from .steps import IN_LINE, gru_forward, lstm_forward, rnn_forward

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
    kind: int, is_relu: bool, P: Any, layer: int, token: int, x: Array, hs: Array, cs: Array,
    hs_new: Array, cs_new: Array,
) -> None:  # fmt: skip
    """One layer: its part of the new state (layers, H, 1), from `token`, or x (D, 1) if it is negative.

    A layer above the first reads what the one below has written.
    """
    U, W, b, bw = P
    layers, H, _ = hs.shape
    outputs = hs_new.reshape((layers, H))
    h, h_new = hs.reshape((layers, H))[layer], outputs[layer]
    c, c_new = cs.reshape((layers, H))[layer], cs_new.reshape((layers, H))[layer]
    a = b.copy().reshape(b.size)
    if layer:
        _add_product(a, U, outputs[layer - 1])
    elif token < 0:
        _add_product(a, U, x.reshape(x.size))
    else:
        for k in range(len(a)):
            a[k] += U[k, token]
    first, second, third = a[:H], a[H : 2 * H], a[2 * H : 3 * H]
    if kind == GRU:
        m = bw.copy().reshape(H)
        _add_product(a[: 2 * H], W, h)
        _add_product(m, W[2 * H :], h)
        gru_forward(third, first, second, m, h, h_new)
        return
    _add_product(a, W, h)
    if kind == LSTM:
        lstm_forward(is_relu, first, second, third, a[3 * H :], c, c_new, h_new)
    else:
        rnn_forward(is_relu, a)
        h_new[:] = a
