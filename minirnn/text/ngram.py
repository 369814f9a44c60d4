"""What counting gets: n-grams with modified Kneser-Ney smoothing, to measure a network against.

Of a token w after a context h = (h_1 … h_{n-1}), where h' is h without its first token,

    p(w | h) = (c(h w) - D(c(h w))) / Σ_v c(h v)  +  γ(h) p(w | h')
    γ(h) = Σ_v D(c(h v)) / Σ_v c(h v),            p(w | h) = p(w | h') where Σ_v c(h v) = 0.

The recursion ends below the empty context, where p = 1/V: no token is impossible. At the highest
order c is the number of occurrences; below it, the number of distinct tokens found in front of h w,
since a lower order matters only where the higher one has seen little. D is 0, D1, D2 or D3+ where c
is 0, 1, 2 or more. What the discounts take off is what γ hands down, hence Σ_w p(w | h) = 1.

Chen & Goodman 1998, "An empirical study of smoothing techniques for language modeling", TR-10-98 of
Harvard (modified Kneser-Ney, interpolated); Kneser & Ney 1995, "Improved backing-off for m-gram
language modeling".
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import Array, get_backend

Host: TypeAlias = np.ndarray[Any, Any]

FALLBACK = (0.5, 1.0, 1.5)  # for D1, D2, D3+, as KenLM's --discount_fallback has them


class NGram:
    """Counts of the n-grams of a text, as probabilities of the next token.

    The vocabulary is closed: a token for unknown words is a token like any other. Some 24 bytes are
    kept for each distinct n-gram of each order.

    Args:
        ids: integers in [0, vocabulary_size), (n,) with n of at least 1: the text to count.
        vocabulary_size: the number V of tokens.
        order: the longest n-grams counted. 1 looks at no context, 2 at the token before, and so on.

    Attributes:
        discounts: (order, 3), row n - 1 has the D1, D2, D3+ of the n-grams.

    Raises:
        ValueError: `ids` that are not a row, are none, or are out of range; an order below 1.
        TypeError: `ids` that are not integers or not on the host.
    """

    def __init__(self, ids: Array, vocabulary_size: int, order: int = 5) -> None:
        self.vocabulary_size = checks.whole_number("vocabulary_size", vocabulary_size)
        self.order = checks.whole_number("order", order)
        ids = self._text("ids", ids, least=1)
        keys, counts = _count(ids, self.vocabulary_size, self.order)
        self.discounts = np.array([_discounts(c) for c in counts])
        self._keys = [np.append(k, np.iinfo(np.int64).max) for k in keys]  # a lookup ends before it
        self._shares: list[Host] = []  # of each n-gram, (c - D(c)) / Σ c
        self._gammas: list[
            Host
        ] = []  # of each context; the last of both is for what was never seen
        for n in range(self.order):
            context = keys[n] // self.vocabulary_size
            contexts = keys[n - 1].size if n else 1
            off = np.append(0.0, self.discounts[n])[np.minimum(counts[n], 3)]
            total = np.bincount(context, counts[n], contexts + 1)
            taken = np.bincount(context, off, contexts + 1)
            some = np.maximum(total, 1)  # where there is nothing, γ is 1
            self._gammas.append(np.where(total > 0, taken / some, 1.0))
            self._shares.append(np.append((counts[n] - off) / some[context], 0.0))

    def nll(self, ids: Array, context: Array | None = None) -> Host:
        """Negative log-likelihood, in nats, of each token given those before it.

        Args:
            ids: integers in [0, V), (n,). The first have shorter contexts, the very first none.
            context: tokens that came before `ids`, (m,); only the last order - 1 make a difference.

        Returns:
            float64, (n,): -ln p, which is finite for every token.

        Raises:
            ValueError: an argument that is not a row, or is out of range.
            TypeError: an argument that is not integers, or not on the host.
        """
        ids = self._text("ids", ids)
        before = self._text("context", ids[:0] if context is None else context)
        before = before[max(0, before.size - self.order + 1) :]
        text = np.concatenate((before, ids))
        p = np.full(text.size, 1 / self.vocabulary_size)
        row = np.zeros(text.size, np.int64)  # of the n-gram that ends here; -1 is one never seen
        for n in range(self.order):
            # An n-gram's context is the (n-1)-gram that ends one token earlier.
            context_row = np.append(-1, row)[:-1] if n else row
            key = context_row * self.vocabulary_size + text
            at = np.searchsorted(self._keys[n], key)
            row = np.where(self._keys[n][at] == key, at, -1)  # after a -1, no key: they are below 0
            p = self._shares[n][row] + self._gammas[n][context_row] * p
        nll: Host = -np.log(p[before.size :])
        return nll

    def mean_nll(self, ids: Array, context: Array | None = None) -> float:
        """The mean of `nll` of `ids` (n,) after `context` (m,), in nats per token.

        Its exponential is the perplexity.

        Raises:
            ValueError: as `nll`, and where there are no tokens to average over.
            TypeError: as `nll`.
        """
        return float(self.nll(self._text("ids", ids, least=1), context).mean())

    def _text(self, name: str, ids: Array, least: int = 0) -> Host:
        """Return `ids` as int64, if they are a row of at least so many tokens."""
        row = checks.of_shape(name, checks.on_device(name, ids, get_backend("cpu")), ("n",))
        if row.size < least:
            raise ValueError(f"{name}: got no tokens, want {least} or more")
        row = checks.tokens(name, row, self.vocabulary_size, None, look=True)
        return np.asarray(row, np.int64)


def _count(ids: Host, V: int, order: int) -> tuple[list[Host], list[Host]]:
    """Return, for each order, the sorted keys of the n-grams and their c.

    The key of an n-gram is (row of its first n - 1 tokens among the keys of the order below) · V +
    its last token: one integer however long the n-gram, and below len(ids) · V.
    """
    keys: list[Host] = []
    counts: list[Host] = []
    row = np.zeros(ids.size + 1, np.int64)  # of the (n-1)-grams, in the order of the text
    for n in range(order):
        key, inverse, count = _distinct(row[:-1] * V + ids[n:], V * (keys[-1].size if n else 1))
        if n:
            # Each distinct n-gram is one token in front of the (n-1)-gram that it ends in. The
            # text's first has none in front: its c may be 0, which is that of one never seen.
            last = np.empty(key.size, np.int64)
            last[inverse] = row[1:]
            counts[-1] = np.bincount(last, minlength=keys[-1].size)
        keys.append(key)
        counts.append(count)
        row = inverse
    return keys, counts


def _distinct(keys: Host, bound: int) -> tuple[Host, Host, Host]:
    """Return the distinct keys, sorted; which of them each of `keys` is; how often each occurs."""
    if bound > 4 * keys.size:
        return np.unique(keys, return_inverse=True, return_counts=True)
    # Of short n-grams of characters so few are possible that a table of them all is small, and some
    # ten times as fast as sorting.
    table = np.bincount(keys, minlength=bound)
    distinct = np.flatnonzero(table)
    place = np.zeros(bound, np.int64)
    place[distinct] = np.arange(distinct.size)
    return distinct, place[keys], table[distinct]


def _discounts(c: Host) -> tuple[float, float, float]:
    """Return D1, D2, D3+ as estimated from n_k, the number of n-grams whose c is k.

    In a short text, or where nearly all tokens are frequent, as characters are, an n_k may be 0, or
    so small that a discount comes out at 0 or below, which would leave nothing for unseen tokens.
    Then all three are `FALLBACK`. Where every c is large, it hardly matters.
    """
    _, n1, n2, n3, n4 = np.bincount(np.minimum(c, 5), minlength=6)[:5].tolist()
    if min(n1, n2, n3, n4) == 0:
        return FALLBACK
    Y = n1 / (n1 + 2 * n2)
    D = (1 - 2 * Y * n2 / n1, 2 - 3 * Y * n3 / n2, 3 - 4 * Y * n4 / n3)
    return D if min(D) > 0 else FALLBACK
