"""Losses, training, saving, data and pictures: the same on a device as on the host."""

import copy
import pickle

import numpy as np
import pytest
from devices import Place, grads, leaves, same
from helpers import optimizers

import minirnn as mr
from minirnn import data
from minirnn.backend import get_backend
from minirnn.scan import Scan
from minirnn.text.units import rank_units


@pytest.mark.parametrize("shape", [(7, 3), (3,)])
@pytest.mark.parametrize("weights", [None, "some", "none"])
def test_losses(shape, weights, device):
    def work(on):
        scores = on.normal(*shape[:-1], 5, 3)
        w = None if weights is None else on.put(on.rng.integers(0, 3, shape) * (weights == "some"))
        x, y = on.normal(*scores.shape), on.normal(*scores.shape)
        return mr.softmax_cross_entropy(scores, on.tokens(5, *shape), w), mr.mse(x, y, w)

    same(work, device)


OPTIMIZERS = optimizers(mr)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("clip", [mr.clip_grad_norm, mr.clip_grad_value])
def test_training(name, clip, device):
    def work(on):
        model = mr.Model(rnn=mr.GRU(2, 6, **on.options), out=mr.Linear(6, 2, **on.options))
        optimizer = OPTIMIZERS[name](model.parameters(), mr.CosineWarmup(0.05, 10, 2))
        average = mr.Average(model.parameters(), 0.9)
        bits = on.rng.integers(0, 2, (10, 8))
        x, targets = on.put(bits), on.put(bits.cumsum(axis=0) % 2)
        losses = []
        for _ in range(6):
            ys, _, cache = model.rnn.forward(x)
            scores, out_cache = model.out.forward(ys)
            loss, dscores = mr.softmax_cross_entropy(scores, targets)
            optimizer.zero_grad()
            model.rnn.backward(cache, model.out.backward(out_cache, dscores), want_dx=False)
            norm = clip(model.parameters(), 0.05)
            optimizer.step()
            average.update()
            losses += [loss, norm]
        with average.applied():
            losses.append(model.out.forward(model.rnn.forward(x)[0])[0])
        other = OPTIMIZERS[name](model.parameters(), 0.1)
        other.load_state_dict(optimizer.state_dict())
        other.step()
        average.load_state_dict(average.state_dict())
        model.zero_grad()
        return losses, [p.data for p in model.parameters()], grads(model)

    same(work, device, bar=1e-9)  # Adam divides by gradients that may be small


def test_gradients_that_are_infinite_become_nan(device):
    layer = mr.Linear(2, 2, device=device, rng=0)
    layer.parameters()[0].grad = np.array([[np.inf, 1], [2, 3]])
    assert float(mr.clip_grad_norm(layer.parameters(), 1.0)) == np.inf
    assert all(np.isnan(mr.to_host(g)).all() for g in grads(layer))


def test_models_are_saved_loaded_and_copied(device, tmp_path):
    on = Place(device)
    model = mr.Model(rnn=mr.LSTM(3, 4, **on.options), out=mr.Linear(4, 2, **on.options))
    state = model.rnn.forward(on.normal(5, 3, 2))[1]
    mr.save(tmp_path / "model.npz", model=model.state_dict(), state=state)
    found = mr.load(tmp_path / "model.npz")
    for a, b in zip(found["state"], state, strict=True):
        assert a.tobytes() == mr.to_host(b).tobytes()
    options = on.options | {"rng": 1}
    for where in ("cpu", device):
        options["device"] = where
        other = mr.Model(rnn=mr.LSTM(3, 4, **options), out=mr.Linear(4, 2, **options))
        other.load_state_dict(found["model"])
        assert leaves(other.state_dict())[0].tobytes() == leaves(model.state_dict())[0].tobytes()
    x = on.normal(5, 3, 2)
    ys = [mr.to_host(m.rnn.forward(x)[0]) for m in (model, copy.deepcopy(model))]
    assert ys[0].tobytes() == ys[1].tobytes()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda them: pickle.loads(pickle.dumps(them))])
def test_copies_and_pickles_go_on_training_where_the_first_ones_are(copied, device):
    on = Place(device)
    rnn, out = mr.LSTM(3, 4, bias=False, **on.options), mr.Linear(4, 2, **on.options)
    model = mr.Model(rnn=rnn, out=out)
    first = model, mr.Adam(model.parameters(), 0.1), mr.Average(model.parameters())
    x = on.normal(5, 3, 2)

    def train(model, optimizer, average):
        ys, _, cache = model.rnn.forward(x)
        model.rnn.backward(cache, ys)
        optimizer.step()
        average.update()
        return leaves([model.state_dict(), optimizer.state_dict(), average.state_dict()])

    train(*first)
    twins = copied(first)
    for a, b in zip(train(*first), train(*twins), strict=True):
        assert a.tobytes() == b.tobytes()


def test_values_are_looked_at_when_asked_for(device):
    net = mr.RNN(3, 4, device=device, rng=0)
    x = np.zeros((5, 3, 2))
    x[1, 2, 0] = np.nan
    with pytest.raises(ValueError, match=r"x: nan at index \(1, 2, 0\), want finite numbers"):
        net.forward(mr.to_device(x, device), check_finite=True)
    assert np.isfinite(mr.to_host(net.forward(mr.to_device(x, device), lengths=[1, 5])[0])).all()
    with pytest.raises(ValueError, match="x: got tokens from 0 to 3, want 0 to 2"):
        net.forward(mr.to_device(np.array([[0, 3]]), device), check_finite=True)
    with pytest.raises(ValueError, match="lengths: got 1 to 6, want 0 to T = 5"):
        net.forward(mr.to_device(x, device), lengths=mr.to_device(np.array([1, 6]), device))


