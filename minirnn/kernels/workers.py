"""Threads that wait for work, on which nobody depends; `pool.py` says what they are given."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import Event
from typing import Any


class Task:
    """A call to be made once, by whichever thread comes first, in the context of the one that asked."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = partial(copy_context().run, function, *arguments)  # with its np.errstate
        self._taken: dict[str, object] = {}
        self._over = Event()
        self.error: BaseException | None = None

    def take(self, taker: object) -> bool:
        """Whether it is the caller's to run: of all who ask, one gets it."""
        return self._taken.setdefault("by", taker) is taker

    def run(self, taker: object) -> None:
        """Make the call, unless another has taken it."""
        if self.take(taker):
            try:
                self._result = self._call()
            except BaseException as error:
                self.error = error
            finally:
                self._over.set()
                del (
                    self._call
                )  # with its arrays: where all threads are busy, the queue has it for long

    def wait(self, taker: object) -> None:
        """Wait until it is over if another has taken it; if none has, nobody will."""
        if not self.take(taker):
            self._over.wait()

    def result(self) -> Any:
        """What the call returned; it is made here if none has taken it."""
        here = object()
        self.run(here)
        self.wait(here)
        if self.error is not None:
            raise self.error
        return self._result


class Workers:
    """Threads that wait for tasks, as long as there is a process.

    No task depends on them: whoever needs one that is not begun runs it. So it is no matter if there are
    none, as in a forked process or when the interpreter ends, or if all have other work. And nothing
    here locks: a signal may come at any time, and its handler use this, too.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.count = 0

    def give(self, tasks: Sequence[Task]) -> None:
        """Have each task run by a thread as soon as one is free."""
        with suppress(RuntimeError):  # the system has no thread to spare, or no longer
            while self.count < len(tasks):
                start_new_thread(self._work, ())
                self.count += 1
        for task in tasks:
            self._queue.put(partial(task.run, object()))

    def _work(self) -> None:
        while True:
            self._queue.get()()
