"""The layer V x + b, for all steps at once; see ``stateless.py`` for the others."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..backend import Array, Rng, array_module, generator, get_backend, on_its_device
from ..checks import layout
from ..init import check_scheme, draw
from ..kernels.pool import blas_alone_for, parallel, shares
from ..kernels.side_by_side import by_step, rows_first
from ..parameter import Parameter
from .embedding import Embedding
from .stateless import LayerCache, StatelessLayer

LEAST = 1 << 20  # multiplications for each thread; fewer are not worth the handing over


class Linear(StatelessLayer):
    """The output layer V h + b: (T, H, N) or (H, N) -> (T, K, N) or (K, N).

    Args:
        input_size: H, rows of the input.
        output_size: K, rows of the output.
        bias: False leaves b out.
        share: an `Embedding` (K, H) whose matrix is to be V, and gets both gradients.
        dtype, device, rng, init, precision: as for `Recurrent`; the uniform bound is 1/√H.

    Parameters: ``V`` (K, H), ``b`` (K, 1).

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind; `share` has
            another shape, dtype or device.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        bias: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        init: str = "uniform",
        share: Embedding | None = None,
        precision: str | None = None,
    ) -> None:
        H = self.input_size = checks.whole_number("input_size", input_size)
        K = self.output_size = checks.whole_number("output_size", output_size)
        self.backend = get_backend(device)
        check_scheme(init)
        dtype, random = checks.float_dtype(dtype), generator(rng)
        self.precision = self.backend.check_precision(precision, dtype)
        if share is None:
            V = draw(init, random, "V", (K, H), H**-0.5).astype(dtype)
            self._V = Parameter("V", V, self.backend)
        elif not isinstance(share, Embedding):
            raise TypeError(f"share: got {type(share).__name__}, want an Embedding")
        else:
            self._V = share.parameters()[0]
            if (self._V.shape, self._V.dtype, self._V.backend) != ((K, H), dtype, self.backend):
                raise ValueError(f"share: got {self._V}, want ({K}, {H}), {dtype}, {device}")
        self._b = None
        if checks.truth("bias", bias):
            b = draw(init, random, "b", (K, 1), H**-0.5).astype(dtype)
            self._b = Parameter("b", b, self.backend)

    def named_parameters(self) -> dict[str, Parameter]:
        """``V`` and ``b``."""
        return {"V": self._V} if self._b is None else {"V": self._V, "b": self._b}

    @on_its_device
    def forward(self, x: Array, *, want_cache: bool = True) -> tuple[Array, Any]:
        """Return V x + b: `x` (T, H, N) or (H, N) -> (T, K, N) or (K, N).

        Raises:
            ValueError, TypeError: `x` has another shape, is elsewhere, or does not hold real numbers.
        """
        x = checks.on_device("x", x, self.backend)
        H = self.input_size
        shape = (H, "N") if x.ndim == 2 else ("T", H, "N")
        checks.of_shape("x", x, shape, lambda: layout.of_input("x", x.shape, H))
        x = checks.real_numbers("x", x, self._V.data.dtype)
        xp, T, N = array_module(x), 1 if x.ndim == 2 else len(x), x.shape[-1]
        own_arrays = [p.data for p in self.parameters()]
        X = xp.empty((self.input_size, T * N), x.dtype)  # a copy of x, with time beside the batch
        Y = xp.empty((self.output_size, T * N), xp.result_type(x, *own_arrays))
        with blas_alone_for(X, self._V.size * T * N), self.backend.products(self.precision):
            if x.ndim == 2:
                X[...] = x
                self._fill(Y, X)
                return Y, self._cache((X, x.shape), want_cache)

            def fill(own: slice) -> None:
                columns = slice(own.start * N, own.stop * N)
                by_step(X, T, N)[own] = x[own]
                self._fill(Y[:, columns], X[:, columns])

            parallel(fill, shares(X, T, -(-LEAST // max(1, self._V.size * N))))
            return by_step(Y, T, N), self._cache((X, x.shape), want_cache)

    def _fill(self, Y: Array, X: Array) -> None:
        """Y = V X + b."""
        array_module(X).matmul(self._V.data, X, out=Y)
        if self._b is not None:
            Y += self._b.data

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> Array:
        """Return dx, in the shape of x; dV = Σ_t dy[t] x[t]ᵀ and db = Σ dy are added to gradients."""
        X, shape = self._saved(cache)
        wanted = (*shape[:-2], self.output_size, shape[-1])
        dy = checks.numbers("dy", dy, wanted, X.dtype, self.backend)
        xp, V, dY = array_module(X), self._V.data, dy if dy.ndim == 2 else rows_first(dy)
        dX = xp.empty_like(X)

        def products(own: slice) -> Array:
            xp.matmul(V.T, dY[:, own], out=dX[:, own])
            return xp.matmul(dY[:, own], X[:, own].T)

        with blas_alone_for(X, V.size * X.shape[1]), self.backend.products(self.precision):
            dVs = parallel(products, shares(X, X.shape[1], -(-LEAST // V.size)))
        db = None if self._b is None else dY.sum(axis=1, keepdims=True)
        self._went_back(cache)
        with Parameter.changing:
            self._check_unchanged(cache)
            for dV in dVs:
                self._V.grad += dV
            if self._b is not None:
                self._b.grad += db
        return dX if dy.ndim == 2 else by_step(dX, *dy.shape[::2])
