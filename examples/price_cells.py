"""What names, dates and numbers in a file of prices mean, as they are written in many places.

Whoever writes 01/02/2020 may mean January or February, and 55,200 may be a thousand times as much as
55.200 is elsewhere. So dates and numbers are read a column at a time, in the way that fits all of it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import pairwise

PRICES = ("open", "high", "low", "close")
# What a column is, and the names for it, as patterns of what `plain` makes of them. Those of an earlier
# line are preferred; of several in one line the first is taken, but two prices of a kind are an error.
NAMES: dict[str, tuple[str, ...]] = {
    "date": (
        "date|day|(trade|trading|business|observation) ?date|date (gmt|utc)|session|날짜|일자|일시"
        "|년월일|(거래|기준)일자?|日期|交易日期|日付け?|datum|fecha|data|дата|tarih|bas ?d[dt]|trd dd",
        "date ?time( utc)?|일자 시간|timestamp|time|open ?time|시간|시각|unix( timestamp)?|epoch"
        "|window start",
    ),
    "open": (
        "open(ing)?( price)?|시가|오픈|开盘价?|開盤價?|始値|eröffn(ung(skurs)?)?|erster|apertura"
        "|abertura|ouv(erture)?|откр|açılış|otwarcie|öppen|mkp",
    ),
    "high": (
        "high(est)?( price)?|고가|最?高价?|最高價|高値|(tages)?hoch|máx(im[oa])?|max(im[oa])?"
        "|massimo|(plus )?haut|макс|yüksek|najwy[zż]szy|hoog|högst|hipr",
    ),
    "low": (
        "low(est)?( price)?|저가|最?低价?|最低價|安値|(tages)?tief|mín(im[oa])?|min(im[oa])?"
        "|(plus )?bas|мин|düşük|najni[zż]szy|laag|lägst|lopr",
    ),
    "close": (
        "close( last)?( price)?|close close price adjusted.*|종가|收盘价?|收盤價?|終値|schluss(kurs)?"
        "|cierre|chiusura|clôt(ure)?|clot|zamkni[eę]cie|clpr",
        "price|last( price)?|closing( price)?|현재가|체결가|zuletzt|dernier|[uú]ltimo|цена|şimdi"
        "|laatste|senaste|latest",
        "adj(usted)? ?close( price)?|수정 ?종가",
    ),
    "volume": (
        "vol(ume)?|(누적 ?)?거래량|成交量|交易量|出来高|volumen|stue?cke|stücke|объ[её]м|hac|wolumen"
        "|trad(ed|ing) ?volume|umsatz in stücke?|trqu",
        "(total )?(vol(ume)?|shares|tick ?vol(ume)?)( .*)?|no of shares|total (trade|traded) quantity",
    ),
    "share": (  # whose prices these are
        "symbols?|tickers?|(ts |stock )?code|종목 ?코드|단축 ?코드|股票代码|isin",
        "name|종목 ?명",
    ),
}
MISSING = {"", "-", "--", "—", "–", ".", "n/a", "na", "nan", "#n/a", "#n/a n/a", "<na>", "null"}
MISSING |= {"none", "nat"}
CURRENCY = re.compile(r"^(US)?[$€£¥₩￦元]\s*|\s*([$€£¥₩￦元円원]|USD|EUR|KRW)$")
SCALES = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12} | {
    "천": 1e3, "만": 1e4, "万": 1e4, "억": 1e8, "亿": 1e8,
}  # fmt: skip
NUMBERS = {  # by the mark of decimals; between thousands, or in India lakhs, is another, or a space
    point: re.compile(
        rf"(?P<number>[+-]?(\d+|\d{{1,3}}(?P<mark>[{other}'’\s])(\d{{2,3}}(?P=mark))*\d{{3}})?"
        rf"({point}\d*)?(e[+-]?\d+)?)\s?(?P<scale>[kmbt천만万억亿]?)",
        re.A | re.I,
    )
    for point, other in ((r"\.", ","), (",", r"\."))
}
POINT, COMMA = NUMBERS
MOST = 1e15  # the size of a number that is a misprint; its square is still far from overflow

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
TIME = (
    r"(\s*\(.\)|\s[월화수목금토일](요일)?)?"  # a day of the week behind the date
    r"([T ,]+((오전|오후)\s?)?\d\d?(:\d\d){1,2}(\.\d+)?\s?([AP]\.?M\.?)?"
    r"\s?(Z|[A-Z]{3,4}([+-]\d{4}(\s\(.+\))?)?|[+-]\d\d:?\d\d)?)?"
)
DATES = [
    re.compile(rf"([a-z]{{3,9}},?\s+)?{pattern}{TIME}", re.A | re.I)
    for pattern in (
        r"(?P<y>\d{4})\s*[-/.년年]\s*(?P<m>\d\d?)\s*[-/.월月]\s*(?P<d>\d\d?)\s*[.일日]?",
        r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)",
        r"(?P<y>\d{4})[-\s](?P<m>[a-z]{3,9})[-\s](?P<d>\d\d?)",
        r"(?P<m>[a-z]{3,9})\.?[-\s](?P<d>\d\d?)(st|nd|rd|th)?[-,\s]\s*(?P<y>\d{4})",
        r"(?P<m>[a-z]{3})\s(?P<d>\d\d?)\s\d\d(:\d\d){2}\s([A-Z]{3,4}\s)?(?P<y>\d{4})",
        r"(?P<d>\d\d?)(st|nd|rd|th)?[-.\s/]\s*(?P<m>[a-z]{3,9})\.?,?[-\s/]\s*(?P<y>\d{4}|\d\d)",
        r"(?P<a>\d\d?)(?P<mark>[-/.])\s?(?P<b>\d\d?)(?P=mark)\s?(?P<c>\d{4}|\d\d)\.?",
    )
]
EPOCH = re.compile(
    r"(\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19})(\.\d+)?|\d\.\d+e\+?0?(9|1[1258])", re.A | re.I
)  # s, ms, µs, ns
ORDERS = {"mdy": "month/day/year", "dmy": "day/month/year", "ymd": "year/month/day"}


def plain(name: str) -> str:
    """Return a name in a header as words, without its case, its unit, and signs."""
    name = name if name.startswith("(") else re.sub(r"\(.*?\)|\[.*?\]", " ", name)
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"^\s*\d+\. ", "", name).casefold()))


def columns_of(names: Sequence[set[str]]) -> dict[str, list[int]]:
    """Return the columns that have a known name, by what they are.

    Args:
        names: of each column what stands above it, in one line or more.
    """
    found: dict[str, list[int]] = {}
    simple = [{plain(name) for name in names_of_one} for names_of_one in names]
    shared = Counter(word for each in simple for word in {w for n in each for w in n.split()})
    common = {word for word, count in shared.items() if count >= 4}  # a symbol, or "price"
    without = [{" ".join(w for w in n.split() if w not in common) for n in each} for each in simple]
    for spelled in (simple, without):
        for key, tiers in NAMES.items():
            taken = {k for columns in found.values() for k in columns}
            for tier in tiers if key not in found else ():
                fits = [
                    k for k, each in enumerate(spelled) if any(re.fullmatch(tier, n) for n in each)
                ]
                if left := [k for k in fits if k not in taken]:
                    found[key] = left if key in PRICES else left[:1]
                    break
    return found


def decimal_mark(cells: Sequence[str]) -> tuple[str, str]:
    """Return the mark of decimals in most of these cells, and what had to be supposed, if anything."""
    fits = [[_number(cell, mark) is not None for mark in NUMBERS] for cell in cells]
    point, comma = (sum(column) for column in zip(*fits, strict=True))
    if comma > point:
        return COMMA, ""
    doubtful = [
        c for c in cells if None not in (n := {_number(c, m) for m in NUMBERS}) and len(n) > 1
    ]
    if doubtful and point == comma:
        number = f"{doubtful[0]} is taken for {_number(doubtful[0], POINT):.10g}"
        return POINT, f"{number}, as no cell tells whether that mark is one of decimals"
    return POINT, ""


def to_number(cell: str, mark: str = POINT) -> float:
    """Return the number in a cell, such as 55.5, 12,760, $1.5 or 12.76M; NaN if there is none.

    Raises:
        ValueError: there is something else.
    """
    if cell.casefold() in MISSING:
        return math.nan
    number = _number(cell, mark)
    if number is None:
        raise ValueError(f"got {cell!r}, want a number")
    if abs(number) >= MOST:
        raise ValueError(f"got {cell!r}, want a number between -{MOST:g} and {MOST:g}")
    return number


def _number(cell: str, mark: str) -> float | None:
    match = NUMBERS[mark].fullmatch(CURRENCY.sub("", cell))
    if not match or not re.search(r"\d", match["number"]):
        return None
    digits = match["number"]
    if match["mark"]:
        digits = digits.replace(match["mark"], "")
    try:
        return float(digits.replace(",", ".")) * SCALES[match["scale"].lower()]
    except ValueError:  # an exponent alone
        return None


def to_date(cell: str, order: str = "mdy") -> date:
    """Return the day in a cell: of a date with a time or without, or a time in seconds since 1970.

    Args:
        cell: whose time, and zone, are not looked at.
        order: of three numbers of which the first has no four digits, one of `ORDERS`.

    Raises:
        ValueError: there is something else, or no such day.
    """
    try:
        if EPOCH.fullmatch(cell):
            seconds = float(cell)
            while seconds >= 1e10:  # of smaller units
                seconds /= 1000
            return datetime.fromtimestamp(seconds, UTC).date()
        for pattern in DATES:
            if match := pattern.fullmatch(cell):
                parts = match.groupdict()
                if "a" in parts:
                    parts = dict(zip(order, (parts[key] for key in "abc"), strict=True))
                return date(_year(parts["y"]), _month(parts["m"]), int(parts["d"]))
    except ValueError:
        pass  # no such day, or no such month
    raise ValueError(f"got {cell!r}, want a date, such as 2020-01-02")


def is_date(cell: str) -> bool:
    """Whether a cell has a date, whatever the order of its numbers."""
    for order in ORDERS:
        with suppress(ValueError):
            to_date(cell, order)
            return True
    return False


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year > 68 else 2000)


def _month(name: str) -> int:
    return int(name) if name.isdigit() else 1 + MONTHS.index(name[:3].lower())


def to_dates(cells: Sequence[str]) -> tuple[list[date], str]:
    """Return the days of a column, and what had to be supposed to read them, if anything.

    Of the orders of day, month and year that fit all cells, it is the one by which the days are closest
    to one another, from line to line; for a single day, the month comes first, but behind a point.

    Raises:
        ValueError: a cell has no date; the second argument of the error is its place.
    """
    orders = list(ORDERS) if "." not in cells[0] else ["dmy", "mdy", "ymd"]
    read: dict[str, list[date]] = {}
    wrong: list[tuple[int, str]] = []
    for order in orders:
        days: list[date] = []
        try:
            for cell in cells:
                days.append(to_date(cell, order))
        except ValueError as error:
            wrong.append((len(days), str(error)))
        else:
            read[order] = days
    if not read:
        place, message = max(wrong, key=lambda pair: pair[0])
        raise ValueError(message, place)
    best = min(read, key=lambda order: sum(abs(a - b).days for a, b in pairwise(read[order])))
    note = ""
    if any(days != read[best] for days in read.values()):
        note = (
            f"dates such as {cells[0]} are read as {ORDERS[best]}, which sets days closest together"
        )
    return read[best], note
