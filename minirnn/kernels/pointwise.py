"""What a cell does between its products, read off its own class.

A cell whose only products are U x and W h (and, backward, their transposes) is run with symbols in place
of arrays (``symbols.py``): what it did is written down for one unit of one sequence, a line for each
operation, in the language of whatever runs it. So the equations stand in the cell's class and nowhere
else. A cell with another product is `NotPointwise`, and keeps the plain scan.

It is read twice, for other sizes and another dtype: what is not the same both times depends on a shape,
on a dtype, or on other units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

from ..cells import KNOWN, Cell
from .languages import PYTHON, Language, Text, printed, within
from .symbols import Back, Matrix, Noted, Reading, Rows
from .terms import Key, NotPointwise, Term


class Block(NamedTuple):
    """Pre-activations: the row blocks of U x and of W h that a cell only ever adds, and their bias."""

    u: int | None
    w: int | None
    bias: Key | None  # ("parameter", name, which block of its rows)


@dataclass(frozen=True, eq=False)
class Step:
    """A cell for one unit of one sequence.

    Forward takes ("block", k), ("state", name) and ("parameter", name, k), and gives ("gate", name, k)
    and ("new", name). Backward takes all of these but blocks, and ("d", name), the gradient of the new
    state. It gives ("block", k), that of a pre-activation, ("state", name), what reaches the old state
    past W, and ("parameter", name, k), what is to be summed over sequences.
    """

    name: str  # of the cell
    parameters: tuple[Key, ...]  # all that have a row for each unit, as ("parameter", name, k)
    blocks: tuple[Block, ...]  # those of U alone, then of both, then of W alone
    seen: dict[str, Key]  # where each gate is: among the gates, or a state
    forward: dict[Key, Term]
    backward: dict[Key, Term]

    def text(self, direction: str, language: Language) -> Text:
        """The lines of ``"forward"`` or ``"backward"``."""
        return printed(getattr(self, direction), language)


_own: dict[Any, Step] = {}  # of the package's cells, by class and attributes
_same: dict[str, Step] = {}  # by what they say: one for all readings that say the same


def read(cell: Cell) -> Step:
    """What `cell` computes for one unit, with the attributes that it has now.

    Raises:
        NotPointwise: that is not all it does.
    """
    if type(cell) not in KNOWN:  # whose methods, and what they read, may be others than last time
        return _read_anew(cell)
    key = type(cell), *sorted(vars(cell).items())
    if key not in _own:
        _own[key] = _read_anew(cell)
    return _own[key]


def _read_anew(cell: Cell) -> Step:
    try:
        first, *others = *_steps(cell, 5, 2, 3, "float64"), *_steps(cell, 7, 3, 4, "float32")
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise NotPointwise(f"cannot be read ({type(error).__name__}: {error})") from error
    for direction in ("forward", "backward"):
        if any(first.text(direction, PYTHON) != step.text(direction, PYTHON) for step in others):
            raise NotPointwise(f"computes with a shape or a dtype in its {direction}")
    texts = [first.text(direction, PYTHON) for direction in ("forward", "backward")]
    said = repr((first.name, first.parameters, first.blocks, first.seen, texts))
    return _same.setdefault(said, first)


def _steps(cell: Cell, D: int, H: int, N: int, dtype: str) -> Iterator[Step]:
    """Run the cell with symbols: what it does for each unit."""
    reading = Reading(D, H, N, dtype, cell.states[0])
    P = {name: _parameter(reading, name, *shape) for name, shape in cell.shapes(D, H).items()}
    rows = [t for p in P.values() if isinstance(p, Rows) for t in p.terms]
    parameters = tuple(dict.fromkeys(term.of[0] for term in rows))
    state, after, dnew = (
        tuple(reading.letters((kind, s)) for s in cell.states) for kind in ("state", "new", "d")
    )
    new, gates = cell.forward(P, reading.x, state)
    for name, part in zip(cell.states, new, strict=True):
        if not isinstance(part, Rows) or part.shape != reading.h.shape:
            raise NotPointwise(f"gives no array {name} in its forward")
    kept: dict[Term, Term] = {}  # what backward finds in place of a term, in the order of the gates
    for rows, letters in zip((*new, *state), (*after, *state), strict=True):
        kept |= zip(rows.terms, letters.terms, strict=True)
    given: dict[str, Any] = dict(gates)
    for name, gate in gates.items():
        if isinstance(gate, Rows):
            letters = reading.letters(*(("gate", name, k) for k in range(len(gate) // H)))
            for term, letter in zip(gate.terms, letters.terms, strict=True):
                kept.setdefault(term, term if term.op == "number" else letter)
            given[name] = Rows(reading, [kept[term] for term in gate.terms], N)
    back = _gradients(cell, H, P, *cell.backward(P, reading.x, state, after, given, dnew))
    for unit in range(H):
        forward = {("new", s): part.terms[unit] for s, part in zip(cell.states, new, strict=True)}
        backward = {key: terms[unit] for key, terms in back.items()}
        seen = {name: given[name].terms[unit].of[0] for name in cell.gates if name in given}
        wanted = {*_letters(backward), *seen.values()}
        for term, letter in kept.items():
            if letter.of[0] in wanted and letter.of[0][0] == "gate" and letter.of[1] == unit:
                forward[letter.of[0]] = term
        blocks, forward, backward = _blocks(reading, unit, forward, backward)
        for terms in (forward, backward):
            _refuse(terms, unit)
        yield Step(cell.name, parameters, blocks, seen, forward, backward)


def _parameter(reading: Reading, name: str, height: int, width: int) -> Matrix | Rows:
    """What stands in place of a parameter: a matrix is refused where it is used, but for U and W."""
    if name in ("U", "W") or width != 1 or height % reading.H:
        return Matrix(reading, name, range(height))
    keys = [("parameter", name, k) for k in range(height // reading.H)]
    return reading.letters(*keys, columns=1)


def _gradients(
    cell: Cell, H: int, P: dict[str, Any], dx: Any, dstate: Any, dP: Any
) -> dict[Key, list[Term]]:
    """All gradients by block of H rows."""
    if dP.keys() != P.keys():
        raise NotPointwise(f"gives gradients of {', '.join(dP)}, and not of {', '.join(P)}")
    found: dict[Key, list[Term]] = {}
    for name, gradient in dP.items():
        by = {"U": "x", "W": "h"}.get(name, "1")
        if not isinstance(gradient, Noted) or gradient.by != by:
            wanted = "a sum over the sequences" if by == "1" else f"a product with {by}.T"
            raise NotPointwise(f"has a gradient of {name} that is not {wanted}")
        if len(gradient.terms) != P[name].shape[0]:
            raise NotPointwise(f"has a gradient of {name} that is of another height")
        for k in range(len(gradient.terms) // H):
            key = ("parameter", name, k) if by == "1" else (name.lower(), k)
            found[key] = gradient.terms[k * H : (k + 1) * H]
    for name, d in (("U", dx), ("W", dstate[0])):
        if name in dP and not (isinstance(d, Back) and d.of(name) == dP[name].terms):
            raise NotPointwise(f"does not multiply {name}.T by the rows of the gradient of {name}")
    if dx.rest is not None:
        raise NotPointwise("adds something to U.T @ du")
    rests = (dstate[0].rest if isinstance(dstate[0], Back) else dstate[0], *dstate[1:])
    for s, rest in zip(cell.states, rests, strict=True):
        if rest is not None:
            found["state", s] = rest.terms
    return found


def _letters(terms: Mapping[Key, Term]) -> dict[Key, Term]:
    """The letters that some terms are made of."""
    return {term.of[0]: term for term in within(terms.values()) if term.op == "letter"}


def _refuse(terms: Mapping[Key, Term], unit: int) -> None:
    """Raise `NotPointwise` if something else is read than what a unit has."""
    for key, letter in _letters(terms).items():
        if key[0] in ("x", "u", "w"):
            what = {"x": "x by itself", "u": "U @ x in backward", "w": "W @ h in backward"}
            raise NotPointwise(f"uses {what[key[0]]}")
        if letter.of[1] != unit:
            raise NotPointwise("joins units by something else than a product")


def _addends(term: Term) -> list[Term]:
    """What a sum is the sum of; a term that is none, itself."""
    return [a for part in term.of for a in _addends(part)] if term.op == "+" else [term]


def _blocks(
    reading: Reading, unit: int, forward: dict[Key, Term], backward: dict[Key, Term]
) -> tuple[tuple[Block, ...], dict[Key, Term], dict[Key, Term]]:
    """Find the sums that are a whole pre-activation: a letter takes the place of each, both ways."""
    terms = within(forward.values())
    whole = {*forward.values(), *(part for t in terms if t.op != "+" for part in t.parts)}
    sums = {term: _addends(term) for term in terms}
    uses: dict[
        Key, list[Term]
    ] = {}  # the sums that each letter is an addend of, which are no addends
    for term in (t for t in terms if t in whole):
        for addend in sums[term]:
            if addend.op == "letter":
                uses.setdefault(addend.of[0], []).append(term)
    read = _letters(backward)
    free = [key for key in backward if key[0] == "parameter" and key not in read]

    def take(key: Key | None, candidates: list[Key]) -> Key | None:
        """One that is added wherever `key` is, and that has its gradient."""
        for other in candidates if key in uses else ():
            if key and uses.get(other) == uses[key] and backward[other] is backward[key]:
                candidates.remove(other)
                return other
        return None

    us, ws = ([key for key in backward if key[0] == letter] for letter in "uw")
    pairs: list[tuple[Key | None, Key | None]] = [(u, take(u, ws)) for u in us]
    pairs.sort(key=lambda pair: pair[1] is not None)
    gradients: dict[Key, Term] = {}
    blocks = [(u, w, take(u or w, free)) for u, w in [*pairs, *((None, w) for w in ws)]]

    put: dict[Key, Term] = {}  # in the place of one letter of a block; the others are gone
    gone: set[Key] = set()
    found: list[Block] = []
    for u, w, bias in blocks:
        first, *others = (key for key in (u, w, bias) if key)
        put[first] = letter = reading.term("letter", ("block", len(found)), unit)
        gone |= set(others)
        named = (t.name for t in terms if {a.of[0] for a in sums[t]} == {first, *others})
        letter.name = letter.name or next(filter(None, named), "")
        gradients["block", len(found)] = backward[first]
        found.append(Block(u[1] if u else None, w[1] if w else None, bias))
    gradients |= {k: t for k, t in backward.items() if k[0] not in "uw" and k not in gone}
    new: dict[Term, Term] = {}
    for term in terms:
        if term.op == "letter":
            new[term] = put.get(term.of[0], term)
        elif term.op == "+" and any(a.op == "letter" and a.of[0] in put for a in sums[term]):
            addends = (new[a] for a in sums[term] if a.op != "letter" or a.of[0] not in gone)
            new[term] = reduce(partial(reading.term, "+"), addends)
        else:
            new[term] = reading.term(term.op, *(new.get(part, part) for part in term.of))
        new[term].name = new[term].name or term.name
    return tuple(found), {key: new[term] for key, term in forward.items()}, gradients
