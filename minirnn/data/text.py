"""Text as a language model reads it: files, ids, parallel streams.

Nothing here needs a whole text in memory: files are read piece by piece, some lines each, and `encode`
writes the ids to a file that is mapped into memory.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from .. import checks
from ..backend import to_host
from .vocabulary import NO_TEXT, Ids, Text, Vocabulary, pieces_of

_PIECE = 1 << 20  # bytes read at a time


def read_text(path: str | Path, pattern: str = "*") -> Iterator[str]:
    """Read UTF-8 text in pieces that end at the end of a line.

    Args:
        path: a file, or a folder, of which every file that fits `pattern` is read, folders in it too,
            in the order of their names; hidden files are left out.
        pattern: such as ``"*.py"``.

    Returns:
        Pieces of about 1 MiB, or longer by the rest of a line. Line ends are ``"\\n"``; a byte-order
        mark is dropped.

    Raises:
        FileNotFoundError: there is no such file or folder, or no file in it that fits.
        ValueError: while reading: a byte is not UTF-8, or 0, as in UTF-16; the message gives its
            offset in the file.
        TypeError: `path` is neither text nor a path.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"path: got {type(path).__name__}, want the path of a file or a folder")
    if not os.path.exists(path):  # (`Path.exists` fails where a name is too long, as a text is)
        name = str(path) if len(str(path)) < 256 else "a long text"
        raise FileNotFoundError(f"path: got {name}, which does not exist")
    path = Path(path)
    files = [path]
    if path.is_dir():
        inside = (p for p in sorted(path.rglob(pattern)) if p.is_file())
        files = [p for p in inside if not any(q[0] == "." for q in p.relative_to(path).parts)]
        if not files:
            raise FileNotFoundError(f"path: got {path}, a folder without a file {pattern}")
    return chain.from_iterable(map(_pieces, files))


def section(pieces: Text, start: int, stop: int) -> Iterator[str]:
    """The characters from `start` up to `stop` of a text that comes in pieces, or as one str.

    Raises:
        ValueError: `start` or `stop` is below 0.
        TypeError: they are not integers; pieces that are not text.
    """
    start, stop = checks.whole_number("start", start, 0), checks.whole_number("stop", stop, 0)
    return _section(pieces_of(pieces), start, stop)


def _section(pieces: Iterator[str], start: int, stop: int) -> Iterator[str]:
    for piece in pieces:
        if start < len(piece) and stop > 0:
            yield piece[max(0, start) : stop]
        start, stop = start - len(piece), stop - len(piece)
        if stop <= 0:
            return


def _pieces(path: Path) -> Iterator[str]:
    offset = 0
    with path.open("rb") as file:
        while lines := file.readlines(_PIECE):
            piece = b"".join(lines)
            try:
                text = piece.decode()
                at, reason = piece.find(0), "is no letter, as in UTF-16"  # of which UTF-8 is silent
            except UnicodeDecodeError as error:
                at, reason = error.start, f"is not UTF-8 ({error.reason})"
            if at >= 0:
                raise ValueError(
                    f"{path}: byte 0x{piece[at]:02x} at offset {offset + at} {reason}; "
                    "want a text file in UTF-8"
                )
            yield (text.removeprefix("\ufeff") if offset == 0 else text).replace("\r\n", "\n")
            offset += len(piece)


def encode(pieces: Text, vocabulary: Vocabulary) -> tuple[Ids, str]:
    """Number the tokens of a text that may be larger than memory.

    Args:
        pieces: as from `read_text`, or one str.
        vocabulary: of the text.

    Returns:
        The ids (n,), mapped from a file that goes with the array; and their SHA-256, by which the text
        can be known again. To keep the file small they are of the smallest type that holds them,
        `Vocabulary.dtype`, in which sums and products of ids would overflow: `Streams` gives int64.

    Raises:
        ValueError: a token that the vocabulary does not have; an empty text.
        TypeError: pieces that are not text; `vocabulary` is something else.
    """
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary: got {type(vocabulary).__name__}, want a Vocabulary")
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as file:
        for piece in pieces_of(pieces):
            ids = vocabulary.encode(piece).astype(vocabulary.dtype).tobytes()
            digest.update(ids)
            file.write(ids)
        file.flush()
        if not file.tell():
            raise ValueError(NO_TEXT)
        return np.memmap(file, vocabulary.dtype, "r"), digest.hexdigest()


class Streams:
    """A text cut into N streams of equal length that are read side by side, in windows of T.

    Stream n goes on in window k + 1 where it ended in window k, so the state that a network had there
    is the one to start with. Fewer than N tokens at the end of the text are left out, and
    without `remainder` also up to T - 1 at the end of each stream.

    Args:
        ids: (n,) integers, which may be mapped from a file: only the windows asked for are read.
        N: streams.
        T: steps of a window.
        remainder: what is left of the streams after their last whole window is one more, shorter
            window; otherwise it is left out.

    Raises:
        ValueError: the text is shorter than one window of all streams (than one step, with remainder);
            `N` or `T` is below 1.
        TypeError: `N` or `T` is not an integer; `ids` are not integers.
    """

    def __init__(self, ids: Ids, N: int, T: int, remainder: bool = False) -> None:
        self.N, self.T = N, T = checks.whole_number("N", N), checks.whole_number("T", T)
        self.ids = ids = to_host(ids, "ids")
        if ids.ndim != 1:
            raise ValueError(f"ids: got shape {ids.shape}, want (n,)")
        if ids.size and ids.dtype.kind not in "iu":
            raise TypeError(f"ids: got {ids.dtype}, want integers")
        remainder = checks.truth("remainder", remainder)
        least = N + 1 if remainder else N * T + 1
        if len(ids) < least:
            raise ValueError(
                f"ids: got {len(ids)} tokens, want {'N' if remainder else 'N·T'} + 1 = {least} or more; "
                "with a text this short, use fewer streams or shorter windows"
            )
        self.length = (len(ids) - 1) // N  # of each stream
        if not remainder:
            self.length -= self.length % T
        self._starts = np.arange(N) * ((len(ids) - 1) // N)

    def __len__(self) -> int:
        """Windows in each stream."""
        return -(-self.length // self.T)

    def window(self, k: int) -> tuple[Ids, Ids]:
        """Tokens of window k and those that come next, both (T, N), int64.

        Raises:
            IndexError, ValueError: there is no window k.
            TypeError: `k` is not an integer.
        """
        k = checks.whole_number("k", k, -sys.maxsize)
        if not 0 <= k < len(self):
            raise IndexError(f"k: got {k}, want 0 to {len(self) - 1}")
        steps = np.arange(k * self.T, min((k + 1) * self.T, self.length) + 1)
        both = self.ids[steps[:, None] + self._starts].astype(np.int64)
        return both[:-1], both[1:]
