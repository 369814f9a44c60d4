"""Terms as text: the lines of one direction of a cell, in Python for Numba or in CUDA C++."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from .terms import FUNCTIONS, Key, Term


class Language(NamedTuple):
    """How a line is written; the {} are names and expressions."""

    line: str
    number: str
    choice: str  # from a condition, a number if it holds, another one if not
    negation: str
    functions: Mapping[str, str]  # where they have other names
    fma: str  # a·b + c, rounded once; empty where the compiler is to see to it
    reserved: frozenset[str]


LOOP_WORDS = "F fma table count runs runs_at load store k range"
CPP_WORDS = (
    "auto bool break case char class const continue default delete do double else enum float for goto "
    "if inline int long new private public return short signed sizeof static struct switch template "
    "this typename union unsigned using void while"
)

PYTHON = Language(
    line="{} = {}",
    number="F({})",
    choice="{1} if {0} else {2}",
    negation="(not {})",  # which binds less than all else there
    functions={"absolute": "abs"},
    fma="fma({}, {}, {})",
    reserved=frozenset({*keyword.kwlist, *LOOP_WORDS.split()}),
)
CUDA = Language(
    line="F {} = {};",
    number="F({})",
    choice="{} ? {} : {}",
    negation="!{}",
    functions={"absolute": "fabs"},
    fma="",
    reserved=frozenset({"F", *CPP_WORDS.split()}),
)

BINDING = {
    "+": 2,
    "-": 2,
    "*": 3,
    "/": 3,
    "neg": 4,
    "~": 4,
}  # what binds more stands without brackets


class Text(NamedTuple):
    """One direction as text: what it reads, its lines, and what it gives, as expressions."""

    given: dict[Key, str]
    lines: list[str]
    results: dict[Key, str]


def printed(results: Mapping[Key, Term], language: Language) -> Text:
    """The lines that compute some results."""
    return _Printer(results, language).text()


def within(terms: Iterable[Term]) -> list[Term]:
    """All terms that some are made of, and these, in the order in which the cell made them."""
    found, left = set(), list(terms)
    while left:
        if (term := left.pop()) not in found:
            found.add(term)
            left += term.parts
    return sorted(found, key=attrgetter("place"))


class _Printer:
    """Writes the lines of one direction."""

    def __init__(self, results: Mapping[Key, Term], language: Language) -> None:
        self.results, self.language = results, language
        self.terms = within(results.values())
        parts = (part for term in self.terms for part in term.parts)
        self.uses = Counter([*results.values(), *parts])
        self.taken = {*language.reserved, *FUNCTIONS}
        self.names: dict[Term, str] = {}

    def text(self) -> Text:
        given, lines = {}, []
        for term in self.terms:
            if term.op == "letter":
                given[term.of[0]] = self.names[term] = self.fresh(_name(term))
        for term in self.terms:
            if term.parts and (term.name or self.uses[term] > 1):
                expression = self.write(term)
                self.names[term] = self.fresh(term.name or "t")
                lines.append(self.language.line.format(self.names[term], expression))
        return Text(given, lines, {key: self.write(term) for key, term in self.results.items()})

    def fresh(self, wanted: str) -> str:
        """A name that nothing has yet."""
        wanted = wanted if wanted.isascii() and wanted.isidentifier() else "t"
        names = (f"{wanted}{k}" for k in ("", *range(2, len(self.taken) + 3)))
        name = next(name for name in names if name not in self.taken)
        self.taken.add(name)
        return name

    def write(self, term: Term, binding: int = 0) -> str:
        """An expression, in brackets if it binds less than what it stands in."""
        if term in self.names:
            return self.names[term]
        if term.op == "number":
            return self.language.number.format(*term.of)
        if term.op in FUNCTIONS:
            name = self.language.functions.get(term.op, term.op)
            return f"{name}({', '.join(map(self.write, term.of))})"
        if fused := self.language.fma and self.fused(term):
            return fused
        own = BINDING.get(term.op, 1)
        left, *others = term.of
        first = own + (own == 1 and term.op != "where")
        parts = self.write(left, first), *(self.write(part, own + 1) for part in others)
        forms = {"where": self.language.choice, "~": self.language.negation, "neg": "-{}"}
        text = forms.get(term.op, f"{{}} {term.op} {{}}").format(*parts)
        return f"({text})" if own < binding else text

    def fused(self, term: Term) -> str:
        """A sum or a difference with a product, rounded once; empty if it is none."""
        for product, other in (term.of, term.of[::-1]) if term.op in "+-" else ():
            if product.op == "*" and product not in self.names:
                minus = term.op == "-"
                a, b = (self.write(part, 4 * minus) for part in product.of)
                c = self.write(other, 4 * minus)
                if minus:
                    a, c = (a, f"-{c}") if product is term.of[0] else (f"-{a}", c)
                return self.language.fma.format(a, b, c)
        return ""


def _name(letter: Term) -> str:
    """What to call a letter: as the cell does, or as what it stands for."""
    kind, *rest = letter.of[0]
    if letter.name and kind in ("block", "parameter"):
        return letter.name
    forms = {"state": "{}", "new": "{}_new", "d": "d{}_new", "block": "a{}"}
    return forms.get(kind, "{}" if rest[-1] == 0 else "{}{}").format(*rest)
