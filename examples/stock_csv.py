"""Estimate a share's close from its open, high, low and volume, read from a CSV file.

    python examples/stock_csv.py train          # as on the slide: learns nothing but the mean
    python examples/stock_csv.py train --fix    # learns; stock_csv_why.py tells why
    python examples/stock_csv.py test           # what the last checkpoint in --out says
    python examples/stock_csv.py train --fix --target tomorrow

A plain recurrent network of 10 units reads windows of three days, one window at a time in random
order, ten times over, and writes a checkpoint after each epoch. The slide's loop makes an eleventh
epoch, drops the last window (75 days make 73, it has 72), and prints its lists in shuffled order.

What it is asked is one of two things, which should not be mixed up:

    today     the close of the window's own last day, whose open, high, low and volume it reads: an
              estimate, no forecast. It is tested on the very windows that it has learned.
    tomorrow  the close of the day after the window, whose closes it reads too: a forecast. It is
              tested on the last 30 % of the days, and scaled by what was known before them.

--csv FILE is a file as it comes, in UTF-8 or in Korean Windows' cp949, with a header such as
날짜,종가,오픈,고가,저가,거래량 or an English one. Without it, a file of that form is written to --out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import command_line
import numpy as np
from prices import add_options, check_order, read_prices
from stock_csv_pictures import draw_closes, draw_units, saturated
from stock_csv_task import (
    FIX,
    NAIVE,
    QUESTIONS,
    SHARE,
    SLIDE,
    Task,
    close_scaler,
    explained,
    make_task,
    too_far,
    write_example,
)
from stock_report import ratio, rmse, verdict

import minirnn as mr
from minirnn.data import MinMaxScaler, batches

PROGRAM = "stock_csv"  # marks its checkpoints


class Network(NamedTuple):
    """The recurrent layer, the output layer, and both as a model."""

    rnn: mr.Recurrent
    out: mr.Linear
    model: mr.Model


def main() -> None:
    """Train, or test."""
    options = parse_arguments()
    if options.csv is None:
        print("No --csv, so these are the first days of GOOG, in a file of the slide's form:")
    print(f"{options.file}: {len(options.prices.columns['close'])} days, {options.prices.order}")
    for note in options.prices.notes:
        print(note)
    if options.target == "today":
        print("ESTIMATE of the close of each window's last day, tested on what is learned")
    else:
        print(
            f"FORECAST of the close after each window, tested on the last {1 - SHARE:.0%} of days"
        )
    (train if options.mode == "train" else test)(options.task, options)


def train(task: Task, options: argparse.Namespace) -> None:
    """Train, print what the network says after each epoch, and save it."""
    recipe = FIX if options.fix else SLIDE
    print(f"x (T, D, N) = {task.x.shape}, closes (1, N) = (1, {len(task.close)})")
    print(f"learning rate {recipe.lr:g}, the close {recipe.close}\n")
    rng = np.random.default_rng(options.seed)
    shape = {"cell": options.cell, "D": task.x.shape[1], "H": options.hidden}
    network = build(**shape, device=options.device, rng=rng)
    optimizer = mr.Adam(network.model.parameters(), lr=recipe.lr)
    scaler = close_scaler(recipe, task.close)
    x, y = (mr.to_device(a, options.device) for a in (task.x, scaler.transform(task.close)[None]))

    options.out.mkdir(parents=True, exist_ok=True)
    for epoch in range(1, options.epochs + 1):
        loss = train_epoch(network, optimizer, x, y, rng) * float(scaler.span) ** 2  # in prices
        said, h = predict(network, task.x_test, scaler, options.device)
        print(f"epoch {epoch}\nAverage Loss= {loss:.6f}")
        print_lists(said[:10], task.close_test[:10])
        mr.save(
            options.out / f"epoch_{epoch}.npz",
            program=PROGRAM,
            target=options.target,
            shape=shape,
            model=network.model.state_dict(),
            scalers={name: [s.low, s.span] for name, s in (("x", task.scaler), ("y", scaler))},
        )
    print(f"\na checkpoint of each epoch: {options.out}/epoch_1.npz to epoch_{options.epochs}.npz")
    report(task, said, h, options.target)
    if figure := command_line.new_figure(13, 4.5, options.show):
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        name = f"{options.target}{'_fix' if options.fix else ''}"
        draw_closes(left, task, said, options.target)
        draw_units(right, h)
        command_line.save(figure, options.out / f"stock_csv_{name}.png")


def train_epoch(
    network: Network, optimizer: mr.Adam, x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> float:
    """Go through all windows, one at a time in random order; return the average of their losses."""
    rnn, out, _ = network
    losses = []
    for (k,) in batches(x.shape[2], 1, rng):
        _, state, cache = rnn.forward(x[:, :, k : k + 1])
        scores, out_cache = out.forward(rnn.last(state))  # of the third day's state
        loss, dscores = mr.mse(scores, y[:, k : k + 1])

        optimizer.zero_grad()
        dh = out.backward(out_cache, dscores)
        rnn.backward(cache, dstate=rnn.last_backward(dh))
        optimizer.step()
        losses.append(float(loss))
    return sum(losses) / len(losses)


def test(task: Task, options: argparse.Namespace) -> None:
    """Print what a checkpoint says about all windows of the test, and what was right."""
    print(f"checkpoint: {options.checkpoint}\n")
    said, h = predict(options.network, task.x_test, options.scaler, options.device)
    print_lists(said, task.close_test)
    report(task, said, h, options.target)


def build(cell: str, D: int, H: int, device: str, rng: np.random.Generator | int) -> Network:
    """Return a network with random weights."""
    where: dict[str, Any] = {"device": device, "rng": np.random.default_rng(rng)}
    rnn = command_line.NETWORKS[cell](D, H, **where)
    out = mr.Linear(H, 1, **where)
    return Network(rnn, out, mr.Model(rnn=rnn, out=out))


def predict(
    network: Network, x: np.ndarray, scaler: MinMaxScaler, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the closes that the network expects (N,), and its last hidden state (H, N)."""
    _, state, _ = network.rnn.forward(mr.to_device(x, device), want_cache=False)
    h = network.rnn.last(state)
    scores, _ = network.out.forward(h, want_cache=False)
    return scaler.inverse(mr.to_host(scores)[0].astype(float)), mr.to_host(h)


