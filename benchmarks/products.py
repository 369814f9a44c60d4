"""The matrix products of a network: how many operations they need, and how long they take alone."""

from __future__ import annotations

import time
from itertools import starmap
from types import ModuleType
from typing import NamedTuple

import numpy as np

from minirnn.products import steps_at_once

from .sizes import CELLS, Size
from .timing import Side


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
    T, N, H, K = size.T, size.N, size.H, size.K
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
    if part == "step":
        M = N if size.last else T * N
        found += [Product(K, H, M, 1), Product(K, M, H, 1, True), Product(H, K, M, 1)]
    return found


def products_side(cell: str, size: Size, part: str, xp: ModuleType = np) -> Side:
    """Return a function that makes all of `scan_products`, and nothing else."""

    def prepare(rows: int, inner: int, columns: int, times: int, transposed: bool) -> Side:
        a = xp.full((rows, inner), 0.5, "float32")
        b = xp.full((columns, inner) if transposed else (inner, columns), 0.5, "float32")
        second, out = b.T if transposed else b, xp.empty((rows, columns), "float32")

        def run() -> None:
            for _ in range(times):
                xp.matmul(a, second, out=out)

        return run

    runs = list(starmap(prepare, scan_products(cell, size, part)))

    def run_all() -> None:
        for run in runs:
            run()

    return run_all


class Large(NamedTuple):
    """A large square product, which shows how fast products can be."""

    run: Side
    flops: int


def large_product(size: int, xp: ModuleType) -> Large:
    """The product of two float32 matrices of `size` rows and columns."""
    a, b, out = (xp.full((size, size), 0.5, "float32") for _ in range(3))
    return Large(lambda: xp.matmul(a, b, out=out), 2 * size**3)


def matmul_rate(size: int, seconds: float, xp: ModuleType, finish: Side) -> float:
    """Operations a second of large square float32 products: the best of some."""
    run, flops = large_product(size, xp)
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end or best == float("inf"):
        finish()
        start = time.perf_counter()
        run()
        finish()
        best = min(best, time.perf_counter() - start)
    return flops / best
