"""Cells of a file of prices: dates, numbers, what is left out, and files without a header."""

import re

import pytest


def test_two_tickers_are_told_apart(read_prices):
    text = "Price,Close,Close,Open\nTicker,A,B,A\nDate,,,\n2020-01-02,1,2,3\n"
    with pytest.raises(
        ValueError, match=r"line 1: got two columns of close \(Close, Close\), want one"
    ):
        read_prices(text)


@pytest.mark.parametrize(
    ("dates", "want", "read_as"),
    [
        (("01/13/2020", "01/14/2020"), ("2020-01-13", "2020-01-14"), None),
        (("13/01/2020", "14/01/2020"), ("2020-01-13", "2020-01-14"), None),
        (("01/02/2020", "01/03/2020"), ("2020-01-02", "2020-01-03"), "month/day/year"),
        (("01/02/2020", "02/02/2020"), ("2020-02-01", "2020-02-02"), "day/month/year"),
        (("12.11.2020", "13.11.2020"), ("2020-11-12", "2020-11-13"), None),
        (("01.02.2020",), ("2020-02-01",), "day/month/year"),
        (("01/02/2020",), ("2020-01-02",), "month/day/year"),
        (("20/01/02", "20/01/03"), ("2020-01-02", "2020-01-03"), "year/month/day"),
        (("99/12/31", "00/01/03"), ("1999-12-31", "2000-01-03"), None),
        (("Thu Jan 2 2020", "Friday, January 3rd, 2020"), ("2020-01-02", "2020-01-03"), None),
        (("2020-01-02T15:30:00+09:00", "2020-01-03 3:30 PM"), ("2020-01-02", "2020-01-03"), None),
        (("2020-01-02 목", "2020-01-03 금요일"), ("2020-01-02", "2020-01-03"), None),
        (("1.5779232e+12", "1.5780096E+09"), ("2020-01-02", "2020-01-03"), None),
        (("1577923200.0", "1578009600000000000"), ("2020-01-02", "2020-01-03"), None),
        (("02/Jan/2020", "2020-Jan-03"), ("2020-01-02", "2020-01-03"), None),
    ],
)
def test_order_of_day_and_month_is_that_of_the_whole_column(dates, want, read_as, read_prices):
    result = read_prices("\n".join(["Date;Close", *(f"{date};1" for date in dates)]))
    assert tuple(result.dates) == want
    assert (f"are read as {read_as}" in "".join(result.notes)) == (read_as is not None)


@pytest.mark.parametrize(
    ("cells", "want", "said"),
    [
        (("1.234,5", "12"), [1234.5, 12], ""),
        (
            ("55,200", "55,300"),
            [55200, 55300],
            "55,200 is taken for 55200, as no cell tells",
        ),
        (("55.200", "55.300"), [55.2, 55.3], "55.200 is taken for 55.2, as no cell tells"),
        (("55,200", "55.5"), [55200, 55.5], ""),
        (("55,2", "55,25"), [55.2, 55.25], ""),
        (("1'234.5", "1\u202f234"), [1234.5, 1234], ""),
        (("12,34,567.5", "₩55,200.00"), [1234567.5, 55200], ""),
        (("1.2B", "3억"), [1.2e9, 3e8], ""),
        (("1.5 USD", "2원"), [1.5, 2], ""),
    ],
)
def test_marks_of_numbers_are_those_of_the_whole_file(cells, want, said, read_prices):
    result = read_prices("\n".join(["Close;Other", *(f"{cell};x" for cell in cells)]))
    assert result.columns["close"] == pytest.approx(want)
    assert "".join(result.notes).startswith(said)
    assert bool(result.notes) == bool(said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2020-01-03,0,0,0,54000,0", "a day without trade: line 3"),
        ("2020-01-03,0,0,0,0,0", "a day without trade: line 3"),
        ("2020-01-03,,,,,", "a day without trade: line 3"),
        ("2020-01-03,null,null,null,null,null", "a day without trade: line 3"),
        ("2020-01-03,-,-,-,54000,-", "a day without trade: line 3"),
        ("2020-01-03,0,56,54,55,9", "a day without trade: line 3"),  # nobody paid 0 that day
        ("2020-01-03,55,56,54,N/A,9", "a day with an empty cell: line 3"),
        ("2020-01-03,55,56,54,55,", "a day with an empty cell: line 3"),
        ("2020-01-02,55,56,54,55,9", "a day as it is there twice: line 3"),
    ],
)
def test_days_without_all_numbers_are_left_out_and_said(line, said, read_prices):
    text = (
        f"Date,Open,High,Low,Close,Volume\n2020-01-02,55,56,54,55,9\n{line}\n2020-01-06,1,2,1,2,9\n"
    )
    result = read_prices(text)
    assert result.dates == ["2020-01-02", "2020-01-06"]
    assert result.notes == (f"left out {said}",)


