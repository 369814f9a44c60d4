"""Initial values: bounds, orthogonality gate by gate, biases, and what a seed decides."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import all_same_bits, same_bits

import minirnn as mr
from minirnn.init import orthogonal

NETWORKS = {
    "RNN": (mr.RNN, {}),
    "LSTM": (mr.LSTM, {}),
    "GRU": (mr.GRU, {}),
    "GRU reset before": (mr.GRU, {"reset_after": False}),
    "deep, both directions": (mr.LSTM, {"num_layers": 2, "bidirectional": True}),
}
GATES = {mr.RNN: 1, mr.LSTM: 4, mr.GRU: 3}
D, H = 20, 50

each_network = pytest.mark.parametrize("kind", NETWORKS)
each_scheme = pytest.mark.parametrize("init", ["uniform", "glorot", "orthogonal"])


def network(kind, **options):
    make, own = NETWORKS[kind]
    return make(D, H, **({"dtype": "float64", "rng": 0} | own | options))


def blocks(kind, value):
    """The rows of each gate by themselves."""
    return np.split(value, GATES[NETWORKS[kind][0]])


def is_bias(name):
    return name.rpartition(".")[2].startswith("b")


def assert_fills(value, bound):
    """Within ±bound, and not within much less."""
    assert np.abs(value).max() <= bound
    assert np.abs(value).max() > 0.9 * bound
    assert abs(value.mean()) < 0.2 * bound


@each_network
def test_uniform_values_lie_within_one_over_root_h(kind):
    for value in network(kind).state_dict().values():
        assert_fills(value, H**-0.5)


def test_the_output_layers_uniform_bound_comes_from_its_input():
    values = mr.Linear(100, 400, rng=0).state_dict()
    for value in values.values():
        assert_fills(value, 0.1)


@each_network
@pytest.mark.parametrize("init", ["glorot", "orthogonal"])
def test_glorot_bounds_are_those_of_one_gate(kind, init):
    for name, value in network(kind, init=init).state_dict().items():
        if name.endswith("U") or (name.endswith("W") and init == "glorot"):
            for block in blocks(kind, value):
                assert_fills(block, (6 / (H + value.shape[1])) ** 0.5)


@each_network
def test_orthogonal_recurrent_matrices_are_so_gate_by_gate(kind):
    for name, value in network(kind, init="orthogonal").state_dict().items():
        if name.endswith("W"):
            gates = blocks(kind, value)
            for block in gates:
                np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-12)
            assert all((gates[0] != other).any() for other in gates[1:])


@each_network
@pytest.mark.parametrize("init", ["glorot", "orthogonal"])
def test_biases_start_at_zero_there(kind, init):
    biases = [v for name, v in network(kind, init=init).state_dict().items() if is_bias(name)]
    assert biases
    assert not any(value.any() for value in biases)


@pytest.mark.parametrize("init", ["glorot", "orthogonal"])
def test_the_output_layer_is_drawn_after_glorot_with_bias_zero(init):
    values = mr.Linear(30, 40, rng=0, init=init).state_dict()
    assert_fills(values["V"], (6 / 70) ** 0.5)
    assert not values["b"].any()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7)])
def test_orthogonal_matrices_have_orthonormal_rows_or_columns_whichever_are_fewer(shape):
    q = orthogonal(np.random.default_rng(0), shape)
    assert q.shape == shape
    product = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_drawn_evenly():
    """A bare QR decomposition gives the first element the same sign every time."""
    rng = np.random.default_rng(0)
    first = np.array([orthogonal(rng, (3, 3))[0, 0] for _ in range(400)])
    assert abs((first > 0).mean() - 0.5) < 0.1
    assert first.var() == pytest.approx(1 / 3, rel=0.2)


def test_embeddings_are_standard_normal():
    E = mr.Embedding(200, 100, rng=0).state_dict()["E"]
    assert abs(E.mean()) < 0.03
    assert E.std() == pytest.approx(1, rel=0.03)


# ------------------------------------------------------------------------------ forget_bias


@each_scheme
def test_forget_bias_sets_the_forget_gates_bias_and_nothing_else(init):
    options = {"num_layers": 2, "bidirectional": True, "init": init, "rng": 0}
    plain = mr.LSTM(D, H, **options).state_dict()
    biased = mr.LSTM(D, H, forget_bias=1.5, **options).state_dict()
    assert len(plain) == 3 * 4
    for name, value in plain.items():
        if is_bias(name):
            np.testing.assert_array_equal(biased[name][H : 2 * H], 1.5)
            value[H : 2 * H] = 1.5
        assert same_bits(biased[name], value), name


def test_forget_bias_keeps_the_cell_state_of_a_new_network():
    """With f near 1 and i near 0, c stands still: the rows are those that the equations read as f."""
    rnn = mr.LSTM(2, 3, forget_bias=50.0, rng=0, dtype="float64")
    values = rnn.state_dict()
    values["l0.b"][:3] = -50
    rnn.load_state_dict(values)
    state = np.zeros((1, 3, 4)), np.random.default_rng(1).standard_normal((1, 3, 4))
    _, (_, c), _ = rnn.forward(np.ones((5, 2, 4)), state)
    np.testing.assert_allclose(c, state[1], atol=1e-12)


# ------------------------------------------------------------------------------ seeds

LAYERS = {
    **{kind: lambda kind=kind, **options: network(kind, **options) for kind in NETWORKS},
    "Linear": lambda **options: mr.Linear(D, H, **options),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@each_layer
@each_scheme
def test_a_seed_decides_every_bit(make, init):
    values = make(rng=3, init=init).state_dict()
    assert all_same_bits(make(rng=3, init=init).state_dict(), values)
    assert all_same_bits(make(rng=np.int64(3), init=init).state_dict(), values)
    assert all_same_bits(make(rng=np.random.default_rng(3), init=init).state_dict(), values)
    assert not all_same_bits(make(rng=4, init=init).state_dict(), values)


@each_layer
@each_scheme
def test_single_precision_values_are_those_of_double_precision_rounded(make, init):
    double = make(rng=3, init=init, dtype="float64").state_dict()
    single = make(rng=3, init=init, dtype="float32").state_dict()
    rounded = {name: value.astype(np.float32) for name, value in double.items()}
    assert all_same_bits(single, rounded)


@each_layer
def test_no_two_layers_start_equal(make):
    stream = np.random.default_rng(3)
    for rngs in ((stream, stream), (None, None)):
        first, second = (make(rng=rng).state_dict() for rng in rngs)
        assert all((first[name] != second[name]).all() for name in first)


def test_the_layers_and_directions_of_one_network_start_different():
    values = mr.RNN(H, H, num_layers=2, bidirectional=True, rng=0).state_dict()
    matrices = [value for name, value in values.items() if name.endswith("W")]
    assert len({value.tobytes() for value in matrices}) == 4


def test_embeddings_follow_their_seed():
    values = mr.Embedding(5, 3, rng=3).state_dict()
    assert all_same_bits(mr.Embedding(5, 3, rng=3).state_dict(), values)
    double = mr.Embedding(5, 3, rng=3, dtype="float64").state_dict()["E"]
    assert same_bits(double.astype(np.float32), values["E"])
    stream = np.random.default_rng(3)
    first, second = (mr.Embedding(5, 3, rng=stream).state_dict()["E"] for _ in range(2))
    assert (first != second).all()


def test_drawing_leaves_numpys_global_numbers_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    mr.LSTM(3, 4, rng=None)
    mr.Embedding(3, 4)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
