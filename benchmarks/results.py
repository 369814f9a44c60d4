"""Rows of measurements, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minirnn.checkpoint.whole_file import written

FORMAT = "minirnn benchmarks 1"


@dataclass
class Row:
    """One size, cell and part, with all sides measured in the same rounds."""

    size: str
    cell: str
    part: str
    shape: dict[str, Any]
    flops: int  # of the products that one call needs
    times: dict[str, list[float]]  # seconds, by side; the n-th ones are of one round
    large_flops: int = 0  # of the side "large", by whose speed "rate" is judged
    faults: dict[str, float] = field(default_factory=dict)  # page faults of a call, by side
    held: dict[str, int] = field(default_factory=dict)  # most bytes of arrays that a call held
    memory: dict[str, int] = field(default_factory=dict)  # peak memory in bytes, in a fresh process
    bytes: int = 0  # that one call has to move through a device's memory
    kernels: dict[str, float] = field(default_factory=dict)  # launched by a call, by side
    left_out: dict[str, str] = field(default_factory=dict)  # sides that could not run, and why

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is a row of."""
        return self.size, self.cell, self.part

    def median(self, side: str) -> float:
        """Of the times of a side."""
        return float(np.median(self.times[side]))


class Results:
    """The rows so far, written to ``NAME.json`` after each if there is a folder for it."""

    def __init__(self, folder: Path | None, name: str, header: Mapping[str, Any]) -> None:
        self.path = folder / f"{name}.json" if folder else None
        self.header = {"format": FORMAT, "name": name, **header}
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        """Keep a row, in the place of an earlier one of the same; the file is whole at any time."""
        keys = [earlier.key for earlier in self.rows]
        if row.key in keys:
            self.rows[keys.index(row.key)] = row
        else:
            self.rows.append(row)
        if self.path:
            text = json.dumps({**self.header, "rows": [asdict(row) for row in self.rows]}, indent=1)
            with written(self.path) as file:
                file.write(text.encode())

    def go_on(self, path: Path) -> None:
        """Begin with the rows of a file of the same machine and commit.

        Raises:
            ValueError: it is of others, or not a file of `Results`.
            OSError: it cannot be read.
        """
        header, rows = read(path)
        earlier, now = (
            {**h["machine"], "commit": h["run"]["commit"]} for h in (header, self.header)
        )
        for what in sorted(earlier.keys() | now.keys()):
            if earlier.get(what) != now.get(what):
                raise ValueError(f"{path}: {what}: {earlier.get(what)}, want {now.get(what)}")
        self.rows = rows
        run = self.header["run"]
        self.header["run"] = run | {"command": f"{header['run']['command']}; {run['command']}"}


def read(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """The header and the rows of a file.

    Raises:
        ValueError: it is not a file of `Results`.
        OSError: it cannot be read.
    """
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        if header.pop("format") != FORMAT:
            raise ValueError
        rows = [Row(**row) for row in header.pop("rows")]
        if not all(times and min(times) > 0 for row in rows for times in row.times.values()):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"{path}: not a file of results of python -m benchmarks") from None
    return header, rows
