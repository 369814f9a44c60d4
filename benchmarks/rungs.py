"""One LSTM layer, forward and backward, from the textbook's loop upwards: the rungs of the ladder.

Each rung is a class, and its base is the rung before, so that it shows only what changed. An object is
one call: it takes a `Problem`, and `run` gives the `Result`. The equations are those of
``minirnn/cells.py``. The rungs in place are in ``rungs_in_place.py``.

The layout is columns, (T, rows, N), with ``U @ x[t]``, from `Columns` on. The rungs before it have the
one that most textbooks use, a sequence in a row, (T, N, rows), with ``x[t] @ U``: every array is the
transpose of ours, weights and gradients too.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from .textbook import sigmoid

Array: TypeAlias = np.ndarray[Any, Any]
Gates: TypeAlias = tuple[Array, Array, Array, Array]  # i, f, o, g


class Problem(NamedTuple):
    """What a rung is given."""

    x: Array  # (T, D, N)
    U: Array  # (4H, D)
    W: Array  # (4H, H)
    b: Array  # (4H, 1)
    dys: Array  # (T, H, N), the gradient of the loss with respect to the outputs


class Result(NamedTuple):
    """What it gives. The initial state is zero."""

    ys: Array
    dx: Array
    dU: Array
    dW: Array
    db: Array


Arrays = TypeVar("Arrays", Problem, Result)


def transposed(arrays: Arrays) -> Arrays:
    """From columns to rows, or back."""
    return type(arrays)(*(np.ascontiguousarray(a.swapaxes(-1, -2)) for a in arrays))


def draw(T: int, N: int, D: int, H: int, rng: np.random.Generator, dtype: Any) -> Problem:
    """Return random numbers in columns, with weights within ±1/√H."""
    U, W, b = (rng.uniform(-(H**-0.5), H**-0.5, (4 * H, k)).astype(dtype) for k in (D, H, 1))
    x, dys = (rng.standard_normal((T, k, N)).astype(dtype) for k in (D, H))
    return Problem(x, U, W, b, dys)


class Textbook:
    """The equations as they stand, every step by itself."""

    change = "textbook: all products at each step"
    axis = 1  # along which the gates of a step lie beside one another

    def __init__(self, problem: Problem) -> None:
        self.x, self.U, self.W, self.b, self.dys = problem
        self.T = len(self.x)
        self.zero = np.zeros_like(self.dys[0])  # h and c before the first step
        self.H = self.dys.shape[1 + self.axis]
        self.steps: list[tuple[Array, Array, Array, Gates]] = []  # h, c, the new c, the gates

    def run(self) -> Result:
        """Forward, then backward."""
        self.prepare()
        ys = self.forward()
        return Result(ys, *self.backward())

    def prepare(self) -> None:
        """Make room for the gradients."""
        self.dx = np.empty_like(self.x)
        self.dU, self.dW, self.db = map(np.zeros_like, (self.U, self.W, self.b))

    def forward(self) -> Array:
        """The loop over time."""
        h = c = self.zero
        ys = []
        for t in range(self.T):
            i, f, o, g = gates = self.gates(self.product(t, h))
            c_new = f * c + i * g
            self.steps.append((h, c, c_new, gates))
            h, c = o * np.tanh(c_new), c_new
            ys.append(h)
        return np.stack(ys)

    def product(self, t: int, h: Array) -> Array:
        """The pre-activations of all gates."""
        return np.asarray(self.x[t] @ self.U + h @ self.W + self.b)

    def gates(self, a: Array) -> Gates:
        """From pre-activations to gates, which lie in columns of `a`."""
        H = self.H
        i, f, o = (sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        return i, f, o, np.tanh(a[:, 3 * H :])

    def backward(self) -> tuple[Array, Array, Array, Array]:
        """The loop back through time."""
        dh = dc = self.zero
        for t in reversed(range(self.T)):
            h, c, c_new, (i, f, o, g) = self.steps[t]
            dh = dh + self.dys[t]
            y = np.tanh(c_new)
            dc = dc + dh * o * (1 - y * y)
            da_i, da_f = dc * g * i * (1 - i), dc * c * f * (1 - f)
            da_o, da_g = dh * y * o * (1 - o), dc * i * (1 - g * g)
            dc = dc * f
            dh = self.back(t, h, np.concatenate((da_i, da_f, da_o, da_g), self.axis))
        return self.dx, self.dU, self.dW, self.db

    def back(self, t: int, h: Array, da: Array) -> Array:
        """Add to the gradients of the weights, write dx, and return dh of the step before."""
        self.dU += self.x[t].T @ da
        self.dW += h.T @ da
        self.db += da.sum(0)
        self.dx[t] = da @ self.U.T
        return np.asarray(da @ self.W.T)


class OneInputProduct(Textbook):
    """The inputs are known before the first step: their products need not wait for it."""

    change = "U x of all steps in one product"

    def prepare(self) -> None:
        """The inputs are known before the first step; in rows, all steps are one matrix."""
        super().prepare()
        T, N, D = self.x.shape
        self.A = (self.x.reshape(T * N, D) @ self.U + self.b).reshape(T, N, 4 * self.H)

    def product(self, t: int, h: Array) -> Array:
        """Only W h has to wait for the step before."""
        return np.asarray(self.A[t] + h @ self.W)


class Columns(OneInputProduct):
    """The layout of the rest of minirnn, with the gates of a step on top of one another."""

    change = "columns: a gate is one block of memory"
    axis = 0

    def prepare(self) -> None:
        """One call, but a product for each step: in columns, the steps are not one matrix."""
        Textbook.prepare(self)
        self.A = self.U @ self.x + self.b

    def product(self, t: int, h: Array) -> Array:
        """As the equation is written."""
        return np.asarray(self.A[t] + self.W @ h)

    def gates(self, a: Array) -> Gates:
        """The gates lie in rows of `a`; the three logistic ones are one block."""
        H = self.H
        ifo = sigmoid(a[: 3 * H])
        return ifo[:H], ifo[H : 2 * H], ifo[2 * H :], np.tanh(a[3 * H :])

    def back(self, t: int, h: Array, da: Array) -> Array:
        """The same products, all of them transposed."""
        self.dU += da @ self.x[t].T
        self.dW += da @ h.T
        self.db += da.sum(1, keepdims=True)
        self.dx[t] = self.U.T @ da
        return np.asarray(self.W.T @ da)


class OneProduct(Columns):
    """Weights side by side, and what they multiply on top of one another."""

    change = "U x + W h + b as one product a step"

    def prepare(self) -> None:
        """Weights beside one another, and room for [h; 1; x] of every step."""
        (T, D, N), H = self.x.shape, self.H
        self.M = self.weights()
        self.Z = np.empty((T, H + 1 + D, N), self.x.dtype)
        self.Z[:, H], self.Z[:, H + 1 :] = 1, self.x
        self.dx, self.dM = np.empty_like(self.x), np.zeros_like(self.M)
        self.dU, self.dW, self.db = self.dM[:, H + 1 :], self.dM[:, :H], self.dM[:, H : H + 1]

    def weights(self) -> Array:
        """The matrix [W b U]."""
        return np.concatenate((self.W, self.b, self.U), 1)

    def product(self, t: int, h: Array) -> Array:
        """Put h into its place, and multiply."""
        self.Z[t, : self.H] = h
        return np.asarray(self.M @ self.Z[t])

    def back(self, t: int, h: Array, da: Array) -> Array:
        """The gradient of [W b U] is one product, too."""
        self.dM += da @ self.Z[t].T
        self.dx[t] = self.U.T @ da
        return np.asarray(self.W.T @ da)
