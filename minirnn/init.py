"""Initial values of parameters.

Values are drawn on the host in float64 and then cast and moved, so that a seed gives the same numbers
in every precision and on every device.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .layer import Layer

Values: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]

SCHEMES = ("uniform", "glorot", "orthogonal")

# Standard deviation of the first layer's U x for tokens. With U within ±1/√H, as other matrices are,
# they could hardly be told apart at first, and it would take some hundred steps to notice them.
TOKEN_SPREAD = 2.0


def uniform(rng: np.random.Generator, shape: tuple[int, ...], bound: float) -> Values:
    """Uniform in [-bound, bound)."""
    return rng.uniform(-bound, bound, shape)


def glorot(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Uniform within ±√(6 / (rows + columns)); Glorot & Bengio 2010, equation 16."""
    return uniform(rng, shape, (6 / sum(shape)) ** 0.5)


def orthogonal(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """A matrix with orthonormal rows or columns, whichever are fewer; Saxe et al. 2013.

    The signs of R's diagonal are moved into Q, without which the matrices would not be drawn evenly
    (Mezzadri 2007).
    """
    tall = shape if shape[0] >= shape[1] else shape[::-1]
    q, r = np.linalg.qr(rng.standard_normal(tall))
    q = q * np.sign(np.diag(r))
    return q if tall == shape else q.T


def check_scheme(scheme: str) -> None:
    """Raise a ValueError unless `scheme` is one of `SCHEMES`."""
    if not isinstance(scheme, str) or scheme not in SCHEMES:
        raise ValueError(f"init: got {scheme!r}, want one of {', '.join(map(repr, SCHEMES))}")


def draw(
    scheme: str,
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, int],
    bound: float,
    blocks: int = 1,
) -> Values:
    """Draw one parameter.

    Args:
        scheme: ``"uniform"``: everything, biases too, in ±`bound` (PyTorch's default, with bound 1/√H);
            ``"glorot"``: matrices after Glorot, biases zero; ``"orthogonal"``: recurrent matrices
            orthogonal, other matrices after Glorot, biases zero.
        name: the parameter's letter: ``"W"`` is recurrent; for biases see `is_bias`.
        shape: (rows, columns).
        bound: for the uniform scheme.
        blocks: equal blocks of rows, one a gate, each drawn as a matrix of its own.
    """
    if scheme == "uniform":
        return uniform(rng, shape, bound)
    if is_bias(name):
        return np.zeros(shape)
    rule = orthogonal if scheme == "orthogonal" and name == "W" else glorot
    block = (shape[0] // blocks, shape[1])
    return np.concatenate([rule(rng, block) for _ in range(blocks)])


def is_bias(name: str) -> bool:
    """Whether a parameter of a cell is one: ``"b"``, ``"bw"`` and what begins with ``"b_"``."""
    return name in ("b", "bw") or name.startswith("b_")


def spread_tokens(rnn: Layer, rng: np.random.Generator, length: float = 1.0) -> None:
    """Draw the first layer's U anew, so that U x starts with a standard deviation of 2.

    Args:
        rnn: that reads tokens; ``docs/language.md`` has figures on what this is worth.
        rng: to draw from.
        length: of the columns x: 1 for one-hot ones, about √E for an embedding in E numbers.
    """
    for name, U in rnn.named_parameters().items():
        if name in ("l0.U", "l0.reverse.U"):
            U.data = TOKEN_SPREAD / length * rng.standard_normal(U.shape)
