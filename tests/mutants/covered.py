"""Which tests run which lines of the package, and how long they take: a plugin of pytest.

    COVERED=folder python -m pytest -p mutants.covered, with tests/ in PYTHONPATH

What a fixture of a whole module runs counts for all tests of that module; what a process that a test has
started runs, for that test.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage, CoverageData

ROOT = Path(__file__).parents[2]
SETTINGS = """
[run]
parallel = true
data_file = {folder}/lines
source = {root}/minirnn
context = ${{COVERED_BY}}
disable_warnings = no-data-collected, module-not-imported
"""


class Lines:
    """Notes what runs, under the name of the test that runs it."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "settings"
        settings.write_text(SETTINGS.format(folder=folder, root=ROOT), encoding="utf-8")
        self.folder, self.seconds = folder, defaultdict(float)
        self.failed: set[str] = set()
        self.coverage = Coverage(config_file=str(settings))
        self.coverage.start()
        os.environ["COVERAGE_PROCESS_START"] = str(settings)  # for processes that tests start

    def note_for(self, name: str) -> None:
        """What runs from now on, runs for `name`."""
        os.environ["COVERED_BY"] = name
        self.coverage.switch_context(name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        self.note_for(item.nodeid)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        shared = fixturedef.scope != "function"
        if shared:
            self.note_for(request.node.nodeid.partition("::")[0])
        try:
            return (yield)
        finally:
            if shared:
                self.note_for(request._pyfuncitem.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.outcome != "passed":
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()
        passed = {test: s for test, s in self.seconds.items() if test not in self.failed}
        path = self.folder / f"seconds.{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}.json"
        path.write_text(json.dumps(passed), encoding="utf-8")


def pytest_configure(config: Any) -> None:
    """Note lines where tests run, in each worker."""
    if not config.getoption("numprocesses", None):
        config.pluginmanager.register(Lines(Path(os.environ["COVERED"])))


def read(folder: Path) -> tuple[dict[tuple[str, int], set[str]], dict[str, float]]:
    """The tests that run each line, and the seconds of each test that passed."""
    seconds: dict[str, float] = {}
    for path in folder.glob("seconds.*.json"):
        seconds |= json.loads(path.read_text(encoding="utf-8"))
    of_file = defaultdict(set)
    for test in seconds:
        of_file[test.partition("::")[0]].add(test)
    tests = defaultdict(set)
    for path in folder.glob("lines.*"):
        data = CoverageData(str(path))
        data.read()
        for name in data.measured_files():
            inside = str(
                Path("minirnn", *Path(name).parts[Path(name).parts.index("minirnn") + 1 :])
            )
            for line, contexts in data.contexts_by_lineno(name).items():
                for context in contexts:
                    tests[inside, line] |= {context} if context in seconds else of_file[context]
    return tests, seconds
