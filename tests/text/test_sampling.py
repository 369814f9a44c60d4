"""Sampling: probabilities by a plain loop and by hand, extremes, frequencies, streams."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from helpers import same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.text.sampling import generate, next_token_probabilities, sample_token

quick = settings(max_examples=100, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
options = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0, 1e-320, 0.01, 0.5, 1, 2, 1e300]),
        "top_k": st.none() | st.integers(1, 8),
        "top_p": st.none() | st.floats(0, 1, exclude_min=True),
    }
)
HALVES = np.log([0.125, 0.5, 0.125, 0.25])


def plain_probabilities(scores, temperature, top_k, top_p):
    """Of one column, token by token, in Python's own numbers."""
    K = len(scores)
    exponentials = [math.exp(score / temperature) for score in scores]
    ranked = sorted(range(K), key=lambda k: (-exponentials[k], k))[:top_k]
    total = sum(exponentials[k] for k in ranked)
    kept, reached = [], 0.0
    for k in ranked:
        if reached < (top_p or 1):
            kept.append(k)
            reached += exponentials[k] / total
    total = sum(exponentials[k] for k in kept)
    return [exponentials[k] / total if k in kept else 0.0 for k in range(K)]


# -------------------------------------------------------------------------------- probabilities


@quick
@given(
    K=st.integers(1, 6),
    temperature=st.sampled_from([0.3, 1, 2.5]),
    top_k=st.none() | st.integers(1, 8),
    top_p=st.none() | st.floats(0.01, 0.99),
    seed=seeds,
)
def test_the_probabilities_are_those_of_a_plain_loop(K, temperature, top_k, top_p, seed):
    scores = 2 * np.random.default_rng(seed).standard_normal((K, 3))
    p = next_token_probabilities(scores, temperature, top_k, top_p)
    for column, expected in zip(p.T, scores.T, strict=True):
        expected = plain_probabilities(expected, temperature, top_k, top_p)
        np.testing.assert_allclose(column, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        ({}, [1, 4, 1, 2]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 2, 0, 1]),
        ({"top_k": 3}, [1, 4, 0, 2]),  # of equal ones the first
        ({"top_k": 9}, [1, 4, 1, 2]),
        ({"top_p": 0.499}, [0, 1, 0, 0]),
        ({"top_p": 0.501}, [0, 2, 0, 1]),
        ({"top_p": 0.749}, [0, 2, 0, 1]),
        ({"top_p": 0.751}, [1, 4, 0, 2]),
        ({"top_p": 0.876}, [1, 4, 1, 2]),
        ({"top_p": 1}, [1, 4, 1, 2]),
        ({"top_k": 2, "top_p": 0.6}, [0, 1, 0, 0]),  # 2/3 of what top_k has left
        ({"temperature": 0.5}, [1, 16, 1, 4]),
        ({"temperature": 0.5, "top_p": 0.7}, [0, 1, 0, 0]),  # 16/22, after the temperature
    ],
    ids=str,
)
def test_the_probabilities_by_hand(cut, expected):
    p = next_token_probabilities(HALVES, **cut)
    np.testing.assert_allclose(p, np.array(expected) / sum(expected), rtol=1e-12, atol=0)


@pytest.mark.parametrize("cut", [{"top_k": 72}, {"top_p": 0.859}], ids=str)
def test_of_many_equal_ones_the_first_are_kept(cut):
    """50 tokens of probability 0.015, and 22 of 50 of 0.005."""
    odd = np.arange(100) % 2
    kept = next_token_probabilities(odd * math.log(3), **cut) > 0
    np.testing.assert_array_equal(kept, odd | (np.arange(100) < 44))


@pytest.mark.parametrize("tenths", range(1, 11))
def test_the_nucleus_is_not_too_large_by_a_rounding_error(tenths):
    p = next_token_probabilities(np.zeros(10), top_p=tenths / 10)  # 8 · 0.1 is below 0.8 as a sum
    np.testing.assert_allclose(p, [1 / tenths] * tenths + [0] * (10 - tenths), rtol=1e-12)


def test_a_top_p_of_one_keeps_the_least_likely():
    p = next_token_probabilities(np.array([0.0, -80]), top_p=1.0)
    assert 0 < p[1] < 1e-34


