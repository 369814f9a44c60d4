"""The pictures of shakespeare.py: how training went, and a text on the activity of a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from command_line import boxes_told, new_figure, save
from language_run import Run, Text

import minirnn as mr
from minirnn import plot
from minirnn.text import units

RANKED = 20_000  # characters on which the units are ranked


def draw_losses(run: Run, guessing: dict[str, float], path: Path) -> None:
    """The loss in training and on the part held out, beside what guessing gives."""
    if not (figure := new_figure(9, 5)):
        return
    losses = np.array(run.losses)
    steps = np.arange(1, len(losses) + 1)
    width = min(100, 1 + len(losses) // 25)
    curves: dict[str, Any] = {
        "each step": (steps, losses),
        f"training, mean of {width} steps": (steps, running_mean(losses, width)),
    }
    if run.valid:
        counts, valid = zip(*run.valid, strict=True)
        curves["validation"] = np.array(counts), np.array(valid)
    plot.loss_curves(figure.subplots(), curves, guessing, pale=("each step",))
    save(figure, path)


def running_mean(values: Any, width: int) -> Any:
    """At each place, the mean of the last `width` values, or of as many as there are."""
    sums = np.append(0.0, values.cumsum())
    ends = np.arange(1, len(sums))
    starts = np.maximum(0, ends - width)
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_unit(run: Run, data: Text, said: str, unit: str | None, path: Path) -> None:
    """Rank the units by what they tell, and colour a text by one of them.

    Args:
        run: of a model of characters.
        data: the text; its test part is what the units are ranked on, or else the training part.
        said: to be coloured.
        unit: such as l1.37; None takes the one that tells most about any feature.
        path: of the picture.
    """
    H = run.options.hidden
    unseen = run.vocabulary.decode((data.test if len(data.test) else data.train)[:RANKED])
    ranked = units.rank_units(activity(run, unseen), units.text_features(unseen), best=1)
    total = H * run.options.layers
    print(f"the unit that tells most about each feature, of {total} (1 is perfect):")
    told: dict[str, str] = {}  # by unit, the feature that it tells best
    for score in ranked:
        name = f"l{score.unit // H}.{score.unit % H}"
        told.setdefault(name, score.feature)
        print(f"  {name:>8}  {score.score:5.2f}  {score.feature}")
    unit = unit or next(iter(told), "l0.0")
    layer, k = unit_number(run, unit)
    rows = sum(1 + len(line) // 80 for line in said.split("\n"))
    if figure := new_figure(11, 1 + 0.25 * rows):
        title = f"unit {unit}" + (f", which tells: {told[unit]}" if unit in told else "")
        values = activity(run, said)[:, layer * H + k]
        with boxes_told():
            plot.text_by_unit(figure.subplots(), said, values, title)
        save(figure, path)


def unit_number(run: Run, unit: str) -> tuple[int, int]:
    """The layer of a unit, and its number there: l1.37 is (1, 37)."""
    layer, _, k = unit.removeprefix("l").partition(".")
    layers, H = run.options.layers, run.options.hidden
    if not (layer.isdecimal() and k.isdecimal() and int(layer) < layers and int(k) < H):
        raise ValueError(f"argument --unit: got {unit}, want l0.0 to l{layers - 1}.{H - 1}")
    return int(layer), int(k)


def activity(run: Run, said: str, width: int = 500) -> Any:
    """What the units of all layers hold after each character, (characters, layers·H).

    It is h, or tanh c for an LSTM, where h shows of it what the gate o lets through.
    """
    ids = run.vocabulary.encode(said)[:, None]
    letter = "c" if run.options.cell == "lstm" else "h"
    state, rows = None, []
    for start in range(0, len(ids), width):  # the cache of a long text at once would be large
        tokens = mr.to_device(ids[start : start + width], run.options.device)
        _, state, cache = run.model.forward(tokens, state)
        names = [f"l{layer}.{letter}" for layer in range(run.options.layers)]
        rows.append(np.concatenate([mr.to_host(cache.rnn[n])[:, :, 0] for n in names], axis=1))
    values = np.concatenate(rows)
    return np.tanh(values) if letter == "c" else values
