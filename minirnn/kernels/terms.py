"""One number of one unit of one sequence as a term, and the operations that terms are made by."""

from __future__ import annotations

from typing import Any, TypeAlias

Key: TypeAlias = tuple[Any, ...]  # what a letter stands for: ("state", "c"), ("parameter", "b", 2)

CONDITIONS = {
    "greater": ">", "greater_equal": ">=", "less": "<", "less_equal": "<=", "equal": "==",
    "not_equal": "!=", "logical_and": "&", "bitwise_and": "&", "logical_or": "|", "bitwise_or": "|",
    "logical_not": "~", "invert": "~",
}  # fmt: skip
SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "negative": "neg"}
FUNCTIONS = ("exp", "log", "tanh", "sqrt", "absolute", "sign", "maximum", "minimum")
OPERATIONS = CONDITIONS | SIGNS | {name: name for name in FUNCTIONS}
LOGIC = "&|~"


class NotPointwise(Exception):
    """A cell does what cannot be written down for one unit of one sequence: "has the product …"."""


class Term:
    """One number: `of` are the terms of an operation, the key and the unit of a letter, or a value.

    `place` is where it stands among the terms of its reading, and `name` what the cell calls it.
    """

    __slots__ = ("name", "of", "op", "place")

    def __init__(self, op: str, of: Key, place: int) -> None:
        self.op, self.of, self.place, self.name = op, of, place, ""

    @property
    def parts(self) -> Key:
        """The terms that it is made of."""
        return () if self.op in ("letter", "number") else self.of

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false."""
        return self.op in CONDITIONS.values()
