"""What a message says of the layout; numbers that would be lost; numbers of NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import same_bits

import minirnn as mr
from minirnn import data, plot
from minirnn.text import units

T, D, H, N, K = 5, 3, 4, 2, 6
RNG = np.random.default_rng(0)
X, TOKENS, WEIGHTS = RNG.normal(size=(T, D, N)), RNG.integers(0, K, (T, N)), np.ones((T, N))
RNN, OUT, TANH = mr.RNN(D, H, rng=0), mr.Linear(H, K, rng=0), mr.Activation("tanh")
YS, SERIES = RNN.forward(X)[0], RNG.normal(size=(9, D))
SCORES = OUT.forward(YS)[0]
SCALER = data.MinMaxScaler.fit(SERIES)


# ------------------------------------------------------------------------------------- layout


def images(T=28, N=64):
    """Scores of the last step, of an x that is (N, T, 28) and was read as if it were (T, 28, N)."""
    rnn, out = mr.LSTM(28, 16, rng=0), mr.Linear(16, 10, rng=0)
    return out.forward(rnn.last(rnn.forward(np.zeros((N, T, 28), "f4"))[1]))[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RNN.forward(X.transpose(2, 0, 1)), r"x: .*time_first\(x\).*x\.transpose\(0, 2, 1\)"),
        (lambda: RNN.step(X[0].T), r"x_t: got shape \(2, 3\), want \(3, N\); .* hand over x_t\.T"),
        (lambda: OUT.forward(YS[0].T), r"x: got shape \(2, 4\), want \(4, N\); .* x\.T"),
        (lambda: OUT.forward(YS.transpose(2, 0, 1)), r"x: .*minirnn\.data\.time_first\(x\)"),
        (lambda: mr.softmax_cross_entropy(images(), np.zeros(64, int)),
         r"targets: got shape \(64,\), want \(28,\); .*if x was \(N, T, D\), .*data\.time_first\(x\)"),
        (lambda: mr.mse(images(), np.zeros((10, 64))), r"target: .*if x was .*time_first\(x\)"),
        (lambda: mr.softmax_cross_entropy(SCORES, TOKENS.T), r"targets: .*if these are \(N, T\), .*\.T"),
        (lambda: mr.softmax_cross_entropy(SCORES.transpose(2, 0, 1), TOKENS.T),
         r"targets: .*if scores are \(N, T, K\), hand over minirnn\.data\.time_first\(scores\)"),
        (lambda: mr.softmax_cross_entropy(SCORES[0].T, TOKENS[0]), r"targets: .*hand over scores\.T"),
        (lambda: mr.softmax_cross_entropy(SCORES, SCORES), r"targets: .*one-hot, .*\.argmax\(axis=-2\)"),
        (lambda: mr.softmax_cross_entropy(SCORES, TOKENS, np.ones(K)), r"weights: .*weights\[targets\]"),
        (lambda: mr.mse(SCORES, SCORES.transpose(2, 0, 1)), r"target: .*time_first\(target\)"),
        (lambda: mr.mse(SCORES[0], SCORES[0].T), r"target: .*hand over target\.T"),
        (lambda: mr.mse(SCORES[:, :1], SCORES[:, 0]), r"target: .*hand over target\[\.\.\., None, :\]"),
        (lambda: RNN.forward(X, lengths=np.ones((T, N), bool)), r"lengths: .*of a mask.*sum\(axis=0\)"),
        (lambda: data.chronological_split(X, 0.7), r"rows: .*windows \(T, D, N\) want axis=-1"),
        (lambda: SCALER.transform(np.zeros((4, 5, D))), r"rows: got shape \(4, 5, 3\), want \(n, 3\)"),
    ],
)  # fmt: skip
def test_where_the_layout_can_be_known_the_message_speaks_of_it(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_where_features_are_in_their_place_nothing_is_said_of_the_layout():
    with pytest.raises(
        ValueError, match=r"^x_t: got shape \(4, 3, 3\), want \(3, N\), or integer tokens \(N,\)$"
    ):
        RNN.step(np.zeros((4, D, D)))


def test_windows_are_cut_and_drawn_along_their_last_axis():
    x, y = data.windows(np.arange(200.0).reshape(100, 2), np.arange(100), 7)
    (early, late), (y_early, _) = (data.chronological_split(a, 0.7, axis=-1) for a in (x, y))
    assert (early.shape, late.shape, y_early.shape) == ((7, 2, 65), (7, 2, 28), (65,))
    assert same_bits(np.concatenate((early, late), axis=2), x)
    drawn = np.concatenate(list(data.batches((x, y), 4)))
    assert sorted(drawn) == list(range(93))
    for axis in (3, -4, 0.5, True):
        with pytest.raises((ValueError, TypeError), match="axis: got"):
            data.chronological_split(x, 0.7, axis=axis)
    with pytest.raises(TypeError, match="rows: got a tuple of arrays, want one array"):
        data.chronological_split((y, y), 0.7)


# -------------------------------------------------------------------------- numbers that are lost


@pytest.mark.parametrize(("bad", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (1e300, r"1e\+300")])
def test_saved_values_that_are_no_numbers_are_refused(bad, shown):
    layer, optimizer = mr.Linear(H, K, rng=0), mr.Adam(OUT.parameters())
    average = mr.Average(OUT.parameters())
    for thing, key in ((layer, "V"), (optimizer, "m.V"), (average, "V")):
        before = thing.state_dict()
        values = {k: np.array(v, float) if np.ndim(v) else v for k, v in before.items()}
        values[key][1, 2] = bad
        with pytest.raises(ValueError, match=rf"\['{key}'\]: (got )?{shown}"):
            thing.load_state_dict(values)
        after = thing.state_dict()
        assert all(np.array_equal(before[name], after[name]) for name in before)
    with pytest.raises(ValueError, match=r"V: got 1e\+300, which float32 cannot hold"):
        layer.parameters()[0].data = np.full((K, H), 1e300)


def test_no_part_of_a_number_is_dropped():
    for call, name in (
        (lambda: mr.mse(YS, YS + 1j), "target"),
        (lambda: mr.mse(YS, YS.astype(str)), "target"),
        (lambda: mr.softmax_cross_entropy(SCORES, TOKENS, WEIGHTS + 0j), "weights"),
        (lambda: mr.softmax_cross_entropy(SCORES, TOKENS, WEIGHTS.astype(str)), "weights"),
        (lambda: data.MinMaxScaler.fit(SERIES + 0j), "rows"),
        (lambda: data.MinMaxScaler.fit(SERIES.astype(str)), "rows"),
        (lambda: data.windows(SERIES.astype(object), SERIES, 3), "features"),
        (lambda: TANH.forward(X.astype(str)), "x"),
    ):
        with pytest.raises(
            TypeError, match=rf"^{name}: got (complex|<U|object)\w*, want (real )?num"
        ):
            call()


# ------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.array], ids=str)
def test_numbers_of_numpy_are_numbers(kind):
    """Also where arithmetic with a type so small would overflow."""
    net = mr.LSTM(
        kind(70),
        kind(70),
        kind(2),
        dropout=np.float32(0.5),
        rng=kind(3) if kind is not np.array else 3,
    )
    assert net.parameters()[0].shape == (280, 70)
    ids = np.arange(600) % 3
    assert len(data.Streams(ids, kind(200), kind(2))) == 1
    assert data.windows(np.zeros((300, 1)), np.zeros(300), kind(4), kind(1))[0].shape == (4, 1, 296)
    assert len(data.chronological_split(np.zeros(500), np.float32(0.5), kind(3))[1]) == 253
    assert data.real_steps([1, 2], kind(2)).shape == (2, 2)
    assert data.one_hot(TOKENS, kind(200)).shape == (T, 200, N)
    assert len(list(data.batches(kind(200), kind(150)))) == 2
    assert mr.LanguageModel(kind(200), kind(4), embedding=kind(3)).forward(TOKENS)[0].shape == (
        T,
        200,
        N,
    )


def test_sizes_that_are_no_integers_are_refused():
    for call in (
        lambda v: data.real_steps([1, 2], v),
        lambda v: data.batches(9, v),
        lambda v: mr.Embedding(v, 3),
        lambda v: data.Streams(np.arange(9), v, 2),
        lambda v: data.windows(SERIES, SERIES, v),
    ):
        for value in (2.5, 2.0, True, "2", None, np.float64(2), np.array([2]), np.array(2.0)):
            with pytest.raises(TypeError, match=r"^\w+: got .*, want an integer"):
                call(value)


class Axes:
    """What refuses to be drawn into."""


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mr.LSTM(D, H, dtype=np.zeros(2)), ValueError, 'dtype: got .*, want "float32" or'),
        (lambda: mr.LSTM(D, H, init=np.zeros(2)), ValueError, "init: got .*, want one of 'uniform'"),
        (lambda: mr.Activation(np.zeros(2)), ValueError, 'activation: got .*, want "tanh" or'),
        (lambda: mr.Recurrent("lstm", D, H), TypeError, r"cell: got 'lstm', .*such as LSTMCell\(\)"),
        (lambda: mr.LSTM(D, H, forget_bias=True), TypeError, "forget_bias: got True, want a number"),
        (lambda: mr.summary(RNN.parameters()), TypeError, "model: got list, want a network or a model"),
        (lambda: mr.clip_grad_norm(OUT.parameters(), 1.0, "no"), TypeError, "error_if_.*: got 'no'"),
        (lambda: OUT.load_state_dict(OUT.state_dict(), "no"), TypeError, "strict: got 'no', want True"),
        (lambda: mr.SGD(OUT.parameters(), 0.1, 0.9, "no"), TypeError, "nesterov: got 'no', want True"),
        (lambda: setattr(OUT.parameters()[0], "frozen", "no"), TypeError, "frozen: got 'no', want True"),
        (lambda: RNN.forward(X, want_cache="no"), TypeError, "want_cache: got 'no', want True or False"),
        (lambda: RNN.forward(X, check_finite="no"), TypeError, "check_finite: got 'no', want True or"),
        (lambda: RNN.backward(RNN.forward(X)[2], YS, want_dx="no"), TypeError, "want_dx: got 'no'"),
        (lambda: OUT.forward(RNN.forward(X)), ValueError, "x: .*the first of what forward returns"),
        (lambda: mr.generate(RNN, [0], 0), TypeError, "step: got RNN, want a function"),
        (lambda: mr.greedy_search(RNN, None, [0], 0, 2), TypeError, "step: got RNN, want a function"),
        (lambda: data.pad(3), TypeError, "sequences: got int, want sequences"),
        (lambda: data.pad([[1], [2, 3]], "x"), TypeError, "value: got str, want an array"),
        (lambda: data.pad([[1], [2, 3]], None), TypeError, "value: got object, want numbers"),
        (lambda: data.MinMaxScaler([0, 1], ["a", "b"]), TypeError, "span: got <U1, want numbers"),
        (lambda: plot.loss_curve(Axes(), np.ones((2, 3))), ValueError, r"losses: got shape \(2, 3\)"),
        (lambda: plot.loss_curve(Axes(), []), ValueError, "losses: got none, want one or more"),
        (lambda: plot.loss_curves(Axes(), [[1, 2]]), TypeError, "curves: got list, want arrays by name"),
        (lambda: plot.loss_curves(Axes(), {"a": [1.0]}), TypeError, r"curves\['a'\]: want a pair"),
        (lambda: plot.loss_curves(Axes(), {}, pale="a"), TypeError, "pale: got 'a', want a list"),
        (lambda: plot.states_over_time(Axes(), np.zeros((3, 2)), "ab", "abc"), ValueError,
         r"below: got 2, want 3 for h of shape \(3, 2\)"),
        (lambda: plot.text_by_unit(Axes(), ["a"], [0.0]), TypeError, "text: got list, want a str"),
        (lambda: units.rank_units(np.zeros((4, 2)), [1]), TypeError, "features: got list, want arrays"),
    ],
)  # fmt: skip
def test_habits_from_elsewhere_are_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()
