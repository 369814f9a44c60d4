"""Matrix products for the compiled scan: small tiles of the result, held in registers.

Arrays here lie in *blocks* of 16 units: element (step t, unit 16 b + u, sequence n) stands at
``[t, b, n, u]``. A vector register then holds 16 units of one sequence, whatever the size of the batch,
and what a step computes from them element by element is one run of memory for each block.

A product ``out[m, v] = initial[m, v] + Σ_k left[m, k] right[k, v]``, in which v counts blocks of 16
units, is cut into tiles of 6 rows × 4 blocks, or less at the edges. A tile's sums stay in registers
while k runs, so that each pair of loads feeds several multiplications; see Goto & van de Geijn 2008,
"Anatomy of high-performance matrix multiplication".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  # units in a block: a register of AVX-512 in float32
ROWS = (6, 4, 2, 1)  # of a tile: as many as there are left, of these


class Rows(NamedTuple):
    """Where a result (rows, blocks) is: [m, v] at ``start + m·row + v·block``, in elements."""

    array: Any
    start: int
    row: int  # 0 repeats one row
    block: int


class Left(NamedTuple):
    """The left operand: [m, k] at ``start + m·row + parts[k // depth] + k % depth · step``.

    There is one part at least, and one k in it.
    """

    array: Any
    start: int
    row: int
    parts: Any  # (number of parts,)
    depth: int
    step: int


class Right(NamedTuple):
    """The right operand: [k, v] at ``start + k // depth · part + k % depth · step + v·block``."""

    array: Any
    start: int
    part: int
    step: int
    block: int


# How many bytes of a row of `right` a tile takes: the sums of a tile, that row and one number of `left`
# fit into 32 registers of 64 bytes with 24 sums, and into 16 registers of 32 bytes with 12 of them.
WIDTH = 256 if llvmlite.binding.get_host_cpu_features().get("avx512f", False) else 64


def blocks_at_once(itemsize: int) -> int:
    """How many blocks wide a tile is, for numbers of so many bytes."""
    return max(1, WIDTH // (itemsize * LANES))


class Tile:
    """Emits one tile: two loops over k around fused multiply-adds, in LLVM's language."""

    def __init__(self, context: Any, builder: Any, number: Any) -> None:
        self.context, self.builder = context, builder
        self.vector = ir.VectorType(number, LANES)
        self.align = number.get_abi_size(context.target_data)
        name = f"llvm.fma.v{LANES}f{8 * self.align}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, name)

    def address(self, start: Any, *steps: tuple[int, Any]) -> Any:
        """`start` and so many steps of so many elements each."""
        for count, size in steps:
            start = self.builder.gep(start, [self.builder.mul(_integer(count), size)])
        return start

    def load(self, pointer: Any) -> Any:
        """16 numbers."""
        pointer = self.builder.bitcast(pointer, self.vector.as_pointer())
        return self.builder.load(pointer, align=self.align)

    def repeated(self, number: Any) -> Any:
        """One number 16 times."""
        undefined, first = ir.Constant(self.vector, ir.Undefined), ir.IntType(32)
        single = self.builder.insert_element(undefined, number, first(0))
        zeros = ir.Constant(ir.VectorType(first, LANES), [0] * LANES)
        return self.builder.shuffle_vector(single, undefined, zeros)

    def running(self, values: list[Any], block: Any) -> list[Any]:
        """Variables of a loop, with the values they have when it is entered from `block`."""
        phis = [self.builder.phi(value.type) for value in values]
        self.extend(phis, values, block)
        return phis

    def extend(self, phis: list[Any], values: list[Any], block: Any) -> None:
        """The values they have when `block` goes round again."""
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, block)

    def emit(self, M: int, V: int, out: Any, initial: Any, left: Any, right: Any) -> None:
        """M rows × V blocks."""
        builder, places = self.builder, [(m, v) for m in range(M) for v in range(V)]
        # From 0, and the initial value last: where sums over thousands of columns are made of some at a
        # time, those are not rounded to the digits of the sum of all
        total = [ir.Constant(self.vector, None)] * len(places)
        before = builder.block
        outer, inner = builder.append_basic_block("part"), builder.append_basic_block("k")
        again, done = builder.append_basic_block("next"), builder.append_basic_block("done")
        builder.branch(outer)

        builder.position_at_end(outer)
        part, *total_outer = self.running([_integer(0), *total], before)
        a_part = builder.gep(left.array, [builder.load(builder.gep(left.parts, [part]))])
        b_part = builder.gep(right.array, [builder.mul(part, right.part)])
        builder.branch(inner)

        builder.position_at_end(inner)
        start = [_integer(0), a_part, b_part, *total_outer]
        k, a, b, *total_inner = self.running(start, outer)
        b_row = [self.load(self.address(b, (v, right.block))) for v in range(V)]
        a_column = [self.repeated(builder.load(self.address(a, (m, left.row)))) for m in range(M)]
        added = [
            builder.call(self.fma, [a_column[m], b_row[v], so_far])
            for (m, v), so_far in zip(places, total_inner, strict=True)
        ]
        k_next, b_next = builder.add(k, _integer(1)), builder.gep(b, [right.step])
        a_next = builder.gep(a, [left.step])
        self.extend([k, a, b, *total_inner], [k_next, a_next, b_next, *added], inner)
        builder.cbranch(builder.icmp_signed("<", k_next, left.depth), inner, again)

        builder.position_at_end(again)
        part_next = builder.add(part, _integer(1))
        self.extend([part, *total_outer], [part_next, *added], again)
        builder.cbranch(builder.icmp_signed("<", part_next, left.count), outer, done)

        builder.position_at_end(done)
        for (m, v), value in zip(places, added, strict=True):
            first = self.load(self.address(initial.array, (m, initial.row), (v, initial.block)))
            target = self.address(out.array, (m, out.row), (v, out.block))
            pointer = builder.bitcast(target, self.vector.as_pointer())
            builder.store(builder.fadd(first, value), pointer, align=self.align)


class _Operand:
    """The fields of a `Rows`, `Left` or `Right`, with pointers for the arrays."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        fields = zip(kind.fields, kind.types, cgutils.unpack_tuple(builder, value), strict=True)
        self.start: Any
        for name, field_kind, field in fields:
            if isinstance(field_kind, types.Array):
                array = context.make_array(field_kind)(context, builder, value=field)
                self.count = cgutils.unpack_tuple(builder, array.shape)[
                    0
                ]  # of `parts`, for a `Left`
                setattr(self, name, array.data)
            else:
                setattr(self, name, context.cast(builder, field, field_kind, types.intp))
        self.array: Any = builder.gep(self.array, [self.start])


def _integer(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


@intrinsic
def _tile(typing: Any, M: Any, V: Any, out: Any, initial: Any, left: Any, right: Any) -> Any:
    """``out = initial + left right`` for M rows, one of `ROWS`, and V blocks."""
    widest = blocks_at_once(out.types[0].dtype.bitwidth // 8)

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = (out, initial, left, right)
        operands = [
            _Operand(context, builder, kind, value)
            for kind, value in zip(kinds, values[2:], strict=True)
        ]
        tile = Tile(context, builder, context.get_value_type(out.types[0].dtype))
        done = builder.append_basic_block("tiled")
        which = builder.add(builder.mul(values[0], _integer(widest)), values[1])
        choice = builder.switch(which, done)
        for m in ROWS:
            for v in range(1, widest + 1):
                block = builder.append_basic_block(f"tile{m}x{v}")
                choice.add_case(_integer(m * widest + v), block)
                builder.position_at_end(block)
                tile.emit(m, v, *operands)
                builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, out, initial, left, right), emit


@njit(nogil=True)
def product(M: int, V: int, out: Rows, initial: Rows, left: Left, right: Right) -> None:
    """``out = initial + left right`` for M rows and V blocks, V up to `blocks_at_once`."""
    m = 0
    while m < M:
        rest = M - m
        rows = 6 if rest >= 6 else 4 if rest >= 4 else 2 if rest >= 2 else 1
        o = Rows(out.array, out.start + m * out.row, out.row, out.block)
        z = Rows(initial.array, initial.start + m * initial.row, initial.row, initial.block)
        a = Left(left.array, left.start + m * left.row, left.row, left.parts, left.depth, left.step)
        _tile(rows, V, o, z, a, right)
        m += rows
