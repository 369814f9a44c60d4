"""The CUDA kernels: their arithmetic on the host, that they compile, and the same on a device."""

from __future__ import annotations

import tomllib
from types import SimpleNamespace

import cuda_on_host
import invented_cells
import numpy as np
import nvrtc
import pytest
from devices import NEEDS_DEVICE
from helpers import ROOT, same_bits
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scans import assert_close, everything, moved

import minirnn as mr
from minirnn import cells
from minirnn.backend import split_rows, stack_rows, tanh
from minirnn.kernels.cuda import module as cuda_module
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.fused import scan as fused_scan
from minirnn.kernels.cuda.fused.scan import FusedScan, step_of
from minirnn.recurrent import Recurrent

CELLS = [cell for cell in cells.CELLS if type(cell) is not cells.GRUResetBeforeCell]
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
any_cell = pytest.mark.parametrize(
    "cell", [*CELLS, *invented_cells.CELLS], ids=lambda cell: cell.name
)

each_dtype = pytest.mark.parametrize(
    ("dtype", "tol"),
    [("float64", 1e-12), pytest.param("float32", 1e-5, marks=pytest.mark.exhaustive)],
)

no_compiler = pytest.mark.skipif(cuda_on_host.COMPILER is None, reason="needs g++")
on_device = [*NEEDS_DEVICE, pytest.mark.kernel("fused")]
each_device = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=on_device)]
)


def fused(cell, device, *sizes, **options):
    """A network with the fused scan, on a device or, as the source is C++ too, on the host."""
    if device == "cuda":
        return Recurrent(cell, *sizes, device=device, scan="fused", **options)
    net = Recurrent(cell, *sizes, scan="generic", **options)
    net.scan = FusedScan(cell, cuda_on_host.RawModule)
    return net


SIZES = {"T": (1, 6), "N": (1, 13), "D": (1, 12), "H": (1, 35), "layers": (1, 2)}
OPTIONS = ("both", "tokens", "padded", "bias", "state", "dys", "dstate", "want_dx")


@st.composite
def problems(draw, **limits):
    sizes = {name: draw(st.integers(*pair)) for name, pair in (SIZES | limits).items()}
    asked = {name: draw(st.booleans()) for name in OPTIONS}
    every = draw(st.sampled_from([None, None, 2, "sqrt"]))
    return SimpleNamespace(**sizes, **asked, every=every, seed=draw(st.integers(0, 2**32)))


def smallest(**changes):
    """The problem of one step, sequence, unit and layer with all options, if nothing else is said."""
    return SimpleNamespace(
        **(dict.fromkeys((*SIZES, *OPTIONS), 1) | {"every": None, "seed": 0} | changes)
    )


def equations(cell, *sizes, **options):
    """A network with the generic scan."""
    return Recurrent(cell, *sizes, scan="generic", **options)


def assert_agrees(build, cell, device, dtype, tol, p, plain=equations, close=assert_close):
    """That the network of ``build(cell, device, *sizes, **options)`` gives what `plain`'s gives."""
    random = np.random.default_rng(p.seed)
    options = {"bias": p.bias, "dtype": dtype, "rng": p.seed}
    sizes = p.D, p.H, p.layers, p.both
    scans = p.layers * (1 + p.both)

    def state(wanted):
        shape = (scans, p.H, p.N)
        parts = {name: random.standard_normal(shape) for name in cell.states}
        if "n" in parts:  # by which an sLSTM divides: it is positive
            parts["n"] = 1 + np.abs(parts["n"])
        return tuple(parts.values()) if wanted else None

    shape = (p.T, p.N) if p.tokens else (p.T, p.D, p.N)
    x = random.integers(0, p.D, shape) if p.tokens else random.standard_normal(shape)
    lengths = None
    if p.padded:
        lengths = random.integers(0, p.T + 1, p.N)
        lengths[0], lengths[-1] = 0, p.T
        padding = np.arange(p.T)[:, None] >= lengths
        np.copyto(x, -1 if p.tokens else np.nan, where=padding if p.tokens else padding[:, None])
    outputs = (p.T, p.H * (1 + p.both), p.N)
    dys = random.standard_normal(outputs) if p.dys or not p.dstate else None
    given = x, state(p.state), lengths, dys, state(p.dstate), p.want_dx, p.every
    got = everything(build(cell, device, *sizes, **options), *given)
    close(got, everything(plain(cell, *sizes, **options), *given), tol)


@each_device
@each_cell
@each_dtype
@given(p=problems())
@example(p=smallest(padded=0))
@example(p=smallest(tokens=0, T=7))
@example(p=smallest(tokens=0, N=1, H=67))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_problem_agrees_with_the_equations(cell, device, dtype, tol, p):
    assert_agrees(fused, cell, device, dtype, tol, p)


invented = pytest.mark.parametrize("cell", invented_cells.CELLS, ids=lambda cell: cell.name)


