"""The translation of dates: its data, its parts, what it reaches in seconds, and its messages."""

from __future__ import annotations

import re
import shlex
from argparse import Namespace
from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
from helpers import run_example, same_bits

import minirnn as mr

USUAL = [
    "May 3, 1999", "may 3rd, 1999", "3rd of May 1999", "the 3rd of May, 1999", "3-May-99", "May. 3 '99",
    "Monday, May 3, 1999", "MON 3 MAY 1999", "5/3/1999", "05/03/99", "3.5.1999", "1999/5/3",
    "monday the 3rd of may '99",
]  # fmt: skip
SUFFIXES = {1: "st", 2: "nd", 3: "rd", 4: "th", 11: "th", 12: "th", 13: "th", 21: "st", 30: "th"}


@pytest.fixture
def written(example):
    return example("written_pairs")


def split(written, n=200, seed=0, reverse=False):
    rng = np.random.default_rng(seed)
    return written.Pairs(written.write_dates(n, rng), rng, reverse)


# -------------------------------------------------------------------------------- the data


def test_no_text_stands_for_two_days(written):
    meaning: dict[str, date] = {}
    for year in (1970, 1999, 2000, 2069):
        for k in range(365):
            day = date(year, 1, 1) + timedelta(k)
            for text in written.forms_of(day):
                assert meaning.setdefault(text, day) == day, text
    assert len(meaning) > 40 * 4 * 365


def test_forms_of_a_day_are_the_usual_ones(written):
    assert set(USUAL) <= set(written.forms_of(date(1999, 5, 3)))
    for day, suffix in SUFFIXES.items():
        assert f"{day}{suffix} of June 2001" in written.forms_of(date(2001, 6, day))


def test_dates_are_as_many_as_asked_for_and_the_same_for_a_seed(written):
    first, again, other = (written.write_dates(300, np.random.default_rng(k)) for k in (1, 1, 2))
    assert first == again
    assert first != other
    assert len(first) == 300
    for text, iso in first.items():
        assert text in written.forms_of(date.fromisoformat(iso))


