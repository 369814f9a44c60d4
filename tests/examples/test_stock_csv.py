"""The close estimated from a CSV file: what is learned from what, and why the slide's version fails."""

import os
import re
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT, all_same_bits, run, run_example, run_here

import minirnn as mr
from minirnn.data import batch_first


@pytest.fixture
def task(example):
    return example("stock_csv_task")


@pytest.fixture
def stock_csv(example):
    return example("stock_csv")


@pytest.fixture
def why(example):
    return example("stock_csv_why")


@pytest.fixture
def prices(example, task, tmp_path):
    """The 75 days that are written without --csv, into a folder that is made, as they are read back."""
    return example("prices").read_prices(task.write_example(tmp_path / "new" / "one"))


def numbers(pattern, text):
    return [float(number) for number in re.findall(pattern, text)]


def test_written_file_has_the_form_of_the_slide_s(example, task, prices, tmp_path):
    lines = (tmp_path / "new" / "one" / "goog_75.csv").read_bytes().decode("cp949").split("\r\n")
    assert lines[0] == "날짜,종가,오픈,고가,저가,거래량"
    assert lines[1] == "2004년 08월 19일,100.34,100,104.06,95.96,22351900"
    assert (len(lines), lines[-1]) == (77, "")
    goog = example("prices").goog()
    assert prices.dates == goog.dates[:75]
    columns = list(goog.columns)
    assert np.array_equal(prices.table(*columns), goog.table(*columns)[:75])


def test_windows_of_today_are_those_of_the_slide_and_the_last_one(task, prices):
    """Against the slide's own loop, which makes 72 of the 73 windows."""
    data = prices.table("open", "high", "low", "volume")
    data = (data - data.min(axis=0)) / (data.max(axis=0) - data.min(axis=0))
    close = prices.columns["close"]
    xs, ys = [], []
    for i in range(len(data) - 3):
        xs.append(data[i : i + 3])
        ys.append(close[i + 3 - 1])
    t = task.make_task(prices, "today")
    assert t.x.shape == (3, 4, 73)
    assert np.allclose(batch_first(t.x)[:72], xs, rtol=1e-13)
    assert t.close[:72].tolist() == ys
    assert (t.close[72], t.days[72]) == (close[-1], np.datetime64(prices.dates[-1]))
    assert np.array_equal(t.x_test, t.x)
    assert np.array_equal(t.close_test, t.close)
    middle = (prices.columns["high"] + prices.columns["low"]) / 2
    assert t.naive.tolist() == middle[2:].tolist()


def test_windows_of_tomorrow_end_the_day_before_and_know_no_later_day(task, prices):
    t = task.make_task(prices, "tomorrow")
    rows = prices.table("open", "high", "low", "volume", "close")
    cut = 52  # 70 % of 75 days
    assert (t.x.shape, t.x_test.shape) == ((3, 5, 49), (3, 5, 23))
    assert t.close.tolist() == rows[3:cut, 4].tolist()
    assert t.close_test.tolist() == rows[cut:, 4].tolist()
    assert t.naive.tolist() == rows[cut - 1 : -1, 4].tolist()
    assert t.days.astype(str).tolist() == prices.dates[cut:]
    for x, first in ((t.x, 0), (t.x_test, cut - 3)):
        for n in range(x.shape[2]):
            assert np.allclose(t.scaler.inverse(x[..., n]), rows[first + n : first + n + 3])

    for day in range(cut, 75):
        changed = {name: column.copy() for name, column in prices.columns.items()}
        for column in changed.values():
            column[day] *= 3
        other = task.make_task(prices._replace(columns=changed), "tomorrow")
        assert np.array_equal(other.x, t.x)
        assert np.array_equal(other.close, t.close)
        assert not np.array_equal(other.close_test, t.close_test)


def first_days(prices, n):
    columns = {name: column[:n] for name, column in prices.columns.items()}
    return prices._replace(dates=prices.dates[:n], columns=columns)


