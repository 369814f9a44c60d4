"""The baseline: recurrent networks as textbooks write them, in plain NumPy.

A batch is rows, (N, T, D). Each step multiplies U and x, and W and h; going back, each step has its own
products for the gradients of the weights; every operation makes a new array. Nothing is done for speed,
and nothing against it. One-hot inputs are multiplied like any others. It shares no code with minirnn,
from which only the initial weights come; a test holds its loss and its gradients to minirnn's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .sizes import Data, Size

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
State = tuple[Array, ...]


def sigmoid(a: Array) -> Array:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-a)))


class Saved(NamedTuple):
    """What a step leaves for its way back."""

    x: Array
    state: State
    new: State
    gates: State


class RNN:
    """h' = tanh(x U + h W + b)."""

    states = 1

    def forward(self, P: Arrays, x: Array, state: State) -> Saved:
        """One step: x (N, D), state (N, H)."""
        (h,) = state
        return Saved(x, state, (np.tanh(x @ P["U"] + h @ P["W"] + P["b"]),), ())

    def backward(self, P: Arrays, s: Saved, dnew: State) -> tuple[Array, State, Arrays]:
        """Gradients of x, of the state, and of the weights."""
        (h,), (h_new,), (dh,) = s.state, s.new, dnew
        da = dh * (1 - h_new**2)
        dP = {"U": s.x.T @ da, "W": h.T @ da, "b": da.sum(axis=0)}
        return da @ P["U"].T, (da @ P["W"].T,), dP


class LSTM:
    """Gates i, f, o, g; c' = f * c + i * g; h' = o * tanh(c')."""

    states = 2

    def forward(self, P: Arrays, x: Array, state: State) -> Saved:
        """One step: x (N, D), state (N, H) each."""
        h, c = state
        a_i, a_f, a_o, a_g = np.split(x @ P["U"] + h @ P["W"] + P["b"], 4, axis=1)
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), np.tanh(a_g)
        c_new = f * c + i * g
        return Saved(x, state, (o * np.tanh(c_new), c_new), (i, f, o, g))

    def backward(self, P: Arrays, s: Saved, dnew: State) -> tuple[Array, State, Arrays]:
        """Gradients of x, of the state, and of the weights."""
        (h, c), (_, c_new), (dh, dc) = s.state, s.new, dnew
        i, f, o, g = s.gates
        y = np.tanh(c_new)
        dc = dc + dh * o * (1 - y**2)
        da_i = dc * g * i * (1 - i)
        da_f = dc * c * f * (1 - f)
        da_o = dh * y * o * (1 - o)
        da_g = dc * i * (1 - g**2)
        da = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
        dP = {"U": s.x.T @ da, "W": h.T @ da, "b": da.sum(axis=0)}
        return da @ P["U"].T, (da @ P["W"].T, dc * f), dP


class GRU:
    """Gates r, z, n, with the reset gate after the product; h' = (1 - z) * n + z * h."""

    states = 1

    def forward(self, P: Arrays, x: Array, state: State) -> Saved:
        """One step: x (N, D), state (N, H)."""
        (h,) = state
        u_r, u_z, u_n = np.split(x @ P["U"] + P["b"], 3, axis=1)
        w_r, w_z, w_n = np.split(h @ P["W"], 3, axis=1)
        r, z, m = sigmoid(u_r + w_r), sigmoid(u_z + w_z), w_n + P["bw"]
        n = np.tanh(u_n + r * m)
        return Saved(x, state, ((1 - z) * n + z * h,), (r, z, m, n))

    def backward(self, P: Arrays, s: Saved, dnew: State) -> tuple[Array, State, Arrays]:
        """Gradients of x, of the state, and of the weights."""
        (h,), (dh,) = s.state, dnew
        r, z, m, n = s.gates
        da_n = dh * (1 - z) * (1 - n**2)
        da_z = dh * (h - n) * z * (1 - z)
        da_r = da_n * m * r * (1 - r)
        du = np.concatenate([da_r, da_z, da_n], axis=1)
        dw = np.concatenate([da_r, da_z, da_n * r], axis=1)
        dP = {"U": s.x.T @ du, "W": h.T @ dw, "b": du.sum(axis=0), "bw": (da_n * r).sum(axis=0)}
        return du @ P["U"].T, (dw @ P["W"].T + dh * z,), dP


