"""Attention: at every step of a decoder, a look back at all that the encoder has read.

Luong, Pham & Manning 2015, "Effective approaches to attention-based neural machine translation"
(arXiv:1508.04025), global attention with the dot product as the score. A query (the decoder's h) is
compared with each column of the memory (the encoder's h); the weights say where to look, and the context
is what is seen there:

    queries, context (T, H, N)        memory (S, H, N)        weights (T, S, N)

The index letters of a product are its axes: "thn,shn->tsn" multiplies a query t with a memory s of the
same sequence n, row by row, and sums over the rows h. All steps are done at once, since no query depends
on another's context (there is no input feeding). The numbers are those of ``docs/kinds.md``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import checks
from .backend import Array, Backend, array_module, backend_of, on_its_device
from .layer import Layer


class AttentionCache(NamedTuple):
    """What `Attention.forward` leaves for backward; ``weights`` (T, S, N) are there to be drawn."""

    owner: Layer
    versions: tuple[int, ...]  # of the parameters, of which there are none
    queries: Array  # (T, H, N)
    memory: Array  # (S, H, N), zero where there is padding
    weights: Array  # (T, S, N), zero there, too

    def __repr__(self) -> str:
        return f"AttentionCache(weights {self.weights.shape})"


class Attention(Layer):
    """Dot-product attention: a mean of the memory's columns, weighted by their likeness to the query.

    It has no parameters.
    """

    @on_its_device
    def forward(
        self, queries: Array, memory: Array, lengths: Any = None, *, want_cache: bool = True
    ) -> tuple[Array, Any]:
        """Look up every query.

        Args:
            queries: (T, H, N).
            memory: (S, H, N).
            lengths: (N,) integers from 0 to S: how much of each sequence's memory is real. What is
                beyond is never read, and gets a weight of zero; a sequence without any memory has a
                context of zero.
            want_cache: False keeps nothing for `backward`.

        Returns:
            The context (T, H, N), and the cache, with the ``weights`` (T, S, N), None if it is not
            wanted.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        queries = _floats("queries", queries, ("T", "H", "N"))
        xp, backend = array_module(queries), backend_of(queries)
        memory = _memory(memory, queries, backend)
        real = checks.real_steps(lengths, len(memory), queries.shape[2], backend)
        memory = checks.real_numbers("memory", memory, queries.dtype, real)
        q, m = queries.copy(), memory.copy() if real is None else xp.where(real[:, None], memory, 0)
        c, a = _attend(q, m, real)
        return c, AttentionCache(self, self._stamped(()), q, m, a) if want_cache else None

    @on_its_device
    def look(self, queries: Array, memory: Array, real: Array) -> Array:
        """Look up every query, and keep nothing for `backward`: for decoding step by step.

        Args:
            queries: (T, H, N).
            memory: (S, H, N), zero where there is padding.
            real: (S, N) booleans, false there. They stay on their device, which is not waited for.

        Returns:
            The context (T, H, N), as from `forward`.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        queries = _floats("queries", queries, ("T", "H", "N"))
        backend = backend_of(queries)
        memory = checks.real_numbers("memory", _memory(memory, queries, backend), queries.dtype)
        shape = len(memory), queries.shape[2]
        real = checks.of_shape("real", checks.on_device("real", real, backend), shape)
        if real.dtype != bool:
            raise TypeError(f"real: got {real.dtype}, want booleans")
        return _attend(queries, memory, real)[0]

    @on_its_device
    def backward(self, cache: AttentionCache, dcontext: Array) -> tuple[Array, Array]:
        """Return the gradients of the queries (T, H, N) and of the memory (S, H, N).

        Args:
            cache: from `forward`.
            dcontext: gradient of the loss with respect to the context, (T, H, N).

        Raises:
            ValueError, TypeError: `cache` is another layer's, or none; `dcontext` does not fit.
        """
        self._check_cache(cache, AttentionCache)
        q, m, a = cache.queries, cache.memory, cache.weights
        xp, backend = array_module(q), backend_of(q)
        dc = checks.numbers("dcontext", dcontext, q.shape, q.dtype, backend)
        self._went_back(cache)
        da = xp.einsum("thn,shn->tsn", dc, m)  # (5.3')
        dm = xp.einsum("tsn,thn->shn", a, dc)
        de = a * (da - (a * da).sum(axis=1, keepdims=True))  # (5.2')
        dq = xp.einsum("tsn,shn->thn", de, m)  # (5.1')
        dm = dm + xp.einsum("tsn,thn->shn", de, q)
        return dq, dm


def _attend(q: Array, m: Array, real: Array | None) -> tuple[Array, Array]:
    """The context (T, H, N) and the weights (T, S, N); `m` is zero where `real` (S, N) is false."""
    xp = array_module(q)
    e = xp.einsum("thn,shn->tsn", q, m)  # (5.1)  how alike they are
    a = _softmax(e if real is None else xp.where(real, e, -xp.inf))  # (5.2)  where to look
    return xp.einsum("tsn,shn->thn", a, m), a  # (5.3)  what is there


def _softmax(e: Array) -> Array:
    """exp(e) / Σ_s exp(e) for e (T, S, N); 0 where e is -inf, even if all are."""
    xp = array_module(e)
    top = xp.maximum(e.real.max(axis=1, keepdims=True), xp.finfo(e.real.dtype).min)
    p = xp.exp(e - top)  # of 0 at most, so that nothing overflows
    total = p.sum(axis=1, keepdims=True)
    return p / xp.where(total.real > 0, total, 1)


def _floats(name: str, value: Any, shape: tuple[Any, ...]) -> Array:
    """Return `value` if it is an array of this shape of floating-point numbers."""
    if not hasattr(value, "ndim"):
        raise TypeError(f"{name}: got {type(value).__name__}, want an array (forward gives a pair)")
    array = checks.of_shape(name, checks.an_array(name, value), shape)
    if array.dtype.kind not in "fc":
        raise TypeError(f"{name}: got {array.dtype}, want floating-point numbers")
    return array


def _memory(memory: Any, queries: Array, backend: Backend) -> Array:
    """Return `memory` if it is (S, H, N), with H and N of the queries, on this device."""
    shape = "S", *queries.shape[1:]
    memory = checks.of_shape("memory", checks.on_device("memory", memory, backend), shape)
    if not len(memory):
        raise ValueError(f"memory: got shape {memory.shape}, want one step or more")
    return memory
