"""The loop over time compiled by Numba, with products of its own; here, whether that can be."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ..pointwise import Step

NOT_KEPT = (
    "each process compiles it anew, as no folder for it can be written to: set NUMBA_CACHE_DIR"
)


def why_not_compiled() -> str:
    """What keeps compiled scans from running here; empty if they can."""
    return _compiling_failed or _why_not_imported()


def compiling_failed(error: Exception) -> None:
    """Have `why_not_compiled` say so from here on."""
    global _compiling_failed
    _compiling_failed = f"it cannot be compiled here: {_in_a_line(error)}"


def _in_a_line(error: Exception) -> str:
    first, *_ = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}"


_compiling_failed = ""


@cache
def _why_not_imported() -> str:
    for name in ("numba", "threadpoolctl"):
        try:
            module = import_module(name)
        except Exception as error:  # as of Numba beside a NumPy that is too new for it
            if isinstance(error, ModuleNotFoundError) and error.name == name:
                return f"{name} is missing: pip install 'minirnn[numba]'"
            return f"{name} cannot be imported: {error}"
        if name == "numba" and module.config.DISABLE_JIT:
            return "NUMBA_DISABLE_JIT is set"
    return ""


def compile_ahead(dtype: Any, *steps: Step) -> str:
    """Compile what some cells need, or load it; return why that cannot be, empty if it can."""
    if not why_not_compiled():
        try:
            from .compile import compile_for  # Numba takes a while to import

            compile_for(np.dtype(dtype))
        except Exception as error:  # whatever a compiler may fail for
            compiling_failed(error)
    for step in () if why_not_compiled() else steps:
        try:
            compile_for(np.dtype(dtype), step)
        except Exception as error:  # for this cell alone
            return f"{step.name} cannot be compiled: {_in_a_line(error)}"
    return why_not_compiled()
