"""Gradients by the complex step and by central differences, beside those of a backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backend import Array, array_module, to_host
from ..parameter import Parameter, check_names, check_parameters
from .diagnose import Sizes, diagnose

Values = np.ndarray[Any, Any]
Forward = Callable[..., tuple[Any, Any]]
Backward = Callable[[Any], Mapping[str, Array] | None]

STEP = 1e-30  # of the complex step: nothing is subtracted, so it can be as small as it likes
CENTRAL_STEP = float(np.finfo(float).eps) ** (1 / 3)  # where rounding and curvature balance
SMALLEST = 1e-6  # gradients below this are compared absolutely


@dataclass(frozen=True)
class Row:
    """One block: a parameter or an input, and how far its gradient is from the true one.

    `error` is max|Δ| / max(max|g|, 1e-6), over the block.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    largest: float  # max|g|
    hint: str  # what the mismatch looks like; empty where there is none


@dataclass(frozen=True, repr=False)
class Report:
    """What `gradcheck` found. Print it to see a table."""

    rows: tuple[Row, ...]
    unchecked: tuple[str, ...]  # inputs of which backward gave no gradient
    tol: float
    method: str

    @property
    def worst(self) -> float:
        """The largest error of all blocks."""
        return max((row.error for row in self.rows), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether every error is within the tolerance."""
        return self.worst <= self.tol

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows], default=0)
        lines = []
        for row in self.rows:
            verdict = "ok" if row.error <= self.tol else f"WRONG: {row.hint}"
            shape = "×".join(map(str, row.shape))
            lines.append(f"{row.name:<{width}}  {shape:>9}  {row.error:8.1e}  {verdict}")
        lines += [
            f"{name:<{width}}  not checked: backward gave no gradient" for name in self.unchecked
        ]
        state = "all" if self.ok else "NOT all"
        lines.append(
            f"{state} within {self.tol:.0e} by {self.method}; the worst is {self.worst:.1e}"
        )
        return "\n".join(lines)


def gradcheck(
    forward: Forward,
    backward: Backward,
    parameters: Sequence[Parameter] = (),
    *,
    method: str = "complex",
    tol: float | None = None,
    **inputs: Array,
) -> Report:
    """Compare the gradients of `backward` with numerical ones, element by element.

    Args:
        forward: ``forward(**inputs) -> (loss, saved)``. It must compute the same every time it is
            called: give dropout a seed, not a generator.
        backward: ``backward(saved)`` adds to the ``.grad`` of the parameters, and returns the inputs'
            gradients by name; those it leaves out, or None, are not checked.
        parameters: whose ``.grad`` to check.
        method: ``"complex"``: Im f(x + i·1e-30) / 1e-30, with hardly any rounding error
            (Squire & Trapp 1998), for functions of what complex numbers can go through: ``+``, ``*``,
            ``@``, exp, tanh and so on. ``"central"``: (f(x + ε) - f(x - ε)) / 2ε, coarser, for all
            others.
        tol: the largest error that passes; None is 1e-12 for the complex step and 1e-6 for central
            differences, and 1e-4 where parameters or inputs are float32. The numerical side always
            computes in double precision.
        inputs: arrays to differentiate by; integer ones are handed over as they are.

    Returns:
        A report with ``.ok``, ``.worst`` and a line per block; a wrong one says what it looks like.
        Parameters and their gradients are left as they were.

    Raises:
        ValueError: an unknown method; a name that occurs twice; parameters on a device; an input's
            gradient of another shape than the input.
        TypeError: `forward` or `backward` gave something else; or the loss lost its imaginary part,
            because something in `forward` is not complex-safe.
    """
    if method not in ("complex", "central"):
        raise ValueError(f'method: got {method!r}, want "complex" or "central"')
    parameters = check_parameters(parameters) if parameters else []
    check_names([p.name for p in parameters] + list(inputs))
    if any(array_module(p.data) is not np for p in parameters):
        raise ValueError("parameters: are on a device; gradients are checked on the host")
    given = {name: to_host(value) for name, value in inputs.items()}
    floats = {name: value for name, value in given.items() if value.dtype.kind == "f"}
    blocks = {name: given[name] for name in floats} | {p.name: to_host(p.data) for p in parameters}
    analytic = _analytic(forward, backward, parameters, given)
    if tol is None:
        single = any(value.dtype == np.float32 for value in blocks.values())
        tol = 1e-4 if single else 1e-12 if method == "complex" else 1e-6
    sizes = _sizes(given)
    rows = []
    kind = complex if method == "complex" else float
    with _in_place_of(parameters, floats, kind) as arrays:

        def loss() -> Any:
            return forward(**(given | {name: arrays[name] for name in floats}))[0]

        for name, g in analytic.items():
            if g.shape != blocks[name].shape:
                raise ValueError(
                    f"backward: {name} has {blocks[name].shape}, its gradient {g.shape}"
                )
            numeric = _derivative(loss, arrays[name], method)
            largest = float(np.abs(numeric).max(initial=0))
            error = float(np.abs(g - numeric).max(initial=0)) / max(largest, SMALLEST)
            if not np.isfinite(error):
                error = np.inf
            hint = ""
            if error > tol:
                gates = next((p.blocks for p in parameters if p.name == name), ())
                hint = diagnose(g, numeric, sizes, gates, series=name == sizes.of)
                if method == "central" and _kinked(loss, arrays[name], g - numeric):
                    hint = (
                        "the loss has a kink here (relu at 0, say), where no difference is right: "
                        "move the input away from it"
                    )
            rows.append(Row(name, g.shape, error, largest, hint))
    unchecked = tuple(name for name in floats if name not in analytic)
    return Report(
        tuple(rows), unchecked, tol, {"complex": "complex step", "central": "differences"}[method]
    )


def _analytic(
    forward: Forward,
    backward: Backward,
    parameters: Sequence[Parameter],
    given: Mapping[str, Values],
) -> dict[str, Values]:
    """The gradients of the backward pass, by name; `.grad` is put back afterwards."""
    before = [p.grad.copy() for p in parameters]
    try:
        for p in parameters:
            p.grad[...] = 0
        result = forward(**given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"forward: gave {type(result).__name__}, want a pair (loss, saved)")
        found = backward(result[1])
        if found is None:
            found = {}
        if not isinstance(found, Mapping) or not found.keys() <= given.keys():
            names = list(found) if isinstance(found, Mapping) else type(found).__name__
            raise TypeError(
                f"backward: gave {names}, want gradients by the name of their input, of {list(given)}"
            )
        wanted = {name: g for name, g in found.items() if g is not None}
        for name in wanted:
            if given[name].dtype.kind != "f":
                raise TypeError(
                    f"backward: gave a gradient of {name}, which is {given[name].dtype}; "
                    "only floating-point inputs have one"
                )
        of_inputs = {name: to_host(g).astype(float) for name, g in wanted.items()}
        return of_inputs | {p.name: to_host(p.grad).astype(float) for p in parameters}
    finally:
        for p, gradient in zip(parameters, before, strict=True):
            p.grad[...] = gradient


@contextmanager
def _in_place_of(
    parameters: Sequence[Parameter], inputs: Mapping[str, Values], kind: type
) -> Iterator[dict[str, Values]]:
    """Arrays of `kind` that stand in for all parameters and inputs, by name."""
    arrays: dict[str, Values] = {name: value.astype(kind) for name, value in inputs.items()}
    with ExitStack() as stack:
        for p in parameters:
            arrays[p.name] = to_host(p.data).astype(kind)
            stack.enter_context(p.replaced_by(arrays[p.name]))
        yield arrays


def _derivative(loss: Callable[[], Any], array: Values, method: str) -> Values:
    """The derivative of the loss by every element of `array`."""
    out = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        if method == "complex":
            array[index] = value + 1j * STEP
            perturbed = loss()
            if not np.iscomplexobj(perturbed):
                raise TypeError(
                    "forward: gave a real loss for complex input, so something in it drops the "
                    'imaginary part (abs, float(), a real buffer); mend it, or use method="central"'
                )
            out[index] = perturbed.imag / STEP
        else:
            step = CENTRAL_STEP * max(1.0, abs(float(value)))
            left, right = _one_sided(loss, array, index, step)
            out[index] = (left + right) / 2
        array[index] = value
    return out


def _one_sided(
    loss: Callable[[], Any], array: Values, index: tuple[int, ...], step: float
) -> tuple[float, float]:
    """The slopes of the loss to the left and to the right of one element."""
    value = array[index]
    losses = []
    for shift in (-step, 0.0, step):
        array[index] = value + shift
        losses.append(float(loss()))
    array[index] = value
    return (losses[1] - losses[0]) / step, (losses[2] - losses[1]) / step


def _kinked(loss: Callable[[], Any], array: Values, difference: Values) -> bool:
    """Whether the loss has a kink where the gradients differ most.

    Where it is smooth, the slopes on both sides draw together as the step shrinks; at a kink, not.
    """
    index = tuple(int(i) for i in np.unravel_index(np.abs(difference).argmax(), array.shape))
    step = CENTRAL_STEP * max(1.0, abs(float(array[index])))
    wide, narrow = (np.ptp(_one_sided(loss, array, index, h)) for h in (step, step / 4))
    return bool(narrow > 0.5 * wide and wide > abs(difference[index]) / 2)


def _sizes(given: Mapping[str, Values]) -> Sizes:
    """T and N, from the first input that has both: (T, D, N) numbers or (T, N) tokens."""
    for name, value in given.items():
        if value.ndim == 3 or (value.ndim == 2 and value.dtype.kind in "iu"):
            return Sizes(name, T=value.shape[0], N=value.shape[-1])
    return Sizes("", T=None, N=None)
