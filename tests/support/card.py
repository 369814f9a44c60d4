"""What benchmarks use of CuPy beyond `stand_in`: events, properties of a device, kernels on the host."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import cuda_on_host
import cuda_threads_on_host
import numpy as np
import stand_in

from minirnn.kernels.cuda.persistent.limits import Limits

LIMITS = Limits(4, 6000, 8)  # a device as large as the host can play
NAME = "a card of paper"


class Event:
    """The host's clock: all work on the stand-in is done at once."""

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass


def raw_module(
    *, code: str, options: tuple[str, ...] = (), enable_cooperative_groups: bool = False
) -> Any:
    """Kernels on the host, for the stand-in's arrays."""
    if "struct Problem" in code:  # these are given addresses
        return cuda_threads_on_host.RawModule(
            code=code, options=options, enable_cooperative_groups=enable_cooperative_groups
        )
    module = cuda_on_host.RawModule(code=code, options=options)

    def get_function(name: str) -> Any:
        function = module.get_function(name)

        def launch(grid: Any, block: Any, args: Any) -> None:
            function(grid, block, tuple(_values(arg) for arg in args))

        return launch

    return SimpleNamespace(get_function=get_function)


def _values(arg: Any) -> Any:
    return arg._values if isinstance(arg, stand_in.ndarray) else arg


def _array(a: Any, dtype: Any, order: str) -> Any:
    return stand_in.asarray(np.array(_values(a), dtype, order=order))


def _copyto(out: Any, a: Any, where: Any) -> None:
    np.copyto(_values(out), _values(a), where=_values(where))


def _contiguous(a: Any) -> Any:
    return stand_in.asarray(np.ascontiguousarray(_values(a)))


def insert(monkeypatch: Any) -> None:
    """Give the stand-in for CuPy all that."""
    properties = {"name": NAME.encode(), "multiProcessorCount": 4, "totalGlobalMem": 2**30}
    device = {
        "Event": Event,
        "get_elapsed_time": lambda start, stop: 1e3 * (stop.at - start.at),
        "driver": SimpleNamespace(occupancyMaxActiveBlocksPerMultiprocessor=lambda *launch: 1),
    }
    runtime = {
        "getDeviceProperties": lambda number: properties,
        "driverGetVersion": lambda: 13020,
        "runtimeGetVersion": lambda: 12090,
    }
    functions = {"array": _array, "ascontiguousarray": _contiguous, "copyto": _copyto}
    more: list[tuple[Any, dict[str, Any]]] = [
        (stand_in, {"__version__": "0", "RawModule": raw_module, **functions}),
        (stand_in.Device, {"synchronize": lambda device: None}),
        (stand_in.cuda, device),
        (stand_in.cuda.runtime, runtime),
    ]
    for owner, names in more:
        for name, value in names.items():
            monkeypatch.setattr(owner, name, value, raising=False)
    monkeypatch.setattr("minirnn.kernels.choice.device_limits", lambda device: LIMITS)