def assert_close_together(got, wanted, tol):
    """The same where some gradients are only what rounding leaves, as that of the sLSTM's m."""
    size = max(np.abs(value).max(initial=0) for value in wanted.values())
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        error = np.abs(got[name] - value).max(initial=0)
        assert error <= tol * max(np.abs(value).max(initial=0), 1e-3 * size), name


@pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=NEEDS_DEVICE)]
)
@invented
@given(p=problems())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_problem_of_a_cell_that_the_engine_does_not_know(cell, device, p):
    assert_agrees(fused, cell, device, "float64", 1e-12, p, close=assert_close_together)


class RenamedCell(cells.RNNCell):
    """An RNN whose gates are its states."""

    name, gates = "renamed", ("y", "before")

    def forward(self, P, x, state):
        (h,), _ = super().forward(P, x, state)
        return (h,), {"y": h, "before": state[0]}

    def backward(self, P, x, state, new, gates, dnew):
        return super().backward(P, x, (gates["before"],), (gates["y"],), {}, dnew)


class BareCell:
    """Two states and nothing else: no gates, no biases."""

    name, gates, states = "bare,\nin two lines", (), ("h", "c")

    def shapes(self, D, H):
        return {"U": (2 * H, D), "W": (2 * H, H)}

    def forward(self, P, x, state):
        a_c, a_h = split_rows(P["U"] @ x + P["W"] @ state[0], 2)
        return (tanh(a_h), tanh(a_c) + state[1]), {}

    def backward(self, P, x, state, new, gates, dnew):
        (h, c), (h_new, c_new), (dh_new, dc_new) = state, new, dnew
        da = stack_rows(dc_new * (1 - (c_new - c) * (c_new - c)), dh_new * (1 - h_new * h_new))
        return P["U"].T @ da, (P["W"].T @ da, dc_new), {"U": da @ x.T, "W": da @ h.T}


class IndRNNCell:
    """The IndRNN (Li et al. 2018): each unit reads itself alone, through a weight of its own."""

    name, gates, states = "IndRNN", (), ("h",)

    def shapes(self, D, H):
        return {"U": (H, D), "v": (H, 1), "b": (H, 1)}

    def forward(self, P, x, state):
        own = P["v"] * state[0]
        u = P["U"] @ x + own + P["b"]  # names that the kernels have, too
        after = tanh(u)
        return (after,), {}

    def backward(self, P, x, state, new, gates, dnew):
        gate = new[0] * new[0]
        d = 1 - gate
        row = dnew[0] * d
        w = row * state[0]
        past = P["v"] * row
        dP = {"v": w.sum(axis=1, keepdims=True), "b": row.sum(axis=1, keepdims=True)}
        return P["U"].T @ row, (past,), {"U": row @ x.T, **dP}


@no_compiler
@pytest.mark.parametrize("cell", [BareCell(), IndRNNCell()], ids=lambda cell: cell.name)
@given(p=problems())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_cell_may_have_no_gates_no_biases_and_no_W(cell, p):
    assert_agrees(fused, cell, "cpu", "float64", 1e-12, p)


@no_compiler
@given(p=problems())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_gate_may_be_a_state(p):
    p.padded = False  # a step that does not exist has no gates
    assert_agrees(fused, RenamedCell(), "cpu", "float64", 1e-12, p)


@each_device
@each_cell
def test_more_units_than_a_block_has_threads(cell, device, rng):
    T, N, D, H = 5, 33, 40, 67
    options = {"dtype": "float64", "rng": 0}
    x, dys = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    given = x, None, rng.integers(0, T + 1, N), dys, None
    wanted = everything(Recurrent(cell, D, H, scan="generic", **options), *given)
    assert_close(everything(fused(cell, device, D, H, **options), *given), wanted, 1e-12)


@each_device
@each_cell
def test_tokens_of_a_large_vocabulary_are_added_up_in_parts(cell, device, rng, monkeypatch):
    T, N, D, H = 6, 5, 40, 7
    monkeypatch.setattr(fused_scan, "ONE_HOT", 8 * D)
    options = {"dtype": "float64", "rng": 0}
    given = rng.integers(0, D, (T, N)), None, None, rng.standard_normal((T, H, N)), None
    wanted = everything(Recurrent(cell, D, H, scan="generic", **options), *given)
    assert_close(everything(fused(cell, device, D, H, **options), *given), wanted, 1e-12)


@each_device
@each_cell
def test_gradients_are_central_differences(cell, device, rng):
    net = fused(cell, device, 4, 9, 2, True, dtype="float64", rng=0)
    x, dys = (moved(rng.standard_normal(shape), device) for shape in ((5, 4, 3), (5, 18, 3)))
    start = [p.data.copy() for p in net.parameters()]
    along = [moved(rng.standard_normal(p.shape), device) for p in net.parameters()]

    def loss(step):
        for p, value, direction in zip(net.parameters(), start, along, strict=True):
            p.data = value + step * direction
        ys, _, cache = net.forward(x, lengths=[5, 2, 4])
        return float((ys * dys).sum()), cache

    numeric = (loss(1e-6)[0] - loss(-1e-6)[0]) / 2e-6
    net.backward(loss(0)[1], dys)
    pairs = zip(net.parameters(), along, strict=True)
    assert sum(float((p.grad * v).sum()) for p, v in pairs) == pytest.approx(numeric, rel=1e-7)


