"""The equations.

One class per cell: one step forward, one step backward, one line per equation. Everything is a column,
and a batch is columns side by side:

    x (D, N)   h, c (H, N)   U (G·H, D)   W (G·H, H)   b (G·H, 1)        G gates, stacked as rows

``backward`` reads the forward lines from the last to the first. ``dh`` always means the gradient
of the loss with respect to ``h``; a number with a prime, (2.7'), marks the derivative of (2.7).
The loop over time is in ``scan.py``; nothing here knows about it.

Sources: RNN, Elman 1990, "Finding structure in time". LSTM, Hochreiter & Schmidhuber 1997, with the
forget gate of Gers et al. 2000. GRU, Cho et al. 2014 (arXiv:1406.1078): there, in PyTorch and in
cuDNN h' = (1 - z) * n + z * h; Chung et al. 2014 and others swap z and 1 - z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from .backend import Array, State, sigmoid, split_rows, stack_rows, tanh
from .nonlinearity import nonlinearity

Arrays: TypeAlias = Mapping[str, Array]  # by name: parameters, their gradients, or gates


class Cell(Protocol):
    """What a cell is. A new one needs nothing beyond this to run, train and be checked.

    It writes to no array that it is given: ``dc = dc + …``, and not ``dc += …``.
    """

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The row blocks of U, W and b, in their order."""

    @property
    def states(self) -> tuple[str, ...]:
        """``("h",)`` or ``("h", "c")``: h comes first, and is the output."""

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, int]]:
        """Name and shape of each parameter, for D inputs and H units; "b…" is a bias."""

    def forward(self, P: Arrays, x: Array, state: State) -> tuple[State, Arrays]:
        """One step: the parameters P by name, x (D, N) and the state before it, each part (H, N).

        Returns:
            The new state, each part (H, N), and the gates (H, N) by name.
        """

    def backward(
        self, P: Arrays, x: Array, state: State, new: State, gates: Arrays, dnew: State
    ) -> tuple[Array, State, Arrays]:
        """One step back, from what forward took (P, x, state) and gave (new, gates).

        Args:
            P, x, state, new, gates: as in `forward`.
            dnew: gradient of the loss with respect to `new`, each part (H, N).

        Returns:
            dx (D, N), the gradient of the state before, each part (H, N), and dP in the shapes of P.
        """


class RNNCell:
    """The plain recurrent cell, h' = act(U x + W h + b); `activation` is ``"tanh"`` or ``"relu"``.

    Raises:
        ValueError: another activation.
    """

    gates = ("h",)
    states = ("h",)

    def __init__(self, activation: str = "tanh") -> None:
        self.act = nonlinearity(activation, ("tanh", "relu"))
        self.name = f"RNN({activation})"

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, int]]:
        return {"U": (H, D), "W": (H, H), "b": (H, 1)}

    def forward(self, P: Arrays, x: Array, state: State) -> tuple[State, Arrays]:
        U, W, b = P["U"], P["W"], P["b"]
        (h,) = state
        a = U @ x + W @ h + b  # (1.1)
        h_new = self.act.f(a)  # (1.2)
        return (h_new,), {}

    def backward(
        self, P: Arrays, x: Array, state: State, new: State, gates: Arrays, dnew: State
    ) -> tuple[Array, State, Arrays]:
        U, W = P["U"], P["W"]
        (h,), (h_new,), (dh_new,) = state, new, dnew
        da = dh_new * self.act.df(h_new)  # (1.2')
        dU = da @ x.T  # (1.1')
        dW = da @ h.T
        db = da.sum(axis=1, keepdims=True)
        dx = U.T @ da
        dh = W.T @ da
        return dx, (dh,), {"U": dU, "W": dW, "b": db}


class LSTMCell:
    """Long short-term memory: input, forget and output gates around a cell state c.

    `activation`, ``"tanh"`` or ``"relu"``, takes both places of tanh.

    Raises:
        ValueError: another activation.
    """

    gates = ("i", "f", "o", "g")
    states = ("h", "c")

    def __init__(self, activation: str = "tanh") -> None:
        self.act = nonlinearity(activation, ("tanh", "relu"))
        self.name = f"LSTM({activation})"

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, int]]:
        return {"U": (4 * H, D), "W": (4 * H, H), "b": (4 * H, 1)}

    def forward(self, P: Arrays, x: Array, state: State) -> tuple[State, Arrays]:
        U, W, b = P["U"], P["W"], P["b"]
        h, c = state
        a_i, a_f, a_o, a_g = split_rows(U @ x + W @ h + b, 4)  # (2.1)
        i = sigmoid(a_i)  # (2.2)  how much of g to write
        f = sigmoid(a_f)  # (2.3)  how much of c to keep
        o = sigmoid(a_o)  # (2.4)  how much of c to show
        g = self.act.f(a_g)  # (2.5)  what to write
        c_new = f * c + i * g  # (2.6)
        h_new = o * self.act.f(c_new)  # (2.7)
        return (h_new, c_new), {"i": i, "f": f, "o": o, "g": g}

    def backward(
        self, P: Arrays, x: Array, state: State, new: State, gates: Arrays, dnew: State
    ) -> tuple[Array, State, Arrays]:
        U, W = P["U"], P["W"]
        (h, c), (_, c_new), (dh_new, dc_new) = state, new, dnew
        i, f, o, g = gates["i"], gates["f"], gates["o"], gates["g"]
        y = self.act.f(c_new)
        do = dh_new * y  # (2.7')
        dc_new = dc_new + dh_new * o * self.act.df(y)
        di = dc_new * g  # (2.6')
        df = dc_new * c
        dg = dc_new * i
        dc = dc_new * f
        da_i = di * i * (1 - i)  # (2.2')
        da_f = df * f * (1 - f)  # (2.3')
        da_o = do * o * (1 - o)  # (2.4')
        da_g = dg * self.act.df(g)  # (2.5')
        da = stack_rows(da_i, da_f, da_o, da_g)  # (2.1')
        dU = da @ x.T
        dW = da @ h.T
        db = da.sum(axis=1, keepdims=True)
        dx = U.T @ da
        dh = W.T @ da
        return dx, (dh, dc), {"U": dU, "W": dW, "b": db}


