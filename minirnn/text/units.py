"""Which unit of the hidden layer tells something about the text that was read?

After Karpathy, Johnson & Fei-Fei (2015), "Visualizing and Understanding Recurrent Networks": there
are units that are on inside quotation marks, or count the characters of a line. `text_features`
says what could be told about each character, and `rank_units` finds the units that tell it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import checks
from ..backend import Array, to_host

Host: TypeAlias = np.ndarray[Any, Any]

NAME = re.compile(r"(?:\A|(?<=\n\n))(?:\*\*)?([A-Z][^\n:*]{0,39})(:?\*\*|:$)?", re.MULTILINE)
PARAGRAPH = re.compile(r"(?:\A|(?<=\n\n))[^\n]")
COMMENT = re.compile(r"(?<!\S)(?:(?:#[ !]|//)[^\n]*|/\*.*?(\*/|\Z))", re.DOTALL)


def text_features(text: str) -> dict[str, Host]:
    """What can be told about each character of a text, as numbers.

    What stands at t describes the text after ``text[t]`` has been read, as the hidden state there
    does: an opening quotation mark is inside, the closing one is not. It follows from
    ``text[: t + 1]`` alone, except where a feature's name begins with "future", and that the whole
    text decides whether it has speakers. The rules:

    - Quotation marks are `"` and “ ”, and an empty line ends them.
    - A speaker's name begins with a capital after an empty line, and ends at a colon, at the line's
      end or after 40 characters; asterisks around it (``**NAME**``) are left out. There are no
      speakers unless more than half of the paragraphs begin with a line ``NAME:`` or ``**NAME**``.
    - A comment begins with ``//``, ``/*`` or a ``#`` before a space or ``!``, unless something
      stands directly before it.
    - Indentation counts the spaces and tabs at the start of the line, up to here.

    Args:
        text: any.

    Returns:
        Arrays (T,) by name. Only features that vary in this text are there.

    Raises:
        TypeError: `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: got {type(text).__name__}, want str")
    if not text:
        return {}
    letters = np.array(list(text), "U1")
    newline, blank = letters == "\n", np.isin(letters, (" ", "\t"))
    t = np.arange(len(text))
    paragraph = newline & np.append(False, newline[:-1])  # where an empty line has been read
    opened = _last(letters == "“") > np.maximum(_last(letters == "”"), _last(paragraph))
    quoted = _count_since(letters == '"', paragraph) % 2 == 1
    leading = _last(~blank) == _last(newline)  # only blanks in the line so far
    brackets = np.isin(letters, tuple("([{")).astype(int) - np.isin(letters, tuple(")]}"))
    depth = brackets.cumsum()
    features = {
        "space": letters == " ",
        "vowel": np.isin(letters, tuple("aeiouAEIOU")),
        "capital letter": np.char.isupper(letters),
        "digit": np.char.isdigit(letters),
        "position in the word": t - _last(~np.char.isalpha(letters)),
        "first character of a line": t - _last(newline) == 1,
        "position in the line": t - _last(newline),
        "future: characters left in the line": (t - _last(newline[::-1]))[::-1],
        "indentation": _count_since(leading, newline),
        "depth of brackets": depth - np.minimum(np.minimum.accumulate(depth), 0),
        "inside quotation marks": quoted | opened,
        "inside a speaker's name": _inside_names(text),
        "inside a comment": _inside_comments(text),
    }
    return {
        name: values.astype(np.float64)
        for name, values in features.items()
        if values.min() != values.max()
    }


class UnitScore(NamedTuple):
    """How well one unit tells one feature."""

    feature: str
    unit: int
    sign: int  # 1 if the unit is high where the feature is, -1 if it is low there
    score: float  # in the second half: 1 is perfect, 0 is chance, below 0 the sign is wrong
    chosen_by: float  # the score in the first half, for which the unit was chosen


def rank_units(h: Array, features: Mapping[str, Array], best: int = 3) -> list[UnitScore]:
    """Find the units that tell most about each feature.

    The best of many units looks better than it is, since some unit always fits by chance. So the
    units are chosen on the first half of the text, and `score` is what they reach on the second.
    Compare it with that of an untrained network, whose units tell the last letters as well: those
    of an untrained LSTM of 128 units reached 0.9 for spaces, and 0.6 for a speaker's name.

    Only the order of a unit's values counts, since units saturate. For features of 0 and 1 the
    score is 2·AUC - 1: of two steps, one with the feature and one without, how much more often the
    unit is higher in the first than in the second. It does not depend on how rare the feature is;
    of a rare one, a unit with a high score may still give many false alarms. For other features it
    is the rank correlation (Spearman's), which overlooks what goes up and down again.

    Args:
        h: (T, units), such as ``cache["l0.h"][:, :, 0]``.
        features: arrays (T,) by name, such as `text_features` gives.
        best: how many units for each feature.

    Returns:
        The units chosen, for all features together, by falling score. A feature that does not vary
        in each of the halves is left out; a unit that does not vary has the score 0.

    Raises:
        ValueError: shapes that do not fit, NaN or infinity.
        TypeError: what is not real numbers.
    """
    best = checks.whole_number("best", best)
    checks.mapping("features", features)
    values = checks.of_shape("h", to_host(h, "h"), ("T", "units"))
    if values.dtype.kind not in "fiub":
        raise TypeError(f"h: got {values.dtype}, want real numbers")
    checks.finite("h", values)
    half = len(values) // 2
    names, early, late = [], [], []
    for name, given in features.items():
        label = f"features[{name!r}]"
        feature = checks.of_shape(label, to_host(given, label), (len(values),))
        feature = checks.real_numbers(label, feature, np.dtype(np.float64))
        checks.finite(label, feature)
        if len(np.unique(feature[:half])) > 1 and len(np.unique(feature[half:])) > 1:
            binary = bool(np.isin(feature, (0, 1)).all())
            names.append(name)
            early.append(_weights(feature[:half], binary))
            late.append(_weights(feature[half:], binary))
    if not names:
        return []
    chosen_by, score = _scores(values[:half], early), _scores(values[half:], late)
    found = []
    for row, name in enumerate(names):
        for unit in np.argsort(-np.abs(chosen_by[row]), kind="stable")[:best].tolist():
            sign = -1 if chosen_by[row, unit] < 0 else 1
            scored = (sign * float(scores[row, unit]) for scores in (score, chosen_by))
            found.append(UnitScore(name, unit, sign, *scored))
    return sorted(found, key=lambda record: -record.score)


def _weights(feature: Host, binary: bool) -> tuple[Host, bool]:
    """What to multiply ranks of a unit by, and whether to divide by their norm, for the score."""
    if binary:  # the mean rank with the feature less that without, which is T / 2 at most
        one = feature == 1
        weights = (one / one.sum() - ~one / (~one).sum()) * (2 / len(feature))
        return weights, False
    ranks = _centred_ranks(feature)
    return ranks / np.linalg.norm(ranks), True


def _scores(h: Host, weights: list[tuple[Host, bool]]) -> Host:
    """The scores (features, units), with their signs."""
    matrix = np.array([w for w, _ in weights])
    scores = np.empty((len(weights), h.shape[1]))
    for unit, values in enumerate(h.T):
        ranks = _centred_ranks(values)
        norm = np.linalg.norm(ranks) or 1.0  # 0 if the unit is constant
        scores[:, unit] = matrix @ ranks / np.where([by_norm for _, by_norm in weights], norm, 1.0)
    return scores.clip(-1, 1)


def _centred_ranks(values: Host) -> Host:
    """Ranks less their mean; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = counts.cumsum() - (counts + 1) / 2
    return np.asarray((middle - (len(values) - 1) / 2)[places])


def _last(events: Host) -> Host:
    """At each place, where the last event was, that place included; -1 before the first."""
    return np.asarray(np.maximum.accumulate(np.where(events, np.arange(len(events)), -1)))


def _count_since(events: Host, starts: Host) -> Host:
    """At each place, how many events there were since the last start."""
    count = events.cumsum()
    return np.asarray(count - np.maximum.accumulate(np.where(starts, count, 0)))


def _inside_names(text: str) -> Host:
    """1 where a character belongs to the name of a speaker."""
    inside = np.zeros(len(text))
    matches = list(NAME.finditer(text))
    if 2 * sum(m[2] is not None for m in matches) > len(PARAGRAPH.findall(text)):
        for m in matches:
            inside[slice(*m.span(1))] = 1
    return inside


def _inside_comments(text: str) -> Host:
    """1 inside comments, from the second character of what opens one: the first alone does not."""
    inside = np.zeros(len(text))
    for m in COMMENT.finditer(text):
        inside[m.start() + 1 : m.end() - bool(m[1])] = 1
    return inside
