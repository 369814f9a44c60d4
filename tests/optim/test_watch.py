"""An optimizer that checks: between two steps each forward has its one backward, or a layer is named."""

from __future__ import annotations

import copy
import gc
import pickle
import threading

import numpy as np
import pytest
from helpers import all_same_bits

import minirnn as mr

T, D, N = 4, 3, 2
OPTIMIZERS = (mr.SGD, mr.RMSprop, mr.Adagrad, mr.Adam, mr.AdamW)


class Loop:
    """A model with its optimizer; `backward` leaves out or repeats what it is told to."""

    def __init__(self, check=True, kind=mr.SGD):
        self.model = mr.Model(
            embed=mr.Embedding(5, D, rng=0),
            drop=mr.Dropout(0.2),
            rnn=mr.LSTM(D, 4, rng=0),
            act=mr.Activation("tanh"),
            out=mr.Linear(4, 2, rng=0),
        )
        options = {"check": self.model} if check else {}
        self.optimizer = kind(self.model.parameters(), 0.1, **options)
        self.x = np.arange(T * N).reshape(T, N) % 5

    def forward(self):
        m, caches = self.model, {}
        y, caches["embed"] = m.embed.forward(self.x)
        y, caches["drop"] = m.drop.forward(y, np.random.default_rng(0))
        y, _, caches["rnn"] = m.rnn.forward(y)
        y, caches["act"] = m.act.forward(y)
        y, caches["out"] = m.out.forward(y)
        return caches, y

    def backward(self, caches, dy, left_out="", twice=""):
        for name in ("out", "act", "rnn", "drop", "embed"):
            layer = getattr(self.model, name)
            if name == left_out:
                dy = np.ones((T, D if name in ("drop", "rnn") else 4, N), np.float32)
                continue
            for _ in range(2 if name == twice else 1):
                dx = layer.backward(caches[name], dy)
            dy = dx[0] if name == "rnn" else dx

    def step(self, **slips):
        self.backward(*self.forward(), **slips)
        self.optimizer.step()
        self.optimizer.zero_grad()


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_what_is_wired_right_trains_as_without_the_check(kind):
    checked, plain = Loop(kind=kind), Loop(check=False, kind=kind)
    for loop in (checked, plain):
        for _ in range(3):
            loop.step()
        for _ in range(2):  # two windows for one step
            loop.backward(*loop.forward())
        early, late = loop.forward(), loop.forward()  # forward twice before backward
        loop.backward(*late)
        loop.backward(*early)
        loop.model.forward(loop.x, want_cache=False)
        loop.model.step(loop.x[0])
        loop.optimizer.step()
    assert all_same_bits(checked.model.state_dict(), plain.model.state_dict())


@pytest.mark.parametrize("name", ["embed", "drop", "rnn", "act", "out"])
def test_a_backward_left_out_or_called_twice_is_named(name):
    loop = Loop()
    loop.step()
    before = loop.model.state_dict()
    with pytest.raises(
        RuntimeError, match=rf"^{name}: forward was called and backward never: call "
    ):
        loop.step(left_out=name)
    assert all_same_bits(loop.model.state_dict(), before)
    loop.optimizer.zero_grad()
    with pytest.raises(RuntimeError, match=rf"^{name}: backward was called 2 times with one cache"):
        loop.step(twice=name)
    loop.optimizer.zero_grad()
    loop.step()  # counted anew


def test_the_message_says_what_to_call():
    loop = Loop()
    caches, dy = loop.forward()
    loop.model.out.backward(caches["out"], dy)
    loop.forward()
    with pytest.raises(RuntimeError) as caught:
        loop.optimizer.step()
    assert str(caught.value) == (
        "embed: forward was called 2 times and backward never: call model.embed.backward(cache, …), "
        "or forward(…, want_cache=False) where nothing is to be learned"
    )
    loop.optimizer.zero_grad()
    loop.backward(*loop.forward())
    loop.model.out.forward(np.ones((4, N)))
    with pytest.raises(
        RuntimeError, match=r"out: forward was called 2 times and backward not after 1"
    ):
        loop.optimizer.step()


def test_a_chain_is_named_as_a_whole():
    loop = Loop()
    model, x = loop.model, loop.x
    ys, _, cache = model.forward(x)
    with pytest.raises(
        RuntimeError, match=r"^model: forward .* never: call model\.backward\(cache"
    ):
        loop.optimizer.step()
    ys, _, cache = model.forward(x)
    model.backward(cache, ys)
    model.backward(cache, ys)
    with pytest.raises(RuntimeError, match=r"^model: backward was called 2 times with one cache"):
        loop.optimizer.step()
    outer = mr.Model(inner=mr.Model(rnn=mr.GRU(2, 3)), out=mr.Sequential(mr.Linear(3, 2)))
    optimizer = mr.Adam(outer.parameters(), check=outer)
    outer.inner.forward(np.ones((T, 2, N)))
    with pytest.raises(RuntimeError, match=r"^inner: .*call model\.inner\.backward\("):
        optimizer.step()
    outer.out.layers[0].forward(np.ones((3, N)))
    with pytest.raises(RuntimeError, match=r"^out\.0: forward was called and backward never"):
        optimizer.step()