def test_what_is_said_of_a_network(device, capsys):
    net = mr.LSTM(3, 4, 2, device=device, rng=0)
    assert mr.summary(net) == mr.summary(mr.LSTM(3, 4, 2, rng=0))
    said = mr.explain(net, mr.to_device(np.zeros((5, 3, 2)), device))
    assert f"float32, {get_backend(device).name}" in said
    assert "x is float64 and is cast to float32" in said


def test_data_moves_between_layouts(device):
    def work(on):
        x, tokens = on.normal(3, 5, 2), on.tokens(4, 5, 3)
        moved = data.time_first(x), data.batch_first(x), data.batch_first(tokens)
        return moved, data.one_hot(tokens, 4), data.one_hot(tokens[0], 4)

    same(work, device)


def test_pictures_and_units(device):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from minirnn import plot

    net = mr.RNN(3, 4, device=device, rng=0)
    x = mr.to_device(np.random.default_rng(0).normal(size=(12, 3, 1)), device)
    h = net.forward(x)[2]["l0.h"][:, :, 0]
    figure, axes = pyplot.subplots(1, 2)
    plot.states_over_time(axes[0], h, "a" * 12, "b" * 12)
    plot.text_by_unit(axes[1], "hello world!", h[:, 0])
    pyplot.close(figure)
    assert rank_units(h, {"even": np.arange(12) % 2})[0].feature == "even"


class Uncounted(Scan):
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


# What is launched besides the scan
STEP = {
    "network": 4,  # the tokens' copy; h and c before the first step, as one; the last ones
    "output layer": 3,  # the copy of its input, the product, the bias
    "loss": 18,
    "zero_grad": 1,
    "output layer backward": 5,  # two products, the sum for the bias, two additions
    "network backward": 6,  # zeros; dh and dc of the start; dU, dW, db added to .grad
    "clip_grad_norm": 10,
    "Adam": 12,
}
OTHERS = {
    "weighted loss": 28,
    "mse": 6,
    "weighted mse": 19,
    "clip_grad_value": 1,
    "SGD": 2,
    "momentum": 4,
    "Nesterov": 6,
    "RMSprop": 9,
    "Adagrad": 7,
    "AdamW": 13,
}


def count_launches(stand_in, losses=mr, optimizers=OPTIMIZERS):
    """How many kernels each part of a training step launches; nothing waits for the device."""
    rng, options = np.random.default_rng(0), {"device": "cuda:1", "rng": 0}
    model = mr.Model(rnn=mr.LSTM(5, 6, **options), out=mr.Linear(6, 4, **options))
    model.rnn.scan = Uncounted(model.rnn.scan, stand_in.launched)
    parameters = model.parameters()
    optimizers = {name: make(parameters, 0.1) for name, make in optimizers.items()}
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
    ys, _, cache = count("network", model.rnn.forward, x)
    scores, out_cache = count("output layer", model.out.forward, ys)
    loss, dscores = count("loss", losses.softmax_cross_entropy, scores, targets)
    count("zero_grad", optimizers["Adam"].zero_grad)
    dys = count("output layer backward", model.out.backward, out_cache, dscores)
    count("network backward", model.rnn.backward, cache, dys)
    count("clip_grad_norm", mr.clip_grad_norm, parameters, 1.0)
    count("weighted loss", losses.softmax_cross_entropy, scores, targets, targets)
    count("mse", losses.mse, pred, pred)
    count("weighted mse", losses.mse, pred, pred, targets[0])
    count("clip_grad_value", mr.clip_grad_value, parameters, 1.0)
    for name, optimizer in optimizers.items():
        count(name, optimizer.step)
    assert stand_in.synchronised == []
    assert float(loss) > 0
    assert stand_in.synchronised == ["float"]
    return found


def test_a_training_step_is_few_kernels_and_waits_for_nothing(stand_in):
    assert count_launches(stand_in) == STEP | OTHERS


@pytest.mark.parametrize("target", [-1, 5])
@pytest.mark.parametrize("weight", [0, 1])
def test_a_target_that_does_not_exist_is_infinitely_unlikely(target, weight, device):
    scores, targets = np.zeros((4, 5, 3)), np.zeros((4, 3), int)
    targets[2, 1] = target
    weights = np.where(targets == target, weight, 1)
    given = [mr.to_device(a, device) for a in (scores, targets, weights)]
    loss, dscores = mr.softmax_cross_entropy(*given)
    assert float(loss) == (np.inf if weight else pytest.approx(np.log(5)))
    assert np.isfinite(mr.to_host(dscores)).all()


def test_infinite_gradients_become_nan(device):
    layer = mr.Linear(2, 2, device=device, rng=0)
    layer.parameters()[0].grad = np.array([[np.inf, 1], [2, 3]])
    assert float(mr.clip_grad_norm(layer.parameters(), 1.0)) == np.inf
    assert all(np.isnan(mr.to_host(g)).all() for g in grads(layer))
