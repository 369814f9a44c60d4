"""The equations of the book are those of the code: their numbers agree, and what they compute.

For the latter, the tagged equations of a chapter are translated from LaTeX to Python and run on random
numbers, in the order of the page. What they give is held to forward and backward, of the cell or of
attention. The equations of a cell are about matrices, those of attention about one pair of steps.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import minirnn as mr
from minirnn.backend import sigmoid, split_rows, stack_rows, tanh
from minirnn.cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell

ROOT = Path(__file__).parents[2]
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
INDEXED = (  # the same where letters have the indices r, s and t
    (r"\\(thinspace|quad|textstyle|Big)\b", " "),
    (r"\\mathrel\{\+\}=", "+="),
    (r"\b(d?[a-z])_\{?([rst])([rst]?)\}?", r"\1[\2\3]"),
    (r"\\frac\{(.*?)\}\{(.*?)\}", r"(\1) / (\2)"),
    (r"\\sum_(\w) ([^()]+)", r"sum((\2) for \1 in range(sizes['\1']))"),
    (r"\\exp (\w+\[\w+\])", r"exp(\1)"),
    (r" *\^\\top +", " @ "),  # of columns
    (r"\](?= +\w+\[| +\()", "] *"),  # any other product has no sign, either
    (r"\[([rst])([rst])\]", r"[\1, \2]"),
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


def test_equations_of_attention_compute_what_the_code_does(rng):
    sizes, H = {"s": 4, "r": 4, "t": 3}, 5
    shapes = {"q": (3, H), "m": (4, H), "dc": (3, H)}
    given = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    columns = {name: value[..., None] for name, value in given.items()}  # of one sequence
    attention = mr.Attention()
    context, cache = attention.forward(columns["q"], columns["m"])
    dqueries, dmemory = attention.backward(cache, columns["dc"])
    weights = cache.weights.transpose(1, 0, 2)  # (S, T, 1), as in a_st
    want = {"a": weights, "c": context, "dq": dqueries, "dm": dmemory}

    known = given | {"sizes": sizes, "exp": np.exp}
    known |= {name: np.zeros((4, 3)) for name in ("e", "a", "de", "da")}
    known |= {"c": np.zeros((3, H)), "dq": np.zeros((3, H)), "dm": np.zeros((4, H))}
    for equation, _ in tagged("kinds"):
        for part in equation.split(r", \quad"):
            for latex, python in INDEXED:
                part = re.sub(latex, python, part)
            assert "\\" not in part
            free = re.match(r" *\w+\[([^]]*)\]", part)[1].split(", ")
            for values in itertools.product(*(range(sizes[index]) for index in free)):
                exec(part.strip(), known | dict(zip(free, values, strict=True)))
    for name, value in want.items():
        assert np.abs(known[name] - value[..., 0]).max() <= 1e-12, name


def test_lines_of_the_scan_beside_the_maths_are_lines_of_the_code():
    scan = (ROOT / "minirnn" / "scan.py").read_text()
    chapter = (ROOT / "docs" / "rnn.md").read_text()
    lines = re.findall(r"^\| `(.*?)` \| ", chapter.partition("| `GenericScan.backward` |")[2], re.M)
    assert len(lines) == 5
    for line in lines:
        assert line in scan
