"""What belongs to a step: gradients that are no numbers, frozen parameters, the whole state."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from helpers import all_same_bits, draw_gradients, gradients, same_bits
from test_optim import each_optimizer, falling, small_model, train

import minirnn as mr


def everything(model, optimizer):
    return model.state_dict() | optimizer.state_dict()


# ------------------------------------------------------------------------------ what is no gradient


@each_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "overflows"])
def test_a_gradient_that_is_not_finite_changes_nothing(make, options, dtype, value):
    model = small_model(dtype)
    schedule = mr.StepDecay(0.1, 2)
    optimizer = make(model.parameters(), schedule, **options)
    skipping = make(model.parameters(), schedule, on_nonfinite="skip", **options)
    for one in (optimizer, skipping):
        train(model, one, 3)
    p = model.rnn.parameters()[1]
    if value == "overflows":  # its square does
        if make is mr.SGD:
            return  # which can take it
        value = np.finfo(dtype).max * 1e-10
    p.grad[2, 3] = value
    before = [everything(model, one) for one in (optimizer, skipping)]
    versions = [p.version for p in model.parameters()]
    with pytest.raises(
        ValueError, match=r"^rnn\.l0\.W\.grad: got \S+ at index \(2, 3\), want finite"
    ):
        optimizer.step()
    assert skipping.step() is False
    for one, was in zip((optimizer, skipping), before, strict=True):
        assert all_same_bits(everything(model, one), was)
        assert one.rate == schedule(3)
    assert [p.version for p in model.parameters()] == versions
    p.grad[2, 3] = 1
    assert optimizer.step() is True
    assert skipping.step() is True


def test_a_step_is_tried_with_the_rate_that_it_has():
    layer = mr.Linear(2, 2, rng=0)
    for p in layer.parameters():
        p.data, p.grad = np.full(p.shape, -3e38, "f4"), np.full(p.shape, 3e38, "f4")
    assert mr.SGD(layer.parameters(), 1e-3).step()
    with pytest.raises(ValueError, match="want finite"):
        mr.SGD(layer.parameters(), 1.0).step()


def test_large_gradients_that_can_be_taken_are_taken():
    for make, value in ((mr.SGD, 1e37), (mr.Adam, 1e18)):
        layer = mr.Linear(2, 2, rng=0)
        for p in layer.parameters():
            p.grad = np.full(p.shape, value)
        assert make(layer.parameters(), 1e-3).step()
        assert all(np.isfinite(p.data).all() for p in layer.parameters())


def test_the_first_block_is_not_written_when_the_last_has_no_gradient(monkeypatch):
    monkeypatch.setattr("minirnn.optim.stretches.BLOCK", 8)
    monkeypatch.setattr("minirnn.optim.optimizer.LEAST", 1)
    model = small_model("float32")
    optimizer = mr.Adam(model.parameters())
    draw_gradients(model.parameters(), np.random.default_rng(0))
    model.parameters()[-1].grad[-1] = np.nan
    before = everything(model, optimizer)
    with mr.threads(2), pytest.raises(ValueError, match=r"out\.b\.grad: got nan at index \(6, 0\)"):
        optimizer.step()
    assert all_same_bits(everything(model, optimizer), before)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0, 1e30, None, "0.1", np.ones(2), 1j])
def test_a_schedule_that_gives_no_rate_is_refused_before_anything_is_written(rate):
    model = small_model("float32")
    optimizer = mr.Adam(model.parameters(), lambda step: 0.1 if step < 2 else rate)
    train(model, optimizer, 2)
    before = everything(model, optimizer)
    with pytest.raises((TypeError, ValueError), match=r"lr\(2\): got .*, want a number in \[0, "):
        optimizer.step()
    assert all_same_bits(everything(model, optimizer), before)


@pytest.mark.parametrize("rate", [np.float32(0.5), np.array(0.5), np.array(1), 1, 0.0])
def test_a_schedule_may_give_any_kind_of_number(rate):
    optimizer = mr.SGD(small_model().parameters(), lambda step: rate)
    assert optimizer.rate == float(rate)
    assert optimizer.step()


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("bound", [1.0, math.inf])
def test_clipping_can_refuse_a_norm_that_is_not_finite(value, bound):
    model = small_model()
    draw_gradients(model.parameters(), np.random.default_rng(0))
    model.out.parameters()[1].grad[3] = value
    before = gradients(model)
    with pytest.raises(
        ValueError, match=r"the gradients of out\.b have a norm of (nan|inf), want fin"
    ):
        mr.clip_grad_norm(model.parameters(), bound, error_if_nonfinite=True)
    assert all_same_bits(gradients(model), before)
    mr.clip_grad_norm(model.parameters(), bound)  # all of it is NaN now
    with pytest.raises(ValueError, match="grad: got nan at index"):
        mr.SGD(model.parameters(), 0.1).step()
    mr.clip_grad_norm(model.rnn.parameters(), bound)


def test_a_device_is_waited_for_only_when_asked(stand_in):
    layer = mr.Linear(2, 2, device="cuda:1", rng=0)
    for p in layer.parameters():
        p.grad = np.full(p.shape, np.nan)
    before = layer.state_dict()
    optimizers = [
        mr.Adam(layer.parameters(), on_nonfinite=policy) for policy in (None, "raise", "skip")
    ]
    with pytest.raises(ValueError, match=r"V\.grad: got nan at index \(0, 0\)"):
        optimizers[1].step()
    assert optimizers[2].step() is False
    with pytest.raises(ValueError, match="the gradients of V, b have a norm of nan"):
        mr.clip_grad_norm(layer.parameters(), 1.0, error_if_nonfinite=True)
    assert all_same_bits(layer.state_dict(), before)
    stand_in.synchronised.clear()
    assert optimizers[0].step() is True
    assert stand_in.synchronised == []


# ------------------------------------------------------------------------------ frozen parameters


@each_optimizer
def test_frozen_parameters_and_what_is_kept_for_them_stand_still(make, options):
    model, free = small_model(), small_model()
    optimizer = make(model.parameters(), falling, **options)
    alone = make(free.out.parameters(), falling, **options)
    train(model, optimizer, 2)
    free.load_state_dict(model.state_dict())
    state = {k: v for k, v in optimizer.state_dict().items() if "rnn." not in k}
    alone.load_state_dict(state)
    model.rnn.freeze()
    before = everything(model, optimizer)
    for _ in range(3):
        for one in (model, free):
            draw_gradients(one.parameters(), np.random.default_rng(optimizer.steps))
        model.rnn.parameters()[0].grad[0, 0] = np.nan  # is not looked at
        norms = [mr.clip_grad_norm(m, 1.0) for m in (model.parameters(), free.out.parameters())]
        assert norms[0] == norms[1]
        mr.clip_grad_value(model.parameters(), 0.5)
        mr.clip_grad_value(free.out.parameters(), 0.5)
        assert abs(model.rnn.parameters()[1].grad).max() > 1
        assert optimizer.step()
        assert alone.step()
    after = everything(model, optimizer)
    kept = [name for name in after if "rnn." in name]
    assert all(same_bits(after[name], before[name]) for name in kept)
    assert all_same_bits(model.out.state_dict(), free.out.state_dict())  # as if it were alone
    assert after["steps"] == 5
    optimizer.zero_grad()
    assert not any(g.any() for g in gradients(model).values())


def test_adam_counts_the_steps_of_each_parameter():
    """So a parameter that was frozen from the start begins like a new one: with steps of lr."""
    model = small_model()
    optimizer = mr.Adam(model.parameters(), 0.01)
    model.rnn.freeze()
    train(model, optimizer, 50)
    model.rnn.unfreeze()
    again = mr.Adam(model.parameters(), 0.5)
    again.load_state_dict(optimizer.state_dict())
    for one in (again, optimizer):
        before = model.rnn.state_dict()
        train(model, one, 1)
        for name, value in model.rnn.state_dict().items():
            np.testing.assert_allclose(abs(value - before[name]), 0.01, rtol=1e-6)
    assert optimizer.state_dict()["steps.rnn.l0.U"] == 1
    assert optimizer.state_dict()["steps.out.V"] == 51


def test_frozen_parameters_keep_caches_valid_and_states_fit_all_the_same():
    model = small_model()
    optimizer, average = mr.Adam(model.parameters()), mr.Average(model.parameters())
    model.rnn.freeze()
    x = np.random.default_rng(0).standard_normal((4, 3, 2))
    ys, _, cache = model.rnn.forward(x)
    train(model, optimizer, 1)
    average.update()
    model.rnn.backward(cache, ys)  # its parameters are still those
    other = small_model(seed=1)
    mr.Adam(other.parameters()).load_state_dict(optimizer.state_dict())
    mr.Average(other.parameters()).load_state_dict(average.state_dict())
    other.load_state_dict(model.state_dict())
    assert not any(p.frozen for p in other.parameters())
    assert [p.frozen for p in copy.deepcopy(model).parameters()] == [True] * 3 + [False] * 2
    model.freeze()
    assert mr.clip_grad_norm(model.parameters(), 1.0) == 0
    before = model.state_dict()
    assert optimizer.step()
    assert all_same_bits(model.state_dict(), before)


# ------------------------------------------------------------------------------ what a step depends on


OTHER = {  # than any default
    "momentum": 0.7, "nesterov": True, "decay": 0.8, "eps": 1e-3, "betas": (0.8, 0.95),
    "weight_decay": 0.3,
}  # fmt: skip


@each_optimizer
@pytest.mark.parametrize("lr", [0.03, mr.StepDecay(0.1, 2, 0.3), mr.CosineWarmup(0.1, 9, 2, 0.01)])
def test_what_was_set_by_hand_is_saved_and_comes_back(make, options, lr):
    model, fresh = small_model(), small_model()
    optimizer, twin = (make(m.parameters(), 0.5, **options) for m in (model, fresh))
    optimizer.lr = lr
    for name in set(OTHER) & set(vars(optimizer)):
        if make is not mr.SGD or "momentum" in options:
            setattr(optimizer, name, OTHER[name])
    train(model, optimizer, 3)
    fresh.load_state_dict(model.state_dict())
    twin.load_state_dict(optimizer.state_dict())
    assert (twin.lr, type(twin.lr)) == (lr, type(lr))
    for m, one in ((model, optimizer), (fresh, twin)):
        train(m, one, 3)
    assert all_same_bits(everything(fresh, twin), everything(model, optimizer))
    assert repr(twin) == repr(optimizer)


@each_optimizer
def test_a_state_from_before_settings_were_saved_can_be_loaded(make, options):
    model, fresh = small_model(), small_model()
    optimizer, twin = (make(m.parameters(), 0.1, **options) for m in (model, fresh))
    train(model, optimizer, 3)
    arrays = [f"{slot}." for slot in optimizer.slots]
    state = optimizer.state_dict()
    old = {k: v for k, v in state.items() if k == "steps" or k[:2] in arrays}
    fresh.load_state_dict(model.state_dict())
    twin.load_state_dict(old)
    assert all_same_bits(twin.state_dict(), state)


def test_a_function_of_ones_own_stays(tmp_path):
    model = small_model("float32")
    optimizer = mr.RMSprop(model.parameters(), falling)
    train(model, optimizer, 2)
    mr.save(tmp_path / "a.npz", optimizer=optimizer.state_dict())
    np.savez(tmp_path / "b.npz", **optimizer.state_dict())
    for state in (mr.load(tmp_path / "a.npz")["optimizer"], np.load(tmp_path / "b.npz")):
        other = mr.RMSprop(small_model("float64").parameters(), falling)
        other.load_state_dict(state)
        assert other.rate == falling(2)


@pytest.mark.parametrize("other", [mr.SGD, mr.RMSprop, mr.Adagrad, mr.AdamW, mr.Average])
def test_the_state_of_another_kind_is_refused(other):
    model = small_model()
    optimizer = mr.Adam(model.parameters(), 0.1)
    made = other(model.parameters()) if other is mr.Average else other(model.parameters(), lr=0.1)
    for taker, giver in ((optimizer, made), (made, optimizer)):
        before = taker.state_dict()
        with pytest.raises(ValueError, match=r"^state: (got that of|missing)"):
            taker.load_state_dict(giver.state_dict())
        assert all_same_bits(taker.state_dict(), before)


def test_policies_are_named():
    with pytest.raises(
        ValueError, match=r'on_nonfinite: got "?.*ignore.*, want "raise", "skip" or None'
    ):
        mr.SGD(small_model().parameters(), 0.1, on_nonfinite="ignore")


@pytest.mark.parametrize("make", [mr.RMSprop, mr.Adagrad, mr.Adam, mr.AdamW])
def test_an_eps_that_the_dtype_does_not_hold_is_refused(make):
    make(small_model("float64").parameters(), eps=1e-60)
    with pytest.raises(ValueError, match=r"eps: got 1e-60, want 1.2e-38 to 3.4e\+38 in float32"):
        make(small_model("float32").parameters(), eps=1e-60)
