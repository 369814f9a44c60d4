"""One pool of threads in charge: this package's, with BLAS working on one thread within it.

BLAS by itself splits each product among threads, and leaves what lies between the products, about half
of the time of a recurrent network, to one of them. Here a scan's batch is split instead, once for a
whole sequence, and each thread does all there is to do for its columns. Both at once would have them
wait for one another: BLAS keeps its threads spinning between products.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from . import checks
from .backend import Array, array_module

Result = TypeVar("Result")

_pool: ThreadPoolExecutor | None = None
_count = 1


@contextmanager
def threads(count: int | None = None) -> Iterator[None]:
    """Within a ``with``, use so many threads.

    Recurrent networks split the batch, `Linear` the columns of all steps, `softmax_cross_entropy` the
    steps, optimizers the parameters. The rest, embedding and dropout among it, runs on one thread.
    This concerns the CPU alone, and the whole process. The results for a given count are the same bits
    every time; those for two counts differ by rounding, as sums are added in another order.

    Args:
        count: of threads; None is one for each processor that the process may run on.

    Raises:
        RuntimeError: threadpoolctl is missing, by which BLAS is kept to one thread; or threads are
            in use already.
        ValueError, TypeError: `count` is less than 1, or no integer.
    """
    global _pool, _count
    count = processors() if count is None else checks.whole_number("count", count)
    if _pool is not None:
        raise RuntimeError(f"threads: {_count} are in use already; one `with` cannot be in another")
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        raise RuntimeError("threads: needs threadpoolctl: pip install 'minirnn[threads]'") from None
    with (
        ThreadpoolController().limit(limits=1, user_api="blas"),
        ThreadPoolExecutor(max(1, count - 1), thread_name_prefix="minirnn") as pool,
    ):
        _pool, _count = pool, count
        try:
            yield
        finally:
            _pool, _count = None, 1


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shares(array: Array, size: int, least: int = 1) -> list[slice]:
    """Cut `size` into a slice for each thread, all of at least `least`.

    It is one slice if `size` is small, no threads are in use, or `array` is on a device.
    """
    count = max(1, min(_count if array_module(array) is np else 1, size // least))
    ends = [size * k // count for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def parallel(function: Callable[[Any], Result], parts: list[Any]) -> list[Result]:
    """Return ``[function(part) for part in parts]``, each on a thread; not to be used within itself."""
    if _pool is None or len(parts) == 1:
        return [function(part) for part in parts]
    # Each with the caller's context, in which NumPy keeps what np.errstate says
    others = [_pool.submit(copy_context().run, function, part) for part in parts[1:]]
    try:
        first = function(parts[0])
    finally:
        wait(others)  # for all of them, even if one fails: they write to the same arrays
    return [first, *(other.result() for other in others)]