@quick
@given(
    K=st.integers(1, 6), N=st.integers(0, 3), options=options, seed=seeds,
    scale=st.sampled_from([0, 1, 1e4, 1e308]),
)  # fmt: skip
def test_probabilities_sum_to_one_whatever_the_scores_and_options(K, N, options, seed, scale):
    scores = scale * np.random.default_rng(seed).uniform(-1, 1, (K, N))
    p = next_token_probabilities(scores, **options)
    assert p.shape == (K, N)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=1e-12)
    if options["top_k"] is not None:
        assert ((p > 0).sum(axis=0) <= options["top_k"]).all()


@quick
@given(options=options, shift=st.floats(-1e3, 1e3), seed=seeds)
def test_a_constant_added_to_the_scores_changes_nothing(options, shift, seed):
    scores = np.random.default_rng(seed).integers(-9, 9, (5, 2)) / 4
    shift = round(shift)  # so that no digits of the scores are lost
    p = next_token_probabilities(scores, **options)
    assert same_bits(next_token_probabilities(scores + shift, **options), p)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, int])
def test_probabilities_are_float64_and_the_scores_are_not_written_to(dtype):
    scores = np.array([[3, 1], [0, 2], [-4, 1]], dtype)
    with unchanged(scores):
        p = next_token_probabilities(scores, 0.5, 2, 0.9)
        sample_token(scores, np.random.default_rng(0), 0)
    assert same_bits(p, next_token_probabilities(scores.astype(np.float64), 0.5, 2, 0.9))


def test_scores_of_one_column_may_have_no_second_axis():
    scores = np.random.default_rng(0).standard_normal((5, 3))
    p = next_token_probabilities(scores, 0.7, 4, 0.9)
    for n in range(3):
        alone = next_token_probabilities(scores[:, n], 0.7, 4, 0.9)
        np.testing.assert_allclose(alone, p[:, n], rtol=1e-14)


@pytest.mark.parametrize("scores", [[0, 3, 1, 3], [2, 2, 2, 2], [-1e4, 1e4, 0, 9e3]], ids=str)
@pytest.mark.parametrize(
    "cut", [{"temperature": 0}, {"top_k": 1}, {"top_p": 1e-9}, {"top_p": 5e-324}], ids=str
)
def test_greedy_takes_the_first_of_the_likeliest(scores, cut):
    scores = np.array(scores, float)
    one_hot = np.arange(4) == scores.argmax()
    np.testing.assert_array_equal(next_token_probabilities(scores, **cut), one_hot)
    assert sample_token(scores, np.random.default_rng(0), **cut) == scores.argmax()


@pytest.mark.parametrize("temperature", [1e-320, 1e-9])
def test_a_tiny_temperature_shares_between_the_likeliest(temperature):
    p = next_token_probabilities(np.array([-1e4, 1e4, 3, 1e4]), temperature)
    np.testing.assert_array_equal(p, [0, 0.5, 0, 0.5])


# --------------------------------------------------------------------------------------- tokens


class Fixed(np.random.Generator):
    """A generator whose random numbers are all the same."""

    def __init__(self, number):
        super().__init__(np.random.PCG64(0))
        self.number = number

    def random(self, size):
        return np.full(size, self.number)


@pytest.mark.parametrize("cut", [{}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.8}], ids=str)
def test_tokens_come_as_often_as_is_likely(cut):
    n, rng = 40_000, np.random.default_rng(1)
    scores = np.array([0.5, -1, 2, 0, 1.5])
    p = next_token_probabilities(scores, **cut)
    tokens = sample_token(np.tile(scores[:, None], n), rng, **cut)
    assert tokens.shape == (n,)
    counts = np.bincount(tokens, minlength=5)
    assert (counts[p == 0] == 0).all()
    deviations = (counts - n * p) / np.sqrt(n * p * (1 - p) + 1e-9)
    assert np.abs(deviations).max() < 3.5


@pytest.mark.parametrize(
    ("number", "token"),
    [(0.0, 1), (0.2, 1), (0.25, 2), (0.7, 2), (0.75, 4), (1 - 2**-53, 4)],
)
def test_the_distribution_is_inverted_exactly(number, token):
    """Also at its ends, where tokens without probability lie."""
    scores = np.array([-1e4, 0, math.log(2), -1e4, 0, -1e4])
    assert sample_token(scores, Fixed(number)) == token
    np.testing.assert_array_equal(sample_token(np.stack([scores] * 2, 1), Fixed(number)), token)


