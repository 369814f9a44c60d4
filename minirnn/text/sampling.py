"""From scores to tokens: probabilities, one token at random, a stream of them.

All of this happens on the host and in float64: what is drawn from is small, and the random numbers
come from a NumPy generator wherever the network runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import Array, Rng, backend_of, generator, on_its_device, to_host

Host: TypeAlias = np.ndarray[Any, Any]


@on_its_device
def next_token_probabilities(
    scores: Array,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Host:
    """softmax(scores / temperature), cut down to the likeliest tokens and scaled to sum to 1 again.

    Args:
        scores: of one step, (K,) or (K, N), on any device; `out.forward(y)[0]`.
        temperature: below 1 prefers the likely tokens, above 1 evens out; 0 takes the likeliest.
        top_k: keep this many tokens. Of equal ones, those with the lowest index come first; the
            same holds for the other two.
        top_p: of what is left then, keep the smallest set whose probability reaches `top_p`: the
            nucleus (Holtzman et al. 2020). None and 1 keep everything.

    Returns:
        An array in the shape of `scores`, in float64 and on the host.

    Raises:
        ValueError: options out of range, scores of another shape, or not finite. To forbid a token,
            give it a score far below the others.
        TypeError: scores that are not real numbers, options that are not numbers.
    """
    temperature = _check_options(temperature, top_k, top_p)
    values: Host = to_host(scores, "scores")
    if values.ndim not in (1, 2) or not values.shape[0]:
        raise ValueError(f"scores: got shape {values.shape}, want (K,) or (K, N)")
    values = checks.real_numbers("scores", values, np.dtype(np.float64))
    checks.finite("scores", values)
    if temperature == 0:
        temperature, top_k = 1.0, 1
    with np.errstate(over="ignore"):  # a difference may become -inf, and its exponential 0
        p: Host = np.exp((values - values.max(axis=0)) / temperature)
    if top_k is None and (top_p is None or top_p == 1):
        p /= p.sum(axis=0)
        return p
    order = np.argsort(-values, axis=0, kind="stable")  # the likeliest first
    ranked = np.take_along_axis(p, order, axis=0)
    if top_k is not None:
        ranked[top_k:] = 0
    ranked /= ranked.sum(axis=0)
    if top_p is not None and top_p < 1:
        before = ranked.cumsum(axis=0) - ranked  # what the likelier ones reach without this one
        ranked[before >= top_p * (1 - 1e-12)] = 0  # with room for the rounding of the sum
        ranked /= ranked.sum(axis=0)
    np.put_along_axis(p, order, ranked, axis=0)
    return p


@on_its_device
def sample_token(
    scores: Array,
    rng: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Any:
    """Draw a token for each column, by inverting the cumulative distribution.

    Just one random number is drawn for each column, even where only one token is possible: what the
    scores and options are does not change which random numbers the next step gets.

    Args:
        scores: of one step, (K,) or (K, N), on any device.
        rng: a generator; a seed would give the same random number at every step.
        temperature: see `next_token_probabilities`, also for `top_k` and `top_p`.
        top_k: see there.
        top_p: see there.

    Returns:
        An int for (K,), and for (K, N) an array of N integers on the host.

    Raises:
        ValueError: as `next_token_probabilities`.
        TypeError: likewise, and if `rng` is no generator.
    """
    rng = checks.generator("rng", rng)
    reached = next_token_probabilities(scores, temperature, top_k, top_p).cumsum(axis=0)
    reached /= reached[-1]  # to 1 exactly, which random numbers stay below
    tokens = (rng.random(reached.shape[1:]) >= reached).sum(axis=0)
    return int(tokens) if reached.ndim == 1 else tokens


def generate(
    step: Callable[[Any, Any], tuple[Array, Any]],
    prompt: Array,
    rng: Rng,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    state: Any = None,
) -> Iterator[int]:
    """Read the prompt, and then go on for ever: each token drawn is the next one read.

    Nothing is computed before a token is asked for. `LanguageModel.step` is such a step; with a model of
    `rnn` and `out` it would be::

        def step(tokens, state):
            y, state = model.rnn.step(tokens, state)
            return model.out.forward(y)[0], state

        for token in itertools.islice(generate(step, prompt, rng=0), 200): ...

    Args:
        step: takes one token as an array (1,), and the state; returns scores (K, 1) and the state.
        prompt: one token or more, which are read and not given out again. Where it is, `step` will
            be given its tokens: for a network on a device, move the prompt there.
        rng: a generator, a seed, or None.
        temperature: see `next_token_probabilities`, also for `top_k` and `top_p`.
        top_k: see there.
        top_p: see there.
        state: what `step` gets with the first token. A long prompt is read faster by `forward` up
            to its last token: hand over the state, and that token as the prompt.

    Returns:
        An iterator over the tokens drawn.

    Raises:
        ValueError: no prompt, options out of range.
        TypeError: a prompt that is not integers; a `step` that is no function.
    """
    checks.function("step", step)
    _check_options(temperature, top_k, top_p)
    backend, ids = backend_of(prompt), to_host(prompt, "prompt")
    if ids.size and ids.dtype.kind not in "iu":
        raise TypeError(f"prompt: got {ids.dtype}, want integers")
    if ids.ndim != 1 or not ids.size:
        raise ValueError(f"prompt: got shape {ids.shape}, want (T,), with one token or more")
    rng = generator(rng)

    def tokens(scores: Any = None, state: Any = state) -> Iterator[int]:
        for token in ids.tolist():
            scores, state = step(backend.put([token]), state)
        while True:
            scores = checks.of_shape("scores of step", to_host(scores, "scores of step"), ("K", 1))[
                :, 0
            ]
            token = sample_token(scores, rng, temperature, top_k, top_p)
            yield token
            scores, state = step(backend.put([token]), state)

    return tokens()


def _check_options(temperature: Any, top_k: Any, top_p: Any) -> float:
    """Raise an error unless all three are in range."""
    if top_k is not None:
        checks.whole_number("top_k", top_k)
    if top_p is not None:
        wanted = "a number in (0, 1]"
        if isinstance(top_p, bool) or not isinstance(top_p, float | int | np.floating | np.integer):
            raise TypeError(f"top_p: got {top_p!r}, want {wanted}")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p: got {top_p}, want {wanted}")
    return checks.real_number("temperature", temperature)
