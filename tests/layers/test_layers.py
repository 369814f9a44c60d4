"""Layers without state: values, exact gradients, shared matrices, dropout, large vocabularies."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import draw_gradients, gradients, same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.tokens import add_up_columns

quick = settings(max_examples=40, deadline=None, derandomize=True)
sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)
F64 = {"dtype": "float64"}


def numbers(*shape, seed=0, dtype=float):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tokens(*shape, K=5, seed=0):
    return np.random.default_rng(seed).integers(0, K, shape)


def draws(seed):
    """Options that drop the same at every call with them, or nothing for None."""
    return {} if seed is None else {"dropout_rng": np.random.default_rng(seed)}


def proof(layer, x, seed=None):
    """Compare every gradient of Σ random · y with the complex step's."""
    dy = numbers(*layer.forward(x, **draws(seed))[0].shape, seed=99)

    def forward(x):
        y, cache = layer.forward(x, **draws(seed))
        return (dy * y).sum(), cache

    parameters = mr.Model(layer=layer).parameters()  # which gives each a name of its own
    return mr.gradcheck(forward, lambda cache: {"x": layer.backward(cache, dy)}, parameters, x=x)


# ------------------------------------------------------------------------------ gradients

NETWORK = (
    mr.Linear(3, 4, rng=2, **F64),
    mr.Activation("tanh"),
    mr.Sequential(mr.Dropout(0.4), mr.Linear(4, 5, bias=False, rng=3, **F64)),
    mr.Dropout(0.3),
    mr.Activation("sigmoid"),
)
FROM_NUMBERS = {
    "linear": (mr.Linear(3, 4, rng=0, **F64), None, "V b"),
    "linear without bias": (mr.Linear(3, 4, bias=False, rng=1, **F64), None, "V"),
    "dropout": (mr.Dropout(0.4), 5, ""),
    "dropout not asked for": (mr.Dropout(0.4), None, ""),
    "tanh": (mr.Activation("tanh"), None, ""),
    "sigmoid": (mr.Activation("sigmoid"), None, ""),
    "relu": (mr.Activation("relu"), None, ""),
    "sequential": (mr.Sequential(*NETWORK), 7, "0.V 0.b 2.1.V"),
}
FROM_TOKENS = {
    "embedding": (mr.Embedding(5, 3, rng=0, **F64), "E"),
    "large embedding": (mr.Embedding(600, 2, rng=0, **F64), "E"),
    "one-hot": (mr.Sequential(mr.OneHot(5, **F64), mr.Linear(5, 3, rng=1, **F64)), "1.V 1.b"),
    "embedding in front": (
        mr.Sequential(mr.Embedding(5, 3, rng=2, **F64), *NETWORK),
        "0.E 1.V 1.b 3.1.V",
    ),
}


@pytest.mark.parametrize("shape", [(3, 4), (4, 3, 2)], ids=["one step", "sequence"])
@pytest.mark.parametrize("name", FROM_NUMBERS)
def test_every_gradient_is_exact(name, shape):
    layer, seed, parameters = FROM_NUMBERS[name]
    report = proof(layer, numbers(*shape, seed=1), seed)
    checked = [row.name for row in report.rows]
    assert checked == ["x", *(f"layer.{p}" for p in parameters.split())]
    assert report.worst <= 1e-12, report


@pytest.mark.parametrize("shape", [(6,), (4, 6)], ids=["one step", "sequence"])
@pytest.mark.parametrize("name", FROM_TOKENS)
def test_every_gradient_by_tokens_is_exact(name, shape):
    layer, parameters = FROM_TOKENS[name]
    report = proof(layer, tokens(*shape))
    assert [row.name for row in report.rows] == [f"layer.{p}" for p in parameters.split()]
    assert report.worst <= 1e-12, report


