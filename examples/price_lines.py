"""From the bytes of a file of prices to lines of cells, the header, and the columns that are used."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from price_cells import COMMA, MISSING, POINT, PRICES, columns_of, is_date, to_number

ENCODINGS = ("utf-8", "cp949")  # that of Korean Windows
OTHERS = ("gb18030", "shift_jis", "cp1252")  # taken only if a header is understood by them
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
PACKED = {
    b"PK\3\4": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "a file packed by gzip",
    b"%PDF": "a PDF",
    b"<!": "a web page",
    b"<html": "a web page",
    b"{": "JSON",
    b"[{": "JSON",
}
SEPARATORS = ";\t|,"  # the first of them, if two are in as many lines; where there is none, spaces
MORE = "(tickers?|symbols?|price|attributes|date(time)?)?"  # with which more lines of names begin
FIRST = 40  # lines, among which the header is
HEADERLESS = (
    ("open", "high", "low", "volume", "close"),  # of the lecture
    ("open", "high", "low", "close", "volume"),
    ("date", "open", "high", "low", "close", "volume"),  # and whatever is behind
)
WANTED = "want a header before them, such as Date,Open,High,Low,Close,Volume"


class Line(NamedTuple):
    """A line of a file, that has a cell which is not empty."""

    number: int
    cells: list[str]
    comment: bool  # it begins with a #


class Table(NamedTuple):
    """The header of a file, and the lines below it."""

    line: int  # of the header; 0 if there is none
    in_comment: bool
    header: list[str]
    columns: dict[str, list[int]]  # by what they are, those that have a known name
    rows: list[Line]
    separator: str


def read_table(path: Path) -> Table:
    """Read a file, and look for the header among its first lines.

    Raises:
        OSError: there is no such file, or it is a folder.
        ValueError: it is no text, or has no lines.
    """
    text = decode(path)
    separator = find_separator(text)
    lines = split(path, text, separator)
    rows = [line for line in lines if not line.comment]
    if not rows:
        raise ValueError(f"{path}: got no line but blanks and comments, want a header and prices")
    known = [
        len(columns_of([{name} for name in line.cells]).keys() - {"date", "share"})
        for line in lines[:FIRST]
    ]
    place = known.index(max(known))
    head = lines[place]
    below = [row for row in lines[place + 1 :] if not row.comment]
    if not known[place]:
        return Table(0, False, [], {}, rows, separator)
    more: list[list[str]] = []
    while (
        below
        and re.fullmatch(MORE, below[0].cells[0].lower())
        and not any(map(is_value, below[0].cells))
    ):
        more.append(below.pop(0).cells)
    rows = [row for row in below if row.cells != head.cells]  # that of another file behind this one
    header = head.cells
    date = columns_of([{name} for name in header]).get("date", [-1])[0]
    if rows and is_shifted(header, date, rows[0].cells):
        header = ["", *header]
    names = [
        {cell for cells in (header, *more) for cell in cells[k : k + 1]} for k in range(len(header))
    ]
    return Table(head.number, head.comment, header, columns_of(names), rows, separator)


def is_shifted(header: Sequence[str], place: int, first: Sequence[str]) -> bool:
    """Whether each line begins with one cell more than the header, as R's write.table has it.

    Args:
        header: the names.
        place: of the date among them, or -1.
        first: the cells of the first line below.
    """
    return (
        len(first) == len(header) + 1
        and first[-1] != ""
        and is_date(first[place + 1])
        and not (place >= 0 and is_date(first[place]))
    )


def decode(path: Path) -> str:
    """Return the text of a file: in UTF-8 or UTF-16, as its mark says, or in cp949 or whatever fits.

    Raises:
        ValueError: none does; the message says at which byte.
    """
    data = path.read_bytes()
    for start, kind in PACKED.items():
        if data.startswith(start):
            raise ValueError(
                f"{path}: got {kind}, want a text file such as CSV: unpack or convert it"
            )
    mark = next((mark for mark in MARKS if data.startswith(mark)), b"")
    wanted, others = ((MARKS[mark],), ()) if mark else (ENCODINGS, OTHERS)
    fits: dict[str, str] = {}  # the text, and the first encoding by which it comes out
    wrong: dict[str, int] = {}  # where an encoding meets a byte that it does not have
    for encoding in (*wanted, *others):
        try:
            text = unicodedata.normalize("NFC", data.decode(encoding)).replace("\ufeff", "")
        except UnicodeDecodeError as error:
            wrong[encoding] = error.start
            continue
        if "\0" in text:  # as in UTF-16 without its mark, and in files that are no text
            wrong[encoding] = data.index(0)
        else:
            fits.setdefault(text, encoding)
    best = max(fits, key=known_names, default="")
    if fits.get(best) in wanted or known_names(best):
        return best
    at = max(wrong[encoding] for encoding in wanted)
    byte = f"byte 0x{data[at]:02x} at offset {at}"
    raise ValueError(
        f"{path}: got {byte}, want a text file in UTF-8, cp949, or UTF-16 with its mark"
    )


def known_names(text: str) -> int:
    """Return how many columns with known names are in one of the first lines."""
    lines = text.splitlines()[:FIRST]
    return max(
        len(columns_of([{n} for n in re.split(r'[;\t|,"]+', line)])) for line in lines or [""]
    )


def find_separator(text: str) -> str:
    """Return what stands between the cells: what is in the most lines, outside of quotes."""
    lines = [re.sub('"[^"]*"', "", line) for line in text.splitlines()[: 10 * FIRST]]
    counts = {sign: sum(sign in line for line in lines) for sign in SEPARATORS}
    best = max(SEPARATORS, key=counts.__getitem__)
    return best if counts[best] else " "


def split(path: Path, text: str, separator: str) -> list[Line]:
    """Return the lines that are not empty, cut into cells."""
    lines: list[Line] = []
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        comment = line.startswith("#")
        line = line[comment:]
        if line.count('"') % 2 and not comment:
            raise ValueError(f"{path}: line {number}: got a quote that is not closed in its line")
        reader = csv.reader([line.strip("\n ")], delimiter=separator, skipinitialspace=True)
        try:
            cells = next(reader, [])
        except csv.Error as error:
            raise ValueError(f"{path}: line {number}: {error}") from None
        cells = [" ".join(cell.split()) for cell in cells]
        if any(cells):
            lines.append(Line(number, cells, comment))
    return lines


def is_value(cell: str) -> bool:
    """Whether a cell is a number, or a date."""
    for mark in (POINT, COMMA):
        with suppress(ValueError):
            to_number(cell, mark)
            return cell.casefold() not in MISSING
    return is_date(cell)


def choose_columns(path: Path, table: Table) -> dict[str, int]:
    """Return the places of the columns that are used, by what they are, in the order of the file.

    Raises:
        ValueError: two have the same name, or there is neither a name nor numbers as in `HEADERLESS`.
    """
    if not table.line:
        return suppose_columns(path, table.rows)
    for key, columns in table.columns.items():
        if len(columns) > 1:
            both = ", ".join(table.header[k] for k in columns)
            raise ValueError(
                f"{path}: line {table.line}: got two columns of {key} ({both}), want one"
            )
    if not table.rows:
        raise ValueError(f"{path}: got a header without a line of prices, want one for each day")
    places = {key: columns[0] for key, columns in table.columns.items()}
    if "date" not in places and 0 not in places.values() and is_date(table.rows[0].cells[0]):
        places["date"] = 0  # whatever it is called, if at all: as the index of a table
    return dict(sorted(places.items(), key=lambda item: item[1]))


def suppose_columns(path: Path, rows: Sequence[Line]) -> dict[str, int]:
    """Return what the columns of a file without a header are, by how many there are.

    Raises:
        ValueError: it is none of `HEADERLESS`.
    """
    number, first, _ = rows[0]
    n, dated = max(k for k, cell in enumerate(first) if cell) + 1, is_date(first[0])
    fits = [layout for layout in HEADERLESS if (layout[0] == "date") == dated]
    fits = fits if n == 5 or (dated and n > 5) else []
    best = [layout for layout in fits if is_plausible(layout, rows)] or fits[: not dated]
    got = "numbers" if any(map(is_value, first)) else "no name of a price"
    if not best or got != "numbers":
        raise ValueError(f"{path}: line {number}: got {got} ({', '.join(first)[:40]}), {WANTED}")
    return {key: k for k, key in enumerate(best[0])}


def is_plausible(layout: Sequence[str], rows: Sequence[Line]) -> bool:
    """Whether the high is the highest of a day's prices, and the low the lowest, nearly always."""
    try:
        table = [[to_number(row.cells[layout.index(key)]) for key in PRICES] for row in rows]
    except (ValueError, IndexError):
        return False
    return bool(np.mean(contradicts(dict(zip(PRICES, np.array(table).T, strict=True)))) < 0.1)


