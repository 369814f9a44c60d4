"""A strict stand-in for CuPy, which the tests of device arrays run on where there is no CUDA device.

Its arrays are NumPy's behind a class that refuses what a ``cupy.ndarray`` refuses, and more: all that
would move numbers between host and device unasked, and all that CuPy does not have. CuPy allows its
arrays in ``numpy.tanh``, NumPy's as an index, and on some machines arrays of two devices in one sum;
here those are errors, too. What the engine has no use for is not there: to use more of CuPy, look up
what it takes, and add it to the lists below.

This tells nothing about mistakes of CuPy's own, about speed, or about kernels. `synchronised` has an
entry for each time that the host would have to wait until a device has finished all its work,
`copied` one for each array that is brought from the host, its shape, `launched` one for each operation
that CuPy launches a kernel for, or several ("index": some ten), and `products` one for each product: the
shape of its result, and whether it was asked for in TF32.
"""

from __future__ import annotations

import ctypes
import operator
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy import finfo, float32, float64, inf, nan  # noqa: F401  (CuPy has them as they are)

DEVICES = 2
UFUNCS = (  # all of them with the keyword `out` alone
    *("add", "divide", "exp", "isfinite", "log", "matmul", "maximum", "minimum", "multiply"),
    *("negative", "sqrt", "subtract", "tanh"),
)
FUNCTIONS = {  # with the keywords that may be used
    "arange": "dtype",
    "argwhere": "",
    "array": "dtype order",
    "ascontiguousarray": "",
    "concatenate": "axis",
    "copyto": "where",
    "einsum": "",
    "full": "dtype",
    "moveaxis": "",
    "ones": "dtype",
    "result_type": "",
    "take": "axis",
    "vdot": "",
    "zeros": "dtype",
    "zeros_like": "dtype",
}
METHODS = {  # with the names of their arguments
    "all": "axis out keepdims",
    "any": "axis out keepdims",
    "argmax": "axis",
    "astype": "dtype",
    "clip": "min max out",
    "copy": "",
    "cumsum": "axis dtype out",
    "fill": "value",
    "max": "axis out keepdims",
    "mean": "axis dtype out keepdims",
    "min": "axis out keepdims",
    "sum": "axis dtype out keepdims",
    "take": "indices axis out",
}
KEEP_ORDER = ("ndarray.astype", "ndarray.copy")  # of the memory; what others give is in C's
VIEWS = ("ravel", "reshape", "squeeze", "swapaxes", "transpose", "view")
OPERATORS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor"),
    *("lt", "le", "eq", "ne", "gt", "ge", "matmul"),
)

synchronised: list[str] = []
copied: list[tuple[int, ...]] = []
launched: list[str] = []
products: list[tuple[tuple[int, ...], bool]] = []
_current = [0]  # devices, the innermost ``with`` last
_noted: list[str] | None = None  # what a function does that is being fused, if one is


class Device:
    """Within a ``with``, the device that arrays are made on and computed with."""

    compute_capability = "90"
    attributes = {  # noqa: RUF012
        "CooperativeLaunch": 1,
        "MaxSharedMemoryPerBlockOptin": 227 * 1024,
        "MultiProcessorCount": 132,
    }

    def __init__(self, number: int | None = None) -> None:
        self.id = _current[-1] if number is None else number

    def __enter__(self) -> Device:
        _current.append(self.id)
        return self

    def __exit__(self, *exception: object) -> None:
        _current.pop()

    def use(self) -> None:
        """Make it the current one, until the end of the innermost ``with``."""
        _current[-1] = self.id

    @property
    def cublas_handle(self) -> tuple[int, int]:
        """CuPy has one for each thread and device."""
        return threading.get_ident(), self.id


class CUDARuntimeError(RuntimeError):
    """What CuPy raises where there is no driver."""


_modes: dict[tuple[int, int], int] = {}  # by handle, where it is not the default
TF32_MODE = 3  # CUBLAS_TF32_TENSOR_OP_MATH

cuda = SimpleNamespace(
    Device=Device,
    cublas=SimpleNamespace(
        getMathMode=lambda handle: _modes.get(handle, 0),
        setMathMode=_modes.__setitem__,
        sgemm=lambda *arguments: _gemm(np.float32, *arguments),
        dgemm=lambda *arguments: _gemm(np.float64, *arguments),
    ),
    runtime=SimpleNamespace(getDeviceCount=lambda: DEVICES, CUDARuntimeError=CUDARuntimeError),
)


