"""An LSTM of two units reads two numbers: every number of it, forward and backward.

``STEPS`` is what the page is made of, its tables, its graph and its stepper: one step for each equation
of ``minirnn/cells.py`` at each t, with an expression for each number that comes out, in the names of
the numbers that go in. `evaluate` computes them. `engine` gives the same numbers as the package
computes them, to compare.

A name is a letter, the gate, the unit and the time: ``c1_1`` is unit 1 of c after t = 1, ``a_f1_1`` what
the forget gate adds up there, ``W_f12`` the weight of f in unit 1 from unit 2, and ``da_f1_1`` the
gradient of ``a_f1_1``. Two kinds of gradients have two terms: ``dc1_0`` is what t = 1 sends to c, and
``dc1_0_sum`` that and what (2.7') adds; ``dU_f1_1`` is what t = 1 sends to U, and ``dU_f1_0`` that and
what t = 0 adds.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minirnn.backend import sigmoid
from minirnn.cells import LSTMCell

Numbers = dict[str, Any]  # by name: floats, or complex ones for the complex step

# One input, two units, one sequence. Rows are i₁ i₂ f₁ f₂ o₁ o₂ g₁ g₂. No number is so small that four
# decimals hide it, and the initial state is not zero, so that no term drops out.
U = np.array([[0.4, 0.7, 0.1, 0.3, 0.4, 0.8, 0.2, 0.9]]).T
W = np.array(
    [[0.7, 0.2, 0.2, 0.1, 0.9, -0.7, 0.9, -0.3], [-0.9, 0.3, 0.3, -0.4, -0.7, 0.9, -0.8, 0.2]]
).T
B = np.array([[0.2, 0.2, -0.3, 0.2, -0.2, 0.2, 0.2, 0.3]]).T
X = np.array([0.5, 1.0]).reshape(2, 1, 1)  # (T, D, N)
H0 = np.array([[0.2, -0.4]]).T
C0 = np.array([[0.5, 0.3]]).T
TARGET = np.array([[1.0, -1.0]]).T

UNITS = "12"
ROWS = [gate + unit for gate in LSTMCell.gates for unit in UNITS]  # of U, W and b
LAST = len(X) - 1

NAME = re.compile(r"\w*[A-Za-z]\w*")  # in an expression
FUNCTIONS = {"σ": sigmoid, "tanh": np.tanh, "__builtins__": {}}

# The equations that are the same for every unit, in the letters of cells.py.
FORWARD = [
    ("2.2", "The input gate: how much of g to write.", "i = σ(a_i)"),
    ("2.3", "The forget gate: how much of c to keep.", "f = σ(a_f)"),
    ("2.4", "The output gate: how much of c to show.", "o = σ(a_o)"),
    ("2.5", "What to write.", "g = tanh(a_g)"),
    ("2.6", "Keep f of the old c, and add i of g.", "c_new = f * c + i * g"),
    ("2.7", "Show o of the new c.", "y = tanh(c_new)", "h_new = o * y"),
]
BACKWARD = [
    (
        "2.7'",
        "h′ was made from o and c′, and both get their share. c′ has a second reader, the next step: "
        "what that has sent is there already, and this is added to it.",
        "do = dh_new * y",
        "dc_sum = dc_new + dh_new * o * (1 - y ** 2)",
    ),
    (
        "2.6'",
        "Each factor of a product gets the gradient times the other factor. dc goes back to the step "
        "before, times f and nothing else.",
        "di = dc_sum * g",
        "df = dc_sum * c",
        "dg = dc_sum * i",
        "dc = dc_sum * f",
    ),
    ("2.5'", "Back through the tanh.", "da_g = dg * (1 - g ** 2)"),
    ("2.4'", "Back through the sigmoid.", "da_o = do * o * (1 - o)"),
    ("2.3'", "Back through the sigmoid.", "da_f = df * f * (1 - f)"),
    ("2.2'", "Back through the sigmoid.", "da_i = di * i * (1 - i)"),
]
LOSS = "The loss looks at the last h only: the mean of the squared errors of its two units."
LOSS_BACK = (
    "What the loss sends back: to h′ its derivative, and to c′ nothing, as it does not look at it."
)
SUM = "Each gate adds up what it is shown: the input, the h of before and a bias."
SHARED = (
    "All four gates send to x and h. U, W and b serve at every t, so their gradients add up over t, "
    "from zero."
)


@dataclass(frozen=True)
class Step:
    """One equation at one t."""

    number: str  # of the equation in cells.py; "loss" and "loss'" are not the cell's
    t: int
    meaning: str
    formula: str  # for all units at once
    results: dict[str, str]  # by name, the expression of each number

    @property
    def backward(self) -> bool:
        """Whether it sends gradients back."""
        return self.number.endswith("'")

    @property
    def of_loss(self) -> bool:
        """Whether it is the loss's, and not the cell's."""
        return self.number.startswith("loss")

    def code(self, name: str) -> str:
        """The line of cells.py that makes a number; none for the loss, which is not the cell's."""
        method = LSTMCell.backward if self.backward else LSTMCell.forward
        lines: list[str] = []
        for line in inspect.getsource(method).splitlines():
            if f"# ({self.number})" in line or (
                lines and "# (" not in line and "return" not in line
            ):
                lines.append(line.partition("#")[0].strip())
            elif lines:
                break
        letter, gate = re.match(r"([A-Za-z]+)(_[ifog])?", name).groups(default="")  # type: ignore[union-attr]
        left = {letter, letter + gate, f"{letter}_new"}
        makes = (line for line in lines if left & set(NAME.findall(line.partition(" = ")[0])))
        return next(makes, lines[-1] if lines else "")


