"""Layers one after the other, recurrent ones and others: one way there, one way back.

A layer is given what it asks for: of what is offered (``lengths``, ``dropout_rng``, ``want_cache``),
what is an argument of its ``forward``. One that takes a ``state``, too, returns the new one between
output and cache, and `Layer.state_names` says of how many parts. A layer of one's own needs no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from inspect import signature
from typing import Any, NamedTuple

from .. import checks
from ..backend import Array, State


class Link(NamedTuple):
    """A layer in its place."""

    name: str
    layer: Any
    takes: frozenset[str]  # the arguments of its forward
    is_recurrent: bool
    own: slice  # its part of a state


def links(layers: Iterable[tuple[str, Any]]) -> tuple[Link, ...]:
    """The layers, each with its name, in the order in which they are to be run."""
    found, start = [], 0
    for name, layer in layers:
        takes = _arguments(getattr(type(layer), "forward", None))
        own = slice(start, start + len(layer.state_names))
        found.append(Link(name, layer, takes, "state" in takes, own))
        start = own.stop
    return tuple(found)


@cache
def _arguments(method: Any) -> frozenset[str]:
    """The names of what a method takes; none has none."""
    return frozenset(signature(method).parameters if method else ())


def there(
    chain: Sequence[Link], x: Array, state: State | None = None, **offered: Any
) -> tuple[Array, State, list[Any]]:
    """Return the output of the last layer, and the states and the caches of all."""
    new: list[Array] = []
    caches = []
    for name, layer, takes, is_recurrent, own in chain:
        given = {key: value for key, value in offered.items() if key in takes}
        try:
            if is_recurrent:
                if offered.get("lengths") is not None and "lengths" not in takes:
                    raise TypeError("forward takes no lengths: all steps would be read as real")
                result = layer.forward(x, None if state is None else state[own], **given)
                x, after, kept = _parts(result, "y, state, cache")
                new += checks.state_parts("new state", after, layer.state_names)
            else:
                x, kept = _parts(layer.forward(x, **given), "y, cache")
        except (ValueError, TypeError) as error:
            _say_where(name, error)
            raise
        caches.append(kept)
    return x, tuple(new), caches


def back(
    chain: Sequence[Link], caches: Sequence[Any], dy: Array, dstate: State | None, want_dx: bool
) -> tuple[Array | None, State]:
    """Return the gradients of what the first layer read, and of the states that all started from."""
    initial: State = ()
    for link, kept in zip(reversed(chain), reversed(caches), strict=True):
        try:
            if link.is_recurrent:
                end, more = None if dstate is None else dstate[link.own], link is not chain[0]
                result = link.layer.backward(kept, dy, end, want_dx=want_dx or more)
                dy, start = _parts(result, "dx, dstate", "backward")
                initial = (*start, *initial)
            else:
                dy = link.layer.backward(kept, dy)
        except (ValueError, TypeError) as error:
            _say_where(link.name, error)
            raise
    return dy if want_dx else None, initial


def step(chain: Sequence[Link], x: Array, state: State | None) -> tuple[Array, State]:
    """Return the output of a single step, and the states; there is nothing to go back by."""
    new: list[Array] = []
    for name, layer, takes, is_recurrent, own in chain:
        try:
            if is_recurrent:
                x, after = layer.step(x, None if state is None else state[own])
                new += after
            elif "want_cache" in takes:
                x, _ = layer.forward(x, want_cache=False)
            else:
                x, _ = _parts(layer.forward(x), "y, cache")
        except (ValueError, TypeError) as error:
            _say_where(name, error)
            raise
    return x, tuple(new)


def _parts(result: Any, wanted: str, method: str = "forward") -> Any:
    """What a layer's method has returned, if it is as many things as are wanted."""
    if isinstance(result, tuple | list) and len(result) == wanted.count(",") + 1:
        return result
    raise TypeError(f"{method} returned {checks.shown(result)}, want ({wanted})")


def _say_where(name: str, error: Exception) -> None:
    """Have the message of `error` begin with the name of the layer that has refused something."""
    error.args = (f"{name}: {error}",)
