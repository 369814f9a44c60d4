"""PyTorch's side: the same network, made as its users make it.

Sequences are (T, N, D), the layout in which its kernels work. Tokens are one-hot rows, made beforehand
and not timed, as its recurrent layers have no other such input.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from minirnn.data import Streams

from .parts import CLIP, LR, Parts, Unavailable, precision_of
from .sizes import DROPOUT, Data, Size
from .timing import Side


def with_precision(run: Side, side: str) -> Side:
    """`run`, whose products on a device use TensorFloat-32 or not; PyTorch has one switch for all."""
    tf32 = precision_of(side) == "tf32"

    def call() -> None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        run()

    return call


def torch_parts(cell: str, size: Size, data: Data, device: str, side: str) -> Parts:
    """The recurrent layers as they are, or ``"compiled"``: all of the forward in `torch.compile`."""
    _, _, D, H, layers, K, task = size
    torch.manual_seed(0)
    rnn = getattr(nn, cell)(D, H, layers).to(device)
    out = nn.Linear(H, K).to(device)
    parameters = [*rnn.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(parameters, LR)
    if task == "tokens":
        x = nn.functional.one_hot(torch.from_numpy(data.x), D).float().to(device)
    else:
        x = torch.from_numpy(data.x.transpose(0, 2, 1).copy()).to(device)
    targets = torch.from_numpy(data.targets.T.copy() if task == "value" else data.targets.ravel())
    targets = targets.to(device)
    dys = torch.from_numpy(np.swapaxes(data.dys, -1, -2).copy()).to(device)
    criterion = nn.functional.mse_loss if task == "value" else nn.functional.cross_entropy

    def outputs(x: torch.Tensor) -> torch.Tensor:
        ys: torch.Tensor = rnn(x)[0]
        return ys[-1] if size.last else ys

    def loss_of(x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return criterion(out(outputs(x)).reshape(-1, K), targets)

    run, run_loss = outputs, loss_of
    if side == "compiled":
        torch.compiler.reset()  # it gives up, in silence, on code that it has compiled often
        run, run_loss = torch.compile(outputs), torch.compile(loss_of)

    def forward() -> None:
        run(x)

    def backward() -> None:
        torch.autograd.backward(run(x), dys)

    def step() -> None:
        loss = run_loss(x, targets)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    parts: Parts = {"forward": forward, "backward": backward, "step": step}
    parts = {name: with_precision(part, side) for name, part in parts.items()}
    if side == "compiled":
        try:
            for part in parts.values():
                part()
        except Exception as error:  # many kinds: no compiler, or code that it does not take
            raise Unavailable((str(error).strip() or repr(error)).splitlines()[0][:200]) from None
    return parts


def torch_window(cell: str, size: Size, streams: Streams, device: str, side: str) -> Side:
    """A window of training, as `preset.window` has it."""
    torch.manual_seed(0)
    rnn = getattr(nn, cell)(size.D, size.H, size.layers, dropout=DROPOUT).to(device)
    drop, out = nn.Dropout(DROPOUT), nn.Linear(size.H, size.K).to(device)
    parameters = [*rnn.parameters(), *out.parameters()]
    optimizer = torch.optim.AdamW(parameters, LR, weight_decay=0.0)
    k, state = 0, None

    def window() -> None:
        nonlocal k, state
        x, targets = (torch.from_numpy(part).to(device) for part in streams.window(k))
        ys, state = rnn(nn.functional.one_hot(x, size.D).float(), state if k else None)
        state = tuple(s.detach() for s in state) if cell == "LSTM" else state.detach()
        loss = nn.functional.cross_entropy(out(drop(ys)).flatten(0, 1), targets.ravel())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(parameters, CLIP)
        assert math.isfinite(loss.item() + norm.item())
        optimizer.step()
        k = (k + 1) % len(streams)

    return with_precision(window, side)
