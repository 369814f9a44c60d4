"""A moving average of the parameters, which often predicts better than the parameters themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, on_its_device, to_host
from ..checks import saved
from ..parameter import Parameter, check_names, check_parameters


class Average:
    """θ̄ ← d·θ̄ + (1 - d)·θ after every update; Polyak & Juditsky 1992, with exponential weights.

    In the k-th update, d is min(decay, k / (k + 9)), so that the first steps are soon forgotten.

    Args:
        parameters: what is to be averaged, such as ``model.parameters()``.
        decay: in [0, 1); 0.999 averages over about a thousand steps. 0 follows the parameters.

    Raises:
        ValueError: no parameters, two of one name; `decay` is out of range.
        TypeError: `parameters` are something else; `decay` is not a number.
    """

    def __init__(self, parameters: Sequence[Parameter], decay: float = 0.999) -> None:
        self.parameters = check_parameters(parameters)
        check_names([p.name for p in self.parameters])
        self.decay = checks.fraction("decay", decay)
        self.steps = 0
        self._values = [_copy(p) for p in self.parameters]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # a pickled array of CuPy comes back on the current device
        pairs = zip(self.parameters, self._values, strict=True)
        self._values = [p.backend.put(value) for p, value in pairs]

    @on_its_device
    def update(self) -> None:
        """Take the parameters as they are now into the average."""
        self.steps += 1
        d = min(self.decay, self.steps / (self.steps + 9))
        for p, value in zip(self.parameters, self._values, strict=True):
            with p.backend.active():
                value *= d
                value += (1 - d) * p.data

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within a ``with``, the parameters are the average; after it, they are themselves again."""
        own = [_copy(p) for p in self.parameters]
        self._set(self._values)
        try:
            yield
        finally:
            self._set(own)

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The count of updates, the decay, and the averages by parameter name."""
        numbers = {"steps": np.array(self.steps), "decay": np.array(self.decay)}
        pairs = zip(self.parameters, self._values, strict=True)
        return numbers | {p.name: to_host(v).copy() for p, v in pairs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over `state`, as `state_dict` gave it; nothing is changed unless everything fits.

        A state from before the decay was saved leaves it as it is.

        Raises:
            ValueError: a name is missing or unknown, a shape differs, or a number is out of range.
            TypeError: values that are not real numbers.
        """
        checks.mapping("state", state)
        own = self.state_dict()
        state = {"decay": own["decay"], **state}
        saved.saved_values("state", state, own)
        steps = checks.whole_number("state['steps']", np.asarray(state["steps"])[()], 0)
        self.decay = checks.fraction("state['decay']", np.asarray(state["decay"]).tolist())
        self.steps = steps
        for p, value in zip(self.parameters, self._values, strict=True):
            with p.backend.active():
                value[...] = p.backend.put(np.asarray(state[p.name], p.dtype))

    def _set(self, values: Sequence[Any]) -> None:
        for p, value in zip(self.parameters, values, strict=True):
            p.data = value


def _copy(p: Parameter) -> Array:
    with p.backend.active():
        return p.data.copy()
