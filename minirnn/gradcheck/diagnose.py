"""What a wrong gradient looks like: the usual mistakes of a hand-written backward pass, recognised."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Values: TypeAlias = np.ndarray[Any, Any]

CLOSE = 1e-5  # relative: well above rounding, well below any mistake
NOTHING = "it fits no common mistake: a term is missing or too many, or a wrong state was used"
FLOOR = 1e-8  # beside the largest element: where small ones are close


class Sizes(NamedTuple):
    """Steps and sequences, where they are known: wrong factors are often one of these."""

    of: str  # the input that they were read off
    T: int | None
    N: int | None


def diagnose(
    got: Values,
    want: Values,
    sizes: Sizes,
    blocks: Sequence[str] = (),
    series: bool = False,
) -> str:
    """Describe how the gradient `got` differs from the numerical one, `want`.

    Args:
        got, want: of one shape.
        sizes: T and N.
        blocks: names of the blocks of rows, if these are gates.
        series: whether this is a sequence (T, rows, N).
    """
    if not np.isfinite(got).all():
        return "it is not finite"
    if not np.isfinite(want).all():
        return "the numerical gradient is not finite: the loss itself overflows"
    apart, size = np.abs(got - want), np.abs(want)
    if (apart <= CLOSE * size.max()).all() and (apart <= 0.3 * size).all():
        return (
            "it differs by rounding only: something is computed in single precision, or differences "
            "are too coarse for this tolerance"
        )
    if not want.any():
        return "the loss does not change with it: is it used, and read anew in each forward?"
    if whole := _whole(got, want, sizes):
        return whole
    if got.ndim == 2 and _close(got.reshape(got.shape[::-1]).T, want):
        return "it is transposed"
    return (
        _gates(got, want, sizes, blocks)
        or (_time_and_batch(got, want) if series else "")
        or _rows(got, want, sizes)
        or _mostly(got, want, sizes, blocks)
        or NOTHING
    )


def _close(got: Values, want: Values) -> bool:
    size = np.abs(want)
    return bool((np.abs(got - want) <= CLOSE * size + FLOOR * size.max(initial=0)).all())


def _whole(got: Values, want: Values, sizes: Sizes) -> str:
    """One thing that is wrong with all elements alike."""
    if not got.any():
        return "it is zero: the gradient is lost on its way here"
    if factor := _factor(got, want):
        return _name_factor(factor, sizes)
    return ""


def _factor(got: Values, want: Values) -> float | None:
    """c, if `got` is c · `want`."""
    square = float((want * want).sum())
    c = float((got * want).sum()) / square if square else 0.0
    return c if c and _close(got / c, want) else None


def _name_factor(c: float, sizes: Sizes) -> str:
    T, N = sizes.T, sizes.N
    named = {"T": T, "N": N, "T·N": T * N if T and N else None}
    if T == N:
        named = {"T or N": T, "T·N": named["T·N"]}
    for name, size in named.items():
        if size and size > 1:
            if np.isclose(c, size, rtol=CLOSE):
                return f"it is {name} = {size} times too large: summed, where the loss averages"
            if np.isclose(c, 1 / size, rtol=CLOSE):
                return f"it is {name} = {size} times too small: averaged, where the loss sums"
    if np.isclose(c, -1, rtol=CLOSE):
        return "it has the wrong sign"
    return f"it is {c:.6g} times the true gradient"


def _gates(got: Values, want: Values, sizes: Sizes, blocks: Sequence[str]) -> str:
    """Gates in another order, or wrong ones among right ones."""
    if len(blocks) < 2:
        return ""
    parts, true = np.split(got, len(blocks)), np.split(want, len(blocks))
    for order in permutations(range(len(blocks))):
        if all(_close(parts[k], true[gate]) for k, gate in enumerate(order)):
            found = ", ".join(blocks[gate] for gate in order)
            return f"its gates are in the order {found} instead of {', '.join(blocks)}"
    wrong = [k for k in range(len(blocks)) if not _close_beside(parts[k], true[k], want)]
    if len(wrong) == len(blocks):
        return ""
    names = ", ".join(blocks[k] for k in wrong)
    found = f"only the rows of {names} are wrong"
    copies = [
        f"{blocks[k]}'s hold the gradient of {blocks[gate]}"
        for k in wrong
        for gate in range(len(blocks))
        if gate != k and _close(parts[k], true[gate])
    ]
    if copies:
        return f"{found}: {', '.join(copies)}"
    inner = _part(parts[wrong[0]], true[wrong[0]], sizes) if len(wrong) == 1 else ""
    return f"{found}: {inner}" if inner else found


def _rows(got: Values, want: Values, sizes: Sizes) -> str:
    """Some rows, columns or steps wrong among right ones, the axes taken one after another."""
    for axis in range(want.ndim):
        a, b = np.moveaxis(got, axis, 0), np.moveaxis(want, axis, 0)
        wrong = [k for k in range(len(b)) if not _close_beside(a[k], b[k], want)]
        if not wrong or len(wrong) == len(b):
            continue
        kind = {1: ("element",), 2: ("row", "column")}.get(want.ndim, ("part",) * want.ndim)[axis]
        where = f" along axis {axis}" if kind == "part" else ""
        kind, are = (f"{kind}s", "are") if len(wrong) > 1 else (kind, "is")
        found = f"only {kind} {_ranges(wrong)} of {len(b)}{where} {are} wrong"
        for start in range(len(b) - len(wrong) + 1):
            others = list(range(start, start + len(wrong)))
            if others != wrong and _close(a[wrong], b[others]):
                return f"{found}, with the gradient of {_ranges(others)} there"
        inner = _part(a[wrong], b[wrong], sizes)
        return f"{found}: {inner}" if inner else found
    return ""


def _mostly(got: Values, want: Values, sizes: Sizes, blocks: Sequence[str]) -> str:
    """A block of rows that is far more wrong than all others, which may only suffer from it."""
    for count in [len(blocks)] if blocks else [4, 3, 2]:
        if got.ndim != 2 or count < 2 or len(got) % count:
            continue
        parts, true = np.split(got, count), np.split(want, count)
        wrong = [
            np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(parts, true, strict=True)
        ]
        k, height = int(np.argmax(wrong)), len(got) // count
        if wrong[k] > 3 * sorted(wrong)[-2]:
            rows = range(k * height, (k + 1) * height)
            name = f"the rows of {blocks[k]}" if blocks else f"rows {_ranges(rows)}"
            inner = _part(parts[k], true[k], sizes)
            return f"most of all {name} are wrong{': ' * bool(inner)}{inner}"
    return ""


def _part(got: Values, want: Values, sizes: Sizes) -> str:
    """What is wrong with a part of a gradient."""
    if whole := _whole(got, want, sizes):
        return whole
    if np.linalg.norm(got) > 3 * np.linalg.norm(want) and (got * want).sum() > 0:
        return "they are too large: is a derivative forgotten, such as σ' = f (1 - f) < 1/4?"
    return ""


def _close_beside(got: Values, want: Values, whole: Values) -> bool:
    """Whether a part of the gradient `whole` is right."""
    floor = FLOOR * np.abs(whole).max(initial=0)
    return bool((np.abs(got - want) <= CLOSE * np.abs(want) + floor).all())


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers as text, as in "0 to 3, 5"."""
    runs: list[list[int]] = []
    for k in numbers:
        if runs and k == runs[-1][-1] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    return ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)


