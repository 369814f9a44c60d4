"""Greedy and beam search: what they are given, and what they refuse."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minirnn as mr

K, STOP = 4, 3


def good_step(tokens, state):
    return np.zeros((K, len(tokens))), state


@pytest.mark.parametrize("search", [mr.greedy_search, partial(mr.beam_search, width=2)])
def test_the_kind_of_the_stop_is_not_that_of_the_tokens(search):
    def step(tokens, state):
        return np.eye(300)[:, [299]] * np.ones(len(tokens)), state

    found = search(step, None, np.array([0]), np.uint8(3), 1)
    tokens = found[0] if isinstance(found, tuple) else found
    assert tokens.tolist() == [[299]]
    assert tokens.dtype == np.int64


def test_without_a_sequence_there_is_nothing_to_say():
    none, two = np.zeros(0, int), {"width": 2, "n_best": 2}
    assert mr.greedy_search(good_step, None, none, STOP, 3).shape == (3, 0)
    tokens, log_p = mr.beam_search(good_step, None, none, STOP, 3, **two)
    assert (tokens.shape, log_p.shape) == ((2, 3, 0), (2, 0))


def test_a_step_without_a_state_goes_on_without_one():
    def step(tokens, state):
        assert state is None
        return good_step(tokens, state)

    mr.beam_search(step, None, np.array([0]), STOP, 3, width=2)
    with pytest.raises(
        TypeError, match=r"state: got ndarray of shape \(1, 2, 9\) from step, want a"
    ):
        mr.beam_search(lambda t, s: (good_step(t, s)[0], np.ones((1, 2, 9))), None, [0], STOP, 3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": np.array([[0]])}, r"start: got shape \(1, 1\), want \(N\)"),
        ({"start": np.array([0.0])}, "start: got float64, want integers"),
        ({"stop": -1}, "stop: got -1, want 0 or more"),
        ({"stop": K}, "stop: got 4, want 0 to 3, a token that has a score"),
        ({"stop": None}, "stop: got None, want an integer"),
        ({"length": 0}, "length: got 0, want 1 or more"),
        ({"width": 0}, "width: got 0, want 1 or more"),
        ({"width": 2, "n_best": 3}, "n_best: got 3, want width = 2 or less"),
        ({"width": 2, "n_best": 0}, "n_best: got 0, want 1 or more"),
        ({"width": 2, "length_penalty": -1}, "length_penalty: got -1, want a number in"),
        ({"width": 2, "length_penalty": "1"}, "length_penalty: got '1', want a number in"),
        ({"min_length": 3}, "min_length: got 3, want length = 2 or less"),
        ({"min_length": 1.0}, "min_length: got 1.0, want an integer"),
        (
            {"step": lambda tokens, state: (np.zeros((1, 1)), state), "stop": 0, "min_length": 1},
            "min_length: got 1 or more, but there is no token besides stop",
        ),
        (
            {"step": lambda tokens, state: (np.zeros((1, K, 1)), state)},
            r"scores of step: got shape \(1, 4, 1\), want \(K, 1\)",
        ),
        (
            {"step": lambda tokens, state: (np.full((K, 1), np.nan), state)},
            r"scores of step: nan at index \(0, 0\), want finite numbers",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    good = {"step": good_step, "state": None, "start": np.array([0]), "stop": STOP, "length": 2}
    with pytest.raises((ValueError, TypeError), match=message):
        mr.beam_search(**({"width": 2} | good | options))
    if "width" not in options:
        with pytest.raises((ValueError, TypeError), match=message):
            mr.greedy_search(**(good | options))
