"""The examples, run as a reader runs them."""

import argparse
import math
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from helpers import ROOT, run, run_example, run_here

import minirnn as mr

RUNS = 'if __name__ == "__main__":'
SCRIPTS = sorted(
    path.stem
    for path in (ROOT / "examples").glob("*.py")
    if RUNS in path.read_text() and path.stem != "shakespeare"  # which has commands of its own
)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bare", [[], ["--bare"]], ids=["linear", "bare"])
def test_hihello_says_ihello_and_draws_it(cell, bare, tmp_path):
    stdout = run_example("hihello", "--cell", cell, *bare, cwd=tmp_path)
    *_, steps, _, said, _ = stdout.splitlines()
    assert said == '"hihell" -> "ihello"'
    assert "prediction: ihello" in steps
    loss = float(steps.split()[2])
    assert 0.43 < loss < 0.8 if bare else loss < 0.01  # h in (-1, 1) cannot fall below 0.4326


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: got 0, want 1 or more"),
        (["--seed", "-1"], "argument --seed: got -1, want 0 or more"),
        (["--device", "gpu"], "argument --device: got 'gpu'"),
        (["--cell", "lsmt"], "argument --cell: invalid choice"),
        (["--out", "file"], "argument --out: "),
    ],
)
@pytest.mark.parametrize("name", ["hihello", "char_sequence", "long_sentence"])
def test_examples_refuse_mistakes_in_one_line(name, arguments, message, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, out, err = run_here(name, *arguments, cwd=tmp_path)
    assert message in err
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", ["hihello", "char_sequence", "long_sentence"])
def test_examples_need_no_matplotlib(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, _ = run_here(name, "--steps", 5, cwd=tmp_path)
    assert code == 0
    assert "no picture, because matplotlib is missing" in out


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_char_sequence_spells_its_text_and_draws_it(cell, tmp_path):
    stdout = run_example("char_sequence", "--cell", cell, cwd=tmp_path)
    assert "guessing gives a loss of ln 10 = 2.303" in stdout
    assert "knowing the last letter, but no others, gives 0.136" in stdout  # 3/14 H(1/3)
    assert "(T, K, N) = (14, 10, 1)" in stdout
    *_, said, _ = stdout.splitlines()
    assert said == '"if you want yo" -> "f you want you"'
    losses = [float(loss) for loss in re.findall(r"loss: (\S+)", stdout)]
    assert 2 < losses[0] < 3
    assert losses[-1] < 0.01


@pytest.fixture
def long_sentence(example):
    return example("long_sentence")


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_long_sentence_trains_all_eight_and_draws_them(cell, tmp_path):
    stdout = run_example("long_sentence", "--quick", "--cell", cell, cwd=tmp_path)
    assert stdout.startswith("170 windows of 10 letters, 25 different ones; 20 steps")
    row = r"^(?:gradient descent|Adam) +[12]  (none|linear) +(\S+) +\d+% right: \S{20}\.\.\.$"
    rows = re.findall(row, stdout, re.MULTILINE)
    assert len(rows) == 8
    for output, loss in rows:
        assert (1.446 if output == "none" else 0.228) < float(loss) < 3.3
    for who in ("sentence", "failure", "cure"):
        lines = re.findall(rf"^  {who:8}  (\S+)$", stdout, re.MULTILINE)
        assert [len(line) for line in lines] == [60, 60, 59]


def test_cure_of_the_long_sentence_spells_it(long_sentence):
    options = argparse.Namespace(cell="lstm", seed=0, steps=500, device="cpu")
    result = long_sentence.train(long_sentence.CURE, *long_sentence.windows(), options)
    assert 0.2284 < result.losses[-1] <= 0.23
    assert result.right == 1
    # what comes after a window's first letter is anybody's guess
    said = long_sentence.rebuild(result.said)
    assert said[1:] == long_sentence.TEXT[2:].replace(" ", "_")


def test_limits_of_the_long_sentence_are_reached_by_the_best_scores(long_sentence):
    x, targets = long_sentence.windows()
    hit = np.arange(25)[:, None] == targets[:, None]
    loss, _ = mr.softmax_cross_entropy(np.where(hit, 1.0, -1.0), targets)
    assert loss == pytest.approx(math.log1p(24 * math.exp(-2)))

    scores = np.empty((10, 25, 170))
    for t in range(10):
        for n in range(170):
            same = (x[: t + 1] == x[: t + 1, n : n + 1]).all(axis=0)
            share = np.bincount(targets[t, same], minlength=25) / same.sum()
            scores[t, :, n] = np.log(np.maximum(share, 1e-30))
    loss, _ = mr.softmax_cross_entropy(scores, targets)
    assert loss == pytest.approx(long_sentence.best_possible(x, targets))


@pytest.mark.parametrize(
    ("moves", "order", "fewest"),
    [
        (
            (-2.0, 0.01, -1.0),
            "the optimizer helps; the output layer helps; the second layer hardly matters",
            "the optimizer and the output layer",
        ),
        (
            (0.1, -2.0, 1.0),
            "the second layer helps; the optimizer hardly matters; the output layer harms",
            "the second layer",
        ),
        (
            (0.1, 0.2, 0.3),
            "the optimizer harms; the second layer harms; the output layer harms",
            "none",
        ),
    ],
)
def test_long_sentence_says_which_change_mattered(moves, order, fewest, long_sentence, capsys):
    results = {}
    for c in long_sentence.COMBINATIONS:
        changed = [a != b for a, b in zip(c, long_sentence.FAILURE, strict=True)]
        loss = 5 + float(np.dot(changed, moves))
        results[c] = long_sentence.Result([9.0, loss], np.zeros((10, 170), int), 0.5)
    long_sentence.compare(results, 7)
    printed = capsys.readouterr().out
    for move in moves:
        assert f"{move:+.2f}  ({move:+.2f} to {move:+.2f})  letters right +0 points" in printed
    assert f"After 7 steps, in order of use: {order}." in printed
    assert f"The fewest changes that end within 0.01 of the lowest loss: {fewest}." in printed


def start_example(name, cwd):
    """Start ``examples/NAME.py`` and wait for its first line."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "examples" / f"{name}.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        # Tests that run in the background ignore it, and their processes would, too
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout.readline()
    return process


def test_ctrl_c_stops_an_example_in_a_line(tmp_path):
    process = start_example("long_sentence", tmp_path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "\nstopped\n")


def test_an_example_whose_reader_has_seen_enough_ends_in_silence(tmp_path):
    process = start_example("long_sentence", tmp_path)
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_gallery_has_every_example_with_a_command_and_a_picture():
    gallery = (ROOT / "examples" / "README.md").read_text()
    scripts = {path.stem for path in (ROOT / "examples").glob("*.py") if RUNS in path.read_text()}
    assert len(scripts) >= 13
    assert set(re.findall(r"`python examples/(\w+)\.py", gallery)) == scripts
    pictures = re.findall(r'<img src="(pictures/\S+\.png)"', gallery)
    assert len(pictures) == len(set(pictures)) >= 12
    for picture in pictures:
        assert (ROOT / "examples" / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("script", SCRIPTS)
def test_examples_run_as_scripts_and_have_the_same_options(script, tmp_path):
    done = run(ROOT / "examples" / f"{script}.py", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for option in ("--seed", "--device", "--out", "--show", "--quick"):
        assert f"[{option}" in done.stdout


def test_package_is_found_beside_an_unrelated_folder_of_its_name(tmp_path):
    """Such as the folder of the clone, for a script that lies next to it."""
    (tmp_path / "minirnn").mkdir()
    done = run("-c", "import minirnn; minirnn.LSTM", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
