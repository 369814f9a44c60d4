"""What does not fit is refused: by name, with what it had and what it needs, and changing nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from helpers import all_same_bits, assert_adds_up, gradients, unchanged

import minirnn as mr

T, D, H, N, K = 5, 3, 4, 2, 6  # the sizes in the messages below


NO_DEVICE = r"device='cuda:99'.*(needs CuPy: pip install cupy|no CUDA device|has \d+ CUDA device)"
DROPOUT, TANH = mr.Dropout(0.5), mr.Activation("tanh")


class World:
    """Networks, and arguments that fit them; whatever a case does to one argument makes it unfit."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.rnn = mr.RNN(D, H, rng=rng)
        self.lstm = mr.LSTM(D, H, num_layers=2, rng=rng)
        self.both = mr.GRU(D, H, bidirectional=True, rng=rng)
        self.text = mr.RNN(K, H, rng=rng)
        self.out = mr.Linear(H, K, rng=rng)
        self.embedding = mr.Embedding(K, H, rng=rng)
        self.model = mr.Model(
            rnn=self.rnn, lstm=self.lstm, both=self.both, text=self.text,
            out=self.out, embedding=self.embedding,
        )  # fmt: skip
        self.x = rng.standard_normal((T, D, N))
        self.tokens = rng.integers(0, K, (T, N))
        self.h = rng.standard_normal((1, H, N))
        self.h2 = rng.standard_normal((2, H, N))
        self.c2 = rng.standard_normal((2, H, N))
        self.dys = rng.standard_normal((T, H, N))
        self.cache = self.rnn.forward(self.x)[2]
        self.lstm_cache = self.lstm.forward(self.x)[2]
        self.arrays = (self.x, self.tokens, self.h, self.h2, self.c2, self.dys)


def spoiled(array, index, value):
    """A copy of `array` with one element changed."""
    array = array.copy()
    array[index] = value
    return array


def step_of_an_optimizer(w):
    mr.Adam(w.model.parameters()).step()


def loading(w):
    w.model.load_state_dict(w.model.state_dict())


def assignment(w):
    w.rnn.parameters()[2].data = w.rnn.state_dict()["l0.b"]


def backward_after(w, update):
    """Use a cache from before `update`, although that has changed no value."""
    update(w)
    w.rnn.backward(w.cache, w.dys)


class Case(NamedTuple):
    """A bad call, the error it must raise, and a pattern for its message."""

    name: str
    call: Callable[[World], Any]
    error: type[Exception]
    message: str


INPUTS = [
    Case("rank 1", lambda w: w.rnn.forward(w.x[0, 0]), ValueError,
         r"x: got shape \(2,\), want \(T, 3, N\), or integer tokens \(T, N\)"),
    Case("rank 4", lambda w: w.rnn.forward(w.x[None]), ValueError,
         r"x: got shape \(1, 5, 3, 2\), want \(T, 3, N\)"),
    Case("width", lambda w: w.rnn.forward(w.x[:, :2]), ValueError,
         r"x: got shape \(5, 2, 2\), want \(T, 3, N\)"),
    Case("batch first", lambda w: w.rnn.forward(w.x.transpose(2, 0, 1)), ValueError,
         r"x: got shape \(2, 5, 3\), want \(T, 3, N\)"),
    Case("nothing", lambda w: w.rnn.forward(None), ValueError, r"x: got shape \(\), want \(T, 3"),
    Case("complex", lambda w: w.rnn.forward(1j * w.x), TypeError, r"x: got complex128, want real"),
    Case("text", lambda w: w.rnn.forward(w.x.astype(str)), TypeError, r"x: got <U\d+, want real"),
    Case("float tokens", lambda w: w.text.forward(w.tokens / 2), TypeError,
         r"x: got float64 of shape \(5, 2\), .*want integers below 6"),
    Case("tokens of truth values", lambda w: w.text.forward(w.tokens > 2), TypeError,
         r"x: got bool of shape \(5, 2\), .*want integers below 6"),
    Case("token too large", lambda w: w.text.forward(spoiled(w.tokens, (1, 1), K)), ValueError,
         r"x: got tokens from \d to 6, want 0 to 5"),
    Case("token below zero", lambda w: w.text.forward(spoiled(w.tokens, (1, 1), -1)), ValueError,
         r"x: got tokens from -1 to \d, want 0 to 5"),
]  # fmt: skip

