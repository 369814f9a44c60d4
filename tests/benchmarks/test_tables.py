"""Tables of the docs are made from results, and those of the docs are made from the docs' results."""

from __future__ import annotations

import re
import sys

import pytest
from helpers import ROOT
from test_benchmarks import mistake, row

from benchmarks import __main__, device, gpu_tables, results, sizes, step_table, tables

TWO = [0.002, 0.002]
MACHINE = {"device": "a card", "processor": "a processor"}
RUN = {"date": "2026-11-22", "commit": "c0", "command": "python -m benchmarks gpu"}
HEADER = {"machine": MACHINE, "run": RUN}


def measured(part, size, **seconds):
    times = {side.replace("_", " "): [value] * 2 for side, value in seconds.items()}
    return results.Row("a size", "LSTM", part, size._asdict(), 2 * 10**9, times, bytes=3 * 10**6)


SCAN = measured(
    "scans", sizes.SCANS["50x50x128"],
    limit=0.001, torch=0.004, persistent=0.002, fused=0.008, numba=0.1, torch_tf32=0.003,
    persistent_tf32=0.001, limit_tf32=0.0005,
)  # fmt: skip
SCAN.kernels = {"torch": 12.0, "persistent": 7.0, "torch tf32": 1.0}
SCAN.left_out = {"generic": "a | b"}


def lines(table):
    """The cells of each row below the heading."""
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_a_table_of_layers_has_ratios_in_one_precision_and_shares_of_the_limit():
    found = gpu_tables.tables(HEADER, [SCAN])
    work = ["(50, 50, 128, 128)", "LSTM", "2", "3"]
    persistent, fused = "2.00 [2.00, 2.00], 50%", "0.50 [0.50, 0.50], 12%"
    alone = ["1.000 ms", "4.000 ms, 25%", persistent, fused, "–", "100.000 ms"]
    assert lines(found["scans"]) == [[*work, *alone]]
    tf32 = ["0.500 ms", "3.000 ms, 17%", "3.00 [3.00, 3.00], 50%", "–", "–", "100.000 ms"]
    assert lines(found["scans_tf32"]) == [[*work, *tf32]]
    assert lines(found["kernels"]) == [["scans", *work[:2], "12", "7", "–", "–"]]
    assert lines(found["left_out"]) == [["scans", "a size", "LSTM", "generic", "a / b"]]
    assert lines(found["machine"]) == [[k, v] for k, v in (MACHINE | RUN).items()]
    assert lines(found["preset"]) == [["not measured", *["–"] * 9]]


def test_the_printed_row_has_the_same_figures_and_rates():
    name, *printed = device.lines(SCAN, "about it").splitlines()
    assert name == "a size (about it): LSTM, 2 GFLOP, 3 MB"
    of = {line[:27].strip(): line[27:].split() for line in printed}
    persistent = ["2.000", "2.00", "[2.00,", "2.00]", "50%", "1.00", "2"]
    assert of["minirnn persistent"] == persistent
    assert of["minirnn persistent, TF32"][:5] == ["1.000", "3.00", "[3.00,", "3.00]", "50%"]
    assert of["PyTorch"] == ["4.000", "25%", "0.50", "1"]
    assert of["minirnn numba"] == ["100.000", "0.04", "[0.04,", "0.04]"]
    kernels = "PyTorch 12; minirnn persistent 7; PyTorch, TF32 1"
    assert device.launched(SCAN) == f"  scans a size, LSTM: {kernels}"


def test_without_pytorch_there_are_times():
    alone = measured("scans", sizes.SCANS["50x50x128"], limit=0.001, persistent=0.002)
    (found,) = lines(gpu_tables.tables(HEADER, [alone])["scans"])
    assert found[4:] == ["1.000 ms", "–", "2.000 ms, 50%", "–", "–", "–"]


def test_the_map_has_a_line_for_each_length_and_batch():
    rows = [
        measured("map", sizes.layer(T, 8, H), numba=seconds, fused=0.002)
        for T, H, seconds in ((1, 16, 0.001), (1, 64, 0.004), (8, 64, 0.2))
    ]
    found = gpu_tables.tables(HEADER, rows)["map"]
    assert found.splitlines()[0] == "| cell | $T$ | $N$ | $H = 16$ | $H = 64$ |"
    assert lines(found) == [["LSTM", "1", "8", "0.50", "2.0"], ["LSTM", "8", "8", "–", "100"]]


def test_without_results_every_table_says_so():
    for table in gpu_tables.unmeasured().values():
        assert [line[0] for line in lines(table)] == ["not measured"]


def step_rows(**seconds):
    times = {side: [value] * 2 for side, value in seconds.items()}
    return [
        results.Row(name, cell, "step", sizes.SIZES[name]._asdict(), 1, times)
        for name in ("ship", "hihello")
        for cell in sizes.CELLS
    ]


def test_steps_of_scans_that_were_measured_apart_are_one_table():
    rows = step_rows(numba=0.001, torch=0.002)[:-1] + step_rows(numpy=0.004, torch=0.002)
    whole = tables.cpu_pages(rows)["docs/performance.md"]["step"]
    half, two = "0.50 [0.50, 0.50]", "2.00 [2.00, 2.00]"
    assert lines(whole) == [
        ["hihello (6, 1, 5, 5)", two, two, "–", half, half, half],
        ["ship (10, 170, 25, 25) × 2", *[two] * 3, *[half] * 3],
    ]
    short = tables.cpu_pages(rows)["README.md"]["step"]
    assert lines(short)[1] == ["(10, 170, 25, 25) × 2", *["2.00"] * 3, *["0.50"] * 3]
    page = (ROOT / "docs" / "performance.md").read_text()
    assert f"<!-- TABLE step -->\n\n{whole.splitlines()[0]}\n" in page


