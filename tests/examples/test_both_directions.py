"""Spaces put back into a text: who wins, and that he wins for the reason that the example gives."""

import argparse
import math
import re
from itertools import chain, product

import numpy as np
import pytest
from helpers import run_example
from hypothesis import given, settings
from hypothesis import strategies as st

from minirnn.data import UNKNOWN, Vocabulary

VOCABULARY = Vocabulary([UNKNOWN, *"ab'é"])
LINES = st.lists(st.text("ab'é", min_size=1, max_size=5), min_size=2, max_size=8).map(" ".join)
ROW = r"^{} +([\d,]*)(?: +\S+%){{2}} +(\S+) +\S+%$"

for_any = settings(deadline=None, derandomize=True, max_examples=50)


@pytest.fixture
def spaces(example):
    return example("missing_spaces")


@pytest.fixture
def both(example):
    return example("both_directions")


def options(**changes):
    usual = {"cell": "lstm", "hidden": 4, "layers": 1, "seed": 0, "device": "cpu"}
    return argparse.Namespace(**{**usual, **changes})


def test_two_directions_win_and_so_do_letters_to_the_right(tmp_path):
    stdout = run_example("both_directions", "--quick", cwd=tmp_path)
    names = ("never a space", "a space every 4 letters", "longest known word")
    names += ("one direction", "one, 4 letters late", "two directions")
    rows = [re.search(ROW.format(name), stdout, re.MULTILINE).groups() for name in names]
    never, every_4, longest, one, late, two = (float(f1) for _, f1 in rows)
    assert never == 0
    assert 0.2 < every_4 < 0.3
    assert one > 0.6  # seeds 0 to 2: 0.647 to 0.666
    assert late > one + 0.02  # 0.053 to 0.068
    assert two > one + 0.12  # 0.156 to 0.173
    assert two > longest + 0.05  # 0.090 to 0.113
    parameters = [int(n.replace(",", "")) for n, _ in rows[3:]]
    assert parameters[0] == parameters[1] == pytest.approx(parameters[2], rel=0.01)

    losses = re.search(r"^loss +(\S+) +(\S+) +(\S+)$", stdout, re.MULTILINE).groups()
    assert [float(loss) for loss in losses] == pytest.approx([0.693, 0.462, 0], abs=0.003)
    differing = re.findall(r"^  (?:one|two) directions?  +(.*)$", stdout, re.MULTILINE)
    assert len(differing) == 2 * 8 + 2
    assert all(re.fullmatch(r"[a-z'|_ ]+", line) for line in differing)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_gap_is_filled_as_well_as_can_be_and_no_better(cell, both, capsys):
    one, two, stacked = (losses[-1] for losses in both.fill_gaps(options(cell=cell)).values())
    assert math.log(2) - 1e-6 < one < math.log(2) + 0.002
    assert 4 / 6 * math.log(2) - 1e-6 < two < 4 / 6 * math.log(2) + 0.005
    assert stacked < 0.01
    assert "늘어난다" in capsys.readouterr().out


def test_least_losses_of_the_gap_are_what_the_example_says(both, example):
    """The first by counting; the second by descent, as the loss of sums of scores is convex."""
    said = list(example("both_directions_report").FLOORS.values())
    parts = [sentence.split(both.GAP) for sentence, _ in both.SENTENCES]
    words = [word for _, word in both.SENTENCES]
    befores, afters = zip(*parts, strict=True)
    counted = [-math.log(1 / befores.count(before)) for before in befores]
    assert np.mean(counted) == pytest.approx(said[0])

    one_hot = [
        np.array([[value == each for value in sorted(set(values))] for each in values], float)
        for values in (befores, afters, words)
    ]
    known, wanted = np.hstack(one_hot[:2]), one_hot[2]
    weights = np.zeros((known.shape[1], wanted.shape[1]))
    for _ in range(5000):
        scores = known @ weights
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        weights -= 2 * known.T @ (p - wanted) / len(words)
    assert -np.log((p * wanted).sum(axis=1)).mean() == pytest.approx(said[1], abs=0.002)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
def test_sizes_are_equal(cell, layers, both):
    o = options(cell=cell, layers=layers, hidden=both.QUICK.hidden)
    two, one = (both.build(28, 2, two_ways, o) for two_ways in (True, False))
    assert two.rnn.hidden_size == both.QUICK.hidden
    assert both.count(one) == pytest.approx(both.count(two), rel=0.011)
    H, K, gates = one.rnn.hidden_size, 28, {"rnn": 1, "lstm": 4, "gru": 3}[cell]
    other_bias = layers * H * (cell == "gru")
    rows = gates * H * (K + H + 1 + (layers - 1) * (2 * H + 1))
    assert both.count(one) == rows + other_bias + 2 * H + 2


