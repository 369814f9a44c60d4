"""How certain a counted share is."""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate, and the bounds of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def share(right: int, n: int) -> Interval:
    """Return the share of `n` that are right, with Wilson's interval (1927).

    It stays in [0, 1], and holds for small n, too.
    """
    p, z = right / n, 1.96
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    return Interval(p, middle - half, middle + half)


def in_words(right: int, n: int) -> str:
    """Say how many of `n` are right, and how certain that is."""
    p, low, high = share(right, n)
    return f"{p:.1%} of {n:,} (95 % interval {low:.1%} to {high:.1%})"
