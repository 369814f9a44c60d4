"""Parameters as long stretches of memory, and those as blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, array_module
from ..parameter import Parameter

PIECE = 1 << 13  # numbers; few enough for BLAS not to split their product among its threads
BLOCK = 1 << 17  # numbers; a few arrays of so many stay in the cache from one pass to the next


class Stretch(NamedTuple):
    """Parameters that follow one another in one storage."""

    data: Array
    grad: Array
    own: slice  # where these are in arrays that hold all parameters of the optimizer
    members: range  # their numbers among those


def stretches(parameters: Sequence[Parameter], marks: Sequence[Any] | None = None) -> list[Stretch]:
    """Join parameters that lie side by side, in the order given, and have the same mark.

    Those whose mark is None are left out; without `marks`, none is.
    """
    found: list[Stretch] = []
    start: int | None = None  # the number of the first one
    total = 0
    for k, p in enumerate(parameters):
        total += p.size
        if marks and marks[k] is None:
            continue
        start = k if start is None else start
        after = parameters[k + 1] if k + 1 < len(parameters) else None
        goes_on = after is not None and after.storage is p.storage and after.start == p.stop
        if not goes_on or (marks and marks[k] != marks[k + 1]):
            place = slice(parameters[start].start, p.stop)
            own = slice(total - (place.stop - place.start), total)
            found.append(
                Stretch(p.storage.data[place], p.storage.grad[place], own, range(start, k + 1))
            )
            start = None
    return found


def blocks(array: Array, own: slice, size: int | None = None) -> list[slice]:
    """Cut the part `own` of `array` into blocks, each to be done with before the next is touched.

    They have `size` numbers, or as many as stay in the cache.

    It is one block if `array` is on a device, where every pass over a block has to be launched.
    """
    size = (size or BLOCK) if array_module(array) is np else array.size
    starts = range(own.start, own.stop, size)
    return [slice(start, min(start + size, own.stop)) for start in starts]
