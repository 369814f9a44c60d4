"""`python -m benchmarks gpu` without a device: each part runs, on the stand-in for CuPy and the host."""

from __future__ import annotations

import sys
from functools import partial
from types import SimpleNamespace

import card
import pytest
from devices import NEEDS_DEVICE
from test_benchmarks import mistake
from test_cuda_kernels import no_compiler

import minirnn as mr
from benchmarks import (
    __main__,
    crossover,
    device,
    events,
    gpu,
    preset,
    products,
    results,
    rows,
    sizes,
)
from benchmarks.parts import TF32
from minirnn.backend import get_backend

OURS = ["generic", "fused", "persistent"]
HOST = mr.LSTM(1, 1).scan.name
MOST = [*OURS, HOST]
FAST = ("--seconds", "0", "--alone", "0")


@pytest.fixture
def paper(stand_in, monkeypatch):
    """A device that benchmarks can run on; PyTorch cannot use it."""
    card.insert(monkeypatch)
    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: "no PyTorch")
    monkeypatch.setattr("benchmarks.timing.REST", 0.0)
    monkeypatch.setattr("benchmarks.timing.ROUNDS", 2)
    return stand_in


@pytest.fixture
def measured(paper, monkeypatch, tmp_path, capsys):
    """A function that runs the command, and gives header, rows and what it printed."""

    def run(*arguments):
        command = ["benchmarks", "gpu", "--quick", *FAST, "--out", str(tmp_path), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        __main__.main()
        return *results.read(tmp_path / "gpu.json"), capsys.readouterr().out

    return run


@pytest.mark.exhaustive
@no_compiler
def test_every_part_runs_and_goes_into_one_file(measured, tmp_path):
    header, rows, printed = measured("--precision", "float32", "--commit", "c0")
    assert header["machine"]["device"] == card.NAME
    assert header["machine"]["CuPy"] == "0, CUDA 12.9"
    assert header["machine"]["driver"].endswith(", for CUDA up to 13.2")
    assert header["run"]["commit"] == "c0"
    assert header["run"]["command"].startswith("python -m benchmarks gpu --quick")
    cells = {"scans": list(sizes.CELLS), "step": list(sizes.CELLS)}
    for part, some in gpu.QUICK.items():
        own = [row for row in rows if row.part == part]
        wanted = [(name, cell) for name in some for cell in cells.get(part, ["LSTM"])]
        assert [(row.size, row.cell) for row in own] == wanted
        for row in own:
            assert row.left_out == {}
            sides = MOST[1:] if part == "map" else [*MOST, "limit"]
            assert list(row.times) == sides
            assert row.flops > 0 < row.bytes
    assert "preset (T=4 N=3 D=7 H=5, 3 layers, tokens): LSTM, " in printed
    assert "no PyTorch\n" in printed
    assert "kernels are not counted" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu-map.png", "gpu.json"]
    assert (tmp_path / "gpu-map.png").read_bytes().startswith(b"\x89PNG")


@no_compiler
@pytest.mark.torch
def test_pytorch_and_tf32_are_beside_them(measured, monkeypatch):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_sides

    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: None)
    used, precisions = set(), set()

    def on_host(real, *arguments):
        assert arguments[-2] == "cuda"
        return real(*arguments[:-2], "cpu", arguments[-1])

    def layer(real, *arguments, precision="float32", **options):
        precisions.add((options.get("scan"), precision))
        return real(*arguments, **options)

    for name in ("torch_parts", "torch_window"):
        monkeypatch.setattr(torch_sides, name, partial(on_host, getattr(torch_sides, name)))
    for cell in sizes.CELLS:
        monkeypatch.setattr(mr, cell, partial(layer, getattr(mr, cell)))

    def trace(run, finish):
        for _ in range(events.TRACED):
            run()
        flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        assert flags[0] == flags[1]
        used.add(flags[0])
        return [{"cat": "kernel"}] * 6 + [{"cat": "gpu_memcpy"}, {"name": "no category"}]

    monkeypatch.setattr(events, "traced", trace)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        header, rows, printed = measured("--cells", "GRU")
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    assert {"PyTorch", "cuDNN"} <= header["machine"].keys()
    both = [f"{side}{end}" for side in ("fused", "persistent") for end in ("", TF32)]
    for row in rows:
        assert row.left_out == {}
        sides = {*both, HOST}
        if row.part != "map":
            sides |= {"generic", "torch", "torch tf32", "limit", "limit tf32"}
            on_device = sides - {HOST, "limit", "limit tf32"}
            assert row.kernels == dict.fromkeys(on_device, 6 / events.TRACED)
        else:
            sides -= {f"{side}{TF32}" for side in ("fused", "persistent")}
        assert row.times.keys() == sides
    assert used == {True, False}
    assert {("persistent", "tf32"), ("persistent", "float32")} <= precisions
    assert (HOST, "tf32") not in precisions
    assert "minirnn persistent, TF32" in printed


