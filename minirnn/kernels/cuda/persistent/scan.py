"""The loop over time on a CUDA device as one kernel: W stays on chip from the first step to the last.

What comes before and after the loop, and what is kept, is as in ``fused/scan.py``. Blocks share W, and
sequences that do not fit beside it at once take more than one launch. How the kernels divide their work
is in ``plan.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ....backend import Array, State, array_module
from ....cells import Arrays, Cell
from ..cell import CudaCell
from ..fused.scan import FusedSaved, FusedScan, of_cell, strides
from ..module import by_value, filled
from .limits import Limits
from .plan import BY_THREADS, Plan, divide

LINE = 32  # counts in a line of the cache, as in shared.cu

# (a kernel's address, threads of a block, bytes of shared memory of a block): how many blocks a
# multiprocessor holds at a time
Occupancy: TypeAlias = Callable[[int, int, int], int]

_INTEGERS = (
    "T", "H", "N", "first", "count", "blocks", "columns", "across", "tile", "pitch", "h_pitch",
    "d_pitch", "chunk", "slices", "back_slices", "readers", "K",
)  # fmt: skip
_STRIDES = ("units", "gates_strides", "dys_strides")
_ARRAYS = ("real", "tokens", "U", "W", "gates", "ys", "dys", "da", "exchange", "counts")
_OF_STATES = ("start", "before", "state", "d")


def problem_of(cell: CudaCell) -> np.dtype[Any]:
    """`Problem` of problem.cuh: what a kernel is given, by value."""
    return np.dtype(
        [
            *((name, np.int32) for name in _INTEGERS),
            *((name, np.int64, (3,)) for name in _STRIDES),
            *((name, np.uintp) for name in _ARRAYS),
            *of_cell(cell, _OF_STATES),
        ],
        align=True,
    )


def obstacle(cell: Cell, H: int, dtype: Any, limits: Limits) -> str:
    """Why the kernels cannot run a cell of that size on a device; empty if they can."""
    dtype, (gates, _) = np.dtype(dtype), cell.shapes(1, 1).get("W", (0, 0))
    if not gates:
        return f"{cell.name} has no W to keep on the device"
    if not limits.cooperative:
        return "blocks cannot wait for each other on the device: that takes compute capability 7.0"
    if divide(gates, H, 1, dtype.itemsize, limits):
        return ""
    megabytes, each = gates * H * H * dtype.itemsize / 2**20, limits.shared_memory // 1024
    return (
        f"W does not fit on the device: {cell.name} has {megabytes:.1f} MiB of it in {dtype}, and "
        f"there are {limits.multiprocessors} multiprocessors with {each} KiB of shared memory each, "
        "which take whole units"
    )


class PersistentScan(FusedScan):
    """The scan of `Scan` for cells whose only products are U x and W h, while W fits on the device.

    Args:
        cell: what it is made for.
        raw_module: ``cupy.RawModule``, or what stands in for it.
        limits: of the device.
        occupancy: ``cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor``, or a stand-in.

    Raises:
        NotPointwise: the cell does something else.
    """

    name = "persistent"
    grains = BY_THREADS  # what its products may be cut into

    def __init__(self, cell: Cell, raw_module: Any, limits: Limits, occupancy: Occupancy) -> None:
        super().__init__(cell, raw_module)
        self.struct = problem_of(self.cuda_cell)
        self.cell = cell
        self.limits = limits
        self.occupancy = occupancy

    def _forward_steps(
        self, P: Arrays, tokens: Array | None, real: Array | None, room: Array, ys: Array,
        before: list[Array], state: State,
    ) -> State:  # fmt: skip
        xp, (H, T, N) = array_module(ys), ys.shape
        if T == 0:
            return tuple(part.copy() for part in state)
        last = tuple(xp.empty((H, N), ys.dtype) for _ in state)
        given = {"tokens": tokens, "K": P["U"].shape[1], "real": real, "gates": room, "ys": ys}
        given |= {"U": P["U"], "W": P["W"], "own": self._own(P), "gates_strides": strides(room)}
        given |= {"start": [xp.ascontiguousarray(part) for part in state]}
        self._launch("scan_forward", given | {"before": before, "state": last})
        return last

    def _backward_steps(
        self, saved: FusedSaved, dys: Array | None, dstate: State, da: Array
    ) -> State:
        given = {"real": saved.real, "W": saved.P["W"], "da": da, "gates_strides": strides(da)}
        self._launch("scan_backward", given | self._kept(saved, dys, dstate))
        return dstate

    def plan(self, x: Array, W: Array) -> str:
        """See `Scan.plan`."""
        return self._plan(W, x.shape[-1]).in_words(x.shape[-1])

    def _plan(self, W: Array, N: int) -> Plan:
        """How the work is divided for N sequences.

        Raises:
            RuntimeError: W does not fit on the device.
        """
        sizes = self.cuda_cell.blocks["W"], W.shape[1], max(1, N), W.dtype.itemsize
        plan = divide(*sizes, self.limits, self.grains)
        if plan is None:
            what = obstacle(self.cell, W.shape[1], W.dtype, self.limits)
            raise RuntimeError(f"scan: {self.name!r} cannot run here: {what}")
        return plan

    def _launch(self, function: str, given: dict[str, Any]) -> None:
        """Run all steps with what is given for `Problem`, by name.

        Raises:
            RuntimeError: the blocks do not fit on the device together.
        """
        (H, T, N), W = given["before"][0].shape, given["W"]
        if T * N == 0:
            return
        xp, dtype, limits, gates = array_module(W), W.dtype, self.limits, self.cuda_cell.blocks["W"]
        plan = self._plan(W, N)
        kernel: Any = self._kernel(function, dtype, "persistent/shared.cu", cooperative=True)
        shared = plan.shared_memory(gates, H, dtype.itemsize)
        # Not what this launch needs: other threads may be launching the same kernel
        kernel.max_dynamic_shared_size_bytes = limits.shared_memory
        each = self.occupancy(kernel.kernel.ptr, limits.threads, shared)
        if plan.blocks * plan.groups > each * limits.multiprocessors:
            raise RuntimeError(
                f"scan: {self.name!r} wants {plan.blocks * plan.groups} blocks on the device "
                f"together, and it holds {each} on each of {limits.multiprocessors} multiprocessors"
            )
        at_once = plan.groups * plan.columns
        firsts = range(0, N, at_once)
        counts = xp.zeros((len(firsts), plan.groups, LINE), np.uint32)
        parts = (plan.blocks, plan.back_slices) if function == "scan_backward" else ()
        given["exchange"] = xp.empty((2, plan.groups, *parts, H, plan.across), dtype)
        given |= plan._asdict()
        for first, given["counts"] in zip(firsts, counts, strict=True):
            given["first"], given["count"] = first, min(N - first, at_once)
            groups = -(-given["count"] // plan.columns)
            grid = (groups * plan.blocks,)
            kernel(grid, (limits.threads,), (self._problem(given),), shared_mem=shared)

    def _problem(self, given: dict[str, Any]) -> np.ndarray[Any, Any]:
        """`Problem`, of what is given by name."""
        before = given["before"][0]
        given |= dict(zip("HTN", before.shape, strict=True)) | {"units": strides(before)}
        return by_value(filled(self.struct, given, array_module(before)))
