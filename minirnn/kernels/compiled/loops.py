"""The loop over time, compiled: forward, and backward through time, for any cell that can be printed.

Every array is flat, with the addresses computed here. Inputs, gates and states lie in blocks of 16
units, as ``products.py`` has it: of B blocks, block b of step t begins at ``(t B + b) N 16``. Of
each 16 hidden units the pre-activations of all gates are neighbouring blocks. What a cell does between
the products is called by its address (``runs.py``), for 16 units of all sequences at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ...backend import Array
from .blocks import (
    add_by_token,
    aligned,
    block_starts,
    clear_padding,
    copy_where,
    from_blocks,
    from_line,
    joined,
    pack_columns,
    pack_rows,
    pick,
    repeat,
    to_blocks,
    unpack_rows,
)
from .plan import Memory, Plan, memory_in
from .products import LANES, Left, Rows
from .projections import add_outer, add_up, project
from .runs import call

FORWARD_COLUMNS = 256  # of U x + b at a time, still in the second-level cache when they are used


@njit(nogil=True)
def runs(count: int, every: int, h_blocks: int) -> int:
    """How many blocks follow one another, of `count` among `every` for each 16 units."""
    return max(1, count if count < every else count * h_blocks)


@njit(nogil=True)
def put(found: Array, n: int, start: int, by_step: int, by_block: int) -> int:
    """Fill row n, number by number: to assign a row takes seconds to compile, for its message."""
    found[n, 0], found[n, 1], found[n, 2] = start, by_step, by_block
    return n + 1


@njit(nogil=True)
def table_for(plan: Plan, m: Memory, letters: Array, d: Array, da: Array) -> Array:
    """Of each run of a cell's step: its address at t = 0, how far the next t is, and the next 16 units.

    The order is that of `CompiledCell`. Forward, `d` and `da` are empty.
    """
    size, S, width = m.states.itemsize, plan.states, max(1, plan.width)
    block, n = plan.N * LANES * size, 0
    h_step, da_step = plan.h_blocks * block, (plan.da_width * plan.h_blocks + 1) * block
    found = np.empty((plan.width + 3 * S + len(plan.letters) + plan.da_width, 3), np.intp)
    for k in range(plan.width):
        n = put(found, n, m.gates.ctypes.data + k * block, m.gates_step * size, width * block)
    for new in range(2):
        for s in range(S):
            start = m.states.ctypes.data + s * plan.state_size * size
            n = put(found, n, start + new * h_step, h_step, block)
    for k in range(len(plan.letters)):
        n = put(found, n, letters.ctypes.data + k * h_step, 0, block)
    for s in range(S if len(d) else 0):
        n = put(found, n, d.ctypes.data + s * h_step, 0, block)
    for k in range(plan.da_width if len(d) else 0):
        n = put(found, n, da.ctypes.data + k * block, da_step, plan.da_width * block)
    return found[:n]


@njit(nogil=True)
def take_step(
    address: int, plan: Plan, m: Memory, table: Array, places: Array, t: int, da_t: int
) -> None:
    """Call a cell's step for all units, at step t, whose gradients are the `da_t`-th in da."""
    first_da = len(table) - plan.da_width
    for k in range(plan.h_blocks):
        for j in range(len(table)):
            when = da_t if j >= first_da else t
            places[j] = table[j, 0] + when * table[j, 1] + k * table[j, 2]
        call(address, places, plan.N * LANES, m.states)


@njit(nogil=True)
def fill_letters(plan: Plan, rows: Array, letters: Array, starts: Array) -> None:
    """Repeat each row of parameters that a step reads for all sequences."""
    row = aligned(plan.h_blocks * LANES, rows)
    for k in range(len(plan.letters)):
        pack_rows(rows, plan.letters[k : k + 1], plan.H, 1, 1, 1, row)
        repeat(row, letters, starts + k * plan.h_blocks * plan.N * LANES, plan.N)


