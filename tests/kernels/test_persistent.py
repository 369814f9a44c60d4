"""The persistent kernels on the host and on a device; races; division of work."""

from __future__ import annotations

import copy
from bisect import bisect_left
from functools import partial
from types import SimpleNamespace
from unittest.mock import patch

import cuda_threads_on_host
import numpy as np
import persistent_races
import pytest
from cuda_on_host import fields
from devices import NEEDS_DEVICE
from helpers import all_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import assert_close, everything
from test_cuda_choice import CUDA
from test_cuda_kernels import (
    CELLS,
    IndRNNCell,
    any_cell,
    assert_agrees,
    assert_close_together,
    each_cell,
    each_dtype,
    invented,
    no_compiler,
    problems,
)

import minirnn as mr
from minirnn.cells import LSTMCell
from minirnn.kernels import choice
from minirnn.kernels.choice import choose
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.module import with_cell
from minirnn.kernels.cuda.persistent import scan as persistent_scan
from minirnn.kernels.cuda.persistent.limits import Limits, device_limits
from minirnn.kernels.cuda.persistent.plan import Plan, divide
from minirnn.kernels.cuda.persistent.scan import PersistentScan, obstacle, problem_of
from minirnn.kernels.in_precision import InPrecision
from minirnn.recurrent import Recurrent

H200 = Limits(132, 227 * 1024)
SMALL = Limits(4, 6000, 8)  # a device as large as the host can play
ROOMY = SMALL._replace(shared_memory=2**20)  # the same for any division of the work

on_device = [*NEEDS_DEVICE, pytest.mark.kernel("persistent")]
each_device = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=on_device)]
)


def persistent(cell, device, *sizes, limits=SMALL, occupancy=lambda *launch: 1, **options):
    """A network with the persistent scan, on a device or on the host, thread by thread."""
    if device == "cuda":
        return Recurrent(cell, *sizes, device=device, scan="persistent", **options)
    net = Recurrent(cell, *sizes, scan="generic", **options)
    net.scan = PersistentScan(cell, cuda_threads_on_host.RawModule, limits, occupancy)
    return net


@each_device
@each_cell
@each_dtype
@given(p=problems(N=(1, 5), D=(1, 3), H=(1, 9), layers=(1, 1)))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_any_problem_agrees_with_the_equations(cell, device, dtype, tol, p):
    assert_agrees(persistent, cell, device, dtype, tol, p)


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=NEEDS_DEVICE)]
)
@invented
@given(p=problems(N=(1, 5), D=(1, 3), H=(1, 9), layers=(1, 1)))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_any_problem_of_a_cell_that_the_engine_does_not_know(cell, device, p):
    assert_agrees(persistent, cell, device, "float64", 1e-12, p, close=assert_close_together)


