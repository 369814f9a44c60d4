"""What a shape that does not fit tells of the layout of the data, as words for the end of a message.

Each returns "" where it tells nothing. Where a wrong layout happens to fit, nobody can know.
"""

from __future__ import annotations

from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]


def of_input(name: str, shape: Shape, D: int) -> str:
    """Of `x`, or one step of it, whose features D are in the last axis, as elsewhere."""
    if shape[-1:] != (D,) or shape[-2:-1] == (D,):
        return ""
    if len(shape) == 3:
        return (
            f"; if this is (N, T, {D}), hand over minirnn.data.time_first({name}), "
            f"and if (T, N, {D}), {name}.transpose(0, 2, 1)"
        )
    return f"; if this is (N, {D}), hand over {name}.T" if len(shape) == 2 else ""


def of_targets(name: str, shape: Shape, scores: Shape) -> str:
    """Of targets that are not (T, N) for scores (T, K, N), or not (N,) for (K, N)."""
    *T, _, N = scores
    if shape == scores:
        return f"; if these are one-hot, hand over {name}.argmax(axis=-2)"
    if shape == scores[:-1]:
        if T:
            return "; if scores are (N, T, K), hand over minirnn.data.time_first(scores)"
        return "; if scores are (N, K), hand over scores.T"
    if T and shape == (N, *T):
        return f"; if these are (N, T), hand over {name}.T"
    return _of_batch(shape, scores)


def of_target(name: str, shape: Shape, pred: Shape) -> str:
    """Of a target that is to have the shape of a prediction (T, K, N) or (K, N)."""
    if len(shape) == len(pred) == 2 and shape == pred[::-1]:
        return f"; if this is (N, K), hand over {name}.T"
    if len(shape) == len(pred) == 3 and shape == (pred[2], *pred[:2]):
        return f"; if this is (N, T, K), hand over minirnn.data.time_first({name})"
    if len(pred) > 1 and pred[-2] == 1 and shape == (*pred[:-2], pred[-1]):
        return f"; hand over {name}[..., None, :], of one row"
    return _of_batch(shape, pred)


def of_weights(shape: Shape, scores: Shape) -> str:
    """Of weights that are not one for each target."""
    by_class = len(scores) > 1 and shape == scores[-2:-1]
    return "; if these are by class, hand over weights[targets]" if by_class else ""


def _of_batch(shape: Shape, scores: Shape) -> str:
    """Of something for other sequences than there are scores for."""
    if shape[-1:] == scores[-1:] or not shape:
        return ""
    return (
        "; the last axis is the sequences: if x was (N, T, D), hand over minirnn.data.time_first(x)"
    )
