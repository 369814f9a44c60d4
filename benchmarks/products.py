"""The matrix products of a network: how many operations they need, and how long they take alone."""

from __future__ import annotations

import time
from itertools import starmap
from types import ModuleType
from typing import NamedTuple

import numpy as np

from minirnn.backend import Array
from minirnn.kernels.side_by_side import steps_at_once

from .sizes import CELLS, Size
from .timing import Side, wall


def needed_flops(cell: str, size: Size, part: str) -> int:
    """Additions and multiplications of the products that the mathematics needs.

    A token picks a column of U and needs no product, and nobody asks for the gradient of what the
    first layer reads. Biases and what is done element by element are not counted.
    """
    T, N, H, K = size.T, size.N, size.H, size.K
    GH = CELLS[cell] * H
    total = 0
    for layer, D in enumerate(size.inputs()):
        forward = GH * (H + D)  # W h and U x
        gradients = GH * (H + D)  # dW and dU
        back = GH * (H + D if layer else H)  # dh and dx
        total += 2 * T * N * (forward if part == "forward" else forward + gradients + back)
    if part == "step":
        total += 2 * 3 * K * H * N * (1 if size.last else T)  # V h, dV and dh
    return total


class Product(NamedTuple):
    """(rows, inner) times (inner, columns), so many times."""

    rows: int
    inner: int
    columns: int
    times: int
    transposed: bool = False  # the second one lies in memory as (columns, inner)


def scan_products(cell: str, size: Size, part: str) -> list[Product]:
    """The products that the NumPy scan and the output layer make, in the shapes they make them."""
    T, N, H = size.T, size.N, size.H
    GH, split = CELLS[cell] * H, cell == "GRU"
    found = []
    for layer, D in enumerate(size.inputs()):
        if split:  # n is r * (W_n h + bw) + U_n x, so that U x and W h are not one product
            found += [Product(2 * H, H + 1 + D, N, T), Product(H, H + 1, N, T)]
            found += [Product(H, 1 + D, N, T)] * (D > 0)
        else:
            found.append(Product(GH, H + 1 + D, N, T))
        if part == "forward":
            continue
        found.append(Product(H, GH, N, T))
        k = steps_at_once(T, N)
        for steps, times in ((k, T // k), (T % k, 1)):
            if steps:
                columns = steps * N
                heights = (H + 1, 1 + D) if split else (H + 1 + D,)
                found += [Product(GH, columns, height, times, True) for height in heights]
                found += [Product(D, GH, columns, times)] * (layer > 0)
    return found + output_products(size, part)


def limit_products(cell: str, size: Size, part: str) -> list[Product]:
    """The products that the mathematics needs, in the largest shapes: all steps beside one another.

    The steps of a recurrent network wait for each other, so that it cannot make its products so. Nothing
    that makes the same products with the same library is faster.
    """
    T, N, H = size.T, size.N, size.H
    GH, found = CELLS[cell] * H, []
    for layer, D in enumerate(size.inputs()):
        found.append(Product(GH, H + D, T * N, 1))
        if part != "forward":
            found.append(Product(GH, T * N, H + D, 1, True))
            found.append(Product(H + D if layer else H, GH, T * N, 1))
    return found + output_products(size, part)


def output_products(size: Size, part: str) -> list[Product]:
    """Those of the output layer, V h, dV and dh; none unless `part` has one."""
    H, K, M = size.H, size.K, size.N * (1 if size.last else size.T)
    if part != "step":
        return []
    return [Product(K, H, M, 1), Product(K, M, H, 1, True), Product(H, K, M, 1)]


def needed_bytes(cell: str, size: Size, part: str) -> int:
    """Bytes that have to go through a device's memory, in float32, if W and the state stay on the chip.

    Of each layer, forward reads x and the parameters, and writes h and what backward needs of each step:
    the LSTM's four gates and c; r, z, n and W_n h + bw of the GRU; of the RNN, nothing but h. Backward
    reads these, x, the outputs' gradient and the weights that it multiplies by; it writes the gradient
    of the pre-activations, which that of the weights is made of and so reads again; and it writes the
    gradients of the weights, and of x where it is asked for. A token is one number. The output layer,
    losses and optimizers are not counted.
    """
    T, N, H = size.T, size.N, size.H
    GH, kept = CELLS[cell] * H, {"RNN": 0, "LSTM": 5, "GRU": 4}[cell] * H
    total = 0
    for layer, D in enumerate(size.inputs()):
        reads = D or 1
        weights = GH * (H + (D or size.D) + 1)
        total += T * N * (reads + H + kept) + weights
        if part != "forward":
            steps = H + kept + H + reads + 2 * GH + (D if layer else 0)
            total += T * N * steps + GH * (H + (D if layer else 0)) + weights
    return 4 * total


def numpy_side(products: list[Product], xp: ModuleType = np) -> Side:
    """Return a function that makes `products` in float32, with NumPy or CuPy, and nothing else."""

    def filled(shape: tuple[int, int]) -> Array:
        return xp.full(shape, 0.5, "float32")

    def prepare(rows: int, inner: int, columns: int, times: int, transposed: bool) -> Side:
        a, out = filled((rows, inner)), filled((rows, columns))
        second = filled((columns, inner)).T if transposed else filled((inner, columns))

        def run() -> None:
            for _ in range(times):
                xp.matmul(a, second, out=out)

        return run

    runs = list(starmap(prepare, products))

    def run_all() -> None:
        for run in runs:
            run()

    return run_all


class Large(NamedTuple):
    """A large square product, which shows how fast products can be."""

    run: Side
    flops: int


def large_product(size: int) -> Large:
    """The product of two float32 matrices of `size` rows and columns."""
    return Large(numpy_side([Product(size, size, size, 1)]), 2 * size**3)


def matmul_rate(size: int, seconds: float) -> float:
    """Operations a second of large square float32 products: the best of some."""
    run, flops = large_product(size)
    timed = wall("large", run)
    timed()
    best, end = timed(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        best = min(best, timed())
    return flops / best
