"""Random numbers drawn by a device: NumPy's bits, in one kernel.

The kernel runs on a device and, as its source is C++, too, on the host: for NumPy's arrays and for those
of the stand-in.
"""

import threading
from pathlib import Path
from types import SimpleNamespace

import card
import cuda_on_host
import numpy as np
import nvrtc
import pytest
import stand_in as stand_in_for_cupy
from devices import NEEDS_DEVICE, Place, grads
from helpers import same_bits
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_cuda_kernels import no_compiler

import minirnn as mr
from benchmarks.laboratory import random as of_devices
from benchmarks.laboratory.random import DeviceGenerator
from minirnn.backend import get_backend
from minirnn.kernels.cuda import module as cuda_module

each_device = pytest.mark.parametrize(
    "device", [pytest.param("cpu", marks=no_compiler), pytest.param("cuda", marks=NEEDS_DEVICE)]
)
BEYOND = 4  # numbers behind an array


def guarded(shape, dtype):
    """NaN, with more of it behind."""
    size = int(np.prod(shape))
    return np.full(size + BEYOND, np.nan, dtype)[:size].reshape(shape)


HOST = SimpleNamespace(empty=guarded, RawModule=cuda_on_host.RawModule)


def xp_of(device):
    return get_backend(device).xp if device == "cuda" else HOST


def twins(device, state, inc, has_half=0, half=0):
    """Two generators in the same state, of a device and of NumPy."""
    bits = [np.random.PCG64(0) for _ in range(2)]
    for each in bits:
        each.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": inc | 1},  # which is odd
            "has_uint32": has_half,
            "uinteger": half,
        }
    return DeviceGenerator(bits[0], xp_of(device)), np.random.Generator(bits[1])


def assert_numpys(random, twin, shape):
    """That what `random` draws is what `twin` does, and leaves it in the same state."""
    numbers = random.random(shape, np.float32)
    assert numbers.flags.c_contiguous
    if isinstance(numbers, np.ndarray):
        assert np.isnan(numbers.base[-BEYOND:]).all()
    assert same_bits(mr.to_host(numbers), twin.random(shape, np.float32))
    assert random.bit_generator.state == twin.bit_generator.state


words, halves = st.integers(0, 2**128 - 1), st.integers(0, 2**32 - 1)
shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple) | st.tuples(st.integers(0, 5000))


@each_device
@given(words, words, st.booleans(), halves, shapes)
@example(2**128 - 1, 2**128 - 1, True, 2**32 - 1, (7,))
@example(2**64 - 1, 2**64 - 1, False, 0, (1,))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_numbers_are_numpys(device, state, inc, has_half, half, shape):
    assert_numpys(*twins(device, state, inc, has_half, half), shape)


@each_device
@pytest.mark.parametrize("has_half", [False, True])
@pytest.mark.parametrize("size", [2**17 - 1, 2**17, 2**17 + 1, 2**17 + 2, 3 * 2**17 + 5])
def test_threads_that_draw_more_than_once(device, has_half, size):
    assert size >= 2 * 2**of_devices.LEVELS - 1
    assert_numpys(*twins(device, 2**127 + 12345, 2**126 + 67, has_half, 2**31), (size,))


DRAWS = {
    "float32": lambda random, n: random.random(n, np.float32),  # of no shape: on the host
    "float64": lambda random, n: random.random((n,)),
    "normal": lambda random, n: random.standard_normal(n, np.float32),
    "integers": lambda random, n: random.integers(0, 100, n, np.int32),
    "bytes": lambda random, n: np.frombuffer(random.bytes(n), np.uint8),
    "permutation": lambda random, n: random.permutation(n),
}


@each_device
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(["on the device", *DRAWS]), st.integers(0, 9))),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_what_is_drawn_next_is_the_same_on_either_side(device, seed, draws):
    random = DeviceGenerator(np.random.PCG64(seed), xp_of(device))
    twin = np.random.default_rng(seed)
    for kind, n in draws:
        if kind == "on the device":
            assert_numpys(random, twin, (n,))
        else:
            assert same_bits(DRAWS[kind](random, n), DRAWS[kind](twin, n))


@no_compiler
def test_nobody_draws_between_looking_at_a_generator_and_moving_it_on():
    random, found = DeviceGenerator(np.random.PCG64(0), HOST), []
    thread = threading.Thread(target=lambda: found.append(random.random((3,), np.float32)))
    before = random.bit_generator.state
    with random.bit_generator.lock:
        thread.start()
        thread.join(timeout=0.1)
        assert random.bit_generator.state == before
    thread.join()
    assert same_bits(found[0], np.random.default_rng(0).random(3, np.float32))


@pytest.mark.skipif(nvrtc.library() is None, reason="needs NVRTC")
@pytest.mark.parametrize("device", nvrtc.DEVICES)
def test_the_kernel_compiles_for_devices(device):
    text = cuda_module.source("pcg64.cu", Path(of_devices.__file__).parent)
    assert nvrtc.compile_for(nvrtc.library(), device, text, ()) == ""


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


@pytest.fixture(
    params=[pytest.param("cuda:1", marks=no_compiler), pytest.param("cuda:0", marks=NEEDS_DEVICE)]
)
def drawing_device(request, monkeypatch):
    """A device on which numbers are drawn, or a stand-in for one."""
    if request.param == "cuda:1":
        stand_in = request.getfixturevalue("stand_in")
        monkeypatch.setattr(stand_in, "RawModule", raw_module, raising=False)
    return request.param


def of_device(device, seed=7):
    """A generator of the device, with half of an output left over."""
    random = DeviceGenerator(np.random.PCG64(seed), get_backend(device).xp)
    random.random(1, np.float32)
    return random


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
        return [*cache.dropped[:2], first.saved, last.saved], grads(model)

    return run


@pytest.mark.parametrize("every", [None, 4])
def test_a_training_step_drops_the_same_on_a_device(every, drawing_device):
    random, twin = np.random.default_rng(7), of_device(drawing_device)
    random.random(1, np.float32)
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
def test_a_training_step_copies_nothing_and_waits_for_nothing(stand_in, monkeypatch):
    monkeypatch.setattr(stand_in, "RawModule", raw_module, raising=False)
    step = training_step(Place("cuda:1"), of_device("cuda:1"))
    for counted in (stand_in.synchronised, stand_in.copied, stand_in.launched):
        counted.clear()
    masks, _ = step()
    assert stand_in.synchronised == stand_in.copied == []
    assert stand_in.launched.count("pcg64_floats") == len(masks)
