"""One step of the GRU in place, in both of its forms; see ``steps.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...backend import Array
from .scan import NumpySaved
from .steps import half_plus_half, sigmoid_slope, tanh_slope

add, matmul, multiply, subtract, tanh = np.add, np.matmul, np.multiply, np.subtract, np.tanh


class GRUSteps:
    """`GRUCell`: rows m, r, z, n of one array; U_n x + b_n of all steps is computed before the loop."""

    gate_rows = 4
    rows = 4  # dm, da_r, da_z, da_n: the first three belong to W, the last three to U and b
    input_rows = slice(1, 4)

    def forward(self, s: NumpySaved) -> Callable[[int], None]:
        """Equations (3.1) to (3.7)."""
        H, gates = s.H, s.gates
        Z, h = list(s.Z), list(s.states[0])
        Z_h1 = list(s.Z[:, : H + 1])
        _fill_input_part(s, gates[:, H:])
        M_rz = s.weights(slice(0, 2 * H))
        M_rz *= 0.5
        M_m = np.concatenate([s.P["W"][2 * H :], s.P["bw"]], axis=1)
        product = s.product(M_rz)
        s.names = {name: gates[:, k * H : (k + 1) * H] for k, name in enumerate("mrzn")}
        work = np.empty((H, s.Z.shape[2]), s.Z.dtype)

        def step(t: int) -> None:
            a = gates[t]
            m, rz, r, z, n = a[:H], a[H : 3 * H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            product(Z[t], rz)
            tanh(rz, out=rz)
            half_plus_half(rz)
            matmul(M_m, Z_h1[t], out=m)
            multiply(r, m, out=work)
            add(n, work, out=n)
            tanh(n, out=n)
            _mix(z, n, h[t], h[t + 1])

        return step

    def backward(self, s: NumpySaved, dstate: list[Array]) -> Callable[[int, Array], None]:
        """Equations (3.7') to (3.3') and the recurrent part of (3.2')."""
        H, gates, h = s.H, s.gates, s.states[0]
        W = s.P["W"]
        WT = np.ascontiguousarray(np.concatenate([W[2 * H :], W[: 2 * H]]).T)  # columns m, r, z
        (dh,) = dstate
        work2 = np.empty((2 * H, dh.shape[1]), dh.dtype)
        work = work2[:H]

        def step(t: int, da: Array) -> None:
            a = gates[t]
            m, rz, r, z, n = a[:H], a[H : 3 * H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            dm, drz, dr, dz, dn = (
                da[:H], da[H : 3 * H], da[H : 2 * H], da[2 * H : 3 * H], da[3 * H :],
            )  # fmt: skip
            _unmix(z, n, h[t], dh, dz, dn, work)
            multiply(dn, m, out=dr)
            multiply(dn, r, out=dm)
            sigmoid_slope(rz, work2)
            multiply(drz, work2, out=drz)
            matmul(WT, da[: 3 * H], out=work)
            add(dh, work, out=dh)

        return step

    def products(self, s: NumpySaved) -> list[tuple[slice, slice]]:
        """Rows m, r, z with [h; 1], rows r, z, n with [1; x]."""
        H, height = s.H, s.Z.shape[1]
        return [(slice(0, 3 * H), slice(0, H + 1)), (slice(H, 4 * H), slice(H, height))]

    def gradients(self, s: NumpySaved, totals: list[Array]) -> dict[str, Array]:
        """Put W's rows back in the order r, z, n."""
        H, (Wb, bU) = s.H, totals
        return {
            "U": bU[:, 1:],
            "W": np.concatenate([Wb[H:, :H], Wb[:H, :H]]),
            "b": bU[:, :1],
            "bw": Wb[:H, H:],
        }


class GRUResetBeforeSteps:
    """`GRUResetBeforeCell`: rows r, z, n, m of one array; m = r * h is what W_n multiplied."""

    gate_rows = 4
    rows = 3
    input_rows = slice(0, 3)

    def forward(self, s: NumpySaved) -> Callable[[int], None]:
        """Equations (4.1) to (4.6)."""
        H, gates = s.H, s.gates
        Z, h = list(s.Z), list(s.states[0])
        _fill_input_part(s, gates[:, : 3 * H])
        M_rz, W_n = s.weights(slice(0, 2 * H)), s.P["W"][2 * H :]
        M_rz *= 0.5
        product = s.product(M_rz)
        s.operand = gates[:, 3 * H :]
        s.names = {name: gates[:, k * H : (k + 1) * H] for k, name in enumerate("rznm")}
        work = np.empty((H, s.Z.shape[2]), s.Z.dtype)

        def step(t: int) -> None:
            a = gates[t]
            rz, r, z, n, m = a[: 2 * H], a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
            product(Z[t], rz)
            tanh(rz, out=rz)
            half_plus_half(rz)
            multiply(r, h[t], out=m)
            matmul(W_n, m, out=work)
            add(n, work, out=n)
            tanh(n, out=n)
            _mix(z, n, h[t], h[t + 1])

        return step

    def backward(self, s: NumpySaved, dstate: list[Array]) -> Callable[[int, Array], None]:
        """Equations (4.6') to (4.2') and the recurrent part of (4.1')."""
        H, gates, h = s.H, s.gates, s.states[0]
        W_rzT = np.ascontiguousarray(s.P["W"][: 2 * H].T)
        W_nT = np.ascontiguousarray(s.P["W"][2 * H :].T)
        (dh,) = dstate
        work2 = np.empty((2 * H, dh.shape[1]), dh.dtype)
        work, dm = work2[:H], np.empty_like(dh)

        def step(t: int, da: Array) -> None:
            a = gates[t]
            rz, r, z, n = a[: 2 * H], a[:H], a[H : 2 * H], a[2 * H : 3 * H]
            drz, dr, dz, dn = da[: 2 * H], da[:H], da[H : 2 * H], da[2 * H :]
            _unmix(z, n, h[t], dh, dz, dn, work)
            matmul(W_nT, dn, out=dm)
            multiply(dm, h[t], out=dr)
            multiply(dm, r, out=dm)
            add(dh, dm, out=dh)
            sigmoid_slope(rz, work2)
            multiply(drz, work2, out=drz)
            matmul(W_rzT, drz, out=work)
            add(dh, work, out=dh)

        return step

    def products(self, s: NumpySaved) -> list[tuple[slice, slice]]:
        """Rows r, z with h, rows n with r * h, and all rows with [1; x]."""
        H, height = s.H, s.Z.shape[1]
        return [
            (slice(0, 2 * H), slice(0, H)),
            (slice(2 * H, 3 * H), slice(height, height + H)),
            (slice(0, 3 * H), slice(H, height)),
        ]

    def gradients(self, s: NumpySaved, totals: list[Array]) -> dict[str, Array]:
        """Stack the parts of dW."""
        W_rz, W_n, bU = totals
        return {"U": bU[:, 1:], "W": np.concatenate([W_rz, W_n]), "b": bU[:, :1]}


def _fill_input_part(s: NumpySaved, gates: Array) -> None:
    """Write U_n x + b_n into the last third of `gates`; for tokens, ½ U x into the rest of it."""
    H = s.H
    if s.tokens is None:
        M_n = np.concatenate([s.P["b"][2 * H :], s.P["U"][2 * H :]], axis=1)
        matmul(M_n, s.Z[:-1, H:], out=gates[:, 2 * H :])
    else:
        s.pick_columns(gates)
        gates[:, : 2 * H] *= 0.5
        gates[:, 2 * H :] += s.P["b"][2 * H :]


def _mix(z: Array, n: Array, h: Array, h_new: Array) -> None:
    """(3.7), (4.6): h' = (1 - z) * n + z * h, as n + z * (h - n)."""
    subtract(h, n, out=h_new)
    multiply(z, h_new, out=h_new)
    add(n, h_new, out=h_new)


def _unmix(z: Array, n: Array, h: Array, dh: Array, dz: Array, dn: Array, work: Array) -> None:
    """(3.7'), (4.6') and the slope of n's tanh: fills dz and dn, and leaves dh * z in dh."""
    subtract(h, n, out=dz)
    multiply(dh, dz, out=dz)
    subtract(1, z, out=dn)
    multiply(dh, dn, out=dn)
    tanh_slope(n, work)
    multiply(dn, work, out=dn)
    multiply(dh, z, out=dh)
