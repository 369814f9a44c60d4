"""Alters the whole package in one place at a time, at random, and looks whether its tests notice."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from hypothesis import Phase, settings

from . import covered
from .making import listed
from .package import Alteration, alterations
from .trial import ROOT, Copy

EQUIVALENT, UNNOTICED = (
    Path(__file__).parent / f"{name}.txt" for name in ("equivalent", "unnoticed")
)
Table: TypeAlias = dict[tuple[str, str], str]

# Tests of what is not altered here, of examples, and those that say what others say, only slower
ELSEWHERE = """
persistent cuda_kernels cublas gpu_ torch site docs tables ladder benchmarks mutations
chapters examples shakespeare memory mnist_rows image_to_words seq2seq_dates both_directions stock digits
"""
ENOUGH = 60.0  # seconds of tests for one alteration; the costliest are left out
FIRST = 4.0  # seconds of tests in the first process, whose files are few

_here: dict[str, Any] = {}  # what a worker keeps from one alteration to the next


class Tests(NamedTuple):
    """Which tests run which lines, and the seconds that each takes."""

    of_lines: dict[tuple[str, int], set[str]]
    seconds: dict[str, float]

    def sum(self, names: Iterable[str]) -> float:
        """The seconds of some tests together."""
        return sum(map(self.seconds.__getitem__, names))

    def of(self, altered: Alteration, without: set[str]) -> list[list[str]]:
        """The tests that run an alteration, in two parts, those of few seconds and few files first."""
        files = defaultdict(list)
        running = {test for line in altered.lines for test in self.of_lines.get(line, ())}
        for test in running - without:
            files[test.partition("::")[0]].append(test)
        word = Path(altered.path).stem.strip("_")

        def cost(file: str) -> tuple[bool, float]:
            return word not in file, self.sum(files[file])

        parts: list[list[str]] = [[], []]
        spent = 0.0
        for file in sorted(files, key=cost):
            for test in sorted(files[file], key=self.seconds.__getitem__):
                spent += self.seconds[test]
                if spent < ENOUGH:
                    parts[spent > FIRST].append(test)
        return [part for part in parts if part]


def cover(folder: Path, jobs: int) -> None:
    """Run all tests in a copy, once, and note what each of them runs."""
    copy = Copy(folder)
    paths = f"{copy.root}{os.pathsep}{copy.root / 'tests'}"
    environment = {**os.environ, "PYTHONPATH": paths, "COVERED": str(folder), "MPLBACKEND": "Agg"}
    tests = ["-p", "mutants.covered", "-n", str(jobs), "-m", "not torch and not exhaustive"]
    tests += [f"--ignore-glob=*/test_*{word}*" for word in ELSEWHERE.split()]
    command = [sys.executable, "-m", "pytest", *tests]
    done = subprocess.run(command, cwd=copy.root, env=environment, check=False)
    assert done.returncode in (0, 1), "tests could not be run"


def settle(tests: Tests, folder: Path) -> None:
    """In a worker: import what tests need besides the package, and make a copy to be altered."""
    for name in ("matplotlib.pyplot", "numba", "sklearn.datasets"):
        import_module(name)
    phases = [Phase.explicit, Phase.generate]
    settings.register_profile("mutants", database=None, derandomize=True, phases=phases)
    settings.load_profile("mutants")
    _here.update(tests=tests, copy=Copy(folder / str(os.getpid())))


def fate(altered: Alteration, without: set[str]) -> str | None:
    """In a worker: the first test that notices an alteration."""
    tests, copy = _here["tests"], _here["copy"]
    text = altered.applied((copy.root / altered.path).read_bytes())
    for part in tests.of(altered, without):
        with copy.altered(altered.path, text):
            failed = copy.run(part, 3 * tests.sum(part) + 20)
        if failed:
            return failed[0]
    return None


def failing(names: list[str]) -> list[str]:
    """In a worker: those of some tests that fail with nothing altered."""
    return _here["copy"].run(names, 3 * _here["tests"].sum(names) + 20, stop=False)


def draw(every: Iterable[Alteration], count: int, seed: int, equal: Table) -> Iterator[Alteration]:
    """So many alterations at random; each keeps its place when other code changes."""
    for altered in sorted(every, key=lambda altered: altered.place(seed)):
        if not count:
            return
        with suppress(SyntaxError):
            compile(altered.applied((ROOT / altered.path).read_bytes()), altered.path, "exec")
            count -= altered.key not in equal
            yield altered


def main(given: Namespace, elsewhere: Callable[[str], bool]) -> int:
    """Draw alterations, print what became of each; fail if too many are neither noticed nor listed."""
    equal, unnoticed = (listed(path.read_text("utf-8")) for path in (EQUIVALENT, UNNOTICED))
    every = list(alterations(ROOT, elsewhere))
    idle = {*equal, *unnoticed} - {altered.key for altered in every}
    here = [a for a in every if not given.files or a.path.removeprefix("minirnn/") in given.files]
    tried = [a for a in draw(here, given.draw, given.seed, equal) if a.key not in equal]
    print(f"{len(tried)} alterations of {len(here)}, seed {given.seed}", flush=True)
    fates: dict[Alteration, str | None] = {}
    unsound: set[str] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.covered is None:
            cover(folder, given.jobs)
        tests = Tests(*covered.read(given.covered or folder))
        with ProcessPoolExecutor(given.jobs, get_context("fork"), settle, (tests, folder)) as pool:
            again = tried
            while again:  # without tests that fail here with nothing altered, if there are any
                for altered, by in zip(again, pool.map(fate, again, repeat(unsound)), strict=True):
                    fates[altered] = by
                    left = "listed" if altered.key in unnoticed else "UNNOTICED"
                    why = by or unnoticed.get(altered.key)
                    print(f"{'noticed' if by else left}: {altered}: {why}", flush=True)
                wrong = pool.submit(failing, sorted({*fates.values()} & {*tests.seconds})).result()
                unsound |= set(wrong)
                again = [altered for altered, by in fates.items() if by in wrong]
                print(*(f"fails with nothing altered: {name}\n" for name in wrong), end="", sep="")
    for key in idle:
        print(f"{key}: listed, but no longer made")
    left = [altered.key for altered, by in fates.items() if by is None]
    share = f"{len(tried) - len(left)} noticed ({1 - len(left) / len(tried):.1%})"
    print(f"{len(tried)} alterations that change anything, {share}")
    known = len(tried) - len(set(left) - set(unnoticed))
    return bool(idle) or known < given.least * len(tried)
