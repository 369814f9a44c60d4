"""Timing side by side: rounds in random order, ratios within a round, and what they were measured on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable

import numpy as np

Side = Callable[[], object]


def measure(
    sides: dict[str, Side], seconds: float, alone: float, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Times of each side in seconds; the n-th ones were taken in one round.

    Args:
        sides: what to time, by name.
        seconds: go on for so long, and for five rounds at least.
        alone: seconds of untimed calls of a side before each timed one, so that no side pays for the
            threads of another, which spin for a while after their work.
        rng: draws the order in each round.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in sides.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name in rng.permutation(list(sides)):
            alone_since = time.perf_counter()
            while time.perf_counter() < alone_since + alone:
                sides[name]()
            start = time.perf_counter()
            sides[name]()
            times[name].append(time.perf_counter() - start)
    return times


def ratio(slow: list[float], fast: list[float], rng: np.random.Generator) -> str:
    """The median of the rounds' ratios, and its 95 % interval."""
    ratios = np.array(slow) / np.array(fast)
    again = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.percentile(again, (2.5, 97.5))
    return f"{np.median(ratios):6.2f} [{low:.2f}, {high:.2f}]"


def machine(with_torch: bool) -> str:
    """Whatever decides how fast this is: processor, libraries, threads."""
    lines = [
        f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} processors"
    ]
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        lines.append("threads unknown: pip install threadpoolctl")
    else:
        lines += [
            f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', '')}): "
            f"{pool['num_threads']} threads"
            for pool in threadpool_info()
        ]
    if with_torch:
        import torch

        lines.append(f"PyTorch {torch.__version__}: {torch.get_num_threads()} threads")
    return "\n".join(lines)