def print_lists(said: np.ndarray, close: np.ndarray) -> None:
    """Print predictions and true closes, rounded to one decimal."""
    for name, prices in (("PRED", said), ("GOLD", close)):
        print(f"{name}= {[round(price, 1) for price in prices.tolist()]}")


def report(task: Task, said: np.ndarray, h: np.ndarray, target: str) -> None:
    """Say how good the predictions are, and what somebody says who has no network."""
    truth, naive = task.close_test, task.naive
    print(f"""
standard deviation of the truth {truth.std():.2f}, of the predictions {said.std():.2f}
root mean squared error of the network {rmse(said, truth):.2f}
of {NAIVE[target]}: {rmse(naive, truth):.2f}
hidden units beyond ±0.99, where tanh is flat: {saturated(h):.0%}""")
    far = too_far(said, truth)
    if far:
        print(f"{far}\nTry --fix, which does it.")
    if target == "tomorrow":
        print(f"It has {verdict(ratio(said, naive, truth, np.random.default_rng(0)))}.")
        return
    share = explained(said, truth)
    print(f"share of the variance explained {share:z.2f}; always saying the mean explains 0")
    if share < 0.1 and not far:
        print("It has learned no more than the mean. See stock_csv_why.py, or try --fix.")
    elif not far:
        closer = "but not" if rmse(said, truth) > rmse(naive, truth) else "and is"
        print(f"It has learned, {closer} closer than the middle of the day's high and low.")


def parse_arguments() -> argparse.Namespace:
    """Read the command line, the prices, and for a test the checkpoint."""
    parser = command_line.new_parser(__doc__, quick="3 epochs, to train")
    add = parser.add_argument
    add("mode", choices=("train", "test"))
    add_options(parser, "75 days of GOOG")
    add("--target", choices=QUESTIONS, help="whose close (default: today; test: as trained)")
    fix = "train with a rate of 0.01, and the close scaled too"
    add("--fix", action="store_true", default=None, help=fix)
    add("--cell", **{**command_line.CELL, "default": None, "help": "to train (default rnn)"})
    add("--hidden", type=int, help="units, to train (default 10)")
    add("--epochs", type=int, help="of training (default 10, or 3 with --quick)")
    newest = "to test (default: the newest --out/epoch_*.npz)"
    add("--checkpoint", type=Path, metavar="FILE", help=newest)
    options = parser.parse_args()
    for mode, names in (("train", ("fix", "cell", "hidden", "epochs")), ("test", ("checkpoint",))):
        for name in names:
            if mode != options.mode and getattr(options, name) is not None:
                parser.error(f"argument --{name}: got with {options.mode}, want it with {mode}")
    command_line.check(parser, options, hidden=1, epochs=1)
    check_order(parser, options)
    options.cell, options.hidden = options.cell or "rnn", options.hidden or 10
    options.epochs = options.epochs or (3 if options.quick else 10)
    x_scaler = None
    if options.mode == "test":
        with command_line.blame(parser, "--checkpoint"):
            options.checkpoint = options.checkpoint or newest_checkpoint(options.out)
            x_scaler = load_checkpoint(options)
    options.target = options.target or "today"
    with command_line.blame(parser, "--csv"):
        options.file = options.csv or write_example(options.out)
        options.prices = read_prices(options.file, options.order)
        options.task = make_task(options.prices, options.target, x_scaler)
    return options


def newest_checkpoint(folder: Path) -> Path:
    """Return the checkpoint that was written last; of those of one instant, the latest epoch's."""
    paths = folder.glob("epoch_*.npz")
    written = [(path.stat().st_mtime_ns, len(path.name), path) for path in paths]
    if not written:
        raise ValueError(f"got no checkpoint in {folder}, want one: run stock_csv.py train first")
    return max(written)[-1]


def load_checkpoint(options: argparse.Namespace) -> MinMaxScaler:
    """Put target, network and scaler of the close into the options; return the scaler of the inputs."""
    path = options.checkpoint
    saved = mr.load(path)
    if saved.get("program") != PROGRAM:
        raise ValueError(
            f"got {path}, a checkpoint of another program, want one that train has made"
        )
    target = saved["target"]
    if options.target not in (None, target):
        raise ValueError(
            f"got {path}, trained for {target}, want one for --target {options.target}"
        )
    options.target = target
    options.network = build(**saved["shape"], device=options.device, rng=0)
    options.network.model.load_state_dict(saved["model"])
    x_scaler, options.scaler = (MinMaxScaler(*saved["scalers"][name]) for name in "xy")
    return x_scaler


if __name__ == "__main__":
    command_line.run(main)
