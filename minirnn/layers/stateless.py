"""Layers without state: they treat every time step, and every sequence, alike.

Each has ``forward(x) -> (y, cache)`` and ``backward(cache, dy) -> dx``, which adds to the parameters'
``.grad``. Arrays are (T, rows, N), or (rows, N) for a single step. Nothing is kept in the layer, and a
cache shares no memory with what the caller has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..backend import Array, Draws, array_module, on_its_device
from ..kernels.cuda import dropout
from ..nonlinearity import nonlinearity
from ..parameter import Layer, Parameter, named_children
from . import chain


def dropout_mask(random: np.random.Generator, p: float, like: Array) -> Array:
    """0 with probability `p`, else 1/(1-p), in the shape, dtype and module of `like`.

    On every device from the numbers that `random` has next, so that a seed drops the same elements.
    """
    xp, dtype = array_module(like), like.real.dtype
    if xp is not np and dropout.can_draw(random, dtype):
        return dropout.draw(xp, random, p, like.shape, dtype)
    keep = random.random(like.shape, np.float32) >= p
    return xp.asarray(keep).astype(dtype) / (1 - p)


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
        dx = checks.an_array("dy", dy).copy() if mask is None else _like(mask, dy) * mask
        self._went_back(cache)
        return dx


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
        dx = _like(y, dy) * self.function.df(y)
        self._went_back(cache)
        return dx


class Sequential(StatelessLayer):
    """Layers without state, one after the other, with parameters named ``"0.V"``, ``"2.V"``.

    A `Model` is that for recurrent layers, too.

    Raises:
        TypeError: one of `layers` is something else.
    """

    def __init__(self, *layers: StatelessLayer) -> None:
        for k, layer in enumerate(layers):
            if not isinstance(layer, StatelessLayer):
                raise TypeError(
                    f"layers[{k}]: got {type(layer).__name__}, want a layer without state; "
                    "minirnn.Model(rnn=..., out=...) runs recurrent ones, too, one after the other"
                )
        self.layers = layers

    def children(self) -> Mapping[str, Layer]:
        """The layers by their number."""
        return {str(k): layer for k, layer in enumerate(self.layers)}

    def named_parameters(self) -> dict[str, Parameter]:
        """Those of the layers, by their number.

        Raises:
            ValueError: two of one name.
        """
        return named_children(self.children())

    @on_its_device
    def forward(
        self, x: Array, dropout_rng: Draws = None, *, want_cache: bool = True
    ) -> tuple[Array, Any]:
        """Run `x`, (T, rows, N) or (rows, N), through the layers from first to last.

        Args:
            x: what the first layer takes.
            dropout_rng: a generator, for those that drop out; None drops nothing.

        Raises:
            ValueError, TypeError: `dropout_rng` is something else, such as a seed; `x` does not fit.
        """
        random, links = checks.dropout_rng(dropout_rng), chain.links(self.children().items())
        x = checks.an_array("x", x).copy()
        y, _, caches = chain.there(links, x, dropout_rng=random, want_cache=want_cache)
        return y, self._cache(caches, want_cache)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Run `dy`, in the shape of the output, through the layers from last to first."""
        dy = checks.an_array("dy", dy).copy()
        links = chain.links(self.children().items())
        dx, _ = chain.back(links, self._saved(cache), dy, None, want_dx=True)
        self._went_back(cache)
        return dx


def _like(cache: Array, dy: Array) -> Array:
    """`dy`, if it has the shape of what was saved: nothing is broadcast."""
    dy = checks.an_array("dy", dy)
    if dy.shape != cache.shape:
        raise ValueError(f"dy: got shape {dy.shape}, want {cache.shape}")
    return dy
