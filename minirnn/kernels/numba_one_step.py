"""One step of one sequence, compiled; ``one_step.py`` does it for more columns, and complex numbers.

With one column, W h is a loop that reads W once, as fast as BLAS does, and the gates follow in the same
call. For the RNN, which has a single gate, that gains nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..backend import Array, State
from ..cells import Arrays, GRUCell, LSTMCell
from . import one_step
from .numba_cache import forget_if_older
from .numba_steps import IN_LINE, gru_forward, lstm_forward

# Sums may be taken in any order, so that they run on vectors.
SUMS: dict[str, Any] = {**IN_LINE, "fastmath": {"contract", "reassoc"}, "cache": True}


def lstm_step(cell: LSTMCell, P: Arrays, x: Any, state: State) -> State:
    """`LSTMCell`."""
    h, c = state
    if h.shape[1] != 1 or h.dtype.kind == "c":
        return one_step.lstm_step(cell, P, x, state)
    u = one_step.input_part(P["U"], x)
    new: State = _lstm(cell.act.name == "relu", u, P["W"], P["b"], h[:, 0], c[:, 0])
    return new


def gru_step(cell: GRUCell, P: Arrays, x: Any, state: State) -> State:
    """`GRUCell`."""
    (h,) = state
    if h.shape[1] != 1 or h.dtype.kind == "c":
        return one_step.gru_step(cell, P, x, state)
    u = one_step.input_part(P["U"], x)
    return (_gru(u, P["W"], P["b"], P["bw"], h[:, 0]),)


@njit(**SUMS)
def _add_product(out: Array, W: Array, h: Array, b: Array) -> None:
    """out += W h + b."""
    for k in range(len(out)):
        total = out[k] + b[k, 0]
        for j in range(len(h)):
            total += W[k, j] * h[j]
        out[k] = total


@njit(**SUMS)
def _lstm(is_relu: bool, u: Array, W: Array, b: Array, h: Array, c: Array) -> tuple[Array, Array]:
    H, a = len(h), u.reshape(u.size)
    _add_product(a, W, h, b)
    h_new, c_new = np.empty((H, 1), u.dtype), np.empty((H, 1), u.dtype)
    i, f, o, g = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
    lstm_forward(is_relu, i, f, o, g, c, c_new.reshape(H), h_new.reshape(H))
    return h_new, c_new


@njit(**SUMS)
def _gru(u: Array, W: Array, b: Array, bw: Array, h: Array) -> Array:
    H, a, m = len(h), u.reshape(u.size), np.zeros(len(h), u.dtype)
    r, z, n = a[:H], a[H : 2 * H], a[2 * H :]
    _add_product(a[: 2 * H], W, h, b)
    _add_product(m, W[2 * H :], h, bw)
    for k in range(H):
        n[k] += b[2 * H + k, 0]
    h_new = np.empty((H, 1), u.dtype)
    gru_forward(n, r, z, m, h, h_new.reshape(H))
    return h_new


forget_if_older(_add_product, _lstm, _gru)
