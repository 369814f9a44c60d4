"""Masks of dropout drawn by a device: NumPy's bits, and no more than one kernel.

The kernel runs on a device and, as its source is C++, too, on the host: for NumPy's arrays and for those
of the stand-in.
"""

import threading
from types import SimpleNamespace

import card
import cuda_on_host
import numpy as np
import pytest
import stand_in as stand_in_for_cupy
from devices import NEEDS_DEVICE, Place, grads
from helpers import same_bits
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_cuda_choice import passes  # noqa: F401, a fixture
from test_cuda_kernels import no_compiler

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.kernels.cuda import dropout
from minirnn.kernels.cuda import module as cuda_module
from minirnn.layers.dropout import dropout_mask

on_device = [*NEEDS_DEVICE, pytest.mark.kernel(dropout.NAME, dropout.PART)]
each_device = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=on_device)]
)
OTHERS = ("PCG64DXSM", "Philox", "MT19937", "SFC64")
BEYOND = 4  # numbers behind an array


def guarded(shape, dtype):
    """NaN, with more of it behind."""
    size = int(np.prod(shape))
    return np.full(size + BEYOND, np.nan, dtype)[:size].reshape(shape)


HOST = SimpleNamespace(empty=guarded, RawModule=cuda_on_host.RawModule)


def drawn(device, *problem):
    """A mask by the kernel, on the host."""
    mask = dropout.draw(get_backend(device).xp if device == "cuda" else HOST, *problem)
    assert mask.flags.c_contiguous
    if device == "cpu":
        assert np.isnan(mask.base[-BEYOND:]).all()
    return mr.to_host(mask)


def on_host(random, p, shape, dtype):
    """The same mask by NumPy."""
    return dropout_mask(random, p, np.empty(shape, dtype))


def twins(state, inc, has_half=0, half=0):
    """Two generators in the same state."""
    both = [np.random.default_rng(0) for _ in range(2)]
    for random in both:
        random.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc | 1},  # which is odd
            "has_uint32": has_half,
            "uinteger": half,
        }
    return both


def assert_numpys(device, random, twin, p, shape, dtype):
    """That the kernel's mask of `random` is NumPy's of `twin`, and leaves it as NumPy does."""
    wanted = on_host(twin, p, shape, dtype)
    assert same_bits(drawn(device, random, p, shape, np.dtype(dtype)), wanted)
    assert random.bit_generator.state == twin.bit_generator.state


words, halves = st.integers(0, 2**128 - 1), st.integers(0, 2**32 - 1)
shares = st.floats(0, 1, exclude_max=True)
dtypes = st.sampled_from(["float32", "float64"])
shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple) | st.tuples(st.integers(0, 5000))


@each_device
@given(words, words, st.booleans(), halves, shares, shapes, dtypes)
@example(2**128 - 1, 2**128 - 1, True, 2**32 - 1, 0.5, (7,), "float32")
@example(2**64 - 1, 2**64 - 1, False, 0, 0.0, (1,), "float64")
@example(0, 1, True, 0, 1 - 1e-16, (3, 5), "float32")  # in float32 it is 1: all are dropped
@example(0, 1, True, 0, 1e-300, (3, 5), "float32")  # and this is 0: all are kept
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_mask_is_numpys(device, state, inc, has_half, half, p, shape, dtype):
    random, twin = twins(state, inc, has_half, half)
    assert_numpys(device, random, twin, p, shape, dtype)


@each_device
@pytest.mark.parametrize("has_half", [False, True])
@pytest.mark.parametrize("size", [2**17 - 1, 2**17, 2**17 + 1, 2**17 + 2, 3 * 2**17 + 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_that_draw_more_than_once(device, has_half, size, dtype):
    assert size >= 2 * 2**dropout.LEVELS - 1
    random, twin = twins(2**127 + 12345, 2**126 + 67, has_half, 2**31)
    assert_numpys(device, random, twin, 0.25, (size,), dtype)


@each_device
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_a_number_that_is_p_is_kept(device, step):
    size = 64
    for k in range(size):
        random, twin = (np.random.default_rng(1) for _ in range(2))
        p = np.random.default_rng(1).random(size, np.float32)[k]
        p = float(np.nextafter(p, np.float32(step), dtype=np.float32) if step else p)
        wanted = on_host(twin, p, (size,), "float32")
        assert (wanted[k] == 0) == (step > 0)
        assert same_bits(drawn(device, random, p, (size,), np.dtype("float32")), wanted)


DRAWS = {
    "float32": lambda random, n: random.random(n, np.float32),
    "float64": lambda random, n: random.random(n),
    "normal": lambda random, n: random.standard_normal(n, np.float32),
    "integers": lambda random, n: random.integers(0, 100, n, np.int32),
    "bytes": lambda random, n: np.frombuffer(random.bytes(n), np.uint8),
    "permutation": lambda random, n: random.permutation(n),
}


@each_device
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(["mask", *DRAWS]), st.integers(0, 9), shares, dtypes)),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_drawn_next_is_the_same_on_either_side(device, seed, draws):
    random, twin = (np.random.default_rng(seed) for _ in range(2))
    for kind, n, p, dtype in draws:
        if kind == "mask":
            assert_numpys(device, random, twin, p, (n,), dtype)
        else:
            assert same_bits(DRAWS[kind](random, n), DRAWS[kind](twin, n))


@no_compiler
def test_nobody_draws_between_looking_at_a_generator_and_moving_it_on():
    random, found = np.random.default_rng(0), []
    thread = threading.Thread(
        target=lambda: found.append(drawn("cpu", random, 0.5, (3,), np.dtype("float32")))
    )
    before = random.bit_generator.state
    with random.bit_generator.lock:
        thread.start()
        thread.join(timeout=0.1)
        assert random.bit_generator.state == before
    thread.join()
    assert same_bits(found[0], on_host(np.random.default_rng(0), 0.5, (3,), "float32"))


