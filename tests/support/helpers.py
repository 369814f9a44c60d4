"""What several test files use."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import minirnn as mr
from minirnn.kernels.compiled import why_not_compiled

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[2]


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays agree in dtype, shape and every bit."""
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def all_same_bits(a: dict[str, Array], b: dict[str, Array]) -> bool:
    """The same for arrays by name, such as two `state_dict`."""
    return list(a) == list(b) and all(same_bits(a[name], b[name]) for name in a)


@contextmanager
def unchanged(*arrays: Array) -> Iterator[None]:
    """Fail if the block writes to one of the arrays."""
    before = [array.copy() for array in arrays]
    yield
    for k, (array, copy) in enumerate(zip(arrays, before, strict=True)):
        assert same_bits(array, copy), f"array {k} was written to"


def draw_gradients(parameters: Sequence[mr.Parameter], rng: np.random.Generator) -> None:
    """Fill every gradient with standard normal numbers."""
    for p in parameters:
        p.grad = rng.standard_normal(p.shape)


def gradients(layer: Any) -> dict[str, Array]:
    """Copies of all gradients, by name."""
    return {name: p.grad.copy() for name, p in layer.named_parameters().items()}


def assert_adds_up(layer: Any, backward: Callable[[], Any]) -> None:
    """Fail unless a second ``backward()`` adds once more what the first has added."""
    layer.zero_grad()
    backward()
    once = gradients(layer)
    backward()
    for name, twice in gradients(layer).items():
        np.testing.assert_allclose(twice, 2 * once[name], rtol=1e-12)


def optimizers(rules: Any) -> dict[str, Callable[..., Any]]:
    """What makes each optimizer of `rules`, minirnn itself say, from parameters and a rate."""
    return {
        "SGD": rules.SGD,
        "momentum": lambda p, lr: rules.SGD(p, lr, 0.9),
        "Nesterov": lambda p, lr: rules.SGD(p, lr, 0.9, nesterov=True),
        "RMSprop": rules.RMSprop,
        "Adagrad": rules.Adagrad,
        "Adam": rules.Adam,
        "AdamW": rules.AdamW,
    }


def compile_scan(dtype: str) -> None:
    """Compile the scan for `dtype`, or load what is on the disk; a process that does, says so."""
    if not why_not_compiled():
        mr.LSTM(1, 1, dtype=dtype, scan="numba")


def blas_threads() -> list[int]:
    """The number of threads of each BLAS."""
    from threadpoolctl import threadpool_info

    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def run(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run Python as a process of its own, such as ``run(ROOT / "examples" / "hihello.py", cwd=…)``."""
    compile_scan("float32")
    command = [sys.executable, *map(str, arguments)]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # tests run beside each other
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=one_thread
    )


def run_here(name: str, *arguments: Any, cwd: Path) -> tuple[int, str, str]:
    """Run the program of ``examples/NAME.py`` in this process: its exit status and what it said."""
    command = [f"{name}.py", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with chdir(cwd), patch.object(sys, "argv", command), redirect_stdout(out), redirect_stderr(err):
        try:
            import_module(name).main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()


def run_example(name: str, *arguments: Any, cwd: Path) -> str:
    """The same to its end; check the picture that it says it made, return what it printed."""
    code, out, err = run_here(name, *arguments, cwd=cwd)
    assert (code, err) == (0, "")
    pictures = [line for line in out.splitlines() if line.startswith("picture: ")]
    assert pictures
    for line in pictures:
        path = cwd / line.removeprefix("picture: ")
        assert path.read_bytes().startswith(b"\x89PNG")
    return out
