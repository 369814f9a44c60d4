"""Runs what ``cupy.fuse`` makes on the host: the real CuPy, but no device.

CuPy itself calls the function with symbols and writes the kernel's source, for arrays that are in host
memory. Only its class for kernels is replaced: g++ compiles the same source, and a loop runs it for each
element. That shows what a kernel computes; what it does not show is a device's compiler, and the launch.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cuda_on_host import COMPILER

CUDA = """
#include <algorithm>
#include <cmath>
#define __device__ static
using std::max; using std::min; using std::isnan;
"""
NAMES = {"float32": "float", "float64": "double", "int64": "long long", "bool": "bool"}


class Kernel:
    """What of CuPy's ElementwiseKernel the kernels of ``cupy.fuse`` use."""

    def __init__(
        self, in_params: str, out_params: str, operation: str, *, preamble: str = "", **names: Any
    ) -> None:
        self.params = [p.split() for p in f"{in_params}, {out_params}".split(", ") if p]
        self.outputs = len([p for p in out_params.split(", ") if p])
        arguments = ", ".join(f"{NAMES[p[-2]]} *p_{p[-1]}" for p in self.params)
        elements = " ".join(f"{NAMES[p[-2]]} &{p[-1]} = p_{p[-1]}[i];" for p in self.params)
        loop = f"for (long i = 0; i < n; i++) {{ {elements} {operation}; }}"
        preamble = preamble.replace('#include "cupy/float16.cuh"', "")  # none of ours are
        self.run = compiled(f'{preamble} extern "C" void run(long n, {arguments}) {{ {loop} }}')

    def __call__(self, *given: Any) -> Any:
        inputs = [getattr(x, "host", x) for x in given]
        shape = np.broadcast_shapes(*(np.shape(x) for x in inputs))
        dtypes = [np.dtype(p[-2]) for p in self.params]
        values = [
            np.array(np.broadcast_to(x, shape), d, order="C")
            for x, d in zip(inputs, dtypes, strict=False)
        ]
        values += [np.empty(shape, d) for d in dtypes[len(values) :]]
        self.run(
            ctypes.c_long(values[0].size), *(v.ctypes.data_as(ctypes.c_void_p) for v in values)
        )
        for x, value, param in zip(inputs, values, self.params, strict=False):
            if param[0] == "_non_const":
                x[...] = value
        results = values[len(values) - self.outputs :]
        return tuple(results) if len(results) > 1 else next(iter(results), None)


@cache
def compiled(code: str) -> Any:
    """The function `run` in a source of C++."""
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder, "fused.cpp"), Path(folder, "fused.so")
        text.write_text(CUDA + code, encoding="utf-8")
        how = ["-std=c++17", "-O1", "-shared", "-fPIC", "-w"]
        subprocess.run([str(COMPILER), *how, str(text), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library)).run


def in_host_memory(x: Any) -> Any:
    """A CuPy array in the memory of a NumPy array; anything else as it is."""
    if not isinstance(x, np.ndarray):
        return x
    from cupy.cuda import MemoryPointer, UnownedMemory

    memory = UnownedMemory(x.ctypes.data, max(1, x.nbytes), x, 0)
    array = with_host()(x.shape, x.dtype, MemoryPointer(memory, 0), x.strides)
    array.host = x
    return array


@cache
def with_host() -> Any:
    """CuPy's class of arrays, with room for the NumPy array."""
    import cupy

    return type("ndarray", (cupy.ndarray,), {})
