"""A preset of the Shakespeare example end to end: windows of a text, one after the other.

All that ``examples/shakespeare.py train`` does for a window: the tokens go to the device, the state of
the window before is carried on, units are dropped out, and loss and norm are read to see that they are
finite. What it does between windows (the bar, the files) is left out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minirnn as mr
from minirnn.data import Streams

from .parts import CLIP, HOST, LR
from .sides import network
from .sizes import DROPOUT, Size
from .timing import Side

WINDOWS = 10  # in the text


def text(size: Size, seed: int) -> Streams:
    """Random tokens, in streams of some windows."""
    length = WINDOWS * size.T * size.N + 1
    return Streams(np.random.default_rng(seed).integers(0, size.K, length), size.N, size.T)


def window(cell: str, size: Size, streams: Streams, device: str, side: str) -> Side:
    """A function that trains on the next window each time; after the last one comes the first."""
    if side.startswith("torch"):
        from .torch_sides import torch_window

        return torch_window(cell, size, streams, device, side)
    return minirnn_window(cell, size, streams, "cpu" if side in HOST else device, side)


def minirnn_window(cell: str, size: Size, streams: Streams, device: str, side: str) -> Side:
    """Our own side: the layers of `LanguageModel`, with a scan of choice."""
    model = network(cell, size, side, device, dropout=DROPOUT)
    rnn: Any = model.rnn
    out: Any = model.out
    drop, parameters = mr.Dropout(DROPOUT), model.parameters()
    optimizer, random = mr.AdamW(parameters, LR), np.random.default_rng(0)
    k, state = 0, None

    def run() -> None:
        nonlocal k, state
        x, targets = (mr.to_device(part, device) for part in streams.window(k))
        ys, state, cache = rnn.forward(x, state if k else None, dropout_rng=random)
        dropped, drop_cache = drop.forward(ys, random)
        scores, out_cache = out.forward(dropped)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)
        optimizer.zero_grad()
        rnn.backward(cache, drop.backward(drop_cache, out.backward(out_cache, dscores)))
        norm = mr.clip_grad_norm(parameters, CLIP)
        assert math.isfinite(float(loss) + float(norm))
        optimizer.step()
        k = (k + 1) % len(streams)

    return run
