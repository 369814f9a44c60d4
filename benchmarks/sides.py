"""The sides that are compared: which there are here, and minirnn's and the textbook's.

A side is made for one cell and size, and gives a function for each part: forward of the recurrent
layers, forward and backward of them, and the whole training step (forward, loss, backward, clipping,
Adam). All sides start from the same weights' distribution and read the same data. What the first layer
reads is data, whose gradient nobody asks for: PyTorch leaves it out by itself, minirnn as it is told to,
and the textbook computes it, as textbooks do. cuDNN computes it, too, and PyTorch drops it.
"""

from __future__ import annotations

from typing import Any

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.kernels.choice import available

from . import laboratory, textbook
from .laboratory.registers import RegisterScan
from .laboratory.tensor_cores import TensorCoreScan
from .parts import CLIP, HOST, LR, TF32, Parts, Unavailable
from .sizes import Data, Size

LABORATORY = {"registers": RegisterScan, "tensor-cores": TensorCoreScan}


def scans(device: str) -> list[str]:
    """The scans of minirnn that run on this device; the plain one is last, as the slowest."""
    found = available(mr.LSTM(1, 1, device=device).cell, get_backend(device))
    return [scan for scan in found if scan != "generic"] + ["generic"]


def network(
    cell: str,
    size: Size,
    side: str,
    device: str = "cpu",
    dtype: str = "float32",
    dropout: float = 0.0,
) -> mr.Model:
    """The recurrent layers and the output layer, for a side of minirnn.

    Raises:
        Unavailable: the scan or the precision is refused for this cell, size and device.
    """
    options: dict[str, Any] = {"device": device, "dtype": dtype, "rng": 0}
    if side.endswith(TF32):
        options["precision"] = "tf32"
    kind = LABORATORY.get(scan := side.removesuffix(TF32))
    more: dict[str, Any] = {"dropout": dropout, "scan": "persistent" if kind else scan}
    try:
        rnn = getattr(mr, cell)(size.D, size.H, size.layers, **options, **more)
    except ValueError as error:
        raise Unavailable(str(error)) from None
    if kind:
        laboratory.take(rnn, kind)
    return mr.Model(rnn=rnn, out=mr.Linear(size.H, size.K, **options))


def minirnn_parts(cell: str, size: Size, data: Data, side: str, device: str = "cpu") -> Parts:
    """Our own side."""
    model = network(cell, size, side, device)
    rnn: Any = model.rnn
    out: Any = model.out
    parameters = model.parameters()
    optimizer = mr.Adam(parameters, LR)
    x, targets, dys = (mr.to_device(part, device) for part in data)
    loss_of = mr.mse if size.task == "value" else mr.softmax_cross_entropy

    def forward() -> None:
        rnn.forward(x)

    def backward() -> None:
        cache = rnn.forward(x)[2]
        if size.last:
            rnn.backward(cache, None, rnn.last_backward(dys), want_dx=False)
        else:
            rnn.backward(cache, dys, want_dx=False)

    def step() -> None:
        ys, state, cache = rnn.forward(x)
        scores, out_cache = out.forward(rnn.last(state) if size.last else ys)
        _, dscores = loss_of(scores, targets)
        optimizer.zero_grad()
        dh = out.backward(out_cache, dscores)
        if size.last:
            rnn.backward(cache, None, rnn.last_backward(dh), want_dx=False)
        else:
            rnn.backward(cache, dh, want_dx=False)
        mr.clip_grad_norm(parameters, CLIP)
        optimizer.step()

    return {"forward": forward, "backward": backward, "step": step}


def textbook_parts(cell: str, size: Size, data: Data) -> Parts:
    """The plain NumPy implementation of ``textbook.py``."""
    weights = network(cell, size, "generic").state_dict()
    net = textbook.Network(cell, size.layers, weights)
    optimizer = textbook.Adam(net.weights, LR)
    x, targets, dys = textbook.batch_first(size, data)

    def forward() -> None:
        net.forward(x)

    def backward() -> None:
        _, saved = net.forward(x)
        net.backward(saved, dys)

    def step() -> None:
        _, gradients = net.loss(x, targets, size.task)
        optimizer.update(textbook.clip(gradients, CLIP))

    return {"forward": forward, "backward": backward, "step": step}


def make(side: str, cell: str, size: Size, data: Data, device: str = "cpu") -> Parts:
    """The side of that name."""
    if side == "textbook":
        return textbook_parts(cell, size, data)
    if side in ("torch", "torch tf32", "compiled"):
        from .torch_sides import torch_parts

        return torch_parts(cell, size, data, device, side)
    return minirnn_parts(cell, size, data, side, "cpu" if side in HOST else device)
