"""What the gradient check makes of losses that are not analytic, passes that misbehave, and nothing."""

import re

import numpy as np
import pytest

import minirnn as mr

X = np.random.default_rng(0).normal(size=(4, 3))


def of_abs(x):
    return np.abs(x).sum() + (x**2).sum(), x


def test_part_of_a_loss_that_the_complex_step_cannot_see_is_seen():
    report = mr.gradcheck(of_abs, lambda x: {"x": 2 * x}, x=X)
    assert not report.ok
    report = mr.gradcheck(of_abs, lambda x: {"x": 2 * x + np.sign(x)}, x=X)
    assert report.ok
    assert "by central differences" in str(report)
    assert "why differences: the loss is not analytic" in str(report)
    with pytest.raises(TypeError, match=r'forward: .*use method="auto" or "central"'):
        mr.gradcheck(of_abs, lambda x: {"x": 2 * x}, method="complex", x=X)


def test_block_in_which_the_loss_is_analytic_keeps_the_complex_step():
    report = mr.gradcheck(
        lambda x, y: (np.abs(x).sum() + (y**3).sum(), (x, y)),
        lambda saved: {"x": np.sign(saved[0]), "y": 3 * saved[1] ** 2},
        x=X,
        y=X,
    )
    assert report.ok
    assert {row.name: (row.method, row.tol) for row in report.rows} == {
        "x": ("central differences", 1e-6),
        "y": ("complex step", 1e-12),
    }


def test_real_buffer_for_states_is_named_and_no_way_past_the_check():
    def forward(x, W):
        h = np.zeros((5, 3))
        for t in range(4):
            h[t + 1] = np.tanh(x[t] + W @ h[t])
        return (h**2).sum() + (x**2).sum(), (x, W, h)

    def without_time(saved):
        x, W, _ = saved
        return {"x": 2 * x, "W": 0 * W}

    report = mr.gradcheck(forward, without_time, x=X, W=X[:3])
    assert not report.ok
    assert "h[t + 1] = np.tanh(x[t] + W @ h[t]) writes complex numbers to real ones" in str(report)


@pytest.mark.parametrize("spoil", [[1, 0], [1, -1], [1, 1.5]])
@pytest.mark.parametrize("power", [2, 4])
def test_small_gradients_are_not_hidden_by_large_ones(spoil, power):
    x = (np.random.default_rng(0).normal(size=(6, 2)) * [1e5, 1]).astype("float32")

    def check(factor):
        return mr.gradcheck(
            lambda x: ((x**power).sum(), x), lambda x: {"x": power * x ** (power - 1) * factor}, x=x
        )

    assert check(np.ones(2, "float32")).ok
    report = check(np.array(spoil, "float32"))
    assert not report.ok
    if power == 2:
        assert "only column 1 of 2 is wrong" in report.rows[0].hint


def test_nothing_checked_is_no_success():
    report = mr.gradcheck(lambda x: (x.sum(), None), lambda saved: None, x=X)
    assert not report.ok
    assert "NOT all checked" in str(report)
    report = mr.gradcheck(
        lambda x, y: ((x * y).sum(), y), lambda y: {"x": y, "y": None}, x=X, y=X + 1
    )
    assert [row.ok for row in report.rows] == [True]
    assert not report.ok
    for nothing in ({}, {"tokens": np.array([1, 2])}, {"x": np.zeros((0, 3))}):
        with pytest.raises(ValueError, match="there is nothing to check"):
            mr.gradcheck(lambda **given: (0.0, None), lambda saved: None, **nothing)


def drawn(x):
    return (x * np.random.default_rng().random(x.shape)).sum(), x


def in_place(x):
    x += 1
    return (x**2).sum(), x


def spoils_input(x):
    x *= 2
    return {"x": x}


