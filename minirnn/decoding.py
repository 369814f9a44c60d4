"""From a model that scores the next token to the sequence it finds likeliest: greedy and beam search.

`step` is what `generate` takes, for N sequences at once: tokens (N,) and a state in, scores (K, N) and
the new state out. The choice is made on the host and in float64; the network may run on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import checks
from .backend import Array, Backend, State, backend_of, to_host

Host = np.ndarray[Any, Any]
Step = Callable[[Any, Any], tuple[Array, Any]]


def greedy_search(step: Step, state: State | None, start: Array, stop: int, length: int) -> Host:
    """Take the likeliest token at every step, and read it with the next.

    Args:
        step: takes a token of each sequence (N,), and the state; returns scores (K, N) and the state,
            as `LanguageModel.step` and `EncoderDecoder.step` do.
        state: what `step` gets with the first tokens.
        start: (N,) integers, where the network is: the first tokens to be read.
        stop: the token that ends a sequence.
        length: tokens to take at most.

    Returns:
        Tokens (length, N), on the host. After a `stop` there are only stops. Of equally likely tokens,
        the one with the lowest number is taken.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong kind, scores of another
            shape or not finite.
    """
    backend, read = _check(start, stop, length)
    tokens = np.full((length, len(read)), stop)
    ended = np.zeros(len(read), bool)
    for t in range(length):
        scores, state = step(backend.put(read), state)
        read = np.where(ended, stop, _log_probabilities(scores, len(read), stop).argmax(axis=0))
        tokens[t] = read
        ended = read == stop
        if ended.all():
            break
    return tokens


def beam_search(
    step: Step, state: State | None, start: Array, stop: int, length: int, width: int
) -> tuple[Host, Host]:
    """Follow the `width` likeliest beginnings of each sequence, and return the likeliest in the end.

    Greedy search can miss it: a token that looks best may have no good continuation. A beginning (a
    beam) is a column of its own: after every step, the state's columns are picked anew.

    Args:
        step: see `greedy_search`.
        state: likewise; a tuple of arrays whose last axis is the sequence, or None.
        start: likewise.
        stop: likewise. A beam that has ended stays as it is, and is compared with those that go on.
        length: likewise.
        width: beams for each sequence. With 1, this is greedy search; with as many as there are
            sequences of tokens, all of them are compared.

    Returns:
        Tokens (length, N) and their log-probability (N,) in nats, both on the host. After a `stop`
        there are only stops. Of equals, the beam that was ahead stays ahead, and lower tokens win.

    Raises:
        ValueError, TypeError: as `greedy_search`.
    """
    backend, read = _check(start, stop, length)
    checks.whole_number("width", width)
    N = len(read)
    beams = np.empty((0, 1, N), int)  # (t, beams, N): what each has said, the likeliest first
    total = np.zeros((1, N))  # its log-probability
    ended = np.zeros((1, N), bool)
    for _ in range(length):
        scores, state = step(backend.put(read), state)  # of beam k, sequence n in column k·N + n
        log_p = _log_probabilities(scores, len(read), stop)
        K = len(log_p)
        log_p = log_p.reshape(K, -1, N).swapaxes(0, 1)  # (beams, K, N)
        again = np.where(np.arange(K) == stop, 0.0, -np.inf)[:, None]  # all that may follow an end
        reached = (total[:, None] + np.where(ended[:, None], again, log_p)).reshape(-1, N)
        best = np.argsort(-reached, axis=0, kind="stable")[:width]  # (beams, N), of beams·K
        beam, token = np.divmod(best, K)
        total = np.take_along_axis(reached, best, axis=0)
        ended = token == stop
        beams = np.concatenate((np.take_along_axis(beams, beam[None], axis=1), token[None]))
        if ended[0].all():  # no other beam can gain on the first: probabilities only fall
            break
        read, columns = token.ravel(), backend.put((beam * N + np.arange(N)).ravel())
        with backend.active():
            state = tuple(backend.xp.take(part, columns, axis=-1) for part in state or ())
    tokens = np.full((length, N), stop)
    tokens[: len(beams)] = beams[:, 0]
    return tokens, total[0]


def _check(start: Array, stop: int, length: int) -> tuple[Backend, Host]:
    """Where the network is, and the first tokens on the host."""
    checks.whole_number("stop", stop, least=0)
    checks.whole_number("length", length)
    backend, read = backend_of(start), to_host(start)
    if read.dtype.kind not in "iu":
        raise TypeError(f"start: got {read.dtype}, want integers")
    return backend, checks.of_shape("start", read, ("N",))


def _log_probabilities(scores: Array, columns: int, stop: int) -> Host:
    """log softmax(scores), (K, columns), on the host."""
    values: Host = checks.of_shape("scores of step", to_host(scores), ("K", columns))
    if stop >= len(values):
        raise ValueError(f"stop: got {stop}, want 0 to {len(values) - 1}, a token that has a score")
    values = checks.real_numbers("scores of step", values, np.dtype(np.float64))
    checks.finite("scores of step", values)
    values = values - values.max(axis=0)
    log_p: Host = values - np.log(np.exp(values).sum(axis=0))
    return log_p
