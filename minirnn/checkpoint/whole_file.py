"""A file that is there as a whole or not at all, whoever else writes to its name meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be removed in any case
    fcntl = None  # type: ignore[assignment]


def file_name(path: Any) -> str:
    """Return `path` as a str, if it can be the name of a file.

    Raises:
        TypeError, ValueError: it cannot.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        got = type(path).__name__
        raise TypeError(f"path: got {got}, want a file's name, a str or os.PathLike") from None
    if not name or "\0" in name or name.endswith(tuple(filter(None, (os.sep, os.altsep)))):
        raise ValueError(f"path: got {name!r}, want a file's name")
    return name


@contextlib.contextmanager
def written(path: str | Path) -> Iterator[BinaryIO]:
    """Within a ``with``, write to a file that gets its name, `path`, when all is on the disk.

    Until then it has a name of its own beside that, which ends in ``.partial``. If anything goes wrong
    it is removed; if the process is killed, the next one that writes to `path` removes it. A file that
    is replaced leaves its permissions, and its owner where that can be. A link stays one.

    Raises:
        ValueError: `path` is there and not a file.
        FileNotFoundError: there is no such directory.
        OSError: writing failed, for example because the disk is full.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ValueError(f"path: got {path}, which is there and not a file, want that of a file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path: got {path}, but there is no directory {target.parent}")
    old = target.stat() if target.exists() else None
    try:
        _remove_leftovers(target)
        partial, file = _own_file(target, 0o666 if old is None else stat.S_IMODE(old.st_mode))
        try:
            with file:
                yield file
                file.flush()
                _take_over(file.fileno(), old)
                os.fsync(file.fileno())
                if fcntl is None:
                    file.close()  # Windows renames no file that is open
                os.replace(partial, target)  # locked still, or others would take it for a leftover
        except BaseException:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = str(path), None  # not the partial one's
        raise
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):  # some file systems cannot, and the file is whole
            directory = os.open(target.parent, os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _partial_name(target: Path, own: str) -> str:
    return f"{target.name[:40]}.{own}.partial"  # the name may be as long as names can be


def _own_file(target: Path, mode: int) -> tuple[Path, BinaryIO]:
    """A new file that nobody else has, in the directory of `target`; locked as long as it is open."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    while True:
        partial = target.with_name(_partial_name(target, secrets.token_hex(4)))
        with contextlib.suppress(FileExistsError):
            file = open(os.open(partial, flags, mode & 0o777), "wb")  # noqa: SIM115
            try:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another process is about to remove it, as a leftover
            except OSError:  # a file system without locks, where nobody removes any
                return partial, file
            else:
                if fcntl is None or os.fstat(file.fileno()).st_nlink:
                    return partial, file
            file.close()


def _remove_leftovers(target: Path) -> None:
    """Remove what processes that were killed left when they were writing to `target`."""
    name = re.compile("[0-9a-f]{8}".join(map(re.escape, _partial_name(target, "\0").split("\0"))))
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    for leftover in map(target.with_name, filter(name.fullmatch, os.listdir(target.parent))):
        with contextlib.suppress(OSError):  # it is in use, a link, or not ours to remove
            if fcntl is None:
                leftover.unlink()
                continue
            with open(os.open(leftover, flags), "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                leftover.unlink()


def _take_over(handle: int, old: os.stat_result | None) -> None:
    """Give an open file the owner and the permissions of the `old` one."""
    if old is not None and hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):  # only the superuser may give files away
            os.fchown(handle, old.st_uid, old.st_gid)
        os.fchmod(handle, stat.S_IMODE(old.st_mode))