@pytest.mark.parametrize(("question", "wanted"), [("today", 18), ("tomorrow", 51)])
def test_days_have_to_make_16_windows(question, wanted, task, prices):
    enough = task.make_task(first_days(prices, wanted), question)
    assert min(len(enough.close), len(enough.close_test)) == 16
    words = rf"goog_75\.csv: got {wanted - 1} days, want {wanted} or more, for 16 windows of 3 days"
    with pytest.raises(ValueError, match=words):
        task.make_task(first_days(prices, wanted - 1), question)


@pytest.mark.parametrize("close", ["as it is", "minus its mean", "min-max"])
def test_scaler_of_the_close_goes_there_and_back(close, task):
    closes = np.array([45.4, 47.3, 55.9])
    scaler = task.close_scaler(task.Recipe(0.1, close), closes)
    y = scaler.transform(closes)
    assert np.allclose(scaler.inverse(y), closes)
    extremes = {"as it is": (45.4, 55.9), "min-max": (0, 1)}
    assert np.allclose(
        (y.min(), y.max()), extremes.get(close, (45.4 - 148.6 / 3, 55.9 - 148.6 / 3))
    )


def test_share_explained(task):
    truth = np.array([1.0, 2.0, 6.0])
    assert task.explained(truth, truth) == 1
    assert task.explained(np.full(3, 3.0), truth) == pytest.approx(0)
    assert task.explained(np.array([2.0, 2.0, 6.0]), truth) == pytest.approx(1 - 1 / 14)


def test_closes_in_won_are_too_far_away_and_both_programs_say_so(
    task, stock_csv, why, prices, capsys
):
    far = prices.columns | {"close": 61_575 + 100 * prices.columns["close"]}
    t = task.make_task(prices._replace(columns=far), "today")
    said, h = np.full(73, 1730.0) + np.arange(73) / 99, np.ones((10, 73))
    stock_csv.report(t, said, h, "today")
    words = "It has not come as far as the closes: it says 1,730.36 on average"
    assert words in (stdout := capsys.readouterr().out)
    assert "no more than the mean" not in stdout
    assert "--fix" in stdout

    options = SimpleNamespace(hidden=2, device="cpu", epochs=1)
    run = why.start(why.SLIDE, t, 0, options)
    why.print_releases([run], {way: [run] for way in why.RELEASES}, t.close)
    stdout = capsys.readouterr().out
    assert "It has not come as far as the closes" in stdout
    assert "So it is not held at the mean" in stdout
    assert not task.too_far(t.close.mean() + 0 * t.close, t.close)


def test_what_was_left_out_is_said(stock_csv, why, tmp_path, monkeypatch, capsys):
    days = [
        f"2020-{1 + k // 28:02}-{1 + k % 28:02},{k},{k + 2},{k},9,{k + 1}" for k in range(5, 30)
    ]
    lines = ["Date,Open,High,Low,Volume,Close", *days, "2020-02-28,0,0,0,0,9"]
    (tmp_path / "prices.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    for program, mode in (
        (stock_csv, ["train", "--epochs", "1"]),
        (why, ["--quick", "--epochs", "1"]),
    ):
        monkeypatch.setattr("sys.argv", ["program", *mode, "--csv", "prices.csv"])
        monkeypatch.setattr(f"{program.__name__}.command_line.new_figure", lambda *size: None)
        program.main()
        assert "\nleft out a day without trade: line 27\n" in capsys.readouterr().out