@no_compiler
def test_the_laboratory_is_beside_them_if_asked_for(measured):
    which = ("--parts", "scans", "--cells", "GRU", "--sides", "persistent", "registers")
    _, (row,), printed = measured(*which, "tensor-cores")
    assert row.left_out == {}
    sides = {"persistent", "persistent tf32", "registers", "tensor-cores tf32"}
    assert sides < row.times.keys()
    assert "laboratory tensor cores" in printed


def test_a_side_that_fails_is_left_out_of_its_row_and_told(measured, monkeypatch):
    real = device.make

    def make(side, *problem):
        if side == "fused":
            raise MemoryError("out of\nmemory")
        return real(side, *problem)

    monkeypatch.setattr(device, "make", make)
    sides = ("--sides", "generic", "fused", "numpy", "--precision", "float32")
    _, (row,), printed = measured("--parts", "scans", "--cells", "RNN", *sides)
    assert row.left_out == {"fused": "out of memory"}
    assert list(row.times) == ["generic", "numpy", "limit"]
    assert "minirnn fused is left out of 4x3x5, RNN: out of memory" in printed


def test_limits_or_times_that_fail_are_left_out_and_the_run_goes_on(measured, monkeypatch):
    def full(*arguments):
        raise MemoryError("out of memory")

    which = ("--parts", "scans", "--sides", "generic", "--precision", "float32")
    with monkeypatch.context() as patched:
        patched.setattr(device, "numpy_side", full)
        _, found, _ = measured(*which)
    assert [row.left_out for row in found] == [{"limit": "out of memory"}] * 3
    assert [list(row.times) for row in found] == [["generic"]] * 3
    monkeypatch.setattr(rows.Meter, "times", full)
    _, found, _ = measured(*which)
    assert [row.left_out for row in found] == [{"times": "out of memory"}] * 3
    assert [row.times for row in found] == [{}] * 3


def test_a_device_that_is_lost_ends_the_run_and_the_rows_before_are_kept(
    measured, monkeypatch, tmp_path, capsys
):
    real, finish, lost = device.make, events.EventClock.finish, []

    def make(side, cell, *problem):
        if (side, cell) == ("fused", "LSTM"):
            lost.append("an illegal memory access")
            raise RuntimeError(lost[0])
        return real(side, cell, *problem)

    def finish_or_fail(clock):
        if lost:
            raise RuntimeError(lost[0])
        finish(clock)

    monkeypatch.setattr(device, "make", make)
    monkeypatch.setattr(events.EventClock, "finish", finish_or_fail)
    sides = ("--sides", "fused", "numpy", "--precision", "float32")
    with pytest.raises(SystemExit) as ended:
        measured("--parts", "scans", *sides)
    assert ended.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "the device does not answer after minirnn fused: an illegal memory access; " in said
    assert [row.cell for row in results.read(tmp_path / "gpu.json")[1]] == ["RNN"]


def test_a_map_alone_has_no_kernels_to_count(measured, monkeypatch):
    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: None)
    monkeypatch.setattr("benchmarks.experiment.machine", lambda *about: {})
    _, (row,), printed = measured("--parts", "map", "--sizes", "2x1x4", "--sides", "generic")
    assert row.kernels == row.left_out == {}
    assert "kernels of a call" not in printed


