"""Forward that keeps nothing: the same bits, no record, little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from helpers import same_bits
from scans import each_scan

import minirnn as mr
from minirnn.cells import CELLS
from minirnn.recurrent import Recurrent

T, D, H, N = 9, 3, 5, 4


@each_scan
@pytest.mark.parametrize("recompute_every", [None, 2])
@pytest.mark.parametrize("lengths", [None, [0, 9, 3, 8]])
def test_what_keeps_nothing_gives_the_same_bits(cell, scan, lengths, recompute_every, rng):
    net = Recurrent(cell, D, H, 2, True, dropout=0.4, rng=0, scan=scan)
    x = rng.normal(size=(T, D, N)).astype("float32")
    state = tuple(rng.normal(size=(4, H, N)) for _ in cell.states)
    options = {"lengths": lengths, "recompute_every": recompute_every}
    results = []
    for want in (True, False):
        seed = np.random.default_rng(1)
        results.append(net.forward(x, state, dropout_rng=seed, want_cache=want, **options))
    (ys, end, _), (ys_too, end_too, nothing) = results
    assert nothing is None
    for a, b in zip((ys, *end), (ys_too, *end_too), strict=True):
        assert same_bits(a, b)


def peak(net, x, **options):
    tracemalloc.start()
    kept = net.forward(x, **options)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept[0].shape[0] == len(x)
    return most


@pytest.mark.parametrize("scan", ["generic", "numpy", "numba"])
def test_what_keeps_nothing_needs_the_memory_of_one_layer_and_direction(scan):
    if scan == "numba":
        pytest.importorskip("numba")
    net = Recurrent(CELLS[2], 8, 32, 3, True, rng=0, scan=scan)
    x = np.zeros((40, 8, 16), np.float32)
    for want in (True, False):
        net.forward(x, want_cache=want)  # what a first call compiles and keeps for all others
    everything, nothing = peak(net, x), peak(net, x, want_cache=False)
    assert nothing < everything / 3, (nothing, everything)
    assert peak(net, x, want_cache=False, recompute_every=4) < nothing


LAYERS = {
    "Linear": (lambda: mr.Linear(D, 2, rng=0), {}),
    "Embedding": (lambda: mr.Embedding(5, 2, rng=0), {}),
    "OneHot": (lambda: mr.OneHot(5), {}),
    "Dropout": (lambda: mr.Dropout(0.5), {"dropout_rng": 0}),
    "Activation": (lambda: mr.Activation("tanh"), {}),
    "Sequential": (lambda: mr.Sequential(mr.Dropout(0.5), mr.Linear(D, 2)), {"dropout_rng": 0}),
    "Last": (lambda: mr.Last(mr.GRU(D, 2, 2, True, 0.5, rng=0)), {"dropout_rng": 0}),
    "Model": (lambda: mr.Model(rnn=mr.GRU(D, 2, 2, True, 0.5, rng=0)), {"dropout_rng": 0}),
    "LanguageModel": (lambda: mr.LanguageModel(5, 4, dropout=0.5, rng=0), {"dropout_rng": 0}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_can_keep_nothing(name, rng):
    make, options = LAYERS[name]
    layer, x = make(), rng.normal(size=(T, D, N))
    if name in ("Embedding", "OneHot", "LanguageModel"):
        x = rng.integers(0, 5, (T, N))
    results = []
    for want in (True, False):
        seeds = {key: np.random.default_rng(seed) for key, seed in options.items()}
        results.append(layer.forward(x, **seeds, want_cache=want))
    assert same_bits(results[0][0], results[1][0])
    assert results[1][-1] is None


def test_attention_can_keep_nothing(rng):
    queries, memory = rng.normal(size=(2, 4, 3, 2))
    kept, nothing = (mr.Attention().forward(queries, memory, want_cache=w) for w in (True, False))
    assert same_bits(kept[0], nothing[0])
    assert nothing[1] is None


@pytest.mark.parametrize("attention", [False, True])
def test_an_encoder_decoder_can_keep_nothing(attention, rng):
    model = mr.EncoderDecoder(5, 5, 4, attention=attention, embedding=3, dropout=0.5, rng=0)
    source, inputs = rng.integers(0, 5, (2, T, N))
    (scores, cache), (again, nothing) = (
        model.forward(source, inputs, [1, 2, 9, 0], np.random.default_rng(1), want_cache=want)
        for want in (True, False)
    )
    assert same_bits(scores, again)
    assert cache is not None
    assert nothing is None
