"""Judge predicted prices: against simple rules, by direction, and by how late they are.

Every array holds one number for each day of the test part, (n,): the close that was predicted for it,
the close that came, and the close of the day before, which is what persistence predicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from confidence import Interval, share

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Values = np.ndarray[Any, Any]

PERSISTENCE = "persistence: as today"
MOST_LAG = 10  # days
DRAWS = 2000  # of the bootstrap
BLOCK = 20  # days, about a month of trading
SHOWN = 60  # days in the lower half of the picture


class Lag(NamedTuple):
    """How late a prediction is."""

    days: int  # the lag of the greatest correlation
    correlations: Values  # (MOST_LAG + 1,), at a lag of 0 days, 1 day and so on
    noise: float  # what all of them stay below in 95 of 100 cases, if there is nothing but chance


class Judged(NamedTuple):
    """What a prediction is worth."""

    skill: Interval  # its RMSE divided by that of persistence
    direction: Interval  # the share of days whose direction it tells
    lag: Lag


def rmse(pred: Values, truth: Values) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((pred - truth) ** 2)))


def mae(pred: Values, truth: Values) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(pred - truth)))


def direction(pred: Values, truth: Values, today: Values) -> Interval:
    """Return the share of days on which the price went where it was said to go, up or down.

    Days on which it did not move are left out.
    """
    moved = truth != today
    right = np.sign(pred - today)[moved] == np.sign(truth - today)[moved]
    return share(int(right.sum()), len(right))


def ratio(pred: Values, other: Values, truth: Values, rng: np.random.Generator) -> Interval:
    """Return the RMSE of one prediction divided by that of another, over the same days.

    The interval is that of a bootstrap in blocks: calm and wild times last for weeks, so days are not
    drawn one by one but in runs of BLOCK, the last day being followed by the first.
    """
    squares = np.stack([(pred - truth) ** 2, (other - truth) ** 2])
    n = squares.shape[1]
    block = max(1, min(BLOCK, n // 4))
    starts = rng.integers(0, n, (DRAWS, -(-n // block), 1))
    days = (starts + np.arange(block)).reshape(DRAWS, -1)[:, :n] % n
    ours, others = squares[:, days].mean(axis=2)
    low, high = np.quantile(np.sqrt(ours / others), (0.025, 0.975)).tolist()
    return Interval(rmse(pred, truth) / rmse(other, truth), low, high)


def lag(pred: Values, truth: Values) -> Lag:
    """Compare the changes of the prediction from day to day with those of the truth some days before.

    Changes, because the prices themselves correlate at every lag. A prediction that repeats
    yesterday's price has a correlation of 1 at a lag of 1.
    """
    changes, true_changes = np.diff(pred), np.diff(truth)
    n = len(changes) - MOST_LAG  # the days that are compared, the same ones at every lag
    said = changes[MOST_LAG:] - changes[MOST_LAG:].mean()
    correlations = np.zeros(MOST_LAG + 1)
    for days in range(MOST_LAG + 1):
        came = true_changes[MOST_LAG - days :][:n]
        came = came - came.mean()
        norm = np.sqrt((said @ said) * (came @ came))
        correlations[days] = said @ came / norm if norm > 0 else 0.0
    return Lag(int(correlations.argmax()), correlations, 2.6 / n**0.5)  # 0.9953 ** 11 = 0.95


def judge(pred: Values, truth: Values, today: Values) -> Judged:
    """Compare a prediction with persistence and with the truth."""
    skill = ratio(pred, today, truth, np.random.default_rng(0))
    return Judged(skill, direction(pred, truth, today), lag(pred, truth))


def verdict(skill: Interval) -> str:
    """Say whether a prediction whose RMSE is `skill` times that of persistence has any skill."""
    words = "no skill over persistence that is beyond chance"
    if skill.low > 1:
        words = "no skill over persistence"
    elif skill.high < 1:
        words = "skill over persistence"
    interval = f"95 % interval {skill.low:.3f} to {skill.high:.3f}"
    return f"{words}: {skill.value:.3f} times its RMSE ({interval})"


def direction_in_words(share: Interval, up: float) -> str:
    """Compare the share of days whose direction was right with a rule that always says the same."""
    best, rule = max((up, "up"), (1 - up, "down"))
    words = "is better than" if share.low > best else "is not better, beyond chance, than"
    return f"Its direction {words} always saying {rule}, which is right on {best:.1%} of the days."


def lag_in_words(late: Lag) -> str:
    """Say of which day the prediction tells."""
    best, same_day = late.correlations[late.days], late.correlations[0]
    if best < late.noise:
        return f"Its changes go with those of the price at no lag of up to {MOST_LAG} days."
    if late.days == 0:
        return f"It moves on the same day as the price (correlation {best:.2f}): it is not late."
    days = "1 day" if late.days == 1 else f"{late.days} days"
    repeats = ": it repeats yesterday" if late.days == 1 and best >= 0.5 else ""
    found = f"correlation {best:.2f}, on the same day {same_day:z.2f}"
    return f"It moves {days} after the price ({found}){repeats}."


def print_report(
    predictions: Mapping[str, Values], truth: Values, today: Values, judged: Judged, unit: str
) -> None:
    """Print a table with a line for each prediction, and what it means for the network's.

    Args:
        predictions: by name, the network's first.
        truth, today: as for `direction`.
        judged: the network's.
        unit: of the prices.
    """
    width = max(map(len, predictions))
    head = f"{len(truth)} test days, in {unit}"
    print(f"\n{head:{width}}      RMSE     MAE  direction right (95 % interval)")
    for name, pred in predictions.items():
        row = f"{name:{width}}  {rmse(pred, truth):8.2f}{mae(pred, truth):8.2f}"
        if not np.array_equal(pred, today):  # persistence says of no day where it will go
            row += f"  {percent(direction(pred, truth, today))}"
        print(row)
    up = direction(np.full_like(today, np.inf), truth, today)
    print(f"{'always up':{width + 18}}  {percent(up)}\n")
    print(f"Verdict: {verdict(judged.skill)}.")
    print(direction_in_words(judged.direction, up.value))
    print(lag_in_words(judged.lag))


def percent(share: Interval) -> str:
    """Return the interval in words."""
    return f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def draw(
    figure: Figure,
    days: Values,
    close: Values,
    fitted: Values,
    predicted: Values,
    judged: Judged,
    title: str,
    unit: str,
) -> None:
    """Draw all days, and the last ones large enough to see how late the prediction is.

    Args:
        figure: to draw in.
        days, close: (n,), all of them, dates or numbers.
        fitted, predicted: what the network says of the training days but the first ones, and of the
            test days, which are the last ones.
        judged: the prediction.
        title: of the picture.
        unit: of the prices.
    """
    N = len(predicted)
    known = slice(len(close) - N - len(fitted), len(close) - N)
    top, bottom = figure.subplots(2, 1)
    top.plot(days, close, color="black", linewidth=1, label="price")
    top.plot(
        days[known], fitted, color="tab:orange", linewidth=1, label="prediction, training days"
    )
    top.plot(days[-N:], predicted, color="tab:red", linewidth=1, label="prediction, test days")
    top.axvline(days[-N], color="tab:gray", linestyle="--", label="here the test begins")
    top.axhline(close[:-N].max(), color="tab:gray", linestyle=":", label="highest training price")
    figure.suptitle(f"{title}\n{verdict(judged.skill)}")
    top.set_title("All days")

    last = slice(-min(N, SHOWN), None)
    bottom.plot(
        days[last], close[last], "o-", markersize=4, color="black", linewidth=2, label="price"
    )
    bottom.plot(
        days[last],
        predicted[last],
        "o-",
        markersize=4,
        color="tab:red",
        linewidth=2,
        label="prediction",
    )
    today = close[-N - 1 : -1]
    bottom.plot(days[last], today[last], color="tab:blue", linewidth=1, label=PERSISTENCE)
    bottom.set_title(f"The last {min(N, SHOWN)} days. {lag_in_words(judged.lag)}")
    for ax in (top, bottom):
        ax.set(xlabel="date" if days.dtype.kind == "M" else "day", ylabel=f"close ({unit})")
        ax.grid(alpha=0.3)
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=5)