@st.composite
def divided(draw):
    """A problem, and one way to divide its work."""
    p = draw(problems(T=(1, 4), N=(1, 7), D=(1, 2), H=(1, 11), layers=(1, 1)))
    blocks = draw(st.integers(1, min(p.H, 3)))
    columns = draw(st.integers(1, p.N))
    groups = draw(st.integers(1, min(max(1, 4 // blocks), -(-p.N // columns))))
    tile = draw(st.sampled_from([1, 4, 8]))
    across = -(-columns // tile) * tile
    pitch = -(-p.H // 4) * 4 + draw(st.sampled_from([0, 4]))
    chunk = draw(st.sampled_from([4, 8, 12]))
    shares = [draw(st.integers(1, 3)) for _ in ("slices", "back_slices", "readers")]
    p.plan = Plan(blocks, groups, columns, across, tile, pitch, across, across, chunk, *shares)
    return p


@pytest.mark.exhaustive
@each_device
@each_cell
@given(p=divided())
@settings(max_examples=8, deadline=None, derandomize=True)
def test_any_division_of_the_work_agrees_with_the_equations(cell, device, p):
    with patch.object(persistent_scan, "divide", lambda *problem: p.plan):
        assert_agrees(partial(persistent, limits=ROOMY), cell, device, "float64", 1e-12, p)


@each_device
@each_cell
def test_the_same_bits_each_time(cell, device, rng):
    T, N, H = (5, 4, 7) if device == "cpu" else (50, 33, 200)
    net = persistent(cell, device, 3, H, rng=0)
    dys = rng.standard_normal((T, H, N))
    problem = rng.standard_normal((T, 3, N)), None, rng.integers(0, T + 1, N), dys, None
    first = everything(net, *problem)
    assert all(all_same_bits(first, everything(net, *problem)) for _ in range(3))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("H", [128, 257, 600, "limit"])
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=on_device)])
def test_sizes_up_to_the_limit(cell, device, H, rng):
    dtype = "float32"
    limits = device_limits(Recurrent(cell, 1, 1, device=device).backend.xp.cuda.Device(0))
    if H == "limit":
        H = bisect_left(range(1, 4096), True, key=lambda h: obstacle(cell, h, dtype, limits) != "")
    T, N, D = 3, 37, 5
    x, dys = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    problem = x, None, rng.integers(0, T + 1, N), dys, None
    wanted = everything(Recurrent(cell, D, H, scan="generic", rng=0), *problem)
    assert_close(everything(persistent(cell, device, D, H, rng=0), *problem), wanted, 1e-5)


@each_cell
@pytest.mark.parametrize("device", [pytest.param("cuda", marks=on_device)])
def test_one_step_at_a_time_gives_the_same(cell, device, rng):
    net = persistent(cell, device, 3, 5, 2, dtype="float64", rng=0)
    x = mr.to_device(rng.standard_normal((4, 3, 2)), device)
    ys, _, _ = net.forward(x)
    state = None
    for x_t, y in zip(x, ys, strict=True):
        y_t, state = net.step(x_t, state)
        np.testing.assert_allclose(mr.to_host(y_t), mr.to_host(y), rtol=1e-12, atol=1e-13)


def assert_waits(said, kind):
    """That there is a race where something that makes threads wait is left out, and no other."""
    assert len(said) == 3 + len(kind.waits), said
    for what, report in said.items():
        if what.startswith("without"):
            assert "WARNING: ThreadSanitizer: data race" in report, what
        else:
            assert report == "", what


with_sanitizer = pytest.mark.skipif(
    persistent_races.sanitizer() is None, reason="needs g++ with ThreadSanitizer"
)


@with_sanitizer
@pytest.mark.exhaustive
def test_threads_wait_for_each_other_where_they_must_and_nowhere_else():
    said = persistent_races.parts()
    if not said:
        pytest.skip("ThreadSanitizer cannot run here")
    assert_waits(said, persistent_races.SHARED)


@pytest.mark.parametrize("gates", [1, 3, 4])
@given(H=st.integers(1, 1400), N=st.integers(1, 3000), size=st.sampled_from([4, 8]))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_division_fits_on_the_device_and_leaves_nothing_out(gates, H, N, size):
    plan = divide(gates, H, N, size, H200)
    if plan is None:
        assert H > 900
        return
    assert plan.blocks <= H
    assert plan.blocks * plan.groups <= H200.multiprocessors
    assert plan.shared_memory(gates, H, size) <= H200.shared_memory
    assert plan.columns <= plan.across <= H200.threads
    assert plan.across % plan.tile == 0
    assert plan.pitch >= H
    assert plan.pitch % 4 == plan.chunk % 4 == 0
    assert min(plan) >= 1


@pytest.mark.parametrize(("gates", "largest"), [(1, 2764), (3, 1584), (4, 1320)])
def test_the_largest_hidden_sizes_of_a_device_in_float32(gates, largest):
    assert divide(gates, largest, 64, 4, H200)
    assert not divide(gates, largest + 1, 64, 4, H200)
    W = gates * largest**2 * 4
    assert 0.9 < W / (H200.multiprocessors * H200.shared_memory) < 1


def test_what_does_not_fit_is_refused():
    cell = LSTMCell()
    assert obstacle(cell, 1024, "float32", H200) == ""
    assert obstacle(cell, 1321, "float32", H200) == (
        "W does not fit on the device: LSTM(tanh) has 26.6 MiB of it in float32, and there are 132 "
        "multiprocessors with 227 KiB of shared memory each, which take whole units"
    )
    assert "53.3 MiB of it in float64" in obstacle(cell, 1321, np.float64, H200)
    assert obstacle(IndRNNCell(), 1, "float32", H200) == "IndRNN has no W to keep on the device"
    net = Recurrent(cell, 2, 40, scan="generic")
    net.scan = PersistentScan(cell, cuda_threads_on_host.RawModule, SMALL, lambda *launch: 1)
    with pytest.raises(RuntimeError, match=r"scan: 'persistent' cannot run here: W does not fit"):
        net.forward(np.zeros((3, 2, 1)))


@no_compiler
def test_blocks_that_would_wait_forever_are_refused():
    asked = []

    def none(*launch):
        asked.append(launch[1:])
        return 0

    net = persistent(LSTMCell(), "cpu", 2, 6, occupancy=none)
    with pytest.raises(RuntimeError, match=r"wants 4 blocks .* it holds 0 on each of 4 multi"):
        net.forward(np.zeros((3, 2, 4)))
    plan = divide(4, 6, 4, 4, SMALL)
    assert asked == [(8, plan.shared_memory(4, 6, 4))]


@any_cell
def test_a_problem_has_the_same_fields_in_both_languages(cell):
    made = cuda_cell(cell)
    problem = problem_of(made)
    found = fields("Problem", with_cell(made.text, "persistent/shared.cu"))
    assert found == [(name, problem[name]) for name in problem.names]


def test_limits_are_those_of_the_device():
    given = {"MultiProcessorCount": 7, "MaxSharedMemoryPerBlockOptin": 99, "CooperativeLaunch": 1}
    device = SimpleNamespace(attributes=given, compute_capability="75")
    assert device_limits(device) == Limits(7, 99)
    device.compute_capability = "61"
    assert "takes compute capability 7.0" in obstacle(
        LSTMCell(), 1, "float32", device_limits(device)
    )


def test_copies_of_a_network_share_what_is_compiled():
    compiled = []

    def raw_module(*, code, options, enable_cooperative_groups):
        compiled.append(options)
        return SimpleNamespace(get_function=lambda name: name)

    scan = PersistentScan(LSTMCell(), raw_module, SMALL, lambda *launch: 1)
    for each in (scan, copy.deepcopy(scan)):
        assert (
            each._kernel("scan_forward", np.dtype("float32"), "persistent/shared.cu", True)
            == "scan_forward"
        )
    assert len(compiled) == 1


def test_it_is_chosen_where_it_fits_and_has_passed_on_a_device(monkeypatch):
    monkeypatch.setattr(CUDA.xp, "RawModule", cuda_threads_on_host.RawModule, raising=False)
    assert choose(LSTMCell(), CUDA, "persistent", np.float32, 1320)[0].name == "persistent"
    with pytest.raises(ValueError, match="'persistent' cannot run here: W does not fit"):
        choose(LSTMCell(), CUDA, "persistent", np.float32, 1321)
    proof = {"device": "a card", "date": "today", "commit": "c"}
    monkeypatch.setattr(choice, "last_pass", lambda *kernel: proof)
    assert choose(LSTMCell(), CUDA, "auto", np.float32, 1320)[0].name == "persistent"
    scan, why = choose(LSTMCell(), CUDA, "auto", np.float32, 1321)
    assert scan.name == "fused"
    assert why.startswith("not the persistent scan, because W does not fit on the device: ")
    with pytest.raises(ValueError, match="are on cpu, and it needs a CUDA device"):
        mr.LSTM(3, 4, scan="persistent")


def test_explain_says_how_the_work_is_divided():
    net, x = persistent(LSTMCell(), "cpu", 2, 9), np.zeros((3, 2, 20), "float32")
    plan = divide(4, 9, 20, 4, SMALL)
    wanted = (
        f"blocks that share W: {plan.blocks}, groups of them: {plan.groups}, sequences of each: "
        f"{plan.columns}, launches: {-(-20 // (plan.groups * plan.columns))}"
    )
    assert mr.explain(net, x).splitlines()[-1] == wanted
    net.scan = InPrecision(net.scan, net.backend, "tf32")
    assert mr.explain(net, x).splitlines()[-1] == wanted
    assert "blocks" not in mr.explain(net)
    assert net.scan.scan.cuda_cell.text in mr.explain(net, source=True)
    with pytest.raises(TypeError, match=r"^source: got 'C\+\+', want True or False$"):
        mr.explain(net, source="C++")
    plain = mr.explain(mr.LSTM(3, 4, scan="generic"), source=True)
    assert plain.endswith("\nthe generic scan runs the class as it stands")
