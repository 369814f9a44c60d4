"""Read a handwritten digit row by row, down and up, and say which one it is.

Many to one: a picture of 28 × 28 pixels is a sequence of 28 steps, each a row of 28 numbers. Only the
two last states count, one of each direction, which have to hold what the rows were: a linear layer
turns them into a score for each digit, and the gradient goes back through all rows from those two
places.

    python examples/mnist_rows.py
    python examples/mnist_rows.py --data DIR
    python examples/mnist_rows.py --mnist

The first command reads 1,797 small digits of 8 × 8 pixels, in 7 seconds of one core's time (AMD EPYC).
The second reads MNIST in the folder DIR; if there are only its 10,000 t10k images, it trains on 8,000
of them and is judged by the last 2,000, in 70 seconds: it reads 98.6 % of them right. The third
downloads all of MNIST, 60,000 to train on and 10,000 to be judged by.

Sizes, rates and how far pictures are moved were chosen by a part of the training part (`--valid`),
never by the test part.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import command_line
import confidence
import digit_pictures
import digits
import numpy as np

import minirnn as mr
from minirnn.data import batches

Values = np.ndarray[Any, Any]
K = 10  # digits
LR = 0.004
DROPOUT = 0.3  # of the last states, on their way to the linear layer


class Setting(NamedTuple):
    """What depends on the size of the pictures."""

    hidden: int  # units of each direction
    epochs: int
    batch: int
    shift: int  # pixels that a picture is moved by at most, while training


SMALL = Setting(hidden=64, epochs=60, batch=50, shift=0)  # 8 × 8
LARGE = Setting(hidden=128, epochs=20, batch=100, shift=2)  # 28 × 28


def main() -> None:
    """Train, judge by pictures that were not trained on, and draw what was misread."""
    options, split = parse_arguments()
    train, test, _ = split
    digits.introduce(split)
    rows, columns = train.images.shape[1:]
    setting = SMALL if rows < 16 else LARGE
    changes = {"hidden": options.hidden, "epochs": options.epochs}
    setting = setting._replace(**{name: value for name, value in changes.items() if value})
    where = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    network = command_line.NETWORKS[options.cell]
    rnn = network(columns, setting.hidden, bidirectional=True, **where)
    out = mr.Sequential(mr.Dropout(DROPOUT), mr.Linear(rnn.output_size, K, **where))
    model = mr.Model(rnn=mr.Last(rnn), out=out)  # scores (K, N) from the last states alone
    learn(model, train, setting, options.device, where["rng"])

    p = probabilities(model, test.images, options.device)
    report(p, test.labels)
    draw(p, test, rows_read(model, test.images[0], options.device), options)


def learn(
    model: mr.Model,
    train: digits.Digits,
    setting: Setting,
    device: str,
    rng: np.random.Generator,
) -> None:
    """Train: every epoch sees each picture once, a little moved."""
    mr.summary(model)
    N = len(train.labels)
    steps = setting.epochs * -(-N // setting.batch)
    rate = mr.CosineWarmup(LR, steps, warmup=steps // 20)
    optimizer = mr.Adam(model.parameters(), lr=rate)

    print(f"guessing gives a loss of ln {K} = {np.log(K):.3f}\n")
    for epoch in range(setting.epochs):
        total, right = 0.0, 0
        for batch in batches(N, setting.batch, rng):
            images = moved(train.images[batch], setting.shift, rng)
            x, labels = (
                mr.to_device(part, device) for part in (as_steps(images), train.labels[batch])
            )
            scores, _, cache = model.forward(x, dropout_rng=rng)
            loss, dscores = mr.softmax_cross_entropy(scores, labels)

            optimizer.zero_grad()
            model.backward(cache, dscores)
            optimizer.step()

            total += float(loss) * len(batch)
            right += int((scores.argmax(axis=0) == labels).sum())
        if epoch % (1 + setting.epochs // 10) == 0 or epoch == setting.epochs - 1:
            print(f"epoch {epoch + 1:3d}  loss {total / N:.4f}  {right / N:.1%} right", flush=True)


def moved(images: Values, shift: int, rng: np.random.Generator) -> Values:
    """Return pictures (N, rows, columns), each moved at random by up to `shift` pixels on both axes.

    They show the same digits, so that 8,000 pictures do for many more.
    """
    N, rows, columns = images.shape
    wide = np.pad(images, ((0, 0), (shift, shift), (shift, shift)))  # paper all around
    down, right = rng.integers(0, 2 * shift, (2, N, 1), endpoint=True)
    r, c = down + np.arange(rows), right + np.arange(columns)  # where each is taken from
    views: Values = wide[np.arange(N)[:, None, None], r[:, :, None], c[:, None, :]]
    return views


def as_steps(images: Values) -> Values:
    """Return pictures (N, rows, columns) as sequences (T, D, N): a step is a row."""
    return images.transpose(1, 2, 0)


def probabilities(model: mr.Model, images: Values, device: str) -> Values:
    """Return how sure the network is of each digit, for each picture: (K, N)."""
    parts = []
    for start in range(0, len(images), 500):
        x = mr.to_device(as_steps(images[start : start + 500]), device)
        scores, _, _ = model.forward(x, want_cache=False)
        parts.append(mr.next_token_probabilities(scores))
    return np.concatenate(parts, axis=1)


def rows_read(model: mr.Model, image: Values, device: str) -> Values:
    """Return the probabilities of one picture's first row, its first two and so on: (K, rows)."""
    rows = len(image)
    x = mr.to_device(as_steps(np.repeat(image[None], rows, axis=0)), device)
    scores, _, _ = model.forward(x, lengths=np.arange(1, rows + 1), want_cache=False)
    return mr.next_token_probabilities(scores)


