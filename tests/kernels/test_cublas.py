"""Products that are told to cuBLAS itself: that it is told the right thing of every matrix."""

from itertools import product

import numpy as np
import pytest

from minirnn.backend import get_backend
from minirnn.kernels.cuda import cublas


def within(a, xp):
    """The same matrix in one with more rows and columns."""
    rows, columns = a.shape
    room = xp.empty((rows + 2, columns + 3), a.dtype)[1 : rows + 1, 2 : columns + 2]
    room[...] = a
    return room


LIES = {
    "by row": lambda a, xp: a,
    "by column": lambda a, xp: xp.ascontiguousarray(a.T).T,
    "within another, by row": within,
    "within another, by column": lambda a, xp: within(a.T, xp).T,
}
SIZES = [*product((1, 4), (1, 3), (1, 5)), (0, 3, 5), (4, 0, 5), (4, 3, 0)]


@pytest.mark.parametrize(("dtype", "tol"), [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("sizes", SIZES)
def test_matrices_are_read_and_written_as_they_lie(dtype, tol, sizes, device, rng):
    backend, (m, k, n) = get_backend(device), sizes
    A, B = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n)))
    with backend.active():
        xp = backend.xp
        for a_lies, b_lies, out_lies in product(LIES.values(), repeat=3):
            a, b = a_lies(xp.asarray(A), xp), b_lies(xp.asarray(B), xp)
            out = out_lies(xp.empty((m, n), dtype), xp)
            assert cublas.product(a, b, out) is out
            np.testing.assert_allclose(out.get(), A @ B, rtol=0, atol=tol)
        np.testing.assert_array_equal(cublas.product(a, b).get(), out.get())


def test_a_product_is_of_what_is_there_when_it_is_called(device):
    backend = get_backend(device)
    with backend.active():
        xp = backend.xp
        a, b, out = xp.ones((2, 3)), xp.ones((3, 1)), xp.empty((2, 1))
        multiply = cublas.repeated(a, b, out)
        for value in (1, 2):
            b[...] = value
            multiply()
            assert out.get().tolist() == [[3 * value]] * 2


def test_a_matrix_whose_numbers_all_lie_apart_is_refused(device):
    backend = get_backend(device)
    with backend.active():
        a = backend.xp.ones((4, 6))[::2, ::2]
        with pytest.raises(
            ValueError, match=r"^matrix: got strides \(96, 16\), want numbers of 8 "
        ):
            cublas.product(backend.xp.ones((3, 2)), a)
