"""On several threads everything is what it is on one: to rounding, and to the same bits every time."""

from __future__ import annotations

import os
import sys
import threading
import weakref

import numpy as np
import pytest
from helpers import all_same_bits, blas_threads, gradients, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import minirnn as mr
from minirnn.cells import CELLS
from minirnn.kernels import choice, pool
from minirnn.kernels.pool import parallel, shares, thread_count
from minirnn.kernels.threaded import LEAST, ThreadedSaved
from minirnn.kernels.workers import Task, Workers
from minirnn.layers import linear
from minirnn.optim import optimizer as shared

T, D, H, N = 5, 3, 4, 3 * LEAST + 2  # N is enough for three threads, in unequal shares
each_cell = pytest.mark.parametrize("cell", CELLS, ids=[cell.name for cell in CELLS])
each_count = pytest.mark.parametrize("count", [2, 3])


@pytest.fixture(autouse=True)
def threads_are_blas_s_by_default(monkeypatch):
    """As where no scan is compiled."""
    for module in (pool, choice):
        monkeypatch.setattr(module, "why_not_compiled", lambda: "numba")


def close(a, b):
    """Whether two arrays are of one type and agree to 1e-12."""
    return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, rtol=1e-12, atol=1e-12)


def parts_of(cache):
    """How many parts each scan of a cache was split into."""
    saved = [saved for _, saved in cache.scans]
    return {len(s.parts) if isinstance(s, ThreadedSaved) else 1 for s in saved}


def run(rnn, x, lengths=None, seed=None):
    """Everything that comes out of forward and backward, by name."""
    random, states = np.random.default_rng(5), rnn.cell.states
    shape = (rnn.num_layers * rnn.num_directions, H, x.shape[-1])
    state = tuple(random.standard_normal(shape) for _ in states)
    rnn.zero_grad()
    draws = None if seed is None else np.random.default_rng(seed)
    ys, final, cache = rnn.forward(x, state, lengths, draws)
    dys = random.standard_normal(ys.shape)
    dx, initial = rnn.backward(cache, dys, tuple(random.standard_normal(shape) for _ in states))
    found = {"ys": ys} | ({} if dx is None else {"dx": dx}) | gradients(rnn)
    found |= {f"{s} after": value for s, value in zip(states, final, strict=True)}
    found |= {f"d{s} before": value for s, value in zip(states, initial, strict=True)}
    return found | {name: cache[name] for name in cache.names()}, cache


@each_count
@each_cell
@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(
    ("both", "lengths", "seed"), [(False, False, None), (False, True, 3), (True, True, None)]
)
def test_scans(rng, cell, count, tokens, both, lengths, seed):
    rnn = mr.Recurrent(
        cell, D, H, 2, both, dropout=0.0 if seed is None else 0.4, dtype="float64", rng=rng
    )
    x = rng.integers(0, D, (T, N)) if tokens else rng.standard_normal((T, D, N))
    ends = rng.integers(0, T + 1, N) if lengths else None
    alone, cache = run(rnn, x, ends, seed)
    assert parts_of(cache) == {1}
    with mr.threads(count):
        together, cache = run(rnn, x, ends, seed)
        assert parts_of(cache) == {count}
        assert all_same_bits(together, run(rnn, x, ends, seed)[0])
    assert list(alone) == list(together)
    for name, value in alone.items():
        assert close(together[name], value), name


@each_cell
def test_gradients_by_the_complex_step(rng, cell):
    rnn = mr.Recurrent(cell, 1, 2, dtype="float64", rng=rng)
    dys, x = rng.standard_normal((2, 2, 2 * LEAST)), rng.standard_normal((2, 1, 2 * LEAST))

    def forward(x):
        ys, _, cache = rnn.forward(x)
        assert parts_of(cache) == {2}
        return (ys * dys).sum(), cache

    with mr.threads(2):
        report = mr.gradcheck(
            forward, lambda cache: {"x": rnn.backward(cache, dys)[0]}, rnn.parameters(), x=x
        )
    assert report.worst <= 1e-12, report


