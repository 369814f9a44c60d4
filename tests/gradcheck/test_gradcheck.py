"""The gradient checker itself: does it find mistakes, and say what they look like?"""

import re

import numpy as np
import pytest
from altered import altered

import minirnn as mr
from minirnn.cells import LSTMCell
from minirnn.gradcheck.diagnose import Sizes, _close, diagnose
from minirnn.gradcheck.differences import sizes
from minirnn.gradcheck.equations import wrong_equation

T, H, N = 4, 3, 2
GATES = ("i", "f", "o", "g")
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(4 * H, 5))
SERIES = RNG.normal(size=(T, H, N))
SQUARE = RNG.normal(size=(3, 3))


def swapped(gradient, order):
    return np.concatenate([np.split(gradient, 4)[k] for k in order])


def with_one_block(gradient, block, factor):
    changed = gradient.copy()
    changed[block * H : (block + 1) * H] *= factor
    return changed


def at(gradient, index, value=7.0):
    changed = gradient.copy()
    changed[index] += value
    return changed


def by_rows(rows, wrong=None, by=0.0):
    """A gradient; all of it a little off, and from one row on by far."""
    random = np.random.default_rng(1)
    gradient, noise = random.normal(size=(2, rows, 5))
    if wrong is not None:
        gradient += 1e-3 * noise
        gradient[wrong:] += by * noise[wrong:]
    return gradient


@pytest.mark.parametrize(
    ("got", "want", "blocks", "says"),
    [
        (4 * WEIGHTS, WEIGHTS, GATES, "T = 4 times too large"),
        (WEIGHTS / 4, WEIGHTS, GATES, "T = 4 times too small"),
        (2 * WEIGHTS, WEIGHTS, GATES, "N = 2 times too large"),
        (WEIGHTS / 8, WEIGHTS, GATES, "T·N = 8 times too small"),
        (-WEIGHTS, WEIGHTS, GATES, "the wrong sign"),
        (1.7 * WEIGHTS, WEIGHTS, GATES, "1.7 times"),
        (0 * WEIGHTS, WEIGHTS, GATES, "it is zero"),
        (SQUARE.T, SQUARE, (), "transposed"),
        (WEIGHTS.T.reshape(WEIGHTS.shape), WEIGHTS, GATES, "transposed"),
        (by_rows(9, 6, 0.1), by_rows(9), (), "most of all rows 6 to 8 are wrong"),
        (by_rows(8, 6, 0.1), by_rows(8), (), "most of all rows 6 to 7 are wrong"),
        (by_rows(10, 5, 0.1), by_rows(10), (), "most of all rows 5 to 9 are wrong"),
        (swapped(WEIGHTS, (0, 1, 3, 2)), WEIGHTS, GATES, "order i, f, g, o instead of i, f, o, g"),
        (with_one_block(WEIGHTS, 1, -1), WEIGHTS, GATES, "only the rows of f.*wrong sign"),
        (
            with_one_block(WEIGHTS, 3, 4),
            WEIGHTS,
            GATES,
            "only the rows of g.*T = 4 times too large",
        ),
        (np.roll(SERIES, 1, axis=0), SERIES, (), "one step late"),
        (np.roll(SERIES, -1, axis=0), SERIES, (), "one step early"),
        (at(SERIES, 2), SERIES, (), "only the steps t = 2 are"),
        (at(SERIES, (slice(None), slice(None), 1)), SERIES, (), "only the sequences n = 1 are"),
        (WEIGHTS.astype(np.float32).astype(float), WEIGHTS, GATES, "rounding only"),
        (WEIGHTS * np.nan, WEIGHTS, GATES, "not finite"),
        (WEIGHTS, WEIGHTS * np.inf, GATES, "the loss itself overflows"),
        (RNG.normal(size=(12, 5)), WEIGHTS, GATES, "no common mistake"),
    ],
)
def test_mismatch_is_recognised(got, want, blocks, says):

    assert re.search(says, diagnose(got, want, Sizes("x", T, N), blocks, series=got.ndim == 3))


def test_gates_in_another_order_are_the_line_that_stacks_them():
    stack = "da = stack_rows(da_i, da_f, da_o, da_g)"
    with altered(LSTMCell.backward, stack, stack.replace("da_i, da_f", "da_f, da_i")):
        assert "(2.1') is wrong: da = " in wrong_equation(LSTMCell())


def test_a_cell_whose_source_cannot_be_altered_is_judged_by_what_it_returns():
    class Cell(LSTMCell):
        def backward(self, *arguments):  # for super, it needs what is around it
            dx, dstate, dP = super().backward(*arguments)
            return 2 * dx, dstate, dP

    assert "what it returns for x is wrong" in wrong_equation(Cell())


@pytest.mark.parametrize(("largest", "close"), [(1.0, True), (1e-3, False)])
def test_tiny_elements_are_close_by_the_size_of_the_largest(largest, close):
    want = np.array([largest, 1e-12])
    assert _close(want + np.array([0, 5e-9]), want) == close


def test_an_element_is_moved_by_its_own_size_or_the_usual_one_where_it_is_about_0():
    np.testing.assert_array_equal(sizes(np.array([2, 1e-3, 1, 0, -4, 1e-9])), [2, 1e-3, 1, 1, 4, 1])


def lstm_problem(dtype="float64"):
    rng = np.random.default_rng(1)
    model = mr.Model(
        rnn=mr.LSTM(3, 4, dtype=dtype, rng=rng), out=mr.Linear(4, 5, dtype=dtype, rng=rng)
    )
    x = rng.normal(size=(T, 3, N)).astype(dtype)
    targets = rng.integers(0, 5, (T, N))

    def forward(x):
        ys, _, cache = model.rnn.forward(x)
        scores, out_cache = model.out.forward(ys)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)
        return loss, (cache, out_cache, dscores)

    def backward(saved):
        cache, out_cache, dscores = saved
        dx, _ = model.rnn.backward(cache, model.out.backward(out_cache, dscores))
        return {"x": dx}

    return model, x, forward, backward


