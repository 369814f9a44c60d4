"""How much of a change of the state arrives in h_T, for `memory.py`: Jacobians, half-lives, curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import minirnn as mr

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Curve(NamedTuple):
    """Norms at distances 1, 2, ... and the line to draw them with."""

    name: str
    norms: np.ndarray
    line: dict[str, Any]


def gradient_norms(rnn: mr.Recurrent, x: np.ndarray) -> dict[str, np.ndarray]:
    """Return ‖∂h_T/∂h_t‖ / √H and, with an LSTM, ‖∂h_T/∂c_t‖ / √H, for t = T - 1, ..., 0.

    The norm is Frobenius', as root mean square over the sequences. So it says by how much a change of
    the state in a random direction is stretched on its way. A change of h_t does not change c_t here,
    and the other way round: each is one of the two things that an LSTM hands to its next step.

    Args:
        rnn: of one layer and one direction. Its parameters' gradients are of no use afterwards.
        x: (T, D, N), on the host.

    Returns:
        By the state's letter, (T,), from the nearest to the farthest.
    """
    N, H, device = x.shape[-1], rnn.hidden_size, rnn.backend.name
    x = mr.to_device(np.repeat(x, H, axis=-1), device)  # each sequence in H columns, ...
    state, caches = None, []
    for t in range(len(x)):
        _, state, cache = rnn.forward(x[t : t + 1], state)
        caches.append(cache)

    rows = np.tile(np.eye(H, dtype=rnn.dtype), N)  # ... each to carry one row of the Jacobian back
    dstate = rnn.last_backward(mr.to_device(rows, device))
    norms: dict[str, list[float]] = {letter: [] for letter in rnn.cell.states}
    for cache in reversed(caches):
        _, dstate = rnn.backward(cache, dstate=dstate)
        for letter, part in zip(norms, dstate, strict=True):
            squares = mr.to_host(part).astype(float) ** 2  # in float64, as they may be tiny
            norms[letter].append(float((squares.sum() / (N * H)) ** 0.5))
    return {letter: np.array(values) for letter, values in norms.items()}


def half_life(norms: np.ndarray) -> float:
    """Return in how many steps the norms halve, by the straight line that fits their logarithms best.

    Infinity if they do not fall.
    """
    distance, seen = np.arange(1, len(norms) + 1), norms > 1e-30
    slope = float(np.polyfit(distance[seen], np.log2(norms[seen]), 1)[0])
    return -1 / slope if slope < 0 else math.inf


def pace(norms: np.ndarray) -> str:
    """Put the half-life into words."""
    steps = half_life(norms)
    return f"halves every {steps:.1f} steps" if steps < math.inf else "does not fall"


def powers(factor: float, span: int) -> np.ndarray:
    """Return what is left after 1, 2, ... multiplications."""
    return factor ** np.arange(1.0, span + 1)


def theory(rnn: mr.Recurrent, span: int) -> list[Curve]:
    """Say what to expect of a plain RNN's W and of a forget gate.

    Returns:
        Two curves: powers of the largest eigenvalue of W, and of the forget gate at a bias of 1.
    """
    W = mr.to_host(rnn.named_parameters()["l0.W"].data)
    eigenvalue = float(np.abs(np.linalg.eigvals(W)).max())
    gates = {bias: 1 / (1 + math.exp(-bias)) for bias in (0, 1, 3)}  # with nothing else coming in
    print(f"""
Theory: an RNN's gradient is multiplied by W at each step, and by less where tanh is flat. The
largest eigenvalue of W (1/sqrt(3) = 0.58 for large H)
  is {eigenvalue:.2f} here:    {pace(powers(eigenvalue, span))}
An LSTM's c is multiplied by its forget gate, which a bias of
  0 opens to {gates[0]:.2f}: {pace(powers(gates[0], span))}
  1 opens to {gates[1]:.2f}: {pace(powers(gates[1], span))}
  3 opens to {gates[3]:.2f}: {pace(powers(gates[3], span))}
What goes round through h and the other gates comes on top.
""")
    line = {"color": "black", "linewidth": 1}
    return [
        Curve("eigenvalue of the RNN's W", powers(eigenvalue, span), {**line, "linestyle": "--"}),
        Curve("forget gate at bias 1", powers(gates[1], span), {**line, "linestyle": ":"}),
    ]


def draw_curves(ax: Axes, curves: list[Curve], title: str) -> None:
    """Draw norms over distance, with their half-lives in the legend."""
    for name, norms, line in curves:
        label = f"{name}: {pace(norms)}"
        ax.plot(range(1, len(norms) + 1), norms, label=label, markevery=10, **line)
    ax.set(title=title, yscale="log", ylim=(1e-12, 30), xlabel="distance T - t (steps)")
    ax.set_ylabel("norm of ∂h_T/∂h_t or ∂h_T/∂c_t, over √H")
    ax.grid(alpha=0.3)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize="small")