def test_epoch_is_that_of_plain_loops(stock_csv, rng):
    """Every window by itself: forward, back through the three days, Adam's step."""
    x, y = rng.random((3, 4, 7)).astype("f4"), rng.random((1, 7)).astype("f4")
    network = stock_csv.build("rnn", 4, 5, "cpu", 1)
    p = {name: value.astype(float) for name, value in network.model.state_dict().items()}
    loss = stock_csv.train_epoch(
        network, mr.Adam(network.model.parameters(), lr=0.1), x, y, np.random.default_rng(2)
    )

    m, v = ({name: 0 * value for name, value in p.items()} for _ in range(2))
    losses = []
    for step, n in enumerate(np.random.default_rng(2).permutation(7), start=1):
        hs = [np.zeros(5)]
        for t in range(3):
            a = p["rnn.l0.U"] @ x[t, :, n] + p["rnn.l0.W"] @ hs[-1] + p["rnn.l0.b"][:, 0]
            hs.append(np.tanh(a))
        error = p["out.V"][0] @ hs[-1] + p["out.b"][0, 0] - y[0, n]
        losses.append(error**2)
        g = {name: 0 * value for name, value in p.items()}
        g["out.V"][0], g["out.b"][0] = 2 * error * hs[-1], 2 * error
        dh = 2 * error * p["out.V"][0]
        for t in (2, 1, 0):
            da = dh * (1 - hs[t + 1] ** 2)
            g["rnn.l0.U"] += np.outer(da, x[t, :, n])
            g["rnn.l0.W"] += np.outer(da, hs[t])
            g["rnn.l0.b"][:, 0] += da
            dh = p["rnn.l0.W"].T @ da
        for name in p:
            m[name] = 0.9 * m[name] + 0.1 * g[name]
            v[name] = 0.999 * v[name] + 0.001 * g[name] ** 2
            root = np.sqrt(v[name] / (1 - 0.999**step)) + 1e-8
            p[name] -= 0.1 * m[name] / (1 - 0.9**step) / root
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)
    for name, value in network.model.state_dict().items():
        assert np.allclose(value, p[name], atol=1e-4), name


@pytest.mark.exhaustive
def test_slide_s_version_learns_the_mean_and_its_checkpoint_says_the_same(tmp_path):
    stdout = run_example("stock_csv", "train", cwd=tmp_path)
    assert "x (T, D, N) = (3, 4, 73), closes (1, N) = (1, 73)" in stdout
    assert stdout.count("Average Loss= ") == stdout.count("PRED= ") == 10
    assert "ESTIMATE" in stdout
    assert "FORECAST" not in stdout
    assert numbers(r"variance explained (\S+);", stdout)[0] < 0.1
    assert "It has learned no more than the mean." in stdout
    losses = numbers(r"Average Loss= (\S+)", stdout)
    variance = numbers(r"deviation of the truth ([\d.]+)", stdout)[0] ** 2
    assert losses[0] > 10 * variance  # before it has found the mean
    assert losses[-1] == pytest.approx(variance, rel=0.1)
    said = re.findall(r"PRED= \[(.*)\]", stdout)[-1].split(", ")
    assert len(set(said)) == 1

    code, tested, _ = run_here("stock_csv", "test", cwd=tmp_path)
    assert code == 0
    lists = dict(re.findall(r"(PRED|GOLD)= \[(.*)\]", tested))
    assert lists["PRED"].split(", ")[:10] == said
    assert len(lists["GOLD"].split(", ")) == 73
    report = stdout[stdout.index("standard deviation of the truth") :]
    assert tested.endswith(report[: report.index("picture: ")])


def test_fix_learns_in_three_epochs(tmp_path):
    stdout = run_example("stock_csv", "train", "--fix", "--quick", cwd=tmp_path)
    assert numbers(r"variance explained (\S+);", stdout)[0] > 0.95
    assert "It has learned" in stdout
    assert "It has learned no more" not in stdout


def test_checkpoint_says_what_training_said_to_the_last_bit(
    stock_csv, example, tmp_path, monkeypatch
):
    said = []
    report = stock_csv.report
    monkeypatch.setattr(stock_csv, "report", lambda *a: (said.append(a[1:3]), report(*a)))
    for arguments in (
        ["train", "--fix", "--target", "tomorrow", "--epochs", "2"],
        ["test"],
    ):
        monkeypatch.setattr("sys.argv", ["stock_csv.py", *arguments, "--out", str(tmp_path)])
        stock_csv.main()
    (trained, h), (tested, h_again) = said
    assert trained.shape == (23,)
    assert np.array_equal(trained, tested)
    assert np.array_equal(h, h_again)