@pytest.mark.parametrize(("columns", "parts"), [(2 * LEAST - 1, 1), (2 * LEAST, 2), (0, 1)])
def test_few_columns_stay_together(rng, columns, parts):
    rnn, x = mr.LSTM(D, H, dtype="float64", rng=rng), rng.standard_normal((T, D, columns))
    alone, _ = run(rnn, x)
    with mr.threads(3):
        together, cache = run(rnn, x)
    assert parts_of(cache) == {parts}
    assert all_same_bits(alone, together) is (parts == 1)


def test_no_steps_are_no_steps(rng):
    rnn, x = mr.GRU(D, H, dtype="float64", rng=rng), np.zeros((0, D, N))
    alone, _ = run(rnn, x)
    with mr.threads(3):
        together, cache = run(rnn, x)
    assert parts_of(cache) == {3}
    assert all_same_bits(alone, together)


@pytest.mark.parametrize("inside", [False, True])
def test_a_cache_may_be_used_with_other_threads_than_it_was_made_with(rng, inside):
    rnn, x = mr.LSTM(D, H, dtype="float64", rng=rng), rng.standard_normal((T, D, N))
    dys = rng.standard_normal((T, H, N))
    wanted = rnn.backward(rnn.forward(x)[2], dys)[0]
    dP = gradients(rnn)
    rnn.zero_grad()
    if inside:
        with mr.threads(2):
            cache = rnn.forward(x)[2]
        dx = rnn.backward(cache, dys)[0]
        with mr.threads(3):
            again = rnn.backward(cache, dys)[0]
    else:
        cache = rnn.forward(x)[2]
        with mr.threads(2):
            dx, again = (rnn.backward(cache, dys)[0] for _ in range(2))
    assert same_bits(dx, again)
    assert close(dx, wanted)
    for name, gradient in gradients(rnn).items():
        assert close(gradient, 2 * dP[name]), name


@each_count
@pytest.mark.parametrize(
    "shape", [(2, 7, 450), (901, 7, 1), (7, 900), (1, 7, 900), (3, 7, 0), (0, 7, 5)]
)
@pytest.mark.parametrize("bias", [False, True])
def test_linear(rng, count, shape, bias):
    out = mr.Linear(7, 5, bias, dtype="float64", rng=rng)
    x, dy = rng.standard_normal(shape), rng.standard_normal((*shape[:-2], 5, shape[-1]))

    def everything():
        out.zero_grad()
        y, cache = out.forward(x)
        return {"y": y, "dx": out.backward(cache, dy)} | gradients(out)

    alone = everything()
    P = out.state_dict()
    np.testing.assert_allclose(alone["y"], P["V"] @ x + P.get("b", 0), rtol=0, atol=1e-12)
    with mr.threads(count):
        together = everything()
        assert all_same_bits(together, everything())
    for name, value in alone.items():
        assert close(together[name], value), name


def test_the_gradient_of_linear_by_the_complex_step(rng, monkeypatch):
    monkeypatch.setattr(linear, "LEAST", 4)
    out, x = mr.Linear(3, 2, dtype="float64", rng=rng), rng.standard_normal((3, 3, 5))
    dy = rng.standard_normal((3, 2, 5))

    def forward(x):
        y, cache = out.forward(x)
        return (y * y * dy).sum(), (cache, 2 * y * dy)

    with mr.threads(3):
        report = mr.gradcheck(
            forward, lambda saved: {"x": out.backward(*saved)}, out.parameters(), x=x
        )
    assert report.worst <= 1e-12, report


@pytest.mark.parametrize(
    "make",
    [
        lambda p: mr.SGD(p, 0.1),
        lambda p: mr.SGD(p, 0.1, 0.9, nesterov=True),
        mr.RMSprop,
        mr.Adagrad,
        mr.Adam,
        mr.AdamW,
    ],
)
def test_optimizers_to_the_same_bits(monkeypatch, make):
    monkeypatch.setattr(shared, "LEAST", 1 << 14)  # enough for three threads, in unequal shares

    def trained():
        rng = np.random.default_rng(0)
        model = mr.Model(a=mr.Linear(250, 200, rng=0), b=mr.Linear(3, 2, rng=1))
        optimizer = make(model.parameters())
        for _ in range(3):
            for p in model.parameters():
                p.grad = rng.standard_normal(p.shape)
            optimizer.step()
        return model.state_dict() | optimizer.state_dict()

    alone = trained()
    with mr.threads(3):
        together = trained()
    assert all_same_bits(alone, together)


