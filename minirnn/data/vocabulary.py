"""Tokens and their numbers."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cache, cached_property
from typing import Any, TypeAlias

import numpy as np

from .. import checks
from ..backend import to_host

Text: TypeAlias = str | Iterable[str]  # one piece, or pieces as from `read_text`
Ids: TypeAlias = np.ndarray[Any, np.dtype[np.integer[Any]]]

UNKNOWN = "<unk>"
NO_TEXT = "pieces: got a text without a token, want some text (an iterator can be read only once)"
LEVELS = {
    "char": "every character",
    "word": "words, marks of punctuation and ends of lines",
    "spaces": "whatever stands between spaces, and ends of lines, for text that was split before",
}
JOINERS = "\u200c\u200d"  # within words, and in pictures that are joined
FLAG = "[\U0001f1e6-\U0001f1ff]"  # two of these letters are one
WIDE = re.compile(r"[^\0-\u02ff\u2010-\u205f]")  # beyond Latin letters and marks of punctuation
EXTENDERS = "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"  # of pictures: colours of skin, tags


@cache
def _marks() -> str:
    """Marks that combine with the letter before them, which `re` does not count among letters."""
    points = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # all are in there
    return "".join(c for c in map(chr, points) if unicodedata.category(c)[0] == "M")


@cache
def _pattern(level: str, wide: bool) -> re.Pattern[str]:
    """What the tokens are of a text, which may have marks and joiners if it is `wide`."""
    if level == "spaces":
        return re.compile(r"\n|\S+")
    letters, symbol = r"[^\W_]+", r"[^\w\s]"
    if wide:
        letters = rf"(?:{letters}|[{_marks()}{JOINERS}]+)+"
        symbol = rf"{FLAG}{{2}}|{symbol}(?:[{_marks()}{EXTENDERS}]|\u200d{symbol})*"
    return re.compile(rf"\n|<unk>|{letters}(?:['’-]{letters})*|{symbol}|_")


@cache
def _extension() -> re.Pattern[str]:
    """A character that would become one token with what it is written after."""
    return re.compile(f"[{_marks()}{EXTENDERS}{JOINERS}]")


class Vocabulary:
    """Tokens by number, and the way a text is cut into tokens.

    Args:
        tokens: each once; the number of a token is its place. At the level of characters, a str is one
            token a character.
        level: what a token is, one of `LEVELS`.

    A token that is not there becomes ``"<unk>"`` if that is one of `tokens`, and is an error otherwise.

    What ``decode(encode(text))`` loses: at the level of characters, nothing. At the other two the
    blanks of a line (spaces, tabs, ``"\\r"``, all that `str.isspace` calls so but ``"\\n"``) are written
    anew: none at its ends, and one space between two tokens, or, at the level of words, none where
    English punctuation has none; so ``3.5`` comes back as ``3. 5``. All else comes back, in every
    script: a word has its combining marks, and pictures that are joined are one token. Where no spaces
    stand between words, as in Thai, a word goes to the next blank or mark of punctuation. What
    became ``"<unk>"`` is lost at every level.

    Raises:
        ValueError: an unknown level; no tokens, or one that is there twice; words, with characters as
            the level.
        TypeError: `tokens` are a set or a dict, in which they have no places, or not text.
    """

    def __init__(self, tokens: Sequence[str], level: str = "char") -> None:
        _check_level(level)
        of_words = isinstance(tokens, str) and level != "char"
        if isinstance(tokens, Set | Mapping) or of_words or not _in_a_row(tokens):
            got = type(tokens).__name__
            raise TypeError(f"tokens: got a {got}, want a list; Vocabulary.build is for a text")
        self.tokens, self.level = list(tokens), level
        for k, token in enumerate(self.tokens):
            if not isinstance(token, str):
                raise TypeError(f"tokens[{k}]: got {checks.shown(token)}, want text")
        if level == "char" and self.tokens and min(map(len, self.tokens)) > 1:
            raise ValueError(
                f'tokens: got {self.tokens[0]!r}, want single characters, or level="word"'
            )
        self._ids = {token: k for k, token in enumerate(self.tokens)}
        if not self.tokens or len(self._ids) < len(self.tokens):
            raise ValueError(f"tokens: got {len(self.tokens)}, want one or more, each once")
        self._unknown = self._ids.get(UNKNOWN)

    @cached_property
    def _table(self) -> Ids:
        """From code points to the ids of characters; -1 where there is none."""
        points = [ord(token) if len(token) == 1 else 0x110000 for token in self.tokens]
        missing = -1 if self._unknown is None else self._unknown
        table = np.full(0x110001, missing, np.int32)
        table[points] = np.arange(len(points))
        return table

    @classmethod
    def build(cls, pieces: Text, level: str = "char", limit: int | None = None) -> Vocabulary:
        """Collect the tokens of a text: characters in their own order, words by falling frequency.

        Args:
            pieces: the text, as one str or in pieces, as from `read_text`.
            level: what a token is.
            limit: at most so many tokens, the most frequent, of which one is ``"<unk>"``; None takes
                all that there are.

        Raises:
            ValueError: the text is empty, or the name of a file; an unknown level; `limit` is below 2.
            TypeError: pieces that are not text; `limit` is not an integer.
        """
        _check_level(level)
        if limit is not None:
            checks.whole_number("limit", limit, 2)
        counts: Counter[str] = Counter()
        for piece in pieces_of(pieces):
            counts.update(split(piece, level))
        if not counts:
            raise ValueError(NO_TEXT)
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
        """The ids of the tokens of `text`, (n,) int64.

        Raises:
            ValueError: a token that the vocabulary does not have, and there is no ``"<unk>"``.
            TypeError: `text` is not a str.
        """
        _check_text(text)
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
        return ids.astype(np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` (n,); words are joined as they are written, with no space before a comma.

        Raises:
            ValueError: an id that the vocabulary does not have; another number of axes.
            TypeError: `ids` are not integers.
        """
        if (
            not isinstance(ids, str | bytes | Set | Mapping)
            and not hasattr(ids, "shape")
            and hasattr(ids, "__iter__")
        ):
            ids = list(ids)  # of an iterator
        row = to_host(ids, "ids")
        checks.of_shape("ids", row, ("n",))
        if row.size and row.dtype.kind not in "iu":
            raise TypeError(f"ids: got {row.dtype}, want integers")
        strange = row[(row < 0) | (row >= len(self))]
        if strange.size:
            raise ValueError(f"ids: got {strange[0]}, want 0 to {len(self) - 1}")
        tokens = [self.tokens[k] for k in row.tolist()]
        return "".join(self.written(t, p) for t, p in zip(tokens, ["\n", *tokens], strict=False))

    def written(self, token: str, previous: str) -> str:
        """`token` as it is written after `previous`: with a space before it, or without."""
        if self.level == "char" or "\n" in (token, previous):
            return token
        if self.level == "word" and (token in ".,;:!?)]}" or previous in "([{’'_" or token == "_"):
            return f" {token}" if WIDE.match(token) and _extension().match(token) else token
        return f" {token}"

    def _few(self) -> str:
        if self.level == "char":
            return "".join(t for t in self.tokens if t.isprintable())
        return f"{', '.join(self.tokens[:5])}, … ({len(self)} in all)"


