"""Write the tables of the docs from files of results, so that a figure and its machine stay together.

    python -m benchmarks tables out/gpu.json

copies the results to docs/gpu.json, and makes of them the tables of docs/gpu_figures.md, the table "gpu"
of the README, and the picture of the map. Files of the sub-command cpu (more than one, if scans were
measured apart) are copied to docs/performance/step-1.json and so on, and give the tables "step" of
docs/performance.md and of the README. A table goes where its name stands, as in <!-- TABLE scans -->, in
the place of the one that is there. Without a file, all tables are written anew from the results that the
docs have; those of a device say that nothing was measured, as long as nothing was.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import crossover, gpu_tables, step_table
from .machine import ROOT
from .options import refuse
from .results import Row, read

GPU = Path("docs", "gpu.json")  # the results that the docs have
CPU = "docs/performance/step-*.json"
Pages = Mapping[str, Mapping[str, str]]  # tables by name, by page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files."""
    about = "JSON that gpu or cpu made with --out (default: docs/gpu.json)"
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=about)


def run(options: argparse.Namespace, root: Path = ROOT) -> None:
    """Read, and write."""
    try:
        found = [read(path) for path in options.files]
    except ValueError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    kinds = {header["name"] for header, _ in found}
    if kinds == {"cpu"}:
        kept = [path.read_bytes() for path in options.files]
        for old in root.glob(CPU):
            old.unlink()
        for k, file in enumerate(kept, start=1):
            (root / CPU.replace("*", str(k))).write_bytes(file)
    elif kinds == {"gpu"} and len(found) == 1:
        if options.files[0].resolve() != (root / GPU).resolve():
            shutil.copyfile(options.files[0], root / GPU)
    elif kinds:
        refuse(f"argument FILE: want one of gpu, or some of cpu; got {', '.join(sorted(kinds))}")
    write(root, cpu_pages(cpu_results(root)))
    measured = gpu_results(root)
    write(root, gpu_pages(measured))
    if measured:
        crossover.draw(*measured, root / "docs", "gpu-map")


def gpu_results(root: Path) -> tuple[dict[str, Any], list[Row]] | None:
    """What the docs have of a device; None as long as there is nothing."""
    return read(root / GPU) if (root / GPU).exists() else None


def cpu_results(root: Path) -> list[Row]:
    """What the docs have of the CPU."""
    return [row for path in sorted(root.glob(CPU)) for row in read(path)[1]]


def gpu_pages(measured: tuple[dict[str, Any], list[Row]] | None) -> Pages:
    """The tables of a device; without results they say so."""
    if measured is None:
        return {
            "docs/gpu_figures.md": gpu_tables.unmeasured(),
            "README.md": {"gpu": step_table.unmeasured()},
        }
    return {
        "docs/gpu_figures.md": gpu_tables.tables(*measured),
        "README.md": {"gpu": step_table.of_device(*measured)},
    }


def cpu_pages(rows: list[Row]) -> Pages:
    """The tables of training steps on the CPU; none without results."""
    if not rows:
        return {}
    own = {"compiled": "numba", "NumPy": "numpy"}
    return {
        "docs/performance.md": {"step": step_table.table(rows, own, whole=True)},
        "README.md": {"step": step_table.table(rows, own, whole=False)},
    }


def write(root: Path, pages: Pages) -> None:
    """Put each table where its name stands; say which ones have changed, and which have no place."""
    for page, tables in pages.items():
        text = (root / page).read_text(encoding="utf-8")
        for name, table in tables.items():
            if f"<!-- TABLE {name} -->\n" not in text:
                print(f"{page} has no line <!-- TABLE {name} -->, and goes without")
            before = text
            text = replaced(text, name, table)
            if text != before:
                print(f"{page}: table {name}")
        (root / page).write_text(text, encoding="utf-8")


def replaced(text: str, name: str, table: str) -> str:
    """The text of a page with another table of that name, if it has one."""
    there = re.compile(rf"(<!-- TABLE {name} -->\n)(?:\n?(?:\|.*\n)+)?")
    return there.sub(lambda found: f"{found[1]}\n{table}\n", text)
