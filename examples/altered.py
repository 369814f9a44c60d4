"""Functions with one line of their source altered, in memory: what a mistake would do.

with altered(LSTMCell.backward, "dc = dc_new * f", "dc = dc_new"):
    ...  # every LSTM now goes back wrongly; nothing on disk has changed
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any


def definition(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function's source, with the line numbers of its file."""
    return _parsed(inspect.getsource(function), function)


def compiled(tree: ast.FunctionDef, file: str = "altered") -> CodeType:
    """The code of one function, as if it stood in `file`."""
    module = compile(ast.fix_missing_locations(ast.Module([tree], [])), file, "exec")
    codes = (c for c in module.co_consts if isinstance(c, CodeType))
    return next(c for c in codes if c.co_name == tree.name)


@contextmanager
def altered(function: Callable[..., Any], old: str, new: str) -> Iterator[None]:
    """Within a ``with``, `function` has `new` in the place of its line `old`.

    Args:
        function: a Python function or method, not one that a decorator has wrapped.
        old: a line of its source, without indentation and without the comment at its end.
        new: what is to stand there.

    Raises:
        TypeError: `function` is something else.
        ValueError: the line is there no time, or more than once.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"function: got {type(function).__name__}, want a function of Python's")
    lines = inspect.getsource(function).splitlines()
    places = [k for k, line in enumerate(lines) if line.partition("  #")[0].strip() == old]
    if len(places) != 1:
        raise ValueError(f"old: {old!r} is there {len(places)} times in {function.__qualname__}")
    (k,) = places
    lines[k] = lines[k].replace(old, new)
    original = function.__code__
    file, start = f"<altered {function.__qualname__}>", original.co_firstlineno - 1
    whole = [*linecache.getlines(original.co_filename)[:start], *(f"{line}\n" for line in lines)]
    try:
        function.__code__ = compiled(_parsed("\n".join(lines), function), file)
        linecache.cache[file] = sum(map(len, whole)), None, whole, file  # for `inspect` to read
        yield
    finally:
        function.__code__ = original
        linecache.cache.pop(file, None)


def _parsed(source: str, function: FunctionType) -> ast.FunctionDef:
    tree = ast.parse(dedent(source)).body[0]
    assert isinstance(tree, ast.FunctionDef)
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    return tree
