"""The layers that read tokens: as one-hot columns, or as columns that are learned."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..backend import Array, Backend, Rng, array_module, generator, get_backend, on_its_device
from ..data import one_hot
from ..parameter import Parameter
from ..tokens import add_up_columns
from .stateless import LayerCache, StatelessLayer


class Embedding(StatelessLayer):
    """A learned column for each token: (T, N) or (N,) integers -> (T, E, N) or (E, N).

    Args:
        num_tokens: K, the size of the vocabulary.
        size: E, numbers per token.
        dtype, device, rng: as for `Recurrent`.

    Parameter: ``E`` (K, E), a row per token, drawn from the standard normal as in PyTorch.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(
        self,
        num_tokens: int,
        size: int,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
    ) -> None:
        self.num_tokens = checks.whole_number("num_tokens", num_tokens)
        self.size = checks.whole_number("size", size)
        value = generator(rng).standard_normal((self.num_tokens, self.size))
        backend = get_backend(device)
        self._E = Parameter("E", value.astype(checks.float_dtype(dtype)), backend)

    def named_parameters(self) -> dict[str, Parameter]:
        """``E``."""
        return {"E": self._E}

    @on_its_device
    def forward(self, x: Array, *, want_cache: bool = True) -> tuple[Array, Any]:
        """Pick a row for each token, as a column: `x` (T, N) or (N,) -> (T, E, N) or (E, N).

        Raises:
            ValueError, TypeError: `x` has other axes, is elsewhere, or holds what is no token.
        """
        x = _tokens(x, self._E.backend)
        x = checks.tokens("x", x, self.num_tokens, None, look=False)
        picked = array_module(x).take(self._E.data, x, axis=0)
        return picked.swapaxes(-1, -2), self._cache(x.copy(), want_cache)

    @on_its_device
    def backward(self, cache: LayerCache, dy: Array) -> None:
        """Add each column of `dy`, (T, E, N) or (E, N), to its token's row of the gradient.

        Tokens have no gradient: None is returned.
        """
        x = self._saved(cache)
        shape = (*x.shape[:-1], self.size, x.shape[-1])
        dy = checks.numbers("dy", dy, shape, self._E.dtype, self._E.backend)
        columns = dy.swapaxes(-1, -2).reshape(-1, self.size).T
        self._went_back(cache)
        with Parameter.changing:
            self._check_unchanged(cache)
            add_up_columns(columns, x.ravel(), self._E.grad.T)


class OneHot(StatelessLayer):
    """Tokens as one-hot columns: (T, N) or (N,) integers -> (T, K, N) or (K, N).

    Args:
        num_tokens: K, the size of the vocabulary.
        dtype, device: as for `Recurrent`.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(self, num_tokens: int, dtype: Any = "float32", device: str = "cpu") -> None:
        self.num_tokens = checks.whole_number("num_tokens", num_tokens)
        self.dtype = checks.float_dtype(dtype)
        self.backend = get_backend(device)

    @on_its_device
    def forward(self, x: Array, *, want_cache: bool = True) -> tuple[Array, None]:
        """Column n is 1 at row ``x[n]``, and 0 elsewhere; `x` is (T, N) or (N,).

        Raises:
            ValueError, TypeError: `x` has other axes, is elsewhere, or holds what is no token.
        """
        x = _tokens(x, self.backend)
        x = checks.tokens("x", x, self.num_tokens, None, look=False)
        return one_hot(x, self.num_tokens, self.dtype), None

    def backward(self, cache: None, dy: Array) -> None:
        """Tokens have no gradient: None."""


def _tokens(x: Array, backend: Backend) -> Array:
    """Tokens (T, N) or (N,), on this device."""
    x = checks.on_device("x", x, backend)
    if x.ndim not in (1, 2):
        raise ValueError(f"x: got shape {x.shape}, want (T, N) or (N,)")
    return x
