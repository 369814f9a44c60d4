"""What forward, backward and step promise, for every cell and on every scan."""

import copy
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import each_scan

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.cells import CELLS
from minirnn.kernels.choice import available
from minirnn.recurrent import Recurrent

D, H = 3, 4


def network(cell, scan="auto", **options):
    options = {"dtype": "float64", "rng": 0} | options
    return Recurrent(cell, D, H, scan=scan, **options)


def random_state(net, N, rng):
    shape = (net.num_layers * net.num_directions, net.hidden_size, N)
    return tuple(rng.normal(size=shape) for _ in net.cell.states)


def gradients(net):
    return {name: p.grad.copy() for name, p in net.named_parameters().items()}


def close(a, b, tol=1e-13):
    return bool(np.abs(a - b).max(initial=0) <= tol * max(1.0, np.abs(b).max(initial=0)))


def run(net, x, dys, dstate=None, **options):
    """Forward and backward from zero gradients; everything that comes out, by name."""
    net.zero_grad()
    ys, state, cache = net.forward(x, **options)
    dx, dstate0 = net.backward(cache, dys, dstate)
    out = {"ys": ys, "dx": dx} | gradients(net)
    for letter, h, dh in zip(net.cell.states, state, dstate0, strict=True):
        out |= {letter: h, f"d{letter}0": dh}
    return out


def same(a, b, tol=1e-13):
    assert a.keys() == b.keys()
    for name in a:
        assert close(a[name], b[name], tol), name


@each_scan
def test_shapes_names_and_ownership(cell, scan, rng):
    net = network(cell, scan, num_layers=2, bidirectional=True)
    x = rng.normal(size=(5, D, 2))
    ys, state, cache = net.forward(x)
    assert ys.shape == (5, 2 * H, 2)
    assert [part.shape for part in state] == [(4, H, 2)] * len(cell.states)
    names = ["l0", "l0.reverse", "l1", "l1.reverse"]
    assert list(net.named_parameters()) == [f"{d}.{p}" for d in names for p in cell.shapes(1, 1)]
    G = len(cell.gates)
    assert net.named_parameters()["l1.reverse.U"].shape == (G * H, 2 * H)
    for name in cache.names():
        assert cache[name].shape == (5, H, 2)
    assert close(cache["l1.h"], ys[:, :H])
    assert close(cache["l1.reverse.h"], ys[:, H:])
    with pytest.raises(KeyError, match=r"'l2\.h'; there are l0\.h"):
        cache["l2.h"]


@each_scan
def test_none_state_is_zeros_bit_for_bit(cell, scan, rng):
    net = network(cell, scan, num_layers=2, bidirectional=True, dtype="float32")
    x = rng.normal(size=(5, D, 2))
    zeros = tuple(0 * part for part in random_state(net, 2, rng))
    dys = rng.normal(size=(5, 2 * H, 2))
    a, b = run(net, x, dys), run(net, x, dys, state=zeros)
    for name in a:
        assert np.array_equal(a[name], b[name]), name


@each_scan
def test_same_seed_same_bits(cell, scan, rng):
    x, dys = rng.normal(size=(4, D, 3)), rng.normal(size=(4, H, 3))
    options = {"num_layers": 2, "dropout": 0.3, "dtype": "float32", "rng": 5}
    runs = [
        run(network(cell, scan, **options), x, dys, dropout_rng=np.random.default_rng(9))
        for _ in range(2)
    ]
    for name in runs[0]:
        assert np.array_equal(runs[0][name], runs[1][name]), name
    other = run(network(cell, scan, **options), x, dys, dropout_rng=np.random.default_rng(10))
    assert not close(other["ys"], runs[0]["ys"])


