"""How the numbers of ``by_hand.py`` are written: signs for names, and arithmetic for expressions."""

from __future__ import annotations

import re
from typing import NamedTuple

import by_hand
from by_hand import FUNCTIONS, NAME, Step

VALUES = by_hand.evaluate()
GIVEN = by_hand.given()

SIGNS = {" ** 2": "²", "*": "·", "-": "−"}
PARTS = re.compile(r"(d?[A-Za-z]+?)(?:_([ifog]))?(\d*)(?:_(\d|start))?(?:_sum)?")
WORD = re.compile(r"([A-Za-z]+)(′?)(?:_(\w+))?")
WEIGHT = re.compile("(d?[UWb])_")
STATES = ("h", "c", "dh", "dc")


class Token(NamedTuple):
    """A piece of arithmetic: signs, or a number with its name."""

    text: str
    name: str = ""


def typeset(text: str) -> str:
    """Python's operators as a book prints them."""
    for operator, sign in SIGNS.items():
        text = text.replace(operator, sign)
    return text


def maths(text: str) -> str:
    """Letters as HTML: in italics, words upright, what follows a low line as an index."""

    def sign(match: re.Match[str]) -> str:
        word, prime, index = match.groups()
        shown = (word if len(word) > 2 else f"<i>{word}</i>") + prime
        return f"{shown}<sub>{index}</sub>" if index else shown

    return WORD.sub(sign, typeset(text))


def parts(name: str) -> tuple[str, str, str, str]:
    """Letter, gate, units and time of a name; empty where it has none."""
    match = PARTS.fullmatch(name)
    assert match is not None, name
    letter, gate, units, time = match.groups(default="")
    return letter, gate, units, time


def vector(name: str) -> str:
    """What a number is a part of: letter and gate."""
    letter, gate, _, _ = parts(name)
    return f"{letter}_{gate}" if gate else letter


def sign_of(name: str, t: int) -> str:
    """How the step at t writes a number: c after t is c′, and c before it is c."""
    letter, gate, units, time = parts(name)
    prime = "′" if letter in STATES and time == str(t) else ""
    return maths(f"{letter}{prime}_{gate}{units}".rstrip("_"))


def in_words(name: str) -> str:
    """What a number is, for the head of its explanation and for readers of screens."""
    letter, _, units, time = parts(name)
    if WEIGHT.match(name):
        where = f"row {units[0]}, column {units[1]}" if len(units) > 1 else f"row {units}"
        return f"{vector(name)}, {where}"
    when = f"at t = {time}" if time else ""
    if letter in STATES:
        when = "before t = 0" if time == "start" else f"after t = {time}"
    return ", ".join(filter(None, [vector(name), f"unit {units}" if units else "", when]))


def slot(name: str) -> str:
    """Where a number is shown: a gradient that adds up has one place for all its sums."""
    if WEIGHT.match(name) and name.startswith("d"):
        return name.rpartition("_")[0]
    return name.removesuffix("_sum")


def printed(name: str) -> str:
    """The value: what is given has one decimal, the rest four."""
    return typeset(f"{VALUES[name]:.{1 if name in GIVEN else 4}f}")


def tokens(expression: str) -> list[Token]:
    """An expression cut into signs and numbers; negative ones, but the first, are in brackets."""
    found, end = [], 0
    for match in NAME.finditer(expression):
        if match[0] in FUNCTIONS:
            continue
        before, after = expression[end : match.start()], expression[match.end() :]
        number = printed(match[0])
        enclosed = before.endswith("(") and after.startswith(")")
        leading = not match.start() and not after.startswith(" ** ")
        if number.startswith("−") and not enclosed and not leading:
            number = f"({number})"
        found += [Token(typeset(before)), Token(number, match[0])]
        end = match.end()
    return [token for token in [*found, Token(typeset(expression[end:]))] if token.text]


def arithmetic(expression: str) -> str:
    """An expression with numbers in the place of names."""
    return "".join(token.text for token in tokens(expression))


def letters(expression: str, t: int) -> str:
    """An expression of the step at t with signs in the place of names."""
    return "".join(
        sign_of(token.name, t) if token.name else token.text for token in tokens(expression)
    )


def arrow(name: str, step: Step) -> str:
    """Between a number and its expression: whether it adds to what stands in its place."""
    operands = NAME.findall(step.results.get(name, ""))
    return "←" if slot(name) in map(slot, operands) else "="
