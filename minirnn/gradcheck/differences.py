"""Slopes by central differences, with a bound of their own error.

No single step fits every function: it has to be small beside what bends the function, and large beside
the rounding of its values. So the steps shrink until the differences agree, and what is left of the
truncation is extrapolated away (Richardson 1911; Ridders 1982, "Accurate computation of F'(x) and
F''(x)").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Values: TypeAlias = np.ndarray[Any, Any]

WIDEST, NARROWEST = 2.0**-3, 1e-9  # steps, beside the size of what is moved
SHRINK = 4.0  # from one step to the next
PROBE = 2.0**-8  # of the last step: a last look, close by, for what lies between the steps
CLOSE = 1e-9  # relative: when steps need not shrink any more, unless told otherwise
EPS = float(np.finfo(float).eps)


class Slope(NamedTuple):
    """The slope of a function at one point."""

    value: float
    error: float  # a bound of its error, about
    left: float
    right: float  # the slopes on both sides: apart at a kink, else both `value`

    @property
    def kinked(self) -> bool:
        """Whether the function has a corner here."""
        return self.left != self.right


def slope(f: Callable[[float], float], here: float, noise: float, close: float = CLOSE) -> Slope:
    """The slope of `f` at 0, where it is `here`.

    Args:
        f: a function of how far to go, in units of the size of what is moved.
        here: f(0).
        noise: of its values.
        close: the relative error at which to stop; rounding may stop it before.
    """
    value, error, h = 0.0, np.inf, WIDEST
    row: list[float] = []
    left = right = jump = 0.0
    flat = True  # to the last bit
    while h > NARROWEST:
        up, down = f(h), f(-h)
        flat = flat and up == down == here
        jump = abs(up - here + down - here) / h
        new, bounds = [(up - down) / (2 * h)], [np.inf]
        for j, old in enumerate(row):
            new.append(new[j] + (new[j] - old) / (SHRINK ** (2 * j + 2) - 1))
            bounds.append(max(abs(new[-1] - new[j]), abs(new[-1] - old)) + noise / h)
        if abs(new[-1] - value) > 10 * (error + noise / h):
            error = np.inf  # what wider steps agreed on is not what is here
        k = int(np.argmin(bounds))
        if bounds[k] < error:
            value, error = new[k], bounds[k]
        row = new
        if error <= close * abs(value) + 2 * noise / h or noise / h > error:
            h *= PROBE
            up, down = f(h), f(-h)
            flat = flat and up == down == here
            left, right = (here - down) / h, (up - here) / h
            apart = abs((up - down) / (2 * h) - value)
            if apart <= 1e-6 * abs(value) + 10 * (error + noise / h):
                break
            value, error, row = 0.0, np.inf, []  # it bends between: start again from here
        h /= SHRINK
    if flat:
        return Slope(0.0, noise / WIDEST, 0.0, 0.0)
    corner = abs(right - left)
    if corner < max(0.5 * jump, 40 * noise / h, 1e-6 * abs(value)):  # a curve: less, the smaller h
        left = right = value
    return Slope(value, float(error), left, right)


def noise_of(f: Callable[[float], float], here: float) -> float:
    """How much of the values of `f` near 0, where it is `here`, is rounding: no polynomial explains it.

    Fourth differences of values close to each other (Moré & Wild 2011, "Estimating computational
    noise"), on both sides of 0, as a kink is no noise.
    """
    sides = np.array([[f(side * (1e-4 + 1e-7 * k)) for k in range(8)] for side in (-1, 1)])
    fourth = np.diff(sides, 4) / np.sqrt(70)
    return max(2 * float(np.sqrt((fourth**2).mean(axis=1)).min()), EPS * abs(here))


def sizes(values: Values) -> Values:
    """By how much to move each element: its own size, or what is usual here where it is about 0."""
    size = np.abs(values)
    usual = float(np.median(size[size > 0])) if size.any() else 1.0
    return np.where(size > 1e-6 * usual, size, usual)
