"""What all examples share: options, mistakes told in one line, windows, and downloads."""

import hashlib
import os
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from helpers import ROOT, run

import minirnn as mr


@pytest.fixture
def command_line(example):
    return example("command_line")


@pytest.fixture
def parser(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # --out is a folder in it
    parser = command_line.new_parser("Does this.\n\nLike that.", quick="less of it")
    parser.prog = "this.py"
    parser.add_argument("--cell", **command_line.CELL)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    return parser


@pytest.fixture
def told(capsys):
    """A function that gives the one line on standard error with which a call ends the program."""

    def line(call, *arguments, **options):
        with pytest.raises(SystemExit) as ended:
            call(*arguments, **options)
        assert ended.value.code == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith("\n")
        assert len(err.splitlines()) == 1
        return err.rstrip("\n")

    return line


# Options


def test_options_have_the_defaults_that_help_tells(parser, command_line, tmp_path, capsys):
    options = command_line.check(parser, parser.parse_args([]), steps=1, learning_rate=0)
    assert (options.seed, options.device, options.cell) == (0, "cpu", "lstm")
    assert (options.show, options.quick, options.steps) == (False, False, None)
    assert options.out.resolve() == tmp_path / "out"
    assert not options.out.exists()  # nothing has been written yet
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "Does this." in printed
    assert printed.endswith("\nLike that.\n")
    assert "less of it" in printed


def test_names_of_cells_stand_for_networks_in_any_case(parser, command_line):
    assert command_line.NETWORKS == {"rnn": mr.RNN, "lstm": mr.LSTM, "gru": mr.GRU}
    assert parser.parse_args(["--cell", "GRU"]).cell == "gru"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stops", "3"], "unrecognized arguments: --stops 3"),
        (["--steps", "3.5"], "argument --steps: invalid int value: '3.5'"),
        (["--steps"], "argument --steps: expected one argument"),
        (["--cell", "lsmt"], "argument --cell: invalid choice: 'lsmt' (choose from rnn, lstm, gru)"),
        (["more"], "unrecognized arguments: more"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_read_are_told_in_one_line(parser, told, arguments, message):
    line = told(parser.parse_args, arguments).replace("'rnn', 'lstm', 'gru'", "rnn, lstm, gru")
    assert line == f"this.py: {message} (--help lists the options)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "argument --steps: got 0, want 1 or more"),
        (["--learning-rate", "-0.1"], "argument --learning-rate: got -0.1, want 0.01 or more"),
        (["--learning-rate", "nan"], "argument --learning-rate: got nan, want 0.01 or more"),
        (["--learning-rate", "inf"], "argument --learning-rate: got inf, want 0.01 or more"),
        (["--seed", "-1"], "argument --seed: got -1, want 0 or more"),
    ],
)
def test_options_out_of_bounds_are_told(parser, command_line, told, arguments, message):
    options = parser.parse_args(arguments)
    line = told(command_line.check, parser, options, steps=1, learning_rate=0.01)
    assert line == f"this.py: {message} (--help lists the options)"
    assert not options.out.exists()


def test_options_on_their_bounds_are_good(parser, command_line):
    options = parser.parse_args(["--steps", "1", "--learning-rate", "0.01"])
    assert command_line.check(parser, options, steps=1, learning_rate=0.01) is options


def test_a_device_that_is_none_is_told(parser, command_line, told):
    options = parser.parse_args(["--device", "tpu"])
    line = told(command_line.check, parser, options)
    assert line.startswith("this.py: argument --device: got 'tpu', want \"cpu\"")
    assert not options.out.exists()


@pytest.mark.parametrize(("device", "current"), [("cpu", 0), ("cuda", 0), ("cuda:1", 1)])
def test_the_device_becomes_the_current_one(parser, command_line, device, current, stand_in):
    options = command_line.check(parser, parser.parse_args(["--device", device]))
    assert stand_in.Device().id == current
    two = mr.to_device(np.ones(2), options.device)
    assert mr.to_host(two + two).tolist() == [2, 2]


def test_a_device_that_is_not_there_is_told(parser, command_line, told, stand_in):
    line = told(command_line.check, parser, parser.parse_args(["--device", "cuda:2"]))
    assert line == "this.py: argument --device: device='cuda:2': this machine has 2 CUDA device(s)"
    assert stand_in.Device().id == 0


def test_out_is_made_with_the_folders_above_it_when_it_is_needed(parser, command_line, tmp_path):
    options = parser.parse_args(["--out", str(tmp_path / "a" / "b")])
    for _ in range(2):  # and may be there already
        command_line.check(parser, options)
        command_line.save(command_line.new_figure(1, 1), options.out / "c.png")
        assert (tmp_path / "a" / "b" / "c.png").is_file()


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("file", "File exists"),
        ("file/below", "Not a directory"),
        ("file/far/below", "Not a directory"),
        ("nowhere", "File exists"),
    ],
)
def test_out_that_cannot_be_a_folder_is_told(parser, command_line, told, out, reason, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "nowhere").symlink_to("is/not/there")
    line = told(command_line.check, parser, parser.parse_args(["--out", out]))
    assert line == f"this.py: argument --out: {out}: {reason}"
    assert (tmp_path / "file").read_text() == "in the way"


