"""What the exercises check themselves with: is it right, and if not, where to look."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

sys.path.append(str(Path(__file__).parents[1]))

from exhibits import EXHIBITS, FROM_THE_END, LSTM

import minirnn as mr
from minirnn.cells import Cell
from minirnn.gradcheck import Report
from minirnn.gradcheck.proof import Case


def cell(yours: Cell) -> NoReturn:
    """Judge a cell: over one step, where mistakes have not spread yet, and over four."""
    case = Case(yours, "generic", state=True)
    one = case.check(T=1)
    if not one.ok:
        end(f"{one}\nThis was a single step, where nothing has spread yet.", right=False)
    several = case.check()
    hint = (
        "" if several.ok else "\nA single step is right: what is handed from step to step is not."
    )
    end(f"{several}{hint}", several.ok)


def gradients(
    forward: Callable[..., Any],
    backward: Callable[[Any], Any],
    parameters: Any = (),
    **inputs: Any,
) -> NoReturn:
    """Judge gradients, of every input; the arguments are those of `mr.gradcheck`."""
    report = mr.gradcheck(forward, backward, parameters, **inputs)
    end(str(report), report.ok and not report.unchecked)


def sharpness(yours: Callable[[Any], Report]) -> NoReturn:
    """Judge a gradient check: it is to pass a right LSTM, and no wrong one."""

    def passes() -> bool:
        return yours(mr.LSTM(5, 2, dtype="float64", rng=0, scan="generic")).ok

    if not passes():
        end("It complains of an LSTM that is right.", right=False)
    missed = []
    for exhibit in EXHIBITS.values():
        with exhibit.made():
            if exhibit.case in (LSTM, FROM_THE_END) and passes():
                missed.append(f"  {exhibit.name}: {exhibit.title}")
    end("\n".join(["It does not see:", *missed] if missed else ["It sees them all."]), not missed)


def end(text: str, right: bool) -> NoReturn:
    """Print what was found and the verdict; the exit status is 0 if it is right, else 1."""
    print(text)
    print("\nRight." if right else "\nNot yet.")
    sys.exit(not right)
