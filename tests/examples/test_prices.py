"""Reading daily prices: what is understood, and what is said of each mistake."""

import csv
import io
import re
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

KOREAN = "날짜,종가,오픈,고가,저가,거래량"
SLIDE = f"""{KOREAN}
2020년 01월 02일,55.2,55.5,56,55,12760
2020년 01월 03일,55.5,56,56.6,54.9,15310
2020년 01월 06일,55.5,54.9,55.6,54.6,10280
"""
DATES = ["2020-01-02", "2020-01-03", "2020-01-06"]
COLUMNS = {
    "close": [55.2, 55.5, 55.5],
    "open": [55.5, 56, 54.9],
    "high": [56, 56.6, 55.6],
    "low": [55, 54.9, 54.6],
    "volume": [12760, 15310, 10280],
}


@pytest.fixture
def prices(example):
    return example("prices")


def as_lists(prices):
    return {name: column.tolist() for name, column in prices.columns.items()}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["cp949", "utf-8", "utf-8-sig"])
def test_slide_s_file_in_every_encoding_and_line_end(encoding, end, read_prices):
    result = read_prices(SLIDE.replace("\n", end), encoding)
    assert result.name == "prices.csv"
    assert result.dates == DATES
    assert as_lists(result) == COLUMNS
    assert list(result.columns) == list(COLUMNS)  # in the file's order
    assert all(column.dtype == np.float64 for column in result.columns.values())
    assert result.order == "oldest day first, by its dates"


