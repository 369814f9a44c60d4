"""Losses and updates whose functions are one kernel each: the same as the package's, in fewer launches.

They are held to the host as such: on the stand-in, on CUDA, and, where CuPy is installed, by running
what the real ``cupy.fuse`` makes of them on the host.
"""

import sys

import numpy as np
import pytest
from cuda_on_host import COMPILER
from cupy_fuse_on_host import Kernel, in_host_memory
from devices import NEEDS_DEVICE, Place, grads, same
from helpers import optimizers
from test_device_training import OTHERS, STEP, count_launches

import minirnn as mr
from benchmarks.laboratory.elementwise import LOSSES, RULES, losses, rules

OPTIMIZERS = optimizers(rules)


@pytest.fixture(params=["stand-in", pytest.param("cuda:0", marks=NEEDS_DEVICE)])
def fused_device(request):
    """A device on which each function is one kernel."""
    if request.param != "stand-in":
        yield request.param
        return
    stand_in = request.getfixturevalue("stand_in")
    yield "cuda:1"
    assert any(name.startswith("fused") for name in stand_in.launched)


FEWER = {
    "loss": 8,
    "weighted loss": 16,
    "mse": 2,
    "weighted mse": 9,
    **dict.fromkeys(OPTIMIZERS, 1),
}


def test_a_training_step_launches_fewer(stand_in):
    assert count_launches(stand_in, losses, OPTIMIZERS) == STEP | OTHERS | FEWER


def test_the_package_is_as_it_was():
    assert mr.softmax_cross_entropy is not losses.softmax_cross_entropy
    assert not hasattr(mr.Adam._update, "__wrapped__")
    assert issubclass(rules.Adam, mr.optim.optimizer.Optimizer)


@pytest.mark.parametrize("weights", [None, "some", "none"])
@pytest.mark.parametrize(("dtype", "bar"), [("float64", 1e-12), ("float32", 1e-5)])
def test_losses(weights, dtype, bar, fused_device):
    def work(on):
        K, shape = 5, (7, 3)
        w = None if weights is None else on.put(on.rng.integers(0, 3, shape) * (weights == "some"))
        layer = mr.Linear(4, K, **on.options | {"dtype": dtype})
        scores, last = (
            layer.forward(on.normal(*shape[:1], 4, 3))[0],
            layer.forward(on.normal(4, 3))[0],
        )
        found = [
            losses.softmax_cross_entropy(scores, on.tokens(K, *shape), w),
            losses.softmax_cross_entropy(last, on.tokens(K, 3)),
        ]
        return found, losses.mse(scores, on.normal(*scores.shape), w)

    same(work, fused_device, bar=bar)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("together", [True, False], ids=["model", "layers"])
@pytest.mark.parametrize(("dtype", "bar"), [("float64", 1e-12), ("float32", 1e-5)])
def test_updates(name, together, dtype, bar, fused_device):
    def work(on):
        options = on.options | {"dtype": dtype}
        layers = [mr.Linear(6, 5, **options), mr.Linear(5, 4, **options)]
        model = mr.Model(**{f"l{k}": layer for k, layer in enumerate(layers)})
        parameters = model.parameters() if together else model.parameters()[::2]
        optimizer = OPTIMIZERS[name](parameters, mr.CosineWarmup(0.05, 10, 2))
        norms = []
        for max_norm in (0.5, 100.0, 1.0):
            for p in parameters:
                p.grad = on.normal(*p.shape)
            norms.append(mr.clip_grad_norm(parameters, max_norm))
            optimizer.step()
        return norms, [p.data for p in parameters], grads(model)

    same(work, fused_device, bar=bar)


@pytest.fixture
def cupy():
    """The real one, which needs no device to be imported."""
    return pytest.importorskip("cupy")


