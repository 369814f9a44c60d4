"""What a model consists of, and how it will be computed."""

from __future__ import annotations

from . import checks
from .backend import Array
from .layer import Layer
from .printing import printable
from .recurrent.network import Recurrent


def summary(model: Layer) -> int:
    """Print a table of the parameters of `model` by block, and return how many numbers they are.

    Raises:
        TypeError: `model` is no layer.
    """
    _check_layer(model)
    named = model.named_parameters()
    rows = [("parameter", "shape", "size", "blocks of rows")]
    for name, p in named.items():
        height = p.shape[0] // max(1, len(p.blocks))
        blocks = " ".join(p.blocks) + f" of {height}" if len(p.blocks) > 1 else ""
        rows.append((name, " × ".join(map(str, p.shape)), f"{p.size:,}", blocks))
    total = sum(p.size for p in named.values())
    memory = sum(p.size * p.dtype.itemsize for p in named.values())
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for name, shape, size, blocks in rows:
        line = f"{name:<{widths[0]}}  {shape:>{widths[1]}}  {size:>{widths[2]}}  {blocks}"
        print(printable(line.rstrip()))
    parts = " + ".join(f"{p.size:,}" for p in named.values())
    print(f"{parts or 0} = {total:,} parameters, {memory / 1024:,.1f} KiB")
    return total


def explain(model: Layer, x: Array = None, source: bool = False) -> str:
    """Say which scan will run, why not a faster one, and what happens to `x`, if given.

    Args:
        model: a recurrent network, or what is made of some: each is explained by its name.
        x: what `model` is to read, (T, D, N) numbers or (T, N) tokens; only if it is, or begins with, a
            recurrent network.
        source: add what was printed from the cell's class to be compiled, if it is, as Python or C++.

    Raises:
        TypeError: `model` is no layer, or `source` is neither True nor False.
        ValueError, TypeError: `x` is not what the network reads.
    """
    _check_layer(model)
    source = checks.truth("source", source)
    named = model.named_layers().items()
    networks = [(name, layer) for name, layer in named if isinstance(layer, Recurrent)]
    if not networks:
        return printable(f"{model!r} has no recurrent network, and so no scan")
    first = model
    while not isinstance(first, Recurrent) and first.children():
        first = next(iter(first.children().values()))
    if x is not None and not isinstance(first, Recurrent):
        raise ValueError(
            f"x: {type(model).__name__} begins with {first!r}, which has no scan; want None"
        )
    lines = []
    for name, rnn in networks:
        given = x if rnn is first else None
        lines += [f"{name}: {line}" if name else line for line in _explained(rnn, given)]
        if source:
            lines.append(rnn.scan.text or f"the {rnn.scan.name} scan runs the class as it stands")
    return printable("\n".join(lines))


def _check_layer(model: Layer) -> None:
    if not isinstance(model, Layer):
        raise TypeError(f"model: got {type(model).__name__}, want a network or a model")


def _explained(rnn: Recurrent, x: Array) -> list[str]:
    lines = [repr(rnn), f"{rnn.scan.name} scan: {rnn.scan_reason}"]
    if x is not None:
        x = checks.columns_or_tokens("x", x, ("T",), rnn.input_size, rnn.backend)
        if x.ndim == 2:
            lines.append("x holds tokens: columns of U are picked, and U x is not multiplied")
        elif x.dtype != rnn.dtype:
            lines.append(f"x is {x.dtype} and is cast to {rnn.dtype} first")
        P = rnn.named_parameters()
        W = P["l0.W"].data if "l0.W" in P else P["l0.U"].data[:0]
        if plan := rnn.scan.plan(x, W):
            lines.append(plan)
        columns = rnn.scan.split(x, W)
        if len(columns) > 1:
            sizes = " + ".join(str(own.stop - own.start) for own in columns)
            lines.append(f"{len(columns)} threads, with {sizes} sequences of the batch")
    return lines
