"""The benchmarks measure what they say: the baseline is right, the counts are, and files are whole."""

import importlib.util
import json
import mmap
import sys
from collections import Counter

import numpy as np
import pytest
from helpers import ROOT, run

import minirnn as mr
from benchmarks import __main__, machine, products, results, rows, sides, sizes, textbook, timing
from benchmarks.compare import compared
from benchmarks.growth import slope
from minirnn.kernels.in_place import gru, steps

TASKS = {"tokens": "hihello", "numbers": "large", "value": "stock", "class": "mnist"}
SMALL = {"T": 4, "N": 3, "D": 5, "H": 6, "layers": 2}


def small(task):
    K = {"tokens": 5, "value": 2}.get(task, 7)
    return sizes.SIZES[TASKS[task]]._replace(**SMALL, K=K)


def row(name="hihello", **times):
    return results.Row(name, "LSTM", "step", {"T": 6}, 100, times)


def written(path, *some):
    path.mkdir()
    keeper = results.Results(path, "cpu", {"machine": {"processor": "one"}})
    for each in some:
        keeper.add(each)
    return path / "cpu.json"


def mistake(monkeypatch, capsys, *arguments):
    """What a command says before it ends with status 2."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


# The baseline


@pytest.mark.parametrize("cell", sizes.CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_textbook_has_the_loss_and_the_gradients_of_minirnn(cell, task):
    size = small(task)
    data = sizes.draw(size, 1, "float64")
    model = sides.network(cell, size, "generic", dtype="float64")
    ys, state, cache = model.rnn.forward(data.x)
    scores, out_cache = model.out.forward(model.rnn.last(state) if size.last else ys)
    loss_of = mr.mse if task == "value" else mr.softmax_cross_entropy
    loss, dscores = loss_of(scores, data.targets)
    dh = model.out.backward(out_cache, dscores)
    dys, dstate = (None, model.rnn.last_backward(dh)) if size.last else (dh, None)
    model.rnn.backward(cache, dys, dstate)

    net = textbook.Network(cell, size.layers, model.state_dict())
    x, targets, _ = textbook.batch_first(size, data)
    its_loss, gradients = net.loss(x, targets, task)

    assert its_loss == pytest.approx(loss, abs=1e-10)
    named = model.named_parameters()
    assert gradients.keys() == named.keys()
    for name, p in named.items():
        np.testing.assert_allclose(gradients[name].T.reshape(p.shape), p.grad, atol=1e-10, rtol=0)


def test_textbook_clips_and_updates_as_minirnn_does(rng):
    size = small("tokens")
    model = sides.network("LSTM", size, "generic", dtype="float64")
    net = textbook.Network("LSTM", size.layers, model.state_dict())
    ours, its = mr.Adam(model.parameters(), 0.1), textbook.Adam(net.weights, 0.1)
    for scale in (1.0, 1e-3):  # clipped, and not
        gradients = {}
        for name, p in model.named_parameters().items():
            p.grad = scale * rng.standard_normal(p.shape)
            gradients[name] = p.grad.T.reshape(net.weights[name].shape).copy()
        mr.clip_grad_norm(model.parameters(), 5.0)
        ours.step()
        its.update(textbook.clip(gradients, 5.0))
    for name, p in model.named_parameters().items():
        found = net.weights[name].T.reshape(p.shape)
        np.testing.assert_allclose(found, p.data, atol=1e-10, rtol=0)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("side", ["numpy", "textbook"])
def test_every_part_of_a_side_runs(side, task):
    size = small(task)
    parts = sides.make(side, "GRU", size, sizes.draw(size, 0))
    assert list(parts) == list(sizes.PARTS)
    for part in parts.values():
        part()


# The counts


@pytest.mark.parametrize(
    ("cell", "name", "part", "flops"),
    [
        # 6 steps of a 5 × 5 matrix and a column: W h, dW and dh; V h, dV and dh
        ("RNN", "hihello", "forward", 6 * 2 * 25),
        ("RNN", "hihello", "backward", 3 * 6 * 2 * 25),
        ("RNN", "hihello", "step", 6 * 6 * 2 * 25),
        # 7 steps of 512 columns: (40 × 15) for [h; x], twice, (10 × 40) for dh; at the end 1 × 10
        ("LSTM", "stock", "step", 7 * 2 * 512 * (2 * 600 + 400) + 3 * 2 * 512 * 10),
        # 10 steps of 170 columns: a layer of tokens, with 75 × 25 three times; one with 75 × 50
        # three times, as the first layer wants to know dx; 25 × 25 three times
        ("GRU", "ship", "step", 3 * 10 * 2 * 170 * (75 * 25 + 75 * 50 + 25 * 25)),
    ],
)
def test_operations_are_counted_as_by_hand(cell, name, part, flops):
    assert products.needed_flops(cell, sizes.SIZES[name], part) == flops


@pytest.mark.parametrize("cell", sizes.CELLS)
@pytest.mark.parametrize("task", ["tokens", "numbers"])
def test_products_are_those_that_the_numpy_scan_makes(cell, task, monkeypatch):
    size = small(task)._replace(T=7, N=300)  # three steps at once, and one
    made = Counter()
    product = np.matmul

    def counted(a, b, out=None):
        made[a.shape[0], a.shape[1], b.shape[-1]] += b.shape[0] if b.ndim == 3 else 1
        return product(a, b, out=out)

    data = sizes.draw(size, 0)
    side = sides.make("numpy", cell, size, data)["backward"]
    monkeypatch.setattr(np, "matmul", counted)
    monkeypatch.setattr(steps, "matmul", counted)
    monkeypatch.setattr(gru, "matmul", counted)
    with mr.threads("blas"):  # ours would split the batch
        side()
    listed = Counter()
    for height, inner, columns, times, _ in products.scan_products(cell, size, "backward"):
        listed[height, inner, columns] += times
    assert made == listed


# Timing


def test_sides_take_turns_until_the_time_is_over(rng):
    calls = []
    named = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    times = timing.measure(named, seconds=0.0, alone=0.0, rng=rng)
    assert [len(times[name]) for name in "ab"] == [timing.ROUNDS] * 2
    assert calls[:2] == ["a", "b"]  # warm-up, then rounds
    rounds = {tuple(calls[k : k + 2]) for k in range(2, len(calls), 2)}
    assert rounds <= {("a", "b"), ("b", "a")}


def test_times_are_those_of_the_clock(rng):
    def clock(name, run):
        run()
        seconds = iter(range(100))
        return lambda: (name, next(seconds))

    times = timing.measure(dict.fromkeys("ab", lambda: None), 0.0, 0.0, rng, clock)
    assert times == {name: [(name, k) for k in range(timing.ROUNDS)] for name in "ab"}


def test_ratio_is_that_of_the_rounds(rng):
    fast = rng.uniform(1, 100, 40)  # a machine that slows down slows both down
    assert timing.ratio(3 * fast, fast, rng) == pytest.approx((3, 3, 3))
    median, low, high = timing.ratio(rng.uniform(1, 3, 40), np.ones(40), rng)
    assert 1 < low < median < high < 3


def test_slope_is_the_power():
    values = [8, 16, 32]
    assert slope(values, [5 * value**1.5 for value in values]) == pytest.approx(1.5)


def test_costs_of_a_call_are_those_of_its_arrays():
    def hold():
        np.ones(1 << 20)
        np.ones(1 << 19)  # the first one is gone

    assert 8 << 20 <= rows.bytes_held(hold) < 9 << 20
    with mmap.mmap(-1, 3000 * mmap.PAGESIZE) as memory:
        pages = iter(range(3000))

        def touch():
            for _ in range(1000):
                memory[next(pages) * mmap.PAGESIZE] = 1

        found = rows.page_faults(touch, seconds=1.0)  # three calls
    assert 1 <= found < 1100  # one a page, or fewer where the system gives larger ones


# Commands


@pytest.mark.exhaustive
def test_cpu_writes_a_table(tmp_path):
    options = ("--quick", "--sides", "numpy", "textbook", "--memory", "--out", tmp_path)
    cells = ("--cells", "LSTM", "GRU")
    done = run("-m", "benchmarks", "cpu", "--sizes", "hihello", *cells, *options, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    header, found = results.read(tmp_path / "cpu.json")
    assert {"processor", "NumPy"} <= header["machine"].keys()
    assert header["arguments"]["sizes"] == ["hihello"]
    assert [each.key for each in found] == [("hihello", cell, "step") for cell in cells[1:]]
    for each in found:
        assert list(each.times) == ["numpy", "textbook", "products", "large"]
        assert {len(times) for times in each.times.values()} == {len(each.times["numpy"])}
        assert each.held["numpy"] > 0
        assert each.faults.keys() == each.memory.keys() == {"numpy", "textbook"}
        heading = f"hihello (T=6 N=1 D=5 H=5, tokens): {each.cell}; large products reach "
        assert heading in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu-step.png", "cpu.json"]
    assert (tmp_path / "cpu-step.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.exhaustive
@pytest.mark.parametrize("experiment", ["growth", "sampling"])
def test_other_experiments_write_the_same_kind_of_file(experiment, tmp_path):
    options = ("--quick", "--sides", "numpy", "--cells", "RNN", "--out", tmp_path)
    done = run("-m", "benchmarks", "cpu", f"--{experiment}", *options, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    _, found = results.read(tmp_path / f"cpu-{experiment}.json")
    if experiment == "growth":
        assert [each.size for each in found[:3]] == ["T=16", "T=32", "T=64"]
        assert [each.shape["T"] for each in found[:3]] == [16, 32, 64]
        assert "RNN, slope over H: minirnn numpy" in done.stdout
        assert (tmp_path / "cpu-growth.png").read_bytes().startswith(b"\x89PNG")
    else:
        assert [each.key for each in found] == [("2x128", "RNN", "sampling")]
        assert "characters/s" in done.stdout


@pytest.mark.torch
def test_pytorch_is_measured_where_it_is_installed(tmp_path):
    pytest.importorskip("torch")
    options = ("--quick", "--sizes", "hihello", "--cells", "GRU", "--parts", *sizes.PARTS)
    done = run(
        "-m",
        "benchmarks",
        "cpu",
        *options,
        "--sides",
        "numpy",
        "torch",
        "--out",
        tmp_path,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    _, found = results.read(tmp_path / "cpu.json")
    assert all("torch" in each.times for each in found)
    assert len(found) == 3


@pytest.mark.torch
@pytest.mark.parametrize("cell", sizes.CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_pytorch_has_the_same_task(cell, task, monkeypatch):
    torch = pytest.importorskip("torch")
    size = small(task)
    data = sizes.draw(size, 0)
    seen = {}
    for name in ("cross_entropy", "mse_loss"):
        real = getattr(torch.nn.functional, name)

        def spy(scores, targets, name=name, real=real):
            seen[name] = scores.shape, targets
            return real(scores, targets)

        monkeypatch.setattr(torch.nn.functional, name, spy)
    for part in sides.make("torch", cell, size, data).values():
        part()
    ((name, (shape, targets)),) = seen.items()
    assert name == ("mse_loss" if task == "value" else "cross_entropy")
    assert tuple(shape) == (size.N * (1 if size.last else size.T), size.K)
    wanted = data.targets.T if task == "value" else data.targets.ravel()
    np.testing.assert_array_equal(targets.numpy(), wanted)


def test_without_pytorch_a_line_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert machine.torch_missing("cpu") == "PyTorch is not installed, and is left out"


# Two files


def test_compare_divides_medians_row_by_row(tmp_path, monkeypatch, capsys):
    old = written(
        tmp_path / "a", row(numpy=[2.0, 2.0, 9.0], torch=[1.0, 3.0, 2.0]), row("ship", numpy=[1.0])
    )
    new = written(
        tmp_path / "b", row(numpy=[0.5, 0.5, 0.5], torch=[2.0, 1.0, 3.0]), row("mnist", numpy=[1.0])
    )
    found = compared(results.read(old)[1], results.read(new)[1])
    assert [(each.size, side, beside.median) for each, side, beside in found] == [
        ("hihello", "numpy", 4.0),
        ("hihello", "torch", 1.0),
    ]
    assert found[0][2].low == 4.0
    monkeypatch.setattr(sys, "argv", ["benchmarks", "compare", str(old), str(new)])
    __main__.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[-2].endswith("  faster")
    assert printed[-1].endswith("]")


def test_compare_leaves_out_what_was_measured_at_another_size(tmp_path):
    other = row(numpy=[1.0])
    other.shape = {"T": 7}
    assert compared([row(numpy=[1.0])], [other]) == []


def test_a_file_is_whole_after_each_row(tmp_path):
    keeper = results.Results(tmp_path, "cpu", {})
    for name, seconds in (("ship", 1.0), ("stock", 2.0), ("ship", 3.0)):
        keeper.add(row(name, numpy=[seconds]))
        found = results.read(tmp_path / "cpu.json")[1]
        assert found[-1 if seconds < 3.0 else 0].times == {"numpy": [seconds]}
    assert [each.size for each in found] == ["ship", "stock"]
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.json"]


# Mistakes


def test_compare_refuses_what_it_cannot_compare(tmp_path, monkeypatch, capsys):
    good = written(tmp_path / "a", row(numpy=[1.0]))
    other = written(tmp_path / "b", row("ship", numpy=[1.0]))
    said = mistake(monkeypatch, capsys, "compare", good, other)
    assert said.endswith("have no row in common")
    for text in (
        "",
        "[]",
        "{}",
        json.dumps({"format": results.FORMAT, "rows": [{"size": "ship"}]}),
    ):
        (tmp_path / "bad.json").write_text(text, encoding="utf-8")
        said = mistake(monkeypatch, capsys, "compare", good, tmp_path / "bad.json")
        assert said.endswith("bad.json: not a file of results of python -m benchmarks")
    said = mistake(monkeypatch, capsys, "compare", good, tmp_path / "none.json")
    assert said.endswith("none.json: No such file or directory")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sizes", "huge"], "argument --sizes: invalid choice: 'huge'"),
        (["--seconds", "-1"], "argument --seconds: got '-1', want a number of 0 or more"),
        (["--seconds", "nan"], "argument --seconds: got 'nan', want a number of 0 or more"),
        (["--threads", "0"], "argument --threads: got '0', want a whole number of 1 or more"),
        (["--growth", "--sizes", "ship"], "argument --sizes: does nothing with --growth"),
        (["--sampling", "--memory"], "argument --memory: does nothing with --sampling"),
        (["--out", ROOT / "README.md"], "argument --out: "),
        (["--growth", "--sampling"], "argument --sampling: not allowed with argument --growth"),
    ],
)
def test_cpu_says_what_is_wrong(arguments, said, monkeypatch, capsys):
    assert said in mistake(monkeypatch, capsys, "cpu", *arguments)


def test_gpu_says_why_there_is_none(monkeypatch, capsys):
    def none(device):
        raise RuntimeError("device='cuda': this machine has 0 CUDA device(s)")

    monkeypatch.setattr("benchmarks.gpu.get_backend", none)
    said = mistake(monkeypatch, capsys, "gpu", "--quick")
    assert said == "python -m benchmarks: device='cuda': this machine has 0 CUDA device(s)"


def test_every_command_has_a_line_of_help(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit):
        __main__.main()
    said = capsys.readouterr().out
    assert all(f"    {name}" in said for name in __main__.COMMANDS)