def before(t: int) -> str:
    """The time of the state that the step at t starts from."""
    return str(t - 1) if t else "start"


def name_of(word: str, unit: str, t: int) -> str:
    """The name of one unit's number, from a letter of the step at t."""
    if word in FUNCTIONS:
        return word
    if word == "target":
        return word + unit
    if word.endswith("_sum"):
        return f"{word.removesuffix('_sum')}{unit}_{t}_sum"
    old = word in ("h", "c", "dh", "dc")
    return f"{word.removesuffix('_new')}{unit}_{before(t) if old else t}"


def of_unit(line: str, unit: str, t: int) -> str:
    """A line of the step at t, with the names of one unit's numbers in the place of letters."""
    return NAME.sub(lambda match: name_of(match[0], unit, t), line)


def each_unit(number: str, meaning: str, *lines: str, t: int) -> Step:
    """The step that computes `lines` for every unit."""
    results = dict(of_unit(line, unit, t).split(" = ") for line in lines for unit in UNITS)
    formula = ", ".join(lines).replace("dc_sum =", "dc′ ←").replace("dc_sum", "dc′")
    return Step(number, t, meaning, formula.replace("_new", "′").replace(" * ", " ⊙ "), results)


def forward(t: int) -> list[Step]:
    """One step of the cell."""
    s = before(t)
    sums = {
        f"a_{r}_{t}": f"U_{r} * x_{t} + W_{r}1 * h1_{s} + W_{r}2 * h2_{s} + b_{r}" for r in ROWS
    }
    rest = [each_unit(*equation, t=t) for equation in FORWARD]
    return [Step("2.1", t, SUM, "a = U x + W h + b", sums), *rest]


def loss() -> list[Step]:
    """The mean squared error of the last h, and its gradient."""
    squares = " + ".join(f"(h{u}_{LAST} - target{u}) ** 2" for u in UNITS)
    forth = Step("loss", LAST, LOSS, "L = Σ (h′ - target) ** 2 / 2", {"L": f"({squares}) / 2"})
    return [forth, each_unit("loss'", LOSS_BACK, "dh_new = h_new - target", "dc_new = 0", t=LAST)]