@each_scan
def test_arguments_and_caches_are_left_alone(cell, scan, rng):
    """Two forwards before one backward, backward twice, and the caller's arrays reused in between."""
    net = network(cell, scan, num_layers=2)
    x, other = rng.normal(size=(2, 4, D, 3))
    dys, state = rng.normal(size=(4, H, 3)), random_state(net, 3, rng)
    dstate, lengths = random_state(net, 3, rng), np.array([2, 4, 0])
    arguments = (x, dys, *state, *dstate, lengths)
    before = [a.copy() for a in arguments]
    expected = run(net, x, dys, dstate, state=state, lengths=lengths)

    net.zero_grad()
    mine, my_state = x.copy(), tuple(s.copy() for s in state)
    ys, final, cache = net.forward(mine, my_state, lengths)
    net.forward(other, random_state(net, 3, rng))
    for array in (mine, ys, *my_state, *final):
        array[...] = np.nan
    dx, dstate0 = net.backward(cache, dys, dstate)
    assert close(dx, expected["dx"])
    once = gradients(net)
    for array in (dx, *dstate0):
        array[...] = np.nan
    dx, dstate0 = net.backward(cache, dys, dstate)
    assert close(dx, expected["dx"])
    assert close(dstate0[0], expected["dh0"])
    for name, p in net.named_parameters().items():
        assert close(once[name], expected[name]), name
        assert close(p.grad, 2 * once[name]), f"{name}: gradients add up"
    for argument, kept in zip(arguments, before, strict=True):
        assert np.array_equal(argument, kept)


@each_scan
def test_padding_is_never_read_and_changes_nothing(cell, scan, rng):
    T, lengths = 6, np.array([3, 6, 0, 1])
    net = network(cell, scan, num_layers=2, bidirectional=True)
    x, dys = rng.normal(size=(T, D, 4)), rng.normal(size=(T, 2 * H, 4))
    state, dstate = random_state(net, 4, rng), random_state(net, 4, rng)
    clean = run(net, x, dys, dstate, state=state, lengths=lengths)
    padding = np.arange(T)[:, None] >= lengths
    dirty_x, dirty_dys = x.copy(), dys.copy()
    dirty_x.swapaxes(1, 2)[padding] = np.nan
    dirty_dys.swapaxes(1, 2)[padding] = np.nan
    dirty = run(net, dirty_x, dirty_dys, dstate, state=state, lengths=lengths)
    for name in clean:
        assert np.array_equal(clean[name], dirty[name]), name
    assert not clean["ys"].swapaxes(1, 2)[padding].any()
    assert not clean["dx"].swapaxes(1, 2)[padding].any()
    assert np.array_equal(clean["h"][:, :, 2], state[0][:, :, 2]), "no step: the state stands still"


@each_scan
def test_padded_sequences_give_what_they_give_alone(cell, scan, rng):
    T, lengths = 6, [3, 6, 0, 1]
    net = network(cell, scan, num_layers=2, bidirectional=True)
    x, dys = rng.normal(size=(T, D, 4)), rng.normal(size=(T, 2 * H, 4))
    state, dstate = random_state(net, 4, rng), random_state(net, 4, rng)
    together = run(net, x, dys, dstate, state=state, lengths=lengths)
    total = dict.fromkeys(net.named_parameters(), 0.0)
    for n, length in enumerate(lengths):
        one = slice(n, n + 1)
        alone = run(
            net,
            x[:length, :, one],
            dys[:length, :, one],
            tuple(part[:, :, one] for part in dstate),
            state=tuple(part[:, :, one] for part in state),
        )
        assert close(together["ys"][:length, :, one], alone["ys"])
        assert close(together["dx"][:length, :, one], alone["dx"])
        for letter in cell.states:
            assert close(together[letter][:, :, one], alone[letter])
            assert close(together[f"d{letter}0"][:, :, one], alone[f"d{letter}0"])
        for name in total:
            total[name] = total[name] + alone[name]
    for name, gradient in total.items():
        assert close(together[name], gradient), name


@each_scan
def test_tokens_are_one_hot_columns(cell, scan, rng):
    net = network(cell, scan, num_layers=2, bidirectional=True)
    tokens = rng.integers(0, D, (5, 3))
    one_hot, _ = mr.OneHot(D, dtype="float64").forward(tokens)
    dys = rng.normal(size=(5, 2 * H, 3))
    for lengths in (None, [5, 0, 2]):
        a = run(net, tokens, dys, lengths=lengths)
        b = run(net, one_hot, dys, lengths=lengths)
        assert a.pop("dx") is None
        b.pop("dx")
        same(a, b)


