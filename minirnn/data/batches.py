"""From examples that lie in rows to batches that lie in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import (
    CPU,
    Array,
    Draws,
    array_module,
    backend_of,
    on_its_device,
    to_host,
)

Values: TypeAlias = np.ndarray[Any, Any]


def batches(n: Any, size: int, rng: Draws = None, drop_last: bool = False) -> Iterator[Values]:
    """The numbers of N examples, 0 to N - 1, in random order, cut into batches: one epoch.

    Args:
        n: an array whose last axis is the examples, such as x (T, D, N), or a tuple of arrays that have
            as many, such as (x, targets); or their number N. (``len(x)`` is not N, but T.)
        size: of a batch; the last one is smaller, if `size` does not divide N.
        rng: a ``numpy.random.Generator``, which goes on from epoch to epoch; None is a fresh one. A seed
            is refused, as it would give the same order in every epoch.
        drop_last: leave a smaller last batch out.

    Yields:
        Indices (size,), such as for ``x[..., indices]``.

    Raises:
        ValueError: `n` or `size` is less than 1; `drop_last` would leave nothing; arrays that differ in
            their last axis.
        TypeError: `n` is neither arrays nor an integer; `size` is no integer; `rng` is something else.
    """
    n, size = _examples(n), checks.whole_number("size", size)
    if checks.truth("drop_last", drop_last) and n < size:
        raise ValueError(f"size: got {size}, want {n} = n or less, so that a batch is full")
    random = np.random.default_rng() if rng is None else checks.generator("rng", rng)
    return _cut(random.permutation(n), size, drop_last)


def _examples(n: Any) -> int:
    """How many examples `n` is, or the arrays in it have."""
    if not isinstance(n, tuple | list) and not getattr(n, "shape", ()):
        return checks.whole_number("n", n)
    shapes = [checks.an_array("n", array).shape for array in (n if isinstance(n, tuple) else (n,))]
    if len({shape[-1:] for shape in shapes}) != 1 or not shapes[0]:
        shown = ", ".join(map(str, shapes)) or "none"
        raise ValueError(
            f"n: got arrays of shapes {shown}, want one last axis, which is the examples"
        )
    return checks.whole_number("n", shapes[0][-1])


def _cut(order: Values, size: int, drop_last: bool) -> Iterator[Values]:
    stop = len(order) - len(order) % size if drop_last else len(order)
    for start in range(0, stop, size):
        yield order[start : start + size]


@on_its_device
def time_first(x: Array) -> Array:
    """(N, T, D) -> (T, D, N), or tokens (N, T) -> (T, N): the layout of the engine, as a copy.

    Raises:
        ValueError: `x` has another number of axes.
        TypeError: `x` is not an array, nor what makes one.
    """
    return array_module(x).moveaxis(_with_axes("x", x, {3: "(N, T, D)", 2: "(N, T)"}), 0, -1).copy()


@on_its_device
def batch_first(ys: Array) -> Array:
    """(T, D, N) -> (N, T, D), or (T, N) -> (N, T): back to the layout of other libraries, as a copy.

    Raises:
        ValueError: `ys` has another number of axes.
        TypeError: `ys` is not an array, nor what makes one.
    """
    return (
        array_module(ys).moveaxis(_with_axes("ys", ys, {3: "(T, D, N)", 2: "(T, N)"}), -1, 0).copy()
    )


def _with_axes(name: str, value: Any, shapes: dict[int, str]) -> Array:
    """`value` as an array, if it has as many axes as one of the shapes."""
    array = checks.on_device(name, value, backend_of(value))
    if array.ndim not in shapes:
        raise ValueError(f"{name}: got shape {array.shape}, want {' or '.join(shapes.values())}")
    return array


def pad(sequences: Sequence[Any], value: Any = 0) -> tuple[Values, Values]:
    """Put sequences of different lengths side by side, and fill them up at their ends.

    Args:
        sequences: N of them, each (length,) tokens or (length, D) numbers; any may be empty.
        value: to fill up with. It is never read by a network that is given the lengths.

    Returns:
        (T, N) or (T, D, N), T being the greatest length; and the lengths (N,), for ``forward``.

    Raises:
        ValueError: no sequences, or they differ in more than length; integers cannot hold `value`.
        TypeError: sequences of something else than real numbers.
    """
    if isinstance(sequences, str | bytes) or not np.iterable(sequences):
        raise TypeError(f"sequences: got {type(sequences).__name__}, want sequences of numbers")
    rows = [to_host(sequence, f"sequences[{k}]") for k, sequence in enumerate(sequences)]
    filled = [row for row in rows if row.ndim and len(row)] or rows
    shapes = {row.shape[1:] for row in filled}
    if len(shapes) != 1 or any(row.ndim not in (1, 2) for row in rows):
        shown = ", ".join(str(row.shape) for row in rows[:5]) or "none"
        raise ValueError(f"sequences: got shapes {shown}, want (length,), or (length, D) of one D")
    dtypes = {row.dtype for row in filled if len(row) or row.ndim == 2} or {np.dtype(int)}
    if strange := [each for each in dtypes if each.kind not in "fiub"]:
        raise TypeError(f"sequences: got {strange[0]}, want real numbers")
    dtype = np.result_type(*dtypes)
    if all(each.kind in "iu" for each in dtypes) and dtype.kind == "f":  # as for uint64 with int64
        dtype = np.dtype(int)
    with np.errstate(invalid="ignore"):
        filler = checks.an_array("value", checks.of_shape("value", to_host(value, "value"), ()))
        filler = filler.astype(dtype)
    if dtype.kind != "f" and filler != value:
        raise ValueError(f"value: got {value}, which {dtype} cannot hold")
    lengths = np.array([len(row) for row in rows])
    padded = np.full((len(rows), lengths.max(), *shapes.pop()), filler)
    for sequence, row in zip(padded, rows, strict=True):
        if len(row):  # an empty one may be (0,) among (length, D)
            sequence[: len(row)] = row
    return time_first(padded), lengths


def real_steps(lengths: Any, T: int) -> Values:
    """Return 1 for the steps that sequences have, and 0 for their padding: weights for a loss.

    Args:
        lengths: (N,) integers from 0 to T, as from `pad`.
        T: steps of the longest.

    Returns:
        (T, N) float32, which goes into ``softmax_cross_entropy`` as `weights`.

    Raises:
        ValueError: a length below 0 or above T; another number of axes.
        TypeError: lengths that are not integers.
    """
    T = checks.whole_number("T", T, 0)
    lengths = checks.of_shape("lengths", to_host(lengths, "lengths"), ("N",))
    real = checks.real_steps(lengths, T, len(lengths), CPU)
    return np.ones((T, len(lengths)), "float32") if real is None else real.astype("float32")


@on_its_device
def one_hot(tokens: Array, K: int, dtype: Any = "float32") -> Array:
    """Tokens (T, N) or (N,) as columns of `dtype` with a single 1: (T, K, N) or (K, N).

    The engine takes tokens as they are, at no cost of a product; this is to look at, or for targets.

    Raises:
        ValueError: a token that is not one of 0 to K - 1; another number of axes.
        TypeError: tokens that are not integers.
    """
    tokens = _with_axes("tokens", tokens, {2: "(T, N)", 1: "(N,)"})
    xp = array_module(tokens)
    K = checks.whole_number("K", K)
    checks.tokens("tokens", tokens, K, None, look=False)
    rows = xp.arange(K)[:, None]
    return (tokens[..., None, :] == rows).astype(checks.float_dtype(dtype))
