"""Daily prices of a share: those of GOOG that come with matplotlib, and those of a CSV file.

prices = read_prices("samsung.csv")  # any encoding, header and date of those told below
x = prices.table("open", "high", "low", "volume")  # (n, 4), the oldest day first
print(f"{prices.name}: {len(x)} days, {prices.order}")

A file has a header, and then a line for each day. Its encoding is UTF-8, or cp949, which Korean Windows
writes. Numbers may have commas between their thousands, if they stand in quotes. Lines that begin with
a # are comments; the header may be one of them. A cell that is no number is an error that names its line
and column, because a day left out silently would join two days that are not neighbours.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from contextlib import suppress
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

ORDERS = ("auto", "newest-first", "oldest-first")
NAMES = {  # in a header, in any case -> in Prices
    "date": "date",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "adj close": "adj close",
    "volume": "volume",
    "날짜": "date",
    "일자": "date",
    "오픈": "open",
    "시가": "open",
    "고가": "high",
    "저가": "low",
    "종가": "close",
    "거래량": "volume",
}
NUMBER = re.compile(
    r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?(e[+-]?\d+)?|[+-]?\.\d+(e[+-]?\d+)?", re.A | re.I
)
MOST = 1e15  # the size of a number that is a misprint; its square is still far from overflow
DATES = [  # the year first, so that nobody has to guess which number is the month
    re.compile(pattern, re.A)
    for pattern in (
        r"(?P<year>\d{4})\s*년\s*(?P<month>\d\d?)\s*월\s*(?P<day>\d\d?)\s*일",
        r"(?P<year>\d{4})(?P<mark>[-/.])\s?(?P<month>\d\d?)(?P=mark)\s?(?P<day>\d\d?)\.?",
        r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",
    )
]
Line = tuple[int, list[str]]  # its number in the file, its cells


class Prices(NamedTuple):
    """Daily prices, the oldest day first."""

    name: str  # of the share, or of the file
    dates: list[str]  # such as "2020-01-02"; empty if the file has none
    columns: dict[str, np.ndarray]  # (n,) each, by "open", "close", … or else the file's own header
    order: str  # in words: that of the file's days, and how it is known

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


def read_prices(path: str | Path, order: str = "auto") -> Prices:
    """Read a CSV file with a header and a line for each day.

    Args:
        path: the file.
        order: of its days, "newest-first" or "oldest-first"; "auto" goes by its dates. Without dates,
            a file whose header is a comment has its newest day first, as those that quote the page
            they are from do, and any other its oldest.

    Raises:
        OSError: there is no such file, or it is a folder.
        ValueError: the file is not as told above; the message says in which line and column.
    """
    if order not in ORDERS:
        raise ValueError(f"order: got {order!r}, want one of {', '.join(ORDERS)}")
    path = Path(path)
    rows, comments = read_lines(path)
    header_line, header = find_header(path, rows, comments)
    in_comment = header_line != rows[0][0]
    days = rows if in_comment else rows[1:]
    if not days:
        raise ValueError(f"{path}: got a header without a line of prices, want one for each day")
    keys = name_columns(path, header_line, header)

    values: dict[str, list[float]] = {key: [] for key in keys if key != "date"}
    dates: list[date] = []
    for line, cells in days:
        if len(cells) != len(header):
            hint = " (a number such as 12,760 has to stand in quotes)" * (len(cells) > len(header))
            want = f"want {len(header)}, as the header in line {header_line} has{hint}"
            raise ValueError(f"{path}: line {line}: got {len(cells)} cells, {want}")
        for name, key, cell in zip(header, keys, cells, strict=True):
            try:
                if key == "date":
                    dates.append(to_date(cell))
                else:
                    values[key].append(to_number(cell))
            except ValueError as error:
                raise ValueError(f"{path}: line {line}, column {name}: {error}") from None

    newest_first, reason = order == "newest-first", "as asked"
    if len(dates) > 1:
        falling = check_order(path, dates, [line for line, _ in days])
        if order != "auto" and newest_first != falling:
            has = "newest-first" if falling else "oldest-first"
            raise ValueError(f"{path}: order: got {order}, but by its dates the file is {has}")
        newest_first, reason = falling, "by its dates"
    elif order == "auto":
        newest_first = in_comment
        reason = f"as no dates tell, and its header is {'' if in_comment else 'not '}in a comment"
    step = -1 if newest_first else 1
    return Prices(
        path.name,
        [day.isoformat() for day in dates[::step]],
        {key: np.array(column[::step]) for key, column in values.items()},
        f"{'newest' if newest_first else 'oldest'} day first, {reason}",
    )


def read_lines(path: Path) -> tuple[list[Line], list[Line]]:
    """Return the lines with their cells, and the comments before the first of them with theirs."""
    rows: list[Line] = []
    comments: list[Line] = []
    for line, text in enumerate(io.StringIO(decode(path), newline=None), start=1):
        comment = text.startswith("#")
        try:
            row = next(csv.reader([text[comment:]], skipinitialspace=True), [])
        except csv.Error as error:
            raise ValueError(f"{path}: line {line}: {error}") from None
        if text.count('"') % 2 and not comment:
            raise ValueError(f"{path}: line {line}: got a quote that is not closed in its line")
        cells = [unicodedata.normalize("NFC", cell).strip() for cell in row]
        if cells not in ([], [""]) and not (comment and rows):
            (comments if comment else rows).append((line, cells))
    while rows and not any(rows[-1][1]):  # such as the ,,,,, of a spreadsheet
        rows.pop()
    if not rows:
        raise ValueError(f"{path}: got no line but blanks and comments, want a header and prices")
    return rows, comments


def decode(path: Path) -> str:
    """Return the text of a file in UTF-8, with a mark in front or without, or else in cp949."""
    data = path.read_bytes()
    mark = b"\xef\xbb\xbf"
    start = len(mark) if data.startswith(mark) else 0
    wrong = []  # where each encoding meets a byte that it does not have
    for encoding in ("utf-8",) if start else ("utf-8", "cp949"):
        try:
            text = data[start:].decode(encoding)
        except UnicodeDecodeError as error:
            wrong.append(start + error.start)
        else:
            if "\0" not in text:  # as in UTF-16, and in files that are no text
                return text
            wrong.append(data.index(0))
    byte = f"byte 0x{data[max(wrong)]:02x} at offset {max(wrong)}"
    raise ValueError(f"{path}: got {byte}, want a text file in UTF-8 or cp949")


def find_header(path: Path, rows: list[Line], comments: list[Line]) -> Line:
    """Return the first line if it has no numbers, else the last comment before it with a known name."""
    line, cells = rows[0]
    if not any(is_value(cell) for cell in cells):
        return rows[0]
    for comment in reversed(comments):
        if any(in_prices(name) in NAMES.values() for name in comment[1]):
            return comment
    wanted = "want a header before them, such as Date,Open,High,Low,Close,Volume"
    raise ValueError(f"{path}: line {line}: got numbers ({', '.join(cells)[:40]}), {wanted}")


def is_value(cell: str) -> bool:
    """Whether a cell is a number, or a date."""
    for read in (to_number, to_date):
        with suppress(ValueError):
            read(cell)
            return True
    return False


def name_columns(path: Path, line: int, header: list[str]) -> list[str]:
    """Return what the columns are called in `Prices`; they have to be different."""
    keys = [in_prices(name) for name in header]
    for k, key in enumerate(keys):
        if not key:
            raise ValueError(f"{path}: line {line}: column {k + 1} has no name in the header")
        if key in keys[:k]:
            both = f"{header[keys.index(key)]}, {header[k]}"
            raise ValueError(f"{path}: line {line}: got two columns of {key} ({both}), want one")
    if keys == ["date"]:
        raise ValueError(f"{path}: line {line}: got the column {header[0]} alone, want prices too")
    return keys


def in_prices(name: str) -> str:
    """Return the name that a column has in `Prices`, or "date"; if it is not known, as it is."""
    return NAMES.get(name.casefold().replace("_", " "), name)


def to_number(cell: str) -> float:
    """Return the number in a cell, such as 55.5, or 12,760."""
    if not cell:
        raise ValueError("got an empty cell, want a number")
    number = float(cell.replace(",", "")) if NUMBER.fullmatch(cell) else math.nan
    if math.isnan(number):
        raise ValueError(f"got {cell!r}, want a number")
    if abs(number) >= MOST:
        raise ValueError(f"got {cell!r}, want a number between -{MOST:g} and {MOST:g}")
    return number


def to_date(cell: str) -> date:
    """Return the day in a cell: 2020년 01월 02일, 2020-01-02, 2020/1/2, 2020. 1. 2. or 20200102."""
    for pattern in DATES:
        if match := pattern.fullmatch(cell):
            try:
                return date(int(match["year"]), int(match["month"]), int(match["day"]))
            except ValueError:
                break  # no such day
    raise ValueError(f"got {cell!r}, want a date with its year first, such as 2020-01-02")


def check_order(path: Path, dates: list[date], lines: list[int]) -> bool:
    """Return whether the days fall from line to line; they have to fall or rise throughout."""
    falling = dates[1] < dates[0]
    for (before, day), line in zip(pairwise(dates), lines[1:], strict=True):
        want = "each day once"
        if day != before:
            want = f"them in order, as the days before {'fall' if falling else 'rise'}"
            if (day < before) == falling:
                continue
        raise ValueError(f"{path}: line {line}: got {day} after {before}, want {want}")
    return falling
