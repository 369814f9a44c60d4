"""Gradients against distance, and the two problems that only memory solves."""

import math
import re

import numpy as np
import pytest
from helpers import run_example, run_here
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr

CELLS = [
    (mr.RNN, {}),
    (mr.LSTM, {"forget_bias": 2.0}),
    (mr.GRU, {}),
    (mr.GRU, {"reset_after": False}),
]


@pytest.fixture
def gradients(example):
    return example("memory_gradients")


@pytest.fixture
def tasks(example):
    return example("memory_tasks")


@pytest.mark.parametrize(("network", "values"), CELLS)
def test_norms_are_those_of_the_jacobian_by_the_complex_step(network, values, gradients, rng):
    T, D, N, H = 6, 2, 3, 4
    rnn = network(D, H, dtype="float64", rng=rng, **values)
    x = rng.standard_normal((T, D, N))
    P = {name.removeprefix("l0."): p.data for name, p in rnn.named_parameters().items()}

    def after(t, state):  # h_T, from the state at t
        for x_t in x[t:]:
            state, _ = rnn.cell.forward(P, x_t, state)
        return state[0]

    wanted = {letter: [] for letter in rnn.cell.states}
    state = tuple(np.zeros((H, N)) for _ in rnn.cell.states)
    for t in range(T):
        for k, letter in enumerate(rnn.cell.states):
            squares = 0.0
            for unit in range(H):
                moved = [part.astype(complex) for part in state]
                moved[k][unit] += 1e-30j
                squares += ((after(t, tuple(moved)).imag / 1e-30) ** 2).sum()
            wanted[letter].append(math.sqrt(squares / (H * N)))
        state, _ = rnn.cell.forward(P, x[t], state)

    norms = gradients.gradient_norms(rnn, x)
    assert list(norms) == list(wanted)
    for letter, values in wanted.items():
        np.testing.assert_allclose(norms[letter], values[::-1], rtol=1e-12)


def test_an_orthogonal_rnn_at_rest_keeps_a_change_whole(gradients):
    rnn = mr.RNN(2, 8, dtype="float64", rng=0, init="orthogonal")
    norms = gradients.gradient_norms(rnn, np.zeros((30, 2, 1)))  # h stays 0, where tanh has slope 1
    np.testing.assert_allclose(norms["h"], 1, rtol=1e-12)
    assert gradients.half_life(norms["h"]) > 1e9


@pytest.mark.parametrize("bias", [-1.0, 0.0, 1.0, 3.0])
def test_a_forget_gate_that_sees_only_its_bias_sets_the_pace_of_c(bias, gradients, rng):
    lstm = mr.LSTM(2, 5, dtype="float64", rng=rng)
    for letter in "UWb":
        lstm.named_parameters()[f"l0.{letter}"].data *= letter == "b"
    lstm.named_parameters()["l0.b"].data[5:10] = bias
    norms = gradients.gradient_norms(lstm, rng.standard_normal((20, 2, 2)))
    gate = 1 / (1 + math.exp(-bias))
    np.testing.assert_allclose(norms["c"][1:] / norms["c"][:-1], gate, rtol=1e-12)
    assert gradients.half_life(norms["c"]) == pytest.approx(math.log(0.5) / math.log(gate))
    assert not norms["h"].any()  # with W = 0, nothing looks at h


def test_half_life_is_the_slope_of_the_least_squares_line(gradients, rng):
    k = np.arange(1, 41)
    norms = 3 * 0.8**k * np.exp(0.3 * rng.standard_normal(40))
    y = np.log2(norms)
    slope = ((k - k.mean()) * (y - y.mean())).sum() / ((k - k.mean()) ** 2).sum()
    assert gradients.half_life(norms) == pytest.approx(-1 / slope)
    assert gradients.pace(norms) == f"halves every {-1 / slope:.1f} steps"

    exact = 0.5 ** (k / 7)
    assert gradients.half_life(exact) == pytest.approx(7)
    vanished = np.where(k < 30, exact, 0.0)  # what has underflowed has no logarithm
    assert gradients.half_life(vanished) == pytest.approx(7)
    assert gradients.pace(1.01**k) == "does not fall"


DRAWS = {"N": st.integers(1, 20), "seed": st.integers(0, 1000)}


