"""Timing side by side: rounds in random order, and ratios within a round.

OpenBLAS (under NumPy) and OpenMP (under PyTorch) keep their threads spinning for a while after each
product, waiting for the next one. In one process, whoever comes second pays for whoever came first, and
OpenBLAS's threads go on for up to half a second where others want their processors. So all rest before
each side, and each timed call follows untimed ones of the same side. Ratios are taken within a round, so
that a machine that slows down for a while slows both down. Python's garbage collection is left as in
normal use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Side = Callable[[], object]
Clock = Callable[
    [str, Side], Callable[[], float]
]  # what calls a side and gives its seconds, by name
ROUNDS = 5  # at least
REST = 2  # times as long as the untimed calls take, in which threads that spin go to sleep


def wall(name: str, run: Side) -> Callable[[], float]:
    """The clock of the host, around one call."""

    def timed() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return timed


def measure(
    sides: dict[str, Side],
    seconds: float,
    alone: float,
    rng: np.random.Generator,
    clock: Clock = wall,
) -> dict[str, list[float]]:
    """Times of each side in seconds; the n-th ones were taken in one round.

    Args:
        sides: what to time, by name. The first call of each is not timed.
        seconds: go on for so long, and for five rounds at least.
        alone: seconds of untimed calls of a side before each timed one, after a rest twice as long.
        rng: draws the order in each round.
        clock: what times a call.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run()
    timed = [(name, clock(name, run)) for name, run in sides.items()]
    end = time.perf_counter() + seconds
    while sides and (time.perf_counter() < end or min(map(len, times.values())) < ROUNDS):
        for k in rng.permutation(len(sides)):
            name, call = timed[k]
            time.sleep(REST * alone)
            alone_since = time.perf_counter()
            while time.perf_counter() < alone_since + alone:
                call()
            times[name].append(call())
    return times


class Ratio(NamedTuple):
    """A median, and its 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = 2 if self.median < 100 else 0
        return f"{self.median:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    @property
    def differs(self) -> bool:
        """Whether 1 is outside of the interval."""
        return not self.low <= 1 <= self.high


def ratio(slow: Sequence[float], fast: Sequence[float], rng: np.random.Generator) -> Ratio:
    """The median of the rounds' ratios, and its interval by the bootstrap."""
    ratios = np.array(slow) / np.array(fast)
    again = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(again, (2.5, 97.5))
    return Ratio(float(np.median(ratios)), float(low), float(high))
