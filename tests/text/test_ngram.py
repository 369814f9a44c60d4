"""Counting: sums of probabilities, values by hand and by plain dictionaries, contexts, refusals."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest
from helpers import unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

from minirnn.text.ngram import FALLBACK, NGram

quick = settings(max_examples=50, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
orders = st.integers(1, 5)
# Few tokens repeat every context; many leave most of them unseen.
texts = st.integers(1, 6).flatmap(
    lambda V: st.tuples(st.just(V), st.lists(st.integers(0, V - 1), min_size=1, max_size=40))
)


class PlainNGram:
    """The formulae, one n-gram at a time, in tuples and dictionaries."""

    def __init__(self, ids, V, order):
        ids = tuple(int(w) for w in ids)
        self.V, self.order, self.counts = V, order, []
        for n in range(1, order + 1):
            if n == order:
                counts = Counter(ids[i : i + n] for i in range(len(ids) - n + 1))
            else:
                longer = {ids[i : i + n + 1] for i in range(len(ids) - n)}
                counts = Counter(gram[1:] for gram in longer)
            self.counts.append(counts)
        self.discounts = [self.estimate(Counter(counts.values())) for counts in self.counts]
        self.followers = [defaultdict(list) for _ in self.counts]
        for followers, counts in zip(self.followers, self.counts, strict=True):
            for gram, c in counts.items():
                followers[gram[:-1]].append(c)

    @staticmethod
    def estimate(n):
        if 0 in (n[1], n[2], n[3], n[4]):
            return FALLBACK
        Y = n[1] / (n[1] + 2 * n[2])
        D1, D2, D3 = (k - (k + 1) * Y * n[k + 1] / n[k] for k in (1, 2, 3))
        return (D1, D2, D3) if D1 > 0 and D2 > 0 and D3 > 0 else FALLBACK

    def p(self, context, w):
        """Of w after a context of up to order - 1 tokens; None is the level below the empty one."""
        if context is None:
            return 1 / self.V
        lower = self.p(context[1:] if context else None, w)
        n = len(context)
        followers = self.followers[n].get(context)
        if followers is None:
            return lower
        D = self.discounts[n]
        total = sum(followers)
        gamma = sum(D[min(c, 3) - 1] for c in followers) / total
        c = self.counts[n][(*context, w)]
        return (c - D[min(c, 3) - 1] if c else 0) / total + gamma * lower

    def nll(self, ids):
        ids = tuple(int(w) for w in ids)
        return [
            -math.log(self.p(ids[max(0, i - self.order + 1) : i], w)) for i, w in enumerate(ids)
        ]


def some_text(V, size, seed):
    """Tokens of which some are frequent and some rare, as words are, in phrases that come back."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, V + 1)
    phrases = [rng.choice(V, rng.integers(1, 6), p=weights / weights.sum()) for _ in range(size)]
    return np.concatenate([phrases[int(size * rng.random() ** 3)] for _ in range(size)])[:size]


def probabilities(model, context):
    """Of every token after this context."""
    V = model.vocabulary_size
    return np.exp([-model.nll(np.array([w]), context)[0] for w in range(V)])


@quick
@given(text=texts, order=orders, seed=seeds)
def test_probabilities_of_every_context_sum_to_1(text, order, seed):
    V, ids = text
    model = NGram(np.array(ids), V, order)
    rng = np.random.default_rng(seed)
    seen = [np.array(ids[i:j]) for i, j in rng.integers(0, len(ids) + 1, (5, 2))]
    ends = [np.array(ids[-n:]) for n in range(1, order)]  # whose last token nothing follows
    for context in [*seen, *ends, *rng.integers(0, V, (5, order))]:
        p = probabilities(model, context.astype(int))
        assert p.sum() == pytest.approx(1, abs=1e-13)
        assert (p > 0).all()


