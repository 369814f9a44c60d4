"""Why does the network of `stock_csv.py` learn nothing but the mean, and what makes it learn?

    python examples/stock_csv_why.py

Three things are suspected: a learning rate that is too high, closes that are left as they are, far from
0, and hidden units that end where tanh is flat. The first two are choices, so every combination of them
is trained, from several seeds. The third comes of them. To see whether that is what holds it at the
mean, the slide's training is continued at the lower rate, with the units as they are or drawn anew, and
with or without Adam's memory of how large the gradients once were.

The slide's own prices are not at hand. So all this is done with the prices of the file, and again with
the same prices moved to the mean and the spread of those that can be read on the slide. It takes 20
seconds of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median
from typing import NamedTuple

import command_line
import numpy as np
from prices import add_options, check_order, read_prices
from stock_csv import Network, build, predict, train_epoch
from stock_csv_pictures import draw_closes, draw_shares, draw_units, saturated
from stock_csv_task import (
    FIX,
    SLIDE,
    Recipe,
    Task,
    close_scaler,
    explained,
    make_task,
    too_far,
    write_example,
)

import minirnn as mr

RECIPES = [Recipe(*r) for r in product((0.1, 0.01), ("as it is", "minus its mean", "min-max"))]
SLIDE_MEAN, SLIDE_SPREAD = 56.3, 5.1  # of the 36 closes that can be read on it
LEARNS = 0.5  # the share of the variance from which on a network counts as one that learns


class Release(NamedTuple):
    """One way of going on after the slide's training."""

    lr: float
    units: str
    memory: str


RELEASES = [
    Release(0.1, "as they are", "kept"),
    *(Release(0.01, *r) for r in product(("as they are", "drawn anew"), ("kept", "emptied"))),
]
_, LOWER_RATE, NO_MEMORY, NEW_UNITS, _ = RELEASES


class Run(NamedTuple):
    """What training has come to."""

    network: Network
    optimizer: mr.Adam
    said: np.ndarray  # (N,), closes
    h: np.ndarray  # (H, N)
    share: float  # of the variance explained
    spread: float  # standard deviation of the predictions, divided by that of the truth
    stuck: float  # the share of units that are beyond 0.99, or beyond -0.99, in every window


def main() -> None:
    """Train all combinations, let the slide's go on in several ways, and say what matters."""
    options = parse_arguments()
    task, close = options.task, options.task.close
    levels = {"the prices of the file": close}
    if not options.quick:
        standard = (close - close.mean()) / close.std()
        levels["the same, moved to the slide's"] = SLIDE_MEAN + SLIDE_SPREAD * standard
    print(f"{options.file}: estimates of today's close, {len(options.seeds)} seeds")
    for note in options.prices.notes:
        print(note)
    results = []
    for name, moved in levels.items():
        print(f"\n{name.upper()}: mean {moved.mean():.1f}, standard deviation {moved.std():.1f}\n")
        task = task._replace(close=moved, close_test=moved)
        runs = {r: [start(r, task, seed, options) for seed in options.seeds] for r in RECIPES}
        print_recipes(runs)
        slide = list(zip(runs[SLIDE], options.seeds, strict=True))
        released = {r: [go_on(r, *old, task, options) for old in slide] for r in RELEASES}
        print_releases(runs[SLIDE], released, task.close)
        results.append((runs, released))
    draw_all(*results[0], options)


def start(recipe: Recipe, task: Task, seed: int, options: argparse.Namespace) -> Run:
    """Train from random weights."""
    rng = np.random.default_rng(seed)
    network = build("rnn", task.x.shape[1], options.hidden, options.device, rng)
    optimizer = mr.Adam(network.model.parameters(), lr=recipe.lr)
    return learn(network, optimizer, recipe, task, rng, options)


def go_on(release: Release, run: Run, seed: int, task: Task, options: argparse.Namespace) -> Run:
    """Train as long again from where the slide's training has ended, on a copy of its network."""
    rng = np.random.default_rng([seed, 1])
    network = build("rnn", task.x.shape[1], options.hidden, options.device, rng)
    weights = run.network.model.state_dict()
    if release.units == "drawn anew":
        drawn = network.model.state_dict()
        weights |= {name: drawn[name] for name in drawn if name.startswith("rnn.")}
    network.model.load_state_dict(weights)
    optimizer = mr.Adam(network.model.parameters(), lr=release.lr)
    if release.memory == "kept":
        optimizer.load_state_dict(run.optimizer.state_dict())
        optimizer.lr = release.lr  # not the rate of before
    return learn(network, optimizer, SLIDE, task, rng, options)


