"""Numerical gradients: by the complex step where the loss is analytic, otherwise by differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .differences import EPS, Slope, noise_of, sizes, slope
from .problem import NotAnalytic, Problem

Values: TypeAlias = np.ndarray[Any, Any]

COMPLEX, CENTRAL = "complex step", "central differences"
SURE = 4.0  # times the estimated error of a difference
BLURRED = 1e-2  # a difference that may be as wrong as this proves nothing


class Numeric(NamedTuple):
    """The numerical gradient of one block."""

    value: Values
    error: Values  # a bound of its error, about
    left: Values
    right: Values  # slopes on both sides, apart where the loss has a kink
    method: str


def numerical(
    problem: Problem, names: Sequence[str], method: str
) -> tuple[dict[str, Numeric], str]:
    """The gradient of every block, and why differences were taken where they were not asked for.

    Raises:
        TypeError: the `method` is ``"complex"``, and the loss is not analytic.
    """
    if method == "central":
        return _by_differences(problem, names), ""
    try:
        exact = {name: _exact(problem.complex_step(name)) for name in names}
    except NotAnalytic as reason:
        exact, why = {}, str(reason)
    if exact:
        if _agree_along_a_line(problem, exact):
            return exact, ""
        why = "abs, conj, .real, a cast or a comparison hides a part of it from the complex step"
    numeric = _by_differences(problem, names)
    right = {name: n for name, n in exact.items() if _agree(n, numeric[name])}
    if len(right) == len(names):
        return exact, ""
    why = f"the loss is not analytic: {problem.where_dropped() or why}"
    if method == "complex":
        raise TypeError(
            f'forward: gave what method="complex" cannot differentiate, as something in it drops the '
            f'imaginary part; use method="auto" or "central". {why}'
        )
    return numeric | right, why


def _exact(value: Values) -> Numeric:
    return Numeric(value, np.zeros(value.shape), value, value, COMPLEX)


def _agree_along_a_line(problem: Problem, exact: Mapping[str, Numeric]) -> bool:
    """Whether these gradients are those of the loss itself, along a random direction."""
    direction = _direction(problem, list(exact))
    with along(problem, direction) as f:
        found = slope(f, problem.loss, EPS * abs(problem.loss), 1e-12)
    terms = np.concatenate([(direction[name] * n.value).ravel() for name, n in exact.items()])
    whole, apart = np.abs(terms).sum(), abs(found.value - terms.sum())
    return bool(found.error <= 1e-6 * whole and apart <= 1e-12 * whole + SURE * found.error)


def _agree(exact: Numeric, near: Numeric) -> bool:
    """Whether the complex step is right for this block, as far as differences can see."""
    value, blur = exact.value, SURE * near.error
    allowed = blur + 1e-6 * np.abs(near.value)
    least, most = np.minimum(near.left, near.right), np.maximum(near.left, near.right)
    fits = (least - allowed <= value) & (value <= most + allowed)
    seen = (np.abs(value) > blur)[value != 0]
    return bool(fits.all() and (seen.any() or not seen.size))


@contextmanager
def along(problem: Problem, direction: Mapping[str, Values]) -> Iterator[Callable[[float], float]]:
    """Within a ``with``: the loss as a function of how far to go from the point in a `direction`."""
    arrays = problem.doubles()
    with problem.at(arrays) as loss:

        def at(t: float) -> float:
            for name, v in direction.items():
                arrays[name][...] = problem.point[name] + t * v
            return float(np.reshape(loss(), ()))

        yield at


def slope_by(problem: Problem, name: str, index: tuple[int, ...], noise: float) -> Slope:
    """The slope of the loss by one element, moved by its own size, and if that is little, by others'."""
    steps, found = sizes(problem.point[name]), []
    for step in (steps[index], np.median(steps)):
        direction = np.zeros(steps.shape)
        direction[index] = step
        with along(problem, {name: direction}) as f:
            found.append(Slope(*(part / step for part in slope(f, problem.loss, noise))))
        if SURE * found[0].error <= BLURRED * abs(found[0].value) or step >= np.median(steps):
            break
    return min(found, key=lambda s: s.error)


def noise_at(problem: Problem) -> float:
    """How much of the loss near the point is rounding."""
    with along(problem, _direction(problem, list(problem.point))) as f:
        return noise_of(f, problem.loss)


def _direction(problem: Problem, names: Sequence[str]) -> dict[str, Values]:
    """By how much to move everything at once: about its own size, this way or that."""
    random = np.random.default_rng(0)
    points = {name: problem.point[name] for name in names}
    return {
        name: sizes(p) * random.uniform(0.5, 1.5, p.shape) * random.choice([-1.0, 1.0], p.shape)
        for name, p in points.items()
    }


def _by_differences(problem: Problem, names: Sequence[str]) -> dict[str, Numeric]:
    """The derivative by every element of these blocks."""
    noise, numeric = noise_at(problem), {}
    for name in names:
        shape = problem.point[name].shape
        slopes = [slope_by(problem, name, index, noise) for index in np.ndindex(shape)]
        columns = np.array(slopes).reshape(-1, 4).T
        value, error, left, right = (column.reshape(shape) for column in columns)
        numeric[name] = Numeric(value, error, left, right, CENTRAL)
    return numeric
