"""Losses: values by hand and by a plain loop, gradients by the complex step, padding, extremes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import gradients, same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.data import pad, real_steps

quick = settings(max_examples=50, deadline=None, derandomize=True)
sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)


def plain_loss(scores, targets, weights):
    """Σ w·nll / Σ w, one position at a time, in Python's own numbers."""
    total = 0.0
    for t, n in np.ndindex(targets.shape):
        exponentials = [math.exp(score) for score in scores[t, :, n]]
        nll = -math.log(exponentials[targets[t, n]] / sum(exponentials))
        total += weights[t, n] * nll
    return total / weights.sum()


def example(T, K, N, seed):
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((T, K, N))
    return scores, rng.integers(0, K, (T, N)), rng.uniform(0.1, 2, (T, N))


@pytest.mark.parametrize(
    ("pair", "expected"), [((0.3, 0.7), 0.513015), ((0.1, 0.9), 0.371101)], ids=str
)
@pytest.mark.parametrize("weights", [None, np.ones((3, 1))], ids=["none", "ones"])
def test_the_value_by_hand(pair, expected, weights):
    scores = np.tile(np.array(pair)[:, None], (3, 1, 1))
    loss, _ = mr.softmax_cross_entropy(scores, np.ones((3, 1), int), weights)
    assert loss == pytest.approx(expected, abs=5e-7)


@quick
@given(T=sizes, K=sizes, N=sizes, seed=seeds)
def test_the_loss_is_that_of_a_plain_loop(T, K, N, seed):
    scores, targets, weights = example(T, K, N, seed)
    loss, _ = mr.softmax_cross_entropy(scores, targets, weights)
    assert loss == pytest.approx(plain_loss(scores, targets, weights), rel=1e-12, abs=1e-15)
    unweighted, _ = mr.softmax_cross_entropy(scores, targets)
    ones = np.ones((T, N))
    assert unweighted == pytest.approx(plain_loss(scores, targets, ones), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rank", [2, 3])
def test_the_gradient_is_exact(rank, weighted):
    scores, targets, weights = example(3, 4, 5, seed=1)
    weights[1, 2] = 0
    if rank == 2:
        scores, targets, weights = scores[0], targets[0], weights[0]

    def forward(scores):
        return mr.softmax_cross_entropy(scores, targets, weights if weighted else None)

    report = mr.gradcheck(forward, lambda dscores: {"scores": dscores}, scores=scores)
    assert [row.name for row in report.rows] == ["scores"]
    assert report.worst <= 1e-12, report


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_ten_thousand_stay_finite(dtype):
    scores = np.array([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4]], dtype)
    targets = np.array([0, 0, 1])
    loss, dscores = mr.softmax_cross_entropy(scores, targets)
    assert loss == pytest.approx((0 + 2e4 + math.log(2)) / 3, rel=1e-6)
    np.testing.assert_allclose(dscores * 3, [[0, -1, 0.5], [0, 1, -0.5]], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_and_gradient_have_the_dtype_of_the_scores(dtype):
    scores, targets, weights = example(3, 4, 2, seed=2)
    loss, dscores = mr.softmax_cross_entropy(scores.astype(dtype), targets, weights)
    assert (loss.dtype, dscores.dtype) == (dtype, dtype)
    loss, dpred = mr.mse(scores.astype(dtype), scores + 1)
    assert (loss.dtype, dpred.dtype) == (dtype, dtype)


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_only_the_shares_of_weights_have_to_fit_the_dtype(scale):
    scores, targets, weights = example(3, 4, 2, seed=2)
    scores, y = scores.astype("float32"), np.ones_like(scores, "float32")
    for loss, target in ((mr.softmax_cross_entropy, targets), (mr.mse, y)):
        expected, scaled = loss(scores, target, weights), loss(scores, target, scale * weights)
        assert scaled[0].dtype == scaled[1].dtype == np.float32
        np.testing.assert_allclose(scaled[0], expected[0], rtol=1e-6)
        np.testing.assert_allclose(scaled[1], expected[1], rtol=1e-5)


def test_all_zero_weights_give_no_loss_and_no_gradient():
    scores, targets, weights = example(3, 4, 2, seed=3)
    loss, dscores = mr.softmax_cross_entropy(scores, targets, 0 * weights)
    assert loss == 0
    assert dscores.shape == scores.shape
    assert not dscores.any()


@quick
@given(seed=seeds, share=st.floats(0, 1))
def test_what_has_weight_zero_is_not_looked_at(seed, share):
    scores, targets, weights = example(4, 3, 5, seed)
    padding = np.random.default_rng(seed + 1).random((4, 5)) < share
    weights[padding] = 0
    loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)

    spoiled = np.where(padding[:, None], np.nan, scores)
    spoiled_loss, spoiled_dscores = mr.softmax_cross_entropy(
        spoiled, np.where(padding, -1, targets), weights
    )
    assert same_bits(spoiled_loss, loss)
    np.testing.assert_array_equal(spoiled_dscores, dscores)
    assert not spoiled_dscores.swapaxes(1, 2)[padding].any()