@pytest.mark.parametrize("layers", [1, 2])
def test_an_answer_depends_on_the_letters_read_before_it_and_on_no_others(layers, both, spaces):
    line = spaces.take_out("abba baab ababab bb", VOCABULARY)
    beside = spaces.take_out("a bababaabbabababababa", VOCABULARY)  # which makes padding
    T = len(line.ids)
    for two_ways, delay in product((False, True), (0, 3)):
        network = both.build(len(VOCABULARY), 2, two_ways, options(layers=layers))
        (p,) = both.answers(network, [line], delay, "cpu")
        assert p.shape == (T - 1,)
        together, _ = both.answers(network, [line, beside], delay, "cpu")
        np.testing.assert_allclose(together, p, atol=1e-6)
        for t in range(T):
            ids = line.ids.copy()
            ids[t] = VOCABULARY.encode("é")[0]
            (q,) = both.answers(network, [line._replace(ids=ids)], delay, "cpu")
            moved = np.abs(q - p) > 1e-7
            first = 0 if two_ways else max(0, t - delay)  # gap t is behind letter t
            assert not moved[:first].any()
            assert moved[first : t + 1].all()


def test_spaces_come_back_where_they_were(spaces):
    @for_any
    @given(LINES)
    def check(text):
        line = spaces.take_out(text, VOCABULARY)
        assert line.letters == text.replace(" ", "") == VOCABULARY.decode(line.ids)
        assert len(line.gaps) == len(line.letters) - 1
        assert spaces.mark(line.letters, line.gaps, line.gaps) == text
        nothing = np.zeros_like(line.gaps)
        assert spaces.mark(line.letters, nothing, line.gaps) == text.replace(" ", "_")
        assert spaces.mark(line.letters, line.gaps, nothing) == text.replace(" ", "|")

    check()


def test_batch_asks_for_every_gap_once_and_late(spaces):
    @for_any
    @given(st.lists(LINES, min_size=1, max_size=4), st.integers(0, 3))
    def check(texts, delay):
        lines = [spaces.take_out(text, VOCABULARY) for text in texts]
        x, targets, weights, lengths = spaces.batch_of(lines, delay, "cpu")
        assert x.shape == targets.shape == weights.shape
        for n, line in enumerate(lines):
            size = len(line.letters)
            assert lengths[n] == size + delay
            assert VOCABULARY.decode(x[:size, n]) == line.letters
            assert not x[size:, n].any()
            asked = np.flatnonzero(weights[:, n])
            assert asked.tolist() == list(range(delay, delay + size - 1))
            np.testing.assert_array_equal(targets[asked, n], line.gaps)

    check()


def test_batches_of_an_epoch_have_every_line_once(spaces):
    lines = [spaces.take_out("a" * k + " b", VOCABULARY) for k in range(1, 24)]
    batches = spaces.shuffled(lines, 5, 0, 0, "cpu")
    first, second = ([next(batches).lengths.tolist() for _ in range(5)] for _ in range(2))
    for epoch in (first, second):
        assert sorted(chain(*epoch)) == list(range(2, 25))
        assert all(max(lengths) - min(lengths) <= 4 for lengths in epoch)
    assert first != second


def test_score_is_what_counting_gives(spaces):
    answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=9)

    @for_any
    @given(st.lists(answers, min_size=1, max_size=5))
    def check(lines):
        said, right = ([np.array([pair[k] for pair in line]) for line in lines] for k in (0, 1))
        pairs = list(chain(*lines))
        hits, put, belong = (
            sum(map(what, pairs)) for what in (all, lambda pair: pair[0], lambda pair: pair[1])
        )
        precision, recall, f1, exact = spaces.score(said, right)
        assert precision == (hits / put if put else 0)
        assert recall == (hits / belong if belong else 0)
        assert f1 == pytest.approx(2 / (1 / precision + 1 / recall) if hits else 0)
        assert exact == sum(all(a == b for a, b in line) for line in lines) / len(lines)

    check()