class GRUCell:
    """Gated recurrent unit with the reset gate after the recurrent product (cuDNN, PyTorch, Keras).

    The bias ``bw`` stands beside ``W_n h``, inside the brackets that r multiplies.
    """

    gates = ("r", "z", "n")
    states = ("h",)
    name = "GRU(reset_after=True)"

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, int]]:
        return {"U": (3 * H, D), "W": (3 * H, H), "b": (3 * H, 1), "bw": (H, 1)}

    def forward(self, P: Arrays, x: Array, state: State) -> tuple[State, Arrays]:
        U, W, b, bw = P["U"], P["W"], P["b"], P["bw"]
        (h,) = state
        u_r, u_z, u_n = split_rows(U @ x + b, 3)  # (3.1)
        w_r, w_z, w_n = split_rows(W @ h, 3)  # (3.2)
        r = sigmoid(u_r + w_r)  # (3.3)  how much of the past n may see
        z = sigmoid(u_z + w_z)  # (3.4)  how much of h to keep
        m = w_n + bw  # (3.5)
        n = tanh(u_n + r * m)  # (3.6)
        h_new = (1 - z) * n + z * h  # (3.7)
        return (h_new,), {"r": r, "z": z, "n": n, "m": m}

    def backward(
        self, P: Arrays, x: Array, state: State, new: State, gates: Arrays, dnew: State
    ) -> tuple[Array, State, Arrays]:
        U, W = P["U"], P["W"]
        (h,), (dh_new,) = state, dnew
        r, z, n, m = gates["r"], gates["z"], gates["n"], gates["m"]
        dz = dh_new * (h - n)  # (3.7')
        dn = dh_new * (1 - z)
        da_n = dn * (1 - n * n)  # (3.6')
        dr = da_n * m
        dm = da_n * r
        dbw = dm.sum(axis=1, keepdims=True)  # (3.5')
        da_z = dz * z * (1 - z)  # (3.4')
        da_r = dr * r * (1 - r)  # (3.3')
        dw = stack_rows(da_r, da_z, dm)  # (3.2')
        dW = dw @ h.T
        dh = W.T @ dw + dh_new * z
        du = stack_rows(da_r, da_z, da_n)  # (3.1')
        dU = du @ x.T
        db = du.sum(axis=1, keepdims=True)
        dx = U.T @ du
        return dx, (dh,), {"U": dU, "W": dW, "b": db, "bw": dbw}


class GRUResetBeforeCell:
    """Gated recurrent unit as first published: the reset gate acts on h, before the product."""

    gates = ("r", "z", "n")
    states = ("h",)
    name = "GRU(reset_after=False)"

    def shapes(self, D: int, H: int) -> dict[str, tuple[int, int]]:
        return {"U": (3 * H, D), "W": (3 * H, H), "b": (3 * H, 1)}

    def forward(self, P: Arrays, x: Array, state: State) -> tuple[State, Arrays]:
        U, W, b = P["U"], P["W"], P["b"]
        (h,) = state
        W_r, W_z, W_n = split_rows(W, 3)
        u_r, u_z, u_n = split_rows(U @ x + b, 3)  # (4.1)
        r = sigmoid(u_r + W_r @ h)  # (4.2)
        z = sigmoid(u_z + W_z @ h)  # (4.3)
        m = r * h  # (4.4)
        n = tanh(u_n + W_n @ m)  # (4.5)
        h_new = (1 - z) * n + z * h  # (4.6)
        return (h_new,), {"r": r, "z": z, "n": n, "m": m}

    def backward(
        self, P: Arrays, x: Array, state: State, new: State, gates: Arrays, dnew: State
    ) -> tuple[Array, State, Arrays]:
        U, W = P["U"], P["W"]
        (h,), (dh_new,) = state, dnew
        r, z, n, m = gates["r"], gates["z"], gates["n"], gates["m"]
        W_r, W_z, W_n = split_rows(W, 3)
        dz = dh_new * (h - n)  # (4.6')
        dn = dh_new * (1 - z)
        da_n = dn * (1 - n * n)  # (4.5')
        dm = W_n.T @ da_n
        dr = dm * h  # (4.4')
        da_z = dz * z * (1 - z)  # (4.3')
        da_r = dr * r * (1 - r)  # (4.2')
        dh = dh_new * z + dm * r + W_z.T @ da_z + W_r.T @ da_r
        dW = stack_rows(da_r @ h.T, da_z @ h.T, da_n @ m.T)
        du = stack_rows(da_r, da_z, da_n)  # (4.1')
        dU = du @ x.T
        db = du.sum(axis=1, keepdims=True)
        dx = U.T @ du
        return dx, (dh,), {"U": dU, "W": dW, "b": db}


# Every cell of the package: the gradient proof, the tests and the benchmarks run over this list.
CELLS: tuple[Cell, ...] = (
    RNNCell("tanh"),
    RNNCell("relu"),
    LSTMCell("tanh"),
    LSTMCell("relu"),
    GRUCell(),
    GRUResetBeforeCell(),
)
KNOWN = {type(cell) for cell in CELLS}