@quick
@given(T=sizes, K=sizes, N=sizes, seed=seeds)
def test_a_step_alone_and_a_sequence_of_one_agree(T, K, N, seed):
    scores, targets, weights = example(T, K, N, seed)
    for t in range(T):
        one = slice(t, t + 1)
        loss, dscores = mr.softmax_cross_entropy(scores[t], targets[t], weights[t])
        loss3, dscores3 = mr.softmax_cross_entropy(scores[one], targets[one], weights[one])
        assert same_bits(loss, loss3)
        assert same_bits(dscores, dscores3[0])


@quick
@given(T=sizes, K=sizes, N=sizes, seed=seeds, weighted=st.booleans())
def test_scores_may_lie_in_memory_in_any_order(T, K, N, seed, weighted):
    """`Linear` returns (T, K, N) with time beside the batch."""
    scores, targets, weights = example(T, K, N, seed)
    weights = weights if weighted else None
    loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)
    for axes in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        turned = np.ascontiguousarray(scores.transpose(axes)).transpose(np.argsort(axes))
        loss2, dscores2 = mr.softmax_cross_entropy(turned, targets, weights)
        assert loss2 == pytest.approx(loss, rel=1e-12, abs=1e-15)
        np.testing.assert_allclose(dscores2, dscores, rtol=1e-12, atol=1e-15)


@quick
@given(seed=seeds, factor=st.floats(1e-3, 1e3))
def test_only_the_ratios_of_weights_matter(seed, factor):
    scores, targets, weights = example(3, 4, 2, seed)
    loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)
    loss2, dscores2 = mr.softmax_cross_entropy(scores, targets, factor * weights)
    assert loss2 == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(dscores2, dscores, rtol=1e-12, atol=1e-15)


def test_weight_two_counts_as_twice_the_same_column():
    scores, targets, _ = example(3, 4, 2, seed=4)
    loss, _ = mr.softmax_cross_entropy(scores, targets, np.array([[1, 2]] * 3))
    again = [0, 1, 1]
    loss2, _ = mr.softmax_cross_entropy(scores[..., again], targets[:, again])
    assert loss == pytest.approx(loss2, rel=1e-12)


def test_a_mask_of_truth_values_will_do_for_weights():
    scores, targets, _ = example(3, 4, 2, seed=5)
    mask = np.array([[True, True], [True, False], [False, False]])
    loss, dscores = mr.softmax_cross_entropy(scores, targets, mask)
    loss2, dscores2 = mr.softmax_cross_entropy(scores, targets, mask.astype(float))
    assert same_bits(loss, loss2)
    assert same_bits(dscores, dscores2)


