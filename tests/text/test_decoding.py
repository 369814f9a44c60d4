"""Greedy and beam search: against every possible sequence, and against each other."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from helpers import same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr

K, STOP, LENGTH, N = 4, 1, 4, 3
quick = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def make(seed, cell="lstm", N=N):
    """A small model with strong opinions, a state to start from, and first tokens."""
    rng = np.random.default_rng(seed)
    model = mr.LanguageModel(K, 5, cell, 2, dtype="float64", rng=rng)
    for p in model.parameters():
        p.data = rng.normal(0, 1.5, p.shape)
    state = tuple(rng.standard_normal((2, 5, N)) for _ in model.rnn.cell.states)
    return model, state, rng.integers(0, K, N)


def log_probability(model, state, start, tokens):
    """Of tokens (T, N) up to and including the first stop, by teacher forcing: (N,)."""
    scores, _, _ = model.forward(np.concatenate((start[None], tokens[:-1])), state)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    hit = np.take_along_axis(log_p, tokens[:, None], axis=1)[:, 0]
    before = np.cumsum(tokens == STOP, axis=0) - (tokens == STOP)
    return np.where(before == 0, hit, 0).sum(axis=0)


def all_sequences(length):
    """Every sequence, (length, 1) each; after a stop only stops."""
    for tokens in product(range(K), repeat=length):
        end = tokens.index(STOP) if STOP in tokens else length
        if set(tokens[end:]) <= {STOP}:
            yield np.array(tokens)[:, None]


def chain(table):
    """A step that knows the last token alone: row k of `table` has the probabilities after k."""
    scores = np.log(np.array(table).T)
    return lambda tokens, state: (scores[:, tokens], state)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_best_of_all_sequences(cell, seed):
    model, state, start = make(seed, cell)
    tokens, found = mr.beam_search(model.step, state, start, STOP, LENGTH, width=K**LENGTH)
    every = list(all_sequences(LENGTH))
    assert len(every) == 81 + 27 + 9 + 3 + 1
    for n in range(N):
        alone = tuple(part[..., [n]] for part in state), start[[n]]
        log_p = [log_probability(model, *alone, sequence)[0] for sequence in every]
        best = int(np.argmax(log_p))
        assert tokens[:, n].tolist() == every[best][:, 0].tolist()
        assert found[n] == pytest.approx(log_p[best], abs=1e-12)


@quick
@given(seeds, st.integers(1, 7), st.integers(1, 9), st.integers(1, 5))
def test_a_beam_says_the_log_probability_of_what_it_found(seed, length, width, N):
    model, state, start = make(seed, N=N)
    with unchanged(start, *state):
        tokens, found = mr.beam_search(model.step, state, start, STOP, length, width)
    assert tokens.shape == (length, N)
    np.testing.assert_allclose(found, log_probability(model, state, start, tokens), atol=1e-11)
    ended = np.cumsum(tokens == STOP, axis=0) > 0
    assert (tokens[ended] == STOP).all()


@quick
@given(seeds, st.integers(1, 8))
def test_a_beam_of_one_is_greedy_search(seed, length):
    model, state, start = make(seed)
    with unchanged(start, *state):
        greedy = mr.greedy_search(model.step, state, start, STOP, length)
    tokens, _ = mr.beam_search(model.step, state, start, STOP, length, width=1)
    assert same_bits(tokens, greedy)


@quick
@given(seeds, st.integers(1, 6))
def test_sequences_do_not_know_of_each_other(seed, width):
    model, state, start = make(seed)
    greedy = mr.greedy_search(model.step, state, start, STOP, LENGTH)
    tokens, found = mr.beam_search(model.step, state, start, STOP, LENGTH, width)
    for n in range(N):
        part, one = tuple(part[..., [n]] for part in state), start[[n]]
        alone = mr.greedy_search(model.step, part, one, STOP, LENGTH)
        assert alone[:, 0].tolist() == greedy[:, n].tolist()
        alone, log_p = mr.beam_search(model.step, part, one, STOP, LENGTH, width)
        assert alone[:, 0].tolist() == tokens[:, n].tolist()
        assert log_p[0] == pytest.approx(found[n], abs=1e-12)


@quick
@given(seeds, st.integers(1, 8))
def test_greedy_search_takes_the_highest_score_and_reads_it(seed, length):
    model, state, start = make(seed, N=1)
    said, read = [], start
    while len(said) < length and STOP not in said:
        scores, state = model.step(read, state)
        read = scores.argmax(axis=0)
        said.append(int(read[0]))
    said += [STOP] * (length - len(said))
    _, state, _ = make(seed, N=1)
    assert mr.greedy_search(model.step, state, start, STOP, length)[:, 0].tolist() == said


# after 0, token 2 looks better than 3; but what comes after 2 is open, and after 3 it is clear
TRAP = [[0.01, 0.01, 0.53, 0.45], [0.25] * 4, [0.4, 0.3, 0.1, 0.2], [0.01, 0.98, 0.005, 0.005]]


def test_a_beam_sees_what_greedy_search_misses():
    step, start = chain(TRAP), np.array([0, 3])
    greedy = mr.greedy_search(step, None, start, STOP, 2)
    assert greedy.tolist() == [[2, STOP], [0, STOP]]
    tokens, log_p = mr.beam_search(step, None, start, STOP, 2, width=2)
    assert tokens.tolist() == [[3, STOP], [STOP, STOP]]
    np.testing.assert_allclose(log_p, np.log([0.45 * 0.98, 0.98]), rtol=1e-9)


def test_a_beam_that_has_ended_stays_in_the_race():
    """Ending at once has 0.4; the other beams are ahead of it at first, and fall behind."""
    step = chain([[0.5, 0.4, 0.05, 0.05], *[[0.25] * 4] * 3])
    tokens, log_p = mr.beam_search(step, None, np.array([0]), STOP, 3, width=3)
    assert tokens[:, 0].tolist() == [STOP, STOP, STOP]
    assert log_p[0] == pytest.approx(np.log(0.4))


# A word has 0.6 and the end 0.4, whatever was said: the likeliest answer is to say nothing
WORDY = [[0.6, 0.4]] * 2


def worth(tokens, log_p, alpha):
    """What a length penalty makes of a sequence; the stop counts."""
    said = len(tokens) if STOP not in tokens else tokens.index(STOP) + 1
    return log_p / said**alpha


def test_a_length_penalty_keeps_the_empty_answer_from_winning():
    step, start = chain(WORDY), np.array([0])
    tokens, log_p = mr.beam_search(step, None, start, STOP, 4, width=9)
    assert tokens[:, 0].tolist() == [STOP] * 4
    assert log_p[0] == pytest.approx(np.log(0.4))
    tokens, log_p = mr.beam_search(step, None, start, STOP, 4, width=9, length_penalty=1.0)
    assert tokens[:, 0].tolist() == [0] * 4
    assert log_p[0] == pytest.approx(4 * np.log(0.6))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("least", [0, 1, 3, LENGTH])
def test_the_n_best_of_all_sequences_by_any_length_penalty(alpha, least):
    model, state, start = make(3)
    how = {"min_length": least, "length_penalty": alpha}
    tokens, found = mr.beam_search(
        model.step, state, start, STOP, LENGTH, K**LENGTH, n_best=5, **how
    )
    assert (tokens.shape, found.shape) == ((5, LENGTH, N), (5, N))
    one = mr.beam_search(model.step, state, start, STOP, LENGTH, K**LENGTH, **how)
    assert same_bits(one[0], tokens[0])
    assert same_bits(one[1], found[0])
    for n in range(N):
        alone = tuple(part[..., [n]] for part in state), start[[n]]
        every = []
        for sequence in all_sequences(LENGTH):
            listed = sequence[:, 0].tolist()
            if STOP not in listed[:least]:
                log_p = log_probability(model, *alone, sequence)[0]
                every.append((worth(listed, log_p, alpha), log_p, listed))
        every.sort(reverse=True)
        for k in range(5):
            assert tokens[k, :, n].tolist() == every[k][2]
            assert found[k, n] == pytest.approx(every[k][1], abs=1e-12)


def test_a_least_length_is_kept_by_greedy_search_too():
    step, start = chain([[0.3, 0.7], [0.5, 0.5]]), np.array([0, 0])
    for least in range(4):
        tokens = mr.greedy_search(step, None, start, STOP, 3, min_length=least)
        assert tokens[:, 1].tolist() == [0] * least + [STOP] * (3 - least)
        beam, _ = mr.beam_search(step, None, start, STOP, 3, 1, min_length=least)
        assert same_bits(beam, tokens)


def test_where_there_are_no_more_answers_they_have_no_probability():
    tokens, log_p = mr.beam_search(chain(WORDY), None, np.array([0]), STOP, 1, width=5, n_best=4)
    assert tokens[:2, 0, 0].tolist() == [0, STOP]
    assert np.isneginf(log_p[2:]).all()
    assert (tokens[2:] == STOP).all()


def test_of_equals_the_lowest_token_is_taken():
    def step(tokens, state):
        return np.zeros((K, len(tokens))), state

    start = np.array([2, 3])
    assert mr.greedy_search(step, None, start, STOP, 3).tolist() == [[0, 0]] * 3
    tokens, log_p = mr.beam_search(step, None, start, 3, 3, width=5)
    assert tokens.tolist() == [[3, 3]] * 3  # to end at once is likelier than to go on
    np.testing.assert_allclose(log_p, -np.log(K), rtol=1e-15)
    tokens, _ = mr.beam_search(step, None, start, 3, 1, width=2)
    assert tokens.tolist() == [[0, 0]]


def test_equals_keep_their_order_however_many_there_are():
    def step(tokens, state):
        return np.repeat(np.arange(500.0)[:, None] % 2, len(tokens), axis=1), state

    tokens, _ = mr.beam_search(step, None, np.array([2, 3]), 0, 2, width=20)
    assert tokens.tolist() == [[1, 1]] * 2


def test_large_scores_do_not_overflow():
    def step(tokens, state):
        return np.array([[1e4], [-1e4], [1e4], [0.0]]) * np.ones(len(tokens)), state

    tokens, log_p = mr.beam_search(step, None, np.array([0]), 3, 2, width=2)
    assert tokens.tolist() == [[0], [0]]
    np.testing.assert_allclose(log_p, -2 * np.log(2), rtol=1e-12)


def test_nothing_is_computed_after_all_have_ended():
    calls = []

    def step(tokens, state):
        calls.append(len(tokens))
        return np.where(np.arange(K)[:, None] == STOP, 5.0, 0.0) * np.ones(len(tokens)), state

    assert (mr.greedy_search(step, None, np.array([0, 2]), STOP, 9) == STOP).all()
    assert calls == [2]
    mr.beam_search(step, None, np.array([0, 2]), STOP, 9, width=3)
    assert calls == [2, 2]