def test_test_reads_the_checkpoint_that_was_written_last(stock_csv, tmp_path):
    """Not the one of the highest number, which may be left from a longer training."""
    for seconds, number in enumerate((2, 10, 9, 3), start=1):
        path = tmp_path / f"epoch_{number}.npz"
        path.touch()
        os.utime(path, (seconds, seconds))
        assert stock_csv.newest_checkpoint(tmp_path) == path
    for path in tmp_path.iterdir():
        os.utime(path, (5, 5))
    assert stock_csv.newest_checkpoint(tmp_path).name == "epoch_10.npz"


def test_options_that_are_given_win_over_quick(stock_csv, why, tmp_path, monkeypatch):
    def parse(program, *arguments):
        monkeypatch.setattr("sys.argv", ["program", *arguments, "--out", str(tmp_path)])
        return program.parse_arguments()

    assert parse(stock_csv, "train", "--quick", "--epochs", "7").epochs == 7
    assert parse(stock_csv, "train", "--quick").epochs == 3
    assert parse(stock_csv, "train").epochs == 10
    assert parse(why, "--quick", "--seeds", "3", "--seed", "4").seeds == range(4, 7)
    assert parse(why, "--quick").seeds == range(2)
    assert parse(why).seeds == range(5)


def test_forecast_is_called_one_and_compared_with_persistence(tmp_path):
    train = ("train", "--target", "tomorrow", "--fix", "--quick")
    stdout = run_example("stock_csv", *train, cwd=tmp_path)
    assert "FORECAST of the close after each window, tested on the last 30% of days" in stdout
    assert "ESTIMATE" not in stdout
    network, persistence = numbers(r"(?:network|today:?) (\d+\.\d+)\n", stdout)
    ratio, low, high = map(
        float, re.search(r"(\S+) times its RMSE .*?(\S+) to (\S+)\)", stdout).groups()
    )
    assert ratio == pytest.approx(network / persistence, abs=2e-3)
    assert low < ratio < high
    assert ("It has skill over persistence" in stdout) == (high < 1)


