"""The proof of all gradients, run by its command, and what it says in short."""

import datetime
import re
import subprocess
import sys

from benchmarks.machine import processor

ROW = re.compile(r"(?P<cell>\S+)\s+(?P<scan>\S+)\s+\d+\s+\d+\s+(?:equal|ragged)\s+(?P<errors>.*)")


def run() -> str:
    """What ``python -m minirnn.gradcheck`` prints.

    Raises:
        subprocess.CalledProcessError: an error is past the bar.
    """
    command = [sys.executable, "-m", "minirnn.gradcheck"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def summary(printed: str) -> str:
    """The worst error of each cell on each scan, as a table of Markdown."""
    worst: dict[str, dict[str, float]] = {}
    for row in filter(None, map(ROW.fullmatch, printed.splitlines())):
        of_cell = worst.setdefault(row["cell"], {})
        found = map(float, row["errors"].split())
        of_cell[row["scan"]] = max(of_cell.get(row["scan"], 0.0), *found)
    scans = list(dict.fromkeys(scan for of_cell in worst.values() for scan in of_cell))
    lines = [f"| cell | {' | '.join(scans)} |", "|---" * (len(scans) + 1) + "|"]
    for cell, errors in worst.items():
        figures = (f"{errors[scan]:.0e}" if scan in errors else "–" for scan in scans)
        lines.append(f"| {cell} | {' | '.join(figures)} |")
    return "\n".join(lines)


def made() -> str:
    """When, and on what machine."""
    return f"{datetime.date.today():%-d %B %Y}, {processor()}"
