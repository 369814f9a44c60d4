"""The same numbers on a CUDA device as on the host."""

import numpy as np
import pytest

import minirnn as mr
from minirnn import data
from minirnn.cells import CELLS
from minirnn.recurrent import Recurrent


def missing_device():
    try:
        mr.to_device(np.zeros(1), "cuda")
    except RuntimeError as error:
        return str(error)
    return None


REASON = missing_device()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(REASON is not None, reason=REASON or "there is a CUDA device"),
]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
@pytest.mark.parametrize("lengths", [None, [4, 0, 7]], ids=["equal", "ragged"])
def test_network_gives_the_same_on_both_devices(cell, tokens, lengths, rng):
    x = rng.integers(0, 5, (7, 3)) if tokens else rng.normal(size=(7, 5, 3))
    dys = rng.normal(size=(7, 8, 3))
    results = []
    for device in ("cpu", "cuda"):
        options = {"dtype": "float64", "device": device, "rng": 0}
        net = Recurrent(cell, 5, 4, 2, True, 0.5, **options)
        on_device = [mr.to_device(a, device) for a in (x, dys)]
        ys, state, cache = net.forward(on_device[0], lengths=lengths, dropout_rng=1)
        dx, dstate = net.backward(cache, on_device[1], state)
        gradients = [p.grad for p in net.parameters()]
        arrays = [ys, *state, *dstate, *gradients, *([] if tokens else [dx])]
        results.append([mr.to_host(a) for a in arrays])
    for host, device in zip(*results, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-12, atol=1e-13)


def test_model_trains_the_same_on_both_devices():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (10, 8))
    losses = {}
    for device in ("cpu", "cuda"):
        where = {"dtype": "float64", "device": device, "rng": np.random.default_rng(1)}
        model = mr.Model(rnn=mr.LSTM(2, 6, **where), out=mr.Linear(6, 2, **where))
        optimizer = mr.Adam(model.parameters(), lr=0.05)
        x, targets = (mr.to_device(a, device) for a in (bits, bits.cumsum(axis=0) % 2))
        losses[device] = []
        for _ in range(20):
            ys, _, cache = model.rnn.forward(x)
            scores, out_cache = model.out.forward(ys)
            loss, dscores = mr.softmax_cross_entropy(scores, targets)
            optimizer.zero_grad()
            model.rnn.backward(cache, model.out.backward(out_cache, dscores))
            mr.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()
            losses[device].append(float(loss))
    np.testing.assert_allclose(losses["cuda"], losses["cpu"], rtol=1e-9)


@pytest.mark.parametrize("attention", [False, True])
def test_encoder_decoder_gives_and_says_the_same_on_both_devices(attention, rng):
    source, inputs = rng.integers(0, 5, (6, 3)), rng.integers(0, 4, (7, 3))
    lengths, dscores = [6, 1, 4], rng.normal(size=(7, 4, 3))
    results, said = [], []
    for device in ("cpu", "cuda"):
        where = {"dtype": "float64", "device": device, "rng": 0}
        model = mr.EncoderDecoder(5, 4, 6, bidirectional=True, attention=attention, **where)
        x, read, d = (mr.to_device(a, device) for a in (source, inputs, dscores))
        scores, cache = model.forward(x, read, lengths)
        model.backward(cache, d)
        results.append([mr.to_host(a) for a in (scores, *(p.grad for p in model.parameters()))])
        problem = (model.step, model.encode(x, lengths), read[0], 0, 8)
        said.append([mr.greedy_search(*problem), *mr.beam_search(*problem, 3)])
    for host, device in zip(*results, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-11, atol=1e-13)
    for host, device in zip(*said, strict=True):
        np.testing.assert_allclose(device, host, rtol=1e-11)


def test_data_moves_between_layouts_on_the_device(rng):
    x = rng.normal(size=(3, 5, 2))
    moved = data.time_first(mr.to_device(x, "cuda"))
    assert np.array_equal(mr.to_host(moved), data.time_first(x))
    assert np.array_equal(mr.to_host(data.batch_first(moved)), x)
    tokens = rng.integers(0, 4, (5, 3))
    columns = data.one_hot(mr.to_device(tokens, "cuda"), 4)
    assert np.array_equal(mr.to_host(columns), data.one_hot(tokens, 4))


def test_host_arrays_are_not_moved_unasked():
    net = mr.RNN(2, 3, device="cuda", rng=0)
    with pytest.raises(TypeError, match=r"x: is an array on the host, but cuda:0 is where"):
        net.forward(np.zeros((4, 2, 1)))