SHORT = "날짜,종가,오픈,고가,저가,거래량\n2020-01-02,55.2,55.5,56,55,1\n2020-01-03,55,55,56,55,2\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--csv", "none.csv"], "argument --csv: none.csv: No such file or directory"),
        (["train", "--csv", "."], "argument --csv: .: Is a directory"),
        (
            ["train", "--csv", "short.csv"],
            "short.csv: got 2 days, want 18 or more, for 16 windows of 3 days to train on\n",
        ),
        (
            ["train", "--csv", "flat.csv", "--target", "tomorrow"],
            "flat.csv: got 20 days, want 51 or more, for 16 windows of 3 days to train on and 16",
        ),
        (
            ["train", "--csv", "flat.csv"],
            "flat.csv: column close: all are 7, want some that differ",
        ),
        (["train", "--csv", "bad.csv"], "bad.csv: line 2, column 종가: got '5:', want a number"),
        (
            ["train", "--csv", "close.csv"],
            "got the columns close; want open, high, low, volume too",
        ),
        (
            ["train", "--csv", "open.csv"],
            "argument --csv: open.csv: got the columns open, high, low, volume; want close too",
        ),
        (
            ["test"],
            "argument --checkpoint: got no checkpoint in out, want one: run stock_csv.py train first",
        ),
        (["test", "--checkpoint", "none.npz"], "got none.npz, but there is no such file"),
        (["test", "--fix"], "argument --fix: got with test, want it with train"),
        (["test", "--cell", "rnn"], "argument --cell: got with test, want it with train"),
        (["test", "--hidden", "10"], "argument --hidden: got with test, want it with train"),
        (["test", "--epochs", "10"], "argument --epochs: got with test, want it with train"),
        (
            ["train", "--checkpoint", "ours.npz"],
            "argument --checkpoint: got with train, want it with test",
        ),
        (["test", "--checkpoint", "cut.npz"], "argument --checkpoint: got cut.npz, which is"),
        (["test", "--checkpoint", "other.npz"], "got other.npz, a checkpoint of another program"),
        (
            ["test", "--checkpoint", "ours.npz", "--target", "tomorrow"],
            "got ours.npz, trained for today, want one for --target tomorrow",
        ),
        (["train", "--hidden", "0"], "argument --hidden: got 0, want 1 or more"),
        (["train", "--epochs", "0"], "argument --epochs: got 0, want 1 or more"),
        (["train", "--target", "yesterday"], "argument --target: invalid choice: 'yesterday'"),
        (["practise"], "argument mode: invalid choice: 'practise'"),
    ],
)
def test_mistakes_end_in_one_line(arguments, message, stock_csv, tmp_path, monkeypatch, capsys):
    header = SHORT.splitlines()[0]
    (tmp_path / "short.csv").write_text(SHORT, "utf-8")
    (tmp_path / "flat.csv").write_text(
        f"{header}\n" + "".join(f"202001{d},7,8,9,6,5\n" for d in range(10, 30))
    )
    (tmp_path / "open.csv").write_text("Open,High,Low,Volume\n" + "1,2,3,4\n" * 20)
    (tmp_path / "bad.csv").write_bytes(SHORT.replace("55.2", "5:").encode("cp949"))
    (tmp_path / "close.csv").write_text("Date,Close\n2020-01-02,55\n")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4")
    mr.save(tmp_path / "other.npz", model={}, target="today")
    mr.save(tmp_path / "ours.npz", program="stock_csv", target="today")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["stock_csv.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        stock_csv.main()
    assert caught.value.code == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr.count("\n") == 1
    assert message in stderr
    assert not list(tmp_path.glob("out/*.npz"))


def test_without_matplotlib_a_file_is_needed_but_no_picture(tmp_path):
    (tmp_path / "long.csv").write_text(
        "Open,High,Low,Volume,Close\n" + "".join(f"{k},{k + 2},{k},9,{k + 1}\n" for k in range(20))
    )
    code = "import sys; sys.modules['matplotlib'] = sys.modules['matplotlib.cbook'] = None;"
    code += f"sys.path.insert(0, {str(ROOT / 'examples')!r}); import stock_csv; stock_csv.main()"
    done = run("-c", code, "train", "--quick", cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "argument --csv: matplotlib is missing, with which the prices of GOOG come" in done.stderr
    )
    done = run("-c", code, "train", "--quick", "--csv", "long.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "long.csv: 20 days, oldest day first, as no dates tell" in done.stdout
    assert "no picture, because matplotlib is missing" in done.stdout


@pytest.fixture
def options(why, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sys.argv", ["why", "--epochs", "1", "--hidden", "4", "--out", str(tmp_path)]
    )
    return why.parse_arguments()


def test_going_on_with_everything_kept_is_going_on(why, stock_csv, options):
    slide = why.start(why.SLIDE, options.task, 3, options)
    before = slide.network.model.state_dict()
    after = why.go_on(why.RELEASES[0], slide, 3, options.task, options)
    assert all_same_bits(slide.network.model.state_dict(), before)  # it goes on with a copy

    rng = np.random.default_rng([3, 1])
    stock_csv.build("rnn", 4, 4, "cpu", rng)  # go_on draws new units, needed or not
    x, y = options.task.x, options.task.close[None]
    stock_csv.train_epoch(slide.network, slide.optimizer, x, y, rng)
    assert all_same_bits(after.network.model.state_dict(), slide.network.model.state_dict())


def test_new_units_and_empty_memory_are_what_they_are_called(why, options, monkeypatch):
    slide = why.start(why.SLIDE, options.task, 0, options)
    monkeypatch.setattr(options, "epochs", 0)  # only look at what it would begin with
    old = slide.network.model.state_dict()
    for release in why.RELEASES:
        run = why.go_on(release, slide, 0, options.task, options)
        new = run.network.model.state_dict()
        for name in old:
            kept = name.startswith("out.") or release.units == "as they are"
            assert np.array_equal(new[name], old[name]) == kept, (release, name)
        assert run.optimizer.steps == (73 if release.memory == "kept" else 0)
        assert run.optimizer.rate == release.lr


def test_last_step_is_how_far_the_units_moved(why, stock_csv, options):
    run = why.start(why.SLIDE, options.task, 0, options)
    old = run.network.rnn.state_dict()
    x, y = options.task.x[..., :1], options.task.close[None, :1]
    stock_csv.train_epoch(run.network, run.optimizer, x, y, np.random.default_rng(0))  # one step
    new = run.network.rnn.state_dict()
    moves = np.concatenate([abs(new[name] - old[name]).ravel() for name in old])
    assert why.last_step(run) == pytest.approx(np.median(moves) / 0.1, rel=0.05)


def test_words_follow_from_what_learns(why):
    assert len({why.what_matters(*case) for case in product((False, True), repeat=2)}) == 4
    assert why.what_matters(rate=False, mean=True).startswith(
        "So the distance of the closes from 0"
    )
    assert why.what_matters(rate=True, mean=False).startswith("So the rate matters most")
    assert why.what_holds(rate=True, units=False, memory=False).startswith(
        "The lower rate is enough"
    )
    assert "it takes two" in why.what_holds(rate=False, units=True, memory=True)
    for units in (False, True):
        words = why.what_holds(rate=False, units=units, memory=not units)
        assert words.startswith("What holds it at the mean is")
        assert ("tanh is flat" in words) == units
        assert ("Adam's memory" in words) == (not units)
    assert why.what_holds(rate=False, units=False, memory=False) == "None of these releases it."


def test_why_tells_the_slide_s_version_from_the_one_that_learns(why, tmp_path):
    stdout = run_example("stock_csv_why", "--quick", cwd=tmp_path)
    pattern = r"^([\d.]+) +(as it is|minus its mean|min-max) +(\S+) .* +(\d+)% +(\d+)%$"
    rows = {(float(r[0]), r[1]): r[2:] for r in re.findall(pattern, stdout, re.MULTILINE)}
    assert list(rows) == why.RECIPES
    shares = {recipe: float(share) for recipe, (share, *_) in rows.items()}
    assert shares[why.SLIDE] < 0.1
    assert rows[why.SLIDE][1:] == ("100", "100")  # of the hidden state, and of the units
    assert shares[why.FIX] > 0.9
    assert rows[why.FIX][1:] == ("0", "0")
    assert shares[0.01, "as it is"] < 0.1
    assert "rate 0.01                 learns in 0 of 2 runs" in stdout
    assert "rate 0.01, close min-max  learns in 2 of 2 runs" in stdout
    assert why.what_matters(False, shares[0.1, "minus its mean"] >= 0.5) in stdout

    pattern = r"^([\d.]+) +(as they are|drawn anew) +(kept|emptied) +(\S+) "
    rows = {(float(r[0]), *r[1:3]): float(r[3]) for r in re.findall(pattern, stdout, re.MULTILINE)}
    assert list(rows) == why.RELEASES
    assert rows[why.RELEASES[0]] < 0.1
    assert rows[why.NO_MEMORY] > 0.7
    ways = (why.LOWER_RATE, why.NEW_UNITS, why.NO_MEMORY)
    assert why.what_holds(*(rows[way] >= 0.5 for way in ways)) in stdout


def test_pictures_show_the_numbers(example, task, prices):
    from matplotlib.figure import Figure

    pictures = example("stock_csv_pictures")
    t = task.make_task(prices, "today")
    closes, units, shares = Figure().subplots(1, 3)
    pictures.draw_closes(closes, t, t.close + 1, "today")
    drawn = {line.get_label(): line.get_ydata() for line in closes.lines}
    for label, want in (("true close", t.close), ("network", t.close + 1)):
        assert np.array_equal(drawn[label], want)
    assert np.array_equal(drawn[task.NAIVE["today"]], t.naive)
    h = np.linspace(-1, 1, 40).reshape(4, 10)
    pictures.draw_units(units, h)
    assert np.array_equal(units.images[0].get_array(), h)
    assert pictures.saturated(np.array([[0.5, -0.995], [1.0, 0.2]])) == 0.5
    pictures.draw_shares(shares, {"a": [0.1, 0.9, 0.8], "b": [-7.0]})
    assert [line.get_xdata().tolist() for line in shares.lines[:4:2]] == [[0.1, 0.9, 0.8], [-1]]
    assert [line.get_xdata() for line in shares.lines[1:4:2]] == [[0.8], [-1]]
