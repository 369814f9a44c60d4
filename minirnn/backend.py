"""Arrays and devices: which array module runs the maths, and how arrays reach it.

Every equation in this package is written with operators and with the functions of an array's own
module, so the same line runs on NumPy and on CuPy arrays. This is the only file that imports CuPy,
and it does so only when a device called ``"cuda"`` is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import cache, wraps
from types import ModuleType
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

Array: TypeAlias = Any  # a numpy.ndarray or a cupy.ndarray
State: TypeAlias = tuple[Any, ...]  # (h,) or (h, c)
Rng: TypeAlias = int | np.random.Generator | None
Draws: TypeAlias = np.random.Generator | None  # of calls that are made again and again

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

TF32_MATH = 3  # CUBLAS_TF32_TENSOR_OP_MATH, for which CuPy has no name


def array_module(array: Array) -> ModuleType:
    """Return the module (``numpy`` or ``cupy``) whose functions take `array`."""
    if isinstance(array, np.ndarray):
        return np
    kind: Any = type(array)
    return sys.modules["cupy"] if _is_cupy(kind) else np


@cache
def _is_cupy(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "cupy"


@dataclass(frozen=True)
class Backend:
    """A device: its name (``"cpu"``, ``"cuda:0"``) and the array module that computes there."""

    name: str
    xp: ModuleType = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return get_backend, (self.name,)  # modules cannot be copied or pickled

    def owns(self, array: Array) -> bool:
        """Whether `array` already lives on this device."""
        if array_module(array) is not self.xp:
            return False
        return self.xp is np or f"cuda:{array.device.id}" == self.name

    def active(self) -> AbstractContextManager[Any]:
        """Make this the device on which new arrays are created."""
        if self.xp is np:
            return nullcontext()
        here: AbstractContextManager[Any] = self.device
        return here

    def products(self, precision: str | None) -> AbstractContextManager[None]:
        """Multiply float32 matrices in ``"tf32"`` on this device; None leaves everything as it is.

        cuBLAS has a mode for each of its handles, and CuPy a handle for each device and thread, so that
        the products of other threads stay as they are.
        """
        return nullcontext() if precision is None else self._in_tf32()

    @contextmanager
    def _in_tf32(self) -> Iterator[None]:
        cublas, handle = self.xp.cuda.cublas, self.device.cublas_handle
        before = cublas.getMathMode(handle)
        cublas.setMathMode(handle, TF32_MATH)
        try:
            yield
        finally:
            cublas.setMathMode(handle, before)

    def check_precision(self, precision: Any, dtype: Any) -> str | None:
        """Return `precision` if arrays of `dtype` can be multiplied in it here.

        Raises:
            ValueError: it is unknown, or not for that dtype or this device.
        """
        if precision is None:
            return None
        if not isinstance(precision, str) or precision != "tf32":
            raise ValueError(f'precision: got {precision!r}, want None or "tf32"')
        if np.dtype(dtype) != np.float32 or self.xp is np:
            raise ValueError(
                f'precision: got "tf32" with dtype {np.dtype(dtype)} on {self.name}, '
                "which needs float32 on a CUDA device"
            )
        capability = int(self.device.compute_capability)
        if capability < 80:
            raise ValueError(
                'precision: got "tf32", which needs compute capability 8.0 or more, '
                f"and {self.name} has {capability / 10}"
            )
        return precision

    @property
    def device(self) -> Any:
        """The ``cupy.cuda.Device``, which the host has none of."""
        return self.xp.cuda.Device(int(self.name.partition(":")[2]))

    def put(self, array: Array, dtype: Any = None) -> Array:
        """Return `array` on this device; a copy only if it is elsewhere or of another dtype."""
        with self.active():
            return self.xp.asarray(array, dtype=dtype)


CPU = Backend("cpu", np)


def get_backend(device: str) -> Backend:
    """Look a device up by name.

    Args:
        device: ``"cpu"``, ``"cuda"`` (the first CUDA device) or ``"cuda:1"``.

    Raises:
        ValueError: the name is none of these.
        RuntimeError: CUDA was asked for and CuPy or a device is missing.
    """
    text = device if isinstance(device, str) else ""
    if text == "cpu":
        return CPU
    kind, _, number = text.partition(":")
    if kind != "cuda" or not (number.isdecimal() or text == "cuda"):
        raise ValueError(f'device: got {device!r}, want "cpu", "cuda" or "cuda:<number>"')
    try:
        import cupy
    except ImportError:
        raise RuntimeError(
            f"device={device!r} needs CuPy: pip install cupy-cuda13x (or cupy-cuda12x), "
            "which are minirnn's extras cuda13 and cuda12"
        ) from None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(
            f"device={device!r}: no CUDA device can be used here ({error})"
        ) from None
    index = int(number or 0)
    if index >= count:
        raise RuntimeError(f"device={device!r}: this machine has {count} CUDA device(s)")
    return Backend(f"cuda:{index}", cupy)


def backend_of(array: Array) -> Backend:
    """The device that `array` is on."""
    return CPU if array_module(array) is np else get_backend(f"cuda:{array.device.id}")


def on_its_device(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Have `function` compute where the first of its arguments is that has a ``backend`` or is an array.

    CuPy computes on the device that is current, which need not be that of the arrays. On the host, NumPy
    is not to complain of numbers that vanish (``np.errstate(under=...)``), as gradients may at any time.
    """

    @wraps(function)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        if "cupy" in sys.modules:
            places = map(_place, (*arguments, *options.values()))
            with next(filter(None, places), CPU).active(), np.errstate(under="ignore"):
                return function(*arguments, **options)
        if (
            copy_context()
        ):  # in which NumPy keeps what it was told; to ask NumPy takes ten times as long
            with np.errstate(under="ignore"):
                return function(*arguments, **options)
        return function(*arguments, **options)

    return run


