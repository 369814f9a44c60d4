"""What the page shows of the numbers of ``by_hand.py``: tables, lines of arithmetic, and the stepper."""

from __future__ import annotations

import json
from collections.abc import Sequence

from by_hand import ROWS, STEPS, UNITS, Step
from by_hand_graph import graph
from by_hand_signs import (
    GIVEN,
    VALUES,
    WEIGHT,
    arithmetic,
    arrow,
    in_words,
    letters,
    maths,
    printed,
    sign_of,
    slot,
    tokens,
    vector,
)

START = Step(
    "given",
    0,
    "Two inputs, a state to start from, a target for the last h, and the parameters.",
    "x, h, c, target, U, W, b",
    dict.fromkeys(GIVEN, ""),
)


def html_table(kind: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first cell of each row is its head."""
    top = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return (
        f'<div class="table-wrapper"><table class="docutils by-hand {kind}">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def steps_of(t: int, backward: bool) -> list[Step]:
    """The cell's steps at t, forward or back."""
    return [s for s in STEPS if s.t == t and s.backward == backward and not s.of_loss]


def in_order(backward: bool) -> list[int]:
    """The times, as they are walked."""
    return sorted({step.t for step in STEPS}, reverse=backward)


def vectors(backward: bool) -> str:
    """The table of one direction: a row for each vector, a column for each unit at each t."""
    times = in_order(backward)
    head = ["", "", *(f"t = {t}<br>unit {u}" for t in times for u in UNITS)]
    rows = []
    for pair in zip(*(steps_of(t, backward) for t in times), strict=True):
        number = f"({pair[0].number})"
        for part in dict.fromkeys(vector(n) for n in pair[0].results if not WEIGHT.match(n)):
            cells = []
            for step in pair:
                found = [printed(name) for name in step.results if vector(name) == part]
                cells += found + [""] * (len(UNITS) - len(found))
            prime = "′" if part in ("h", "c") or (part == "dc" and pair[0].number == "2.7'") else ""
            rows.append([number, maths("y = tanh(c′)" if part == "y" else part + prime), *cells])
            number = ""
    return html_table("vectors", head, rows)


def lines(backward: bool) -> str:
    """All arithmetic of one direction, folded away for each t."""
    out = ""
    for t in in_order(backward):
        head = f"Every line of arithmetic, {'backward' if backward else 'forward'}, t = {t}"
        out += f'<details class="by-hand"><summary>{head}</summary>'
        for step in steps_of(t, backward):
            out += f"<p>({step.number})</p><ul>"
            for name, expression in step.results.items():
                left = f"{sign_of(name, t)} {arrow(name, step)} {letters(expression, t)}"
                out += f"<li>{left} = {arithmetic(expression)} = <b>{printed(name)}</b></li>"
            out += "</ul>"
        out += "</details>"
    return out


def parameters() -> str:
    """The parameters and their gradients; the numbers of the stepper that the graph does not show."""
    columns = {"U": "U_{}", "W from h_1": "W_{}1", "W from h_2": "W_{}2", "b": "b_{}"}
    head = ["", *map(maths, columns), *(maths(f"d{title}") for title in columns)]
    rows = []
    for row in ROWS:
        names = [name.format(row) for name in columns.values()]
        cells = [f'<span class="number" data-slot="{n}">{printed(n)}</span>' for n in names]
        for n in names:
            cells.append(
                f'<span class="number gradient" data-slot="d{n}">{printed(f"d{n}_0")}</span>'
            )
        rows.append([maths("_".join(row)), *cells])
    return html_table("weights", head, rows)


def worked(name: str, step: Step, at: int) -> dict[str, object]:
    """A number and what it was made from, as the stepper needs it."""
    cut = tokens(step.results[name])
    names = [name, *(token.name for token in cut if token.name)]
    return {
        "at": at,
        "slot": slot(name),
        "text": printed(name),
        "words": in_words(name),
        "tokens": [token._asdict() for token in cut],
        "signs": {n: sign_of(n, step.t) for n in names},
        "arrow": arrow(name, step),
        "code": step.code(name) if cut else "",
    }


def phase(step: Step) -> str:
    """Where a step is on the way forward and back."""
    if step.of_loss or step is START:
        return step.number.rstrip("'")
    return f"t = {step.t} {'back' if step.backward else 'forward'}"


def data() -> str:
    """What drives the stepper, as JSON: the steps, and every number by its name."""
    steps = []
    numbers: dict[str, object] = {}
    for at, step in enumerate([START, *STEPS]):
        clauses = (f"<span>{maths(clause)}</span>" for clause in step.formula.split(", "))
        steps.append(
            {
                "phase": phase(step),
                "number": f"({step.number})" if step.number[0].isdigit() else step.number,
                "formula": ", ".join(clauses),
                "meaning": step.meaning,
                "names": list(step.results),
            }
        )
        numbers |= {name: worked(name, step, at) for name in step.results}
    text = json.dumps({"steps": steps, "numbers": numbers}, ensure_ascii=False)
    return text.replace("</", "<\\/")  # or a script would end there


def stepper() -> str:
    """The stepper: graph and parameters with all numbers, the data, and the script that drives it."""
    places = {slot(name): printed(name) for name in VALUES}
    return f"""<link rel="stylesheet" href="_static/stepper.css">
<section id="stepper" class="stepper" tabindex="-1" aria-label="The example, step by step">
<div class="graph">{graph(places)}</div>
<details class="parameters" open><summary>Parameters and their gradients</summary>
{parameters()}</details>
</section>
<script type="application/json" id="stepper-data">{data()}</script>
<script src="_static/stepper.js" defer></script>"""