@njit(nogil=True)
def forward(
    plan: Plan, x: Array, P: Any, state: Array, tokens: Array, padding: Array,
    kept: Array, room: Array, ys: Array, final: Array,
) -> None:  # fmt: skip
    """Fill `kept` as `Memory`, ys (T, H, N), and the final state (states, H, N).

    P is that of `CompiledCell.arrays`. `room` is for what is needed meanwhile, and 16
    numbers more.
    """
    m, room = memory_in(kept, plan, tokens, padding), from_line(room)
    U_packed, room = room[: plan.U_size], room[plan.U_size :]
    W_packed, letters = room[: plan.W_size], room[plan.W_size :]
    T, N, H, step, at_once = plan.T, plan.N, plan.H, plan.N * LANES, plan.at_once
    U, W, _, _ = P
    rows = joined(P[2], P[3])
    is_tokens, u_count, w_count = plan.x_blocks == 0, len(plan.u_gates), len(plan.w_gates)
    h_blocks, width, alone = plan.h_blocks, max(1, plan.width), plan.blocks - u_count  # W's alone
    x_step, h_step = plan.x_blocks * step, h_blocks * step
    u_depth, w_depth = plan.x_width, h_blocks * LANES
    u_run, w_run = runs(u_count, width, h_blocks), runs(w_count, width, h_blocks)
    pack_rows(U, plan.u_gates, H, u_depth, u_run, 1 if is_tokens else at_once, U_packed)
    pack_rows(W, plan.w_gates, H, w_depth, w_run, at_once, W_packed)
    u_bias, w_bias = aligned(u_count * w_depth, U), aligned(alone * w_depth, U)
    no_bias = u_bias[:0]
    pack_rows(rows, plan.biases[:u_count], H, 1, u_run, 1, u_bias)
    pack_rows(rows, plan.biases[u_count : plan.blocks], H, 1, 1, 1, w_bias)
    u_starts = block_starts(0, u_count, width, h_blocks, step)
    w_starts = block_starts(plan.blocks - w_count, w_count, width, h_blocks, step)
    alone_starts = block_starts(u_count, alone, width, h_blocks, step)
    x_starts = block_starts(0, 1, 1, plan.x_blocks, step)
    h_starts = block_starts(0, 1, 1, h_blocks, step)
    fill_letters(plan, rows, letters, h_starts)
    table = table_for(plan, m, letters, no_bias, no_bias)
    places = np.empty(len(table), np.intp)
    for s in range(plan.states):
        to_blocks(state[s], m.states, s * plan.state_size, step, False)
    k = max(1, FORWARD_COLUMNS // max(1, N))
    for begin in range(0, T, k):
        end = min(T, begin + k)
        here = m.gates_start + begin * m.gates_step
        if is_tokens:
            starts = u_starts + here
            pick(m.tokens[begin:end], U_packed, u_depth, u_bias, m.gates, starts, m.gates_step)
        else:
            for t in range(begin, end):
                to_blocks(x[t], m.x, t * x_step, step, False)
                if len(m.padding):  # padding may hold anything, even NaN
                    copy_where(m.padding[t], m.x, t * x_step, no_bias, 0, x_starts)
            out = Rows(m.gates, here, LANES, step)
            left = Left(m.x, begin * x_step, LANES, x_starts, LANES, 1)
            project(
                end - begin, N, at_once, u_run, out, m.gates_step, u_starts, u_bias,
                left, x_step, U_packed, u_depth,
            )  # fmt: skip
        for t in range(begin, end):
            here = m.gates_start + t * m.gates_step
            if alone:
                repeat(w_bias, m.gates, alone_starts + here, N)
            out = Rows(m.gates, here, LANES, step)
            left = Left(m.states, t * h_step, LANES, h_starts, LANES, 1)
            project(1, N, at_once, w_run, out, 0, w_starts, no_bias, left, 0, W_packed, w_depth)
            take_step(plan.forward, plan, m, table, places, t, t)
            for s in range(plan.states):
                old = s * plan.state_size + t * h_step
                clear_padding(m.states, old + h_step, H, N)
                if len(m.padding):
                    copy_where(m.padding[t], m.states, old + h_step, m.states, old, h_starts)
            from_blocks(m.states, (t + 1) * h_step, step, ys[t])
    for s in range(plan.states):
        from_blocks(m.states, s * plan.state_size + T * h_step, step, final[s])


@njit(nogil=True)
def backward(
    plan: Plan, P: Any, tokens: Array, padding: Array, kept: Array, room: Array,
    dys: Array, dstate: Array, dinitial: Array, dx: Array, dP: Any,
) -> None:  # fmt: skip
    """Fill dinitial (states, H, N), dx (T, D, N) if it has steps, and dP.

    `dys` (T, H, N) may have no steps, and is zero then. For P, `kept` and `room`, see `forward`.
    """
    m, room = memory_in(kept, plan, tokens, padding), from_line(room)
    U_packed, room = room[: plan.U_size], room[plan.U_size :]
    W_packed, room = room[: plan.W_size], room[plan.W_size :]
    U_sum, room = room[: plan.U_size], room[plan.U_size :]
    W_sum, room = room[: plan.W_size], room[plan.W_size :]
    letters, room = room[: plan.letters_size], room[plan.letters_size :]
    da, dx_part = room[: plan.da_size], room[plan.da_size :]
    T, N, H, step, at_once = plan.T, plan.N, plan.H, plan.N * LANES, plan.at_once
    U, W, _, _ = P
    rows = joined(P[2], P[3])
    dU, dW, d_rows = dP
    u_count, w_count, h_blocks, x_blocks, width = (
        len(plan.u_gates), len(plan.w_gates), plan.h_blocks, plan.x_blocks, plan.da_width,
    )  # fmt: skip
    k, last = plan.steps, (h_blocks - 1) * width  # the first block of the last units
    h_step, x_step = h_blocks * step, x_blocks * step
    # One block more than there are: multiples of a large power of 2 would share few lines of the caches
    da_step = (width * h_blocks + 1) * step
    u_starts = block_starts(0, u_count, width, h_blocks, step)
    w_starts = block_starts(plan.blocks - w_count, w_count, width, h_blocks, step)
    da_starts = block_starts(0, width, width, h_blocks, step)
    h_starts = block_starts(0, 1, 1, h_blocks, step)
    d_starts = block_starts(0, 1, 1, plan.states * h_blocks, step)
    x_starts = block_starts(0, 1, 1, x_blocks, step)
    pack_columns(W, plan.w_gates, H, at_once, W_packed)
    W_sum[:] = 0
    U_sum[:] = 0
    zeros = aligned(max(h_blocks, x_blocks) * LANES, U)
    before = zeros[:0] if plan.dh_is_made else zeros
    u_depth, w_depth = u_count * h_blocks * LANES, w_count * h_blocks * LANES
    sums = aligned(width * h_blocks * LANES, U)
    d, kept_d = aligned(plan.states * h_step, U), aligned(plan.states * h_step, U)
    for s in range(plan.states):
        to_blocks(dstate[s], d, s * h_step, step, False)
    fill_letters(plan, rows, letters, h_starts)
    table = table_for(plan, m, letters, d, da)
    places = np.empty(len(table), np.intp)
    if len(dx):
        pack_columns(U, plan.u_gates, H, at_once, U_packed)
    for end in range(T if N else 0, 0, -k):  # a product sums over one column at least
        begin = max(0, end - k)
        steps = end - begin
        for t in range(end - 1, begin - 1, -1):
            if len(m.padding):  # where the state stood still, its gradient passes through
                copy_where(m.padding[t], kept_d, 0, d, 0, d_starts)
            if len(dys):
                to_blocks(dys[t], d, 0, step, True)
            here = (t - begin) * da_step
            take_step(plan.backward, plan, m, table, places, t, t - begin)
            for block in range(last, last + plan.blocks):
                clear_padding(da, here + block * step, H % LANES, N)
            if len(m.padding):  # a step that there is not has no gradient, whatever was computed
                copy_where(m.padding[t], da, here, zeros[:0], 0, da_starts)
            left, out = Left(da, here, LANES, w_starts, LANES, 1), Rows(d, 0, LANES, step)
            project(1, N, at_once, h_blocks, out, 0, h_starts, before, left, 0, W_packed, w_depth)
            clear_padding(d, 0, H, N)
            if len(m.padding):
                copy_where(m.padding[t], d, 0, kept_d, 0, d_starts)
        add_outer(
            steps, N, at_once, da, w_starts, da_step, m.states, begin * h_step, h_blocks, W_sum
        )
        add_up(steps, N, at_once, width * h_blocks, da, da_starts, da_step, sums)
        if x_blocks:
            place = begin * x_step
            add_outer(steps, N, at_once, da, u_starts, da_step, m.x, place, x_blocks, U_sum)
        else:
            add_by_token(m.tokens[begin:end], da, u_starts, da_step, plan.D, U_sum)
        if len(dx):
            left, out = Left(da, 0, LANES, u_starts, LANES, 1), Rows(dx_part, 0, LANES, step)
            project(
                steps, N, at_once, x_blocks, out, x_step, x_starts, zeros,
                left, da_step, U_packed, u_depth,
            )  # fmt: skip
            for t in range(begin, end):
                from_blocks(dx_part, (t - begin) * x_step, step, dx[t])
    for s in range(plan.states):
        from_blocks(d, s * h_step, step, dinitial[s])
    if x_blocks:
        unpack_rows(U_sum, plan.u_gates, H, plan.x_width, plan.x_width, 1, dU)
    else:
        unpack_rows(U_sum, plan.u_gates, H, plan.x_width, 1, LANES, dU)
    unpack_rows(W_sum, plan.w_gates, H, h_blocks * LANES, h_blocks * LANES, 1, dW)
    unpack_rows(sums, plan.biases, H, 1, 1, 1, d_rows)
