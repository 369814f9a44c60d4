"""examples/stock.py: what its windows may know, how it judges, and what it says."""

import argparse
import math
import re
import sys
from datetime import date, timedelta

import numpy as np
import pytest
from helpers import ROOT, run, run_example, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("open", "high", "low", "volume", "close")
PROTOCOLS = ("honest", "slides", "slides-whole")
TARGETS = ("price", "return")


@pytest.fixture
def stock(example):
    return example("stock")


@pytest.fixture
def windows(example):
    return example("stock_windows")


@pytest.fixture
def report(example):
    return example("stock_report")


@pytest.fixture
def prices(example, rng):
    """A random walk of 160 days."""
    close = 50 * np.exp(rng.normal(0, 0.02, 160).cumsum())
    high, low = close * rng.uniform(1, 1.02, 160), close * rng.uniform(0.98, 1, 160)
    table = (rng.uniform(low, high), high, low, rng.uniform(1e6, 2e6, 160), close)
    return example("prices").Prices("walk", [], dict(zip(NAMES, table, strict=True)), "")


def changed(prices, day, column, factor):
    """The same prices, but for one number."""
    columns = {name: values.copy() for name, values in prices.columns.items()}
    columns[column][day] *= factor
    return prices._replace(columns=columns)


def tensors(part):
    return part.x, part.y


def equal(a, b):
    return all(same_bits(one, other) for one, other in zip(a, b, strict=True))


# ---- what the windows know -------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("protocol", ["honest", "slides"])
def test_no_day_after_the_training_changes_a_training_window(protocol, target, windows, prices):
    train, test = windows.split(windows.arrange(prices, target), 7, 0.7, protocol)
    first = len(prices.columns["close"]) - len(test.close)  # day to predict in the test

    @settings(deadline=None, derandomize=True, max_examples=60)
    @given(
        st.integers(first, len(prices.columns["close"]) - 1),
        st.sampled_from(NAMES),
        st.floats(0.001, 1000),
    )
    def check(day, column, factor):
        other = windows.arrange(changed(prices, day, column, factor), target)
        assert equal(tensors(windows.split(other, 7, 0.7, protocol)[0]), tensors(train))

    check()
    last = windows.arrange(changed(prices, first - 1, "close", 1.01), target)
    assert not equal(tensors(windows.split(last, 7, 0.7, protocol)[0]), tensors(train))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("column", NAMES)
