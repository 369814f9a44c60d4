"""What is read off a cell's class, and printed: the same numbers; what cannot be read is refused."""

from __future__ import annotations

import sys

import invented_cells
import numpy as np
import pytest

import minirnn as mr
from minirnn import cells
from minirnn.backend import sigmoid, tanh
from minirnn.gradcheck.printed import BARS, errors_of
from minirnn.gradcheck.proof import Case
from minirnn.kernels.languages import CUDA, PYTHON
from minirnn.kernels.pointwise import Block, read
from minirnn.kernels.terms import NotPointwise

OURS = [cell for cell in cells.CELLS if cell.name != "GRU(reset_after=False)"]
each_cell = pytest.mark.parametrize(
    "cell", [*OURS, *invented_cells.CELLS], ids=lambda cell: cell.name
)


@each_cell
@pytest.mark.parametrize("dtype", BARS)
def test_the_lines_compute_what_the_class_does(cell, dtype):
    for seed in range(3):
        found = errors_of(cell, dtype, seed)
        assert {"dx", "dU", "dh", "h_new"} < found.keys()
        assert max(found.values()) <= BARS[dtype], found


@pytest.mark.parametrize("cell", invented_cells.CELLS, ids=lambda cell: cell.name)
def test_the_invented_cells_are_right(cell):
    for lengths in (False, True):
        report = Case(cell, "generic", lengths=lengths, state=True).check()
        assert report.ok, report


def test_the_lines_are_those_of_the_class():
    text = read(mr.LSTMCell()).text("forward", PYTHON)
    assert text.lines == [
        "i = fma(F(0.5), tanh(F(0.5) * a_i), F(0.5))",
        "f = fma(F(0.5), tanh(F(0.5) * a_f), F(0.5))",
        "o = fma(F(0.5), tanh(F(0.5) * a_o), F(0.5))",
        "g = tanh(a_g)",
        "c_new = fma(f, c, i * g)",
    ]
    assert text.results["new", "h"] == "o * tanh(c_new)"
    back = read(mr.LSTMCell("relu")).text("backward", CUDA)
    assert back.lines[:3] == [
        "F y = c_new <= F(0.0) ? F(0.0) : c_new;",
        "F do2 = dh_new * y;",  # which is a word of C++
        "F dc_new2 = dc_new + dh_new * o * (y > F(0.0) ? F(1.0) : F(0.0));",
    ]


def test_what_is_only_ever_added_is_one_block():
    b, bw = (("parameter", "b", k) for k in range(4)), ("parameter", "bw", 0)
    assert read(mr.LSTMCell()).blocks == tuple(Block(k, k, bias) for k, bias in enumerate(b))
    b = [("parameter", "b", k) for k in range(3)]
    assert read(mr.GRUCell()).blocks == (
        Block(2, None, b[2]), Block(0, 0, b[0]), Block(1, 1, b[1]), Block(None, 2, bw)
    )  # fmt: skip


@each_cell
def test_reading_leaves_no_trace_and_gives_the_same_again(cell):
    before, profile = dict(vars(cell)), sys.getprofile()
    first, second = read(cell), read(cell)
    for direction in ("forward", "backward"):
        assert first.text(direction, CUDA) == second.text(direction, CUDA)
    assert sys.getprofile() is profile
    assert vars(cell) == before


class Renamed(mr.RNNCell):
    """An RNN that hands out what it computes under other names."""

    gates = ("y",)

    def forward(self, P, x, state):
        (h,), _ = super().forward(P, x, state)
        return (h,), {"y": h, "before": state[0], "one": np.ones_like(h), "unused": h * 2}

    def backward(self, P, x, state, new, gates, dnew):
        dnew = (dnew[0] * gates["one"],)
        return super().backward(P, x, (gates["before"],), (gates["y"],), {}, dnew)


def test_a_gate_that_is_a_state_is_not_kept():
    step = read(Renamed())
    assert step.seen == {"y": ("new", "h")}
    assert list(step.forward) == [("new", "h")]
    assert max(errors_of(Renamed(), "float64").values()) <= 1e-12


class Odd(mr.RNNCell):
    """An RNN whose pre-activation is changed by some function of what forward is given."""

    extra = ""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def shapes(self, D, H):
        shapes = {"V": (H, H), "s": (1, 1), "p": (H, 1), "q": (2 * H, 1)}
        return {**super().shapes(D, H), **{name: shapes[name] for name in self.extra}}

    def forward(self, P, x, state):
        h, a = state[0], P["U"] @ x + P["W"] @ state[0] + P["b"]
        return (self.change(P, x, h, a),), {}


