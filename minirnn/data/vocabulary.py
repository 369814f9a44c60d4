"""Tokens and their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import checks

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

    @cached_property
    def _table(self) -> Ids:
        """From code points to the ids of characters; -1 where there is none."""
        points = [ord(token) if len(token) == 1 else 0x110000 for token in self.tokens]
        missing = -1 if self._unknown is None else self._unknown
        table = np.full(0x110001, missing, np.int32)
        table[points] = np.arange(len(points))
        return table

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
            ValueError: the text is empty; `limit` is below 2.
            TypeError: `limit` is not an integer.
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
