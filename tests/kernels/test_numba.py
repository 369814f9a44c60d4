"""The compiled scan: its products, its tanh, sizes around the edges of blocks, and how it is chosen."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial

import invented_cells
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import assert_close, everything

import minirnn as mr

numba = pytest.importorskip("numba", reason="needs Numba: pip install 'minirnn[numba]'")

from minirnn.kernels.compiled import loops, plan  # noqa: E402
from minirnn.kernels.compiled.products import (  # noqa: E402
    LANES,
    Left,
    Right,
    Rows,
    blocks_at_once,
    product,
)

CELLS = {
    "RNN": mr.RNN,
    "RNN relu": lambda *sizes, **options: mr.RNN(*sizes, activation="relu", **options),
    "LSTM": mr.LSTM,
    "LSTM relu": lambda *sizes, **options: mr.LSTM(*sizes, activation="relu", **options),
    "GRU": mr.GRU,
    **{cell.name: partial(mr.Recurrent, cell) for cell in invented_cells.CELLS},
}
each_cell = pytest.mark.parametrize("cell", CELLS)


def states(net, random, N):
    """A state for `net`; what a cell divides by is not near 0."""
    shape = net.num_layers * net.num_directions, net.hidden_size, N
    parts = {s: random.standard_normal(shape) for s in net.cell.states}
    return tuple(abs(part) + 0.5 if s == "n" else part for s, part in parts.items())


@st.composite
def problems(draw):
    sizes = [draw(st.integers(*limits)) for limits in ((1, 6), (1, 15), (1, 36), (1, 70))]
    return *sizes, draw(st.booleans()), draw(st.booleans()), draw(st.integers(0, 2**32))


@each_cell
@pytest.mark.parametrize(("dtype", "tol"), [("float64", 1e-12), ("float32", 2e-4)])
@given(problem=problems())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_size_agrees_with_the_equations(cell, dtype, tol, problem):
    T, N, D, H, tokens, padded, seed = problem
    random = np.random.default_rng(seed)
    plain, compiled = (
        CELLS[cell](D, H, dtype=dtype, rng=seed, scan=s) for s in ("generic", "numba")
    )
    x = random.integers(0, D, (T, N)) if tokens else random.standard_normal((T, D, N))
    state = states(plain, random, N)
    dstate = tuple(random.standard_normal((1, H, N)) for _ in state)
    dys = random.standard_normal((T, H, N))
    lengths = random.integers(0, T + 1, N) if padded else None
    given = (x, state, lengths, dys, dstate)
    assert_close(everything(compiled, *given), everything(plain, *given), tol)


@each_cell
@pytest.mark.parametrize("tokens", [False, True])
def test_more_columns_than_are_multiplied_at_a_time(cell, tokens, rng):
    T, N, D, H = 23, 57, 20, 18
    assert T * N > 2 * plan.BACKWARD_COLUMNS > 2 * loops.FORWARD_COLUMNS
    plain, compiled = (
        CELLS[cell](D, H, 2, True, dtype="float64", rng=1, scan=s) for s in ("generic", "numba")
    )
    x = rng.integers(0, D, (T, N)) if tokens else rng.standard_normal((T, D, N))
    state, lengths = states(plain, rng, N), rng.integers(0, T + 1, N)
    given = (x, state, lengths, rng.standard_normal((T, 2 * H, N)), None)
    assert_close(everything(compiled, *given), everything(plain, *given), 1e-12)


@numba.njit
def multiply(M, V, out, initial, starts, left, right, depth, zero):
    shape = (1, LANES) if zero else (V * LANES, LANES)
    start = Rows(initial, 0, 0 if zero else shape[0], LANES)
    whole = Left(left, 0, 1, starts, depth, M)
    product(
        M,
        V,
        Rows(out, 0, V * LANES, LANES),
        start,
        whole,
        Right(right, 0, depth * V * LANES, V * LANES, LANES),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("repeated", [False, True])
def test_every_shape_of_tile(dtype, repeated, rng):
    parts, depth = 3, 5
    for M in range(1, 15):
        for V in range(1, blocks_at_once(np.dtype(dtype).itemsize) + 1):
            left = rng.standard_normal((parts * depth, M)).astype(dtype)  # k, m
            right = rng.standard_normal((parts * depth, V * LANES)).astype(dtype)
            initial = rng.standard_normal((1 if repeated else M, V * LANES)).astype(dtype)
            out = np.full((M, V * LANES), np.nan, dtype)
            starts = np.arange(parts) * depth * M
            flat = (array.ravel() for array in (left, right))
            multiply(M, V, out.ravel(), initial.ravel(), starts, *flat, depth, repeated)
            assert np.allclose(out, initial + left.T @ right, atol=1e-5)


@each_cell
def test_what_is_not_a_number_stays_in_its_sequence(cell, rng):
    rnn = CELLS[cell](3, 5, rng=0, scan="numba")
    x = rng.standard_normal((4, 3, 3)).astype(np.float32)
    x[2, 1, 1] = np.nan
    ys, (h, *_), _ = rnn.forward(x)
    assert np.isnan(ys[2:, :, 1]).all()
    assert np.isnan(h[..., 1]).all()
    assert np.isfinite(ys[:, :, ::2]).all()
    assert np.isfinite(ys[:2]).all()


@each_cell
def test_results_are_the_callers_to_keep(cell, rng):
    for N in (1, 2):
        rnn = CELLS[cell](2, 16, rng=0, scan="numba")
        x = rng.standard_normal((3, 2, N)).astype(np.float32)
        ys, state, cache = rnn.forward(x)
        dys = np.ones_like(ys)
        first = rnn.backward(cache, dys)[0].copy()
        for array in (x, ys, *state, cache["l0.h"]):
            array[...] = np.nan
        assert np.array_equal(rnn.backward(cache, dys)[0], first)


def test_arrays_of_any_strides_run_what_was_compiled_once(rng):
    x = rng.standard_normal((4, 3, 64)).astype(np.float32)
    rnn = mr.LSTM(3, 5, bidirectional=True, rng=0, scan="numba")
    frozen = x.copy()
    frozen.flags.writeable = False
    wide = np.repeat(x, 2, axis=2)
    wanted = rnn.forward(x)[0]
    for same in (frozen, wide[..., ::2], x.transpose(2, 1, 0).copy().transpose(2, 1, 0)):
        assert np.array_equal(rnn.forward(same)[0], wanted)
    tokens = rng.integers(0, 3, (64, 4)).T
    assert np.array_equal(rnn.forward(tokens)[0], rnn.forward(tokens.copy())[0])
    assert len(loops.forward.signatures) <= 2  # float32, float64
    assert len(loops.backward.signatures) <= 2


def test_a_step_takes_parameters_of_another_dtype(rng):
    rnn, x = mr.GRU(3, 5, rng=0), rng.standard_normal((3, 1))
    wanted = rnn.step(x)[0]
    with ExitStack() as replaced:
        for p in rnn.parameters():
            replaced.enter_context(p.replaced_by(p.data.astype(np.float64)))
        found = rnn.step(x)[0]
    assert found.dtype == np.float64
    assert np.allclose(found, wanted, atol=1e-6)


def test_users_may_have_threads_of_their_own(rng):
    rnn, x = mr.GRU(3, 20, rng=0, scan="numba"), rng.standard_normal((9, 3, 64))
    wanted, found = rnn.forward(x)[0], [None] * 4

    def work(k):
        for _ in range(5):
            found[k] = rnn.forward(x)[0]

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(ys, wanted) for ys in found)


def test_it_is_the_default_for_float32_and_says_so():
    assert "numba scan: the fastest" in mr.explain(mr.LSTM(3, 4))
    double = mr.explain(mr.LSTM(3, 4, dtype="float64"))
    assert "numpy scan: not the numba scan, because it is made for float32" in double
    before = mr.explain(mr.GRU(3, 4, reset_after=False))
    assert "because GRU(reset_after=False) has the product W @ m besides U @ x and W @ h" in before
    with pytest.raises(
        ValueError, match=r"scan: 'numba' cannot run here: GRU\(reset_after=False\)"
    ):
        mr.GRU(3, 4, reset_after=False, scan="numba")


def test_complex_numbers_take_the_numpy_scan(rng):
    rnn = mr.LSTM(2, 3, dtype="float64", rng=0, scan="numba")
    x, dys = rng.standard_normal((3, 2, 2)), rng.standard_normal((3, 3, 2))

    def forward(x):
        ys, _, cache = rnn.forward(x)
        return (ys * dys).sum(), cache

    backward = lambda cache: {"x": rnn.backward(cache, dys)[0]}  # noqa: E731
    report = mr.gradcheck(forward, backward, rnn.parameters(), x=x)
    assert report.worst <= 1e-12, report


def test_explain_shows_what_was_printed_from_the_class():
    said = mr.explain(mr.LSTM(3, 4), source=True)
    assert "def backward(table, count):" in said
    assert "c_new = fma(f, c, i * g)" in said


def test_explain_says_how_the_batch_is_split():
    small, large = mr.LSTM(3, 4, scan="numba"), mr.LSTM(64, 128, scan="numba")
    with mr.threads(2):
        assert "threads" not in mr.explain(small, np.zeros((5, 3, 64)))
        x = np.zeros((50, 64, 25))
        assert "2 threads, with 12 + 13 sequences" in mr.explain(large, x)
        assert len(large.forward(x)[2].scans[0][1].parts) == 2
    assert "threads" not in mr.explain(mr.LSTM(3, 4, scan="generic"), x[:, :3])


@each_cell
def test_no_sequences_have_no_gradient(cell):
    rnn = CELLS[cell](20, 33, rng=0, scan="numba")
    for x in (np.zeros((5, 20, 0)), np.zeros((5, 0), int)):
        for _ in range(3):
            dirt = np.full(1 << 16, np.nan, np.float32)  # what may lie in memory that is used next
            del dirt
            ys, _, cache = rnn.forward(x)
            rnn.backward(cache, ys)
    assert all((p.grad == 0).all() for p in rnn.parameters())