@pytest.mark.parametrize("n", [20, 21, 139, 400])
def test_every_source_is_in_one_part(written, n):
    for seed in range(5):
        pairs = split(written, n, seed)
        assert sorted([*pairs.train, *pairs.valid, *pairs.test]) == sorted(pairs.targets)
        assert (len(pairs.test), len(pairs.valid)) == (n // 10, n // 20)
    assert split(written, n, 0).test != pairs.test
    assert split(written, n, seed).test == pairs.test


def test_a_source_that_a_file_repeats_is_in_one_part(written, tmp_path):
    lines = [f"{k} + 1  _{k + 1}  \n" for k in range(50)]
    (tmp_path / "sums").write_text("\ufeff" + "".join(lines * 3))
    targets, others = written.read_pairs(tmp_path / "sums")
    assert not others
    assert targets == {f"{k} + 1": f"{k + 1}" for k in range(50)}
    pairs = written.Pairs(targets, np.random.default_rng(0))
    assert not set(pairs.test) & {*pairs.train, *pairs.valid}


def test_letters_become_columns_and_back(written):
    pairs = split(written)
    sources = [min(pairs.train, key=len), max(pairs.train, key=len)]
    tokens, lengths = pairs.read(sources)
    assert lengths.tolist() == [len(source) for source in sources]
    for source, column, end in zip(sources, tokens.T, lengths, strict=True):
        assert pairs.reading.decode(column[:end]) == source
    pairs.reverse = True
    backwards, _ = pairs.read(sources)
    for source, column, end in zip(sources, backwards.T, lengths, strict=True):
        assert pairs.reading.decode(column[:end]) == source[::-1]


def test_the_decoder_reads_what_it_was_to_say_one_step_before(written):
    pairs = written.Pairs(
        {"a": "xyz", "b": "z"} | dict.fromkeys("cdef", "x"), np.random.default_rng(0)
    )
    read, said, weights = pairs.write(["a", "b"])
    x, y, z = (pairs.writing.encode(letter)[0] for letter in "xyz")
    assert read.T.tolist() == [[0, x, y, z], [0, z, 0, 0]]
    assert said.T.tolist() == [[x, y, z, 0], [z, 0, 0, 0]]
    assert weights.T.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert pairs.texts(said) == ["xyz", "z"]
    assert pairs.length == 4
    assert pairs.right(["a", "b"], ["xyz", "zz"]) == 0.5


# ---------------------------------------------------------------------------- the training


def test_scheduled_sampling_replaces_letters_by_those_that_the_decoder_says(example, written, rng):
    script, pairs = example("seq2seq_dates"), split(written)
    model = mr.EncoderDecoder(len(pairs.reading), len(pairs.writing), 8, dtype="float64", rng=0)
    source, lengths = pairs.read(pairs.train[:50])
    inputs, _, _ = pairs.write(pairs.train[:50])

    def mixed(share):
        return script.with_own_letters(model, source, lengths, inputs, share, rng)

    assert same_bits(mixed(0.0), inputs)
    own = mixed(1.0)
    scores, _ = model.forward(
        source, own, lengths
    )  # what it says to what it reads is what it reads
    assert (own[1:] == scores.argmax(axis=1)[:-1]).all()
    assert (own[0] == inputs[0]).all()
    some = mixed(0.5)
    scores, _ = model.forward(source, some, lengths)
    said = scores.argmax(axis=1)[:-1]
    assert ((some[1:] == said) | (some[1:] == inputs[1:])).all()
    apart = said != inputs[1:]
    assert (some[1:] == said)[apart].mean() == pytest.approx(0.5, abs=0.08)


# ------------------------------------------------------------------- as a reader runs it


def exact(stdout):
    """The shares of exact translations in percent, by the kind of search."""
    rows = re.findall(r"^  (\S.*?)  +(\S+)% exact  \(\S+ of \S+\)$", stdout, re.MULTILINE)
    return {name: float(share) for name, share in rows}


def test_sources_that_differ_in_capitals_alone_are_counted_and_left_out(
    example, written, monkeypatch, capsys
):
    module = example("seq2seq_report")
    texts = [f"May {k}" for k in range(30)]
    targets = {form: text for text in texts for form in (text, text.upper(), f"{text} again")}
    pairs = written.Pairs(targets, np.random.default_rng(0))
    twins = {s for s in pairs.test for t in pairs.train if s != t and s.lower() == t.lower()}
    assert 0 < len(twins) < len(pairs.test) == 9

    def remember(model, pairs, sources, width=1):
        return [pairs.targets[s] if s in twins else "" for s in sources]

    monkeypatch.setattr(module, "translate", remember)
    module.report(None, pairs, Namespace(beam=1, translate=[]))
    stdout, share = capsys.readouterr().out, len(twins) / 9
    said = f"{share:.1%} differ from one that it was trained on in nothing but capitals"
    assert said in stdout.splitlines()
    shares = exact(stdout)
    assert shares["greedy search"] == pytest.approx(100 * share, abs=0.01)
    assert shares["greedy search, without these"] == 0
    assert f"(0 of {9 - len(twins)})" in stdout

    pairs.train = [source for source in pairs.train if source.endswith("again")]
    module.report(None, pairs, Namespace(beam=1, translate=[]))
    stdout = capsys.readouterr().out
    assert "capitals" not in stdout
    assert list(exact(stdout)) == ["greedy search", f"always {pairs.commonest()!r}"]


def test_quick_learns_to_translate_dates_it_has_never_seen(tmp_path):
    stdout = run_example(
        "seq2seq_dates",
        "--quick",
        "--translate",
        "July 4, 1976",
        "the 1st of May, 2001",
        cwd=tmp_path,
    )
    assert stdout.startswith("5,950 pairs to train on, 350 to validate, 700 to judge by")
    assert "guessing gives a loss of ln 12 = 2.485" in stdout
    shares = exact(stdout)
    assert shares.pop("greedy search") > 75
    assert shares.pop("a beam of 5") > 75
    assert min(shares.values()) < 1  # one answer to all
    asked = stdout.partition("asked for:\n")[2].splitlines()
    assert re.fullmatch(r"  July 4, 1976 +1976-07-04", asked[0])
    assert re.fullmatch(r"  the 1st of May, 2001 +2001-05-01", asked[1])
    assert (tmp_path / "out" / "seq2seq_dates_lstm_attention.png").exists()


def test_published_files_have_tabs_an_attribution_and_several_answers(written, tmp_path):
    lines = [f"Go {k}_now.\tVa {k} !\tCC-BY 2.0 (France) Attribution: no. {k}\n" for k in range(30)]
    lines += ["Go 3_now.\tMarche 3 !\tCC-BY\n", "Go 3_now.\tVa 3 !\n", "Go 4_now.\tBouge 4 !\n"]
    (tmp_path / "fra.txt").write_text("".join(lines))
    targets, others = written.read_pairs(tmp_path / "fra.txt")
    assert targets == {f"Go {k}_now.": f"Va {k} !" for k in range(30)}
    assert others == {"Go 3_now.": {"Marche 3 !"}, "Go 4_now.": {"Bouge 4 !"}}
    pairs = written.Pairs(targets, np.random.default_rng(0), others=others)
    sources = ["Go 3_now.", "Go 3_now.", "Go 3_now.", "Go 5_now."]
    assert pairs.right(sources, ["Va 3 !", "Marche 3 !", "Bouge 4 !", "Marche 3 !"]) == 0.5


def test_numbers_of_texts_are_no_texts_and_a_line_ends_at_its_end(written, tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("".join(f"{k}\tGo {k}.\t{k}\tVa {k} !\n" for k in range(30)))
    with pytest.raises(ValueError, match=r"got numbers of texts \(29\) in front, want a text and"):
        written.read_pairs(file)
    file.write_text("".join(f"{k}\u2028{k}\t{k}\x0b\x85{k}\n" for k in range(30)), "utf-8")
    assert written.read_pairs(file)[0]["7\u20287"] == "7\x0b\x857"


def test_commonest_answer_is_the_one_that_most_of_the_training_part_have(written):
    targets = {f"{k} is": "odd" if k % 3 else "rare" for k in range(60)}
    pairs = written.Pairs(targets, np.random.default_rng(0))
    assert pairs.commonest() == "odd"
    assert pairs.right(pairs.test, [pairs.commonest()] * 6) > 0


@pytest.mark.exhaustive
def test_without_attention_the_last_state_carries_the_source(tmp_path):
    """All words of four letters, read and said from the end; scheduled sampling takes part."""
    words = ["".join(word) for word in product("abcde", repeat=4)]
    (tmp_path / "words").write_text("".join(f"{word}_{word[::-1]}\n" for word in words))
    options = "--data words --no-attention --reverse --hidden 64 --epochs 25 --beam 1 --cell gru"
    options += " --pairs 1000"
    stdout = run_example(
        "seq2seq_dates", *options.split(), "--scheduled-sampling", 0.5, cwd=tmp_path
    )
    assert stdout.startswith("words has 625 pairs, fewer than 1,000\n")
    assert "532 pairs to train on, 31 to validate, 62 to judge by" in stdout
    shares = exact(stdout)
    assert shares["greedy search"] > 80
    assert len(shares) == 2  # no beam
    assert (tmp_path / "out" / "seq2seq_words_gru_reverse_sampling_0.5.png").exists()


GOOD = "".join(f"{k}+1_{k + 1}\n" for k in range(30))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data missing", "argument --data: missing: No such file or directory"),
        ("--data folder", "argument --data: folder: Is a directory"),
        ("--data empty", "argument --data: empty: got 0 different texts, want 20 or more"),
        ("--data latin", "argument --data: latin: byte 0xe9 at offset 1 is not UTF-8"),
        (
            "--data form",
            "argument --data: form, line 31: got '1+1=2', want a text, '_' or a tab, and its",
        ),
        ("--data long", "argument --data: long, line 31: got '1+1+1+1+1+1+1+1+1"),
        ("--data long", "…', of 20,000 letters, want 500 or fewer"),
        (
            "--data open",
            "argument --data: open, line 31: got '7+1_', want a text, '_' or a tab, and its",
        ),
        ("--data good --translate 3-1", "argument --translate: got '-', want tokens of the"),
        (
            "--data good --translate 3+1 ''",
            "argument --translate: got an empty text, want one letter or more",
        ),
        ("--hidden 7", "argument --hidden: got 7, want an even number with attention"),
        ("--hidden 0", "argument --hidden: got 0, want 1 or more"),
        ("--pairs 3", "argument --pairs: got 3, want 20 or more"),
        ("--pairs 1000001", "argument --pairs: got 1,000,001, want 1,000,000 dates or fewer"),
        ("--epochs 0", "argument --epochs: got 0, want 1 or more"),
        ("--beam 0", "argument --beam: got 0, want 1 or more"),
        ("--scheduled-sampling 1.5", "argument --scheduled-sampling: got 1.5, want 1 or less"),
        ("--dropout 1", "argument --dropout: got 1.0, want less than 1"),
        ("--embedding 0", "argument --embedding: got 0, want 1 or more"),
        ("--length-penalty -1", "argument --length-penalty: got -1.0, want 0 or more"),
        ("--length-penalty 10", "argument --length-penalty: got 10.0, want less than 10"),
        ("--scheduled-sampling nan", "argument --scheduled-sampling: got nan, want 0 or more"),
        ("--cell lsmt", "argument --cell: invalid choice"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, tmp_path, monkeypatch, capsys, example):
    files = {
        "empty": "\n",
        "good": GOOD,
        "form": f"{GOOD}1+1=2\n",
        "long": f"{GOOD}{'1+' * 10_000}_9\n",
    }
    for name, text in (files | {"open": f"{GOOD}7+1_\n"}).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "good").write_text(GOOD)
    (tmp_path / "latin").write_bytes("n\xe9_1".encode("latin-1"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["seq2seq_dates.py", *shlex.split(arguments)])
    with pytest.raises(SystemExit) as end:
        example("seq2seq_dates").main()
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
