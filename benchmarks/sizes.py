"""What is measured: networks by name, what they read, and what their loss is."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from minirnn.backend import Array

CELLS = {"RNN": 1, "LSTM": 4, "GRU": 3}  # and their gates
PARTS = {
    "forward": "forward of the recurrent layers",
    "backward": "forward and backward of the recurrent layers",
    "step": "whole training step",
}


class Size(NamedTuple):
    """A network, its batch, and what it is for.

    `task` is one of

    - ``"tokens"``: reads tokens, and is right or wrong at each step (cross-entropy over K = D);
    - ``"numbers"``: the same, reading numbers (cross-entropy over K);
    - ``"value"``: reads numbers, and tells K numbers at the end (squared error);
    - ``"class"``: reads numbers, and tells one of K classes at the end (cross-entropy).
    """

    T: int
    N: int
    D: int
    H: int
    layers: int
    K: int
    task: str

    @property
    def last(self) -> bool:
        """Whether the loss looks at the last step alone."""
        return self.task in ("value", "class")

    def inputs(self) -> list[int]:
        """The rows that a product U x has in each layer: 0 for tokens, which pick columns of U."""
        first = 0 if self.task == "tokens" else self.D
        return [first] + [self.H] * (self.layers - 1)

    def __str__(self) -> str:
        layers = f", {self.layers} layers" if self.layers > 1 else ""
        reads = "tokens" if self.task == "tokens" else "numbers"
        return f"T={self.T} N={self.N} D={self.D} H={self.H}{layers}, {reads}"


SIZES = {
    "hihello": Size(6, 1, 5, 5, 1, 5, "tokens"),
    "ship": Size(10, 170, 25, 25, 2, 25, "tokens"),
    "stock": Size(7, 512, 5, 10, 1, 1, "value"),
    "mnist": Size(28, 128, 28, 128, 1, 10, "class"),
    "small": Size(50, 50, 65, 128, 2, 65, "tokens"),
    "middle": Size(64, 64, 65, 256, 2, 65, "tokens"),
    "karpathy": Size(64, 64, 65, 512, 3, 65, "tokens"),
    "large": Size(50, 128, 1024, 1024, 1, 64, "numbers"),
}


# The preset "karpathy" of examples/shakespeare.py, on as many different characters as Shakespeare has
PRESET, DROPOUT = Size(50, 50, 65, 512, 3, 65, "tokens"), 0.5


def layer(T: int, N: int, H: int) -> Size:
    """One layer that reads numbers, as many as it has units."""
    return Size(T, N, H, H, 1, H, "numbers")


def by_name(*sizes: tuple[int, int, int]) -> dict[str, Size]:
    """Layers by T, N and H."""
    return {"x".join(map(str, size)): layer(*size) for size in sizes}


SCANS = by_name((50, 50, 128), (64, 64, 512), (128, 64, 1024), (512, 16, 512))
MAP = by_name(*product((1, 8, 64), (1, 8, 64, 256), (16, 64, 128, 256, 512, 1024)))


class Data(NamedTuple):
    """One batch, as columns."""

    x: Array  # (T, D, N) numbers or (T, N) tokens
    targets: Array  # (T, N) or (N,) integers, or (K, N) numbers
    dys: Array  # gradient of ys (T, H, N), or of the last h (H, N), where there is no loss


def draw(size: Size, seed: int, dtype: str = "float32") -> Data:
    """Random data of that size. How fast a network is does not depend on what it reads."""
    T, N, D, H, _, K, task = size
    rng = np.random.default_rng(seed)
    if task == "tokens":
        x: Array = rng.integers(0, D, (T, N))
    else:
        x = rng.standard_normal((T, D, N)).astype(dtype)
    if task == "value":
        targets: Array = rng.standard_normal((K, N)).astype(dtype)
    else:
        targets = rng.integers(0, K, N if size.last else (T, N))
    dys = rng.standard_normal((H, N) if size.last else (T, H, N)).astype(dtype)
    return Data(x, targets, dys)
