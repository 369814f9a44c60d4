"""The basics: the slides' shapes and numbers are printed, and what is claimed to be the same is."""

import math
import re
from ast import literal_eval

import numpy as np
import pytest
from helpers import ROOT, run, run_example

import minirnn as mr

SIGMOID = np.vectorize(lambda a: 1 / (1 + math.exp(-a)))
CELLS = {"rnn": mr.RNN, "lstm": mr.LSTM, "gru": mr.GRU}


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What the program prints, by cell: its sections by the first word of their titles."""
    sections = {}
    for cell in CELLS:
        arguments = ["--quick", "--cell", cell, "--seed", "3"]
        stdout = run_example("cell_basics", *arguments, cwd=tmp_path_factory.mktemp("basics"))
        parts = re.split(r"\n(.+)\n-{9,}\n", stdout)
        sections[cell] = dict(zip(parts[1::2], parts[2::2], strict=True))
    return sections


def section(printed, cell, start):
    """The one section whose title begins so."""
    (text,) = (text for title, text in printed[cell].items() if title.startswith(start))
    return text


def arrays(text):
    """The arrays of three axes in a text."""
    found = re.findall(r"\[\[\[.*?\]\]\]", text, re.DOTALL)
    return [
        np.array(literal_eval(re.sub(r"(?<=[\d.\]])\s+(?=[-\d\[])", ",", part))) for part in found
    ]


def step(cell, P, x, h, c):
    """One step of one sequence, gate by gate and unit by unit, from the books."""
    a, H = P["U"] @ x + P["b"][:, 0], len(h)
    m = P["W"] @ h
    if cell == "rnn":
        return np.tanh(a + m), c
    if cell == "lstm":
        i, f, o = SIGMOID(a + m)[: 3 * H].reshape(3, H)
        c = f * c + i * np.tanh(a + m)[3 * H :]
        return o * np.tanh(c), c
    r, z = SIGMOID(a + m)[: 2 * H].reshape(2, H)
    n = np.tanh(a[2 * H :] + r * (m[2 * H :] + P["bw"][:, 0]))
    return (1 - z) * n + z * h, c


def naive(cell, words):
    """The hidden states (N, T, H) of words of "helo", one step after another."""
    rnn = CELLS[cell](4, 2, dtype="float64", rng=3)
    P = {name.removeprefix("l0."): p.data for name, p in rnn.named_parameters().items()}
    states = []
    for word in words:
        h, c = np.zeros(2), np.zeros(2)
        for letter in word:
            h, c = step(cell, P, np.eye(4)["helo".index(letter)], h, c)
            states.append(h)
    return np.reshape(states, (len(words), -1, 2))


def inputs(*words):
    return np.array([[np.eye(4)["helo".index(letter)] for letter in word] for word in words])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("title", "words", "shapes"),
    [
        ("One cell, one step", ["h"], ["(1, 1, 4)", "(1, 1, 2)", "(1, 4, 1)", "(1, 2, 1)"]),
        ("Unfolding", ["hello"], ["(1, 5, 4)", "(1, 5, 2)", "(5, 4, 1)", "(5, 2, 1)"]),
        (
            "Batching",
            ["hello", "eolll", "lleel"],
            ["(3, 5, 4)", "(3, 5, 2)", "(5, 4, 3)", "(5, 2, 3)"],
        ),
    ],
)
def test_stages_have_the_slides_shapes_and_the_books_numbers(printed, cell, title, words, shapes):
    text = section(printed, cell, title)
    assert re.findall(r"\(\d+, \d+, \d+\)", text) == shapes
    x, h = arrays(text)
    assert x.shape == literal_eval(shapes[0])
    assert (x == inputs(*words)).all()
    np.testing.assert_allclose(h, naive(cell, words), atol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_words_cut_short_have_the_numbers_of_the_books_and_zeros(printed, cell):
    text = section(printed, cell, "Different lengths: 5 of hello, 3 of eoll, 4 of leel")
    (h,) = arrays(text)
    assert h.shape == (3, 5, 2)
    for n, word in enumerate(["hello", "eol", "leel"]):
        np.testing.assert_allclose(h[n, : len(word)], naive(cell, [word])[0], atol=1e-8)
        assert (h[n, len(word) :] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_every_claim_was_compared(printed, cell):
    """Three stages, one by hand, three words of three claims, three cells; and the gates."""
    claims = re.findall(r"^(.*): largest difference (\S+)$", "".join(printed[cell].values()), re.M)
    assert len(claims) == 3 + 1 + 9 + 3 + {"rnn": 0, "lstm": 2, "gru": 1}[cell]
    assert all(float(difference) < 1e-12 for _, difference in claims)


def test_gates_are_those_of_the_books(printed):
    text = section(printed, "lstm", "Inside the cell")
    table = {line.split()[0]: line.split()[1:] for line in text.splitlines()[:7]}
    assert table.pop("read") == list("hello")
    assert list(table) == list("hcifog")
    h, c, i, f, o, g = np.array([*table.values()], float)
    np.testing.assert_allclose(h, naive("lstm", ["hello"])[0, :, 0], atol=6e-4)
    np.testing.assert_allclose(c, f * np.append(0, c[:-1]) + i * g, atol=3e-3)
    np.testing.assert_allclose(h, o * np.tanh(c), atol=3e-3)


def test_the_loss_of_a_sequence_has_the_two_known_values(printed):
    text = section(printed, "lstm", "The loss of a sequence")
    assert "scores (0.3, 0.7) at each step: 0.513015\n" in text
    assert "scores (0.1, 0.9) at each step: 0.371101\n" in text
    good, bad = math.log1p(math.exp(-0.4)), math.log1p(math.exp(18))
    assert f"[1, 1, 1] -> {(2 * good + bad) / 3:.6f}, " in text
    assert "[1, 1, 0] -> 0.513015, " in text
    assert "[0, 0, 0] -> 0.000000, [0. 0. 0.]" in text


def test_known_values_of_the_loss_to_six_digits():
    for pair, loss in (((0.3, 0.7), 0.513015), ((0.1, 0.9), 0.371101)):
        scores = np.tile(np.array(pair)[:, None], (3, 1, 1))  # (T, K, N)
        targets = np.ones((3, 1), int)
        found, _ = mr.softmax_cross_entropy(scores, targets, np.ones((3, 1)))
        assert found == pytest.approx(loss, abs=5e-7)
        of_two, _ = mr.softmax_cross_entropy(scores, targets * [[1], [1], [0]], [[1], [1], [0]])
        assert of_two == pytest.approx(loss, abs=5e-7)


def test_padding_that_counts_rewards_saying_pad(printed):
    text = section(printed, "lstm", "The loss and the padding")
    assert "h     i     <pad> <pad> <pad>    i     .     <pad> <pad> <pad>" in text
    losses = re.findall(r" (\d\.\d{3}) +(\d\.\d{3})$", text, re.MULTILINE)
    right, counted, wrongly_divided = np.array(losses, float)

    letters, pads, K = 10, 5, 9  # leaning, a letter has a probability of 1/12 and <pad> of 4/12
    np.testing.assert_allclose(right, np.log([K, 12]), atol=6e-4)
    mean = (letters * math.log(12) + pads * math.log(3)) / (letters + pads)
    np.testing.assert_allclose(counted, [math.log(K), mean], atol=6e-4)
    np.testing.assert_allclose(wrongly_divided, right * letters / (letters + pads), atol=6e-4)
    assert right[1] > right[0]  # the loss of the letters rises,
    assert counted[1] < counted[0]  # and the wrong loss falls


def test_parameters_are_counted(printed):
    text = section(printed, "lstm", "Counting parameters: 4 inputs, 3 hidden units, 4 outputs")
    assert "12 + 9 + 12 = 33 parameters" in text
    for name, formula, total in (
        ("rnn ", "1 (12 + 9 + 3)", 24),
        ("lstm", "4 (12 + 9 + 3)", 96),
        ("gru ", "3 (12 + 9 + 3) + 3 of bw", 75),
    ):
        assert f"{name} {formula} = {total}\n" in text


def test_what_is_not_the_same_ends_the_program(example, capsys):
    print_same = example("cell_basics").print_same
    print_same("fine", np.ones(3), np.ones(3) + 1e-15)
    assert capsys.readouterr().out == "fine: largest difference 1e-15\n"
    print_same("nothing to compare", np.ones(0), np.ones(0))
    for wrong in (1e-11, np.nan):
        with pytest.raises(SystemExit, match=r"^claim: not so, they differ by "):
            print_same("claim", [1, 2], [1, 2 + wrong])


class Leaky(mr.RNN):
    """Adds to each word something of the others, or of the step to come."""

    def __init__(self, axis):
        super().__init__(4, 2, dtype="float64", rng=0)
        self.axis = axis

    def forward(self, x, state=None, lengths=None):
        ys, state, cache = super().forward(x, state, lengths)
        return ys + 1e-9 * np.roll(ys, -1, self.axis), state, cache


@pytest.mark.parametrize(
    ("stage", "axis", "claim"),
    [
        ("unfolding", 0, "its first step is the one step above"),
        ("batching", 2, "each word gets the numbers that it gets alone"),
        ("by_hand", 1, "mr.RNN with these weights gives the same"),
        ("different_lengths", 2, "hello gets the numbers that it gets alone"),
    ],
)
def test_claims_that_do_not_hold_are_found_out(example, stage, axis, claim):
    with pytest.raises(SystemExit, match=f"^{claim}: not so, they differ by "):
        getattr(example("cell_basics"), stage)(Leaky(axis))


def test_without_matplotlib_there_are_the_numbers(tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None;"
    code += (
        f"sys.path.insert(0, {str(ROOT / 'examples')!r}); import cell_basics; cell_basics.main()"
    )
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no picture, because matplotlib is missing" in done.stdout
    assert "Counting parameters" in done.stdout
