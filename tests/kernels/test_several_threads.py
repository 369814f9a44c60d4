"""Several threads of the user train one model: the right sums, or an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minirnn as mr


class Held:
    """A lock of which it is known whether somebody has it."""

    def __init__(self):
        self.depth = 0

    def __enter__(self):
        self.depth += 1

    def __exit__(self, *error):
        self.depth -= 1


TRAINED = {
    "network": (lambda: mr.LSTM(3, 4, 2, True, scan="numpy", rng=0), np.ones((2, 3, 5), "f")),
    "linear": (lambda: mr.Linear(3, 4, rng=0), np.ones((2, 3, 5), "f")),
    "embedding": (lambda: mr.Embedding(3, 4, rng=0), np.ones((2, 5), int)),
}


@pytest.fixture(params=TRAINED)
def trained(request):
    """A layer, an input, and what runs it forward and returns what runs it back."""
    make, x = TRAINED[request.param]
    layer = make()

    def forward():
        y, *_, cache = layer.forward(x)
        return lambda: layer.backward(cache, np.ones_like(y))

    return layer, forward


def test_gradients_are_added_to_by_one_thread_at_a_time(trained, monkeypatch):
    layer, forward = trained
    lock, depths, grad = Held(), [], mr.Parameter.grad
    backward = forward()

    def noted(parameter):
        depths.append(lock.depth)
        return grad.fget(parameter)

    monkeypatch.setattr(mr.Parameter, "changing", lock)
    monkeypatch.setattr(mr.Parameter, "grad", property(noted, grad.fset))
    backward()
    layer.zero_grad()
    assert depths == [1] * 2 * len(layer.parameters())


def test_three_threads_give_the_sum_of_three_gradients(trained):
    layer, forward = trained
    forward()()
    wanted = {name: 6 * p.grad for name, p in layer.named_parameters().items()}
    layer.zero_grad()
    barrier = threading.Barrier(3, timeout=60)

    def both():
        barrier.wait()
        forward()()
        forward()()

    with ThreadPoolExecutor(3) as executor:
        for done in [executor.submit(both) for _ in range(3)]:
            done.result(60)
    for name, p in layer.named_parameters().items():
        np.testing.assert_allclose(p.grad, wanted[name], rtol=1e-6)


def test_a_step_beside_a_pass_is_an_error(trained, monkeypatch):
    layer, forward = trained
    optimizer = mr.SGD(layer.parameters(), 0.1)
    old, made, update = forward(), [], optimizer._update

    def meanwhile(*arguments):
        with pytest.raises(ValueError, match="cache: is older than the parameters"):
            old()
        made.append(forward())
        update(*arguments)

    monkeypatch.setattr(optimizer, "_update", meanwhile)
    optimizer.step()
    assert all((p.grad == 0).all() for p in layer.parameters())
    for backward in made:
        with pytest.raises(ValueError, match="cache: is older than the parameters"):
            backward()


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_pass_with_a_step_in_its_middle_is_an_error(name, monkeypatch):
    rnn = mr.LSTM(3, 4, scan="numpy", rng=0)
    optimizer, scan = mr.SGD(rnn.parameters(), 0.1), rnn.scan
    whole = getattr(scan, name)

    def with_a_step(*arguments):
        optimizer.step()
        return whole(*arguments)

    monkeypatch.setattr(scan, name, with_a_step)
    ys, _, cache = rnn.forward(np.ones((2, 3, 5), "f"))
    with pytest.raises(ValueError, match="cache: is older than the parameters"):
        rnn.backward(cache, ys)
    assert all((p.grad == 0).all() for p in rnn.parameters())
