"""What a model consists of, and how it will be computed."""

from __future__ import annotations

from . import checks
from .backend import Array
from .kernels.in_precision import InPrecision
from .parameter import Layer
from .recurrent import Recurrent
from .scan import Planning, Splitting


def summary(model: Layer) -> int:
    """Print a table of the parameters of `model` by block, and return how many numbers they are."""
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
        print(line.rstrip())
    parts = " + ".join(f"{p.size:,}" for p in named.values())
    print(f"{parts or 0} = {total:,} parameters, {memory / 1024:,.1f} KiB")
    return total


def explain(rnn: Recurrent, x: Array = None) -> str:
    """Say which scan of `rnn` will run, why not a faster one, and what happens to `x`, if given.

    Args:
        rnn: a recurrent network.
        x: what it is to read, (T, D, N) numbers or (T, N) tokens.

    Raises:
        ValueError, TypeError: `x` is not what the network reads.
    """
    lines = [repr(rnn), f"{rnn.scan.name} scan: {rnn.scan_reason}"]
    if x is not None:
        x = checks.columns_or_tokens("x", x, ("T",), rnn.input_size, rnn.backend)
        if x.ndim == 2:
            lines.append("x holds tokens: columns of U are picked, and U x is not multiplied")
        elif x.dtype != rnn.dtype:
            lines.append(f"x is {x.dtype} and is cast to {rnn.dtype} first")
        W = rnn.named_parameters()["l0.W"].data
        scan = rnn.scan.scan if isinstance(rnn.scan, InPrecision) else rnn.scan
        if isinstance(scan, Planning):
            lines.append(scan.plan(x, W))
        if isinstance(scan, Splitting):
            columns = scan.split(x, W)
            if len(columns) > 1:
                sizes = " + ".join(str(own.stop - own.start) for own in columns)
                lines.append(f"{len(columns)} threads, with {sizes} sequences of the batch")
    return "\n".join(lines)
