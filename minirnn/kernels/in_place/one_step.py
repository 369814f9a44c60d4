"""One step by itself, in place, for `Recurrent.step`: what sampling does for each token.

For a single step of one sequence it is the number of NumPy calls that counts, and that each product
reads its weights where they are: putting them together as ``scan.py`` does would take longer than
the step. Equation numbers are those of ``cells.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import Array, State
from ...cells import Arrays, GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from ...tokens import OneHotColumns
from .steps import half_plus_half, relu

multiply, tanh = np.multiply, np.tanh


def rnn_step(cell: RNNCell, P: Arrays, x: Any, state: State) -> State:
    """Equations (1.1) and (1.2)."""
    h = _pre_activations(P, x, *state)
    _squash(cell, h)
    return (h,)


def lstm_step(cell: LSTMCell, P: Arrays, x: Any, state: State) -> State:
    """Equations (2.1) to (2.7)."""
    h, c = state
    a, H = _pre_activations(P, x, h), len(h)
    g = a[3 * H :]
    _logistic(a[: 3 * H])
    _squash(cell, g)
    c = a[H : 2 * H] * c
    g *= a[:H]
    c += g
    h = c.copy()
    _squash(cell, h)
    h *= a[2 * H : 3 * H]
    return h, c


def gru_step(cell: GRUCell, P: Arrays, x: Any, state: State) -> State:
    """Equations (3.1) to (3.7)."""
    (h,) = state
    H = len(h)
    u, w = _input_part(P["U"], x), P["W"].dot(h)
    u += P["b"]
    rz, n, m = u[: 2 * H], u[2 * H :], w[2 * H :]
    rz += w[: 2 * H]
    _logistic(rz)
    m += P["bw"]
    m *= rz[:H]
    n += m
    return (_mixed(rz[H:], n, h),)


def gru_reset_before_step(cell: GRUResetBeforeCell, P: Arrays, x: Any, state: State) -> State:
    """Equations (4.1) to (4.6)."""
    (h,), W = state, P["W"]
    H = len(h)
    u = _input_part(P["U"], x)
    u += P["b"]
    rz, n = u[: 2 * H], u[2 * H :]
    rz += W[: 2 * H].dot(h)
    _logistic(rz)
    n += W[2 * H :].dot(rz[:H] * h)
    return (_mixed(rz[H:], n, h),)


def _input_part(U: Array, x: Any) -> Array:
    """U x. (For a few columns, `dot` is quicker to start than @.)"""
    return U @ x if isinstance(x, OneHotColumns) else U.dot(x)


def _pre_activations(P: Arrays, x: Any, h: Array) -> Array:
    """U x + W h + b."""
    a = _input_part(P["U"], x)
    a += P["W"].dot(h)
    a += P["b"]
    return a


def _logistic(a: Array) -> None:
    """σ(a) in place of a."""
    multiply(a, 0.5, out=a)
    tanh(a, out=a)
    half_plus_half(a)


def _squash(cell: RNNCell | LSTMCell, a: Array) -> None:
    """The cell's tanh or relu in place of a."""
    (tanh if cell.act.name == "tanh" else relu)(a, out=a)


def _mixed(z: Array, n: Array, h: Array) -> Array:
    """(3.6), (3.7) and (4.5), (4.6), from the pre-activation of n: h' = n + z * (h - n)."""
    tanh(n, out=n)
    h_new: Array = h - n
    h_new *= z
    h_new += n
    return h_new
