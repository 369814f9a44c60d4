"""Layers one after the other, recurrent ones and others: one way there, one way back.

A layer is given what it asks for: of what is offered (``lengths``, ``dropout_rng``, ``want_cache``),
what is an argument of its ``forward``. One that takes a ``state``, too, returns the new one between
output and cache, and `Layer.state_names` says of how many parts. A layer of one's own needs no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from inspect import signature
from typing import Any, TypeAlias

from .backend import Array, State

Layers: TypeAlias = Sequence[tuple[str, Any]]  # each with what it is called


def state_names(layers: Layers) -> tuple[str, ...]:
    """Those of all layers, such as ``("rnn.h", "rnn.c")``."""
    return tuple(f"{name}.{part}" for name, layer in layers for part in layer.state_names)


def there(
    layers: Layers, x: Array, state: State | None = None, **offered: Any
) -> tuple[Array, State, list[Any]]:
    """Return the output of the last layer, and the states and the caches of all."""
    new, caches = [], []
    for (name, layer), own in zip(layers, _divided(layers, state), strict=True):
        takes = _arguments(type(layer).forward)
        given = {key: value for key, value in offered.items() if key in takes}
        try:
            if "state" in takes:
                x, after, kept = layer.forward(x, own, **given)
                new += after
            else:
                x, kept = layer.forward(x, **given)
        except (ValueError, TypeError) as error:
            _say_where(name, error)
            raise
        caches.append(kept)
    return x, tuple(new), caches


def back(
    layers: Layers, caches: Sequence[Any], dy: Array, dstate: State | None, want_dx: bool
) -> tuple[Array | None, State]:
    """Return the gradients of what the first layer read, and of the states that all started from."""
    parts = [*zip(layers, caches, _divided(layers, dstate), strict=True)]
    initial: State = ()
    for k, ((name, layer), kept, own) in reversed([*enumerate(parts)]):
        try:
            if "state" in _arguments(type(layer).forward):
                dy, before = layer.backward(kept, dy, own, want_dx=want_dx or k > 0)
                initial = (*before, *initial)
            else:
                dy = layer.backward(kept, dy)
        except (ValueError, TypeError) as error:
            _say_where(name, error)
            raise
    return dy if want_dx else None, initial


def step(layers: Layers, x: Array, state: State | None) -> tuple[Array, State]:
    """Return the output of a single step, and the states; there is nothing to go back by."""
    new = []
    for (name, layer), own in zip(layers, _divided(layers, state), strict=True):
        takes = _arguments(type(layer).forward)
        try:
            if "state" in takes:
                x, after = layer.step(x, own)
                new += after
            elif "want_cache" in takes:
                x, _ = layer.forward(x, want_cache=False)
            else:
                x, _ = layer.forward(x)
        except (ValueError, TypeError) as error:
            _say_where(name, error)
            raise
    return x, tuple(new)


def _divided(layers: Layers, state: State | None) -> Iterator[State | None]:
    """Each layer's part of a state, or None."""
    start = 0
    for _, layer in layers:
        stop = start + len(layer.state_names)
        yield None if state is None else state[start:stop]
        start = stop


@cache
def _arguments(method: Any) -> frozenset[str]:
    return frozenset(signature(method).parameters)


def _say_where(name: str, error: Exception) -> None:
    """Have the message of `error` begin with the name of the layer that has refused something."""
    error.args = (f"{name}: {error}",)
