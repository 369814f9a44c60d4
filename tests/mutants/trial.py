"""Runs tests on an altered copy of the program, in a process that has all else imported already."""

from __future__ import annotations

import compileall
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MEMORY = 8 << 30  # bytes that an altered program may ask for


class Copy:
    """A copy of all files that git knows, in a folder of its own, to be altered and put right again."""

    def __init__(self, folder: Path) -> None:
        self.root, self._log, self._temporary = folder / "copy", folder / "log", folder / "tmp"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
        compiled = (ROOT / "minirnn/kernels/compiled/__pycache__").glob("*.compiled")
        for path in [*(ROOT / name for name in names.split("\0") if name), *compiled]:
            if path.is_file():
                target = self.root / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
        compileall.compile_dir(self.root / "minirnn", quiet=2)

    @contextmanager
    def altered(self, path: str, text: bytes) -> Iterator[None]:
        """Within a ``with``, a file has another text; it is older then, so nothing is compiled anew."""
        file = self.root / path
        before, changed = file.read_bytes(), file.stat().st_mtime
        try:
            file.write_bytes(text)
            os.utime(file, (changed - 9, changed - 9))
            yield
        finally:
            file.write_bytes(before)
            os.utime(file, (changed, changed))

    def run(self, tests: Sequence[str], seconds: float, stop: bool = True) -> list[str]:
        """Run tests in this order; those that fail, the first alone if told to stop there.

        What stops all tests of a file, or runs for more than `seconds` of processor time, fails, too.
        """
        result = self._log.with_suffix(".failed")
        result.write_text("")
        child = os.fork()
        if not child:
            try:
                os._exit(self._in_child(tests, int(seconds) + 1, result, stop))
            except BaseException:
                traceback.print_exc()
                os._exit(99)
        until, status = time.monotonic() + 6 * seconds + 60, None
        while status is None and time.monotonic() < until:
            done, raw = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(raw) if done else None
            time.sleep(0 if done else 0.02)
        _kill(child)
        if status is None:
            os.waitpid(child, 0)
        failed = result.read_text().splitlines()
        if status == 99:
            raise RuntimeError(self._log.read_text())
        if status not in (0, 5) and not failed:  # 5: none of these tests is there any more
            slow = status in (None, -signal.SIGXCPU)
            failed.append("a time limit" if slow else f"status {status}")
        return failed

    def _in_child(self, tests: Sequence[str], seconds: int, result: Path, stop: bool) -> int:
        os.setsid()
        os.chdir(self.root)
        with self._log.open("w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for name, module in list(sys.modules.items()):
            if _of_program(getattr(module, "__file__", None)):
                del sys.modules[name]
        sys.path[:] = [str(self.root), *(p for p in sys.path if p and not _of_program(p))]
        os.environ |= {
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MPLBACKEND": "Agg",
        }
        sys.dont_write_bytecode = True
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        options = ["--tb=no", "-pno:cacheprovider", f"--basetemp={self._temporary}"]
        options.append("-Wignore::pytest.PytestAssertRewriteWarning")  # of what is imported already
        options.extend(["-x"] * stop)
        return pytest.main([*files, *options], plugins=[Chosen(tests, result)])


class Chosen:
    """A plugin of pytest that runs these tests in this order, and writes down which of them fail."""

    def __init__(self, tests: Sequence[str], result: Path) -> None:
        self.place, self.result = {test: k for k, test in enumerate(tests)}, result

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place),
            key=lambda i: self.place[i.nodeid],
        )

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            with self.result.open("a") as file:
                print(report.nodeid, file=file)


def _of_program(path: str | None) -> bool:
    return path is not None and Path(path).is_relative_to(ROOT) and ".venv" not in path


def _kill(group: int) -> None:
    """End what a process and its children left running."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
