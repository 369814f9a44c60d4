"""What decides how fast anything is here: processor, libraries, threads."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.kernels.compiled import why_not_compiled
from minirnn.kernels.pool import processors, thread_count

from .events import stream_differs

ROOT = Path(__file__).parent.parent
DRIVER = Path("/proc/driver/nvidia/version")
PRECISION = ("CUPY_TF32", "NVIDIA_TF32_OVERRIDE")  # of all products, in the environment


def machine(device: str, with_torch: bool) -> dict[str, str]:
    """By name, what a reader has to know to believe the figures."""
    count = thread_count()
    found = {
        "processor": f"{processor()}, {processors()} for this process",
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__}, {blas()}",
        "minirnn": f"{count} threads" if count else "threads left to BLAS",
    }
    if not why_not_compiled():
        import numba

        found["numba"] = numba.__version__
    if with_torch:
        import torch

        found["PyTorch"] = f"{torch.__version__}, {torch.get_num_threads()} threads"
    if device != "cpu":
        xp = get_backend(device).xp
        found |= of_device(xp)
        if with_torch:
            cudnn: Any = torch.backends.cudnn
            found["cuDNN"] = str(cudnn.version())
    return found


def of_device(xp: Any) -> dict[str, str]:
    """The same of CuPy's current device."""
    runtime, device = xp.cuda.runtime, xp.cuda.Device()
    properties = runtime.getDeviceProperties(device.id)
    sizes = f"{properties['multiProcessorCount']} multiprocessors"
    memory = f"{properties['totalGlobalMem'] / 2**30:.0f} GiB"
    version = re.search(r"\d+\.\d+[.\d]*", DRIVER.read_text()) if DRIVER.exists() else None
    driver = version[0] if version else "of unknown version"
    return {
        "device": properties["name"].decode(),
        "of it": f"compute capability {device.compute_capability}, {sizes}, {memory}",
        "driver": f"{driver}, for CUDA up to {_cuda(runtime.driverGetVersion())}",
        "CuPy": f"{xp.__version__}, CUDA {_cuda(runtime.runtimeGetVersion())}",
    }


def _cuda(version: int) -> str:
    """13020 as 13.2."""
    return f"{version // 1000}.{version % 1000 // 10}"


def this_run(commit: str | None = None) -> dict[str, str]:
    """Date, command, and commit of the sources, "-dirty" if they were changed since."""
    if commit is None and shutil.which("git"):
        describe = ["git", "describe", "--always", "--dirty"]
        done = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=False)
        commit = done.stdout.strip()
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    return {"date": date.today().isoformat(), "commit": commit or "unknown", "command": command}


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
        if stream_differs(get_backend(device).xp):
            return "PyTorch does not use CuPy's stream, so that events miss it, and is left out"
    return None


def precision_forced() -> str | None:
    """Why rows would not be of the precision that they say; None if they are."""
    found = [f"{name}={os.environ[name]}" for name in PRECISION if name in os.environ]
    if not found:
        return None
    return f"{', '.join(found)} in the environment decides whether products are in TF32: unset it"


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
