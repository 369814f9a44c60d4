"""Values that take the place of parameters or of an optimizer's state: each has to fit what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import checks
from ..backend import Array, array_module, to_host


def castable(name: str, value: Any, like: Any) -> Array:
    """Return `value` as an array if it has the shape of `like` and can be cast to its dtype.

    Raises:
        ValueError: another shape.
        TypeError: complex numbers for real ones, text for numbers.
    """
    on_host = array_module(value) is np
    array = checks.of_shape(name, to_host(value, name) if on_host else value, like.shape)
    if not np.can_cast(array.dtype, like.dtype, "same_kind"):
        raise TypeError(f"{name}: got {array.dtype}, want {np.dtype(like.dtype)}")
    if on_host and array.dtype != like.dtype:
        with np.errstate(over="ignore"):
            lost = np.isinf(array.astype(like.dtype)) & np.isfinite(array)
        if lost.any():
            raise ValueError(f"{name}: got {array[lost][0]}, which {like.dtype} cannot hold")
    return array


class Unmatched(NamedTuple):
    """What `load_state_dict` has not used: parameters without a value, values without a parameter."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def saved_values(name: str, values: Any, own: Mapping[str, Any], strict: bool = True) -> Unmatched:
    """Raise an error unless `values` are finite, and fit for what is there under their names.

    If `strict`, they have to have just the names of `own`. Returns what only one of them has.
    """
    checks.mapping(name, values)
    missing = sorted(own.keys() - values.keys())
    unknown = sorted(values.keys() - own.keys(), key=str)
    if checks.truth("strict", strict) and (missing or unknown):
        raise ValueError(f"{name}: missing {missing}, unknown {unknown}")
    for key in own.keys() & values.keys():
        array = castable(f"{name}[{key!r}]", values[key], own[key])
        if array_module(array) is np:  # (a device would have to be waited for)
            checks.finite(f"{name}[{key!r}]", array)
    return Unmatched(missing, unknown)