STATES = [
    Case("an array", lambda w: w.rnn.forward(w.x, w.h), TypeError,
         r"state: got ndarray, want a tuple \(h,\)"),
    Case("an array for two", lambda w: w.lstm.forward(w.x, w.h2), TypeError,
         r"state: got ndarray, want a tuple \(h, c\)"),
    Case("one part too many", lambda w: w.rnn.forward(w.x, (w.h, w.h)), ValueError,
         r"state: got 2 part\(s\), want 1: \(h,\)"),
    Case("one part too few", lambda w: w.lstm.forward(w.x, (w.h2,)), ValueError,
         r"state: got 1 part\(s\), want 2: \(h, c\)"),
    Case("one layer of two", lambda w: w.lstm.forward(w.x, (w.h, w.h)), ValueError,
         r"state h: got shape \(1, 4, 2\), want \(2, 4, 2\)"),
    Case("second part", lambda w: w.lstm.forward(w.x, (w.h2, w.h)), ValueError,
         r"state c: got shape \(1, 4, 2\), want \(2, 4, 2\)"),
    Case("one direction of two", lambda w: w.both.forward(w.x, (w.h,)), ValueError,
         r"state h: got shape \(1, 4, 2\), want \(2, 4, 2\)"),
    Case("without layers", lambda w: w.rnn.forward(w.x, (w.h[0],)), ValueError,
         r"state h: got shape \(4, 2\), want \(1, 4, 2\)"),
    Case("batch", lambda w: w.rnn.forward(w.x, (w.h[..., :1],)), ValueError,
         r"state h: got shape \(1, 4, 1\), want \(1, 4, 2\)"),
    Case("None inside", lambda w: w.lstm.forward(w.x, (w.h2, None)), ValueError,
         r"state c: got .*want \(2, 4, 2\)"),
    Case("complex", lambda w: w.rnn.forward(w.x, (1j * w.h,)), TypeError,
         r"state h: got complex128, want real numbers"),
]  # fmt: skip

LENGTHS = [
    Case("one for all", lambda w: w.rnn.forward(w.x, lengths=3), ValueError,
         r"lengths: got shape \(\), want \(2,\)"),
    Case("too many", lambda w: w.rnn.forward(w.x, lengths=[1, 2, 3]), ValueError,
         r"lengths: got shape \(3,\), want \(2,\)"),
    Case("too long", lambda w: w.rnn.forward(w.x, lengths=[1, 6]), ValueError,
         r"lengths: got 1 to 6, want 0 to T = 5"),
    Case("negative", lambda w: w.rnn.forward(w.x, lengths=[-1, 5]), ValueError,
         r"lengths: got -1 to 5, want 0 to T = 5"),
    Case("float", lambda w: w.rnn.forward(w.x, lengths=[2.0, 5.0]), TypeError,
         r"lengths: got float64, want integers"),
    Case("a mask", lambda w: w.rnn.forward(w.x, lengths=[True, False]), TypeError,
         r"lengths: got bool, want integers"),
]  # fmt: skip

FINITE = [
    Case("NaN", lambda w: w.rnn.forward(spoiled(w.x, (3, 1, 0), np.nan), check_finite=True),
         ValueError, r"x: nan at index \(3, 1, 0\), want finite"),
    Case("infinity", lambda w: w.rnn.forward(spoiled(w.x, (3, 1, 0), -np.inf), check_finite=True),
         ValueError, r"x: -inf at index \(3, 1, 0\), want finite"),
    Case("NaN before the end", lambda w: w.rnn.forward(
             spoiled(w.x, (2, 1, 0), np.nan), lengths=[3, 2], check_finite=True),
         ValueError, r"x: nan at index \(2, 1, 0\), want finite"),
    Case("state", lambda w: w.lstm.forward(
             w.x, (w.h2, spoiled(w.c2, (1, 2, 0), np.nan)), check_finite=True),
         ValueError, r"state.*: nan at index \(1, 2, 0\), want finite"),
]  # fmt: skip

