"""The record that the backward pass of a recurrent network needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..backend import Array, Backend, on_its_device
from ..layer import Layer
from ..scan import Saved, Scan


class Direction(NamedTuple):
    """One scan: a layer in one direction."""

    name: str  # "l0", "l0.reverse", "l1", …
    place: int  # where its part of the state is: l0, l0.reverse, l1, …
    time: slice  # the order in which time is walked: x[time]
    rows: slice  # of the layer's output, (H·directions, N)

    def in_order(self, array: Array) -> Array:
        """`array` (T, …) as this direction walks it; what came in its order, in the usual one."""
        # (a view of everything would take CuPy as long as half a launch)
        return array if self.time.step is None else array[self.time]


def directions(layer: int, H: int, bidirectional: bool) -> tuple[Direction, ...]:
    """One layer's: the forward one and, if there are two, the reverse one."""
    first = layer * (2 if bidirectional else 1)
    forward = Direction(f"l{layer}", first, slice(None), slice(0, H))
    if not bidirectional:
        return (forward,)
    backwards = slice(None, None, -1)
    return forward, Direction(f"l{layer}.reverse", first + 1, backwards, slice(H, 2 * H))


@dataclass(eq=False, slots=True)  # (not frozen: that takes several times as long to make)
class Cache:
    """What `Recurrent.backward` needs of one call of `Recurrent.forward`.

    Gates and states can be looked up by name, as arrays (T, H, N): ``cache["l0.i"]``,
    ``cache["l1.reverse.c"]``. A state at t is the one after step t has been read.
    """

    owner: Layer
    versions: tuple[int, ...]  # of the owner's parameters
    letters: tuple[str, ...]  # of the states and gates
    scan: Scan
    scans: list[tuple[Direction, Saved]]  # of each direction of each layer
    dropped: list[Array | None]  # dropout after each layer, scaled, (T, H·directions, N)
    real: Array | None  # of the steps that exist (T, N)
    T: int
    N: int

    @property
    def backend(self) -> Backend:
        """Where it is."""
        return self.owner.parameters()[0].backend

    @on_its_device
    def __getitem__(self, name: str) -> Array:
        scan_name, _, letter = name.rpartition(".")
        for d, saved in self.scans:
            if scan_name == d.name and letter in self.letters:
                return d.in_order(saved.trace(letter)).copy()
        raise KeyError(f"{name!r}; there are {', '.join(self.names())}")

    def __repr__(self) -> str:
        return f"Cache(T={self.T}, N={self.N}: {', '.join(self.names())})"

    def names(self) -> list[str]:
        """Every name that can be looked up."""
        return [f"{d.name}.{letter}" for d, _ in self.scans for letter in self.letters]