def test_the_limit_is_measured_in_both_precisions(measured, paper):
    paper.products.clear()
    _, (row,), _ = measured("--parts", "scans", "--cells", "RNN", "--sides", "generic")
    assert list(row.times) == ["generic", "limit", "limit tf32"]
    _, dW_dU, _ = products.limit_products("RNN", gpu.QUICK["scans"]["4x3x5"], "backward")
    shape = dW_dU.rows, dW_dU.columns  # both at once, which is what the limit alone does
    assert {tf32 for found, tf32 in paper.products if found == shape} == {True, False}


def test_a_device_without_tf32_leaves_it_out_everywhere(measured, paper, monkeypatch, capsys):
    monkeypatch.setattr(paper.Device, "compute_capability", "75")
    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: None)
    monkeypatch.setattr("benchmarks.experiment.machine", lambda *about: {})
    monkeypatch.setattr(device.DeviceExperiment, "count", lambda experiment, row: None)
    real, asked = device.make, []

    def make(side, *problem):
        asked.append(side)
        return real("generic" if side.startswith("torch") else side, *problem)

    monkeypatch.setattr(device, "make", make)
    which = ("--parts", "scans", "--cells", "RNN", "--sides", "generic", "torch")
    _, (row,), printed = measured(*which)
    assert list(row.times) == ["generic", "torch", "limit"]
    assert asked == ["generic", "torch"]
    why = 'precision: got "tf32", which needs compute capability 8.0 or more, and cuda:0 has 7.5'
    assert f"TF32 is left out: {why}\n" in printed
    said = mistake(monkeypatch, capsys, "gpu", "--quick", "--precision", "tf32")
    assert said.endswith(f"argument --precision: {why}")


@pytest.mark.parametrize("name", ["CUPY_TF32", "NVIDIA_TF32_OVERRIDE"])
def test_an_environment_that_decides_on_tf32_is_refused(name, paper, monkeypatch, capsys):
    monkeypatch.setenv(name, "1")
    small = ("--parts", "scans", "--cells", "RNN", "--sides", "generic")
    said = mistake(monkeypatch, capsys, "gpu", "--quick", *FAST, *small)
    assert said.startswith(f"python -m benchmarks: {name}=1 in the environment decides whether")


def test_kernels_are_counted_when_all_times_are_there(measured, monkeypatch):
    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: None)
    monkeypatch.setattr("benchmarks.experiment.machine", lambda *about: {})
    log, times = [], rows.Meter.times

    def timed(meter, sides):
        log.append("timed")
        return times(meter, sides)

    def trace(run, finish):
        log.append("traced")
        return [{"cat": "kernel"}] * 6

    monkeypatch.setattr(rows.Meter, "times", timed)
    monkeypatch.setattr(events, "traced", trace)
    which = ("--parts", "scans", "step", "map", "--cells", "RNN", "LSTM", "--sides", "generic")
    _, found, printed = measured(*which, "--precision", "float32")
    assert log == ["timed"] * len(found) + ["traced"] * 4
    assert {row.part: row.kernels for row in found} == {
        "scans": {"generic": 2},
        "step": {"generic": 2},
        "map": {},
    }
    assert "\nkernels of a call\n  scans 4x3x5, RNN: minirnn generic 2\n" in printed


def test_a_row_of_the_map_in_which_nothing_can_run_is_kept(measured, monkeypatch):
    def make(side, *problem):
        raise MemoryError("out of memory")

    monkeypatch.setattr(device, "make", make)
    options = ("--parts", "map", "--sizes", "2x1x4", "--sides", "generic")
    _, (row,), _ = measured(*options)
    assert row.left_out == {"generic": "out of memory"}
    assert row.times == {}


