"""Text as a language model reads it: files, vocabularies, ids, parallel streams.

Nothing here needs a whole text in memory: files are read piece by piece, some lines each, and `encode`
writes the ids to a file that is mapped into memory.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from . import checks

Ids = np.ndarray[Any, np.dtype[np.integer[Any]]]

UNKNOWN = "<unk>"
LEVELS = {
    "char": "every character",
    "word": "words, marks of punctuation and ends of lines",
    "spaces": "whatever stands between spaces, and ends of lines, for text that was split before",
}
_PATTERNS = {
    "word": re.compile(r"\n|<unk>|[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]|_"),
    "spaces": re.compile(r"\n|\S+"),
}
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
        ValueError: while reading: a byte is not UTF-8; the message gives its offset in the file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path: got {path}, which does not exist")
    files = [path]
    if path.is_dir():
        inside = (p for p in sorted(path.rglob(pattern)) if p.is_file())
        files = [p for p in inside if not any(q[0] == "." for q in p.relative_to(path).parts)]
        if not files:
            raise FileNotFoundError(f"path: got {path}, a folder without a file {pattern}")
    return chain.from_iterable(map(_pieces, files))


def section(pieces: Iterable[str], start: int, stop: int) -> Iterator[str]:
    """The characters from `start` up to `stop` of a text that comes in pieces."""
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
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}: byte 0x{piece[error.start]:02x} at offset {offset + error.start} is not "
                    f"UTF-8 ({error.reason}); want a text file in UTF-8"
                ) from None
            yield (text.removeprefix("\ufeff") if offset == 0 else text).replace("\r\n", "\n")
            offset += len(piece)


class Vocabulary:
    """Tokens by number, and the way a text is cut into tokens.

    Args:
        tokens: each once; the number of a token is its place.
        level: what a token is, one of `LEVELS`.

    A token that is not there becomes ``"<unk>"`` if that is one of `tokens`, and is an error otherwise.

    Raises:
        ValueError: an unknown level; no tokens, or one that is there twice.
    """

    def __init__(self, tokens: Sequence[str], level: str = "char") -> None:
        if level not in LEVELS:
            raise ValueError(f"level: got {level!r}, want one of {', '.join(LEVELS)}")
        self.tokens, self.level = list(tokens), level
        self._ids = {token: k for k, token in enumerate(self.tokens)}
        if not tokens or len(self._ids) < len(self.tokens):
            raise ValueError(f"tokens: got {len(self.tokens)}, want one or more, each once")
        self._unknown = self._ids.get(UNKNOWN)
        if level == "char":
            # from code points to ids; -1 where there is none
            points = [ord(token) if len(token) == 1 else 0x110000 for token in self.tokens]
            missing = -1 if self._unknown is None else self._unknown
            self._table = np.full(0x110001, missing, np.int32)
            self._table[points] = np.arange(len(points))

    @classmethod
    def build(
        cls, pieces: Iterable[str], level: str = "char", limit: int | None = None
    ) -> Vocabulary:
        """Collect the tokens of a text: characters in their own order, words by falling frequency.

        Args:
            pieces: the text, as from `read_text`.
            level: what a token is.
            limit: at most so many tokens, the most frequent, of which one is ``"<unk>"``; None takes
                all that there are.

        Raises:
            ValueError: the text is empty.
        """
        if limit is not None:
            checks.whole_number("limit", limit, 2)
        counts: Counter[str] = Counter()
        for piece in pieces:
            counts.update(split(piece, level))
        if not counts:
            raise ValueError("pieces: got a text without a token, want some text")
        if limit is not None:
            counts.pop(UNKNOWN, None)
        ordered = sorted(counts, key=lambda token: (-counts[token], token))
        if limit is not None:
            ordered = [UNKNOWN, *ordered[: limit - 1]]
        return cls(sorted(ordered) if level == "char" else ordered, level)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens, level={self.level!r})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type of integer that holds every id."""
        return np.min_scalar_type(len(self) - 1)

    def encode(self, text: str) -> Ids:
        """The ids of the tokens of `text`, (n,).

        Raises:
            ValueError: a token that the vocabulary does not have, and there is no ``"<unk>"``.
        """
        if self.level == "char":
            points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
            ids: Ids = self._table[points]
        else:
            unknown = -1 if self._unknown is None else self._unknown
            ids = np.array([self._ids.get(token, unknown) for token in split(text, self.level)])
        if ids.size and ids.min() < 0:
            strange = dict.fromkeys(t for t in split(text, self.level) if t not in self._ids)
            raise ValueError(
                f"text: got {', '.join(map(repr, list(strange)[:10]))}, "
                f"want tokens of the vocabulary, {self._few()}"
            )
        return ids.astype(self.dtype)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; words are joined as they are written, with no space before a comma."""
        tokens = [self.tokens[k] for k in ids]
        return "".join(self.written(t, p) for t, p in zip(tokens, ["\n", *tokens], strict=False))

    def written(self, token: str, previous: str) -> str:
        """`token` as it is written after `previous`: with a space before it, or without."""
        if self.level == "char" or "\n" in (token, previous):
            return token
        if self.level == "word" and (token in ".,;:!?)]}" or previous in "([{’'_" or token == "_"):
            return token
        return f" {token}"

    def _few(self) -> str:
        if self.level == "char":
            return "".join(t for t in self.tokens if t.isprintable())
        return f"{', '.join(self.tokens[:5])}, … ({len(self)} in all)"


def split(text: str, level: str) -> Sequence[str]:
    """Cut a text into tokens; `level` is one of `LEVELS`."""
    return text if level == "char" else _PATTERNS[level].findall(text)


def encode(pieces: Iterable[str], vocabulary: Vocabulary) -> tuple[Ids, str]:
    """Number the tokens of a text that may be larger than memory.

    Args:
        pieces: as from `read_text`.
        vocabulary: of the text.

    Returns:
        The ids (n,), mapped from a file that goes with the array; and their SHA-256, by which the text
        can be known again.

    Raises:
        ValueError: a token that the vocabulary does not have; an empty text.
    """
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            ids = vocabulary.encode(piece).tobytes()
            digest.update(ids)
            file.write(ids)
        file.flush()
        if not file.tell():
            raise ValueError("pieces: got a text without a token, want some text")
        return np.memmap(file, vocabulary.dtype, "r"), digest.hexdigest()


class Streams:
    """A text cut into N streams of equal length that are read side by side, in windows of T.

    Stream n goes on in window k + 1 where it ended in window k, so the state that a network had there
    is the one to start with. Fewer than N tokens at the end of the text are left out, and
    without `remainder` also up to T - 1 at the end of each stream.

    Args:
        ids: (n,), which may be mapped from a file: only the windows asked for are read.
        N: streams.
        T: steps of a window.
        remainder: what is left of the streams after their last whole window is one more, shorter
            window; otherwise it is left out.

    Raises:
        ValueError: the text is shorter than one window of all streams (than one step, with remainder).
    """

    def __init__(self, ids: Ids, N: int, T: int, remainder: bool = False) -> None:
        self.ids, self.N, self.T = ids, checks.whole_number("N", N), checks.whole_number("T", T)
        if ids.ndim != 1:
            raise ValueError(f"ids: got shape {ids.shape}, want (n,)")
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
        """Tokens of window k and those that come next, both (T, N)."""
        if not 0 <= k < len(self):
            raise IndexError(f"k: got {k}, want 0 to {len(self) - 1}")
        steps = np.arange(k * self.T, min((k + 1) * self.T, self.length) + 1)
        both = np.asarray(self.ids[steps[:, None] + self._starts])
        return both[:-1], both[1:]
