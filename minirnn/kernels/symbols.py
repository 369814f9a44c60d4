"""What stands in place of arrays while a cell is read: rows of terms, and the products that are known.

A `Term` is one number of one unit of one sequence: a letter, a constant, or an operation on other terms.
`Rows` are what a cell takes for an array (rows, sequences): a term for each row. A product with U or W
gives letters; a product with a transpose, and a sum over sequences, are only noted. ``pointwise.py`` has
what becomes of them.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .terms import CONDITIONS, LOGIC, OPERATIONS, Key, NotPointwise, Term

POWERS = range(1, 9)


class Reading:
    """All terms of a cell, each once, for D inputs, H units, N sequences; W is multiplied by `h`."""

    def __init__(self, D: int, H: int, N: int, dtype: str, h: str) -> None:
        self.H, self.N, self.dtype = H, N, np.dtype(dtype)
        self._known: dict[Key, Term] = {}
        self.x = Rows(self, [self.term("letter", ("x",), k) for k in range(D)], N)
        self.h = self.letters(("state", h))

    def term(self, op: str, *of: Any) -> Term:
        """The term that says so. Where a number is wanted, a condition is 1 or 0."""
        if op not in ("letter", "number", *LOGIC):
            first = op == "where"
            if first and not of[0].is_condition:
                of = (self.term("!=", of[0], self.number(0)), *of[1:])
            of = of[:first] + tuple(map(self.as_number, of[first:]))
        elif op in LOGIC:
            of = tuple(t if t.is_condition else self.term("!=", t, self.number(0)) for t in of)
        return self._known.setdefault((op, *of), Term(op, of, len(self._known)))

    def as_number(self, term: Term) -> Term:
        """1 or 0 for a condition, and itself otherwise."""
        return self.term("where", term, *map(self.number, (1, 0))) if term.is_condition else term

    def number(self, value: float) -> Term:
        """A constant."""
        if not np.isfinite(value):
            raise NotPointwise(f"computes with the constant {value}")
        return self.term("number", float(value))

    def letters(self, *keys: Key, columns: int = 0) -> Rows:
        """A letter for each unit, and for each key below the others."""
        terms = [self.term("letter", key, unit) for key in keys for unit in range(self.H)]
        return Rows(self, terms, columns or self.N)

    def note_names(self) -> None:
        """Call terms what the cell's method calls them that is running now."""
        frame = sys._getframe(2)
        while frame and frame.f_code.co_name not in ("forward", "backward"):
            frame = frame.f_back  # type: ignore[assignment]  # of a function that the method calls
        for name, value in frame.f_locals.items() if frame else ():
            if isinstance(value, Rows) and len(value) == self.H:
                for term in value.terms:
                    term.name = term.name or name

    def rows_of(self, value: Any, height: int) -> list[Term]:
        """What an operation on `height` rows is to take for `value`."""
        if isinstance(value, Rows):
            if len(value) != height:
                raise NotPointwise("has an operation on arrays of unequal heights")
            return value.terms
        array = np.asarray(value)
        if array.dtype.kind not in "biuf" or not array.size or (array != array.flat[0]).any():
            raise NotPointwise(f"computes with {called(value)}")
        return [self.number(array.flat[0].item())] * height

    def each(self, op: str, *of: Any) -> Rows:
        """The same operation on each row."""
        if op not in CONDITIONS.values() and all(map(is_condition, of[op == "where" :])):
            raise NotPointwise(
                "computes with conditions alone, which NumPy does not count as 1 and 0"
            )
        height = max(len(value) for value in of if isinstance(value, Rows))
        columns = max(value.shape[1] for value in of if isinstance(value, Rows))
        rows = zip(*(self.rows_of(value, height) for value in of), strict=True)
        return Rows(self, [self.term(op, *terms) for terms in rows], columns)


def is_condition(value: Any) -> bool:
    """Whether NumPy has truth values there."""
    if isinstance(value, Rows):
        return all(term.is_condition for term in value.terms)
    return np.asarray(value).dtype == bool