class ndarray:
    """An array on a device."""

    __module__ = "cupy"
    __slots__ = ("_values", "device")
    __array_ufunc__ = None  # NumPy's ufuncs refuse it, and its operators leave the work to these
    __hash__ = None

    def __init__(self, values: np.ndarray, device: Device) -> None:
        self._values, self.device = values, device

    shape = property(lambda self: self._values.shape)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    dtype = property(lambda self: self._values.dtype)
    nbytes = property(lambda self: self._values.nbytes)
    strides = property(lambda self: self._values.strides)
    itemsize = property(lambda self: self._values.itemsize)
    data = property(lambda self: SimpleNamespace(ptr=self._values.ctypes.data))
    T = property(lambda self: ndarray(self._values.T, self.device))
    real = property(lambda self: ndarray(self._values.real, self.device))

    def __array__(self, *arguments: Any, **options: Any) -> None:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use .get()")

    def __array_function__(self, function: Any, *arguments: Any) -> None:
        raise TypeError(f"numpy.{function.__name__} of a device array")

    def get(self) -> np.ndarray:
        """A copy on the host."""
        return self._to_host("get")

    def item(self) -> Any:
        return self._to_host("item").item()

    def tolist(self) -> Any:
        return self._to_host("tolist").tolist()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array of this size is ambiguous")
        return bool(self._to_host("bool"))

    def __int__(self) -> int:
        return int(self._to_host("int"))

    def __float__(self) -> float:
        return float(self._to_host("float"))

    def __repr__(self) -> str:
        return repr(self._to_host("repr"))

    def __format__(self, how: str) -> str:
        return format(self._to_host("format"), how)

    def _to_host(self, why: str) -> np.ndarray:
        synchronised.append(why)
        return self._values.copy()

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        index, arrays = _index(index)
        if arrays:
            _launch("index")
            return _new(_operand(self)[index])
        return ndarray(self._values[index], self.device)

    def __setitem__(self, index: Any, value: Any) -> None:
        index, arrays = _index(index)
        values = _operand(self)
        if arrays:
            places = np.arange(self.size).reshape(self.shape)[index]
            if np.unique(places).size < places.size:
                raise IndexError("which of several values for one place is kept, is left to chance")
        if arrays or not _same(values[index], _operand(value)):  # that would be `a[...] += 1`
            _launch("index" if arrays else "set")
        values[index] = _operand(value)

    def __neg__(self) -> ndarray:
        _launch("neg")
        return _new(-_operand(self))

    def __invert__(self) -> ndarray:
        _launch("invert")
        return _new(~_operand(self))

    def __abs__(self) -> ndarray:
        _launch("abs")
        return _new(abs(_operand(self)))

    def __deepcopy__(self, memo: Any) -> ndarray:
        return ndarray(self._values.copy(), self.device)

    def __reduce__(self) -> Any:
        return asarray, (self.get(),)


class Symbol:
    """What stands for an array or a number in a function that is being fused."""

    __module__ = "cupy"
    __slots__ = ("_values",)
    __array_ufunc__ = None
    __hash__ = None

    def __init__(self, values: np.ndarray | float) -> None:
        self._values = values

    dtype = property(lambda self: np.asarray(self._values).dtype)

    def astype(self, dtype: Any) -> Symbol:
        _launch(f"astype {np.dtype(dtype)}")
        return _new(np.asarray(self._values).astype(dtype))

    def __bool__(self) -> bool:
        raise TypeError("a value that is not known yet")

    __iter__ = __array__ = __bool__


def _launch(name: str) -> None:
    """Note an operation."""
    (launched if _noted is None else _noted).append(name)


def _same(a: np.ndarray, b: Any) -> bool:
    """Whether they are the same memory, in the same order."""
    return isinstance(b, np.ndarray) and a.__array_interface__ == b.__array_interface__


def _new(values: Any, order: Any = "C") -> Any:
    """What NumPy gave, on the current device: numbers as arrays without axes, memory as CuPy has it."""
    if isinstance(values, np.ndarray | np.generic):
        values = np.asarray(values, order=order)
        return ndarray(values, Device()) if _noted is None else Symbol(values)
    return values