@pytest.mark.parametrize(
    ("forward", "backward", "error", "message"),
    [
        (drawn, lambda x: {"x": x}, ValueError, "forward: two runs at one point differ"),
        (
            lambda x: ((x**2).sum(), x),
            lambda x: {"x": x * np.random.default_rng().random(x.shape)},
            ValueError,
            "backward: two runs at one point differ in the gradient of x",
        ),
        (in_place, lambda x: {"x": 2 * x}, ValueError, "forward: changed x"),
        (lambda x: ((x**2).sum(), x), spoils_input, ValueError, "backward: changed x"),
        (lambda x: (x**2, x), lambda x: {"x": 2 * x}, ValueError,
         r"forward: gave a loss of shape \(4, 3\), want one number"),
        (lambda x: (None, x), lambda x: {"x": x}, TypeError, "forward: gave a loss of type NoneType"),
        (lambda x: (x.sum() + 0j, x), lambda x: {"x": x}, TypeError, "loss of complex128.*real"),
        (lambda x: (x.sum() * np.nan, x), lambda x: {"x": x}, ValueError, "a loss of nan"),
        (lambda x: (x.sum(), x), lambda x: {"x": x + 0j}, TypeError, "gave complex128 for the gradient"),
    ],
)  # fmt: skip
def test_passes_that_cannot_be_checked_are_refused_by_name(forward, backward, error, message):
    with pytest.raises(error, match=message):
        mr.gradcheck(forward, backward, x=X)


def test_complex_inputs_and_gradients_of_tokens_are_refused_by_name():
    with pytest.raises(TypeError, match="x: got complex128, want real numbers"):
        mr.gradcheck(of_abs, lambda x: {"x": x}, x=X + 0j)
    tokens = np.array([0, 2])
    with pytest.raises(TypeError, match="a gradient of t, which is int64; only floating"):
        mr.gradcheck(lambda x, t: (x[t].sum(), x), lambda x: {"x": x, "t": tokens}, x=X, t=tokens)


def test_backward_that_spoils_what_was_saved_is_right_and_said_to_do_so():
    def backward(saved):
        saved *= 2
        return {"x": saved}

    report = mr.gradcheck(lambda x: ((x**2).sum(), x.copy()), backward, x=X)
    assert report.ok
    assert "backward changes what forward saved" in str(report)


def test_scales_and_constants_do_not_disturb_right_gradients():
    scale = np.array([1e5, 1.0, 1e-5])
    for constant in (0.0, 1e10):
        assert mr.gradcheck(
            lambda x, c=constant: (c + np.sin(x / scale).sum(), x),
            lambda x: {"x": np.cos(x / scale) / scale},
            method="central" if constant == 0 else "auto",
            x=X * scale,
        ).ok


def test_relu_at_0_passes_as_the_complex_step_has_it_and_is_a_kink_otherwise():
    x = np.array([[-1.0, 0.0, 2.0]])

    def backward(x):
        return {"x": (x > 0) * 1.0}

    assert mr.gradcheck(lambda x: (np.where(x.real > 0, x, 0).sum(), x), backward, x=x).ok
    report = mr.gradcheck(lambda x: (np.maximum(x, 0).sum(), x), backward, x=x)
    assert "kink" in report.rows[0].hint
    report = mr.gradcheck(lambda x: (np.maximum(x, 0).sum(), x), lambda x: {"x": -x}, x=x)
    assert "kink" not in report.rows[0].hint


def lstm(slip=""):
    """A hand-written LSTM in plain arrays, its gates i, f, o, g, with a slip going back."""
    random = np.random.default_rng(1)
    shapes = {"x": (4, 5, 3), "U": (8, 5), "W": (8, 2), "b": (8, 1)}
    inputs = {name: random.normal(size=shape) for name, shape in shapes.items()}
    r = random.normal(size=(4, 2, 3))

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    def forward(x, U, W, b):
        h = c = np.zeros((2, 3))
        steps, loss = [], 0
        for t in range(4):
            a = U @ x[t] + W @ h + b
            i, f, o, g = (*(sigmoid(a[k : k + 2]) for k in (0, 2, 4)), np.tanh(a[6:]))
            old = h, c
            c = f * c + i * g
            h = o * np.tanh(c)
            loss = loss + (r[t] * h).sum()
            steps.append((*old, c, i, f, o, g))
        return loss, (x, U, W, b, steps)

    def backward(saved):
        x, U, W, b, steps = saved
        grads = {name: np.zeros_like(a) for name, a in zip("xUWb", (x, U, W, b), strict=True)}
        dh = dc = np.zeros((2, 3))
        for t, (h, old_c, c, i, f, o, g) in reversed(list(enumerate(steps))):
            dh, y = dh + r[t], np.tanh(c)
            dc = dc + dh * o * (1 - y * y)
            da_f = dc * old_c * (1 if slip == "σ'" else f * (1 - f))
            da_i, da_o, da_g = dc * g * i * (1 - i), dh * y * o * (1 - o), dc * i * (1 - g * g)
            da = np.concatenate([da_i, da_f, da_o, da_g])
            of_b = np.concatenate([da_f, da_f, da_o, da_g]) if slip == "db_i" else da
            grads["U"] += da @ x[t].T
            grads["W"] += da @ h.T
            grads["b"] += of_b.sum(axis=1, keepdims=True)
            grads["x"][t] = U.T @ da
            dh = np.zeros((2, 3)) if slip == "dh" else W.T @ da
            dc = np.zeros((2, 3)) if slip == "dc" else dc * f
        return grads

    return mr.gradcheck(forward, backward, **inputs)


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ("db_i", "only rows 0 to 1 of 8 are wrong, with the gradient of 2 to 3 there"),
        ("σ'", "most of all rows 2 to 3 are wrong: .*a derivative forgotten"),
        ("dh", "the last one is right, so look at what a step hands back"),
        ("dc", "the last one is right, so look at what a step hands back"),
    ],
)
def test_slips_of_a_hand_written_lstm_are_named(slip, says):
    assert lstm().ok
    report = lstm(slip)
    assert not report.ok
    assert re.search(says, str(report)), report


