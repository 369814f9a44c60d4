"""Would a step be finite? Large gradients are tried on copies, before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from ..backend import Array, array_module, to_host
from ..parameter import Parameter
from .stretches import PIECE, blocks

# Members by their numbers; their data, gradient and state; room to write to
Part: TypeAlias = tuple[range, list[Array], Array]


def unfit(
    parameters: Sequence[Parameter],
    parts: Sequence[Part],
    small: float,
    update: Callable[[range, list[Array]], None],
) -> str:
    """Say with which gradient a step would not be finite; empty if it would be.

    Args:
        parameters: the optimizer's.
        parts: those that are to be updated.
        small: of gradients up to this nothing overflows, not even the sum of the squares of many steps.
        update: makes the step, in place, with such members and such arrays.
    """
    vdot = array_module(parameters[0].data).vdot  # which does not warn of infinity
    for members, arrays, _ in parts:
        for block in blocks(arrays[1], slice(0, arrays[1].size), PIECE):
            g = arrays[1][block]
            if vdot(g, g) <= small * small:
                continue
            copies = [array[block].copy() for array in arrays]
            with np.errstate(all="ignore"):
                update(members, copies)
            bad = np.any([~np.isfinite(to_host(copy)) for copy in copies], axis=0)
            if bad.any():
                return _named(parameters, members[0], block.start + int(bad.argmax()))
    return ""


def _named(parameters: Sequence[Parameter], k: int, place: int) -> str:
    """What is said of the gradient in this place, counted from the k-th parameter on."""
    while place >= parameters[k].size:
        place, k = place - parameters[k].size, k + 1
    p = parameters[k]
    where = tuple(map(int, np.unravel_index(place, p.shape)))
    return (
        f"{p.name}.grad: got {p.grad[where]} at index {where}, want finite numbers with which the step "
        "does not overflow; nothing was updated"
    )
