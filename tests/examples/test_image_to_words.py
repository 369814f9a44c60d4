"""A picture in, a name out: the gradient through the initial state, spelling, and the result."""

import re
import sys

import numpy as np
import pytest
from helpers import run_example

import minirnn as mr

CELLS = ["rnn", "lstm", "gru"]


@pytest.fixture
def words(example):
    return example("image_to_words")


@pytest.fixture
def small(words, rng):
    """A function that returns layers for pictures of 6 pixels, in double precision, untrained."""
    return lambda cell: words.build(6, 5, cell, {"dtype": "float64", "rng": rng})


def name_of(words, tokens):
    return "".join(words.LETTERS[token] for token in tokens if token != words.STOP)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_goes_through_the_initial_state_to_the_pixels(cell, words, small, rng):
    parts = small(cell)
    labels = np.array([3, 9, 0, 3])
    inputs, targets, weights = (table[:, labels] for table in words.spelled())
    assert weights.min() == 0

    def forward(x):
        scores, caches = words.forward(parts, x, inputs)
        loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)
        return loss, (caches, dscores)

    def backward(saved):
        return {"x": words.backward(parts, *saved)}

    parameters = mr.Model(**parts._asdict()).parameters()
    report = mr.gradcheck(forward, backward, parameters, x=rng.random((6, 4)))
    assert report.worst <= 1e-12
    assert {row.name for row in report.rows} >= {"x", "see.0.V", "see.0.b", "rnn.l0.W", "out.V"}
    assert min(row.largest for row in report.rows) > 0


def test_names_are_spelled_with_a_start_an_end_and_no_weight_behind_it(words):
    inputs, targets, weights = words.spelled()
    for k, name in enumerate(words.NAMES):
        n = len(name)
        assert inputs[0, k] == words.START
        assert name_of(words, inputs[1 : n + 1, k]) == name
        assert name_of(words, targets[:n, k]) == name
        assert targets[n, k] == words.STOP
        assert weights[:, k].tolist() == [1] * (n + 1) + [0] * (len(targets) - n - 1)


@pytest.mark.parametrize("cell", CELLS)
def test_a_picture_is_all_that_names_differ_by(cell, words, small, rng):
    parts = small(cell)
    x = rng.random((6, 3))
    tokens = np.full((4, 3), words.START)
    scores, _ = words.forward(parts, x, tokens)
    for n in range(3):
        alone, _ = words.forward(parts, x[:, n : n + 1], tokens[:, :1])
        assert scores[..., n : n + 1] == pytest.approx(alone, abs=1e-12)
    assert np.ptp(scores, axis=2).min() > 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_probability_of_a_name_is_the_product_of_its_letters(cell, words, small, rng):
    parts = small(cell)
    parts.out.parameters()[0].data *= 8  # so that it has opinions
    images = rng.random((7, 3, 2))
    for width in (1, 4):
        names, p = words.write(parts, words.as_columns(images), width)
        for image, name, likely in zip(images, names, p, strict=True):
            steps = words.letter_by_letter(parts, image, name)
            tokens = [*map(words.LETTERS.index, name), words.STOP][: words.LONGEST]
            product = np.prod([steps[token, t] for t, token in enumerate(tokens)])
            assert likely == pytest.approx(product, rel=1e-9)


def test_one_beam_is_greedy_search(words, small, rng):
    parts = small("lstm")
    x = rng.random((6, 9))
    names, _ = words.write(parts, x, 1)

    def step(tokens, state):
        y, state = parts.rnn.step(tokens, state)
        return parts.out.forward(y)[0], state

    start = np.full(9, words.START)
    tokens = mr.greedy_search(step, words.look(parts, x)[0], start, words.STOP, words.LONGEST)
    assert names == [name_of(words, column) for column in tokens.T]


def test_invented_names_are_counted(words):
    assert words.invented(["one", "two"]) == "0 of 2"
    assert (
        words.invented(["sive", "one", "fiur", "sive", ""])
        == "4 of 5: sive 2, fiur 1, nothing at all 1"
    )


def test_halfway_is_between_two_different_digits(words, small, rng, monkeypatch, capsys):
    labels = np.arange(40) % 2  # of two random pictures, half show the same
    images = np.zeros((40, 3, 2), "float32")
    images[np.arange(40), 0, labels] = 1  # the place of the ink is the digit
    seen = []

    def write(parts, x, width):
        seen.append(x)
        return ["one", "nine"] * (x.shape[1] // 2) + ["one"] * (x.shape[1] % 2), None

    monkeypatch.setattr(words, "write", write)
    test = sys.modules["digits"].Digits(images, labels)
    words.halfway(small("rnn"), test, rng)
    (x,) = seen
    assert 400 < x.shape[1] < 600
    assert x[:2].tolist() == [[0.5] * x.shape[1]] * 2
    line = "two digits over one another: 50% get the name of either (guessing: 20%)"
    assert line in capsys.readouterr().out.splitlines()

    words.halfway(small("rnn"), test._replace(labels=np.zeros(40, int)), rng)
    assert len(seen) == 1


@pytest.mark.parametrize("cell", ["lstm", pytest.param("gru", marks=pytest.mark.exhaustive)])
def test_small_digits_are_named_in_seconds(cell, tmp_path):
    arguments = ("--quick", "--hidden", 32, "--cell", cell)
    stdout = run_example("image_to_words", *arguments, cwd=tmp_path)
    assert "knowing the names without seeing the pictures gives ln 10 / 5 = 0.461" in stdout
    losses = [float(loss) for loss in re.findall(r"loss (\S+)", stdout)]
    assert losses[-1] < 0.1  # where no gradient reaches the pixels, it is 0.19, and 70 % are right
    for how in ("greedy", "4 beams"):
        found = re.search(rf"^{how}: the whole name is right for ([\d.]+)% of 360", stdout, re.M)
        assert float(found[1]) >= 80
