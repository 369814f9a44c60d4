"""What `stock_csv.py` asks a network: windows of three days, and the close that each is to lead to.

The slide's own file is not at hand, so `write_example` makes one of the same form.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from prices import Prices, goog
from stock_report import rmse
from stock_windows import least_days

from minirnn.data import MinMaxScaler, chronological_split, windows

T = 3  # days of a window
FEATURES = ("open", "high", "low", "volume")
QUESTIONS = {  # and the days between a window's last and the one whose close is asked for
    "today": 0,
    "tomorrow": 1,
}
NAIVE = {"today": "(high + low) / 2 of that day", "tomorrow": "persistence: as today"}
SHARE = 0.7  # of the days, to train on for a forecast
LEAST = 16  # windows to train on, and to test on


class Recipe(NamedTuple):
    """What one way of training has of its own."""

    lr: float
    close: str  # how the network sees what it is to learn


SLIDE, FIX = Recipe(0.1, "as it is"), Recipe(0.01, "min-max")


class Task(NamedTuple):
    """Windows (T, D, N) and closes (N,), to learn from and to be tested on."""

    x: np.ndarray
    close: np.ndarray
    x_test: np.ndarray
    close_test: np.ndarray
    naive: np.ndarray  # (N,), what somebody says in the test who has no network
    days: np.ndarray  # (N,), the dates of close_test, or numbers if the file has none
    scaler: MinMaxScaler  # of the inputs


def make_task(prices: Prices, question: str, scaler: MinMaxScaler | None = None) -> Task:
    """Cut prices into windows.

    Args:
        prices: of all days.
        question: a key of `QUESTIONS`. An estimate of today is tested on the windows that were
            learned; a forecast of tomorrow on later ones, scaled by what was known before them.
        scaler: of the inputs; None fits one to the days of the training.

    Raises:
        ValueError: there are too few days, or the close does not move.
    """
    ahead = QUESTIONS[question]
    rows = prices.table(*FEATURES, "close")
    D = len(FEATURES) + ahead  # a forecast may know the closes so far
    wanted = least_days(LEAST, T, SHARE) if ahead else T + LEAST - 1
    if len(rows) < wanted:
        made = f"{LEAST} windows of {T} days to train on" + f" and {LEAST} to test on" * ahead
        raise ValueError(f"{prices.name}: got {len(rows)} days, want {wanted} or more, for {made}")
    early = late = rows
    if ahead:
        early, late = chronological_split(rows, SHARE, overlap=T)
    scaler = scaler or MinMaxScaler.fit(early[:, :D])
    (x, close), (x_test, close_test) = (
        windows(scaler.transform(part[:, :D]), part[:, -1], T, ahead) for part in (early, late)
    )
    if not (np.ptp(close) and np.ptp(close_test)):
        raise ValueError(
            f"{prices.name}: column close: all are {close[0]:g}, want some that differ"
        )
    N = len(close_test)
    _, high, low, _, closes = late.T
    naive = (high + low) / 2 if question == "today" else closes
    days = np.array(prices.dates, "M8[D]") if prices.dates else np.arange(1, len(rows) + 1)
    return Task(x, close, x_test, close_test, naive[T - 1 :][:N], days[-N:], scaler)


def close_scaler(recipe: Recipe, close: np.ndarray) -> MinMaxScaler:
    """Return what turns closes into what the network learns, and its output into closes."""
    if recipe.close == "min-max":
        return MinMaxScaler.fit(close)
    mean = close.mean() if recipe.close == "minus its mean" else 0
    return MinMaxScaler(np.array(mean), np.array(1))


def explained(said: np.ndarray, truth: np.ndarray) -> float:
    """Return R²: 1 if the predictions are right, 0 if they are as good as the mean."""
    return 1 - rmse(said, truth) ** 2 / float(truth.var())


def too_far(said: np.ndarray, truth: np.ndarray) -> str:
    """Say so if predictions have not even come near the mean of the truth; "" if they have."""
    if abs(said.mean() - truth.mean()) <= truth.std():
        return ""
    says, are = (f"{closes.mean():,.2f}" for closes in (said, truth))
    return f"""\
It has not come as far as the closes: it says {says} on average, and they are {are}. A step of
Adam moves a weight by about the learning rate, however far the output is off, and units at the ends of
tanh pass on next to nothing. Closes so far from 0 have to be scaled before they are learned."""


def write_example(folder: Path) -> Path:
    """Write the first 75 days of GOOG in the form of the slide's file, and return its path.

    The folder is made if it is not there.
    """
    prices = goog()
    lines = ["날짜,종가,오픈,고가,저가,거래량"]
    table = prices.table("close", "open", "high", "low", "volume")[:75]
    for iso, numbers in zip(prices.dates, table.tolist(), strict=False):
        year, month, day = iso.split("-")
        lines.append(",".join([f"{year}년 {month}월 {day}일", *(f"{n:.10g}" for n in numbers)]))
    path = folder / "goog_75.csv"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode("cp949"))
    return path
