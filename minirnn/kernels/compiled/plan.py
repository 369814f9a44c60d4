"""What the compiled loop is told: the cell, the sizes, and where in memory everything lies.

`Plan` says it for one pass over some sequences, and `Memory` has what forward leaves for backward.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from numba import njit

from ...backend import Array
from .cells import CompiledCell
from .products import LANES, blocks_at_once

BACKWARD_COLUMNS = 512  # whose gradients are multiplied at a time


class Plan(NamedTuple):
    """What to compute: the cell, the sizes, and where the pre-activations lie."""

    forward: int  # the addresses of the cell's steps
    backward: int
    at_once: int  # blocks in a tile
    T: int
    N: int
    H: int
    D: int
    h_blocks: int
    x_blocks: int  # 0 for tokens
    x_width: int  # 16 for each of them, or D
    states: int
    blocks: int  # of pre-activations for each 16 units
    width: int  # of blocks that are kept, as gates replace pre-activations; 0 if there are none
    da_width: int  # and of their gradients, with those of parameters for each unit
    dh_is_made: bool  # by the cell's step, and W's share is added
    u_gates: Array  # the row blocks of U, in the order of the first blocks
    w_gates: Array  # those of W, in the order of the last ones
    biases: Array  # the row of each block's bias among the parameters for each unit, or -1
    letters: Array  # the rows among these that the step reads
    steps: int  # whose gradients are multiplied at a time
    # How many numbers there are in what is kept, ...
    x_size: int
    gates_size: int
    state_size: int  # of each state
    # ... and in what is needed until the end of a pass: packed weights, gradients of some steps
    U_size: int
    W_size: int
    letters_size: int
    da_size: int
    dx_size: int


class Memory(NamedTuple):
    """What forward leaves for backward; see `memory_in`."""

    x: Array  # blocks of T steps
    tokens: Array  # (T, N), or empty
    padding: Array  # (T, N), true where a sequence has no such step; or empty
    gates: Array
    gates_start: int
    gates_step: int  # the distance from one step to the next
    states: Array  # of each one blocks of T + 1 steps, the initial state first


@njit(nogil=True)
def memory_in(kept: Array, plan: Plan, tokens: Array, padding: Array) -> Memory:
    """Cut `kept` into what is kept."""
    x, rest = kept[: plan.x_size], kept[plan.x_size :]
    gates, states = rest[: plan.gates_size], rest[plan.gates_size :]
    start, step = 0, max(1, plan.width) * plan.h_blocks * plan.N * LANES
    if not plan.width:  # what becomes h is where h will be
        gates, start = states, step
    return Memory(x, tokens, padding, gates, start, step, states)


@lru_cache  # the constants of this module are taken as they were at the first call
def plan_for(
    cell: CompiledCell, itemsize: int, N: int, T: int, H: int, D: int, tokens: bool
) -> Plan:
    """The plan for T steps of N sequences, of numbers or tokens."""
    h_blocks, x_blocks = -(-H // LANES), 0 if tokens else -(-D // LANES)
    steps = max(1, min(T, BACKWARD_COLUMNS // max(1, N)))
    x_width, height = D if tokens else x_blocks * LANES, h_blocks * LANES
    h_step = h_blocks * N * LANES
    return Plan(
        *cell.addresses(itemsize),
        *(blocks_at_once(itemsize), T, N, H, D),
        h_blocks=h_blocks,
        x_blocks=x_blocks,
        x_width=x_width,
        states=len(cell.states),
        blocks=len(cell.step.blocks),
        width=cell.width,
        da_width=len(cell.biases),
        dh_is_made=cell.dh_is_made,
        u_gates=cell.u_gates,
        w_gates=cell.w_gates,
        biases=cell.biases,
        letters=cell.letters,
        steps=steps,
        x_size=T * x_blocks * N * LANES,
        gates_size=T * h_step * cell.width,
        state_size=(T + 1) * h_step,
        U_size=len(cell.u_gates) * height * x_width,
        W_size=len(cell.w_gates) * height * height,
        letters_size=len(cell.letters) * h_step,
        # one block more than there are: see `backward`
        da_size=steps * (len(cell.biases) * h_blocks + 1) * N * LANES,
        dx_size=steps * x_blocks * N * LANES,
    )
