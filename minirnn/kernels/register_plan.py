"""How the persistent kernels divide their work that keep W in registers, and what does not fit.

W has to be in the registers and the shared memory of one block, which then has its sequences for itself.
The letters are those of `Problem` in ``problem.cuh``, the kernels in ``persistent_registers.cu``.
"""

from __future__ import annotations

from typing import NamedTuple

from .limits import Limits, up

COLUMNS = 1, 2  # sequences of a block
GROUP = 4  # runs at a time, of four columns each
SLICES = 16  # at most: there are as many sums to add up

# Cycles of a multiprocessor, as in persistent_plan.py.
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
    bytes: int  # of shared memory

    source = "persistent_registers.cu"
    cooperative = False
    blocks = 1  # in a group: none waits for another one

    def shared_memory(self, gates: int, H: int, itemsize: int) -> int:
        """Bytes that a block needs, forward or backward."""
        return self.bytes


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

    def shared_memory(self, together: int, itemsize: int, limits: Limits) -> int:
        """Bytes of a block for x of so many sequences, for sums, and for what is not in registers."""
        x, sums = together * self.pitch, up(self.slices * self.rows * together, 4)
        more = 4 * self.tall * self.more(itemsize, limits.registers)
        return itemsize * (x + sums + more * self.threads)

    def cycles(self, together: int, itemsize: int, limits: Limits) -> int:
        """Until all sums are added up: 128 bytes a cycle are loaded, and four warps multiply at a time."""
        more = self.more(itemsize, limits.registers)
        warps = -(-self.threads // 32)
        loads = warps * 4 * (together * self.runs + self.tall * more)
        products = -(-warps // 4) * self.runs * (4 * self.tall + 2) * together
        sums = ADD * self.slices * -(-self.rows * together // limits.threads)
        return BEGIN + (max(loads, products) + sums) * itemsize // 4


def in_registers(
    gates: int, H: int, N: int, itemsize: int, limits: Limits
) -> tuple[RegisterPlan, int] | None:
    """The plan with the fewest cycles a step, and how many; None if W does not fit."""
    found = []
    for together in COLUMNS:
        forward = _product(gates * H, H, 3 if gates == 3 else 4, together, itemsize, limits)
        backward = _product(H, gates * H, 4, together, itemsize, limits)
        if forward is None or backward is None:
            continue
        groups = -(-N // together)
        both = [product.shared_memory(together, itemsize, limits) for product in (forward, backward)]
        plan = RegisterPlan(
            groups, together, forward.pitch, backward.pitch, forward.slices, backward.slices, max(both)
        )
        cycles = sum(product.cycles(together, itemsize, limits) for product in (forward, backward))
        found.append((cycles * -(-groups // limits.multiprocessors), plan))
    if not found:
        return None
    cycles, plan = min(found)
    return plan, cycles


def _product(
    rows: int, columns: int, tall: int, together: int, itemsize: int, limits: Limits
) -> Product | None:
    """The fastest division of a product that fits, if one does."""
    most = limits.threads // -(-rows // tall)
    products = (Product(rows, columns, tall, slices) for slices in range(1, min(most, SLICES) + 1))
    room = limits.shared_memory
    fit = (p for p in products if p.shared_memory(together, itemsize, limits) <= room)
    return min(fit, key=lambda p: p.cycles(together, itemsize, limits), default=None)
