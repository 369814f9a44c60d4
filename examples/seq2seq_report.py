"""What a trained encoder-decoder translates: the share without mistake, the mistakes, the pictures."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import command_line
import numpy as np
from written_pairs import BOUNDARY, Pairs, Tokens

import minirnn as mr
from minirnn import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOGETHER = 500  # sources translated at a time
SHOWN = 8  # translations at most, and mistakes


class Curves(NamedTuple):
    """What training was like."""

    losses: list[float]  # of each step
    exact: dict[int, float]  # by step, the share of validation sources without a mistake


def translate(
    model: mr.EncoderDecoder,
    pairs: Pairs,
    sources: Sequence[str],
    width: int = 1,
    length_penalty: float = 0.0,
) -> list[str]:
    """Return what the network makes of the sources, by greedy search or by a beam of that width."""
    put, said = partial(mr.to_device, device=model.out.backend.name), list[str]()
    for k in range(0, len(sources), TOGETHER):
        source, lengths = pairs.read(sources[k : k + TOGETHER])
        state, start = model.encode(put(source), lengths), put(np.zeros(len(lengths), int))
        problem = (model.step, state, start, 0, pairs.length)  # 0 is where a target starts and ends
        if width == 1:
            tokens = mr.greedy_search(*problem)
        else:
            tokens, _ = mr.beam_search(*problem, width, length_penalty=length_penalty)
        said += pairs.texts(tokens)
    return said


def report(model: mr.EncoderDecoder, pairs: Pairs, options: argparse.Namespace) -> None:
    """Judge by the test part, which nothing was chosen by, and show what the network says."""
    test, answers = pairs.test, {pairs.targets[source] for source in pairs.train}
    known = sum(pairs.targets[source] in answers for source in test) / len(test)
    print(
        f"\nof the {len(test):,} sources to judge by, the network has seen none; "
        f"{known:.0%} of their answers are also the answer of a source it was trained on"
    )
    said = dict(zip(test, translate(model, pairs, test), strict=True))
    rows = {"greedy search": said}
    trained = {source.casefold() for source in pairs.train}
    near = {source for source in test if source.casefold() in trained}
    if near:
        share = len(near) / len(test)
        print(f"{share:.1%} differ from one that it was trained on in nothing but capitals")
        rows["greedy search, without these"] = {s: said[s] for s in test if s not in near}
    if options.beam > 1:
        texts = translate(model, pairs, test, options.beam, options.length_penalty)
        rows[f"a beam of {options.beam}"] = dict(zip(test, texts, strict=True))
    always = pairs.commonest()
    rows[f"always {always!r}"] = dict.fromkeys(test, always)
    print()
    for name, row in rows.items():
        if n := len(row):
            exact = pairs.right(list(row), list(row.values()))
            print(f"  {name:28}  {exact:7.2%} exact  ({round(exact * n):,} of {n:,})")

    triples = [(source, pairs.targets[source], text) for source, text in said.items()]
    wrong = [triple for triple in triples if not pairs.is_right(triple[0], triple[2])]
    width = max(len(source) for source in [*test, *options.translate])
    print("\nsome of them:")
    for source, _, text in triples[:SHOWN]:
        print(f"  {source:{width}}  {text}")
    if wrong:
        print(f"\nmistakes, {min(SHOWN, len(wrong))} of {len(wrong)}:")
    for source, right, text in wrong[:SHOWN]:
        print(f"  {source:{width}}  {text}  should be {right}")
    if options.translate:
        print("\nasked for:")
        how = options.beam, options.length_penalty
        texts = translate(model, pairs, options.translate, *how)
        for source, text in zip(options.translate, texts, strict=True):
            print(f"  {source:{width}}  {text}")
    print()


def draw(
    model: mr.EncoderDecoder, pairs: Pairs, curves: Curves, options: argparse.Namespace
) -> None:
    """Put the curves of training and, with attention, the weights of two translations into a PNG."""
    figure = command_line.new_figure(14 if options.attention else 6, 7, options.show)
    if figure is None:
        return
    left, *right = figure.subfigures(1, 1 + options.attention, squeeze=False)[0]
    loss, exact = left.subplots(2, 1, sharex=True)
    plot.loss_curve(loss, curves.losses, guessing=math.log(len(pairs.writing)))
    loss.set_xlabel("")
    exact.plot(curves.exact.keys(), [100 * share for share in curves.exact.values()], marker="o")
    exact.set(title="validation", xlabel="step", ylabel="without a mistake (%)", ylim=(-5, 105))
    exact.grid(alpha=0.3)
    if right:
        sources = [max(pairs.test, key=len), pairs.test[0]]
        for ax, source in zip(right[0].subplots(2, 1), sources, strict=True):
            draw_alignment(ax, source, *alignment(model, pairs, source))
    name = "dates" if options.data is None else options.data.stem
    name = f"seq2seq_{name}_{options.cell}{'_attention' if options.attention else ''}"
    name += "_reverse" if options.reverse else ""
    sampled = options.scheduled_sampling
    name += f"_sampling_{sampled:g}" if sampled else ""
    command_line.save(figure, options.out / f"{name}.png")


def alignment(model: mr.EncoderDecoder, pairs: Pairs, source: str) -> tuple[str, Tokens]:
    """Return the translation, and the weights (T, S) with which its letters and its end were written."""
    put = partial(mr.to_device, device=model.out.backend.name)
    (said,) = translate(model, pairs, [source])
    tokens, lengths = pairs.read([source])
    inputs = pairs.writing.encode(BOUNDARY + said)[:, None]
    _, cache = model.forward(put(tokens), put(inputs), lengths)
    weights = mr.to_host(cache.attention.weights)[:, :, 0]
    return said, weights[:, ::-1] if pairs.reverse else weights


def draw_alignment(ax: Axes, source: str, said: str, weights: Tokens) -> None:
    """Draw the weights (T, S) in shades of blue: a row for a letter written, a column for one read."""
    image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(source)), source.replace(" ", "␣"))
    ax.set_yticks(range(len(weights)), [*said, "end"])
    ax.set(title="where the decoder looks", xlabel="letters read", ylabel="letters written")
    ax.figure.colorbar(image, ax=ax, fraction=0.03, label="weight")
