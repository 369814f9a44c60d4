"""The updates, each as it was published. What they share is in ``optimizer.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import checks
from ..backend import Array, array_module
from ..layer import Layer
from ..parameter import Parameter
from .optimizer import Optimizer
from .schedules import Schedule


class SGD(Optimizer):
    """Gradient descent: p ← p - lr·g. With momentum μ: v ← μ·v + g, p ← p - lr·v (Polyak 1964).

    With Nesterov's: p ← p - lr·(g + μ·v), v being the new one (Sutskever et al. 2013, with the learning
    rate outside of v, as in PyTorch).

    Args:
        momentum: μ in [0, 1).
        nesterov: needs a momentum.
    """

    momentum: float
    nesterov: bool
    numbers = {"momentum": checks.fraction, "nesterov": checks.truth}  # noqa: RUF012

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
    ) -> None:
        self.slots = ("v",) if momentum else ()
        super().__init__(parameters, lr, on_nonfinite, check, momentum=momentum, nesterov=nesterov)

    def _check_together(self, label: str, numbers: Mapping[str, Any]) -> None:
        momentum, nesterov = numbers["momentum"], numbers["nesterov"]
        if nesterov and not momentum:
            got = f"got {nesterov} with momentum={momentum}"
            raise ValueError(f"{label.format('nesterov')}: {got}, want a momentum")
        if momentum and not self.slots:
            name = label.format("momentum")
            raise ValueError(f"{name}: got {momentum}, want 0, with which this optimizer was made")

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        return rate, self.momentum or None, self.momentum if self.nesterov else None

    @staticmethod
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

    slots = squares = ("s",)
    decay: float
    eps: float
    numbers = {"decay": checks.fraction, "eps": checks.positive}  # noqa: RUF012

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-2,
        decay: float = 0.99,
        eps: float = 1e-8,
        *,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
    ) -> None:
        super().__init__(parameters, lr, on_nonfinite, check, decay=decay, eps=eps)

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        return rate, self.eps, self.decay, 1 - self.decay

    @staticmethod
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

    slots = squares = ("s",)
    eps: float
    numbers = {"eps": checks.positive}  # noqa: RUF012

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-2,
        eps: float = 1e-10,
        *,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
    ) -> None:
        super().__init__(parameters, lr, on_nonfinite, check, eps=eps)

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        return rate, self.eps

    @staticmethod
    def _update(p: Array, g: Array, work: Array, rate: float, eps: float, s: Array) -> None:
        work = array_module(g).multiply(g, g, out=work)
        s += work
        _step_by_root(p, g, s, rate, eps, work)


def _betas(name: str, betas: Any) -> tuple[float, float]:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"{name}: got {betas!r}, want a pair (β₁, β₂)")
    return checks.fraction(f"{name}[0]", betas[0]), checks.fraction(f"{name}[1]", betas[1])


class Adam(Optimizer):
    """Adaptive moments; Kingma & Ba 2015, algorithm 1.

    m ← β₁·m + (1-β₁)·g, v ← β₂·v + (1-β₂)·g², p ← p - lr·m̂ / (√v̂ + ε), where m̂ = m / (1-β₁ᵗ) and
    v̂ = v / (1-β₂ᵗ).

    Args:
        betas: β₁ and β₂ in [0, 1).
        eps: ε, added after the root.
    """

    slots, squares = ("m", "v"), ("v",)
    betas: tuple[float, float]
    eps: float
    numbers = {"betas": _betas, "eps": checks.positive}  # noqa: RUF012

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
    ) -> None:
        super().__init__(parameters, lr, on_nonfinite, check, betas=betas, eps=eps)

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        # m̂ / (√v̂ + ε) = √(1-β₂ᵗ) / (1-β₁ᵗ) · m / (√v + ε √(1-β₂ᵗ)): no pass for the corrections
        beta1, beta2 = self.betas
        root = (1 - beta2**t) ** 0.5
        rate = rate * root / (1 - beta1**t)
        return rate, self.eps * root, beta1, 1 - beta1, beta2, 1 - beta2

    @staticmethod
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

    weight_decay: float
    numbers = Adam.numbers | {"weight_decay": checks.real_number}

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        on_nonfinite: str | None = None,
        check: Layer | None = None,
    ) -> None:
        numbers = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
        Optimizer.__init__(self, parameters, lr, on_nonfinite, check, **numbers)

    def _numbers(self, rate: float, t: int) -> tuple[float | None, ...]:
        return 1 - rate * self.weight_decay, *super()._numbers(rate, t)

    @staticmethod
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
