"""From rows to columns: windows see no future, scalers come back, batches and padding lose nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers import same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minirnn as mr
from minirnn import data

quick = settings(max_examples=100, deadline=None, derandomize=True)
sizes = st.integers(1, 6)
prices = st.floats(-1e6, 1e6, allow_subnormal=False)


def numbered(*shape):
    """An array whose elements are all different."""
    return np.arange(float(np.prod(shape, dtype=int))).reshape(shape)


def error(message):
    """To match the whole message."""
    return f"^{re.escape(message)}$"


# Windows


@quick
@given(sizes, sizes, sizes, st.sampled_from([0, 1, 5]), st.integers(1, 20))
def test_windows_are_those_of_a_loop(T, D, K, ahead, N):
    n = N + T - 1 + ahead
    features, targets = numbered(n, D), -numbered(n, K)
    with unchanged(features, targets):
        x, y = data.windows(features, targets, T, ahead)
        of_one, y_of_one = data.windows(features, targets[:, 0], T, ahead)
    assert x.shape == (T, D, N)
    assert y.shape == (K, N)
    for k in range(N):
        assert (x[:, :, k] == features[k : k + T]).all()
        assert (y[:, k] == targets[k + T - 1 + ahead]).all()
    assert same_bits(of_one, x)
    assert same_bits(y_of_one, y[0])


def test_windows_look_one_row_ahead_unless_told_otherwise():
    x, y = data.windows(numbered(4, 1), np.arange(4), 2)
    assert x[:, 0].T.tolist() == [[0, 1], [1, 2]]
    assert y.tolist() == [2, 3]
    assert y.dtype == int


@pytest.mark.parametrize("T", [1, 3])
def test_windows_are_contiguous_copies(T):
    features, targets = numbered(9, 2), numbered(9, 3)
    x, y = data.windows(features, targets, T)
    for copy, original in ((x, features), (y, targets)):
        assert copy.flags.c_contiguous
        assert copy.flags.owndata
        assert copy.flags.writeable
        assert not np.shares_memory(copy, original)


@pytest.mark.parametrize(
    ("features", "targets", "T", "ahead", "message"),
    [
        (numbered(9), numbered(9), 2, 1, "features: got shape (9,), want (n, D)"),
        (numbered(9, 2), numbered(8), 2, 1, "targets: got shape (8,), want (9,) or (9, K)"),
        (numbered(9, 2), 1.0, 2, 1, "targets: got shape (), want (9,) or (9, K)"),
        (numbered(9, 2), numbered(9, 1, 1), 2, 1, "targets: got shape (9, 1, 1), want (9,) or (9, K)"),
        (numbered(9, 2), numbered(9), 0, 1, "T: got 0, want 1 or more"),
        (numbered(9, 2), numbered(9), 2, -1, "ahead: got -1, want 0 or more"),
        (
            numbered(6, 2), numbered(6), 4, 3,
            "features: got 6 rows, want 7 or more for windows of 4 and a target 3 ahead",
        ),
    ],
)  # fmt: skip
def test_windows_say_what_does_not_fit(features, targets, T, ahead, message):
    with pytest.raises(ValueError, match=error(message)):
        data.windows(features, targets, T, ahead)


def test_as_few_rows_as_windows_need_are_enough():
    x, y = data.windows(numbered(7, 2), np.arange(7), 4, 3)
    assert x.shape == (4, 2, 1)
    assert y.tolist() == [6]


# Earlier and later rows


@quick
@given(st.integers(1, 300), st.integers(1, 99), st.integers(0, 20))
def test_a_split_keeps_the_order_and_loses_nothing(n, percent, overlap):
    rows = np.arange(n)
    cut = n * percent // 100  # in integers, so that nothing is rounded
    if cut < max(1, overlap):
        with pytest.raises(ValueError, match=rf"^rows: got {n}, of which \S+ are {cut}, want "):
            data.chronological_split(rows, percent / 100, overlap)
        return
    earlier, later = data.chronological_split(rows, percent / 100, overlap)
    assert earlier.tolist() == list(range(cut))
    assert later.tolist() == list(range(cut - overlap, n))
    for part, listed in zip(
        (earlier, later),
        data.chronological_split(rows.tolist(), percent / 100, overlap),
        strict=True,
    ):
        assert same_bits(part, listed)  # an array, whatever was given


@pytest.mark.parametrize(("n", "share", "cut"), [(100, 0.29, 29), (3, 2 / 3, 2), (732, 0.7, 512)])
def test_shares_are_cut_where_decimal_numbers_say(n, share, cut):
    assert len(data.chronological_split(np.zeros(n), share)[0]) == cut


def test_overlap_puts_the_first_target_right_after_the_cut():
    rows = numbered(20, 2)
    earlier, later = data.chronological_split(rows, 0.7, overlap=3)
    assert len(earlier) == 14
    x, targets = data.windows(later, later[:, 0], T=3)
    assert (x[:, :, 0] == rows[11:14]).all()
    assert (targets == rows[14:, 0]).all()


@pytest.mark.parametrize("share", [0, 0.0, 1, 1.5, -0.1, np.nan])
def test_a_share_is_between_0_and_1(share):
    with pytest.raises(ValueError, match=rf"^share: got {share}, want a number in "):
        data.chronological_split(np.zeros(9), share)


@pytest.mark.parametrize(
    ("n", "share", "overlap", "message"),
    [
        (3, 0.3, 0, "rows: got 3, of which 0.3 are 0, want 1 or more before the cut and 1 or more"),
        (0, 0.5, 0, "rows: got 0, of which 0.5 are 0, want 1 or more before the cut and 1 or more"),
        (9, 0.5, 5, "rows: got 9, of which 0.5 are 4, want 5 or more before the cut and 1 or more"),
        (9, 0.9999999999999999, 0, "rows: got 9, of which 1 are 9, want 1 or more before"),
        (9, 0.5, -1, "overlap: got -1, want 0 or more"),
    ],
)
def test_no_part_of_a_split_is_empty(n, share, overlap, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        data.chronological_split(np.zeros(n), share, overlap)


# Scaling


@quick
@given(st.data())
def test_a_scaler_comes_back_and_fits_what_it_was_fitted_to(draw):
    shape = draw.draw(array_shapes(min_dims=1, max_dims=2, max_side=6))
    rows = draw.draw(arrays(float, shape, elements=prices))
    others = draw.draw(arrays(float, (3, *shape[1:]), elements=prices))
    scaler = data.MinMaxScaler.fit(rows)
    scaled = scaler.transform(rows)
    assert (scaled.min(axis=0) == 0).all()
    constant = rows.min(axis=0) == rows.max(axis=0)
    assert (scaled.max(axis=0) == np.where(constant, 0, 1)).all()
    rounding = 1e-15 * (np.abs(scaler.low) + np.abs(others))
    assert (np.abs(scaler.inverse(scaler.transform(others)) - others) <= 3 * rounding).all()


def test_scaling_by_hand():
    scaler = data.MinMaxScaler.fit([[1, 10, 7], [3, 20, 7], [2, 40, 7]])
    assert scaler.transform([[1, 10, 7], [2, 25, 7]]).tolist() == [[0, 0, 0], [0.5, 0.5, 0]]
    assert scaler.transform([[5, -20, 8]]).tolist() == [[2, -1, 1]]  # beyond what was seen
    assert scaler.transform([2, 25, 7]).tolist() == [0.5, 0.5, 0]  # one row
    assert scaler.inverse([[0.5, 2, 3]]).tolist() == [[2, 70, 10]]


def test_a_scaler_of_one_column_takes_any_shape():
    scaler = data.MinMaxScaler.fit([2.0, 6.0, 4.0])
    assert scaler.low == 2
    assert scaler.span == 4
    assert scaler.inverse(np.array([[0, 0.5], [1, 2]])).tolist() == [[2, 4], [6, 10]]


@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (4,), ()])
@pytest.mark.parametrize("method", ["transform", "inverse"])
def test_a_scaler_refuses_other_columns(method, shape):
    """Where a shape of (4, 1) would be spread over both columns."""
    scaler = data.MinMaxScaler.fit(numbered(5, 2))
    with pytest.raises(ValueError, match=error(f"rows: got shape {shape}, want (n, 2) as fitted")):
        getattr(scaler, method)(np.zeros(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_scaler_is_not_fitted_to_what_is_no_number(bad):
    rows = numbered(4, 2)
    rows[2, 1] = bad
    message = f"rows: {bad} at index (2, 1), want finite numbers"
    with pytest.raises(ValueError, match=error(message)):
        data.MinMaxScaler.fit(rows)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 2, 2), ()])
def test_a_scaler_is_fitted_to_rows(shape):
    message = f"rows: got shape {shape}, want (n, D) or (n,), n of 1 or more"
    with pytest.raises(ValueError, match=error(message)):
        data.MinMaxScaler.fit(np.zeros(shape))


def test_nothing_of_the_future_reaches_the_training_windows(rng):
    rows = rng.random((30, 2))

    def prepared(rows):
        earlier, _ = data.chronological_split(rows, 0.7, overlap=4)
        scaled = data.MinMaxScaler.fit(earlier).transform(earlier)
        return data.windows(scaled, scaled[:, 0], T=4)

    x, targets = prepared(rows)
    for row in range(30):
        changed = rows.copy()
        changed[row] += 10
        same = [same_bits(a, b) for a, b in zip((x, targets), prepared(changed), strict=True)]
        assert same == [row >= 21] * 2


# Batches


@quick
@given(st.integers(1, 50), st.integers(1, 60), st.integers(0, 9), st.booleans())
def test_every_example_is_in_one_batch(n, size, seed, drop_last):
    if drop_last and n < size:
        message = f"size: got {size}, want {n} = n or less, so that a batch is full"
        with pytest.raises(ValueError, match=error(message)):
            data.batches(n, size, None, drop_last)
        return
    parts = list(data.batches(n, size, np.random.default_rng(seed), drop_last))
    rest = 0 if drop_last else n % size
    assert [len(part) for part in parts] == [size] * (n // size) + [rest] * bool(rest)
    seen = np.concatenate(parts)
    assert len(set(seen.tolist())) == len(seen)
    assert set(seen.tolist()) <= set(range(n))
    random = np.random.default_rng(seed)
    examples = np.zeros((2, 3, n)), np.zeros(n)  # whose last axis they are
    again = np.concatenate(list(data.batches(examples, size, random, drop_last)))
    assert same_bits(seen, again)


def test_batches_are_shuffled_anew_each_time():
    random = np.random.default_rng(0)
    first, second = (np.concatenate(list(data.batches(100, 10, random))) for _ in range(2))
    assert not (first == np.arange(100)).all()
    assert not (first == second).all()
    fresh = np.concatenate(list(data.batches(100, 10)))
    assert not (fresh == first).all()


@pytest.mark.parametrize(
    ("n", "size", "kind", "message"),
    [
        (0, 1, ValueError, "n: got 0, want 1 or more"),
        (3, 0, ValueError, "size: got 0, want 1 or more"),
        (3, 2.0, TypeError, "size: got 2.0, want an integer"),
        ("x", 2, TypeError, "n: got 'x', want an integer"),
        (np.ones((4, 2, 0)), 2, ValueError, "n: got 0, want 1 or more"),
        ((np.ones((2, 9)), np.ones(2)), 2, ValueError,
         "n: got arrays of shapes (2, 9), (2,), want one last axis, which is the examples"),
    ],
)  # fmt: skip
def test_mistakes_in_batches_are_told_before_the_first_one(n, size, kind, message):
    with pytest.raises(kind, match=error(message)):
        data.batches(n, size)


# Layouts


@quick
@given(
    array_shapes(min_dims=2, max_dims=3, max_side=5),
    st.booleans(),
    st.sampled_from(["f4", "f8", "i8", "u1"]),
)
def test_layouts_are_copies_and_undo_each_other(shape, transposed, dtype):
    x = numbered(*shape).astype(dtype)
    x = x.T if transposed else x
    columns = data.time_first(x)
    assert columns.shape == (*x.shape[1:], x.shape[0])
    for n, sequence in enumerate(x):
        assert (columns[..., n] == sequence).all()
    back = data.batch_first(columns)
    assert same_bits(back, x)
    for array in (columns, back):
        assert array.flags.c_contiguous  # even of one sequence, where a view would do
        assert array.flags.owndata
    assert not np.shares_memory(columns, x)
    assert not np.shares_memory(back, columns)


def test_layouts_take_lists_and_name_what_has_no_time():
    assert data.time_first([[1, 2, 3]]).tolist() == [[1], [2], [3]]
    for shape in ((3,), (1, 2, 3, 4), ()):
        with pytest.raises(
            ValueError, match=error(f"x: got shape {shape}, want (N, T, D) or (N, T)")
        ):
            data.time_first(np.zeros(shape))
        with pytest.raises(
            ValueError, match=error(f"ys: got shape {shape}, want (T, D, N) or (T, N)")
        ):
            data.batch_first(np.zeros(shape))


# Padding


@quick
@given(st.data())
def test_padding_is_that_of_a_loop(draw):
    D = draw.draw(st.sampled_from([None, 1, 3]))
    lengths = draw.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5))
    sequences = [
        1 + numbered(length, *([D] if D else [])).astype(np.int8 if D is None else np.float32)
        for length in lengths
    ]
    with unchanged(*sequences):
        x, told = data.pad(sequences, value=-1)
    T = max(lengths)
    assert x.shape == (T, *([D] if D else []), len(lengths))
    assert told.tolist() == lengths
    for n, sequence in enumerate(sequences):
        assert (x[: len(sequence), ..., n] == sequence).all()
        assert (x[len(sequence) :, ..., n] == -1).all()
    assert x.flags.c_contiguous
    if T:
        assert x.dtype == sequences[0].dtype
    else:
        assert x.dtype == (int if D is None else np.float32)


def test_padding_may_be_nan_for_numbers(rng):
    x, lengths = data.pad([rng.random((2, 3)), [], rng.random((4, 3))], np.nan)
    assert lengths.tolist() == [2, 0, 4]
    assert x.shape == (4, 3, 3)
    assert np.isnan(x[2:, :, 0]).all()
    assert np.isnan(x[:, :, 1]).all()
    assert np.isfinite(x[:, :, 2]).all()
    assert data.pad([np.zeros((0, 3))], np.nan)[0].shape == (0, 3, 1)


@pytest.mark.parametrize("make", [mr.RNN, mr.LSTM, mr.GRU])
@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "numbers"])
def test_a_padded_batch_gives_each_sequence_what_it_gets_alone(make, tokens, rng):
    sequences = [
        rng.integers(0, 3, length) if tokens else rng.random((length, 3)) for length in (4, 0, 2, 5)
    ]
    rnn = make(3, 4, bidirectional=True, dtype="float64", rng=0)
    x, lengths = data.pad(sequences, value=77 if tokens else np.nan)
    ys, state, _ = rnn.forward(x, lengths=lengths)
    for n, sequence in enumerate(sequences):
        alone, state_alone, _ = rnn.forward(sequence[..., None])
        np.testing.assert_allclose(ys[: len(sequence), :, n], alone[:, :, 0], rtol=1e-12)
        assert (ys[len(sequence) :, :, n] == 0).all()
        for part, part_alone in zip(state, state_alone, strict=True):
            np.testing.assert_allclose(part[:, :, n], part_alone[:, :, 0], rtol=1e-12)


def test_an_all_empty_batch_of_tokens_is_read():
    x, lengths = data.pad([[], []])
    assert x.shape == (0, 2)
    ys, _, _ = mr.LSTM(3, 4, rng=0).forward(x, lengths=lengths)
    assert ys.shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("sequences", "shapes"),
    [
        ([], "none"),
        ([[1, 2], [[1, 2]]], "(2,), (1, 2)"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "(2, 3), (2, 4)"),
        ([np.zeros((1, 2, 3))], "(1, 2, 3)"),
        ([1, 2], "(), ()"),
        ([[1], 2], "(1,), ()"),
    ],
)
def test_sequences_differ_in_length_alone(sequences, shapes):
    message = f"sequences: got shapes {shapes}, want (length,), or (length, D) of one D"
    with pytest.raises(ValueError, match=error(message)):
        data.pad(sequences)


def test_words_are_not_padded_before_they_are_encoded():
    with pytest.raises(TypeError, match=r"^sequences: got <U1, want real numbers$"):
        data.pad([list("hello"), list("hi")])


@pytest.mark.parametrize(
    ("dtype", "value"), [(int, np.nan), (int, 0.5), (np.uint8, -1), (np.uint8, 256)]
)
def test_padding_is_what_was_asked_for_or_an_error(dtype, value):
    message = f"value: got {value}, which {np.dtype(dtype)} cannot hold"
    with pytest.raises(ValueError, match=error(message)):
        data.pad([np.zeros(2, dtype), np.zeros(3, dtype)], value)


# One-hot columns


@quick
@given(st.data(), st.integers(1, 6), st.sampled_from(["float32", "float64"]))
def test_one_hot_is_that_of_a_loop_and_of_the_layer(draw, K, dtype):
    shape = draw.draw(array_shapes(min_dims=1, max_dims=2, max_side=5))
    tokens = draw.draw(arrays(np.int64, shape, elements=st.integers(0, K - 1)))
    x = data.one_hot(tokens, K, dtype)
    wanted = np.zeros((*shape[:-1], K, shape[-1]), dtype)
    for place, token in np.ndenumerate(tokens):
        wanted[(*place[:-1], token, place[-1])] = 1
    assert same_bits(x, wanted)
    assert same_bits(mr.OneHot(K, dtype).forward(tokens)[0], wanted)
    assert same_bits(data.one_hot(tokens.tolist(), K, dtype), wanted)


@pytest.mark.parametrize(
    ("tokens", "K", "kind", "message"),
    [
        ([[0, 4]], 4, ValueError, "tokens: got tokens from 0 to 4, want 0 to 3"),
        ([[0, -1]], 4, ValueError, "tokens: got tokens from -1 to 0, want 0 to 3"),
        ([0.0], 4, TypeError, "tokens: got float64 of shape (1,), want integers below 4"),
        ([[[0]]], 4, ValueError, "tokens: got shape (1, 1, 1), want (T, N) or (N,)"),
        (0, 4, ValueError, "tokens: got shape (), want (T, N) or (N,)"),
        ([0], 0, ValueError, "K: got 0, want 1 or more"),
        ([0], 1.0, TypeError, "K: got 1.0, want an integer"),
    ],
)
def test_one_hot_says_what_does_not_fit(tokens, K, kind, message):
    with pytest.raises(kind, match=error(message)):
        data.one_hot(np.array(tokens), K)


def test_one_hot_of_no_tokens_is_empty():
    assert data.one_hot(np.zeros((0, 3), int), 4).shape == (0, 4, 3)


def test_real_steps_are_one_up_to_each_length():
    got = data.real_steps([2, 0, 4], 4)
    assert got.dtype == np.float32
    assert got.T.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]
    assert data.real_steps([3, 3], 3).tolist() == [[1, 1]] * 3
    assert data.real_steps([], 2).shape == (2, 0)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([5], ValueError, "lengths: got 5 to 5, want 0 to T = 4"),
        ([-1, 2], ValueError, "lengths: got -1 to 2, want 0 to T = 4"),
        ([1.5], TypeError, "lengths: got float64, want integers"),
        ([[1]], ValueError, r"lengths: got shape \(1, 1\), want \(N\)"),
    ],
)
def test_real_steps_refuse_other_lengths(lengths, error, message):
    with pytest.raises(error, match=message):
        data.real_steps(lengths, 4)
