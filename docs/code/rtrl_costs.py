"""What a gradient costs, in seconds and bytes, by BPTT and by RTRL."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

Method = Callable[..., Any]  # (cell, P, x, dys): a gradient of one sequence


class Costs(NamedTuple):
    """Of one method at each of several sizes."""

    seconds: list[float]
    bytes: list[int]  # allocated at the same time, at most


def costs(methods: dict[str, Method], problems: Iterable[tuple[Any, ...]]) -> dict[str, Costs]:
    """Measure each method on each problem, given as the arguments of a method.

    Methods take turns. The least of some times is what the work takes; the others had company.
    """
    found = {name: Costs([], []) for name in methods}
    for problem in problems:
        times: dict[str, list[float]] = {name: [] for name in methods}
        spent = 0.0
        while spent < 0.3 or min(map(len, times.values())) < 3:
            for name, method in methods.items():
                start = perf_counter()
                method(*problem)
                times[name].append(perf_counter() - start)
                spent += times[name][-1]
        for name, method in methods.items():
            found[name].seconds.append(min(times[name]))
            found[name].bytes.append(_peak(method, problem))
    return found


def _peak(method: Method, problem: tuple[Any, ...]) -> int:
    """Bytes that a call holds at the same time, at most; NumPy tells Python what it allocates."""
    gc.collect()
    tracemalloc.start()
    try:
        method(*problem)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def slope(sizes: list[int], values: list[float]) -> float:
    """The power of the size that a value grows with, at the two largest sizes."""
    return float(np.log(values[-1] / values[-2]) / np.log(sizes[-1] / sizes[-2]))
