"""Functions of many kinds with their gradients, and the errors that are planted in these.

Each function is ``f(x, w) -> loss`` of two arrays of which `gradients` gives both gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
T, H = 4, 3


@dataclass(frozen=True)
class Function:
    """A loss of x (4, 3) and w (3, 3), and its gradients by both, written by hand."""

    name: str
    loss: Callable[[Array, Array], Any]
    gradients: Callable[[Array, Array], tuple[Array, Array]]
    scale: Any = 1.0  # of x: a number, or one for each column
    of_w: bool = True  # whether it changes with w


def _of_product(f: Any, df: Any) -> tuple[Any, Any]:
    """Σ f(x w) and its gradients."""

    def gradients(x: Array, w: Array) -> tuple[Array, Array]:
        d = df(x @ w)
        return d @ w.T, x.T @ d

    return lambda x, w: f(x @ w).sum(), gradients


def _states(x: Array, w: Array, buffer: Any) -> Array:
    states: Array = buffer((T + 1, H), x, w)
    for t in range(T):
        states[t + 1] = np.tanh(x[t] + states[t] @ w)
    return states


def _recurrent(buffer: Any) -> tuple[Any, Any]:
    """Σ h² of a network with its states in a buffer, real or of x's own kind."""

    def gradients(x: Array, w: Array) -> tuple[Array, Array]:
        h, dx, dw, dh = _states(x, w, buffer), np.zeros_like(x), np.zeros_like(w), np.zeros(H)
        for t in reversed(range(T)):
            dx[t] = (dh + 2 * h[t + 1]) * (1 - h[t + 1] ** 2)
            dw += np.outer(h[t], dx[t])
            dh = w @ dx[t]
        return dx, dw

    return lambda x, w: (_states(x, w, buffer) ** 2).sum(), gradients


def _softmax(x: Array, w: Array) -> tuple[Array, Array]:
    scores = x @ w
    p = np.exp(scores - scores.real.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True), np.arange(T) % H


def _cross_entropy(x: Array, w: Array) -> Any:
    p, targets = _softmax(x, w)
    return -np.log(p[np.arange(T), targets]).mean()


def _cross_entropy_gradients(x: Array, w: Array) -> tuple[Array, Array]:
    p, targets = _softmax(x, w)
    d = p.copy()
    d[np.arange(T), targets] -= 1
    d /= T
    return d @ w.T, x.T @ d


def _shifted_gradients(x: Array, w: Array, more: Any = 0.0) -> tuple[Array, Array]:
    dx = _cross_entropy_gradients(x + w[0, 0], np.eye(H))[0] + more
    dw = np.zeros_like(w)
    dw[0, 0] = _cross_entropy_gradients(x + w[0, 0], np.eye(H))[0].sum()  # 0 but for rounding
    return dx, dw


def _norm_gradients(x: Array, w: Array) -> tuple[Array, Array]:
    d = x @ w / np.linalg.norm(x @ w)
    return d @ w.T, x.T @ d


def _power_gradients(x: Array, w: Array) -> tuple[Array, Array]:
    spectrum = np.fft.fft(x, axis=0)
    return 2 * T * np.fft.ifft(spectrum, axis=0).real + np.sign(w).sum() * 0, np.sign(w)


def _clipped(a: Array) -> Array:
    return np.where(a.real > 0.3, 0.3, a)


def _real_buffer(shape: Any, x: Array, w: Array) -> Array:
    return np.zeros(shape)


def _own_buffer(shape: Any, x: Array, w: Array) -> Array:
    return np.zeros(shape, np.result_type(x, w))


