"""Looks for races in the persistent kernels, on the host; a process of its own, see `command`.

Each thread of a block is a thread of the machine here, so ThreadSanitizer sees what two of them do to
one number with nothing in between that makes one wait: in shared memory, and in what blocks write for
each other. To show that it would see it, each thing that makes them wait is left out once: what is
compiled has a switch for each.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import cuda_threads_on_host
import numpy as np

from minirnn.cells import Cell, GRUCell, LSTMCell, RNNCell
from minirnn.kernels.cuda.module import source
from minirnn.kernels.cuda.persistent import scan as persistent_scan
from minirnn.kernels.cuda.persistent.limits import Limits
from minirnn.kernels.cuda.persistent.plan import Plan

T, N, D, H = 4, 5, 2, 7
PLAN = Plan(
    blocks=2, groups=2, columns=3, across=3, tile=1, pitch=12, h_pitch=3, d_pitch=3, chunk=4,
    slices=2, back_slices=2, readers=2,
)  # fmt: skip

BARRIER = "__syncthreads();"
MEETING = "if (threadIdx.x == 0 && p.blocks > 1)"  # of the blocks of a group
# A thread that leaves a barrier late is taken to know all that others did until the next one, so that
# whether a race is seen depends on who runs when.
CHANCES = 20


class Kind(NamedTuple):
    """Kernels to look at."""

    text: str
    scan: Callable[[Cell, Any], Any]  # of a cell and what stands in for ``cupy.RawModule``
    dtype: type = np.float64

    @property
    def waits(self) -> list[str]:
        """What makes threads wait, by the number of its switch."""
        found = [f"barrier {k}" for k in range(self.text.count(BARRIER))]
        return [*found, *(["meeting"] if MEETING in self.text else [])]


def shared_by_blocks(cell: Cell, raw_module: Any) -> Any:
    """The scan of the package."""
    persistent_scan.divide = lambda *problem: PLAN
    limits = Limits(4, 2**20, 8)
    return persistent_scan.PersistentScan(cell, raw_module, limits, lambda *launch: 1)


SHARED = Kind(source("persistent/shared.cu"), shared_by_blocks)


def sanitizer() -> str | None:
    """ThreadSanitizer of g++, or None where there is none."""
    compiler = shutil.which("g++")
    if compiler is None:
        return None
    asked = [compiler, "-print-file-name=libtsan.so"]
    path = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return path if Path(path).is_absolute() else None


def command(program: str = __file__) -> tuple[list[str], dict[str, str]]:
    """The command, and its environment: the sanitizer has to be loaded first."""
    wanted = {"LD_PRELOAD": str(sanitizer()), "OPENBLAS_NUM_THREADS": "1"}
    # memory is reused
    wanted["TSAN_OPTIONS"] = "suppress_equal_addresses=0 suppress_equal_stacks=0"
    return [sys.executable, program], wanted


def switched(code: str) -> str:
    """The source, in which `left_out` is the number of what threads do not wait for."""
    number = count()
    code = re.sub(re.escape(BARRIER), lambda _: f"if (left_out != {next(number)}) {BARRIER}", code)
    meet = MEETING.replace("(", f"(left_out != {next(number)} && ", 1)
    return 'extern "C" { int left_out = -1; }\n' + code.replace(MEETING, meet)


def run(cell: Cell, kind: Kind, left_out: int = -1) -> None:
    """A cell forward and backward, with nothing or one thing left out."""
    random = np.random.default_rng(0)

    def raw_module(*, code: str, options: tuple[str, ...], **others):
        options = (*options, "-fsanitize=thread", "-g")
        module = cuda_threads_on_host.RawModule(code=switched(code), options=options, **others)
        ctypes.c_int.in_dll(module.library, "left_out").value = left_out
        return module

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, kind.dtype)

    scan = kind.scan(cell, raw_module)
    P = {name: normal(*shape) for name, shape in cell.shapes(D, H).items()}
    state = tuple(normal(H, N) for _ in cell.states)
    x, dys = normal(T, D, N), normal(T, H, N)
    real = np.arange(T)[:, None] < random.integers(0, T + 1, N)
    _, final, saved = scan.forward(cell, P, x, state, real)
    scan.backward(saved, dys, final)


def report(cell: Cell, kind: Kind, left_out: int) -> str:
    """What ThreadSanitizer says of `run`."""
    with tempfile.TemporaryFile() as said:
        own = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            run(cell, kind, left_out)
        finally:
            os.dup2(own, 2)
            os.close(own)
        said.seek(0)
        return said.read().decode()


def main(kind: Kind = SHARED) -> None:
    """Run all, and say on the way what follows."""
    say = partial(print, file=sys.stderr, flush=True)
    for cell in (RNNCell(), LSTMCell(), GRUCell()):
        say(f"== {cell.name}")
        run(cell, kind)
    for k, what in enumerate(kind.waits):
        say(f"== without {what}")
        say(next(filter(None, (report(RNNCell(), kind, k) for _ in range(CHANCES))), ""))


def parts(program: str = __file__) -> dict[str, str]:
    """What ThreadSanitizer says of each part of a program that calls `main`; {} if it cannot run."""
    asked, wanted = command(program)
    here = Path(__file__).parent
    environment = {**os.environ, **wanted, "PYTHONPATH": f"{here.parents[1]}{os.pathsep}{here}"}
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    if "unexpected memory mapping" in done.stderr:
        return {}  # addresses are too random for it
    found = done.stderr.split("== ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in found}


if __name__ == "__main__":
    main()
