"""Scans are paired into directions and stacked into layers: the way there, and the way back.

What is computed, and nothing of how it is asked for: ``network.py`` checks the arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, Backend, Draws, State, array_module
from ..cells import Arrays, Cell
from ..kernels.choice import choose
from ..layer import Layer
from ..layers.dropout import dropout_mask
from ..parameter import Parameter
from ..scan import Saved, Scan
from .cache import Cache, Direction


class Stack(Layer):
    """Layers of one or two directions each, all of one cell and size. `Recurrent` makes it."""

    cell: Cell
    hidden_size: int
    num_layers: int
    bidirectional: bool
    dropout: float  # between layers
    layers: list[tuple[Direction, ...]]
    backend: Backend
    precision: str | None
    _wanted_scan: str
    _parameters: dict[str, Parameter]
    _by_letter: dict[str, dict[str, Parameter]]  # of each direction
    _absent: dict[str, Array]  # biases left out, as zeros

    def _choose_scan(self, dtype: Any) -> None:
        self.scan, self.scan_reason = choose(
            self.cell, self.backend, self._wanted_scan, dtype, self.hidden_size, self.precision
        )

    def __getstate__(self) -> dict[str, Any]:
        chosen = ("scan", "scan_reason")  # anew where it arrives, as on another machine
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in chosen}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)  # a pickled array of CuPy comes back on the current device
        self._absent = {letter: self.backend.put(zeros) for letter, zeros in self._absent.items()}
        self._choose_scan(self.dtype)

    @property
    def num_directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Rows of each ``ys[t]``, H·directions."""
        return self.hidden_size * self.num_directions

    @property
    def dtype(self) -> Any:
        """What is computed in: the parameters' dtype, or one for all if some are replaced by others."""
        dtypes = (p.data.dtype for p in self._parameters.values())
        return np.result_type(*dtypes) if Parameter.replaced else next(dtypes)

    def _forward(
        self,
        scan: Scan,
        x: Array,
        starts: list[State],
        real: Array | None,
        random: Draws,
        want_cache: bool,
    ) -> tuple[Array, State, Any]:
        xp, T, N = self.backend.xp, x.shape[0], x.shape[-1]
        versions = self._versions()  # now, so that a step of another thread's meanwhile is seen
        scans: list[tuple[Direction, Saved]] = []
        dropped: list[Array | None] = []
        finals: list[State] = []
        for layer in self.layers:
            outputs = []
            for d in layer:
                ys, final, saved = scan.forward(
                    self.cell,
                    self._arrays(d),
                    d.in_order(x),
                    starts[d.place],
                    None if real is None else d.in_order(real),
                )
                outputs.append(d.in_order(ys))
                finals.append(final)
                if want_cache:
                    scans.append((d, saved))
                del saved  # before the next scan makes its own
            x = outputs[0] if len(outputs) == 1 else xp.concatenate(outputs, axis=1)
            mask = None
            if random is not None and self.dropout and layer is not self.layers[-1]:
                mask = dropout_mask(random, self.dropout, x)
                x *= mask
            dropped.append(mask)
        new_state = joined(finals)
        if not want_cache:
            return x, new_state, None
        letters = tuple(dict.fromkeys((*self.cell.states, *self.cell.gates)))
        versions = self._stamped(versions)
        return x, new_state, Cache(self, versions, letters, scan, scans, dropped, real, T, N)

    def _backward(
        self, cache: Cache, dys: Array | None, dstate: State, want_dx: bool
    ) -> tuple[Array | None, State]:
        """See `backward`. The final state's gradient in `dstate` becomes the initial one's."""
        scans, dropped = list(cache.scans), list(cache.dropped)
        for layer in reversed(self.layers):
            mask = dropped.pop()
            if mask is not None:
                dys = dys * mask
            dx: Array | None = None
            for _ in layer:
                d, saved = scans.pop()
                own = tuple([part[d.place] for part in dstate])
                dy = dys if dys is None or len(layer) == 1 else dys[:, d.rows]
                dx_d, initial, dP = cache.scan.backward(
                    saved,
                    None if dy is None else d.in_order(dy),
                    own,
                    want_dx or layer is not self.layers[0],
                )
                for part, value in zip(own, initial, strict=True):
                    if value is not part:
                        part[...] = value
                with Parameter.changing:
                    self._check_unchanged(cache)
                    for letter, p in self._by_letter[d.name].items():
                        p.grad += dP[letter]
                if dx_d is not None:
                    dx_d = d.in_order(dx_d)
                    dx = dx_d if dx is None else dx + dx_d
            dys = dx  # the input of this layer is the output of the one below
        return dys, dstate

    def _step(self, x: Any, state: State) -> State:
        """One step of all layers; x (D, N) or tokens as `OneHotColumns`."""
        layers = [self._arrays(d) for (d,) in self.layers]
        at_once = self.scan.step_all(self.cell, layers, x, state)
        if at_once is not None:
            return at_once
        new = []
        for P, old in zip(layers, zip(*state, strict=True), strict=True):
            new.append(self.scan.step(self.cell, P, x, old))
            x = new[-1][0]
        return joined(new)

    def _arrays(self, d: Direction) -> Arrays:
        """The parameters of one scan by letter, as they are now."""
        own = {letter: p.data for letter, p in self._by_letter[d.name].items()}
        if Parameter.replaced:
            own = {letter: value.astype(self.dtype) for letter, value in own.items()}
        return own | self._absent if self._absent else own

    def _zeros(self, N: int) -> State:
        """A state, or a state's gradient, of zeros, to be written to."""
        shape = (len(self.cell.states), *self._state_shape(N))
        return tuple(self.backend.xp.zeros(shape, self.dtype))

    def _starts(self, state: State | None, N: int) -> list[State]:
        """The state that each scan starts from, parts (H, N); without one, all are the same zeros."""
        if state is not None:
            return list(zip(*state, strict=True))
        zeros = self.backend.xp.zeros((self.hidden_size, N), self.dtype)
        return [(zeros,) * len(self.cell.states)] * (self.num_layers * self.num_directions)

    def _state_shape(self, N: Any) -> tuple[Any, ...]:
        return (self.num_layers * self.num_directions, self.hidden_size, N)


def joined(states: list[State]) -> State:
    """The states of several scans, with parts (H, N), as one with parts (scans, H, N)."""
    like = states[0][0]
    xp, shape, dtype = array_module(like), (len(states), *like.shape), like.dtype
    if xp is np and len(states) == 1:  # as in each single step: the way that starts soonest
        return tuple([part.reshape(shape).copy() for part in states[0]])
    # (`stack` would be the word, and takes several times as long to start)
    whole = []
    for parts in zip(*states, strict=True):
        whole.append(to := xp.empty(shape, dtype))
        for k, part in enumerate(parts):
            to[k] = part
    return tuple(whole)