def test_a_precision_that_is_refused_is_told_and_left_out(measured, monkeypatch):
    real = mr.LSTM

    def refusing(*arguments, precision="float32", **options):
        if precision != "float32":
            raise ValueError(f"precision: got {precision!r}")
        return real(*arguments, **options)

    monkeypatch.setattr(mr, "LSTM", refusing)
    options = ("--parts", "map", "--sizes", "2x1x4", "--sides", "fused", "generic", "numpy")
    _, (row,), printed = measured(*options)
    assert "minirnn fused, TF32 is left out: precision: got 'tf32'\n" in printed
    assert "fused tf32" not in row.times


def test_without_a_profiler_a_row_has_no_kernels_and_says_so(measured, monkeypatch):
    monkeypatch.setattr("benchmarks.experiment.torch_missing", lambda device: None)
    monkeypatch.setattr("benchmarks.experiment.machine", lambda *about: {})

    def none(run, finish):
        raise OSError("no CUPTI")

    monkeypatch.setattr(events, "traced", none)
    options = ("--parts", "scans", "--cells", "RNN", "--sides", "generic")
    _, (row,), printed = measured(*options, "--precision", "float32")
    assert row.left_out == {"kernels": "no CUPTI"}
    assert row.kernels == {}
    assert list(row.times) == ["generic", "limit"]
    assert "kernels is left out of 4x3x5, RNN: no CUPTI" in printed


def test_sizes_are_chosen_by_name_in_all_parts(measured, monkeypatch, capsys, paper):
    _, rows, _ = measured("--sizes", "hihello", "2x1x4", "--cells", "GRU", "--sides", "generic")
    assert [row.key for row in rows] == [("hihello", "GRU", "step"), ("2x1x4", "GRU", "map")]
    said = mistake(monkeypatch, capsys, "gpu", "--quick", "--sizes", "huge")
    assert "argument --sizes: got 'huge', want some of 4x3x5, hihello, preset, 2x1x4" in said


def test_a_later_run_goes_on_with_the_file_of_an_earlier_one(
    measured, tmp_path, monkeypatch, capsys
):
    which = ("--sides", "generic", "--cells", "GRU", "--commit", "c0")
    file = tmp_path / "gpu.json"
    _, (first, second), _ = measured("--parts", "scans", "step", *which)
    header, rows, _ = measured("--parts", "scans", "map", *which, "--add", str(file))
    assert [row.part for row in rows] == ["scans", "step", "map", "map", "map"]
    assert rows[0].times != first.times
    assert rows[1] == second
    assert header["run"]["command"].count("python -m benchmarks gpu") == 2
    said = mistake(monkeypatch, capsys, "gpu", "--quick", "--commit", "c1", "--add", file)
    assert said.endswith("argument --add: " + f"{file}: commit: c0, want c1")
    said = mistake(monkeypatch, capsys, "gpu", "--quick", "--add", tmp_path / "none.json")
    assert said.endswith("none.json: No such file or directory")


def test_the_sizes_are_those_that_docs_speak_of():
    shapes = [(size.T, size.N, size.D, size.H, size.layers) for size in sizes.SCANS.values()]
    assert shapes == [
        (50, 50, 128, 128, 1),
        (64, 64, 512, 512, 1),
        (128, 64, 1024, 1024, 1),
        (512, 16, 512, 512, 1),
    ]


# The preset


def test_the_preset_is_that_of_the_example(example):
    options = example("language_options")
    o = SimpleNamespace(**dict.fromkeys(options.OPTIONS), preset="karpathy")
    options.complete(o)
    shape = o.window, o.streams, o.hidden, o.layers
    assert shape == tuple(getattr(sizes.PRESET, name) for name in ("T", "N", "H", "layers"))
    assert (o.cell, o.level, o.embedding, o.decay, o.average) == ("lstm", "char", None, 0.0, 0.0)
    assert o.dropout == sizes.DROPOUT


