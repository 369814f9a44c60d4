"""The persistent kernels that have all of W in one block: on the host, and on a device."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

import cuda_threads_on_host
import numpy as np
import nvrtc
import persistent_races
import pytest
import races
from devices import NEEDS_DEVICE
from helpers import all_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import assert_close, everything
from test_cuda_kernels import CELLS, assert_agrees, each_cell, each_dtype, no_compiler, problems
from test_persistent import H200, ROOMY, SMALL, assert_waits, with_sanitizer

import minirnn as mr
from benchmarks import laboratory
from benchmarks.laboratory import registers
from benchmarks.laboratory.registers import RegisterScan
from benchmarks.laboratory.registers.plan import GROUP, in_registers, layout, matrices
from minirnn.cells import LSTMCell
from minirnn.kernels.cuda import module as cuda_module
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.persistent.limits import THREADS, device_limits
from minirnn.parameter import Storage
from minirnn.recurrent import Recurrent

FEW = 128  # registers of a thread on the host, so that small matrices have more

each_device = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=NEEDS_DEVICE)]
)


def persistent(cell, device, *sizes, limits=SMALL, **options):
    """A network with the scan, on a device or on the host, thread by thread."""
    if device == "cuda":
        net = Recurrent(cell, *sizes, device=device, scan="persistent", **options)
        laboratory.take(net, RegisterScan)
        return net
    net = Recurrent(cell, *sizes, scan="generic", **options)
    net.scan = RegisterScan(cell, cuda_threads_on_host.RawModule, limits, None)
    net.scan.registers = FEW
    return net


def text(cell):
    folder = Path(registers.__file__).parent
    return cuda_module.with_cell(cuda_cell(cell).text, "registers.cu", folder)


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
    def divided(gates, H, N, itemsize, limits, registers):
        pairs = zip(matrices(gates, H), p.slices, strict=True)
        cut = [m._replace(slices=min(k, limits.threads // m.threads)) for m, k in pairs]
        return layout(*cut, N, p.columns, itemsize, registers)

    with patch.object(registers, "in_registers", divided):
        assert_agrees(partial(persistent, limits=ROOMY), cell, device, dtype, tol, p)


@no_compiler
@each_cell
@pytest.mark.parametrize("columns", [1, 2])
def test_what_registers_have_no_room_for_is_in_shared_memory(cell, columns, rng):
    T, N, D, H, limits = 2, 3, 2, 19, ROOMY._replace(threads=20)
    products = matrices(len(cell.gates), H)
    assert all(matrix.more(8, FEW) for matrix in products)
    plan, options = layout(*products, N, columns, 8, FEW), {"dtype": "float64", "rng": 0}
    problem = rng.standard_normal((T, D, N)), None, None, rng.standard_normal((T, H, N)), None
    wanted = everything(Recurrent(cell, D, H, scan="generic", **options), *problem)
    net = persistent(cell, "cpu", D, H, limits=limits, **options)
    with patch.object(registers, "in_registers", lambda *problem: plan):
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
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=NEEDS_DEVICE)])
def test_sizes_up_to_the_limit(cell, device, N, H, rng):
    limits = device_limits(Recurrent(cell, 1, 1, device=device).backend.xp.cuda.Device(0))
    if H == "limit":
        sizes, gates = range(1, 999), len(cell.gates)
        H = bisect_left(sizes, True, key=lambda h: in_registers(gates, h, 1, 4, limits) is None)
    T, D = 3, 5
    x, dys = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    problem = x, None, rng.integers(0, T + 1, N), dys, None
    wanted = everything(Recurrent(cell, D, H, scan="generic", rng=0), *problem)
    assert_close(everything(persistent(cell, device, D, H, rng=0), *problem), wanted, 1e-5)


@no_compiler
def test_blocks_wait_for_nobody(rng):
    """However many there are, and however few the device holds: its occupancy is not asked for."""
    net = persistent(LSTMCell(), "cpu", 2, 6)
    ys, _, _ = net.forward(rng.standard_normal((3, 2, 9)))
    assert in_registers(4, 6, 9, 4, SMALL, FEW).groups > SMALL.multiprocessors
    assert np.isfinite(ys).all()


@no_compiler
def test_what_does_not_fit_into_a_block_is_shared_by_blocks(rng):
    cell, limits = LSTMCell(), SMALL._replace(shared_memory=12000)
    net = persistent(cell, "cpu", 2, 30, limits=limits, rng=0)
    net.scan.occupancy = lambda *launch: 1
    assert in_registers(4, 30, 4, 4, limits, FEW) is None
    problem = rng.standard_normal((3, 2, 4)), None, None, rng.standard_normal((3, 30, 4)), None
    wanted = everything(Recurrent(cell, 2, 30, scan="generic", rng=0), *problem)
    assert_close(everything(net, *problem), wanted, 1e-5)
    assert mr.explain(net, np.zeros((3, 2, 4))).splitlines()[-1].startswith("blocks that share W")


@pytest.mark.parametrize("gates", [1, 3, 4])
@given(H=st.integers(1, 300), N=st.integers(1, 3000), size=st.sampled_from([4, 8]))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_division_fits_into_a_block_and_leaves_nothing_out(gates, H, N, size):
    plan = in_registers(gates, H, N, size, H200)
    if plan is None:
        assert H > 80
        return
    assert plan.columns * (plan.groups - 1) < N <= plan.columns * plan.groups
    assert plan.bytes <= H200.shared_memory
    pairs = zip(matrices(gates, H), (plan.slices, plan.back_slices), strict=True)
    for pitch, (matrix, slices) in zip((plan.h_pitch, plan.d_pitch), pairs, strict=True):
        cut = matrix._replace(slices=slices)
        assert cut.threads <= H200.threads
        assert 4 * cut.runs * slices == pitch >= cut.columns


@pytest.mark.parametrize(
    ("gates", "size", "largest"),
    [(1, 4, 296), (3, 4, 170), (4, 4, 144), (1, 8, 192), (3, 8, 112), (4, 8, 96)],
)
def test_the_largest_hidden_sizes_of_a_device(gates, size, largest):
    assert in_registers(gates, largest, 64, size, H200)
    assert not in_registers(gates, largest + 1, 64, size, H200)


def test_explain_says_how_the_work_is_divided():
    net = persistent(LSTMCell(), "cpu", 2, 6)
    said = mr.explain(net, np.zeros((3, 2, 4), "float32")).splitlines()[-1]
    assert said == "W fits into one block; blocks: 4, sequences of each: 1"


def test_both_languages_have_the_same_threads_and_groups():
    defined = re.findall(r"(?:#define|const int) (THREADS|GROUP)(?: =)? (\d+)", text(LSTMCell()))
    assert sorted(defined) == [("GROUP", str(GROUP)), ("THREADS", str(THREADS))]


@pytest.mark.skipif(nvrtc.library() is None, reason="needs NVRTC")
@pytest.mark.parametrize("device", nvrtc.DEVICES)
def test_the_kernels_compile_for_devices(device):
    for cell, dtype in product(CELLS, cuda_module.NUMBERS):
        told = *cuda_module.options(dtype), f"-DREGISTERS={RegisterScan.registers}"
        assert nvrtc.compile_for(nvrtc.library(), device, text(cell), told) == ""


@with_sanitizer
def test_threads_wait_for_each_other_where_they_must_and_nowhere_else():
    said = persistent_races.parts(races.__file__)
    if not said:
        pytest.skip("ThreadSanitizer cannot run here")
    assert said.pop("on tensor cores") == ""
    assert_waits(said, races.REGISTERS)
