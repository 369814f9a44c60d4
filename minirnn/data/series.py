"""Series of numbers: rows in the order of time, one for each day, say.

The order of work matters. What is fitted (a scaler) is fitted to the earlier rows alone, after
`chronological_split`; fitted to all of them, it would tell the network how high the prices of the
future are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import to_host

Values: TypeAlias = np.ndarray[Any, Any]


def windows(features: Values, targets: Values, T: int, ahead: int = 1) -> tuple[Values, Values]:
    """Every T rows that follow one another, each with the target of the row `ahead` of its last.

    Args:
        features: (n, D), what is known of each row.
        targets: (n,) or (n, K), what is to be told of it.
        T: rows of a window, the steps of the network.
        ahead: 1 is the next row, a forecast; 0 is the window's own last row, an estimate.

    Returns:
        x (T, D, N) and the targets (N,) or (K, N), with N = n - T + 1 - ahead. Window k has the rows
        from k on; its target is that of row k + T - 1 + ahead. Both are copies.

    Raises:
        ValueError: there are fewer than T + ahead rows; features and targets differ in length.
        TypeError: `T` or `ahead` is not an integer; features that are not real numbers.
    """
    T, ahead = checks.whole_number("T", T), checks.whole_number("ahead", ahead, 0)
    features, targets = to_host(features, "features"), to_host(targets, "targets")
    checks.of_shape("features", features, ("n", "D"))
    if features.dtype.kind not in "fiub":
        raise TypeError(f"features: got {features.dtype}, want real numbers")
    if targets.ndim not in (1, 2) or len(targets) != len(features):
        n = len(features)
        raise ValueError(f"targets: got shape {targets.shape}, want ({n},) or ({n}, K)")
    least = T + ahead
    if len(features) < least:
        raise ValueError(
            f"features: got {len(features)} rows, want {least} or more for windows of {T} and a "
            f"target {ahead} ahead"
        )
    views = np.lib.stride_tricks.sliding_window_view(features, T, axis=0)  # (n - T + 1, D, T)
    x = views[: len(views) - ahead].transpose(2, 1, 0)
    return x.copy(), targets[least - 1 :].T.copy()


def chronological_split(
    rows: Values, share: float, overlap: int = 0, axis: int | None = None
) -> tuple[Values, Values]:
    """The earlier rows, and the later ones.

    Args:
        rows: (n,) or (n, D), in the order of time; or, with `axis`, any array.
        share: of the rows that go into the earlier part, rounded down, in (0, 1).
        overlap: the later part begins so many rows earlier, so that windows of `overlap` rows have
            their first target right after the cut.
        axis: where the rows are: None is the first axis of (n,) and (n, D). Of windows (T, D, N) and of
            their targets (K, N) it is -1, the last; without it, (K, N) is cut as if it were (n, D).

    Raises:
        ValueError: a part would be empty, or the earlier part is shorter than the overlap; three axes
            or more without `axis`.
        TypeError: `share` is not a number, `overlap` or `axis` not an integer; several arrays.
    """
    if isinstance(rows, tuple) and any(np.ndim(part) for part in rows):
        raise TypeError("rows: got a tuple of arrays, want one array; split each by itself")
    rows, overlap = to_host(rows, "rows"), checks.whole_number("overlap", overlap, 0)
    if axis is None:
        if rows.ndim not in (1, 2):
            raise ValueError(
                f"rows: got shape {rows.shape}, want (n,) or (n, D); of windows (T, D, N) want axis=-1"
            )
        axis = 0
    axis = checks.whole_number("axis", axis, -rows.ndim)
    if axis >= rows.ndim:
        raise ValueError(f"axis: got {axis}, want less than {rows.ndim}, the axes of rows")
    if checks.fraction("share", share) == 0:
        raise ValueError(f"share: got {share}, want a number in (0, 1)")
    n = rows.shape[axis]
    cut = int(n * np.nextafter(share, 1))  # 0.29 of 100 is 29, not 28.999999999999996
    least = max(1, overlap)
    if not least <= cut < n:
        raise ValueError(
            f"rows: got {n}, of which {share:g} are {cut}, "
            f"want {least} or more before the cut and 1 or more after it"
        )
    before = (slice(None),) * (axis % rows.ndim)
    return rows[*before, :cut], rows[*before, cut - overlap :]


@dataclass(frozen=True)
class MinMaxScaler:
    """Columns scaled so that the rows they were fitted to lie in [0, 1]; other rows may lie beyond.

        scaler = MinMaxScaler.fit(train)
        scaler.inverse(scaler.transform(test))  # test again, to rounding

    Attributes:
        low: (D,), the least of each column, or a scalar for rows of shape (n,).
        span: the difference of the greatest and the least; 1 for a column that is constant, which
            becomes 0.

    Raises:
        ValueError: `low` or `span` is not finite, or a span is 0.
        TypeError: `low` or `span` is not real numbers.
    """

    low: Values
    span: Values

    def __post_init__(self) -> None:
        for name in ("low", "span"):
            value = checks.an_array(name, getattr(self, name))[()]
            if value.dtype.kind == "c":
                raise TypeError(f"{name}: got {value.dtype}, want real numbers")
            if not np.isfinite(value).all() or not (name == "low" or value.all()):
                raise ValueError(
                    f"{name}: got {checks.shown(value)}, want finite numbers, and no span of 0"
                )
            object.__setattr__(self, name, value)

    @classmethod
    def fit(cls, rows: Values) -> MinMaxScaler:
        """Take the least and the greatest of each column of rows (n, D) or (n,).

        Raises:
            ValueError: no rows; NaN or infinity among them.
            TypeError: what is not real numbers.
        """
        rows = checks.real_numbers("rows", to_host(rows, "rows"), np.dtype(float))
        if rows.ndim not in (1, 2) or not len(rows):
            raise ValueError(f"rows: got shape {rows.shape}, want (n, D) or (n,), n of 1 or more")
        checks.finite("rows", rows)
        low = rows.min(axis=0)
        span = rows.max(axis=0) - low
        return cls(low, np.where(span > 0, span, 1.0))

    def transform(self, rows: Values) -> Values:
        """(rows - low) / span, for rows (n, D) or (n,) as they were fitted.

        Raises:
            ValueError: `rows` has other columns than those that were fitted.
            TypeError: what is not numbers.
        """
        return (self._columns(rows) - self.low) / self.span

    def inverse(self, rows: Values) -> Values:
        """rows · span + low, for rows (n, D) or (n,) as they were fitted: back to dollars.

        Raises:
            ValueError: `rows` has other columns than those that were fitted.
            TypeError: what is not numbers.
        """
        return self._columns(rows) * self.span + self.low

    def _columns(self, rows: Values) -> Values:
        rows = checks.an_array("rows", to_host(rows, "rows"))
        if self.low.shape and (rows.shape[-1:] != self.low.shape or rows.ndim > 2):
            raise ValueError(f"rows: got shape {rows.shape}, want (n, {len(self.low)}) as fitted")
        return rows
