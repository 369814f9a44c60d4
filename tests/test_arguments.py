"""An argument of the wrong kind is refused by name, and nothing is taken for something else."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers import same_bits

import minirnn as mr
from minirnn import data
from minirnn.text import units
from minirnn.text.ngram import NGram

T, D, H, N, K = 5, 3, 4, 2, 6
RNG = np.random.default_rng(0)
X, TOKENS = RNG.normal(size=(T, D, N)).astype("f4"), RNG.integers(0, K, (T, N))
RNN, LSTM, TEXT = mr.RNN(D, H, rng=0), mr.LSTM(D, H, 2, dropout=0.5, rng=0), mr.RNN(K, H, rng=0)
OUT, EMBEDDING, DROPOUT = mr.Linear(H, K, rng=0), mr.Embedding(K, H, rng=0), mr.Dropout(0.5)
TANH, CHAIN = mr.Activation("tanh"), mr.Model(rnn=mr.RNN(D, H, rng=0))
LANGUAGE, PAIRS = mr.LanguageModel(K, H, dropout=0.5, rng=0), mr.EncoderDecoder(K, K, H, rng=0)
YS, STATE, CACHE = RNN.forward(X)
SCORES, OUT_CACHE = OUT.forward(YS)
PREDICTED = np.ascontiguousarray(YS)


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
    "want_cache": lambda value: OUT.forward(YS, want_cache=value)[1] is not None,
    "want_cache of a model": lambda value: CHAIN.forward(X, want_cache=value)[2] is not None,
    "want_cache of pairs": lambda value: PAIRS.forward(TOKENS, TOKENS, want_cache=value)[1] is not None,
    "want_dx": lambda value: CHAIN.backward(CHAIN.forward(X)[2], YS, want_dx=value)[0] is not None,
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


# ------------------------------------------------------------------------------------- arrays


class Tensor:
    """As a tensor of PyTorch behaves of which gradients are wanted."""

    def __init__(self, values: Any) -> None:
        self.dtype, self.shape, self.ndim = "torch.float32", values.shape, values.ndim

    def detach(self) -> None:
        raise AssertionError("to be called by the user")

    def __array__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


def loaded(value: Any) -> Any:
    layer = mr.Linear(H, K, rng=0)
    layer.load_state_dict({"V": value, "b": np.zeros((K, 1))})
    return layer.state_dict()["V"]


def assigned(value: Any) -> Any:
    p = mr.Linear(H, K, rng=0).parameters()[0]
    p.data = value
    return p.data.copy()


NGRAM = NGram(TOKENS[:, 0], K, 2)
ATTENTION, LENGTHS, SERIES = mr.Attention(), np.array([3, 5]), RNG.normal(size=(9, D))
SCALER = data.MinMaxScaler.fit(SERIES)
WEIGHTS, FEATURE = np.ones((T, N)), np.arange(T) % 2
MEMORY = PREDICTED.copy()
ARRAYS = {  # by the argument's name: something that fits, and a call with it in its place
    "x": (X, lambda v: RNN.forward(v)[0]),
    "x, tokens": (TOKENS, lambda v: TEXT.forward(v)[0]),
    "x_t": (X[0], lambda v: RNN.step(v)[0]),
    "state h": (STATE[0], lambda v: RNN.forward(X, (v,))[0]),
    "lengths": (LENGTHS, lambda v: RNN.forward(X, lengths=v)[0]),
    "dys": (PREDICTED, lambda v: RNN.backward(CACHE, v)[0]),
    "dstate h": (STATE[0], lambda v: RNN.backward(CACHE, None, (v,))[0]),
    "dh": (YS[-1], lambda v: RNN.last_backward(v)[0]),
    "x, linear": (PREDICTED, lambda v: OUT.forward(v)[0]),
    "dy": (SCORES, lambda v: OUT.backward(OUT_CACHE, v)),
    "x, embedding": (TOKENS, lambda v: EMBEDDING.forward(v)[0]),
    "x, one-hot": (TOKENS, lambda v: mr.OneHot(K).forward(v)[0]),
    "x, dropout": (X, lambda v: DROPOUT.forward(v, np.random.default_rng(0))[0]),
    "x, nothing dropped": (X, lambda v: DROPOUT.forward(v)[0]),
    "x, activation": (X, lambda v: TANH.forward(v)[0]),
    "x, layers": (PREDICTED, lambda v: mr.Sequential(TANH, OUT).forward(v)[0]),
    "tokens": (TOKENS, lambda v: LANGUAGE.forward(v)[0]),
    "source": (TOKENS, lambda v: PAIRS.forward(v, TOKENS)[0]),
    "inputs": (TOKENS, lambda v: PAIRS.forward(TOKENS, v)[0]),
    "ids": (TOKENS[:, 0], lambda v: LANGUAGE.evaluate(v)),
    "queries": (PREDICTED, lambda v: ATTENTION.forward(v, MEMORY)[0]),
    "memory": (MEMORY, lambda v: ATTENTION.forward(PREDICTED, v)[0]),
    "scores": (SCORES, lambda v: mr.softmax_cross_entropy(v, TOKENS)[1]),
    "targets": (TOKENS, lambda v: mr.softmax_cross_entropy(SCORES, v)[1]),
    "weights": (WEIGHTS, lambda v: mr.softmax_cross_entropy(SCORES, TOKENS, v)[1]),
    "pred": (PREDICTED, lambda v: mr.mse(v, MEMORY)[1]),
    "target": (MEMORY, lambda v: mr.mse(PREDICTED, v)[1]),
    "scores, sampling": (SCORES[0], lambda v: mr.next_token_probabilities(v)),
    "prompt": (TOKENS[0], lambda v: next(mr.generate(LANGUAGE.step, v, 0))),
    "start": (TOKENS[0], lambda v: mr.greedy_search(LANGUAGE.step, None, v, 0, 2)),
    "values['V']": (OUT.state_dict()["V"], loaded),
    "V": (OUT.state_dict()["V"], assigned),
    "array": (X, mr.to_host),
    "array, to a device": (X, lambda v: mr.to_device(v, "cpu")),
    "h": (YS[:, :, 0], lambda v: units.rank_units(v, {"even": FEATURE})),
    "features['even']": (FEATURE, lambda v: units.rank_units(YS[:, :, 0], {"even": v})),
    "ids, n-grams": (TOKENS[:, 0], lambda v: NGRAM.nll(v)),
    "x, time_first": (X, data.time_first),
    "ys": (X, data.batch_first),
    "sequences[1]": (TOKENS[:, 0], lambda v: data.pad([TOKENS[:2, 0], v])[0]),
    "lengths, steps": (LENGTHS, lambda v: data.real_steps(v, T)),
    "tokens, one_hot": (TOKENS, lambda v: data.one_hot(v, K)),
    "features": (SERIES, lambda v: data.windows(v, SERIES, 3)[0]),
    "targets, windows": (SERIES, lambda v: data.windows(SERIES, v, 3)[1]),
    "rows": (SERIES, lambda v: data.chronological_split(v, 0.5)[1]),
    "rows, fit": (SERIES, lambda v: data.MinMaxScaler.fit(v).low),
    "rows, transform": (SERIES, lambda v: SCALER.transform(v)),
    "rows, inverse": (SERIES, lambda v: SCALER.inverse(v)),
    "ids, streams": (TOKENS[:, 0], lambda v: data.Streams(v, 1, 2).window(0)[0]),
    "ids, decode": (TOKENS[:, 0], lambda v: data.Vocabulary("abcdef").decode(v)),
    "n": (X, lambda v: next(data.batches(v, N, np.random.default_rng(0)))),
}  # fmt: skip


@pytest.mark.parametrize("key", ARRAYS)
def test_masks_text_and_foreign_tensors_are_refused_by_name(key):
    fits, call = ARRAYS[key]
    name = re.escape(key.partition(",")[0])
    with pytest.raises(TypeError, match=rf"^{name}: got a masked array, whose mask would be lost"):
        call(np.ma.masked_array(fits, np.zeros(fits.shape, bool)))
    with pytest.raises(TypeError, match=rf"^{name}: .*requires grad.*\.detach\(\)"):
        call(Tensor(fits))
    with pytest.raises(TypeError, match=rf"^{name}: got (str|'the cat sat')"):
        call("the cat sat")
    if (
        fits.ndim > 1 and len(fits) > 1 and key not in ("scores", "pred", "queries")
    ):  # which want arrays
        with pytest.raises(ValueError, match=rf"^{name}: .*unequal shapes"):
            call([row[: len(row) - k].tolist() for k, row in enumerate(fits)])


@pytest.mark.parametrize("key", ARRAYS)
def test_what_holds_the_same_numbers_is_taken_alike(key):
    """Whatever the order in memory or of bytes, read-only, and integers of any size."""
    fits, call = ARRAYS[key]
    expected = np.asarray(call(fits.copy()))
    read_only = fits.copy()
    read_only.flags.writeable = False
    strided = np.repeat(fits, 2, axis=-1)[..., ::2]
    swapped = fits.astype(fits.dtype.newbyteorder())
    forms = [read_only, strided, swapped, np.asfortranarray(fits)]
    if fits.dtype.kind == "i":
        forms += [fits.astype(kind) for kind in ("u1", "u8", "i2")]
    for form in forms:
        got = np.asarray(call(form))
        np.testing.assert_array_equal(got, expected, err_msg=f"{form.dtype} {form.strides}")


def test_the_cases_are_what_fits():
    assert same_bits(RNN.forward(X.astype("f8"))[0], YS)  # cast to the dtype of the network


# ------------------------------------------------------------- one number, one name, one list


class Table:
    """As a DataFrame behaves: gone through, it gives the names of its columns."""

    ndim, shape = 2, (3, 2)

    def __iter__(self) -> Any:
        return iter("ab")


def squared(**options: Any) -> mr.gradcheck:
    x = options.pop("x", np.arange(3.0))
    return mr.gradcheck(lambda x: ((x**2).sum(), x), lambda x: {"x": 2 * x}, x=x, **options)


PAIR, WORDS = np.array(["a", "b"]), data.Vocabulary("abc")
REFUSED = {
    "device": lambda: mr.Linear(2, 2, device=PAIR),
    "scan": lambda: mr.LSTM(2, 2, scan=PAIR),
    "method": lambda: squared(method=PAIR),
    "on_nonfinite": lambda: mr.SGD(OUT.parameters(), 0.1, on_nonfinite=PAIR),
    "num_layers of text": lambda: mr.LanguageModel(K, H, num_layers="2"),
    "num_layers of pairs": lambda: mr.EncoderDecoder(K, K, H, num_layers=None),
    "tol": lambda: squared(tol=True),
    "tol that passes all": lambda: squared(tol=np.inf),
    "x": lambda: squared(x=np.ma.masked_array([1.0, 2.0], [True, False])),
    "eps": lambda: mr.Adam(OUT.parameters(), eps=np.inf),
    "weight_decay": lambda: mr.AdamW(OUT.parameters(), weight_decay=1e300),
    "forget_bias": lambda: mr.LSTM(2, 2, forget_bias=-np.inf),
    "forget_bias beyond float32": lambda: mr.LSTM(2, 2, forget_bias=1e300),
    "value": lambda: mr.Parameter("p", "text", RNN.backend),
    "pieces": lambda: data.Vocabulary.build(Table()),
    "pieces of a number": lambda: data.section(np.array(3), 0, 1),
    "tokens": lambda: data.Vocabulary(Table()),
    "ids": lambda: WORDS.decode({2, 1}),
    "sequences": lambda: data.pad(np.array(3)),
    "sequences with days": lambda: data.pad([np.zeros(2, "M8[s]"), [3]]),
    "k": lambda: data.Streams(np.arange(9), 2, 2).window("1"),
    "low": lambda: data.MinMaxScaler(np.nan, 1.0),
    "span": lambda: data.MinMaxScaler(0.0, [1.0, 0.0]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_is_not_is_refused_by_name(name):
    with pytest.raises((TypeError, ValueError), match=rf"^{name.split()[0]}: got "):
        REFUSED[name]()


def test_a_function_of_small_integers_is_not_in_half_precision():
    for kind in ("i1", "u1", "?"):
        y, _ = TANH.forward(np.ones(2, kind))
        assert same_bits(y, np.tanh(np.ones(2, "f4")))


def test_a_search_for_no_sequence_finds_none():
    nothing, none = np.empty(0, int), LANGUAGE.step
    assert mr.greedy_search(none, None, nothing, 0, 3).shape == (3, 0)
    assert [part.shape for part in mr.beam_search(none, None, nothing, 0, 3, 2)] == [(3, 0), (0,)]
    assert LANGUAGE.step(tokens=TOKENS[0], state=None)[0].shape == (K, N)
