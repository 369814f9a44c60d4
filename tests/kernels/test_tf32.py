"""Products in TF32: who may ask for it, that all products of cuBLAS get it and nothing else; devices."""

from __future__ import annotations

import copy
import threading
from itertools import product
from types import SimpleNamespace

import cuda_on_host
import numpy as np
import pytest
from devices import NEEDS_DEVICE
from helpers import all_same_bits
from scans import assert_close_in_norm, assert_near_float32, everything
from test_cuda_choice import CUDA, passes  # noqa: F401, a fixture
from test_cuda_kernels import CELLS, each_cell, no_compiler

import minirnn as mr
from minirnn import cells
from minirnn.cells import LSTMCell
from minirnn.kernels.choice import choose
from minirnn.kernels.cuda import module as cuda_module
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.recurrent import Recurrent

all_cells = pytest.mark.parametrize("cell", cells.CELLS, ids=lambda cell: cell.name)


def on_device(scan):
    marks = [*NEEDS_DEVICE, *([pytest.mark.kernel(f"{scan} tf32")] if scan != "generic" else [])]
    return pytest.param(scan, marks=marks)


# Who may ask for it


@pytest.mark.parametrize("build", [mr.RNN, mr.LSTM, mr.GRU, mr.Linear])
def test_it_is_refused_where_it_cannot_be(build, stand_in, monkeypatch):
    def refused(message, precision="tf32", **options):
        with pytest.raises(ValueError, match=message) as caught:
            build(3, 4, precision=precision, **options)
        assert "\n" not in str(caught.value)

    refused(r'^precision: got "tf32" with dtype float32 on cpu, which needs float32 on a CUDA dev')
    float64 = '^precision: got "tf32" with dtype float64 on cuda:1, which needs float32'
    refused(float64, dtype="float64", device="cuda:1")
    refused("^precision: got 'bf16', want None or \"tf32\"$", "bf16", device="cuda")
    refused('^precision: got True, want None or "tf32"$', True, device="cuda")
    monkeypatch.setattr(stand_in.Device, "compute_capability", "75")
    refused(
        "^precision: .* needs compute capability 8.0 or more, and cuda:1 has 7.5$", device="cuda:1"
    )
    assert build(3, 4, device="cuda:1").precision is None


def test_it_is_said_where_a_network_is_described(stand_in, capsys):
    nets = [mr.LSTM(3, 4, device="cuda:1", rng=0, precision=p) for p in (None, "tf32")]
    assert repr(nets[1]) == repr(nets[0]).replace("float32,", "float32, products in TF32,")
    assert mr.explain(nets[1]).splitlines()[0] == repr(nets[1])
    assert mr.summary(nets[0]) == mr.summary(nets[1])
    assert {p.dtype.name for p in nets[1].parameters()} == {"float32"}


def test_saved_weights_are_the_same_with_and_without(stand_in, tmp_path):
    net, plain = (mr.GRU(3, 4, device="cuda:1", rng=0, precision=p) for p in ("tf32", None))
    assert all_same_bits(net.state_dict(), plain.state_dict())
    mr.save(tmp_path / "net.npz", net=net.state_dict())
    other = mr.GRU(3, 4, device="cuda:0", rng=1, precision="tf32")
    other.load_state_dict(mr.load(tmp_path / "net.npz")["net"])
    assert all_same_bits(net.state_dict(), other.state_dict())


# Products of cuBLAS


@pytest.fixture(params=["generic", pytest.param("fused", marks=no_compiler)])
def scan(request, stand_in, monkeypatch):
    """The scans whose products are all of cuBLAS, on the stand-in."""
    monkeypatch.setattr(stand_in, "RawModule", cuda_on_host.RawModule, raising=False)
    return request.param


def networks(cell, scan, *sizes, **options):
    """The same one twice: with products in TF32, and in float32."""
    if scan == "fused" and cell not in CELLS:
        pytest.skip("it has no CUDA kernels")
    options = {"device": "cuda:1", "rng": 0, "scan": scan, **options}
    return [Recurrent(cell, *sizes, precision=p, **options) for p in ("tf32", None)]


def asked(stand_in):
    """Whether each product since the last time was asked for in TF32."""
    found = [in_tf32 for _, in_tf32 in stand_in.products]
    stand_in.products.clear()
    return found


