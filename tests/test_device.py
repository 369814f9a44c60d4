"""Networks and layers give the same on a device as on the host: on CUDA, and on a stand-in for CuPy."""

from itertools import islice

import numpy as np
import pytest
from devices import Place, grads, same

import minirnn as mr
from minirnn.cells import CELLS
from minirnn.recurrent import Recurrent

each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)


@each_cell
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
@pytest.mark.parametrize("lengths", [None, [4, 0, 7]], ids=["equal", "ragged"])
@pytest.mark.parametrize("recompute_every", [None, 3, "sqrt"])
def test_networks(cell, tokens, lengths, recompute_every, device):
    def work(on):
        net = Recurrent(cell, 5, 4, 2, True, 0.5, **on.options)
        x = on.tokens(5, 7, 3) if tokens else on.normal(7, 5, 3)
        state = tuple(on.normal(4, 4, 3) for _ in cell.states)
        ys, final, cache = net.forward(
            x, state, lengths, dropout_rng=np.random.default_rng(1), recompute_every=recompute_every
        )
        dx, dstate = net.backward(cache, on.normal(7, 8, 3), final)
        looked_up = [cache[name] for name in cache.names()]
        return ys, final, dx, dstate, grads(net), looked_up

    same(work, device)


@each_cell
def test_gradients_that_are_left_out(cell, device):
    def work(on):
        net = Recurrent(cell, 5, 4, 2, bias=False, **on.options)
        ys, (h, *_), cache = net.forward(on.normal(7, 5, 3), check_finite=True)
        rest = [None] * (len(cell.states) - 1)
        found = [
            net.backward(cache, on.normal(7, 4, 3), want_dx=False),
            net.backward(cache, None, (on.normal(2, 4, 3), *rest)),
            net.backward(cache, on.normal(7, 4, 3), (None, *rest[:-1], *([h] if rest else []))),
        ]
        return ys, found, grads(net)

    same(work, device)


@each_cell
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
def test_step_and_last(cell, tokens, device):
    def work(on):
        net = Recurrent(cell, 5, 4, 2, **on.options)
        y, state = net.step(on.tokens(5, 3) if tokens else on.normal(5, 3))
        y, state = net.step(on.tokens(5, 3) if tokens else on.normal(5, 3), state)
        both = Recurrent(cell, 5, 4, 2, True, **on.options)
        _, final, cache = both.forward(on.normal(6, 5, 3))
        dstate = both.last_backward(on.normal(8, 3))
        return y, state, both.last(final), dstate, both.backward(cache, None, dstate), grads(both)

    same(work, device)


@each_cell
def test_gradients_are_those_of_differences(cell, device):
    on = Place(device)
    model = mr.Model(
        rnn=Recurrent(cell, 3, 4, 2, True, **on.options), out=mr.Linear(8, 2, **on.options)
    )
    x, targets, step = on.normal(5, 3, 2), on.tokens(2, 5, 2), 1e-5

    def loss():
        ys, _, cache = model.rnn.forward(x, lengths=[5, 3])
        scores, out_cache = model.out.forward(ys)
        value, dscores = mr.softmax_cross_entropy(scores, targets)
        return float(value), cache, out_cache, dscores

    _, cache, out_cache, dscores = loss()
    model.rnn.backward(cache, model.out.backward(out_cache, dscores))
    for p in model.parameters():
        middle, direction = mr.to_host(p.data), on.rng.normal(size=p.shape)
        losses = []
        for shift in (step, -step):
            p.data = middle + shift * direction
            losses.append(loss()[0])
        p.data = middle
        slope = (mr.to_host(p.grad) * direction).sum()
        assert slope == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-6, abs=1e-9), p


