"""A model as a chain: exact gradients, the bits of layers wired by hand, states, lengths, messages."""

from __future__ import annotations

import copy
import pickle
from contextlib import ExitStack

import numpy as np
import pytest
from helpers import gradients, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr

T, D, N = 4, 3, 3
F64 = {"dtype": "float64"}
NETWORKS = {"rnn": mr.RNN, "lstm": mr.LSTM, "gru": mr.GRU}


def network(cell, D, layers=1, both=False, dropout=0.0):
    return NETWORKS[cell](D, 2, layers, both, dropout if layers > 1 else 0.0, rng=layers, **F64)


links = st.one_of(
    st.tuples(
        st.just("network"), st.sampled_from(sorted(NETWORKS)), st.integers(1, 2), st.booleans()
    ),
    st.sampled_from([("linear",), ("tanh",), ("drop",), ("sequence",), ("model",)]),
)


def chain(kinds, last):
    """A model of these layers, each as wide as it must be."""
    layers, rows = {}, D
    for k, (kind, *options) in enumerate(kinds):
        if kind == "network":
            layer = network(options[0], rows, *options[1:], dropout=0.3)
            rows = layer.output_size
        elif kind == "linear":
            layer, rows = mr.Linear(rows, 3, rng=k, **F64), 3
        elif kind == "sequence":
            layer = mr.Sequential(mr.Linear(rows, 2, rng=k, **F64), mr.Dropout(0.3))
            rows = 2
        elif kind == "model":
            layer = mr.Model(rnn=network("lstm", rows), out=mr.Linear(2, 3, rng=k, **F64))
            rows = 3
        else:
            layer = mr.Activation("tanh") if kind == "tanh" else mr.Dropout(0.4)
        layers[f"layer{k}"] = layer
    if last:
        layers["last"] = mr.Last(network("gru", rows, 2, both=True, dropout=0.3))
    return mr.Model(**layers)


def random_state(model, rng):
    _, state, _ = model.forward(np.zeros((1, D, N)), want_cache=False)
    return tuple(rng.normal(size=part.shape) for part in state)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kinds=st.lists(links, min_size=1, max_size=4),
    last=st.booleans(),
    lengths=st.sampled_from([None, [0, 4, 2]]),
    dropout=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_gradient_of_a_chain_is_the_derivative(kinds, last, lengths, dropout, seed):
    rng = np.random.default_rng(seed)
    model = chain(kinds, last)
    x, state = rng.normal(size=(T, D, N)), random_state(model, rng)

    def run(x, *state, want_cache=True):
        random = np.random.default_rng(5) if dropout else None
        return model.forward(x, state, lengths, random, want_cache=want_cache)

    ys, end, _ = run(x, *state)
    again, end_again, nothing = run(x, *state, want_cache=False)
    assert nothing is None
    assert all(same_bits(a, b) for a, b in zip((ys, *end), (again, *end_again), strict=True))
    dys, dstate = rng.normal(size=ys.shape), tuple(rng.normal(size=part.shape) for part in end)

    def loss(x, *state):
        ys, end, cache = run(x, *state)
        return (dys * ys).sum() + sum(
            (d * s).sum() for d, s in zip(dstate, end, strict=True)
        ), cache

    dx, dinitial = model.backward(loss(x, *state)[1], dys, dstate)
    parameters = model.parameters()
    values = [x, *state, *(p.data for p in parameters)]
    slopes = [dx, *dinitial, *(p.grad for p in parameters)]
    along = [rng.normal(size=value.shape) for value in values]  # one direction, of everything
    moved = [value + 1e-30j * v for value, v in zip(values, along, strict=True)]
    with ExitStack() as stack:
        for p, value in zip(parameters, moved[1 + len(state) :], strict=True):
            stack.enter_context(p.replaced_by(value))
        found = loss(*moved[: 1 + len(state)])[0].imag / 1e-30
    terms = [g * v for g, v in zip(slopes, along, strict=True)]
    assert abs(found - sum(t.sum() for t in terms)) <= 1e-12 * sum(abs(t).sum() for t in terms)


