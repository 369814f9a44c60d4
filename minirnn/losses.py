"""Losses: each returns its value and its gradient with respect to the prediction."""

from __future__ import annotations

from typing import Any

from . import checks
from .backend import Array, array_module, backend_of, on_its_device


@on_its_device
def softmax_cross_entropy(
    scores: Array, targets: Array, weights: Array | None = None
) -> tuple[Any, Array]:
    """Negative log-likelihood of the targets under softmax(scores), in nats: Σ w·nll / Σ w.

    Args:
        scores: (T, K, N) or (K, N).
        targets: integers in [0, K), (T, N) or (N,).
        weights: like `targets`, 0 or more; None is 1 everywhere. Where the weight is 0, neither the
            score nor the target is looked at: this is how padding is left out.

    Returns:
        The loss, a scalar of the array module (0 where all weights are), and its gradient, in the
        shape of `scores`: w · (softmax(scores) - one-hot(target)) / Σ w.

    Raises:
        ValueError: shapes that do not fit, targets out of range, negative weights.
        TypeError: targets that are not integers, scores that are not floating-point numbers.
    """
    if not hasattr(scores, "ndim"):
        raise TypeError(
            f"scores: got {type(scores).__name__}, want an array (forward gives a pair)"
        )
    xp = array_module(scores)
    if scores.ndim not in (2, 3):
        raise ValueError(f"scores: got shape {scores.shape}, want (T, K, N) or (K, N)")
    K, shape = scores.shape[-2], (*scores.shape[:-2], scores.shape[-1])
    backend = backend_of(scores)
    targets = checks.on_device("targets", targets, backend)
    if targets.shape != shape:
        raise ValueError(f"targets: got shape {targets.shape}, want {shape}")
    if scores.dtype.kind not in "fc":
        raise TypeError(f"scores: got {scores.dtype}, want floating-point numbers")
    real = scores.real.dtype
    used = None
    w: Any = 1 / max(1, targets.size)
    if weights is not None:
        w = checks.on_device("weights", weights, backend).astype(real)
        if w.shape != shape:
            raise ValueError(f"weights: got shape {w.shape}, want {shape}")
        checks.not_negative("weights", w)
        used = w != 0
        scores = xp.where(used[..., None, :], scores, 0)
        if w.size:  # to at most 1, so that no sum overflows
            w = w / xp.maximum(w.max(), xp.finfo(real).tiny)
        w = w / xp.maximum(w.sum(), xp.finfo(real).tiny)  # all-zero weights stay zero
    targets = checks.tokens("targets", targets, K, used, look=False)
    steps = () if scores.ndim == 2 else (xp.arange(len(scores))[:, None],)
    of_targets = (*steps, targets, xp.arange(shape[-1]))
    # The scores may be many: few passes over them, and none by parts, since those of `Linear` do not
    # lie step by step in memory
    p = scores - scores.real.max(axis=-2, keepdims=True)  # so that no exponential overflows
    hit = p[of_targets]
    xp.exp(p, out=p)
    total = p.sum(axis=-2)
    loss = ((xp.log(total) - hit) * w).sum()
    p *= (w / total)[..., None, :]
    p[of_targets] -= w
    return loss, p


@on_its_device
def mse(pred: Array, target: Array) -> tuple[Any, Array]:
    """Mean of the squared error over all elements.

    Args:
        pred: any shape.
        target: of the same shape; nothing is broadcast, since (N, 1) against (N,) would silently
            compare everything with everything.

    Returns:
        The loss, a scalar of the array module, and 2 · (pred - target) / size.

    Raises:
        ValueError: the shapes differ, or are empty.
    """
    if not hasattr(pred, "shape"):
        raise TypeError(f"pred: got {type(pred).__name__}, want an array (forward gives a pair)")
    xp = array_module(pred)
    target = checks.on_device("target", target, backend_of(pred))
    if pred.shape != target.shape:
        raise ValueError(f"target: got shape {target.shape}, want that of pred, {pred.shape}")
    if not pred.size:
        raise ValueError(f"pred: got shape {pred.shape}, which has no elements to average over")
    if pred.dtype.kind not in "fc":
        pred = pred.astype(xp.result_type(target.dtype, xp.float32))
    difference = pred - target.astype(pred.dtype)
    return (difference * difference).mean(), 2 * difference / pred.size