def _time_and_batch(got: Values, want: Values) -> str:
    """For a sequence (T, rows, N): shifted in time, or wrong at some steps or in some sequences only."""
    if got.ndim != 3 or len(got) < 2:
        return ""
    if _close(got[1:], want[:-1]):
        return "it is one step late: element t holds the gradient of t - 1"
    if _close(got[:-1], want[1:]):
        return "it is one step early: element t holds the gradient of t + 1"
    if _close(got[::-1], want):
        return "it is turned around in time"
    wrong = np.abs(got - want) > CLOSE * np.abs(want) + FLOOR * np.abs(want).max()
    there = wrong | (want != 0)  # the others do not exist: a sequence without a step is never wrong
    steps, sequences = np.flatnonzero(wrong.any((1, 2))), np.flatnonzero(wrong.any((0, 1)))
    parts = []
    if len(steps) < there.any((1, 2)).sum():
        parts.append(f"the steps t = {', '.join(map(str, steps))}")
    if len(sequences) < there.any((0, 1)).sum():
        parts.append(f"the sequences n = {', '.join(map(str, sequences))}")
    if not parts:
        return ""
    found = f"only {' of '.join(parts)} are wrong"
    if list(steps) == list(range(len(got) - 1)):
        found += ": the last one is right, so look at what a step hands back to the one before"
    return found
