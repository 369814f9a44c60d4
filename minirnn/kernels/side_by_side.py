"""Sums of products over time: how a scan's weight gradient is best multiplied.

A weight gradient is ``Σ_t A[t] @ B[t].T``. A product per step would write the whole gradient T times;
one product over all steps needs its operands with time beside the batch, which the (T, rows, N) layout
does not give. So some steps at a time, about `COLUMNS` columns, are copied side by side and multiplied
at once: the gradient is written once for every thousand columns, and the copies stay small. (`Linear`
needs a copy of all its input for the backward pass anyway, and has that with time beside the batch.)
"""

from __future__ import annotations

from ..backend import Array, array_module

COLUMNS = 1024


def steps_at_once(T: int, N: int) -> int:
    """How many of T steps of N columns to multiply at once."""
    return max(1, min(T, COLUMNS // max(N, 1)))


class SideBySide:
    """Room for `k` steps (rows, N) beside each other, as (rows, k·N)."""

    def __init__(self, like: Array, rows: int, k: int) -> None:
        self.N = like.shape[-1]
        self._room = array_module(like).empty((rows, k * self.N), like.dtype)

    def columns(self, steps: int) -> Array:
        """The room of the first `steps` steps."""
        return self._room[:, : steps * self.N]

    def by_step(self, steps: int) -> Array:
        """The same memory as (steps, rows, N)."""
        return by_step(self.columns(steps), steps, self.N)

    def copy(self, *stacks: Array) -> Array:
        """Copy arrays (steps, …, N), on top of one another, and return them as columns."""
        steps = len(stacks[0])
        by_step, row = self.by_step(steps), 0
        for stack in stacks:
            by_step[:, row : row + stack.shape[1]] = stack
            row += stack.shape[1]
        return self.columns(steps)


class SumOfProducts:
    """Accumulates ``A @ B.T``."""

    def __init__(self, like: Array, rows: int, columns: int) -> None:
        xp = array_module(like)
        self.total = xp.zeros((rows, columns), like.dtype)
        self._product = xp.empty((rows, columns), like.dtype)

    def add(self, A: Array, B: Array) -> None:
        """Add the product of A (rows, M) and B (columns, M)."""
        array_module(A).matmul(A, B.T, out=self._product)
        self.total += self._product


def rows_first(x: Array) -> Array:
    """(T, rows, N) as (rows, T·N): a view where memory lies so already."""
    T, rows, N = x.shape
    return x.transpose(1, 0, 2).reshape(rows, T * N)


def by_step(columns: Array, T: int, N: int) -> Array:
    """(rows, T·N) as (T, rows, N): always a view."""
    return columns.reshape(len(columns), T, N).transpose(1, 0, 2)