@quick
@given(text=texts, order=orders, seed=seeds)
def test_every_token_is_as_likely_as_plain_dictionaries_say(text, order, seed):
    V, ids = text
    other = np.random.default_rng(seed).integers(0, V, 20)
    model, plain = NGram(np.array(ids), V, order), PlainNGram(ids, V, order)
    for read in (ids, other):
        np.testing.assert_allclose(model.nll(read), plain.nll(read), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize(("V", "size"), [(12, 400), (3000, 2000)], ids=str)
def test_discounts_and_values_on_longer_texts(order, V, size):
    ids = some_text(V, size, seed=order)
    train, test = ids[: size * 3 // 4], ids[size * 3 // 4 :]
    model, plain = NGram(train, V, order), PlainNGram(train, V, order)
    np.testing.assert_allclose(model.discounts, plain.discounts, rtol=1e-12, atol=0)
    np.testing.assert_allclose(model.nll(test), plain.nll(test), rtol=1e-12, atol=1e-12)
    if V == 60 and order > 2:  # or else this text would show the fallback only
        assert (model.discounts != FALLBACK).any()
    assert model.mean_nll(test) == pytest.approx(np.mean(plain.nll(test)), rel=1e-12)


def test_a_bigram_by_hand():
    # Of "abab" followed by "ac", among a, b, c, d. Bigrams: ab 2, ba 2, ac 1. What comes after a
    # distinct token: a after b; b after a; c after a: one each. All discounts are the fallback's.
    model = NGram([0, 1, 0, 1, 0, 2], 4, order=2)
    assert model.discounts.tolist() == [[0.5, 1, 1.5]] * 2
    unigram = np.array([1 / 6, 1 / 6, 1 / 6, 0]) + 0.5 * 0.25  # (1 - ½)/3, and γ = 3·½/3 to 1/V
    np.testing.assert_allclose(probabilities(model, None), unigram, rtol=1e-14)
    after_a = np.array([0, (2 - 1) / 3, (1 - 0.5) / 3, 0]) + (1 + 0.5) / 3 * unigram
    np.testing.assert_allclose(probabilities(model, [0]), after_a, rtol=1e-14)
    after_b = np.array([(2 - 1) / 2, 0, 0, 0]) + 1 / 2 * unigram
    np.testing.assert_allclose(probabilities(model, [1]), after_b, rtol=1e-14)
    for context in ([2], [3], [0, 2]):  # nothing was seen after c, and d was not seen
        np.testing.assert_allclose(probabilities(model, context), unigram, rtol=1e-14)
    expected = -np.log([unigram[3], unigram[0], after_a[1]])
    np.testing.assert_allclose(model.nll([3, 0, 1]), expected, rtol=1e-14)


def test_discounts_by_hand():
    # Once: 0 to 5, twice: 6 to 8, three times: 9 and 10, four times: 11, nine times: 12.
    ids = np.repeat(np.arange(13), [1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 9])
    model = NGram(ids, 20, order=1)
    Y = 6 / (6 + 2 * 3)
    D1, D2, D3 = 1 - 2 * Y * 3 / 6, 2 - 3 * Y * 2 / 3, 3 - 4 * Y * 1 / 2
    assert (D1, D2, D3) == (0.5, 1, 2)
    np.testing.assert_allclose(model.discounts, [[D1, D2, D3]], rtol=1e-14)
    handed_down = (6 * D1 + 3 * D2 + 4 * D3) / 31 / 20
    kept = np.array([1 - D1] * 6 + [2 - D2] * 3 + [3 - D3] * 2 + [4 - D3, 9 - D3] + [0] * 7) / 31
    np.testing.assert_allclose(probabilities(model, None), kept + handed_down, rtol=1e-14)


@pytest.mark.parametrize(
    "times",
    [[2, 2, 3, 4], [1, 1, 3, 4], [1, 1, 2, 4], [1, 1, 2, 3], [1, 2, 3, 3, 4], [1, 2, 3, 4, 4, 4]],
    ids=["no n1", "no n2", "no n3", "no n4", "D2 = 0", "D3 < 0"],
)
def test_discounts_that_cannot_be_estimated_are_the_fallback(times):
    model = NGram(np.repeat(np.arange(len(times)), times), 9, order=1)
    assert tuple(model.discounts[0]) == FALLBACK
    assert np.exp(-model.nll(np.arange(9))).sum() == pytest.approx(1)


@quick
@given(text=texts, order=orders, seed=seeds, m=st.integers(0, 8))
def test_with_a_context_it_is_the_tail_of_the_whole(text, order, seed, m):
    V, ids = text
    model = NGram(ids, V, order)
    context, new = np.split(np.random.default_rng(seed).integers(0, V, 12), [m])
    with unchanged(context, new):
        tail = model.nll(new, context)
    assert (tail == model.nll(np.concatenate((context, new)))[m:]).all()
    assert model.mean_nll(new, context) == tail.mean()


def test_longer_contexts_help_where_the_text_has_them():
    ids = np.tile([0, 0, 1, 0, 1, 1, 1, 0], 200)  # each three tokens are followed by one only
    nll = [NGram(ids[:800], 2, order).mean_nll(ids[800:]) for order in (1, 2, 3, 4)]
    assert nll == sorted(nll, reverse=True)
    assert nll[0] == pytest.approx(math.log(2), abs=1e-3)
    assert nll[3] < 0.05


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_integers_of_any_kind(dtype):
    ids = some_text(250, 600, seed=0)
    model, want = NGram(ids.astype(dtype), 250, 3), NGram(ids, 250, 3)
    got = model.nll(ids.astype(dtype))
    assert got.dtype == np.float64
    assert (got == want.nll(ids)).all()


def test_the_smallest_cases():
    assert NGram([0], 1, order=5).nll([0, 0, 0]) == pytest.approx([0, 0, 0], abs=1e-15)
    model = NGram([2, 1], 3, order=4)
    assert model.nll(np.empty(0, int)).shape == (0,)
    assert model.nll(np.empty(0, int), [1, 2]).shape == (0,)
    for context in product(range(3), repeat=3):
        assert probabilities(model, list(context)).sum() == pytest.approx(1, abs=1e-14)


ROW = [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: NGram([ROW, ROW], 3), ValueError, r"ids: got shape \(2, 3\), want \(n\)"),
        (lambda: NGram(np.empty(0, int), 3), ValueError, "ids: got no tokens, want 1 or more"),
        (lambda: NGram(ROW, 2), ValueError, "ids: got tokens from 0 to 2, want 0 to 1"),
        (lambda: NGram([-1], 2), ValueError, "ids: got tokens from -1 to -1, want 0 to 1"),
        (lambda: NGram([0.0], 2), TypeError, "ids: got float64 .*want integers below 2"),
        (lambda: NGram(ROW, 3, 0), ValueError, "order: got 0, want 1 or more"),
        (lambda: NGram(ROW, 3, 2.0), TypeError, "order: got 2.0, want an integer"),
        (lambda: NGram(ROW, 0), ValueError, "vocabulary_size: got 0, want 1 or more"),
        (lambda: NGram(ROW, 3).nll(1), ValueError, r"ids: got shape \(\), want \(n\)"),
        (lambda: NGram(ROW, 3).nll([3]), ValueError, "ids: got tokens from 3 to 3, want 0 to 2"),
        (lambda: NGram(ROW, 3).nll(ROW, [[1]]), ValueError, r"context: got shape \(1, 1\)"),
        (lambda: NGram(ROW, 3).nll(ROW, [0, 9]), ValueError, "context: got tokens from 0 to 9"),
        (lambda: NGram(ROW, 3).nll(ROW, [0.5]), TypeError, "context: got float64"),
        (lambda: NGram(ROW, 3).mean_nll(np.empty(0, int)), ValueError, "ids: got no tokens"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
