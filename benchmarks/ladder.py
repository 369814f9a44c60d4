"""From the textbook's loop to minirnn's fastest scan: one LSTM layer, a rung at a time.

Forward and backward of one layer that reads numbers, in float32, with the gradient of what it reads.
Each rung does the same work and changes one thing; ``rungs.py`` and ``rungs_in_place.py`` have the
code, and ``docs/ladder.md`` tells the story. Each has a process of its own, as memory that one has
used would change what the next one has to get from the system; they take turns in random order:

  ms         median of the timed calls
  gain       time of the rung before divided by this one's, with the 95 % interval of the median
  in all     time of the first rung divided by this one's
  rate       operations of the products that the mathematics needs, per second, as a share of what large
             square products reach on this machine in the same run
  faults     page faults of one call (memory that the system had to give)

Beside them are PyTorch's LSTM, if it is installed, and the limit: the time that the same operations
take at the rate of large products.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import minirnn as mr

from .machine import machine, torch_missing
from .options import at_least, folder
from .process import Process
from .products import matmul_rate, needed_flops
from .results import Results, Row
from .rungs import Columns, OneInputProduct, OneProduct, Problem, Result, Textbook, draw, transposed
from .rungs_in_place import InPlace, ManySteps, OneTanh
from .sides import scans
from .sizes import Size
from .staircase import Stair, staircase
from .timing import Side, measure, ratio

LADDER = (Textbook, OneInputProduct, Columns, OneProduct, InPlace, ManySteps, OneTanh)
IN_NUMPY: dict[str, type[Textbook]] = {kind.__name__: kind for kind in LADDER}
SCANS = {  # of minirnn, and what each changes
    "numpy": "minirnn's scan in NumPy, for every cell",
    "numba": "compiled: its own products, gates in one pass",
}
TORCH = "PyTorch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Size, time, and where results go."""
    add = parser.add_argument
    names = ("T", "N", "D", "H")
    add("--size", nargs=4, type=at_least(1), metavar=names, help="default 50 50 65 128")
    add("--seconds", type=at_least(0.0), help="for all (default 60), in 5 rounds at least")
    add("--alone", type=at_least(0.0), help="untimed before each timed call (default 0.05 seconds)")
    add("--seed", type=at_least(0), default=0, help="of the data, and of the order in each round")
    add("--out", type=Path, help="folder for the figures (JSON) and the picture (PNG)")
    add("--quick", action="store_true", help="only to see that it works, in some seconds")


def changes() -> dict[str, str]:
    """By the names of all rungs that there are here, from the lowest: what each changes."""
    there = scans("cpu")
    in_numpy = {name: kind.change for name, kind in IN_NUMPY.items()}
    return in_numpy | {scan: change for scan, change in SCANS.items() if scan in there}


def rung(name: str, problem: Problem) -> Callable[[], Result]:
    """Return a function that runs a rung; its result is in columns for `problem` in columns."""
    if name not in IN_NUMPY:
        return scan_rung(name, problem)
    kind = IN_NUMPY[name]
    if kind.axis == 0:
        return lambda: kind(problem).run()
    rows = transposed(problem)
    return lambda: kind(rows).run()


def scan_rung(scan: str, problem: Problem) -> Callable[[], Result]:
    """One of minirnn's own scans."""
    x, U, W, b, dys = problem
    net = mr.LSTM(x.shape[1], W.shape[1], scan=scan, dtype=x.dtype)
    net.load_state_dict({"l0.U": U, "l0.W": W, "l0.b": b})

    def run() -> Result:
        net.zero_grad()
        ys, _, cache = net.forward(x)
        dx, _ = net.backward(cache, dys)
        assert dx is not None  # as it would be for tokens
        gradients = {name: p.grad for name, p in net.named_parameters().items()}
        return Result(ys, dx, gradients["l0.U"], gradients["l0.W"], gradients["l0.b"])

    return run