def called(value: Any) -> str:
    """What to call it in a message."""
    if isinstance(value, Rows):
        first = value.terms[0]
        return str(first.of[0][:2][-1]) if first.op == "letter" else first.name or "another array"
    return getattr(value, "name", "") or f"a {type(value).__name__}"


class Symbol(NDArrayOperatorsMixin):
    """Whatever stands in place of an array."""

    reading: Reading

    def __array_ufunc__(self, ufunc: Any, method: str, *of: Any, **options: Any) -> Any:
        self.reading.note_names()
        if method != "__call__" or options:
            raise NotPointwise(f"has an option of np.{ufunc.__name__}, as to change an array")
        if ufunc is np.matmul:
            return product(*of)
        if ufunc is np.add and any(isinstance(value, Back) for value in of):
            first, second = of if isinstance(of[0], Back) else of[::-1]
            return first.plus(second)
        for value in of:
            if isinstance(value, Symbol) and not isinstance(value, Rows):
                raise NotPointwise(f"computes with {called(value)} by itself")
        if ufunc is np.power:
            return self._power(*of)
        if ufunc.__name__ not in OPERATIONS:
            raise NotPointwise(f"calls np.{ufunc.__name__}")
        return self.reading.each(OPERATIONS[ufunc.__name__], *of)

    def _power(self, base: Any, exponent: Any) -> Any:
        if exponent not in POWERS:
            raise NotPointwise(f"has the power {called(exponent)}, and not a small integer")
        return base if exponent == 1 else base * self._power(base, exponent - 1)

    def __array_function__(self, function: Any, kinds: Any, of: Any, options: Any) -> Any:
        self.reading.note_names()
        if function is np.concatenate and options.get("axis", *of[1:] or (0,)) == 0:
            return stacked(*of[0])
        if function is np.where and len(of) == 3:
            return self.reading.each("where", *of)
        if function in (np.zeros_like, np.ones_like) and not is_condition(of[0]):
            value = self.reading.number(function is np.ones_like)
            return Rows(self.reading, [value] * len(of[0]), of[0].shape[1])
        raise NotPointwise(f"calls np.{function.__name__}")

    def __getattr__(self, name: str) -> NoReturn:
        kind = AttributeError if name.startswith("_") else NotPointwise
        raise kind(f"asks {called(self)} for its .{name}")

    def __bool__(self) -> bool:
        raise NotPointwise("asks whether a number is true, as an `if` does")

    def __setitem__(self, rows: Any, value: Any) -> None:
        raise NotPointwise("changes an array in place")

    @property
    def T(self) -> Turned:
        """The transpose."""
        return Turned(self)


class Rows(Symbol):
    """An array (rows, sequences), or a column of parameters."""

    ndim = 2

    def __init__(self, reading: Reading, terms: list[Term], columns: int) -> None:
        self.reading, self.terms = reading, terms
        self.shape, self.dtype = (len(terms), columns), reading.dtype

    def __len__(self) -> int:
        return len(self.terms)

    def __getitem__(self, rows: Any) -> Rows:
        if not isinstance(rows, slice):
            raise NotPointwise("has an index that is no block of rows")
        return Rows(self.reading, self.terms[rows], self.shape[1])

    @property
    def real(self) -> Rows:
        """Itself."""
        return self

    def astype(self, dtype: Any) -> Rows:
        """Itself: numbers of the cell's dtype."""
        if dtype != self.dtype:
            raise NotPointwise(f"casts an array to {np.dtype(dtype)}")
        return Rows(self.reading, list(map(self.reading.as_number, self.terms)), self.shape[1])

    def sum(self, axis: Any = None, keepdims: bool = False) -> Noted:
        """The sum over all sequences, as a parameter's gradient is."""
        if axis not in (1, -1) or not keepdims or self.shape[1] != self.reading.N:
            raise NotPointwise("has a sum other than .sum(axis=1, keepdims=True)")
        return Noted(self.reading, self.terms, "1")


