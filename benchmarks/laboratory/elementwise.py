"""Losses and updates of which each function that goes element by element is one kernel.

CuPy launches a kernel for each operation on arrays. ``cupy.fuse`` calls a function once with symbols in
place of its arguments, notes the operations, and makes one kernel of them. So the equations of minirnn,
in Python, are also the source of these kernels: `losses` and `rules` are second copies of the package's
modules, in which such functions are fused. Such a function

- takes its arguments by position, an array first. What changes from call to call has to be an argument:
  any other value is noted with the operations, and kept;
- has operators, ufuncs, ``where`` and ``astype``, and nothing else: no index, sum or shape of an array,
  and no ``if`` on a value (``is None`` is none);
- computes nothing from numbers alone: that would make a double, and of all that it meets;
- has no infinity and no NaN of its own: in C++ they have names, which CuPy has not always declared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import ModuleType
from typing import Any

import numpy as np

import minirnn.losses
import minirnn.optim.rules
from minirnn.backend import array_module

LOSSES = ("_over", "_exponentials", "_weighted_nll", "_gradient", "_squares")
RULES = ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW")


def one_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have `function` be one kernel on a device; see above for what may stand in it."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        xp = array_module(arguments[0])
        return function(*arguments) if xp is np else _fused(xp.fuse, function)(*arguments)

    return run


@cache
def _fused(fuse: Any, function: Any) -> Any:
    return fuse(function)  # kept, as it keeps what it has compiled


def _copy(module: ModuleType) -> ModuleType:
    """The same module once more, made from its source."""
    spec: ModuleSpec | None = module.__spec__
    assert spec is not None
    assert spec.loader is not None
    copy = module_from_spec(spec)
    spec.loader.exec_module(copy)
    return copy


losses: Any = _copy(minirnn.losses)  # softmax_cross_entropy, mse
for _name in LOSSES:
    setattr(losses, _name, one_kernel(getattr(losses, _name)))

rules: Any = _copy(minirnn.optim.rules)  # SGD, RMSprop, Adagrad, Adam, AdamW
for _rule in (getattr(rules, _name) for _name in RULES):
    _rule._update = staticmethod(one_kernel(_rule._update))
