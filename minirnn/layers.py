"""Layers without state: they treat every time step, and every sequence, alike.

Each has ``forward(x) -> (y, cache)`` and ``backward(cache, dy) -> dx``, which adds to the parameters'
``.grad``. Arrays are (T, rows, N), or (rows, N) for a single step. Nothing is kept in the layer, and a
cache shares no memory with what the caller has.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import checks
from .backend import Array, Backend, Rng, array_module, generator, get_backend, on_its_device
from .data import one_hot
from .kernels import dropout
from .nonlinearity import nonlinearity
from .parameter import Layer, Parameter, named_children
from .tokens import add_up_columns


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

    def forward(self, x: Array) -> tuple[Array, Any]:
        """Return the output and the cache, for `x` (T, rows, N) or (rows, N).

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

    def _cache(self, saved: Any) -> LayerCache:
        return LayerCache(self, saved, self._versions())

    def _saved(self, cache: LayerCache) -> Any:
        """What `_cache` was given, if `cache` is this layer's and as new as its parameters."""
        self._check_cache(cache, LayerCache)
        return cache.saved


class Embedding(StatelessLayer):
    """A learned column for each token: (T, N) or (N,) integers -> (T, E, N) or (E, N).

    Args:
        num_tokens: K, the size of the vocabulary.
        size: E, numbers per token.
        dtype, device, rng: as for `Recurrent`.

    Parameter: ``E`` (K, E), a row per token, drawn from the standard normal as in PyTorch.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(
        self,
        num_tokens: int,
        size: int,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
    ) -> None:
        self.num_tokens = checks.whole_number("num_tokens", num_tokens)
        self.size = checks.whole_number("size", size)
        value = generator(rng).standard_normal((self.num_tokens, self.size))
        backend = get_backend(device)
        self._E = Parameter("E", value.astype(checks.float_dtype(dtype)), backend)

    def named_parameters(self) -> dict[str, Parameter]:
        """``E``."""
        return {"E": self._E}

    @on_its_device
    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        """Pick a row for each token, as a column: `x` (T, N) or (N,) -> (T, E, N) or (E, N).

        Raises:
            ValueError, TypeError: `x` has other axes, is elsewhere, or holds what is no token.
        """
        x = _tokens(x, self._E.backend)
        x = checks.tokens("x", x, self.num_tokens, None, look=False)
        picked = array_module(x).take(self._E.data, x, axis=0)
        return picked.swapaxes(-1, -2), self._cache(x.copy())

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> None:
        """Add each column of `dy`, (T, E, N) or (E, N), to its token's row of the gradient.

        Tokens have no gradient: None is returned.
        """
        x = self._saved(cache)
        shape = (*x.shape[:-1], self.size, x.shape[-1])
        dy = checks.numbers("dy", dy, shape, self._E.dtype, self._E.backend)
        columns = dy.swapaxes(-1, -2).reshape(-1, self.size).T
        with Parameter.changing:
            self._check_unchanged(cache)
            add_up_columns(columns, x.ravel(), self._E.grad.T)


class OneHot(StatelessLayer):
    """Tokens as one-hot columns: (T, N) or (N,) integers -> (T, K, N) or (K, N).

    Args:
        num_tokens: K, the size of the vocabulary.
        dtype, device: as for `Recurrent`.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(self, num_tokens: int, dtype: Any = "float32", device: str = "cpu") -> None:
        self.num_tokens = checks.whole_number("num_tokens", num_tokens)
        self.dtype = checks.float_dtype(dtype)
        self.backend = get_backend(device)

    @on_its_device
    def forward(self, x: Array) -> tuple[Array, None]:
        """Column n is 1 at row ``x[n]``, and 0 elsewhere; `x` is (T, N) or (N,).

        Raises:
            ValueError, TypeError: `x` has other axes, is elsewhere, or holds what is no token.
        """
        x = _tokens(x, self.backend)
        x = checks.tokens("x", x, self.num_tokens, None, look=False)
        return one_hot(x, self.num_tokens, self.dtype), None

    def backward(self, cache: None, dy: Array) -> None:
        """Tokens have no gradient: None."""


