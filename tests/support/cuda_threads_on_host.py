"""Runs CUDA kernels whose threads wait for each other on the host: each is a thread of the machine.

What of ``cupy.RawModule`` the persistent scan uses, for NumPy arrays. The words of CUDA are those of
``cuda_threads_on_host.h``; the kernels' source is taken as it is.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

COMPILER = shutil.which("g++")
HEADER = Path(__file__).with_name("cuda_threads_on_host.h")

LAUNCH = """
extern "C" size_t problem_size() { return sizeof(Problem); }
extern "C" bool launch_kernel(
    void (*kernel)(Problem), const Problem *given, int grid, int block, size_t shared)
{
    return launch(kernel, *given, grid, block, shared);
}
"""


@cache
def compiled(code: str, options: tuple[str, ...]) -> ctypes.CDLL:
    """A library of kernels that all take a struct `Problem` by value."""
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        text.write_text(code + LAUNCH, encoding="utf-8")
        how = ["-std=c++17", "-O1", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC"]
        # 16 bytes at once have to begin where a device can load them: what does not ends the process
        how += ["-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"]
        how += ["-pthread", "-include", str(HEADER), *options]
        subprocess.run([str(COMPILER), *how, str(text), "-o", str(library)], check=True)
        found = ctypes.CDLL(str(library))
    found.problem_size.restype = ctypes.c_size_t
    found.launch_kernel.restype = ctypes.c_bool
    return found


class RawModule:
    """Kernels; all blocks are there together."""

    def __init__(
        self, *, code: str, options: tuple[str, ...], enable_cooperative_groups: bool = False
    ) -> None:
        wait = "arrived(" in code
        assert enable_cooperative_groups == wait, "blocks that wait have to be launched together"
        self.library = compiled(code, options)

    def get_function(self, name: str) -> Kernel:
        """A kernel by its name."""
        return Kernel(self.library, name)


class Kernel:
    """A kernel, which may need no more shared memory than was allowed."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        self.library, self.address = library, ctypes.cast(library[name], ctypes.c_void_p)
        self.kernel = SimpleNamespace(ptr=self.address.value)
        self.max_dynamic_shared_size_bytes = 0

    def __call__(
        self, grid: tuple[int], block: tuple[int], args: tuple[Any, ...], *, shared_mem: int
    ) -> None:
        (problem,) = args
        assert problem.shape == (1,)
        assert problem.dtype.itemsize == self.library.problem_size()
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        given, size = ctypes.c_void_p(problem.ctypes.data), ctypes.c_size_t(shared_mem)
        kept = self.library.launch_kernel(self.address, given, *grid, *block, size)
        assert kept, "a block wrote beyond its shared memory"