def test_with_slides_whole_the_training_windows_know_the_last_day(column, target, windows, prices):
    """So that the test above can fail."""
    train, _ = windows.split(windows.arrange(prices, target), 7, 0.7, "slides-whole")
    other = windows.arrange(changed(prices, -1, column, 10), target)
    assert not same_bits(windows.split(other, 7, 0.7, "slides-whole")[0].x, train.x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_with_the_honest_protocol_test_windows_do_not_know_later_days(
    protocol, target, windows, prices
):
    _, test = windows.split(windows.arrange(prices, target), 7, 0.7, protocol)
    knows = []
    for later in range(1, 20):  # a change of this day, counted from the end
        other = windows.arrange(changed(prices, -later, "close", 10), target)
        x = windows.split(other, 7, 0.7, protocol)[1].x
        before = x.shape[2] - later + 1  # windows whose days are all before the change
        knows.append(not same_bits(x[:, :, :before], test.x[:, :, :before]))
    assert any(knows) == all(knows) == (protocol != "honest")


@pytest.mark.parametrize(("model", "T", "share"), [("lstm", 7, 0.7), ("keras", 50, 0.8)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocols_scale_and_cut_as_told(protocol, model, T, share, windows, stock, prices):
    """Against a loop over the windows, as the tutorials have it."""
    setting = stock.SETTINGS[model]
    assert (setting.window, setting.share) == (T, share)
    xy = np.stack([prices.columns[name] for name in NAMES], axis=1)
    if model == "keras":
        xy = np.concatenate([xy, 1.1 * xy])  # 320 days

    def scaled(rows, known):
        return (rows - known.min(axis=0)) / (known.max(axis=0) - known.min(axis=0))

    def pairs(rows):
        return [(rows[i : i + T], rows[i + T, -1]) for i in range(len(rows) - T)]

    cut = int(len(xy) * share)
    if protocol == "slides-whole":
        every = pairs(scaled(xy, xy))
        cut = int(len(every) * share)
        want = every[:cut], every[cut:]
    else:
        earlier, later = xy[:cut], xy[cut - T :]
        known = earlier if protocol == "honest" else later
        want = pairs(scaled(earlier, earlier)), pairs(scaled(later, known))

    columns = dict(zip(NAMES, xy.T, strict=True))
    series = windows.arrange(prices._replace(columns=columns), "price")
    for part, wanted in zip(windows.split(series, T, share, protocol), want, strict=True):
        assert part.x.shape == (T, 5, len(wanted))
        np.testing.assert_allclose(part.x.transpose(2, 0, 1), [x for x, _ in wanted], atol=1e-6)
        np.testing.assert_allclose(part.y[0], [y for _, y in wanted], atol=1e-12)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_targets_scale_back_to_the_prices_they_are_from(protocol, target, windows, prices):
    close = prices.columns["close"]
    for part in windows.split(windows.arrange(prices, target), 7, 0.7, protocol):
        np.testing.assert_allclose(windows.to_prices(part.y[0], part), part.close, rtol=1e-12)
        start = int(np.flatnonzero(close == part.today[0])[0])
        assert same_bits(part.today, close[start : start + len(part.today)])
        assert same_bits(part.close, close[start + 1 :][: len(part.today)])


def test_returns_are_changes_since_the_last_close(windows, prices):
    few = {"volume": np.array([5.0, 10, 20]), "close": np.array([100.0, 110, 99])}
    few["high"] = np.array([101.0, 120, 121])
    series = windows.arrange(prices._replace(columns=few), "return")
    want = [
        [math.log(1.2), math.log(2), math.log(1.1)],
        [math.log(1.1), math.log(2), math.log(0.9)],
    ]
    np.testing.assert_allclose(series.features, want)
    np.testing.assert_allclose(series.target, [math.log(1.1), math.log(0.9)])
    assert series.close.tolist() == [110, 99]
    assert series.days.tolist() == [2, 3]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("model", ["lstm", "keras"])
def test_so_many_days_as_asked_for_are_enough(model, protocol, target, stock, windows, example):
    """A file of the number of days that the message wants can be used, and one less cannot."""
    setting = stock.SETTINGS[model]

    def split(n):
        walk = example("prices").Prices("walk.csv", [], {"close": np.arange(1.0, n + 1)}, "")
        return windows.split(windows.arrange(walk, target), setting.window, setting.share, protocol)

    words = rf"walk\.csv: got 60 days, want (\d+) or more, for 32 windows of {setting.window} days "
    with pytest.raises(ValueError, match=words + "to train on and 32 to test on$") as caught:
        split(60)
    wanted = int(re.search(words, str(caught.value))[1])
    with pytest.raises(ValueError, match=f"got {wanted - 1} days, want {wanted} or more"):
        split(wanted - 1)
    train, test = split(wanted)
    assert min(len(train.close), len(test.close)) == 32


# ---- how it judges ---------------------------------------------------------------------------------


def test_errors_and_directions_by_hand(report):
    today = np.array([10.0, 10, 10, 10, 10])
    truth = np.array([11.0, 9, 12, 10, 13])
    pred = np.array([12.0, 11, 11, 14, 10])
    assert report.rmse(pred, truth) == pytest.approx(math.sqrt((1 + 4 + 1 + 16 + 9) / 5))
    assert report.mae(pred, truth) == pytest.approx((1 + 2 + 1 + 4 + 3) / 5)
    share = report.direction(pred, truth, today)  # right, wrong, right, (no move), wrong
    assert share.value == 0.5
    # Wilson's interval for 2 of 4, (p̂ + z²/2n ± z √(p̂q̂/n + z²/4n²)) / (1 + z²/n)
    assert share.low == pytest.approx(0.1500, abs=5e-5)
    assert share.high == pytest.approx(0.8500, abs=5e-5)


def test_bounds_of_a_direction_are_where_the_score_test_turns(report):
    """At a bound p, the share found is 1.96 of the standard deviations away that p would give."""

    @settings(deadline=None, derandomize=True)
    @given(st.integers(1, 2000), st.floats(0, 1))
    def check(n, right):
        hits = round(right * n)
        truth = np.where(np.arange(n) < hits, 1.0, -1.0)
        share = report.direction(np.ones(n), truth, np.zeros(n))
        assert share.value == pytest.approx(hits / n)
        for bound in (share.low, share.high):
            assert -1e-12 < bound < 1 + 1e-12
            deviation = 1.96 * math.sqrt(max(0, bound * (1 - bound)) / n)
            assert abs(share.value - bound) == pytest.approx(deviation, abs=1e-6)

    check()


def test_ratio_of_proportional_errors_is_certain(report, rng):
    truth, error = rng.normal(size=(2, 100))
    found = report.ratio(truth + error / 2, truth - error, truth, rng)
    assert found == pytest.approx((0.5, 0.5, 0.5))


@pytest.mark.parametrize("n", range(1, 9))
def test_ratio_over_few_days_is_a_number(n, report, rng):
    truth, pred, other = rng.normal(size=(3, n))
    found = report.ratio(pred, other, truth, rng)
    assert 0 < found.low <= found.high < math.inf


def covered(report, rng, shared, n=315):
    """How many of 100 intervals hold the true ratio, 1, where calm and wild times take turns."""
    count = 0
    for _ in range(100):
        size = np.zeros((2, n))
        for day in range(1, n):
            size[:, day] = 0.9 * size[:, day - 1] + 0.2 * rng.normal(size=2)
        errors = np.exp(size[:1] if shared else size) * rng.normal(size=(2, n))
        found = report.ratio(*errors, np.zeros(n), rng)
        count += found.low < 1 < found.high
    return count


@pytest.mark.exhaustive
def test_interval_of_the_ratio_holds_the_truth(report, rng, monkeypatch):
    """Mostly, if both predictions have the same wild times, as two of one price do; and where each
    has its own, the blocks are better than days drawn one by one."""
    monkeypatch.setattr(report, "DRAWS", 400)
    assert 88 <= covered(report, rng, shared=True) <= 99
    blocks = covered(report, rng, shared=False)
    monkeypatch.setattr(report, "BLOCK", 1)
    assert covered(report, rng, shared=False) < 70 < blocks


@pytest.mark.parametrize("days", [0, 1, 2, 10])
def test_lag_is_found(days, report, rng):
    walk = rng.normal(size=120).cumsum()
    truth, pred = walk[days:], walk[: len(walk) - days]
    late = report.lag(5 + 0.3 * pred, truth)
    assert late.days == days
    assert late.correlations[days] == pytest.approx(1)
    # against NumPy's coefficient, over the same days
    n = len(truth) - 1 - report.MOST_LAG
    for k, correlation in enumerate(late.correlations):
        came = np.diff(truth)[report.MOST_LAG - k :][:n]
        assert correlation == pytest.approx(np.corrcoef(np.diff(pred)[-n:], came)[0, 1])


def test_noise_of_the_lag_is_what_chance_exceeds_in_5_of_100(report, rng):
    greatest = []
    for _ in range(1000):
        late = report.lag(*rng.normal(size=(2, 200)).cumsum(axis=1))
        greatest.append(late.correlations.max() > late.noise)
    assert 0.03 < np.mean(greatest) < 0.08


def test_lag_of_a_prediction_that_never_moves_is_none(report, rng):
    late = report.lag(np.full(50, 3.0), rng.normal(size=50))
    assert not late.correlations.any()
    assert report.lag_in_words(late).startswith("Its changes go with those of the price at no lag")


def test_baselines_by_hand(stock, windows, prices):
    series = windows.arrange(prices, "price")
    train, test = windows.split(series, 7, 0.7, "honest")
    close = prices.columns["close"]
    rules = stock.baselines(series, train, test)
    mean, linear, training = rules.values()
    for k, pred in enumerate(mean, start=160 - len(test.close)):
        assert pred == pytest.approx(close[k - 5 : k].mean())
    assert (training == close[: 160 - len(test.close)].mean()).all()

    rows = np.stack([prices.columns[name] for name in NAMES], axis=1)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    known, new = (
        np.array([np.append(rows[k - 7 : k], 1.0) for k in days])
        for days in (range(7, 112), range(112, 160))
    )
    want = new @ np.linalg.pinv(known) @ close[7:112]
    np.testing.assert_allclose(linear, want, rtol=1e-4)


# ---- what it says ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        ((0.8, 0.7, 0.9), "skill over persistence: 0.800 times its RMSE"),
        ((0.9, 0.7, 1.1), "no skill over persistence that is beyond chance: 0.900 times its RMSE"),
        ((1.1, 0.9, 1.3), "no skill over persistence that is beyond chance: 1.100 times its RMSE"),
        ((1.0, 1.0, 1.0), "no skill over persistence that is beyond chance: 1.000 times its RMSE"),
        ((1.2, 1.1, 1.3), "no skill over persistence: 1.200 times its RMSE"),
    ],
)
def test_verdict(skill, words, report):
    interval = f"(95 % interval {skill[1]:.3f} to {skill[2]:.3f})"
    assert report.verdict(report.Interval(*skill)) == f"{words} {interval}"


@pytest.mark.parametrize(
    ("share", "up", "words"),
    [
        ((0.6, 0.56, 0.64), 0.55, "is better than always saying up, which is right on 55.0%"),
        ((0.6, 0.56, 0.64), 0.45, "is better than always saying down, which is right on 55.0%"),
        ((0.6, 0.56, 0.64), 0.57, "is not better, beyond chance, than always saying up, which is"),
        (
            (0.6, 0.56, 0.64),
            0.40,
            "is not better, beyond chance, than always saying down, which is",
        ),
    ],
)
def test_direction_in_words(share, up, words, report):
    assert words in report.direction_in_words(report.Interval(*share), up)


@pytest.mark.parametrize(
    ("days", "best", "words"),
    [
        (0, 0.5, "It moves on the same day as the price (correlation 0.50): it is not late."),
        (
            1,
            0.5,
            "It moves 1 day after the price (correlation 0.50, on the same day 0.00): it repeats",
        ),
        (3, 0.5, "It moves 3 days after the price (correlation 0.50, on the same day 0.00)."),
        (3, 0.1, "Its changes go with those of the price at no lag of up to 10 days."),
    ],
)
def test_lag_in_words(days, best, words, report):
    correlations = np.zeros(11)
    correlations[days] = best
    assert report.lag_in_words(report.Lag(days, correlations, 0.2)).startswith(words)


def test_repeats_yesterday_only_what_does(report):
    weak = report.Lag(1, np.array([0.0, 0.17, *np.zeros(9)]), 0.1)
    assert report.lag_in_words(weak).endswith("(correlation 0.17, on the same day 0.00).")


def test_pictures_show_the_numbers(report, rng):
    from matplotlib.figure import Figure

    days, close = np.arange(1, 121), 50 + rng.normal(size=120).cumsum()
    close[100] = 99  # of the test days, higher than any before
    fitted, predicted = close[7:80] + 1, close[80:] + 2
    judged = report.judge(predicted, close[80:], close[79:-1])
    figure = Figure()
    report.draw(figure, days, close, fitted, predicted, judged, "title", "won")
    above, below = ({line.get_label(): line for line in ax.lines} for ax in figure.axes)

    def shows(line, x, y):
        assert np.array_equal(line.get_xdata(), x)
        assert np.array_equal(line.get_ydata(), y)

    shows(above["price"], days, close)
    shows(above["prediction, training days"], days[7:80], fitted)
    shows(above["prediction, test days"], days[80:], predicted)
    assert set(above["here the test begins"].get_xdata()) == {81}
    assert set(above["highest training price"].get_ydata()) == {close[:80].max()}
    shows(below["price"], days[80:], close[80:])
    shows(below["prediction"], days[80:], predicted)
    shows(below[report.PERSISTENCE], days[80:], close[79:-1])
    assert len(above) == 5
    assert len(below) == 3


# ---- how it learns ---------------------------------------------------------------------------------


def options_for(stock, model, epochs=1, **changes):
    setting = stock.SETTINGS[model]._replace(**changes)
    return argparse.Namespace(device="cpu", seed=0, setting=setting, epochs=epochs, model=model)


def test_sum_of_squares_is_their_mean_times_their_number(stock, windows, prices, capsys):
    train, _ = windows.split(windows.arrange(prices, "price"), 7, 0.7, "honest")
    losses, weights = [], []
    for summed in (False, True):
        options = options_for(stock, "lstm", summed=summed)
        rnn, out = stock.new_layers("lstm", train.x.shape, options)
        before = stock.predict(rnn, out, train.x, options)
        stock.learn(rnn, out, train, options)
        losses.append(float(capsys.readouterr().out.split()[-1]))
        weights.append(rnn.named_parameters()["l0.W"].grad.copy())
    N = len(before)
    assert losses == pytest.approx([np.mean((before - train.y[0]) ** 2) * k for k in (1, N)], 1e-4)
    np.testing.assert_allclose(weights[1], N * weights[0], rtol=1e-4, atol=1e-7)


def test_keras_model_begins_as_keras_does(stock):
    options = options_for(stock, "keras")
    rnn, out = stock.new_layers("keras", (50, 5, 1), options)
    named = rnn.named_parameters() | out.named_parameters()
    sizes = [p.data.size for p in named.values()]
    assert sum(sizes[:3]) == 4 * 32 * (5 + 32 + 1)  # what model.summary() says
    assert sizes[3:] == [32 * 32, 32, 32, 1]
    assert named["l0.b"].data[:, 0].tolist() == [0] * 32 + [1] * 32 + [0] * 64
    for block in named["l0.W"].data.reshape(4, 32, 32).astype(float):
        np.testing.assert_allclose(block @ block.T, np.eye(32), atol=1e-6)
    assert rnn.cell.act.name == "relu"


def table(stdout):
    """The RMSE of each line of the table."""
    rows = re.findall(r"^(\S.*?) {2,}(\d+\.\d\d) +\d+\.\d\d(?: |$)", stdout, re.MULTILINE)
    return {name: float(error) for name, error in rows}


def last_loss(stdout):
    return float(re.findall(r"loss (\S+)", stdout)[-1])


def test_lstm_on_goog_has_no_skill_and_says_so(example, tmp_path):
    stdout = run_example("stock", "--quick", cwd=tmp_path)
    assert "725 windows to train on, x (T, D, N) = (7, 5, 725); the next 315 to test" in stdout
    assert "On 37.8% of the test days the close is outside of 100.01 to 555.00" in stdout
    assert last_loss(stdout) < 0.001  # 0.003 or more if the LSTM does not learn
    errors = table(stdout)
    assert errors["LSTM"] < 40 < errors["mean of the training days"] / 5
    assert "Verdict: no skill over persistence: " in stdout
    close = example("prices").goog().columns["close"]
    persistence = math.sqrt(np.mean(np.diff(close[-316:]) ** 2))
    assert errors["persistence: as today"] == pytest.approx(persistence, abs=0.005)
    up = np.mean(np.diff(close[-316:]) > 0)
    assert f"always up {up:.1%} (" in re.sub(" +", " ", stdout)


def test_linear_regression_learns_what_least_squares_computes(tmp_path):
    stdout = run_example("stock", "--quick", "--model", "linear", cwd=tmp_path)
    assert 0.000205 < last_loss(stdout) < 0.0004  # least squares reach 0.000205
    assert "no skill over persistence" in stdout


def test_keras_on_goog_learns(tmp_path):
    stdout = run_example("stock", "--quick", "--model", "keras", cwd=tmp_path)
    assert "787 windows to train on, x (T, D, N) = (50, 5, 787); the next 210 to test" in stdout
    assert last_loss(stdout) < 0.003
    assert table(stdout)["LSTM with relu"] < 45
    assert "no skill over persistence" in stdout


@pytest.mark.parametrize("protocol", ["slides", "slides-whole"])
def test_protocols_of_the_slides_are_called_what_they_are(protocol, tmp_path):
    stdout = run_example("stock", "--quick", "--epochs", "3", "--protocol", protocol, cwd=tmp_path)
    assert re.findall(r"^epoch +(\d+) ", stdout, re.MULTILINE) == ["1", "2", "3"]
    assert stdout.count("looks into the future") == 2
    assert f"picture: out/stock_lstm_{protocol}.png" in stdout


def write_csv(path, close, days=True):
    """A file with dates, oldest first, or as the tutorials' one: none, newest first, a comment."""
    rows = [f"{c},{c + 1},{c - 1},{1000 + k % 7},{c}" for k, c in enumerate(close.tolist())]
    if days:
        first = date(2020, 1, 1)
        rows = [f"{first + timedelta(k)},{row}" for k, row in enumerate(rows)]
        lines = ["Date,Open,High,Low,Volume,Close", *rows]
    else:
        lines = ["# from somewhere", "# Open,High,Low,Volume,Close", *rows[::-1]]
    path.write_text("\n".join(lines))


@pytest.mark.parametrize("days", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_skill_is_found_where_there_is_some(days, rng, tmp_path):
    """Prices that come back to 100 each day: persistence has √2 times the error of their mean."""
    write_csv(tmp_path / "back.csv", 100 + rng.normal(size=500).round(3), days)
    stdout = run_example("stock", "--quick", "--csv", "back.csv", cwd=tmp_path)
    assert "back.csv: 500 days" in stdout
    found = re.search(r"Verdict: skill over persistence: (\S+) times its RMSE", stdout)
    assert 0.65 < float(found[1]) < 0.85
    assert "direction is better than always saying" in stdout


def test_returns_of_a_walk_have_no_skill(prices, tmp_path):
    write_csv(tmp_path / "walk.csv", prices.columns["close"])
    stdout = run_example(
        "stock", "--quick", "--target", "return", "--csv", "walk.csv", cwd=tmp_path
    )
    assert "Verdict: no skill over persistence" in stdout
    assert "It moves 1 day after the price" in stdout
    assert "picture: out/stock_lstm_honest_return.png" in stdout


# ---- mistakes --------------------------------------------------------------------------------------


@pytest.fixture
def fails(stock, tmp_path, monkeypatch, capsys):
    """A function that runs the program with these arguments, and returns the line it ends with."""

    def run_to_its_end(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["stock.py", *arguments])
        with pytest.raises(SystemExit) as ended:
            stock.main()
        stdout, stderr = capsys.readouterr()
        assert ended.value.code == 2
        assert stdout == ""
        assert len(stderr.splitlines()) == 1
        assert not list(tmp_path.glob("out/*"))
        return stderr

    return run_to_its_end


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "argument --csv: prices.csv: No such file or directory"),
        (b"", "prices.csv: got no line but blanks and comments"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "want a text file in UTF-8, cp949, or"),
        (b"Open,High\n1,2\n", "prices.csv: got the columns open, high; want close too"),
        (b"Open,Close\n1,2\n1,x\n", "line 3, column Close: got 'x', want a number"),
        (b"Open,Close\n1,nan\n", "prices.csv: got the columns open; want close too"),
        (b"Close\n" + b"1\n2\n" * 50, "argument --csv: prices.csv: got 100 days, want 104 or more"),
        (
            b"Close\n" + b"5\n" * 200,
            "prices.csv: got a close that changes on 0 of the 60 test days, want 16 or more",
        ),
        (
            b"Close\n" + b"100\n101\n" * 80 + b"100\n" * 50,
            "prices.csv: got a close that changes on ",
        ),
    ],
)
def test_mistakes_in_the_file_are_told_in_one_line(content, message, fails, tmp_path):
    if content is not None:
        (tmp_path / "prices.csv").write_bytes(content)
    assert message in fails("--csv", "prices.csv")