@each_scan
def test_tokens_in_the_padding_are_never_read(cell, scan, rng):
    net = network(cell, scan)
    tokens, dys = rng.integers(0, D, (4, 2)), rng.normal(size=(4, H, 2))
    dirty = tokens.copy()
    dirty[2:, 0] = (-1, 99)
    a, b = (run(net, x, dys, lengths=[2, 4]) for x in (tokens, dirty))
    assert a.pop("dx") is b.pop("dx") is None
    same(a, b, tol=0)


@each_scan
@pytest.mark.parametrize("cut", [0, 1, 3, 6])
def test_cutting_a_sequence_changes_nothing(cell, scan, cut, rng):
    """State forward and its gradient backward across the cut: the uncut gradient."""
    net = network(cell, scan, num_layers=2)
    x, dys = rng.normal(size=(6, D, 3)), rng.normal(size=(6, H, 3))
    state, dstate = random_state(net, 3, rng), random_state(net, 3, rng)
    whole = run(net, x, dys, dstate, state=state)
    net.zero_grad()
    ys1, middle, cache1 = net.forward(x[:cut], state)
    ys2, final, cache2 = net.forward(x[cut:], middle)
    dx2, dmiddle = net.backward(cache2, dys[cut:], dstate)
    dx1, dstate0 = net.backward(cache1, dys[:cut], dmiddle)
    cut_up = {"ys": np.concatenate([ys1, ys2]), "dx": np.concatenate([dx1, dx2])} | gradients(net)
    for letter, h, dh in zip(cell.states, final, dstate0, strict=True):
        cut_up |= {letter: h, f"d{letter}0": dh}
    same(cut_up, whole)


@each_scan
def test_shared_network_gets_the_sum_of_its_gradients(cell, scan, rng):
    net = network(cell, scan)
    (x1, x2), (dy1, dy2) = rng.normal(size=(2, 4, D, 2)), rng.normal(size=(2, 4, H, 2))
    first, second = run(net, x1, dy1), run(net, x2, dy2)
    net.zero_grad()
    caches = [net.forward(x)[2] for x in (x1, x2)]
    for cache, dy in zip(caches, (dy1, dy2), strict=True):
        net.backward(cache, dy)
    for name, p in net.named_parameters().items():
        assert close(p.grad, first[name] + second[name]), name


@each_scan
def test_steps_equal_forward(cell, scan, rng):
    net = network(cell, scan, num_layers=2)
    for x in (rng.normal(size=(5, D, 2)), rng.integers(0, D, (5, 2))):
        ys, final, _ = net.forward(x)
        state = None
        for t in range(5):
            y, state = net.step(x[t], state)
            assert close(y, ys[t])
        for part, expected in zip(state, final, strict=True):
            assert close(part, expected)


@each_scan
@pytest.mark.parametrize("N", [1, 5])
def test_steps_without_biases_and_from_states_in_any_memory_order(cell, scan, N, rng):
    net = network(cell, scan, num_layers=2, bias=False)
    state = tuple(np.asfortranarray(part) for part in random_state(net, N, rng))
    x = rng.normal(size=(1, N, D)).swapaxes(1, 2)
    ys, final, _ = net.forward(x, state)
    y, new = net.step(x[0], state)
    assert close(y, ys[0])
    assert all(close(a, b) for a, b in zip(new, final, strict=True))


@each_scan
@pytest.mark.parametrize("layers", [1, 2])
def test_steps_keep_nothing_and_give_arrays_of_their_own(cell, scan, layers, rng):
    net = network(cell, scan, num_layers=layers, dtype="float32")
    state = tuple(part.astype(np.float32) for part in random_state(net, 1, rng))
    parameters = [p.data for p in net.parameters()]
    for x in (rng.normal(size=(D, 1)).astype(np.float32), np.array([1])):
        before = [a.copy() for a in (x, *state, *parameters)]
        y, new = net.step(x, state)
        again = net.step(x, state)
        first = [y.copy(), *(part.copy() for part in new)]
        assert {a.dtype for a in first} == {np.dtype(np.float32)}
        arrays = [y, *new, again[0], *again[1]]
        for k, array in enumerate(arrays):
            others = [*arrays[:k], *arrays[k + 1 :], x, *state, *parameters]
            assert not any(np.shares_memory(array, other) for other in others)
            array[...] = np.nan
        for a, b in zip(before, (x, *state, *parameters), strict=True):
            assert np.array_equal(a, b)
        y, new = net.step(x, state)
        for a, b in zip(first, (y, *new), strict=True):
            assert np.array_equal(a, b)


