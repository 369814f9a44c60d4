"""Compiles what ``scan.py`` and ``one_step.py`` call, or loads what was compiled earlier."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from ..pointwise import Step
from .cache import Kept
from .cells import compiled_cell
from .loops import backward, forward
from .one_step import step
from .plan import Plan

_compiled: set[np.dtype[Any]] = set()

# A process that is forked while another thread compiles would wait for that thread, which it has not
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def compile_for(dtype: np.dtype[Any], *steps: Step) -> None:
    """Compile the loops, the single step and the steps of some cells for `dtype`, or load them.

    For one kind of arguments only; Numba would compile them again for each combination of contiguous and
    other arrays that they are called with.
    """
    for cell in map(compiled_cell, steps):
        cell.addresses(dtype.itemsize)
    if dtype in _compiled:
        return
    with global_compiler_lock:
        if dtype not in _compiled:
            number = types.float32 if dtype.itemsize == 4 else types.float64
            for function, signature in _signatures(number).items():
                function.disable_compile(False)
                function.compile(signature)
                function.disable_compile(True)  # a call with other arguments is an error
            _compiled.add(dtype)


def _signatures(number: Any) -> dict[Any, Any]:
    """The functions, with the arguments that each is compiled for."""
    whole = types.intp
    flat, integers = types.Array(number, 1, "C"), types.Array(whole, 1, "C")
    P = types.UniTuple(types.Array(number, 2, "A", readonly=True), 4)
    dP = types.UniTuple(types.Array(number, 2, "A"), 3)
    filled = types.Array(number, 3, "A")
    given = types.Array(number, 3, "A", readonly=True)
    fields = dict.fromkeys(("u_gates", "w_gates", "biases", "letters"), integers)
    fields["dh_is_made"] = types.boolean
    plan = types.NamedTuple([fields.get(name, whole) for name in Plan._fields], Plan)
    tokens, padding = types.Array(whole, 2, "C"), types.Array(types.boolean, 2, "C")
    memory = (tokens, padding, flat, flat)
    column = types.Array(number, 2, "C", readonly=True)
    hs = types.Array(number, 3, "C", readonly=True)
    others, new = types.Array(number, 4, "C", readonly=True), types.Array(number, 4, "C")
    told = (whole, whole, types.Array(whole, 2, "C"), integers, types.UniTuple(column, 4))
    return {
        forward: (plan, given, P, given, *memory, filled, filled),
        backward: (plan, P, *memory, given, given, filled, filled, dP),
        step: (*told, whole, whole, column, hs, others, new),
    }


@cache
def _say() -> None:
    """That it will take a while."""
    # (there may be no standard error, or a closed one)
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(
            "minirnn: compiling the scan for this machine takes about 25 s; "
            "`python -m minirnn.compile` does it once, ahead\n"
        )


_caches = [Kept(function, _say) for function in (forward, backward, step)]
for _kept in _caches:
    _kept.function._cache = _kept


def kept_in() -> Path | None:
    """The folder with what was compiled; None if no folder could be written to."""
    return _caches[-1].folder