@pytest.mark.skipif(COMPILER is None, reason="needs g++")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cupy_makes_kernels_of_them_that_compute_the_same(dtype, cupy, stand_in, monkeypatch):
    calls = []

    def fuse(function):
        def call(*arguments):
            calls.append((function, [_on_host(x) for x in arguments]))
            return function(*arguments)

        return call

    monkeypatch.setattr(stand_in, "fuse", fuse)
    train_with_everything(Place("cuda:0"), dtype)
    functions = {function for function, _ in calls}
    assert len(functions) == len(LOSSES) + len(RULES)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr("cupy._core._kernel.ElementwiseKernel", Kernel)
    fused = {function: cupy.fuse(function) for function in functions}
    for function, arguments in calls:
        wanted = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
        results = [function(*wanted), fused[function](*map(in_host_memory, arguments))]
        if isinstance(results[0], tuple):
            wanted, arguments = [*wanted, *results[0]], [*arguments, *results[1]]
        else:
            wanted, arguments = [*wanted, results[0]], [*arguments, results[1]]
        for a, b in zip(arguments, wanted, strict=True):
            assert type(a) is type(b) or np.ndim(a) == np.ndim(b) == 0, function
            if a is not None:
                assert np.asarray(a).dtype == np.asarray(b).dtype, function
                np.testing.assert_allclose(a, b, rtol=1e-6 if dtype == "float32" else 1e-14)


def train_with_everything(on, dtype):
    """Call every function that can be one kernel, with all kinds of arguments."""
    layer = mr.Linear(5, 4, **on.options | {"dtype": dtype})
    scores, _ = layer.forward(on.normal(7, 5, 3))
    targets = on.tokens(4, 7, 3)
    for weights in (None, targets, targets * 0):
        losses.softmax_cross_entropy(scores, targets, weights)
        losses.mse(scores, scores, weights)
    losses.mse(scores, on.normal(7, 4, 3))
    optimizers = [make(layer.parameters(), 0.1) for make in OPTIMIZERS.values()]
    for scale in (0.1, 1.0, 0.0):
        for p in layer.parameters():
            p.grad = on.normal(*p.shape) * scale
        for optimizer in optimizers:
            optimizer.step()


def _on_host(x):
    return mr.to_host(x).copy() if hasattr(x, "device") else x


OUTSIDE, CHANGING = [], iter(range(1000))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda a, n: a[0], "not subscriptable"),
        (lambda a, n: a.sum(), "no attribute 'sum'"),
        (lambda a, n: a.reshape(-1), "no attribute 'reshape'"),
        (lambda a, n: a * a.shape[0], "no attribute 'shape'"),
        (lambda a, n: a if a > 0 else n, "not known yet"),
        (lambda a, n: a if n > 0 else n, "numbers alone"),
        (lambda a, n: a if n else n, "not known yet"),
        (lambda a, n: a * (1 - n), "numbers alone"),
        (lambda a, n: a * OUTSIDE[0], "not an argument"),
        (lambda a, n: a * next(CHANGING), "when it was fused"),
        (lambda a, n: sys.modules["cupy"].concatenate((a, a)), "concatenate in a function"),
        (lambda a, n: a * np.inf, "inf in a function"),
        (lambda a, n: np.tanh(a), "does not support ufuncs"),
    ],
)
def test_what_one_kernel_cannot_do_is_refused(function, said, stand_in):
    array = stand_in.ones(3)
    OUTSIDE[:] = [array]
    fused = stand_in.fuse(function)
    with pytest.raises((TypeError, AttributeError), match=said):
        [fused(array, 2.0) for _ in range(2)]


def test_one_kernel_is_counted_once_and_may_have_several_results(stand_in):
    @stand_in.fuse
    def function(a, b, n, none):
        assert none is None
        b += n
        return a * b, stand_in.sqrt(b, out=none)

    a, b = stand_in.ones((2, 3)), stand_in.ones(3)
    stand_in.launched.clear()
    product, root = function(a, b, 3.0, None)
    assert stand_in.launched == ["fused function"]
    assert (b.tolist(), root.tolist(), product.shape) == ([4, 4, 4], [2, 2, 2], (2, 3))
