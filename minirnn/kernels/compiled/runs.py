"""A cell's printed lines over runs of memory, called by address, so that one loop serves all cells.

A *run* is 16 units of all sequences at one step (see ``products.py``), one for each letter of the
lines. A table has the addresses. No two runs share memory, which the compiler is told: with so many of
them it would not look, and not use vectors.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic(prefer_literal=True)
def runs_at(typing: Any, table: Any, count: Any, like: Any) -> Any:
    """The runs of numbers like `like` that a table has the addresses of."""
    runs = types.UniTuple(types.CPointer(like), count.literal_value)

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        addresses = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        kind = context.get_value_type(runs.dtype)
        each = (builder.gep(addresses, [ir.IntType(64)(j)]) for j in range(runs.count))
        found = [builder.inttoptr(builder.load(place), kind) for place in each]
        return context.make_tuple(builder, runs, found)

    return runs(table, count, like), emit


def _number(builder: Any, runs: Any, values: Any, j: int) -> tuple[Any, Any]:
    """Where a number is, and what says that the j-th of some runs shares no memory with the others."""
    add = builder.module.add_metadata
    domain = add(["minirnn"])
    others = [add([f"run {k}", domain]) for k in range(runs.count)]
    alone = {"alias.scope": add([others.pop(j)]), "noalias": add(others)}
    return builder.gep(builder.extract_value(values[0], j), [values[2]]), alone


@intrinsic(prefer_literal=True)
def load(typing: Any, runs: Any, j: Any, k: Any) -> Any:
    """Number k of the j-th run."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place, alone = _number(builder, runs, values, j.literal_value)
        found = builder.load(place)
        for name, value in alone.items():
            found.set_metadata(name, value)
        return found

    return runs.dtype.dtype(runs, j, types.intp), emit


@intrinsic(prefer_literal=True)
def store(typing: Any, runs: Any, j: Any, k: Any, value: Any) -> Any:
    """Set number k of the j-th run."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place, alone = _number(builder, runs, values, j.literal_value)
        stored = builder.store(values[3], place)
        for name, value in alone.items():
            stored.set_metadata(name, value)
        return context.get_dummy_value()

    return types.void(runs, j, types.intp, runs.dtype.dtype), emit


@intrinsic
def call(typing: Any, address: Any, table: Any, count: Any, used: Any) -> Any:
    """Call what was compiled of a cell's lines, for runs of `count` numbers.

    `used` are arrays that some of the runs lie in, and which have to live until then.
    """

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [whole, whole])
        addresses = context.make_array(table)(context, builder, value=values[1]).data
        step = builder.inttoptr(values[0], kind.as_pointer())
        builder.call(step, [builder.ptrtoint(addresses, whole), values[2]])
        return context.get_dummy_value()

    return types.void(types.intp, table, types.intp, used), emit
