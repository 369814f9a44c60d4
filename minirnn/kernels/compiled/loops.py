"""The loop over time, compiled: forward, and backward through time, for RNN, LSTM and GRU.

Every array is flat, with the addresses computed here. Inputs, gates and states lie in blocks of 16
units, as ``products.py`` has it: of B blocks, block b of step t begins at ``(t B + b) N 16``. Of
each 16 hidden units the pre-activations of all gates are neighbouring blocks.
"""

from __future__ import annotations

from typing import Any

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
    pack_columns,
    pack_rows,
    pick,
    repeat,
    to_blocks,
    unpack_rows,
)
from .plan import GRU, LSTM, RNN, Memory, Plan, memory_in
from .products import LANES, Left, Rows
from .projections import add_outer, add_up, project
from .steps import (
    gru_backward,
    gru_forward,
    lstm_backward,
    lstm_forward,
    rnn_backward,
    rnn_forward,
)

FORWARD_COLUMNS = 256  # of U x + b at a time, still in the second-level cache when they are used


@njit(nogil=True)
def runs(count: int, plan: Plan) -> int:
    """How many blocks of pre-activations follow one another."""
    return count if count < plan.blocks else count * plan.h_blocks


@njit(nogil=True)
def forward(
    plan: Plan, x: Array, P: Any, state: Any, tokens: Array, standing: Array,
    kept: Array, room: Array, ys: Array, final: Any,
) -> None:  # fmt: skip
    """Equations (1.1) to (3.7): fills `kept` as `Memory`, ys (T, H, N), and the final state.

    `room` is for what is needed meanwhile, and 16 numbers more.
    """
    m, room = memory_in(kept, plan, tokens, standing), from_line(room)
    U_packed, W_packed = room[: plan.U_size], room[plan.U_size :]
    T, N, H, step, at_once = plan.T, plan.N, plan.H, plan.N * LANES, plan.at_once
    U, W, b, bw = P
    is_tokens, u_count, w_count = plan.x_blocks == 0, len(plan.u_gates), len(plan.w_gates)
    x_step, h_step = plan.x_blocks * step, plan.h_blocks * step
    u_depth, w_depth = plan.x_width, plan.h_blocks * LANES
    u_run, w_run = runs(u_count, plan), runs(w_count, plan)
    pack_rows(U, plan.u_gates, H, u_depth, u_run, 1 if is_tokens else at_once, U_packed)
    pack_rows(W, plan.w_gates, H, w_depth, w_run, at_once, W_packed)
    bias, bw_bias = aligned(u_count * w_depth, U), aligned(w_depth, U)
    no_bias = bias[:0]
    pack_rows(b, plan.u_gates, H, 1, u_run, 1, bias)
    if plan.cell == GRU:
        pack_rows(bw, plan.u_gates[:1] * 0, H, 1, 1, 1, bw_bias)
    u_starts = block_starts(plan.u_first, u_count, plan.blocks, plan.h_blocks, step)
    w_starts = block_starts(plan.w_first, w_count, plan.blocks, plan.h_blocks, step)
    m_starts = block_starts(3, 1, plan.blocks, plan.h_blocks, step)
    x_starts = block_starts(0, 1, 1, plan.x_blocks, step)
    h_starts = block_starts(0, 1, 1, plan.h_blocks, step)
    to_blocks(state[0], m.h, 0, step, False)
    if plan.cell == LSTM:
        to_blocks(state[1], m.c, 0, step, False)
    k = max(1, FORWARD_COLUMNS // max(1, N))
    for begin in range(0, T, k):
        end = min(T, begin + k)
        here = m.gates_start + begin * m.gates_step
        if is_tokens:
            starts = u_starts + here
            pick(m.tokens[begin:end], U_packed, u_depth, bias, m.gates, starts, m.gates_step)
        else:
            for t in range(begin, end):
                to_blocks(x[t], m.x, t * x_step, step, False)
                if len(m.standing):  # padding may hold anything, even NaN
                    copy_where(m.standing[t], m.x, t * x_step, no_bias, 0, x_starts)
            out = Rows(m.gates, here, LANES, step)
            left = Left(m.x, begin * x_step, LANES, x_starts, LANES, 1)
            project(
                end - begin, N, at_once, u_run, out, m.gates_step, u_starts, bias,
                left, x_step, U_packed, u_depth,
            )  # fmt: skip
        for t in range(begin, end):
            here = m.gates_start + t * m.gates_step
            if plan.cell == GRU:
                repeat(bw_bias, m.gates, m_starts + here, N)
            out = Rows(m.gates, here, LANES, step)
            left = Left(m.h, t * h_step, LANES, h_starts, LANES, 1)
            project(1, N, at_once, w_run, out, 0, w_starts, no_bias, left, 0, W_packed, w_depth)
            step_forward(plan, m, t)
            clear_padding(m.h, (t + 1) * h_step, H, N)
            if plan.cell == LSTM:
                clear_padding(m.c, (t + 1) * h_step, H, N)
            if len(m.standing):
                copy_where(m.standing[t], m.h, (t + 1) * h_step, m.h, t * h_step, h_starts)
                if plan.cell == LSTM:
                    copy_where(m.standing[t], m.c, (t + 1) * h_step, m.c, t * h_step, h_starts)
            from_blocks(m.h, (t + 1) * h_step, step, ys[t])
    from_blocks(m.h, T * h_step, step, final[0])
    if plan.cell == LSTM:
        from_blocks(m.c, T * h_step, step, final[1])


@njit(nogil=True)
def four_blocks(array: Array, start: int, step: int) -> tuple[Array, Array, Array, Array]:
    """Four blocks that follow one another: a gate each."""
    second, third, fourth = start + step, start + 2 * step, start + 3 * step
    return (
        array[start:second],
        array[second:third],
        array[third:fourth],
        array[fourth : fourth + step],
    )


@njit(nogil=True)
def step_forward(plan: Plan, m: Memory, t: int) -> None:
    """From the pre-activations of step t to its gates and the new state."""
    step = plan.N * LANES
    for k in range(plan.h_blocks):
        old, new = (t * plan.h_blocks + k) * step, ((t + 1) * plan.h_blocks + k) * step
        a = m.gates_start + t * m.gates_step + k * plan.blocks * step
        if plan.cell == RNN:
            rnn_forward(plan.is_relu, m.h[new : new + step])
            continue
        h, h_new = m.h[old : old + step], m.h[new : new + step]
        if plan.cell == LSTM:
            i, f, o, g = four_blocks(m.gates, a, step)
            c, c_new = m.c[old : old + step], m.c[new : new + step]
            lstm_forward(plan.is_relu, i, f, o, g, c, c_new, h_new)
        else:
            n, r, z, hidden = four_blocks(m.gates, a, step)
            gru_forward(n, r, z, hidden, h, h_new)


@njit(nogil=True)
def backward(
    plan: Plan, P: Any, tokens: Array, standing: Array, kept: Array, room: Array,
    dys: Array, dstate: Any, dinitial: Any, dx: Array, dP: Any,
) -> None:  # fmt: skip
    """Equations (3.7') to (1.1'): fills dinitial, dx (T, D, N) if it has steps, and dP.

    `dys` (T, H, N) may have no steps, and is zero then. For `kept` and `room`, see `forward`.
    """
    m, room = memory_in(kept, plan, tokens, standing), from_line(room)
    U_packed, room = room[: plan.U_size], room[plan.U_size :]
    W_packed, room = room[: plan.W_size], room[plan.W_size :]
    U_sum, room = room[: plan.U_size], room[plan.U_size :]
    W_sum, room = room[: plan.W_size], room[plan.W_size :]
    da, dx_part = room[: plan.da_size], room[plan.da_size :]
    T, N, H, step, at_once = plan.T, plan.N, plan.H, plan.N * LANES, plan.at_once
    U, W, _, _ = P
    dU, dW, db, dbw = dP
    u_count, w_count, h_blocks, x_blocks = (
        len(plan.u_gates), len(plan.w_gates), plan.h_blocks, plan.x_blocks,
    )  # fmt: skip
    k, last = plan.steps, (h_blocks - 1) * plan.blocks  # the first block of the last units
    h_step, x_step = h_blocks * step, x_blocks * step
    # One block more than there are: multiples of a large power of 2 would share few lines of the caches
    da_step = (plan.blocks * h_blocks + 1) * step
    u_starts = block_starts(plan.u_first, u_count, plan.blocks, h_blocks, step)
    w_starts = block_starts(plan.w_first, w_count, plan.blocks, h_blocks, step)
    m_starts = block_starts(3, 1, plan.blocks, h_blocks, step)
    h_starts = block_starts(0, 1, 1, h_blocks, step)
    x_starts = block_starts(0, 1, 1, x_blocks, step)
    pack_columns(W, plan.w_gates, H, at_once, W_packed)
    W_sum[:] = 0
    U_sum[:] = 0
    zeros = aligned(max(h_blocks, x_blocks) * LANES, U)
    before = zeros[:0] if plan.cell == GRU else zeros  # GRU: z's share of dh is there already
    u_depth, w_depth = u_count * h_blocks * LANES, w_count * h_blocks * LANES
    b_sum, bw_sum = aligned(u_depth, U), aligned(h_blocks * LANES, U)
    dh, dc, kept_h, kept_c = (
        aligned(h_step, U), aligned(h_step, U), aligned(h_step, U), aligned(h_step, U),
    )  # fmt: skip
    to_blocks(dstate[0], dh, 0, step, False)
    to_blocks(dstate[1], dc, 0, step, False)
    if len(dx):
        pack_columns(U, plan.u_gates, H, at_once, U_packed)
    for end in range(T if N else 0, 0, -k):  # a product sums over one column at least
        begin = max(0, end - k)
        steps = end - begin
        for t in range(end - 1, begin - 1, -1):
            if len(m.standing):  # where the state stood still, its gradient passes through
                repeat(zeros, kept_h, h_starts, N)
                repeat(zeros, kept_c, h_starts, N)
                copy_where(m.standing[t], kept_h, 0, dh, 0, h_starts)
                copy_where(m.standing[t], kept_c, 0, dc, 0, h_starts)
            if len(dys):
                to_blocks(dys[t], dh, 0, step, True)
            if len(m.standing):
                copy_where(m.standing[t], dh, 0, zeros[:0], 0, h_starts)
                copy_where(m.standing[t], dc, 0, zeros[:0], 0, h_starts)
            here = (t - begin) * da_step
            step_backward(plan, m, t, dh, dc, da, here)
            for block in range(last, last + plan.blocks):
                clear_padding(da, here + block * step, H % LANES, N)
            left, out = Left(da, here, LANES, w_starts, LANES, 1), Rows(dh, 0, LANES, step)
            project(1, N, at_once, h_blocks, out, 0, h_starts, before, left, 0, W_packed, w_depth)
            clear_padding(dh, 0, H, N)
            if len(m.standing):
                dh += kept_h
                dc += kept_c
        add_outer(steps, N, at_once, da, w_starts, da_step, m.h, begin * h_step, h_blocks, W_sum)
        add_up(steps, N, at_once, runs(u_count, plan), da, u_starts, da_step, b_sum)
        if plan.cell == GRU:
            add_up(steps, N, at_once, 1, da, m_starts, da_step, bw_sum)
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
    from_blocks(dh, 0, step, dinitial[0])
    if plan.cell == LSTM:
        from_blocks(dc, 0, step, dinitial[1])
    if x_blocks:
        unpack_rows(U_sum, plan.u_gates, H, plan.x_width, plan.x_width, 1, dU)
    else:
        unpack_rows(U_sum, plan.u_gates, H, plan.x_width, 1, LANES, dU)
    unpack_rows(W_sum, plan.w_gates, H, h_blocks * LANES, h_blocks * LANES, 1, dW)
    unpack_rows(b_sum, plan.u_gates, H, 1, 1, 1, db)
    if plan.cell == GRU:
        unpack_rows(bw_sum, plan.u_gates[:1] * 0, H, 1, 1, 1, dbw)


@njit(nogil=True)
def step_backward(
    plan: Plan, m: Memory, t: int, dh: Array, dc: Array, da: Array, da_start: int
) -> None:
    """From the gradient of the new state to those of the pre-activations; dc, that of the old one."""
    step = plan.N * LANES
    for k in range(plan.h_blocks):
        old, new = (t * plan.h_blocks + k) * step, ((t + 1) * plan.h_blocks + k) * step
        a = m.gates_start + t * m.gates_step + k * plan.blocks * step
        d = da_start + k * plan.blocks * step
        own = slice(k * step, (k + 1) * step)
        if plan.cell == RNN:
            rnn_backward(plan.is_relu, m.h[new : new + step], dh[own], da[d : d + step])
            continue
        da_1, da_2, da_3, da_4 = four_blocks(da, d, step)
        if plan.cell == LSTM:
            i, f, o, g = four_blocks(m.gates, a, step)
            c, c_new = m.c[old : old + step], m.c[new : new + step]
            lstm_backward(
                plan.is_relu, i, f, o, g, c, c_new, dh[own], dc[own], da_1, da_2, da_3, da_4
            )
        else:
            n, r, z, hidden = four_blocks(m.gates, a, step)
            gru_backward(n, r, z, hidden, m.h[old : old + step], dh[own], da_1, da_2, da_3, da_4)