@pytest.mark.parametrize("shape", [(0, 3, 2), (2, 3, 0), (3, 0)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_columns_give_no_loss(shape, weighted):
    scores, targets = np.zeros(shape, np.float32), np.zeros((*shape[:-2], shape[-1]), int)
    loss, dscores = mr.softmax_cross_entropy(scores, targets, targets + 1 if weighted else None)
    assert loss == 0
    assert same_bits(dscores, scores)


def test_the_arguments_are_not_written_to():
    scores, targets, weights = example(3, 4, 2, seed=6)
    weights[0] = 0
    targets[0] = -1
    with unchanged(scores, targets, weights):
        _, dscores = mr.softmax_cross_entropy(scores, targets, weights)
        dscores[...] = 7
        _, dpred = mr.mse(scores, scores[::-1])
        dpred[...] = 7


def bad_weight(value):
    weights = np.ones((3, 2))
    weights[0, 0] = 0  # which is good
    weights[1, 1] = value
    return weights


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"targets": np.full((3, 2), 4)}, ValueError, r"targets: .*from 4 to 4, want 0 to 3"),
        ({"targets": np.full((3, 2), -1)}, ValueError, r"targets: .*from -1 to -1, want 0 to 3"),
        ({"targets": np.zeros((2, 3), int)}, ValueError, r"targets: got .*\(2, 3\), want \(3, 2\)"),
        ({"targets": np.zeros(6, int)}, ValueError, r"targets: got shape \(6,\), want \(3, 2\)"),
        ({"targets": np.zeros((3, 2))}, TypeError, r"targets: got float64.* integers"),
        (
            {"scores": np.zeros(4)},
            ValueError,
            r"scores: got .*\(4,\), want \(T, K, N\) or \(K, N\)",
        ),
        ({"scores": np.zeros((1, 3, 4, 2))}, ValueError, r"scores: got .*\(1, 3, 4, 2\), want"),
        ({"weights": np.ones((3, 1))}, ValueError, r"weights: got .*\(3, 1\), want \(3, 2\)"),
        ({"weights": np.ones(2)}, ValueError, r"weights: got shape \(2,\), want \(3, 2\)"),
        ({"weights": bad_weight(-0.5)}, ValueError, r"weights: got -0\.5, want 0 or more"),
        ({"weights": bad_weight(np.nan)}, ValueError, r"weights: got nan, want 0 or more"),
        ({"weights": bad_weight(np.inf)}, ValueError, r"weights: got inf, want"),
        ({"scores": np.zeros((3, 4, 2), int)}, TypeError, r"scores: got int64, want"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changed, error, message):
    good = {"scores": np.zeros((3, 4, 2)), "targets": np.zeros((3, 2), int), "weights": None}
    mr.softmax_cross_entropy(**good)
    with pytest.raises(error, match=message):
        mr.softmax_cross_entropy(**(good | changed))


def test_the_message_about_float_targets_speaks_of_targets():
    with pytest.raises(TypeError, match="targets") as caught:
        mr.softmax_cross_entropy(np.zeros((3, 4, 2)), np.zeros((3, 2)))
    assert "with a row for each" not in str(caught.value)  # that would be the input of a network


# ------------------------------------------------------------------------------ squared error


@quick
@given(T=sizes, K=sizes, N=sizes, seed=seeds)
def test_mse_is_the_mean_over_all_elements(T, K, N, seed):
    rng = np.random.default_rng(seed)
    pred, target = rng.standard_normal((2, T, K, N))
    plain = sum((p - t) ** 2 for p, t in zip(pred.flat, target.flat, strict=True)) / pred.size
    assert mr.mse(pred, target)[0] == pytest.approx(plain, rel=1e-12)


def test_the_gradient_of_mse_is_exact():
    pred, target = np.random.default_rng(7).standard_normal((2, 3, 2, 4))
    report = mr.gradcheck(lambda pred: mr.mse(pred, target), lambda d: {"pred": d}, pred=pred)
    assert [row.name for row in report.rows] == ["pred"]
    assert report.worst <= 1e-12, report


@quick
@given(T=sizes, K=sizes, N=sizes, seed=seeds)
def test_weighted_mse_is_that_of_a_plain_loop(T, K, N, seed):
    pred, _, weights = example(T, K, N, seed)
    target = pred[::-1] + 1
    each = [
        (weights[t, n], sum((pred[t, k, n] - target[t, k, n]) ** 2 for k in range(K)) / K)
        for t, n in np.ndindex(T, N)
    ]
    plain = sum(w * square for w, square in each) / sum(w for w, _ in each)
    assert mr.mse(pred, target, weights)[0] == pytest.approx(plain, rel=1e-12)
    assert mr.mse(pred, target, 0 * weights + 7)[0] == pytest.approx(mr.mse(pred, target)[0])
    np.testing.assert_allclose(mr.mse(pred, target, 0 * weights + 7)[1], mr.mse(pred, target)[1])


