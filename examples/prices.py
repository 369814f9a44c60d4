"""Daily prices of a share: those of GOOG that come with matplotlib, and those of a text file.

prices = read_prices("samsung.csv")  # as it comes from where people get prices
x = prices.table("open", "high", "low", "volume")  # (n, 4), the oldest day first
print(f"{prices.name}: {len(x)} days, {prices.order}", *prices.notes, sep="\n")

A file has a header, and then a line for each day. Names of columns may be in many languages, and in any
order; those that are not among `price_cells.NAMES` are not looked at. Cells stand between commas,
semicolons, tabs, bars or spaces, numbers have whatever marks people put between their digits, and dates
are written in any way that the whole column agrees with; a time beside a date counts for nothing. Lines
that begin with a # are comments; the header may be one of them. Five numbers a day without a header are
those of a well-known lecture: open, high, low, volume, close.

A day with an empty cell, or without trade, is left out, and `notes` says so, because two days that are
not neighbours follow one another then. So is a line that tells of no day, such as a source below the
days or a dividend between them. All days have to be of one share, if a column names it. A cell that is
neither empty nor what it should be is an error that names its line and column.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from price_cells import MISSING, PRICES, decimal_mark, to_dates, to_number
from price_lines import Line, Table, choose_columns, contradicts, read_table, used_rows

ORDERS = ("auto", "newest-first", "oldest-first")


class Prices(NamedTuple):
    """Daily prices, the oldest day first."""

    name: str  # of the share, or of the file
    dates: list[str]  # such as "2020-01-02"; empty if the file has none
    columns: dict[str, np.ndarray]  # (n,) each, by "open", "high", "low", "close" or "volume"
    order: str  # in words: that of the file's days, and how it is known
    notes: tuple[str, ...] = ()  # what was left out of the file, or supposed about it

    def table(self, *names: str) -> np.ndarray:
        """Return these columns side by side, (n, D).

        Raises:
            ValueError: one of them is not there.
        """
        missing = [name for name in names if name not in self.columns]
        if missing:
            has = ", ".join(self.columns)
            raise ValueError(f"{self.name}: got the columns {has}; want {', '.join(missing)} too")
        return np.stack([self.columns[name] for name in names], axis=1)


def goog() -> Prices:
    """Return the prices of GOOG from August 2004 to October 2008: open, high, low, volume, close.

    Raises:
        RuntimeError: matplotlib is missing.
        OSError: matplotlib has come without its sample data.
    """
    try:
        from matplotlib.cbook import get_sample_data
    except ImportError:
        raise RuntimeError(
            "matplotlib is missing, with which the prices of GOOG come: pip install matplotlib"
        ) from None
    with np.load(get_sample_data("goog.npz", asfileobj=False)) as file:
        rows = file["price_data"]
    names = ("open", "high", "low", "volume", "close")
    columns = {name: rows[name].astype(float) for name in names}
    return Prices("GOOG", rows["date"].astype(str).tolist(), columns, "oldest day first")


def add_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add ``--csv``, or ``--data``, and ``--order``: the path and the order of `read_prices`.

    Args:
        parser: of the program.
        default: what it takes without a file.
    """
    add = parser.add_argument
    says = f"of daily prices, as it comes (default: {default})"
    add("--csv", "--data", type=Path, metavar="FILE", help=says)
    add("--order", choices=ORDERS, default="auto", help="of the days in FILE (default auto)")


