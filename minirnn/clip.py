"""Gradient clipping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import checks
from .parameter import Parameter, check_parameters, stretches


def clip_grad_norm(parameters: Sequence[Parameter], max_norm: float) -> Any:
    """Scale all gradients together so that their common norm is at most `max_norm`; Pascanu et al. 2013.

    Returns:
        The norm before, a scalar of the array module. If it is not finite, every gradient becomes NaN.

    Raises:
        ValueError: `max_norm` is not positive, or there are no parameters.
    """
    max_norm = checks.positive("max_norm", max_norm)
    parameters = check_parameters(parameters)
    xp, found = parameters[0].backend.xp, stretches(parameters)
    # in double precision, because squares of large gradients overflow in single
    doubles = (s.grad.astype(float) for s in found)
    norm = sum(xp.vdot(g, g) for g in doubles) ** 0.5
    scale = xp.minimum(max_norm, norm) / xp.where(norm > 0, norm, 1.0)
    scale = xp.where(xp.isfinite(norm), scale, xp.nan).astype(parameters[0].dtype)
    for s in found:
        s.grad[...] *= scale
    return norm


def clip_grad_value(parameters: Sequence[Parameter], max_value: float) -> None:
    """Move every element of every gradient into [-max_value, max_value].

    Raises:
        ValueError: `max_value` is not positive.
    """
    max_value = checks.positive("max_value", max_value)
    for s in stretches(check_parameters(parameters)):
        s.grad.clip(-max_value, max_value, out=s.grad)
