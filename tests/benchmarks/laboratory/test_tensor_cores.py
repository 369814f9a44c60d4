"""The persistent kernels with products on tensor cores: on the host, and on a device."""

from __future__ import annotations

from functools import partial
from itertools import product
from unittest.mock import patch

import cuda_threads_on_host
import numpy as np
import nvrtc
import pytest
from devices import NEEDS_DEVICE
from helpers import all_same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import assert_close_in_norm, assert_near_float32, everything
from stand_in import to_tf32
from test_cuda_kernels import CELLS, assert_agrees, each_cell, no_compiler, problems

from benchmarks import laboratory
from benchmarks.laboratory.tensor_cores import TILES, TensorCoreScan
from minirnn.cells import RNNCell
from minirnn.kernels.cuda import module as cuda_module
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.persistent import scan as persistent_scan
from minirnn.kernels.cuda.persistent.limits import Limits
from minirnn.kernels.cuda.persistent.plan import divide, layout
from minirnn.recurrent import Recurrent
from minirnn.scan import Scan

H200 = Limits(132, 227 * 1024)
SMALL = Limits(4, 12000, 64)  # a device with warps, as large as the host can play
ROOMY = SMALL._replace(shared_memory=2**20)  # the same for any division of the work


class Rounded(np.ndarray):
    """A matrix that multiplies as tensor cores do."""

    def __matmul__(self, other):
        return to_tf32(np.asarray(self)) @ to_tf32(other)


class Reference(Scan):
    """The generic scan with W h and Wᵀ da in TF32, and all else in float32."""

    name = "generic"

    def __init__(self, scan):
        self.scan = scan

    def forward(self, cell, P, *rest):
        return self.scan.forward(cell, P | {"W": P["W"].view(Rounded)}, *rest)

    def backward(self, *arguments):
        return self.scan.backward(*arguments)


def reference(cell, *sizes, **options):
    net = Recurrent(cell, *sizes, scan="generic", **options)
    net.scan = Reference(net.scan)
    return net


def persistent(cell, device, *sizes, limits=SMALL, **options):
    """A network with the persistent scan in TF32 on the host, thread by thread."""
    net = Recurrent(cell, *sizes, scan="generic", **options)
    raw_module = cuda_threads_on_host.RawModule
    net.scan = TensorCoreScan(cell, raw_module, limits, lambda *launch: 1)
    return net


def assert_multiplies_alike(cell, p, limits=SMALL):
    """That all is as good as equal to what the same factors give, rounded in the same way.

    One that lies halfway between two numbers of TF32 may fall to either side, which is 2^-10 of it.
    Two of them are allowed for.
    """
    tol = 1e-5 + 2 * 2**-10 / np.sqrt(p.N * p.H)
    how = {"plain": reference, "close": assert_close_in_norm}
    build = partial(persistent, limits=limits)
    assert_agrees(build, cell, "cpu", "float32", tol, p, **how)


@no_compiler
@each_cell
@given(p=problems(T=(1, 3), N=(1, 20), D=(1, 3), H=(1, 21), layers=(1, 1)))
@settings(max_examples=9, deadline=None, derandomize=True)
def test_any_problem_is_multiplied_alike(cell, p):
    assert_multiplies_alike(cell, p)


