"""Runs the CUDA kernels on the host, without a device: what CuPy's RawModule is, for NumPy arrays.

A compiler of C++ takes the same source, with a few names of CUDA given a plain meaning; a launch then
runs all threads of all blocks, one after the other. That shows what kernels compute and where they read
and write, as long as no thread waits for another one. It shows nothing about a device's compiler.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

COMPILER = shutil.which("g++")

CUDA = """
#include <math.h>
#include <string>
#include <typeinfo>
#include <utility>
#define __global__
#define __device__
struct Index { unsigned x, y, z; };
static Index threadIdx, blockIdx, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};
static unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned __int128)a * b >> 64;
}
"""

LAUNCH = """
template <class... A> std::string types_of(void (*)(A...))
{
    return ((std::string(typeid(A).name()) + " " + std::to_string(sizeof(A)) + " ") + ...);
}

template <class... A, size_t... I>
void launch(
    void (*kernel)(A...), unsigned grid, unsigned block, void **given, std::index_sequence<I...>)
{
    gridDim.x = grid, blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < block; threadIdx.x++)
            kernel(*static_cast<A *>(given[I])...);
}

template <class... A> void launch(void (*kernel)(A...), unsigned grid, unsigned block, void **given)
{
    launch(kernel, grid, block, given, std::index_sequence_for<A...>());
}
"""

EACH_KERNEL = """
static std::string types_{name} = types_of({name});
extern "C" const char *types_of_{name}() {{ return types_{name}.c_str(); }}
extern "C" void launch_{name}(unsigned grid, unsigned block, void **given)
{{
    launch({name}, grid, block, given);
}}
"""

# The compiler's names of the types that the numbers of an array may have, by its type here
POINTERS = {"float32": {"f"}, "float64": {"d"}, "int64": {"l", "x"}, "bool": {"b"}}


class RawModule:
    """What of ``cupy.RawModule`` the scans use."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()) -> None:
        names = re.findall(r'extern "C" __global__ void (\w+)\(', code)
        launchers = "".join(EACH_KERNEL.format(name=name) for name in names)
        with tempfile.TemporaryDirectory() as folder:
            text, library = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
            text.write_text(CUDA + code + LAUNCH + launchers, encoding="utf-8")
            how = ["-std=c++17", "-O1", "-shared", "-fPIC", *options]
            subprocess.run([str(COMPILER), *how, str(text), "-o", str(library)], check=True)
            self._library = ctypes.CDLL(str(library))

    def get_function(self, name: str) -> Function:
        """A kernel by its name."""
        return Function(self._library, name)


class Function:
    """A kernel. It refuses arguments of other types than it has, where CUDA would take any bits."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        types = library[f"types_of_{name}"]
        types.restype = ctypes.c_char_p
        said = types().decode().split()
        self.types, self.sizes = said[::2], [int(size) for size in said[1::2]]
        self.launch = library[f"launch_{name}"]

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...]
    ) -> None:
        assert len(args) == len(self.types), (len(args), self.types)
        values = [
            self._value(k, *pair) for k, pair in enumerate(zip(args, self.types, strict=True))
        ]
        pointers = [ctypes.addressof(value) for value in values]
        self.launch(*grid, *block, (ctypes.c_void_p * len(pointers))(*pointers))

    def _value(self, k: int, arg: Any, wanted: str) -> Any:
        """The argument as what C++ reads."""
        pointed = wanted.removeprefix("P").removeprefix("K")
        assert isinstance(arg, np.ndarray), (k, type(arg))
        if arg.dtype.kind == "V":  # a struct, by value
            assert not wanted.startswith("P"), (k, wanted)
            assert (arg.size, arg.itemsize) == (1, self.sizes[k]), (k, arg.shape, arg.itemsize)
            return (ctypes.c_char * arg.itemsize).from_buffer(arg)
        assert pointed != wanted, (k, wanted)
        assert pointed in POINTERS[arg.dtype.name], (k, arg.dtype, wanted)
        assert wanted.startswith("PK") or arg.flags.c_contiguous, (k, arg.strides)
        return ctypes.c_void_p(arg.ctypes.data)


def fields(struct: str, source: str) -> list[tuple[str, np.dtype]]:
    """The names and types of what a struct of the kernels has, as a dtype would have them."""
    kinds = {"int": np.dtype(np.int32), "Strides": np.dtype((np.int64, 3))}
    sizes = {name: int(size) for name, size in re.findall(r"([A-Z_]+) = (\d+)", source)}
    text = re.search(rf"struct {struct}\n\{{(.*?)\n\}};", source, re.DOTALL)[1]
    found = []
    line = r"^ +(?:const )?((?:long )?\w+) ([\w*, \[\]()]+);"
    for kind, names in re.findall(line, text, re.MULTILINE):
        for name in names.split(", "):
            plain, size = re.fullmatch(r"\*?(\w+)(?:\[(?:SOME\()?(\w+)\)?\])?", name).groups()
            pointer = np.dtype(np.uintp) if name[0] == "*" else None
            if size:
                pointer = np.dtype((np.uintp, max(1, sizes[size])))
            found.append((plain, pointer or kinds[kind]))
    return found
