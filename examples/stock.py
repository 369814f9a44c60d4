"""Predict tomorrow's price of a stock, and find out honestly whether the prediction is worth anything.

Windows of the last days' open, high, low, volume and close lead to the next day's close. The prediction
and the price lie nearly on top of each other, which looks like success; but so they do for the rule
"tomorrow will be as today". What counts is the comparison with that rule, in dollars. On the prices of
GOOG none of the models below beats it under any protocol, nor when it learns the change.

    python examples/stock.py
    python examples/stock.py --protocol slides    # with a mistake that many tutorials make
    python examples/stock.py --target return      # learn the change instead of the price
    python examples/stock.py --csv prices.csv     # a file as it comes, with a column for the close

Three tutorials are among its settings:

    --protocol slides                        LSTM; each part of the days scaled by its own extremes
    --protocol slides-whole                  LSTM; scaled as a whole, 1000 steps, sum of squares
    --model keras --protocol slides-whole    the Keras tutorial exactly

Models: lstm (7 days; LSTM of 10 units; 500 steps with all windows at once), keras (50 days; LSTM of 32
with relu, and two dense layers behind it; shuffled batches), linear (7 days; linear regression by the
same loop, which needs 4000 steps, as columns that are nearly alike make it slow).

Protocols: honest (all is scaled by the least and the greatest of the training days alone), slides (the
test days by their own, which are known only when they are over), slides-whole (all days by the least
and the greatest of all, so that even the training windows know how high the price will be; for the
lstm also 1000 steps, and the sum of the squares as its loss).

The settings are those of the tutorials that these models are from. Where they name none, the batch and
the rate are Keras' defaults; for keras 50 epochs is simply a round number; for linear, 4000 steps bring
the training loss near that of least squares. None was chosen by the test days. It takes 2 to 6 seconds
of one core's time (AMD EPYC).
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import command_line
import numpy as np
from prices import Prices, add_options, check_order, goog, read_prices
from stock_report import PERSISTENCE, Values, draw, judge, print_report
from stock_windows import FEATURES, PROTOCOLS, Part, Series, arrange, split, to_prices

import minirnn as mr
from minirnn.data import batches

WEEK = 5  # trading days
NAMES = {"lstm": "LSTM", "linear": "linear regression, learned", "keras": "LSTM with relu"}


class Setting(NamedTuple):
    """How a model is trained."""

    window: int  # days
    share: float  # of the days, or windows, that it is trained on
    batch: int | None  # None is all windows at once
    lr: float
    epochs: int
    quick: int  # epochs with --quick
    summed: bool = False  # the loss is the sum of the squares rather than their mean


SETTINGS = {
    "lstm": Setting(7, 0.7, None, 0.01, 500, 200),
    "linear": Setting(7, 0.7, None, 0.01, 4000, 1000),
    "keras": Setting(50, 0.8, 32, 0.001, 50, 5),
}
WHOLE = SETTINGS["lstm"]._replace(epochs=1000, summed=True)  # the tutorial of slides-whole


def main() -> None:
    """Train, predict the test days, and compare with what needs no network."""
    parser, options = parse_arguments()
    setting: Setting = options.setting
    with command_line.blame(parser, "--csv"):
        stock = read_prices(options.csv, options.order) if options.csv else goog()
        series = arrange(stock, options.target)
        train, test = split(series, setting.window, setting.share, options.protocol)
    describe(stock, train, test, options)

    rnn, out = new_layers(options.model, train.x.shape, options)
    learn(rnn, out, train, options)
    fitted, predicted = (
        to_prices(predict(rnn, out, part.x, options), part) for part in (train, test)
    )

    name = NAMES[options.model]
    predictions = {name: predicted, PERSISTENCE: test.today, **baselines(series, train, test)}
    judged = judge(predicted, test.close, test.today)
    print_report(predictions, test.close, test.today, judged, options.unit)
    if options.protocol != "honest":
        print(f"Protocol {options.protocol} {PROTOCOLS[options.protocol]}.")
        print("Nobody could have done that on those days.")
    if figure := command_line.new_figure(11, 9, options.show):
        title = f"{stock.name}, {name}, target: {options.target}\n"
        title += f"protocol {options.protocol}: {PROTOCOLS[options.protocol]}"
        curves = (series.days, series.close, fitted, predicted)
        draw(figure, *curves, judged, title, options.unit)
        kind = "_return" if series.relative else ""
        path = options.out / f"stock_{options.model}_{options.protocol}{kind}.png"
        command_line.save(figure, path)


def describe(stock: Prices, train: Part, test: Part, options: argparse.Namespace) -> None:
    """Say what is predicted from what, and how far the test days lie outside of what was known."""
    T, _, N = shape = train.x.shape
    used = ", ".join(name for name in FEATURES if name in stock.columns)
    what = "change of the close (log)" if train.relative else "close"
    span = f", {stock.dates[0]} to {stock.dates[-1]}" if stock.dates else ""
    print(f"{stock.name}: {len(stock.columns['close'])} days{span} ({stock.order})")
    for note in stock.notes:
        print(note)
    print(f"windows of {T} days of {used} -> the next day's {what}")
    print(f"{N} windows to train on, x (T, D, N) = {shape}; the next {len(test.close)} to test")
    print(f"protocol {options.protocol}: {PROTOCOLS[options.protocol]}")
    low, high = train.y.min(), train.y.max()
    if outside := float(((test.y < low) | (test.y > high)).mean()):
        shown = " to ".join(f"{train.scaler.inverse(bound):.2f}" for bound in (low, high))
        print(f"On {outside:.1%} of the test days the {what} is outside of {shown}, the range of")
        print("the training days: there the network has to extrapolate.")
    print()


def new_layers(
    model: str, shape: tuple[int, ...], options: argparse.Namespace
) -> tuple[mr.LSTM | None, mr.Sequential]:
    """Return the recurrent network, None for the linear regression, and the layers behind it."""
    T, D, _ = shape
    where: dict[str, Any] = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    if model == "linear":
        return None, mr.Sequential(mr.Linear(T * D, 1, **where))
    if model == "lstm":
        return mr.LSTM(D, 10, **where), mr.Sequential(mr.Linear(10, 1, **where))
    # the forget gate's bias is 1 at first, as in Keras
    rnn = mr.LSTM(D, 32, activation="relu", init="orthogonal", forget_bias=1.0, **where)
    dense, last = (mr.Linear(32, K, init="glorot", **where) for K in (32, 1))
    return rnn, mr.Sequential(dense, mr.Activation("relu"), last)


def learn(
    rnn: mr.LSTM | None, out: mr.Sequential, train: Part, options: argparse.Namespace
) -> None:
    """Train on the windows in shuffled batches, or on all of them at once."""
    setting, random = options.setting, np.random.default_rng(options.seed)
    model = mr.Model(out=out) if rnn is None else mr.Model(rnn=rnn, out=out)
    mr.summary(model)
    optimizer = mr.Adam(model.parameters(), lr=setting.lr)
    x, y = (mr.to_device(array, options.device) for array in (train.x, train.y))
    N = x.shape[2]
    for epoch in range(1, options.epochs + 1):
        for batch in batches(N, setting.batch or N, random, drop_last=True):
            batch = mr.to_device(batch, options.device)
            h, cache = last_state(rnn, x[:, :, batch])
            pred, out_cache = out.forward(h)
            loss, dpred = mr.mse(pred, y[:, batch])
            if setting.summed:
                loss, dpred = loss * pred.size, dpred * pred.size

            optimizer.zero_grad()
            dh = out.backward(out_cache, dpred)
            if rnn is not None:
                rnn.backward(cache, dstate=rnn.last_backward(dh))
            optimizer.step()
        if epoch in (1, options.epochs) or epoch % max(1, options.epochs // 5) == 0:
            print(f"epoch {epoch:4d}  loss {float(loss):.6f}", flush=True)


def last_state(rnn: mr.LSTM | None, x: Values, want_cache: bool = True) -> tuple[Values, Any]:
    """Return what the network knows after a window, (H, N); without one, the window itself."""
    if rnn is None:
        return x.reshape(-1, x.shape[2]), None
    _, state, cache = rnn.forward(x, want_cache=want_cache)
    return rnn.last(state), cache


def predict(
    rnn: mr.LSTM | None, out: mr.Sequential, x: Values, options: argparse.Namespace
) -> Values:
    """Return the scaled prediction for each window, (N,)."""
    h, _ = last_state(rnn, mr.to_device(x, options.device), want_cache=False)
    pred: Values = mr.to_host(out.forward(h, want_cache=False)[0])[0].astype(float)
    return pred


def baselines(series: Series, train: Part, test: Part) -> dict[str, Values]:
    """Return the predictions of rules without a network, for the test days."""
    means = np.lib.stride_tricks.sliding_window_view(series.close, WEEK).mean(axis=1)
    known, new = (  # (N, T·D + 1), the last column for the constant
        np.column_stack([part.x.reshape(-1, part.x.shape[2]).T, np.ones(part.x.shape[2])])
        for part in (train, test)
    )
    weights = np.linalg.lstsq(known, train.y[0])[0]
    return {
        f"mean of the last {WEEK} days": means[-len(new) - 1 : -1],
        "linear regression, least squares": to_prices(new @ weights, test),
        "mean of the training days": np.full(len(new), series.close[: -len(new)].mean()),
    }


def parse_arguments() -> tuple[command_line.Parser, argparse.Namespace]:
    """Read the command line."""
    parser = command_line.new_parser(__doc__, quick="fewer epochs: lstm 200, linear 1000, keras 5")
    add = parser.add_argument
    add("--model", choices=SETTINGS, default="lstm", help="see below (default lstm)")
    add("--protocol", choices=PROTOCOLS, default="honest", help="see below (default honest)")
    add("--target", choices=("price", "return"), default="price", help="what is learned")
    add_options(parser, "GOOG, 2004 to 2008")
    epochs = "lstm 500, or 1000 with --protocol slides-whole; linear 4000; keras 50"
    add("--epochs", type=int, help=f"of training (default {epochs})")
    options = command_line.check(parser, parser.parse_args(), epochs=1)
    check_order(parser, options)
    whole = options.model == "lstm" and options.protocol == "slides-whole"
    setting = options.setting = WHOLE if whole else SETTINGS[options.model]
    options.epochs = options.epochs or (setting.quick if options.quick else setting.epochs)
    options.unit = "the file's unit" if options.csv else "dollars"
    return parser, options


if __name__ == "__main__":
    command_line.run(main)
