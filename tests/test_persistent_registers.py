"""The persistent kernels that have W in one block's registers: on the host, and on a device."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import partial
from unittest.mock import patch

import numpy as np
import pytest
from helpers import all_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import assert_close, everything
from test_cuda_kernels import assert_agrees, each_cell, each_dtype, no_compiler, problems
from test_persistent import H200, ROOMY, SMALL, each_device, on_device, persistent

import minirnn as mr
from minirnn.cells import LSTMCell
from minirnn.kernels.cuda.module import source
from minirnn.kernels.cuda.persistent import scan as persistent_scan
from minirnn.kernels.cuda.persistent.limits import REGISTERS, THREADS, device_limits
from minirnn.kernels.cuda.persistent.plan import divide
from minirnn.kernels.cuda.persistent.register_plan import (
    GROUP,
    RegisterPlan,
    in_registers,
    layout,
    matrices,
)
from minirnn.parameter import Storage
from minirnn.recurrent import Recurrent


@st.composite
def divided(draw):
    """A problem, and one way to divide its work."""
    p = draw(problems(T=(1, 4), N=(1, 7), D=(1, 2), H=(1, 8), layers=(1, 1)))
    p.columns = draw(st.sampled_from([1, 2]))
    p.slices = [draw(st.integers(1, 9)) for _ in ("forward", "backward")]
    return p


@each_device
@each_cell
@each_dtype
@given(p=divided())
@settings(max_examples=8, deadline=None, derandomize=True)
def test_any_problem_divided_in_any_way_agrees_with_the_equations(cell, device, dtype, tol, p):
    def divided(gates, H, N, itemsize, limits, tf32):
        pairs = zip(matrices(gates, H), p.slices, strict=True)
        cut = [m._replace(slices=min(k, limits.threads // m.threads)) for m, k in pairs]
        return layout(*cut, N, p.columns, itemsize, limits)

    with patch.object(persistent_scan, "divide", divided):
        assert_agrees(partial(persistent, limits=ROOMY), cell, device, dtype, tol, p)


@no_compiler
@each_cell
@pytest.mark.parametrize("columns", [1, 2])
def test_what_registers_have_no_room_for_is_in_shared_memory(cell, columns, rng):
    T, N, D, H, limits = 2, 3, 2, 19, ROOMY._replace(threads=20)
    products = matrices(len(cell.gates), H)
    assert all(product.more(8, limits.registers) for product in products)
    plan, options = layout(*products, N, columns, 8, limits), {"dtype": "float64", "rng": 0}
    problem = rng.standard_normal((T, D, N)), None, None, rng.standard_normal((T, H, N)), None
    wanted = everything(Recurrent(cell, D, H, scan="generic", **options), *problem)
    net = persistent(cell, "cpu", D, H, limits=limits, **options)
    with patch.object(persistent_scan, "divide", lambda *problem: plan):
        assert_close(everything(net, *problem), wanted, 1e-12)


@each_device
@each_cell
@each_dtype
@pytest.mark.parametrize("start", [1, 2, 3])
def test_W_may_begin_anywhere(cell, device, dtype, tol, start, rng):
    """As it does among the parameters of a model, which lie side by side."""
    nets = [persistent(cell, device, 3, 4, dtype=dtype, rng=0) for _ in range(2)]
    W = nets[1].named_parameters()["l0.W"]
    W.place(Storage(W.size + start, W.dtype, W.backend), start, W.data)
    problem = rng.standard_normal((5, 3, 5)), None, None, rng.standard_normal((5, 4, 5)), None
    assert all_same_bits(*(everything(net, *problem) for net in nets))


@each_device
@each_cell
def test_the_first_state_may_be_in_any_order(cell, device, rng):
    net = persistent(cell, device, 3, 5, rng=0)
    state = tuple(rng.standard_normal((1, 5, 4)) for _ in cell.states)
    turned = tuple(np.asfortranarray(part) for part in state)
    x, dys = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 5, 4))
    assert all_same_bits(*(everything(net, x, s, None, dys, None) for s in (state, turned)))


@each_device
@each_cell
@pytest.mark.parametrize(("T", "N"), [(0, 2), (2, 0)])
def test_no_steps_and_no_sequences(cell, device, T, N):
    problem = np.ones((T, 3, N)), None, None, np.ones((T, 5, N)), None
    nets = persistent(cell, device, 3, 5, rng=0), Recurrent(cell, 3, 5, scan="generic", rng=0)
    assert_close(*(everything(net, *problem) for net in nets), 0)


@each_device
@each_cell
def test_the_same_bits_each_time(cell, device, rng):
    T, N, H = (5, 4, 7) if device == "cpu" else (50, 300, 100)
    net = persistent(cell, device, 3, H, rng=0)
    problem = rng.standard_normal((T, 3, N)), None, None, rng.standard_normal((T, H, N)), None
    first = everything(net, *problem)
    assert all(all_same_bits(first, everything(net, *problem)) for _ in range(3))


@each_cell
@pytest.mark.parametrize("H", [25, 64, 100, "limit"])
@pytest.mark.parametrize("N", [1, 37, 301])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=on_device)])
def test_sizes_up_to_the_limit(cell, device, N, H, rng):
    limits = device_limits(Recurrent(cell, 1, 1, device=device).backend.xp.cuda.Device(0))
    if H == "limit":
        sizes, gates = range(1, 999), len(cell.gates)
        H = bisect_left(sizes, True, key=lambda h: in_registers(gates, h, 1, 4, limits) is None)
    T, D = 3, 5
    x, dys = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    problem = x, None, rng.integers(0, T + 1, N), dys, None
    wanted = everything(Recurrent(cell, D, H, scan="generic", rng=0), *problem)
    with patch.object(persistent_scan, "divide", lambda *p: in_registers(*p[:5])[1]):
        assert_close(everything(persistent(cell, device, D, H, rng=0), *problem), wanted, 1e-5)


@no_compiler
def test_blocks_wait_for_nobody(rng):
    """However many there are, and however few the device holds."""
    net = persistent(LSTMCell(), "cpu", 2, 6, occupancy=None)
    ys, _, _ = net.forward(rng.standard_normal((3, 2, 9)))
    assert divide(4, 6, 9, 4, SMALL).groups > SMALL.multiprocessors
    assert np.isfinite(ys).all()


@no_compiler
@each_cell
def test_products_in_registers_are_float32_where_tf32_is_asked_for(cell, rng):
    nets = [persistent(cell, "cpu", 3, 7, rng=0) for _ in range(2)]
    nets[1].scan.precision = "tf32"
    problem = rng.standard_normal((4, 3, 5)), None, None, rng.standard_normal((4, 7, 5)), None
    assert all_same_bits(*(everything(net, *problem) for net in nets))


@pytest.mark.parametrize("gates", [1, 3, 4])
@given(H=st.integers(1, 300), N=st.integers(1, 3000), size=st.sampled_from([4, 8]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_division_fits_into_a_block_and_leaves_nothing_out(gates, H, N, size):
    found = in_registers(gates, H, N, size, H200)
    if found is None:
        assert H > 80
        return
    cycles, plan = found
    assert plan.columns * (plan.groups - 1) < N <= plan.columns * plan.groups
    assert plan.shared_memory(gates, H, size) <= H200.shared_memory
    pairs = zip(matrices(gates, H), (plan.slices, plan.back_slices), strict=True)
    for pitch, (matrix, slices) in zip((plan.h_pitch, plan.d_pitch), pairs, strict=True):
        product = matrix._replace(slices=slices)
        assert product.threads <= H200.threads
        assert 4 * product.runs * slices == pitch >= product.columns
    assert cycles > 0


@pytest.mark.parametrize(
    ("gates", "size", "largest"),
    [(1, 4, 296), (3, 4, 170), (4, 4, 144), (1, 8, 192), (3, 8, 112), (4, 8, 96)],
)
def test_the_largest_hidden_sizes_of_a_device(gates, size, largest):
    assert in_registers(gates, largest, 64, size, H200)
    assert not in_registers(gates, largest + 1, 64, size, H200)


def test_what_is_in_registers_is_faster_than_what_blocks_share():
    assert isinstance(divide(4, 128, 50, 4, H200), RegisterPlan)
    assert not isinstance(divide(4, 256, 50, 4, H200), RegisterPlan)


def test_explain_says_how_the_work_is_divided():
    net = persistent(LSTMCell(), "cpu", 2, 6)
    said = mr.explain(net, np.zeros((3, 2, 4), "float32")).splitlines()[-1]
    assert said == "W fits into one block; blocks: 4, sequences of each: 1"


def test_both_languages_have_the_same_threads_and_registers():
    text = source("persistent/registers.cu")
    defined = re.findall(r"(?:#define|const int) (THREADS|REGISTERS|GROUP)(?: =)? (\d+)", text)
    assert sorted(defined) == [
        ("GROUP", str(GROUP)), ("REGISTERS", str(REGISTERS)), ("THREADS", str(THREADS))
    ]  # fmt: skip
    assert (H200.threads, H200.registers) == (THREADS, REGISTERS)