def _operand(x: Any) -> Any:
    """What NumPy is to compute with: an array of the current device, or a number."""
    if isinstance(x, Symbol):
        return x._values
    if isinstance(x, ndarray):
        if _noted is not None:
            raise TypeError("an array that is not an argument of the function that is being fused")
        if x.device.id != Device().id:
            raise ValueError(f"array on device {x.device.id}, while {Device().id} is current")
        return x._values
    if isinstance(x, bool | int | float | complex | np.generic):
        if _noted is not None:
            if not np.isfinite(x):
                raise TypeError(f"{x} in a function that is being fused: C++ may not know the name")
            _noted.append(repr(x))
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def _argument(x: Any) -> Any:
    """The same where there may be shapes, types and names, too, and sequences of arrays."""
    if isinstance(x, list | tuple):
        return type(x)(_argument(part) for part in x)
    plain = x is None or isinstance(x, str | type | np.dtype)
    return x if plain else _operand(x)


def _index(index: Any) -> tuple[Any, bool]:
    """The index for NumPy to give an array for, and whether there are arrays in it."""
    parts: list[Any] = []
    arrays = False
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, ndarray):
            arrays = True
            if part.dtype == bool:
                synchronised.append("mask as an index")  # how many there are decides the shape
        elif isinstance(part, list | np.ndarray):
            raise TypeError(f"index: Unsupported type {type(part)}")
        parts.append(_operand(part) if isinstance(part, ndarray) else part)
    return tuple(parts if any(part is ... for part in parts) else [*parts, ...]), arrays


def _checked(name: str, function: Any, names: str) -> Any:
    """`function` for device arrays, with these keywords only."""

    def call(*arguments: Any, **options: Any) -> Any:
        if not options.keys() <= set(names.split()):
            raise TypeError(f"{name}: got {sorted(options)}, want some of: {names}")
        if _noted is not None and name not in UFUNCS:
            raise TypeError(f"{name} in a function that is being fused")
        if name != "result_type":
            _launch(name)
        out = options.pop("out", None)
        values = {key: _argument(value) for key, value in options.items()}
        if out is None:
            order = "K" if name in KEEP_ORDER else "C"
            return _new(function(*map(_argument, arguments), **values), order)
        if not isinstance(out, ndarray | Symbol):
            raise TypeError(f"{name}: out: Unsupported type {type(out)}")
        function(*map(_argument, arguments), **values, out=_operand(out))
        return out

    return call


def to_tf32(x: np.ndarray) -> np.ndarray:
    """The nearest numbers with 10 bits behind the point."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = ((bits + np.uint32(1 << 12)) & ~np.uint32((1 << 13) - 1)).view(np.float32)
    return np.where(np.isfinite(x), rounded, x)


def _matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> Any:
    """The product, in TF32 if that is the mode of this thread's handle of the current device."""
    in_tf32 = cuda.cublas.getMathMode(Device().cublas_handle) == TF32_MODE
    in_tf32 = in_tf32 and a.dtype == b.dtype == np.float32
    factors = map(to_tf32, (a, b)) if in_tf32 else (a, b)
    found = np.matmul(*factors, out=out)
    products.append((found.shape, in_tf32))
    return found


def _gemm(
    dtype: Any, handle: Any, a_flipped: int, b_flipped: int, m: int, n: int, k: int,
    alpha: int, a: int, a_pitch: int, b: int, b_pitch: int, beta: int, c: int, c_pitch: int,
) -> None:  # fmt: skip
    """C = A B as cuBLAS computes it, with matrices that lie column by column at these addresses."""

    def matrix(address: int, rows: int, columns: int, pitch: int) -> np.ndarray:
        assert 1 <= rows <= pitch, (rows, pitch)
        assert columns >= 1, columns
        numbers = pitch * (columns - 1) + rows
        lies = (ctypes.c_char * (numbers * np.dtype(dtype).itemsize)).from_address(address)
        steps = np.array([1, pitch]) * np.dtype(dtype).itemsize
        return np.ndarray((rows, columns), dtype, lies, strides=steps)

    assert handle == Device().cublas_handle
    assert [matrix(factor, 1, 1, 1).item() for factor in (alpha, beta)] == [1, 0]
    A = matrix(a, k, m, a_pitch).T if a_flipped else matrix(a, m, k, a_pitch)
    B = matrix(b, n, k, b_pitch).T if b_flipped else matrix(b, k, n, b_pitch)
    _launch("gemm")
    matrix(c, m, n, c_pitch).T[...] = _matmul(B.T, A.T)