@pytest.mark.parametrize("K", [3, 10, 49, 1000])
def test_a_random_number_close_to_one_gives_a_token_that_exists(K):
    """Though the sum of the probabilities may be a little less than 1."""
    assert sample_token(np.zeros(K), Fixed(1 - 2**-53)) == K - 1


def test_columns_are_drawn_independently():
    rng = np.random.default_rng(0)
    tokens = np.array([sample_token(np.zeros((2, 3)), rng) for _ in range(4000)])
    assert np.abs(np.corrcoef(tokens.T) - np.eye(3)).max() < 0.05


@quick
@given(options=options, scale=st.sampled_from([0, 1, 1e4]), seed=seeds, alone=st.booleans())
def test_scores_and_options_do_not_change_how_many_random_numbers_are_drawn(
    options, scale, seed, alone
):
    rng, same = np.random.default_rng(seed), np.random.default_rng(seed)
    scores = scale * np.random.default_rng(0).standard_normal(5 if alone else (5, 3))
    tokens = sample_token(scores, rng, **options)
    assert isinstance(tokens, int) if alone else tokens.shape == (3,)
    same.random(1 if alone else 3)
    assert rng.random() == same.random()


# -------------------------------------------------------------------------------------- streams


class Reader:
    """A step whose state is the tokens read; what comes next is likely to be their sum."""

    K = 7

    def __init__(self):
        self.seen = []

    def __call__(self, tokens, state):
        assert tokens.shape == (1,)
        assert tokens.dtype.kind == "i"
        state = (*(state or ()), int(tokens[0]))
        self.seen.append(state)
        return 2.0 * (np.arange(self.K)[:, None] == sum(state) % self.K), state


def test_the_prompt_is_read_and_then_each_token_drawn():
    step = Reader()
    stream = generate(step, [3, 1, 2], rng=0)
    assert step.seen == []  # nothing before it is asked for
    first = next(stream)
    assert step.seen == [(3,), (3, 1), (3, 1, 2)]
    more = list(islice(stream, 5))
    assert step.seen[-1] == (3, 1, 2, first, *more[:-1])


def test_a_stream_is_what_a_plain_loop_of_sample_token_gives():
    options = {"temperature": 1.5, "top_k": 5, "top_p": 0.8}
    rng, state, expected = np.random.default_rng(4), (6,), []
    scores, state = Reader()(np.array([2]), state)
    for _ in range(50):
        expected.append(sample_token(scores[:, 0], rng, **options))
        scores, state = Reader()(np.array(expected[-1:]), state)
    assert len(set(expected)) > 3
    assert list(islice(generate(Reader(), [2], 4, state=(6,), **options), 50)) == expected


def test_a_seed_gives_the_same_stream_again_and_another_seed_another():
    first, again, other = (list(islice(generate(Reader(), [0], rng), 30)) for rng in (0, 0, 1))
    assert first == again != other
    assert all(type(token) is int for token in first)


def test_a_greedy_stream_does_not_depend_on_the_seed():
    streams = [list(islice(generate(Reader(), [1], rng, temperature=0), 6)) for rng in (0, 1)]
    assert streams == [[1, 2, 4, 1, 2, 4]] * 2


@pytest.mark.parametrize("make", [mr.RNN, mr.LSTM, mr.GRU])
def test_a_stream_of_a_network_is_drawn_from_the_scores_of_forward(make):
    options = {"dtype": "float64", "rng": np.random.default_rng(0)}
    rnn, out = make(6, 8, num_layers=2, **options), mr.Linear(8, 6, **options)

    def step(tokens, state):
        y, state = rnn.step(tokens, state)
        return out.forward(y)[0], state

    prompt = np.array([2, 5, 0, 1])
    drawn = list(islice(generate(step, prompt, 7, temperature=0.2), 40))
    scores, _ = out.forward(rnn.forward(np.append(prompt, drawn)[:, None])[0])
    rng = np.random.default_rng(7)
    assert drawn == [sample_token(column, rng, 0.2) for column in scores[3:-1, :, 0]]
    assert len(set(drawn)) > 2
    _, state, _ = rnn.forward(prompt[:-1, None])
    resumed = generate(step, prompt[-1:], 7, temperature=0.2, state=state)
    assert list(islice(resumed, 40)) == drawn


