"""What a device says: its own clock, and the kernels that a call launches there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .parts import HOST
from .timing import Side, wall

BATCH, CALLS = 0.005, 100  # seconds that a batch of calls takes, about, and calls in it at most
TRACED = 3  # calls in which kernels are counted


class EventClock:
    """Times a batch of calls between two CUDA events, the device having finished before the first.

    The calls of a batch follow one another as they do in training: the host prepares the next one
    while the device works. Whichever of the two is slower decides. Scans on the CPU are timed by the
    wall clock.

    Args:
        xp: CuPy. Whatever is timed has to be in its current stream (see `stream_differs`).
    """

    def __init__(self, xp: Any) -> None:
        self.cuda = xp.cuda

    def finish(self) -> None:
        """Wait until the device has nothing left to do."""
        self.cuda.Device().synchronize()

    def __call__(self, name: str, run: Side) -> Callable[[], float]:
        """See `Clock`."""
        if name in HOST:
            return wall(name, run)
        start, stop = self.cuda.Event(), self.cuda.Event()

        def seconds(calls: int) -> float:
            self.finish()
            start.record()
            for _ in range(calls):
                run()
            stop.record()
            stop.synchronize()
            return float(self.cuda.get_elapsed_time(start, stop)) / 1e3 / calls

        calls = max(1, min(CALLS, round(BATCH / max(seconds(1), BATCH / CALLS))))
        return lambda: seconds(calls)


def stream_differs(xp: Any) -> bool:
    """Whether PyTorch works in another stream than CuPy, whose events would then not see it."""
    import torch

    ours, its = xp.cuda.get_current_stream().ptr, torch.cuda.current_stream().cuda_stream
    return bool(ours != its)


def kernels(run: Side, finish: Side) -> float:
    """Kernels that a call launches, whichever library does, as PyTorch's profiler sees them.

    It has CUPTI, CUDA's own tracing, write down what the device did for this process. Copies and fills,
    which CUDA tells apart from kernels, are not counted.

    Raises:
        RuntimeError: there were none.
    """
    finish()
    count = [event.get("cat") for event in traced(run, finish)].count("kernel")
    if not count:
        raise RuntimeError("the profiler saw none: it may lack CUPTI, or the permission to use it")
    return count / TRACED


def traced(run: Side, finish: Side) -> list[dict[str, Any]]:
    """What happened in some calls, as Chrome's format of traces has it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        for _ in range(TRACED):
            run()
        finish()
    with TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        found.export_chrome_trace(str(path))
        events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
        return events
