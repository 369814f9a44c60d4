"""Losses: each returns its value and its gradient with respect to the prediction."""

from __future__ import annotations

import math
from typing import Any

from . import checks
from .backend import CPU, Array, array_module, backend_of, on_its_device
from .checks import layout


@on_its_device
def softmax_cross_entropy(
    scores: Array, targets: Array, weights: Array | None = None
) -> tuple[Any, Array]:
    """Negative log-likelihood of the targets under softmax(scores), in nats: Σ w·nll / Σ w.

    Args:
        scores: (T, K, N) or (K, N); not probabilities, as the softmax is taken here.
        targets: integers in [0, K), (T, N) or (N,).
        weights: like `targets`, 0 or more; None is 1 everywhere. Where the weight is 0, neither the
            score nor the target is looked at: this is how padding is left out.

    Returns:
        The loss, a scalar of the array module (0 where all weights are), and its gradient, in the
        shape of `scores`: w · (softmax(scores) - one-hot(target)) / Σ w.

    Raises:
        ValueError: shapes that do not fit; on the host, targets out of range and negative weights. (A
            device would have to be waited for: there, the loss of such a target is infinite.)
        TypeError: targets that are not integers, scores that are not floating-point numbers.
    """
    if not hasattr(scores, "ndim"):
        raise TypeError(
            f"scores: got {type(scores).__name__}, want an array (forward gives a pair)"
        )
    scores = checks.an_array("scores", scores)
    xp = array_module(scores)
    if scores.ndim not in (2, 3):
        raise ValueError(f"scores: got shape {scores.shape}, want (T, K, N) or (K, N)")
    K, shape = scores.shape[-2], (*scores.shape[:-2], scores.shape[-1])
    backend = backend_of(scores)
    targets = checks.on_device("targets", targets, backend)
    if targets.shape != shape:
        of_layout = layout.of_targets("targets", targets.shape, scores.shape)
        raise ValueError(f"targets: got shape {targets.shape}, want {shape}{of_layout}")
    if scores.dtype.kind not in "fc":
        raise TypeError(f"scores: got {scores.dtype}, want floating-point numbers")
    used = None
    w: Any = 1 / max(1, targets.size)
    if weights is not None:
        w, used = _shares(weights, shape, scores)
        scores = xp.where(used[..., None, :], scores, 0)
    targets = checks.tokens("targets", targets, K, used, look=False)
    # The scores may be many: few passes over them, and none by parts, since those of `Linear` do not
    # lie step by step in memory. The gradient lies as they do, also where CuPy would choose otherwise.
    p, top = xp.empty_like(scores), scores.real.max(axis=-2, keepdims=True)
    if backend is CPU:
        steps = () if scores.ndim == 2 else (xp.arange(len(scores))[:, None],)
        of_targets = (*steps, targets, xp.arange(shape[-1]))
        xp.subtract(scores, top, out=p)  # so that no exponential overflows
        hit = p[of_targets]
        xp.exp(p, out=p)
    else:  # CuPy would look elements up, and change them, by some twenty kernels: compare rows instead
        rows, columns = xp.arange(K)[:, None], targets[..., None, :]
        hit = _exponentials(p, scores, top, rows, columns, -math.inf).max(axis=-2)
    total = p.sum(axis=-2)
    loss = _weighted_nll(hit, total, w).sum()
    if backend is CPU:
        p *= (w / total)[..., None, :]
        p[of_targets] -= w
    else:
        w = w if used is None else w[..., None, :]
        _gradient(p, total[..., None, :], w, rows, columns)
    return loss, p


def _over(w: Array, total: Array, least: Any) -> Array:
    return w / array_module(w).maximum(total, least)


def _exponentials(
    p: Array, scores: Array, top: Array, rows: Array, targets: Array, elsewhere: float
) -> Array:
    """Fill p with exp(scores - top). Return its exponent in the row of the target, and `elsewhere`."""
    xp = array_module(p)
    xp.subtract(scores, top, out=p)
    hit = xp.where(rows == targets, p, elsewhere)
    xp.exp(p, out=p)
    return hit


def _weighted_nll(hit: Array, total: Array, w: Any) -> Array:
    """From the exponent of the target, and the sum of all exponentials."""
    return (array_module(total).log(total) - hit) * w


