"""What the compiled loop is told: the cell, the sizes, and where in memory everything lies.

`Plan` says it for one pass over some sequences, and `Memory` has what forward leaves for backward.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import njit

from ...backend import Array
from ...cells import Cell, GRUCell, LSTMCell, RNNCell
from .products import LANES, blocks_at_once

RNN, LSTM, GRU = 0, 1, 2
BACKWARD_COLUMNS = 512  # whose gradients are multiplied at a time


class Plan(NamedTuple):
    """What to compute: the cell, the sizes, and where the pre-activations lie."""

    cell: int
    is_relu: bool
    at_once: int  # blocks in a tile
    T: int
    N: int
    H: int
    D: int
    h_blocks: int
    x_blocks: int  # 0 for tokens
    x_width: int  # 16 for each of them, or D
    blocks: int  # of pre-activations for each 16 units
    u_first: int  # the first of them that U x + b goes to
    u_gates: Array  # the gates of U's rows, in the order of their blocks
    w_first: int
    w_gates: Array
    steps: int  # whose gradients are multiplied at a time
    # How many numbers there are in what is kept, ...
    x_size: int
    gates_size: int
    h_size: int
    c_size: int
    # ... and in what is needed until the end of a pass: packed weights, gradients of some steps
    U_size: int
    W_size: int
    da_size: int
    dx_size: int


class Memory(NamedTuple):
    """What forward leaves for backward; see `memory_in`."""

    x: Array  # blocks of T steps
    tokens: Array  # (T, N), or empty
    standing: Array  # (T, N), true where a sequence has no such step; or empty
    gates: Array
    gates_start: int
    gates_step: int  # the distance from one step to the next
    h: Array  # blocks of T + 1 steps, the initial state first
    c: Array


@njit(nogil=True)
def memory_in(kept: Array, plan: Plan, tokens: Array, standing: Array) -> Memory:
    """Cut `kept` into what is kept."""
    x, rest = kept[: plan.x_size], kept[plan.x_size :]
    gates, rest = rest[: plan.gates_size], rest[plan.gates_size :]
    h, c = rest[: plan.h_size], rest[plan.h_size :]
    start, step = 0, plan.blocks * plan.h_blocks * plan.N * LANES
    if plan.cell == RNN:  # what is squashed to h is where h will be
        gates, start = h, step
    return Memory(x, tokens, standing, gates, start, step, h, c)


class Layout(NamedTuple):
    """Which blocks of pre-activations a cell has for each 16 units; see `Plan`."""

    cell: int
    names: str  # of the gates that are kept, in the order of their blocks
    u_first: int
    u_gates: Array
    w_first: int
    w_gates: Array


LAYOUTS = {
    RNNCell: Layout(RNN, "", 0, np.arange(1), 0, np.arange(1)),
    LSTMCell: Layout(LSTM, "ifog", 0, np.arange(4), 0, np.arange(4)),
    # U x goes to n, r, z, and W h to r, z, m
    GRUCell: Layout(GRU, "nrzm", 0, np.array([2, 0, 1]), 1, np.arange(3)),
}


def is_relu(cell: Cell) -> bool:
    """Whether relu stands in the place of the cell's tanh."""
    return isinstance(cell, RNNCell | LSTMCell) and cell.act.name == "relu"


@lru_cache  # the constants of this module are taken as they were at the first call
def plan_for(
    cell: type[Cell], is_relu: bool, itemsize: int, T: int, N: int, H: int, D: int, is_tokens: bool
) -> Plan:
    """The plan for a cell, the size of its numbers, and T steps of N sequences."""
    layout = LAYOUTS[cell]
    h_blocks, x_blocks = -(-H // LANES), 0 if is_tokens else -(-D // LANES)
    steps = max(1, min(T, BACKWARD_COLUMNS // max(1, N)))
    x_width, blocks = D if is_tokens else x_blocks * LANES, max(1, len(layout.names))
    step, height = N * LANES, h_blocks * LANES
    return Plan(
        *(layout.cell, is_relu, blocks_at_once(itemsize), T, N, H, D),
        h_blocks=h_blocks,
        x_blocks=x_blocks,
        x_width=x_width,
        blocks=blocks,
        u_first=layout.u_first,
        u_gates=layout.u_gates,
        w_first=layout.w_first,
        w_gates=layout.w_gates,
        steps=steps,
        x_size=T * x_blocks * step,
        gates_size=T * h_blocks * len(layout.names) * step,
        h_size=(T + 1) * h_blocks * step,
        c_size=(T + 1) * h_blocks * step if layout.cell == LSTM else 0,
        U_size=len(layout.u_gates) * height * x_width,
        W_size=len(layout.w_gates) * height * height,
        da_size=steps * (blocks * h_blocks + 1) * step,  # for the one block more, see `backward`
        dx_size=steps * x_blocks * step,
    )
