"""A text from a source that is known, so that the least possible loss is known, too."""

from __future__ import annotations

from typing import Any

import numpy as np

Values = np.ndarray[Any, Any]


class Source:
    """Draws each token by the two before it: a Markov chain of order 2.

    Args:
        p: (K, K, K), all positive; p[a, b, c] is the probability of c after a, b, and sums to 1 over c.
    """

    def __init__(self, p: Values) -> None:
        self.p = p

    def draw(self, n: int, rng: np.random.Generator) -> Values:
        """Return a text of n tokens, (n,). It begins as if two zeros stood before it."""
        upper = self.p.cumsum(axis=2)
        upper[..., -1] = 1  # to rounding, it is
        text = np.zeros(n + 2, int)
        for t, number in enumerate(rng.random(n), start=2):
            text[t] = np.searchsorted(upper[text[t - 2], text[t - 1]], number, side="right")
        return text[2:]

    def entropy(self) -> float:
        """Return the mean of -ln p in nats, over an endless text: no model has a lower loss."""
        surprise = -(self.p * np.log(self.p)).sum(axis=2)
        return float((self.pairs() * surprise).sum())

    def pairs(self) -> Values:
        """Return how often each pair of tokens is there in an endless text, (K, K)."""
        K = len(self.p)
        step = np.zeros((K, K, K, K))  # from the pair a, b to the pair b, c
        b = np.arange(K)
        step[:, b, b] = self.p
        move = step.reshape(K * K, K * K)
        # π move = π and Σ π = 1, as one system of equations
        system = np.vstack([move.T - np.eye(K * K), np.ones(K * K)])
        right = np.append(np.zeros(K * K), 1.0)
        frequencies: Values = np.linalg.lstsq(system, right)[0].reshape(K, K)
        return frequencies

    def nll(self, text: Values) -> Values:
        """Return -ln p in nats of each token but the first two, (n - 2,)."""
        surprise: Values = -np.log(self.p[text[:-2], text[1:-1], text[2:]])
        return surprise