class Dropout(StatelessLayer):
    """Zero with probability p, and scale what is left by 1/(1-p); Srivastava et al. 2014.

    Nothing is dropped unless `dropout_rng` is given.

    Raises:
        ValueError, TypeError: `p` is not a number in [0, 1).
    """

    def __init__(self, p: float) -> None:
        self.p = checks.fraction("p", p)

    @on_its_device
    def forward(self, x: Array, dropout_rng: Rng = None) -> tuple[Array, LayerCache]:
        """Drop out of `x`, of any shape; the mask is in the cache.

        Args:
            x: numbers.
            dropout_rng: a generator or a seed; None drops nothing.

        Raises:
            ValueError, TypeError: `dropout_rng` is something else.
        """
        if dropout_rng is None or self.p == 0:
            return x.copy(), self._cache(None)
        mask = dropout_mask(generator(dropout_rng, "dropout_rng"), self.p, x)
        return x * mask, self._cache(mask)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Return `dy` with the same elements zero and the others scaled, in its shape."""
        mask = self._saved(cache)
        return dy.copy() if mask is None else _like(mask, dy) * mask


class Activation(StatelessLayer):
    """A function by its `name`, ``"tanh"``, ``"relu"`` or ``"sigmoid"``, element by element.

    Raises:
        ValueError: another name.
    """

    def __init__(self, name: str) -> None:
        self.function = nonlinearity(name)

    @on_its_device
    def forward(self, x: Array) -> tuple[Array, LayerCache]:
        """Return f(x), for `x` of any shape."""
        y = self.function.f(x)
        return y, self._cache(y.copy())

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Return dy * f'(x), in the shape of `dy`."""
        y = self._saved(cache)
        return _like(y, dy) * self.function.df(y)


class Sequential(StatelessLayer):
    """Layers without state, one after the other, with parameters named ``"0.V"``, ``"2.V"``.

    Raises:
        TypeError: one of `layers` is something else.
    """

    def __init__(self, *layers: StatelessLayer) -> None:
        for k, layer in enumerate(layers):
            if not isinstance(layer, StatelessLayer):
                raise TypeError(
                    f"layers[{k}]: got {type(layer).__name__}, want a layer without state"
                )
        self.layers = layers

    def named_parameters(self) -> dict[str, Parameter]:
        """Those of the layers, by their number.

        Raises:
            ValueError: two of one name.
        """
        return named_children({str(k): layer for k, layer in enumerate(self.layers)})

    @on_its_device
    def forward(self, x: Array, dropout_rng: Rng = None) -> tuple[Array, LayerCache]:
        """Run `x`, (T, rows, N) or (rows, N), through the layers from first to last.

        Args:
            x: what the first layer takes.
            dropout_rng: for those that drop out; None drops nothing.

        Raises:
            ValueError, TypeError: `dropout_rng` is something else; `x`, as the layers say.
        """
        random = generator(dropout_rng, "dropout_rng") if dropout_rng is not None else None
        x, caches = x.copy(), []
        for layer in self.layers:
            if isinstance(layer, Dropout | Sequential):
                x, cache = layer.forward(x, random)
            else:
                x, cache = layer.forward(x)
            caches.append(cache)
        return x, self._cache(caches)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Run `dy`, in the shape of the output, through the layers from last to first."""
        caches, dy = self._saved(cache), dy.copy()
        for layer, layer_cache in zip(reversed(self.layers), reversed(caches), strict=True):
            dy = layer.backward(layer_cache, dy)
        return dy


def _tokens(x: Array, backend: Backend) -> Array:
    """Tokens (T, N) or (N,), on this device."""
    x = checks.on_device("x", x, backend)
    if x.ndim not in (1, 2):
        raise ValueError(f"x: got shape {x.shape}, want (T, N) or (N,)")
    return x


def _like(cache: Array, dy: Array) -> Array:
    """`dy`, if it has the shape of what was saved: nothing is broadcast."""
    if dy.shape != cache.shape:
        raise ValueError(f"dy: got shape {dy.shape}, want {cache.shape}")
    return dy
