"""Writes down which kernels have passed all their tests on a device, after ``python -m pytest -m gpu``.

``minirnn/kernels/cuda/proven.json`` is that list: from it the scan is chosen, ``docs/gpu.md`` shows it.
Nothing is written unless tests have passed on a device, nor into a package that is installed elsewhere:
the list is part of the sources. conftest.py hands the hooks over to pytest.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT

import minirnn
from minirnn.backend import get_backend
from minirnn.cells import Cell
from minirnn.kernels.cuda.cell import cuda_cell
from minirnn.kernels.cuda.module import PROVEN, digest

PAGE = ROOT / "docs" / "gpu.md"
TABLE = "<!-- TABLE proven -->\n\n"
COLUMNS = ("kernel", "cell", "device", "date", "commit")

needed: dict[tuple[str, Cell], set[str]] = defaultdict(set)  # tests, by kernel and cell
passed: set[str] = set()


@pytest.hookimpl(tryfirst=True)  # before tests are left out, by -k for instance: all are needed
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Note the tests that are marked with a kernel, and have a cell."""
    for item in items:
        mark = item.get_closest_marker("kernel")
        if mark is not None:
            needed[mark.args[0], item.callspec.params["cell"]].add(item.nodeid)


def pytest_runtest_logreport(report: Any) -> None:
    """Note the tests that passed."""
    if report.when == "call" and report.passed:
        passed.add(report.nodeid)


def pytest_sessionfinish(session: Any) -> None:
    """Write the list, if whole files of tests have run, in this process."""
    config = session.config
    whole = config.option.markexpr == "gpu" and not any("::" in arg for arg in config.args)
    keys = [key for key, tests in needed.items() if tests <= passed]
    of_sources = Path(minirnn.__file__).parent == ROOT / "minirnn"
    if whole and keys and of_sources and not hasattr(config, "workerinput"):
        from benchmarks.machine import this_run  # which few sessions of tests need

        run = this_run(config.option.commit)
        record(keys, device_name(), run["date"], run["commit"])


def record(
    keys: list[tuple[str, Cell]],
    device: str,
    date: str,
    commit: str,
    path: Path = PROVEN,
    page: Path = PAGE,
) -> None:
    """Add passes of `keys`, in the place of earlier ones on the same device, and write the table."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    for kernel, cell in keys:
        new = {"kernel": kernel, "cell": cell.name, "device": device, "date": date}
        new |= {"commit": commit, "source": digest(kernel, cuda_cell(cell).text)}
        entries = [e for e in entries if any(e[k] != new[k] for k in COLUMNS[:3])]
        entries.append(new)
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    before, _, rest = page.read_text(encoding="utf-8").partition(TABLE)
    after = rest.partition("\n\n")[2]
    page.write_text(f"{before}{TABLE}{table(entries)}\n\n{after}", encoding="utf-8")


def table(entries: list[dict[str, str]]) -> str:
    """The list as a table of Markdown."""
    rows = [[entry[name] for name in COLUMNS] for entry in entries]
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *(rows or [["none", *["–"] * 4]])]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def device_name() -> str:
    """What the device on which tests run calls itself."""
    properties = get_backend("cuda").xp.cuda.runtime.getDeviceProperties(0)
    return str(properties["name"].decode())
