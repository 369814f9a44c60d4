"""The gradient check: what a backward pass gives, beside the numerical gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import Array
from ..parameter import Parameter
from .diagnose import NOTHING, Sizes, diagnose
from .differences import EPS, sizes
from .numeric import BLURRED, CENTRAL, COMPLEX, SURE, Numeric, noise_at, numerical, slope_by
from .problem import Backward, Forward, NotAnalytic, Problem
from .report import Report, Row

Values: TypeAlias = np.ndarray[Any, Any]

TOLERANCES = {COMPLEX: 1e-12, CENTRAL: 1e-6}
SINGLE_TOLERANCE = 1e-4  # where parameters or inputs are float32
UNSEEN = 1e-6  # beside the largest of all: what may be lost in the rounding of the loss
NEAR = 1e-6  # relative: how far a point close by is
GROSS = 1e-3  # relative: an error that is none of rounding
SHRUNK = 1 / 16  # of the point: there nothing that is saturated here, such as σ(40), is so any more
KINK = (
    "the loss has a kink here (relu at 0, say), where no difference is right: "
    "move the input away from it"
)
LOST = (
    "no difference shows whether it is right: the loss is too large beside it, or not smooth; "
    "scale the input, or leave constants out of the loss"
)


def gradcheck(
    forward: Forward,
    backward: Backward,
    parameters: Sequence[Parameter] = (),
    *,
    method: str = "auto",
    tol: float | None = None,
    **inputs: Array,
) -> Report:
    """Compare the gradients of `backward` with numerical ones, element by element.

    Args:
        forward: ``forward(**inputs) -> (loss, saved)``, the loss one real number. It must compute the
            same every time it is called: what is random in it comes from a
            ``numpy.random.default_rng(seed)`` that it makes anew.
        backward: ``backward(saved)`` adds to the ``.grad`` of the parameters, and returns the inputs'
            gradients by name. Where one is missing, or None, the report is not ok.
        parameters: whose ``.grad`` to check.
        method: ``"complex"``: Im f(x + i·1e-30) / 1e-30, with hardly any rounding error
            (Squire & Trapp 1998), for functions of what complex numbers can go through: ``+``, ``*``,
            ``@``, exp, tanh and so on. ``"central"``: (f(x + ε) - f(x - ε)) / 2ε, coarser, for all
            others, at several ε and extrapolated. ``"auto"`` takes the complex step where it agrees with
            the difference along a random direction, and differences where it does not: there abs, conj,
            .real or a real buffer hides a part of the loss from it.
        tol: the largest error that passes; None is 1e-12 for the complex step and 1e-6 for differences,
            and 1e-4 where parameters or inputs are float32. The numerical side always computes in double
            precision, and so does backward, next to what it gives in float32.
        inputs: arrays of any shape to differentiate by; integers are handed over as they are.

    Returns:
        A report with ``.ok``, ``.worst`` and a line per block; a wrong one says what it looks like.
        Parameters and their gradients are left as they were.

    Raises:
        ValueError: an unknown method; a `tol` outside [1e-16, 1); a name that occurs twice; parameters
            on a device; a loss that is not finite or not one number; an input's gradient of another
            shape than the input; a pass that is random or changes its caller's arrays; nothing to check.
        TypeError: `forward` or `backward` gave something else; or `method` is ``"complex"`` and the loss
            is not analytic.
    """
    if not isinstance(method, str) or method not in ("auto", "complex", "central"):
        raise ValueError(f'method: got {method!r}, want "auto", "complex" or "central"')
    if tol is not None:
        tol = checks.real_number("tol", tol, 1e-16, 1.0)
    problem = Problem(forward, backward, parameters, inputs)
    found = problem.as_given()
    unchecked = tuple(name for name in problem.given if name in problem.point.keys() - found[0])
    if not found[0]:
        return Report((), unchecked)
    numeric, why = numerical(problem, list(found[0]), method)
    judge = _Judge(problem, numeric, found[0])
    rows = tuple(judge.row(name, [g[name] for g in found], tol) for name in numeric)
    return Report(rows, unchecked, why, (problem.note,) if problem.note else ())


class _Judge:
    """Tells what is wrong from what is rounding."""

    def __init__(
        self, problem: Problem, numeric: Mapping[str, Numeric], gradients: Mapping[str, Values]
    ) -> None:
        self.problem, self.numeric, self.gradients = problem, numeric, gradients
        self.sizes = _sizes(problem.given)
        self.blocks = {p.name: p.blocks for p in problem.parameters}
        self.largest = max(np.abs(n.value).max(initial=0) for n in numeric.values())
        self.share = max(  # of the most important element that differences see in the loss
            np.where(np.abs(n.value) > SURE * n.error, np.abs(n.value) * self._steps(name), 0).max(
                initial=0
            )
            for name, n in numeric.items()
        )
        self.moves: dict[str, Values] | None = None

    def row(self, name: str, found: Sequence[Values], tol: float | None) -> Row:
        """Judge one block, of which backward gave `found`, in double precision or in others, too."""
        n = self.numeric[name]
        bar = SINGLE_TOLERANCE if self.problem.single else TOLERANCES[n.method]
        bar = bar if tol is None else tol
        errors = [self._errors(name, g, bar) for g in found]
        errors[0] = np.where(self._too_small(name, found[0], errors[0] <= bar), np.inf, errors[0])
        worst = [float(e.max(initial=0)) for e in errors]
        hint = ""
        if max(worst) > bar:
            k = int(np.argmax(np.array(worst) > bar))  # in double precision, if that is wrong
            g, wrong = found[k].astype(float), errors[k] > bar
            if self._kinked(name, g, wrong, bar):
                hint = KINK
            elif (self._blurred(name, g) & wrong).any():
                hint = LOST
            else:
                series = name == self.sizes.of
                hint = diagnose(g, n.value, self.sizes, self.blocks.get(name, ()), series)
                if hint == NOTHING:
                    hint = self._taken_from(g) or hint
        largest, error = float(np.abs(n.value).max(initial=0)), max(worst)
        if error > bar and largest:
            of_block = max(float(np.abs(g - n.value).max() / largest) for g in found)
            error = of_block if of_block > bar else error
        return Row(name, n.value.shape, error, largest, hint, bar, n.method)

    def _taken_from(self, g: Values) -> str:
        """Whether `g` is the gradient of another block."""
        for other, n in self.numeric.items():
            if g.shape == n.value.shape and np.allclose(g, n.value, rtol=1e-5, atol=0):
                return f"it is the gradient of {other}"
        return ""

    def _errors(self, name: str, g: Values, tol: float) -> Values:
        """The error of every element."""
        n = self.numeric[name]
        eps = np.finfo(g.dtype).eps if g.dtype.kind == "f" else EPS
        floor = min(16 * float(eps), 0.02 * tol) * self.largest + SURE * n.error
        scale = np.maximum(np.abs(n.value), floor / tol)
        errors = _ratio(np.abs(g - n.value), scale)
        if (errors > tol).any():
            terms = self._sensitivity()[name] * min(1.0, 1e-5 / tol)
            errors = _ratio(np.abs(g - n.value), np.maximum(scale, terms))
        near = (errors > tol) & (errors < GROSS)
        if n.method == COMPLEX and near.any():
            scale = np.maximum(scale, 16 * self._noise(name, near) / tol)
            errors = np.minimum(errors, _ratio(np.abs(g - n.value), scale))
        return np.where(self._blurred(name, g), np.inf, errors)

    def _too_small(self, name: str, g: Values, passed: Values) -> Values:
        """Where `g` has `passed` as it is tiny beside other gradients, and is wrong all the same.

        Rounding beside these is no excuse if the true gradient stays what it is at a point close by.
        """
        n = self.numeric[name]
        apart = np.abs(g - n.value)
        gross = passed & (apart > GROSS * np.abs(n.value)) & (apart > SURE * n.error)
        if n.method == COMPLEX and gross.any():
            gross &= apart > GROSS * self._sensitivity()[name]
            near = self.problem.complex_step(name, self._close_by(np.random.default_rng(2)), gross)
            gross &= np.abs(near - n.value) < GROSS * np.abs(n.value)
        if n.method == COMPLEX and gross.any():
            gross &= self._grossly_wrong(name, gross)
        wrong: Values = gross & (n.value != 0)
        return wrong

    def _grossly_wrong(self, name: str, where: Values) -> Values:
        """Whether the gradient of `name` is wrong nearer to 0 as well: 1 - σ² is not, it only rounds."""
        point = {key: value * SHRUNK for key, value in self.problem.point.items()}
        try:
            got = self.problem.run(point)[1][name]
            want = self.problem.complex_step(name, point, where)
        except (NotAnalytic, ValueError):  # the loss is not defined there
            return where
        wrong: Values = ~(np.abs(got - want) <= GROSS * np.abs(want))
        return wrong

    def _noise(self, name: str, where: Values) -> Values:
        """How much of the complex step is rounding: what no polynomial explains (see `noise_of`)."""
        line = [
            self.problem.complex_step(
                name, {key: v * (1 + 1e-7 * k) for key, v in self.problem.point.items()}, where
            )
            for k in range(8)
        ]
        noise: Values = np.sqrt((np.diff(line, 4, axis=0) ** 2).mean(axis=0) / 70)
        return noise

    def _close_by(self, random: np.random.Generator) -> dict[str, Values]:
        """A point close by: everything a little larger or smaller."""
        return {
            name: value * (1 + NEAR * random.choice([-1.0, 1.0], value.shape))
            for name, value in self.problem.point.items()
        }

    def _blurred(self, name: str, g: Values) -> Values:
        """Where a difference is so uncertain that it proves nothing of a gradient that matters."""
        n = self.numeric[name]
        blur = SURE * n.error
        unsure = blur > BLURRED * np.maximum(np.abs(n.value), np.abs(g))
        matters = blur * self._steps(name) > UNSEEN * self.share
        blurred: Values = unsure & matters & ((g != 0) | (n.value != 0))
        return blurred

    def _steps(self, name: str) -> Values:
        return sizes(self.problem.point[name])

    def _kinked(self, name: str, g: Values, wrong: Values, tol: float) -> bool:
        """Whether the loss has a corner wherever `g` is wrong, and `g` is a slope between its sides."""
        n = self.numeric[name]
        left, right = n.left, n.right
        if n.method == COMPLEX:
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            found = slope_by(self.problem, name, index, noise_at(self.problem))
            if not found.kinked:
                return False
            left, right = np.full(g.shape, found.left), np.full(g.shape, found.right)
            wrong = np.zeros(g.shape, bool)
            wrong[index] = True
        allowed = 1e-6 * np.maximum(np.abs(left), np.abs(right)) + SURE * n.error
        between = (np.minimum(left, right) - allowed <= g) & (
            g <= np.maximum(left, right) + allowed
        )
        return bool(((left != right) & between)[wrong].all())

    def _sensitivity(self) -> dict[str, Values]:
        """By how much gradients change, relative to a relative change of everything they depend on.

        That is the size of the terms that they are sums of, and so of the rounding in them: a small
        gradient may be what is left of large terms.
        """
        if self.moves is None:
            random = np.random.default_rng(1)
            self.moves = {name: np.zeros(g.shape) for name, g in self.gradients.items()}
            for _ in range(3):
                for name, g in self.problem.run(self._close_by(random))[1].items():
                    change = np.abs(g - self.gradients[name]) / NEAR
                    self.moves[name] = np.fmax(self.moves[name], change)
        return self.moves


def _ratio(apart: Values, scale: Values) -> Values:
    """Errors by their scale: 0 where there is none, infinite where something is not finite."""
    with np.errstate(all="ignore"):
        ratio = np.where(apart == 0, 0.0, apart / scale)
    return np.where(np.isfinite(ratio), ratio, np.inf)


def _sizes(given: Mapping[str, Values]) -> Sizes:
    """T and N, from the first input that has both: (T, D, N) numbers or (T, N) tokens."""
    for name, value in given.items():
        if value.ndim == 3 or (value.ndim == 2 and value.dtype.kind in "iu"):
            return Sizes(name, T=value.shape[0], N=value.shape[-1])
    return Sizes("", T=None, N=None)
