"""From examples that lie in rows to batches that lie in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, Rng, array_module, generator

Values = np.ndarray[Any, Any]


def batches(n: int, size: int, rng: Rng = None, drop_last: bool = False) -> Iterator[Values]:
    """The numbers 0 to n - 1 in random order, cut into batches: one epoch.

    Args:
        n: examples.
        size: of a batch; the last one is smaller, if `size` does not divide n.
        rng: None (fresh), an integer seed or a ``numpy.random.Generator``.
        drop_last: leave a smaller last batch out.

    Yields:
        Indices (size,), such as for ``x[..., indices]``.

    Raises:
        ValueError: `n` or `size` is less than 1; `drop_last` would leave nothing.
    """
    n, size = checks.whole_number("n", n), checks.whole_number("size", size)
    if drop_last and n < size:
        raise ValueError(f"size: got {size}, want {n} = n or less, so that a batch is full")
    return _cut(generator(rng).permutation(n), size, drop_last)


def _cut(order: Values, size: int, drop_last: bool) -> Iterator[Values]:
    stop = len(order) - len(order) % size if drop_last else len(order)
    for start in range(0, stop, size):
        yield order[start : start + size]


def time_first(x: Array) -> Array:
    """(N, T, D) -> (T, D, N), or tokens (N, T) -> (T, N): the layout of the engine, as a copy.

    Raises:
        ValueError: `x` has another number of axes.
    """
    return array_module(x).moveaxis(_series("x", x), 0, -1).copy()


def batch_first(ys: Array) -> Array:
    """(T, D, N) -> (N, T, D), or (T, N) -> (N, T): back to the layout of other libraries, as a copy.

    Raises:
        ValueError: `ys` has another number of axes.
    """
    return array_module(ys).moveaxis(_series("ys", ys), -1, 0).copy()


def _series(name: str, array: Array) -> Array:
    if array.ndim not in (2, 3):
        raise ValueError(f"{name}: got shape {array.shape}, want two axes or three")
    return array


def pad(sequences: Sequence[Any], value: Any = 0) -> tuple[Values, Values]:
    """Put sequences of different lengths side by side, and fill them up at their ends.

    Args:
        sequences: N of them, each (length,) tokens or (length, D) numbers; any may be empty.
        value: to fill up with. It is never read by a network that is given the lengths.

    Returns:
        (T, N) or (T, D, N), T being the greatest length; and the lengths (N,), for ``forward``.

    Raises:
        ValueError: no sequences, or they differ in more than length.
    """
    rows = [np.asarray(sequence) for sequence in sequences]
    lengths = np.array([len(row) for row in rows], int)
    shapes = {row.shape[1:] for row in rows if len(row)} or {row.shape[1:] for row in rows}
    if len(shapes) != 1 or len(shape := shapes.pop()) > 1:
        shown = ", ".join(str(row.shape) for row in rows[:5]) or "none"
        raise ValueError(f"sequences: got shapes {shown}, want (length,), or (length, D) of one D")
    dtype = np.result_type(*{row.dtype for row in rows if len(row)} or {np.dtype(int)})
    padded = np.full((len(rows), lengths.max(), *shape), value, dtype)
    for sequence, row in zip(padded, rows, strict=True):
        sequence[: len(row)] = row
    return time_first(padded), lengths


def one_hot(tokens: Array, K: int, dtype: Any = "float32") -> Array:
    """Tokens (T, N) or (N,) as columns with a single 1: (T, K, N) or (K, N).

    The engine takes tokens as they are, at no cost of a product; this is to look at, or for targets.

    Raises:
        ValueError: a token that is not one of 0 to K - 1.
        TypeError: tokens that are not integers.
    """
    xp = array_module(tokens)
    checks.whole_number("K", K)
    checks.tokens("tokens", tokens, K, None, look=False)
    rows = xp.arange(K)[:, None]
    return (tokens[..., None, :] == rows).astype(checks.float_dtype(dtype))
