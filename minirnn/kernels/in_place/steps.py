"""One step of the RNN and the LSTM in place: the arithmetic of ``cells.py`` in few passes.

The logistic function is a tanh, ``σ(a) = ½ tanh(½ a) + ½``, so one call of tanh does all the gates of a
step; the inner ½ is folded into the rows of the weights, once per sequence. Equation numbers are those
of ``cells.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...backend import Array
from ...cells import LSTMCell, RNNCell
from .scan import NumpySaved

add, matmul, multiply, subtract, tanh = np.add, np.matmul, np.multiply, np.subtract, np.tanh


def half_plus_half(s: Array) -> None:
    """½ s + ½ in place of s: what makes a logistic function of a tanh."""
    multiply(s, 0.5, out=s)
    add(s, 0.5, out=s)


def relu(a: Array, out: Array) -> None:
    """max(a, 0)."""
    np.maximum(a, 0, out=out)


def tanh_slope(y: Array, out: Array) -> None:
    """1 - y²: the derivative of y = tanh(a)."""
    multiply(y, y, out=out)
    subtract(1, out, out=out)


def sigmoid_slope(y: Array, out: Array) -> None:
    """y (1 - y): the derivative of y = σ(a)."""
    subtract(1, y, out=out)
    multiply(y, out, out=out)


def relu_slope(y: Array, out: Array) -> None:
    """1 where y > 0, else 0: the derivative of y = max(a, 0)."""
    np.greater(y, 0, out=out)


class OneProduct:
    """What RNN and LSTM share: tanh or relu, and one product [W b U] [h; 1; x] for all gates."""

    rows: int

    def __init__(self, cell: RNNCell | LSTMCell) -> None:
        self.is_tanh = cell.act.name == "tanh"
        self.squash = tanh if self.is_tanh else relu
        self.slope = tanh_slope if self.is_tanh else relu_slope

    def products(self, s: NumpySaved) -> list[tuple[slice, slice]]:
        """All of dA with all of Z."""
        return [(slice(0, self.rows * s.H), slice(0, s.Z.shape[1]))]

    def gradients(self, s: NumpySaved, totals: list[Array]) -> dict[str, Array]:
        """Cut [dW db dU] apart."""
        H, M = s.H, totals[0]
        return {"U": M[:, H + 1 :], "W": M[:, :H], "b": M[:, H : H + 1]}


class RNNSteps(OneProduct):
    """`RNNCell`: the product goes straight to where h' belongs, and is squashed there."""

    gate_rows = 0
    rows = 1
    input_rows = slice(0, 1)

    def forward(self, s: NumpySaved) -> Callable[[int], None]:
        """Equations (1.1) and (1.2)."""
        Z, h, squash = list(s.Z), list(s.states[0]), self.squash
        s.pick_columns(s.states[0][1:])
        product = s.product(s.weights())

        def step(t: int) -> None:
            h_new = h[t + 1]
            product(Z[t], h_new)
            squash(h_new, out=h_new)

        return step

    def backward(self, s: NumpySaved, dstate: list[Array]) -> Callable[[int, Array], None]:
        """Equations (1.2') and the recurrent part of (1.1')."""
        h, slope = s.states[0], self.slope
        WT = np.ascontiguousarray(s.P["W"].T)
        (dh,) = dstate

        def step(t: int, da: Array) -> None:
            slope(h[t + 1], da)
            multiply(dh, da, out=da)
            matmul(WT, da, out=dh)

        return step


class LSTMSteps(OneProduct):
    """`LSTMCell`: rows i, f, o, g of one array, the three logistic gates one block of it."""

    gate_rows = 4
    rows = 4
    input_rows = slice(0, 4)

    def forward(self, s: NumpySaved) -> Callable[[int], None]:
        """Equations (2.1) to (2.7)."""
        H, gates, is_tanh, squash = s.H, s.gates, self.is_tanh, self.squash
        Z, h, c = list(s.Z), list(s.states[0]), list(s.states[1])
        s.pick_columns(gates)
        M = s.weights()
        M[: 3 * H] *= 0.5
        if s.tokens is not None:
            gates[:, : 3 * H] *= 0.5
        product = s.product(M)
        s.names = {name: gates[:, k * H : (k + 1) * H] for k, name in enumerate("ifog")}
        work = np.empty((H, s.Z.shape[2]), s.Z.dtype)

        def step(t: int) -> None:
            a = gates[t]
            sigmoids, i, f, o, g = a[: 3 * H], a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            product(Z[t], a)
            if is_tanh:
                tanh(a, out=a)
            else:
                tanh(sigmoids, out=sigmoids)
                relu(g, out=g)
            half_plus_half(sigmoids)
            c_new = c[t + 1]
            multiply(f, c[t], out=c_new)
            multiply(i, g, out=work)
            add(c_new, work, out=c_new)
            squash(c_new, out=work)
            multiply(o, work, out=h[t + 1])

        return step

    def backward(self, s: NumpySaved, dstate: list[Array]) -> Callable[[int, Array], None]:
        """Equations (2.7') to (2.2') and the recurrent part of (2.1').

        σ' = σ (1 - σ), and the first σ is in a product that is needed anyway: dc·i is dg, dc·f is the
        dc of the step before, and dh·o is on its way through act(c).
        """
        H, squash, slope = s.H, self.squash, self.slope
        gates, c = s.gates, s.states[1]
        WT = np.ascontiguousarray(s.P["W"].T)
        dh, dc = dstate
        rest = np.empty((3 * H, dh.shape[1]), dh.dtype)
        y = np.empty_like(dh)  # act(c), then the slopes

        def step(t: int, da: Array) -> None:
            a = gates[t]
            sigmoids, i, f, o, g = a[: 3 * H], a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            da_ifo, da_i, da_f = da[: 3 * H], da[:H], da[H : 2 * H]
            da_o, da_g = da[2 * H : 3 * H], da[3 * H :]
            squash(c[t + 1], out=y)
            multiply(dh, o, out=dh)
            multiply(dh, y, out=da_o)
            slope(y, y)
            multiply(dh, y, out=dh)
            add(dc, dh, out=dc)
            multiply(dc, i, out=da_g)
            multiply(da_g, g, out=da_i)
            multiply(dc, f, out=dc)
            multiply(dc, c[t], out=da_f)
            subtract(1, sigmoids, out=rest)
            multiply(da_ifo, rest, out=da_ifo)
            slope(g, y)
            multiply(da_g, y, out=da_g)
            matmul(WT, da, out=dh)

        return step
