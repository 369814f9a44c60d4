"""The exercises: as given they are wrong and say so, and the solutions of the docs mend them."""

import re
import runpy

import pytest
from helpers import ROOT, run

FOLDER = ROOT / "examples" / "exercises"
FILES = sorted(path.name for path in FOLDER.glob("[0-9]*.py"))
PAGE = (ROOT / "docs" / "exercises.md").read_text()
SOLUTIONS = dict(re.findall(r"Solution of (\d)</summary>.*?```diff\n(.*?)```", PAGE, re.DOTALL))
HINTS = {
    "01": "This was a single step",
    "02": "W         2×2   1.1e+00  WRONG",
    "03": "only the rows of f are wrong",
    "04": "of the sequences n = 0, 2 are wrong",
    "05": "encoder.l0.W        8×2   1.0e+00  WRONG: it is zero",
    "06": "l0.Wm        2×2   1.0e+00  WRONG: it is zero",
    "07": "  initial_c_lost: the initial cell state's gradient is lost",
}


def mended(name):
    """The text of an exercise with the page's diff applied: lines taken out, others put there."""
    text = (FOLDER / name).read_text()
    diff = SOLUTIONS[str(int(name[:2]))]
    for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)+)", diff, re.MULTILINE):
        old, new = (re.sub(r"^[-+]", "", part, flags=re.MULTILINE) for part in (old, new))
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def run_beside_check(path, monkeypatch):
    """Run an exercise that may lie elsewhere; return its exit status."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(path.parent)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    return ended.value.code


def test_every_exercise_has_a_solution_and_is_on_the_page():
    assert [name[:2] for name in FILES] == list(HINTS) == [f"0{k}" for k in SOLUTIONS]
    assert re.findall(r"^\| \[(\w+\.py)]", PAGE, re.MULTILINE) == FILES


@pytest.mark.parametrize("name", FILES)
def test_exercise_as_given_is_wrong_and_says_where(name, monkeypatch, capsys):
    assert run_beside_check(FOLDER / name, monkeypatch) == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert HINTS[name[:2]] in said.out
    assert said.out.endswith("\nNot yet.\n")


@pytest.mark.parametrize("name", FILES)
def test_solution_is_right(name, tmp_path, monkeypatch, capsys):
    (tmp_path / name).write_text(mended(name))
    assert run_beside_check(tmp_path / name, monkeypatch) == 0
    assert capsys.readouterr().out.endswith("\nRight.\n")


def test_gradient_that_is_not_given_is_not_right(tmp_path, monkeypatch, capsys):
    text = mended("02_off_by_one.py")
    assert text.count(', "W": dW}') == 1
    (tmp_path / "exercise.py").write_text(text.replace(', "W": dW}', "}"))
    assert run_beside_check(tmp_path / "exercise.py", monkeypatch) == 1
    said = capsys.readouterr().out
    assert "W   not checked: backward gave no gradient" in said
    assert said.endswith("\nNot yet.\n")


def test_cell_whose_single_step_is_right_is_told_so(tmp_path):
    """A step that counts steps: right as a step, wrong in a loop."""
    code = f"""
import sys
sys.path.insert(0, {str(FOLDER)!r})
import check
from minirnn.cells import RNNCell

class Cell(RNNCell):
    calls = 0
    def forward(self, P, x, state):
        Cell.calls = 0
        return super().forward(P, x, state)
    def backward(self, *arguments):
        Cell.calls += 1
        dx, dstate, dP = super().backward(*arguments)
        return dx, dstate, dP if Cell.calls == 1 else {{name: 0 * g for name, g in dP.items()}}

check.cell(Cell())
"""
    done = run("-c", code, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "A single step is right: what is handed from step to step is not." in done.stdout
