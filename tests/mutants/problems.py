"""Problems whose gradients are known, and which run through every backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np

from minirnn import gradcheck
from minirnn.attention import Attention
from minirnn.backend import get_backend
from minirnn.cells import CELLS, Cell
from minirnn.kernels import pool, side_by_side, threaded
from minirnn.kernels.choice import available, choose
from minirnn.scan import GenericScan, Scan

Problem: TypeAlias = tuple[str, Callable[[], str | None]]  # name; says what is wrong, if anything
CPU = get_backend("cpu")
T, N, D, H = 4, 3, 2, 5  # all different, so that no axis passes for another


def pose(cell: Cell, kind: str, seed: int) -> Iterator[Problem]:
    """A problem with random numbers, for each scan that can run the cell."""
    random, K = np.random.default_rng(seed), 513 if kind == "many tokens" else D
    shapes = {"x": (T, K, N), **dict.fromkeys(cell.states, (H, N)), **cell.shapes(K, H)}
    inputs = {name: random.normal(size=shape) for name, shape in shapes.items()}
    tokens = real = None
    if "tokens" in kind:
        tokens = random.integers(0, K, (T, N))
        tokens[:, 0], tokens[3, 1:] = 0, tokens[2, 1:]
        del inputs["x"]
    if kind not in ("numbers", "many tokens"):  # some end early, some start late, at t=2 all go on
        real = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]], bool)
    dys = random.normal(size=(T, H, N)) * (kind != "without dys")
    dstate = tuple(random.normal(size=(H, N)) for _ in cell.states)
    for array in (*inputs.values(), dys, *dstate):
        array.flags.writeable = False

    def forward(scan: Scan, inputs: dict[str, np.ndarray]) -> tuple[Any, Any, Any]:
        state = tuple(inputs[name] for name in cell.states)
        P = {name: inputs[name] for name in cell.shapes(K, H)}
        return scan.forward(cell, P, inputs.get("x", tokens), state, real)

    right = {name: np.zeros(value.shape) for name, value in inputs.items()}
    complex_inputs = {name: value + 0j for name, value in inputs.items()}
    for name, value in complex_inputs.items():
        for index in np.ndindex(value.shape):
            value[index] += 1e-30j
            ys, state, _ = forward(GenericScan(), complex_inputs)
            loss = (dys * ys).sum() + sum((d * s).sum() for d, s in zip(dstate, state, strict=True))
            right[name][index] = loss.imag / 1e-30
            value[index] = value[index].real

    def fault_of(scan: Scan, shares: int) -> str | None:
        try:
            with (
                patch.object(side_by_side, "COLUMNS", 3 * N),  # of 4 steps, 3 and 1 at once
                patch.object(threaded, "LEAST", 1),
                patch.dict(pool._chosen, now=pool.Choice(shares, 0)),
            ):
                saved = forward(scan, inputs)[2]
                if scan.backward(saved, dys, dstate, False)[0] is not None:
                    return "dx that is not wanted"
                for _ in range(2):  # the second time shows whether the first changed what was saved
                    given = None if kind == "without dys" else dys
                    dx, d_initial, got = scan.backward(saved, given, dstate)
                    got = got | dict(zip(cell.states, d_initial, strict=True))
                    got |= {} if dx is None else {"x": dx}
                    for name in right | got:
                        if not np.abs(got[name] - right[name]).max() <= 1e-9:
                            return f"d{name}"
        except Exception as error:
            return type(error).__name__
        return None

    for name in available(cell, CPU):
        if name == "numba":  # compiled: its code is not Python's, and it is held to the plain scan
            continue
        scan, _ = choose(cell, CPU, name)
        for shares in (1, 2) if name == "numpy" else (1,):
            cut = f", {shares} shares" if shares > 1 else ""
            yield f"{cell.name}, {kind}, {name} scan{cut}", partial(fault_of, scan, shares)


def pose_attention() -> Iterator[Problem]:
    """Attention, with a memory of which some is padding."""
    attention, random = Attention(), np.random.default_rng(0)
    queries, memory, r = (random.normal(size=(n, H, N)) for n in (T, D, T))

    def forward(**inputs: Any) -> tuple[Any, Any]:
        context, cache = attention.forward(**inputs, lengths=[D, D - 1, D])
        return (r * context).sum(), cache

    def backward(cache: Any) -> dict[str, Any]:
        attention.backward(
            cache, r
        )  # the second time shows whether the first changed what was saved
        return dict(zip(("queries", "memory"), attention.backward(cache, r), strict=True))

    def fault() -> str | None:
        try:
            report = gradcheck(forward, backward, queries=queries, memory=memory)
        except Exception as error:
            return type(error).__name__
        return next((f"d{row.name}" for row in report.rows if not row.ok), None)

    yield "attention", fault


@cache
def problems() -> list[Problem]:
    """Of every kind, for every cell."""
    kinds = ("numbers", "padded", "tokens", "without dys")
    cases = [*product(CELLS, kinds), (CELLS[0], "many tokens")]
    of_cells = (p for seed, (cell, kind) in enumerate(cases) for p in pose(cell, kind, seed))
    return [*of_cells, *pose_attention()]
