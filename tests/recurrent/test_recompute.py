"""With `recompute_every`, everything is what it is without, and little is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import gradients, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import SCANS, each_scan

import minirnn as mr
from minirnn.kernels.threaded import LEAST
from minirnn.recurrent import Recurrent
from minirnn.recurrent.recompute import RecomputedScan, recomputed
from minirnn.scan import GenericScan

D, H = 3, 4


def network(cell, scan="generic", layers=2, both=True, dropout=0.0):
    return Recurrent(cell, D, H, layers, both, dropout, dtype="float64", rng=0, scan=scan)


def random_state(net, N, rng):
    shape = (net.num_layers * net.num_directions, H, N)
    return tuple(rng.normal(size=shape) for _ in net.cell.states)


def run(net, x, dys, dstate=None, **options):
    """Everything that comes out of forward, the cache and backward, by name."""
    net.zero_grad()
    ys, state, cache = net.forward(x, **options)
    found = {f"cache {name}": cache[name] for name in cache.names()}
    dx, initial = net.backward(cache, dys, dstate)
    found |= {"ys": ys} | ({} if dx is None else {"dx": dx}) | gradients(net)
    found |= {f"{s} after": value for s, value in zip(net.cell.states, state, strict=True)}
    return found | {
        f"d{s} before": value for s, value in zip(net.cell.states, initial, strict=True)
    }


def same(a, b, tol=1e-12):
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name].shape, a[name].dtype) == (b[name].shape, b[name].dtype), name
        assert np.allclose(a[name], b[name], rtol=tol, atol=tol), name


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data())
def test_all_results_are_those_without(data):
    cell, scan = data.draw(st.sampled_from(SCANS), "scan")
    T, N = data.draw(st.integers(0, 12), "T"), data.draw(st.integers(1, 3), "N")
    every = data.draw(st.sampled_from([1, 2, 3, 5, max(T, 1), T + 1, "sqrt"]), "every")
    layers, both = data.draw(st.integers(1, 3), "layers"), data.draw(st.booleans(), "both")
    dropout = 0.4 if layers > 1 and data.draw(st.booleans(), "dropout") else 0.0
    given_ = data.draw(st.sampled_from(["ys", "state", "both"]), "given")
    net = network(cell, scan, layers, both, dropout)
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6), "seed"))
    tokens = data.draw(st.booleans(), "tokens")
    x = rng.integers(0, D, (T, N)) if tokens else rng.normal(size=(T, D, N))
    options = {}
    if data.draw(st.booleans(), "lengths"):
        options["lengths"] = lengths = rng.integers(0, T + 1, N)
        if not tokens:  # padding may hold anything
            x.swapaxes(1, 2)[np.arange(T)[:, None] >= lengths] = np.nan
    if data.draw(st.booleans(), "state"):
        options["state"] = random_state(net, N, rng)
    dys = rng.normal(size=(T, net.output_size, N)) if given_ != "state" else None
    dstate = random_state(net, N, rng) if given_ != "ys" else None
    with unchanged(x, *options.get("state", ()), *(dstate or ())):
        masks = [{"dropout_rng": np.random.default_rng(7)} if dropout else {} for _ in range(2)]
        again = run(net, x, dys, dstate, recompute_every=every, **masks[0], **options)
    same(again, run(net, x, dys, dstate, **masks[1], **options))


class Recorder(GenericScan):
    """Remembers how long the sequences were that it ran over, and how many records are alive."""

    class Record:
        alive = 0

        def __init__(self, saved):
            self.saved = saved
            type(self).alive += 1

        def __del__(self):
            type(self).alive -= 1

        def trace(self, name):
            return self.saved.trace(name)

    def __init__(self):
        self.lengths = []
        self.most = 0

    def forward(self, cell, P, x, state, mask):
        ys, state, saved = super().forward(cell, P, x, state, mask)
        self.lengths.append(len(x))
        record = self.Record(saved)
        self.most = max(self.most, self.Record.alive)
        return ys, state, record

    def backward(self, saved, dys, dstate, want_dx=True):
        assert dys is None or len(dys) == self.lengths[-1]
        return super().backward(saved.saved, dys, dstate, want_dx)


@pytest.mark.parametrize(
    ("T", "every", "segments"),
    [
        (10, 4, [4, 4, 2]),
        (10, 5, [5, 5]),
        (10, 1, [1] * 10),
        (10, 10, [10]),
        (10, 99, [10]),
        (10, "sqrt", [4, 4, 2]),
        (9, "sqrt", [3, 3, 3]),
        (1, "sqrt", [1]),
        (0, "sqrt", [0]),
    ],
)
def test_no_more_than_a_segment_is_kept_at_a_time(T, every, segments, rng):
    net = network(mr.LSTMCell(), layers=1, both=False)
    net.scan = recorder = Recorder()
    x, dys = rng.normal(size=(T, D, 2)), rng.normal(size=(T, H, 2))
    _, _, cache = net.forward(x, recompute_every=every)
    assert recorder.lengths == segments
    assert recorder.Record.alive == 0, "forward keeps no gates"
    recorder.lengths.clear()
    cache["l0.i"]
    assert recorder.lengths == segments
    recorder.lengths.clear()
    net.backward(cache, dys)
    assert recorder.lengths == segments[::-1]
    assert recorder.Record.alive == 0
    assert recorder.most == 1


def test_what_is_kept_is_a_state_for_each_segment(rng):
    net = network(mr.LSTMCell(), "numpy", layers=1, both=False)
    x = rng.normal(size=(100, D, 2))
    ys, _, cache = net.forward(x, recompute_every="sqrt")
    ((_, saved),) = cache.scans
    assert len(saved.segments) == 10
    assert np.shares_memory(saved.x, x), "x is not copied"
    for own, state in saved.segments:
        assert [part.size for part in state] == [H * 2, H * 2]
        assert not any(np.shares_memory(part, ys) for part in state)
        if own.start:
            assert np.array_equal(state[0], ys[own.start - 1])


@each_scan
def test_cache_can_be_used_again_and_shares_no_memory_with_results(cell, scan, rng):
    net = network(cell, scan, dropout=0.3)
    x, dys = rng.normal(size=(7, D, 3)), rng.normal(size=(7, 2 * H, 3))
    state = random_state(net, 3, rng)
    expected = run(net, x, dys, state=state, dropout_rng=np.random.default_rng(1))
    mine = tuple(part.copy() for part in state)
    ys, final, cache = net.forward(x, mine, None, np.random.default_rng(1), recompute_every=3)
    net.forward(rng.normal(size=x.shape), recompute_every=3)
    for array in (ys, *mine, *final, cache["l1.h"]):
        array[...] = np.nan
    for _ in range(2):
        net.zero_grad()
        dx, initial = net.backward(cache, dys)
        same({"dx": dx} | gradients(net), {k: expected[k] for k in ("dx", *gradients(net))})
        for array in (dx, *initial):
            array[...] = np.nan


def test_parameters_that_changed_are_noticed_and_do_not_change_the_gates(rng):
    net = network(mr.GRUCell(), "auto")
    x = rng.normal(size=(5, D, 2))
    ys, _, cache = net.forward(x, recompute_every=2)
    before = cache["l1.reverse.z"]
    mr.SGD(net.parameters(), lr=1.0).step()
    for p in net.parameters():
        p.data = p.data + 1
    assert np.array_equal(cache["l1.reverse.z"], before)
    with pytest.raises(ValueError, match="older than the parameters"):
        net.backward(cache, ys)


@pytest.mark.exhaustive
@each_scan
def test_gradients_by_the_complex_step(cell, scan, rng):
    net = network(cell, scan, layers=1)
    r_ys, r_state = rng.normal(size=(5, 2 * H, 2)), random_state(net, 2, rng)

    def forward(x, h):
        state = (h, *(0 * h for _ in net.cell.states[1:]))
        ys, final, cache = net.forward(x, state, [5, 3], recompute_every=2)
        loss = (r_ys * ys).sum() + sum((r * s).sum() for r, s in zip(r_state, final, strict=True))
        return loss, cache

    def backward(cache):
        dx, dstate = net.backward(cache, r_ys, r_state)
        return {"x": dx, "h": dstate[0]}

    x, h = rng.normal(size=(5, D, 2)), rng.normal(size=(2, H, 2))
    report = mr.gradcheck(forward, backward, net.parameters(), x=x, h=h)
    assert report.ok, report


@pytest.mark.parametrize("tokens", [False, True])
def test_threads_share_the_columns_of_each_segment(tokens, rng):
    pytest.importorskip("threadpoolctl")
    N = 2 * LEAST + 3
    net = network(mr.LSTMCell(), "numpy")
    x = rng.integers(0, D, (7, N)) if tokens else rng.normal(size=(7, D, N))
    dys, lengths = rng.normal(size=(7, 2 * H, N)), rng.integers(0, 8, N)
    expected = run(net, x, dys, lengths=lengths)
    with mr.threads(2):
        same(run(net, x, dys, lengths=lengths, recompute_every=3), expected)
        _, _, cache = net.forward(x, recompute_every=3)
    net.backward(cache, dys)  # with another number of threads than forward had


def test_float32_computes_in_float32(rng):
    net = mr.LSTM(D, H, 2, bidirectional=True, rng=0)
    x, dys = rng.normal(size=(9, D, 2)), rng.normal(size=(9, 2 * H, 2))
    same(run(net, x, dys, recompute_every="sqrt"), run(net, x, dys), tol=1e-5)


@pytest.mark.parametrize("T", [0, 1, 2, 3, 4, 5, 99, 100, 101, 10**16, 10**16 + 1])
def test_square_root_is_rounded_up(T):
    k = recomputed(GenericScan(), "sqrt", T).k
    assert k >= 1
    assert (k - 1) ** 2 < max(T, 1) <= k**2


def test_scan_is_wrapped_only_when_asked_for():
    scan = GenericScan()
    assert recomputed(scan, None, 9) is scan
    wrapped = recomputed(scan, np.int64(4), 9)
    assert isinstance(wrapped, RecomputedScan)
    assert (wrapped.scan, wrapped.k, wrapped.name) == (scan, 4, "generic")


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "recompute_every: got 0, want 1 or more"),
        (-3, ValueError, "recompute_every: got -3, want 1 or more"),
        (True, TypeError, "recompute_every: got True, want an integer"),
        (2.0, TypeError, "recompute_every: got 2.0, want an integer"),
        (math.nan, TypeError, "recompute_every: got nan, want an integer"),
        ("root", ValueError, "recompute_every: got 'root', want \"sqrt\" or an integer"),
        ([4], TypeError, r"recompute_every: got \[4\], want an integer"),
    ],
)
def test_mistakes_end_in_one_message(value, error, message, rng):
    net = network(mr.LSTMCell())
    with pytest.raises(error, match=message):
        net.forward(rng.normal(size=(4, D, 2)), recompute_every=value)


@each_scan
@pytest.mark.parametrize("every", [None, 3])
def test_tokens_are_copied(cell, scan, every, rng):
    net = network(cell, scan, layers=1, both=False)
    x, dys = rng.integers(0, D, (7, 3)), rng.normal(size=(7, H, 3))
    wanted = run(net, x, dys, recompute_every=every)
    net.zero_grad()
    _, _, cache = net.forward(x, recompute_every=every)
    for other in (D - 1 - x, 10**6):  # the latter would be read and written far outside of U
        x[...] = other
        net.zero_grad()
        net.backward(cache, dys)
        same(gradients(net), {name: wanted[name] for name in gradients(net)})
        assert np.array_equal(cache[f"l0.{cell.states[0]}"], wanted[f"cache l0.{cell.states[0]}"])
