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
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from threading import RLock, get_ident
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import checks
from ..backend import Array, array_module
from .compiled import why_not_compiled
from .workers import Task, Workers

Result = TypeVar("Result")

BLAS_SPLITS = 1 << 18  # multiplications of a product that OpenBLAS does not split yet


class BlasAlone:
    """BLAS with one thread for as long as it has holders: several threads may be, and one again within.

    An interrupt may come between any two lines, and what it leaves undone is done a second time. So all
    that is done here may be done twice.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # the handler of a signal may come in here while its own thread is
        self._holders: dict[object, int] = {}  # with the thread of each
        self._libraries: list[Any] | None = None
        self._before: list[tuple[Any, int]] | None = None  # each library's own count, while held

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within a ``with``, keep BLAS to one thread."""
        self.libraries()
        holder = object()
        try:
            try:
                self._exclusively(self._enter, holder)
                yield
            finally:
                self._exclusively(self._leave, holder)
        finally:  # if an interrupt came before that was done
            self._exclusively(self._leave, holder)

    def _exclusively(self, function: Callable[..., Result], *arguments: Any) -> Result:
        try:
            with self._lock:
                return function(*arguments)
        except BaseException:
            with suppress(RuntimeError):  # an interrupt after the block, and before it lets go
                self._lock.release()
            raise

    def _enter(self, holder: object) -> None:
        self._holders[holder] = get_ident()
        if self._before is None:
            counts = [library.get_num_threads() for library in self._libraries or ()]
            self._before = before = list(zip(self._libraries or (), counts, strict=True))
            for library, count in before:
                if count != 1:
                    library.set_num_threads(1)

    def _leave(self, holder: object) -> None:
        self._holders.pop(holder, None)
        before = self._before
        if not self._holders and before is not None:
            for library, count in before:
                if count != 1:
                    library.set_num_threads(count)
            self._before = None

    def libraries(self) -> list[Any]:
        """The BLAS libraries of this process, as threadpoolctl sees them when it is first asked."""
        if self._libraries is None:
            self.look_again()
        return self._libraries or []

    def look_again(self) -> None:
        """See which BLAS libraries there are now: other packages may have loaded some."""
        from threadpoolctl import ThreadpoolController

        def look() -> None:
            if self._before is None:
                blas = ThreadpoolController().select(user_api="blas")
                self._libraries = blas.lib_controllers

        self._exclusively(look)

    def threads_given(self) -> int:
        """How many threads BLAS has when nobody holds it."""
        libraries = self.libraries()

        def counts() -> list[int]:
            if (before := self._before) is not None:
                return [count for _, count in before]
            return [library.get_num_threads() for library in libraries]

        return max(self._exclusively(counts), default=processors())

    def forked(self) -> None:
        """Go on in a forked process, which has none of the other threads, but what they held."""
        self._lock = RLock()
        here = get_ident()
        self._holders = {h: thread for h, thread in self._holders.items() if thread == here}
        if not self._holders:  # OpenBLAS begins anew as well, with all of its threads
            self._before = None


class Choice(NamedTuple):
    """Of a ``with threads``."""

    threads: int  # 0 is "blas"
    thread: int  # which made it


_blas_alone = BlasAlone()
_chosen: dict[str, Choice] = {}  # under "now", if there is one
_parallel, _ahead = Workers(), Workers()


def _start_anew() -> None:
    """In a forked process, which has none of the other threads."""
    global _parallel, _ahead
    _parallel, _ahead = Workers(), Workers()
    _blas_alone.forked()
    if _chosen and _chosen["now"].thread != get_ident():
        _chosen.clear()


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
            another ``with`` of the kind, of this thread or another.
        ValueError, TypeError: `count` is less than 1, or no integer.
    """
    if count != "blas":
        count = processors() if count is None else checks.whole_number("count", count)
    if find_spec("threadpoolctl") is None:
        raise RuntimeError("threads: needs threadpoolctl: pip install 'minirnn[threads]'")
    own = Choice(0 if count == "blas" else int(count), get_ident())
    try:
        try:
            if (other := _chosen.setdefault("now", own)) is not own:
                used = f"{other.threads} are" if other.threads else "BLAS's are"
                raise RuntimeError(
                    f"threads: {used} in use already; one `with` cannot be in another"
                )
            _blas_alone.look_again()
            with _blas_alone.held() if own.threads else nullcontext():
                yield
        finally:
            _give_up(own)
    finally:  # if an interrupt came before that was done
        _give_up(own)


def _give_up(choice: Choice) -> None:
    if _chosen.get("now") is choice:
        del _chosen["now"]


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """How many threads of this package are in use; 0 if threads are left to BLAS."""
    if choice := _chosen.get("now"):
        return choice.threads
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
    """Return ``[function(part) for part in parts]``, each on a thread of its own if there are any."""
    if len(parts) == 1 or not thread_count():
        return [function(part) for part in parts]
    here, tasks = object(), [Task(function, part) for part in parts]
    with _blas_alone.held():
        try:
            _parallel.give(tasks[1:])
            for task in tasks:
                task.run(here)
                if task.error is not None:
                    break
        finally:
            for task in tasks:  # for all, even if one fails: they write to the same arrays
                task.wait(here)
    return [task.result() for task in tasks]


def blas_alone_for(array: Array, multiplications: int) -> AbstractContextManager[Any]:
    """BLAS with one thread, for a product that it would split while this package's threads are in use.

    Its own threads would then spin beside those for a good part of a second. Products of an `array` on
    a device are not BLAS's.
    """
    split = multiplications > BLAS_SPLITS and array_module(array) is np and thread_count()
    return _blas_alone.held() if split else nullcontext()


def ahead(function: Callable[..., Result], *arguments: Any) -> Callable[[], Result]:
    """Return what gives ``function(*arguments)``, computed meanwhile if there is a thread for it."""
    if thread_count() < 2:
        return partial(function, *arguments)
    task = Task(function, *arguments)
    _ahead.give([task])
    return task.result
