"""The equations of the book are those of the code: their numbers agree, and what they compute.

For the latter, the tagged equations of a chapter are translated from LaTeX to Python and run on random
numbers, in the order of the page. What they give is held to the cell's forward and backward.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from minirnn.backend import sigmoid, split_rows, stack_rows, tanh
from minirnn.cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell

ROOT = Path(__file__).parent.parent
CHAPTERS = ("rnn", "lstm", "gru", "kinds")
TAGGED = re.compile(r"\$\$(.*?) *\\tag\{(\d\.\d'?)\}\$\$")
PYTHON = (  # LaTeX -> Python, in this order
    (r"\\(begin|end)\{aligned\}|&", ""),
    (r"\\(thinspace|quad|cr|textstyle)\b", " "),
    (r"\\mathrel\{\+\}=", "+="),
    (r"\^\\top", ".T"),
    (r"\\mathrm\{act\}'", "dact"),
    (r"\\mathrm\{act\}", "act"),
    (r"\\sigma", "sigmoid"),
    (r"\\tanh", "tanh"),
    (r"\\odot", "*"),
    (r"b_w\b", "bw"),
    (r"(\w)'", r"\1_new"),
    (r"\\sum_n (\w+|\([^()]*\))", r"sum_n(\1)"),
    (r"(?<!\w)\(([^()]*,[^()]*)\)", r"stack_rows(\1)"),  # (a, b, c): blocks of rows
    (r"(?<=[\w)]) +(?=[\w(])", " @ "),  # a product of matrices has no sign
)


def statements(equation):
    """The Python of one tagged equation: a list of assignments."""
    for latex, python in PYTHON:
        equation = re.sub(latex, python, equation)
    assert "\\" not in equation
    blocks = re.match(r"stack_rows\((.*?)\) = (.*)", equation)  # (a, b) = ...: cut into blocks
    if blocks:
        names, value = blocks.groups()
        return [f"{names} = split_rows({value}, {names.count(',') + 1})"]
    return [part.strip() for part in re.split(r",(?=\s*\w+ \+?= )", equation)]


def tagged(chapter):
    return TAGGED.findall((ROOT / "docs" / f"{chapter}.md").read_text())


def test_every_equation_number_of_the_code_is_tagged_once_in_the_book():
    numbers = re.compile(r"# \((\d\.\d'?)\)")
    files = [(ROOT / "minirnn" / name).read_text() for name in ("cells.py", "attention.py")]
    code = [number for text in files for number in numbers.findall(text)]
    pages = "".join((ROOT / "docs" / f"{chapter}.md").read_text() for chapter in CHAPTERS)
    tags = re.findall(r"\\tag\{(.*?)\}", pages)
    assert sorted(tags) == sorted(set(code))
    assert len(tags) == 2 * (2 + 7 + 7 + 6 + 3)


@pytest.mark.parametrize(
    ("cell", "chapter", "number"),
    [
        (RNNCell("tanh"), "rnn", "1"),
        (RNNCell("relu"), "rnn", "1"),
        (LSTMCell("tanh"), "lstm", "2"),
        (LSTMCell("relu"), "lstm", "2"),
        (GRUCell(), "gru", "3"),
        (GRUResetBeforeCell(), "gru", "4"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_equations_of_the_book_compute_what_the_code_does(cell, chapter, number, rng):
    D, H, N = 3, 4, 5
    P = {name: rng.normal(size=shape) for name, shape in cell.shapes(D, H).items()}
    x = rng.normal(size=(D, N))
    state = tuple(rng.normal(size=(H, N)) for _ in cell.states)
    dnew = tuple(rng.normal(size=(H, N)) for _ in cell.states)
    new, gates = cell.forward(P, x, state)
    dx, dstate, dP = cell.backward(P, x, state, new, gates, dnew)
    want = {"dx": dx, **gates, **{f"d{name}": value for name, value in dP.items()}}
    for name, s_new, ds in zip(cell.states, new, dstate, strict=True):
        want |= {f"{name}_new": s_new, f"d{name}": ds}

    known = {"sigmoid": sigmoid, "tanh": tanh, "split_rows": split_rows, "stack_rows": stack_rows}
    known |= {"sum_n": lambda a: a.sum(axis=1, keepdims=True)}
    if chapter == "gru":
        known |= dict(zip(("W_r", "W_z", "W_n"), split_rows(P["W"], 3), strict=True))
    else:
        known |= {"act": cell.act.f, "dact": lambda a: cell.act.df(cell.act.f(a))}
    known |= {"x": x, **P, **dict(zip(cell.states, state, strict=True))}
    known |= {f"d{name}_new": part.copy() for name, part in zip(cell.states, dnew, strict=True)}
    given = set(known)
    for equation, tag in tagged(chapter):
        if tag.startswith(number):
            for statement in statements(equation):
                exec(statement, {}, known)
    assert set(want) <= set(known) - given
    for name, value in want.items():
        assert np.abs(known[name] - value).max() <= 1e-12 * max(1, np.abs(value).max()), name


def test_lines_of_the_scan_beside_the_maths_are_lines_of_the_code():
    scan = (ROOT / "minirnn" / "scan.py").read_text()
    chapter = (ROOT / "docs" / "rnn.md").read_text()
    lines = re.findall(r"^\| `(.*?)` \| ", chapter.partition("| `GenericScan.backward` |")[2], re.M)
    assert len(lines) == 5
    for line in lines:
        assert line in scan
