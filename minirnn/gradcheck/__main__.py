"""``python -m minirnn.gradcheck``: print the proof of every cell, as a table."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from itertools import groupby
from typing import NoReturn

from ..backend import get_backend
from ..cells import CELLS, Cell
from ..kernels.choice import SCANS, available, choose
from ..kernels.terms import NotPointwise
from ..printing import print_plainly
from ..recurrent.trial import try_cell
from .printed import BARS, errors_of
from .proof import Case, arrangements

TOL = 1e-12
CELL_NAMES = [cell.name for cell in CELLS]


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main() -> int:
    """Print the table; return 1 if anything is past the bar."""
    print_plainly()
    parser = _Parser(
        prog="python -m minirnn.gradcheck",
        description="Check every gradient of every cell by the complex step, in float64.",
    )
    parser.add_argument(
        "--cell",
        default="",
        help=f"only cells called so: {', '.join(CELL_NAMES)}; "
        "or one of your own, as module:class or module:object",
    )
    parser.add_argument("--scan", choices=SCANS[1:], help="only this scan")
    parser.add_argument("--seed", type=int, default=0, help="of the random values")
    options = parser.parse_args()
    try:
        chosen = _chosen(options.cell)
    except Exception as error:  # whatever a module of somebody's own may raise
        parser.error(f"argument --cell: {str(error).partition(chr(10))[0]}")
    if options.seed < 0:
        parser.error(f"argument --seed: got {options.seed}, want 0 or more")
    host = get_backend("cpu")
    runs = [
        (cell, scan)
        for cell in chosen
        for scan in available(cell, host)
        if options.scan in (None, scan)
    ]
    if not runs:
        try:
            choose(chosen[0], host, options.scan)
        except ValueError as error:
            parser.error(f"argument --{error}")
    letters = list(dict.fromkeys(letter for cell in chosen for letter in cell.shapes(1, 1)))
    states = list(dict.fromkeys(f"{state}0" for cell in chosen for state in cell.states))
    columns = ["x", *states, *letters]
    print("Each figure is the worst |Δ| / |g| of an element, over zero and random initial states,")
    print(
        f"and over gradients given for ys, for the final state and for both. The bar is {TOL:.0e}.\n"
    )
    print(f"{'cell':<23}{'scan':<9}{'layers':<8}{'dirs':<6}{'lengths':<9}", end="")
    print("".join(f"{name:>9}" for name in columns), flush=True)
    worst, problems = 0.0, []
    for cell, scan in runs:
        for (layers, both, lengths), cases in groupby(arrangements(cell, scan), _row):
            errors: dict[str, float] = {}
            for case in cases:
                for row in case.check(options.seed).rows:
                    letter = row.name.rpartition(".")[2]
                    errors[letter] = max(errors.get(letter, 0.0), row.error)
                    worst = max(worst, row.error)
                    if row.error > TOL:
                        problems.append(f"{case}\n    {row.name}: {row.error:.1e}, {row.hint}")
            directions, ragged = 2 if both else 1, "ragged" if lengths else "equal"
            print(f"{cell.name:<23}{scan:<9}{layers:<8}{directions:<6}{ragged:<9}", end="")
            shown = (f"{errors[name]:9.0e}" if name in errors else " " * 9 for name in columns)
            print("".join(shown).rstrip(), flush=True)
    print()
    for cell in chosen:
        try:
            found = {dtype: errors_of(cell, dtype, options.seed) for dtype in BARS}
        except NotPointwise as reason:
            print(f"{cell.name} {reason}: it runs as it stands")
            continue
        said = ", ".join(f"{max(of.values()):.0e} in {dtype}" for dtype, of in found.items())
        print(f"what is compiled of {cell.name} differs from its class by {said}")
        for dtype, of in found.items():
            past = {name: error for name, error in of.items() if not error <= BARS[dtype]}
            problems += [
                f"{cell.name}, {dtype}: {name} differs by {past[name]:.1e}" for name in past
            ]
    for problem in problems:
        print(problem)
    print(
        f"\nworst error {worst:.1e}: {'all within' if not problems else 'PAST'} the bar of {TOL:.0e}"
    )
    return int(bool(problems))


def _chosen(name: str) -> list[Cell]:
    """The cells that are called so, or the one of ``module:class``.

    Raises:
        ValueError: there is none.
    """
    module, colon, attribute = name.partition(":")
    if colon:
        found = getattr(import_module(module), attribute)
        cell: Cell = found() if isinstance(found, type) else found
        if not hasattr(cell, "shapes"):
            raise ValueError(f"got {name!r}, want a cell's class, or an object of one")
        try_cell(cell, 2, "float64")
        return [cell]
    chosen = [cell for cell in CELLS if cell.name.lower().startswith(name.lower())]
    if not chosen:
        wanted = f"{', '.join(CELL_NAMES)}, or module:class"
        raise ValueError(f"got {name!r}, want one of {wanted}")
    return chosen


def _row(case: Case) -> tuple[int, bool, bool]:
    return case.layers, case.bidirectional, case.lengths


if __name__ == "__main__":
    sys.exit(main())