def test_adding_marks_one_number_in_each_half_and_asks_for_their_sum(tasks):
    @settings(deadline=None, derandomize=True)
    @given(T=st.integers(2, 60), **DRAWS)
    def holds(T, N, seed):
        x, y = tasks.adding(T, N, np.random.default_rng(seed))
        assert (x.shape, y.shape) == ((T, 2, N), (1, 1, N))
        assert x.dtype == y.dtype == np.float32
        assert ((x[:, 0] >= 0) & (x[:, 0] <= 1)).all()
        for n in range(N):
            first, second = np.flatnonzero(x[:, 1, n])
            assert first < T // 2 <= second
            assert x[first, 1, n] == x[second, 1, n] == 1
            assert y[0, 0, n] == x[first, 0, n] + x[second, 0, n]

    holds()


def test_markers_are_at_every_place(tasks, rng):
    x, _ = tasks.adding(9, 2000, rng)
    share = x[:, 1].mean(axis=1)
    np.testing.assert_allclose(share, [1 / 4] * 4 + [1 / 5] * 5, atol=0.04)


def test_copy_shows_ten_symbols_then_waits_and_asks_for_them(tasks):
    @settings(deadline=None, derandomize=True)
    @given(T=st.integers(1, 60), **DRAWS)
    def holds(T, N, seed):
        x, y = tasks.copy(T, N, np.random.default_rng(seed))
        assert x.shape == (T + 20, N)
        assert (x[:10] == y).all()
        assert ((y >= 0) & (y < 8)).all()
        assert (x[T + 9] == 9).all()
        assert (np.delete(x[10:], T - 1, axis=0) == 8).all()

    holds()


def test_answers_without_memory_get_what_is_said(tasks, rng):
    adding, copy = tasks.TASKS["adding"], tasks.TASKS["copy"]
    _, y = adding.batch(7, 200_000, rng)
    for answer in (0.9, 1.0, 1.1):
        loss, _ = adding.loss(np.full_like(y, answer), y)
        assert loss == pytest.approx(adding.guessing + (answer - 1) ** 2, abs=0.002)
    _, symbols = copy.batch(3, 50, rng)
    loss, _ = copy.loss(np.zeros((10, 8, 50)), symbols)
    assert loss == pytest.approx(copy.guessing)


def test_quick_run_learns_and_remembers_longer(tmp_path):
    stdout = run_example("memory", "--quick", cwd=tmp_path)
    row = r"^  (\S.*: [hc]) +\S+ after 1 .*: halves every (\S+) steps$"
    paces = {name: float(steps) for name, steps in re.findall(row, stdout, re.MULTILINE)}
    assert 1.2 < paces["RNN: h"] < 2
    assert 1.2 < paces["LSTM, forget bias 0: c"] < 2
    assert 3 < paces["LSTM, forget bias 1: c"] < 6
    assert "LSTM, forget bias 3: c" not in paces  # it does not fall
    trained = next(paces[name] for name in paces if name.startswith("GRU trained"))
    assert trained > 1.5 * paces["GRU untrained: h"]

    loss = r" +(\S+) after +\d+"
    adding, copy = re.findall(rf"^ +(\d+){4 * loss}$", stdout, re.MULTILINE)
    assert (adding[0], copy[0]) == ("20", "2")
    assert float(adding[4]) < 0.015  # the GRU; 0.05 if no gradient went back through time
    assert float(copy[2]) < 0.4  # the orthogonal RNN; 1.4 if the output layer did not learn
    assert all(float(some) < 1.8 for some in copy[1:])  # guessing has 2.08


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lengths", "10", "1"], "argument --lengths: got 1, want 2 or more"),
        (["--lengths", "ten"], "argument --lengths: invalid int value: 'ten'"),
        (["--cells", "rnn", "lsmt"], "argument --cells: invalid choice: 'lsmt'"),
        (["--task", "add"], "argument --task: invalid choice: 'add'"),
        (["--steps", "0"], "argument --steps: got 0, want 1 or more"),
        (["--hidden", "0"], "argument --hidden: got 0, want 1 or more"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, message, tmp_path):
    code, out, err = run_here("memory", *arguments, cwd=tmp_path)
    assert message in err
    assert (code, out, err.count("\n")) == (2, "", 1)