def learn(
    network: Network,
    optimizer: mr.Adam,
    recipe: Recipe,
    task: Task,
    rng: np.random.Generator,
    options: argparse.Namespace,
) -> Run:
    """Train for some epochs, and look at what has come of it."""
    scaler = close_scaler(recipe, task.close)
    x, y = (mr.to_device(a, options.device) for a in (task.x, scaler.transform(task.close)[None]))
    for _ in range(options.epochs):
        train_epoch(network, optimizer, x, y, rng)
    said, h = predict(network, task.x, scaler, options.device)
    stuck = float(((h > 0.99).all(axis=1) | (h < -0.99).all(axis=1)).mean())
    share, spread = explained(said, task.close), float(said.std() / task.close.std())
    return Run(network, optimizer, said, h, share, spread, stuck)


def print_recipes(runs: Mapping[Recipe, Sequence[Run]]) -> None:
    """Print a line for each combination, and which change of the slide's makes it learn."""
    print("rate  the close       variance explained      spread  h beyond  units")
    print("                      median (range)         to true     ±0.99  stuck")
    for recipe, same in runs.items():
        row = f"{recipe.lr:<4g}  {recipe.close:14}  {shares(same)}"
        row += f"{median(run.spread for run in same):9.2f}"
        row += f"{median(saturated(run.h) for run in same):10.0%}"
        print(f"{row}{median(run.stuck for run in same):7.0%}")

    rate, mean = SLIDE._replace(lr=FIX.lr), SLIDE._replace(close="minus its mean")
    print("\nThe slide's version is the first line. With one change of it, and with two:")
    for recipe in (rate, mean, SLIDE._replace(close=FIX.close), FIX):
        changes = [f"rate {recipe.lr:g}"] * (recipe.lr != SLIDE.lr)
        changes += [f"close {recipe.close}"] * (recipe.close != SLIDE.close)
        good = sum(run.share >= LEARNS for run in runs[recipe])
        print(f"  {', '.join(changes):25} learns in {good} of {len(runs[recipe])} runs")
    print(what_matters(learns(runs[rate]), learns(runs[mean])))
    everyone = [run for same in runs.values() for run in same]
    if stuck := [run.share for run in everyone if run.stuck == 1]:
        count = f"{len(stuck)} of {len(everyone)}"
        print(f"""In {count} runs every unit is stuck at one end of tanh whatever it reads, so that the
network always says the same. They explain {max(stuck):z.2f} of the variance at most.""")


def what_matters(rate: bool, mean: bool) -> str:
    """Say which of two changes is enough: a lower rate, or closes without their mean."""
    if rate and mean:
        return "So either is enough: a lower rate, or closes around 0."
    if rate:
        return "So the rate matters most; closes around 0 are no cure by themselves."
    if mean:
        return (
            "So the distance of the closes from 0 matters most; a lower rate is no cure by itself."
        )
    return "So neither a lower rate nor closes around 0 is enough by itself."


def print_releases(
    slide: Sequence[Run], released: Mapping[Release, Sequence[Run]], close: np.ndarray
) -> None:
    """Print a line for each way of going on, and what has held the network at the mean."""
    slope = median(float((1 - run.h.astype(float) ** 2).mean()) for run in slide)
    step = median(map(last_step, slide))
    print(f"""
Where the slide's training ends, the slope of tanh, 1 - h², is {slope:.0e} on average. Adam's last step
was shorter than {step:.0e} of the learning rate for half of the units' weights. Going on from there:

rate  the units    Adam's memory  variance explained""")
    for release, same in released.items():
        print(f"{release.lr:<4g}  {release.units:11}  {release.memory:13}  {shares(same)}")
    if far := too_far(slide[0].said, close):
        print(
            f"{far}\nSo it is not held at the mean: with the close as it is, it never gets there."
        )
        return
    ways = (LOWER_RATE, NEW_UNITS, NO_MEMORY)
    print(f"{what_holds(*(learns(released[way]) for way in ways))}")


