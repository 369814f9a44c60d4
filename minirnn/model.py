"""A model: a name space of layers whose parameters lie side by side in memory."""

from __future__ import annotations

from .parameter import Layer, Parameter, Storage, named_children


class Model(Layer):
    """Layers by name: ``Model(rnn=rnn, out=out)`` has ``model.rnn``, ``model.out``.

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
            if hasattr(Layer, name) or name == "_layers":
                raise ValueError(
                    f"{name}: a layer cannot have this name, which a model needs itself"
                )
        self._layers: dict[str, Layer]
        self.__dict__["_layers"] = layers
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

    def named_parameters(self) -> dict[str, Parameter]:
        """Those of the layers, each prefixed with its layer's name.

        Raises:
            ValueError: two of one name.
        """
        return named_children(self._layers)
