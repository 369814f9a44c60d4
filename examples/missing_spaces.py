"""Lines of a text that have lost their spaces: as batches for a network, and put back without one.

A line of n letters has n - 1 gaps between them; the answer to it says of each whether a space belongs
there. What can be done without a network is here, too, and a score for all answers.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import texts

import minirnn as mr
from minirnn.data import Vocabulary, pad, real_steps

Values = np.ndarray[Any, Any]
Gaps = np.ndarray[Any, np.dtype[np.bool_]]
Method = Callable[[str], Gaps]

LIKELIEST = "likeliest words"
LEAST = 100  # lines of a text
LONGEST = 80  # characters of a line; a longer one, such as a whole paragraph, becomes several
OTHER = re.compile(r"[^\w'’\n]|[\d_]")  # neither a letter nor an apostrophe nor the end of a line


class Line(NamedTuple):
    """A line without its spaces."""

    letters: str
    ids: Values  # of the n letters
    gaps: Gaps  # (n - 1,), whether a space belongs there


class Batch(NamedTuple):
    """What a network reads, and what it is to answer; all but the lengths are on its device."""

    x: Any  # tokens (T, N)
    targets: Any  # (T, N)
    weights: Any  # (T, N), 0 where no answer is asked for
    lengths: Any = None  # (N,); None: all are of length T


class Score(NamedTuple):
    """How well the spaces of some lines were put back."""

    precision: float  # of the spaces put, the share that belongs there
    recall: float  # of the spaces that belong there, the share that was put
    f1: float  # the harmonic mean of the two
    lines: float  # the share of lines without any mistake


def read(text: str) -> list[str]:
    """Return the lines of a text that `texts.text` knows.

    Raises:
        OSError, ValueError: it cannot be read, or there are too few lines.
    """
    lines = read_lines(texts.text(text)())
    if len(lines) < LEAST:
        few = f"{len(lines)} lines of two words or more"
        raise ValueError(f"got {text}, a text with {few}, want {LEAST} or more")
    return lines


def read_lines(pieces: Iterable[str]) -> list[str]:
    """Take the lines of two words or more from a text, in small letters and single spaces.

    Capital letters and punctuation are left out, since they would give away where words begin and end.
    Apostrophes stay, as parts of words.
    """
    plain = (line for piece in pieces for line in OTHER.sub(" ", piece.lower()).split("\n"))
    lines = (part for line in plain for part in _wrap(" ".join(line.split())))
    return [line for line in lines if " " in line]


def _wrap(line: str) -> list[str]:
    return [line] if len(line) <= LONGEST else textwrap.wrap(line, LONGEST, break_long_words=False)


def take_out(line: str, vocabulary: Vocabulary) -> Line:
    """Take the spaces out of a line, and number its letters."""
    words = line.split(" ")
    letters = "".join(words)
    return Line(letters, vocabulary.encode(letters), _gaps([0, *accumulate(map(len, words))]))


def mark(letters: str, said: Gaps, right: Gaps) -> str:
    """Return the line as it was said, with | for a space too many, and _ for one that is missing."""
    signs = {(True, True): " ", (True, False): "|", (False, True): "_", (False, False): ""}
    between = (signs[pair] for pair in zip(said.tolist(), right.tolist(), strict=True))
    return letters[0] + "".join(s + letter for s, letter in zip(between, letters[1:], strict=True))


def _gaps(ends: Sequence[int]) -> Gaps:
    """The gaps of words that end after so many letters, 0 and all of them included."""
    gaps = np.zeros(max(ends) + 1, bool)
    gaps[ends] = True
    return gaps[1:-1]


def shuffled(
    lines: Sequence[Line], size: int, delay: int, seed: int, device: str
) -> Iterator[Batch]:
    """Yield batches of `size` lines of about the same length, in random order, over and over."""
    ordered = sorted(lines, key=lambda line: len(line.letters))
    starts, rng = range(0, len(ordered), size), np.random.default_rng(seed)
    while True:
        for start in rng.permutation(starts).tolist():
            yield batch_of(ordered[start : start + size], delay, device)


def batch_of(lines: Sequence[Line], delay: int, device: str) -> Batch:
    """Put lines side by side; what comes after letter t is asked at step t + delay.

    So a network that reads from left to right knows `delay` more letters when it answers. Behind the
    last letter it reads `delay` tokens 0, as a network that reads both ways knows the end, too.
    """
    x, lengths = pad([line.ids for line in lines])
    targets, gaps = pad([line.gaps for line in lines])
    weights = real_steps(gaps, len(targets))
    x = np.pad(x, ((0, delay), (0, 0)))
    targets, weights = (np.pad(part, ((delay, 1), (0, 0))) for part in (targets, weights))
    x, targets, weights = (mr.to_device(part, device) for part in (x, targets.astype(int), weights))
    return Batch(x, targets, weights, lengths + delay)


def score(said: Sequence[Gaps], right: Sequence[Gaps]) -> Score:
    """Compare the answers to some lines with what is right."""
    a, b = np.concatenate(said), np.concatenate(right)
    both, put, wanted = (int(part.sum()) for part in (a & b, a, b))
    f1 = 2 * both / max(1, put + wanted)
    exact = [bool((p == q).all()) for p, q in zip(said, right, strict=True)]
    return Score(both / max(1, put), both / max(1, wanted), f1, sum(exact) / len(exact))


def methods(lines: Sequence[str]) -> Iterator[tuple[str, Method]]:
    """Ways that need no network: their names, and what they do, made from the lines to learn from."""
    known = Dictionary(lines)
    k = known.mean_length
    yield "never a space", lambda letters: np.zeros(len(letters) - 1, bool)
    yield f"a space every {k} letters", lambda letters: np.arange(1, len(letters)) % k == 0
    yield "longest known word", known.longest
    yield LIKELIEST, known.likeliest


class Dictionary:
    """The words of some lines, and two ways to cut letters into such words."""

    def __init__(self, lines: Sequence[str]) -> None:
        words = Counter(word for line in lines for word in line.split())
        total = words.total()
        self.mean_length = round(sum(len(word) * n for word, n in words.items()) / total)
        self.most_letters = max(map(len, words))
        self.costs = {word: math.log(total / n) for word, n in words.items()}  # - log of the shares
        self.cost_unknown = math.log(total)

    def longest(self, letters: str) -> Gaps:
        """From left to right, take the longest word that is known; a single letter if none is."""
        ends = [0]
        while ends[-1] < len(letters):
            start = ends[-1]
            far = min(len(letters), start + self.most_letters)
            known = (end for end in range(far, start, -1) if letters[start:end] in self.costs)
            ends.append(next(known, start + 1))
        return _gaps(ends)

    def likeliest(self, letters: str) -> Gaps:
        """Of all ways to cut the letters into words, take the one with the greatest product of shares.

        An unknown word of m letters counts as one that was read 10 / 10^m times; Norvig 2009. By dynamic
        programming: whatever the last word is, the letters before it are cut in the best way, too.
        """
        best, starts = [0.0], [0]  # cost of the first so many letters, where their last word starts
        for end in range(1, len(letters) + 1):
            tried = range(max(0, end - self.most_letters), end)
            cost, start = min((best[k] + self._cost(letters[k:end]), k) for k in tried)
            best.append(cost)
            starts.append(start)
        ends = [len(letters)]
        while ends[-1]:
            ends.append(starts[ends[-1]])
        return _gaps(ends)

    def _cost(self, word: str) -> float:
        known = self.costs.get(word)
        return self.cost_unknown + math.log(10) * (len(word) - 1) if known is None else known
