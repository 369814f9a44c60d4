"""What was compiled stays on the disk, and is compiled again when the sources have changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def forget_if_older(*functions: Any) -> None:
    """Throw away what was compiled of `functions` before any of the sources was changed.

    Numba looks only at the file that a function is in, and not at those of what it calls.
    """
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.glob("numba_*.py"))
    for function in functions:
        line = function.py_func.__code__.co_firstlineno
        name = f"*.{function.__name__}-{line}.py{sys.version_info[0]}{sys.version_info[1]}*.nbi"
        for index in Path(function._cache.cache_path).glob(name):
            if index.stat().st_mtime < newest:
                function._cache.flush()
