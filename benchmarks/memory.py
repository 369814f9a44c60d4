"""Peak memory of training, each side and size in a process of its own, so that peaks do not mix.

``python -m benchmarks.memory CELL SIZE SIDE THREADS`` builds a network, makes three steps of training,
and prints how many bytes the process grew by: the peak of its resident memory, less what it was before
the network was built. What was there before is the batch and the libraries, which have made a step of a
tiny network, as some of their code is loaded when it is first used.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from .long import in_memory
from .machine import use_threads
from .sides import make
from .sizes import SIZES, draw


def peak_memory(cell: str, size: str, side: str, threads: int | str | None) -> int:
    """Start that process, and read what it prints.

    Raises:
        subprocess.CalledProcessError: it failed; its last line is in `stderr`.
    """
    command = [sys.executable, "-m", "benchmarks.memory", cell, size, side, str(threads or "")]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """Measure this process."""
    cell, name, side, threads = sys.argv[1:]
    size = SIZES[name]
    tiny = size._replace(T=2, N=2, D=3, H=4, K=3)
    data = draw(size, 0)
    with ExitStack() as stack:
        use_threads(int(threads) if threads.isdigit() else threads or None, stack)
        make(side, cell, tiny, draw(tiny, 0))["step"]()
        with suppress(OSError):  # forget the peak so far, where the system lets us
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = in_memory("VmRSS")
        step = make(side, cell, size, data)["step"]
        for _ in range(3):
            step()
    print(in_memory("VmHWM") - before)


if __name__ == "__main__":
    main()