def _place(value: Any) -> Backend | None:
    """Where a layer, a parameter or an array is."""
    if array_module(value) is not np or isinstance(value, np.ndarray):
        return backend_of(value)
    place = getattr(value, "backend", None)
    return place if isinstance(place, Backend) else None


def to_host(array: Array, name: str = "array") -> np.ndarray[Any, Any]:
    """Return `array`, of any shape, as a NumPy array; copies, and waits for its device, if on one.

    Args:
        array: an array, or what NumPy makes one of without loss: numbers, lists, data frames, tensors.
        name: the argument that a message is to speak of.

    Raises:
        TypeError: a masked array, whose mask would be lost; text; what NumPy makes no array of.
        ValueError: lists of unequal lengths.
    """
    if type(array) is np.ndarray:
        return array
    if array_module(array) is not np:
        return np.asarray(array.get())
    # (a list of masked arrays would lose the masks as well)
    parts = [array, *array] if isinstance(array, list | tuple) else [array]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(
            f"{name}: got a masked array, whose mask would be lost; hand over .filled(0), and what is "
            "masked as lengths or weights"
        )
    if isinstance(array, str | bytes):
        raise TypeError(f"{name}: got {type(array).__name__}, want an array of numbers")
    try:
        host = np.asarray(array)
    except (TypeError, RuntimeError) as error:  # a tensor with a gradient, or on a device
        advice = "; hand over .detach().cpu().numpy()" if hasattr(array, "detach") else ""
        raise TypeError(f"{name}: NumPy makes no array of it ({error}){advice}") from None
    except ValueError:
        advice = "minirnn.data.pad makes sequences equally long"
        if isinstance(array, tuple):
            advice = "the output is the first of what forward returns"
        raise ValueError(f"{name}: got parts of unequal shapes, want an array; {advice}") from None
    if host.dtype == object and not host.ndim and array is not None and not hasattr(array, "dtype"):
        raise TypeError(f"{name}: got {type(array).__name__}, want an array")
    return host


def to_device(array: Array, device: str) -> Array:
    """Return `array`, of any shape, on `device` (see `get_backend`); a copy only if it is elsewhere.

    Raises:
        ValueError: the name of the device is none.
        RuntimeError: CUDA was asked for and CuPy or a device is missing.
        TypeError: what is no array (see `to_host`).
    """
    return get_backend(device).put(to_host(array) if array_module(array) is np else array)


def generator(rng: Rng, name: str = "rng") -> np.random.Generator:
    """Turn `rng` (None for fresh entropy, an integer seed, or a generator) into a generator.

    Random numbers are NumPy's, drawn on the host, so that a seed gives the same bits on every device.

    Args:
        rng: what to turn into one.
        name: the argument that a message is to speak of.

    Raises:
        TypeError: `rng` is none of the three.
        ValueError: the seed is negative.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, int | np.integer)):
        raise TypeError(
            f"{name}: got {kind(rng)}, want None, an integer or a numpy.random.Generator"
        )
    if rng is not None and rng < 0:
        raise ValueError(f"{name}: got the seed {rng}, want 0 or more")
    return np.random.default_rng(rng)


def kind(rng: Any) -> str:
    """The type of `rng` by name; PyTorch's generator has the name of NumPy's."""
    name = type(rng).__name__
    return f"{type(rng).__module__}.{name}" if name == "Generator" else name


def tanh(a: Array) -> Array:
    """Hyperbolic tangent, element by element."""
    return array_module(a).tanh(a)


def sigmoid(a: Array) -> Array:
    """1 / (1 + exp(-a)), written with tanh so that no exponential can overflow."""
    return 0.5 * tanh(0.5 * a) + 0.5


def relu(a: Array) -> Array:
    """max(a, 0). A complex `a` (see `minirnn.gradcheck`) is judged by its real part."""
    return array_module(a).where(a.real <= 0, 0, a)  # so that NaN stays NaN


def split_rows(a: Array, parts: int) -> list[Array]:
    """Cut the rows of `a` into `parts` equal blocks, as views."""
    height = a.shape[0] // parts
    return [a[k * height : (k + 1) * height] for k in range(parts)]


def stack_rows(*blocks: Array) -> Array:
    """Put blocks of rows under one another."""
    return array_module(blocks[0]).concatenate(blocks, axis=0)