WIDE = np.array([1e5, 1.0, 1e-5])
# fmt: off
FUNCTIONS = (
    Function("tanh", *_of_product(np.tanh, lambda a: 1 - np.tanh(a) ** 2)),
    Function("exp of a small one", *_of_product(lambda a: np.exp(a / 3), lambda a: np.exp(a / 3) / 3)),
    Function("product and a constant", *_of_product(lambda a: 1e7 + a * a, lambda a: 2 * a)),
    Function("tiny", *_of_product(lambda a: 1e-9 * a**3, lambda a: 3e-9 * a * a)),
    Function("relu", *_of_product(lambda a: np.where(a.real > 0, a, 0), lambda a: (a > 0) * 1.0)),
    Function("maximum", *_of_product(
        lambda a: np.maximum(a, 0.1 * a), lambda a: np.where(a > 0, 1, 0.1))),
    Function("cross-entropy", _cross_entropy, _cross_entropy_gradients),
    Function("squares, badly scaled", lambda x, w: (x * x @ w).sum(), lambda x, w: (
        2 * x * w.sum(axis=1), np.repeat((x * x).sum(axis=0)[:, None], H, axis=1)), WIDE),
    Function("sine, badly scaled", lambda x, w: (np.sin(x / WIDE) @ w).sum(), lambda x, w: (
        np.cos(x / WIDE) / WIDE * w.sum(axis=1),
        np.repeat(np.sin(x / WIDE).sum(axis=0)[:, None], H, axis=1)), WIDE),
    Function("abs", *_of_product(lambda a: abs(a) + a * a, lambda a: np.sign(a) + 2 * a)),
    Function("abs, badly scaled", lambda x, w: (abs(x) @ w + (x * x) @ w / 1e5).sum(), lambda x, w: (
        (np.sign(x) + 2e-5 * x) * w.sum(axis=1),
        np.repeat((abs(x) + x * x / 1e5).sum(axis=0)[:, None], H, axis=1)), WIDE),
    Function("norm", lambda x, w: np.linalg.norm(x @ w), _norm_gradients),
    Function("vdot", lambda x, w: np.vdot(x @ w, x @ w).real, _of_product(None, lambda a: 2 * a)[1]),
    Function("conj", *_of_product(lambda a: (np.conj(a) * a).real, lambda a: 2 * a)),
    Function("real part", *_of_product(lambda a: a.real * a, lambda a: 2 * a)),
    Function("part is real", *_of_product(lambda a: a * a + np.tanh(a.real), lambda a: (
        2 * a + 1 - np.tanh(a) ** 2))),
    Function("cast", *_of_product(lambda a: a.astype(float) ** 2 + a, lambda a: 2 * a + 1)),
    Function("clipped", *_of_product(_clipped, lambda a: (a <= 0.3) * 1.0)),
    Function("spectrum", lambda x, w: (abs(np.fft.fft(x, axis=0)) ** 2).sum() + abs(w).sum(),
        _power_gradients),
    Function("recurrent", *_recurrent(_own_buffer)),
    Function("recurrent, real states", *_recurrent(_real_buffer)),
    Function("sqrt of a square", *_of_product(
        lambda a: np.sqrt(a * a + 1), lambda a: a / np.sqrt(a * a + 1))),
    Function("cast to float32", *_of_product(
        lambda a: a.astype(np.float32) ** 2 + a.real, lambda a: 2 * a + 1)),
    Function("compared", *_of_product(
        lambda a: np.where(a > 0.3, 3 * a, a * a), lambda a: np.where(a > 0.3, 3, 2 * a))),
    Function("shift that softmax ignores", lambda x, w: _cross_entropy(x + w[0, 0], np.eye(H)),
        _shifted_gradients, of_w=False),
    Function("the same and abs", lambda x, w: _cross_entropy(x + w[0, 0], np.eye(H)) + abs(x).sum(),
        lambda x, w: _shifted_gradients(x, w, np.sign(x)), of_w=False),
    Function("large and small", lambda x, w: (x * x).sum() + abs(w).sum(), lambda x, w: (
        2 * x, np.sign(w)), 1e4),
    Function("median", lambda x, w: np.median(x @ w) + (x * x).sum(), lambda x, w: _median(x, w)),
)
# fmt: on


def _median(x: Array, w: Array) -> tuple[Array, Array]:
    a = x @ w
    d = np.zeros_like(a)
    d.flat[np.argsort(a, axis=None)[[a.size // 2 - 1, a.size // 2]]] = 0.5
    return d @ w.T + 2 * x, x.T @ d


def _one(change: Callable[[Array, tuple[int, int]], None]) -> Callable[[Array, Any], Array]:
    """An error in one element, drawn, whose gradient is not zero."""

    def planted(g: Array, random: np.random.Generator) -> Array:
        g = g.copy()
        places = np.argwhere(np.abs(g) > 0)
        i, j = places[random.integers(len(places))]
        change(g, (i, j))
        return g

    return planted


def _set(g: Array, place: Any, value: Any) -> None:
    g[place] = value


# Each takes a gradient, and a generator for where to be wrong.
ERRORS: dict[str, Callable[[Array, Any], Array]] = {
    "zero": lambda g, random: 0 * g,
    "sign": lambda g, random: -g,
    "factor": lambda g, random: g * 2,
    "a thousandth": lambda g, random: g * 1.001,
    "averaged": lambda g, random: g / T,
    "turned": lambda g, random: g[::-1].copy(),
    "shifted": lambda g, random: np.roll(g, 1, axis=0),
    "columns": lambda g, random: g[:, [1, 0, 2]],
    "one is zero": _one(lambda g, at: _set(g, at, 0)),
    "one has the wrong sign": _one(lambda g, at: _set(g, at, -g[at])),
    "one is half": _one(lambda g, at: _set(g, at, g[at] / 2)),
    "one is not finite": _one(lambda g, at: _set(g, at, np.nan)),
}


def pairs(
    seed: int, dtype: str, every: int = 1
) -> Iterator[tuple[Function, str, dict[str, Array], Any]]:
    """Every function, right ("") and with each error: the inputs, and backward, which takes them.

    Of the errors it is one in `every`, another one for each function.
    """
    random = np.random.default_rng(seed)
    for n, function in enumerate(FUNCTIONS):
        x = (random.normal(size=(T, H)) * function.scale).astype(dtype)
        w = random.normal(size=(H, H)).astype(dtype)
        for k, error in enumerate(["", *ERRORS]):
            if error and (k + n) % every:
                continue
            spoiled = ("x", "w")[k % 2 * function.of_w]

            def backward(
                saved: Any,
                function: Function = function,
                error: str = error,
                spoiled: str = spoiled,
                seed: int = int(random.integers(1000)),
            ) -> dict[str, Array]:
                gradients = dict(zip(("x", "w"), function.gradients(*saved), strict=True))
                if error:
                    drawn = np.random.default_rng(seed)
                    gradients[spoiled] = ERRORS[error](gradients[spoiled], drawn)
                return gradients

            yield function, error, {"x": x, "w": w}, backward