@pytest.mark.parametrize(
    "written",
    [
        "{y}년 {m:02}월 {d:02}일",
        "{y}년{m}월{d}일",
        "{y}-{m:02}-{d:02}",
        "{y}/{m}/{d}",
        "{y}.{m:02}.{d:02}",
        "{y}. {m}. {d}.",
        "{y}{m:02}{d:02}",
        ' "{y}-{m:02}-{d:02}" ',
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
def test_dates_as_they_are_written(written, newest_first, read_prices):
    days = [tuple(map(int, day.split("-"))) for day in DATES]
    lines = [f"{written.format(y=y, m=m, d=d)},{k}" for k, (y, m, d) in enumerate(days)]
    result = read_prices("\n".join(["Date,Close", *lines[:: -1 if newest_first else 1]]))
    assert result.dates == DATES
    assert result.columns["close"].tolist() == [0, 1, 2]
    first = "newest" if newest_first else "oldest"
    assert result.order == f"{first} day first, by its dates"


def test_names_of_columns(read_prices):
    header = "일자, OPEN ,고가,low,Adj_Close,시가 총액,volume"
    result = read_prices(f"{header}\n2020-01-02,1,2,3,4,5,6\n")
    assert list(result.columns) == ["open", "high", "low", "close", "volume"]  # for want of another
    assert result.table("volume", "low", "close").tolist() == [[6, 3, 4]]
    result = read_prices(f"{header},종가\n2020-01-02,1,2,3,4,5,6,7\n")
    assert result.columns["close"] == 7
    with pytest.raises(ValueError, match=r"^prices\.csv: got the columns open; want close too$"):
        read_prices("Open,Other\n1,2\n").table("open", "close")


def test_header_of_decomposed_hangul_as_apple_writes_it(read_prices):
    assert as_lists(read_prices(unicodedata.normalize("NFD", SLIDE))) == COLUMNS


def test_blanks_comments_and_empty_lines_at_the_end(read_prices):
    text = SLIDE.replace("15310", ' "15,310" ').replace(
        "\n2020년 01월 06일", "\n\n# 6 Jan\n 2020-01-06 "
    )
    assert as_lists(read_prices(f"# from a slide\n{text}\n,,,,,\n   \n")) == COLUMNS


def test_order_without_dates(read_prices):
    in_comment = "# https://example.org, quoted\n# Open,Close\n1,2\n3,4\n"
    plain = "Open,Close\n1,2\n3,4\n"
    for text, order, opens, words in (
        (
            in_comment,
            "auto",
            [3, 1],
            "newest day first, as no dates tell, and its header is in a comment",
        ),
        (
            plain,
            "auto",
            [1, 3],
            "oldest day first, as no dates tell, and its header is not in a comment",
        ),
        (in_comment, "oldest-first", [1, 3], "oldest day first, as asked"),
        (plain, "newest-first", [3, 1], "newest day first, as asked"),
    ):
        result = read_prices(text, order=order)
        assert result.columns["open"].tolist() == opens
        assert result.order == words
        assert result.dates == []


def test_order_that_the_dates_contradict(prices, read_prices):
    assert read_prices(SLIDE, order="oldest-first").dates == DATES
    with pytest.raises(
        ValueError, match=r"order: got newest-first, but by its dates .* oldest-first"
    ):
        read_prices(SLIDE, order="newest-first")
    with pytest.raises(ValueError, match="order: got 'up', want one of auto, newest-first"):
        read_prices(SLIDE, order="up")


def test_any_number_comes_back_with_and_without_separators(prices):
    numbers = st.one_of(
        st.integers(-(10**12), 10**12),
        st.floats(allow_nan=False, allow_infinity=False),
        st.decimals(-(10**9), 10**9, places=2),
    )

    @given(numbers, st.booleans())
    @settings(deadline=None, derandomize=True, max_examples=300)
    def check(value, separated):
        cell = f"{value:,}" if separated else str(value)
        if abs(float(value)) < 1e15:
            assert prices.to_number(cell) == float(value)
        else:
            with pytest.raises(ValueError, match="want a number between -1e\\+15 and 1e\\+15"):
                prices.to_number(cell)

    check()


def test_any_table_comes_back(read_prices):
    columns = st.lists(st.sampled_from(KOREAN.split(",")[1:]), min_size=1, unique=True)
    days = st.lists(st.dates(), min_size=2, max_size=6, unique=True)
    encodings = st.sampled_from(["utf-8", "utf-8-sig", "cp949"])

    @given(columns, days, encodings, st.booleans(), st.data())
    @settings(deadline=None, derandomize=True, max_examples=60)
    def check(header, days, encoding, newest_first, data):
        days = sorted(days)
        row = st.lists(st.floats(0.01, 1e12), min_size=len(header), max_size=len(header))
        table = [data.draw(row) for _ in days]
        text = io.StringIO()
        writer = csv.writer(text)  # puts quotes around what has commas
        writer.writerow(["날짜", *header])
        lines = [
            [
                f"{day.year:04}년 {day.month:02}월 {day.day:02}일",
                *(f"{number:,}" for number in numbers),
            ]
            for day, numbers in zip(days, table, strict=True)
        ]
        writer.writerows(reversed(lines) if newest_first else lines)
        result = read_prices(text.getvalue(), encoding)
        assert result.dates == [day.isoformat() for day in days]
        assert result.table(*result.columns).tolist() == table

    check()


def line_2(text):
    """The slide's file with another second line."""
    first, _, *rest = SLIDE.splitlines()
    return "\n".join([first, text, *rest])


MISTAKES = {
    "": "got no line but blanks and comments, want a header and prices",
    "# 날짜,종가\n\n,,,\n": "got no line but blanks and comments, want a header and prices",
    KOREAN: "got a header without a line of prices, want one for each day",
    "2020-01-02,55,12760\n": "line 1: got numbers (2020-01-02, 55, 12760), want a header before them",
    "# prices\n55,12760\n": "line 2: got numbers (55, 12760), want a header before them",
    "날짜\n2020-01-02\n": "line 1: got no name of a price (날짜), want a header before them, such as",
    "Close,종가\n1,2\n": "line 1: got two columns of close (Close, 종가), want one",
    line_2("2020년 01월 02일,5:,55.5,56,55,1"): "line 2, column 종가: got '5:', want a number",
    line_2("2020-01-02,55.2,55.5,56,-inf,1"): "line 2, column 저가: got '-inf', want a number",
    line_2("2020-01-02,55.2,55.5,56,1e999,1"): "line 2, column 저가: got '1e999', want a number",
    line_2(
        '2020-01-02,55.2,55.5,56,55,"12,76"'
    ): "line 2, column 거래량: got '12,76', want a number",
    line_2("2020-01-02,55.2,55.5,56,55,-1e15"): "line 2, column 거래량: got '-1e15', want a number "
    "between -1e+15 and 1e+15",
    line_2("2020-01-02,55.2,55.5,56,55,1_000"): "line 2, column 거래량: got '1_000', want a number",
    line_2("2020-01-02,55.2,５５,56,55,1"): "line 2, column 오픈: got '５５', want a number",
    line_2(",55.2,55.5,56,55,1"): "line 2, column 날짜: got '', want a date, such as 2020-01-02",
    line_2("2020-02-30,1,1,1,1,1"): "line 2, column 날짜: got '2020-02-30', want a date",
    line_2(
        "2020-01-02,55.2,55.5,56,55"
    ): "line 2: got 5 cells, want 6, as the header in line 1 has",
    line_2("2020-01-02,55.2,55.5,56,55,12,760"): "got 7 cells, want 6, as the header in line 1 has "
    "(a number such as 12,760 has to stand in quotes)",
    line_2('2020-01-02,55.2,55.5,56,55,"12'): "line 2: got a quote that is not closed in its line",
    line_2("x" * 200_000): "line 2: field larger than field limit",
    SLIDE
    + "2020-01-06,1,1,1,1,1": "line 5: got 2020-01-06 again, with other numbers than in line 4, "
    "want each day once",
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.items(), ids=range(len(MISTAKES)))
@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_mistakes_are_told_with_line_and_column(text, message, encoding, read_prices, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read_prices(text, encoding)
    assert str(caught.value).startswith(f"{tmp_path / 'prices.csv'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "byte", "offset"),
    [
        ("Close\n1\n".encode("utf-16-le"), "00", 1),
        (b"Close\n1\n" + bytes([0x81]), "81", 8),
        (b"\xef\xbb\xbfClose\n" + "종가".encode("cp949"), "c1", 9),  # the mark says UTF-8
        ("종가\n".encode("cp949") + b"\x81", "81", 5),  # the first half of a letter
        (b"Close\n1\x002\n", "00", 7),
    ],
)
def test_bytes_of_no_encoding_are_told_with_their_offset(data, byte, offset, read_prices):
    with pytest.raises(ValueError, match=f"byte 0x{byte} at offset {offset}, want a text file"):
        read_prices(data)


def test_file_that_is_not_there_and_folder(prices, tmp_path):
    with pytest.raises(FileNotFoundError):
        prices.read_prices(tmp_path / "none.csv")
    with pytest.raises(IsADirectoryError):
        prices.read_prices(tmp_path)


def test_goog(prices):
    goog = prices.goog()
    assert (goog.name, goog.order, len(goog.dates)) == ("GOOG", "oldest day first", 1047)
    assert goog.dates == sorted(set(goog.dates))
    assert list(goog.columns) == ["open", "high", "low", "volume", "close"]
    open_, high, low, volume, close = goog.table(*goog.columns).T
    assert (low <= np.minimum(open_, close)).all()
    assert (high >= np.maximum(open_, close)).all()
    assert (goog.dates[0], close[0], volume[0]) == ("2004-08-19", 100.34, 22351900)


def test_goog_without_matplotlib(prices, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.cbook", None)
    with pytest.raises(RuntimeError, match=r"matplotlib is missing.*pip install matplotlib"):
        prices.goog()
