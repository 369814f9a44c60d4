"""What is printed can be printed, whatever letters standard output has."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from helpers import ROOT

import minirnn as mr
from minirnn.printing import SIGNS, printable

WORDS = "Δ2 × 3, 가"
PRINTED = {
    "ascii": r"d2 x 3, \uac00",
    "cp1251": r"d2 x 3, \uac00",
    "latin-1": r"d2 × 3, \uac00",
    "cp949": r"d2 × 3, 가".replace("d", "Δ"),
    "utf-8": WORDS,
    "utf-16": WORDS,
}


def stream_of(encoding):
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


@pytest.mark.parametrize("encoding", PRINTED)
def test_signs_that_are_lacking_become_plain_ones_and_letters_escapes(encoding):
    with redirect_stdout(stream_of(encoding)):
        found = printable(WORDS), printable("plain"), printable("\ud800")
    assert found == (PRINTED[encoding], "plain", r"\ud800")
    assert all(sign.isascii() for sign in SIGNS.values())


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_output_of_no_encoding_gets_all_signs(stream):
    with redirect_stdout(stream):
        assert printable(WORDS) == WORDS


@pytest.mark.parametrize("encoding", PRINTED)
def test_reports_of_a_model_can_be_printed(encoding):
    model = mr.Model(가=mr.LSTM(2, 3, rng=0), Δ=mr.Linear(3, 2, rng=0))
    with redirect_stdout(stream_of(encoding)) as output:
        mr.summary(model)
        print(mr.explain(model))
        print(mr.explain(mr.Sequential(mr.Linear(3, 2))))
        wanted = [printable(text) for text in ("12 × 2", "가.l0.U", "Δ.V", "가: LSTM")]
    text = output.buffer.getvalue().decode(encoding)
    assert all(part in text for part in wanted)


@pytest.mark.parametrize(
    "command", [["examples/hihello.py", "--help"], ["-m", "benchmarks", "--help"]]
)
def test_commands_print_on_a_terminal_of_ascii(command):
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", *command], cwd=ROOT, capture_output=True, check=False,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