def test_of_many_lines_left_out_the_first_are_named(read_prices):
    rows = [f"2019-12-{day:02},0,0,0,54,0" for day in range(1, 8)]
    result = read_prices(
        "\n".join(["Date,Open,High,Low,Close,Volume", "2020-01-02,5,6,4,5,9", *rows])
    )
    assert result.notes == ("left out 7 days without trade: lines 3, 4, 5, 6, 7 and so on",)


@pytest.mark.parametrize(
    "line", ["Source: nobody", '"Source: nobody, 2020",,,', "2020-01-04,0.24 Dividend", "3", "\x1a"]
)
@pytest.mark.parametrize("place", [1, 2, 3])
def test_lines_that_tell_of_no_day_are_left_out_and_said(line, place, read_prices):
    rows = ["Date,Open,Close,Volume", "2020-01-02,1,2,3", "2020-01-03,2,3,4"]
    result = read_prices("\n".join([*rows[:place], line, *rows[place:]]))
    assert result.columns["close"].tolist() == [2, 3]
    assert result.notes == (f"left out a line without prices: line {place + 1}",)


def test_prices_that_contradict_one_another_are_said(read_prices):
    """As those of some programs, whose sign says whether a price has risen; rounding is none."""
    rows = ["2020-01-06,-5,-6,4,5", "2020-01-03,5,6,5.5,5", "2020-01-02,5,5.999,4,6"]
    result = read_prices("\n".join(["Date,Open,High,Low,Close", *rows]))
    said = "the high is not the highest price of its day, or the low not the lowest: lines 2, 3"
    assert result.notes == (said,)


def test_columns_without_a_number_are_none(read_prices):
    result = read_prices("Date,Price,Open,Vol.\n2020-01-02,1,2,-\n2020-01-03,3,4,\n")
    assert list(result.columns) == ["close", "open"]
    assert len(result.dates) == 2


def test_prices_of_0_stay_where_they_may_be_meant(read_prices):
    """Of made-up numbers, such as a sine."""
    result = read_prices("Open,High,Low,Volume,Close\n0,2,0,9,1\n0,0,0,9,0\n")
    assert len(result.columns["close"]) == 2
    assert read_prices("Close\n0\n1\n").columns["close"].tolist() == [0, 1]


def test_lines_in_no_order_are_put_in_order(read_prices):
    result = read_prices("Date,Close\n2020-01-03,3\n2020-01-02,2\n2020-01-06,6\n")
    assert (result.dates[0], result.columns["close"].tolist()) == ("2020-01-02", [2, 3, 6])
    assert result.order == "in no order, so put into that of its dates"


def test_header_of_a_second_file_behind_the_first_is_no_day(read_prices):
    assert read_prices("Date,Close\n2020-01-02,1\nDate,Close\n2020-01-03,2\n").columns[
        "close"
    ].tolist() == [1, 2]


