"""A language model: tokens in, at every step a score for each token that may come next.

It is layers put together, in the order of `LanguageModel.forward`; there is no maths of its own here.
"""

from __future__ import annotations

from typing import Any

from .. import checks
from ..backend import Array, Draws, Rng, State, generator, to_device
from ..cells import Cell
from ..data import Ids, Streams
from ..init import spread_tokens
from ..layers import Dropout, Embedding, Linear
from ..losses import softmax_cross_entropy
from ..model import Model
from ..recurrent.by_name import of_cell
from ..recurrent.network import Recurrent

SCORES = 1 << 24  # that `evaluate` computes at a time


class LanguageModel(Model):
    """Tokens -> (embedding ->) recurrent layers -> linear layer.

    Without an embedding, tokens go into the first layer as one-hot columns, which costs no product. The
    first layer's U is drawn from a normal distribution, so that U x starts with a deviation of 2.

    Args:
        num_tokens: K, the size of the vocabulary.
        hidden_size: H.
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``; or the equations of one, such as `LSTMCell`.
        num_layers: recurrent layers.
        embedding: E, numbers per token; None is one-hot.
        share: the output layer's V is the embedding's matrix (tied weights, Press & Wolf 2017): E is H.
        dropout: share set to zero between layers, after the last, and after an embedding;
            Zaremba et al. 2014. Only where `forward` is given a `dropout_rng`.
        dtype, device, rng, precision, scan: as for `Recurrent`.

    Layers: ``embed`` (if there is one), ``rnn``, ``drop``, ``out``.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
    """

    embed: Embedding
    rnn: Recurrent
    drop: Dropout
    out: Linear

    def __init__(
        self,
        num_tokens: int,
        hidden_size: int,
        cell: str | Cell | type[Cell] = "lstm",
        num_layers: int = 1,
        embedding: int | None = None,
        share: bool = False,
        dropout: float = 0.0,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        precision: str | None = None,
        scan: str = "auto",
    ) -> None:
        network = of_cell(cell)
        checks.whole_number("num_tokens", num_tokens)
        checks.whole_number("num_layers", num_layers)
        checks.fraction("dropout", dropout)
        if embedding is not None:
            checks.whole_number("embedding", embedding)
        share = checks.truth("share", share)
        if share and embedding != hidden_size:
            raise ValueError(
                f"embedding: got {embedding} with share=True, want hidden_size = {hidden_size}"
            )
        random = generator(rng)
        where = {"dtype": dtype, "device": device, "rng": random}
        layers: dict[str, Any] = {}
        if embedding is not None:
            layers["embed"] = Embedding(num_tokens, embedding, **where)
            if share:  # as V, it wants numbers of the size that a linear layer starts with
                (E,) = layers["embed"].parameters()
                with E.backend.active():
                    E.data *= hidden_size**-0.5
        layers["rnn"] = network(
            num_tokens if embedding is None else embedding,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            precision=precision,
            scan=scan,
            **where,
        )
        layers["drop"] = Dropout(dropout)
        shared = layers["embed"] if share else None
        layers["out"] = Linear(hidden_size, num_tokens, share=shared, precision=precision, **where)
        super().__init__(**layers)
        before = [("embed", self.embed), ("drop_in", self.drop)] if "embed" in layers else []
        self._run_in_order([*before, ("rnn", self.rnn), ("drop", self.drop), ("out", self.out)])
        length = embedding**0.5 if embedding and not share else 1.0  # of a column that U is given
        spread_tokens(self.rnn, random, length)

    def forward(  # type: ignore[override]  # (lengths have no place: all of a text is real)
        self,
        tokens: Array,
        state: State | None = None,
        dropout_rng: Draws = None,
        *,
        want_cache: bool = True,
    ) -> tuple[Array, State, Any]:
        """Run over windows of tokens.

        Args:
            tokens: (T, N) integers below K.
            state: of the end of the windows before; None is zeros.
            dropout_rng: a generator: drops out if given, and not otherwise.
            want_cache: False keeps nothing for `backward`.

        Returns:
            The scores (T, K, N) of the tokens that may come next, the state, and the cache, None if it
            is not wanted; in it are those of the layers, such as ``cache.rnn``.

        Raises:
            ValueError, TypeError: `tokens` or `state` do not fit; nothing has been computed.
        """
        tokens = checks.on_device("tokens", tokens, self.rnn.backend)
        tokens = checks.of_shape("tokens", tokens, ("T", "N"))
        tokens = checks.tokens("tokens", tokens, self.out.output_size, None, look=False)
        return super().forward(tokens, state, dropout_rng=dropout_rng, want_cache=want_cache)

    def backward(self, cache: Any, dscores: Array) -> None:  # type: ignore[override]
        """Add the gradients, back through the window of `cache` and no further (truncated BPTT).

        Args:
            cache: from `forward`, with the parameters as they were then.
            dscores: gradient of the loss with respect to the scores, (T, K, N).

        Raises:
            ValueError, TypeError: `cache` is older than the parameters; `dscores` does not fit.
        """
        super().backward(cache, dscores)

    def step(self, tokens: Array, state: State | None = None) -> tuple[Array, State]:
        """Read one token of each sequence, `tokens` (N,), and return the scores (K, N) and the state.

        Raises:
            ValueError, TypeError: `tokens` or `state` do not fit; nothing has been computed.
        """
        return super().step(tokens, state)

    def evaluate(self, ids: Ids, N: int = 1, T: int | None = None) -> float:
        """Mean negative log-likelihood in nats of ``ids[1:]``, each given all before it.

        Args:
            ids: (n,), on the host.
            N: read in so many streams, each of which starts with no knowledge of the one before: 1 is
                exact, more is faster and slightly too high. What does not fill the streams is left out.
            T: steps at a time, which changes the memory needed, and otherwise only rounding; None is
                as many as have about 16 million scores, but 500 at most.

        Raises:
            ValueError, TypeError: fewer than N + 1 ids; N or T is not a whole number of 1 or more.
        """
        if T is None:
            T = max(1, min(500, SCORES // (checks.whole_number("N", N) * self.out.output_size)))
        streams, state, total = Streams(ids, N, T, remainder=True), None, 0.0
        for k in range(len(streams)):
            tokens, targets = (to_device(part, self.rnn.backend.name) for part in streams.window(k))
            scores, state, _ = self.forward(tokens, state, want_cache=False)
            loss, _ = softmax_cross_entropy(scores, targets)
            total += float(loss) * len(tokens)
        return total / streams.length