@pytest.mark.parametrize("name", FROM_NUMBERS)
def test_gradients_add_up(name):
    layer, seed, _ = FROM_NUMBERS[name]
    y, cache = layer.forward(numbers(4, 3, 2), **draws(seed))
    layer.zero_grad()
    dx = layer.backward(cache, y)
    once = gradients(layer)
    dx_again = layer.backward(cache, y)
    assert same_bits(dx, dx_again)
    for parameter, gradient in gradients(layer).items():
        np.testing.assert_array_equal(gradient, 2 * once[parameter], parameter)


@pytest.mark.parametrize("name", FROM_NUMBERS)
def test_arguments_are_not_written_to(name):
    layer, seed, _ = FROM_NUMBERS[name]
    x = numbers(4, 3, 2)
    with unchanged(x):
        y, cache = layer.forward(x, **draws(seed))
        dy = numbers(*y.shape)
        with unchanged(dy):
            layer.backward(cache, dy)


@pytest.mark.parametrize("name", FROM_NUMBERS)
def test_results_are_the_callers_to_write_to(name):
    layer, seed, _ = FROM_NUMBERS[name]
    x, y, cache = numbers(4, 3, 2), *layer.forward(numbers(4, 3, 2), **draws(seed))
    dy = numbers(*y.shape)
    expected = layer.backward(cache, dy)
    with unchanged(x, dy):
        y, cache = layer.forward(x, **draws(seed))
        y[...] = np.nan
        dx = layer.backward(cache, dy)
        assert same_bits(dx, expected)
        dx[...] = np.nan


@pytest.mark.parametrize("name", FROM_TOKENS)
def test_tokens_are_not_written_to_and_may_be_overwritten_before_backward(name):
    layer, _ = FROM_TOKENS[name]
    x = tokens(4, 6)
    layer.zero_grad()
    with unchanged(x):
        y, cache = layer.forward(x)
        assert layer.backward(cache, y) is None
    expected = gradients(layer)
    layer.zero_grad()
    y, cache = layer.forward(x)
    x[...] = 0
    layer.backward(cache, y)
    for parameter, gradient in gradients(layer).items():
        np.testing.assert_array_equal(gradient, expected[parameter])


@pytest.mark.parametrize("name", FROM_NUMBERS)
def test_a_sequence_is_its_steps_side_by_side(name):
    layer, _, _ = FROM_NUMBERS[name]
    x = numbers(4, 3, 2)
    y, cache = layer.forward(x)
    dy = numbers(*y.shape)
    layer.zero_grad()
    dx = layer.backward(cache, dy)
    expected = gradients(layer)
    layer.zero_grad()
    for t in range(len(x)):
        y_t, cache_t = layer.forward(x[t])
        np.testing.assert_allclose(y_t, y[t], rtol=1e-12)
        np.testing.assert_allclose(layer.backward(cache_t, dy[t]), dx[t], rtol=1e-12)
    for parameter, gradient in gradients(layer).items():
        np.testing.assert_allclose(gradient, expected[parameter], rtol=1e-12)


# ------------------------------------------------------------------------------ linear


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_linear_is_v_h_plus_b(dtype):
    layer = mr.Linear(3, 4, rng=0, dtype=dtype)
    V, b = (p.data for p in layer.parameters())
    h = numbers(5, 3, 2, dtype=dtype)
    y, _ = layer.forward(h)
    assert y.dtype == dtype
    for t, n in np.ndindex(5, 2):
        np.testing.assert_allclose(y[t, :, n], (V @ h[t, :, n]) + b[:, 0], rtol=1e-5)


def test_linear_computes_in_its_own_dtype():
    layer = mr.Linear(3, 4, rng=0)
    y, cache = layer.forward(numbers(3, 2))
    assert y.dtype == np.float32
    assert layer.backward(cache, numbers(4, 2)).dtype == np.float32


