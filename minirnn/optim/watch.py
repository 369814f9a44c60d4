"""Was every forward of a layer followed by its one backward? For optimizers that are asked to check.

A layer that is watched tells of every cache that it makes and of every backward; at the next step the
two lists are compared. They hold no arrays, and a layer knows its watches by weak references alone: with
the optimizer they are gone. Copies of a model are not watched, but by copies of the optimizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from ..layer import Layer, Stamp
from ..parameter import Parameter


class Watch:
    """What an optimizer knows of the layers of `model` since its last step.

    Args:
        model: all layers that it is made of are watched.
        parameters: the optimizer's.

    Raises:
        TypeError: `model` is no layer.
        ValueError: it has none of the parameters.
    """

    def __init__(self, model: Layer, parameters: Sequence[Parameter]) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"check: got {type(model).__name__}, want the model that is trained")
        own = set(model.parameters())
        self.model = model
        self.parameters = [p for p in parameters if p in own]
        if not self.parameters:
            raise ValueError("check: got a model with none of the parameters, want that of all")
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _begin(self) -> None:
        self.forwards: list[tuple[Layer, Stamp]] = []
        self.backwards: list[tuple[Layer, Stamp]] = []
        self._used: dict[Parameter, float] = {}  # the largest element of what the last step used
        self._kept: list[Parameter] = []  # whose gradient was still that one when others were added
        for layer in self.model.named_layers().values():
            layer.__dict__.setdefault("_watches", WeakSet()).add(self)

    def look(self, parameters: Sequence[Parameter]) -> None:
        """Before gradients are added: are those of the last step still there?"""
        for p in parameters:
            used = self._used.pop(p, 0.0)
            if used and used == _largest(p):
                self._kept.append(p)

    def judge(self) -> None:
        """Before a step; then everything is counted anew.

        Raises:
            RuntimeError: a forward had no backward, or two; a gradient is there from the step before.
        """
        self.look(self.parameters)
        forwards, backwards, kept = self.forwards, self.backwards, self._kept
        self.forwards, self.backwards, self._kept = [], [], []
        for name, layer in self.model.named_layers().items():
            made = [stamp for owner, stamp in forwards if owner is layer]
            used = Counter(id(stamp) for owner, stamp in backwards if owner is layer)
            own = {id(stamp) for stamp in made}
            missing, most = len(own - used.keys()), max(used.values(), default=0)
            call = ".".join(filter(None, ("model", name, "backward(cache, …)")))
            if missing:
                times = "" if len(made) == 1 else f" {len(made)} times"
                lacks = "never" if missing == len(made) else f"not after {missing} of them"
                raise RuntimeError(
                    f"{name or 'model'}: forward was called{times} and backward {lacks}: call {call}, "
                    "or forward(…, want_cache=False) where nothing is to be learned"
                )
            if most > 1:
                raise RuntimeError(
                    f"{name or 'model'}: backward was called {most} times with one cache, which "
                    f"multiplies its gradient: call {call} once after each forward"
                )
            if used.keys() - own:
                raise RuntimeError(
                    f"{name or 'model'}: backward was called with a cache from before the last step: "
                    "run forward again"
                )
        if kept:
            raise RuntimeError(
                f"{kept[0].name}.grad: the gradient of the step before is still in it: call "
                "optimizer.zero_grad() before backward"
            )

    def note(self) -> None:
        """After a step: what its gradients were."""
        self._used = {p: _largest(p) for p in self.parameters if not p.frozen}


def _largest(p: Parameter) -> float:
    with p.backend.active():
        return float(abs(p.grad).max())