def what_holds(rate: bool, units: bool, memory: bool) -> str:
    """Say what held the network: which of a lower rate, new units or an empty memory releases it."""
    if rate:
        return "The lower rate is enough to release it."
    flat, squares = "units where tanh is flat", "Adam's memory of the large gradients at the start"
    if units and memory:
        return f"""\
The lower rate alone does not release it; with new units it does, and with an empty memory it does.
So it takes two to hold it at the mean: {flat}, so that gradients are tiny,
and {squares}, by which Adam divides them."""
    if units or memory:
        return f"What holds it at the mean is {flat if units else squares}."
    return "None of these releases it."


def shares(runs: Sequence[Run]) -> str:
    """Return the median and the range of the variance explained."""
    values = [run.share for run in runs]
    return f"{median(values):z5.2f} ({min(values):z5.2f} to {max(values):z5.2f})"


def learns(runs: Sequence[Run]) -> bool:
    """Whether most of the runs explain a good share of the variance."""
    return median(run.share for run in runs) >= LEARNS


def last_step(run: Run) -> float:
    """Return the median length of Adam's last step among the units' weights, in learning rates."""
    optimizer, state = run.optimizer, run.optimizer.state_dict()
    m, v = (
        np.concatenate([state[f"{slot}.{p.name}"].ravel() for p in run.network.rnn.parameters()])
        / (1 - beta**optimizer.steps)
        for slot, beta in zip("mv", optimizer.betas, strict=True)
    )
    return float(np.median(abs(m) / (np.sqrt(v) + optimizer.eps)))


def parse_arguments() -> argparse.Namespace:
    """Read the command line and the prices."""
    quick = "2 seeds, and the prices of the file alone"
    parser = command_line.new_parser(__doc__, quick=quick)
    add = parser.add_argument
    add_options(parser, "75 days of GOOG")
    add("--seeds", type=int, help="how many, from --seed on (default 5, or 2 with --quick)")
    add("--hidden", type=int, default=10, help="units (default 10)")
    add("--epochs", type=int, default=10, help="of each training (default 10)")
    options = command_line.check(parser, parser.parse_args(), seeds=1, hidden=1, epochs=1)
    check_order(parser, options)
    seeds = options.seeds or (2 if options.quick else 5)
    options.seeds = range(options.seed, options.seed + seeds)
    with command_line.blame(parser, "--csv"):
        options.file = options.csv or write_example(options.out)
        options.prices = read_prices(options.file, options.order)
        options.task = make_task(options.prices, "today")
    return options


def draw_all(
    runs: Mapping[Recipe, Sequence[Run]],
    released: Mapping[Release, Sequence[Run]],
    options: argparse.Namespace,
) -> None:
    """Put the slide's version, the one that learns, and the scores of all into a PNG."""
    figure = command_line.new_figure(17, 8, options.show)
    if figure is None:
        return
    axes = figure.subplot_mosaic(
        [["slide", "slide h", "recipes"], ["fix", "fix h", "releases"]], width_ratios=(4, 3, 3)
    )
    for name, title, recipe in (("slide", "slide", SLIDE), ("fix", "what learns", FIX)):
        run = runs[recipe][0]
        draw_closes(axes[name], options.task, run.said, "today")
        axes[name].set_title(
            f"{title}: rate {recipe.lr:g}, close {recipe.close}; R² {run.share:z.2f}"
        )
        draw_units(axes[f"{name} h"], run.h)
    panels = {
        "recipes": {f"rate {r.lr:g}\nclose {r.close}": same for r, same in runs.items()},
        "releases": {
            f"rate {r.lr:g}, units {r.units}\nAdam's memory {r.memory}": same
            for r, same in released.items()
        },
    }
    for name, rows in panels.items():
        draw_shares(axes[name], {row: [run.share for run in same] for row, same in rows.items()})
    axes["recipes"].set_title("trained from random weights")
    axes["releases"].set_title("going on where the slide's training ends")
    command_line.save(figure, options.out / "stock_csv_why.png")


if __name__ == "__main__":
    command_line.run(main)
