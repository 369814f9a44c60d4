"""Memory for what a scan saves, got from the system as seldom as can be.

Getting memory costs a page fault every 4 KiB, and the pages are filled with zeros: at small sizes a
tenth of a training step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...backend import Array

LINE = 64  # bytes of a line of the cache


def keep_freed_memory() -> None:
    """Have the C library of Linux keep up to 64 MiB of what is freed, whatever in the process frees it.

    It (glibc) gives memory back to the system when an array is freed that is larger than any before, or
    when the free end of its heap is more than twice that. At 32 MiB it stops to learn. So this makes an
    array of that size, never written to and freed at once. Elsewhere it does nothing.
    """
    np.empty((1 << 25) - (1 << 16), np.uint8)


def one_block(dtype: Any, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return uninitialised arrays that lie in one block of memory, each beginning a line of the cache.

    One large allocation instead of several, because what is freed in pieces is given back the sooner.
    """
    item = np.dtype(dtype).itemsize
    lines = [-(-math.prod(shape) * item // LINE) for shape in shapes]
    block = np.empty((sum(lines) + 1) * LINE // item, dtype)
    start = -block.ctypes.data % LINE // item
    starts = (start + end * LINE // item for end in itertools.accumulate(lines, initial=0))
    return [
        block[start : start + math.prod(shape)].reshape(shape)
        for start, shape in zip(starts, shapes, strict=False)
    ]
