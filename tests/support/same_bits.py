"""The process that compiles, and one that loads what it compiled, compute the same bits.

Run as a script, and by CI alone, as it compiles everything anew: ``python tests/support/same_bits.py``.
In the process that compiles there is more code than it leaves on the disk: each function that a loop
calls is there by itself, too, and the loop may run that one instead of its own copy.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile

import invented_cells
import numpy as np
from scans import everything

from minirnn.backend import CPU
from minirnn.cells import CELLS, Cell
from minirnn.kernels.choice import available
from minirnn.recurrent import Recurrent

PROBLEMS = [  # T, N, D, H
    (9, 1, 5, 7),
    (7, 5, 20, 33),
    (40, 30, 16, 16),
]


def results(cell: Cell, dtype: str, T: int, N: int, D: int, H: int):
    """The digest of each result, by name."""
    random = np.random.default_rng(0)
    net = Recurrent(cell, D, H, 2, dtype=dtype, rng=0, scan="numba")
    for tokens in (False, True):
        x = random.integers(0, D, (T, N)) if tokens else random.standard_normal((T, D, N))
        dys, lengths = random.standard_normal((T, H, N)), random.integers(0, T + 1, N)
        found = everything(net, x, None, lengths, dys, None)
        state = None
        for t in range(T):
            y, state = net.step(x[t, ..., :1], state)
            found[f"step {t}"] = y
        for name, value in found.items():
            yield (
                f"{'tokens' if tokens else 'x'} {name}",
                hashlib.sha256(value.tobytes()).hexdigest(),
            )


def main() -> int:
    """Compare two processes; return 1 if they differ."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "print"]
        kept = {**os.environ, "NUMBA_CACHE_DIR": folder}
        first, later = (
            subprocess.run(command, capture_output=True, text=True, check=False, env=kept)
            for _ in range(2)
        )
    for done in (first, later):
        if done.returncode:
            print(done.stderr)
            return 1
    assert "compiling" in first.stderr, first.stderr
    assert not later.stderr, later.stderr
    pairs = list(zip(first.stdout.splitlines(), later.stdout.splitlines(), strict=True))
    other = [line for line, same in pairs if line != same]
    print(*other, f"{len(other)} of {len(pairs)} results have other bits", sep="\n")
    return int(bool(other))


if __name__ == "__main__":
    if sys.argv[1:] != ["print"]:
        sys.exit(main())
    for cell in (
        cell for cell in (*CELLS, *invented_cells.CELLS) if "numba" in available(cell, CPU)
    ):
        for dtype in ("float32", "float64"):
            for problem in PROBLEMS:
                for name, digest in results(cell, dtype, *problem):
                    print(cell.name, dtype, problem, name, digest)