CELLS: dict[str, type[RNN | LSTM | GRU]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


class Network:
    """Layers of a cell, and an output layer.

    Args:
        cell: ``"RNN"``, ``"LSTM"`` or ``"GRU"``.
        layers: on top of each other.
        weights: of a `minirnn.Model` of the same size; they are copied, and turned to suit rows.
    """

    def __init__(self, cell: str, layers: int, weights: Mapping[str, Array]) -> None:
        self.cell = CELLS[cell]()
        self.layers = layers
        self.weights: Arrays = {}
        for name, value in weights.items():
            bias = name.rpartition(".")[2].startswith("b")
            self.weights[name] = value.ravel().copy() if bias else value.T.copy()

    def forward(self, x: Array) -> tuple[Array, list[list[Saved]]]:
        """(N, T, D) -> (N, T, H), and what each step of each layer saved."""
        saved = []
        for layer in range(self.layers):
            P = self._layer(layer)
            state: State = (np.zeros((len(x), len(P["W"])), x.dtype),) * self.cell.states
            steps = []
            for t in range(x.shape[1]):
                steps.append(self.cell.forward(P, x[:, t], state))
                state = steps[-1].new
            x = np.stack([step.new[0] for step in steps], axis=1)
            saved.append(steps)
        return x, saved

    def backward(self, saved: list[list[Saved]], dys: Array) -> Arrays:
        """Gradients of the weights of the recurrent layers by name, from that of the output."""
        gradients: Arrays = {}
        for layer in reversed(range(self.layers)):
            P = self._layer(layer)
            dP = {name: np.zeros_like(value) for name, value in P.items()}
            dstate: State = (np.zeros_like(dys[:, 0]),) * self.cell.states
            dxs = []
            for t in reversed(range(dys.shape[1])):
                dstate = (dstate[0] + dys[:, t], *dstate[1:])
                dx, dstate, dP_t = self.cell.backward(P, saved[layer][t], dstate)
                dxs.append(dx)
                for name, gradient in dP_t.items():
                    dP[name] = dP[name] + gradient
            dys = np.stack(dxs[::-1], axis=1)
            gradients |= {f"rnn.l{layer}.{name}": value for name, value in dP.items()}
        return gradients

    def loss(self, x: Array, targets: Array, task: str) -> tuple[float, Arrays]:
        """The loss, and the gradients of all weights by name."""
        V, b = self.weights["out.V"], self.weights["out.b"]
        ys, saved = self.forward(x)
        last = task in ("value", "class")
        h = ys[:, -1] if last else ys.reshape(-1, ys.shape[2])
        scores = h @ V + b
        lost, dscores = (squared_error if task == "value" else cross_entropy)(scores, targets)
        gradients = {"out.V": h.T @ dscores, "out.b": dscores.sum(axis=0)}
        dh = dscores @ V.T
        dys = only_last(dh, x.shape[1]) if last else dh.reshape(ys.shape)
        return lost, gradients | self.backward(saved, dys)

    def _layer(self, layer: int) -> Arrays:
        prefix = f"rnn.l{layer}."
        found = self.weights.items()
        return {n.removeprefix(prefix): value for n, value in found if n.startswith(prefix)}


def only_last(dh: Array, T: int) -> Array:
    """Gradient of the last step (N, H) -> that of all of T steps (N, T, H), zero before."""
    dys = np.zeros((len(dh), T, dh.shape[1]), dh.dtype)
    dys[:, -1] = dh
    return dys


def cross_entropy(scores: Array, targets: Array) -> tuple[float, Array]:
    """Mean negative log-likelihood of targets (M,) under softmax(scores) (M, K), and its gradient."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(targets))
    hot = np.zeros_like(p)
    hot[rows, targets] = 1
    return float(-np.log(p[rows, targets]).mean()), (p - hot) / len(targets)


def squared_error(pred: Array, target: Array) -> tuple[float, Array]:
    """Mean of the squared error, and its gradient."""
    difference = pred - target
    return float((difference**2).mean()), 2 * difference / difference.size


def clip(gradients: Arrays, limit: float) -> Arrays:
    """The gradients, made smaller together if their norm is above the limit."""
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
    share = min(1.0, limit / (float(norm) + 1e-12))
    return {name: g * share for name, g in gradients.items()}


class Adam:
    """Kingma & Ba 2015."""

    def __init__(self, weights: Arrays, lr: float) -> None:
        self.weights, self.lr, self.steps = weights, lr, 0
        self.m = {name: np.zeros_like(value) for name, value in weights.items()}
        self.v = {name: np.zeros_like(value) for name, value in weights.items()}

    def update(self, gradients: Arrays) -> None:
        """Replace every weight."""
        self.steps += 1
        for name, g in gradients.items():
            self.m[name] = 0.9 * self.m[name] + 0.1 * g
            self.v[name] = 0.999 * self.v[name] + 0.001 * g**2
            m = self.m[name] / (1 - 0.9**self.steps)
            v = self.v[name] / (1 - 0.999**self.steps)
            self.weights[name] = self.weights[name] - self.lr * m / (np.sqrt(v) + 1e-8)


def batch_first(size: Size, data: Data) -> tuple[Array, Array, Array]:
    """A batch as rows: x (N, T, D), tokens being one-hot; targets (N·T,) or (N, …); dys (N, T, H)."""
    x, targets, dys = data
    tokens = size.task == "tokens"
    rows = np.eye(size.D, dtype=dys.dtype)[x.T] if tokens else x.transpose(2, 0, 1).copy()
    if size.last:
        return rows, targets.T.copy(), only_last(dys.T, size.T)
    return rows, targets.T.ravel(), dys.transpose(2, 0, 1).copy()
