"""A side in a process of its own, so that nothing that another side did is in its memory."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from .rows import page_faults
from .timing import Side


class Process:
    """Calls go through a pipe, which adds some hundredths of a millisecond to each.

    Args:
        name: for messages.
        make: what makes the side, there; it has to be importable.
    """

    def __init__(self, name: str, make: Callable[[], Side]) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        # As a daemon it ends with this process
        context.Process(target=_serve, args=(there, make), daemon=True).start()
        there.close()

    def __call__(self) -> None:
        """Run the side once."""
        self._ask(None)

    def page_faults(self, seconds: float) -> float:
        """Of a call that takes so long; see `rows.page_faults`."""
        return float(self._ask(seconds))

    def _ask(self, what: float | None) -> Any:
        try:
            self.pipe.send(what)
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            raise RuntimeError(f"{self.name}: its process has ended") from None


def _serve(pipe: Connection, make: Callable[[], Side]) -> None:
    """Run the side whenever it is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    side = make()
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        if seconds is None:
            side()
            pipe.send(None)
        else:
            pipe.send(page_faults(side, seconds))
