"""Products of matrices on a CUDA device, told to cuBLAS itself.

``cupy.matmul`` looks at what it is given anew in each call, which keeps the host for longer than a small
product takes the device. Here that is done once, before the loop over time; what is left of a call is
cuBLAS's own.

cuBLAS reads the numbers of a matrix column by column, and our arrays lie row by row: what we call A it
calls Aᵀ. So C = A B is asked for as Cᵀ = Bᵀ Aᵀ, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...backend import Array, array_module

AS_IT_LIES, TRANSPOSED = 0, 1  # CUBLAS_OP_N, CUBLAS_OP_T
ONE_AND_ZERO = {size: np.array([1, 0], f"f{size}") for size in (4, 8)}  # by the bytes of a number
ADDRESSES = {size: (a.ctypes.data, a[1:].ctypes.data) for size, a in ONE_AND_ZERO.items()}


def product(A: Array, B: Array, out: Array | None = None) -> Array:
    """Compute ``A @ B``, as `repeated` would; without `out`, that is a new array."""
    if out is None:
        out = array_module(A).empty((len(A), B.shape[1]), A.dtype)
    repeated(A, B, out)()
    return out


def repeated(A: Array, B: Array, out: Array) -> Callable[[], Any]:
    """Return what computes ``out = A @ B`` each time that it is called.

    It is for the thread and the device on which it was made, in the precision that `Backend.products`
    asks for there. (CuPy's ``set_compute_type`` is for its own ``matmul``.) It keeps no array alive.

    Args:
        A, B, out: (m, k), (k, n) and (m, n), all float32 or all float64. In each, the numbers of a row
            lie side by side, or those of a column, as in the transpose of such a matrix.
    """
    xp = array_module(out)
    if xp is np:
        return partial(np.matmul, A, B, out=out)
    if not (A.size and B.size):
        return partial(out.fill, 0)
    cublas, handle, size = xp.cuda.cublas, xp.cuda.Device().cublas_handle, out.itemsize
    multiply, (one, zero) = cublas.sgemm if size == 4 else cublas.dgemm, ADDRESSES[size]
    (lies, *to), (m, n) = _as_told(out), out.shape
    if lies == TRANSPOSED:
        return repeated(B.T, A.T, out.T)
    (b, *b_lies), (a, *a_lies), sizes = _as_told(B), _as_told(A), (n, m, len(B))
    return partial(multiply, handle, b, a, *sizes, one, *b_lies, *a_lies, zero, *to)


def _as_told(A: Array) -> tuple[int, int, int]:
    """What cuBLAS is told of a matrix: how it lies, where, and how far it is from line to line."""
    (rows, columns), (down, along), size = A.shape, A.strides, A.itemsize
    # (Where there is no next one, CuPy may give any distance to it.)
    if along == size or columns == 1:
        return AS_IT_LIES, A.data.ptr, max(down // size, columns)
    if down == size or rows == 1:
        return TRANSPOSED, A.data.ptr, max(along // size, rows)
    raise ValueError(f"matrix: got strides {A.strides}, want numbers of {size} bytes side by side")
