"""A training step on a device, outside of the scan: how many kernels it is, and that it never waits.

Functions that can be one kernel are held to the host as such: on the stand-in, on CUDA, and, where CuPy
is installed, by running what the real ``cupy.fuse`` makes of them on the host.
"""

import inspect
import sys
from types import SimpleNamespace

import numpy as np
import proven
import pytest
from cuda_on_host import COMPILER
from cupy_fuse_on_host import Kernel, in_host_memory
from devices import NEEDS_DEVICE, Place, grads, same
from test_device_training import OPTIMIZERS

import minirnn as mr
from minirnn import losses
from minirnn.kernels.cuda import elementwise
from minirnn.kernels.cuda.elementwise import fuses, fusing
from minirnn.optim import clip, rules

on_device = [*NEEDS_DEVICE, pytest.mark.kernel(elementwise.NAME, elementwise.PART)]


@pytest.fixture(params=["stand-in", pytest.param("cuda:0", marks=on_device)])
def fused_device(request):
    """A device on which each function is one kernel."""
    with fusing(True):
        if request.param != "stand-in":
            yield request.param
            return
        stand_in = request.getfixturevalue("stand_in")
        yield "cuda:1"
        assert any(name.startswith("fused") for name in stand_in.launched)


class Uncounted:
    """A scan whose own operations are left out of what is counted."""

    def __init__(self, scan, launched):
        self.scan, self.launched = scan, launched

    def forward(self, *arguments):
        return self._call(self.scan.forward, arguments)

    def backward(self, *arguments):
        return self._call(self.scan.backward, arguments)

    def _call(self, function, arguments):
        before = len(self.launched)
        result = function(*arguments)
        del self.launched[before:]
        return result


# What is launched besides the scan: each operation by itself, and where functions are one kernel
STEP = {
    "network": (4, 4),  # the tokens' copy; h and c before the first step, as one; the last ones
    "output layer": (3, 3),  # the copy of its input, the product, the bias
    "loss": (18, 8),
    "zero_grad": (1, 1),
    "output layer backward": (5, 5),  # two products, the sum for the bias, two additions
    "network backward": (6, 6),  # zeros; dh and dc of the start; dU, dW, db added to .grad
    "clip_grad_norm": (10, 6),
    "Adam": (12, 1),
}
OTHERS = {
    "weighted loss": (28, 16),
    "mse": (6, 2),
    "weighted mse": (19, 9),
    "clip_grad_value": (1, 1),
    "SGD": (2, 1),
    "momentum": (4, 1),
    "Nesterov": (6, 1),
    "RMSprop": (9, 1),
    "Adagrad": (7, 1),
    "AdamW": (13, 1),
}


@pytest.mark.parametrize("fused", [False, True])
def test_a_training_step_is_few_kernels_and_waits_for_nothing(fused, stand_in):
    rng, options = np.random.default_rng(0), {"device": "cuda:1", "rng": 0}
    model = mr.Model(rnn=mr.LSTM(5, 6, **options), out=mr.Linear(6, 4, **options))
    model.rnn.scan = Uncounted(model.rnn.scan, stand_in.launched)
    parameters = model.parameters()
    optimizers = {name: make(parameters, 0.1) for name, make in OPTIMIZERS.items()}
    x, targets = (mr.to_device(rng.integers(0, 4, (7, 3)), "cuda:1") for _ in range(2))
    pred = mr.to_device(rng.normal(size=(4, 3)).astype(np.float32), "cuda:1")
    found = {}

    def count(name, function, *arguments):
        stand_in.launched.clear()
        result = function(*arguments)
        assert "index" not in stand_in.launched  # CuPy needs some ten for an array as an index
        found[name] = len(stand_in.launched)
        return result

    stand_in.synchronised.clear()
    with fusing(fused):
        ys, _, cache = count("network", model.rnn.forward, x)
        scores, out_cache = count("output layer", model.out.forward, ys)
        loss, dscores = count("loss", mr.softmax_cross_entropy, scores, targets)
        count("zero_grad", optimizers["Adam"].zero_grad)
        dys = count("output layer backward", model.out.backward, out_cache, dscores)
        count("network backward", model.rnn.backward, cache, dys)
        count("clip_grad_norm", mr.clip_grad_norm, parameters, 1.0)
        count("weighted loss", mr.softmax_cross_entropy, scores, targets, targets)
        count("mse", mr.mse, pred, pred)
        count("weighted mse", mr.mse, pred, pred, targets[0])
        count("clip_grad_value", mr.clip_grad_value, parameters, 1.0)
        for name, optimizer in optimizers.items():
            count(name, optimizer.step)
    assert stand_in.synchronised == []
    assert found == {name: counts[fused] for name, counts in (STEP | OTHERS).items()}
    assert float(loss) > 0
    assert stand_in.synchronised == ["float"]


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
        losses = [
            mr.softmax_cross_entropy(scores, on.tokens(K, *shape), w),
            mr.softmax_cross_entropy(last, on.tokens(K, 3)),
        ]
        return losses, mr.mse(scores, on.normal(*scores.shape), w)

    same(work, fused_device, bar=bar)