@pytest.mark.parametrize("sign", [",", " "])
@pytest.mark.parametrize("last", ["volume close", "close volume"])
def test_five_numbers_without_a_header_are_those_of_the_lecture(sign, last, read_prices):
    """As numpy.loadtxt reads them, and numpy.savetxt writes them."""
    names = ["open", "high", "low", *last.split()]
    values = {
        "open": (5, 6),
        "high": (7, 8),
        "low": (4, 5),
        "close": (5.5, 7),
        "volume": (900, 800),
    }
    lines = [sign.join(f"{values[name][k]:.18e}" for name in names) for k in range(2)]
    result = read_prices("\n".join(["# quoted from somewhere", *lines]))
    for name, numbers in values.items():
        assert result.columns[name].tolist() == list(numbers[::-1])
    assert result.order == "newest day first, as no dates tell, and it has no header"
    assert result.notes == (f"without a header, the columns are taken for {', '.join(names)}",)


def test_five_numbers_that_tell_nothing_are_those_of_the_lecture_in_the_order_asked(read_prices):
    result = read_prices("1,2,3,4,5\n6,7,8,9,10", order="oldest-first")
    assert result.table("volume", "close").tolist() == [[4, 5], [9, 10]]


def test_first_day_without_a_number_is_not_taken_for_a_header(read_prices):
    result = read_prices(
        "2020-01-02,,56,54,55,9\n2020-01-03,55,56,54,55,9\n2020-01-06,55,56,54,55,9\n"
    )
    assert result.dates == ["2020-01-03", "2020-01-06"]
    assert result.notes[1] == "left out a day with an empty cell: line 1"
    with pytest.raises(
        ValueError, match=r"line 1: got numbers \(2020-01-02, , 55\), want a header"
    ):
        read_prices("2020-01-02,,55\n2020-01-03,1,55\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"PK\3\4...",
            "got a zip archive or an Excel workbook, want a text file such as CSV: unpack or",
        ),
        (b"\x1f\x8b\x08", "got a file packed by gzip, want a text file"),
        (
            "Date,Close\n2020-01-02,1\n".encode("utf-16-le"),
            "got byte 0x00 at offset 1, want a text file",
        ),
        (b'{"Date": ["2020-01-02"], "Close": [1]}', "got JSON, want a text file such as CSV"),
        (b"<!DOCTYPE html>", "got a web page, want a text file such as CSV"),
        (
            "종목코드,종가,시가\n005930,1,1\n000660,2,2\n".encode("cp949"),
            "line 3, column 종목코드: got '000660', and '005930' in line 2, want the days of one share",
        ),
        (
            b"Date,Symbol,Name,Close\n2020-01-02,A,a,1\n2020-01-03,,b,2\n2020-01-06,B,b,2\n",
            "line 4, column Symbol: got 'B', and 'A' in line 2, want the days of one share",
        ),
        (b"Date,Close\n2020-01-02,1\nSum,2\n", "line 3, column Date: got 'Sum', want a date"),
        (b"Date,Close\n2020-01-02,x\n2020-01-03,y\n", "line 2, column Close: got 'x', want a num"),
        (b"Date,Open,Close\n2020-01-02\n", "line 2: got 1 cell, want 3"),
        (b"Date,Close\n2020-01-02,-\n", "got no number in close, want prices"),
        (
            b"Date,Open,Close\n2020-01-02,-,5\n2020-01-03,5,-\n",
            "got no day with all of open, close, want one",
        ),
        (
            b"2020-01-02,3,2,1,5,9\n",
            "got numbers (2020-01-02, 3, 2, 1, 5, 9), want a header before",
        ),
        (
            b"Date,Close\n01/13/2020,1\n13/01/2020,2\n",
            "line 3, column Date: got '13/01/2020', want a date",
        ),
    ],
)
def test_what_is_no_file_of_prices_is_told(data, message, read_prices):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_prices(data)
