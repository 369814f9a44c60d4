"""Parameters: arrays with their gradients.

A parameter's ``data`` and ``grad`` are views of one-dimensional storage. On its own it has a storage
to itself; a `Model` moves all of its parameters into one, so that an optimizer's update is a handful
of operations on one long array instead of a handful for each parameter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import numpy as np

from . import checks
from .backend import Array, Backend, on_its_device
from .checks import saved


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
