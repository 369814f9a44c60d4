"""What the printed lines of a cell (``languages.py``) call, for one number or for 16 at once.

Each operation is rounded as it is written, a·b + c once where it is a `fma`, and the compiler may choose
nothing (no "fastmath"). These functions exist twice in the process that compiles: by themselves, and
within what calls them. It runs the former, and a process that loads what was compiled from the disk the
latter. Where the compiler chose which products and sums to fuse, it chose differently in the two, and a
run that went on in another process had other bits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload, register_jitable

# tanh(x) = x (P(x²) / Q(x²)) for |x| up to END, with a relative error of 2.9e-7 at most for any float32:
# the terms were searched for with rounding included. From END on tanh rounds to 1; there the quotient
# is a little more, and is cut off. Constant terms are first, and equal, so that a tiny x stays as it is.
P_TERMS = (2.235931158, 0.2991612852, 0.007812419906, 4.602324043e-05, 2.978085689e-08)
Q_TERMS = (2.235931158, 1.044471264, 0.05784593523, 0.0007340768352, 1.735537239e-06)
P, Q = (tuple(np.float32(term) for term in terms) for terms in (P_TERMS, Q_TERMS))
END, ZERO, ONE = np.float32(9.0109158), np.float32(0), np.float32(1)

# exp(x) = 2^k exp(r) with k = round(x / ln 2), whose series ends at r^7/7!: |r| is 0.35 at most.
SERIES = tuple(np.float32(1 / math.factorial(n)) for n in range(8))
INVERSE_LN_2 = np.float32(1 / math.log(2))
LN_2_HIGH = np.float32(0.693359375)  # of so few digits that its product with k is exact
LN_2_LOW = np.float32(math.log(2) - 0.693359375)
LEAST, MOST, ROUND = np.float32(-104), np.float32(89), np.float32(1.5 * 2**23)

# log(2^e m) = e ln 2 + 2 s (1 + s²/3 + s⁴/5 + …) with s = (m - 1) / (m + 1), and m from √½ to √2
ODD = tuple(np.float32(2 / n) for n in (1, 3, 5, 7, 9, 11))
SMALLEST, UP, STEPS_UP = np.float32(2.0**-126), np.float32(2.0**25), np.float32(25)
INFINITE, UNDEFINED = np.float32(np.inf), np.float32(np.nan)


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


@intrinsic
def power_of_two(typing: Any, k: Any) -> Any:
    """2^k for a whole number k, as a product of two, so that neither is out of range."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.IntType(32)
        number = builder.fptosi(values[0], whole)
        half = builder.ashr(number, whole(1))
        parts = (builder.add(n, whole(127)) for n in (half, builder.sub(number, half)))
        first, second = (builder.bitcast(builder.shl(n, whole(23)), ir.FloatType()) for n in parts)
        return context.make_tuple(builder, signature.return_type, (first, second))

    return types.UniTuple(types.float32, 2)(types.float32), emit


@intrinsic
def split(typing: Any, x: Any) -> Any:
    """(e, m) with x = 2^e m and m from √½ to √2."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        whole = ir.IntType(32)
        bits = builder.bitcast(values[0], whole)
        e = builder.ashr(builder.sub(bits, whole(0x3F3504F3)), whole(23))  # less the bits of √½
        m = builder.bitcast(builder.sub(bits, builder.shl(e, whole(23))), ir.FloatType())
        return context.make_tuple(
            builder, signature.return_type, (builder.sitofp(e, ir.FloatType()), m)
        )

    return types.UniTuple(types.float32, 2)(types.float32), emit


def exp(x: Any) -> Any:
    """The exponential function; in float32 without a call, as `tanh`."""
    raise NotImplementedError("compiled code only")


@overload(exp, jit_options=IN_LINE)
def _exp(x: Any) -> Any:
    def by_call(x: Any) -> Any:
        return math.exp(x)

    return _exp_by_series if x == types.float32 else by_call


@register_jitable(**IN_LINE)
def _exp_by_series(x: Any) -> Any:
    x = MOST if x > MOST else x
    x = LEAST if x < LEAST else x
    k = fma(x, INVERSE_LN_2, ROUND) - ROUND
    r = fma(-k, LN_2_LOW, fma(-k, LN_2_HIGH, x))
    y = fma(fma(fma(SERIES[7], r, SERIES[6]), r, SERIES[5]), r, SERIES[4])
    y = fma(fma(fma(fma(y, r, SERIES[3]), r, SERIES[2]), r, ONE), r, ONE)
    first, second = power_of_two(k if k == k else ZERO)
    return y * first * second


def log(x: Any) -> Any:
    """The natural logarithm; in float32 without a call, as `tanh`."""
    raise NotImplementedError("compiled code only")


@overload(log, jit_options=IN_LINE)
def _log(x: Any) -> Any:
    def by_call(x: Any) -> Any:
        return math.log(x) if x > 0 else -np.inf if x == 0 else np.nan

    return _log_by_series if x == types.float32 else by_call


@register_jitable(**IN_LINE)
def _log_by_series(x: Any) -> Any:
    small = x < SMALLEST
    e, m = split(x * UP if small else x)
    e = e - STEPS_UP if small else e
    s = (m - ONE) / (m + ONE)
    t = s * s
    y = fma(fma(fma(fma(fma(ODD[5], t, ODD[4]), t, ODD[3]), t, ODD[2]), t, ODD[1]), t, ODD[0])
    y = fma(e, LN_2_HIGH, fma(s, y, e * LN_2_LOW))
    y = y if x < INFINITE else x
    y = y if x > ZERO else UNDEFINED
    return -INFINITE if x == ZERO else y


@register_jitable(**IN_LINE)
def maximum(a: Any, b: Any) -> Any:
    """The larger one; NaN if one is."""
    return a if (a > b) | (a != a) else b


@register_jitable(**IN_LINE)
def minimum(a: Any, b: Any) -> Any:
    """The smaller one; NaN if one is."""
    return a if (a < b) | (a != a) else b


@register_jitable(**IN_LINE)
def sign(a: Any) -> Any:
    """-1, 0 or 1; NaN stays NaN."""
    one = type(a)(1)
    return one if a > 0 else -one if a < 0 else a


sqrt = math.sqrt
