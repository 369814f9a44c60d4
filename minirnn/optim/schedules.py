"""Learning-rate schedules: functions of the number of steps made so far, for an optimizer's ``lr``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from .. import checks

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class Constant:
    """The same rate, `lr`, at every step.

    Raises:
        ValueError, TypeError: `lr` is not a number of 0 or more.
    """

    lr: float

    def __post_init__(self) -> None:
        checks.real_number("lr", self.lr)

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """`lr`, multiplied by `factor` after every `every` steps.

    Raises:
        ValueError, TypeError: `every` is not a whole number of 1 or more; `lr` or `factor` is not a
            number of 0 or more.
    """

    lr: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        checks.real_number("lr", self.lr)
        checks.whole_number("every", self.every)
        checks.real_number("factor", self.factor)

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True)
class CosineWarmup:
    """Up in a straight line over `warmup` steps, then down along half a cosine.

    After k steps the rate is lr · (k + 1) / warmup for k < warmup, `lr` for k = warmup, and `final` for
    k = steps and beyond. Loshchilov & Hutter 2017, equation 5, without restarts.

    Raises:
        ValueError, TypeError: `steps` or `warmup` is not a whole number; `warmup` is not below `steps`;
            `lr` or `final` is not a number of 0 or more.
    """

    lr: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        checks.real_number("lr", self.lr)
        checks.real_number("final", self.final)
        checks.whole_number("steps", self.steps)
        if not 0 <= checks.whole_number("warmup", self.warmup, 0) < self.steps:
            raise ValueError(f"warmup: got {self.warmup}, want fewer than steps = {self.steps}")

    def __call__(self, step: int) -> float:
        """Return the rate after `step` steps."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.final + (self.lr - self.final) * 0.5 * (1 + math.cos(math.pi * done))


SCHEDULES = {kind.__name__: kind for kind in (Constant, StepDecay, CosineWarmup)}


def rate_to_save(lr: float | Schedule) -> dict[str, np.ndarray[Any, Any]]:
    """A rate, or a schedule of these, as arrays by name; of any other function there is nothing."""
    if not callable(lr):
        return {"lr": np.array(lr)}
    kind: Any = type(lr)
    if kind not in SCHEDULES.values():
        return {}
    numbers = {f"lr.{f.name}": np.array(getattr(lr, f.name)) for f in fields(kind)}
    return {"lr.kind": np.array(kind.__name__)} | numbers


def saved_rate(
    name: str, state: Mapping[str, Any], own: float | Schedule
) -> tuple[float | Schedule, set[str]]:
    """What `rate_to_save` put into `state`, which is called `name`, and by which names.

    It is `own` if there is nothing.

    Raises:
        ValueError, TypeError: it is no rate, or no schedule of these.
    """
    if "lr" in state:
        return checks.real_number(f"{name}['lr']", np.asarray(state["lr"]).tolist()), {"lr"}
    if "lr.kind" not in state:
        return own, set()
    kind: Any = SCHEDULES.get(str(state["lr.kind"]))
    if kind is None:
        raise ValueError(
            f"{name}['lr.kind']: got {state['lr.kind']}, want one of {', '.join(SCHEDULES)}"
        )
    names = [f"lr.{f.name}" for f in fields(kind)]
    missing = [key for key in names if key not in state]
    if missing:
        raise ValueError(f"{name}: missing {missing}, numbers of a {kind.__name__}")
    return kind(*(np.asarray(state[key]).tolist() for key in names)), {"lr.kind", *names}