def test_gradients_of_the_step_before_are_found():
    loop = Loop()
    loop.backward(*loop.forward())
    loop.optimizer.step()
    before = loop.model.state_dict()
    loop.backward(*loop.forward())
    message = r"^embed.E.grad: the gradient of the step before is still in it: call optimizer\.zero"
    with pytest.raises(RuntimeError, match=message.replace("embed.E", "out.V")):
        loop.optimizer.step()
    assert all_same_bits(loop.model.state_dict(), before)
    loop.model.zero_grad()  # this serves as well
    loop.step()
    loop.backward(*loop.forward())
    loop.optimizer.step()
    with pytest.raises(RuntimeError, match=message):  # and a step right after a step
        loop.optimizer.step()


def test_a_cache_from_before_the_last_step_is_found_where_no_parameter_tells():
    loop = Loop()
    caches, dy = loop.forward()
    loop.backward(caches, dy)
    loop.optimizer.step()
    loop.optimizer.zero_grad()
    new, dy = loop.forward()
    loop.backward(new | {"drop": caches["drop"]}, dy)
    with pytest.raises(RuntimeError, match=r"^drop: forward was called and backward never"):
        loop.optimizer.step()
    loop.model.drop.backward(caches["drop"], np.ones((T, D, N), np.float32))
    with pytest.raises(
        RuntimeError, match=r"^drop: backward was called with a cache from before the"
    ):
        loop.optimizer.step()


def test_a_backward_that_is_refused_does_not_count():
    loop = Loop()
    caches, dy = loop.forward()
    for name, cache in caches.items():
        with pytest.raises(ValueError, match=r"dys?: got shape"):
            getattr(loop.model, name).backward(cache, np.ones((1, 1, 1), np.float32))
    loop.backward(caches, dy)
    loop.optimizer.step()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda parts: pickle.loads(pickle.dumps(parts))])
def test_copies_check_for_themselves(copied):
    loop = Loop()
    loop.step()
    loop.forward()
    twin = copied(loop)  # begins anew
    twin.step()
    with pytest.raises(RuntimeError, match=r"^rnn: forward was called and backward never"):
        twin.step(left_out="rnn")
    with pytest.raises(RuntimeError, match=r"^embed: forward was called and backward never"):
        loop.optimizer.step()
    model = copied(loop.model)  # alone, it is not watched
    assert not model.rnn._watches
    assert model.rnn.forward(np.ones((T, D, N)))[2].versions.__class__ is tuple


def test_nothing_is_kept_alive_and_an_optimizer_that_is_gone_does_not_watch():
    loop = Loop()
    loop.forward()
    (watch,) = loop.model.rnn._watches
    assert all(isinstance(number, int) for _, stamp in watch.forwards for number in stamp)
    del watch
    loop.optimizer = mr.SGD(loop.model.parameters(), 0.1)
    gc.collect()
    assert not loop.model.rnn._watches
    assert type(loop.model.rnn.forward(np.ones((T, D, N)))[2].versions) is tuple


def test_passes_of_several_threads_are_counted():
    loop = Loop()
    threads = [threading.Thread(target=lambda: loop.backward(*loop.forward())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (watch,) = loop.model.out._watches
    assert len(watch.forwards) == len(watch.backwards) == 20
    loop.optimizer.step()


def test_a_layer_used_twice_has_a_backward_for_each():
    square = mr.Linear(3, 3, rng=0)
    model = mr.Model(first=square, second=square)
    optimizer = mr.SGD(model.parameters(), 0.1, check=model)
    y, _, cache = model.forward(np.ones((3, N)))
    model.backward(cache, y)
    optimizer.step()
    optimizer.zero_grad()
    y, _ = square.forward(np.ones((3, N)))
    y, b = square.forward(y)
    square.backward(b, y)
    with pytest.raises(
        RuntimeError, match=r"^first: forward was called 2 times and backward not after"
    ):
        optimizer.step()


def test_what_cannot_be_watched_is_refused():
    model, other = Loop().model, Loop().model
    with pytest.raises(TypeError, match=r"check: got bool, want the model that is trained"):
        mr.Adam(model.parameters(), check=True)
    with pytest.raises(ValueError, match=r"check: got a model with none of the parameters"):
        mr.Adam(model.parameters(), check=other)


def test_what_is_frozen_may_keep_its_gradient():
    loop = Loop()
    loop.model.embed.freeze()
    loop.step()
    loop.backward(*loop.forward())
    loop.optimizer.step()
    for name in ("rnn", "out"):
        getattr(loop.model, name).zero_grad()
    loop.backward(*loop.forward())
    loop.optimizer.step()