@pytest.mark.parametrize(("method", "bar"), [("complex", 1e-12), ("central", 1e-6)])
def test_whole_model_passes_and_is_left_as_it_was(method, bar):
    model, x, forward, backward = lstm_problem()
    before = {p.name: (p.data.copy(), p.data, p.version) for p in model.parameters()}
    for p in model.parameters():
        p.grad[...] = 3
    kept = x.copy()
    report = mr.gradcheck(forward, backward, model.parameters(), method=method, x=x)
    assert report.ok
    assert report.worst <= bar
    assert [row.name for row in report.rows] == ["x", *before]
    assert np.array_equal(x, kept)
    for p in model.parameters():
        value, array, version = before[p.name]
        assert p.data is array
        assert p.version == version
        assert np.array_equal(p.data, value)
        assert (p.grad == 3).all()


@pytest.mark.parametrize("letter", ["U", "W", "b"])
def test_one_parameter_of_a_network_may_be_checked_alone(letter, rng):
    rnn = mr.LSTM(2, 3, 2, dtype="float64", rng=0)
    x, r = rng.normal(size=(4, 2, 2)), rng.normal(size=(4, 3, 2))

    def forward():
        ys, _, cache = rnn.forward(x)
        return (r * ys).sum(), cache

    p = rnn.named_parameters()[f"l0.{letter}"]
    report = mr.gradcheck(forward, lambda cache: rnn.backward(cache, r) and None, [p])
    assert report.ok
    assert report.worst <= 1e-12


def test_single_precision_passes_at_its_own_tolerance_and_is_recognised_below_it():
    model, x, forward, backward = lstm_problem("float32")
    assert mr.gradcheck(forward, backward, model.parameters(), x=x).ok
    report = mr.gradcheck(forward, backward, model.parameters(), tol=1e-12, x=x)
    assert not report.ok
    assert "single precision" in str(report)


def test_gradient_summed_over_time_instead_of_averaged_is_named():
    model, x, forward, backward = lstm_problem()

    def too_large(saved):
        cache, out_cache, dscores = saved
        return backward((cache, out_cache, dscores * T))

    report = mr.gradcheck(forward, too_large, model.parameters(), x=x)
    assert not report.ok
    assert str(report).count("T = 4 times too large") == len(report.rows)


def test_kink_is_recognised():
    relu = mr.Activation("relu")
    x = np.array([[-1.0, 0.0, 2.0]])

    def forward(x):
        y, cache = relu.forward(x)
        return y.sum(), cache

    def backward(cache):
        return {"x": relu.backward(cache, np.ones((1, 3)))}

    report = mr.gradcheck(forward, backward, method="central", x=x)
    assert not report.ok
    assert "kink" in report.rows[0].hint
    assert mr.gradcheck(forward, backward, method="central", x=x + 0.5).ok


def test_function_that_drops_the_imaginary_part_is_refused():
    def forward(x):
        return np.abs(x).sum(), x

    with pytest.raises(TypeError, match="drops the imaginary part"):
        mr.gradcheck(
            forward, lambda x: {"x": np.sign(x)}, method="complex", x=np.array([1.0, -2.0])
        )


def test_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"x has \(2,\), its gradient \(1,\)"):
        mr.gradcheck(lambda x: (x.sum(), x), lambda x: {"x": np.ones(1)}, x=np.array([1.0, 2.0]))


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method: got 'forward', want"):
        mr.gradcheck(lambda: (0.0, None), lambda saved: None, method="forward")


def test_steep_curvature_is_not_taken_for_a_kink():
    """A small slope on a steep parabola: the one-sided slopes differ much, but it is smooth."""
    target = np.array([[1.0, 2.0]])

    def forward(x):
        loss, d = mr.mse(x, target)
        return loss, d

    x = target + 1e-5
    assert mr.gradcheck(forward, lambda d: {"x": d}, method="central", x=x).ok
    report = mr.gradcheck(forward, lambda d: {"x": -d}, method="central", x=x)
    assert "wrong sign" in report.rows[0].hint


def test_two_parameters_of_one_name_are_refused():
    networks = mr.RNN(2, 2, rng=0), mr.RNN(2, 2, rng=1)
    parameters = [p for net in networks for p in net.parameters()]
    with pytest.raises(ValueError, match=r"parameters: l0.U, l0.W, l0.b is there twice.*Model"):
        mr.gradcheck(lambda: (0.0, None), lambda saved: None, parameters)


def test_input_without_a_gradient_is_listed_as_not_checked():
    report = mr.gradcheck(lambda x: (x.sum(), None), lambda saved: None, x=np.ones(2))
    assert report.unchecked == ("x",)
    assert "x  not checked" in str(report)


@pytest.mark.parametrize(
    ("forward", "backward", "message"),
    [
        (lambda x: x.sum(), lambda saved: None, "forward: gave float64, want a pair"),
        (lambda x: (x.sum(), x), lambda x: x, "backward: gave ndarray, want gradients by the name"),
        (lambda x: (x.sum(), x), lambda x: {"dx": x}, r"backward: gave \['dx'\], want.*\['x'\]"),
    ],
)
def test_functions_of_another_form_are_refused(forward, backward, message):
    with pytest.raises(TypeError, match=message):
        mr.gradcheck(forward, backward, x=np.ones(2))