# ------------------------------------------------------------------------------------- messages

OPTIONS = [
    ({"temperature": -1}, ValueError, r"temperature: got -1, want 0 or more"),
    ({"temperature": np.nan}, ValueError, r"temperature: got nan, want 0 or more"),
    ({"temperature": np.inf}, ValueError, r"temperature: got inf, want 0 or more"),
    ({"temperature": None}, TypeError, r"temperature: got None, want 0 or more"),
    ({"temperature": "1"}, TypeError, r"temperature: got '1', want 0 or more"),
    ({"top_k": 0}, ValueError, r"top_k: got 0, want 1 or more"),
    ({"top_k": 2.0}, TypeError, r"top_k: got 2\.0, want an integer"),
    ({"top_k": True}, TypeError, r"top_k: got True, want an integer"),
    *(({"top_p": p}, ValueError, rf"top_p: got {p}, want a number in \(0, 1\]")
      for p in (0, -0.5, 1.5, np.nan)),
    *(({"top_p": p}, TypeError, rf"top_p: got {p!r}, want a number in \(0, 1\]")
      for p in ("0.5", True)),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), OPTIONS, ids=str)
def test_options_out_of_range_are_refused(options, error, message):
    rng = np.random.default_rng(0)
    with pytest.raises(error, match=message):
        next_token_probabilities(np.zeros(3), **options)
    with pytest.raises(error, match=message):
        sample_token(np.zeros(3), rng, **options)
    with pytest.raises(error, match=message):
        generate(Reader(), [1], rng, **options)  # at once, not with the first token
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ([[0, 1], [np.nan, 0]], ValueError, r"scores: nan at index \(1, 0\), want finite"),
        ([0, np.inf], ValueError, r"scores: inf at index \(1,\), want finite"),
        ([0, -np.inf], ValueError, r"scores: -inf at index \(1,\), want finite"),
        (np.zeros((2, 3, 4)), ValueError, r"scores: got shape \(2, 3, 4\), want \(K,\) or \(K, N"),
        (np.zeros((0, 4)), ValueError, r"scores: got shape \(0, 4\), want \(K,\) or \(K, N\)"),
        (1.0, ValueError, r"scores: got shape \(\), want"),
        ([1j, 0], TypeError, r"scores: got complex128, want real numbers"),
    ],
)  # fmt: skip
def test_scores_that_do_not_fit_are_refused(scores, error, message):
    rng = np.random.default_rng(0)
    with pytest.raises(error, match=message):
        sample_token(np.array(scores), rng)
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("rng", [0, None, np.random.RandomState(0)])
def test_one_token_needs_a_generator(rng):
    with pytest.raises(TypeError, match=r"rng: got \w+, want a numpy\.random\.Generator"):
        sample_token(np.zeros(3), rng)


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        ([], ValueError, r"prompt: got shape \(0,\), want \(T,\), with one token or more"),
        (3, ValueError, r"prompt: got shape \(\), want \(T,\)"),
        ([[1], [2]], ValueError, r"prompt: got shape \(2, 1\), want \(T,\)"),
        ([1.0], TypeError, r"prompt: got float64, want integers"),
        ("To be", TypeError, r"prompt: got str, want an array of numbers"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(prompt, error, message):
    with pytest.raises(error, match=message):
        generate(Reader(), prompt, 0)


@pytest.mark.parametrize("shape", [(5,), (5, 2), (1, 5, 1)], ids=str)
def test_a_step_that_returns_other_scores_is_refused(shape):
    stream = generate(lambda tokens, state: (np.zeros(shape), state), [1], 0)
    with pytest.raises(ValueError, match=r"scores of step: got shape .*, want \(K, 1\)"):
        next(stream)


def test_a_stream_refuses_what_is_no_generator():
    with pytest.raises(TypeError, match=r"rng: got str, want None, an integer or"):
        generate(Reader(), [1], "0")