OPTIONS = [
    *(Case(f"{make.__name__} {name} {value!r}",
           lambda w, m=make, n=name, v=value: m(**({"input_size": 3, "hidden_size": 4} | {n: v})),
           error, rf"{name}: got {re.escape(str(value))}, want .*{want}")
      for make in (mr.RNN, mr.LSTM, mr.GRU)
      for name in ("input_size", "hidden_size", "num_layers")
      for value, error, want in (
          (0, ValueError, "1 or more"), (-2, ValueError, "1 or more"),
          (3.0, TypeError, "integer"), (True, TypeError, "integer"), (None, TypeError, "integer"))),
    *(Case(f"dropout {value!r}", lambda w, v=value: mr.LSTM(3, 4, num_layers=2, dropout=v), error,
           rf"dropout: got {value}, want .*\[0, 1\)")
      for value, error in ((1.0, ValueError), (-0.1, ValueError), (1.5, ValueError),
                           (np.nan, ValueError), (None, TypeError))),
    Case("dropout text", lambda w: mr.LSTM(3, 4, num_layers=2, dropout="0.5"), TypeError,
         r"dropout: got '0\.5', want .*\[0, 1\)"),
    Case("dropout with one layer", lambda w: mr.LSTM(3, 4, dropout=0.5), ValueError,
         r"dropout: got 0\.5 with num_layers=1, where it would do nothing.*two layers or more"),
    Case("activation", lambda w: mr.RNN(3, 4, activation="sigmoid"), ValueError,
         r'activation: got \'sigmoid\', want "tanh" or "relu"'),
    Case("activation of LSTM", lambda w: mr.LSTM(3, 4, activation="gelu"), ValueError,
         r'activation: got \'gelu\', want "tanh" or "relu"'),
    *(Case(f"dtype {value!r}", lambda w, v=value: mr.GRU(3, 4, dtype=v), ValueError,
           r'dtype: got .*, want "float32" or "float64"')
      for value in ("float16", np.int64, "double precision", 32, None)),
    Case("init", lambda w: mr.RNN(3, 4, init="xavier"), ValueError,
         r"init: got 'xavier', want one of 'uniform', 'glorot', 'orthogonal'"),
    Case("scan", lambda w: mr.RNN(3, 4, scan="fast"), ValueError,
         r"scan: got 'fast', want one of 'auto', .*'generic'"),
    *(Case(f"device {value!r}", lambda w, v=value: mr.RNN(3, 4, device=v), ValueError,
           rf'device: got {re.escape(repr(value))}, want "cpu", "cuda" or "cuda:<number>"')
      for value in ("gpu", "cuda:x", "cuda:", "cuda:-1", "CPU", None, 0)),
    # either CuPy is missing, or a driver, or so many devices
    Case("device that is not there", lambda w: mr.RNN(3, 4, device="cuda:99"), RuntimeError,
         NO_DEVICE),
    Case("moving to a device that is not there", lambda w: mr.to_device(w.x, "cuda:99"),
         RuntimeError, NO_DEVICE),
    *(Case(f"rng {type(value).__name__}", lambda w, v=value: mr.RNN(3, 4, rng=v), TypeError,
           rf"rng: got {type(value).__name__}, want None, an integer or .*Generator")
      for value in (1.5, "0", True, np.random.RandomState(0))),
    Case("rng negative", lambda w: mr.RNN(3, 4, rng=-1), ValueError, "rng: got .*-1, want 0 or mo"),
    Case("dropout_rng", lambda w: w.lstm.forward(w.x, dropout_rng=True), TypeError,
         r"dropout_rng: got bool, want a numpy\.random\.Generator"),
    Case("forget_bias without bias", lambda w: mr.LSTM(3, 4, forget_bias=1.0, bias=False),
         ValueError, r"forget_bias: got 1\.0 with bias=False, want None"),
]  # fmt: skip

