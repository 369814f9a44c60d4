"""One pool of threads in charge: this package's, with BLAS working on one thread within it.

BLAS by itself splits each product among threads, and leaves what lies between the products to one of
them. Here a scan's batch is split instead, once for a whole sequence, and each thread does all there is
to do for its columns. Both at once would have them wait for one another: BLAS keeps its threads spinning
for some milliseconds after each product.

Where compiled scans can run (see ``kernels/``), this pool is in charge by default, with as many threads
as BLAS has been given. Elsewhere it is within `threads`, and by default BLAS is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from . import checks
from .backend import Array, array_module

Result = TypeVar("Result")

BLAS_SPLITS = 1 << 18  # multiplications of a product that OpenBLAS does not split yet


class BlasAlone:
    """A context in which BLAS has one thread; it may be entered by several threads and again within."""

    def __init__(self) -> None:
        self._lock, self._depth = Lock(), 0
        self._libraries: list[Any] | None = None
        self._before: list[int] = []

    def __enter__(self) -> None:
        self.libraries()
        with self._lock:
            if not self._depth:
                self._before = [library.get_num_threads() for library in self._libraries or ()]
                self._set([1] * len(self._before))
            self._depth += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._depth -= 1
            if not self._depth:
                self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        libraries = self._libraries or ()
        for library, before, count in zip(libraries, self._before, counts, strict=True):
            if before != 1:
                library.set_num_threads(count)

    def libraries(self) -> list[Any]:
        """The BLAS libraries of this process, as threadpoolctl sees them when it is first asked."""
        if self._libraries is None:
            self.look_again()
        return self._libraries or []

    def look_again(self) -> None:
        """See which BLAS libraries there are now: other packages may have loaded some."""
        from threadpoolctl import ThreadpoolController

        with self._lock:
            if not self._depth:
                blas = ThreadpoolController().select(user_api="blas")
                self._libraries = blas.lib_controllers

    def threads_given(self) -> int:
        """How many threads BLAS has outside of this context."""
        libraries = self.libraries()
        with self._lock:
            if self._depth:
                return max(self._before, default=processors())
            counts = [library.get_num_threads() for library in libraries]
        return max(counts, default=processors())


_blas_alone = BlasAlone()
_chosen: int | None = None  # by `threads`; 0 is "blas"


@cache
def _pool(workers: int, purpose: str = "parallel") -> ThreadPoolExecutor:
    """Threads that wait for work; they are kept."""
    return ThreadPoolExecutor(workers, f"minirnn {purpose}")


def _start_anew() -> None:
    """In a forked process, which has none of the threads, and perhaps a lock that one of them held."""
    global _blas_alone
    _pool.cache_clear()
    _blas_alone = BlasAlone()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def threads(count: int | str | None = None) -> Iterator[None]:
    """Within a ``with``, use so many threads.

    Recurrent networks split the batch, `Linear` steps and columns, optimizers the parameters. The rest,
    embedding, dropout and losses among it, runs on one thread.
    This concerns the CPU alone, and the whole process. The results for a given count are the same bits
    every time; those for two counts differ by rounding, as sums are added in another order.

    Args:
        count: of threads; None is one for each processor that the process may run on, and ``"blas"``
            leaves threads to BLAS.

    Raises:
        RuntimeError: threadpoolctl is missing, by which BLAS is kept to one thread; or this is within
            another ``with`` of the kind.
        ValueError, TypeError: `count` is less than 1, or no integer.
    """
    global _chosen
    if count != "blas":
        count = processors() if count is None else checks.whole_number("count", count)
    if _chosen is not None:
        used = f"{_chosen} are" if _chosen else "BLAS's are"
        raise RuntimeError(f"threads: {used} in use already; one `with` cannot be in another")
    if find_spec("threadpoolctl") is None:
        raise RuntimeError("threads: needs threadpoolctl: pip install 'minirnn[threads]'")
    _blas_alone.look_again()
    _chosen = 0 if count == "blas" else int(count)
    try:
        if count == "blas":
            yield
        else:
            with _blas_alone:
                yield
    finally:
        _chosen = None


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def why_not_compiled() -> str:
    """What keeps compiled scans from running here; empty if they can."""
    for name in ("numba", "threadpoolctl"):
        try:
            import_module(name)
        except ImportError as error:  # as of Numba beside a NumPy that is too new for it
            if isinstance(error, ModuleNotFoundError) and error.name == name:
                return f"{name} is missing: pip install 'minirnn[numba]'"
            return f"{name} cannot be imported: {error}"
    return ""


def thread_count() -> int:
    """How many threads of this package are in use; 0 if threads are left to BLAS."""
    if _chosen is not None:
        return _chosen
    return 0 if why_not_compiled() else _blas_alone.threads_given()


def shares(array: Array, size: int, least: int = 1) -> list[slice]:
    """Cut `size` into a slice for each thread, all of at least `least`.

    It is one slice if `size` is small, no threads are in use, or `array` is on a device.
    """
    most = size // least
    count = max(1, min(thread_count(), most)) if most > 1 and array_module(array) is np else 1
    ends = [size * k // count for k in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def parallel(function: Callable[[Any], Result], parts: list[Any]) -> list[Result]:
    """Return ``[function(part) for part in parts]``, each on a thread; not to be used within itself."""
    if len(parts) == 1 or not thread_count():
        return [function(part) for part in parts]
    pool = _pool(max(thread_count(), len(parts)) - 1)
    with _blas_alone:
        # Each with the caller's context, in which NumPy keeps what np.errstate says
        others = [pool.submit(copy_context().run, function, part) for part in parts[1:]]
        try:
            first = function(parts[0])
        finally:
            wait(others)  # for all of them, even if one fails: they write to the same arrays
    return [first, *(other.result() for other in others)]


def blas_alone_for(array: Array, multiplications: int) -> AbstractContextManager[Any]:
    """BLAS with one thread, for a product that it would split while this package's threads are in use.

    Its own threads would then spin beside those for a good part of a second. Products of an `array` on
    a device are not BLAS's.
    """
    split = multiplications > BLAS_SPLITS and array_module(array) is np and thread_count()
    return _blas_alone if split else nullcontext()


def ahead(function: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
    """Return what gives ``function(*arguments)``, computed meanwhile if there is a thread for it."""
    if thread_count() < 2:
        return partial(function, *arguments)
    return _pool(1, "ahead").submit(copy_context().run, function, *arguments).result
