"""RNN, LSTM and GRU by name: `Recurrent` with one of the cells of ``cells.py``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import checks
from ..backend import Rng
from ..cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from .network import Recurrent


class RNN(Recurrent):
    """The plain recurrent network, h' = act(U x + W h + b); Elman 1990.

    Args:
        activation: ``"tanh"`` or ``"relu"``.

    The other arguments, the parameters and the errors are those of `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        activation: str = "tanh",
        bias: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        *,
        init: str = "uniform",
        scan: str = "auto",
        precision: str | None = None,
    ) -> None:
        arguments = (input_size, hidden_size, num_layers, bidirectional, dropout, bias)
        options: dict[str, Any] = {"init": init, "scan": scan, "precision": precision}
        super().__init__(RNNCell(activation), *arguments, dtype, device, rng, **options)


class LSTM(Recurrent):
    """Long short-term memory; Hochreiter & Schmidhuber 1997, Gers et al. 2000.

    Rows of U, W and b: i, f, o, g (PyTorch has i, f, g, o). State: (h, c).

    Args:
        activation: ``"tanh"``, or ``"relu"`` in both places of tanh, as in Keras.
        forget_bias: what the forget gate's bias starts with, such as 1.0 (Jozefowicz et al. 2015),
            so that a new network remembers; None leaves it as `init` draws it.

    The other arguments, the parameters and the errors are those of `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        activation: str = "tanh",
        bias: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        *,
        init: str = "uniform",
        forget_bias: float | None = None,
        scan: str = "auto",
        precision: str | None = None,
    ) -> None:
        if forget_bias is not None:
            big = float(np.finfo(checks.float_dtype(dtype)).max)
            forget_bias = checks.real_number("forget_bias", forget_bias, -big, big)
            if not checks.truth("bias", bias):
                raise ValueError(f"forget_bias: got {forget_bias} with bias=False, want None")
        arguments = (input_size, hidden_size, num_layers, bidirectional, dropout, bias)
        options: dict[str, Any] = {"init": init, "scan": scan, "precision": precision}
        super().__init__(LSTMCell(activation), *arguments, dtype, device, rng, **options)
        if forget_bias is not None:
            f = slice(self.hidden_size, 2 * self.hidden_size)
            with self.backend.active():
                for name, p in self.named_parameters().items():
                    if name.endswith(".b"):
                        p.data[f] = forget_bias


class GRU(Recurrent):
    """Gated recurrent unit; Cho et al. 2014. Rows of U, W and b: r, z, n.

    h' = (1 - z) * n + z * h, as there, in PyTorch and in cuDNN; Chung et al. 2014 swap z and 1 - z.

    Args:
        reset_after: True for n = tanh(U_n x + b_n + r * (W_n h + bw)), as in cuDNN, PyTorch and Keras,
            with one more bias ``bw`` (H, 1); False for the first paper's
            n = tanh(U_n x + b_n + W_n (r * h)).

    The other arguments, the parameters and the errors are those of `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        reset_after: bool = True,
        bias: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        *,
        init: str = "uniform",
        scan: str = "auto",
        precision: str | None = None,
    ) -> None:
        cell = GRUCell() if checks.truth("reset_after", reset_after) else GRUResetBeforeCell()
        arguments = (input_size, hidden_size, num_layers, bidirectional, dropout, bias)
        options: dict[str, Any] = {"init": init, "scan": scan, "precision": precision}
        super().__init__(cell, *arguments, dtype, device, rng, **options)


NETWORKS: dict[str, Callable[..., Recurrent]] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def of_cell(cell: Any) -> Callable[..., Recurrent]:
    """What makes a network of `cell`: ``"rnn"``, ``"lstm"``, ``"gru"``, or the equations of one.

    Raises:
        ValueError: something else.
    """
    if isinstance(cell, str) and cell in NETWORKS:
        return NETWORKS[cell]
    if hasattr(cell, "shapes"):
        return partial(Recurrent, cell() if isinstance(cell, type) else cell)
    wanted = f"one of {', '.join(NETWORKS)}, or a cell, such as LSTMCell()"
    raise ValueError(f"cell: got {cell!r}, want {wanted}")
