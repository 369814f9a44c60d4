"""The rungs in place: every array is made before the loop, and written to step by step.

The formulas are those of ``rungs.py``, taken apart: NumPy makes a new array for every operator, and
none for ``out=``.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from .rungs import Array, OneProduct

Shape = tuple[int, ...]


class InPlace(OneProduct):
    """All arrays are made before the loop; each operation writes to one of them."""

    change = "in place: no new array in a step"

    def prepare(self) -> None:
        """Make all arrays."""
        (T, D, N), H, k = self.x.shape, self.H, self.steps_at_once()
        rows = H + 1 + D
        self.M, self.WT = self.weights(), np.ascontiguousarray(self.W.T)
        self.dx, self.dM = np.empty_like(self.x), np.zeros_like(self.M)
        kept = (T + 1, rows, N), (T, 4 * H, N), (T + 1, H, N)
        some_steps = (k, 4 * H, N), (4 * H, k, N), (rows, k, N), self.M.shape
        one_step = (H, N), (H, N), (H, N), (3 * H, N)
        self.Z, self.ifog, self.c, *rest = self.room(*kept, *some_steps, *one_step)
        self.dA, self.beside_a, self.beside_z, self.dM_k, *rest = rest
        self.dh, self.dc, self.work, self.rest = rest
        self.Z[:, H], self.Z[:T, H + 1 :] = 1, self.x
        self.Z[0, :H] = self.c[0] = self.dh[:] = self.dc[:] = 0

    def room(self, *shapes: Shape) -> list[Array]:
        """Arrays yet to be filled."""
        return [np.empty(shape, self.x.dtype) for shape in shapes]

    def steps_at_once(self) -> int:
        """How many steps a gradient product takes in."""
        return 1

    def forward(self) -> Array:
        """The product goes to where the gates are kept, and h to where the next step reads it."""
        H, work = self.H, self.work
        for t in range(self.T):
            a = self.ifog[t]
            i, f, o, g = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            c_new = self.c[t + 1]
            np.matmul(self.M, self.Z[t], out=a)
            self.squash(a)
            np.multiply(f, self.c[t], out=c_new)
            np.multiply(i, g, out=work)
            np.add(c_new, work, out=c_new)
            np.tanh(c_new, out=work)
            np.multiply(o, work, out=self.Z[t + 1, :H])
        return self.Z[1:, :H].copy()

    def squash(self, a: Array) -> None:
        """Turn pre-activations into gates."""
        ifo, g = a[: 3 * self.H], a[3 * self.H :]
        np.negative(ifo, out=ifo)
        np.exp(ifo, out=ifo)
        np.add(ifo, 1, out=ifo)
        np.divide(1, ifo, out=ifo)
        np.tanh(g, out=g)

    def backward(self) -> tuple[Array, Array, Array, Array]:
        """Some steps back, then the products of these steps for the gradients."""
        H, k = self.H, self.steps_at_once()
        for stop in range(self.T, 0, -k):
            start = max(0, stop - k)
            for t in reversed(range(start, stop)):
                self.step_back(t, self.dA[t - start])
            dA = self.dA[: stop - start]
            columns = self.beside(dA, self.beside_a)
            np.matmul(columns, self.beside(self.Z[start:stop], self.beside_z).T, out=self.dM_k)
            np.add(self.dM, self.dM_k, out=self.dM)
            np.matmul(self.U.T, dA, out=self.dx[start:stop])
        return self.dx, self.dM[:, H + 1 :], self.dM[:, :H], self.dM[:, H : H + 1]

    def beside(self, steps: Array, room: Array) -> Array:
        """The one step there is, as a matrix."""
        return np.asarray(steps[0])

    def step_back(self, t: int, da: Array) -> None:
        """Fill da; dh and dc become those of the step before. In σ' = σ (1 - σ), 1 - σ comes last."""
        H, a, dh, dc, y, rest = self.H, self.ifog[t], self.dh, self.dc, self.work, self.rest
        i, f, o, g = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
        da_ifo, da_i, da_f = da[: 3 * H], da[:H], da[H : 2 * H]
        da_o, da_g = da[2 * H : 3 * H], da[3 * H :]
        np.add(dh, self.dys[t], out=dh)
        np.tanh(self.c[t + 1], out=y)
        np.multiply(dh, o, out=dh)
        np.multiply(dh, y, out=da_o)
        np.multiply(y, y, out=y)
        np.subtract(1, y, out=y)
        np.multiply(dh, y, out=dh)
        np.add(dc, dh, out=dc)
        np.multiply(dc, i, out=da_g)
        np.multiply(da_g, g, out=da_i)
        np.multiply(dc, f, out=dc)
        np.multiply(dc, self.c[t], out=da_f)
        np.subtract(1, a[: 3 * H], out=rest)
        np.multiply(da_ifo, rest, out=da_ifo)
        np.multiply(g, g, out=y)
        np.subtract(1, y, out=y)
        np.multiply(da_g, y, out=da_g)
        np.matmul(self.WT, da, out=dh)


class ManySteps(InPlace):
    """Steps are copied beside one another, and multiplied about a thousand columns at a time.

    The copies need room. With many arrays, the C library gives memory back to the system after each
    call, and gets it again page by page; with one that is most of it, it does not.
    """

    change = "one gradient product for many steps, one block"

    def steps_at_once(self) -> int:
        """As many as have about a thousand columns together."""
        return max(1, min(self.T, 1024 // int(self.x.shape[2])))

    def beside(self, steps: Array, room: Array) -> Array:
        """(steps, rows, N) as (rows, steps·N), a copy."""
        place = room[:, : len(steps)]
        np.copyto(place, steps.transpose(1, 0, 2))
        return place.reshape(len(place), -1)

    def room(self, *shapes: Shape) -> list[Array]:
        """Parts of one array."""
        sizes = [math.prod(shape) for shape in shapes]
        block = np.empty(sum(sizes), self.x.dtype)
        parts = np.split(block, list(itertools.accumulate(sizes))[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class OneTanh(ManySteps):
    """σ(a) = ½ tanh(½ a) + ½, with the inner ½ folded into the weights."""

    change = "one tanh for all gates"

    def weights(self) -> Array:
        """σ(a) = ½ tanh(½ a) + ½, with the inner ½ in the rows of i, f and o."""
        M = super().weights()
        M[: 3 * self.H] *= 0.5
        return M

    def squash(self, a: Array) -> None:
        """Three passes instead of five."""
        ifo = a[: 3 * self.H]
        np.tanh(a, out=a)
        np.multiply(ifo, 0.5, out=ifo)
        np.add(ifo, 0.5, out=ifo)