@pytest.mark.parametrize(
    ("change", "extra", "why"),
    [
        (lambda P, x, h, a: a + P["W"] @ sigmoid(h), "", r"the product W @ another array besides U @ x"),
        (lambda P, x, h, a: a + P["V"] @ h, "V", r"the product V @ h besides U @ x and W @ h"),
        (lambda P, x, h, a: a + P["W"] @ x, "", r"the product W @ x besides"),
        (lambda P, x, h, a: P["W"].T @ h + a, "", "gives no array h in its forward"),
        (lambda P, x, h, a: 0.0, "", "gives no array h in its forward"),
        (lambda P, x, h, a: a * P["W"], "", "computes with W by itself"),
        (lambda P, x, h, a: a * P["s"], "s", "computes with s by itself"),
        (lambda P, x, h, a: a + P["q"], "q", "on arrays of unequal heights"),
        (lambda P, x, h, a: a if a > 0 else h, "", "whether a number is true"),
        (lambda P, x, h, a: a / len(h), "", "computes with a shape or a dtype in its forward"),
        (lambda P, x, h, a: a / x.shape[1], "", "computes with a shape or a dtype in its forward"),
        (lambda P, x, h, a: a * np.finfo(h.dtype).eps, "", "with a shape or a dtype"),
        (lambda P, x, h, a: a + h[::-1], "", "joins units by something else than a product"),
        (lambda P, x, h, a: a - a.mean(axis=0), "", r"asks another array for its .mean"),
        (lambda P, x, h, a: a - np.mean(a), "", "calls np.mean"),
        (lambda P, x, h, a: np.arctan(a), "", "calls np.arctan"),
        (lambda P, x, h, a: a**0.5, "", "has the power a float, and not a small integer"),
        (lambda P, x, h, a: a * np.inf, "", "computes with the constant inf"),
        (lambda P, x, h, a: a * np.arange(3.0), "", "computes with a ndarray"),
        (lambda P, x, h, a: a * "2", "", "computes with a str"),
        (lambda P, x, h, a: ((a > 0) + (h > 0)) * h, "", "computes with conditions alone"),
        (lambda P, x, h, a: np.where(a > 0, h > 0, True) + (h > 0), "", "conditions alone"),
        (lambda P, x, h, a: np.exp(a > 0) * h, "", "conditions alone"),
        (lambda P, x, h, a: np.ones_like(a > 0) + a, "", "calls np.ones_like"),
        (lambda P, x, h, a: np.tanh(a, out=a), "", "has an option of np.tanh, as to change"),
        (lambda P, x, h, a: a.__iadd__(h), "", "has an option of np.add"),
        (lambda P, x, h, a: a.__setitem__(0, 1), "", "^changes an array in place"),
        (lambda P, x, h, a: a[0], "", "an index that is no block of rows"),
        (lambda P, x, h, a: P["W"][0] @ h, "", "an index of W that is no block of rows"),
        (lambda P, x, h, a: sum(a), "", "an index that is no block of rows"),
        (lambda P, x, h, a: a.astype("int8"), "", "casts an array to int8"),
        (lambda P, x, h, a: a.sum(axis=0), "", r"a sum other than \.sum\(axis=1, keepdims=True\)"),
        (lambda P, x, h, a: float(a), "", r"cannot be read \(TypeError: float\(\) argument"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_sentence(change, extra, why):
    cell = Odd(change)
    cell.extra = extra
    with pytest.raises(NotPointwise, match=why):
        read(cell)


def test_the_first_gru_is_refused_for_its_product():
    with pytest.raises(NotPointwise, match=r"^has the product W @ m besides U"):
        read(mr.GRUResetBeforeCell())


@pytest.mark.parametrize("cell", [invented_cells.SLSTMCell, invented_cells.PeepholeCell()])
def test_models_of_texts_take_any_cell(cell, rng):
    model = mr.LanguageModel(7, 5, cell, num_layers=2, embedding=4, dtype="float64", rng=0)
    pair = mr.EncoderDecoder(7, 7, 6, cell, bidirectional=True, dtype="float64", rng=0)
    assert model.rnn.cell.name == pair.decoder.cell.name == cell.name
    assert not isinstance(model.rnn.cell, type)
    tokens = rng.integers(0, 7, (3, 2))
    for net, given in ((model, (tokens,)), (pair, (tokens, tokens))):
        scores, *_, cache = net.forward(*given)
        net.backward(cache, np.ones_like(scores))
        assert all(np.isfinite(p.grad).all() for p in net.parameters())


def test_conditions_bind_as_in_the_class():
    def mixed(P, x, h, a):
        larger = np.where(a > 0, a, h) > h
        return np.where(~(larger & (a != 0) | (h < 0)), a, h) * (a >= h)

    assert max(errors_of(Odd(mixed), "float64").values()) <= 1e-12


@pytest.mark.parametrize(
    "change",
    [
        lambda P, x, h, a: np.where(~(a > 0) & (h > 0), a, h),
        lambda P, x, h, a: (np.logical_not(a > 0) | (h > 0)) * h,
        lambda P, x, h, a: ((h > 0) & ~(a > 0)) * a,
        lambda P, x, h, a: ((a > 0) >= ~(h > 0)) * a,
        lambda P, x, h, a: np.logical_and(a, h) * h,
        lambda P, x, h, a: ((a > 0).astype(a.dtype) + (h > 0)) * h,
    ],
)
def test_conditions_are_compiled_as_in_the_class(change, rng):
    pytest.importorskip("numba")
    x, cell = rng.normal(size=(6, 3, 2)), Backwards(change)
    nets = [mr.Recurrent(cell, 3, 4, dtype="float64", rng=0, scan=s) for s in ("generic", "numba")]
    plain, compiled = (net.forward(x)[0] for net in nets)
    assert np.abs(plain - compiled).max() <= 1e-12


def test_a_cell_whose_method_or_constant_changed_is_read_anew(rng, monkeypatch):
    pytest.importorskip("numba")
    x = rng.normal(size=(6, 3, 2))
    cell = Backwards(lambda P, x, h, a: tanh(a) * Backwards.factor)
    for factor in (1.0, 0.5):
        monkeypatch.setattr(Backwards, "factor", factor)
        nets = [
            mr.Recurrent(cell, 3, 4, dtype="float64", rng=0, scan=s) for s in ("generic", "numba")
        ]
        plain, compiled = (net.forward(x)[0] for net in nets)
        assert np.abs(plain - compiled).max() <= 1e-12


def test_a_cell_that_cannot_be_compiled_leaves_all_others_compiled(monkeypatch):
    CompiledCell = pytest.importorskip(
        "minirnn.kernels.compiled.cells", exc_type=ImportError
    ).CompiledCell
    monkeypatch.setattr(CompiledCell, "addresses", fail_for_a_user_s_cell(CompiledCell.addresses))
    odd = mr.explain(mr.Recurrent(Backwards(lambda P, x, h, a: tanh(a) * 0.25), 3, 4))
    assert "RNN(tanh) cannot be compiled: TypeError: no" in odd
    assert "numba scan: the fastest" in mr.explain(mr.RNN(3, 4))


def fail_for_a_user_s_cell(addresses):
    def fails(self, itemsize):
        if "0.25" in self.source:
            raise TypeError("no\nmore")
        return addresses(self, itemsize)

    return fails


class Backwards(Odd):
    """One with a step back, which is not its gradient."""

    factor = 1.0

    def backward(self, P, x, state, new, gates, dnew):
        return mr.RNNCell().backward(P, x, state, new, {"h": new[0]}, dnew)


class Doubled(mr.RNNCell):
    """An RNN whose step back multiplies a transpose by other rows than the gradient's."""

    def __init__(self, name):
        super().__init__()
        self.doubled = name

    def backward(self, P, x, *others):
        dx, (dh,), dP = super().backward(P, x, *others)
        da = others[3][0] * self.act.df(others[1][0])
        dx = P["U"].T @ (da * 2) if self.doubled == "U" else dx
        return dx, (P["W"].T @ (da * 2) if self.doubled == "W" else dh,), dP


@pytest.mark.parametrize("name", ["U", "W"])
def test_a_gradient_that_is_not_of_one_product_is_refused(name):
    with pytest.raises(NotPointwise, match=f"does not multiply {name}.T by the rows of"):
        read(Doubled(name))
