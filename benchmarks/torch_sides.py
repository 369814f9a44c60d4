"""PyTorch's side: the same network, made as its users make it.

Sequences are (T, N, D), the layout in which its kernels work. Tokens are one-hot rows, made beforehand
and not timed, as its recurrent layers have no other such input.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .sides import CLIP, LR, Parts, Unavailable
from .sizes import Data, Size


def torch_parts(cell: str, size: Size, data: Data, device: str, compiled: bool) -> Parts:
    """PyTorch's recurrent layers as they are, or with all of the forward pass in `torch.compile`."""
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
    if compiled:
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
    if compiled:
        try:
            for part in parts.values():
                part()
        except Exception as error:  # many kinds: no compiler, or code that it does not take
            raise Unavailable((str(error).strip() or repr(error)).splitlines()[0][:200]) from None
    return parts
