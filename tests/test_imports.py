"""How modules stand to each other: no circle, and who imports what need not be there."""

from __future__ import annotations

import ast
import platform
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest
from helpers import ROOT, run

FAULTS = """
import resource
import numpy as np
import minirnn
from minirnn.kernels.in_place.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(3 << 20, np.uint8) for _ in range(14)]
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

for _ in range(2):
    faults()
    print(faults())
    keep_freed_memory()
"""

PATHS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for room in ("minirnn", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
}


def imported(name: str) -> Iterator[str]:
    """What a module imports, at once, in a function or for types alone, with the packages it is in."""
    path = PATHS[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            full = {f"{base}.{alias.name}" for alias in node.names}
            for found in (full & PATHS.keys()) | ({base} if full - PATHS.keys() else set()):
                parts = found.split(".")
                whole = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
                yield from (n for n in whole if not f"{name}.".startswith(f"{n}."))


def test_no_module_imports_itself_through_others():
    graph = {name: set(imported(name)) & PATHS.keys() for name in PATHS}
    assert len(graph["minirnn.recurrent.stack"]) > 3
    TopologicalSorter(graph).prepare()


def test_one_room_imports_cupy_and_one_numba():
    found = {name: set(imported(name)) for name in PATHS if name.startswith("minirnn")}
    assert [name for name in found if "cupy" in found[name]] == ["minirnn.backend"]
    numba = {n for n in found if any(f.partition(".")[0] == "numba" for f in found[n])}
    assert numba
    assert all(name.startswith("minirnn.kernels.compiled.") for name in numba)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is another one")
def test_what_is_freed_is_kept_only_when_that_is_asked_for(tmp_path):
    before, after = map(int, run("-c", FAULTS, cwd=tmp_path).stdout.split())
    assert after < before / 4