class Matrix(Symbol):
    """Some rows of U or W, or of a matrix that is neither."""

    def __init__(self, reading: Reading, name: str, rows: range) -> None:
        self.reading, self.name, self.rows = reading, name, rows

    def __getitem__(self, rows: Any) -> Matrix:
        if not isinstance(rows, slice):
            raise NotPointwise(f"has an index of {self.name} that is no block of rows")
        return Matrix(self.reading, self.name, self.rows[rows])

    @property
    def shape(self) -> tuple[int, int]:
        """Of the whole height; no step depends on the width."""
        return len(self.rows), self.reading.N


class Turned(Symbol):
    """A transpose."""

    def __init__(self, of: Symbol) -> None:
        self.reading, self.of, self.name = of.reading, of, f"{called(of)}.T"


class Noted(Symbol):
    """What a parameter's gradient is made of: rows times x.T or h.T, or summed over the sequences."""

    name = "a gradient"

    def __init__(self, reading: Reading, terms: list[Term], by: str) -> None:
        self.reading, self.terms, self.by = reading, terms, by


class Back(Symbol):
    """U.T @ du or W.T @ dw: du or dw by row, and what is added to the product."""

    def __init__(self, name: str, terms: dict[int, Term], rest: Any, reading: Reading) -> None:
        self.name, self.terms, self.rest, self.reading = f"{name}.T @ …", terms, rest, reading

    def of(self, name: str) -> list[Term]:
        """The rows, in their order, if it is a product with the matrix of this name."""
        own = self.name[0] == name
        return [self.terms[k] for k in sorted(self.terms)] if own else []

    def plus(self, other: Any) -> Back:
        """With another product with the same matrix, or with rows that are added."""
        if not isinstance(other, Back):
            rest = other if self.rest is None else self.rest + other
            return Back(self.name[0], self.terms, rest, self.reading)
        if other.name != self.name or self.terms.keys() & other.terms.keys():
            raise NotPointwise(f"adds {self.name} and {other.name}")
        whole = Back(self.name[0], self.terms | other.terms, self.rest, self.reading)
        return whole if other.rest is None else whole.plus(other.rest)


def product(left: Any, right: Any) -> Symbol:
    """``left @ right``, if it is one of those that are known."""
    if isinstance(left, Matrix) and isinstance(right, Rows):
        H, given = left.reading.H, {"U": left.reading.x, "W": left.reading.h}.get(left.name)
        if given is not None and right.terms == given.terms:
            keys = [((left.name.lower(), r // H), r % H) for r in left.rows]
            letters = [left.reading.term("letter", *key) for key in keys]
            return Rows(left.reading, letters, left.reading.N)
    if isinstance(left, Turned) and isinstance(left.of, Matrix) and isinstance(right, Rows):
        terms = dict(zip(left.of.rows, right.terms, strict=False))
        if len(left.of.rows) == len(right) and left.of.name in "UW":
            return Back(left.of.name, terms, None, left.reading)
    if isinstance(left, Rows) and isinstance(right, Turned) and isinstance(right.of, Rows):
        for name, given in (("x", left.reading.x), ("h", left.reading.h)):
            if right.of.terms == given.terms:
                return Noted(left.reading, left.terms, name)
    found = f"{called(left)} @ {called(right)}"
    raise NotPointwise(f"has the product {found} besides U @ x and W @ h")


def stacked(first: Any, *others: Any) -> Any:
    """Blocks of rows under one another."""
    blocks = (first, *others)
    terms = [term for block in blocks if isinstance(block, Rows | Noted) for term in block.terms]
    if all(isinstance(block, Rows) for block in blocks):
        return Rows(first.reading, terms, max(block.shape[1] for block in blocks))
    if all(isinstance(block, Noted) and block.by == first.by for block in blocks):
        return Noted(first.reading, terms, first.by)
    raise NotPointwise("stacks what are not rows of one kind")
