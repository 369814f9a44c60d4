"""From one sequence to another: an encoder reads the source, a decoder writes the target.

Sutskever, Vinyals & Le 2014 (arXiv:1409.3215); with attention, Luong, Pham & Manning 2015. It is layers
put together, in the order of `EncoderDecoder.forward`; there is no maths of its own here.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

from .. import checks
from ..attention import Attention
from ..backend import Array, Draws, Rng, State, generator, on_its_device
from ..cells import Cell
from ..init import spread_tokens
from ..layers import Activation, Dropout, Embedding, Linear, Sequential
from ..model import Model
from ..recurrent.by_name import of_cell
from ..recurrent.network import Recurrent


class EncoderDecoderCache(NamedTuple):
    """What `EncoderDecoder.forward` leaves for backward: the caches of its layers."""

    source: Any  # of the source's embedding and of what was dropped of it
    target: Any
    encoder: Any
    decoder: Any
    attention: Any  # its ``weights`` (T, S, N) say where the decoder looked; None without attention
    combine: Any
    drop: Any
    out: Any


class EncoderDecoder(Model):
    """Source tokens -> encoder -> its final state -> decoder (-> attention) -> scores of target tokens.

    All that the decoder knows of the source at first is the state that the encoder ends in. With
    attention it also looks at every state of the encoder's top layer: the context of each h is put on
    top of it, and tanh(W [context; h] + b) takes its place. Without embeddings, tokens go in as one-hot
    columns.

    Args:
        source_tokens: size of the source's vocabulary.
        target_tokens: K, the size of the target's.
        hidden_size: H, of the decoder and of the encoder.
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``, of both; or the equations of one, such as `LSTMCell`.
        num_layers: of each.
        bidirectional: the encoder reads the source both ways, with H/2 units in each direction: on
            top of one another they are the decoder's state.
        attention: with it, or without.
        dtype, device, rng, precision, scan: as for `Recurrent`. Attention multiplies in `dtype`.
        embedding: E, numbers per token, of the source and of the target; None is one-hot.
        dropout: share set to zero after embeddings, between layers, and before the output layer;
            Zaremba et al. 2014. Only where `forward` is given a `dropout_rng`.

    Layers: with embeddings ``embed_source`` and ``embed_target``; ``encoder``, ``decoder``, with
    attention ``attention`` and ``combine``, ``drop``, and ``out``.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
    """

    embed_source: Embedding
    embed_target: Embedding
    encoder: Recurrent
    decoder: Recurrent
    attention: Attention
    combine: Sequential
    drop: Dropout
    out: Linear

    def __init__(
        self,
        source_tokens: int,
        target_tokens: int,
        hidden_size: int,
        cell: str | Cell | type[Cell] = "lstm",
        num_layers: int = 1,
        bidirectional: bool = False,
        attention: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        precision: str | None = None,
        scan: str = "auto",
        embedding: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        network = of_cell(cell)
        checks.whole_number("source_tokens", source_tokens)
        checks.whole_number("target_tokens", target_tokens)
        checks.whole_number("num_layers", num_layers)
        checks.fraction("dropout", dropout)
        if embedding is not None:
            checks.whole_number("embedding", embedding)
        H = checks.whole_number("hidden_size", hidden_size)
        bidirectional = checks.truth("bidirectional", bidirectional)
        attention = checks.truth("attention", attention)
        if bidirectional and H % 2:
            raise ValueError(
                f"hidden_size: got {H} with bidirectional=True, want an even number: "
                "half of it for each direction"
            )
        random = generator(rng)
        where = {"dtype": dtype, "device": device, "rng": random}
        with_products = where | {"precision": precision}
        each = {"dropout": dropout if num_layers > 1 else 0.0, "scan": scan} | with_products
        layers: dict[str, Any] = {}
        if embedding is not None:
            layers["embed_source"] = Embedding(source_tokens, embedding, **where)
            layers["embed_target"] = Embedding(target_tokens, embedding, **where)
        of_each = H // 2 if bidirectional else H
        layers["encoder"] = network(
            embedding or source_tokens, of_each, num_layers, bidirectional, **each
        )
        layers["decoder"] = network(embedding or target_tokens, H, num_layers, **each)
        if attention:
            layers["attention"] = Attention()
            layers["combine"] = Sequential(Linear(2 * H, H, **with_products), Activation("tanh"))
        layers["drop"] = Dropout(dropout)
        layers["out"] = Linear(H, target_tokens, **with_products)
        super().__init__(**layers)
        for rnn in (self.encoder, self.decoder):
            spread_tokens(rnn, random, embedding**0.5 if embedding else 1.0)

    @on_its_device
    def forward(  # type: ignore[override]  # (it reads two sequences)
        self,
        source: Array,
        inputs: Array,
        lengths: Any = None,
        dropout_rng: Draws = None,
        *,
        want_cache: bool = True,
    ) -> tuple[Array, Any]:
        """Read the sources, and score what comes after each of the inputs.

        Args:
            source: (S, N) integers.
            inputs: (T, N) integers below K, what the decoder reads: a token to start with, and the
                target up to its last token but one (teacher forcing). What comes after a
                target's end has no influence on what comes before: give it a weight of 0 in the loss.
            lengths: (N,) integers from 0 to S, of the sources.
            dropout_rng: a generator: drops out if given, and not otherwise.
            want_cache: False keeps nothing for `backward`.

        Returns:
            The scores (T, K, N) of the tokens that may come next, and the cache, an
            `EncoderDecoderCache`, or None if it is not wanted.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        inputs = self._tokens("inputs", inputs, ("T", "N"), self.out.output_size)
        random = checks.dropout_rng(dropout_rng)
        kept: Any = {"want_cache": want_cache}
        memory, state, read, encoder = self._encode(
            source, lengths, inputs.shape[1], random, **kept
        )
        x, target = self._embed("embed_target", inputs, random, **kept)
        ys, _, decoder = self.decoder.forward(x, state, dropout_rng=random, **kept)
        attention = combine = None
        if "attention" in self._layers:
            context, attention = self.attention.forward(ys, memory, lengths, **kept)
            ys, combine = self.combine.forward(self._stack(context, ys), **kept)
        ys, drop = self.drop.forward(ys, random, **kept)
        scores, out = self.out.forward(ys, **kept)
        if not want_cache:
            return scores, None
        caches = read, target, encoder, decoder, attention, combine, drop, out
        return scores, EncoderDecoderCache(*caches)

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
        if not isinstance(cache, EncoderDecoderCache):
            raise TypeError(
                f"cache: got {type(cache).__name__}, want the one that forward returned last"
            )
        dys, dmemory = self.out.backward(cache.out, dscores), None
        dys = self.drop.backward(cache.drop, dys)
        if cache.attention is not None:
            dboth, H = self.combine.backward(cache.combine, dys), self.decoder.hidden_size
            dqueries, dmemory = self.attention.backward(cache.attention, dboth[:, :H])
            dys = dboth[:, H:] + dqueries
        dx, dstate = self.decoder.backward(cache.decoder, dys)
        self._embed_backward("embed_target", cache.target, dx)
        dx, _ = self.encoder.backward(cache.encoder, dmemory, self._of(self.encoder, dstate))
        self._embed_backward("embed_source", cache.source, dx)

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
        memory, state, _, _ = self._encode(source, lengths, "N", None, want_cache=False)
        if "attention" not in self._layers:
            return state
        (S, _, N), backend = memory.shape, self.decoder.backend
        real = checks.real_steps(lengths, S, N, backend)
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
        x, _ = self._embed("embed_target", tokens, None, want_cache=False)
        y, new = self.decoder.step(x, state[: len(letters)])
        if kept:
            context = self.attention.look(y[None], *kept)
            y, _ = self.combine.forward(self._stack(context[0], y), want_cache=False)
        return self.out.forward(y, want_cache=False)[0], (*new, *kept)

    def _encode(
        self, source: Array, lengths: Any, N: Any, random: Draws, want_cache: bool = True
    ) -> tuple[Array, State, Any, Any]:
        """The memory, the decoder's initial state, and the caches."""
        embedded = "embed_source" in self._layers
        K = self.embed_source.num_tokens if embedded else self.encoder.input_size
        source = self._tokens("source", source, ("S", N), K, lengths)
        x, read = self._embed("embed_source", source, random, want_cache)
        memory, state, cache = self.encoder.forward(
            x, lengths=lengths, dropout_rng=random, want_cache=want_cache
        )
        return memory, self._of(self.decoder, state), read, cache

    def _embed(
        self, name: str, tokens: Array, random: Draws, want_cache: bool = True
    ) -> tuple[Array, Any]:
        """The tokens' columns, and the caches of the embedding and of dropout; or tokens and None."""
        if name not in self._layers:
            return tokens, None
        layer: Any = self._layers[name]
        x, embed = layer.forward(tokens, want_cache=want_cache)
        x, drop = self.drop.forward(x, random, want_cache=want_cache)
        return x, (embed, drop)

    def _embed_backward(self, name: str, caches: Any, dx: Array) -> None:
        if caches is not None:
            (embed, drop), layer = caches, cast(Any, self._layers[name])
            layer.backward(embed, self.drop.backward(drop, dx))

    def _tokens(self, name: str, tokens: Array, shape: Any, K: int, lengths: Any = None) -> Array:
        """Return `tokens` if they are (steps, N) integers below K, on this device."""
        backend = self.decoder.backend
        tokens = checks.of_shape(name, checks.on_device(name, tokens, backend), shape)
        real = checks.real_steps(lengths, tokens.shape[0], tokens.shape[1], backend)
        return checks.tokens(name, tokens, K, real, look=False)

    def _of(self, rnn: Recurrent, state: State) -> State:
        """The same numbers as a state of `rnn`: two directions on top of one another are one h."""
        return tuple(
            part.reshape(rnn.num_layers * rnn.num_directions, rnn.hidden_size, -1) for part in state
        )

    def _stack(self, context: Array, ys: Array) -> Array:
        """[context; h]: (T, 2·H, N) or (2·H, N)."""
        return self.decoder.backend.xp.concatenate((context, ys), axis=-2)