def test_training_a_language_model(rng):
    tokens = rng.integers(0, 5, (9, 40))

    def trained():
        model = mr.LanguageModel(5, 16, "gru", 2, dropout=0.2, dtype="float64", rng=0)
        optimizer, random = mr.Adam(model.parameters(), 0.01), np.random.default_rng(1)
        for _ in range(5):
            scores, _, cache = model.forward(tokens[:-1], dropout_rng=random)
            _, dscores = mr.softmax_cross_entropy(scores, tokens[1:])
            model.zero_grad()
            model.backward(cache, dscores)
            mr.clip_grad_norm(model.parameters(), 0.1)
            optimizer.step()
        return model.state_dict()

    alone = trained()
    with mr.threads(2):
        together = trained()
        assert all_same_bits(together, trained())
    for name, value in alone.items():
        np.testing.assert_allclose(together[name], value, rtol=1e-6, atol=1e-9)


# The pool itself


@each_count
def test_there_are_so_many_threads_at_work_at_once(count, monkeypatch):
    monkeypatch.setattr(pool, "_parallel", Workers())
    barrier = threading.Barrier(count, timeout=60)

    def meet(part):
        barrier.wait()  # until all are here
        return part, threading.get_ident()

    with mr.threads(count):
        for _ in range(2):
            results = parallel(meet, list(range(count)))
            assert [part for part, _ in results] == list(range(count))
            assert len({thread for _, thread in results}) == count
        assert threading.get_ident() in {thread for _, thread in results}
        assert parallel(lambda part: threading.get_ident(), [0]) == [threading.get_ident()]
    assert pool._parallel.count == count - 1  # they wait for more to do


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 100), st.integers(1, 20))
def test_shares_are_everything_once_and_none_too_small(size, least):
    array = np.zeros(1)
    assert shares(array, size, least) == [slice(0, size)]
    with mr.threads(4):
        found = shares(array, size, least)
    assert [k for s in found for k in range(size)[s]] == list(range(size))
    sizes = [s.stop - s.start for s in found]
    assert len(found) == max(1, min(4, size // least))
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == 1 or min(sizes) >= least


def test_a_task_that_is_over_keeps_nothing_that_it_was_called_with():
    array = np.zeros(3)
    here, task = weakref.ref(array), Task(np.sum, array)
    del array
    assert task.result() == 0
    assert here() is None


def test_one_cannot_be_in_another(rng):
    rnn, x = mr.RNN(D, H, rng=rng), rng.standard_normal((T, D, N))
    with mr.threads(2):
        with (
            pytest.raises(RuntimeError, match=r"threads: 2 are in use already"),
            mr.threads(3),
        ):
            pass
        assert parts_of(rnn.forward(x)[2]) == {2}
    with mr.threads(3):
        assert parts_of(rnn.forward(x)[2]) == {3}
    assert parts_of(rnn.forward(x)[2]) == {1}


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_error_on_any_thread_comes_out_and_the_pool_goes_on(bad):
    def work(part):
        if part == bad:
            raise KeyError(f"part {part}")
        return part

    with mr.threads(3):
        for _ in range(3):
            with pytest.raises(KeyError, match=f"part {bad}"):
                parallel(work, [0, 1, 2])
        assert parallel(work, [3, 4, 5]) == [3, 4, 5]
    with pytest.raises(KeyError), mr.threads(3):
        parallel(work, [0, 1, 2])
    with mr.threads(2):
        assert len(shares(np.zeros(1), 9)) == 2


def test_blas_has_one_thread_meanwhile_and_its_own_number_afterwards():
    with threadpool_limits(2, "blas"):  # where there is one processor, it may stay at one
        before = blas_threads()
        with mr.threads(2):
            assert set(blas_threads()) == {1}
        assert blas_threads() == before
        with pytest.raises(KeyError), mr.threads(2):
            raise KeyError
        assert blas_threads() == before


def test_blas_is_held_from_the_first_time_on():
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with pool.BlasAlone().held():
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


def test_as_many_as_there_are_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    with mr.threads():
        assert len(shares(np.zeros(1), 100)) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with mr.threads():
        assert len(shares(np.zeros(1), 100)) == 4


def test_what_cannot_be(monkeypatch):
    with pytest.raises(ValueError, match="count: got 0, want 1 or more"), mr.threads(0):
        pass
    with pytest.raises(TypeError, match=r"count: got 2\.0, want an integer"), mr.threads(2.0):
        pass
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(RuntimeError, match=r"minirnn\[threads\]"), mr.threads(2):
        pass
    assert len(shares(np.zeros(1), 9)) == 1


def test_by_default_as_many_as_blas_has_where_scans_are_compiled(monkeypatch):
    assert thread_count() == 0
    monkeypatch.setattr(pool, "why_not_compiled", lambda: "")
    with threadpool_limits(1, "blas"):
        assert thread_count() == 1
    with threadpool_limits(2, "blas"):
        given = max(blas_threads())
        assert thread_count() == given
        with mr.threads("blas"):
            assert thread_count() == 0
            assert max(blas_threads()) == given


def test_within_parallel_blas_is_alone(monkeypatch):
    monkeypatch.setattr(pool, "why_not_compiled", lambda: "")
    pool._blas_alone.look_again()
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        found = parallel(lambda part: (max(blas_threads()), thread_count()), [0, 1])
        assert set(found) == {(1, max(before))}
        with pytest.raises(ZeroDivisionError):
            parallel(lambda part: 1 // part, [0, 1])
        assert blas_threads() == before


@pytest.mark.parametrize(("N", "used"), [(1, 2), (60, 1), (600, 1)])
def test_a_product_of_linear_is_not_split_by_blas(monkeypatch, N, used, rng):
    monkeypatch.setattr(pool, "why_not_compiled", lambda: "")
    pool._blas_alone.look_again()
    found, matmul = [], np.matmul

    def product(*operands, **options):
        found.append(max(blas_threads()))
        return matmul(*operands, **options)

    layer = mr.Linear(128, 64, rng=0)
    with threadpool_limits(2, "blas"), monkeypatch.context() as patched:
        patched.setattr(np, "matmul", product)
        y, cache = layer.forward(rng.standard_normal((128, N), dtype="f"))
        layer.backward(cache, y)
        assert max(blas_threads()) == 2
    assert set(found) == {used}  # a tiny one is not worth asking


@pytest.mark.parametrize(("device", "times"), [("cpu", 2), ("cuda:1", 0)])
def test_a_product_on_a_device_leaves_blas_as_it_was(device, times, stand_in, monkeypatch, rng):
    entered, enter = [], pool.BlasAlone._enter

    def noted(*holder):
        entered.append(device)
        enter(*holder)

    layer = mr.Linear(128, 64, device=device, rng=0)
    x = mr.to_device(rng.standard_normal((128, 60), dtype="f"), device)
    with mr.threads(2):
        monkeypatch.setattr(pool.BlasAlone, "_enter", noted)
        y, cache = layer.forward(x)
        layer.backward(cache, y)
    assert len(entered) == times


def test_threads_of_the_user_leave_blas_as_it_was(monkeypatch):
    monkeypatch.setattr(pool, "why_not_compiled", lambda: "")
    barrier, found = threading.Barrier(3, timeout=60), []

    def work():
        barrier.wait()
        for _ in range(50):
            found.extend(parallel(lambda part: part, [0, 1]))

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert blas_threads() == before
    assert found.count(0) == found.count(1) == 150


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_forked_process_has_threads_of_its_own():
    with mr.threads(2):
        assert parallel(abs, [-1, -2]) == [1, 2]
        child = os.fork()
        if not child:
            os._exit(0 if parallel(abs, [-1, -2]) == [1, 2] else 1)
        assert os.waitpid(child, 0)[1] == 0