@each_scan
@pytest.mark.parametrize("N", [1, 3])
def test_steps_take_complex_numbers_as_gradcheck_has_them(cell, scan, N, rng):
    net = network(cell, scan, num_layers=2)
    x, state = rng.normal(size=(D, N)), random_state(net, N, rng)
    expected, _ = net.step(x, state)
    with ExitStack() as stack:
        for p in net.parameters():
            stack.enter_context(p.replaced_by(p.data.astype(complex)))
        y, _ = net.step(x.astype(complex), tuple(part.astype(complex) for part in state))
    assert y.dtype == complex
    assert close(y, expected)


@each_scan
@pytest.mark.parametrize("name", ["l0.U", "l0.W", "l1.b"])
@pytest.mark.parametrize("N", [1, 3])
def test_complex_numbers_in_one_parameter_are_a_gradient_by_the_complex_step(
    cell, scan, name, N, rng
):
    net = network(cell, scan, num_layers=2)
    x, p = rng.normal(size=(4, D, N)), net.named_parameters()[name]
    ys, _, cache = net.forward(x)
    r, direction = rng.normal(size=ys.shape), rng.normal(size=p.shape)
    net.zero_grad()
    net.backward(cache, r)
    with p.replaced_by(p.data + 1e-30j * direction):
        moved, _, _ = net.forward(x)
        y, state = None, None
        for x_t in x:
            y, state = net.step(x_t, state)
    assert np.isclose((r * moved).sum().imag / 1e-30, (p.grad * direction).sum(), rtol=1e-11)
    assert close(y.imag * 1e30, moved[-1].imag * 1e30)
    assert close(moved.real, ys)
    assert mr.Parameter.replaced == 0


@each_scan
def test_steps_use_the_parameters_as_they_are_now(cell, scan, rng):
    net = network(cell, scan)
    x = rng.normal(size=(D, 2))
    net.step(x)
    for p in net.parameters():
        p.data[...] += rng.normal(size=p.shape)
    assert close(net.step(x)[0], net.forward(x[None])[0][0])


@each_scan
def test_reverse_direction_is_the_forward_one_read_backwards(cell, scan, rng):
    both, one = network(cell, scan, bidirectional=True), network(cell, scan)
    for name, p in one.named_parameters().items():
        p.data = both.named_parameters()[name.replace("l0", "l0.reverse")].data
    x = rng.normal(size=(5, D, 2))
    ys, state, _ = both.forward(x)
    ys_one, state_one, _ = one.forward(x[::-1])
    assert close(ys[:, H:], ys_one[::-1])
    assert close(state[0][1], state_one[0][0]), "its final state is the one after t = 0"


@each_scan
def test_last_and_its_transpose(cell, scan, rng):
    net = network(cell, scan, num_layers=2, bidirectional=True)
    x, dh = rng.normal(size=(4, D, 3)), rng.normal(size=(2 * H, 3))
    lengths = [4, 2, 1]
    ys, state, _ = net.forward(x, lengths=lengths)
    last = net.last(state)
    for n, length in enumerate(lengths):
        assert close(last[:H, n], ys[length - 1, :H, n])
        assert close(last[H:, n], ys[0, H:, n])
    dstate = net.last_backward(dh)
    assert np.isclose(
        (last * dh).sum(), sum((d * s).sum() for d, s in zip(dstate, state, strict=True))
    )


