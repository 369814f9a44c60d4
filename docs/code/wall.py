"""A wall in the loss of one recurrent unit, and gradient descent that runs into it.

The unit is h' = tanh(w h + b), starts at 0.5 and is to be at 0.7 after ten steps; after Pascanu,
Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", figure 6.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import minirnn as mr

STEPS = 10
FIRST, WANTED = 0.5, 0.7
START = (2.5, -0.2)  # w, b

Values = np.ndarray[Any, Any]


class Unit:
    """The unit, with its w and b as parameters of the engine."""

    def __init__(self, w: float, b: float) -> None:
        self.rnn = mr.RNN(1, 1, dtype="float64", rng=0)
        U, self.w, self.b = self.rnn.parameters()
        U.data = np.zeros((1, 1))
        self.place(w, b)

    def place(self, w: float, b: float) -> None:
        """Set w and b."""
        self.w.data, self.b.data = np.full((1, 1), w), np.full((1, 1), b)

    def loss(self) -> float:
        """Return the loss, and leave the gradients of w and b in their ``.grad``."""
        state = (np.full((1, 1, 1), FIRST),)
        _, state, cache = self.rnn.forward(np.zeros((STEPS, 1, 1)), state)
        loss, dh = mr.mse(self.rnn.last(state), np.full((1, 1), WANTED))
        self.rnn.zero_grad()
        self.rnn.backward(cache, dstate=self.rnn.last_backward(dh))
        return float(loss)


def descend(clip: float, steps: int = 300) -> tuple[Values, float]:
    """Return w, b and the gradient's norm at each step, (steps, 3), and the last loss."""
    unit, path = Unit(*START), []
    learned = [unit.w, unit.b]
    sgd = mr.SGD(learned, lr=0.1)
    for _ in range(steps):
        loss = unit.loss()
        norm = mr.clip_grad_norm(learned, clip)
        path.append((unit.w.data.item(), unit.b.data.item(), float(norm)))
        sgd.step()
    return np.array(path), loss


def surface(w: Values, b: Values) -> Values:
    """Return the loss at all pairs, (len(b), len(w))."""
    unit, losses = Unit(*START), np.zeros((len(b), len(w)))
    for row, column in np.ndindex(losses.shape):
        unit.place(float(w[column]), float(b[row]))
        losses[row, column] = unit.loss()
    return losses


def draw(clips: dict[str, float]) -> None:
    """Draw the descents, on all of the surface and near the wall, and print how they went."""
    figure, (whole, near) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
    ranges = {whole: ((0.5, 4.5), (-1.5, 4.2)), near: ((1.3, 2.7), (-0.85, 0.05))}
    for ax, (across, up) in ranges.items():
        w, b = np.linspace(*across, 45), np.linspace(*up, 45)
        levels = np.linspace(0, 3, 13)
        filled = ax.contourf(w, b, surface(w, b), levels, cmap="Greys", alpha=0.7)
        ax.set(xlabel="w", ylabel="b", xlim=across, ylim=up)
    figure.colorbar(filled, ax=near, label="loss")
    for (name, clip), marker in zip(clips.items(), "os", strict=True):
        path, loss = descend(clip)
        for ax in ranges:
            line = f"{marker}-"
            ax.plot(path[:, 0], path[:, 1], line, markersize=3, linewidth=0.8, label=name)
        step = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).max()
        print(
            f"{name:18} largest gradient {path[:, 2].max():6.1f}, largest step {step:5.2f}, "
            f"final loss {loss:.4f}"
        )
    whole.set_title("all of it")
    near.set_title("the wall, from near")
    whole.legend()