@st.composite
def divided(draw):
    """A problem, and one way to divide its work."""
    p = draw(problems(T=(1, 3), N=(1, 20), D=(1, 2), H=(1, 40), layers=(1, 1)))
    blocks = draw(st.integers(1, min(p.H, 3)))
    columns = draw(st.integers(-(-p.N // 3), p.N))
    groups = draw(st.integers(1, min(max(1, 4 // blocks), -(-p.N // columns))))
    gates = 4  # of the largest cell: for the others there is room to spare
    grain = draw(st.sampled_from(TILES))
    plan = layout(blocks, groups, columns, gates, p.H, 4, ROOMY, grain)
    changes = {"chunk": 8 * draw(st.integers(1, plan.chunk // 8))}
    changes |= {name: draw(st.integers(1, 3)) for name in ("slices", "back_slices", "readers")}
    p.plan = plan._replace(**changes)
    return p


@no_compiler
@each_cell
@given(p=divided())
@settings(max_examples=9, deadline=None, derandomize=True)
def test_any_division_of_the_work_is_multiplied_alike(cell, p):
    with patch.object(persistent_scan, "divide", lambda *problem: p.plan):
        assert_multiplies_alike(cell, p, ROOMY)


@no_compiler
@each_cell
def test_it_is_near_float32(cell, rng):
    T, N, D, H = 8, 9, 5, 37
    x, dys = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    problem = x, None, rng.integers(0, T + 1, N), dys, None
    plain = Recurrent(cell, D, H, scan="generic", rng=0)
    got = everything(persistent(cell, "cpu", D, H, rng=0), *problem)
    assert_near_float32(cell, got, everything(plain, *problem))


@no_compiler
@pytest.mark.parametrize(("N", "H"), [(1, 1), (8, 16), (9, 17), (33, 40), (70, 7)])
def test_whole_numbers_are_multiplied_without_any_error(N, H, rng):
    """They need no rounding, so that each number of each product has to be in its place."""
    T, D = 3, 2
    plain = Recurrent(RNNCell("relu"), D, H, scan="generic", rng=0)
    net = persistent(RNNCell("relu"), "cpu", D, H, rng=0)
    for p, q in zip(plain.parameters(), net.parameters(), strict=True):
        few = rng.random(p.shape) < 4 / p.shape[1]
        p.data[...] = q.data[...] = rng.integers(-2, 3, p.shape) * few
    x, dys = rng.integers(-3, 4, (T, D, N)), rng.integers(-3, 4, (T, H, N))
    problem = x.astype(float), None, None, dys.astype(float), None
    wanted, got = everything(plain, *problem), everything(net, *problem)
    assert max(np.abs(value).max() for value in wanted.values()) < 2048
    for name, value in wanted.items():
        assert np.array_equal(got[name], value), name


@no_compiler
@each_cell
def test_the_same_bits_each_time(cell, rng):
    T, N, H = 3, 9, 17
    net = persistent(cell, "cpu", 3, H, rng=0)
    problem = rng.standard_normal((T, 3, N)), None, None, rng.standard_normal((T, H, N)), None
    first = everything(net, *problem)
    assert all(all_same_bits(first, everything(net, *problem)) for _ in range(2))


@pytest.mark.parametrize("gates", [1, 3, 4])
@given(H=st.integers(1, 1400), N=st.integers(1, 3000))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_division_fits_on_the_device_and_its_tiles_leave_nothing_out(gates, H, N):
    plan = divide(gates, H, N, 4, H200, TILES)
    if plan is None:
        assert H > 1300
        return
    assert plan.blocks <= H
    assert plan.blocks * plan.groups <= H200.multiprocessors
    assert plan.shared_memory(gates, H, 4) <= H200.shared_memory
    assert plan.columns <= plan.across <= H200.threads
    assert plan.across % plan.tile == plan.tile % 8 == plan.chunk % 8 == 0
    assert plan.pitch >= -(-H // 16) * 16
    # Lanes that load together have banks of their own; see products.cuh of tensor_cores
    lanes = [(lane // 4, lane % 4) for lane in range(32)]
    W = [{(quad * plan.pitch + member) % 32 for quad, member in lanes}]
    W += [{(quad + 2 * member * plan.pitch) % 32 for quad, member in lanes}]
    h = {(quad + member * plan.h_pitch) % 32 for quad, member in lanes}
    d = {(quad + 2 * member * plan.d_pitch) % 32 for quad, member in lanes}
    assert [len(banks) for banks in (*W, h, d)] == [32] * 4
    assert min(plan) >= 1


def test_what_fits_has_to_fit_forward_and_backward():
    """Here d needs more room than h and its sums."""
    W, d = 128 * 36, 128 * 12
    plans = [
        layout(1, 1, 8, 4, 32, 4, Limits(4, 4 * (W + room), 256), TILES[0]) for room in (d, d - 1)
    ]
    assert plans[0].shared_memory(4, 32, 4) == 4 * (W + d)
    assert plans[1] is None


@pytest.mark.parametrize(("gates", "largest"), [(1, 2736), (3, 1584), (4, 1320)])
def test_the_largest_hidden_sizes_of_a_device(gates, largest):
    assert divide(gates, largest, 64, 4, H200, TILES)
    assert not divide(gates, largest + 1, 64, 4, H200, TILES)


def compiled(device, cell):
    text = cuda_cell(cell).text
    code = cuda_module.with_cell(text, "persistent/shared.cu", TensorCoreScan.folder)
    return nvrtc.compile_for(nvrtc.library(), device, code, cuda_module.options("float32"))


@pytest.mark.skipif(nvrtc.library() is None, reason="needs NVRTC")
def test_the_kernels_compile_for_devices_with_tensor_cores():
    for device, cell in product(nvrtc.DEVICES, CELLS):
        said = compiled(device, cell)
        assert "TF32 needs compute capability 8.0" in said if device < "sm_80" else said == ""


# On a device


@pytest.fixture(params=[pytest.param("cuda", marks=NEEDS_DEVICE)])
def on_device(request):
    """A function that makes a network with the scan."""

    def build(*sizes, **options):
        device = {"device": request.param, "precision": "tf32", "scan": "persistent", "rng": 0}
        net = Recurrent(*sizes, **device, **options)
        laboratory.take(net, TensorCoreScan)
        return net

    return build


@each_cell
@pytest.mark.parametrize(("N", "H"), [(9, 17), (33, 65), (37, 257), (70, 600), (64, 256)])
def test_numbers_of_a_device_are_those_of_tf32(cell, on_device, N, H, rng):
    T, D = 12, 40
    x, state = (
        rng.standard_normal((T, D, N)),
        tuple(rng.standard_normal((2, H, N)) for _ in cell.states),
    )
    lengths, dys = rng.integers(1, T + 1, N), rng.standard_normal((T, 2 * H, N))
    problem, sizes = (x, state, lengths, dys, state), (D, H, 1, True)
    wanted = everything(Recurrent(cell, *sizes, scan="generic", rng=0), *problem)
    got = everything(on_device(cell, *sizes), *problem)
    assert_near_float32(cell, got, wanted)
    for name in ("ys", "l0.W", "l0.reverse.W"):  # nor those of float32: tensor cores were used
        size = np.linalg.norm(wanted[name])
        assert np.linalg.norm(got[name] - wanted[name]) > 2e-5 * size


@each_cell
def test_the_same_bits_each_time_on_a_device(cell, on_device, rng):
    T, N, H = 50, 33, 200
    net = on_device(cell, 3, H)
    problem = rng.standard_normal((T, 3, N)), None, None, rng.standard_normal((T, H, N)), None
    first = everything(net, *problem)
    assert all(all_same_bits(first, everything(net, *problem)) for _ in range(3))
