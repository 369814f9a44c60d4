"""Optimizers against the published updates, schedules, clipping, and going on from a saved state."""

from __future__ import annotations

import math
import re
from contextlib import nullcontext

import numpy as np
import pytest
from helpers import all_same_bits, draw_gradients, gradients, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.optim import optimizer as shared
from minirnn.optim import stretches as memory
from minirnn.optim.stretches import blocks, stretches

quick = settings(max_examples=40, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)

# ------------------------------------------------------------------------------ the published updates
# Each takes a parameter and its gradients, one a step, and the learning rates, and gives its values.


def sgd(p, gradients, rates, momentum=0.0, nesterov=False):
    """Polyak 1964; Sutskever et al. 2013."""
    v = 0 * p
    for g, lr in zip(gradients, rates, strict=True):
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
        yield p


def rmsprop(p, gradients, rates, decay=0.99, eps=1e-8):
    """Tieleman & Hinton 2012."""
    s = 0 * p
    for g, lr in zip(gradients, rates, strict=True):
        s = decay * s + (1 - decay) * g**2
        p = p - lr * g / (np.sqrt(s) + eps)
        yield p


def adagrad(p, gradients, rates, eps=1e-10):
    """Duchi et al. 2011."""
    s = 0 * p
    for g, lr in zip(gradients, rates, strict=True):
        s = s + g**2
        p = p - lr * g / (np.sqrt(s) + eps)
        yield p