BACKWARD = [
    Case("cache of another network",
         lambda w: mr.RNN(D, H).backward(w.cache, w.dys), ValueError,
         r"cache: comes from another layer \(RNN.*\) than this one \(RNN"),
    Case("cache of another kind of network", lambda w: w.lstm.backward(w.cache, w.dys), ValueError,
         r"cache: comes from another layer \(RNN.*\) than this one \(LSTM"),
    Case("no cache", lambda w: w.rnn.backward(None, w.dys), TypeError,
         r"cache: got NoneType, want what forward returned last"),
    Case("all that forward returned", lambda w: w.rnn.backward(w.rnn.forward(w.x), w.dys), TypeError,
         r"cache: got tuple, want what forward returned last"),
    *(Case(f"cache before {update.__name__}", lambda w, u=update: backward_after(w, u), ValueError,
           r"cache: is older than the parameters.*run forward again")
      for update in (step_of_an_optimizer, loading, assignment)),
    Case("dys too short", lambda w: w.rnn.backward(w.cache, w.dys[1:]), ValueError,
         r"dys: got shape \(4, 4, 2\), want \(5, 4, 2\)"),
    Case("dys that would broadcast", lambda w: w.rnn.backward(w.cache, w.dys[:1]), ValueError,
         r"dys: got shape \(1, 4, 2\), want \(5, 4, 2\)"),
    Case("dys of one step", lambda w: w.rnn.backward(w.cache, w.dys[0]), ValueError,
         r"dys: got shape \(4, 2\), want \(5, 4, 2\)"),
    Case("dys of one direction", lambda w: w.both.backward(w.both.forward(w.x)[2], w.dys),
         ValueError, r"dys: got shape \(5, 4, 2\), want \(5, 8, 2\)"),
    Case("dys complex", lambda w: w.rnn.backward(w.cache, 1j * w.dys), TypeError,
         r"dys: got complex128, want real numbers"),
    Case("nothing", lambda w: w.rnn.backward(w.cache), ValueError,
         r"dys, dstate: got None for all, want a gradient for at least one"),
    Case("nothing in parts", lambda w: w.lstm.backward(w.lstm_cache, None, (None, None)),
         ValueError, r"dys, dstate: got None for all, want a gradient for at least one"),
    Case("dstate an array", lambda w: w.rnn.backward(w.cache, None, w.h), TypeError,
         r"dstate: got ndarray, want a tuple \(h,\)"),
    Case("dstate with a part too few", lambda w: w.lstm.backward(w.lstm_cache, None, (w.h2,)),
         ValueError, r"dstate: got 1 part\(s\), want 2: \(h, c\)"),
    Case("dstate of one layer", lambda w: w.lstm.backward(w.lstm_cache, w.dys, (w.h, None)),
         ValueError, r"dstate h: got shape \(1, 4, 2\), want \(2, 4, 2\)"),
    Case("dstate, second part", lambda w: w.lstm.backward(w.lstm_cache, w.dys, (None, w.h)),
         ValueError, r"dstate c: got shape \(1, 4, 2\), want \(2, 4, 2\)"),
    Case("unknown name in a cache", lambda w: w.cache["l0.z"], KeyError, r"l0\.z.*there are l0\.h"),
]  # fmt: skip

STEPS = [
    Case("both directions", lambda w: w.both.step(w.x[0]), ValueError,
         r"step: a bidirectional network must see the whole sequence: use forward"),
    Case("a sequence", lambda w: w.rnn.step(w.x), ValueError,
         r"x_t: got shape \(5, 3, 2\), want \(3, N\), or integer tokens \(N,\)"),
    Case("width", lambda w: w.rnn.step(w.x[0, :2]), ValueError,
         r"x_t: got shape \(2, 2\), want \(3, N\)"),
    Case("float tokens", lambda w: w.text.step(w.tokens[0] / 2), TypeError,
         r"x_t: got float64 of shape \(2,\), .*want integers below 6"),
    Case("token too large", lambda w: w.text.step(np.array([0, K])), ValueError,
         r"x_t: got tokens from 0 to 6, want 0 to 5"),
    Case("state", lambda w: w.rnn.step(w.x[0], (w.h2,)), ValueError,
         r"state h: got shape \(2, 4, 2\), want \(1, 4, 2\)"),
    Case("state an array", lambda w: w.rnn.step(w.x[0], w.h), TypeError,
         r"state: got ndarray, want a tuple \(h,\)"),
    Case("last of an array", lambda w: w.rnn.last(w.h), TypeError,
         r"state: got ndarray, want a tuple \(h,\)"),
    Case("last of a part too few", lambda w: w.lstm.last((w.h2,)), ValueError,
         r"state: got 1 part\(s\), want 2: \(h, c\)"),
    Case("last of another height", lambda w: w.rnn.last((w.h[:, :3],)), ValueError,
         r"state h: got shape \(1, 3, 2\), want \(1, 4, (2|N)\)"),
    Case("last of other layers", lambda w: w.rnn.last((w.h2,)), ValueError,
         r"state h: got shape \(2, 4, 2\), want \(1, 4, (2|N)\)"),
    Case("last_backward", lambda w: w.both.last_backward(w.h[0]), ValueError,
         r"dh: got shape \(4, 2\), want \(8, N\)"),
]  # fmt: skip

