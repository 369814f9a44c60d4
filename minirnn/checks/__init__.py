"""What the arguments of forward and backward must be.

Each check names the argument, what it had and what it needs, before anything is computed. Values are
looked at only where that does not make a device wait: on the host, or when `check_finite` is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..backend import Array, Backend, State, array_module, backend_of, kind, to_host
from . import layout


def shown(value: Any) -> str:
    """`value` as a message shows it: what is long, by its type and shape."""
    text = repr(value)
    if len(text) <= 40 and "\n" not in text:
        return text
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {shape}"


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """Return `value` if it is an integer of at least `least`."""
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, int | np.integer):
        raise TypeError(f"{name}: got {shown(value)}, want an integer")
    if number < least:
        raise ValueError(f"{name}: got {value}, want {least} or more")
    return int(number)


def truth(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, or 1 or 0: text and other things would all be true."""
    if value is True or value is False:  # as nearly always
        return value
    number = _scalar(value)
    if not isinstance(number, bool | int | np.bool_ | np.integer) or number not in (0, 1):
        raise TypeError(f"{name}: got {shown(value)}, want True or False")
    return bool(number)


def real_number(name: str, value: Any, least: float = 0.0, below: float = math.inf) -> float:
    """Return `value` if it is a number in [least, below)."""
    wanted = f"{least:g} or more" if below == math.inf else f"a number in [{least:g}, {below:g})"
    wanted = "a number" if least == -below else wanted
    number = _number(name, value, wanted)
    if not least <= number < below:
        raise ValueError(f"{name}: got {value}, want {wanted}")
    return float(number)


def positive(name: str, value: Any) -> float:
    """Return `value` if it is a number above 0; it may be infinite."""
    number = _number(name, value, "a number above 0")
    if not number > 0:
        raise ValueError(f"{name}: got {value}, want more than 0")
    return float(number)


def _number(name: str, value: Any, wanted: str) -> Any:
    number = _scalar(value)
    if isinstance(number, bool) or not isinstance(number, float | int | np.floating | np.integer):
        raise TypeError(f"{name}: got {shown(value)}, want {wanted}")
    return number


def _scalar(value: Any) -> Any:
    """The number in an array without axes, such as a file of arrays has for a number."""
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def fraction(name: str, value: Any) -> float:
    """Return `value` if it lies in [0, 1)."""
    return real_number(name, value, below=1.0)


def float_dtype(value: Any) -> np.dtype[Any]:
    """Return `value` as a dtype if it is float32 or float64."""
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        if isinstance(value, str | type | np.dtype) and value in (dtype.name, dtype, dtype.type):
            return dtype
    raise ValueError(f'dtype: got {value!r}, want "float32" or "float64"')


def on_device(name: str, value: Any, backend: Backend) -> Array:
    """Return `value` as an array of this device's module; arrays never move between devices unasked."""
    if type(value) is np.ndarray and backend.xp is np:
        return value
    module = array_module(value)
    # (CuPy's `asarray` would move it to the current device)
    array = to_host(value, name) if module is np and backend.xp is np else value
    if backend.owns(array):
        return array
    where = "the host" if module is np else f"cuda:{value.device.id}"
    raise TypeError(
        f"{name}: is an array on {where}, but {backend.name} is where it is needed; "
        f"move it with minirnn.to_host(...) or minirnn.to_device(..., {backend.name!r})"
    )


def function(name: str, value: Any) -> None:
    """Raise a TypeError unless `value` can be called."""
    if not callable(value):
        raise TypeError(
            f"{name}: got {type(value).__name__}, want a function, such as model.{name}"
        )


def generator(name: str, rng: Any) -> np.random.Generator:
    """Return `rng` if it is a generator, as calls want that are made again and again."""
    if isinstance(rng, np.random.Generator):
        return rng
    advice = f"; a seed would repeat the same: use numpy.random.default_rng({rng})"
    advice = advice if isinstance(rng, int | np.integer) else ""
    raise TypeError(f"{name}: got {kind(rng)}, want a numpy.random.Generator{advice}")


def dropout_rng(rng: Any) -> np.random.Generator | None:
    """Return `rng` if it is a generator, or None, with which nothing is dropped."""
    return None if rng is None else generator("dropout_rng", rng)


def an_array(name: str, value: Any) -> Array:
    """Return `value` as an array of numbers, real or complex, where it is."""
    array = on_device(name, value, backend_of(value))
    if array.dtype.kind not in "fiubc":
        raise TypeError(f"{name}: got {array.dtype}, want numbers")
    return array


def of_shape(
    name: str, array: Array, shape: tuple[Any, ...], hint: Callable[[], str] = str
) -> Array:
    """Return `array` if its shape is `shape`, in which letters stand for any size."""
    fits = len(array.shape) == len(shape)
    for got, want in zip(array.shape, shape, strict=False):
        fits = fits and (got == want or isinstance(want, str))
    if not fits:
        wanted = ", ".join(str(want) for want in shape)
        raise ValueError(f"{name}: got shape {array.shape}, want ({wanted}){hint()}")
    return array


