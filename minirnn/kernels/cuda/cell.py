"""A cell's step in CUDA C++, as its own class computes it, and where its numbers lie in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ...cells import Cell
from ..languages import CUDA, Text
from ..pointwise import Step, read
from ..terms import Key

ARRAYS = ("u", "w", "own", "state", "after", "gate", "d", "row", "dw", "past")  # of the text
LANGUAGE = CUDA._replace(reserved=CUDA.reserved | {*ARRAYS})

FUNCTIONS = """\
// A step of {cell}, for one unit of one sequence, read off its class. u is U x, w is W h, and `own` are
// the parameters of the unit.
enum {{ {sizes} }};

static __device__ void cell_own(const number *const of[], int H, int unit, number own[])
{{
{own}
}}

static __device__ void cell_forward(
    const number u[], const number w[], const number own[], const number state[],
    number gate[], number after[])
{{
    typedef number F;
{forward}
}}

// From d, the gradients of the states after the step: each row of `da`, those of W by themselves in dw,
// and what reaches the states before the step past W.
static __device__ void cell_backward(
    const number own[], const number state[], const number after[], const number gate[],
    const number d[], number row[], number dw[], number past[])
{{
    typedef number F;
{backward}
}}

"""


class CudaCell(NamedTuple):
    """The text of a cell, and what its kernels read and fill, counted in blocks of H rows."""

    text: str
    states: tuple[str, ...]
    gates: tuple[Key, ...]  # that are kept
    seen: dict[str, Key]  # where a gate of the cell is: among these, or a state
    parameters: tuple[str, ...]  # of units
    blocks: dict[str, int]  # of each parameter
    rows: dict[str, list[int]]  # of `da`, where the gradients of its blocks are; U's in their order

    @property
    def da(self) -> int:
        """Blocks of `da`."""
        return 1 + max(row for rows in self.rows.values() for row in rows)


def cuda_cell(cell: Cell) -> CudaCell:
    """Read a cell.

    Raises:
        NotPointwise: it has another product than U x and W h, or joins units otherwise.
    """
    return _of_step(read(cell))


@lru_cache
def _of_step(step: Step) -> CudaCell:
    states = tuple(key[1] for key in step.forward if key[0] == "new")
    own = [(name, k) for _, name, k in step.parameters]
    heights = Counter(name for name, _ in own)
    parameters = tuple(heights)
    u, w = ([b[k] for b in step.blocks if b[k] is not None] for k in (0, 1))
    blocks = {"U": len(u), "W": len(w), **heights}
    gates = tuple(key for key in step.forward if key[0] == "gate")
    row = _rows_of_da(step)
    keys: dict[str, list[Key]]
    keys = {name: [("parameter", name, k) for k in range(blocks[name])] for name in blocks}
    keys |= {name: [(name.lower(), k) for k in range(blocks[name])] for name in "UW"}
    rows = {name: [row[key] for key in keys[name]] for name in blocks}
    at = _places(step, states, gates, own)
    to = {("state", state): f"past[{k}]" for k, state in enumerate(states)}
    missing = [f"{to[key]} = 0;" for key in to if key not in step.backward]
    dw = [f"dw[{k}] = row[{place}];" for k, place in enumerate(rows["W"])]
    to |= {key: f"row[{place}]" for key, place in row.items()}
    made = CudaCell("", states, gates, step.seen, parameters, blocks, rows)
    load = (f"of[{parameters.index(name)}][{k} * H + unit]" for name, k in own)
    sizes = {
        "STATES": len(states), "GATES": len(gates), "PARAMETERS": len(parameters), "OWN": len(own),
        "U_ROWS": blocks["U"], "W_ROWS": blocks["W"], "DA_ROWS": made.da,
    }  # fmt: skip
    text = FUNCTIONS.format(
        cell=" ".join(step.name.split()),
        sizes=", ".join(f"{name} = {size}" for name, size in sizes.items()),
        own="\n".join(f"    own[{k}] = {value};" for k, value in enumerate(load)),
        forward=_body(step.text("forward", LANGUAGE), at, at),
        backward=_body(step.text("backward", LANGUAGE), at, to, (*missing, *dw)),
    )
    return made._replace(text=text)


def _rows_of_da(step: Step) -> dict[Key, int]:
    """The block of `da` of each gradient: first those of W alone, then those of U in their order.

    A parameter that is only ever added has the gradient of what it is added to.
    """
    row: dict[Key, int] = {}
    numbered = enumerate(step.blocks)
    in_order = sorted(numbered, key=lambda pair: -1 if pair[1].u is None else pair[1].u)
    for place, (k, block) in enumerate(in_order):
        row["block", k] = place
        row |= {("u", block.u): place, ("w", block.w): place}
        row |= {block.bias: place} if block.bias else {}
    of_term = {step.backward["block", k]: row["block", k] for k in range(len(step.blocks))}
    used = len(step.blocks)
    for key, term in step.backward.items():
        if key[0] == "parameter":
            row[key] = of_term.setdefault(term, used)
            used += row[key] == used
    return row


def _places(
    step: Step, states: Sequence[str], gates: Sequence[Key], own: Sequence[tuple[str, int]]
) -> dict[Key, str]:
    """What the letters of a step are in its text."""
    at: dict[Key, str] = {("parameter", *key): f"own[{k}]" for k, key in enumerate(own)}
    at |= {key: f"gate[{k}]" for k, key in enumerate(gates)}
    for kind, array in (("state", "state"), ("new", "after"), ("d", "d")):
        at |= {(kind, state): f"{array}[{k}]" for k, state in enumerate(states)}
    for k, (u, w, bias) in enumerate(step.blocks):
        of_products = [f"{name}[{j}]" for name, j in (("u", u), ("w", w)) if j is not None]
        at["block", k] = " + ".join([*of_products, *([at[bias]] if bias else [])])
    return at


def _body(
    text: Text, at: Mapping[Key, str], to: Mapping[Key, str], more: Iterable[str] = ()
) -> str:
    """The lines of a function, from what is read to what is given."""
    given = [f"const F {name} = {at[key]};" for key, name in text.given.items()]
    results = [f"{to[key]} = {result};" for key, result in text.results.items()]
    return "\n".join(f"    {line}" for line in (*given, *text.lines, *results, *more))


def pieces(rows: Sequence[int]) -> list[tuple[slice, slice]]:
    """Blocks in as few pieces as they lie in: which ones, and where they are."""
    starts = [k for k, row in enumerate(rows) if k == 0 or row != rows[k - 1] + 1]
    pairs = pairwise([*starts, len(rows)])
    return [(slice(k, end), slice(rows[k], rows[k] + end - k)) for k, end in pairs]