def test_the_readme_names_the_device_and_the_day():
    table = step_table.of_device(HEADER, step_rows(persistent=0.001, torch=0.002))
    heading = "| a card, 2026-11-22: (T, N, D, H) × layers | persistent: RNN | LSTM | GRU |"
    assert table.splitlines()[0] == heading


# The pages


def test_a_table_is_put_where_its_name_stands():
    page = (
        "before\n\n<!-- TABLE a -->\n\n| old |\n| --- |\n\nbetween\n\n<!-- TABLE b -->\n\n| b |\n"
    )
    once = tables.replaced(page, "a", "| new |\n| --- |")
    assert once == page.replace("old", "new")
    last = tables.replaced(once, "b", "| c |")
    assert last == once.replace("| b |", "| c |")
    assert tables.replaced(last, "b", "| c |") == last
    assert tables.replaced(page, "none", "| new |") == page
    first = tables.replaced("<!-- TABLE a -->\n\ntext\n", "a", "| a |")
    assert first == "<!-- TABLE a -->\n\n| a |\n\ntext\n"


def test_the_docs_tables_are_those_of_the_docs_results():
    measured = tables.cpu_results(ROOT)
    assert len(measured) >= 24
    pages = [
        *tables.gpu_pages(tables.gpu_results(ROOT)).items(),
        *tables.cpu_pages(measured).items(),
    ]
    for page, made in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        for name, table in made.items():
            assert tables.replaced(text, name, table) == text, name
            assert table in text, f"{page}: {name}"
    names = re.findall(r"<!-- TABLE (\w+) -->", (ROOT / "docs" / "gpu_figures.md").read_text())
    assert sorted(names) == sorted(gpu_tables.TABLES)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Pages with empty tables, which the command writes to."""
    (tmp_path / "docs" / "performance").mkdir(parents=True)
    for page in ("README.md", "docs/gpu_figures.md", "docs/performance.md"):
        marked = "".join(
            f"<!-- TABLE {name} -->\n\n| old |\n\n" for name in ("gpu", "scans", "step")
        )
        (tmp_path / page).write_text(f"{marked}the end\n", encoding="utf-8")
    monkeypatch.setattr(tables.run, "__defaults__", (tmp_path,))
    return tmp_path


def command(monkeypatch, *files):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "tables", *map(str, files)])
    __main__.main()


def test_one_command_keeps_the_results_and_writes_all_pages(root, monkeypatch, capsys):
    (root / "out").mkdir()
    keeper = results.Results(root / "out", "gpu", HEADER)
    point = measured("map", sizes.layer(1, 8, 16), numba=0.002, fused=0.001)
    for each in (SCAN, *step_rows(persistent=0.001, torch=0.002), point):
        keeper.add(each)
    command(monkeypatch, root / "out" / "gpu.json")
    said = capsys.readouterr().out
    assert "docs/gpu_figures.md: table scans\n" in said
    page, readme = (root / "docs" / "gpu_figures.md").read_text(), (root / "README.md").read_text()
    assert "| (50, 50, 128, 128) | LSTM | 2 | 3 | 1.000 ms |" in page
    assert "<!-- TABLE gpu -->\n\n| a card, 2026-11-22: " in readme
    assert page.endswith("\n\nthe end\n")
    assert "docs/gpu_figures.md has no line <!-- TABLE map -->" in said
    assert (root / "docs" / "gpu-map.png").read_bytes().startswith(b"\x89PNG")
    kept = (root / "docs" / "gpu.json").read_bytes()
    assert kept == (root / "out" / "gpu.json").read_bytes()
    command(monkeypatch)  # from the results that the docs have
    assert (root / "docs" / "gpu_figures.md").read_text() == page
    assert "table" not in capsys.readouterr().out


def test_results_of_the_cpu_go_into_its_pages(root, monkeypatch):
    keeper = results.Results(root, "cpu", HEADER)
    for each in step_rows(numba=0.001, torch=0.002):
        keeper.add(each)
    command(monkeypatch, root / "cpu.json")
    page = (root / "docs" / "performance.md").read_text()
    assert "| hihello (6, 1, 5, 5) | 2.00 [2.00, 2.00] |" in page
    assert "| (6, 1, 5, 5) | 2.00 |" in (root / "README.md").read_text()
    assert not (root / "docs" / "gpu.json").exists()
    kept = root / "docs" / "performance" / "step-1.json"
    assert kept.read_bytes() == (root / "cpu.json").read_bytes()
    (root / "docs" / "performance.md").write_text("<!-- TABLE step -->\n\nthe end\n")
    command(monkeypatch)  # from the results that the docs have
    assert (
        "| hihello (6, 1, 5, 5) | 2.00 [2.00, 2.00] |" in (root / "docs/performance.md").read_text()
    )


def test_what_is_neither_is_refused(root, monkeypatch, capsys):
    for name in ("gpu", "cpu", "cpu-growth"):
        results.Results(root, name, HEADER).add(row(numba=TWO))
    for files in (["cpu-growth"], ["gpu", "cpu"], ["gpu", "gpu"]):
        paths = [root / f"{name}.json" for name in files]
        said = mistake(monkeypatch, capsys, "tables", *paths)
        assert "argument FILE: want one of gpu, or some of cpu; got " in said
    assert "none.json: No such" in mistake(monkeypatch, capsys, "tables", root / "none.json")
