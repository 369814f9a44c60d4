"""From many steps to one: the last state of a network as its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..backend import Array, Draws, State, on_its_device
from ..layer import Layer
from ..parameter import Parameter
from .network import Recurrent


class Last(Layer):
    """A recurrent network of which only the last state goes on: its output is `Recurrent.last`.

    That is the top layer's h after each sequence's own last step, both directions on top of one
    another, as a classifier or a forecast wants it (Keras: ``return_sequences=False``). In a model,
    ``Model(rnn=Last(LSTM(28, 128)), out=Linear(128, 10))``. Parameters have the network's names.

    Args:
        rnn: the network, which is ``last.rnn``.

    Raises:
        TypeError: `rnn` is something else.
    """

    def __init__(self, rnn: Recurrent) -> None:
        if not isinstance(rnn, Recurrent):
            raise TypeError(f"rnn: got {type(rnn).__name__}, want a recurrent network")
        self.rnn = rnn
        self.backend = rnn.backend

    def __repr__(self) -> str:
        return f"Last({self.rnn!r})"

    def children(self) -> Mapping[str, Layer]:
        """The network, with no name of its own."""
        return {"": self.rnn}

    def named_parameters(self) -> dict[str, Parameter]:
        """Those of the network."""
        return self.rnn.named_parameters()

    @property
    def state_names(self) -> tuple[str, ...]:
        """Those of the network."""
        return self.rnn.state_names

    def forward(
        self,
        x: Array,
        state: State | None = None,
        lengths: Any = None,
        dropout_rng: Draws = None,
        *,
        want_cache: bool = True,
    ) -> tuple[Array, State, Any]:
        """As `Recurrent.forward`, but the output is the last h, (H·directions, N).

        Args:
            x: (T, D, N) numbers, or (T, N) integer tokens.
            state: as there.
            lengths: as there; the last h is that of each sequence's own last step.
            dropout_rng: as there.
            want_cache: as there.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        _, state, cache = self.rnn.forward(x, state, lengths, dropout_rng, want_cache=want_cache)
        return self.rnn.last(state), state, cache

    @on_its_device
    def backward(
        self, cache: Any, dy: Array, dstate: State | None = None, *, want_dx: bool = True
    ) -> tuple[Array | None, State]:
        """As `Recurrent.backward`, from the gradient of the last h, `dy` (H·directions, N).

        Args:
            cache: from `forward`.
            dy: gradient of the loss with respect to the output.
            dstate: as there.
            want_dx: as there.

        Raises:
            ValueError, TypeError: as there.
        """
        last = self.rnn.last_backward(dy)
        final = self.rnn._final(dstate, last[0].shape[-1])
        both = tuple(part + more for part, more in zip(last, final, strict=True))
        return self.rnn.backward(cache, dstate=both, want_dx=want_dx)

    def step(self, x_t: Array, state: State | None = None) -> tuple[Array, State]:
        """Run one step, after which its h is the last one; see `Recurrent.step`.

        Args:
            x_t: (D, N) numbers, or (N,) integer tokens.
            state: as there.

        Raises:
            ValueError, TypeError: as there.
        """
        return self.rnn.step(x_t, state)
