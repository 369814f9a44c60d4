"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import checks
from .backend import Array, array_module, backend_of
from .kernels.elementwise import one_kernel
from .parameter import Parameter, blocks, check_parameters, stretches


def clip_grad_norm(parameters: Sequence[Parameter], max_norm: float) -> Any:
    """Scale all gradients together so that their common norm is at most `max_norm`; Pascanu et al. 2013.

    Returns:
        The norm before, a scalar of the array module. If it is not finite, every gradient becomes NaN.

    Raises:
        ValueError: `max_norm` is not positive, or there are no parameters.
        TypeError: `max_norm` is not a number; `parameters` are something else.
    """
    max_norm = checks.positive("max_norm", max_norm)
    parameters = check_parameters(parameters)
    with parameters[0].backend.active():
        return _clip_grad_norm(parameters, max_norm)


def _clip_grad_norm(parameters: Sequence[Parameter], max_norm: float) -> Any:
    xp, found = parameters[0].backend.xp, stretches(parameters)
    first, *rest = [_sum_of_squares(s.grad) for s in found]
    norm = sum(rest, first) ** 0.5
    if xp is np and norm <= max_norm and norm < math.inf:
        return norm  # (on a device, to look at the norm would be to wait for it)
    scale = _scale(norm, max_norm, math.inf, math.nan).astype(parameters[0].dtype)
    for s in found:
        s.grad[...] *= scale
    return norm


def _sum_of_squares(g: Array) -> Any:
    """Σ g² in double precision, because squares of large gradients overflow in single."""
    with np.errstate(
        over="ignore"
    ):  # then the norm is infinite, which is told by what becomes of it
        # (BLAS's dot would have its threads spin beside ours)
        first, *rest = [_squares(g[block]).sum() for block in blocks(g, slice(0, g.size))]
        return sum(rest, first)


@one_kernel
def _squares(g: Array) -> Array:
    double = g.astype(float)
    double *= double
    return double


@one_kernel
def _scale(norm: Array, max_norm: float, inf: float, nan: float) -> Array:
    """What all gradients are multiplied by; NaN if the norm is infinite or NaN."""
    xp = array_module(norm)
    usable = xp.where(norm < inf, norm, nan)
    return xp.minimum(max_norm, usable) / xp.maximum(usable, np.finfo(float).tiny)


def clip_grad_value(parameters: Sequence[Parameter], max_value: float) -> None:
    """Move every element of the gradients of `parameters` into [-max_value, max_value].

    Raises:
        ValueError: `max_value` is not positive, or there are no parameters.
        TypeError: `max_value` is not a number; `parameters` are something else.
    """
    max_value = checks.positive("max_value", max_value)
    for s in stretches(check_parameters(parameters)):
        with backend_of(s.grad).active():
            s.grad.clip(-max_value, max_value, out=s.grad)
