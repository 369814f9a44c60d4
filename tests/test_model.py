"""Models: names, one array for all parameters, sharing, nesting, saving by name, the summary."""

from __future__ import annotations

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from helpers import all_same_bits, draw_gradients, gradients, same_bits

import minirnn as mr


def small_model(seed=0, dtype="float32"):
    rng = np.random.default_rng(seed)
    return mr.Model(
        rnn=mr.GRU(3, 4, num_layers=2, bidirectional=True, rng=rng, dtype=dtype),
        out=mr.Linear(8, 5, rng=rng, dtype=dtype),
    )


def scores(model):
    """What the model makes of a fixed input."""
    x = np.random.default_rng(7).standard_normal((5, 3, 2))
    return model.out.forward(model.rnn.forward(x)[0])[0]


# ------------------------------------------------------------------------------ names


def test_parameters_are_named_after_their_layer_in_a_fixed_order():
    names = ["l0", "l0.reverse", "l1", "l1.reverse"]
    expected = [f"rnn.{d}.{letter}" for d in names for letter in ("U", "W", "b", "bw")]
    model = small_model()
    assert list(model.named_parameters()) == [*expected, "out.V", "out.b"]
    assert [p.name for p in model.parameters()] == list(model.named_parameters())
    assert list(model.state_dict()) == list(model.named_parameters())


def test_a_layer_in_a_model_keeps_its_own_names_for_itself():
    model = small_model()
    assert list(model.rnn.state_dict())[0] == "l0.U"  # noqa: RUF015
    assert model.rnn.parameters()[0].name == "rnn.l0.U"


def test_layers_are_attributes():
    rnn, out = mr.RNN(3, 4), mr.Linear(4, 5)
    model = mr.Model(rnn=rnn, out=out)
    assert model.rnn is rnn
    assert model.out is out


def test_what_is_not_there_is_an_attribute_error_that_says_what_is():
    model = small_model()
    with pytest.raises(AttributeError, match=r"model\.nope: there are rnn, out"):
        _ = model.nope
    assert not hasattr(model, "nope")
    with pytest.raises(AttributeError, match=r"model\.rnn: there are no layers"):
        _ = mr.Model().rnn


@pytest.mark.parametrize(
    "name", ["parameters", "named_parameters", "zero_grad", "state_dict", *vars(mr.Model())]
)
def test_a_layer_cannot_have_a_name_that_the_model_needs(name):
    with pytest.raises(ValueError, match=f"{name}: a layer cannot have this name"):
        mr.Model(**{name: mr.Linear(2, 3)})


@pytest.mark.parametrize("value", [3, None, "rnn", np.zeros(3), [mr.Linear(2, 3)], mr.Linear])
def test_what_is_not_a_layer_is_refused(value):
    with pytest.raises(TypeError, match=f"out: got {type(value).__name__}, want a layer"):
        mr.Model(rnn=mr.RNN(3, 4), out=value)


def test_shared_layers_are_listed_once_under_their_first_name():
    layer = mr.Linear(3, 3)
    model = mr.Model(first=layer, second=layer, third=mr.Sequential(layer))
    assert list(model.named_parameters()) == ["first.V", "first.b"]
    assert model.second is layer
    assert len(model.parameters()) == 2


def test_models_may_hold_models():
    inner = mr.Model(rnn=mr.RNN(3, 4, bias=False), out=mr.Linear(4, 3, bias=False))
    outer = mr.Model(head=mr.Linear(3, 2, bias=False), body=inner)
    assert list(outer.named_parameters()) == [
        "head.V",
        "body.rnn.l0.U",
        "body.rnn.l0.W",
        "body.out.V",
    ]
    assert list(inner.named_parameters()) == ["rnn.l0.U", "rnn.l0.W", "out.V"]
    assert outer.body.rnn.parameters()[0].name == "body.rnn.l0.U"
    inner.load_state_dict({name: value + 1 for name, value in inner.state_dict().items()})
    assert same_bits(outer.state_dict()["body.out.V"], inner.out.parameters()[0].data)


def test_two_parameters_of_one_name_are_refused():
    """One of them would be lost. It takes keywords that are not identifiers."""
    inner = mr.Model(b=mr.Linear(2, 3))
    with pytest.raises(ValueError, match=r"a\.b"):
        mr.Model(**{"a": inner, "a.b": mr.Linear(2, 3)})


def test_a_model_of_nothing():
    model = mr.Model()
    assert model.parameters() == []
    assert model.state_dict() == {}


# ------------------------------------------------------------------------------ one array


def ends(array):
    """Where an array's memory starts and ends."""
    return np.lib.array_utils.byte_bounds(array)


@pytest.mark.parametrize("which", ["data", "grad"])
def test_all_parameters_are_views_of_one_array_side_by_side(which):
    model = small_model()
    arrays = [getattr(p, which) for p in model.parameters()]
    for before, after in itertools.pairwise(arrays):
        assert ends(before)[1] == ends(after)[0]
    storage = getattr(model.parameters()[0].storage, which)
    assert storage.size == sum(array.size for array in arrays)
    storage[...] = 7
    assert all((getattr(p, which) == 7).all() for p in model.parameters())