def test_windows_follow_one_another_and_the_state_is_carried_on(monkeypatch):
    size = gpu.QUICK["preset"]["preset"]
    seen = []

    class LSTM(mr.LSTM):
        def forward(self, x, state, dropout_rng):
            assert self.dropout == sizes.DROPOUT
            ys, after, cache = super().forward(x, state, dropout_rng=dropout_rng)
            seen.append((x, state, after))
            return ys, after, cache

    monkeypatch.setattr(mr, "LSTM", LSTM)
    streams = preset.text(size, 0)
    run = preset.window("LSTM", size, streams, "cpu", "numpy")
    for _ in range(preset.WINDOWS + 1):
        run()
    states = [None, *(after for _, _, after in seen[: preset.WINDOWS - 1]), None]
    assert all(got is want for (_, got, _), want in zip(seen, states, strict=True))
    assert all(
        (x == streams.window(k % preset.WINDOWS)[0]).all() for k, (x, _, _) in enumerate(seen)
    )


# The counts


@pytest.mark.parametrize("cell", sizes.CELLS)
@pytest.mark.parametrize("name", ["ship", "stock", "karpathy", "large"])
@pytest.mark.parametrize("part", sizes.PARTS)
def test_the_limit_makes_the_operations_that_are_needed(cell, name, part):
    size = sizes.SIZES[name]
    made = products.limit_products(cell, size, part)
    flops = sum(2 * rows * inner * columns * times for rows, inner, columns, times, _ in made)
    assert flops == products.needed_flops(cell, size, part)


@pytest.mark.parametrize(
    ("cell", "name", "part", "numbers"),
    [
        # 7 steps of 512: x (5) and h (10); U, W, b: 10 × 5, 10 × 10, 10
        ("RNN", "stock", "forward", 3584 * (5 + 10) + 160),
        # back: h, its gradient, x, da twice; W; gradients of 160
        ("RNN", "stock", "backward", 3584 * (15 + 10 + 10 + 5 + 20) + 160 + 100 + 160),
        # the same with 4 gates and c, 40 rows
        ("LSTM", "stock", "backward", 3584 * (65 + 50 + 20 + 5 + 80) + 640 + 400 + 640),
        # two layers over 1700 columns; 75 rows; four traces; tokens, and what the second one reads
        ("GRU", "ship", "forward", 1700 * (1 + 125 + 25 + 125) + 2 * 75 * 51),
    ],
)
def test_bytes_are_counted_as_by_hand(cell, name, part, numbers):
    assert products.needed_bytes(cell, sizes.SIZES[name], part) == 4 * numbers


# The clock


class Cuda:
    """A device on which a call takes some milliseconds, and that writes down what it is asked."""

    def __init__(self, milliseconds):
        self.log, self.now, self.milliseconds = [], 0.0, milliseconds
        self.get_elapsed_time = lambda start, stop: stop.at - start.at

    def Device(self):
        return SimpleNamespace(synchronize=lambda: self.log.append("drained"))

    def Event(self):
        event = SimpleNamespace(synchronize=lambda: self.log.append("waited"))
        event.record = lambda: (setattr(event, "at", self.now), self.log.append("event"))
        return event

    def run(self):
        self.now += self.milliseconds
        self.log.append("call")


@pytest.mark.parametrize(("milliseconds", "calls"), [(0.001, 100), (0.5, 10), (5.0, 1), (90.0, 1)])
def test_the_clock_times_a_batch_between_two_events(milliseconds, calls):
    cuda = Cuda(milliseconds)
    timed = events.EventClock(SimpleNamespace(cuda=cuda))("fused", cuda.run)
    cuda.log.clear()
    assert timed() == pytest.approx(milliseconds / 1e3)
    assert cuda.log == ["drained", "event", *["call"] * calls, "event", "waited"]


def test_scans_on_the_cpu_are_timed_by_the_wall_clock():
    cuda = Cuda(90.0)
    assert events.EventClock(SimpleNamespace(cuda=cuda))("numba", cuda.run)() < 0.09
    assert cuda.log == ["call"]


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_a_trace_of_pytorch_has_categories():
    torch = pytest.importorskip("torch")
    found = events.traced(lambda: torch.ones(2) + 1, lambda: None)
    added = [event for event in found if event.get("name") == "aten::add"]
    assert [event["cat"] for event in added] == ["cpu_op"] * events.TRACED
    with pytest.raises(RuntimeError, match="the profiler saw none"):
        events.kernels(lambda: torch.ones(2), lambda: None)