@pytest.mark.parametrize("where", ["cpu", "cuda"])
@pytest.mark.parametrize("last", [False, True])
def test_a_chain_has_the_bits_of_layers_wired_by_hand(where, last, rng, request):
    """Two networks, one in both directions, with lengths, states and dropout."""
    if where == "cuda":
        request.getfixturevalue("stand_in")
    on = {"device": where}
    first = mr.LSTM(5, 4, 2, True, 0.3, rng=0, **on)
    second = mr.GRU(3, 4, rng=1, **on)
    model = mr.Model(
        first=first,
        drop=mr.Dropout(0.4),
        middle=mr.Linear(8, 3, rng=2, **on),
        second=mr.Last(second) if last else second,
        out=mr.Sequential(mr.Activation("tanh"), mr.Linear(4, 2, rng=3, **on)),
    )

    def here(*shape):
        return mr.to_device(rng.normal(size=shape).astype("float32"), where)

    x, lengths = mr.to_device(rng.integers(0, 5, (T, N)), where), [4, 0, 2]
    state = (here(4, 4, N), here(4, 4, N), here(1, 4, N))
    dys = here(2, N) if last else here(T, 2, N)
    dstate = (None, here(4, 4, N), None)

    ys, end, cache = model.forward(x, state, lengths, np.random.default_rng(4))
    dx, dinitial = model.backward(cache, dys, dstate)
    assert dx is None
    found = [ys, *end, *dinitial, *(p.grad.copy() for p in model.parameters())]

    model.zero_grad()
    random = np.random.default_rng(4)
    y, (h, c), first_cache = first.forward(x, state[:2], lengths, random)
    y, drop_cache = model.drop.forward(y, random)
    y, middle_cache = model.middle.forward(y)
    y, (g,), second_cache = second.forward(y, state[2:], lengths, random)
    y, out_cache = model.out.forward(second.last((g,)) if last else y, random)
    dy = model.out.backward(out_cache, dys)
    if last:
        dy, (dg,) = second.backward(second_cache, dstate=second.last_backward(dy))
    else:
        dy, (dg,) = second.backward(second_cache, dy)
    dy = model.drop.backward(drop_cache, model.middle.backward(middle_cache, dy))
    _, (dh, dc) = first.backward(first_cache, dy, dstate[:2])
    wired = [y, h, c, g, dh, dc, dg, *(p.grad for p in model.parameters())]
    for a, b in zip(found, wired, strict=True):
        assert same_bits(mr.to_host(a), mr.to_host(b))


def test_a_model_with_one_network_has_its_state_and_steps(rng):
    model = mr.Model(rnn=mr.LSTM(3, 4, 2, rng=0, **F64), out=mr.Linear(4, 5, rng=1, **F64))
    x = rng.normal(size=(T, 3, N))
    ys, end, _ = model.forward(x)
    assert same_bits(np.stack(end), np.stack(model.rnn.forward(x)[1]))
    state = None
    for x_t, y in zip(x, ys, strict=True):
        y_t, state = model.step(x_t, state)
        np.testing.assert_allclose(y_t, y, rtol=1e-12)
    np.testing.assert_allclose(np.stack(state), np.stack(end), rtol=1e-12)
    assert model.state_names == ("rnn.h", "rnn.c")