def report(p: Values, labels: Values) -> None:
    """Say how many were read right, and what each digit was read as."""
    said = p.argmax(axis=0)
    right, n = int((said == labels).sum()), len(labels)
    print(f"\nright: {confidence.in_words(right, n)}\n")
    print(f"digit  was read as{'':38}right")
    print("     " + "".join(f"{digit:5}" for digit in range(K)))
    for digit, row in enumerate(confusion(said, labels)):
        counts = "".join(f"{count or '.':>5}" for count in row.tolist())
        share = f"{row[digit] / row.sum():7.1%}" if row.sum() else "      -"
        print(f"{digit:4} {counts} {share}")
    doubtful, others = np.split((said == labels)[p.max(axis=0).argsort()], [max(1, n // 20)])
    print(f"\nof the 5 % it is least sure of, {doubtful.mean():.0%} are right", end="")
    print(f"; of the others {others.mean():.1%}")


def confusion(said: Values, labels: Values) -> Values:
    """Count, for each digit (row), what it was read as (column)."""
    counts = np.zeros((K, K), int)
    np.add.at(counts, (labels, said), 1)
    return counts


def parse_arguments() -> tuple[argparse.Namespace, digits.Split]:
    """Read the command line, and the pictures it names."""
    parser = command_line.new_parser(__doc__, quick="20 epochs of small digits")
    digits.add_options(parser)
    parser.add_argument("--cell", **command_line.CELL)
    default = f"(default {SMALL.hidden} for 8 × 8 pixels, {LARGE.hidden} for more)"
    parser.add_argument("--hidden", type=int, help=f"units of each direction {default}")
    default = f"(default {SMALL.epochs} for 8 × 8 pixels, {LARGE.epochs} for more)"
    parser.add_argument("--epochs", type=int, help=f"of training {default}")
    options = command_line.check(parser, parser.parse_args(), hidden=1, epochs=1)
    options.epochs = options.epochs or (20 if options.quick else None)
    return options, digits.load(parser, options)


def draw(p: Values, test: digits.Digits, read: Values, options: argparse.Namespace) -> None:
    """Put the confusions, a picture as it is read and the misread pictures side by side, in a PNG."""
    figure = command_line.new_figure(14, 7.5, options.show)
    if figure is None:
        return
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.25)).flat
    above, below = left.subfigures(2, 1, squeeze=False, height_ratios=(1.35, 1)).flat
    said = p.argmax(axis=0)
    digit_pictures.draw_confusion(above, confusion(said, test.labels))
    digit_pictures.draw_reading(below, test.images[0], read)
    digit_pictures.draw_misread(right, test, said, p.max(axis=0))
    command_line.save(figure, options.out / f"mnist_rows_{options.cell}.png")


if __name__ == "__main__":
    command_line.run(main)
