"""Every example on the second device of a stand-in for CuPy, which is not the current one at first."""

import re
import sys

import numpy as np
import pytest

RUNS = {
    "cell_basics": "",
    "hihello": "--steps 11",
    "char_sequence": "--steps 11",
    "long_sentence": "--steps 2",
    "stock": "--epochs 2",
    "stock_csv": "train --epochs 1 --csv prices.csv",
    "stock_csv_why": "--epochs 1 --seeds 1 --quick --csv prices.csv",
    "mnist_rows": "--epochs 1 --hidden 8",
    "image_to_words": "--epochs 1 --hidden 8",
    "memory": "--steps 1 --lengths 3 --hidden 3",
    "seq2seq_dates": "--pairs 40 --epochs 1 --hidden 8 --scheduled-sampling 0.5",
    "both_directions": "--quick --steps 2 --hidden 2 --text lines.txt",
    "bug_museum": "dropped_dc --quick",
}
FEWER = {  # constants of examples, for less to do
    "bug_museum": {"RECALL": 5, "WINDOW": 5},
    "both_directions": {"GAP_STEPS": 2},
    "image_to_words": {"BATCH": 700},
    "mnist_rows": {"SMALL": (8, 1, 700, 0)},
}
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?")


def write_prices(path):
    """30 days of a walk at random."""
    opened = 50 + np.random.default_rng(0).normal(size=30).cumsum()
    rows = (f"2020-01-{day + 1:02},{p},{p + 2},{p - 2},{p + 1},9" for day, p in enumerate(opened))
    path.write_text("date,open,high,low,close,volume\n" + "\n".join(rows))


@pytest.fixture
def output(example, monkeypatch, capsys, tmp_path):
    """A function that runs an example on a device and returns what it says, but for times."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lines.txt").write_text("to be or not to be\nthat is the question\n" * 60)
    write_prices(tmp_path / "prices.csv")
    monkeypatch.setattr(example("command_line"), "save", lambda figure, path: print(path))

    def run(name, device):
        module = example(name)
        for constant, value in FEWER.get(name, {}).items():
            kind = type(getattr(module, constant))
            monkeypatch.setattr(module, constant, kind(*value) if kind is not int else value)
        arguments = [*RUNS[name].split(), "--device", device]
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        module.main()
        said = capsys.readouterr().out.replace("cuda:1", "cpu")
        return re.sub(r"\d+ s$|^-+$", "", said, flags=re.MULTILINE)

    return run


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", RUNS)
def test_an_example_says_on_a_device_what_it_says_on_the_host(name, output, stand_in):
    host, device = output(name, "cpu"), output(name, "cuda:1")
    assert NUMBER.sub("#", device) == NUMBER.sub("#", host)
    numbers = [list(map(float, NUMBER.findall(said))) for said in (device, host)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-3, abs=1e-3)
    assert stand_in.launched
