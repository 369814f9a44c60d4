"""The adding problem and the copy problem: sequences as long as one likes, which only memory solves.

Both are drawn fresh at every step, so that nothing but the rule can be learned. Sources: adding,
Hochreiter & Schmidhuber 1997, in the form of Le et al. 2015; copy, Arjovsky et al. 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import minirnn as mr

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SYMBOLS, KINDS = 10, 8  # of the copy problem: how many are to be copied, each one of how many
BLANK, RECALL = KINDS, KINDS + 1  # tokens: wait; say them now


class Task(NamedTuple):
    """What `train` has to know of a problem."""

    says: str  # what it is, and what the best answer without memory gets
    batch: Callable[[int, int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
    loss: Callable[[Any, Any], tuple[Any, Any]]
    input_size: int
    outputs: int
    answers: int  # the output layer answers at so many steps, the last ones
    guessing: float  # the loss of the best answer without memory
    solved: float  # the loss below which it counts as solved
    unit: str  # of the loss
    axis: str  # what T is
    lengths: tuple[int, ...]  # to try
    quick: int  # the only one to try in a hurry


def adding(T: int, N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return x (T, 2, N), random numbers and two markers, and the sum of the marked ones (1, 1, N).

    The numbers are uniform in [0, 1). One marker is in the first half and one in the second; elsewhere
    the second row is 0. The sum has a mean of 1 and a variance of 1/6.
    """
    n = np.arange(N)
    first, second = rng.integers(0, T // 2, N), rng.integers(T // 2, T, N)
    x = np.zeros((T, 2, N), np.float32)
    x[:, 0] = rng.random((T, N))
    x[first, 1, n] = x[second, 1, n] = 1
    return x, (x[first, 0, n] + x[second, 0, n])[None, None]


def copy(T: int, N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens (T + 20, N) and the ten symbols that the last ten outputs are to be (10, N).

    Ten symbols of eight kinds, T waiting tokens, of which the last says "now", and ten more to wait
    while answering. So each symbol has to be kept for T + 10 steps.
    """
    symbols = rng.integers(0, KINDS, (SYMBOLS, N))
    x = np.full((T + 2 * SYMBOLS, N), BLANK)
    x[:SYMBOLS] = symbols
    x[T + SYMBOLS - 1] = RECALL
    return x, symbols


TASKS = {
    "adding": Task(
        says=f"""Adding: T random numbers, two of them marked, one in each half; say the sum of the two.
The best constant answer, 1, has a mean squared error of 1/6 = {1 / 6:.4f}.""",
        batch=adding,
        loss=mr.mse,
        input_size=2,
        outputs=1,
        answers=1,
        guessing=1 / 6,
        solved=0.01,
        unit="mean squared error",
        axis="length T (steps)",
        lengths=(10, 25, 50, 100, 200),
        quick=20,
    ),
    "copy": Task(
        says=f"""Copy: {SYMBOLS} symbols of {KINDS} kinds, and after T steps of waiting, say them again.
Guessing has a loss of ln {KINDS} = {math.log(KINDS):.4f} nats per symbol. (Averaged over all steps,
as some report it, that is {SYMBOLS} ln {KINDS} / (T + {2 * SYMBOLS}).)""",
        batch=copy,
        loss=mr.softmax_cross_entropy,
        input_size=KINDS + 2,
        outputs=KINDS,
        answers=SYMBOLS,
        guessing=math.log(KINDS),
        solved=0.1,
        unit="nats per symbol",
        axis="wait T (steps)",
        lengths=(2, 5, 10, 20),
        quick=2,
    ),
}


def draw_losses(
    ax: Axes, name: str, losses: dict[str, dict[int, float]], colors: list[str]
) -> None:
    """Draw each network's loss over length, with the lines of no memory and of being solved.

    Args:
        ax: where to draw.
        name: of the task.
        losses: by the network's name, and by length.
        colors: of the networks.
    """
    task = TASKS[name]
    for (network, by_length), color in zip(losses.items(), colors, strict=True):
        lengths = list(by_length)
        ax.plot(lengths, list(by_length.values()), "o-", color=color, linewidth=2.2, label=network)
    place = ax.get_yaxis_transform()
    lines = ((task.guessing, "no memory", 0.01, "left"), (task.solved, "solved", 0.99, "right"))
    for loss, words, x, side in lines:
        ax.axhline(loss, color="tab:gray", linestyle=":")
        ax.text(x, loss, f"{words}: {loss:.3g}", transform=place, ha=side, va="bottom")
    ax.set(title=f"The {name} problem after training", xscale="log", yscale="log")
    ax.set(xlabel=task.axis, ylabel=f"{task.unit}, fresh sequences")
    ax.set_xticks(lengths, [str(T) for T in lengths])
    ax.minorticks_off()
    ax.margins(y=0.12)
    ax.grid(alpha=0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