def test_logarithm_of_nothing_is_told_in_one_line(fails, tmp_path):
    (tmp_path / "prices.csv").write_text("Volume,Close\n" + "3,1\n4,2\n" * 60 + "0,1\n")
    line = fails("--csv", "prices.csv", "--target", "return")
    assert "prices.csv: got volume 0 on day 121, want more than 0 for --target return" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "gpt"], "argument --model: invalid choice"),
        (["--protocol", "none"], "argument --protocol: invalid choice"),
        (["--epochs", "0"], "argument --epochs: got 0, want 1 or more"),
        (
            ["--order", "newest-first"],
            "argument --order: got newest-first without --csv, want it with a file",
        ),
    ],
)
def test_mistakes_in_options_are_told_in_one_line(arguments, message, fails):
    assert message in fails(*arguments)


def test_needs_no_matplotlib_with_a_file(rng, tmp_path):
    write_csv(tmp_path / "walk.csv", 100 + rng.normal(size=150).cumsum())
    code = "import sys; sys.modules['matplotlib'] = None; sys.argv[1:] = {}; "
    code += f"sys.path.insert(0, {str(ROOT / 'examples')!r}); import stock; stock.main()"
    done = run("-c", code.format(["--epochs", "2", "--csv", "walk.csv"]), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no picture, because matplotlib is missing" in done.stdout
    done = run("-c", code.format(["--epochs", "2"]), cwd=tmp_path)
    assert done.returncode == 2
    assert "argument --csv: matplotlib is missing" in done.stderr
