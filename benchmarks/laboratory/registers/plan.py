"""How the kernels of ``registers.cu`` divide their work, and what does not fit.

W has to be in the registers and the shared memory of one block, which then has its sequences for itself.
The letters are those of `Problem` in ``problem.cuh``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from minirnn.kernels.cuda.persistent.limits import Limits, up

COLUMNS = 1, 2  # sequences of a block
GROUP = 4  # runs at a time, of four columns each
SLICES = 16  # at most: there are as many sums to add up
REGISTERS = 192  # of a thread for weights, 4 bytes each, at most; a thread can have 255

# Cycles of a multiprocessor, as in persistent/plan.py.
BEGIN = 130  # a product: two barriers, the first load, and sums to shared memory
ADD = 6  # a sum from shared memory, by all threads


class RegisterPlan(NamedTuple):
    """How each block divides its work."""

    groups: int
    columns: int
    h_pitch: int
    d_pitch: int
    slices: int
    back_slices: int
    bytes: int  # of shared memory, forward or backward
    blocks: int = 1  # in a group: none waits for another one

    def in_words(self, N: int) -> str:
        """The same for who asks."""
        return f"W fits into one block; blocks: {self.groups}, sequences of each: {self.columns}"


class Product(NamedTuple):
    """M x, for M (rows, columns), in tiles of `tall` rows, each in so many slices along the columns."""

    rows: int
    columns: int
    tall: int
    slices: int

    @property
    def threads(self) -> int:
        """Those that have a tile."""
        return self.slices * -(-self.rows // self.tall)

    @property
    def runs(self) -> int:
        """Of a thread, ended by zeros."""
        return up(-(-self.columns // (4 * self.slices)), GROUP)

    @property
    def pitch(self) -> int:
        """Numbers of x, ended by zeros."""
        return 4 * self.slices * self.runs

    def more(self, itemsize: int, registers: int) -> int:
        """Runs of a thread that its registers have no room for."""
        kept = registers * 4 // (4 * self.tall * itemsize) // GROUP * GROUP
        return max(0, self.runs - kept)

    def shared_memory(self, together: int, itemsize: int, registers: int) -> int:
        """Bytes of a block for x of so many sequences, for sums, and for what is not in registers."""
        x, sums = together * self.pitch, up(self.slices * self.rows * together, 4)
        more = 4 * self.tall * self.more(itemsize, registers)
        return itemsize * (x + sums + more * self.threads)

    def cycles(self, together: int, itemsize: int, limits: Limits, registers: int) -> int:
        """Until all sums are added up; 128 bytes a cycle are loaded, and four warps multiply."""
        more = self.more(itemsize, registers)
        warps = -(-self.threads // 32)
        loads = warps * 4 * (together * self.runs + self.tall * more)
        products = -(-warps // 4) * self.runs * (4 * self.tall + 2) * together
        sums = ADD * self.slices * -(-self.rows * together // limits.threads)
        return BEGIN + (max(loads, products) + sums) * itemsize // 4


def matrices(gates: int, H: int) -> tuple[Product, Product]:
    """W and its transpose, in one slice each: what is multiplied forward and backward."""
    return Product(gates * H, H, 3 if gates == 3 else 4, 1), Product(H, gates * H, 4, 1)


def layout(
    forward: Product, backward: Product, N: int, together: int, itemsize: int, registers: int
) -> RegisterPlan:
    """The plan of such products for N sequences, so many of them in a block."""
    sizes = [
        product.shared_memory(together, itemsize, registers) for product in (forward, backward)
    ]
    pitches, slices = (forward.pitch, backward.pitch), (forward.slices, backward.slices)
    return RegisterPlan(-(-N // together), together, *pitches, *slices, max(sizes))


@lru_cache(maxsize=1024)
def in_registers(
    gates: int, H: int, N: int, itemsize: int, limits: Limits, registers: int = REGISTERS
) -> RegisterPlan | None:
    """The plan of the fewest cycles for `gates` blocks of H rows of W; None if W does not fit."""
    given, found = (itemsize, limits, registers), []
    for together in COLUMNS:
        cut = [_divided(product, together, *given) for product in matrices(gates, H)]
        forward, backward = cut
        if forward is None or backward is None:
            continue
        plan = layout(forward, backward, N, together, itemsize, registers)
        rounds = -(-plan.groups // limits.multiprocessors)
        cycles = sum(product.cycles(together, *given) for product in (forward, backward))
        found.append((rounds * cycles, plan))
    return min(found)[1] if found else None


def _divided(
    product: Product, together: int, itemsize: int, limits: Limits, registers: int
) -> Product | None:
    """The product in as many slices as are the fastest, of those that fit."""
    most, room = limits.threads // product.threads, limits.shared_memory
    cut = [product._replace(slices=slices) for slices in range(1, min(most, SLICES) + 1)]
    fit = [p for p in cut if p.shared_memory(together, itemsize, registers) <= room]
    return min(fit, key=lambda p: p.cycles(together, itemsize, limits, registers), default=None)
