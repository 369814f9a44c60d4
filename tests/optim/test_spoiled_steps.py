"""Optimizers: steps that would not be finite, and saved states that no optimizer can have."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import all_same_bits
from test_optim import each_optimizer, small_model, train
from test_step import everything

import minirnn as mr


@each_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", [1, 0.5])
@pytest.mark.parametrize("share", [1.0, 0.9, 0.3])
def test_no_number_of_large_gradients_leaves_what_is_not_finite(make, options, dtype, power, share):
    model = small_model(dtype)
    optimizer = make(model.parameters(), 1.0, on_nonfinite="skip", **options)
    train(model, optimizer, 1)
    model.rnn.parameters()[1].grad[2, 3] = share * np.finfo(dtype).max ** power
    with np.errstate(all="raise"):
        for _ in range(8):
            before = everything(model, optimizer)
            made, after = optimizer.step(), everything(model, optimizer)
            assert made or all_same_bits(after, before)
            numbers = [value for value in after.values() if value.dtype.kind == "f"]
            assert all(np.isfinite(value).all() for value in numbers)


@pytest.mark.parametrize("eps", [1e-50, 1e50, np.inf])
def test_an_epsilon_that_the_dtype_cannot_hold_is_refused(eps):
    model = small_model("float32")
    wanted = r"got \S+, want 1.2e-38 to 3.4e\+38 in float32$"
    with pytest.raises(ValueError, match="^eps: " + wanted):
        mr.Adam(model.parameters(), eps=eps)
    optimizer = mr.Adam(model.parameters())
    with pytest.raises(ValueError, match=r"^state\['eps'\]: " + wanted):
        optimizer.load_state_dict(optimizer.state_dict() | {"eps": np.array(eps)})


IMPOSSIBLE = {
    "a negative mean of squares": (
        mr.Adam, {"v.out.b": np.full((7, 1), -1e-9)}, r"state\['v\.out\.b'\]: got -1e-09, want 0 or",
    ),
    "a negative sum of squares": (
        mr.Adagrad, {"s.out.b": np.full((7, 1), -1.0)}, r"state\['s\.out\.b'\]: got -1\.0, want 0 or",
    ),
    "Nesterov's momentum without one": (
        mr.SGD, {"nesterov": True}, r"state\['nesterov'\]: got True with momentum=0\.0, want a mom",
    ),
    "a momentum that nothing is kept for": (
        mr.SGD, {"momentum": 0.9}, r"state\['momentum'\]: got 0\.9, want 0, with which",
    ),
    "a setting of no schedule": (mr.SGD, {"lr.final": 1.0}, r"unknown \['lr\.final'\]"),
    "a rate and a schedule": (mr.SGD, {"lr.kind": "StepDecay"}, r"unknown \['lr\.kind'\]"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "changed", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_state_that_no_optimizer_can_have_is_refused(make, changed, message):
    model = small_model()
    optimizer = make(model.parameters(), 0.1)
    train(model, optimizer, 2)
    before = everything(model, optimizer)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(optimizer.state_dict() | changed)
    assert all_same_bits(everything(model, optimizer), before)
