"""Recurrent networks of any cell: layers, directions, dropout, lengths, state in and state out.

The maths of one step is in ``cells.py``, the loop over time in ``scan.py`` and ``kernels/``, and scans
become directions and layers in ``stack.py``. Here a network is made, and what it is given is checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..backend import Array, Draws, Rng, State, generator, get_backend, on_its_device
from ..cells import Cell
from ..init import check_scheme, draw, is_bias
from ..parameter import Parameter
from ..tokens import OneHotColumns
from .cache import Cache, directions
from .recompute import recomputed
from .stack import Stack
from .trial import try_cell


class Recurrent(Stack):
    """Layers of any cell; `RNN`, `LSTM` and `GRU` are this with a cell of ours.

    Args:
        cell: the equations (see ``minirnn/cells.py``).
        input_size: D, rows of each ``x[t]``, or the size of the vocabulary for tokens.
        hidden_size: H, units of each layer in each direction.
        num_layers: layers on top of each other.
        bidirectional: a second scan per layer, from the end of each sequence to its start.
        dropout: share of a layer's outputs set to zero on their way to the next layer, in [0, 1).
        bias: False leaves every bias out, as in h' = tanh(U x + W h).
        dtype: ``"float32"`` or ``"float64"``.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        rng: None (fresh), an integer seed or a ``numpy.random.Generator``, for the initial values.
        init: ``"uniform"`` within ±1/√H (as in PyTorch), ``"glorot"`` or ``"orthogonal"``.
        precision: of products: None for that of `dtype`, or ``"tf32"``, for float32 on a CUDA device:
            its tensor cores round what is multiplied to 10 bits behind the point, and add in float32.
        scan: ``"auto"`` (the fastest), ``"generic"``, ``"numpy"``, ``"numba"`` or, on CUDA, ``"fused"``
            or ``"persistent"``; see `explain`.

    Parameters are named ``l0.U`` (G·H, D), ``l0.W`` (G·H, H), ``l0.b`` (G·H, 1), ``l0.reverse.U``,
    ``l1.U`` (G·H, H·directions) and so on; GRU has ``l0.bw`` (H, 1) too.

    Raises:
        ValueError, TypeError: an argument is out of range, unknown or of the wrong kind.
        RuntimeError: `device` is a CUDA device that cannot be used.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: Any = "float32",
        device: str = "cpu",
        rng: Rng = None,
        *,
        init: str = "uniform",
        scan: str = "auto",
        precision: str | None = None,
    ) -> None:
        if isinstance(cell, type):
            name = cell.__name__
            raise TypeError(f"cell: got the class {name}, want an object of it: {name}()")
        if not hasattr(cell, "shapes"):
            got = checks.shown(cell)
            raise TypeError(f"cell: got {got}, want the equations of one, such as LSTMCell()")
        self.cell = cell
        self.input_size = checks.whole_number("input_size", input_size)
        self.hidden_size = H = checks.whole_number("hidden_size", hidden_size)
        self.num_layers = checks.whole_number("num_layers", num_layers)
        self.bidirectional = checks.truth("bidirectional", bidirectional)
        bias = checks.truth("bias", bias)
        self.dropout = checks.fraction("dropout", dropout)
        if self.dropout and self.num_layers == 1:
            raise ValueError(
                f"dropout: got {dropout} with num_layers=1, where it would do nothing: "
                "it acts between layers; want 0, or two layers or more"
            )
        self.layers = [directions(layer, H, self.bidirectional) for layer in range(self.num_layers)]
        self.backend = get_backend(device)
        check_scheme(init)
        dtype, random = checks.float_dtype(dtype), generator(rng)
        self.precision = self.backend.check_precision(precision, dtype)
        try_cell(cell, H, dtype)
        self._wanted_scan = scan
        self._choose_scan(dtype)
        self._parameters: dict[str, Parameter] = {}
        self._by_letter: dict[str, dict[str, Parameter]] = {}  # of each direction
        self._absent: dict[str, Array] = {}  # biases left out, as zeros
        for d in (d for layer in self.layers for d in layer):
            D = self.input_size if d in self.layers[0] else self.output_size
            own = self._by_letter[d.name] = {}
            for letter, shape in cell.shapes(D, H).items():
                if is_bias(letter) and not bias:
                    self._absent[letter] = self.backend.put(np.zeros(shape, dtype))
                    continue
                blocks = cell.gates if shape[0] == len(cell.gates) * H else ()
                value = draw(init, random, letter, shape, H**-0.5, max(1, len(blocks)))
                name = f"{d.name}.{letter}"
                own[letter] = Parameter(name, value.astype(dtype), self.backend, blocks)
                self._parameters[name] = own[letter]

    def __repr__(self) -> str:
        return (
            f"{self.cell.name}: {self.input_size} -> {self.hidden_size}, {self.num_layers} layer(s), "
            f"{self.num_directions} direction(s), {self.dtype}"
            f"{', products in TF32' if self.precision else ''}, {self.backend.name}"
        )

    @property
    def state_names(self) -> tuple[str, ...]:
        """``("h",)`` or ``("h", "c")``, as the cell has them."""
        return self.cell.states

    def named_parameters(self) -> dict[str, Parameter]:
        """``l0.U``, ``l0.W``, ``l0.b``, ``l0.reverse.U``, …, ``l1.U``, …"""
        return dict(self._parameters)

    @on_its_device
    def forward(
        self,
        x: Array,
        state: State | None = None,
        lengths: Any = None,
        dropout_rng: Draws = None,
        *,
        want_cache: bool = True,
        check_finite: bool = False,
        recompute_every: int | str | None = None,
    ) -> tuple[Array, State, Any]:
        """Run over whole sequences.

        Args:
            x: (T, D, N) numbers, or (T, N) integer tokens, each standing for a one-hot column.
            state: as returned by an earlier call, each part (layers·directions, H, N); None is zeros.
            lengths: (N,) integers from 0 to T, in any order: how much of each sequence is real.
            dropout_rng: a generator: drops out between layers if given, and not otherwise. A seed is
                refused, as it would give the same masks at every call.
            want_cache: False keeps nothing for `backward`, where there is nothing to be learned: of
                what each scan saves, no more is in memory than that of one at a time.
            check_finite: look for NaN and infinity in `x` and `state` first (and, on a device, for
                tokens out of range, which on the host are always looked for).
            recompute_every: for long sequences: keep the state every so many steps, or every √T with
                ``"sqrt"``, and compute the gates again in `backward`, which costs a second pass forward.
                An `x` of numbers is then not copied: leave it as it is until `backward`.

        Returns:
            ``ys`` (T, H·directions, N), the top layer's h, zero beyond each length; the final
            ``state``; and the ``cache`` for `backward`, None if it is not wanted. All are the caller's
            to keep.

        Raises:
            ValueError, TypeError: an argument does not fit; nothing has been computed.
        """
        x = checks.columns_or_tokens("x", x, ("T",), self.input_size, self.backend)
        T, N = x.shape[0], x.shape[-1]
        real = checks.real_steps(lengths, T, N, self.backend)
        if x.ndim == 2:
            # A copy: theirs may be reused, and what has been looked at must stay what it is
            x = checks.tokens("x", x.copy(), self.input_size, real, check_finite)
        else:
            x = checks.real_numbers("x", x, self.dtype, real)
        state = None if state is None else self._check_state("state", state, N)
        if checks.truth("check_finite", check_finite):
            if x.ndim == 3:
                checks.finite("x", x, real)
            for part in state or ():
                checks.finite("state", part)
        scan, random = recomputed(self.scan, recompute_every, T), checks.dropout_rng(dropout_rng)
        want_cache = checks.truth("want_cache", want_cache)
        return self._forward(scan, x, self._starts(state, N), real, random, want_cache)

    @on_its_device
    def backward(
        self,
        cache: Cache,
        dys: Array | None = None,
        dstate: State | None = None,
        *,
        want_dx: bool = True,
    ) -> tuple[Array | None, State]:
        """Back-propagate through time: add to every parameter's ``.grad``.

        Args:
            cache: from `forward`, with the parameters as they were then. It can be used again.
            dys: gradient of the loss with respect to ``ys`` (T, H·directions, N); None is zero.
            dstate: the same for the final state; None, or an entry None, is zero.
            want_dx: False leaves the gradient of `x` out, and saves its time, where `x` is data.

        Returns:
            The gradients with respect to ``x`` (T, D, N), None for tokens or if it is not wanted, and to
            the initial state.

        Raises:
            ValueError: nothing but None was given; a shape does not fit; the cache is another
                network's, or older than the parameters.
            TypeError: `cache` is not what a forward returned; gradients that are not real numbers.
        """
        self._check_cache(cache, Cache)
        want_dx = checks.truth("want_dx", want_dx)
        final = self._final(dstate, cache.N)
        if dys is None and (dstate is None or all(part is None for part in dstate)):
            raise ValueError("dys, dstate: got None for all, want a gradient for at least one")
        if dys is not None:
            dys = checks.on_device("dys", dys, self.backend)
            dys = checks.of_shape("dys", dys, (cache.T, self.output_size, cache.N))
            dys = checks.real_numbers("dys", dys, self.dtype, cache.real)
        self._went_back(cache)
        return self._backward(cache, dys, final, want_dx)

    @on_its_device
    def step(self, x_t: Array, state: State | None = None) -> tuple[Array, State]:
        """Run one step and keep nothing for `backward`: for sampling and streaming.

        Args:
            x_t: (D, N) numbers, or (N,) integer tokens.
            state: as returned by the last step or by `forward`; None is zeros.

        Returns:
            The top layer's h (H, N), and the state.

        Raises:
            ValueError: the network is bidirectional, and the last step would have to come first; a
                shape does not fit.
            TypeError: an argument is of the wrong kind.
        """
        if self.bidirectional:
            raise ValueError(
                "step: a bidirectional network must see the whole sequence: use forward"
            )
        x_t = checks.columns_or_tokens("x_t", x_t, (), self.input_size, self.backend)
        if x_t.ndim == 1:
            x_t = checks.tokens("x_t", x_t.copy(), self.input_size, None, look=False)
            x_t = OneHotColumns(x_t, self.input_size)
        else:
            x_t = checks.real_numbers("x_t", x_t, self.dtype)
        N = x_t.shape[-1]
        state = self._zeros(N) if state is None else self._check_state("state", state, N)
        new = self._step(x_t, state)
        return new[0][-1].copy(), new

    @on_its_device
    def last(self, state: State) -> Array:
        """The top layer's final h in `state`, both directions on top of one another: (H·directions, N).

        Raises:
            ValueError, TypeError: `state` is not one of this network.
        """
        h = checks.state_parts("state", state, self.cell.states)[0]
        h = checks.numbers("state h", h, self._state_shape("N"), self.dtype, self.backend)
        return h[-self.num_directions :].reshape(self.output_size, h.shape[-1]).copy()

    @on_its_device
    def last_backward(self, dh: Array) -> State:
        """The `dstate` for `backward` that belongs to `dh`, a gradient of `last`, (H·directions, N).

        Raises:
            ValueError, TypeError: `dh` has another shape, or does not hold real numbers.
        """
        dh = checks.numbers("dh", dh, (self.output_size, "N"), self.dtype, self.backend)
        dstate = self._zeros(dh.shape[-1])
        dstate[0][-self.num_directions :] = dh.reshape(self.num_directions, self.hidden_size, -1)
        return dstate

    def _final(self, dstate: State | None, N: int) -> State:
        """The gradient of the final state, to be written to; what is None is zero."""
        final = self._zeros(N)
        if dstate is None:
            return final
        parts = zip(checks.state_parts("dstate", dstate, self.cell.states), final, strict=True)
        given = tuple(zero if part is None else part for part, zero in parts)
        return tuple(part.copy() for part in self._check_state("dstate", given, N))

    def _check_state(self, name: str, value: State, N: int) -> State:
        """The parts of `value`, checked and cast."""
        letters, shape, dtype = self.cell.states, self._state_shape(N), self.dtype
        parts = zip(letters, checks.state_parts(name, value, letters), strict=True)
        return tuple(
            [checks.numbers(f"{name} {s}", part, shape, dtype, self.backend) for s, part in parts]
        )
