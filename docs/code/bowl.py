"""The paths of optimizers on a bowl, L = ½ Σ λ p², that is the squared error of a linear layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import minirnn as mr

STEEPNESS = (1.0, 20.0)  # λ
SIDES = np.diag(np.sqrt(STEEPNESS))  # what the layer reads: two columns
START = (-4.0, 1.5)

Values = np.ndarray[Any, Any]
NewOptimizer = Callable[[Sequence[mr.Parameter]], Any]


def descend(new_optimizer: NewOptimizer, steps: int = 60) -> Values:
    """Return the path from `START`, (steps + 1, 2)."""
    bowl = mr.Linear(2, 1, bias=False, dtype="float64", rng=0)
    (V,) = bowl.parameters()
    V.data = np.array([START])
    optimizer, path = new_optimizer([V]), [V.data[0].copy()]
    for _ in range(steps):
        pred, cache = bowl.forward(SIDES)
        _, dpred = mr.mse(pred, np.zeros((1, 2)))
        optimizer.zero_grad()
        bowl.backward(cache, dpred)
        optimizer.step()
        path.append(V.data[0].copy())
    return np.array(path)


def draw(chosen: Mapping[str, NewOptimizer]) -> None:
    """Draw six paths, each on the bowl's contours, and print how near they come to its middle."""
    across, up = np.meshgrid(np.linspace(-5, 3, 80), np.linspace(-2.5, 2.5, 80))
    bowl = np.square(np.stack([across, up], axis=-1) @ SIDES).mean(axis=-1)
    size: Any = {"figsize": (9, 4.4), "sharex": True, "sharey": True, "layout": "constrained"}
    figure, axes = plt.subplots(2, 3, **size)
    for ax, (name, new_optimizer) in zip(axes.flat, chosen.items(), strict=True):
        path = descend(new_optimizer)
        ax.contour(across, up, bowl, 2.0 ** np.arange(-3, 7), colors="tab:gray", linewidths=0.5)
        ax.plot(*path.T, "o-", markersize=2.5, linewidth=0.8)
        ax.set(title=name, xlim=(-5, 3), ylim=(-2.5, 2.5))
        after = {step: np.linalg.norm(path[step]) for step in (20, 60)}
        shown = ", ".join(f"after {step} steps {distance:6.3f}" for step, distance in after.items())
        print(f"{name:20} distance {shown}")
    figure.supxlabel("p₁, flat")
    figure.supylabel("p₂, steep")
