"""Pairs of texts, such as a date as people write it and the same date in ISO 8601, and their letters.

They come from a file, a pair in a line, or are written here: any day from 1970 to 2069, in forms that
people use. Where a form leaves open which day is meant, this is settled as follows: of 5/3/1999 the
month comes first (as in America), of 5.3.1999 the day; of years with two digits, 70 to 99 are those of
the last century.
"""

from __future__ import annotations

import calendar
import errno
import io
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from minirnn.data import Vocabulary, pad, read_text, real_steps

Tokens = np.ndarray[Any, Any]

BETWEEN = "_"  # source and target in a line of a file, if it has no tab
BOUNDARY = "\n"  # the token that the decoder starts with, and ends with
FEWEST = 20  # pairs, so that each of the three parts has one
LONGEST = 500  # letters of a text: time and memory go by the longest of a batch
MOST = 1_000_000  # dates; there are 1.5 million texts


def read_pairs(path: Path) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Read a file with lines of a source, a tab or "_", and a target; blanks around them are left out.

    What stands behind a second tab is left out, too: there, published files say whose a translation is.

    Returns:
        The target of each source, and the further ones of those that have several.

    Raises:
        OSError: the file cannot be read, or is a folder.
        ValueError: it is not UTF-8, has a line of another form or one of more than 500 letters, or fewer
            than 20 different sources; the message tells the line.
    """
    if stat.S_ISDIR(path.stat().st_mode):  # of which read_text would read every file
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    pairs: dict[str, str] = {}
    others: dict[str, set[str]] = {}
    lines = (line.rstrip("\n") for piece in read_text(path) for line in io.StringIO(piece))
    more = False  # whether a line has more than a source and its target
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("\t" if "\t" in line else BETWEEN)]
        source, target = [*parts, ""][:2]
        if not source or not target or (len(parts) > 2 and "\t" not in line):
            raise ValueError(
                f"{path}, line {number}: got {shortened(line)}, want a text, {BETWEEN!r} or a tab, and "
                "its answer"
            )
        for text in (source, target):
            if len(text) > LONGEST:
                raise ValueError(
                    f"{path}, line {number}: got {shortened(text)}, of {len(text):,} letters, want "
                    f"{LONGEST} or fewer"
                )
        more |= len(parts) > 2
        if pairs.setdefault(source, target) != target:
            others.setdefault(source, set()).add(target)
    if more and all(map(str.isdecimal, pairs)):
        raise ValueError(
            f"{path}: got numbers of texts ({source}) in front, want a text and its answer"
        )
    if len(pairs) < FEWEST:
        raise ValueError(f"{path}: got {len(pairs)} different texts, want {FEWEST} or more")
    return pairs, others


def shortened(text: str) -> str:
    """The beginning of a text, in quotes."""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def write_dates(n: int, rng: np.random.Generator) -> dict[str, str]:
    """Write `n` different texts, each a random day in a random form: text -> ISO date.

    Raises:
        ValueError: more than a million, which there are hardly any more of.
    """
    if n > MOST:
        raise ValueError(f"got {n:,}, want {MOST:,} dates or fewer")
    first, pairs = date(1970, 1, 1), dict[str, str]()
    days = (date(2070, 1, 1) - first).days
    while len(pairs) < n:
        day = first + timedelta(int(rng.integers(days)))
        forms = forms_of(day)
        pairs[forms[rng.integers(len(forms))]] = day.isoformat()
    return pairs


def forms_of(day: date) -> list[str]:
    """All forms in which a day may be written, in small letters, in capitals, and as usual."""
    d, m, y, yy = day.day, day.month, day.year, f"{day.year % 100:02}"
    month, mon = calendar.month_name[m], calendar.month_abbr[m]
    weekday, wd = calendar.day_name[day.weekday()], calendar.day_abbr[day.weekday()]
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(d % 10 if d not in (11, 12, 13) else 0, "th")
    names = [
        f"{month} {d}, {y}", f"{month} {d}{suffix}, {y}", f"{mon} {d}, {y}", f"{mon}. {d} '{yy}",
        f"{d} {month} {y}", f"{d} {mon} {y}", f"{d}-{mon}-{yy}", f"{d}{suffix} of {month} {y}",
        f"the {d}{suffix} of {month}, {y}", f"{weekday}, {month} {d}, {y}", f"{wd} {d} {mon} {y}",
        f"{weekday} the {d}{suffix} of {month} '{yy}",
    ]  # fmt: skip
    digits = [
        f"{m}/{d}/{y}", f"{m}/{d}/{yy}", f"{m:02}/{d:02}/{yy}", f"{d}.{m}.{y}", f"{d}.{m}.{yy}",
        f"{y}/{m}/{d}",
    ]  # fmt: skip
    return [*names, *map(str.lower, names), *map(str.upper, names), *digits]


class Pairs:
    """Pairs split at random into a part for training, one for choosing, one for the final score.

    Args:
        targets: of each source. As every source is there once, none is in two parts.
        rng: for the split.
        reverse: the network reads sources from their end (Sutskever et al. 2014).
        others: further answers that are right, too, of some sources.

    Attributes:
        train, valid, test: sources; 85, 5 and 10 in a hundred.
        reading, writing: the letters of sources and of targets; number 0 of `writing` is the boundary.
        length: of the longest target, with the boundary at its end.
    """

    def __init__(
        self,
        targets: dict[str, str],
        rng: np.random.Generator,
        reverse: bool = False,
        others: Mapping[str, set[str]] | None = None,
    ) -> None:
        sources = sorted(targets)
        rng.shuffle(sources)
        n_test, n_valid = len(sources) // 10, len(sources) // 20
        self.test, self.valid = sources[:n_test], sources[n_test : n_test + n_valid]
        self.train = sources[n_test + n_valid :]
        self.targets, self.reverse, self.others = targets, reverse, others or {}
        self.reading = Vocabulary.build(sources)
        self.writing = Vocabulary([BOUNDARY, *sorted(set("".join(targets.values())))])
        self.length = max(map(len, targets.values())) + 1

    def read(self, sources: Sequence[str]) -> tuple[Tokens, Tokens]:
        """What the encoder reads: tokens (S, N), and the lengths (N,)."""
        step = -1 if self.reverse else 1
        return pad([self.reading.encode(source)[::step] for source in sources])

    def write(self, sources: Sequence[str]) -> tuple[Tokens, Tokens, Tokens]:
        """What the decoder reads, what it is to say, and the weights, all (T, N).

        It reads the boundary and the target, and is to say the target and the boundary: each letter
        one step before it reads it. What is behind the boundary has a weight of zero.
        """
        said, lengths = pad([self.writing.encode(self.targets[s] + BOUNDARY) for s in sources])
        read = np.roll(said, 1, axis=0)
        read[0] = 0
        return read, said, real_steps(lengths, len(said))

    def texts(self, tokens: Tokens) -> list[str]:
        """What a decoder has said, (T, N), each up to its boundary."""
        return [self.writing.decode(column).partition(BOUNDARY)[0] for column in tokens.T.tolist()]

    def right(self, sources: Sequence[str], said: Sequence[str]) -> float:
        """The share of sources whose target, or another right one, was said, exactly."""
        return sum(map(self.is_right, sources, said)) / len(sources)

    def is_right(self, source: str, said: str) -> bool:
        """Whether a source's target, or another right one, was said."""
        return said == self.targets[source] or said in self.others.get(source, ())

    def commonest(self) -> str:
        """The target that most sources of the training part have."""
        return Counter(self.targets[source] for source in self.train).most_common(1)[0][0]
