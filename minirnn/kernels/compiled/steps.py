"""One step of each cell for the compiled scan, in one pass over the units of a block.

Every argument is a run of memory, all of the same length: 16 units of all sequences at one step (see
``products.py``). Pre-activations are replaced by gates. Equation numbers are those of
``cells.py``.

Each operation is rounded as it is written, a·b + c once where it is a `fma`, and the compiler may choose
nothing (no "fastmath"). These functions exist twice in the process that compiles: by themselves, and
within the loop over time that calls them. It runs the former, and a process that loads the loop from the
disk the latter. Where the compiler chose which products and sums to fuse, it chose differently in the
two, and a run that went on in another process had other bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload, register_jitable

from ...backend import Array

# tanh(x) = x (P(x²) / Q(x²)) for |x| up to END, with a relative error of 2.9e-7 at most for any float32:
# the terms were searched for with rounding included. From END on tanh rounds to 1; there the quotient
# is a little more, and is cut off. Constant terms are first, and equal, so that a tiny x stays as it is.
P_TERMS = (2.235931158, 0.2991612852, 0.007812419906, 4.602324043e-05, 2.978085689e-08)
Q_TERMS = (2.235931158, 1.044471264, 0.05784593523, 0.0007340768352, 1.735537239e-06)
P, Q = (tuple(np.float32(term) for term in terms) for terms in (P_TERMS, Q_TERMS))
END, ONE = np.float32(9.0109158), np.float32(1)


# Division by zero gives infinity: loops run on vectors only so.
IN_LINE: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return a(a, a, a), emit


def tanh(x: Any) -> Any:
    """Hyperbolic tangent; in float32 without a call, so that a loop over it runs on vectors."""
    raise NotImplementedError("compiled code only")


@overload(tanh, jit_options=IN_LINE)
def _tanh(x: Any) -> Any:
    def by_call(x: Any) -> Any:
        return math.tanh(x)

    return _tanh_by_quotient if x == types.float32 else by_call


@register_jitable(**IN_LINE)
def _tanh_by_quotient(x: Any) -> Any:
    # comparisons, not min and max: NaN stays NaN
    x = END if x > END else x
    x = -END if x < -END else x
    s = x * x
    p = fma(fma(fma(fma(P[4], s, P[3]), s, P[2]), s, P[1]), s, P[0])
    q = fma(fma(fma(fma(Q[4], s, Q[3]), s, Q[2]), s, Q[1]), s, Q[0])
    y = x * (p / q)
    y = ONE if y > ONE else y
    return -ONE if y < -ONE else y


@register_jitable(**IN_LINE)
def logistic(a: Any) -> Any:
    """σ(a) = ½ tanh(½ a) + ½."""
    half = type(a)(0.5)
    return fma(half, tanh(half * a), half)


@register_jitable(**IN_LINE)
def squash(a: Any, is_relu: bool) -> Any:
    """tanh or relu; relu keeps NaN."""
    if is_relu:
        return type(a)(0) if a <= 0 else a
    return tanh(a)


@register_jitable(**IN_LINE)
def slope(y: Any, is_relu: bool) -> Any:
    """The derivative of `squash`, by its value y."""
    one = type(y)(1)
    if is_relu:
        return one if y > 0 else one - one
    return fma(-y, y, one)


@njit(**IN_LINE)
def rnn_forward(is_relu: bool, h_new: Array) -> None:
    """Equation (1.2)."""
    if is_relu:
        for k in range(len(h_new)):
            h_new[k] = squash(h_new[k], True)
    else:
        for k in range(len(h_new)):
            h_new[k] = squash(h_new[k], False)


@njit(**IN_LINE)
def rnn_backward(is_relu: bool, h_new: Array, dh: Array, da: Array) -> None:
    """Equation (1.2')."""
    for k in range(len(da)):
        da[k] = dh[k] * slope(h_new[k], is_relu)


@njit(**IN_LINE)
def lstm_forward(
    is_relu: bool, i: Array, f: Array, o: Array, g: Array, c: Array, c_new: Array, h_new: Array
) -> None:
    """Equations (2.2) to (2.7)."""
    for k in range(len(i)):
        i_k, f_k, o_k = logistic(i[k]), logistic(f[k]), logistic(o[k])
        g_k = squash(g[k], is_relu)
        c_k = fma(f_k, c[k], i_k * g_k)
        i[k], f[k], o[k], g[k], c_new[k] = i_k, f_k, o_k, g_k, c_k
        h_new[k] = o_k * squash(c_k, is_relu)


@njit(**IN_LINE)
def lstm_backward(
    is_relu: bool, i: Array, f: Array, o: Array, g: Array, c: Array, c_new: Array,
    dh: Array, dc: Array, da_i: Array, da_f: Array, da_o: Array, da_g: Array,
) -> None:  # fmt: skip
    """Equations (2.7') to (2.2'); dc of the new state becomes that of the old one."""
    one = i.dtype.type(1)
    for k in range(len(i)):
        i_k, f_k, o_k, g_k = i[k], f[k], o[k], g[k]
        y = squash(c_new[k], is_relu)
        do = dh[k] * y
        dc_k = fma(dh[k] * o_k, slope(y, is_relu), dc[k])
        da_i[k] = dc_k * g_k * i_k * (one - i_k)
        da_f[k] = dc_k * c[k] * f_k * (one - f_k)
        da_o[k] = do * o_k * (one - o_k)
        da_g[k] = dc_k * i_k * slope(g_k, is_relu)
        dc[k] = dc_k * f_k


@njit(**IN_LINE)
def gru_forward(n: Array, r: Array, z: Array, m: Array, h: Array, h_new: Array) -> None:
    """Equations (3.3) to (3.7)."""
    for k in range(len(n)):
        r_k, z_k = logistic(r[k]), logistic(z[k])
        n_k = tanh(fma(r_k, m[k], n[k]))
        r[k], z[k], n[k] = r_k, z_k, n_k
        h_new[k] = fma(z_k, h[k] - n_k, n_k)


@njit(**IN_LINE)
def gru_backward(
    n: Array, r: Array, z: Array, m: Array, h: Array,
    dh: Array, da_n: Array, da_r: Array, da_z: Array, dm: Array,
) -> None:  # fmt: skip
    """Equations (3.7') to (3.3'); dh of the new state becomes z's share of that of the old one."""
    one = n.dtype.type(1)
    for k in range(len(n)):
        n_k, r_k, z_k, dh_k = n[k], r[k], z[k], dh[k]
        da = dh_k * (one - z_k) * slope(n_k, False)
        da_n[k] = da
        dm[k] = da * r_k
        da_r[k] = da * m[k] * r_k * (one - r_k)
        da_z[k] = dh_k * (h[k] - n_k) * z_k * (one - z_k)
        dh[k] = dh_k * z_k