@pytest.mark.parametrize("target", [-1, 5])
@pytest.mark.parametrize("weight", [0, 1])
def test_a_target_that_does_not_exist_is_infinitely_unlikely(target, weight, fused_device):
    scores, targets = np.zeros((4, 5, 3)), np.zeros((4, 3), int)
    targets[2, 1] = target
    weights = np.where(targets == target, weight, 1)
    given = [mr.to_device(a, fused_device) for a in (scores, targets, weights)]
    loss, dscores = mr.softmax_cross_entropy(*given)
    assert float(loss) == (np.inf if weight else pytest.approx(np.log(5)))
    assert np.isfinite(mr.to_host(dscores)).all()


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


def test_infinite_gradients_become_nan(fused_device):
    layer = mr.Linear(2, 2, device=fused_device, rng=0)
    layer.parameters()[0].grad = np.array([[np.inf, 1], [2, 3]])
    assert float(mr.clip_grad_norm(layer.parameters(), 1.0)) == np.inf
    assert all(np.isnan(mr.to_host(g)).all() for g in grads(layer))


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
    with fusing(True):
        train_with_everything(Place("cuda:0"), dtype)
    functions = {function for function, _ in calls}
    sources = "".join(inspect.getsource(module) for module in (losses, clip, rules))
    assert len(functions) == sources.count("@one_kernel")
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
        mr.softmax_cross_entropy(scores, targets, weights)
        mr.mse(scores, scores, weights)
    mr.mse(scores, on.normal(7, 4, 3))
    optimizers = [make(layer.parameters(), 0.1) for make in OPTIMIZERS.values()]
    for scale in (0.1, 1.0, 0.0, np.inf):
        for p in layer.parameters():
            p.grad = on.normal(*p.shape) * scale if scale < np.inf else np.full(p.shape, scale)
        mr.clip_grad_norm(layer.parameters(), 1.0)
        for optimizer in optimizers if scale < np.inf else ():
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


def test_they_are_one_kernel_each_once_they_have_passed_on_a_device(monkeypatch):
    for last_pass, default in ((None, False), ({"device": "a card"}, True)):
        monkeypatch.setattr(elementwise, "last_pass", lambda *names, found=last_pass: found)
        assert fuses() is default
        with fusing(not default):
            assert fuses() is not default
        assert fuses() is default


def test_a_test_can_be_needed_for_a_part_that_is_no_cell(monkeypatch):
    needed = type(proven.needed)(set)
    monkeypatch.setattr(proven, "needed", needed)
    mark = SimpleNamespace(args=(elementwise.NAME, elementwise.PART))
    item = SimpleNamespace(nodeid="a test", get_closest_marker=lambda name: mark)
    proven.pytest_collection_modifyitems([item])
    assert needed == {("elementwise", "all"): {"a test"}}