def _add_operator(name: str) -> None:
    """Both sides of it and, except for comparisons and products, in place."""
    plain, in_place = getattr(operator, f"__{name}__"), getattr(operator, f"__i{name}__", None)
    plain = _matmul if name == "matmul" else plain

    def computed(function: Any, *operands: Any) -> Any:
        values = [_operand(x) for x in operands]
        if not any(isinstance(x, np.ndarray) for x in values):
            raise TypeError(f"{name} of numbers alone in a function that is being fused")
        _launch(name)
        return function(*values)

    def left(self: Any, other: Any) -> Any:
        on_device = isinstance(other, ndarray | Symbol)
        if not on_device and getattr(other, "__array_ufunc__", name) is None:
            return NotImplemented  # the other one knows how to compute with arrays
        return _new(computed(plain, self, other))

    def right(self: Any, other: Any) -> Any:
        return _new(computed(plain, other, self))

    def own(self: Any, other: Any) -> Any:
        computed(in_place, self, other)
        return self

    for kind in (ndarray, Symbol):
        setattr(kind, f"__{name}__", left)
        setattr(kind, f"__r{name}__", right)
        if in_place is not None and name != "matmul":
            setattr(kind, f"__i{name}__", own)


def _add_method(name: str, names: str) -> None:
    call = _checked(f"ndarray.{name}", getattr(np.ndarray, name), names)
    setattr(ndarray, name, lambda self, *arguments, **options: call(self, *arguments, **options))


def _add_view(name: str) -> None:
    def method(self: ndarray, *arguments: Any) -> ndarray:
        values = getattr(self._values, name)(*arguments)
        if np.may_share_memory(values, self._values):
            return ndarray(values, self.device)
        _launch("copy")
        return _new(getattr(_operand(self), name)(*arguments))

    setattr(ndarray, name, method)


for _name in OPERATORS:
    _add_operator(_name)
for _name, _names in METHODS.items():
    _add_method(_name, _names)
for _name in VIEWS:
    _add_view(_name)


def asarray(a: Any, dtype: Any = None) -> ndarray:
    """The one way onto a device, and from one device to another."""
    values = a._values if isinstance(a, ndarray) else np.asarray(a)
    if values.dtype == object:
        raise ValueError("Unsupported dtype object")
    if isinstance(a, ndarray) and a.device.id == Device().id and dtype in (None, a.dtype):
        return a
    if isinstance(a, ndarray):
        _launch("copy")
    else:
        copied.append(values.shape)
    return _new(np.array(values, dtype))


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """Whatever memory held before: here what shows if it is read, NaN or -1."""
    return _filled(np.empty(shape, dtype))


def empty_like(a: ndarray) -> ndarray:
    return _filled(np.empty_like(_operand(a)))  # in the order of a's memory


def _filled(values: np.ndarray) -> ndarray:
    values[...] = nan if values.dtype.kind in "fc" else -1
    return ndarray(values, Device())


def where(condition: ndarray, x: Any, y: Any) -> ndarray:
    """Without x and y, the shape of what it gives would have to be waited for."""
    if not isinstance(condition, ndarray | Symbol):
        raise TypeError(f"where: condition: Unsupported type {type(condition)}")
    _launch("where")
    return _new(np.where(_operand(condition), _operand(x), _operand(y)))


def fuse(function: Any) -> Any:
    """One kernel of a function of arrays: it gets symbols, and may do nothing else than compute.

    CuPy calls it once for arguments of the same types. Here it is called each time, and it is an error
    if it does not do the same again, with the same numbers of its own.
    """
    seen: dict[Any, list[str]] = {}

    def call(*arguments: Any) -> Any:
        global _noted
        if _noted is not None:
            return function(*arguments)  # within a function that is being fused itself
        kinds = [getattr(x, "dtype", type(x)) for x in arguments]
        key = tuple(zip(kinds, [getattr(x, "ndim", -1) for x in arguments], strict=True))
        symbols = [None if x is None else Symbol(_operand(x)) for x in arguments]
        _noted = []
        try:
            found = function(*symbols)
        finally:
            noted, _noted = _noted, None
        if seen.setdefault(key, noted) != noted:
            raise TypeError(f"{function.__name__}: {noted}, but {seen[key]} when it was fused")
        _launch(f"fused {function.__name__}")
        found = [found] if isinstance(found, Symbol) else found
        results = tuple(_new(x._values) for x in found or ())
        return results if len(results) > 1 else next(iter(results), None)

    return call


def __getattr__(name: str) -> Any:
    if name == "matmul":
        return _checked(name, _matmul, "out")
    if name in UFUNCS:
        return _checked(name, getattr(np, name), "out")
    if name in FUNCTIONS:
        if name == "argwhere":
            synchronised.append(name)
        return _checked(name, getattr(np, name), FUNCTIONS[name])
    raise AttributeError(f"the stand-in for CuPy has no {name!r}")