LAYERS = {
    "Linear": (lambda: mr.Linear(3, 3, rng=0), np.ones((3, 2), np.float32)),
    "Embedding": (lambda: mr.Embedding(3, 3, rng=0), np.array([1, 2])),
    "Activation": (lambda: mr.Activation("tanh"), np.ones((3, 2))),
    "Dropout": (lambda: mr.Dropout(0.5), np.ones((3, 2))),
    "Sequential": (lambda: mr.Sequential(mr.Activation("tanh")), np.ones((3, 2))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_cache_of_another_layer_is_refused(name):
    make, x = LAYERS[name]
    mine, other = make(), make()
    y, cache = mine.forward(x)
    mine.backward(cache, y)
    with pytest.raises(ValueError, match="cache: comes from another layer"):
        other.backward(cache, y)
    with pytest.raises(TypeError, match="cache: got NoneType, want what forward"):
        mine.backward(None, y)


def test_linear_keeps_a_copy_of_its_input():
    layer, x = mr.Linear(3, 4, rng=0), np.ones((3, 2), np.float32)
    y, cache = layer.forward(x)
    x[...] = 0
    layer.backward(cache, y)
    assert layer.parameters()[0].grad.any()


@pytest.mark.parametrize("update", ["optimizer", "load_state_dict", "assignment"])
def test_linear_refuses_a_cache_older_than_its_matrix(update):
    layer = mr.Linear(3, 4, rng=0)
    V = layer.parameters()[0]
    y, cache = layer.forward(numbers(3, 2))
    if update == "optimizer":
        mr.SGD(layer.parameters(), lr=0.1).step()
    elif update == "load_state_dict":
        layer.load_state_dict(layer.state_dict())
    else:
        V.data = 2 * V.data
    with pytest.raises(ValueError, match=r"cache: is older than the parameters.*run forward again"):
        layer.backward(cache, y)
    assert not V.grad.any()


# ------------------------------------------------------------------------------ tokens


@quick
@given(K=st.integers(1, 6), E=sizes, T=sizes, N=sizes, seed=seeds)
def test_embedding_is_a_matrix_times_one_hot_columns(K, E, T, N, seed):
    embedding = mr.Embedding(K, E, rng=seed, **F64)
    by_hand = mr.Linear(K, E, bias=False, **F64)
    by_hand.parameters()[0].data = embedding.parameters()[0].data.T
    x, dy = tokens(T, N, K=K, seed=seed), numbers(T, E, N, seed=seed)
    columns, _ = mr.OneHot(K, **F64).forward(x)
    y, cache = embedding.forward(x)
    y2, cache2 = by_hand.forward(columns)
    np.testing.assert_array_equal(y, y2)
    assert embedding.backward(cache, dy) is None
    by_hand.backward(cache2, dy)
    np.testing.assert_allclose(gradients(embedding)["E"], gradients(by_hand)["V"].T, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_hot_columns(dtype):
    y, cache = mr.OneHot(3, dtype).forward(np.array([[2, 0], [1, 1]]))
    expected = [[[0, 1], [0, 0], [1, 0]], [[0, 0], [1, 1], [0, 0]]]
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype
    assert mr.OneHot(3).backward(cache, y) is None
    np.testing.assert_array_equal(mr.OneHot(3).forward(np.array([2, 0]))[0], expected[0])


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64", "uint64"])
@pytest.mark.parametrize("K", [10, 600])
def test_tokens_may_be_of_any_integer_type(K, kind):
    layer = mr.Embedding(K, 2, rng=0, **F64)
    x = tokens(3, 4, K=10)
    y, cache = layer.forward(x)
    layer.backward(cache, y)
    expected = gradients(layer)["E"]
    layer.zero_grad()
    y2, cache = layer.forward(x.astype(kind))
    layer.backward(cache, y2)
    assert same_bits(y, y2)
    assert same_bits(gradients(layer)["E"], expected)


def test_negative_tokens_are_refused_even_if_few_bits_hold_them():
    with pytest.raises(ValueError, match="x: got tokens from -61 to 3, want 0 to 255"):
        mr.Embedding(256, 2, rng=0).forward(np.array([3, -61], np.int8))


@pytest.mark.parametrize("K", [1, 5, 512, 513, 2000])
@pytest.mark.parametrize("M", [0, 1, 40, 3000])
def test_columns_are_added_up_as_by_add_at(K, M):
    columns, x, out = numbers(3, M, seed=M), tokens(M, K=K, seed=K), numbers(3, K, seed=1)
    expected = out.copy()
    np.add.at(expected.T, x, columns.T)
    with unchanged(columns, x):
        add_up_columns(columns, x, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


@quick
@given(seed=seeds, used=st.integers(1, 600))
def test_a_large_vocabulary_gets_the_gradients_that_a_small_one_would(seed, used):
    """The rows in use are few or many, and often come twice."""
    layer = mr.Embedding(600, 3, rng=0, **F64)
    x, dy = tokens(5, 4, K=used, seed=seed), numbers(5, 3, 4, seed=seed)
    layer.backward(layer.forward(x)[1], dy)
    expected = np.zeros((600, 3))
    np.add.at(expected, x, dy.swapaxes(1, 2))
    np.testing.assert_allclose(gradients(layer)["E"], expected, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------ a shared matrix


def test_a_shared_matrix_is_listed_once_and_gets_the_sum_of_both_gradients():
    embedding = mr.Embedding(5, 3, rng=0, **F64)
    tied = mr.Linear(3, 5, rng=1, share=embedding, **F64)
    model = mr.Model(embedding=embedding, out=tied)
    assert list(model.named_parameters()) == ["embedding.E", "out.b"]
    x, dscores = tokens(4, 2), numbers(4, 5, 2)

    def run(first, last):
        y, cache = first.forward(x)
        _, out_cache = last.forward(y)
        first.backward(cache, last.backward(out_cache, dscores))

    loose = mr.Linear(3, 5, **F64)
    loose.load_state_dict(tied.state_dict())
    alone = mr.Embedding(5, 3, **F64)
    alone.load_state_dict(embedding.state_dict())
    run(alone, loose)
    run(embedding, tied)
    expected = gradients(alone)["E"] + gradients(loose)["V"]
    np.testing.assert_allclose(gradients(embedding)["E"], expected, rtol=1e-12)


def test_a_shared_matrix_has_an_exact_gradient():
    embedding = mr.Embedding(5, 3, rng=0, **F64)
    out = mr.Linear(3, 5, rng=1, share=embedding, **F64)
    report = proof(mr.Sequential(embedding, mr.Activation("tanh"), out), tokens(4, 6))
    assert [row.name for row in report.rows] == ["layer.0.E", "layer.2.b"]
    assert report.worst <= 1e-12, report


def test_a_shared_matrix_is_updated_once():
    embedding = mr.Embedding(5, 3, rng=0)
    model = mr.Model(embedding=embedding, out=mr.Linear(3, 5, bias=False, share=embedding))
    before = model.state_dict()["embedding.E"]
    draw_gradients(model.parameters(), np.random.default_rng(0))
    mr.SGD(model.parameters(), lr=1.0).step()
    step = before - model.state_dict()["embedding.E"]
    np.testing.assert_allclose(step, gradients(model)["embedding.E"], atol=1e-6)


# ------------------------------------------------------------------------------ dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_zeroes_a_share_p_and_preserves_the_mean(p, dtype):
    n = 100_000
    y, cache = mr.Dropout(p).forward(np.ones((n, 1), dtype), dropout_rng=np.random.default_rng(0))
    assert y.dtype == cache.saved.dtype == dtype
    values = np.unique(y)
    np.testing.assert_allclose(values, [0, 1 / (1 - p)], rtol=1e-6)
    sigma = (p * (1 - p) / n) ** 0.5
    assert abs((y == 0).mean() - p) < 5 * sigma
    assert abs(y.mean(dtype=float) - 1) < 5 * sigma / (1 - p)


@pytest.mark.parametrize(
    ("p", "options"), [(0.9, {}), (0.0, {"dropout_rng": np.random.default_rng(0)})]
)
def test_nothing_is_dropped_unless_it_is_asked_for(p, options):
    x = numbers(20, 3, 2)
    layer = mr.Dropout(p)
    y, cache = layer.forward(x, **options)
    assert same_bits(y, x)
    assert not np.shares_memory(y, x)
    assert same_bits(layer.backward(cache, x), x)


@pytest.mark.parametrize("layer", [mr.Dropout(0.5), mr.Sequential(mr.Dropout(0.5))])
def test_the_same_seed_drops_the_same(layer):
    x = numbers(4, 3, 8)

    def run(seed):
        return layer.forward(x, dropout_rng=np.random.default_rng(seed))[0]

    assert same_bits(run(3), run(3))
    assert not same_bits(run(3), run(4))
    stream = np.random.default_rng(3)
    assert same_bits(run(stream), run(3))
    assert not same_bits(run(stream), run(3))  # a generator goes on


def test_a_seed_drops_the_same_elements_in_either_precision():
    x = np.ones((5, 4, 3))
    y, _ = mr.Dropout(0.5).forward(x, dropout_rng=np.random.default_rng(3))
    y32, _ = mr.Dropout(0.5).forward(x.astype(np.float32), dropout_rng=np.random.default_rng(3))
    np.testing.assert_array_equal(y == 0, y32 == 0)


def test_each_dropout_of_a_sequence_drops_for_itself():
    layer = mr.Sequential(mr.Dropout(0.5), mr.Sequential(mr.Dropout(0.5)))
    _, cache = layer.forward(np.ones((4, 3, 8)), dropout_rng=np.random.default_rng(0))
    first, second = cache.saved[0].saved, cache.saved[1].saved[0].saved
    assert first.shape == second.shape
    assert (first != second).any()


def test_the_gradient_passes_where_the_value_did():
    layer = mr.Dropout(0.5)
    y, cache = layer.forward(np.ones((4, 3, 8)), dropout_rng=np.random.default_rng(0))
    dy = numbers(4, 3, 8)
    dx = layer.backward(cache, dy)
    np.testing.assert_array_equal(dx, np.where(y == 0, 0, 2 * dy))


# ------------------------------------------------------------------------------ activation, sequential


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("tanh", np.tanh),
        ("sigmoid", lambda a: 1 / (1 + np.exp(-a))),
        ("relu", lambda a: np.maximum(a, 0)),
    ],
)
def test_activations(name, plain):
    x = numbers(5, 4, 3)
    y, _ = mr.Activation(name).forward(x)
    np.testing.assert_allclose(y, plain(x), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("tanh", [-1, 0, 1], [0, 1, 0]),
        ("sigmoid", [0, 0.5, 1], [0, 0.25, 0]),
        ("relu", [0, 0, 1e4], [0, 0, 1]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_exact_where_they_are_flat_and_keep_the_dtype(name, values, slopes, dtype):
    x = np.array([[-1e4, 0, 1e4]], dtype)
    layer = mr.Activation(name)
    y, cache = layer.forward(x)
    dx = layer.backward(cache, np.ones_like(x))
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_array_equal(y, [values])
    np.testing.assert_array_equal(dx, [slopes])


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu"])
def test_activations_do_not_hide_nan(name):
    assert np.isnan(mr.Activation(name).forward(np.array([[np.nan]]))[0]).all()


def test_sequential_is_its_layers_one_after_the_other():
    first, last = mr.Linear(3, 4, rng=0, **F64), mr.Linear(4, 2, rng=1, **F64)
    layer = mr.Sequential(first, mr.Activation("tanh"), last)
    assert list(layer.named_parameters()) == ["0.V", "0.b", "2.V", "2.b"]
    x = numbers(5, 3, 2)
    y, _ = layer.forward(x)
    assert same_bits(y, last.forward(np.tanh(first.forward(x)[0]))[0])


def test_a_layer_twice_in_a_sequence_is_one_layer():
    square = mr.Linear(3, 3, rng=0, **F64)
    layer = mr.Sequential(square, mr.Activation("tanh"), square)
    assert list(layer.named_parameters()) == ["0.V", "0.b"]
    assert proof(layer, numbers(4, 3, 2)).worst <= 1e-12