def test_out_that_cannot_be_written_to_is_told_first(parser, command_line, told, monkeypatch):
    """And not after an hour, with the picture."""
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK))
    line = told(command_line.check, parser, parser.parse_args([]))
    assert line == "this.py: argument --out: out: Permission denied"


# Mistakes


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
        (OSError("it is broken"), "it is broken"),
        (ValueError("line 3:\n  not a number"), "line 3: not a number"),
        (RuntimeError("no device"), "no device"),
        (ValueError("path: got a.npz, which is empty"), "got a.npz, which is empty"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
         "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (ValueError(), "ValueError()"),
    ],
)  # fmt: skip
def test_blame_names_the_argument_in_one_line(parser, command_line, told, error, message):
    def read():
        with command_line.blame(parser, "--csv"):
            raise error

    assert told(read) == f"this.py: argument --csv: {message}"


@pytest.mark.parametrize("kind", [TypeError, KeyError, IndexError, ZeroDivisionError])
def test_blame_leaves_errors_of_the_program_to_the_program(parser, command_line, kind):
    with pytest.raises(kind), command_line.blame(parser, "--csv"):
        raise kind("a bug")


# Pictures


def test_a_picture_is_written_and_told(command_line, tmp_path, capsys):
    figure = command_line.new_figure(3, 2)
    command_line.save(figure, tmp_path / "a.png")
    assert capsys.readouterr().out == f"picture: {tmp_path / 'a.png'}\n"
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert np.frombuffer(header[16:], ">u4").tolist() == [360, 240]  # of 120 dots per inch


def test_without_matplotlib_there_is_no_figure_and_no_window(command_line, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command_line.new_figure(3, 2) is None
    printed = capsys.readouterr().out
    assert printed == "no picture, because matplotlib is missing: pip install matplotlib\n"
    assert command_line.no_window() == "matplotlib is missing: pip install matplotlib"


WINDOW = """
from matplotlib import pyplot
from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg


class Manager(FigureManagerBase):
    @classmethod
    def pyplot_show(cls, *, block=None):
        print("windows:", [len(pyplot.figure(k).axes) > 0 for k in pyplot.get_fignums()])


class FigureCanvas(FigureCanvasAgg):
    manager_class = Manager
"""


@pytest.mark.parametrize("show", [True, False])
def test_show_opens_a_window_once_the_picture_is_written(show, monkeypatch, tmp_path):
    (tmp_path / "window.py").write_text(WINDOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "module://window")
    arguments = ["--steps", "2", "--out", "here", *["--show"] * show]
    done = run(ROOT / "examples" / "hihello.py", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "here" / "hihello_lstm.png").exists()
    told = [f"picture: {os.path.join('here', 'hihello_lstm.png')}", *["windows: [True]"] * show]
    assert done.stdout.splitlines()[-len(told) :] == told


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("agg", "there is no window here (matplotlib draws with agg)"),
        ("module://broken", "matplotlib cannot open a window (there is no screen)"),
    ],
)
def test_show_without_a_window_is_told_before_anything_is_trained(
    backend, reason, monkeypatch, tmp_path
):
    (tmp_path / "broken.py").write_text("raise ImportError('there is no screen')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", backend)
    done = run(ROOT / "examples" / "hihello.py", "--show", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"hihello.py: argument --show: {reason}; "
        "without it, the picture is a file in --out (--help lists the options)\n"
    )


# Downloads

CONTENT = b"one,two\n" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def downloads(example, monkeypatch, tmp_path):
    """With a cache of their own."""
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return example("downloads")


