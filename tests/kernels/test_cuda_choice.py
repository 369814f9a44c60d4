"""Which scan is chosen on a CUDA device, and the list of kernels that have passed their tests on one."""

from __future__ import annotations

import json
import re
from datetime import date
from types import ModuleType, SimpleNamespace

import cuda_on_host
import proven
import pytest
from helpers import ROOT

import minirnn as mr
from minirnn import cells
from minirnn.backend import Backend
from minirnn.kernels.choice import choose
from minirnn.kernels.cuda import module as cuda_module
from minirnn.kernels.cuda.cell import cuda_cell

CELLS = [cell for cell in cells.CELLS if type(cell) is not cells.GRUResetBeforeCell]
CUDA = Backend("cuda:0", ModuleType("cupy"))
ATTRIBUTES = {
    "MultiProcessorCount": 132,
    "MaxSharedMemoryPerBlockOptin": 227 * 1024,
    "CooperativeLaunch": 1,
}
DRIVER = SimpleNamespace(occupancyMaxActiveBlocksPerMultiprocessor=lambda *launch: 1)
DEVICE = SimpleNamespace(attributes=ATTRIBUTES, compute_capability="90")
CUDA.xp.cuda = SimpleNamespace(Device=lambda number: DEVICE, driver=DRIVER)


@pytest.fixture
def passes(tmp_path, monkeypatch):
    """A function that sets the list of passes."""

    def write(*entries):
        path = tmp_path / "proven.json"
        path.write_text(json.dumps(entries))
        monkeypatch.setattr(cuda_module, "PROVEN", path)
        cuda_module.last_pass.cache_clear()

    yield write
    cuda_module.last_pass.cache_clear()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_kernels_are_the_default_once_they_have_passed_on_a_device(cell, passes, monkeypatch):
    monkeypatch.setattr(CUDA.xp, "RawModule", cuda_on_host.RawModule, raising=False)
    mine = {
        "kernel": "fused",
        "cell": cell.name,
        "device": "a card",
        "date": "today",
        "commit": "c",
    }
    passes()
    scan, why = choose(cell, CUDA)
    assert scan.name == "generic"
    assert why == "; ".join(
        f"not the {name} scan, because it has not passed its tests on a device yet; "
        f'scan="{name}" takes it all the same'
        for name in ("persistent", "fused")
    )
    assert choose(cell, CUDA, "fused")[0].name == "fused"
    passes({**mine, "source": "an older one"}, {**mine, "cell": "another", "source": "x"})
    assert choose(cell, CUDA)[0].name == "generic"
    passes({**mine, "source": cuda_module.digest("fused", cuda_cell(cell).text)})
    scan, why = choose(cell, CUDA)
    assert scan.name == "fused"
    assert why.endswith("it passed its tests on a card, today, c")


def test_where_kernels_cannot_run_is_said():
    before = cells.GRUResetBeforeCell()
    reason = r"GRU\(reset_after=False\) has the product W @ m"
    with pytest.raises(ValueError, match=f"scan: 'fused' cannot run here: {reason}"):
        choose(before, CUDA, "fused")
    scan, why = choose(before, CUDA)
    assert scan.name == "generic"
    assert re.search(f"not the fused scan, because {reason}", why)
    with pytest.raises(ValueError, match="are on cpu, and it needs a CUDA device"):
        mr.RNN(3, 4, scan="fused")
    for scan in ("numpy", "numba"):
        with pytest.raises(ValueError, match="are on cuda:0, and it runs on the host"):
            choose(CELLS[0], CUDA, scan)


@pytest.mark.parametrize(
    ("kernels", "file"),
    [
        ("fused", "fused/fused.cu"),
        ("fused", "module.py"),
        ("fused", "cublas.py"),
        ("persistent", "persistent/plan.py"),
        ("persistent tf32", "../in_precision.py"),
        ("persistent tf32", "../../backend.py"),
    ],
)
def test_a_proof_is_of_the_sources_as_they_are(kernels, file, monkeypatch):
    before, real = cuda_module.digest(kernels, ""), cuda_module.source
    monkeypatch.setattr(cuda_module, "source", lambda name: real(name) + "\n" * (name == file))
    assert cuda_module.digest(kernels, "") != before