def adam(p, gradients, rates, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Kingma & Ba 2015, algorithm 1; the decay is that of Loshchilov & Hutter 2019."""
    m, v = 0 * p, 0 * p
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v / (1 - betas[1] ** t)
        p = p - lr * weight_decay * p - lr * m_hat / (np.sqrt(v_hat) + eps)
        yield p


def adamw(p, gradients, rates, weight_decay=1e-2, **options):
    yield from adam(p, gradients, rates, weight_decay=weight_decay, **options)


UPDATES = [
    (mr.SGD, sgd, {}),
    (mr.SGD, sgd, {"momentum": 0.9}),
    (mr.SGD, sgd, {"momentum": 0.9, "nesterov": True}),
    (mr.RMSprop, rmsprop, {}),
    (mr.RMSprop, rmsprop, {"decay": 0.5, "eps": 0.1}),
    (mr.Adagrad, adagrad, {}),
    (mr.Adagrad, adagrad, {"eps": 0.1}),
    (mr.Adam, adam, {}),
    (mr.Adam, adam, {"betas": (0.5, 0.7), "eps": 0.1}),
    (mr.Adam, adam, {"betas": (0.0, 0.0)}),
    (mr.AdamW, adamw, {}),
    (mr.AdamW, adamw, {"weight_decay": 0.5, "betas": (0.5, 0.7), "eps": 0.1}),
    (mr.AdamW, adamw, {"weight_decay": 0.0}),
]
IDS = [" ".join([make.__name__, *map(str, options.values())]) for make, _, options in UPDATES]
each_update = pytest.mark.parametrize(("make", "plain", "options"), UPDATES, ids=IDS)
each_optimizer = pytest.mark.parametrize(
    ("make", "options"), [(make, options) for make, _, options in UPDATES], ids=IDS
)


def falling(step):
    """A learning rate that differs from step to step."""
    return 0.1 / (1 + step)


def small_model(dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return mr.Model(
        rnn=mr.RNN(3, 5, dtype=dtype, rng=rng), out=mr.Linear(5, 7, dtype=dtype, rng=rng)
    )


def train(model, optimizer, steps, seed=1):
    """Take steps with gradients that depend on nothing but the seed and the count of steps."""
    for _ in range(steps):
        draw_gradients(model.parameters(), np.random.default_rng([seed, optimizer.steps]))
        optimizer.step()


@each_update
@pytest.mark.parametrize("lr", [0.1, falling], ids=["constant", "falling"])
def test_ten_steps_are_those_of_the_published_update(make, plain, options, lr):
    model, rng = small_model(), np.random.default_rng(2)
    optimizer = make(model.parameters(), lr=lr, **options)
    rates = [lr(step) if callable(lr) else lr for step in range(10)]
    scales = rng.choice([0, 1e-4, 1, 1e4], (10, 1, 1))
    drawn = {p.name: scales * rng.standard_normal((10, *p.shape)) for p in model.parameters()}
    expected = {
        p.name: list(plain(p.data.copy(), drawn[p.name], rates, **options))
        for p in model.parameters()
    }
    for step in range(10):
        for p in model.parameters():
            p.grad = drawn[p.name][step]
        optimizer.step()
        for p in model.parameters():
            np.testing.assert_allclose(
                p.data, expected[p.name][step], rtol=1e-11, atol=1e-13, err_msg=f"step {step}"
            )


@each_optimizer
def test_a_step_leaves_the_gradients_and_counts_itself(make, options):
    model = small_model()
    optimizer = make(model.parameters(), lr=0.1, **options)
    draw_gradients(model.parameters(), np.random.default_rng(0))
    before = gradients(model)
    optimizer.step()
    optimizer.step()
    assert all_same_bits(gradients(model), before)
    assert optimizer.steps == 2


@each_optimizer
def test_single_precision_follows_double_precision(make, options):
    models = [small_model("float32"), small_model("float64")]
    for model in models:
        train(model, make(model.parameters(), lr=0.01, **options), 10)
    single, double = (model.state_dict() for model in models)
    for name, value in single.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, double[name], atol=1e-5)


def test_zero_grad_zeroes_all_gradients_of_its_parameters_and_no_others():
    model = small_model()
    draw_gradients(model.parameters(), np.random.default_rng(0))
    mr.SGD(model.rnn.parameters(), lr=0.1).zero_grad()
    assert not any(g.any() for g in gradients(model.rnn).values())
    assert all(g.all() for g in gradients(model.out).values())


# ------------------------------------------------------------------------------ where parameters lie


@each_optimizer
def test_one_stretch_of_memory_and_several_give_the_same_bits(make, options):
    for dtype in ("float32", "float64"):
        loose = {"rnn": small_model(dtype).rnn, "out": small_model(dtype).out}
        for name, layer in loose.items():
            fresh = mr.RNN(3, 5, dtype=dtype) if name == "rnn" else mr.Linear(5, 7, dtype=dtype)
            fresh.load_state_dict(layer.state_dict())
            loose[name] = fresh
        parameters = [p for layer in loose.values() for p in layer.parameters()]
        assert len({id(p.storage) for p in parameters}) == len(parameters)
        several = make(parameters, lr=0.1, **options)

        model = small_model(dtype)
        one = make(model.parameters(), lr=0.1, **options)
        for step in range(5):
            for where in (parameters, model.parameters()):
                draw_gradients(where, np.random.default_rng(step))
            several.step()
            one.step()
        for p, q in zip(parameters, model.parameters(), strict=True):
            assert same_bits(p.data, q.data), p.name


def test_a_model_is_one_stretch_and_loose_parameters_are_one_each():
    model = small_model()
    assert len(stretches(model.parameters())) == 1
    assert len(stretches(model.parameters()[::-1])) == len(model.parameters())
    assert len(stretches(mr.RNN(3, 5).parameters())) == 3


def test_positions_that_follow_one_another_in_two_models_are_not_one_stretch():
    first = mr.Model(a=mr.Linear(2, 3), b=mr.Linear(2, 3))
    second = mr.Model(c=mr.Linear(2, 3), d=mr.Linear(2, 3))
    some = [*first.a.parameters(), *second.d.parameters()]
    assert some[1].stop == some[2].start
    before = [p.data.copy() for p in some]
    draw_gradients(some, np.random.default_rng(0))
    mr.SGD(some, lr=0.1).step()
    for p, value in zip(some, before, strict=True):
        np.testing.assert_allclose(p.data, value - 0.1 * p.grad, atol=1e-6)


def test_blocks_follow_one_another_to_the_end(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK", 4)
    array = np.arange(20)
    for start, stop in ((0, 20), (0, 3), (5, 13), (6, 7), (3, 17)):
        found = blocks(array, slice(start, stop))
        assert np.concatenate([array[b] for b in found]).tolist() == list(range(start, stop))
        assert {b.stop - b.start for b in found[:-1]} <= {4}
        assert 1 <= found[-1].stop - found[-1].start <= 4


@each_optimizer
@pytest.mark.parametrize("block", [1, 7, 35, 64])
@pytest.mark.parametrize("count", [1, 3])
def test_many_blocks_give_the_same_bits_as_one(monkeypatch, make, options, block, count):
    """117 numbers: the last block of a thread is shorter, or all it has is shorter than a block."""
    monkeypatch.setattr(shared, "LEAST", 1)
    for dtype in ("float32", "float64"):
        found = []
        for size, threads in ((1 << 17, nullcontext()), (block, mr.threads(count))):
            monkeypatch.setattr(memory, "BLOCK", size)
            model = small_model(dtype)
            optimizer = make(model.parameters(), lr=0.1, **options)
            with threads:
                train(model, optimizer, 3)
            found.append(model.state_dict() | optimizer.state_dict())
        assert all_same_bits(*found)


@each_optimizer
def test_parameters_may_move_to_another_model_after_the_optimizer_was_built(make, options):
    stays, moves = small_model(), small_model()
    first = make(stays.parameters(), lr=0.1, **options)
    second = make(moves.parameters(), lr=0.1, **options)
    train(stays, first, 3)
    train(moves, second, 3)
    mr.Model(other=mr.Linear(2, 3, dtype="float64"), out=moves.out, gap=mr.Embedding(2, 3))
    train(stays, first, 3)
    train(moves, second, 3)
    assert all_same_bits(stays.state_dict(), moves.state_dict())


@each_optimizer
def test_some_parameters_in_any_order_leave_the_others_alone(make, options):
    model, reference = small_model(), small_model()
    names = ["out.b", "rnn.l0.U", "rnn.l0.b"]
    some = [model.named_parameters()[name] for name in names]
    train(model, make(some, lr=0.1, **options), 4)
    train(reference, make(reference.parameters(), lr=0.1, **options), 4)
    start = small_model().state_dict()
    for name, value in model.state_dict().items():
        assert same_bits(value, (reference.state_dict() if name in names else start)[name]), name


# ------------------------------------------------------------------------------ saving


@each_optimizer
def test_going_on_from_a_saved_state_gives_the_same_bits_as_never_stopping(make, options):
    for dtype in ("float32", "float64"):
        schedule = mr.CosineWarmup(0.1, steps=8, warmup=3)
        model = small_model(dtype)
        optimizer = make(model.parameters(), lr=schedule, **options)
        train(model, optimizer, 4)
        saved = model.state_dict(), optimizer.state_dict()
        train(model, optimizer, 4)

        again = small_model(dtype, seed=9)
        fresh = make(again.parameters(), lr=schedule, **options)
        again.load_state_dict(saved[0])
        fresh.load_state_dict(saved[1])
        train(again, fresh, 4)
        assert all_same_bits(again.state_dict(), model.state_dict())
        assert all_same_bits(fresh.state_dict(), optimizer.state_dict())


def test_state_is_named_after_settings_slots_and_parameters():
    model = mr.Model(out=mr.Linear(2, 3, bias=False))
    adam_state = mr.Adam(model.parameters()).state_dict()
    general, own = ["kind", "steps", "lr"], ["steps.out.V", "m.out.V", "v.out.V"]
    assert list(adam_state) == [*general, "betas", "eps", *own]
    assert adam_state["m.out.V"].shape == (3, 2)
    warm = mr.Adam(model.parameters(), mr.CosineWarmup(0.1, 5)).state_dict()
    schedule = ["lr.kind", "lr.lr", "lr.steps", "lr.warmup", "lr.final"]
    assert list(warm) == ["kind", "steps", *schedule, "betas", "eps", *own]
    assert list(mr.Adam(model.parameters(), falling).state_dict())[2:4] == ["betas", "eps"]
    for optimizer, numbers, slots in (
        (mr.SGD(model.parameters(), lr=0.1), ["momentum", "nesterov"], []),
        (mr.SGD(model.parameters(), lr=0.1, momentum=0.9), ["momentum", "nesterov"], ["v.out.V"]),
        (mr.RMSprop(model.parameters()), ["decay", "eps"], ["s.out.V"]),
        (mr.Adagrad(model.parameters()), ["eps"], ["s.out.V"]),
        (mr.AdamW(model.parameters()), ["betas", "eps", "weight_decay"], ["m.out.V", "v.out.V"]),
    ):
        state = optimizer.state_dict()
        assert list(state) == [*general, *numbers, "steps.out.V", *slots]
        assert state["kind"] == type(optimizer).__name__


def test_saved_state_is_a_copy():
    model = small_model()
    optimizer = mr.Adam(model.parameters())
    train(model, optimizer, 2)
    saved = optimizer.state_dict()
    kept = {name: value.copy() for name, value in saved.items()}
    train(model, optimizer, 1)
    assert all_same_bits(saved, kept)
    assert not all_same_bits(optimizer.state_dict(), kept)
    optimizer.load_state_dict(saved)
    for value in saved.values():
        value[...] = 7
    assert all_same_bits(optimizer.state_dict(), kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("m.out.V"), r"state: missing \['m\.out\.V'\], unknown \[\]"),
        (lambda s: s.pop("steps"), r"state: missing \['steps'\]"),
        (lambda s: s.update(extra=0), r"state: missing \[\], unknown \['extra'\]"),
        (
            lambda s: s.update({"v.out.V": np.ones((5, 7))}),
            r"state\['v\.out\.V'\]: got shape \(5, 7\), want \(7, 5\)",
        ),
        (
            lambda s: s.update({"steps": np.ones(2)}),
            r"state\['steps'\]: got shape \(2,\), want \(\)",
        ),
        (lambda s: s.update({"v.out.V": np.full((7, 5), "x")}), r"v\.out\.V"),
        (lambda s: s.update({"steps": -3}), r"steps.*-3"),
        (lambda s: s.update({"steps": 2.5}), r"steps.*float64"),
        (lambda s: s.update({"steps.out.V": 2.5}), r"state\['steps\.out\.V'\]: got .*2\.5"),
        (lambda s: s.update(kind="AdamW"), "state: got that of AdamW, want one of Adam"),
        (lambda s: s.update(betas=np.array([0.9, 1.0])), r"state\['betas'\]\[1\]: got 1\.0, want"),
        (lambda s: s.update(eps=0), r"state\['eps'\]: got 0, want more than 0"),
        (lambda s: s.update(lr=np.nan), r"state\['lr'\]: got nan, want 0 or more"),
        (
            lambda s: s.update({"lr.kind": "Cosine"}) or s.pop("lr"),
            r"got Cosine, want one of Const",
        ),
        (lambda s: s.update({"lr.kind": "Constant"}) or s.pop("lr"), r"missing \['lr\.lr'\], numb"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changed(change, message):
    model = small_model()
    optimizer = mr.Adam(model.parameters())
    train(model, optimizer, 2)
    before = optimizer.state_dict()
    state = {k: v + 1 if k[:2] in ("m.", "v.", "st") else v for k, v in before.items()}
    change(state)
    with pytest.raises((TypeError, ValueError)) as caught:
        optimizer.load_state_dict(state)
    assert all_same_bits(optimizer.state_dict(), before)
    assert re.search(message, str(caught.value)), caught.value


# ------------------------------------------------------------------------------ what is refused


PAIR = mr.Linear(2, 3), mr.Linear(2, 3)
ONE = PAIR[0].parameters()


REFUSED = [
    (
        lambda: mr.SGD([p for layer in PAIR for p in layer.parameters()], 0.1),
        ValueError,
        r"parameters: V, b is there twice; put the layers into one minirnn\.Model",
    ),
    (lambda: mr.SGD([], 0.1), ValueError, "parameters: got none, want at least one"),
    (
        lambda: mr.SGD([*ONE, *mr.RNN(2, 3, dtype="float64").parameters()], 0.1),
        ValueError,
        "parameters: got .*float32.*float64.*want one dtype",
    ),
    (lambda: mr.SGD(mr.Model(a=PAIR[0]), 0.1), TypeError, r"parameters: .*\.parameters\(\)"),
    (lambda: mr.SGD(ONE, -0.1), ValueError, r"lr: got -0\.1, want 0 or more"),
    (lambda: mr.SGD(ONE, math.nan), ValueError, "lr: got nan, want 0 or more"),
    (lambda: mr.SGD(ONE, [0.1, 0.2]), TypeError, "lr: "),
    (lambda: mr.SGD(ONE, 0.1, momentum=1.0), ValueError, r"momentum: got 1\.0, want .*\[0, 1"),
    (lambda: mr.SGD(ONE, 0.1, nesterov=True), ValueError, "nesterov: .*momentum=0.0, want a"),
    (lambda: mr.RMSprop(ONE, decay=1.0), ValueError, r"decay: got 1\.0, want .*\[0, 1\)"),
    (lambda: mr.Adam(ONE, betas=(1.0, 0.9)), ValueError, r"betas\[0\]: got 1\.0, want"),
    (lambda: mr.Adam(ONE, betas=(0.9, -1)), ValueError, r"betas\[1\]: got -1, want"),
    (lambda: mr.Adam(ONE, betas=0.9), TypeError, "betas: got 0.9, want"),
    (lambda: mr.Adam(ONE, eps=-1.0), ValueError, r"eps: got -1\.0, want"),
    (lambda: mr.AdamW(ONE, weight_decay=-1.0), ValueError, r"weight_decay: got -1\.0, want"),
    (lambda: mr.StepDecay(0.1, 0), ValueError, "every: got 0, want 1 or more"),
    (lambda: mr.StepDecay(0.1, 2.0), TypeError, r"every: got 2\.0, want an integer"),
    (lambda: mr.CosineWarmup(0.1, 0), ValueError, "steps: got 0, want 1 or more"),
    (lambda: mr.CosineWarmup(0.1, 5, 5), ValueError, "warmup: got 5, want .* steps = 5"),
    (lambda: mr.CosineWarmup(0.1, 5, -1), ValueError, "warmup: got -1, want 0 or more"),
    (lambda: mr.clip_grad_norm(ONE, 0.0), ValueError, r"max_norm: got 0\.0, want more than 0"),
    (lambda: mr.clip_grad_norm(ONE, math.nan), ValueError, "max_norm: got nan, want more"),
    (lambda: mr.clip_grad_norm([], 1.0), ValueError, "parameters: got none, want at least"),
    (lambda: mr.clip_grad_norm(mr.Model(a=PAIR[0]), 1.0), TypeError, "parameters: "),
    (lambda: mr.clip_grad_value(ONE, 0.0), ValueError, r"max_value: got 0\.0, want more than"),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), REFUSED, ids=[message for *_, message in REFUSED]
)
def test_what_makes_no_sense_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------------------ schedules


def test_constant():
    assert [mr.Constant(0.1)(step) for step in (0, 1, 1000)] == [0.1] * 3


def test_step_decay_falls_after_every_so_many_steps():
    rate = mr.StepDecay(8.0, every=3, factor=0.5)
    assert [rate(step) for step in range(7)] == [8, 8, 8, 4, 4, 4, 2]
    assert mr.StepDecay(1.0, every=1)(1) == 0.1


def test_cosine_with_warmup_at_its_corners():
    rate = mr.CosineWarmup(8.0, steps=24, warmup=4, final=2.0)
    assert [rate(step) for step in range(5)] == [2, 4, 6, 8, 8]
    assert rate(14) == pytest.approx(5.0)  # half-way down
    assert rate(9) == pytest.approx(2 + 6 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert [rate(step) for step in (24, 25, 1000)] == [2] * 3


def test_cosine_without_warmup_starts_at_the_full_rate():
    rate = mr.CosineWarmup(8.0, steps=10)
    assert rate(0) == 8
    assert rate(5) == pytest.approx(4.0)
    assert rate(10) == 0


@quick
@given(steps=st.integers(1, 60), warmup=st.integers(0, 59), lr=st.floats(1e-6, 10))
def test_cosine_rises_to_lr_and_then_falls(steps, warmup, lr):
    warmup %= steps
    schedule = mr.CosineWarmup(lr, steps, warmup, final=lr / 10)
    rates = np.array([schedule(step) for step in range(steps + 3)]) / lr
    rounding = 1e-15
    assert (np.diff(rates[: warmup + 1]) > -rounding).all()
    assert (np.diff(rates[warmup:]) < rounding).all()
    assert [rates[warmup], rates.max()] == pytest.approx([1, 1])
    assert rates[warmup:].min() == pytest.approx(0.1)


@pytest.mark.parametrize("lr", [falling, mr.StepDecay(0.1, 2, 0.5), mr.CosineWarmup(0.1, 4, 2)])
def test_a_schedule_is_asked_for_the_rate_of_every_step(lr):
    model = mr.Model(out=mr.Linear(1, 1, bias=False, dtype="float64", rng=0))
    (p,) = model.parameters()
    p.grad = np.ones((1, 1))
    optimizer = mr.SGD([p], lr=lr)
    for step in range(6):
        before = p.data.copy()
        assert optimizer.rate == lr(step)
        optimizer.step()
        np.testing.assert_allclose(before - p.data, lr(step), rtol=1e-12)


# ------------------------------------------------------------------------------ clipping


def with_gradients(seed, scale=1.0, dtype="float64"):
    model = small_model(dtype)
    for p in model.parameters():
        p.grad = scale * np.random.default_rng([seed, p.size]).standard_normal(p.shape)
    return model


def flat(model):
    return np.concatenate([g.ravel() for g in gradients(model).values()])


@quick
@given(seed=seeds, room=st.floats(1 + 1e-9, 1e6))
def test_gradients_within_the_bound_are_not_touched(seed, room):
    model = with_gradients(seed)
    before = gradients(model)
    norm = np.linalg.norm(flat(model))
    assert mr.clip_grad_norm(model.parameters(), room * norm) == pytest.approx(norm, rel=1e-12)
    assert all_same_bits(gradients(model), before)
    mr.clip_grad_value(model.parameters(), room * np.abs(flat(model)).max())
    assert all_same_bits(gradients(model), before)


@quick
@given(seed=seeds, share=st.floats(1e-6, 1 - 1e-9), scale=st.floats(1e-6, 1e6))
def test_gradients_beyond_the_bound_are_scaled_to_it_together(seed, share, scale):
    model = with_gradients(seed, scale)
    before, norm = flat(model), np.linalg.norm(flat(model))
    assert mr.clip_grad_norm(model.parameters(), share * norm) == pytest.approx(norm, rel=1e-12)
    assert np.linalg.norm(flat(model)) == pytest.approx(share * norm, rel=1e-12)
    np.testing.assert_allclose(flat(model), share * before, rtol=1e-12)


def test_the_norm_is_that_of_loose_parameters_too():
    layers = mr.RNN(3, 5, dtype="float64"), mr.Linear(5, 7, dtype="float64")
    parameters = [p for layer in layers for p in layer.parameters()]
    draw_gradients(parameters, np.random.default_rng(0))
    before = np.concatenate([p.grad.ravel() for p in parameters])
    norm = mr.clip_grad_norm(parameters, 1.0)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    after = np.concatenate([p.grad.ravel() for p in parameters])
    np.testing.assert_allclose(after, before / norm, rtol=1e-12)


def test_clipping_some_parameters_leaves_the_others():
    model = with_gradients(0)
    before = gradients(model.out)
    mr.clip_grad_norm(model.rnn.parameters(), 1e-3)
    mr.clip_grad_value(model.rnn.parameters(), 1e-6)
    assert all_same_bits(gradients(model.out), before)
    assert np.abs(flat(model.rnn)).max() <= 1e-6


@quick
@given(seed=seeds, bound=st.floats(1e-3, 3))
def test_clipping_by_value_moves_each_element_into_the_interval(seed, bound):
    model = with_gradients(seed)
    before = flat(model)
    mr.clip_grad_value(model.parameters(), bound)
    np.testing.assert_array_equal(flat(model), np.minimum(np.maximum(before, -bound), bound))


def test_all_zero_gradients_have_norm_zero_and_stay():
    model = small_model()
    assert mr.clip_grad_norm(model.parameters(), 1.0) == 0
    assert not flat(model).any()


def test_an_infinite_bound_only_measures():
    model = with_gradients(0)
    before = flat(model)
    norm = mr.clip_grad_norm(model.parameters(), math.inf)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    assert same_bits(flat(model), before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bound", [1.0, math.inf])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_a_norm_that_is_not_finite_shows_in_the_gradients(dtype, bound, value, place):
    model = with_gradients(0, dtype=dtype)
    model.parameters()[place].grad[place, place] = value
    norm = mr.clip_grad_norm(model.parameters(), bound)
    np.testing.assert_equal(float(norm), abs(value))
    assert np.isnan(flat(model)).all()


def test_a_norm_too_large_for_double_precision_is_not_finite():
    model = with_gradients(0, scale=1e160)
    assert mr.clip_grad_norm(model.parameters(), math.inf) == math.inf
    assert np.isnan(flat(model)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("block", [1, 7, 1 << 17])
def test_the_norm_is_summed_in_double_precision_over_all_blocks(monkeypatch, dtype, block):
    monkeypatch.setattr(memory, "BLOCK", block)
    model = with_gradients(0, dtype=dtype)
    before = flat(model).astype(float)
    assert mr.clip_grad_norm(model.parameters(), 1.0) == pytest.approx(
        np.linalg.norm(before), rel=1e-12
    )
    np.testing.assert_allclose(flat(model), before / np.linalg.norm(before), rtol=1e-6)


def test_large_gradients_in_single_precision_are_clipped_and_not_erased():
    model = with_gradients(0, scale=1e25, dtype="float32")
    before = flat(model).astype(float)
    mr.clip_grad_norm(model.parameters(), 1.0)
    np.testing.assert_allclose(flat(model), before / np.linalg.norm(before), rtol=1e-4)


def test_a_parameter_that_layers_share_is_clipped_once():
    embedding = mr.Embedding(4, 3, rng=0)
    out = mr.Linear(3, 4, bias=False, share=embedding)
    embedding.parameters()[0].grad = np.ones((4, 3))
    norm = mr.clip_grad_norm(embedding.parameters() + out.parameters(), 1.0)
    assert norm == pytest.approx(12**0.5)
    np.testing.assert_allclose(embedding.parameters()[0].grad, 12**-0.5, rtol=1e-6)
