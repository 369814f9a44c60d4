"""Learning-rate schedules: functions of the number of steps made so far, for an optimizer's ``lr``."""

from __future__ import annotations

import math
from dataclasses import dataclass

from . import checks


@dataclass(frozen=True)
class Constant:
    """The same rate, `lr`, at every step."""

    lr: float

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """`lr`, multiplied by `factor` after every `every` steps.

    Raises:
        ValueError, TypeError: `every` is not a whole number of 1 or more.
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        checks.whole_number("every", self.every)

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True)
class CosineWarmup:
    """Up in a straight line over `warmup` steps, then down along half a cosine.

    After k steps the rate is lr · (k + 1) / warmup for k < warmup, `lr` for k = warmup, and `final` for
    k = steps and beyond. Loshchilov & Hutter 2017, equation 5, without restarts.

    Raises:
        ValueError, TypeError: `steps` or `warmup` is not a whole number; `warmup` is not below `steps`.
    """

    lr: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        checks.whole_number("steps", self.steps)
        if not 0 <= checks.whole_number("warmup", self.warmup, 0) < self.steps:
            raise ValueError(f"warmup: got {self.warmup}, want fewer than steps = {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.final + (self.lr - self.final) * 0.5 * (1 + math.cos(math.pi * done))
