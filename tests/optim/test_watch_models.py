"""An optimizer that checks, with the models that are ready to use, and on a device."""

from __future__ import annotations

import numpy as np
import pytest

import minirnn as mr

T, N = 4, 2


@pytest.mark.parametrize(
    "options", [{"attention": False}, {"embedding": 3, "dropout": 0.2}], ids=str
)
def test_an_encoder_decoder_is_watched(options):
    model = mr.EncoderDecoder(5, 5, 4, rng=0, **options)
    optimizer = mr.Adam(model.parameters(), check=model)
    x = np.ones((T, N), int)
    model.forward(x, x, want_cache=False)
    scores, cache = model.forward(x, x)
    model.backward(cache, scores)
    mr.greedy_search(model.step, model.encode(x), np.array([1, 2]), 0, 3)  # keeps nothing
    optimizer.step()
    optimizer.zero_grad()
    scores, cache = model.forward(x, x)
    with pytest.raises(
        RuntimeError, match=r"^(embed_source|encoder): forward was called and backward never"
    ):
        optimizer.step()


def test_a_language_model_is_watched_and_evaluated_meanwhile():
    model = mr.LanguageModel(5, 4, embedding=3, dropout=0.2, rng=0)
    optimizer = mr.Adam(model.parameters(), check=model)
    x = np.ones((T, N), int)
    for slip in (False, True):
        scores, state, cache = model.forward(x, None, np.random.default_rng(0))
        model.backward(cache, scores)
        model.evaluate(np.arange(9) % 5)
        next(mr.generate(model.step, np.array([1]), np.random.default_rng(0), state=None))
        if slip:
            model.forward(x, state)
            with pytest.raises(
                RuntimeError, match=r"^model: forward was called 2 times and backward"
            ):
                optimizer.step()
        else:
            optimizer.step()
            optimizer.zero_grad()


def test_on_a_device_a_step_waits_only_if_asked_to_check(stand_in):
    for check in (False, True):
        model = mr.Model(rnn=mr.GRU(3, 4, rng=0, device="cuda"))
        options = {"check": model} if check else {}
        optimizer = mr.Adam(model.parameters(), **options)
        ys, _, cache = model.forward(mr.to_device(np.ones((T, 3, N)), "cuda"))
        model.backward(cache, ys)
        stand_in.synchronised.clear()
        optimizer.step()
        assert bool(stand_in.synchronised) is check
        optimizer.zero_grad()
        model.forward(mr.to_device(np.ones((T, 3, N)), "cuda"))
        if check:
            with pytest.raises(
                RuntimeError, match=r"^model: forward was called and backward never"
            ):
                optimizer.step()
