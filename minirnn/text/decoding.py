"""From a model that scores the next token to the sequence it finds likeliest: greedy and beam search.

`step` is what `generate` takes, for N sequences at once: tokens (N,) and a state in, scores (K, N) and
the new state out. The choice is made on the host and in float64; the network may run on any device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import Array, Backend, State, backend_of, to_host

Host: TypeAlias = np.ndarray[Any, Any]
Step: TypeAlias = Callable[[Any, Any], tuple[Array, Any]]


def greedy_search(
    step: Step,
    state: State | None,
    start: Array,
    stop: int,
    length: int,
    min_length: int = 0,
) -> Host:
    """Take the likeliest token at every step, and read it with the next.

    Args:
        step: takes a token of each sequence (N,), and the state; returns scores (K, N) and the state,
            as `LanguageModel.step` and `EncoderDecoder.step` do.
        state: what `step` gets with the first tokens.
        start: (N,) integers, where the network is: the first tokens to be read.
        stop: the token that ends a sequence.
        length: tokens to take at most.
        min_length: tokens to take at least; before, `stop` is left out of the choice.

    Returns:
        Tokens (length, N), on the host. After a `stop` there are only stops. Of equally likely tokens,
        the one with the lowest number is taken.

    Raises:
        ValueError, TypeError: an argument is out of range or of the wrong kind, scores of another
            shape or not finite.
    """
    backend, read, stop = _check(step, start, stop, length, min_length)
    tokens = np.full((length, len(read)), stop)
    ended = np.zeros(len(read), bool)
    for t in range(length):
        scores, state = step(backend.put(read), state)
        log_p = _log_probabilities(scores, len(read), stop, t < min_length)
        read = np.where(ended, stop, log_p.argmax(axis=0))
        tokens[t] = read
        ended = read == stop
        if ended.all():
            break
    return tokens


def beam_search(
    step: Step,
    state: State | None,
    start: Array,
    stop: int,
    length: int,
    width: int,
    min_length: int = 0,
    length_penalty: float = 0.0,
    n_best: int | None = None,
) -> tuple[Host, Host]:
    """Follow the `width` best beginnings of each sequence, and return the best in the end.

    Greedy search can miss it: a token that looks best may have no good continuation. A beginning (a
    beam) is a column of its own: after every step, the state's columns are picked anew. The best is the
    likeliest; but every token makes a sequence less likely, so that this prefers short ones, even to
    say nothing. With a `length_penalty` α the best has the greatest log p / n^α, n being its tokens with
    the `stop`; Wu et al. 2016 (arXiv:1609.08144), section 7.

    Args:
        step: see `greedy_search`.
        state: likewise; a tuple of arrays whose last axis is the sequence, or None.
        start: likewise.
        stop: likewise. A beam that has ended stays as it is, and is compared with those that go on.
        length: likewise.
        width: beams for each sequence. With 1, this is greedy search; with as many as there are
            sequences of tokens, all of them are compared.
        min_length: see `greedy_search`.
        length_penalty: α, from 0, which compares log p, to below 10; 1 compares its mean over tokens.
        n_best: answers for each sequence, at most `width`; None is one, without an axis of its own.

    Returns:
        Tokens (length, N) and their log-probability (N,) in nats, both on the host; with `n_best`,
        (n_best, length, N) and (n_best, N), the best first, and -inf where there are no more. After a
        `stop` there are only stops. Of equals, the one that was ahead stays ahead, and lower tokens win.

    Raises:
        ValueError, TypeError: as `greedy_search`.
    """
    backend, read, stop = _check(step, start, stop, length, min_length)
    checks.whole_number("width", width)
    checks.real_number("length_penalty", length_penalty, below=10.0)
    best_of = 1 if n_best is None else checks.whole_number("n_best", n_best)
    if best_of > width:
        raise ValueError(f"n_best: got {n_best}, want width = {width} or less")
    N = len(read)
    beams = np.empty((0, 1, N), int)  # (t, beams, N): what each has said, the best first
    total = np.zeros((1, N))  # its log-probability
    said = np.zeros((1, N), int)  # its tokens, up to and with the stop
    ended = np.zeros((1, N), bool)
    for t in range(length):
        scores, state = step(backend.put(read), state)  # of beam k, sequence n in column k·N + n
        log_p = _log_probabilities(scores, len(read), stop, t < min_length)
        K = len(log_p)
        log_p = log_p.reshape(K, len(total), N).swapaxes(0, 1)  # (beams, K, N)
        again = np.where(np.arange(K) == stop, 0.0, -np.inf)[:, None]  # all that may follow an end
        reached = total[:, None] + np.where(ended[:, None], again, log_p)
        said = said + ~ended
        rows = len(total) * K, N
        values = (reached / _penalty(said, length_penalty)[:, None]).reshape(rows)
        best = np.argsort(-values, axis=0, kind="stable")[:width]  # (beams, N), of beams·K
        beam, token = np.divmod(best, K)
        total = np.take_along_axis(reached.reshape(rows), best, axis=0)
        said = np.take_along_axis(said, beam, axis=0)
        ended = token == stop
        beams = np.concatenate((np.take_along_axis(beams, beam[None], axis=1), token[None]))
        # Probabilities only fall: a beam that goes on is worth at most what it is now, at full length
        hope = np.where(ended, -np.inf, total / _penalty(length, length_penalty)).max(axis=0)
        least = np.take_along_axis(values, best, axis=0)[:best_of]
        if len(least) == best_of and (ended[:best_of] & (least >= hope)).all():
            break
        read, columns = token.ravel(), backend.put((beam * N + np.arange(N)).ravel())
        if not isinstance(state, tuple | list | None):
            got = checks.shown(state)
            raise TypeError(f"state: got {got} from step, want a tuple of arrays, or None")
        with backend.active():
            state = state and tuple(backend.xp.take(part, columns, axis=-1) for part in state)
    tokens, log_p = np.full((best_of, length, N), stop), np.full((best_of, N), -np.inf)
    kept = total[:best_of]
    tokens[: len(kept), : len(beams)] = beams[:, :best_of].swapaxes(0, 1)
    log_p[: len(kept)] = kept
    return (tokens[0], log_p[0]) if n_best is None else (tokens, log_p)


def _penalty(tokens: Any, alpha: float) -> Any:
    """What the log-probability of a sequence of so many tokens is divided by."""
    return tokens ** float(alpha)


def _check(
    step: Step, start: Array, stop: int, length: int, min_length: int
) -> tuple[Backend, Host, int]:
    """Where the network is, the first tokens on the host, and `stop`, of Python's kind of integer."""
    checks.function("step", step)
    stop = checks.whole_number("stop", stop, least=0)
    checks.whole_number("length", length)
    if checks.whole_number("min_length", min_length, least=0) > length:
        raise ValueError(f"min_length: got {min_length}, want length = {length} or less")
    backend, read = backend_of(start), to_host(start, "start")
    if read.dtype.kind not in "iu":
        raise TypeError(f"start: got {read.dtype}, want integers")
    return backend, checks.of_shape("start", read, ("N",)), stop


def _log_probabilities(scores: Array, columns: int, stop: int, too_early: bool) -> Host:
    """log softmax(scores), (K, columns), on the host; -inf for `stop` if that is `too_early`."""
    values: Host = checks.of_shape(
        "scores of step", to_host(scores, "scores of step"), ("K", columns)
    )
    if stop >= len(values):
        raise ValueError(f"stop: got {stop}, want 0 to {len(values) - 1}, a token that has a score")
    values = checks.real_numbers("scores of step", values, np.dtype(np.float64))
    checks.finite("scores of step", values)
    if too_early and len(values) == 1:
        raise ValueError("min_length: got 1 or more, but there is no token besides stop")
    with np.errstate(
        over="ignore", under="ignore"
    ):  # a difference may become -inf, its exponential 0
        values = values - values.max(axis=0)
        log_p: Host = values - np.log(np.exp(values).sum(axis=0))
    if too_early:
        log_p[stop] = -np.inf
    return log_p
