"""One step at a time, as text is sampled: 2 layers of 128 units, 65 characters, one sequence.

A call of a side reads `LENGTH` characters one after the other, carrying the state on, and gives the
scores of the next character each time; drawing from the scores is left out. PyTorch runs under
``no_grad``: its recurrent layers called with T = 1, and a stack of its cells (``nn.LSTMCell`` and so
on). It reads one-hot rows made beforehand.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from . import pictures
from .experiment import Experiment
from .parts import LABELS
from .products import needed_flops
from .rows import heading, lines
from .sides import network
from .sizes import CELLS, Size
from .timing import Side

SIZE = Size(T=1, N=1, D=65, H=128, layers=2, K=65, task="tokens")
LENGTH = 20


def minirnn_side(cell: str, scan: str) -> Side:
    """`step` and the output layer."""
    model = network(cell, SIZE, scan)
    rnn: Any = model.rnn
    out: Any = model.out
    tokens = [np.array([k]) for k in range(LENGTH)]
    state: Any = None

    def run() -> None:
        nonlocal state
        for token in tokens:
            h, state = rnn.step(token, state)
            out.forward(h)

    return run


def torch_side(cell: str, cells: bool) -> Side:
    """PyTorch's recurrent layers with T = 1, or a stack of its cells."""
    import torch
    from torch import nn

    rows = torch.eye(SIZE.D)[:LENGTH]
    inputs = [row.reshape((1, -1) if cells else (1, 1, -1)) for row in rows]
    out = nn.Linear(SIZE.H, SIZE.K)
    sizes = [SIZE.D] + [SIZE.H] * (SIZE.layers - 1)
    stack = [getattr(nn, f"{cell}Cell")(D, SIZE.H) for D in sizes]
    rnn = getattr(nn, cell)(SIZE.D, SIZE.H, SIZE.layers)
    state: Any = None
    states: list[Any] = [None] * SIZE.layers

    def run() -> None:
        nonlocal state
        with torch.no_grad():
            for x in inputs:
                ys, state = rnn(x, state)
                out(ys[-1])

    def run_cells() -> None:
        with torch.no_grad():
            for x in inputs:
                for k, layer in enumerate(stack):
                    states[k] = layer(x, states[k])
                    x = states[k][0] if cell == "LSTM" else states[k]
                out(x)

    return run_cells if cells else run


def run(options: argparse.Namespace) -> None:
    """Print characters a second, write the times and draw the ratios."""
    experiment = Experiment(options, "cpu-sampling")
    print(
        f"{LENGTH} characters one at a time, {SIZE.layers} layers of {SIZE.H}\n{heading(experiment.own)}"
    )
    for cell in options.cells or CELLS:
        sides = {scan: minirnn_side(cell, scan) for scan in experiment.own}
        if "torch" in experiment.sides:
            sides |= {"torch": torch_side(cell, False), "torch cells": torch_side(cell, True)}
        flops = LENGTH * (needed_flops(cell, SIZE, "forward") + 2 * SIZE.K * SIZE.H)
        row = experiment.measured("2x128", SIZE, cell, "sampling", flops, sides, {})
        experiment.results.add(row)
        print(lines(row, "characters one at a time"))
        for side in sides:
            print(
                f"  {LABELS[side]:<17}{LENGTH / row.median(side):>10,.0f} characters/s", flush=True
            )
    about = "one character at a time, 2 layers of 128"
    pictures.ratios(experiment.results.rows, experiment.folder, experiment.name, about)
