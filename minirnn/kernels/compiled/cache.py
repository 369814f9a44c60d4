"""What was compiled stays on the disk, and is compiled again when a source has changed.

A file holds one function for one kind of numbers, behind a digest of itself and of all sources. So one
comparison tells whether it is whole and of these sources, whatever their dates, before it is used.
Numba's own cache has an index beside the files, looks only at the source that a function is in, and not
at those of what it calls, and raises an error where a file is damaged or no folder can be written to.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

# They are plain Python
NOT_COMPILED = ("__init__.py", "cache.py", "cells.py", "compile.py", "scan.py")
VERSIONS = sys.implementation.cache_tag, numba.__version__, llvmlite.__version__


class Kept:
    """The cache of one compiled function: takes the place of the one that Numba has for it.

    Args:
        function: what Numba's ``njit`` gave.
        missed: called before it is compiled, as it is not on the disk.
        text: of a function that stands in no source of ours.
    """

    def __init__(self, function: Any, missed: Callable[[], None], text: str = "") -> None:
        self.function = function
        self.missed = missed
        self.text = text
        self.folder: Path | None = None  # where it is, if it is anywhere

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What was compiled, or None."""
        context.refresh()
        name = self._name(signature, context.codegen())
        for folder in folders():
            try:
                content = (folder / name).read_bytes()
            except OSError:
                continue
            digest, data = content[:32], content[32:]
            if digest == _digest(data):
                self.folder = folder
                return CompileResult._rebuild(context, *pickle.loads(data))
        self.missed()
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep it in the first folder that takes it, if any does."""
        data = dumps(compiled._reduce())
        name = self._name(signature, compiled.codegen)
        for folder in folders():
            if written(folder / name, _digest(data) + data):
                self.folder = folder
                return

    def _name(self, signature: Any, codegen: Any) -> str:
        """Of the file: another one for each kind of processor, and each version of what compiles."""
        problem = repr((VERSIONS, codegen.magic_tuple(), signature, self.text)).encode()
        return (
            f"{self.function.py_func.__name__}-{hashlib.sha256(problem).hexdigest()[:16]}.compiled"
        )


def folders() -> list[Path]:
    """Where it may be kept: in NUMBA_CACHE_DIR if that is set, otherwise with the source or the user."""
    if numba.config.CACHE_DIR:
        locators = [UserProvidedCacheLocator]
    else:
        locators = [InTreeCacheLocator, UserWideCacheLocator]
    places = [Path(locator(folders, __file__).get_cache_path()) for locator in locators]
    return [place for place in places if place.parts[0] != "~"]  # of a user without a home


def written(path: Path, content: bytes) -> bool:
    """Write a whole file, or none."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")  # others may write at the same time
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "xb") as file:
            file.write(content)
        os.replace(part, path)
    except OSError:  # as of a folder that is read-only, or a disk that is full
        with suppress(OSError):
            part.unlink()
        return False
    return True


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(_sources() + data).digest()


@cache
def _sources() -> bytes:
    """The digest of all sources of what is compiled."""
    named = {source.name: source for source in files(__package__).iterdir()}
    wanted = [name for name in sorted(named) if name.endswith(".py")]
    texts = [named[name].read_bytes() for name in wanted if name not in NOT_COMPILED]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).digest()