def test_values_and_gradients_move_with_the_parameters():
    rnn = mr.LSTM(3, 4, rng=0)
    draw_gradients(rnn.parameters(), np.random.default_rng(0))
    values, before = rnn.state_dict(), gradients(rnn)
    model = mr.Model(first=mr.Linear(2, 3), rnn=rnn)
    assert all_same_bits(rnn.state_dict(), values)
    assert all_same_bits(gradients(rnn), before)
    mr.Model(other=model.rnn)
    assert all_same_bits(rnn.state_dict(), values)
    assert all_same_bits(gradients(rnn), before)


def test_a_cache_outlives_the_move_into_a_model():
    rnn, dys = mr.RNN(3, 4, rng=0), np.ones((5, 4, 2))
    x = np.random.default_rng(7).standard_normal((5, 3, 2))
    cache = rnn.forward(x)[2]
    rnn.backward(cache, dys)
    before = gradients(rnn)
    mr.Model(rnn=rnn)
    rnn.zero_grad()
    rnn.backward(cache, dys)
    assert all_same_bits(gradients(rnn), before)


def test_precisions_may_be_mixed():
    layers = {"a": mr.Linear(2, 3), "b": mr.Linear(3, 2, dtype="float64"), "c": mr.Linear(2, 2)}
    before = {
        f"{name}.{letter}": value
        for name, layer in layers.items()
        for letter, value in layer.state_dict().items()
    }
    model = mr.Model(**layers)
    assert all_same_bits(model.state_dict(), before)
    assert model.a.parameters()[0].storage is model.c.parameters()[0].storage
    assert [str(p.dtype) for p in model.b.parameters()] == ["float64"] * 2


def test_zero_grad():
    model = small_model()
    draw_gradients(model.parameters(), np.random.default_rng(0))
    model.zero_grad()
    assert not any(gradient.any() for gradient in gradients(model).values())


@pytest.mark.parametrize("make", [small_model, lambda: mr.Linear(2, 3)], ids=["model", "layer"])
def test_a_deep_copy_trains_by_itself_or_is_refused(make):
    """Copied parameters must be views of copied storage, or an optimizer updates what nobody reads."""
    model = make()
    before = model.state_dict()
    try:
        other = copy.deepcopy(model)
    except TypeError:
        return
    draw_gradients(other.parameters(), np.random.default_rng(0))
    mr.SGD(other.parameters(), lr=1.0).step()
    assert all((value != before[name]).any() for name, value in other.state_dict().items())
    assert all_same_bits(model.state_dict(), before)


# ------------------------------------------------------------------------------ parameters


def test_assigning_data_keeps_the_array_and_counts_a_version():
    (p,) = mr.Linear(2, 3, bias=False).parameters()
    array, version = p.data, p.version
    p.data = [[1, 2], [3, 4], [5, 6]]
    assert p.data is array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[1, 2], [3, 4], [5, 6]])
    assert p.version > version


@pytest.mark.parametrize("which", ["data", "grad"])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (6,), ()], ids=str)
def test_assigning_another_shape_is_refused(which, shape):
    (p,) = mr.Linear(2, 3, bias=False).parameters()
    before = getattr(p, which).copy()
    message = rf"V.*: got shape {re.escape(str(shape))}, want \(3, 2\)"
    with pytest.raises(ValueError, match=message):
        setattr(p, which, np.ones(shape))
    assert same_bits(getattr(p, which), before)


def test_a_parameter_says_what_it_is():
    assert repr(small_model().parameters()[0]) == (
        "Parameter(rnn.l0.U, shape=(12, 3), float32, cpu)"
    )


# ------------------------------------------------------------------------------ saving


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_state_makes_another_model_the_same(dtype):
    model, other = small_model(0, dtype), small_model(1, dtype)
    assert not np.allclose(scores(model), scores(other))
    other.load_state_dict(model.state_dict())
    assert all_same_bits(other.state_dict(), model.state_dict())
    assert same_bits(scores(other), scores(model))


def test_a_saved_state_is_a_copy():
    model = small_model()
    saved = model.state_dict()
    before = scores(model)
    for value in saved.values():
        value[...] = 0
    assert same_bits(scores(model), before)


