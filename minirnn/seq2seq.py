"""From one sequence to another: an encoder reads the source, a decoder writes the target.

Sutskever, Vinyals & Le 2014 (arXiv:1409.3215); with attention, Luong, Pham & Manning 2015. It is layers
put together, in the order of `EncoderDecoder.forward`; there is no maths of its own here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import checks
from .attention import Attention
from .backend import Array, Rng, State, generator, on_its_device
from .init import spread_tokens
from .layers import Activation, Sequential
from .linear import Linear
from .model import Model
from .networks import of_cell
from .recurrent import Recurrent


class EncoderDecoderCache(NamedTuple):
    """What `EncoderDecoder.forward` leaves for backward: the caches of its layers."""

    encoder: Any
    decoder: Any
    attention: Any  # its ``weights`` (T, S, N) say where the decoder looked; None without attention
    combine: Any
    out: Any


class EncoderDecoder(Model):
    """Source tokens -> encoder -> its final state -> decoder (-> attention) -> scores of target tokens.

    All that the decoder knows of the source at first is the state that the encoder ends in. With
    attention it also looks at every state of the encoder's top layer: the context of each h is put on
    top of it, and tanh(W [context; h] + b) takes its place. Tokens go in as one-hot columns.

    Args:
        source_tokens: size of the source's vocabulary.
        target_tokens: K, the size of the target's.
        hidden_size: H, of the decoder and of the encoder.
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``, of both.
        num_layers: of each.
        bidirectional: the encoder reads the source both ways, with H/2 units in each direction: on
            top of one another they are the decoder's state.
        attention: with it, or without.
        dtype, device, rng, precision, scan: as for `Recurrent`. Attention multiplies in `dtype`.

    Layers: ``encoder``, ``decoder``, with attention ``attention`` and ``combine``, and ``out``.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
    """

    encoder: Recurrent
    decoder: Recurrent
    attention: Attention
    combine: Sequential
    out: Linear

    def __init__(
        self,
        source_tokens: int,
        target_tokens: int,
        hidden_size: int,
        cell: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        attention: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        precision: str | None = None,
        scan: str = "auto",
    ) -> None:
        network = of_cell(cell)
        checks.whole_number("source_tokens", source_tokens)
        checks.whole_number("target_tokens", target_tokens)
        H = checks.whole_number("hidden_size", hidden_size)
        bidirectional = checks.truth("bidirectional", bidirectional)
        attention = checks.truth("attention", attention)
        if bidirectional and H % 2:
            raise ValueError(
                f"hidden_size: got {H} with bidirectional=True, want an even number: "
                "half of it for each direction"
            )
        random = generator(rng)
        where = {"dtype": dtype, "device": device, "rng": random, "precision": precision}
        layers: dict[str, Any] = {}
        of_each = H // 2 if bidirectional else H
        layers["encoder"] = network(
            source_tokens, of_each, num_layers, bidirectional, scan=scan, **where
        )
        layers["decoder"] = network(target_tokens, H, num_layers, scan=scan, **where)
        if attention:
            layers["attention"] = Attention()
            layers["combine"] = Sequential(Linear(2 * H, H, **where), Activation("tanh"))
        layers["out"] = Linear(H, target_tokens, **where)
        super().__init__(**layers)
        for rnn in (self.encoder, self.decoder):
            spread_tokens(rnn, random)

    @on_its_device
    def forward(  # type: ignore[override]  # (it reads two sequences)
        self, source: Array, inputs: Array, lengths: Any = None
    ) -> tuple[Array, EncoderDecoderCache]:
        """Read the sources, and score what comes after each of the inputs.

        Args:
            source: (S, N) integers.
            inputs: (T, N) integers below K, what the decoder reads: a token to start with, and the
                target up to its last token but one (teacher forcing). What comes after a
                target's end has no influence on what comes before: give it a weight of 0 in the loss.
            lengths: (N,) integers from 0 to S, of the sources.

        Returns:
            The scores (T, K, N) of the tokens that may come next, and the cache.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        inputs = self._tokens("inputs", inputs, ("T", "N"), self.decoder.input_size)
        memory, state, encoder = self._encode(source, lengths, inputs.shape[1])
        ys, _, decoder = self.decoder.forward(inputs, state)
        attention = combine = None
        if "attention" in self._layers:
            context, attention = self.attention.forward(ys, memory, lengths)
            ys, combine = self.combine.forward(self._stack(context, ys))
        scores, out = self.out.forward(ys)
        return scores, EncoderDecoderCache(encoder, decoder, attention, combine, out)

    @on_its_device
    def backward(  # type: ignore[override]
        self, cache: EncoderDecoderCache, dscores: Array
    ) -> None:
        """Add the gradients: back through the decoder, and through the state into the encoder.

        Args:
            cache: from `forward`, with the parameters as they were then.
            dscores: gradient of the loss with respect to the scores, (T, K, N).

        Raises:
            ValueError, TypeError: `cache` is older than the parameters; `dscores` does not fit.
        """
        dys, dmemory = self.out.backward(cache.out, dscores), None
        if cache.attention is not None:
            dboth, H = self.combine.backward(cache.combine, dys), self.decoder.hidden_size
            dqueries, dmemory = self.attention.backward(cache.attention, dboth[:, :H])
            dys = dboth[:, H:] + dqueries
        _, dstate = self.decoder.backward(cache.decoder, dys)
        self.encoder.backward(cache.encoder, dmemory, self._of(self.encoder, dstate))

    @on_its_device
    def encode(self, source: Array, lengths: Any = None) -> State:
        """Read the sources, and return the state for the first `step`.

        It is (h,) or (h, c) of the decoder; with attention, the memory (S, H, N) follows, and booleans
        (S, N), true for those of its steps that are real. The last axis of each part is the sequence,
        as `beam_search` wants it.

        Args:
            source: (S, N) integers.
            lengths: (N,) integers from 0 to S.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        memory, state, _ = self._encode(source, lengths, "N", want_cache=False)
        if "attention" not in self._layers:
            return state
        (S, _, N), backend = memory.shape, self.decoder.backend
        real = checks.lengths_mask(lengths, S, N, backend)
        return *state, memory, backend.xp.ones((S, N), bool) if real is None else real

    @on_its_device
    def step(  # type: ignore[override]  # (there is no sequence to write without a state)
        self, tokens: Array, state: State
    ) -> tuple[Array, State]:
        """Read one token for each sequence, `tokens` (N,), and return the scores (K, N) and the state.

        Raises:
            ValueError, TypeError: `tokens` or `state` do not fit; nothing has been computed.
        """
        letters = self.decoder.cell.states
        parts = (*letters, "memory", "real") if "attention" in self._layers else letters
        state = checks.state_parts("state", state, parts)
        kept = state[len(letters) :]
        y, new = self.decoder.step(tokens, state[: len(letters)])
        if kept:
            context = self.attention.look(y[None], *kept)
            y, _ = self.combine.forward(self._stack(context[0], y), want_cache=False)
        return self.out.forward(y, want_cache=False)[0], (*new, *kept)

    def _encode(
        self, source: Array, lengths: Any, N: Any, want_cache: bool = True
    ) -> tuple[Array, State, Any]:
        """The memory, the decoder's initial state, and the cache."""
        source = self._tokens("source", source, ("S", N), self.encoder.input_size, lengths)
        memory, state, cache = self.encoder.forward(source, lengths=lengths, want_cache=want_cache)
        return memory, self._of(self.decoder, state), cache

    def _tokens(self, name: str, tokens: Array, shape: Any, K: int, lengths: Any = None) -> Array:
        """Return `tokens` if they are (steps, N) integers below K, on this device."""
        backend = self.decoder.backend
        tokens = checks.of_shape(name, checks.on_device(name, tokens, backend), shape)
        real = checks.lengths_mask(lengths, tokens.shape[0], tokens.shape[1], backend)
        return checks.tokens(name, tokens, K, real, look=False)

    def _of(self, rnn: Recurrent, state: State) -> State:
        """The same numbers as a state of `rnn`: two directions on top of one another are one h."""
        return tuple(
            part.reshape(rnn.num_layers * rnn.num_directions, rnn.hidden_size, -1) for part in state
        )

    def _stack(self, context: Array, ys: Array) -> Array:
        """[context; h]: (T, 2·H, N) or (2·H, N)."""
        return self.decoder.backend.xp.concatenate((context, ys), axis=-2)
