"""``python -m benchmarks COMMAND``: read the command line and run one of the sub-commands."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

import benchmarks
from minirnn.printing import print_plainly

COMMANDS = ("cpu", "gpu", "compare", "ladder", "long", "tables")


def main() -> None:
    """Import the command that was asked for (all of them for ``--help``), and run it."""
    print_plainly()
    about = (benchmarks.__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in [name for name in COMMANDS if name in sys.argv[1:2]] or COMMANDS:
        module = importlib.import_module(f"benchmarks.{name}")
        first, _, rest = (module.__doc__ or "").partition("\n")
        raw = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(
            name,
            usage=f"{parser.prog} {name} [options]" if name not in ("compare", "tables") else None,
            help=first,
            description=first,
            epilog=rest.strip("\n"),
            formatter_class=raw,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args()
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # of `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
