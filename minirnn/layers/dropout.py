"""Dropout: some elements are zero in a step of training, others in the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, Draws, array_module, on_its_device
from .stateless import LayerCache, StatelessLayer, like


def dropout_mask(random: np.random.Generator, p: float, like: Array) -> Array:
    """0 with probability `p`, else 1/(1-p), in the shape, dtype and module of `like`.

    The numbers are NumPy's on every device, so that a seed drops the same elements.
    """
    keep = random.random(like.shape, np.float32) >= p
    return array_module(like).asarray(keep).astype(like.real.dtype) / (1 - p)


class Dropout(StatelessLayer):
    """Zero with probability p, and scale what is left by 1/(1-p); Srivastava et al. 2014.

    Nothing is dropped unless `dropout_rng` is given.

    Raises:
        ValueError, TypeError: `p` is not a number in [0, 1).
    """

    def __init__(self, p: float) -> None:
        self.p = checks.fraction("p", p)

    @on_its_device
    def forward(
        self, x: Array, dropout_rng: Draws = None, *, want_cache: bool = True
    ) -> tuple[Array, Any]:
        """Drop out of `x`, of any shape; the mask is in the cache.

        Args:
            x: numbers.
            dropout_rng: a generator; None drops nothing.
            want_cache: False keeps nothing for `backward`.

        Raises:
            TypeError: `dropout_rng` is something else, such as a seed, which would give the same mask at
                every call; `x` does not hold numbers.
        """
        x, random = checks.an_array("x", x), checks.dropout_rng(dropout_rng)
        if random is None or self.p == 0:
            return x.copy(), self._cache(None, want_cache)
        mask = dropout_mask(random, self.p, x)
        return x * mask, self._cache(mask, want_cache)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Return `dy` with the same elements zero and the others scaled, in its shape."""
        mask = self._saved(cache)
        dx = checks.an_array("dy", dy).copy() if mask is None else like(mask, dy) * mask
        self._went_back(cache)
        return dx