@pytest.mark.parametrize("shape", [(3, 4, 5), (4, 5), (5,)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weight_zero_leaves_padding_out_of_mse(shape, dtype):
    rng = np.random.default_rng(8)
    pred, target = rng.standard_normal((2, *shape))
    weights = rng.uniform(0.1, 2, (*shape[:-2], shape[-1]))
    weights[..., 3:] = 0
    report = mr.gradcheck(lambda p: mr.mse(p, target, weights), lambda d: {"p": d}, p=pred)
    assert report.worst <= 1e-12, report
    pred, target = pred.astype(dtype), target.astype(dtype)
    loss, dpred = mr.mse(pred, target, weights)
    spoiled = np.array([pred, target])
    spoiled[..., 3:] = np.array([np.nan, np.inf], dtype)[:, *[None] * len(shape)]
    with unchanged(spoiled, weights):
        spoiled_loss, spoiled_dpred = mr.mse(*spoiled, weights)
    assert same_bits(spoiled_loss, loss)
    assert same_bits(spoiled_dpred, dpred)
    assert not dpred[..., 3:].any()
    assert loss == pytest.approx(mr.mse(pred[..., :3], target[..., :3], weights[..., :3])[0])
    nothing, zero = mr.mse(*spoiled, 0 * weights)
    assert nothing == 0
    assert same_bits(zero, np.zeros_like(pred))


@pytest.mark.parametrize(
    ("pred", "weights", "error", "message"),
    [
        ((3, 4, 2), np.ones((3, 4, 2)), ValueError, r"weights: got .*\(3, 4, 2\), want \(3, 2\)"),
        ((3, 4, 2), np.ones((2, 3)), ValueError, r"weights: got shape \(2, 3\), want \(3, 2\)"),
        ((4, 2), np.ones((4, 2)), ValueError, r"weights: got shape \(4, 2\), want \(2\)"),
        ((3, 4, 2), bad_weight(-1), ValueError, r"weights: got -1\.0, want 0 or more"),
        ((3, 4, 2), bad_weight(np.nan), ValueError, "weights: got nan, want 0 or more"),
        ((3, 4, 2), np.full((3, 2), "1"), TypeError, r"weights: got <U1, want real numbers"),
        (
            (1, 3, 4, 2),
            np.ones((3, 2)),
            ValueError,
            r"pred: got .*\(1, 3, 4, 2\) with weights, want",
        ),
        ((), 1.0, ValueError, r"pred: got shape \(\) with weights, want"),
    ],
)
def test_weights_of_mse_that_do_not_fit_are_refused_by_name(pred, weights, error, message):
    with pytest.raises(error, match=message):
        mr.mse(np.zeros(pred), np.zeros(pred), weights)


def test_padding_is_in_no_part_of_a_regression(rng):
    """Padded and alone: `pad`, lengths, a linear layer, mse with weights; loss and every gradient."""
    model = mr.Model(
        rnn=mr.GRU(2, 3, dtype="float64", rng=0), out=mr.Linear(3, 2, dtype="float64", rng=1)
    )
    x, lengths = pad([rng.standard_normal((n, 2)) for n in (4, 1, 3)], value=np.nan)
    target, _ = pad([rng.standard_normal((n, 2)) for n in lengths], value=np.nan)

    def gradient(x, target, lengths, weights):
        model.zero_grad()
        ys, _, cache = model.rnn.forward(x, lengths=lengths)
        pred, out_cache = model.out.forward(ys)
        loss, dpred = mr.mse(pred, target, weights)
        model.rnn.backward(cache, model.out.backward(out_cache, dpred))
        return loss, gradients(model)

    loss, together = gradient(x, target, lengths, real_steps(lengths, 4))
    apart = [gradient(x[:n, :, [k]], target[:n, :, [k]], None, None) for k, n in enumerate(lengths)]
    shares = lengths / lengths.sum()
    assert loss == pytest.approx(sum(s * one for s, (one, _) in zip(shares, apart, strict=True)))
    for name, dP in together.items():
        wanted = sum(s * each[name] for s, (_, each) in zip(shares, apart, strict=True))
        np.testing.assert_allclose(dP, wanted, rtol=0, atol=1e-13)


def test_mse_takes_targets_of_integers():
    loss, dpred = mr.mse(np.array([0.5, 1.0]), np.array([1, 3]))
    assert loss == (0.25 + 4) / 2
    np.testing.assert_array_equal(dpred, [-0.5, -2])


def test_mse_does_not_cut_targets_down_to_integers_like_the_predictions():
    loss, dpred = mr.mse(np.array([0, 1]), np.array([0.5, 0.5]))
    assert loss == 0.25
    np.testing.assert_array_equal(dpred, [-0.5, 0.5])


@pytest.mark.parametrize(
    ("pred", "target"), [((4, 1), (4,)), ((4,), (4, 1)), ((3, 4), (4,)), ((2, 3), (3, 2))], ids=str
)
def test_mse_refuses_to_broadcast(pred, target):
    with pytest.raises(ValueError, match="target: got shape") as caught:
        mr.mse(np.zeros(pred), np.zeros(target))
    assert str(pred) in str(caught.value)
    assert str(target) in str(caught.value)


def test_mse_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"pred: got shape \(0, 3\).*no elements"):
        mr.mse(np.zeros((0, 3)), np.zeros((0, 3)))
