"""How fast does a language model train, beside the same model in PyTorch?

    python benchmarks/language.py

Characters a second of the whole loop: a window of each stream, forward, loss, backward through time,
clipping, Adam, the state carried on. Both sides have the same layers and sizes, in float32 on the CPU,
and take turns as in ``timing.py``. Where tokens are one-hot, minirnn picks columns of U, and PyTorch,
which has no such input, multiplies. A ratio above 1 means that minirnn is the faster; behind it is
the 95 % interval of the median.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from timing import Side, machine, measure, ratio

import minirnn as mr
from minirnn.data import Streams
from minirnn.pool import processors


class Size(NamedTuple):
    """A model and its windows."""

    K: int
    H: int
    layers: int
    T: int
    N: int
    dropout: float
    embedding: int | None = None


SIZES = {
    "small": Size(65, 128, 2, 50, 50, 0.0),
    "base": Size(65, 256, 2, 64, 64, 0.25),
    "karpathy": Size(65, 512, 3, 50, 50, 0.5),
    "word": Size(10_000, 256, 1, 35, 20, 0.5, embedding=256),
}
LR, CLIP = 3e-3, 5.0


def minirnn_side(size: Size, ids: Any) -> Side:
    """Return a function that makes one step of training."""
    K, H, layers, T, N, dropout, embedding = size
    model = mr.LanguageModel(K, H, "lstm", layers, embedding, dropout=dropout, rng=0)
    optimizer = mr.Adam(model.parameters(), LR)
    streams, random = Streams(ids, N, T), np.random.default_rng(0)
    state: Any = None
    k = 0

    def run() -> None:
        nonlocal state, k
        x, targets = streams.window(k % len(streams))
        scores, state, cache = model.forward(x, state, random)
        _, dscores = mr.softmax_cross_entropy(scores, targets)
        optimizer.zero_grad()
        model.backward(cache, dscores)
        mr.clip_grad_norm(model.parameters(), CLIP)
        optimizer.step()
        k += 1

    return run


def torch_side(size: Size, ids: Any) -> Side:
    """The same with PyTorch."""
    import torch
    from torch import nn

    K, H, layers, T, N, dropout, embedding = size
    embed = nn.Embedding(K, embedding) if embedding else nn.Embedding(K, K, _weight=torch.eye(K))
    drop = nn.Dropout(dropout)
    rnn = nn.LSTM(embedding or K, H, layers, dropout=dropout if layers > 1 else 0.0)
    out = nn.Linear(H, K)
    embed.requires_grad_(embedding is not None)
    parameters = [p for part in (embed, rnn, out) for p in part.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, LR)
    streams = Streams(ids, N, T)
    state: Any = None
    k = 0

    def run() -> None:
        nonlocal state, k
        x, targets = (
            torch.from_numpy(part.astype(np.int64)) for part in streams.window(k % len(streams))
        )
        columns = embed(x)
        ys, state = rnn(drop(columns) if embedding else columns, state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(out(drop(ys)).reshape(-1, K), targets.reshape(-1))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        k += 1

    return run


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small", "base"])
    parser.add_argument("--seconds", type=float, default=30.0, help="for each row")
    parser.add_argument(
        "--alone", type=float, default=0.2, help="seconds untimed before a timed step"
    )
    parser.add_argument(
        "--threads",
        action="store_true",
        help="use minirnn.threads, instead of leaving them to BLAS",
    )
    options = parser.parse_args()
    with mr.threads() if options.threads else nullcontext():
        run(options)


def run(options: argparse.Namespace) -> None:
    """Measure, and print the table."""
    try:
        import torch  # noqa: F401
    except ImportError:
        with_torch = False
        print("PyTorch is not installed, and is left out")
    else:
        with_torch = True
    print(machine(with_torch))
    print(f"threads of minirnn: {processors() if options.threads else 'as of BLAS'}")
    print(f"\n{'size':<10}{'tokens/s':>10}  {'PyTorch / minirnn':>20}  rounds")
    rng = np.random.default_rng(0)
    for name in options.sizes:
        size = SIZES[name]
        ids = rng.integers(0, size.K, 100 * size.N * size.T + 1)
        sides = {"minirnn": minirnn_side(size, ids)}
        if with_torch:
            sides["torch"] = torch_side(size, ids)
        times = measure(sides, options.seconds, options.alone, rng)
        speed = size.N * size.T / np.median(times["minirnn"])
        beside = ratio(times["torch"], times["minirnn"], rng) if with_torch else ""
        print(f"{name:<10}{speed:10,.0f}  {beside:>20}  {len(times['minirnn']):6}", flush=True)


if __name__ == "__main__":
    main()