LAYERS = [
    Case("a network in Sequential", lambda w: mr.Sequential(mr.Dropout(0.5), w.rnn), TypeError,
         r"layers\[1\]: got RNN, want a layer without state"),
    Case("a model in Sequential", lambda w: mr.Sequential(w.model), TypeError,
         r"layers\[0\]: got Model, want a layer without state"),
    Case("a list in Sequential", lambda w: mr.Sequential([w.out]), TypeError,
         r"layers\[0\]: got list, want a layer without state"),
    *(Case(f"{make.__name__} {name} {value!r}",
           lambda w, m=make, n=name, o=other, v=value: m(**{n: v, o: 3}), error,
           rf"{name}: got {value}, want")
      for make, name, other in (
          (mr.Linear, "input_size", "output_size"), (mr.Linear, "output_size", "input_size"),
          (mr.Embedding, "num_tokens", "size"), (mr.Embedding, "size", "num_tokens"))
      for value, error in ((0, ValueError), (3.0, TypeError), (True, TypeError))),
    Case("OneHot num_tokens", lambda w: mr.OneHot(0), ValueError, "num_tokens: got 0, want 1 or m"),
    Case("Dropout p", lambda w: mr.Dropout(1.0), ValueError, r"p: got 1\.0, want .*\[0, 1\)"),
    Case("Activation", lambda w: mr.Activation("gelu"), ValueError,
         r'activation: got \'gelu\', want "tanh" or "sigmoid" or "relu"'),
    Case("Linear dtype", lambda w: mr.Linear(3, 4, dtype="int8"), ValueError,
         r'dtype: got \'int8\', want "float32" or "float64"'),
    Case("Linear init", lambda w: mr.Linear(3, 4, init="zeros"), ValueError,
         r"init: got 'zeros', want one of"),
    Case("Linear rng", lambda w: mr.Linear(3, 4, rng=1.5), TypeError, r"rng: got float, want None"),
    Case("Linear width", lambda w: w.out.forward(w.x), ValueError,
         r"x: got shape \(5, 3, 2\), want \(T, 4, N\)"),
    Case("Linear width of one step", lambda w: w.out.forward(w.x[0]), ValueError,
         r"x: got shape \(3, 2\), want \(4, N\)"),
    Case("Linear rank", lambda w: w.out.forward(w.dys[0, 0]), ValueError,
         r"x: got shape \(2,\), want \(T, 4, N\)"),
    Case("Linear dy", lambda w: w.out.backward(w.out.forward(w.dys)[1], w.dys), ValueError,
         r"dy: got shape \(5, 4, 2\), want \(5, 6, 2\)"),
    Case("Linear without a cache", lambda w: w.out.backward(None, w.dys), TypeError,
         r"cache: got NoneType, want"),
    Case("share of another shape", lambda w: mr.Linear(3, 4, share=w.embedding), ValueError,
         r"share: got .*\(6, 4\).*, want \(4, 3\)"),
    Case("share of another dtype", lambda w: mr.Linear(H, K, dtype="float64", share=w.embedding),
         ValueError, r"share: got .*float32.*, want .*float64"),
    Case("share of what is no layer", lambda w: mr.Linear(H, K, share=w.embedding.parameters()[0]),
         TypeError, r"share: got Parameter, want"),
    Case("Embedding of a token too large", lambda w: w.embedding.forward(w.tokens + 5), ValueError,
         r"x: got tokens from \d+ to \d+, want 0 to 5"),
    Case("Embedding of floats", lambda w: w.embedding.forward(w.tokens / 2), TypeError,
         r"x: got float64 of shape \(5, 2\).*integers below 6"),
    Case("Embedding of one number", lambda w: w.embedding.forward(2), ValueError,
         r"x: got shape \(\), want \(T, N\) or \(N,\)"),
    Case("Embedding dy", lambda w: w.embedding.backward(w.embedding.forward(w.tokens)[1], w.x),
         ValueError, r"dy: got shape \(5, 3, 2\), want \(5, 4, 2\)"),
    Case("OneHot of a token too large", lambda w: mr.OneHot(3).forward(w.tokens + 1), ValueError,
         r"x: got tokens from \d to \d, want 0 to 2"),
    Case("OneHot of one number", lambda w: mr.OneHot(3).forward(2), ValueError,
         r"x: got shape \(\), want \(T, N\) or \(N,\)"),
    Case("Dropout dropout_rng", lambda w: mr.Dropout(0.5).forward(w.x, dropout_rng=0.5), TypeError,
         r"dropout_rng: got float, want a numpy\.random\.Generator$"),
    Case("Dropout dy that would broadcast", lambda w: DROPOUT.backward(
             DROPOUT.forward(w.x, dropout_rng=np.random.default_rng(0))[1], w.x[:1]),
         ValueError, r"dy: got shape \(1, 3, 2\), want \(5, 3, 2\)"),
    Case("Activation dy that would broadcast", lambda w: TANH.backward(
             TANH.forward(w.x)[1], w.x[:1]),
         ValueError, r"dy: got shape \(1, 3, 2\), want \(5, 3, 2\)"),
]  # fmt: skip

