"""Masks of dropout that a CUDA device draws by itself: the bits that NumPy's generator has next.

``numpy.random.default_rng`` gives a PCG64, whose state can be moved on by any number of steps at once.
So the threads of a device share the numbers, each from its own place on, and the generator on the host
is moved on as if NumPy had drawn. A seed then gives the same masks on every device, what is drawn next
is the same, too, and nothing is copied. ``dropout.cu`` has the equations.

NumPy promises that PCG64 gives the same integers for a seed in every version. For the float32 that it
makes of them it does not: the tests hold these to the NumPy that is installed.
"""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ...backend import Array
from .module import NUMBERS, by_value, kernel, last_pass, options

NAME, PART = "dropout", "all"  # in the list of passes

LEVELS = 16  # as in dropout.cu
THREADS = 128  # of a block
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # a of (1)
BITS = 128  # of a state

# `Draw` of dropout.cu: what the kernel is given, by value
WORD = np.dtype([("high", np.uint64), ("low", np.uint64)])
JUMP = np.dtype([("a", WORD), ("c", WORD)])
DRAW = np.dtype(
    [
        ("state", WORD),
        ("jumps", JUMP, LEVELS + 1),
        ("size", np.int64),
        ("kept", np.float64),
        *((name, np.uint32) for name in ("dropped", "has_half", "half")),
    ],
    align=True,
)


def can_draw(random: np.random.Generator, dtype: np.dtype[Any]) -> bool:
    """Whether `draw` is for this generator and dtype, and has passed its tests on a device."""
    known = type(random.bit_generator) is np.random.PCG64 and dtype.name in NUMBERS
    return known and last_pass(NAME, PART) is not None


def draw(
    xp: ModuleType, random: np.random.Generator, p: float, shape: tuple[int, ...], dtype: Any
) -> Array:
    """0 with probability `p`, else 1/(1-p), as an array of `xp` on the current device.

    Args:
        xp: ``cupy``, or what stands in for it.
        random: of a PCG64.
        p: in [0, 1).
        shape: of the mask, which lies in C's order.
        dtype: float32 or float64.
    """
    mask = xp.empty(shape, dtype)
    if mask.size == 0:
        return mask
    generator: Any = random.bit_generator
    with generator.lock:
        before = generator.state
        generator.state = moved_on(before, mask.size)
    given = np.zeros(1, DRAW)
    given["state"] = _word(before["state"]["state"])
    given["jumps"] = _jumps(before["state"]["inc"])
    given["size"] = mask.size
    given["kept"] = mask.dtype.type(1) / mask.dtype.type(1 - p)
    given["dropped"] = math.ceil(float(np.float32(p)) * 2**24)  # NumPy compares in float32
    given["has_half"], given["half"] = before["has_uint32"], before["uinteger"]
    blocks = -(-mask.size // (2 * THREADS))
    launch = kernel(xp.RawModule, "dropout.cu", options(mask.dtype), False, "dropout_mask")
    launch((min(blocks, 2**LEVELS // THREADS),), (THREADS,), (by_value(given), mask))
    return mask


def moved_on(state: dict[str, Any], count: int) -> dict[str, Any]:
    """The state of a PCG64, as NumPy has it, after `count` > 0 numbers of 32 bits."""
    halves = count - state["has_uint32"]
    if halves == 0:
        return {**state, "has_uint32": 0}
    words = state["state"]
    a, c = jump(words["inc"], -(-halves // 2))
    s = (a * words["state"] + c) % 2**BITS
    x, right = s >> 64 ^ s % 2**64, s >> 122
    last = (x >> right | x << 64 - right) % 2**64
    return {
        **state,
        "state": {**words, "state": s},
        "has_uint32": halves % 2,
        "uinteger": last >> 32,
    }


def jump(inc: int, steps: int) -> tuple[int, int]:
    """The constants of (3), for c = `inc`."""
    d = MULTIPLIER - 1
    power = pow(MULTIPLIER, steps, d << BITS)  # so much of it that 1 + a + … = (power - 1) / d
    return power % 2**BITS, (power - 1) // d * inc % 2**BITS


@lru_cache(maxsize=64)
def _jumps(inc: int) -> np.ndarray[Any, Any]:
    """Over 1, 2, 4, … outputs."""
    found = [jump(inc, 2**k) for k in range(LEVELS + 1)]
    return np.array([(_word(a), _word(c)) for a, c in found], JUMP)


def _word(value: int) -> tuple[int, int]:
    return divmod(value, 2**64)
