"""Cells that users write: what does not fit is refused, and says what it needs."""

import numpy as np
import pytest
from invented_cells import SLSTMCell

import minirnn as mr
from minirnn.gradcheck.proof import Case
from minirnn.init import is_bias


def network(cell):
    return mr.Recurrent(cell, 2, 5, rng=0)


class ForwardGives(mr.LSTMCell):
    """An LSTM whose step forward gives something else for the state."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, P, x, state):
        new, gates = super().forward(P, x, state)
        return self.change(*new), gates


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, c: h, r"LSTM\(tanh\)\.forward: gave ndarray, want a tuple \(h, c\)"),
        (lambda h, c: (h,), r"forward: gave a tuple of 1, want a tuple \(h, c\)"),
        (lambda h, c: (h, c[:, :1]), r"forward: c is \(5, 1\), want \(5, 2\)"),
        (lambda h, c: (h, 0.0), r"forward: c is float, want \(5, 2\)"),
    ],
)
def test_a_step_forward_has_to_give_a_state(change, message):
    with pytest.raises(ValueError, match=message):
        network(ForwardGives(change))


class BackwardGives(mr.RNNCell):
    """An RNN whose step back gives something else for the old state's gradient."""

    def backward(self, *arguments):
        dx, (dh,), dP = super().backward(*arguments)
        return dx, dh, dP


def test_a_step_back_has_to_give_a_state():
    with pytest.raises(ValueError, match=r"backward: gave ndarray, want a tuple \(dh,\)"):
        network(BackwardGives())


@pytest.mark.parametrize(
    ("change", "found"),
    [(lambda dx: None, "NoneType"), (lambda dx: 0.0, "float"), (lambda dx: dx[:, :1], r"\(1, 1\)")],
)
def test_a_step_back_has_to_give_a_gradient_of_x(change, found):
    class Cell(mr.RNNCell):
        def backward(self, *arguments):
            dx, *others = super().backward(*arguments)
            return change(dx), *others

    with pytest.raises(ValueError, match=rf"backward: dx is {found}, want \(1, 2\)"):
        network(Cell())


def test_states_have_names_of_their_own():
    class Cell(mr.LSTMCell):
        states = ("h", "h")

    with pytest.raises(ValueError, match=r"states: got \('h', 'h'\), want a name for each"):
        network(Cell())


class InPlace(mr.LSTMCell):
    """An LSTM that adds the second term of dc to its argument."""

    def backward(self, P, x, state, new, gates, dnew):
        dnew[1][...] += 1
        return super().backward(P, x, state, new, gates, dnew)


def test_a_cell_cannot_write_to_what_belongs_to_its_caller():
    for cell in (InPlace(), InGates()):
        with pytest.raises(ValueError, match="read-only"):
            network(cell)


class InGates(mr.LSTMCell):
    """An LSTM that writes to what forward kept."""

    def backward(self, P, x, state, new, gates, dnew):
        gates["f"][...] = 1
        return super().backward(P, x, state, new, gates, dnew)


class Renamed(mr.RNNCell):
    """An RNN with another name for U."""

    def shapes(self, D, H):
        return {"V" if name == "U" else name: s for name, s in super().shapes(D, H).items()}


def test_a_cell_has_to_have_input_weights_and_to_be_an_object():
    with pytest.raises(ValueError, match="shapes: got V, W, b; want input weights called U"):
        network(Renamed())
    with pytest.raises(TypeError, match=r"cell: got the class LSTMCell, want an object of it"):
        network(mr.LSTMCell)


class Scaled(mr.RNNCell):
    """An RNN with one more parameter, whose name begins like that of a bias."""

    def shapes(self, D, H):
        return {**super().shapes(D, H), "beta": (H, 1)}

    def backward(self, *arguments):
        dx, dstate, dP = super().backward(*arguments)
        return dx, dstate, dP | {"beta": 0 * dP["b"]}


def test_a_bias_is_told_by_its_whole_name():
    net = mr.Recurrent(Scaled(), 2, 5, bias=False, rng=0)
    assert list(net.named_parameters()) == ["l0.U", "l0.W", "l0.beta"]
    assert [name for name in ("U", "b", "bw", "b_scale", "beta", "back") if is_bias(name)] == [
        "b", "bw", "b_scale"
    ]  # fmt: skip


class HalfGradient(mr.LSTMCell):
    """An LSTM that hands back too little."""

    def backward(self, *arguments):
        dx, dstate, dP = super().backward(*arguments)
        return dx / 2 + dx**2, dstate, dP


def test_a_sequence_without_a_step_is_no_hint():
    report = Case(HalfGradient(), "generic", lengths=True).check()
    assert "x" in str(report)
    assert "only the sequences" not in str(report)


def logistic(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize(
    ("cell", "states", "gates"),
    [
        (mr.RNNCell(), "h", {"h": np.tanh}),
        (mr.LSTMCell(), "hc", {"i": logistic, "f": logistic, "o": logistic, "g": np.tanh}),
        (mr.GRUCell(), "h", {"r": logistic, "z": logistic, "n": None}),  # to n, r belongs too
        (mr.GRUResetBeforeCell(), "h", {"r": logistic, "z": logistic, "n": np.tanh}),
    ],
)
def test_gates_are_found_by_the_names_that_they_have_in_the_equations(cell, states, gates, rng):
    assert (cell.states, cell.gates) == (tuple(states), tuple(gates))
    net = mr.Recurrent(cell, 3, 4, dtype="float64", rng=0)
    for p in net.parameters():
        p.data = rng.normal(size=p.shape)
    U, b = (net.state_dict()[f"l0.{name}"] for name in "Ub")
    x = rng.normal(size=(1, 3, 2))
    cache = net.forward(x)[2]
    for k, (name, function) in enumerate(gates.items()):
        if function:
            a = (U @ x[0] + b)[4 * k : 4 * k + 4]
            np.testing.assert_allclose(cache[f"l0.{name}"][0], function(a), rtol=1e-12)


def test_a_cell_may_divide_by_its_state_where_a_sequence_has_ended():
    net = mr.Recurrent(SLSTMCell(), 2, 3, dtype="float64", rng=0)
    ys, state, cache = net.forward(np.ones((4, 2, 3)), lengths=[4, 2, 0])
    assert np.array_equal(cache["l0.n"][-1], state[2][0])
    assert not cache["l0.n"][:, :, 2].any()
    dx, dstate = net.backward(cache, np.ones_like(ys))
    assert all(np.isfinite(part).all() for part in (dx, *dstate))
    assert all(np.isfinite(p.grad).all() for p in net.parameters())
    report = Case(SLSTMCell(), "generic", lengths=True, state=True).check()
    assert report.ok, report
