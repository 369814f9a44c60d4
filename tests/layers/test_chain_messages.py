"""What a chain of layers refuses, by the name of the layer."""

from __future__ import annotations

import numpy as np
import pytest

import minirnn as mr
from minirnn.layer import Layer

T, D, N = 4, 3, 3


def lstm():
    return mr.LSTM(D, 2, rng=0, dtype="float64")


def gru(D, both=False):
    return mr.GRU(D, 2, 1, both, rng=0, dtype="float64")


def linear():
    return mr.Linear(2, 4, rng=0, dtype="float64")


WANTED = {
    "x of another size": (lambda m, x: m.forward(x[:, :2]), ValueError, r"^first: x: got shape"),
    "two layers do not fit": (
        lambda m, x: mr.Model(a=m.first, b=m.first).forward(x),
        ValueError,
        r"^b: x: got shape \(4, 2, 3\), want \(T, 3, N\)",
    ),
    "lengths": (lambda m, x: m.forward(x, lengths=[9, 1, 1]), ValueError, "^first: lengths: got"),
    "a seed": (lambda m, x: m.forward(x, dropout_rng=0), TypeError, "^dropout_rng: got "),
    "a seed for what never drops out": (
        lambda m, x: mr.Model(out=m.out).forward(x, dropout_rng=0),
        TypeError,
        "^dropout_rng: got ",
    ),
    "a state too short": (
        lambda m, x: m.forward(x, (x[0],)),
        ValueError,
        r"^state: got 1 part\(s\), want 3: \(first\.h, first\.c, second\.h\)",
    ),
    "a state that is none": (lambda m, x: m.step(x[0], x), TypeError, "^state: got ndarray"),
    "a part of another size": (
        lambda m, x: m.forward(x, (np.ones((1, 2, N)), np.ones((1, 2, N)), x[:1])),
        ValueError,
        "^second: state h: got shape",
    ),
    "dys": (lambda m, x: m.backward(m.forward(x)[2], x), ValueError, "^out: dy: got shape"),
    "no gradient": (lambda m, x: m.backward(m.forward(x)[2]), ValueError, "^dys, dstate: got None"),
    "no cache": (lambda m, x: m.backward(None, x), TypeError, "^cache: got NoneType"),
    "a layer's cache": (
        lambda m, x: m.backward(m.first.forward(x)[2], x),
        TypeError,
        "^cache: got Cache",
    ),
    "another model's cache": (
        lambda m, x: mr.Model(out=m.out).backward(m.forward(x)[2], x),
        ValueError,
        "^cache: comes from another layer",
    ),
    "both directions, step by step": (
        lambda m, x: mr.Model(two=gru(D, True)).step(x[0]),
        ValueError,
        "^two: step: a bidirectional network",
    ),
    "no layers": (
        lambda m, x: mr.Model().forward(x),
        ValueError,
        "^forward: the model has no layer",
    ),
    "a network in Sequential": (
        lambda m, x: mr.Sequential(m.first, m.out),
        TypeError,
        r"layers\[0\]: got LSTM, .*minirnn\.Model\(rnn=\.\.\., out=\.\.\.\)",
    ),
    "Last of something else": (lambda m, x: mr.Last(m.out), TypeError, "^rnn: got Linear"),
    "no layers, step by step": (
        lambda m, x: mr.Model().step(x[0]),
        ValueError,
        "^step: the model has no layer",
    ),
    "a switch that is text": (
        lambda m, x: mr.Model(out=m.out).forward(x[:, :2], want_cache="no"),
        TypeError,
        "^want_cache: got 'no'",
    ),
    "a switch of a layer that is text": (
        lambda m, x: m.out.forward(x[:, :2], want_cache="no"),
        TypeError,
        "^want_cache: got 'no'",
    ),
    "a switch of backward that is text": (
        lambda m, x: m.backward(m.forward(x)[2], np.ones((T, 4, N)), want_dx="no"),
        TypeError,
        "^want_dx: got 'no'",
    ),
    "lengths for a network that takes none": (
        lambda m, x: mr.Model(a=mr.LanguageModel(5, 4)).forward(
            np.zeros((T, N), int), lengths=[1] * N
        ),
        TypeError,
        "^a: forward takes no lengths",
    ),
    "layers in words": (
        lambda m, x: mr.LanguageModel(5, 4, num_layers="2"),
        TypeError,
        "^num_layers: got '2'",
    ),
    "layers of an encoder in words": (
        lambda m, x: mr.EncoderDecoder(5, 5, 4, num_layers="2"),
        TypeError,
        "^num_layers: got '2'",
    ),
    "no cache of an encoder": (
        lambda m, x: mr.EncoderDecoder(5, 5, 4).backward(None, x),
        TypeError,
        "^cache: got NoneType, want the one",
    ),
    "a name that a chain needs": (
        lambda m, x: mr.Model(forward=m.out),
        ValueError,
        "^forward: a lay",
    ),
}