@each_scan
@pytest.mark.parametrize(("T", "N"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_nothing_and_next_to_nothing(cell, scan, T, N, rng):
    net = Recurrent(cell, 1, 1, 2, bidirectional=True, dtype="float64", rng=0, scan=scan)
    for x in (rng.normal(size=(T, 1, N)), np.zeros((T, N), int)):
        for lengths in (None, np.full(N, T)):
            state = random_state(net, N, rng)
            ys, final, cache = net.forward(x, state, lengths)
            assert ys.shape == (T, 2, N)
            if T == 0:
                assert np.array_equal(final[0], state[0])
            dx, dstate = net.backward(cache, ys, final)
            assert dx is None if x.ndim == 2 else dx.shape == x.shape
            assert dstate[0].shape == (4, 1, N)
            assert cache["l1.reverse.h"].shape == (T, 1, N)


@each_scan
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("recompute_every", [None, 2])
def test_gradient_of_the_input_can_be_left_out(cell, scan, layers, recompute_every, rng):
    net = network(cell, scan, num_layers=layers, bidirectional=True)
    x, dys = rng.standard_normal((5, D, 4)), rng.standard_normal((5, 2 * H, 4))
    cache = net.forward(x, lengths=[5, 0, 3, 4], recompute_every=recompute_every)[2]
    wanted = net.backward(cache, dys)[1], gradients(net)
    net.zero_grad()
    dx, dstate = net.backward(cache, dys, want_dx=False)
    assert dx is None
    assert all(map(np.array_equal, dstate, wanted[0]))
    assert all(np.array_equal(gradients(net)[name], g) for name, g in wanted[1].items())


@each_scan
def test_copies_of_a_network_and_its_cache_go_together(cell, scan, rng):
    net = network(cell, scan, num_layers=2)
    x = rng.standard_normal((5, D, 4))
    ys, _, cache = net.forward(x)
    twins = [copy.deepcopy((net, cache)) for _ in range(5)]  # at addresses of all kinds
    net.backward(cache, ys)
    for twin, other in twins:
        twin.backward(other, ys)
        assert all(np.array_equal(gradients(twin)[k], g) for k, g in gradients(net).items())


@each_scan
def test_missing_gradients_are_zero(cell, scan, rng):
    net = network(cell, scan, num_layers=2)
    x, dys = rng.normal(size=(4, D, 2)), rng.normal(size=(4, H, 2))
    dstate = random_state(net, 2, rng)
    zero = tuple(0 * part for part in dstate)
    same(run(net, x, dys, None), run(net, x, dys, zero))
    same(run(net, x, None, dstate), run(net, x, 0 * dys, dstate))
    if len(dstate) == 2:
        same(run(net, x, dys, (None, dstate[1])), run(net, x, dys, (zero[0], dstate[1])))
        same(run(net, x, None, (dstate[0], None)), run(net, x, 0 * dys, (dstate[0], zero[1])))


def test_dropout_acts_between_layers_only_when_asked_for(rng):
    net = network(CELLS[2], num_layers=2, dropout=0.5)
    x = rng.normal(size=(50, D, 40))
    plain, _, cache = net.forward(x)
    assert cache.dropped == [None, None]
    dropped, _, cache = net.forward(x, dropout_rng=np.random.default_rng(0))
    mask = cache.dropped[0]
    assert cache.dropped[1] is None
    assert set(np.unique(mask)) == {0.0, 2.0}
    assert abs(mask.mean() - 1) < 0.05
    assert not close(plain, dropped)
    assert close(plain, net.forward(x)[0])


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_kernel_is_held_to_the_generic_scan(data):
    """Everything that comes out of forward and backward, over random shapes and options."""
    cell = data.draw(st.sampled_from(CELLS))
    seed = data.draw(st.integers(0, 10**6))
    T, N = data.draw(st.integers(0, 40), "T"), data.draw(st.integers(1, 60), "N")
    inputs, hidden = data.draw(st.integers(1, 40), "D"), data.draw(st.integers(1, 40), "H")
    layers = data.draw(st.integers(1, 3), "layers")
    both, tokens = data.draw(st.booleans(), "both"), data.draw(st.booleans(), "tokens")
    options = {"bias": data.draw(st.booleans(), "bias"), "dtype": "float64", "rng": seed}
    rng = np.random.default_rng(seed)
    x = rng.integers(0, inputs, (T, N)) if tokens else rng.normal(size=(T, inputs, N))
    lengths = rng.integers(0, T + 1, N) if data.draw(st.booleans(), "lengths") else None
    results = []
    for scan in available(cell, get_backend("cpu")):
        net = Recurrent(cell, inputs, hidden, layers, both, scan=scan, **options)
        rng = np.random.default_rng(seed)
        state, dstate = random_state(net, N, rng), random_state(net, N, rng)
        dys = rng.normal(size=(T, net.output_size, N))
        results.append(run(net, x, dys, dstate, state=state, lengths=lengths))
        if tokens:
            assert results[-1].pop("dx") is None
    for other in results[1:]:
        same(other, results[0], tol=1e-11)


@each_scan
def test_large_vocabulary(cell, scan, rng):
    """Beyond a few hundred tokens, the columns of dU are summed in another way."""
    net = Recurrent(cell, 1000, 3, dtype="float64", rng=0, scan=scan)
    tokens, dys = rng.integers(0, 1000, (6, 5)), rng.normal(size=(6, 3, 5))
    one_hot, _ = mr.OneHot(1000, dtype="float64").forward(tokens)
    a, b = run(net, tokens, dys), run(net, one_hot, dys)
    a.pop("dx"), b.pop("dx")
    same(a, b)


@pytest.mark.parametrize("wrong", [np.zeros((2, 4, 3)), np.zeros(3), [[0.0]]])
def test_explain_refuses_an_input_that_forward_would_refuse(wrong):
    with pytest.raises((TypeError, ValueError), match=r"^x: got "):
        mr.explain(mr.RNN(5, 2), wrong)


def test_only_what_runs_is_compiled_ahead(monkeypatch):
    asked = []
    monkeypatch.setattr("minirnn.kernels.choice.compile_ahead", asked.append)
    for options in ({"scan": "generic"}, {"scan": "numpy"}, {"dtype": "float64"}):
        mr.GRU(2, 2, **options)
    mr.GRU(2, 2, reset_after=False)
    assert asked == []


def test_explain_names_the_scan_and_the_reason(rng):
    x = rng.normal(size=(2, D, 1))
    assert "numpy scan: not the numba scan" in mr.explain(mr.LSTM(D, H, dtype="float64"), x)
    assert 'generic scan: because scan="generic"' in mr.explain(mr.LSTM(D, H, scan="generic"), x)
    assert "float64 and is cast to float32" in mr.explain(mr.LSTM(D, H), x)
    assert "columns of U are picked" in mr.explain(mr.GRU(D, H), np.zeros((2, 1), int))

    class Ours(mr.GRUResetBeforeCell):
        pass

    explained = mr.explain(Recurrent(Ours(), D, H), x)
    assert "not the numba scan, because GRU(reset_after=False) has the product W @ m" in explained
    assert "not the numpy scan, because GRU(reset_after=False) has no in-place steps" in explained
    with pytest.raises(ValueError, match="'numpy' cannot run here"):
        Recurrent(Ours(), D, H, scan="numpy")


@each_scan
def test_padding_that_overflows_in_the_cast_is_not_read(cell, scan, rng):
    net = network(cell, scan, dtype="float32")
    x, dys = rng.normal(size=(4, D, 2)), rng.normal(size=(4, H, 2))
    clean = run(net, x, dys, lengths=[2, 4])
    x[2:, :, 0] = dys[2:, :, 0] = 1e300
    same(run(net, x, dys, lengths=[2, 4]), clean, tol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"b": lambda g: g[:, 0]}, r"ours.backward: dP\['b'\] is \(4,\), want \(4, 1\)"),
        ({"V": lambda g: 0}, r"ours.backward: dP\['V'\] is .*, want no such parameter"),
        ({"b": None}, r"ours.backward: dP\['b'\] is missing, want \(4, 1\)"),
    ],
)
def test_new_cell_whose_gradients_do_not_fit_is_refused(change, message):
    class Ours(mr.RNNCell):
        def backward(self, *arguments):
            self.name = "ours"
            dx, dstate, dP = super().backward(*arguments)
            ((name, f),) = change.items()
            dP = dict(dP) | {name: f and np.asarray(f(dP["b"]))}
            return dx, dstate, {name: g for name, g in dP.items() if g is not None}

    with pytest.raises(ValueError, match=message):
        network(Ours())
