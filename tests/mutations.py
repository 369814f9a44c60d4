"""Breaks the backward passes in one place at a time, and looks whether the gradients notice.

    python tests/mutations.py

A mutant is a backward function with one small change: a term or a factor dropped, a sign flipped, two
gates swapped, t shifted by one, a statement left out; `alternatives` is the list. It takes the place of
the original, and the problems that run through it are tried until one gives gradients that are not the
complex-step derivatives of the equations. So that no mutant lives on what was computed before, NumPy's
fresh memory is filled with NaN meanwhile.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import TypeAlias
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "examples"))

from altered import compiled, definition
from mutants.making import changes, listed
from mutants.problems import problems

IN_PLACE = ("kernels.in_place.scan", "kernels.in_place.steps", "kernels.in_place.gru")
KERNELS = (*IN_PLACE, "kernels.threaded", "kernels.side_by_side")
MODULES = ("cells", "attention", "scan", *KERNELS, "tokens")
FUNCTIONS = (
    r".*(backward|products|gradients|_slope|_unmix|\.add)|(SideBySide|OneHotRows|add_up_|by_step).*"
)

# What nothing can tell from the original. Function: argument, and the statements it is made for.
EQUIVALENT = """
Attention.backward: queries, memory and weights are of one type, on one device
    xp, backend = (array_module(a), backend_of(q)) || xp, backend = (array_module(m), backend_of(q))
    xp, backend = (array_module(q), backend_of(a)) || xp, backend = (array_module(q), backend_of(m))
    dc = checks.numbers('dcontext', dcontext, q.shape, a.dtype, backend)
    dc = checks.numbers('dcontext', dcontext, q.shape, m.dtype, backend)
Attention.backward: a cache of its own always passes
    without self._check_cache(cache, AttentionCache)
Attention.backward: that it was called is noted for an optimizer's check, and no part of a gradient
    cache || without self._went_back(cache)
NumpyScan.backward: the sums are the same however many steps are multiplied at once
    k = steps_at_once(N, T)
NumpyScan.backward: dA has k steps, and stop - start is k, or else start is 0
    columns = side_a.copy(dA[:stop]) || columns = side_a.copy(dA[:stop + start])
    np.matmul(U.T, columns[inputs], out=side_dx.columns(stop))
    np.matmul(U.T, columns[inputs], out=side_dx.columns(stop + start))
LSTMSteps.backward: dh and dc are of one shape and type
    rest = np.empty((3 * H, dc.shape[1]), dh.dtype)
    rest = np.empty((3 * H, dh.shape[1]), dc.dtype)
    y = np.empty_like(dc)
LSTMSteps.backward: da_ifo is the first 3 H rows of da
    da_o, da_g = (da_ifo[2 * H:3 * H], da[3 * H:])
GRUResetBeforeSteps.backward: dm is done with when work2 is written, and work is read only at once
    work, dm = (np.empty_like(dh), work2[:H])
add_up_columns: both ways of adding up give the same sums, and all arrays here are NumPy's
    if K <= 512: || if xp is not np: || if K <= 513 or xp is not np:
    if not (K <= 512 or xp is not np):
ThreadedScan.backward: every share has a dx, or none has
    dx = None if dxs[1] is None else np.concatenate(dxs, axis=-1)
ThreadedScan.backward: states have two axes
    initial = tuple((np.concatenate(parts, axis=1) for parts in zip(*dstates, strict=True)))
GenericScan.backward: what is added may be swapped
    dstate = tuple((d + d_held for d, d_held in zip(held, dstate, strict=True)))
"""
ARGUMENTS = listed(EQUIVALENT)

Mutant: TypeAlias = tuple[tuple[str, str], str, str]  # function and statement; fate; line to print


def functions(name: str) -> Iterator[FunctionType]:
    """What is to be mutated in a module."""
    module = importlib.import_module(f"minirnn.{name}")
    for owner in (module, *(c for c in vars(module).values() if isinstance(c, type))):
        for f in vars(owner).values():
            own = isinstance(f, FunctionType) and f.__module__ == module.__name__
            if own and re.fullmatch(FUNCTIONS, f.__qualname__):
                yield inspect.unwrap(f)


def mutants(function: FunctionType) -> Iterator[Mutant]:
    """Make and try all mutants of a function."""
    mutant, original = definition(function), function.__code__
    try:
        function.__code__ = compiled(ast.parse("def stop(*_, **__): raise RuntimeError").body[0])
        through = [(name, fault) for name, fault in problems() if fault()]
        for change in changes(mutant):
            function.__code__ = compiled(mutant)
            key = (function.__qualname__, change.after)
            faults = (f"caught by {name}: {wrong}" for name, fault in through if (wrong := fault()))
            excuse = f"equivalent: {ARGUMENTS[key]}" if key in ARGUMENTS else "SURVIVED"
            fate = next(faults, excuse)
            place = (
                f"{Path(original.co_filename).name}:{change.node.lineno} {function.__qualname__}"
            )
            yield key, fate, f"{place}: {change.before}  ->  {change.after}: {fate}"
    finally:
        function.__code__ = original


def main(every: bool = True) -> int:
    """Print what became of every mutant, or only of those that nothing excuses."""
    assert not any(fault() for _, fault in problems()), "the gradients are wrong as they are"
    fresh = patch.multiple(
        np,
        empty=lambda shape, dtype=float: np.full(shape, np.nan, dtype),
        empty_like=lambda array: np.full_like(array, np.nan),
    )
    with fresh, warnings.catch_warnings(action="ignore"):
        found = [m for name in MODULES for f in functions(name) for m in mutants(f)]
    survivors = {key: line for key, fate, line in found if not fate.startswith("caught")}
    wrong = [line for key, line in survivors.items() if key not in ARGUMENTS]
    idle = [f"{key}: listed, but survives nowhere" for key in ARGUMENTS if key not in survivors]
    print(*(line for _, _, line in found if every), *wrong, *idle, sep="\n")
    fates = [fate.split()[0] for _, fate, _ in found]
    caught, same, alive = map(fates.count, ("caught", "equivalent:", "SURVIVED"))
    errors = sum(fate.startswith("caught") and fate.endswith("Error") for _, fate, _ in found)
    how = f"{caught - errors} by a wrong gradient, {errors} by an error"
    print(f"{len(found)} mutants, {caught} caught ({how}), {same} equivalent, {alive} survived")
    return bool(wrong + idle)


def in_every_way(function: str) -> bool:
    """Whether `main` makes all mutants of a function, given with its module."""
    module = next((m for m in MODULES if function.startswith(f"{m}.")), None)
    return module is not None and bool(re.fullmatch(FUNCTIONS, function.removeprefix(f"{module}.")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--draw", type=int, metavar="N", help="alter the whole package, N times")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument(
        "--least", type=float, default=1.0, help="share of the draw to be noticed or listed"
    )
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--files", nargs="*", default=(), help="of minirnn/ alone, such as optim.py"
    )
    parser.add_argument(
        "--covered", type=Path, help="folder in which `mutants.covered` has written"
    )
    given = parser.parse_args()
    if given.draw is None:
        sys.exit(main())
    from mutants import draw  # it needs more than the tests do

    sys.exit(draw.main(given, in_every_way))