def real_numbers(name: str, array: Array, dtype: Any, real: Array | None = None) -> Array:
    """Return `array` cast to `dtype` if it holds real numbers (or is of that dtype already).

    Where `real` (T, N) is false, `array` (T, rows, N) is padding, which a cast must not read: it might
    overflow.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: got {array.dtype}, want real numbers")
    if real is not None:
        array = array_module(array).where(real[:, None], array, 0)
    return array.astype(dtype)


def numbers(name: str, value: Any, shape: tuple[Any, ...], dtype: Any, backend: Backend) -> Array:
    """Return `value` cast to `dtype` if it is on this device, of this shape, and holds real numbers."""
    fits = type(value) is np.ndarray and value.dtype == dtype and value.shape == shape
    if (
        fits and backend.xp is np
    ):  # as nearly always; what follows takes longer than a small product
        return value
    return real_numbers(name, of_shape(name, on_device(name, value, backend), shape), dtype)


def columns_or_tokens(
    name: str, value: Any, time: tuple[str, ...], D: int, backend: Backend
) -> Array:
    """Return `value` if it is (*time, D, N), or (*time, N) integers; it has not been cast yet."""
    array = on_device(name, value, backend)
    columns = ", ".join((*time, str(D), "N"))
    if array.ndim == len(time) + 2:
        return of_shape(name, array, (*time, D, "N"), lambda: layout.of_input(name, array.shape, D))
    if array.ndim != len(time) + 1:
        ids = ", ".join((*time, "N")) if time else "N,"
        raise ValueError(
            f"{name}: got shape {array.shape}, want ({columns}), or integer tokens ({ids})"
        )
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: got {array.dtype} of shape {array.shape}, "
            f"want integers below {D} as tokens, or numbers ({columns})"
        )
    return array


def finite(name: str, array: Array, real: Array | None = None) -> None:
    """Raise a ValueError if `array` (T, …, N) has NaN or infinity where `real` (T, N) is true."""
    xp = array_module(array)
    bad = ~xp.isfinite(array)
    if real is not None:
        bad &= real[:, None]
    if bool(bad.any()):
        where = tuple(int(i) for i in xp.argwhere(bad)[0])
        raise ValueError(f"{name}: {array[where]} at index {where}, want finite numbers")


def tokens(name: str, value: Array, K: int, real: Array | None, look: bool) -> Array:
    """Return tokens fit for picking: where `real` is false, they may be anything and become 0."""
    xp = array_module(value)
    if value.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: got {value.dtype} of shape {value.shape}, want integers below {K}"
        )
    if real is not None:
        value = xp.where(real, value, 0)
    if (look or xp is np) and value.size:
        low, high = int(value.min()), int(value.max())
        if low < 0 or high >= K:
            raise ValueError(f"{name}: got tokens from {low} to {high}, want 0 to {K - 1}")
    return value


def real_steps(lengths: Any, T: int, N: int, backend: Backend) -> Array | None:
    """Return the mask (T, N) of the steps that exist, or None where all of them do."""
    if lengths is None:
        return None
    host = to_host(lengths, "lengths")
    if host.shape != (N,):
        mask = "; of a mask (T, N) it is mask.sum(axis=0)" if host.ndim == 2 else ""
        raise ValueError(
            f"lengths: got shape {host.shape}, want ({N},), one for each sequence{mask}"
        )
    if host.dtype.kind not in "iu" and host.size:
        raise TypeError(f"lengths: got {host.dtype}, want integers")
    if host.size and (host.min() < 0 or host.max() > T):
        raise ValueError(f"lengths: got {host.min()} to {host.max()}, want 0 to T = {T}")
    if (host == T).all():
        return None
    return backend.put(np.arange(T)[:, None] < host)


def state_parts(name: str, value: Any, names: tuple[str, ...]) -> State:
    """Return `value` if it is a tuple of as many parts as the cell has states."""
    if isinstance(value, tuple | list) and len(value) == len(names):
        return tuple(value)
    wanted = "(" + ", ".join(names) + ("," if len(names) == 1 else "") + ")"
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name}: got {type(value).__name__}, want a tuple {wanted}")
    raise ValueError(f"{name}: got {len(value)} part(s), want {len(names)}: {wanted}")


def not_negative(name: str, array: Array) -> None:
    """Raise a ValueError if an array on the host has negative, infinite or NaN elements."""
    if array_module(array) is np and array.size and not 0 <= array.min() <= array.max() < np.inf:
        bad = array[~((array >= 0) & (array < np.inf))].flat[0]
        raise ValueError(f"{name}: got {bad}, want 0 or more, and finite")


def mapping(name: str, values: Any) -> None:
    """Raise a TypeError unless `values` has values by name."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{name}: got {type(values).__name__}, want arrays by name")
