"""The element-wise functions of the cells and layers, each with its derivative.

A derivative is written in terms of the function's *output* ``y``: that is what the forward pass
has at hand, and ``tanh' = 1 - y²`` needs no second ``tanh``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .backend import Array, relu, sigmoid, tanh


@dataclass(frozen=True)
class Nonlinearity:
    """A function ``y = f(a)`` with its name and its derivative ``df/da``, given as a function of ``y``.

    Both take arrays of any shape, and work element by element.
    """

    name: str
    f: Callable[[Array], Array]
    df: Callable[[Array], Array]

    def __reduce__(self) -> tuple[Any, ...]:
        return nonlinearity, (self.name,)


_TABLE = {
    "tanh": Nonlinearity("tanh", tanh, lambda y: 1 - y * y),
    "sigmoid": Nonlinearity("sigmoid", sigmoid, lambda y: y * (1 - y)),
    "relu": Nonlinearity("relu", relu, lambda y: (y > 0).astype(y.dtype)),
}


def nonlinearity(name: str, allowed: Iterable[str] = tuple(_TABLE)) -> Nonlinearity:
    """Look a function up by name.

    Raises:
        ValueError: `name` is not among the `allowed` names.
    """
    if not isinstance(name, str) or name not in allowed:
        wanted = " or ".join(f'"{a}"' for a in allowed)
        raise ValueError(f"activation: got {name!r}, want {wanted}")
    return _TABLE[name]
