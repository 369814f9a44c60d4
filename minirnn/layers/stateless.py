"""Layers without state: they treat every time step, and every sequence, alike.

Each has ``forward(x) -> (y, cache)`` and ``backward(cache, dy) -> dx``, which adds to the parameters'
``.grad``. Arrays are (T, rows, N), or (rows, N) for a single step. Nothing is kept in the layer, and a
cache shares no memory with what the caller has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..backend import Array, on_its_device
from ..layer import Layer
from ..nonlinearity import nonlinearity


class LayerCache(NamedTuple):
    """What one call of a layer's forward leaves for its backward."""

    owner: Layer
    saved: Any
    versions: tuple[int, ...]  # of the owner's parameters

    def __repr__(self) -> str:
        return f"LayerCache of {self.owner!r}"


class StatelessLayer(Layer):
    """What `Sequential` takes: a layer whose forward needs the input alone."""

    def forward(self, x: Array, *, want_cache: bool = True) -> tuple[Array, Any]:
        """Return the output and the cache, for `x` (T, rows, N) or (rows, N).

        Args:
            x: the input.
            want_cache: False keeps nothing for `backward`: the cache is None. (A layer of one's own may
                do without this argument.)

        Raises:
            ValueError, TypeError: `x` does not fit; nothing has been computed.
        """
        raise NotImplementedError

    def backward(self, cache: Any, dy: Array) -> Array | None:
        """Return the gradient of the input; add those of the parameters to their ``.grad``.

        Args:
            cache: from `forward`, with the parameters as they were then. It can be used again.
            dy: gradient of the loss with respect to the output, in its shape, (T, rows, N) or (rows, N).

        Raises:
            TypeError: `cache` is not what a forward returned.
            ValueError: it is another layer's, or older than the parameters; `dy` does not fit.
        """
        raise NotImplementedError

    def _cache(self, saved: Any, want_cache: bool) -> LayerCache | None:
        if not checks.truth("want_cache", want_cache):
            return None
        return LayerCache(self, saved, self._stamped(self._versions()))

    def _saved(self, cache: LayerCache) -> Any:
        """What `_cache` was given, if `cache` is this layer's and as new as its parameters."""
        self._check_cache(cache, LayerCache)
        return cache.saved


class Activation(StatelessLayer):
    """A function by its `name`, ``"tanh"``, ``"relu"`` or ``"sigmoid"``, element by element.

    Raises:
        ValueError: another name.
    """

    def __init__(self, name: str) -> None:
        self.function = nonlinearity(name)

    @on_its_device
    def forward(self, x: Array, *, want_cache: bool = True) -> tuple[Array, Any]:
        """Return f(x), for `x` of any shape; integers become floating-point numbers.

        Raises:
            TypeError: `x` does not hold numbers.
        """
        x = checks.an_array("x", x)
        if x.dtype.kind in "iub":  # NumPy's tanh of small ones would be in half precision
            x = x.astype(np.result_type(x.dtype, np.float32))
        y = self.function.f(x)
        return y, self._cache(y.copy() if want_cache else None, want_cache)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Return dy * f'(x), in the shape of `dy`."""
        y = self._saved(cache)
        dx = like(y, dy) * self.function.df(y)
        self._went_back(cache)
        return dx


def like(cache: Array, dy: Array) -> Array:
    """`dy`, if it has the shape of what was saved: nothing is broadcast."""
    dy = checks.an_array("dy", dy)
    if dy.shape != cache.shape:
        raise ValueError(f"dy: got shape {dy.shape}, want {cache.shape}")
    return dy