# Which generators, and when


def test_it_is_the_default_once_it_has_passed_on_a_device(passes):  # noqa: F811
    random, dtype = np.random.default_rng(0), np.dtype("float32")
    mine = {"kernel": "dropout", "cell": "all", "device": "a card", "date": "today", "commit": "c"}
    passes({**mine, "source": "an older one"})
    assert not dropout.can_draw(random, dtype)
    passes({**mine, "source": cuda_module.digest("dropout")})
    assert dropout.can_draw(random, dtype)
    assert dropout.can_draw(random, np.dtype("float64"))
    assert not dropout.can_draw(random, np.dtype("float16"))
    for name in OTHERS:
        assert not dropout.can_draw(np.random.Generator(getattr(np.random, name)(0)), dtype)


@pytest.mark.parametrize("file", ["dropout.cu", "dropout.py", "module.py"])
def test_a_proof_is_of_the_sources_as_they_are(file, monkeypatch):
    before, real = cuda_module.digest("dropout"), cuda_module.source
    monkeypatch.setattr(cuda_module, "source", lambda name: real(name) + "\n" * (name == file))
    assert cuda_module.digest("dropout") != before


# Layers and networks


def raw_module(**how):
    """Kernels for arrays of the stand-in, on the current device only; they are counted."""
    module = card.raw_module(**how)

    def get_function(name):
        function = module.get_function(name)

        def launch(grid, block, arguments):
            assert arguments[-1].device.id == stand_in_for_cupy.Device().id
            stand_in_for_cupy.launched.append(name)
            function(grid, block, arguments)

        return launch

    return SimpleNamespace(get_function=get_function)


@pytest.fixture
def drawing(stand_in, monkeypatch):
    """The stand-in, with masks that are drawn there."""
    monkeypatch.setattr(stand_in, "RawModule", raw_module, raising=False)
    monkeypatch.setattr(dropout, "last_pass", lambda *names: {"device": "a card"})
    return stand_in


@pytest.fixture(
    params=[pytest.param("stand-in", marks=no_compiler), pytest.param("cuda:0", marks=on_device)]
)
def drawing_device(request, monkeypatch):
    """A device on which masks are drawn."""
    if request.param == "stand-in":
        request.getfixturevalue("drawing")
        return "cuda:1"
    monkeypatch.setattr(dropout, "last_pass", lambda *names: {"device": "a card"})
    return request.param


def training_step(on, random, every=None):
    """One to be run, which returns all masks and gradients."""
    model = mr.Model(
        rnn=mr.LSTM(5, 7, 3, True, 0.4, **on.options),
        out=mr.Sequential(mr.Dropout(0.1), mr.Linear(14, 4, **on.options), mr.Dropout(0.3)),
    )
    x, targets = on.tokens(5, 9, 3), on.tokens(4, 9, 3)
    optimizer = mr.Adam(model.parameters())

    def run():
        ys, _, cache = model.rnn.forward(x, dropout_rng=random, recompute_every=every)
        scores, out_cache = model.out.forward(ys, dropout_rng=random)
        _, dscores = mr.softmax_cross_entropy(scores, targets)
        optimizer.zero_grad()
        model.rnn.backward(cache, model.out.backward(out_cache, dscores))
        optimizer.step()
        first, _, last = out_cache.saved
        return [*cache.masks[:2], first.saved, last.saved], grads(model)

    return run


def generators(name, count):
    """The same one so many times, with half of an output left over."""
    them = [np.random.Generator(getattr(np.random, name)(7)) for _ in range(count)]
    for random in them:
        random.random(1, np.float32)
    return them


@pytest.mark.parametrize("name", ["PCG64", "Philox"])  # one drawn there, and one on the host
@pytest.mark.parametrize("every", [None, 4])
def test_a_training_step_drops_the_same_on_a_device(name, every, drawing_device):
    random, twin = generators(name, 2)
    steps = [
        training_step(Place(where), r, every)
        for where, r in (("cpu", random), (drawing_device, twin))
    ]
    for _ in range(2):
        (masks, gradients), (masks_there, gradients_there) = (step() for step in steps)
        for mask, there in zip(masks, masks_there, strict=True):
            assert get_backend(drawing_device).owns(there)
            assert same_bits(mr.to_host(there), mask)
        for g, there in zip(gradients, gradients_there, strict=True):
            np.testing.assert_allclose(mr.to_host(there), g, rtol=0, atol=1e-9)
    np.testing.assert_equal(random.bit_generator.state, twin.bit_generator.state)


@no_compiler
@pytest.mark.parametrize("name", ["PCG64", "Philox"])
def test_a_training_step_copies_nothing_and_waits_for_nothing(name, drawing):
    (random,) = generators(name, 1)
    step = training_step(Place("cuda:1"), random)
    for counted in (drawing.synchronised, drawing.copied, drawing.launched):
        counted.clear()
    masks, _ = step()
    there = name == "PCG64"
    assert drawing.synchronised == []
    assert drawing.copied == ([] if there else [mask.shape for mask in masks])
    assert drawing.launched.count("dropout_mask") == len(masks) * there


@no_compiler
def test_a_layer_launches_the_mask_and_the_product(drawing):
    x = Place("cuda:1").normal(7, 5, 3)
    drawing.launched.clear()
    mr.Dropout(0.5).forward(x, np.random.default_rng(0))
    assert drawing.launched == ["dropout_mask", "mul"]