def test_sizes_are_read_off_the_right_axes():
    x = np.random.default_rng(0).normal(size=(4, 5, 3))
    for tokens, size in ((None, "N = 3"), (np.zeros((4, 2), int), "N = 2")):
        given = {"x": x} if tokens is None else {"t": tokens, "y": X}
        name, n = ("x", 3) if tokens is None else ("y", 2)
        report = mr.gradcheck(
            lambda n=name, **given: ((given[n] ** 2).sum(), given[n]),
            lambda v, name=name, n=n: {name: 2 * n * v},
            **given,
        )
        assert f"{size} times too large" in report.rows[0].hint


def logistic(x):
    return 1 / (1 + np.exp(-20 * x))


ROUNDED = {
    "saturated": (logistic, lambda x: 20 * logistic(x) * (1 - logistic(x))),
    "cancelled": (lambda x: 1e3 * np.tanh(1e-3 * x) - x, lambda x: 1 - np.tanh(1e-3 * x) ** 2 - 1),
}


@pytest.mark.parametrize("kind", ROUNDED)
@pytest.mark.parametrize("factor", [1, 1.001])
def test_rounding_of_a_saturated_or_nearly_cancelled_gradient_is_no_error(kind, factor):
    f, df = ROUNDED[kind]
    x = np.concatenate([X, [[1.9, -1.9, 2.5]]])
    report = mr.gradcheck(lambda x: (f(x).sum(), x), lambda x: {"x": factor * df(x)}, x=x)
    assert report.ok == (factor == 1), report


def test_error_of_a_curved_loss_is_seen_in_single_precision():
    def backward(x, at=(2, 0)):
        g = 40 * np.cos(40 * x)
        g[at] *= 1.01
        return {"x": g}

    x = X.astype(np.float32)
    assert not mr.gradcheck(lambda x: (np.sin(40 * x).sum(), x), backward, x=x).ok


def test_report_has_the_method_and_the_tolerance_and_names_gradients_that_are_swapped():
    report = mr.gradcheck(
        lambda x, y: ((x * y).sum(), (x, y)),
        lambda saved: dict(zip("xy", saved, strict=True)),
        x=X,
        y=np.abs(X) + 1,
    )
    assert [row.hint for row in report.rows] == [f"it is the gradient of {name}" for name in "yx"]
    assert (report.method, report.tol) == ("complex step", 1e-12)


@pytest.mark.parametrize("tol", [0, -1, float("nan"), "1e-6", 1])
def test_tolerance_that_is_none_is_refused(tol):
    with pytest.raises((TypeError, ValueError), match="tol: got"):
        mr.gradcheck(of_abs, lambda x: {"x": 2 * x}, tol=tol, x=X)


def test_array_in_the_place_of_parameters_is_named():
    with pytest.raises(TypeError, match="parameters: got ndarray, want a list"):
        mr.gradcheck(of_abs, lambda x: {"x": 2 * x}, X, x=X)


def test_slightly_wrong_gradient_of_a_single_number_gets_a_verdict():
    def backward(x, factor=1.001):
        return {"x": factor * 2 * x}

    assert not mr.gradcheck(lambda x: (x * x, x), backward, x=np.array(1.3)).ok
