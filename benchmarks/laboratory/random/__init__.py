"""Random numbers that a CUDA device draws by itself: those that NumPy's generator has next.

``numpy.random.default_rng`` gives a PCG64, whose state can be moved on by any number of steps at once.
So the threads of a device share the numbers, each from its own place on, and the generator on the host
is moved on as if NumPy had drawn. A seed then drops the same elements on every device, what is drawn
next is the same, too, and nothing is copied. ``pcg64.cu`` has the equations.

NumPy promises that PCG64 gives the same integers for a seed in every version. For the float32 that it
makes of them it does not: the tests hold these to the NumPy that is installed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minirnn.kernels.cuda.module import by_value, kernel, source

SOURCE = source("pcg64.cu", Path(__file__).parent)
LEVELS = 16  # as in pcg64.cu
THREADS = 128  # of a block
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645  # a of (1)
BITS = 128  # of a state

# `Draw` of pcg64.cu: what the kernel is given, by value
WORD = np.dtype([("high", np.uint64), ("low", np.uint64)])
JUMP = np.dtype([("a", WORD), ("c", WORD)])
DRAW = np.dtype(
    [
        ("state", WORD),
        ("jumps", JUMP, LEVELS + 1),
        ("size", np.int64),
        *((name, np.uint32) for name in ("has_half", "half")),
    ],
    align=True,
)


class DeviceGenerator(np.random.Generator):
    """A generator for the `dropout_rng` of networks on a CUDA device.

    ``random(shape, np.float32)``, of which masks are made, is an array of the current device. All else
    is drawn on the host.

    Args:
        bits: what it draws from.
        xp: ``cupy``, or what stands in for it.
    """

    def __init__(self, bits: np.random.PCG64, xp: ModuleType) -> None:
        super().__init__(bits)
        self.xp = xp

    def random(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """See `numpy.random.Generator.random`."""
        if not isinstance(size, tuple) or dtype is not np.float32 or out is not None:
            return super().random(size, dtype, out)
        numbers = self.xp.empty(size, np.float32)
        if numbers.size:
            bits: Any = self.bit_generator
            with bits.lock:
                before = bits.state
                bits.state = moved_on(before, numbers.size)
            self._draw(before, numbers)
        return numbers

    def _draw(self, state: dict[str, Any], to: Any) -> None:
        """Fill an array, in C's order, with what comes after that state."""
        given = np.zeros(1, DRAW)
        given["state"] = _word(state["state"]["state"])
        given["jumps"] = _jumps(state["state"]["inc"])
        given["size"] = to.size
        given["has_half"], given["half"] = state["has_uint32"], state["uinteger"]
        blocks = -(-to.size // (2 * THREADS))
        launch = kernel(self.xp.RawModule, SOURCE, (), False, "pcg64_floats")
        launch((min(blocks, 2**LEVELS // THREADS),), (THREADS,), (by_value(given), to))


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
