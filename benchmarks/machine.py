"""What decides how fast anything is here: processor, libraries, threads."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.pool import processors, thread_count


def machine(device: str, with_torch: bool) -> dict[str, str]:
    """By name, what a reader has to know to believe the figures."""
    count = thread_count()
    found = {
        "processor": f"{processor()}, {processors()} for this process",
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__}, {blas()}",
        "minirnn": f"{count} threads" if count else "threads left to BLAS",
    }
    if importlib.util.find_spec("numba"):
        import numba

        found["numba"] = numba.__version__
    if with_torch:
        import torch

        found["PyTorch"] = f"{torch.__version__}, {torch.get_num_threads()} threads"
    if device != "cpu":
        xp = get_backend(device).xp
        name = xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["name"].decode()
        found["device"] = f"{name}, CuPy {xp.__version__}"
        if with_torch:
            cudnn: Any = torch.backends.cudnn
            rounded = "with" if cudnn.allow_tf32 else "without"
            found["cuDNN"] = f"{cudnn.version()}, {rounded} TF32"
    return found


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def blas() -> str:
    """The library behind NumPy's products, the kind of core it found, and its threads."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "BLAS and its threads unknown: pip install threadpoolctl"
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'unknown core')}): "
        f"{pool['num_threads']} threads"
        for pool in pools
    )


def torch_missing(device: str) -> str | None:
    """Why PyTorch cannot be measured; None if it can."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed, and is left out"
    if device != "cpu":
        import torch

        if not torch.cuda.is_available():
            return "PyTorch cannot use the device, and is left out"
    return None


def use_threads(count: int | str | None, stack: ExitStack) -> None:
    """Use so many threads, for as long as the stack lasts; None leaves each side its own.

    A number is for minirnn and PyTorch, with BLAS on one thread; ``"blas"`` leaves minirnn's to BLAS.

    Raises:
        RuntimeError: threadpoolctl is missing.
    """
    if count is None:
        return
    stack.enter_context(mr.threads(count))
    if isinstance(count, int) and torch_missing("cpu") is None:
        import torch

        torch.set_num_threads(count)


def finisher(device: str, with_torch: bool) -> Callable[[], object]:
    """Return a function that waits for whatever the device has still to do."""
    if device == "cpu":
        return lambda: None
    xp = get_backend(device).xp

    def finish() -> None:
        xp.cuda.Device().synchronize()
        if with_torch:
            import torch

            torch.cuda.synchronize()

    return finish
