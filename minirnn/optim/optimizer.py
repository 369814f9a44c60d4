"""What all optimizers share: the step, what it may be made of, and its state by name.

An optimizer's state lies in long arrays like the parameters themselves (see ``parameter.py``), so an
update is a handful of operations on whatever stretches of memory the parameters occupy: one stretch for
all of a `Model`. The equations are in ``rules.py``, and every operation is in place. On the host they
see a block at a time, short enough to stay in the cache from one operation to the next. By name, for
saving, the state comes from ``state_dict``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, array_module, on_its_device, to_host
from ..checks import saved
from ..kernels.in_place.memory import keep_freed_memory
from ..kernels.pool import parallel, shares
from ..layer import Layer
from ..parameter import Parameter, check_names, check_parameters
from .schedules import Schedule, rate_to_save, saved_rate
from .stretches import blocks, stretches
from .trial import Part, unfit
from .watch import Watch

LEAST = 1 << 16  # numbers for each thread; fewer are not worth the handing over
POLICIES = (None, "raise", "skip")


class Optimizer:
    """What all optimizers share: the learning rate, the count of steps, and state by name.

    Parameters that are ``frozen`` are left out of every step, with all that is kept for them; they may
    be frozen and set free at any time. All others are updated at every step, also where the gradient is
    zero: Adam goes on by what it remembers, and weight decay shrinks them.

    Args:
        parameters: of one dtype and on one device, each name once.
        lr: the learning rate, or a schedule: a function of the number of steps made so far.
        on_nonfinite: what `step` does about a gradient that is infinite or NaN, or so large that the
            update would overflow. ``"raise"`` is an error, ``"skip"`` leaves the step out; either way
            nothing is changed. None is ``"raise"`` on the host; on a device, which would have to be
            waited for, gradients are then not looked at.
        check: the model that is trained, all layers of which are to be watched: between two steps each
            forward that kept a cache must have its one backward, and gradients must have been set to
            zero. On a device, this waits for it.

    Raises:
        ValueError: no parameters, two of one name, of two dtypes or devices; an option out of range.
        TypeError: `parameters` are something else; an option is not a number.
    """

    slots: tuple[str, ...] = ()  # the arrays of state, each as long as all parameters
    squares: tuple[str, ...] = ()  # those of them that are never below 0
    numbers: dict[str, Callable[[str, Any], Any]] = {}  # noqa: RUF012  (what rules have, and its check)

    # Changes p and the state in place: (p, g, work, *numbers, *state). `work` is room to write to; where
    # it is None, room is allocated, or not needed in one kernel.
    _update: Callable[..., None]

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
        **numbers: Any,
    ) -> None:
        self.parameters = check_parameters(parameters)
        check_names([p.name for p in self.parameters])
        self._watch = None if check is None else Watch(check, self.parameters)
        kinds = {(str(p.dtype), p.backend.name) for p in self.parameters}
        if len(kinds) > 1:
            raise ValueError(f"parameters: got {sorted(kinds)}, want one dtype and one device")
        self.lr = lr if callable(lr) else checks.real_number("lr", lr)
        if not isinstance(on_nonfinite, str | None) or on_nonfinite not in POLICIES:
            raise ValueError(f'on_nonfinite: got {on_nonfinite!r}, want "raise", "skip" or None')
        self.on_nonfinite = on_nonfinite
        numbers = {name: checked(name, numbers[name]) for name, checked in self.numbers.items()}
        self.steps = 0
        self._counts = [0] * len(self.parameters)  # steps of each
        self.backend = self.parameters[0].backend
        size, self.dtype = sum(p.size for p in self.parameters), self.parameters[0].dtype
        self._root: float = 0.99 * float(np.finfo(self.dtype).max) ** 0.5
        self._check_together("{}", numbers)
        self.__dict__.update(numbers)
        with self.backend.active():
            zeros = self.backend.xp.zeros
            self._state = {slot: zeros(size, self.dtype) for slot in self.slots}
            # Each thread uses one block of this; what is never touched takes no memory
            self._work = zeros(size, self.dtype) if self.backend.xp is np else None
        if self.backend.xp is np:
            keep_freed_memory()  # each step of training frees what the next one takes
        self._parts_as_of, self._kept_parts, self._gradients = -1, list[Part](), list[Array]()

    def __repr__(self) -> str:
        size = sum(p.size for p in self.parameters)
        return f"{type(self).__name__}(lr={self.lr}, {size:,} numbers, {self.steps} steps made)"

    def __getstate__(self) -> dict[str, Any]:
        # (without views, which would be copied)
        return self.__dict__ | {"_parts_as_of": -1, "_kept_parts": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # a pickled array of CuPy comes back on the current device
        self._state = {slot: self.backend.put(array) for slot, array in self._state.items()}

    @property
    def rate(self) -> float:
        """The learning rate of the next step.

        Raises:
            ValueError, TypeError: the schedule gives what is no number of 0 or more, or a huge one.
        """
        name, rate = "lr", self.lr
        if callable(rate):
            name, rate = f"lr({self.steps})", rate(self.steps)
            if getattr(rate, "ndim", None) == 0:
                rate = np.asarray(rate).item()
        if type(rate) is float and 0 <= rate < self._root:  # as nearly always
            return rate
        return checks.real_number(name, rate, below=self._root)

    @on_its_device
    def step(self) -> bool:
        """Update every parameter that is not frozen from its gradient. The gradients stay as they are.

        Returns:
            Whether a step was made: False if it was skipped, see `on_nonfinite`.

        Raises:
            ValueError: a gradient is not finite, or too large; the rate is; nothing was changed.
            TypeError: the rate is not a number.
            RuntimeError: with `check`, a layer had a forward without its backward, or with two; or
                gradients of the step before are still there. The count starts anew.
        """
        if self._watch is not None:
            self._watch.judge()
        rate = self.rate
        with Parameter.changing:
            parts = self._parts()
            if (self.on_nonfinite or self._work is not None) and (bad := self._unfit(parts, rate)):
                if self.on_nonfinite == "skip":
                    return False
                raise ValueError(bad)
            self._step(rate, parts)
        if self._watch is not None:
            self._watch.note()
        return True

    def _step(self, rate: float, parts: Sequence[Part]) -> None:
        self._count(parts)  # so that what other threads compute with some new values is not taken
        for members, arrays, work in parts:
            for k in members:
                self._counts[k] += 1
            numbers = self._numbers(rate, self._counts[members[0]])

            def update(
                own: slice,
                arrays: list[Array] = arrays,
                work: Array = work,
                numbers: tuple[Any, ...] = numbers,
            ) -> None:
                for block in blocks(arrays[0], own):
                    size = block.stop - block.start
                    room = None if work is None else work[own.start : own.start + size]
                    p, g, *state = [array[block] for array in arrays]
                    self._update(p, g, room, *numbers, *state)

            parallel(update, shares(arrays[0], arrays[0].size, LEAST))
        self._count(parts)
        self.steps += 1

    def _count(self, parts: Sequence[Part]) -> None:
        for members, *_ in parts:
            for k in members:
                self.parameters[k].version += 1

    @on_its_device
    def zero_grad(self) -> None:
        """Set every gradient to zero, those of frozen parameters, too."""
        with Parameter.changing:
            self._parts()
            for grad in self._gradients:
                grad[...] = 0

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """All that steps depend on but the parameters: settings, counts and arrays, by name.

        ``"kind"``; ``"lr"``, or for a schedule of this package ``"lr.kind"`` and its numbers, such as
        ``"lr.warmup"`` (a function of your own is not saved); the rule's numbers, such as ``"betas"``;
        ``"steps"``; of each parameter the steps that it has made, ``"steps.rnn.l0.U"``, and each array,
        ``"m.rnn.l0.U"``.
        """
        state = {"kind": np.array(type(self).__name__), "steps": np.array(self.steps)}
        state |= rate_to_save(self.lr)
        state |= {name: np.array(getattr(self, name)) for name in self.numbers}
        start = 0
        for p, count in zip(self.parameters, self._counts, strict=True):
            state[f"steps.{p.name}"] = np.array(count)
            for slot, array in self._state.items():
                part = to_host(array[start : start + p.size])
                state[f"{slot}.{p.name}"] = part.reshape(p.shape).copy()
            start += p.size
        return state

    @on_its_device
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; nothing is changed unless everything fits.

        The learning rate comes with it: to go on with another one, set ``lr`` afterwards. A state from
        before settings were saved, or with a schedule of one's own, leaves this optimizer's as they are.

        Raises:
            ValueError: it is of another kind of optimizer; a name is missing or unknown, a shape
                differs, or a setting is out of range.
            TypeError: values that are not real numbers.
        """
        checks.mapping("state", state)
        kind = type(self).__name__
        if (got := str(state.get("kind", kind))) != kind:
            raise ValueError(f"state: got that of {got}, want one of {kind}")
        counted = [f"steps.{p.name}" for p in self.parameters]
        lr, of_rate = saved_rate("state", state, self.lr)
        settings = {"kind", *self.numbers, *counted}

        def without(names: Collection[str], values: Mapping[str, Any]) -> dict[str, Any]:
            return {k: values[k] for k in values if k not in settings and k not in names}

        own = without(rate_to_save(self.lr), self.state_dict())
        saved.saved_values("state", without(of_rate, state), own)
        numbers = {
            name: check(f"state[{name!r}]", np.asarray(state[name]).tolist())
            for name, check in self.numbers.items()
            if name in state
        }
        self._check_together("state['{}']", {k: getattr(self, k) for k in self.numbers} | numbers)
        for name in (f"{slot}.{p.name}" for slot in self.squares for p in self.parameters):
            if array_module(state[name]) is np:  # (a device would have to be waited for)
                checks.not_negative(f"state[{name!r}]", np.asarray(state[name]))
        steps, *counts = (
            checks.whole_number(
                f"state[{name!r}]", np.asarray(state.get(name, state["steps"]))[()], 0
            )
            for name in ("steps", *counted)
        )
        self.lr, self.steps, self._counts = lr, steps, counts
        self.__dict__.update(numbers)
        start = 0
        for p in self.parameters:
            for slot, array in self._state.items():
                value = np.asarray(state[f"{slot}.{p.name}"], p.dtype).reshape(-1)
                array[start : start + p.size] = p.backend.put(value)
            start += p.size

    def _parts(self) -> list[Part]:
        """What is to be updated; looked up again when a parameter has moved, or was frozen."""
        if self._parts_as_of != Parameter.moved:
            self._parts_as_of, self._kept_parts = Parameter.moved, []
            self._gradients = [s.grad for s in stretches(self.parameters)]
            pairs = zip(self.parameters, self._counts, strict=True)
            marks = [None if p.frozen else count for p, count in pairs]
            for data, grad, own, members in stretches(self.parameters, marks):
                arrays = [data, grad, *(array[own] for array in self._state.values())]
                work = None if self._work is None else self._work[own]
                self._kept_parts.append((members, arrays, work))
        return self._kept_parts

    def _unfit(self, parts: Sequence[Part], rate: float) -> str:
        """Say with which gradient a step would not be finite; empty if it would be."""

        def update(members: range, arrays: list[Array]) -> None:
            p, g, *state = arrays
            numbers = self._numbers(rate, self._counts[members[0]] + 1)
            self._update(p, g, None, *numbers, *state)

        return unfit(self.parameters, parts, 1e-4 * self._root, update)

    def _check_together(self, label: str, numbers: Mapping[str, Any]) -> None:
        """Raise a ValueError where the rule's numbers do not fit one another, or the dtype."""
        least, most = float(np.finfo(self.dtype).tiny), float(np.finfo(self.dtype).max)
        if not least <= numbers.get("eps", 1.0) <= most:
            got, range_ = numbers["eps"], f"{least:.2g} to {most:.2g}"
            raise ValueError(f"{label.format('eps')}: got {got}, want {range_} in {self.dtype}")
        decay = numbers.get("weight_decay", 0.0)
        checks.real_number(label.format("weight_decay"), decay, below=self._root)

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        """What `_update` takes besides arrays in the t-th step: the same for all of these parameters."""
        raise NotImplementedError
