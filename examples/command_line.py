"""What the examples have in common: options of the command line, errors in one line, and pictures.

parser = command_line.new_parser(__doc__, quick="20 steps instead of 500")
parser.add_argument("--cell", **command_line.CELL)
parser.add_argument("--hidden", type=int, default=5)
options = command_line.check(parser, parser.parse_args(), hidden=1)  # 1 or more
with command_line.blame(parser, "--csv"):  # a file that cannot be read ends the program in one line
    prices = read_prices(options.csv)

command_line.run(main)  # at the end of the file, if it is run as a program
"""

from __future__ import annotations

import argparse
import errno
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from minirnn import plot
from minirnn.backend import get_backend
from minirnn.checkpoint.whole_file import written
from minirnn.printing import print_plainly
from minirnn.recurrent import by_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NETWORKS = by_name.NETWORKS
CELL: dict[str, Any] = {  # of --cell
    "type": str.lower,
    "choices": NETWORKS,
    "default": "lstm",
    "help": "kind of recurrent layer (default lstm)",
}
OWN_NAMES = re.compile("^(device|path|text): ")  # of the engine's arguments that options stand for


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, without the list of all options."""

    def error(self, message: str) -> NoReturn:
        """End the program with `message`, and status 2."""
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def run(main: Callable[[], object]) -> None:
    """Run a program: any letter can be printed; Ctrl-C, or a lack of memory or disk, ends it in a line.

    Args:
        main: of the program.
    """
    print_plainly(line_buffering=True)
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # of `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:  # a disk that is full, say, or a folder that is gone
        print(in_a_line(error), file=sys.stderr)
        raise SystemExit(2) from None
    except MemoryError as error:
        print(
            f"out of memory: {str(error) or 'want a smaller network or less data'}", file=sys.stderr
        )
        raise SystemExit(2) from None


def new_parser(doc: str | None, quick: str) -> Parser:
    """Return a parser with ``--seed``, ``--device``, ``--out``, ``--show`` and ``--quick``.

    Args:
        doc: of the program, whose first line is its description and the rest is printed by ``--help``.
        quick: what ``--quick`` does, which takes seconds.
    """
    first, _, rest = (doc or "").partition("\n")
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=first, epilog=rest.strip("\n"), formatter_class=raw)
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of the initial weights, and all else that is random")
    add("--device", default="cpu", help='"cpu", "cuda" or "cuda:1" (default cpu)')
    add("--out", type=Path, default=Path("out"), help="folder for the picture (default out)")
    add("--show", action="store_true", help="open the picture in a window, too")
    add("--quick", action="store_true", help=quick)
    return parser


def check(parser: Parser, options: argparse.Namespace, **least: float) -> argparse.Namespace:
    """Return `options`, or end the program with a line on what is wrong.

    The device asked for is the current one from then on.

    Args:
        parser: from `new_parser`.
        options: what it read.
        least: the least that other options may be, by name; one that is None is not looked at.
    """
    for name, bound in {"seed": 0, **least}.items():
        value = getattr(options, name)
        if value is not None and not bound <= value < math.inf:
            option = name.replace("_", "-")
            parser.error(f"argument --{option}: got {value}, want {bound} or more")
    with blame(parser, "--device"):
        use(options.device)
    with blame(parser, "--out"):
        check_folder(options.out)
    if options.show and (missing := no_window()):
        parser.error(f"argument --show: {missing}; without it, the picture is a file in --out")
    return options


def use(device: str) -> None:
    """Make a device the current one, on which CuPy computes whatever arrays it is given.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        ValueError, RuntimeError: it is none, or cannot be used.
    """
    backend = get_backend(device)
    if backend.xp is not np:
        backend.device.use()
    backend.put(np.zeros(1))


def check_folder(folder: Path) -> None:
    """Raise an OSError unless `folder` can be written to, or be made; it is not made here."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    reason = None
    if not there.is_dir():
        reason = errno.EEXIST if there == folder else errno.ENOTDIR
    elif not os.access(there, os.W_OK):
        reason = errno.EACCES
    if reason is not None:
        raise OSError(reason, os.strerror(reason), str(folder))


@contextmanager
def blame(parser: Parser, argument: str) -> Iterator[None]:
    """Within a ``with``, an error of value, file or device ends the program in one line, with status 2.

    Args:
        parser: that ends the program.
        argument: whose fault it is; the user gave it, or should have.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: argument {argument}: {in_a_line(error)}\n")


def in_a_line(error: Exception) -> str:
    """What an error says, but for the engine's own name of an argument; or which error it is."""
    message = OWN_NAMES.sub("", str(error)) or repr(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(message.split())


def no_window() -> str | None:
    """Say why matplotlib has no window to draw in; None if it has one."""
    try:
        from matplotlib import pyplot
        from matplotlib.backends.registry import BackendFilter, backend_registry
    except ImportError:
        return "matplotlib is missing: pip install matplotlib"
    backend = pyplot.get_backend()
    files_only = backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE)  # type: ignore[no-untyped-call]
    if backend.lower() in files_only:
        return f"there is no window here (matplotlib draws with {backend})"
    try:
        pyplot.switch_backend(backend)  # loads it
    except (ImportError, RuntimeError) as error:
        return f"matplotlib cannot open a window ({error})"
    return None


def new_figure(width: float, height: float, show: bool = False) -> Figure | None:
    """Return an empty figure of that size in inches; say so and return None without matplotlib.

    Args:
        width, height: in inches.
        show: `save` will open it in a window, too.
    """
    try:
        from matplotlib import pyplot, rcParams
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture, because matplotlib is missing: pip install matplotlib")
        return None
    rcParams["font.family"] = plot.fonts("sans-serif")
    getLogger("matplotlib.font_manager").setLevel("ERROR")  # not of weights that one of them lacks
    make = pyplot.figure if show else Figure
    return make(figsize=(width, height), layout="constrained")


@contextmanager
def boxes_told() -> Iterator[None]:
    """Within a ``with``, letters that no font has are told in one line, not in a warning for each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "Glyph .* missing")
        yield
    codes = set()
    for warning in caught:
        if match := re.match(r"Glyph (\d+) ", str(warning.message)):
            codes.add(int(match[1]))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    if codes:
        letters = "".join(map(chr, sorted(codes)[:8])) + "…" * (len(codes) > 8)
        print(
            f"boxes in the picture stand for letters that no font here has: {letters} (Noto's fonts "
            "have them, in the packages fonts-noto-cjk and fonts-noto-core; Korean also fonts-nanum)"
        )


def save(figure: Figure, path: Path) -> None:
    """Write the picture to `path`, whose folder is made if need be; say so, and show it if asked to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with boxes_told(), written(path) as file:
        figure.savefig(file, dpi=120, format="png")
    print(f"picture: {path}")
    if figure.canvas.manager is not None:
        from matplotlib import pyplot

        pyplot.show()
