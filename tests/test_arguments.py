"""An argument of the wrong kind is refused by name, and nothing is taken for something else."""

from __future__ import annotations

import numpy as np
import pytest

import minirnn as mr
from minirnn import data

T, D, H, N, K = 5, 3, 4, 2, 6
RNG = np.random.default_rng(0)
X, TOKENS = RNG.normal(size=(T, D, N)).astype("f4"), RNG.integers(0, K, (T, N))
RNN, LSTM, TEXT = mr.RNN(D, H, rng=0), mr.LSTM(D, H, 2, dropout=0.5, rng=0), mr.RNN(K, H, rng=0)
OUT, EMBEDDING, DROPOUT = mr.Linear(H, K, rng=0), mr.Embedding(K, H, rng=0), mr.Dropout(0.5)
TANH = mr.Activation("tanh")
LANGUAGE, PAIRS = mr.LanguageModel(K, H, dropout=0.5, rng=0), mr.EncoderDecoder(K, K, H, rng=0)
YS, STATE, CACHE = RNN.forward(X)
SCORES, OUT_CACHE = OUT.forward(YS)
PREDICTED = np.ascontiguousarray(YS)
SCALER = data.MinMaxScaler.fit(X[:, :, 0])


# ----------------------------------------------------------------------- seeds for generators

CALLED_AGAIN_AND_AGAIN = {
    "dropout": lambda rng: DROPOUT.forward(X, rng),
    "layers": lambda rng: mr.Sequential(TANH).forward(X, dropout_rng=rng),
    "network": lambda rng: LSTM.forward(X, dropout_rng=rng),
    "network that drops nothing": lambda rng: RNN.forward(X, dropout_rng=rng),
    "language model": lambda rng: LANGUAGE.forward(TOKENS, dropout_rng=rng),
    "batches": lambda rng: data.batches(9, 2, rng),
    "sampling": lambda rng: mr.sample_token(SCORES[0], rng),
}


@pytest.mark.parametrize("call", CALLED_AGAIN_AND_AGAIN.values(), ids=CALLED_AGAIN_AND_AGAIN)
def test_a_seed_is_no_generator_where_a_call_is_made_again_and_again(call):
    for seed in (0, np.int64(3)):
        wanted = rf"rng: got int(64)?, want a numpy\.random\.Generator; .*default_rng\({seed}\)"
        with pytest.raises(TypeError, match=wanted):
            call(seed)
    with pytest.raises(TypeError, match=r"rng: got RandomState, want a numpy\.random\.Generator$"):
        call(np.random.RandomState(0))
    call(np.random.default_rng(0))


# ------------------------------------------------------------------------------------ switches

SWITCHES = {
    "bidirectional": lambda value: mr.LSTM(D, H, bidirectional=value).bidirectional,
    "bias": lambda value: len(mr.GRU(D, H, bias=value).parameters()) > 2,
    "bias of a layer": lambda value: len(mr.Linear(D, H, bias=value).parameters()) > 1,
    "reset_after": lambda value: "l0.bw" in mr.GRU(D, H, reset_after=value).named_parameters(),
    "share": lambda value: (
        "embed.E" in mr.LanguageModel(K, H, embedding=H, share=value).named_parameters()
        and "out.V" not in mr.LanguageModel(K, H, embedding=H, share=value).named_parameters()
    ),
    "attention": lambda value: "combine.0.V" in mr.EncoderDecoder(K, K, H, attention=value).state_dict(),
    "bidirectional encoder": lambda value: (
        mr.EncoderDecoder(K, K, H, bidirectional=value).encoder.bidirectional
    ),
    "drop_last": lambda value: len(list(data.batches(5, 2, drop_last=value))) == 2,
    "remainder": lambda value: len(data.Streams(np.arange(12), 2, 2, remainder=value)) == 3,
}  # fmt: skip


@pytest.mark.parametrize("name", SWITCHES)
def test_text_is_no_switch(name):
    call = SWITCHES[name]
    for value in ("no", "False", 2, 0.0, None, [False]):
        with pytest.raises(TypeError, match=rf"^{name.split()[0]}: got .*, want True or False"):
            call(value)
    for value in (True, np.True_, 1):
        assert call(value)
    for value in (False, np.False_, 0):
        assert not call(value)
