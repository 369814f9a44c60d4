"""The examples, run as a reader runs them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*arguments, cwd):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bare", [[], ["--bare"]], ids=["linear", "bare"])
def test_hihello_says_ihello_and_draws_it(cell, bare, tmp_path):
    done = run(ROOT / "examples" / "hihello.py", "--cell", cell, *bare, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *_, steps, _, said, picture = done.stdout.splitlines()
    assert said == '"hihell" -> "ihello"'
    assert "prediction: ihello" in steps
    loss = float(steps.split()[2])
    assert 0.43 < loss < 0.8 if bare else loss < 0.01  # h in (-1, 1) cannot fall below 0.4326
    path = tmp_path / picture.removeprefix("picture: ")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: got 0, want 1 or more"),
        (["--seed", "-1"], "argument --seed: got -1, want 0 or more"),
        (["--device", "gpu"], "argument --device: device: got 'gpu'"),
        (["--cell", "lsmt"], "argument --cell: invalid choice"),
        (["--out", "file"], "argument --out: "),
    ],
)
def test_hihello_refuses_mistakes_in_one_line(arguments, message, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run(ROOT / "examples" / "hihello.py", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_hihello_needs_no_matplotlib(tmp_path):
    code = "import sys, runpy; sys.modules['matplotlib'] = None; sys.argv[1:] = ['--steps', '50'];"
    code += f"runpy.run_path({str(ROOT / 'examples' / 'hihello.py')!r}, run_name='__main__')"
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no picture, because matplotlib is missing" in done.stdout


def test_benchmark_prints_its_table(tmp_path):
    script = ROOT / "benchmarks" / "scan.py"
    done = run(script, "--seconds", "0", "--sizes", "hihello", "--cells", "GRU", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("GRU   hihello   (6, 1, 5, 5)")


def test_package_is_found_beside_an_unrelated_folder_of_its_name(tmp_path):
    """Such as the folder of the clone, for a script that lies next to it."""
    (tmp_path / "minirnn").mkdir()
    done = run("-c", "import minirnn; minirnn.LSTM", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
