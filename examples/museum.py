"""What an exhibit of the bug museum is, and the checks it is put to; `exhibits.py` has the exhibits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from altered import altered

import minirnn as mr
from minirnn.gradcheck import Report
from minirnn.gradcheck.proof import LENGTHS, Case

D, H, N = 5, 2, 3  # the sizes of `Case`


@dataclass(frozen=True)
class WithLoss:
    """The problem for mistakes in a loss: the outputs of an LSTM are scores, targets are random."""

    def check(self, seed: int = 0, T: int = 4) -> Report:
        """Check every gradient, as `Case.check` does."""
        rng = np.random.default_rng(seed)
        net = mr.LSTM(D, H, dtype="float64", rng=rng)
        x, targets = rng.normal(size=(T, D, N)), rng.integers(0, H, (T, N))

        def forward(x: Any) -> tuple[Any, Any]:
            ys, _, cache = net.forward(x)
            loss, dys = mr.softmax_cross_entropy(ys, targets)
            return loss, (cache, dys)

        return mr.gradcheck(
            forward, lambda saved: {"x": net.backward(*saved)[0]}, net.parameters(), x=x
        )


@dataclass(frozen=True)
class Exhibit:
    """A mistake: one line of the engine, as it is and as people get it wrong."""

    name: str
    title: str
    function: Callable[..., Any]  # which it is in
    old: str  # the line as it is
    new: str  # and as it is here
    story: str  # how it comes about
    seen: str  # where it was seen, as Markdown; empty where that is not known
    case: Case | WithLoss  # the problem it is checked with
    says: str  # a part of what gradcheck says, over several steps
    one_step: str = ""  # and over one; empty where nothing is wrong there

    def made(self) -> AbstractContextManager[None]:
        """Within a ``with``, the engine makes this mistake."""
        return altered(self.function, self.old, self.new)

    @property
    def place(self) -> str:
        """The file and the function of the line."""
        path = self.function.__module__.replace(".", "/")
        return f"{path}.py, {self.function.__qualname__}"

    @property
    def diff(self) -> str:
        """The change, as diffs show it."""
        return f"- {self.old}\n+ {self.new}"


def strong(exhibit: Exhibit, T: int = 4) -> Report:
    """Check from a random state, with a random projection of all outputs and the final state."""
    with exhibit.made():
        return exhibit.case.check(T=T)


def summary(report: Report) -> str:
    """What a report says, with a line for each different thing it says."""
    names: dict[str, list[str]] = {}
    for row in report.rows:
        names.setdefault(row.hint or "right", []).append(row.name)
    lines = [f"{', '.join(blocks)}: {hint}" for hint, blocks in names.items()]
    return "\n".join([*lines, *(note for note in report.notes if note not in names)])


def weak(
    exhibit: Exhibit, T: int = 4, from_zeros: bool = False, plain_sum: bool = False
) -> Report | None:
    """Check in a way that sees less: gradients are given for the outputs only, not for the final state.

    Args:
        exhibit: whose mistake is made.
        T: steps.
        from_zeros: there is no initial state, so that it has no gradient to check.
        plain_sum: the loss is the sum of all outputs, instead of a random projection.

    Returns:
        None where the problem has no such switch.
    """
    case = exhibit.case
    if isinstance(case, WithLoss):
        with exhibit.made():
            return None if from_zeros or plain_sum else case.check(T=T)
    rng = np.random.default_rng(0)
    options: dict[str, Any] = {"dtype": "float64", "scan": case.scan, "rng": rng}
    net = mr.Recurrent(case.cell, D, H, case.layers, case.bidirectional, **options)
    scans = net.num_layers * net.num_directions
    x = rng.normal(size=(T, D, N))
    r = np.ones if plain_sum else lambda shape: rng.normal(size=shape)
    dys = r((T, net.output_size, N))
    names = [] if from_zeros else [f"{part}0" for part in case.cell.states]
    initial: dict[str, Any] = {name: rng.normal(size=(scans, H, N)) for name in names}
    lengths = [min(length, T) for length in LENGTHS] if case.lengths else None

    def forward(x: Any, **state: Any) -> tuple[Any, Any]:
        ys, _, cache = net.forward(x, tuple(state.values()) or None, lengths)
        return (dys * ys).sum(), cache

    def backward(cache: Any) -> dict[str, Any]:
        dx, dstate = net.backward(cache, dys)
        return {"x": dx} | dict(zip(initial, dstate, strict=False))

    with exhibit.made():
        return mr.gradcheck(forward, backward, net.parameters(), x=x, **initial)


WEAK: dict[str, dict[str, Any]] = {
    "outputs only": {},
    "zero state": {"from_zeros": True},
    "plain sum": {"plain_sum": True},
    "one step": {"T": 1},
    "all of these": {"T": 1, "from_zeros": True, "plain_sum": True},
}
