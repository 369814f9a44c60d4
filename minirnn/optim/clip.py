"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, array_module, backend_of, on_its_device
from ..parameter import Parameter, check_parameters
from .stretches import PIECE, blocks, stretches


@on_its_device
def clip_grad_norm(
    parameters: Sequence[Parameter], max_norm: float, error_if_nonfinite: bool = False
) -> Any:
    """Scale all gradients together so that their common norm is at most `max_norm`; Pascanu et al. 2013.

    Args:
        parameters: those that are frozen are left out, also of the norm.
        max_norm: above 0; infinite only measures.
        error_if_nonfinite: be an error where the norm is infinite or NaN, with all gradients as they
            were; on a device this waits for it. Without, every gradient becomes NaN, and on the host no
            optimizer makes a step of that.

    Returns:
        The norm before, a scalar of the array module.

    Raises:
        ValueError: `max_norm` is not positive, or there are no parameters; the norm is not finite, if
            that is to be an error.
        TypeError: `max_norm` is not a number; `parameters` are something else.
    """
    max_norm = checks.positive("max_norm", max_norm)
    error_if_nonfinite = checks.truth("error_if_nonfinite", error_if_nonfinite)
    parameters = check_parameters(parameters)
    with parameters[0].backend.active(), Parameter.changing:
        trained = [p for p in parameters if not p.frozen]
        return _clip_grad_norm(trained, max_norm, error_if_nonfinite) if trained else np.float64(0)


def _clip_grad_norm(trained: Sequence[Parameter], max_norm: float, must_be_finite: bool) -> Any:
    xp, found = trained[0].backend.xp, stretches(trained)
    first, *rest = [_sum_of_squares(s.grad) for s in found]
    norm = sum(rest, first) ** 0.5
    if xp is np and norm <= max_norm and norm < math.inf:
        return norm  # (on a device, to look at the norm would be to wait for it)
    if must_be_finite and not norm < math.inf:
        bad = [p.name for p in trained if not _sum_of_squares(p.grad.ravel()) < math.inf]
        raise ValueError(
            f"parameters: the gradients of {', '.join(bad) or 'all'} have a norm of {norm}, want finite "
            "numbers; none was scaled"
        )
    usable = xp.where(norm < math.inf, norm, math.nan)
    scale = xp.minimum(max_norm, usable) / xp.maximum(usable, np.finfo(float).tiny)
    scale = scale.astype(trained[0].dtype)
    for s in found:
        s.grad[...] *= scale
    return norm


def _sum_of_squares(g: Array) -> Any:
    """Σ g² in double precision, because squares of large gradients overflow in single."""
    vdot = array_module(g).vdot  # which does not warn of infinity
    doubles = (g[block].astype(float) for block in blocks(g, slice(0, g.size), PIECE))
    first, *rest = [vdot(double, double) for double in doubles]
    return sum(rest, first)


def clip_grad_value(parameters: Sequence[Parameter], max_value: float) -> None:
    """Move every element of the gradients of `parameters` into [-max_value, max_value].

    Frozen parameters are left out. NaN stays NaN, and infinity becomes `max_value`.

    Raises:
        ValueError: `max_value` is not positive, or there are no parameters.
        TypeError: `max_value` is not a number; `parameters` are something else.
    """
    max_value = checks.positive("max_value", max_value)
    for s in stretches([p for p in check_parameters(parameters) if not p.frozen]):
        with backend_of(s.grad).active(), Parameter.changing:
            s.grad.clip(-max_value, max_value, out=s.grad)