# On a device, with PyTorch


@pytest.fixture(params=[pytest.param("cuda:0", marks=[*NEEDS_DEVICE, pytest.mark.torch])])
def both(request):
    """CuPy and PyTorch, on one device."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch cannot use the device")
    return get_backend(request.param).xp, torch


def test_kernels_of_both_libraries_are_counted(both):
    cupy, torch = both
    ours, its = cupy.ones(8, "float32"), torch.ones(8, device="cuda")

    def run():
        cupy.negative(ours, out=ours)
        its.neg_()
        cupy.negative(ours, out=ours)

    run()
    assert events.kernels(run, events.EventClock(cupy).finish) == 3


def test_events_of_cupy_enclose_what_pytorch_does(both):
    cupy, torch = both
    assert not events.stream_differs(cupy)
    size = 4096
    a = torch.ones(size, size, device="cuda")
    seconds = events.EventClock(cupy)("torch", lambda: a @ a)()
    assert seconds > 2 * size**3 / 1e15  # more operations a second than any device makes in float32


@pytest.mark.filterwarnings("ignore:Please use the new API")  # of some versions, about TF32
@pytest.mark.parametrize("cell", sizes.CELLS)
def test_pytorch_computes_in_the_precision_of_its_side(cell, both):
    _, torch = both
    from benchmarks.torch_sides import with_precision

    torch.manual_seed(0)
    net, x = getattr(torch.nn, cell)(128, 128).to("cuda"), torch.randn(9, 64, 128).to("cuda")
    linear, found = torch.nn.Linear(128, 128).to("cuda"), {}
    layers = {"cuDNN": lambda x: net(x)[0], "cuBLAS": linear}

    def run(side):
        found[side] = {name: layer(x).detach().double() for name, layer in layers.items()}

    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        for side in ("torch tf32", "torch"):
            with_precision(partial(run, side), side)()
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    net.double(), linear.double()
    for name, layer in layers.items():
        exact = layer(x.double()).detach()
        plain, tf32 = (
            float((found[side][name] - exact).norm() / exact.norm())
            for side in ("torch", "torch tf32")
        )
        assert plain < 1e-5 < tf32 < 2e-3, name


# The map


def point(T, N, H, **milliseconds):
    times = {side: [ms / 1e3] * 2 for side, ms in milliseconds.items()}
    size = sizes.layer(T, N, H)
    return results.Row(f"{T}x{N}x{H}", "LSTM", "map", size._asdict(), 1, times)


def test_the_map_has_the_fastest_scan_of_each():
    rows = [
        point(1, 2, 3, numba=1.0, fused=4.0, persistent=2.0, torch=0.1),
        point(1, 2, 4, numba=9.0, fused=3.0),
        point(1, 2, 5, numba=9.0),  # nothing ran on the device
    ]
    found = crossover.points(rows, "LSTM")
    assert [p[:3] for p in found] == [(1, 2, 3), (1, 2, 4)]
    assert [p.scan for p in found] == ["persistent", "fused"]
    assert [p.gain for p in found] == pytest.approx([0.5, 3.0])
    assert crossover.points(rows, "GRU") == []
    assert [crossover.said(gain) for gain in (0.5, 3.04, 31.4)] == ["0.50", "3.0", "31"]


@pytest.mark.parametrize("lengths", [(8,), (1, 8, 64)])
def test_what_stands_above_the_map_is_not_cut_off(lengths, tmp_path, monkeypatch):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figures = []
    monkeypatch.setattr(crossover, "save", lambda figure, folder, name: figures.append(figure))
    rows = [point(T, 8, 16, numba=1.0, fused=2.0) for T in lengths]
    processor = "a processor with as long a name as some have, 32 for this process"
    header = {"machine": {"device": "a device", "processor": processor}, "run": {"date": "a day"}}
    crossover.draw(header, rows, tmp_path, "map")
    (figure,) = figures
    FigureCanvasAgg(figure).draw()
    above = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 <= above.x0 < above.x1 <= figure.bbox.x1