@all_cells
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
@pytest.mark.parametrize("every", [None, 2])
def test_all_products_of_a_network_are_in_tf32(cell, scan, tokens, every, stand_in, rng):
    T, N, D, H = 4, 9, 11, 20
    x = rng.integers(0, D, (T, N)) if tokens else rng.standard_normal((T, D, N))
    dys = rng.standard_normal((T, 2 * H, N))
    problem = x, None, rng.integers(0, T + 1, N), dys, None, True, every
    nets = networks(cell, scan, D, H, 2, True)
    stand_in.products.clear()
    got = everything(nets[0], *problem)
    count = asked(stand_in)
    # A token's gradient is its column, whatever multiplies it by one and adds it up
    assert count
    assert all(count)
    wanted = everything(nets[1], *problem)
    assert asked(stand_in) == [False] * len(count)
    assert_near_float32(cell, got, wanted)
    differ = {name for name, value in wanted.items() if not np.array_equal(got[name], value)}
    assert {"ys", "l0.W", "l0.U", "l1.reverse.W"} <= differ


@all_cells
def test_one_step_and_gates_that_are_computed_again_too(cell, scan, stand_in, rng):
    net, plain = networks(cell, scan, 11, 20)
    x = mr.to_device(rng.standard_normal((4, 11, 9)), "cuda:1")
    _, _, cache = net.forward(x, recompute_every=2)
    stand_in.products.clear()
    cache[f"l0.{cell.states[0]}"]
    assert all(asked(stand_in))
    y, _ = net.step(x[0])
    assert all(asked(stand_in))
    y_plain, _ = plain.step(x[0])
    assert not any(asked(stand_in))
    error = np.abs(y.get() - y_plain.get()).max()
    assert 1e-6 < error < 2e-3


@pytest.mark.skipif(cuda_on_host.COMPILER is None, reason="needs g++")
def test_the_fused_scan_makes_as_many_products_as_it_should(stand_in, monkeypatch, rng):
    monkeypatch.setattr(stand_in, "RawModule", cuda_on_host.RawModule, raising=False)
    T, N, D, H = 4, 3, 5, 7
    net, _ = networks(LSTMCell(), "fused", D, H)
    x = mr.to_device(rng.standard_normal((T, D, N)), "cuda:1")
    stand_in.products.clear()
    ys, _, cache = net.forward(x)
    assert stand_in.products == [((4 * H, T * N), True)] + [((4 * H, N), True)] * T
    stand_in.products.clear()
    net.backward(cache, ys)
    after = [((4 * H, H), True), ((4 * H, D), True), ((D, T * N), True)]
    assert stand_in.products == [((H, N), True)] * T + after


def test_a_linear_layer_of_a_model_has_its_own(stand_in, rng):
    x = mr.to_device(rng.standard_normal((4, 11, 9)).astype("float32"), "cuda:1")
    layers = [mr.Linear(11, 6, device="cuda:1", rng=0, precision=p) for p in ("tf32", None)]
    stand_in.products.clear()
    results = []
    for layer in layers:
        y, cache = layer.forward(x)
        dx = layer.backward(cache, y)
        results.append(
            {"y": y.get(), "dx": dx.get()} | {p.name: p.grad.get() for p in layer.parameters()}
        )
    assert asked(stand_in) == [True] * 3 + [False] * 3
    assert_close_in_norm(*results, 2e-3)
    assert not np.array_equal(results[0]["y"], results[1]["y"])


@pytest.mark.parametrize(
    "options", [{}, {"embedding": 20, "share": True}], ids=["one-hot", "shared"]
)
def test_a_language_model_hands_it_on_to_its_layers(options, stand_in, rng):
    options = {"device": "cuda:1", "rng": 0, **options}
    tokens, dscores = rng.integers(0, 11, (4, 9)), rng.standard_normal((4, 11, 9))
    results = []
    for precision in ("tf32", None):
        model = mr.LanguageModel(11, 20, precision=precision, **options)
        stand_in.products.clear()
        scores, _, cache = model.forward(mr.to_device(tokens, "cuda:1"))
        model.backward(cache, mr.to_device(dscores, "cuda:1"))
        found = asked(stand_in)
        if "embedding" in options:
            assert not found.pop()  # it adds up columns, and rounds none
        assert found == [precision == "tf32"] * len(found)
        grads = {p.name: p.grad.get() for p in model.parameters()}
        results.append({"scores": scores.get()} | grads)
    assert_close_in_norm(*results, 2e-3)
    assert not np.array_equal(results[0]["scores"], results[1]["scores"])


@pytest.mark.parametrize("attention", [False, True])
def test_an_encoder_decoder_hands_it_on_to_its_layers(attention, stand_in, rng):
    options = {"bidirectional": True, "attention": attention, "device": "cuda:1", "rng": 0}
    source, inputs = (mr.to_device(rng.integers(0, 5, (T, 3)), "cuda:1") for T in (6, 4))
    for precision in ("tf32", None):
        model = mr.EncoderDecoder(5, 7, 8, precision=precision, **options)
        stand_in.products.clear()
        scores, cache = model.forward(source, inputs, lengths=[6, 1, 4])
        model.backward(cache, scores)
        found = asked(stand_in)
        assert found == [precision == "tf32"] * len(found)