CASES = {
    f"{group}: {case.name}": case
    for group, cases in {
        "x": INPUTS, "state": STATES, "lengths": LENGTHS, "check_finite": FINITE,
        "options": OPTIONS, "backward": BACKWARD, "step": STEPS, "layers": LAYERS,
    }.items()
    for case in cases
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_by_name_and_nothing_changed(name):
    case, w = CASES[name], World()
    values = w.model.state_dict()
    with unchanged(*w.arrays), pytest.raises(case.error, match=case.message):
        case.call(w)
    assert all_same_bits(w.model.state_dict(), values)
    assert not any(gradient.any() for gradient in gradients(w.model).values())


# ------------------------------------------------------------------------------ what is not refused


def test_what_the_cases_start_from_fits():
    """So each case fails because of what it changes."""
    w = World()
    w.rnn.backward(w.cache, w.dys, (w.h,))
    w.lstm.backward(w.lstm_cache, w.dys, (w.h2, w.c2))
    w.rnn.forward(
        w.x, (w.h,), lengths=[0, 5], dropout_rng=np.random.default_rng(0), check_finite=True
    )
    w.lstm.forward(w.x, (w.h2, w.c2), check_finite=True)
    w.both.forward(w.x, (w.h2,))
    w.text.forward(w.tokens, check_finite=True)
    w.rnn.step(w.x[0], (w.h,))
    w.text.step(w.tokens[0])
    w.embedding.backward(w.embedding.forward(w.tokens)[1], w.dys)
    w.out.backward(w.out.forward(w.dys)[1], np.ones((T, K, N)))
    assert w.rnn.last((w.h,)).shape == (H, N)
    assert w.both.last_backward(np.ones((2 * H, N)))[0].shape == (2, H, N)


@pytest.mark.parametrize("check_finite", [False, True])
@pytest.mark.parametrize("lengths", [[3, 2], [0, 5]], ids=str)
def test_padding_may_hold_anything(lengths, check_finite):
    w = World()
    padding = np.arange(T)[:, None] >= lengths
    expected, _, _ = w.rnn.forward(w.x, lengths=lengths)
    spoiled_x = np.where(padding[:, None], np.nan, w.x)
    ys, _, _ = w.rnn.forward(spoiled_x, lengths=lengths, check_finite=check_finite)
    np.testing.assert_array_equal(ys, expected)
    expected, _, _ = w.text.forward(w.tokens, lengths=lengths)
    spoiled_tokens = np.where(padding, -7, w.tokens)
    ys, _, _ = w.text.forward(spoiled_tokens, lengths=lengths, check_finite=check_finite)
    np.testing.assert_array_equal(ys, expected)


def test_nan_goes_through_unless_it_is_looked_for():
    w = World()
    ys, _, _ = w.rnn.forward(spoiled(w.x, (3, 1, 0), np.nan))
    assert np.isnan(ys[3:, :, 0]).all()
    assert np.isfinite(ys[:3]).all()
    assert np.isfinite(ys[:, :, 1]).all()


@pytest.mark.parametrize("scan", ["generic", "numpy"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("make", [mr.RNN, mr.LSTM])
def test_every_scan_lets_nan_through(make, activation, scan):
    rnn = make(D, H, activation=activation, scan=scan, rng=0)
    ys, _, _ = rnn.forward(np.full((T, D, N), np.nan))
    assert np.isnan(ys).all()


def test_a_forward_pass_leaves_older_caches_usable():
    w = World()
    w.rnn.forward(2 * w.x)
    assert_adds_up(w.rnn, lambda: w.rnn.backward(w.cache, w.dys))
