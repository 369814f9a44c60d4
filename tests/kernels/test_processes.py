"""Interrupts, signals, forks and the end of the interpreter: nothing hangs, and nothing stays broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from helpers import blas_threads
from threadpoolctl import threadpool_limits

import minirnn as mr
from minirnn.kernels import choice, pool, workers
from minirnn.kernels.pool import parallel, shares, thread_count
from minirnn.kernels.workers import Workers

posix = pytest.mark.skipif(os.name != "posix", reason="needs what POSIX systems have")


@pytest.fixture(params=["", "numba"], ids=["compiled", "not compiled"])
def by_default(request, monkeypatch):
    """Whether threads are in use without being asked for."""
    for module in (pool, choice):
        monkeypatch.setattr(module, "why_not_compiled", lambda: request.param)
    pool._blas_alone.look_again()


def at_moment(moment, interrupt, function):
    """Call `function`, and `interrupt` at one line of the pool on the way; return whether it was."""
    left, sources = moment, (pool.__file__, workers.__file__)

    def trace(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename not in sources:
            return None
        if event == "line":
            left -= 1
            if left == -1:
                interrupt()
        return trace

    before = sys.gettrace()  # as of what measures coverage
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        assert left == -1
    finally:
        sys.settrace(before)
    return left < 0


def work():
    """What goes through all of the pool."""
    with mr.threads(2):
        assert parallel(abs, [1, -2]) == [1, 2]
    assert parallel(abs, [1, -2]) == [1, 2]
    with pool.blas_alone_for(np.zeros(1), 1 << 20):
        pass
    assert pool.ahead(abs, -1)() == 1


def on_a_thread(function):
    """Call `function` on another thread, which is not to wait for ever; what it raises is raised."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function).result(60)


@pytest.mark.exhaustive
def test_an_interrupt_at_any_line_leaves_the_pool_whole(by_default):
    """A tracer may raise where Python itself lets no interrupt through, at the end of a `with` say."""

    def interrupt():
        raise KeyboardInterrupt

    libraries = pool._blas_alone.libraries()
    with threadpool_limits(2, "blas"):
        before, given, moment = blas_threads(), thread_count(), 0
        while at_moment(moment, interrupt, work):
            assert [library.get_num_threads() for library in libraries] == before, moment
            assert thread_count() == given, moment
            on_a_thread(work)  # which needs the same locks
            moment += 1
        assert moment > 100
        assert blas_threads() == before


@pytest.mark.exhaustive
def test_a_signal_s_handler_may_use_the_pool_at_any_line(by_default):
    """A handler runs between two lines of the main thread, as a tracer does."""
    found = []

    def handler():
        found.append(parallel(abs, [1, -2]))

    def all_moments():
        moment = 0
        while at_moment(moment, handler, work):
            moment += 1
        return moment

    moments = on_a_thread(all_moments)
    assert found == [[1, 2]] * moments
    assert moments > 100


def test_the_pool_works_where_no_thread_can_be_started(by_default, monkeypatch):
    def none_left(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(workers, "start_new_thread", none_left)
    monkeypatch.setattr(pool, "_parallel", Workers())
    monkeypatch.setattr(pool, "_ahead", Workers())
    work()


def test_parallel_may_be_used_within_itself(by_default):
    """Also when there are more calls than threads: whoever waits for one that is not begun makes it."""

    def pairs(part):
        return parallel(lambda k: (part, k), [0, 1])

    found = on_a_thread(lambda: parallel(pairs, [0, 1, 2]))
    assert found == [[(part, k) for k in range(2)] for part in range(3)]


def test_threads_of_two_threads_are_not_in_use_at_once():
    barrier = threading.Barrier(2, timeout=60)

    def another():
        with pytest.raises(RuntimeError, match="threads: 2 are in use already"), mr.threads(3):
            pass
        barrier.wait()

    with mr.threads(2), ThreadPoolExecutor(1) as executor:
        refused = executor.submit(another)
        barrier.wait()
        assert refused.result(60) is None
        assert len(shares(np.zeros(1), 100)) == 2


AT_THE_END = """
import atexit, threading
import minirnn as mr
from minirnn.kernels.pool import parallel

def work():
    with mr.threads(2):
        print(parallel(abs, [1, -2]))

def when_main_has_ended():
    threading.main_thread().join()
    work()

atexit.register(work)
threading.Thread(target=when_main_has_ended).start()
work()
"""


def test_the_pool_works_until_the_interpreter_has_ended():
    command = [sys.executable, "-c", AT_THE_END]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout == "[1, 2]\n" * 3


# Forks: the other threads are gone in the child, whatever they were in the middle of


def forked(function):
    """Return the status of a child that calls `function`, killed if it takes too long."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@contextmanager
def another_thread_in(*contexts):
    """Within a ``with``, another thread is in all of these."""
    inside, done = threading.Event(), threading.Event()

    def stay():
        with ExitStack() as stack:
            for context in contexts:
                stack.enter_context(context)
            inside.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as executor:
        thread = executor.submit(stay)
        assert inside.wait(60)
        yield
        done.set()
        thread.result(60)


def train():
    layer = mr.Linear(2, 3, rng=0)
    y, cache = layer.forward(np.ones((2, 1), "f"))
    layer.backward(cache, y)


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_forked_process_waits_for_no_thread_that_it_has_not(by_default):
    def child():
        assert not pool._chosen
        work()
        train()
        assert blas_threads() == before

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with another_thread_in(mr.threads(3), pool._blas_alone._lock, mr.Parameter.changing):
            assert forked(child) == 0
        assert blas_threads() == before


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_fork_within_threads_keeps_them():
    def child():
        assert thread_count() == 3
        work_in_threads()

    def work_in_threads():
        assert parallel(abs, [1, -2]) == [1, 2]

    with mr.threads(3):
        work_in_threads()
        assert forked(child) == 0
    assert not pool._chosen


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork")
def test_a_fork_waits_until_no_other_thread_compiles():
    pytest.importorskip("numba")
    from numba.core.compiler_lock import global_compiler_lock

    import minirnn.kernels.compiled.scan  # noqa: F401

    forking, over = threading.Event(), threading.Event()
    inside = threading.Event()

    def compile_until_another_forks():
        with global_compiler_lock:
            inside.set()
            assert forking.wait(60)
            over.wait(0.1)  # that comes in time only if the fork has not waited

    def child():
        assert global_compiler_lock._lock.acquire(blocking=False)

    os.register_at_fork(before=forking.set)  # the last one is called first
    with ThreadPoolExecutor(1) as executor:
        other = executor.submit(compile_until_another_forks)
        assert inside.wait(60)
        assert forked(child) == 0
        over.set()
        other.result(60)
    with global_compiler_lock:
        pass