def check_order(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program if there is an order, but no file."""
    if options.order != "auto" and options.csv is None:
        parser.error(f"argument --order: got {options.order} without --csv, want it with a file")


def read_prices(path: str | Path, order: str = "auto") -> Prices:
    """Read a text file with a line for each day.

    Args:
        path: the file.
        order: of its days, "newest-first" or "oldest-first"; "auto" goes by its dates. Without dates,
            a file whose header is a comment, or that has none, has its newest day first, as that of
            the lecture does, and any other its oldest.

    Raises:
        OSError: there is no such file, or it is a folder.
        ValueError: the file is not as told above; the message says in which line and column.
    """
    if order not in ORDERS:
        raise ValueError(f"order: got {order!r}, want one of {', '.join(ORDERS)}")
    path = Path(path)
    table = read_table(path)
    places = choose_columns(path, table)
    notes = (
        [] if table.line else [f"without a header, the columns are taken for {', '.join(places)}"]
    )
    share = places.pop("share", None)
    rows, remarks = used_rows(path, table, places)
    if share is not None:
        check_share(path, rows, table, share)
    lines = np.array([row.number for row in rows])
    dates: list[date] = []
    if "date" in places:
        dates, note = read_dates(path, rows, table, places.pop("date"))
        notes.append(note)
    columns, note = read_numbers(path, rows, table, places)
    notes.append(note)

    traded, values = has_trade(columns), np.stack(list(columns.values()), axis=1)
    whole = ~np.isnan(values).any(axis=1)
    kept = np.flatnonzero(traded & whole)
    if not len(kept):
        raise ValueError(f"{path}: got no day with all of {', '.join(columns)}, want one or more")
    words, newest_first = which_order(path, order, [dates[k] for k in kept if dates], table)
    kept = kept[::-1] if newest_first else kept
    if dates:
        kept = kept[np.argsort([dates[k].toordinal() for k in kept], kind="stable")]
    odd = kept[contradicts({key: column[kept] for key, column in columns.items()})]
    if len(odd):
        which = listed(sorted(lines[odd].tolist()))
        notes.append(
            f"the high is not the highest price of its day, or the low not the lowest: {which}"
        )
    same = [is_again(path, *pair, dates, lines, values) for pair in pairwise(kept.tolist())]
    again = np.array([False, *same])
    for what, why, some in (
        ("day", "without trade", lines[~traded]),
        ("day", "with an empty cell", lines[traded & ~whole]),
        ("day", "as it is there twice", lines[kept[again]]),
        ("line", "without prices", [row.number for row in remarks]),
    ):
        notes.append(left_out(what, why, list(some)))
    kept = kept[~again]
    return Prices(
        path.name,
        [dates[k].isoformat() for k in kept if dates],
        {key: column[kept] for key, column in columns.items()},
        words,
        tuple(filter(None, notes)),
    )


def check_share(path: Path, rows: Sequence[Line], table: Table, place: int) -> None:
    """Raise a ValueError if the lines are of several shares, by their symbol or name."""
    first, *others = [row for row in rows if row.cells[place].casefold() not in MISSING] or rows
    for row in others:
        if row.cells[place] != first.cells[place]:
            got = f"got {row.cells[place]!r}, and {first.cells[place]!r} in line {first.number}"
            at = where(row, table, place, "share")
            raise ValueError(f"{path}: {at}: {got}, want the days of one share")


def read_dates(
    path: Path, rows: Sequence[Line], table: Table, place: int
) -> tuple[list[date], str]:
    """Return the days, and what had to be supposed to read them."""
    try:
        return to_dates([row.cells[place] for row in rows])
    except ValueError as error:
        message, k = error.args
        raise ValueError(f"{path}: {where(rows[k], table, place, 'date')}: {message}") from None


def read_numbers(
    path: Path, rows: Sequence[Line], table: Table, places: Mapping[str, int]
) -> tuple[dict[str, np.ndarray], str]:
    """Return the columns that have a number at all, NaN where they have none, and what was supposed."""
    mark, note = decimal_mark([row.cells[k] for row in rows for k in places.values()])
    columns = {key: np.full(len(rows), np.nan) for key in places}
    for n, row in enumerate(rows):
        for key, k in places.items():
            try:
                columns[key][n] = to_number(row.cells[k], mark)
            except ValueError as error:
                raise ValueError(f"{path}: {where(row, table, k, key)}: {error}") from None
    some = {key: column for key, column in columns.items() if not np.isnan(column).all()}
    if not some:
        raise ValueError(
            f"{path}: got no number in {', '.join(columns) or 'any column'}, want prices"
        )
    return some, note


def where(row: Line, table: Table, place: int, key: str) -> str:
    """Say where a cell is."""
    return f"line {row.number}, column {(table.header[place] if table.line else '') or key}"


def has_trade(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return for each day whether it has prices: not where they are 0, or empty, as on holidays."""
    n = next(iter(columns.values())).shape
    if not {"open", "high", "low"} <= columns.keys():
        return np.ones(n, bool)
    prices = np.array([columns[key] for key in PRICES if key in columns])
    none = [
        np.nan_to_num(columns.get(key, np.zeros(n))) == 0
        for key in ("open", "high", "low", "volume")
    ]
    misprint = (prices == 0).any(axis=0) & (columns["low"] > 0)
    return np.asarray(~(np.logical_and.reduce(none) | misprint))


def which_order(path: Path, order: str, dates: Sequence[date], table: Table) -> tuple[str, bool]:
    """Return the order of the days in words, and whether the newest is the first.

    Raises:
        ValueError: it is not as asked for.
    """
    rises = {a < b for a, b in pairwise(dates) if a != b}
    if len(rises) > 1:
        return "in no order, so put into that of its dates", False
    newest_first, reason = order == "newest-first", "as asked"
    if rises:
        falls = rises == {False}
        if order != "auto" and newest_first != falls:
            has = "newest-first" if falls else "oldest-first"
            raise ValueError(f"{path}: order: got {order}, but by its dates the file is {has}")
        newest_first, reason = falls, "by its dates"
    elif order == "auto":
        newest_first = table.in_comment or not table.line
        header = (
            f"its header is {'' if table.in_comment else 'not '}in a comment"
            if table.line
            else "it has no header"
        )
        reason = f"as no dates tell, and {header}"
    return f"{'newest' if newest_first else 'oldest'} day first, {reason}", newest_first


def is_again(
    path: Path, a: int, b: int, dates: Sequence[date], lines: np.ndarray, values: np.ndarray
) -> bool:
    """Whether row b is of the same day as row a; then it has to have the same numbers."""
    if not dates or dates[a] != dates[b]:
        return False
    if not np.array_equal(values[a], values[b]):
        got = f"got {dates[b]} again, with other numbers than in line {lines[a]}"
        raise ValueError(f"{path}: line {lines[b]}: {got}, want each day once")
    return True


def left_out(what: str, why: str, lines: Sequence[int]) -> str:
    """Say which lines are left out, and why."""
    if not lines:
        return ""
    some = f"{len(lines)} {what}s" if len(lines) > 1 else f"a {what}"
    return f"left out {some} {why}: {listed(lines)}"


def listed(lines: Sequence[int]) -> str:
    """Name the first of some lines."""
    first = ", ".join(map(str, lines[:5])) + " and so on" * (len(lines) > 5)
    return f"line{'s' * (len(lines) > 1)} {first}"
