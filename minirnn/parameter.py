"""Parameters, and the base of everything that has some.

A parameter's ``data`` and ``grad`` are views of one-dimensional storage. On its own it has a storage
to itself; a `Model` moves all of its parameters into one, so that an optimizer's update is a handful
of operations on one long array instead of a handful for each parameter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np

from . import checks
from .backend import Array, Backend, on_its_device, to_host
from .checks import saved
from .passes import Passing


class Storage:
    """One-dimensional arrays for the values and the gradients of parameters that lie together."""

    def __init__(self, size: int, dtype: Any, backend: Backend) -> None:
        self.backend = backend
        with backend.active():
            self.data = backend.xp.zeros(size, dtype)
            self.grad = backend.xp.zeros(size, dtype)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # a pickled array of CuPy comes back on the current device
        self.data, self.grad = self.backend.put(self.data), self.backend.put(self.grad)


class Parameter:
    """A named array of any shape with its gradient, which every backward pass adds to.

    A layer makes its own from a first `value` and the `backend` that it is to be on.

    Attributes:
        name: ``"l0.U"``; within a model, ``"rnn.l0.U"``.
        version: grows with every change made by an optimizer, `load_state_dict` or assignment to
            ``data``. A cache from an earlier version is refused by ``backward``. (Writing into
            ``data[...]`` goes unseen: assign instead.)
        blocks: names of the equal blocks of rows, such as ``("i", "f", "o", "g")``; may be empty.
        replaced: how many of all parameters have another array in their place now, see `replaced_by`.
        moved: how often any parameter was placed, frozen or set free, for those that keep such places.
        changing: a lock, the same for all, to be held while gradients are added to or values change:
            ``+=`` alone loses what another thread adds meanwhile.

    Raises:
        TypeError, ValueError: `value` is not an array of numbers, nor what makes one.
    """

    replaced = 0
    moved = 0
    changing = RLock()  # as the handler of a signal may train, too
    _frozen = False

    def __init__(
        self, name: str, value: Array, backend: Backend, blocks: Sequence[str] = ()
    ) -> None:
        value = checks.an_array("value", value)
        self.name = name
        self.backend = backend
        self.shape: tuple[int, ...] = value.shape
        self.size: int = value.size
        self.dtype: np.dtype[Any] = value.dtype
        self.blocks = tuple(blocks)
        self.version = 0
        self.place(Storage(self.size, self.dtype, backend), 0, value)

    @on_its_device
    def place(self, storage: Storage, start: int, value: Array) -> None:
        """Move to `storage`, from element `start` on, with `value`, of the same shape, as the data."""
        Parameter.moved += 1
        self.storage, self.start, self.stop = storage, start, start + self.size
        self._view()
        self._data[...] = self.backend.put(value)

    def _view(self) -> None:
        self._data = self.storage.data[self.start : self.stop].reshape(self.shape)
        self._grad = self.storage.grad[self.start : self.stop].reshape(self.shape)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_data", "_grad")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._view()  # of the copied storage

    @property
    def data(self) -> Array:
        """The values. Read it at each use: a model may have moved it."""
        return self._data

    @data.setter
    def data(self, value: Array) -> None:
        self._set(self.name, self._data, value)
        self.version += 1

    @property
    def frozen(self) -> bool:
        """Whether optimizers and clipping leave it out. It still gets a gradient."""
        return self._frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        Parameter.moved += 1
        self._frozen = checks.truth("frozen", frozen)

    @property
    def grad(self) -> Array:
        """The gradient, summed over every backward pass since `zero_grad`."""
        return self._grad

    @grad.setter
    def grad(self, value: Array) -> None:
        if value is not self._grad:  # `p.grad += g` has worked in place and assigns the same array
            self._set(f"{self.name}.grad", self._grad, value)

    @on_its_device
    def _set(self, name: str, own: Array, value: Array) -> None:
        own[...] = self.backend.put(saved.castable(name, value, self), self.dtype)

    @contextmanager
    def replaced_by(self, array: Array, grad: Array | None = None) -> Iterator[None]:
        """Compute with `array`, of the same shape and any dtype, in place of the data.

        Gradients are then added to `grad`, if it is given.
        """
        with Parameter.changing:
            own = self._data, self._grad
            self._data, self._grad = array, self._grad if grad is None else grad
            Parameter.replaced += 1
        try:
            yield
        finally:
            with Parameter.changing:
                self._data, self._grad = own
                Parameter.replaced -= 1

    def __repr__(self) -> str:
        return f"Parameter({self.name}, shape={self.shape}, {self.dtype}, {self.backend.name})"


def _start_anew() -> None:
    """In a forked process, where another thread may have had the lock, which is there no more."""
    Parameter.changing = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


class Layer(Passing):
    """Whatever owns parameters: recurrent networks, layers, sequences of layers, models."""

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


def check_parameters(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters as a list, if that is what they are and there are any."""
    if not isinstance(parameters, list | tuple):
        got = type(parameters).__name__
        raise TypeError(f"parameters: got {got}, want a list of them, such as model.parameters()")
    for p in parameters:
        if not isinstance(p, Parameter):
            raise TypeError(f"parameters: got a {type(p).__name__} in the list, want parameters")
    if not parameters:
        raise ValueError("parameters: got none, want at least one")
    return list(dict.fromkeys(parameters))  # one that layers share counts once


def check_names(names: Sequence[str]) -> None:
    """Raise a ValueError if a name is there twice."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"parameters: {', '.join(twice)} is there twice; "
            "put the layers into one minirnn.Model, which gives each its own name"
        )