def contradicts(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return for each day whether its high is not the highest price, or its low not the lowest."""
    if not {"high", "low"} <= columns.keys():
        return np.zeros(len(next(iter(columns.values()))), bool)
    prices = np.array([columns[key] for key in PRICES if key in columns])
    little = 1e-3 * np.abs(prices).max(axis=0)  # that rounding may do
    wrong = (prices > columns["high"] + little) | (prices < columns["low"] - little)
    return np.asarray(wrong.any(axis=0))


def used_rows(path: Path, table: Table, places: Mapping[str, int]) -> tuple[list[Line], list[Line]]:
    """Return the lines of days, and those that are none: a source below, a dividend in between.

    Raises:
        ValueError: one has too few cells, or too many.
    """
    n = len(table.header) or len(table.rows[0].cells)
    least = 1 + max(k for k, name in enumerate(table.header) if name) if table.line else len(places)
    used = [
        row
        for row in table.rows
        if any(row.cells[k : k + 1] not in ([], [""]) for k in places.values())
    ]
    rows = [row for row in used if not is_remark(row.cells, places, least)] or used
    for line, cells, _ in rows:
        if len(cells) < least or any(cells[n:]):
            hint = " (a number such as 12,760 has to stand in quotes)" * (len(cells) > n)
            first = f"the header in line {table.line}" if table.line else "the first line"
            want = f"want {n}, as {first} has{hint}"
            cells_ = f"{len(cells)} cell{'s' * (len(cells) > 1)}"
            raise ValueError(f"{path}: line {line}: got {cells_}, {want}")
    return rows, [row for row in used if row not in rows]


def is_remark(cells: Sequence[str], places: Mapping[str, int], least: int) -> bool:
    """Whether a line has no number where prices are, and is too short or has no date where that is."""
    numbers = (k for key, k in places.items() if key != "date")
    if any(map(is_value, (cell for k in numbers for cell in cells[k : k + 1]))):
        return False
    return len(cells) < least or ("date" in places and not is_date(cells[places["date"]]))