@each_device
@each_cell
@pytest.mark.parametrize("tokens", [False, True])
def test_what_is_given_and_returned_is_the_callers(cell, device, tokens, rng):
    net = fused(cell, device, 5, 4, rng=0)
    shape = (6, 3) if tokens else (6, 5, 3)
    x = rng.integers(0, 5, shape) if tokens else rng.standard_normal(shape)
    x, state = (
        moved(value, device) for value in (x, tuple(np.zeros((1, 4, 3)) for _ in cell.states))
    )
    before = [mr.to_host(a).copy() for a in (x, *state)]
    ys, final, cache = net.forward(x, state, [6, 2, 0])
    kept = [mr.to_host(a) for a in (x, *state)]
    assert all(same_bits(a, b) for a, b in zip(kept, before, strict=True))
    dys = moved(np.ones((6, 4, 3), np.float32), device)
    first = [mr.to_host(a).copy() for a in net.backward(cache, dys, final)[1]]
    end = tuple(part.copy() for part in final)
    for array in (x, ys, *final, *state, cache["l0.h"]):
        array[...] = -1
    again = [mr.to_host(a) for a in net.backward(cache, dys, end)[1]]
    assert all(np.array_equal(a, b) for a, b in zip(again, first, strict=True))
    assert np.array_equal(mr.to_host(dys), np.ones((6, 4, 3)))


@each_device
@each_cell
def test_one_step_at_a_time_gives_the_same(cell, device, rng):
    net, state = fused(cell, device, 5, 4, 2, dtype="float64", rng=0), None
    x = moved(rng.integers(0, 5, (6, 3)), device)
    for x_t, y in zip(x, mr.to_host(net.forward(x)[0]), strict=True):
        y_t, state = net.step(x_t, state)
        np.testing.assert_allclose(mr.to_host(y_t), y, rtol=0, atol=1e-13)


@each_device
@each_cell
def test_tokens_that_do_not_exist_read_nothing_and_are_seen(cell, device, rng):
    net = fused(cell, device, 5, 4, rng=0)
    P = {name.partition(".")[2]: p.data for name, p in net.named_parameters().items()}
    tokens = moved(np.array([[1, 5], [2, 0], [0, -1]]), device)
    state = tuple(moved(np.zeros((4, 2), np.float32), device) for _ in cell.states)
    ys = mr.to_host(net.scan.forward(cell, P, tokens, state, None)[0])
    assert np.isfinite(ys[..., 0]).all()
    assert np.isnan(ys[..., 1]).all()


@each_device
@each_cell
def test_no_sequences_have_no_gradient(cell, device):
    net = fused(cell, device, 5, 4, rng=0)
    for x in (np.zeros((3, 5, 0), np.float32), np.zeros((3, 0), int)):
        ys, _, cache = net.forward(moved(x, device))
        net.backward(cache, ys)
    assert all((mr.to_host(p.grad) == 0).all() for p in net.parameters())


@any_cell
def test_a_step_has_the_same_fields_in_both_languages(cell):
    made = cuda_cell(cell)
    step = step_of(made)
    found = cuda_on_host.fields("Step", cuda_module.with_cell(made.text, "fused/fused.cu"))
    assert found == [(name, step[name]) for name in step.names]


@pytest.mark.skipif(
    nvrtc.library() is None, reason="needs NVRTC: pip install nvidia-cuda-nvrtc-cu12"
)
@pytest.mark.parametrize("name", nvrtc.SOURCES)
@any_cell
def test_sources_compile_for_a_device(cell, name):
    code = cuda_module.with_cell(cuda_cell(cell).text, name)
    for dtype in cuda_module.NUMBERS:
        assert nvrtc.compile_for(nvrtc.library(), "sm_80", code, cuda_module.options(dtype)) == ""


@pytest.mark.skipif(
    nvrtc.library() is None, reason="needs NVRTC: pip install nvidia-cuda-nvrtc-cu12"
)
def test_a_source_that_does_not_compile_is_noticed():
    broken = 'extern "C" __global__ void f(float *x) { *x = undefined; }'
    assert "undefined" in nvrtc.compile_for(nvrtc.library(), "sm_80", broken, ())


def test_sources_are_in_the_package():
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "minirnn"
    packed = {path for glob in data["package-data"]["minirnn"] for path in package.glob(glob)}
    assert {
        path for path in package.rglob("*") if path.suffix in (".cu", ".cuh", ".json")
    } <= packed
