"""The loop over time as one kernel, with all of W in the registers and shared memory of each block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minirnn.backend import Array, array_module
from minirnn.kernels.cuda.module import kernel, options, with_cell
from minirnn.kernels.cuda.persistent.scan import PersistentScan

from .plan import REGISTERS, RegisterPlan, in_registers


class RegisterScan(PersistentScan):
    """The persistent scan while W fits into one block; beyond that, blocks share it as usual."""

    registers = REGISTERS

    def in_registers(self, W: Array, N: int) -> RegisterPlan | None:
        """How the work is divided for N sequences; None if W or the cell does not fit."""
        cell, sizes = self.cuda_cell, (W.shape[1], max(1, N), W.dtype.itemsize)
        if len(cell.gates) not in (0, cell.da):  # they are in memory in the same way
            return None
        return in_registers(cell.blocks["W"], *sizes, self.limits, self.registers)

    def plan(self, x: Array, W: Array) -> str:
        """See `Scan.plan`."""
        plan = self.in_registers(W, x.shape[-1])
        return plan.in_words(x.shape[-1]) if plan else super().plan(x, W)

    def _empty(self, W: Array, rows: int, T: int, N: int) -> Array:
        """Room (rows, T, N) where the numbers of neighbouring units, and threads, are side by side."""
        if self.in_registers(W, N) is None:
            return super()._empty(W, rows, T, N)
        return array_module(W).empty((T, N, rows), W.dtype).transpose(2, 0, 1)

    def _launch(self, function: str, given: dict[str, Any]) -> None:
        W, (_, T, N) = given["W"], given["before"][0].shape
        plan = self.in_registers(W, N)
        if plan is None:
            return super()._launch(function, given)
        if T * N == 0:
            return None
        code = with_cell(self.text, "registers.cu", Path(__file__).parent)
        told = *options(W.dtype), f"-DREGISTERS={self.registers}"
        run: Any = kernel(self.raw_module, code, told, False, function)
        run.max_dynamic_shared_size_bytes = self.limits.shared_memory
        given |= {**plan._asdict(), "first": 0, "count": N}
        threads = (self.limits.threads,)
        run((plan.groups,), threads, (self._problem(given),), shared_mem=plan.bytes)
        return None
