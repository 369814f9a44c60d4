"""Files of daily prices as they come from where people get them: all tell of the same three days."""

import re
from datetime import UTC, datetime

import numpy as np
import pytest

DAYS = [datetime(2020, 1, day, tzinfo=UTC) for day in (2, 3, 6)]
PRICES = {  # capital letters in the forms below are a thousand times as much: in won, say
    "open": [55.5, 56, 54.9],
    "high": [56, 56.6, 55.6],
    "low": [55, 54.9, 54.6],
    "close": [55.2, 55.5, 55.5],
    "volume": [12760, 15310, 10280],
}


def written(form, newest_first=False):
    """A form is the lines before the days, and below them the form of a day."""
    *before, day = form.replace("@", "{t:%Y-%m-%d}").replace("*", "{o},{h},{l},{c},{v}").split("\n")
    rows = []
    for k, t in enumerate(DAYS):
        o, h, low, c, v = (column[k] for column in PRICES.values())
        values = {
            "o": o,
            "h": h,
            "l": low,
            "c": c,
            "v": v,
            "t": t,
            "k": k,
            "e": int(t.timestamp()),
            "m": v / 1000,
        }
        values |= {name.upper(): values[name] * 1000 for name in "ohlcve"}
        rows.append(day.format(**values))
    return "\n".join([*before, *(rows[::-1] if newest_first else rows)]) + "\n"


def comma(form):
    """With decimal commas, and points between thousands."""
    return written(form).translate(str.maketrans(".,", ",."))


