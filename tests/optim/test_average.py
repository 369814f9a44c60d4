"""The moving average of the parameters: its formula, its coming and going, its saving."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from helpers import all_same_bits, same_bits

import minirnn as mr


def make(dtype="float64"):
    """A model of which two layers share a parameter."""
    embed = mr.Embedding(3, 4, dtype=dtype, rng=0)
    rnn = mr.RNN(4, 4, dtype=dtype, rng=1)
    return mr.Model(embed=embed, rnn=rnn, out=mr.Linear(4, 3, dtype=dtype, rng=2, share=embed))


def walk(model, rng):
    """Move every parameter by a step of its own."""
    for p in model.parameters():
        p.data = p.data + rng.standard_normal(p.shape)


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999])
def test_it_is_the_formula(rng, decay):
    model = make()
    average = mr.Average(model.parameters(), decay)
    wanted = model.state_dict()
    for k in range(1, 101):
        walk(model, rng)
        average.update()
        d = min(decay, k / (k + 9))
        for name, theta in model.state_dict().items():
            wanted[name] = d * wanted[name] + (1 - d) * theta
    own = model.state_dict()
    with average.applied():
        for name, value in model.state_dict().items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-12, atol=1e-12)
            assert same_bits(value, own[name]) is (decay == 0)


def test_it_starts_as_the_parameters_and_does_not_move_by_itself(rng):
    model = make("float32")
    average, start = mr.Average(model.parameters()), model.state_dict()
    walk(model, rng)
    with average.applied():
        assert all_same_bits(model.state_dict(), start)


def test_parameters_are_themselves_again_even_after_an_error(rng):
    model = make("float32")
    average = mr.Average(model.parameters())
    walk(model, rng)
    average.update()
    own, averaged = model.state_dict(), average.state_dict()
    with suppress(KeyError), average.applied():
        within = model.state_dict()
        with average.applied():  # twice is once
            assert all_same_bits(model.state_dict(), within)
        assert all_same_bits(model.state_dict(), within)
        walk(model, rng)  # whatever is done to them within is forgotten
        raise KeyError
    assert all_same_bits(model.state_dict(), own)
    assert all_same_bits(average.state_dict(), averaged)
    del averaged["steps"], averaged["decay"]
    assert all_same_bits(within, averaged)


def test_updating_leaves_caches_valid_and_applying_does_not(rng):
    rnn = mr.RNN(2, 3, rng=rng)
    average, dys = mr.Average(rnn.parameters()), rng.standard_normal((4, 3, 2))
    x = rng.standard_normal((4, 2, 2))
    before = rnn.forward(x)[2]
    average.update()
    rnn.backward(before, dys)
    with average.applied():
        within = rnn.forward(x)[2]
        rnn.backward(within, dys)
        with pytest.raises(ValueError, match="cache: is older than the parameters"):
            rnn.backward(before, dys)
    for cache in (before, within):
        with pytest.raises(ValueError, match="cache: is older than the parameters"):
            rnn.backward(cache, dys)
    rnn.backward(rnn.forward(x)[2], dys)


def test_saved_and_loaded_it_goes_on_to_the_same_bits(rng):
    model = make("float32")
    average = mr.Average(model.parameters(), 0.99)
    for _ in range(5):
        walk(model, rng)
        average.update()
    state = average.state_dict()
    assert list(state) == ["steps", "decay", *model.named_parameters()]
    assert state["steps"] == 5
    other = mr.Average(model.parameters(), 0.5)
    other.load_state_dict(state)
    for value in state.values():
        value[...] = 0  # what was given and taken is not shared
    walk(model, rng)
    average.update()
    other.update()
    assert other.state_dict()["steps"] == 6
    assert all_same_bits(other.state_dict(), average.state_dict())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("out.b"), ValueError, r"state: missing \['out\.b'\], unknown \[\]"),
        (lambda s: s.update(more=s["out.b"]), ValueError, r"missing \[\], unknown \['more'\]"),
        (lambda s: s.update({"out.b": np.zeros(3)}), ValueError, r"state\['out\.b'\]: got shape"),
        (lambda s: s.update({"out.b": 1j * s["out.b"]}), TypeError, r"'out\.b'\]: got complex"),
        (lambda s: s.update(steps=np.array(-1)), ValueError, r"state\['steps'\]: got -1, want 0"),
        (lambda s: s.update(steps=np.array(1.5)), TypeError, r"state\['steps'\]: got float64"),
        (lambda s: s.update(decay=np.array(1.0)), ValueError, r"state\['decay'\]: got 1\.0, want"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(rng, change, error, message):
    model = make()
    average = mr.Average(model.parameters())
    walk(model, rng)
    average.update()
    before = average.state_dict()
    state = {name: value + (name != "decay") for name, value in before.items()}
    change(state)
    with pytest.raises(error, match=message):
        average.load_state_dict(state)
    assert all_same_bits(average.state_dict(), before)


def test_what_cannot_be_averaged():
    parameters = make().parameters()
    for decay in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"decay: got .*, want a number in \[0, 1\)"):
            mr.Average(parameters, decay)
    with pytest.raises(ValueError, match="parameters: got none"):
        mr.Average([])
    with pytest.raises(TypeError, match="parameters: got Model, want a list"):
        mr.Average(make())
    with pytest.raises(ValueError, match=r"is there twice"):
        mr.Average(parameters + make().parameters())