def torch_side(problem: Problem) -> Side:
    """PyTorch's LSTM, with the gradient of what it reads."""
    import torch

    rows = transposed(problem)
    net = torch.nn.LSTM(rows.x.shape[2], rows.dys.shape[2])
    x, dys = torch.from_numpy(rows.x).requires_grad_(), torch.from_numpy(rows.dys)

    def run() -> None:
        net.zero_grad()
        x.grad = None
        torch.autograd.backward(net(x)[0], dys)

    return run


def make(name: str, shape: tuple[int, int, int, int], seed: int) -> Side:
    """Return the rung of that name, or PyTorch, on random data."""
    problem = draw(*shape, np.random.default_rng(seed), np.float32)
    return torch_side(problem) if name == TORCH else rung(name, problem)


def lines(stairs: list[Stair], row: Row, rate: float) -> list[str]:
    """The table; the sides of `row` are the stairs, then PyTorch."""
    limit = "limit: all products at the full rate"
    width = max(len(limit), *(len(stair.change) for stair in stairs))
    text = [f"   {'':<{width}}{'ms':>10}{'gain':>20}{'in all':>8}{'rate':>7}{'faults':>9}"]

    def line(number: str, change: str, seconds: float, gain: str, faults: str) -> str:
        figures = f"{seconds * 1e3:>10.3f}{gain:>20}{stairs[0].seconds / seconds:>8.2f}"
        figures += f"{row.flops / seconds / rate:>7.0%}{faults:>9}"
        return f"{number:>2} {change:<{width}}{figures}".rstrip()

    faults = {name: f"{count:.0f}" for name, count in row.faults.items()}
    for k, (stair, count) in enumerate(zip(stairs, faults.values(), strict=False)):
        text.append(line(str(k), stair.change, stair.seconds, str(stair.gain or ""), count))
    if TORCH in row.times:
        text.append(line("", TORCH, row.median(TORCH), "", faults[TORCH]))
    return [*text, line("", limit, row.flops / rate, "", "")]


def run(options: argparse.Namespace) -> None:
    """Measure, print the table, and keep the figures and the picture."""
    quick = options.quick
    T, N, D, H = options.size or ((8, 10, 7, 16) if quick else (50, 50, 65, 128))
    seconds = options.seconds if options.seconds is not None else 0.02 if quick else 60.0
    alone = options.alone if options.alone is not None else 0.002 if quick else 0.05
    out, missing = folder(options.out), torch_missing("cpu")
    here = machine("cpu", missing is None)
    for what, value in here.items():
        print(f"{what}: {value}")
    if missing:
        print(missing)
    rate = matmul_rate(256 if quick else 2048, 0.1 if quick else 2.0)
    print(f"large products: {rate / 1e9:.1f} GFLOP/s (float32, 100 % of 'rate')", flush=True)

    rungs = changes()
    sides = {
        name: Process(name, partial(make, name, (T, N, D, H), options.seed))
        for name in [*rungs, *([] if missing else [TORCH])]
    }
    rng = np.random.default_rng(options.seed)
    times = measure(dict(sides), seconds, alone, rng)
    size = Size(T, N, D, H, 1, 1, "numbers")
    flops = 3 * needed_flops("LSTM", size, "forward")  # there, back, and for the weights
    row = Row("ladder", "LSTM", "backward", size._asdict(), flops, times)
    row.faults = {name: side.page_faults(row.median(name)) for name, side in sides.items()}
    stairs: list[Stair] = []
    for before, name in zip([None, *rungs], rungs, strict=False):
        gain = ratio(times[before], times[name], rng) if before else None
        stairs.append(Stair(rungs[name], row.median(name), gain))
    title = f"One LSTM layer, forward and backward: T={T} N={N} D={D} H={H}, float32"
    print(f"\n{title}, {len(times['numpy'])} rounds\n")
    print("\n".join(lines(stairs, row, rate)))
    if out:
        header = {"machine": here, "seed": options.seed, "flops_per_second": rate}
        Results(out, "ladder", header | {"changes": rungs}).add(row)
        beside = {TORCH: row.median(TORCH)} if TORCH in times else {}
        beside["limit: all products at the full rate"] = flops / rate
        about = f"{here['processor']}; NumPy {here['NumPy']}"
        staircase(stairs, beside, f"{title}\n{about}", out / "ladder.png")
