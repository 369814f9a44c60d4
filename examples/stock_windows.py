"""From days to the windows of `stock.py`: where the honest protocol and those of the tutorials differ.

A window is T days that follow one another, and is to lead to the close of the day after. What the
training windows hold must not depend on any later day, or else they tell how the story ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from prices import Prices
from stock_report import Values

from minirnn.data import MinMaxScaler, chronological_split, windows

FEATURES = ("open", "high", "low", "volume", "close")
LEAST = 32  # windows to train on, and to test on
LEAST_MOVES = 16  # test days on which the price is another than the day before
PROTOCOLS = {
    "honest": "scales by the extremes of the training days alone",
    "slides": "looks into the future: it scales the test days by their own extremes",
    "slides-whole": "looks into the future: it scales all days by the extremes of all",
}


class Series(NamedTuple):
    """What is known of each day, oldest first."""

    name: str  # of the share, or of the file
    features: Values  # (n, D)
    target: Values  # (n,): the close, or the logarithm of how it changed since the day before
    close: Values  # (n,), in dollars
    days: Values  # (n,): dates, or numbers from 1 on if there are none
    relative: bool  # the target is a change


class Part(NamedTuple):
    """The windows of the training days or of the test days, and what they lead to."""

    x: Values  # (T, D, N), scaled
    y: Values  # (1, N), scaled
    today: Values  # (N,): the close of the window's last day, in dollars
    close: Values  # (N,): the close of the next day, which is to be predicted, in dollars
    scaler: MinMaxScaler  # of y
    relative: bool  # y is a change


def arrange(stock: Prices, target: str) -> Series:
    """Put the columns side by side: as they are, or as their changes from one day to the next.

    Raises:
        ValueError: there is no column close; a price or volume of 0 has no logarithm.
    """
    names = [name for name in FEATURES if name in stock.columns or name == "close"]
    features = stock.table(*names)
    close = features[:, -1]
    days = np.array(stock.dates, "M8[D]") if stock.dates else np.arange(1, len(close) + 1)
    if target == "price":
        return Series(stock.name, features, close, close, days, relative=False)
    if (features <= 0).any():
        day, column = np.argwhere(features <= 0)[0]
        got = f"{names[column]} {features[day, column]:g} on day {days[day]}"
        raise ValueError(f"{stock.name}: got {got}, want more than 0 for --target return")
    before = stock.table(*("volume" if name == "volume" else "close" for name in names))
    changes = np.log(features[1:] / before[:-1])  # since the last close, or the last volume
    return Series(stock.name, changes, changes[:, -1], close[1:], days[1:], relative=True)


def split(series: Series, T: int, share: float, protocol: str) -> tuple[Part, Part]:
    """Cut the days into those to train on and those to test on, and scale them.

    Raises:
        ValueError: there are too few days, or the price never moves on those of the test.
    """
    n = len(series.close)
    skipped = T if protocol == "slides-whole" else 0  # that tutorial cuts the windows, not the days
    wanted = least_days(LEAST, T, share, skipped)
    if n < wanted:
        first = int(series.relative)  # the day before the first change
        raise ValueError(
            f"{series.name}: got {n + first} days, want {wanted + first} or more, for {LEAST} windows "
            f"of {T} days to train on and {LEAST} to test on"
        )
    days = np.arange(n)
    cut = chronological_split(days[skipped:], share)[1][0]
    before, after = days[:cut], days[cut - T :]  # the first test window has the last training days
    fit = {"honest": (before, before), "slides": (before, after), "slides-whole": (days, days)}
    train, test = (
        part(series, rows, known, T)
        for rows, known in zip((before, after), fit[protocol], strict=True)
    )
    if (moves := int((test.today != test.close).sum())) < LEAST_MOVES:
        raise ValueError(
            f"{series.name}: got a close that changes on {moves} of the {len(test.close)} test days, "
            f"want {LEAST_MOVES} or more"
        )
    return train, test


def least_days(number: int, T: int, share: float, skipped: int = 0) -> int:
    """Return how many days make so many windows of T days to train on, and as many to test on.

    Args:
        number: of the windows of each kind.
        share: of the days, but for the first ones that are `skipped`, to train on.
    """
    days = T + 2 * number
    while True:
        _, late = chronological_split(np.arange(skipped, days), share)
        if min(int(late[0]) - T, len(late)) >= number:
            return days
        days += 1


def part(series: Series, rows: Values, known: Values, T: int) -> Part:
    """Return the windows in `rows`, scaled by the least and the greatest of the days `known`."""
    x_scaler = MinMaxScaler.fit(series.features[known])
    y_scaler = MinMaxScaler.fit(series.target[known])
    scaled = x_scaler.transform(series.features[rows]), y_scaler.transform(series.target[rows])
    x, y = windows(*scaled, T)
    close = series.close[rows]
    return Part(
        x.astype("float32"), y[None], close[T - 1 : -1], close[T:], y_scaler, series.relative
    )


def to_prices(y: Values, part: Part) -> Values:
    """Return what a scaled prediction (N,) means as closes of the next days."""
    values = part.scaler.inverse(y)
    return part.today * np.exp(values) if part.relative else values
