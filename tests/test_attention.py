"""Attention: against the equations one column at a time, and its gradients by the complex step."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr

quick = settings(max_examples=30, deadline=None, derandomize=True)
T, S, H, N = 3, 4, 2, 5
LENGTHS = (2, 0, 4, 1, 3)
each_lengths = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])


def draw(rng, T=T, S=S, H=H, N=N):
    return rng.standard_normal((T, H, N)), rng.standard_normal((S, H, N))


def look_up(query, memory):
    """One query (H,) and one memory (S, H): the weights (S,) and the context (H,), as in the docs."""
    e = [float(m @ query) for m in memory]
    a = np.exp(e) / np.exp(e).sum()
    return a, sum(a_s * m for a_s, m in zip(a, memory, strict=True))


@quick
@given(st.integers(0, 2**32 - 1), *[st.integers(1, 5)] * 4, st.booleans())
def test_it_is_a_weighted_mean_of_what_is_like_the_query(seed, T, S, H, N, padded):
    rng = np.random.default_rng(seed)
    queries, memory = draw(rng, T, S, H, N)
    lengths = rng.integers(1, S + 1, N) if padded else None
    with unchanged(queries, memory):
        context, cache = mr.Attention().forward(queries, memory, lengths)
    for n in range(N):
        end = S if lengths is None else lengths[n]
        for t in range(T):
            a, c = look_up(queries[t, :, n], memory[:end, :, n])
            np.testing.assert_allclose(cache.weights[t, :end, n], a, rtol=1e-12)
            np.testing.assert_allclose(context[t, :, n], c, rtol=1e-10, atol=1e-12)
            assert not cache.weights[t, end:, n].any()


@each_lengths
def test_every_gradient_is_exact(rng, lengths):
    queries, memory = draw(rng)
    layer, dcontext = mr.Attention(), rng.standard_normal((T, H, N))

    def forward(queries, memory):
        context, cache = layer.forward(queries, memory, lengths)
        return (dcontext * context).sum(), cache

    def backward(cache):
        return dict(zip(("queries", "memory"), layer.backward(cache, dcontext), strict=True))

    report = mr.gradcheck(forward, backward, queries=queries, memory=memory)
    assert report.worst <= 1e-12, report
    assert all(row.largest > 0.1 for row in report.rows)


def test_padding_is_never_read(rng):
    queries, memory = draw(rng)
    layer, dcontext = mr.Attention(), rng.standard_normal((T, H, N))
    context, cache = layer.forward(queries, memory, LENGTHS)
    dqueries, dmemory = layer.backward(cache, dcontext)
    beyond = np.arange(S)[:, None] >= np.array(LENGTHS)
    memory.swapaxes(1, 2)[beyond] = np.nan
    again, cache = layer.forward(queries, memory, LENGTHS)
    assert same_bits(again, context)
    assert not cache.weights.swapaxes(0, 1)[beyond.nonzero()[0], :, beyond.nonzero()[1]].any()
    for got, wanted in zip(layer.backward(cache, dcontext), (dqueries, dmemory), strict=True):
        assert same_bits(got, wanted)
    assert not dmemory.swapaxes(1, 2)[beyond].any()
    assert not context[..., 1].any()  # a sequence without any memory
    assert not dqueries[..., 1].any()


def test_a_sequence_alone_gets_the_same_numbers_as_in_a_padded_batch(rng):
    queries, memory = draw(rng)
    layer, dcontext = mr.Attention(), rng.standard_normal((T, H, N))
    context, cache = layer.forward(queries, memory, LENGTHS)
    dqueries, dmemory = layer.backward(cache, dcontext)
    for n, end in enumerate(LENGTHS):
        if not end:
            continue
        own, cache = layer.forward(queries[..., [n]], memory[:end, :, [n]])
        dq, dm = layer.backward(cache, dcontext[..., [n]])
        pairs = (own, context), (dq, dqueries), (dm, dmemory[:end])
        for alone, batch in pairs:
            np.testing.assert_allclose(alone[..., 0], batch[..., n], rtol=0, atol=1e-14)


@each_lengths
def test_a_look_is_forward_without_its_record(rng, lengths):
    queries, memory = draw(rng)
    real = np.arange(S)[:, None] < np.array(lengths or [S] * N)
    memory *= real[:, None]
    with unchanged(queries, memory, real):
        context = mr.Attention().look(queries, memory, real)
    wanted, _ = mr.Attention().forward(queries, memory, lengths)
    assert same_bits(context, wanted)


def test_large_scores_do_not_overflow():
    memory = np.array([[1000.0], [-1000.0]])[:, :, None]
    context, cache = mr.Attention().forward(memory[:1], memory)
    assert cache.weights.ravel().tolist() == [1, 0]
    assert context.ravel().tolist() == [1000]
    far = -memory[:1] * 1e3  # all that is real scores far below the padding's zeros
    context, cache = mr.Attention().forward(far, memory, [1])
    assert cache.weights.ravel().tolist() == [1, 0]


def test_what_is_returned_is_the_callers_and_backward_can_be_repeated(rng):
    queries, memory = draw(rng)
    layer, dcontext = mr.Attention(), rng.standard_normal((T, H, N))
    context, cache = layer.forward(queries, memory)
    first = layer.backward(cache, dcontext)
    kept = [d.copy() for d in first]
    for array in (queries, memory, context, *first):
        array[...] = np.nan
    with unchanged(dcontext):
        second = layer.backward(cache, dcontext)
    assert all(same_bits(a, b) for a, b in zip(kept, second, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_lengths
def test_it_computes_in_the_dtype_of_the_queries(rng, dtype, lengths):
    queries, memory = draw(rng)
    layer, queries = mr.Attention(), queries.astype(dtype)
    context, cache = layer.forward(queries, memory, lengths)
    found = (context, cache.weights, *layer.backward(cache, context))
    assert {array.dtype for array in found} == {np.dtype(dtype)}


Q, M = np.ones((3, 2, 5)), np.ones((4, 2, 5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 2), M), "queries: got tuple, want an array"),
        ((Q[0], M), r"queries: got shape \(2, 5\), want \(T, H, N\)"),
        ((Q.astype(int), M), "queries: got int64, want floating-point numbers"),
        ((Q, np.ones((4, 3, 5))), r"memory: got shape \(4, 3, 5\), want \(S, 2, 5\)"),
        ((Q, M[..., :1]), r"memory: got shape \(4, 2, 1\), want \(S, 2, 5\)"),
        ((Q, M[:0]), r"memory: got shape \(0, 2, 5\), want one step or more"),
        ((Q, M + 0j), "memory: got complex128, want real numbers"),
        ((Q, M, [1, 2]), r"lengths: got shape \(2,\), want \(5,\)"),
        ((Q, M, [5] * 5), "lengths: got 5 to 5, want 0 to T = 4"),
    ],
)
def test_forward_refuses_what_does_not_fit(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mr.Attention().forward(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Q[0], M, np.ones(5, bool)), r"queries: got shape \(2, 5\), want \(T, H, N\)"),
        ((Q, M, np.ones(5, bool)), r"real: got shape \(5,\), want \(4, 5\)"),
        ((Q, M, np.ones((4, 5))), "real: got float64, want booleans"),
        ((Q, M[:0], np.ones((0, 5), bool)), r"memory: got shape \(0, 2, 5\), want one step"),
        ((Q, M[..., :1], np.ones((4, 5), bool)), r"memory: got shape \(4, 2, 1\), want \(S, 2, 5"),
    ],
)
def test_look_refuses_what_does_not_fit(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mr.Attention().look(*arguments)


def test_backward_refuses_what_does_not_fit():
    layer = mr.Attention()
    context, cache = layer.forward(Q, M)
    with pytest.raises(ValueError, match=r"dcontext: got shape \(3, 2, 1\), want \(3, 2, 5\)"):
        layer.backward(cache, context[..., :1])
    with pytest.raises(TypeError, match="cache: got tuple, want what forward returned last"):
        layer.backward((context, cache), context)
    with pytest.raises(ValueError, match="cache: comes from another layer"):
        mr.Attention().backward(cache, context)