def test_what_was_set_before_is_restored_and_other_threads_see_nothing(stand_in):
    backend = mr.RNN(2, 3, device="cuda:1").backend
    device = stand_in.cuda.Device(1)
    mode = lambda: stand_in.cuda.cublas.getMathMode(device.cublas_handle)  # noqa: E731
    seen = []

    def look_and_fail():
        assert mode() == 3
        with backend.products("tf32"), backend.products(None):
            assert mode() == 3
        assert mode() == 3
        assert stand_in.cuda.cublas.getMathMode(stand_in.cuda.Device(0).cublas_handle) == 0
        other = threading.Thread(target=lambda: seen.append(mode()))
        other.start()
        other.join()
        raise KeyError

    for before in (0, 2):
        stand_in.cuda.cublas.setMathMode(device.cublas_handle, before)
        with pytest.raises(KeyError), backend.products("tf32"):
            look_and_fail()
        assert mode() == before
    assert seen == [0, 0]
    stand_in.cuda.cublas.setMathMode(device.cublas_handle, 0)


def test_a_copy_of_a_network_multiplies_in_the_same_way(stand_in, rng):
    net, _ = networks(LSTMCell(), "generic", 5, 7)
    x = mr.to_device(rng.standard_normal((4, 5, 3)), "cuda:1")
    ys = [n.forward(x)[0].get() for n in (net, copy.deepcopy(net))]
    assert np.array_equal(*ys)


# Which scan is chosen


def test_each_precision_has_its_own_proof(passes, monkeypatch):  # noqa: F811
    monkeypatch.setattr(CUDA.xp, "RawModule", SimpleNamespace, raising=False)
    cell, f32 = LSTMCell(), np.float32
    new = {"cell": cell.name, "device": "a card", "date": "today", "commit": "c"}

    def entries(*kernels):
        text = cuda_cell(cell).text
        sources = {name: cuda_module.digest(name, text) for name in kernels}
        return [{**new, "kernel": name, "source": source} for name, source in sources.items()]

    passes(*entries("persistent", "fused"))
    assert choose(cell, CUDA, "auto", f32, 64)[0].name == "persistent"
    scan, why = choose(cell, CUDA, "auto", f32, 64, "tf32")
    assert scan.name == "generic"
    assert why.count("it has not passed its tests in TF32 on a device yet") == 2
    passes(*entries("persistent", "fused tf32"))
    scan, why = choose(cell, CUDA, "auto", f32, 64, "tf32")
    assert scan.name == "fused"
    assert "not the persistent scan, because it has not passed its tests in TF32" in why
    passes(*entries("persistent tf32"))
    scan, _ = choose(cell, CUDA, "auto", f32, 64, "tf32")
    assert (scan.name, scan.precision) == ("persistent", "tf32")
    assert choose(cell, CUDA, "auto", f32, 64)[0].name == "generic"


def test_no_two_proofs_are_of_the_same_kernels():
    kernels = product(("fused", "persistent"), (None, "tf32"))
    digests = {cuda_module.digest(cuda_module.title(*kernel), "") for kernel in kernels}
    assert len(digests) == 4


# On a device


@pytest.mark.parametrize("scan", [on_device(scan) for scan in ("generic", "fused", "persistent")])
@each_cell
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
@pytest.mark.parametrize(("N", "H"), [(9, 17), (33, 65), (37, 257), (70, 600), (64, 256)])
def test_numbers_of_a_device_are_those_of_tf32(cell, scan, tokens, N, H, rng):
    T, D = 12, 40
    x = rng.integers(0, D, (T, N)) if tokens else rng.standard_normal((T, D, N))
    state = tuple(rng.standard_normal((2, H, N)) for _ in cell.states)
    lengths, dys = rng.integers(1, T + 1, N), rng.standard_normal((T, 2 * H, N))
    problem, sizes = (x, state, lengths, dys, state), (D, H, 1, True)
    wanted = everything(Recurrent(cell, *sizes, scan="generic", rng=0), *problem)
    options = {"device": "cuda", "rng": 0, "scan": scan}
    got = everything(Recurrent(cell, *sizes, precision="tf32", **options), *problem)
    assert_near_float32(cell, got, wanted)
    if N % 8:
        return  # the mode of cuBLAS allows tensor cores: where rows are not aligned, it may do without
    for name in ("ys", "l0.W", "l0.reverse.W"):  # nor those of float32: tensor cores were used
        size = np.linalg.norm(wanted[name])
        assert np.linalg.norm(got[name] - wanted[name]) > 2e-5 * size
