"""What does a long sequence need in memory, and what does computing gates again cost?

One sequence, forward and backward, in float32, for each value of `recompute_every`. Every measurement
has a process of its own, with a few steps to warm up, and the values take turns in random order.
"memory" is the process's peak beyond ys, dx and what was there before forward: x, dys, the parameters
and their gradients. "time" is the median of the rounds' ratios to the time without recomputing.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from minirnn.recurrent.by_name import NETWORKS

from .machine import machine
from .options import at_least, folder, refuse

STATUS = Path("/proc/self/status")  # of a process on Linux


@dataclass(frozen=True)
class Case:
    """What one process runs."""

    cell: str
    T: int
    D: int
    H: int
    scan: str
    recompute_every: int | str | None


@dataclass
class Row:
    """All measurements of a case."""

    case: Case
    seconds: list[float]
    megabytes: list[float]  # of 10⁶ bytes, at the peak


def in_memory(key: str) -> int:
    """Bytes that this process has now (``"VmRSS"``), or had at its peak (``"VmHWM"``)."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def forward_and_backward(case: Case) -> tuple[float, float]:
    """Seconds, and megabytes at the peak."""
    rng = np.random.default_rng(0)
    net = NETWORKS[case.cell](case.D, case.H, rng=rng, scan=case.scan)
    x = rng.standard_normal((case.T, case.D, 1), dtype=np.float32)
    dys = rng.standard_normal((case.T, case.H, 1), dtype=np.float32)
    warm = min(case.T, 50)
    net.backward(net.forward(x[:warm])[2], dys[:warm])
    before, start = in_memory("VmRSS"), time.perf_counter()
    ys, _, cache = net.forward(x, recompute_every=case.recompute_every)
    dx: Any = net.backward(cache, dys)[0]
    seconds = time.perf_counter() - start
    return seconds, (in_memory("VmHWM") - before - ys.nbytes - dx.nbytes) / 1e6


def every(text: str) -> int | str:
    """``sqrt`` or a number of steps."""
    return text if text == "sqrt" else at_least(1)(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--cell", choices=NETWORKS, default="lstm")
    parser.add_argument("--scan", default="auto", help='as for minirnn.LSTM (default: "auto")')
    parser.add_argument("--steps", type=at_least(1), default=100_000, help="T (default: 100,000)")
    parser.add_argument(
        "--inputs", type=at_least(1), nargs="+", default=[1, 64], help="D (1 and 64)"
    )
    parser.add_argument("--hidden", type=at_least(1), default=256, help="H (default: 256)")
    parser.add_argument("--every", type=every, nargs="+", default=["sqrt", 1000, 4000])
    parser.add_argument("--rounds", type=at_least(1), default=3)
    parser.add_argument("--out", type=Path, help="folder for long.json: all measurements")


def measure(D: int, options: argparse.Namespace, rng: np.random.Generator) -> list[Row]:
    """Rounds of all cases with inputs of D rows, the one that keeps everything first in the list."""
    size = (options.cell, options.steps, D, options.hidden, options.scan)
    rows = [Row(Case(*size, k), [], []) for k in (None, *dict.fromkeys(options.every))]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for _ in range(options.rounds):
            for k in rng.permutation(len(rows)):
                result = processes.submit(forward_and_backward, rows[k].case).result()
                rows[k].seconds.append(result[0])
                rows[k].megabytes.append(result[1])
    return rows


def run(options: argparse.Namespace) -> None:
    """Print a table, and write the file."""
    if not STATUS.exists():
        refuse(f"memory is read from {STATUS}, which only Linux has")
    try:
        NETWORKS[options.cell](1, 1, scan=options.scan)
    except ValueError as error:
        refuse(f"argument --{error}")
    target = folder(options.out)
    rng, found = np.random.default_rng(0), list[dict[str, Any]]()
    print(f"{options.cell}, T={options.steps:,}, N=1, H={options.hidden}, {options.rounds} rounds")
    print(f"{'D':>4}  {'recompute_every':>15}  {'memory MB':>9}  {'seconds':>7}  time")
    for D in options.inputs:
        try:
            rows = measure(D, options, rng)
        except (BrokenProcessPool, MemoryError):
            refuse(f"argument --steps: got {options.steps}, for which memory was not enough")
        for row in rows:
            ratio = np.median(np.array(row.seconds) / np.array(rows[0].seconds))
            megabytes, seconds = max(row.megabytes), np.median(row.seconds)
            print(f"{D:4}  {row.case.recompute_every!s:>15}", end="")
            print(f"  {megabytes:9.1f}  {seconds:7.2f}  {ratio:.2f}", flush=True)
            found.append(asdict(row) | {"time": float(ratio)})
    if target is not None:
        about = {"machine": machine("cpu", with_torch=False), "rows": found}
        (target / "long.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        print(f"measurements: {target / 'long.json'}")
