"""Optimizers, each to the update that was published.

An optimizer's state lies in long arrays like the parameters themselves (see ``parameter.py``), so an
update is a handful of operations on whatever stretches of memory the parameters occupy: one stretch for
all of a `Model`. The equations are written out in ``_update``, and every operation is in place. On the
host it sees a block at a time, short enough to stay in the cache from one operation to the next; on a
device it can be one kernel (see ``kernels/elementwise.py``), and ``_numbers`` has what goes into that
besides arrays. By name, for saving, the state comes from ``state_dict``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import checks
from .backend import Array, array_module, on_its_device, to_host
from .kernels.elementwise import one_kernel
from .parameter import Parameter, blocks, check_names, check_parameters, stretches
from .pool import parallel, shares

Schedule = Callable[[int], float]

LEAST = 1 << 16  # numbers for each thread; fewer are not worth the handing over


class Optimizer:
    """What all optimizers share: the learning rate, the count of steps, and state by name.

    Args:
        parameters: of one dtype and on one device, each name once.
        lr: the learning rate, or a schedule: a function of the number of steps made so far.

    Raises:
        ValueError: no parameters, two of one name, of two dtypes or devices; an option out of range.
        TypeError: `parameters` are something else; an option is not a number.
    """

    slots: tuple[str, ...] = ()  # the arrays of state, each as long as all parameters

    # Changes p and the state in place: (p, g, work, *numbers, *state). `work` is room to write to; where
    # it is None, room is allocated, or not needed in one kernel.
    _update: Callable[..., None]

    def __init__(self, parameters: Sequence[Parameter], lr: float | Schedule) -> None:
        self.parameters = check_parameters(parameters)
        check_names([p.name for p in self.parameters])
        kinds = {(str(p.dtype), p.backend.name) for p in self.parameters}
        if len(kinds) > 1:
            raise ValueError(f"parameters: got {sorted(kinds)}, want one dtype and one device")
        self.lr = lr if callable(lr) else checks.real_number("lr", lr)
        self.steps = 0
        self.backend = self.parameters[0].backend
        size = sum(p.size for p in self.parameters)
        with self.backend.active():
            zeros = self.backend.xp.zeros
            self._state = {slot: zeros(size, self.parameters[0].dtype) for slot in self.slots}
            # Each thread uses one block of this; what is never touched takes no memory
            on_host = self.backend.xp is np
            self._work = zeros(size, self.parameters[0].dtype) if on_host else None

    def __repr__(self) -> str:
        size = sum(p.size for p in self.parameters)
        return (
            f"{type(self).__name__}(rate {self.rate:g}, {size:,} numbers, {self.steps} steps made)"
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # a pickled array of CuPy comes back on the current device
        self._state = {slot: self.backend.put(array) for slot, array in self._state.items()}

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.lr(self.steps) if callable(self.lr) else self.lr)

    @on_its_device
    def step(self) -> None:
        """Update every parameter from its gradient. The gradients stay as they are."""
        rate = self.rate
        with Parameter.changing:
            self._step(rate)

    def _step(self, rate: float) -> None:
        self.steps += 1
        numbers = self._numbers(rate)
        self._count()  # so that what other threads compute with some of the new values is not taken
        for s in stretches(self.parameters):
            arrays = [s.data, s.grad, *(array[s.own] for array in self._state.values())]
            work = None if self._work is None else self._work[s.own]

            def update(own: slice, arrays: list[Array] = arrays, work: Array = work) -> None:
                for block in blocks(arrays[0], own):
                    size = block.stop - block.start
                    room = None if work is None else work[own.start : own.start + size]
                    p, g, *state = [array[block] for array in arrays]
                    self._update(p, g, room, *numbers, *state)

            parallel(update, shares(s.data, s.data.size, LEAST))
        self._count()

    def _count(self) -> None:
        for p in self.parameters:
            p.version += 1

    @on_its_device
    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for s in stretches(self.parameters):
            s.grad[...] = 0

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """The count of steps, and each state array by parameter name, such as ``"m.rnn.l0.U"``."""
        state: dict[str, np.ndarray[Any, Any]] = {"steps": np.array(self.steps)}
        start = 0
        for p in self.parameters:
            for slot, array in self._state.items():
                part = to_host(array[start : start + p.size])
                state[f"{slot}.{p.name}"] = part.reshape(p.shape).copy()
            start += p.size
        return state

    @on_its_device
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; nothing is changed unless everything fits.

        Raises:
            ValueError: a name is missing or unknown, or a shape differs.
            TypeError: values that are not real numbers.
        """
        checks.saved_values("state", state, self.state_dict())
        self.steps = checks.whole_number("state['steps']", np.asarray(state["steps"])[()], 0)
        start = 0
        for p in self.parameters:
            for slot, array in self._state.items():
                value = np.asarray(state[f"{slot}.{p.name}"], p.dtype).reshape(-1)
                array[start : start + p.size] = p.backend.put(value)
            start += p.size

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        """What `_update` takes besides arrays: the same for all parameters, new at each step."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent: p ← p - lr·g. With momentum μ: v ← μ·v + g, p ← p - lr·v (Polyak 1964).

    With Nesterov's: p ← p - lr·(g + μ·v), v being the new one (Sutskever et al. 2013, with the learning
    rate outside of v, as in PyTorch).

    Args:
        momentum: μ in [0, 1).
        nesterov: needs a momentum.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.momentum = checks.fraction("momentum", momentum)
        if nesterov and not momentum:
            raise ValueError(f"nesterov: got {nesterov} with momentum={momentum}, want a momentum")
        self.nesterov = nesterov
        self.slots = ("v",) if momentum else ()
        super().__init__(parameters, lr)

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        return rate, self.momentum or None, self.momentum if self.nesterov else None

    @staticmethod
    @one_kernel
    def _update(
        p: Array, g: Array, work: Array, rate: float,
        momentum: float | None, ahead: float | None, v: Array = None,
    ) -> None:  # fmt: skip
        xp, direction = array_module(g), g
        if momentum is not None:
            v *= momentum
            v += g
            direction = v
        if ahead is not None:
            direction = work = xp.multiply(v, ahead, out=work)
            work += g
        work = xp.multiply(direction, rate, out=work)
        p -= work


class RMSprop(Optimizer):
    """s ← ρ·s + (1-ρ)·g², p ← p - lr·g / (√s + ε); Tieleman & Hinton 2012, lecture 6e.

    Args:
        decay: ρ in [0, 1).
        eps: ε, added after the root.
    """

    slots = ("s",)

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-2,
        decay: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        self.decay = checks.fraction("decay", decay)
        self.eps = checks.positive("eps", eps)
        super().__init__(parameters, lr)

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        return rate, self.eps, self.decay, 1 - self.decay

    @staticmethod
    @one_kernel
    def _update(
        p: Array, g: Array, work: Array, rate: float, eps: float, keep: float, add: float, s: Array
    ) -> None:
        work = _average_of_squares(s, g, keep, add, work)
        _step_by_root(p, g, s, rate, eps, work)


class Adagrad(Optimizer):
    """s ← s + g², p ← p - lr·g / (√s + ε); Duchi et al. 2011.

    Args:
        eps: ε, added after the root.
    """

    slots = ("s",)

    def __init__(
        self, parameters: Sequence[Parameter], lr: float | Schedule = 1e-2, eps: float = 1e-10
    ) -> None:
        self.eps = checks.positive("eps", eps)
        super().__init__(parameters, lr)

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        return rate, self.eps

    @staticmethod
    @one_kernel
    def _update(p: Array, g: Array, work: Array, rate: float, eps: float, s: Array) -> None:
        work = array_module(g).multiply(g, g, out=work)
        s += work
        _step_by_root(p, g, s, rate, eps, work)


class Adam(Optimizer):
    """Adaptive moments; Kingma & Ba 2015, algorithm 1.

    m ← β₁·m + (1-β₁)·g, v ← β₂·v + (1-β₂)·g², p ← p - lr·m̂ / (√v̂ + ε), where m̂ = m / (1-β₁ᵗ) and
    v̂ = v / (1-β₂ᵗ).

    Args:
        betas: β₁ and β₂ in [0, 1).
        eps: ε, added after the root.
    """

    slots = ("m", "v")

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise TypeError(f"betas: got {betas!r}, want a pair (β₁, β₂)")
        self.betas = checks.fraction("betas[0]", betas[0]), checks.fraction("betas[1]", betas[1])
        self.eps = checks.positive("eps", eps)
        super().__init__(parameters, lr)

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        # m̂ / (√v̂ + ε) = √(1-β₂ᵗ) / (1-β₁ᵗ) · m / (√v + ε √(1-β₂ᵗ)): no pass for the corrections
        beta1, beta2 = self.betas
        root = (1 - beta2**self.steps) ** 0.5
        rate = rate * root / (1 - beta1**self.steps)
        return rate, self.eps * root, beta1, 1 - beta1, beta2, 1 - beta2

    @staticmethod
    @one_kernel
    def _update(
        p: Array, g: Array, work: Array, rate: float, eps: float,
        beta1: float, add1: float, beta2: float, add2: float, m: Array, v: Array,
    ) -> None:  # fmt: skip
        work = array_module(g).multiply(g, add1, out=work)
        m *= beta1
        m += work
        work = _average_of_squares(v, g, beta2, add2, work)
        _step_by_root(p, m, v, rate, eps, work)


class AdamW(Adam):
    """Adam with decoupled weight decay, p ← p - lr·λ·p before Adam's update; Loshchilov & Hutter 2019.

    As in PyTorch, the decay is multiplied by the learning rate, schedule included.

    Args:
        weight_decay: λ, 0 or more.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        self.weight_decay = checks.real_number("weight_decay", weight_decay)
        super().__init__(parameters, lr, betas, eps)

    def _numbers(self, rate: float) -> tuple[float | None, ...]:
        return 1 - rate * self.weight_decay, *super()._numbers(rate)

    @staticmethod
    @one_kernel
    def _update(p: Array, g: Array, work: Array, keep: float, *adam: Any) -> None:
        p *= keep
        Adam._update(p, g, work, *adam)


def _average_of_squares(s: Array, g: Array, keep: float, add: float, work: Array) -> Array:
    """s ← keep·s + add·g², in place. Return the room that it took."""
    work = array_module(g).multiply(g, g, out=work)
    work *= add
    s *= keep
    s += work
    return work


def _step_by_root(
    p: Array, direction: Array, s: Array, rate: float, eps: float, work: Array
) -> None:
    """p ← p - rate · direction / (√s + eps), in place."""
    xp = array_module(s)
    work = xp.sqrt(s, out=work)
    work += eps
    work = xp.divide(direction, work, out=work)
    work *= rate
    p -= work