def test_loading_takes_lists_and_other_dtypes():
    layer = mr.Linear(2, 1)
    layer.load_state_dict({"V": [[1, 2]], "b": np.array([[0.5]])})
    V, b = layer.state_dict().values()
    assert same_bits(V, np.array([[1, 2]], np.float32))
    assert same_bits(b, np.array([[0.5]], np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("out.b"), r"values: missing \['out\.b'\], unknown \[\]"),
        (lambda s: s.update({1: 0, "b": 0}), r"values: missing \[\], unknown \[1, 'b'\]"),
        (lambda s: s.update(extra=0), r"values: missing \[\], unknown \['extra'\]"),
        (
            lambda s: s.update({"out.b": np.ones(5)}),
            r"values\['out\.b'\]: got shape \(5,\), want \(5, 1\)",
        ),
        (lambda s: s.update({"out.b": np.full((5, 1), "x")}), r"out\.b"),
        (lambda s: s.update({"out.b": np.full((5, 1), 1j)}), r"out\.b"),
    ],
    ids=["missing", "unknown", "unknown too", "shape", "text", "complex"],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_changed(change, message):
    model = small_model()
    before = model.state_dict()
    versions = [p.version for p in model.parameters()]
    values = {name: value + 1 for name, value in before.items()}
    change(values)
    with pytest.raises((TypeError, ValueError)) as caught:
        model.load_state_dict(values)
    assert all_same_bits(model.state_dict(), before)
    assert [p.version for p in model.parameters()] == versions
    assert re.search(message, str(caught.value)), caught.value


# ------------------------------------------------------------------------------ summary


def test_the_summary_counts_the_numbers_of_a_small_network(capsys):
    model = mr.Model(rnn=mr.RNN(4, 3, bias=False), out=mr.Linear(3, 4, bias=False))
    assert mr.summary(model) == 33
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["rnn.l0.U", "3", "×", "4", "12"],
        ["rnn.l0.W", "3", "×", "3", "9"],
        ["out.V", "4", "×", "3", "12"],
    ]
    assert lines[4].startswith("12 + 9 + 12 = 33 parameters")
    assert "0.1 KiB" in lines[4]


def test_the_summary_names_the_gates(capsys):
    assert mr.summary(mr.LSTM(3, 5)) == 4 * 5 * (3 + 5 + 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["l0.U", "l0.W", "l0.b"]
    assert all(line.endswith("i f o g of 5") for line in lines[1:4])


def test_the_summary_counts_shared_and_large_and_double_parameters_right(capsys):
    embedding = mr.Embedding(1000, 64, dtype="float64")
    out = mr.Linear(64, 1000, bias=False, dtype="float64", share=embedding)
    assert mr.summary(mr.Model(embedding=embedding, out=out)) == 64_000
    assert capsys.readouterr().out.endswith("64,000 = 64,000 parameters, 500.0 KiB\n")


def test_the_summary_of_nothing(capsys):
    assert mr.summary(mr.Dropout(0.5)) == 0
    assert capsys.readouterr().out.endswith("0 = 0 parameters, 0.0 KiB\n")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_a_model_is_whole_and_independent(copied):
    """Its parameters are views of its own storage: training it moves it, and nothing else."""
    model = mr.Model(rnn=mr.GRU(2, 3, rng=0), out=mr.Linear(3, 2, rng=0))
    twin = copied(model)
    before = model.state_dict()
    assert all_same_bits(twin.state_dict(), before)
    for p in twin.parameters():
        p.grad = np.ones(p.shape)
    mr.SGD(twin.parameters(), 0.1).step()
    assert all_same_bits(model.state_dict(), before)
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(value, before[name] - 0.1, rtol=1e-6)


def test_a_layer_assigned_to_a_model_is_refused():
    model = mr.Model(rnn=mr.RNN(2, 3, rng=0))
    with pytest.raises(AttributeError, match=r"model\.out: a model's layers are given when"):
        model.out = mr.Linear(3, 2)


def test_part_of_a_model_can_be_loaded_and_what_was_left_out_is_said(rng):
    old = mr.Model(rnn=mr.RNN(3, 4, rng=rng), head=mr.Linear(4, 2, rng=rng))
    new = mr.Model(rnn=mr.RNN(3, 4, dtype="float64", rng=rng), out=mr.Linear(4, 5, rng=rng))
    before, versions = new.state_dict(), [p.version for p in new.parameters()]
    with pytest.raises(
        ValueError, match=r"missing \['out.V', 'out.b'\], unknown \['head.V', 'head.b'\]"
    ):
        new.load_state_dict(old.state_dict())
    assert all_same_bits(new.state_dict(), before)
    left = new.load_state_dict(old.state_dict(), strict=False)
    assert left.missing_keys == ["out.V", "out.b"]
    assert left.unexpected_keys == ["head.V", "head.b"]
    assert left == (left.missing_keys, left.unexpected_keys)
    for name, value in new.state_dict().items():
        wanted = old.state_dict()[name] if name.startswith("rnn.") else before[name]
        np.testing.assert_array_equal(value, wanted)
        assert value.dtype == before[name].dtype
    moved = [p.version - v for p, v in zip(new.parameters(), versions, strict=True)]
    assert moved == [1, 1, 1, 0, 0]
    wrong = {"rnn.l0.b": np.ones((4, 1)), "rnn.l0.W": np.ones((3, 3))}
    now = new.state_dict()
    with pytest.raises(
        ValueError, match=r"values\['rnn\.l0\.W'\]: got shape \(3, 3\), want \(4, 4\)"
    ):
        new.load_state_dict(wrong, strict=False)
    assert all_same_bits(new.state_dict(), now)
    assert new.load_state_dict({}, strict=False).missing_keys == sorted(before)
    assert new.load_state_dict(new.state_dict()) == ([], [])
