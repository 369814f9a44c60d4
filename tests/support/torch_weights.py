"""One set of weights in two conventions: the parameters of a network here, and of torch.nn's.

    here                        torch.nn
    l0.U   (G·H, D)             weight_ih_l0           LSTM: rows i, f, o, g here, i, f, g, o there
    l0.W   (G·H, H)             weight_hh_l0           likewise
    l0.b   (G·H, 1)             bias_ih_l0  (G·H,)     likewise
    l0.bw  (H, 1), in the GRU   bias_hh_l0  (G·H,)     the last H elements; the others are 0
    l1.reverse.U                weight_ih_l1_reverse

PyTorch adds two biases, b_ih and b_hh, where one would do: only their sum matters, so one of them can
be zero. The exception is n of the GRU: there b_hh is inside the brackets that the reset gate
multiplies.

Arrays are NumPy's, and PyTorch is not imported. RNN, LSTM(activation="tanh") and
GRU(reset_after=True) have a counterpart in torch.nn; the other two cells have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minirnn import Recurrent

Array = np.ndarray[Any, Any]


def swap_gates(rnn: Recurrent, rows: Array) -> Array:
    """LSTM: i, f, o, g to i, f, g, o, which is also the way back. Other cells agree as they are."""
    if rnn.cell.gates != ("i", "f", "o", "g"):
        return rows.copy()
    first, second, third, fourth = np.split(rows, 4)
    return np.concatenate([first, second, fourth, third])


def torch_name(letter: str, direction: str) -> str:
    """U, W, b or bw of "l1.reverse" -> the name of the tensor that holds it."""
    kind = {"U": "weight_ih", "W": "weight_hh", "b": "bias_ih", "bw": "bias_hh"}[letter]
    return f"{kind}_{direction.replace('.', '_')}"


def weights_for_torch(rnn: Recurrent) -> dict[str, Array]:
    """The parameters of `rnn` as a state_dict of its counterpart in torch.nn."""
    theirs: dict[str, Array] = {}
    for name, value in rnn.state_dict().items():
        direction, _, letter = name.rpartition(".")
        if letter == "bw":
            theirs[torch_name("bw", direction)][-rnn.hidden_size :] = value[:, 0]
        elif letter == "b":  # comes before bw
            theirs[torch_name("b", direction)] = swap_gates(rnn, value[:, 0])
            theirs[torch_name("bw", direction)] = np.zeros_like(value[:, 0])
        else:
            theirs[torch_name(letter, direction)] = swap_gates(rnn, value)
    return theirs


def gradients_from_torch(rnn: Recurrent, theirs: Mapping[str, Array]) -> dict[str, Array]:
    """Gradients by PyTorch's names -> by the names and in the shapes of the parameters of `rnn`.

    In ``a = U x + b_ih + W h + b_hh`` both biases have the same gradient: that of ``b``.
    """
    ours: dict[str, Array] = {}
    for name in rnn.named_parameters():
        direction, _, letter = name.rpartition(".")
        gradient = theirs[torch_name(letter, direction)]
        if letter == "bw":
            ours[name] = gradient[-rnn.hidden_size :, None]
        elif letter == "b":
            ours[name] = swap_gates(rnn, gradient)[:, None]
        else:
            ours[name] = swap_gates(rnn, gradient)
    return ours
