"""What `gradcheck` is asked about: a forward and a backward pass at one point, run and watched."""

from __future__ import annotations

import linecache
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import numpy as np

from ..backend import Array, array_module, to_host
from ..parameter import Parameter, check_names, check_parameters

Values: TypeAlias = np.ndarray[Any, Any]
Forward: TypeAlias = Callable[..., tuple[Any, Any]]
Backward: TypeAlias = Callable[[Any], Mapping[str, Array] | None]

STEP = 1e-30  # of the complex step: nothing is subtracted, so it can be as small as it likes


class NotAnalytic(Exception):
    """The complex step cannot be taken; it says why."""


class Problem:
    """A forward and a backward pass, and the point at which gradients are wanted.

    Attributes:
        point: the blocks, inputs and parameters to differentiate by, in double precision, by name.
        loss: at the point.
        note: something that is odd about the passes, but no mistake; or empty.
    """

    def __init__(
        self,
        forward: Forward,
        backward: Backward,
        parameters: Sequence[Parameter],
        inputs: Mapping[str, Array],
    ) -> None:
        self.forward, self.backward = forward, backward
        none = isinstance(parameters, Sequence) and not parameters
        self.parameters = [] if none else check_parameters(parameters)
        check_names([p.name for p in self.parameters] + list(inputs))
        if any(array_module(p.data) is not np for p in self.parameters):
            raise ValueError("parameters: are on a device; gradients are checked on the host")
        self.given = {name: to_host(value, name) for name, value in inputs.items()}
        for name, value in self.given.items():
            if value.dtype.kind == "c":
                raise TypeError(f"{name}: got {value.dtype}, want real numbers; split it in two")
        floats = {name: value for name, value in self.given.items() if value.dtype.kind == "f"}
        self.own = floats | {p.name: to_host(p.data) for p in self.parameters}
        self.point = {name: value.astype(float) for name, value in self.own.items()}
        self.single = any(value.dtype.itemsize < 8 for value in self.own.values())
        if not any(value.size for value in self.point.values()):
            raise ValueError(
                "parameters: got none, and no input of floating-point numbers either: "
                "there is nothing to check"
            )
        self.note = ""
        self.loss = 0.0

    @contextmanager
    def at(self, arrays: Mapping[str, Values]) -> Iterator[Callable[[], Any]]:
        """Within a ``with``: a function that gives the loss, as these `arrays` are when it is called."""
        inputs = self.given | {name: arrays[name] for name in self.given if name in arrays}
        with ExitStack() as stack:
            for p in self.parameters:
                stack.enter_context(p.replaced_by(arrays[p.name], np.zeros_like(arrays[p.name])))
            yield lambda: self.forward(**inputs)[0]

    def run(
        self, arrays: Mapping[str, Values], twice: bool = False
    ) -> tuple[float, dict[str, Values]]:
        """Run both passes with `arrays`: the loss, and the gradients that backward gives, by name.

        If `twice`, backward is run once more with what forward saved, to see whether it can be.

        Raises:
            TypeError, ValueError: something is not as `gradcheck` wants it.
        """
        everything = {**self.given, **arrays}
        inputs = {name: everything[name].copy() for name in self.given}
        before = {name: value.copy() for name, value in everything.items()}
        with self.at(arrays):

            def unchanged(what: str) -> None:
                now = everything | inputs
                for name, value in before.items():
                    if not np.array_equal(now[name], value, equal_nan=value.dtype.kind == "f"):
                        raise ValueError(
                            f"{what}: changed {name}, which is its caller's; work on a copy of it"
                        )

            result = self.forward(**inputs)
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"forward: gave {type(result).__name__}, want a pair (loss, saved)")
            loss = checked_loss(result[0])
            unchanged("forward")
            gradients = self._back(result[1])
            unchanged("backward")
            if twice and _differ(gradients, self._again(result[1])):
                self.note = (
                    "backward changes what forward saved: called again with it, it gives other "
                    "gradients"
                )
        return loss, gradients

    def _back(self, saved: Any) -> dict[str, Values]:
        """What backward gives for `saved`."""
        for p in self.parameters:
            p.grad[...] = 0
        found = self.backward(saved)
        found = {} if found is None else found
        if not isinstance(found, Mapping) or not found.keys() <= self.given.keys():
            names = list(found) if isinstance(found, Mapping) else type(found).__name__
            raise TypeError(
                f"backward: gave {names}, want gradients by the name of their input, "
                f"of {list(self.given)}"
            )
        of_inputs = {name: to_host(g).copy() for name, g in found.items() if g is not None}
        for name in of_inputs:
            if name not in self.point:
                raise TypeError(
                    f"backward: gave a gradient of {name}, which is {self.given[name].dtype}; "
                    "only floating-point inputs have one"
                )
        gradients = of_inputs | {p.name: p.grad.copy() for p in self.parameters}
        for name, g in gradients.items():
            if g.shape != self.point[name].shape:
                raise ValueError(
                    f"backward: {name} has {self.point[name].shape}, its gradient {g.shape}"
                )
            if g.dtype.kind not in "fiu":
                raise TypeError(
                    f"backward: gave {g.dtype} for the gradient of {name}, want real numbers"
                )
        return gradients

    def _again(self, saved: Any) -> dict[str, Values] | None:
        """What backward gives for the same values once more; None if it can be called only once."""
        try:
            return self._back(saved)
        except Exception:
            return None

    def as_given(self) -> list[dict[str, Values]]:
        """The gradients that backward gives: in double precision, and as the arrays are if they are not.

        Raises:
            ValueError: two runs at one point differ.
        """
        self.loss, gradients = self.run(self.doubles(), twice=True)
        loss, again = self.run(self.doubles())
        if abs(loss - self.loss) > 1e-9 * abs(loss):
            raise ValueError(
                f"forward: two runs at one point differ, with losses of {self.loss:.9g} and "
                f"{loss:.9g}; make its numpy.random.default_rng(seed) anew within it"
            )
        if name := _differ(gradients, again):
            raise ValueError(
                f"backward: two runs at one point differ in the gradient of {name}; "
                "it may depend on nothing but what forward saved"
            )
        if not self.single:
            return [gradients]
        _, as_they_are = self.run({name: value.copy() for name, value in self.own.items()})
        return [gradients, as_they_are]

    def doubles(self) -> dict[str, Values]:
        """The point, to be written to."""
        return {name: value.copy() for name, value in self.point.items()}

    def complex_step(
        self, name: str, point: Mapping[str, Values] | None = None, where: Values | None = None
    ) -> Values:
        """The derivative by every element of one block, by the complex step.

        Args:
            name: of the block.
            point: another point than this one's.
            where: the only elements to look at, where it is true; the others are 0.

        Raises:
            NotAnalytic: complex numbers do not come through.
        """
        arrays = {key: np.array(value, complex) for key, value in (point or self.point).items()}
        array, out = arrays[name], np.zeros(self.point[name].shape)
        with self.at(arrays) as loss, warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            for index in (
                np.ndindex(array.shape) if where is None else map(tuple, np.argwhere(where))
            ):
                value = array[index]
                array[index] = value + 1j * STEP
                try:
                    moved = loss()
                except Exception as error:
                    raise NotAnalytic(f"{type(error).__name__}: {error}") from error
                if not np.iscomplexobj(moved):
                    raise NotAnalytic(f"the loss stays real where {name} is complex")
                out[index] = np.reshape(moved, ()).imag / STEP
                array[index] = value
        return out

    def where_dropped(self) -> str:
        """The first line of forward that writes complex numbers to real ones, if there is one."""
        arrays = {name: value.astype(complex) for name, value in self.point.items()}
        with self.at(arrays) as loss, warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            try:
                loss()
            except np.exceptions.ComplexWarning as warning:
                frame = traceback.extract_tb(warning.__traceback__)[-1]
                line = linecache.getline(frame.filename, frame.lineno or 0).strip()
                return f"{line or frame.name} writes complex numbers to real ones"
            except Exception:
                return ""
        return ""


def checked_loss(loss: Any) -> float:
    """Return the loss as a number, if it is one."""
    try:
        value = np.asarray(loss)
    except ValueError:
        value = np.asarray(None)
    if value.dtype.kind not in "fiubc":
        raise TypeError(f"forward: gave a loss of type {type(loss).__name__}, want a number")
    if value.size != 1:
        raise ValueError(
            f"forward: gave a loss of shape {value.shape}, want one number, "
            "such as (r * loss).sum() with random numbers r"
        )
    if value.dtype.kind == "c":
        raise TypeError(f"forward: gave a loss of {value.dtype}, want a real one: take its .real")
    if not np.isfinite(value).all():
        raise ValueError(f"forward: gave a loss of {float(value.item())}, want a finite number")
    return float(value.item())


def _differ(first: Mapping[str, Values], second: Mapping[str, Values] | None) -> str:
    """The name of the first gradient that differs by more than rounding; empty if none does."""
    for name, g in first.items():
        if second is None:
            return ""
        if name not in second:
            return name
        apart, largest = np.abs(g - second[name]), np.abs(g).max(initial=0)
        if (apart > 1e-6 * largest).any():
            return name
    return ""
