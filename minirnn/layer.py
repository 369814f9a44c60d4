"""The base of everything that has parameters; it tells of its passes to those who ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .backend import Array, to_host
from .checks import saved
from .parameter import Parameter


class Stamp(tuple[int, ...]):
    """The versions of a layer's parameters in one cache; in every cache, another object."""


class Layer:
    """Whatever owns parameters: recurrent networks, layers, sequences of layers, models."""

    # Those who ask about passes (see ``optim/watch.py``): weak references to them, once there are some
    _watches: Collection[Any] = ()

    def __repr__(self) -> str:
        shapes = (f"{name} {p.shape}" for name, p in self.named_parameters().items())
        return f"{type(self).__name__}({', '.join(shapes)})"

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the parts of its state, such as ``("h", "c")``; most layers have none."""
        return ()

    def children(self) -> Mapping[str, Layer]:
        """The layers that it is made of, by name."""
        return {}

    def named_layers(self) -> dict[str, Layer]:
        """This one, called ``""``, and all that it is made of, each once, such as ``"out.1"``."""
        found: dict[str, Layer] = {"": self}
        for prefix, child in self.children().items():
            for name, layer in child.named_layers().items():
                if all(layer is not other for other in found.values()):
                    found[".".join(filter(None, (prefix, name)))] = layer
        return found

    def named_parameters(self) -> dict[str, Parameter]:
        """Each parameter once, by its name within this layer, in a fixed order."""
        return {}

    def parameters(self) -> list[Parameter]:
        """Each parameter once, in a fixed order."""
        return list(self.named_parameters().values())

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        with Parameter.changing:
            for p in self.parameters():
                with p.backend.active():
                    p.grad[...] = 0

    def freeze(self) -> None:
        """Have optimizers and clipping leave all parameters out, until `unfreeze`."""
        for p in self.parameters():
            p.frozen = True

    def unfreeze(self) -> None:
        """Have all parameters trained again."""
        for p in self.parameters():
            p.frozen = False

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters on the host, by name."""
        return {name: to_host(p.data).copy() for name, p in self.named_parameters().items()}

    def load_state_dict(self, values: Mapping[str, Array], strict: bool = True) -> saved.Unmatched:
        """Set parameters by name; nothing is changed unless everything fits.

        Args:
            values: as from `state_dict`, each of its parameter's shape.
            strict: all names have to be there, and no other. Without, what is there is taken.

        Returns:
            The names of parameters that `values` has nothing for, and of values that are no
            parameter's: ``missing_keys`` and ``unexpected_keys``, as in PyTorch.

        Raises:
            ValueError: a shape differs; a value is NaN or infinite, or would be in the parameter's dtype
                (where values are on a device, that is not looked at); if `strict`, a name is missing or
                unknown.
            TypeError: values that are not real numbers.
        """
        own = self.named_parameters()
        unmatched = saved.saved_values("values", values, own, strict)
        for name in own.keys() - set(unmatched.missing_keys):
            own[name].data = values[name]
        return unmatched

    def _versions(self) -> tuple[int, ...]:
        """What a cache remembers of the parameters, to know when it is older than they."""
        return tuple([p.version for p in self.parameters()])

    def _check_cache(self, cache: Any, kind: Any) -> None:
        """Raise an error unless `cache` is of this kind, of this layer, and as new as its parameters."""
        if not isinstance(cache, kind):
            raise TypeError(f"cache: got {type(cache).__name__}, want what forward returned last")
        if cache.owner is not self:
            raise ValueError(
                f"cache: comes from another layer ({cache.owner}) than this one ({self})"
            )
        self._check_unchanged(cache)
        for watch in self._watches:
            watch.look(self.parameters())

    def _check_unchanged(self, cache: Any) -> None:
        """Raise an error if parameters have changed since; also to be asked when gradients are added."""
        if cache.versions != self._versions():
            raise ValueError(
                "cache: is older than the parameters, which were updated after its forward; "
                "run forward again"
            )

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


def named_children(children: Mapping[str, Layer]) -> dict[str, Parameter]:
    """The parameters of several layers, each prefixed with its layer's name, shared ones once."""
    found: dict[str, Parameter] = {}
    seen: set[int] = set()
    for prefix, child in children.items():
        for name, p in child.named_parameters().items():
            if id(p) not in seen:
                seen.add(id(p))
                if f"{prefix}.{name}" in found:
                    raise ValueError(f"layers: two parameters would be named {prefix}.{name}")
                found[f"{prefix}.{name}"] = p
    return found