FORMS = {
    "yahoo": "Date,Open,High,Low,Close,Adj Close,Volume\n@,{o},{h},{l},{c},9.5,{v}",
    "yahoo's page": "Date\tOpen\tHigh\tLow\tClose\tAdj Close\tVolume\n"
    "{t:%b} {t.day}, {t.year}\t{o:.2f}\t{h:.2f}\t{l:.2f}\t{c:.2f}\t9.50\t{v:,}",
    "yfinance": "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
    "@,{c},{h},{l},{o},{v}",
    "yfinance by ticker": "Ticker,A,A,A,A,A\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n@,*",
    "yfinance with zone": "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
    "@ 00:00:00-05:00,*,0.0,0.0",
    "datareader": "Attributes,Adj Close,Close,High,Low,Open,Volume\nSymbols,A,A,A,A,A,A\nDate,,,,,,\n"
    "@,9.5,{c},{h},{l},{o},{v}",
    "flattened": "Date,Close_AAPL,High_AAPL,Low_AAPL,Open_AAPL,Volume_AAPL\n@,{c},{h},{l},{o},{v}",
    "tuples": 'Date,"(\'Close\', \'A\')","(\'High\', \'A\')","(\'Low\', \'A\')","(\'Open\', \'A\')",'
    '"(\'Volume\', \'A\')"\n@,{c},{h},{l},{o},{v}',
    "pandas index": ",Open,High,Low,Close,Volume,Change\n@,*,",
    "pandas twice": "Unnamed: 0,Date,Open,High,Low,Close,Volume\n{k},{t:%Y-%m-%d 00:00:00},*",
    "finance data reader": "Date,Open,High,Low,Close,Volume,Change\n"
    "@,{O:.0f},{H:.0f},{L:.0f},{C:.0f},{V},0.0123",
    "pykrx": "날짜,시가,고가,저가,종가,거래량,등락률\n@,{O:.0f},{H:.0f},{L:.0f},{C:.0f},{V},0.4",
    "krx": '일자,종가,대비,등락률,시가,고가,저가,거래량,거래대금,시가총액,상장주식수\n'
    '"{t:%Y/%m/%d}","{C:.0f}","-600","-1.08","{O:.0f}","{H:.0f}","{L:.0f}","{V}","719,663","99999999999999999999999","5"',
    "naver": ",날짜,종가,전일비,시가,고가,저가,거래량\n{k},{t:%Y.%m.%d},{C},하락  500,{O},{H},{L},{V}.0",
    "kiwoom": "일자,시가,고가,저가,종가,대비,거래량,5,20,60\n"
    '{t:%Y/%m/%d},"{O:,.0f}","{H:,.0f}","{L:,.0f}","{C:,.0f}",▼ 600,"{V:,}",1,2,3',
    "investing, korean": '"날짜","종가","시가","고가","저가","거래량","변동 %"\n'
    '"{t:%Y- %m- %d}","{C:,.0f}","{O:,.0f}","{H:,.0f}","{L:,.0f}","{m:.2f}K","-0.36%"',
    "investing, english": '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"{t:%b %d, %Y}","{C:,.2f}","{O:,.2f}","{H:,.2f}","{L:,.2f}","{m:.2f}K","0.36%"',
    "investing, new": '"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"{t:%m/%d/%Y}","{C:,.2f}","{O:,.2f}","{H:,.2f}","{L:,.2f}","{m:.2f}K","0.36%"',
    "nasdaq": "Date,Close/Last,Volume,Open,High,Low\n{t:%m/%d/%Y},${c},{v},${o},${h},${l}",
    "stooq": "Date,Open,High,Low,Close,Volume\n@,*",
    "stooq, all": "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
    "AAPL.US,D,{t:%Y%m%d},000000,*,0",
    "stooq, polish": "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n@,*",
    "metatrader": "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<SPREAD>\n"
    "{t:%Y.%m.%d}\t{o}\t{h}\t{l}\t{c}\t{v}\t1",
    "alpha vantage": "timestamp,open,high,low,close,volume\n@,*",
    "alpha vantage, json": "date,1. open,2. high,3. low,4. close,5. volume\n@,*",
    "google sheets": "Date,Open,High,Low,Close,Volume\n{t.month}/{t.day}/{t.year} 16:00:00,*",
    "google sheets, korean": "Date,Open,High,Low,Close,Volume\n"
    '"{t.year}. {t.month}. {t.day} 오후 3:30:00",*',
    "google finance of old": "Date,Open,High,Low,Close,Volume\n{t.day}-{t:%b-%y},*",
    "tradingview": "time,open,high,low,close,Volume\n{e},*",
    "tradingview, iso": "time,open,high,low,close,Volume\n{t:%Y-%m-%dT%H:%M:%S}Z,*",
    "binance": "open_time,open,high,low,close,volume,close_time,quote_volume,count\n"
    "{E},*,{E},1.5,7",
    "binance, microseconds, no header": "{E}000,*,{E}999,1.5,7,1,2,0",
    "crypto data download": "https://www.CryptoDataDownload.com\n"
    "unix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
    "{e},{t:%Y-%m-%d %H:%M:%S},BTC/USD,*,99",
    "kaggle, bitcoin": "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
    "{e},*,77,55",
    "kaggle, s&p 500": "date,open,high,low,close,volume,Name\n@,*,AAL",
    "kaggle, index": "Index,Date,Open,High,Low,Close,Adj Close,Volume,CloseUSD\n"
    "NYA,@,{o},{h},{l},{c},9,{v},9",
    "nse": '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","VOLUME "\n'
    '"{t:%d-%b-%Y}","EQ","{o}","{h}","{l}","50.1","{c}","{c}","55.1","{v}"',
    "bse": "Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades\n"
    "{t.day}-{t:%B-%Y},{o},{h},{l},{c},55.1,{v},4",
    "quandl": "Date,Open,High,Low,Close,Volume,Ex-Dividend,Adj. Open,Adj. High,Adj. Low,Adj. Close\n"
    "@,*,0,1,2,3,4",
    "tiingo": "date,close,high,low,open,volume,adjClose,adjHigh,divCash\n"
    "@T00:00:00.000Z,{c},{h},{l},{o},{v},9,9,0",
    "quantmod": '"","AAPL.Open","AAPL.High","AAPL.Low","AAPL.Close","AAPL.Volume","AAPL.Adjusted"\n'
    '"@",*,9',
    "tushare": "日期,股票代码,收盘价,最高价,最低价,开盘价,成交量\n@,'600000,{c},{h},{l},{o},{v}",
    "japanese": '"日付け","終値","始値","高値","安値","出来高","変化率 %"\n'
    '"{t:%Y年%m月%d日}","{c}","{o}","{h}","{l}","{v}","0.1%"',
    "wsj": "Date, Open, High, Low, Close, Volume\n{t:%m/%d/%y}, {o}, {h}, {l}, {c}, {v}",
    "with a weekday": '날짜,종가,오픈,고가,저가,거래량\n{t:%Y/%m/%d}(목),{c},{o},{h},{l},"{v:,}"',
    "short years, korean": "일자|시가|고가|저가|종가|거래량\n{t:%y/%m/%d}|{o}|{h}|{l}|{c}|{v}",
    "words before": "Samsung Electronics (005930)\nfrom 2020-01-02, in thousands of won\n\n"
    "# with a \"quote in a comment\n날짜,종가,오픈,고가,저가,거래량\n"
    "{t:%Y년 %m월 %d일},{c},{o},{h},{l},{v}",
    "yahoo's new page": "Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\t"
    "Adj Close Adjusted close price adjusted for splits and dividends.\tVolume\n"
    "{t:%b} {t.day}, {t.year}\t{o:.2f}\t{h:.2f}\t{l:.2f}\t{c:.2f}\t9.50\t{v:,}",
    "r's table": '"GOOG.Open" "GOOG.High" "GOOG.Low" "GOOG.Close" "GOOG.Volume"\n'
    '"@" {o} {h} {l} {c} {v}',
    "r's table with numbers": '"date","open","high","low","close","volume"\n"{k}",@,*',
    "pandas, printed": "            Open  High   Low  Close  Volume\nDate\n@  {o}  {h}  {l}  {c}  {v}",
    "javascript": "Date,Open,High,Low,Close,Volume\n"
    "{t:%a %b %d %Y} 00:00:00 GMT+0900 (Korean Standard Time),*",
    "ctime": "Date,Open,High,Low,Close,Volume\n{t:%a %b %d 16:00:00 %Y},*",
    "polygon": "ticker,volume,open,close,high,low,window_start,transactions\n"
    "A,{v},{o},{c},{h},{l},{E}000000,7",
    "korean open data": "basDt,isinCd,itmsNm,clpr,vs,mkp,hipr,lopr,trqu\n"
    "{t:%Y%m%d},KR7,X,{c},1,{o},{h},{l},{v}",
    "dutch": "Datum,Laatste,Open,Hoog,Laag,Vol.\n{t:%d-%m-%Y},{c},{o},{h},{l},{v}",
    "swedish": "Datum,Senaste,Öppen,Högst,Lägst,Vol.\n@,{c},{o},{h},{l},{v}",
    "frankfurt": "Datum;Eröffnung;Schluss;Tageshoch;Tagestief;Umsatz in Euro;Umsatz in Stück\n"
    "{t:%d.%m.%y};{o};{c};{h};{l};9;{v}",
    "quandl, frankfurt": "Date,Open,High,Low,Close,Change,Traded Volume,Turnover\n"
    "@,{o},{h},{l},{c},,{v},9",
    "french, short": "date\touv\thaut\tbas\tclot\tvol\tdevise\t\n"
    "{t:%d/%m/%Y} 00:00\t{o}\t{h}\t{l}\t{c}\t{v}\tEUR\t",
    "a mark in the middle": "\ufeffDate,Open,High,Low,Close,Volume\n"
    "\ufeffDate,Open,High,Low,Close,Volume\n@,*",
    "trailing commas": "Date,Open,High,Low,Close,Volume,,\n@,*,,",
    "commas behind days alone": "Date,Open,High,Low,Close,Volume\n@,*,",
    "spaces": "Date     Open  High Low  Close Volume\n@ {o}  {h} {l}   {c} {v}",
    "excel's hint": "sep=;\nDate;Open;High;Low;Close;Volume\n{t:%d-%m-%Y};{o};{h};{l};{c};{v}",
    "swiss": "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen\n"
    "{t:%d.%m.%Y};{O:,.2f};{H:,.2f};{L:,.2f};{C:,.2f};{V}",
}  # fmt: skip
COMMAS = {
    "ariva": "Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen\n@;{o};{h};{l};{c};{v:,};9",
    "investing, german": '"Datum"."Zuletzt"."Eröffn,"."Hoch"."Tief"."Vol,"."+/- %"\n'
    '"{t:%d,%m,%Y}"."{C:,.2f}"."{O:,.2f}"."{H:,.2f}"."{L:,.2f}"."{m:.2f}K"."0.1%"',
    "french": "Date;Dernier;Ouv,;Plus Haut;Plus Bas;Vol,\n{t:%d/%m/%Y};{c};{o};{h};{l};{v}",
    "russian": "Дата;Цена;Откр,;Макс,;Мин,;Объём\n{t:%d,%m,%Y};{c};{o};{h};{l};{v}",
    "spanish": "Fecha;Último;Apertura;Máximo;Mínimo;Vol,\n{t:%d,%m,%Y};{c} €;{o} €;{h} €;{l} €;{v}",
    "turkish": "Tarih;Şimdi;Açılış;Yüksek;Düşük;Hac,\n{t:%d,%m,%Y};{c};{o};{h};{l};{v}",
}
FILES = {name: written(form) for name, form in FORMS.items()}
FILES |= {f"{name}, newest first": written(form, True) for name, form in FORMS.items()}
FILES |= {name: comma(form) for name, form in COMMAS.items()}


@pytest.mark.parametrize("name", FILES)
def test_file_works_as_it_comes(name, read_prices):
    result = read_prices(FILES[name])
    assert result.dates == [f"{day:%Y-%m-%d}" for day in DAYS]
    form = (FORMS | COMMAS)[name.removesuffix(", newest first")]
    for key, want in PRICES.items():
        times = 1 if "*" in form or "{c" in form or (key == "volume" and "{V" not in form) else 1000
        assert result.columns[key] == pytest.approx(np.array(want) * times, rel=1e-9), key
    for note in result.notes:
        assert re.match(
            "dates such as|without a header, the columns are taken for date, open", note
        )


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("krx", "euc-kr"),
        ("investing, korean", "cp949"),
        ("yahoo's page", "utf-16"),
        ("naver", "utf-8-sig"),
        ("tushare", "gbk"),
        ("japanese", "shift_jis"),
        ("swiss", "cp1252"),
    ],
)
def test_encodings(name, encoding, read_prices):
    want, result = read_prices(FILES[name]), read_prices(FILES[name], encoding)
    assert result.dates == want.dates
    assert result.table(*PRICES).tolist() == want.table(*PRICES).tolist()
