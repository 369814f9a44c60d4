"""What several test files use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import minirnn as mr

Array = np.ndarray[Any, Any]


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays agree in dtype, shape and every bit."""
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def all_same_bits(a: dict[str, Array], b: dict[str, Array]) -> bool:
    """The same for arrays by name, such as two `state_dict`."""
    return list(a) == list(b) and all(same_bits(a[name], b[name]) for name in a)


@contextmanager
def unchanged(*arrays: Array) -> Iterator[None]:
    """Fail if the block writes to one of the arrays."""
    before = [array.copy() for array in arrays]
    yield
    for k, (array, copy) in enumerate(zip(arrays, before, strict=True)):
        assert same_bits(array, copy), f"array {k} was written to"


def draw_gradients(parameters: Sequence[mr.Parameter], rng: np.random.Generator) -> None:
    """Fill every gradient with standard normal numbers."""
    for p in parameters:
        p.grad = rng.standard_normal(p.shape)


def gradients(layer: Any) -> dict[str, Array]:
    """Copies of all gradients, by name."""
    return {name: p.grad.copy() for name, p in layer.named_parameters().items()}
