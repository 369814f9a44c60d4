"""Layers without state, one after the other, as one layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import checks
from ..backend import Array, Draws, on_its_device
from ..layer import Layer, named_children
from ..parameter import Parameter
from . import chain
from .stateless import LayerCache, StatelessLayer


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