def test_windows_with_the_state_handed_on_are_one_sequence(rng):
    model = chain([("network", "gru", 1, False), ("model",), ("tanh",)], last=False)
    x = rng.normal(size=(7, D, N))
    whole, end, _ = model.forward(x)
    first, state, _ = model.forward(x[:3])
    second, state, _ = model.forward(x[3:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=1e-12, atol=1e-14)
    for a, b in zip(state, end, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_gradients_of_parameters_are_whole_without_that_of_x(rng):
    model = mr.Model(a=network("lstm", D), b=network("gru", 2))
    ys, _, cache = model.forward(rng.normal(size=(T, D, N)))
    dx, _ = model.backward(cache, ys)
    found = gradients(model)
    model.zero_grad()
    assert model.backward(cache, ys, want_dx=False)[0] is None
    assert dx.any()
    assert all(same_bits(found[name], g) for name, g in gradients(model).items())


def test_beams_and_samples_are_drawn_from_a_chain():
    model = mr.Model(rnn=mr.GRU(5, 4, rng=0), drop=mr.Dropout(0.5), out=mr.Linear(4, 5, rng=1))
    tokens, _ = mr.beam_search(model.step, None, np.array([1, 2]), 0, 3, 2)[:2]
    assert tokens.shape[0] == 3
    drawn = mr.generate(model.step, np.array([1]), np.random.default_rng(0))
    assert all(0 <= next(drawn) < 5 for _ in range(4))


def test_layers_without_state_have_an_empty_one(rng):
    model = mr.Model(first=mr.Linear(D, 2, rng=0), act=mr.Activation("tanh"))
    y, state, cache = model.forward(rng.normal(size=(D, N)), (), dropout_rng=None)
    assert (y.shape, state, model.state_names) == ((2, N), (), ())
    dx, dstate = model.backward(cache, y)
    assert (dx.shape, dstate) == ((D, N), ())
    assert model.backward(cache, y, want_dx=False)[0] is None
    assert same_bits(model.step(np.ones((D, N)))[0], model.forward(np.ones((D, N)))[0])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_last_is_the_state_after_each_sequences_own_last_step(both, state, rng):
    rnn = network("lstm", D, 2, both)
    last, x = mr.Last(rnn), rng.normal(size=(T, D, N))
    start = random_state(last, rng) if state else None
    y, end, cache = last.forward(x, start, [4, 0, 2])
    assert same_bits(y, rnn.last(end))
    assert list(last.named_parameters()) == list(rnn.named_parameters())
    model = mr.Model(rnn=last)
    assert "rnn.l0.U" in model.named_parameters()
    assert list(model.named_layers()) == ["", "rnn"]
    dx, _ = last.backward(cache, np.ones_like(y))
    assert not dx[:, :, 1].any()  # of a sequence without a step
    assert dx[2:, :, 2].any() == dx[2:, :, 2].all() == False  # noqa: E712
    if not both:
        assert same_bits(last.step(x[0])[0], rnn.step(x[0])[0])


def test_beyond_a_length_the_output_is_what_the_last_layer_makes_of_zeros(rng):
    model = mr.Model(rnn=mr.RNN(D, 4, rng=0), out=mr.Linear(4, 2, rng=1))
    ys, _, _ = model.forward(rng.normal(size=(T, D, 2)), lengths=[1, 4])
    b = model.out.named_parameters()["b"].data
    assert same_bits(ys[1:, :, :1], np.broadcast_to(b, (3, 2, 1)).copy())


def test_a_layer_of_ones_own_takes_part(rng):
    class Double(mr.StatelessLayer):
        def forward(self, x):
            return 2 * x, None

        def backward(self, cache, dy):
            return 2 * dy

    class Delay(mr.Layer):
        """Its state is one step: what it read last."""

        state_names = ("x",)

        def forward(self, x, state=None):
            last = np.zeros_like(x[0]) if state is None else state[0]
            return np.concatenate([last[None], x[:-1]]), (x[-1],), None

        def backward(self, cache, dys, dstate=None, *, want_dx=True):
            end = np.zeros_like(dys[0]) if dstate is None or dstate[0] is None else dstate[0]
            return np.concatenate([dys[1:], end[None]]), (dys[0],)

    model = mr.Model(rnn=network("gru", D), delay=Delay(), twice=mr.Sequential(Double(), Double()))
    x = rng.normal(size=(T, D, N))
    ys, state, cache = model.forward(x)
    hs = model.rnn.forward(x)[0]
    assert same_bits(ys[1:], 4 * hs[:-1])
    assert model.state_names == ("rnn.h", "delay.x")
    assert same_bits(state[1], hs[-1])
    assert model.backward(cache, ys)[0].shape == x.shape


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_chain_computes_the_same(copied, rng):
    model = chain([("network", "lstm", 2, True), ("sequence",)], last=True)
    twin, x = copied(model), rng.normal(size=(T, D, N))
    for each in (model, twin):
        ys, _, cache = each.forward(x)
        each.backward(cache, np.ones_like(ys))
    for name, gradient in gradients(model).items():
        assert same_bits(gradients(twin)[name], gradient)
    model_too, cache_too = copied((model, model.forward(x)[2]))
    model_too.backward(cache_too, np.ones_like(ys))
    assert repr(cache_too) == "ModelCache(layer0, layer1, last)"


def test_gates_are_found_in_the_cache_by_the_names_of_the_layers(rng):
    model = mr.Model(a=network("lstm", D), b=mr.Model(rnn=network("gru", 2)))
    _, _, cache = model.forward(rng.normal(size=(T, D, N)))
    assert cache.a["l0.i"].shape == cache.b.rnn["l0.z"].shape == (T, 2, N)
    with pytest.raises(AttributeError, match=r"cache\.c: there are a, b"):
        cache.c  # noqa: B018


def test_a_gradient_of_the_state_alone_goes_through_all_layers(rng):
    model = mr.Model(a=network("lstm", D), b=network("gru", 2), out=mr.Linear(2, 4, rng=0, **F64))
    ys, _, cache = model.forward(rng.normal(size=(T, D, N)))
    dh = rng.normal(size=(1, 2, N))
    dx, dinitial = model.backward(cache, None, (None, None, dh))
    found = gradients(model)
    model.zero_grad()
    dx_too, dinitial_too = model.backward(
        cache, np.zeros_like(ys), (np.zeros_like(dh),) * 2 + (dh,)
    )
    assert same_bits(dx, dx_too)
    assert same_bits(np.stack(dinitial), np.stack(dinitial_too))
    assert found["a.l0.U"].any()
    for name, gradient in gradients(model).items():
        assert same_bits(found[name], gradient)