def split(text: str, level: str) -> Sequence[str]:
    """Cut a text into tokens; `level` is one of `LEVELS`.

    Raises:
        ValueError: an unknown level.
        TypeError: `text` is not a str.
    """
    _check_level(level)
    _check_text(text)
    return text if level == "char" else _pattern(level, WIDE.search(text) is not None).findall(text)


def pieces_of(pieces: Text, name: str = "pieces") -> Iterator[str]:
    """The pieces of a text: a str is one.

    Raises:
        ValueError: the name of a file in place of its text.
        TypeError: something else than text.
    """
    if isinstance(pieces, str):
        if os.path.isfile(pieces) and re.search(r"[./\\]", pieces):
            raise ValueError(f"{name}: got the name of a file; want read_text({pieces!r})")
        return iter((pieces,))
    if isinstance(pieces, bytes | os.PathLike | Mapping) or not _in_a_row(pieces):
        got = type(pieces).__name__
        raise TypeError(f"{name}: got {got}, want text; read_text(path) reads that of a file")
    return (_check_text(piece, f"{name}[{k}]") for k, piece in enumerate(pieces))


def _in_a_row(values: Any) -> bool:
    """Whether `values` can be gone through one by one: of a table that would be names of columns."""
    return hasattr(values, "__iter__") and getattr(values, "ndim", 1) == 1


def _check_text(text: Any, name: str = "text") -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name}: got {checks.shown(text)}, want a str")
    return text


def _check_level(level: Any) -> None:
    if not isinstance(level, str) or level not in LEVELS:
        raise ValueError(f"level: got {level!r}, want one of {', '.join(LEVELS)}")
