"""What `both_directions.py` says and draws: who can fill a gap, who puts spaces back, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from missing_spaces import LIKELIEST, Gaps, Line, Score, Values, mark

from minirnn import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE, TWO, STACKED = "one direction", "two directions", "two, two layers"

EXERCISE = """\
운동을 열심히 하면 [???]이/가 늘어난다.  1. 근육  2. 지방  3. 스트레스
If you exercise hard, [???] grows.  1. muscle  2. fat  3. stress"""
FLOORS = {"least for one direction": math.log(2), "least for one layer": 2 / 3 * math.log(2)}
VERDICT = """
What stands before the gap goes with two words each time: no network that stops reading there can have
a loss below ln 2 = 0.693. Two directions in one layer meet only in the output layer, which adds the
scores of the one to those of the other, and in the first four sentences no sum is right: on average
over the six, the loss cannot be below 4/6 ln 2 = 0.462. In a second layer the two are put together."""


def tell_gaps(
    sentences: Sequence[tuple[str, str]],
    sure: Mapping[str, Values],
    losses: Mapping[str, Sequence[float]],
) -> None:
    """Print how likely each network takes the right words to be, and what it could not know."""
    steps = len(losses[ONE])
    print(f"An exercise: which word belongs into the gap?\n{EXERCISE}\n")
    print(f"How likely is the right word in six sentences like that, after {steps} steps?")
    print(" " * 44 + "".join(f"{name:>17}" for name in losses))
    for (sentence, word), *p in zip(sentences, *sure.values(), strict=True):
        print(f"{sentence:36}{word:8}" + "".join(f"{each:17.2f}" for each in p))
    print(f"{'loss':44}" + "".join(f"{values[-1]:17.3f}" for values in losses.values()))
    print(VERDICT)


def tell_scores(scores: Mapping[str, Score], parameters: Mapping[str, int]) -> None:
    """Print the table of all methods, with the parameters of those that are networks."""
    print(f"\n{'on the test lines':24}parameters  precision  recall     F1  lines right")
    for name, (precision, recall, f1, lines) in scores.items():
        n = f"{parameters[name]:,}" if name in parameters else ""
        print(f"{name:24}{n:>10}{precision:11.1%}{recall:8.1%}{f1:7.3f}{lines:13.1%}")
    one, two = scores[ONE].f1, scores[TWO].f1
    print(f"\nF1 of {ONE} is {one:.3f}, that of {TWO} of the same size {two:.3f}.")
    for name in parameters.keys() - {ONE, TWO}:
        late = scores[name].f1
        print(f"With {name.replace('one, ', 'one direction, ')}, it is {late:.3f}", end="")
        share = (late - one) / (two - one) if one < two else 0.0
        far = "more than all of" if share > 1 else f"{share:.0%} of"
        verdict = f", {far} the way: what counts is to have read the letters to the right"
        print(f"{verdict if share > 0.5 else ''}.")
    print(
        f"With a dictionary, and the {LIKELIEST} of a whole line, it is {scores[LIKELIEST].f1:.3f}: "
        "that looks to the right, too."
    )


def tell_differences(one: list[Gaps], two: list[Gaps], lines: list[Line], seed: int) -> None:
    """Print how often which of the two is right, and some lines on which they differ."""
    right = [
        [bool((p == line.gaps).all()) for p, line in zip(said, lines, strict=True)]
        for said in (one, two)
    ]
    kinds = np.array(right[0]) + 2 * np.array(right[1])
    neither, only_one, only_two, both = (np.flatnonzero(kinds == kind) for kind in range(4))
    print(
        f"\nOf {len(lines):,} test lines, both get {len(both):,} right, only {TWO} {len(only_two):,}, "
        f"only {ONE} {len(only_one):,},\nneither {len(neither):,}. Some of each, drawn at random; "
        "| is a space too many, _ one that is missing:"
    )
    rng = np.random.default_rng(seed)
    for some, most in ((only_two, 4), (only_one, 2), (neither, 2)):
        for n in rng.permutation(some)[:most].tolist():
            print()
            for name, said in ((ONE, one[n]), (TWO, two[n])):
                print(f"  {name:14}  {mark(lines[n].letters, said, lines[n].gaps)}")


def tell_line(line: Line, bars: Mapping[str, Values]) -> None:
    """Print what each network makes of a line."""
    print(f"\nAnd of the line of the picture, {mark(line.letters, line.gaps, line.gaps)!r}:\n")
    for name, p in bars.items():
        print(f"  {name:24}{mark(line.letters, p > 0.5, line.gaps)}")


def draw(
    figure: Figure,
    losses: Mapping[str, Sequence[float]],
    curves: Mapping[str, Mapping[int, float]],
    scores: Mapping[str, Score],
    line: Line,
    bars: Mapping[str, Values],
) -> None:
    """Draw everything into an empty figure.

    Args:
        figure: to draw into.
        losses: in filling the gap of a sentence, at each step.
        curves: F1 on validation lines after so many steps, for each network.
        scores: of all methods, on the test lines.
        line: to draw letter by letter.
        bars: how likely a space is in each of its gaps, for each network.
    """
    halves: Any = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    above, below = halves
    left, middle, right = above.subplots(1, 3, width_ratios=(1, 1, 1.25))
    steps = {name: (range(1, len(values) + 1), values) for name, values in losses.items()}
    plot.loss_curves(left, steps, FLOORS)
    left.legend(loc="upper right")
    left.set_title("which word belongs into the gap?")
    draw_training(middle, curves)
    draw_scores(right, scores)
    draw_line(below, line, bars)


def draw_training(ax: Axes, curves: Mapping[str, Mapping[int, float]]) -> None:
    """Draw F1 over training."""
    for (name, curve), colour in zip(curves.items(), _colours(curves), strict=True):
        ax.plot(
            list(curve), list(curve.values()), color=colour, linewidth=2, marker="o", label=name
        )
    ax.set(xlabel="step", ylabel="F1 on validation lines", ylim=(0, 1))
    ax.set_title("putting spaces back: training")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")


def draw_scores(ax: Axes, scores: Mapping[str, Score]) -> None:
    """Draw F1, precision and recall of all methods, the best at the top."""
    ranked = sorted(scores, key=lambda name: scores[name].f1)
    for place, (field, colour) in enumerate(
        (("recall", "0.8"), ("precision", "0.6"), ("f1", "0.2"))
    ):
        values = [getattr(scores[name], field) for name in ranked]
        rows = np.arange(len(ranked)) + 0.27 * (place - 1)
        drawn = ax.barh(rows, values, 0.27, color=colour, label=field.replace("f1", "F1"))
        if field == "f1":
            ax.bar_label(drawn, [f"{value:.3f}" for value in values], padding=3, size=9)
    ax.set_yticks(range(len(ranked)), ranked)
    ax.set(xlim=(0, 1.15), xlabel="share")
    ax.set_title("on the test lines")
    ax.legend(loc="lower right", reverse=True)


def draw_line(figure: Figure, line: Line, bars: Mapping[str, Values]) -> None:
    """Draw how likely a space is between any two letters of a line, a row for each network."""
    figure.suptitle(
        "how likely a space is in each gap of a line (pale: a space belongs there; red: wrong answers)"
    )
    places = np.arange(len(line.gaps)) + 0.5
    rows = figure.subplots(len(bars), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, (name, p) in zip(rows, bars.items(), strict=True):
        wrong = (p > 0.5) != line.gaps
        pale, full = (np.where(wrong, "tab:red", colour) for colour in ("tab:green", "tab:blue"))
        ax.bar(places, line.gaps, 1.0, color=pale, alpha=0.2)
        ax.bar(places, p, 0.7, color=full)
        ax.axhline(0.5, color="0.5", linewidth=1, linestyle=":")
        ax.set_ylabel(name.replace(", ", ",\n"))
        ax.set_ylim(0, 1)
        ax.set_xticks(range(len(line.letters)), line.letters, size=13)
        ax.tick_params(axis="x", length=0, labelbottom=True)


def _colours(names: Mapping[str, object]) -> Sequence[str]:
    """Of one direction, one that is late (if there is one), and two."""
    colours = ("tab:blue", "tab:green", "tab:orange")
    return colours if len(names) == len(colours) else colours[::2]