@pytest.mark.parametrize("init", ["uniform", "glorot", "orthogonal"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_weights_are_the_same_bits(init, dtype, device):
    def bits(where):
        options = {"dtype": dtype, "device": where, "rng": 0}
        net = mr.LSTM(3, 4, 2, True, init=init, forget_bias=1.0, **options)
        others = (mr.Linear(3, 4, init=init, **options), mr.Embedding(5, 3, **options))
        model = mr.Model(net=net, linear=others[0], embedding=others[1])
        return [value.tobytes() for value in model.state_dict().values()]

    assert bits(device) == bits("cpu")


@pytest.mark.parametrize(
    "layer",
    [
        lambda on: mr.Linear(5, 4, **on.options),
        lambda on: mr.Linear(5, 4, bias=False, **on.options),
        lambda on: mr.Activation("tanh"),
        lambda on: mr.Activation("relu"),
        lambda on: mr.Activation("sigmoid"),
        lambda on: mr.Dropout(0.5),
        lambda on: mr.Sequential(
            mr.Linear(5, 4, **on.options), mr.Activation("relu"), mr.Dropout(0)
        ),
    ],
    ids=["Linear", "no bias", "tanh", "relu", "sigmoid", "Dropout", "Sequential"],
)
@pytest.mark.parametrize("shape", [(7, 5, 3), (5, 3)])
def test_layers(layer, shape, device):
    def work(on):
        made = layer(on)
        draws = (np.random.default_rng(1),) * isinstance(made, mr.Dropout | mr.Sequential)
        y, cache = made.forward(on.normal(*shape), *draws)
        return y, made.backward(cache, on.normal(*y.shape)), grads(made)

    same(work, device)


@pytest.mark.parametrize("shape", [(7, 3), (3,)])
def test_layers_of_tokens(shape, device):
    def work(on):
        embedding, one_hot = mr.Embedding(6, 4, **on.options), mr.OneHot(6, "float64", on.device)
        tokens = on.tokens(6, *shape)
        y, cache = embedding.forward(tokens)
        shared = mr.Linear(4, 6, share=embedding, **on.options)
        scores, out_cache = shared.forward(y)
        dy = shared.backward(out_cache, on.normal(*scores.shape))
        assert embedding.backward(cache, dy) is None
        return y, scores, grads(embedding), one_hot.forward(tokens)[0]

    same(work, device)


@pytest.mark.parametrize("lengths", [None, [4, 0, 6]])
def test_attention(lengths, device):
    def work(on):
        layer = mr.Attention()
        context, cache = layer.forward(on.normal(7, 5, 3), on.normal(6, 5, 3), lengths)
        return context, cache.weights, layer.backward(cache, on.normal(7, 5, 3))

    same(work, device)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("attention", [False, True])
def test_encoder_decoder_and_searches(cell, attention, device):
    lengths = [6, 1, 4]

    def model_and_source(on):
        options = {"bidirectional": True, "attention": attention, **on.options}
        return mr.EncoderDecoder(5, 4, 6, cell, 2, **options), on.tokens(5, 6, 3)

    def work(on):
        model, source = model_and_source(on)
        scores, cache = model.forward(source, on.tokens(4, 7, 3), lengths)
        model.backward(cache, on.normal(7, 4, 3))
        return scores, grads(model), model.encode(source)

    def search(on):
        model, source = model_and_source(on)
        problem = (model.step, model.encode(source, lengths), on.put([0, 1, 2]), 0, 8)
        return mr.greedy_search(*problem), mr.beam_search(*problem, 3)

    same(work, device)
    same(search, device, on_host=True)


@pytest.mark.parametrize(
    "options",
    [{}, {"embedding": 3, "num_layers": 2, "dropout": 0.5}, {"embedding": 4, "share": True}],
    ids=["one-hot", "embedding", "shared"],
)
def test_language_models_and_sampling(options, device):
    def work(on):
        model = mr.LanguageModel(6, 4, **options, **on.options)
        scores, state, cache = model.forward(
            on.tokens(6, 7, 3), dropout_rng=np.random.default_rng(1)
        )
        model.backward(cache, on.normal(7, 6, 3))
        return scores, state, grads(model), model.step(on.tokens(6, 3), state)

    def sample(on):
        model = mr.LanguageModel(6, 4, **options, **on.options)
        tokens = list(islice(mr.generate(model.step, on.tokens(6, 4), 1, top_k=5), 20))
        scores, _ = model.step(on.tokens(6, 3))
        chosen = mr.sample_token(scores, np.random.default_rng(0), top_p=0.9)
        nats = model.evaluate(np.arange(40) % 6, N=2, T=8)
        return np.array(tokens), chosen, np.array(nats)

    same(work, device)
    same(sample, device, on_host=True)