def _gradient(p: Array, total: Array, w: Any, rows: Array, targets: Array) -> None:
    """Take p from exp(score) to the gradient of w·nll."""
    p *= w / total
    p -= (rows == targets).astype(p.dtype) * w


def _shares(weights: Array, shape: tuple[int, ...], like: Array) -> tuple[Array, Array]:
    """w / Σ w, of the real dtype of `like` and where it is, and where w is not 0; zero if all are."""
    xp, real = array_module(like), like.real.dtype
    w = checks.on_device("weights", weights, backend_of(like))
    checks.of_shape("weights", w, shape, lambda: layout.of_weights(w.shape, like.shape))
    wide = xp.result_type(w.dtype, real) if w.dtype.kind == "f" else real
    w = checks.real_numbers("weights", w, wide)
    checks.not_negative("weights", w)
    if w.size:  # to at most 1, so that no sum overflows
        w = _over(w, w.max(), xp.finfo(wide).tiny)
        w = w if wide == real else w.astype(real)
    return _over(w, w.sum(), xp.finfo(real).tiny), w != 0


@on_its_device
def mse(pred: Array, target: Array, weights: Array | None = None) -> tuple[Any, Array]:
    """Mean of the squared error over all elements; with weights, Σ w · (mean over rows) / Σ w.

    Args:
        pred: any shape; with weights (T, K, N) or (K, N), K rows for each step of each sequence,
            or (N,), K being 1.
        target: of the same shape; nothing is broadcast, since (N, 1) against (N,) would silently
            compare everything with everything.
        weights: (T, N) or (N,), 0 or more; None is 1 everywhere. Where the weight is 0, neither the
            prediction nor the target is looked at: this is how padding is left out.

    Returns:
        The loss, a scalar of the array module (0 where all weights are), and its gradient, in the shape
        of `pred`: 2 · (pred - target) / size, or w / Σ w · 2 · (pred - target) / K.

    Raises:
        ValueError: the shapes differ, do not fit, or are empty; on the host, negative weights.
        TypeError: `pred` or `target` is not an array, or not of numbers.
    """
    if not hasattr(pred, "shape"):
        raise TypeError(f"pred: got {type(pred).__name__}, want an array (forward gives a pair)")
    pred = checks.an_array("pred", pred)
    xp = array_module(pred)
    target = checks.on_device("target", target, backend_of(pred))
    if pred.shape != target.shape:
        of_layout = layout.of_target("target", target.shape, pred.shape)
        raise ValueError(
            f"target: got shape {target.shape}, want that of pred, {pred.shape}{of_layout}"
        )
    if target.dtype.kind not in ("fiubc" if pred.dtype.kind == "c" else "fiub"):
        raise TypeError(f"target: got {target.dtype}, want real numbers")
    if not pred.size:
        raise ValueError(f"pred: got shape {pred.shape}, which has no elements to average over")
    if pred.dtype.kind not in "fc":
        pred = pred.astype(xp.result_type(target.dtype, xp.float32))
    if weights is None:
        squares, gradient = _squares(pred, target, pred.size, None, None)
        return squares.mean(), gradient
    if pred.ndim not in (1, 2, 3):
        raise ValueError(f"pred: got shape {pred.shape} with weights, want (T, K, N) or (K, N)")
    K = 1 if pred.ndim == 1 else pred.shape[-2]
    w, used = _shares(weights, (*pred.shape[:-2], pred.shape[-1]), pred)
    if pred.ndim > 1:
        w, used = w[..., None, :], used[..., None, :]
    squares, gradient = _squares(pred, target, K, w, used)
    return squares.sum() / K, gradient


def _squares(
    pred: Array, target: Array, size: int, w: Array | None, used: Array | None
) -> tuple[Array, Array]:
    """The square of each error, and the gradient of their mean."""
    if used is not None:
        where = array_module(pred).where
        pred, target = where(used, pred, 0), where(used, target, 0)
    difference = pred - target.astype(pred.dtype)
    squares, gradient = difference * difference, 2 * difference / size
    return (squares, gradient) if w is None else (squares * w, gradient * w)