def test_likeliest_words_are_the_best_of_all_cuts(spaces):
    known = spaces.Dictionary(["a ab a ba", "abba a b ab"])

    def cost(letters, gaps):
        line = spaces.mark(letters, gaps, gaps)
        counts = {"a": 3, "ab": 2, "ba": 1, "abba": 1, "b": 1}
        return -sum(math.log(counts.get(w, 10 / 10 ** len(w)) / 8) for w in line.split(" "))

    for letters in map("".join, product("ab", repeat=7)):
        cuts = [np.array(cut) for cut in product((False, True), repeat=6)]
        # words longer than any that is known are not tried
        cuts = [c for c in cuts if max(map(len, spaces.mark(letters, c, c).split(" "))) <= 4]
        best = min(cost(letters, cut) for cut in cuts)
        assert cost(letters, known.likeliest(letters)) == pytest.approx(best)


def test_longest_known_word_is_greedy(spaces):
    known = spaces.Dictionary(["to get together her"])
    for letters, line in (("togethertogether", "together together"), ("xtoget", "x to get")):
        gaps = known.longest(letters)
        assert spaces.mark(letters, gaps, gaps) == line


def test_lines_are_letters_and_spaces_and_nothing_else(spaces):
    pieces = [
        "Who's there?\n\nHAMLET:\n[Aside] Ay -- 'tis   I, 42!\n",
        "Élan vital\n" + "so on " * 30,
    ]
    first, second, third, *rest = spaces.read_lines(pieces)
    assert (first, second, third) == ("who's there", "aside ay 'tis i", "élan vital")
    assert max(map(len, rest)) <= spaces.LONGEST
    assert " ".join(rest).split() == ["so", "on"] * 30


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (None, [], "argument --text: got text.txt, want a file, a folder or one of"),
        (b"", [], "got text.txt, a text with 0 lines of two words or more, want 100 or more"),
        (b"to be\n" * 99, [], "a text with 99 lines of two words or more, want 100"),
        (b"tobeornottobe\n" * 500, [], "a text with 0 lines of two words or more"),
        (
            b"to be \xe9\n" * 500,
            [],
            "argument --text: text.txt: byte 0xe9 at offset 6 is not UTF-8",
        ),
        (
            b"",
            ["--line", "together"],
            "argument --line: got 'together', want one line of two words",
        ),
        (b"", ["--delay", "-1"], "argument --delay: got -1, want 0 or more"),
        (b"", ["--steps", "0"], "argument --steps: got 0, want 1 or more"),
    ],
)
def test_mistakes_are_named_in_one_line(
    content, arguments, message, example, tmp_path, monkeypatch, capsys
):
    if content is not None:
        (tmp_path / "text.txt").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["both_directions.py", "--text", "text.txt", *arguments])
    with pytest.raises(SystemExit) as ended:
        example("both_directions").main()
    stdout, stderr = capsys.readouterr()
    assert ended.value.code == 2
    assert message in stderr
    assert len(stderr.splitlines()) == 1
    assert stdout == ""
    assert not list(tmp_path.rglob("*.png"))


def test_line_of_the_picture_is_one_of_the_text(example, tmp_path, monkeypatch):
    program = example("both_directions")

    def line(*arguments):
        monkeypatch.setattr("sys.argv", ["both_directions.py", "--out", str(tmp_path), *arguments])
        return program.parse_arguments()[0].line

    text = tmp_path / "text.txt"
    seen, kept = "그는 학교에 갔다\n" * 135, "우리는 늦게 집으로 돌아왔다\n" * 14 + "비가 왔다\n"
    text.write_text(seen + kept, "utf-8")
    assert line("--text", str(text)) == "우리는 늦게 집으로 돌아왔다"
    assert line("--text", str(text), "--line", "To be, or not") == "to be or not"
    monkeypatch.setattr(program.spaces, "read", lambda name: ["to be"] * 100)
    assert line() == program.LINE


@pytest.mark.parametrize(
    ("late", "says"),
    [
        (0.75, ", 75% of the way: what"),
        (0.95, ", more than all of the way: what"),
        (0.55, "0.550."),
    ],
)
def test_share_of_the_way_is_none_beyond_all_of_it(late, says, example, capsys):
    report = example("both_directions_report")
    f1 = {report.ONE: 0.5, "one, 4 letters late": late, report.TWO: 0.833, report.LIKELIEST: 0.9}
    scores = {name: report.Score(0.5, 0.5, value, 0.1) for name, value in f1.items()}
    report.tell_scores(scores, dict.fromkeys([*f1][:3], 1000))
    assert says in capsys.readouterr().out
