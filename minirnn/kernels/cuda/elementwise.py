"""Functions of arrays, element by element, as one kernel on a CUDA device.

CuPy launches a kernel for each operation on arrays. ``cupy.fuse`` calls a function once with symbols in
place of its arguments, notes the operations, and makes one kernel of them. So the equations of losses
and updates stand once, in Python, and on the host they run as they stand. Such a function

- takes its arguments by position, an array first. What changes from call to call has to be an argument:
  any other value is noted with the operations, and kept;
- has operators, ufuncs, ``where`` and ``astype``, and nothing else: no index, sum or shape of an array,
  and no ``if`` on a value (``is None`` is none);
- computes nothing from numbers alone: that would make a double, and of all that it meets;
- has no infinity and no NaN of its own: in C++ they have names, which CuPy has not always declared.

The kernels are CuPy's, but none has run with these functions until ``proven.json`` has a pass of their
tests on a device. Before that, each operation is a kernel of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ...backend import array_module
from .module import last_pass

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

NAME, PART = "elementwise", "all"  # in the list of passes

_asked: ContextVar[bool | None] = ContextVar("_asked", default=None)


def one_kernel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Have `function` be one kernel on a device; see above for what may stand in it."""

    @wraps(function)
    def run(*arguments: Arguments.args, **none: Arguments.kwargs) -> Result:
        xp = array_module(arguments[0])
        if xp is np or not fuses():
            return function(*arguments, **none)
        result: Result = _fused(xp.fuse, function)(*arguments, **none)
        return result

    return run


@cache
def _fused(fuse: Any, function: Any) -> Any:
    return fuse(function)  # kept, as it keeps what it has compiled


def fuses() -> bool:
    """Whether they are one kernel each: as `fusing` says, otherwise if they have passed their tests."""
    asked = _asked.get()
    return last_pass(NAME, PART) is not None if asked is None else asked


@contextmanager
def fusing(wanted: bool) -> Iterator[None]:
    """Within a ``with``, have one kernel for each such function (True) or each operation (False)."""
    token = _asked.set(wanted)
    try:
        yield
    finally:
        _asked.reset(token)
