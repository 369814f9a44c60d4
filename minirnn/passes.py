"""What a layer tells of its passes, forward and backward, to those who ask: see ``optim/watch.py``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


class Stamp(tuple[int, ...]):
    """The versions of a layer's parameters in one cache; in every cache, another object."""


class Passing:
    """The part of a layer that tells."""

    _watches: Collection[Any] = ()  # a set of weak references, once there is one

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_watches"}

    def _stamped(self, versions: tuple[int, ...]) -> tuple[int, ...]:
        """`versions`, for a new cache, of which watches are told."""
        if self._watches:
            versions = Stamp(versions)
            for watch in self._watches:
                watch.forwards.append((self, versions))
        return versions

    def _went_back(self, cache: Any) -> None:
        """Tell watches that backward has taken `cache`, and has nothing to refuse any more."""
        if self._watches and isinstance(cache.versions, Stamp):
            for watch in self._watches:
                watch.backwards.append((self, cache.versions))