@pytest.mark.parametrize("name", WANTED)
def test_what_does_not_fit_is_refused_by_the_name_of_its_layer(name, rng):
    call, kind, message = WANTED[name]
    layers = {"first": lstm(), "second": gru(2)}
    model = mr.Model(**layers, out=linear())
    with pytest.raises(kind, match=message):
        call(model, rng.normal(size=(T, D, N)))


class Own(Layer):
    """A layer of one's own that returns what it is told to."""

    def __init__(self, there, back=None, state_names=()):
        self.there, self.back, self.names = there, back, state_names

    @property
    def state_names(self):
        return self.names

    def backward(self, cache, dy, dstate=None, *, want_dx=True):
        return self.back(dy)


class Stateless(Own):
    def forward(self, x):
        return self.there(x)


class Recurrent(Own):
    def forward(self, x, state=None):
        return self.there(x)


RETURNED = {
    "an output alone": (Stateless(lambda x: x), r"^own: forward returned .*, want \(y, cache\)$"),
    "an output and a state": (
        Recurrent(lambda x: (x, (x,))),
        r"^own: forward returned .*, want \(y, state, cache\)$",
    ),
    "states without names": (
        Recurrent(lambda x: (x, (x,), None)),
        r"^own: new state: got 1 part\(s\), want 0: \(\)$",
    ),
    "one gradient for two": (
        Recurrent(lambda x: (x, (x,), None), lambda dy: dy, ("h",)),
        r"^own: backward returned .*, want \(dx, dstate\)$",
    ),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_a_layer_of_ones_own_returns_is_looked_at(name):
    own, message = RETURNED[name]
    x = np.ones((2, 2, N))  # of two steps, which could be taken for a pair
    model = mr.Model(own=own, out=linear())
    with pytest.raises((TypeError, ValueError), match=message):
        model.backward(model.forward(x)[2], np.ones((2, 4, N)))


def test_a_cache_older_than_the_parameters_is_refused(rng):
    model = mr.Model(rnn=lstm(), out=linear())
    ys, _, cache = model.forward(rng.normal(size=(T, D, N)))
    model.out.parameters()[0].data = np.zeros((4, 2))
    with pytest.raises(ValueError, match="cache: is older than the parameters"):
        model.backward(cache, ys)


def test_a_model_is_explained_network_by_network(rng):
    model = mr.EncoderDecoder(5, 4, 3, rng=0, scan="generic")
    said = mr.explain(model, rng.integers(0, 5, (T, N))).splitlines()
    assert [line.partition(": ")[0] for line in said] == ["encoder"] * 3 + ["decoder"] * 2
    assert said[1].startswith('encoder: generic scan: because scan="generic"')
    assert "columns of U are picked" in said[2]
    last = mr.Model(rnn=mr.Last(lstm()), out=linear())
    assert mr.explain(last).startswith("rnn: LSTM(tanh): 3 -> 2")
    assert "has no recurrent network" in mr.explain(linear())
    with pytest.raises(ValueError, match=r"x: LanguageModel begins with Embedding.*want None"):
        mr.explain(mr.LanguageModel(5, 4, embedding=2), np.zeros((T, N), int))
    with pytest.raises(TypeError, match="model: got list, want a network or a model"):
        mr.explain([lstm()])
