"""Integer tokens in place of one-hot columns.

Multiplying ``U`` by a one-hot column picks a column of ``U``. `OneHotColumns` lets the equations say
``U @ x`` and ``da @ x.T`` all the same, and does the picking and the adding-up instead of the
products. Nothing here adds floating-point numbers in an order that could vary from run to run.
"""

from __future__ import annotations

import numpy as np

from .backend import Array, array_module


class OneHotColumns:
    """Tokens (N,), standing for the (K, N) matrix whose column n is 1 at row ``tokens[n]``."""

    __array_ufunc__ = None  # so that `array @ self` comes here rather than being tried element-wise

    def __init__(self, tokens: Array, K: int) -> None:
        self.tokens = tokens
        self.shape = (K, tokens.shape[0])

    @property
    def T(self) -> OneHotRows:
        """The transposed matrix (N, K)."""
        return OneHotRows(self)

    def __rmatmul__(self, matrix: Array) -> Array:
        return matrix.take(self.tokens, axis=1)


class OneHotRows:
    """The transpose of `OneHotColumns`: ``da @ x.T`` adds the columns of ``da`` up by token."""

    __array_ufunc__ = None

    def __init__(self, columns: OneHotColumns) -> None:
        self.columns = columns

    def __rmatmul__(self, matrix: Array) -> Array:
        out = array_module(matrix).zeros((matrix.shape[0], self.columns.shape[0]), matrix.dtype)
        add_up_columns(matrix, self.columns.tokens, out)
        return out


def add_up_columns(columns: Array, tokens: Array, out: Array) -> None:
    """Add each of the columns (R, M) to the column of `out` (R, K) that its token (M,) names.

    For vocabularies of up to 512 a product with the one-hot matrix is the fastest way; larger ones are
    sorted by token and summed run by run. On a device it is always the product: it gives the same bits
    every time, and CuPy's ``add.reduceat`` takes differences of running sums, which loses digits.
    """
    xp, K = array_module(columns), out.shape[1]
    if K <= 512 or xp is not np:
        out += columns @ (tokens[:, None] == xp.arange(K)).astype(columns.dtype)
    elif tokens.size:
        order = np.argsort(tokens, kind="stable")
        ordered = tokens[order]
        first = np.ones(tokens.size, bool)  # of a run of equal tokens
        first[1:] = ordered[1:] != ordered[:-1]
        starts = np.flatnonzero(first)
        out[:, ordered[starts]] += np.add.reduceat(columns[:, order], starts, axis=1)
