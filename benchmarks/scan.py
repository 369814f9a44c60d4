"""How fast is the in-place NumPy scan, beside the generic one and beside PyTorch?

    python benchmarks/scan.py

Forward and backward of one layer in float32, on the CPU. The sides take turns in random order, and
each timed call follows 50 ms (``--alone``) of untimed ones of the same side: OpenBLAS and OpenMP
threads both spin for a while after their work, and otherwise each side would pay for the other's. A
ratio above 1 means that the NumPy scan is the faster; behind it is the 95 % interval of the median.
"products" is what its matrix products take when they are run alone, as a share of its time.
"""

from __future__ import annotations

import argparse

import numpy as np
from timing import Side, machine, measure, ratio

import minirnn as mr
from minirnn.products import steps_at_once

SIZES = {  # (T, N, D, H)
    "hihello": (6, 1, 5, 5),
    "ship": (10, 170, 25, 25),
    "mnist": (28, 128, 28, 128),
    "char": (50, 50, 65, 128),
    "karpathy": (64, 64, 65, 512),
}
CELLS = {"RNN": mr.RNN, "LSTM": mr.LSTM, "GRU": mr.GRU}


def minirnn_side(cell: str, size: tuple[int, int, int, int], scan: str) -> Side:
    """Return a function that runs forward and backward once."""
    T, N, D, H = size
    rng = np.random.default_rng(0)
    net = CELLS[cell](D, H, scan=scan, rng=rng)
    x, dys = rng.standard_normal((2, T, max(D, H), N), dtype=np.float32)
    x, dys = x[:, :D].copy(), dys[:, :H].copy()

    def run() -> None:
        net.backward(net.forward(x)[2], dys)

    return run


def products_side(cell: str, size: tuple[int, int, int, int]) -> Side:
    """The matrix products alone: of each step, there and back, and of the gradients of U, W and x."""
    T, N, D, H = size
    GH = len(CELLS[cell](1, 1).cell.gates) * H
    k = steps_at_once(T, N)
    rng = np.random.default_rng(0)
    M, Z, WT, da, dA, Z_k, UT = (
        rng.standard_normal(shape, dtype=np.float32)
        for shape in (
            *((GH, H + 1 + D), (H + 1 + D, N), (H, GH), (GH, N)),
            *((GH, k * N), (H + 1 + D, k * N), (D, GH)),
        )
    )
    outs = [np.empty((len(a), b.shape[1]), np.float32) for a, b in ((M, Z), (WT, da))]

    def run() -> None:
        for _ in range(T):
            np.matmul(M, Z, out=outs[0])
            np.matmul(WT, da, out=outs[1])
        for t in range(0, T, k):
            columns = min(k, T - t) * N
            np.matmul(dA[:, :columns], Z_k[:, :columns].T)
            np.matmul(UT, dA[:, :columns])

    return run


def torch_side(cell: str, size: tuple[int, int, int, int]) -> Side:
    """The same with PyTorch."""
    import torch

    T, N, D, H = size
    net = getattr(torch.nn, cell)(D, H)
    x, dys = torch.randn(T, N, D, requires_grad=True), torch.randn(T, N, H)

    def run() -> None:
        net(x)[0].backward(dys)

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row")
    parser.add_argument(
        "--alone", type=float, default=0.05, help="seconds of a side untimed before it is timed"
    )
    options = parser.parse_args()
    try:
        import torch  # noqa: F401
    except ImportError:
        with_torch = False
    else:
        with_torch = True
    print(machine(with_torch))
    if not with_torch:
        print("PyTorch is not installed, and is left out")
    print(f"\n{'cell':<6}{'size':<10}{'(T, N, D, H)':<20}{'numpy ms':>9}", end="")
    print(f"  {'generic / numpy':>20}  {'PyTorch / numpy':>20}  products  rounds")
    rng = np.random.default_rng(0)
    for cell in options.cells:
        for name in options.sizes:
            size = SIZES[name]
            sides = {scan: minirnn_side(cell, size, scan) for scan in ("numpy", "generic")}
            sides["products"] = products_side(cell, size)
            if with_torch:
                sides["torch"] = torch_side(cell, size)
            times = measure(sides, options.seconds, options.alone, rng)
            fast = times["numpy"]
            print(f"{cell:<6}{name:<10}{size!s:<20}{np.median(fast) * 1e3:9.3f}", end="")
            print(f"  {ratio(times['generic'], fast, rng):>20}", end="")
            beside_torch = ratio(times["torch"], fast, rng) if with_torch else ""
            share = np.median(np.array(times["products"]) / np.array(fast))
            print(f"  {beside_torch:>20}  {share:8.0%}  {len(fast):6}", flush=True)


if __name__ == "__main__":
    main()
