"""Under ``np.errstate(all="raise")``, numbers that vanish or saturate are no error of the engine's."""

from __future__ import annotations

import numpy as np
import pytest
from test_device_training import OPTIMIZERS

import minirnn as mr

TINY = {"float32": 1e-30, "float64": 1e-200}  # whose squares are 0
each_dtype = pytest.mark.parametrize("dtype", TINY)


def scales(dtype):
    """Subnormal, tiny, usual, and far out where every gate is saturated."""
    return float(np.finfo(dtype).tiny) / 100, TINY[dtype], 1.0, 1e3


def draw(rng, scale, *shape, dtype="float64"):
    with np.errstate(under="ignore"):
        return (rng.standard_normal(shape) * scale).astype(dtype)


@each_dtype
@pytest.mark.parametrize("scan", ["generic", "numpy"])
@pytest.mark.parametrize("kind", [mr.RNN, mr.LSTM, mr.GRU])
def test_networks(rng, dtype, scan, kind):
    options = {"dtype": dtype, "scan": scan, "rng": 0}
    net, one = kind(5, 7, 2, bidirectional=True, dropout=0.3, **options), kind(5, 7, **options)
    for scale in scales(dtype):
        x, dys = (draw(rng, s, 6, n, 3, dtype=dtype) for s, n in ((scale, 5), (TINY[dtype], 14)))
        for lengths in (None, [3, 0, 6]):
            with np.errstate(all="raise"):
                _, _, cache = net.forward(x, None, lengths, np.random.default_rng(0))
                dx, _ = net.backward(cache, dys)
                one.step(x[0])
            assert np.isfinite(dx).all()


@each_dtype
def test_layers_losses_and_what_is_sampled(rng, dtype):
    made = {"dtype": dtype, "rng": 0}
    layers = [
        mr.Linear(5, 5, **made),
        *map(mr.Activation, ("sigmoid", "tanh", "relu")),
        mr.Dropout(0.5),
    ]
    for scale in scales(dtype):
        x, y, dy = (draw(rng, s, 4, 5, 3, dtype=dtype) for s in (scale, scale, TINY[dtype]))
        tokens, weights = rng.integers(0, 5, (4, 3)), rng.random((4, 3))
        with np.errstate(all="raise"):
            for layer in (*layers, mr.Sequential(*layers)):
                layer.backward(layer.forward(x)[1], dy)
            attention = mr.Attention()
            _, cache = attention.forward(x, y, [4, 0, 2])
            attention.backward(cache, dy)
            for w in (None, weights, weights * 1e-30):
                mr.softmax_cross_entropy(x, tokens, w)
                mr.mse(x, y, w)
            for temperature in (1e-300, 0.01, 1.0):
                mr.sample_token(x[0], np.random.default_rng(0), temperature, 3, 0.9)

            def step(read, state, scores=x[0][:, :1]):
                return np.repeat(scores, len(read), axis=1), state

            mr.greedy_search(step, None, np.array([0]), 0, 4)
            mr.beam_search(step, None, np.array([0]), 0, 4, 3, length_penalty=0.7)


@each_dtype
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps(rng, dtype, name):
    model = mr.Model(a=mr.Linear(5, 4, dtype=dtype, rng=0))
    optimizer = OPTIMIZERS[name](model.parameters(), mr.CosineWarmup(1e-3, 9))
    average = mr.Average(model.parameters(), 0.5)
    for scale in (*scales(dtype), 0.0, 1e17):
        for p in model.parameters():
            p.grad = draw(rng, scale, *p.shape, dtype=dtype)
        with np.errstate(all="raise"):
            mr.clip_grad_norm(model.parameters(), 1.0 if scale > 1 else TINY[dtype] / 9)
            mr.clip_grad_value(model.parameters(), 1e-3)
            assert optimizer.step()
            average.update()
    assert all(np.isfinite(p.data).all() for p in model.parameters())


def test_the_callers_own_settings_stay_as_they_were():
    with np.errstate(all="raise"):
        mr.mse(np.ones((2, 2)), np.zeros((2, 2)))
        assert set(np.geterr().values()) == {"raise"}
        with pytest.raises(FloatingPointError):
            np.float64(1e-300) * np.float64(1e-300)