@pytest.fixture
def site():
    """A web site, whose every page is CONTENT, and the paths it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def cached(tmp_path):
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_a_file_is_found_in_its_folder(downloads, tmp_path):
    (tmp_path / "data.csv").write_bytes(b"of the user")
    file = downloads.File("data.csv", "http://unused", DIGEST)
    assert downloads.find(file, tmp_path) == tmp_path / "data.csv"


def test_a_file_that_is_not_in_its_folder_is_told_with_where_to_get_it(downloads, tmp_path):
    (tmp_path / "data.csv").mkdir()
    with pytest.raises(FileNotFoundError) as told:
        downloads.find(downloads.File("data.csv", "http://there/d", DIGEST), tmp_path)
    assert str(told.value) == f"got {tmp_path}, want a folder that has data.csv (http://there/d)"


def test_a_file_is_downloaded_once(downloads, site, tmp_path):
    url, asked = site
    file = downloads.File("data.csv", f"{url}/data.csv", DIGEST)
    for _ in range(2):
        assert downloads.find(file).read_bytes() == CONTENT
    assert asked == ["/data.csv"]
    downloads.find(file).write_bytes(b"damaged")
    assert downloads.find(file).read_bytes() == CONTENT
    assert asked == ["/data.csv"] * 2
    assert cached(tmp_path) == ["data.csv"]


def test_what_is_not_the_file_is_not_kept(downloads, site, tmp_path):
    url, _ = site
    with pytest.raises(FileNotFoundError) as told:
        downloads.find(downloads.File("data.csv", f"{url}/data.csv", "0" * 64))
    message = str(told.value)
    assert message.startswith("data.csv cannot be downloaded (SHA256 hash of downloaded file")
    assert message.endswith(f"data.csv (SHA-256 {'0' * 64})")
    assert cached(tmp_path) == []


@pytest.mark.parametrize("kind", [OSError, ValueError])
def test_without_a_network_the_message_says_what_to_put_where(
    downloads, parser, command_line, told, kind, monkeypatch, tmp_path
):
    import pooch

    def no_network(*arguments, **options):
        raise kind("no route\nto the host")

    file = downloads.File("data.csv", "http://there/d.csv", DIGEST)
    place = tmp_path / "cache" / "minirnn" / "data.csv"

    def find():
        with command_line.blame(parser, "--data"):
            downloads.find(file)

    with monkeypatch.context() as patch:
        patch.setattr(pooch, "retrieve", no_network)
        assert told(find) == (
            "this.py: argument --data: data.csv cannot be downloaded (no route to the host). "
            f"Where there is a network, save http://there/d.csv as {place} (SHA-256 {DIGEST})"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(CONTENT)
    assert downloads.find(file) == place  # as the message said


def test_without_pooch_the_message_names_it(downloads, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(
        FileNotFoundError, match=r"^data.csv is not here; to download it: pip install pooch$"
    ):
        downloads.find(downloads.File("data.csv", "http://unused", DIGEST))


def test_korean_letters_are_drawn_or_boxed_without_a_warning(command_line, tmp_path, capsys):
    figure = command_line.new_figure(2, 1)
    figure.subplots().set_title("날짜 종가 日")
    command_line.save(figure, tmp_path / "korean.png")
    assert capsys.readouterr().err == ""
    assert (tmp_path / "korean.png").read_bytes().startswith(b"\x89PNG")


def test_weights_that_a_font_lacks_are_nobody_s_concern(
    command_line, tmp_path, monkeypatch, caplog
):
    """As NanumGothic's bold one, which Matplotlib takes for semibold."""
    monkeypatch.setattr(command_line.plot, "fonts", lambda family: [family, "cmr10"])
    figure = command_line.new_figure(2, 1)
    figure.subplots().set_title("7", weight="bold")
    command_line.save(figure, tmp_path / "bold.png")
    assert not caplog.records


def test_letters_that_no_font_has_are_told_in_one_line(command_line, tmp_path, capsys):
    figure = command_line.new_figure(2, 1)
    figure.subplots().set_title("a\U0010fffdb\U0010fffc")  # of nobody
    command_line.save(figure, tmp_path / "boxes.png")
    said, picture = capsys.readouterr().out.splitlines()
    assert said.startswith(
        "boxes in the picture stand for letters that no font here has: \U0010fffc"
    )
    assert "fonts-noto-cjk" in said
    assert picture.startswith("picture: ")
    with pytest.warns(DeprecationWarning, match="other"), command_line.boxes_told():
        warnings.warn("other", DeprecationWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "\nstopped\n"),
        (MemoryError("7 TiB"), 2, "out of memory: 7 TiB\n"),
        (MemoryError(), 2, "out of memory: want a smaller network or less data\n"),
        (OSError(28, "No space left on device"), 2, "No space left on device\n"),
        (OSError(28, "No space left on device", "a.png"), 2, "a.png: No space left on device\n"),
    ],
)
def test_a_program_that_is_stopped_ends_in_a_line(error, status, said, command_line, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        command_line.run(main)
    assert (stop.value.code, capsys.readouterr().err) == (status, said)


@pytest.mark.parametrize(
    ("program", "own", "arguments"),
    [
        ("stock", "--csv", []),
        ("stock_csv", "--csv", ["train"]),
        ("stock_csv_why", "--csv", []),
        ("both_directions", "--text", []),
        ("seq2seq_dates", "--data", []),
        ("mnist_rows", "--data", []),
        ("image_to_words", "--data", []),
        ("shakespeare", "--text", ["train", "--preset", "small"]),
    ],
)
def test_data_is_a_word_for_data_of_ones_own_everywhere(
    program, own, arguments, example, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [program, *arguments, "--data", "none"])
    with pytest.raises(SystemExit) as ended:
        example(program).main()
    assert ended.value.code == 2
    assert f"argument {own}: " in (said := capsys.readouterr().err)
    assert "none" in said
