"""The language model: its gradient as a whole, windows and steps as one run, its measure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from helpers import assert_adds_up, gradients, same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.recurrent.by_name import NETWORKS

K, H, T, N = 5, 4, 3, 2
FORMS = {
    "one-hot": {},
    "embedding": {"embedding": 3},
    "shared": {"embedding": H, "share": True},
}
each_form = pytest.mark.parametrize("form", FORMS)
each_cell = pytest.mark.parametrize("cell", NETWORKS)


def make(form="one-hot", cell="lstm", dropout=0.0, dtype="float64"):
    return mr.LanguageModel(K, H, cell, 2, dropout=dropout, dtype=dtype, rng=0, **FORMS[form])


def states_of(model, rng):
    return tuple(rng.standard_normal((2, H, N)) for _ in model.rnn.cell.states)


@each_form
@each_cell
@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=pytest.mark.exhaustive), 0.4])
def test_its_gradient_is_the_derivative(rng, form, cell, dropout):
    model = make(form, cell, dropout)
    state = states_of(model, rng)
    tokens, targets = rng.integers(0, K, (2, T, N))

    def forward():
        scores, _, cache = model.forward(tokens, state, dropout_rng=np.random.default_rng(7))
        loss, dscores = mr.softmax_cross_entropy(scores, targets)
        return loss, (cache, dscores)

    report = mr.gradcheck(forward, lambda saved: model.backward(*saved), model.parameters())
    assert report.worst <= 1e-12, report
    assert {row.name for row in report.rows} == set(model.named_parameters())
    assert all(row.largest > 1e-3 for row in report.rows)  # nothing is cut off


@pytest.mark.parametrize("scan", ["generic", "numpy"])
def test_its_network_runs_the_scan_that_is_asked_for(scan):
    assert mr.LanguageModel(5, 4, scan=scan, rng=0).rnn.scan.name == scan
    with pytest.raises(ValueError, match="scan: 'fused' cannot run here"):
        mr.LanguageModel(5, 4, scan="fused")


def test_it_is_made_of_the_layers_it_names():
    one_hot, embedding, shared = (make(form) for form in FORMS)
    recurrent = [f"rnn.l{k}.{letter}" for k in range(2) for letter in "UWb"]
    assert list(one_hot.named_parameters()) == [*recurrent, "out.V", "out.b"]
    assert list(embedding.named_parameters()) == ["embed.E", *recurrent, "out.V", "out.b"]
    assert list(shared.named_parameters()) == ["embed.E", *recurrent, "out.b"]
    assert one_hot.rnn.input_size == K
    assert embedding.rnn.input_size == 3
    assert one_hot.rnn.dropout == one_hot.drop.p == 0
    assert make(dropout=0.3).rnn.dropout == make(dropout=0.3).drop.p == 0.3
    assert mr.LanguageModel(K, H, dropout=0.3).rnn.dropout == 0  # one layer has none between


@each_cell
@pytest.mark.parametrize("embedding", [None, 30, 80, "shared"])
def test_tokens_can_be_told_apart_from_the_start(cell, embedding):
    """U x has a standard deviation of 2 in every form; the shared V is as wide as in `Linear`."""
    share = embedding == "shared"
    model = mr.LanguageModel(300, 50, cell, 2, 50 if share else embedding, share, rng=0)
    P = model.state_dict()
    Ux = P["rnn.l0.U"] @ (np.eye(300) if embedding is None else P["embed.E"].T)
    assert Ux.std() == pytest.approx(2, rel=0.05)
    V = P["embed.E" if share else "out.V"]
    assert V.std() == pytest.approx(50**-0.5 / (1 if share else 3**0.5), rel=0.02)
    assert abs(P["rnn.l1.U"]).max() <= 50**-0.5


@each_form
def test_a_seed_gives_the_same_model(form):
    first, second = make(form, dtype="float32"), make(form, dtype="float32")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert same_bits(a.data, b.data)
        assert a.data.dtype == np.float32
        assert len(np.unique(a.data)) == a.size


@each_form
@each_cell
def test_windows_and_steps_are_one_long_run(rng, form, cell):
    model = make(form, cell, dropout=0.5)
    start = states_of(model, rng)
    tokens = rng.integers(0, K, (7, N))
    with unchanged(tokens, *start, *(p.data for p in model.parameters())):
        whole, end, _ = model.forward(tokens, start)
        state, scores = start, []
        for window in (tokens[:3], tokens[3:4], tokens[4:4], tokens[4:]):
            part, state, _ = model.forward(window, state)
            scores.append(part)
        np.testing.assert_allclose(np.concatenate(scores), whole, rtol=0, atol=1e-12)
        np.testing.assert_allclose(state, end, rtol=0, atol=1e-12)
        state = start
        for tokens_t, wanted in zip(tokens, whole, strict=True):
            scores_t, state = model.step(tokens_t, state)
            assert scores_t.shape == (K, N)
            np.testing.assert_allclose(scores_t, wanted, rtol=0, atol=1e-12)
        np.testing.assert_allclose(state, end, rtol=0, atol=1e-12)
    first = model.step(tokens[0])[0]  # without a state: from zeros
    np.testing.assert_allclose(first, model.forward(tokens[:1])[0][0], rtol=0, atol=1e-12)


@each_form
def test_dropout_only_when_asked_for_and_where_it_says(rng, form):
    model, tokens = make(form, dropout=0.4), rng.integers(0, K, (50, 20))
    plain, again = model.forward(tokens)[0], model.forward(tokens)[0]
    assert same_bits(plain, again)
    first, _, cache = model.forward(tokens, dropout_rng=np.random.default_rng(1))
    assert same_bits(first, model.forward(tokens, dropout_rng=np.random.default_rng(1))[0])
    assert not np.allclose(first, plain)
    assert not np.allclose(first, model.forward(tokens, dropout_rng=np.random.default_rng(2))[0])
    masks = [cache.drop.saved, cache.rnn.dropped[0]]
    assert hasattr(cache, "drop_in") is (form != "one-hot")
    if form != "one-hot":
        masks.append(cache.drop_in.saved)
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 1 / (1 - 0.4)}
        assert (mask == 0).mean() == pytest.approx(0.4, abs=0.04)
    assert len({mask.tobytes() for mask in masks}) == len(masks)  # each drawn anew


def test_backward_adds_up_and_refuses_what_is_not_its_own(rng):
    model, other = make(), make()
    tokens, dscores = rng.integers(0, K, (T, N)), rng.standard_normal((T, K, N))
    cache = model.forward(tokens)[2]
    assert_adds_up(model, lambda: model.backward(cache, dscores))
    with pytest.raises(ValueError, match="cache: comes from another layer"):
        other.backward(cache, dscores)
    with pytest.raises(ValueError, match=r"dy: got shape \(3, 4, 2\), want \(3, 5, 2\)"):
        model.backward(cache, dscores[:, :4])
    for name, g in gradients(other).items():
        assert not g.any(), name


def direct(model, ids):
    """Mean negative log-likelihood of ``ids[1:]``, one token after the other."""
    state, total = None, 0.0
    for token, following in pairwise(ids):
        scores, state = model.step(np.array([token]), state)
        total -= scores[following, 0] - np.log(np.exp(scores[:, 0]).sum())
    return total / (len(ids) - 1)


@each_form
def test_evaluate_is_the_mean_of_what_each_token_costs(rng, form):
    model, ids = make(form, dropout=0.5), rng.integers(0, K, 24, dtype=np.uint8)
    assert model.evaluate(ids) == pytest.approx(direct(model, ids), abs=1e-12)
    streams = [direct(model, ids[start : start + 8]) for start in (0, 7, 14)]  # 2 are left over
    assert model.evaluate(ids, N=3) == pytest.approx(np.mean(streams), abs=1e-12)
    assert isinstance(model.evaluate(ids), float)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(4, 40), st.integers(1, 3), st.integers(1, 45))
def test_steps_at_a_time_change_nothing(size, N, T):
    model, ids = make(), np.random.default_rng(size).integers(0, K, size)
    wanted = model.evaluate(ids, N, T=100)
    assert model.evaluate(ids, N, T) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "N", "T", "steps"),
    [
        (1 << 24, 1, 4, [4, 4, 4, 4, 4, 3]),  # of 23 tokens that are to be predicted
        (1 << 24, 1, None, [23]),
        (10 * K + K - 1, 1, None, [10, 10, 3]),  # no more scores at a time than that
        (10 * K, 2, None, [5, 5, 1]),
        (1, 1, None, [1] * 23),
    ],
)
def test_evaluate_computes_so_many_steps_at_a_time(rng, monkeypatch, scores, N, T, steps):
    model, ids, seen = make(), rng.integers(0, K, 24), []
    monkeypatch.setattr("minirnn.text.language.SCORES", scores)
    monkeypatch.setattr(
        "minirnn.text.language.softmax_cross_entropy",
        lambda s, *_: (seen.append(len(s)) or 0.0, None),
    )
    model.evaluate(ids, N, T)
    assert seen == steps


@pytest.mark.parametrize(("size", "most"), [(2, 500), (1 << 16, 256)])
def test_evaluate_asked_for_nothing_has_500_steps_or_16_million_scores(monkeypatch, size, most):
    model, seen = mr.LanguageModel(2, H), []
    monkeypatch.setattr(model.out, "output_size", size)
    monkeypatch.setattr(mr.LanguageModel, "forward", lambda _, x, *a, **b: (x, None, None))
    monkeypatch.setattr(
        "minirnn.text.language.softmax_cross_entropy",
        lambda s, *_: (seen.append(len(s)) or 0.0, None),
    )
    model.evaluate(np.zeros(1100, int))
    assert max(seen) == seen[0] == most


def test_evaluate_keeps_nothing(rng):
    model, ids = make(), rng.integers(0, K, 30)
    with unchanged(
        ids, *(p.data for p in model.parameters()), *(p.grad for p in model.parameters())
    ):
        model.evaluate(ids, 2, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: mr.LanguageModel(K, H, "elman"),
            "cell: got 'elman', want one of rnn, lstm, gru, or a cell, such as LSTMCell()",
        ),
        (
            lambda m: mr.LanguageModel(K, H, share=True),
            r"got None with share=True, want hidden_siz",
        ),
        (lambda m: mr.LanguageModel(K, H, embedding=3, share=True), r"embedding: got 3 .* = 4"),
        (lambda m: mr.LanguageModel(K, H, dropout=1.0), r"dropout: got 1\.0, want .*\[0, 1\)"),
        (lambda m: mr.LanguageModel(0, H), "num_tokens: got 0, want 1 or more"),
        (lambda m: mr.LanguageModel(K, 0), "hidden_size: got 0, want 1 or more"),
        (lambda m: mr.LanguageModel(K, H, embedding=0), "embedding: got 0, want 1 or more"),
        (lambda m: m.forward(np.array([[0, K]])), "tokens: got tokens from 0 to 5, want 0 to 4"),
        (lambda m: m.step(np.array([-1])), "got tokens from -1 to -1, want 0 to 4"),
        (lambda m: m.evaluate(np.array([1])), r"ids: got 1 tokens, want N \+ 1 = 2 or more"),
        (lambda m: m.evaluate(np.arange(4), N=4), r"ids: got 4 tokens, want N \+ 1 = 5 or more"),
        (lambda m: m.evaluate(np.arange(4), T=0), "T: got 0, want 1 or more"),
        (lambda m: m.evaluate(np.array([0, 1, K])), "got tokens from . to 5, want 0 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(make())