def backward(t: int) -> list[Step]:
    """One step of the cell, back."""
    s = before(t)
    weights = {f"dx_{t}": "U_{}", f"dh1_{s}": "W_{}1", f"dh2_{s}": "W_{}2"}
    results = {
        name: " + ".join(f"{weight.format(row)} * da_{row}_{t}" for row in ROWS)
        for name, weight in weights.items()
    }
    read = {"U_{}": f" * x_{t}", "W_{}1": f" * h1_{s}", "W_{}2": f" * h2_{s}", "b_{}": ""}
    for weight, factor in read.items():
        for row in ROWS:
            name = "d" + weight.format(row)
            so_far = f"{name}_{t + 1} + " if t < LAST else ""
            results[f"{name}_{t}"] = f"{so_far}da_{row}_{t}{factor}"
    formula = "dx = Uᵀ da, dh = Wᵀ da, dU ← dU + da xᵀ, dW ← dW + da hᵀ, db ← db + da"
    last = Step("2.1'", t, SHARED, formula, results)
    return [*(each_unit(*equation, t=t) for equation in BACKWARD), last]


STEPS = [*forward(0), *forward(1), *loss(), *backward(1), *backward(0)]


def given() -> Numbers:
    """What there is before the first step: input, initial state, target and parameters."""
    numbers: Numbers = {f"x_{t}": X[t, 0, 0] for t in range(LAST + 1)}
    for letter, column in (("h{}_start", H0), ("c{}_start", C0), ("target{}", TARGET)):
        numbers |= {letter.format(u): column[k, 0] for k, u in enumerate(UNITS)}
    for letter, column in (("U_{}", U), ("W_{}1", W[:, :1]), ("W_{}2", W[:, 1:]), ("b_{}", B)):
        numbers |= {letter.format(row): column[k, 0] for k, row in enumerate(ROWS)}
    return numbers


def evaluate(nudges: Mapping[str, complex] | None = None) -> Numbers:
    """Every number by name. A nudge is added to its number before others are computed from that."""
    nudges = nudges or {}
    numbers = {name: value + nudges.get(name, 0) for name, value in given().items()}
    for step in STEPS:
        for name, expression in step.results.items():
            value = eval(expression, FUNCTIONS, numbers)  # ours, from above
            numbers[name] = value + nudges.get(name, 0)
    return numbers


def engine() -> Numbers:
    """The numbers that the package's LSTM cell gives or takes, under the same names."""
    cell, P = LSTMCell(), {"U": U, "W": W, "b": B}
    states = [(H0, C0)]
    arrays: dict[str, Any] = {}
    gates = []
    for t in range(LAST + 1):
        state, found = cell.forward(P, X[t], states[-1])
        states.append(state)
        gates.append(found)
        arrays |= {f"{letter}{{}}_{t}": value for letter, value in found.items()}
        arrays |= {f"h{{}}_{t}": state[0], f"c{{}}_{t}": state[1]}
    difference = states[-1][0] - TARGET
    dstate = difference, np.zeros_like(difference)
    numbers: Numbers = {"L": float((difference**2).mean())}
    total = {letter: np.zeros_like(value) for letter, value in P.items()}
    for t in reversed(range(LAST + 1)):
        arrays |= {f"dh{{}}_{t}": dstate[0], f"dc{{}}_{t}": dstate[1]}
        dx, dstate, dP = cell.backward(P, X[t], states[t], states[t + 1], gates[t], dstate)
        total = {letter: total[letter] + dP[letter] for letter in P}
        numbers[f"dx_{t}"] = dx[0, 0]
        for k, row in enumerate(ROWS):
            numbers[f"da_{row}_{t}"] = dP["b"][k, 0]  # one sequence, so that db is da
            numbers |= {f"dU_{row}_{t}": total["U"][k, 0], f"db_{row}_{t}": total["b"][k, 0]}
            numbers |= {f"dW_{row}{u}_{t}": total["W"][k, j] for j, u in enumerate(UNITS)}
    arrays |= {"dh{}_start": dstate[0], "dc{}_start": dstate[1]}
    return numbers | {n.format(u): a[k, 0] for n, a in arrays.items() for k, u in enumerate(UNITS)}
