"""What a gradient check found."""

from __future__ import annotations

from dataclasses import dataclass

from ..printing import printable


@dataclass(frozen=True)
class Row:
    """One block: a parameter or an input, and how far its gradient is from the true one.

    `error` is ``max|Δ| / max|g|`` over the block if that is past `tol`. Otherwise it is the worst
    element's ``|Δ| / s``, where s is ``|g|``, or more where rounding alone may come to more than
    ``tol·|g|``.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    largest: float  # max|g|
    hint: str  # what the mismatch looks like; empty where there is none
    tol: float  # the largest error that passes
    method: str  # what it was compared with: "complex step" or "central differences"

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tol


@dataclass(frozen=True, repr=False)
class Report:
    """What `gradcheck` found. Print it to see a table."""

    rows: tuple[Row, ...]
    unchecked: tuple[str, ...] = ()  # inputs of which backward gave no gradient
    why: str = ""  # why not the complex step, where differences were taken
    notes: tuple[str, ...] = ()  # what else was noticed, such as the equation that is wrong

    @property
    def worst(self) -> float:
        """The largest error of all blocks."""
        return max((row.error for row in self.rows), default=0.0)

    @property
    def tol(self) -> float:
        """The largest error that passes in every block."""
        return min((row.tol for row in self.rows), default=0.0)

    @property
    def method(self) -> str:
        """What gradients were compared with: "complex step", "central differences", or both."""
        return " and ".join(dict.fromkeys(row.method for row in self.rows))

    @property
    def ok(self) -> bool:
        """Whether every input and parameter was checked, and every error is within the tolerance."""
        return bool(self.rows) and not self.unchecked and all(row.ok for row in self.rows)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows], default=0)
        lines = []
        for row in self.rows:
            verdict = "ok" if row.ok else f"WRONG: {row.hint}"
            shape = "×".join(map(str, row.shape))
            lines.append(f"{row.name:<{width}}  {shape:>9}  {row.error:8.1e}  {verdict}")
        lines += [
            f"{name:<{width}}  not checked: backward gave no gradient" for name in self.unchecked
        ]
        ways = dict.fromkeys((row.tol, row.method) for row in self.rows)
        within = " or ".join(f"within {tol:.0e} by {method}" for tol, method in ways)
        state = "all" if self.ok else "NOT all"
        found = f"{within}; the worst is {self.worst:.1e}" if self.rows else "checked"
        lines.append(f"{state} {found}")
        if self.why:
            lines.append(f"why differences: {self.why}")
        hints = {row.hint for row in self.rows}
        return printable("\n".join([*lines, *(note for note in self.notes if note not in hints)]))