def test_a_proof_is_of_a_cell_as_it_is_and_not_of_its_name(passes, monkeypatch):
    class LSTMCell(cells.LSTMCell):
        def forward(self, P, x, state):
            return super().forward(P, x, tuple(2 * part for part in state))

    monkeypatch.setattr(CUDA.xp, "RawModule", cuda_on_host.RawModule, raising=False)
    ours, another = cells.LSTMCell(), LSTMCell()
    source = cuda_module.digest("fused", cuda_cell(ours).text)
    entry = {"kernel": "fused", "cell": ours.name, "device": "a card", "date": "today"}
    passes({**entry, "commit": "c", "source": source})
    assert choose(ours, CUDA)[0].name == "fused"
    assert choose(another, CUDA)[0].name == "generic"


def test_the_list_of_passes_and_the_page_say_the_same():
    entries = json.loads(cuda_module.PROVEN.read_text())
    assert proven.table(entries) in proven.PAGE.read_text()


def test_passes_are_written_into_the_list_and_the_page(tmp_path):
    path, page = tmp_path / "proven.json", tmp_path / "gpu.md"
    path.write_text("[]")
    page.write_text(f"before\n\n{proven.TABLE}{proven.table([])}\n\nafter\n\nend\n")
    rnn, lstm = cells.RNNCell(), cells.LSTMCell()
    proven.record([("fused", rnn), ("fused", lstm)], "card", "Monday", "c0", path, page)
    proven.record([("fused", rnn)], "card", "Tuesday", "c1", path, page)
    entries = json.loads(path.read_text())
    found = [(e["cell"], e["date"], e["source"]) for e in entries]
    sources = [cuda_module.digest("fused", cuda_cell(cell).text) for cell in (lstm, rnn)]
    assert found == [(lstm.name, "Monday", sources[0]), (rnn.name, "Tuesday", sources[1])]
    rows = [
        "| fused | LSTM(tanh) | card | Monday | c0 |",
        "| fused | RNN(tanh) | card | Tuesday | c1 |",
    ]
    assert page.read_text().split("\n\n")[2].splitlines()[2:] == rows
    assert page.read_text().startswith("before\n\n<!--")
    assert page.read_text().endswith("\n\nafter\n\nend\n")


@pytest.mark.parametrize(
    ("markexpr", "args", "results", "root", "written"),
    [
        ("gpu", ["tests"], ["passed", "passed"], ROOT, True),
        ("gpu", ["tests"], ["passed", "failed"], ROOT, False),
        ("gpu", ["tests"], ["passed"], ROOT, False),
        ("gpu", ["tests/a.py::test"], ["passed", "passed"], ROOT, False),
        ("", ["tests"], ["passed", "passed"], ROOT, False),
        # the package is not the one of these sources, but installed
        ("gpu", ["tests"], ["passed", "passed"], ROOT / "elsewhere", False),
    ],
)
def test_only_passing_every_test_counts(markexpr, args, results, root, written, monkeypatch):
    monkeypatch.setattr(proven, "ROOT", root)
    for name, empty in (("needed", {("fused", "RNN"): {"0", "1"}}), ("passed", set())):
        monkeypatch.setattr(proven, name, empty)
    calls = []
    monkeypatch.setattr(proven, "record", lambda *what: calls.append(what))
    monkeypatch.setattr(proven, "device_name", lambda: "card")
    for k, outcome in enumerate(results):
        report = SimpleNamespace(nodeid=str(k), when="call", passed=outcome == "passed")
        proven.pytest_runtest_logreport(report)
    option = SimpleNamespace(markexpr=markexpr, commit="c0")
    config = SimpleNamespace(option=option, args=args)
    proven.pytest_sessionfinish(SimpleNamespace(config=config))
    today = date.today().isoformat()
    assert calls == ([([("fused", "RNN")], "card", today, "c0")] if written else [])
