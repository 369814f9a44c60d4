"""A model: layers by name, one after the other, whose parameters lie side by side in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import checks
from .backend import Array, Backend, Draws, State, backend_of
from .layer import Layer, named_children
from .layers import Dropout, chain
from .parameter import Parameter, Storage

NAMES = ("_layers", "_parameters", "_links", "_steps", "_state_names")  # that every model has


class ModelCache(NamedTuple):
    """What `Model.forward` leaves for backward: each layer's cache, by its name, as in ``cache.rnn``."""

    owner: Model
    versions: tuple[int, ...]  # of the owner's parameters
    links: tuple[chain.Link, ...]  # the layers in the order in which they were run
    caches: list[Any]  # of each
    shape: tuple[int, ...]  # of the output
    dtype: Any
    backend: Backend

    def __getattr__(self, name: str) -> Any:
        for link, kept in zip(self.links, self.caches, strict=True):
            if link.name == name:
                return kept
        raise AttributeError(
            f"cache.{name}: there are {', '.join(link.name for link in self.links)}"
        )

    def __repr__(self) -> str:
        return f"ModelCache({', '.join(link.name for link in self.links)})"


class Model(Layer):
    """Layers by name: ``Model(rnn=rnn, out=out)`` has ``model.rnn``, ``model.out``.

    `forward` runs them one after the other, in the order in which they are given, and `backward` goes
    back through them from last to first. They can as well be called one by one, and wired otherwise.

    Its parameters are named ``rnn.l0.U``, ``out.V``; one that two layers share is listed once, under
    the name it has first. All of one dtype and device are moved into one array, of which each ``.data``
    is a view, so that an optimizer updates them with a handful of operations. A model may hold models.
    A layer belongs to the model it was put into last, and its parameters have the names they have there.

    Raises:
        TypeError: something is not a layer.
        ValueError: a name is taken by a method of the model.
    """

    def __init__(self, **layers: Layer) -> None:
        for name, layer in layers.items():
            if not isinstance(layer, Layer):
                raise TypeError(f"{name}: got {type(layer).__name__}, want a layer or a network")
            if hasattr(Model, name) or name in NAMES:
                raise ValueError(
                    f"{name}: a layer cannot have this name, which a model needs itself"
                )
        self._layers: dict[str, Layer]
        self._parameters: list[Parameter]
        self._links: tuple[chain.Link, ...]
        self._steps: list[chain.Link]  # those that do something in a single step
        self._state_names: tuple[str, ...]
        self.__dict__["_layers"] = layers
        self.__dict__["_parameters"] = [*self.named_parameters().values()]
        groups: dict[tuple[str, str], list[Parameter]] = {}
        for name, p in self.named_parameters().items():
            p.name = name
            groups.setdefault((p.dtype.str, p.backend.name), []).append(p)
        for group in groups.values():
            storage = Storage(sum(p.size for p in group), group[0].dtype, group[0].backend)
            start = 0
            for p in group:
                value, gradient = p.data, p.grad
                p.place(storage, start, value)
                p.grad = gradient
                start = p.stop
        self._run_in_order(layers.items())

    def __getattr__(self, name: str) -> Layer:
        layers: dict[str, Layer] = self.__dict__.get("_layers", {})
        if name not in layers:
            raise AttributeError(f"model.{name}: there are {', '.join(layers) or 'no layers'}")
        return layers[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"model.{name}: a model's layers are given when it is made, as in Model(rnn=..., out=...)"
        )

    def __repr__(self) -> str:
        return f"Model({', '.join(f'{name}={layer!r}' for name, layer in self._layers.items())})"

    def children(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return self._layers

    def named_parameters(self) -> dict[str, Parameter]:
        """Those of the layers, each prefixed with its layer's name.

        Raises:
            ValueError: two of one name.
        """
        return named_children(self._layers)

    def parameters(self) -> list[Parameter]:
        """Each parameter once, in a fixed order."""
        return [*self._parameters]

    def _run_in_order(self, layers: Iterable[tuple[str, Layer]]) -> None:
        """Have `forward` run these layers of the model, each under this name."""
        own, links = self.__dict__, chain.links(layers)
        own["_links"] = links
        own["_steps"] = [link for link in links if not isinstance(link.layer, Dropout)]
        names = (f"{link.name}.{part}" for link in links for part in link.layer.state_names)
        own["_state_names"] = tuple(names)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the parts of a state, one layer's after the other's, such as ``"rnn.h"``."""
        return self._state_names

    def forward(
        self,
        x: Array,
        state: State | None = None,
        lengths: Any = None,
        dropout_rng: Draws = None,
        *,
        want_cache: bool = True,
    ) -> tuple[Array, State, Any]:
        """Run the layers one after the other, each over whole sequences.

        Args:
            x: what the first layer takes: (T, D, N) numbers or (T, N) tokens.
            state: of the recurrent layers, as returned by an earlier call; None is zeros.
            lengths: for all recurrent layers: (N,) integers from 0 to T. Beyond its length a sequence's
                output is what the last layer makes of zeros, such as the bias b of a `Linear`: give it
                a weight of 0 in the loss.
            dropout_rng: a generator, for all layers that drop out; None drops nothing.
            want_cache: False keeps nothing for `backward`.

        Returns:
            The last layer's output, (T, K, N); the recurrent layers' states, one after the other in one
            flat tuple: with one network, that of the network; the cache, None if it is not wanted, in
            which each layer's has the layer's name.

        Raises:
            ValueError, TypeError: an argument does not fit; the message begins with the layer's name.
        """
        links, random = self._chain("forward"), checks.dropout_rng(dropout_rng)
        want_cache = checks.truth("want_cache", want_cache)
        if state is not None:
            state = checks.state_parts("state", state, self._state_names)
        options = {"lengths": lengths, "dropout_rng": random, "want_cache": want_cache}
        y, new, caches = chain.there(links, x, state, **options)
        if not want_cache:
            return y, new, None
        where = y.shape, y.dtype, backend_of(y)
        versions = self._stamped(self._versions())
        return y, new, ModelCache(self, versions, links, caches, *where)

    def backward(
        self,
        cache: Any,
        dys: Array | None = None,
        dstate: State | None = None,
        *,
        want_dx: bool = True,
    ) -> tuple[Array | None, State]:
        """Go back through the layers from last to first: add to every parameter's ``.grad``.

        Args:
            cache: from `forward`, with the parameters as they were then. It can be used again.
            dys: gradient of the loss with respect to the output, in its shape, (T, K, N); None is zero.
            dstate: the same for the states in the end; None, or an entry None, is zero.
            want_dx: False leaves the gradient of `x` out, and saves its time, where `x` is data.

        Returns:
            The gradients with respect to `x`, None for tokens or if it is not wanted, and to the states
            in the beginning.

        Raises:
            ValueError: nothing but None was given; a shape does not fit; the cache is another model's,
                or older than the parameters.
            TypeError: `cache` is not what a forward returned; gradients that are not real numbers.
        """
        self._check_cache(cache, ModelCache)
        want_dx = checks.truth("want_dx", want_dx)
        if dstate is not None:
            dstate = checks.state_parts("dstate", dstate, self.state_names)
        if dys is None:
            if all(part is None for part in dstate or ()):
                raise ValueError("dys, dstate: got None for all, want a gradient for at least one")
            with cache.backend.active():
                dys = cache.backend.xp.zeros(cache.shape, cache.dtype)
        back = chain.back(cache.links, cache.caches, dys, dstate, want_dx)
        self._went_back(cache)
        return back

    def step(self, x_t: Array, state: State | None = None) -> tuple[Array, State]:
        """Run one step and keep nothing for `backward`: for sampling and streaming.

        Args:
            x_t: what the first layer takes of one step, (D, N) numbers or (N,) tokens.
            state: as returned by the last step or by `forward`; None is zeros.

        Returns:
            The last layer's output, (K, N), and the state.

        Raises:
            ValueError, TypeError: as `forward`; a recurrent layer reads in both directions.
        """
        self._chain("step")
        if state is not None:
            state = checks.state_parts("state", state, self._state_names)
        return chain.step(self._steps, x_t, state)

    def _chain(self, method: str) -> tuple[chain.Link, ...]:
        """What is run, if there is anything."""
        if not self._links:
            raise ValueError(f"{method}: the model has no layers, want at least one")
        return self._links
