"""A cell's lines, compiled: where each letter is, and the addresses of both steps."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.compiler_lock import global_compiler_lock

from ...backend import Array
from ...cells import Arrays
from ..languages import PYTHON, Text
from ..pointwise import Step
from ..terms import Key
from . import runs, steps
from .cache import Kept, folders, written


class CompiledCell:
    """What the loops over time are told of a cell.

    A step's table has a run for each block of pre-activations, which gates replace; the old states, the
    new ones, and the parameters that are read; backward, also the gradients of the new states, which
    those of the old ones replace, of the pre-activations, and of parameters.

    Args:
        step: what the cell computes.
    """

    def __init__(self, step: Step) -> None:
        self.step, self.states = step, [key[1] for key in step.forward if key[0] == "new"]
        rows = {key: row for row, key in enumerate(step.parameters)}
        self.names = Counter(name for _, name, _ in step.parameters)
        self.gates = [key for key in step.forward if key[0] == "gate"]
        texts = [step.text(direction, PYTHON) for direction in ("forward", "backward")]
        letters = {key: None for text in texts for key in text.given if key[0] == "parameter"}
        sums = [key for key in step.backward if key[0] == "parameter"]
        own = [-1 if b.bias is None else rows[b.bias] for b in step.blocks]
        biases = [*own, *map(rows.get, sums)]
        self.u_gates = _integers(block.u for block in step.blocks)
        self.w_gates = _integers(block.w for block in step.blocks)
        numbers = [(b.u, b.w, bias) for b, bias in zip(step.blocks, own, strict=True)]
        self.blocks = np.array([[-1 if n is None else n for n in row] for row in numbers], np.intp)
        self.biases, self.letters = _integers(biases), _integers(map(rows.get, letters))
        self.dh_is_made = ("state", self.states[0]) in step.backward
        blocks = [("block", k) for k in range(len(step.blocks))]
        # a single block, if there are no gates, is where h will be
        self.width = 0 if len(blocks) == 1 and not self.gates else max(len(blocks), len(self.gates))
        old, new, d = ([(kind, s) for s in self.states] for kind in ("state", "new", "d"))
        first = [*range(self.width)] if self.width else [len(old)]
        both = [*old, *new, *letters]
        count = self.width + len(both)
        given = dict(zip([*both, *d], range(self.width, count + len(d)), strict=True))
        kept = dict(zip(self.gates, range(self.width), strict=False)) | given
        made = dict(
            zip([*old, *blocks, *sums], range(count, count + len(d) + len(biases)), strict=True)
        )
        forward = dict(zip(blocks, first, strict=False)) | kept
        lines = [
            f"# {' '.join(step.name.split())}, between its products: printed from its class.",
            *_source("forward", texts[0], forward, kept, count),
            *_source("backward", texts[1], kept, made, count + len(d) + len(biases)),
        ]
        self.source = "\n".join([*lines, ""])
        self._compiled: dict[int, tuple[int, int]] = {}
        self._functions: list[Any] = []

    def arrays(self, P: Arrays) -> tuple[Array, Array, Array, Array]:
        """U, W, the first parameter with a row for each unit, and all others as one array (rows, 1).

        If there are no others, it is the first again.
        """
        U, rows = P["U"], [P[name] for name in self.names]
        # (to join two, or to take a part of one, takes a good part of a single step)
        first = rows[0] if rows else U[:0, :1]
        others = np.concatenate(rows[1:]) if len(rows) > 2 else rows[-1] if rows else first
        return U, P["W"] if "W" in P else U[:0], first, others

    def gradients(self, dU: Array, dW: Array, d_rows: Array) -> dict[str, Array]:
        """By name, from those of U, W and all rows."""
        found = {"U": dU, "W": dW} if len(dW) else {"U": dU}
        H = len(dU) // len(self.u_gates)
        for name, height in self.names.items():
            found[name], d_rows = d_rows[: height * H], d_rows[height * H :]
        return found

    def addresses(self, itemsize: int) -> tuple[int, int]:
        """Of the steps forward and backward, compiled for numbers of so many bytes, or loaded."""
        if itemsize not in self._compiled:
            with global_compiler_lock:
                dtype = np.dtype(f"f{itemsize}")
                names = {**vars(steps), **vars(runs), "F": dtype.type}
                exec(compile(self.source, self._file(), "exec"), names)
                text = f"{dtype} {self.source}"
                functions = [_compiled(names[d], text) for d in ("forward", "backward")]
                self._functions += functions  # so that what is at the addresses stays there
                first, second = map(_address, functions)
                self._compiled[itemsize] = first, second
        return self._compiled[itemsize]

    def _file(self) -> str:
        """Where the source is written, for whoever wants to read it, as a debugger does."""
        slug = re.sub(r"\W+", "_", self.step.name).strip("_")
        name = f"{slug}-{hashlib.sha256(self.source.encode()).hexdigest()[:16]}.py"
        for folder in folders():
            if (folder / name).exists() or written(folder / name, self.source.encode()):
                return str(folder / name)
        return f"<{name}>"


@lru_cache
def compiled_cell(step: Step) -> CompiledCell:
    """The same one for each network of a cell."""
    return CompiledCell(step)


def _integers(values: Iterable[int | None]) -> Array:
    """Those that are some, as an array."""
    return np.array([value for value in values if value is not None], np.intp)


def _source(
    direction: str, text: Text, given: dict[Key, int], made: dict[Key, int], count: int
) -> list[str]:
    """A function over runs, of which the places are `given` and `made`."""
    return [
        f"def {direction}(table, count):",
        f"    runs = runs_at(table, {count}, F(0))",
        "    for k in range(count):",
        *(f"        {name} = load(runs, {given[key]}, k)" for key, name in text.given.items()),
        *(f"        {line}" for line in text.lines),
        *(f"        store(runs, {made[key]}, k, {of})" for key, of in text.results.items()),
    ]


def _compiled(function: Any, text: str) -> Any:
    """A function of runs, compiled or loaded."""
    compiled = njit(**steps.IN_LINE)(function)
    compiled._cache = Kept(compiled, lambda: None, text)
    compiled.compile((types.intp, types.intp))
    return compiled


def _address(function: Any) -> int:
    """Of a compiled function, as C calls it."""
    (compiled,) = function.overloads.values()
    name = compiled.fndesc.llvm_cfunc_wrapper_name
    address: int = compiled.library.get_pointer_to_function(name)
    return address
