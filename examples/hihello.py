"""Teach a recurrent network to answer "hihell" with "ihello", the letters that come next.

The same letter must lead to different ones: after the first h comes i, after the second e. Without a
memory that is impossible; a network of five hidden units learns it in a moment.

    python examples/hihello.py --cell lstm
"""

import argparse
import math

import command_line
import numpy as np

import minirnn as mr
from minirnn import plot

TEXT = "hihello"
LETTERS = "hielo"  # h is 0, i is 1, e is 2, l is 3, o is 4
HIDDEN = 5


def main() -> None:
    """Train, print what it says at each step, and draw what it thinks."""
    options = parse_arguments()
    K = len(LETTERS)
    ids = np.array([LETTERS.index(letter) for letter in TEXT])
    x, targets = (
        mr.to_device(part[:, None], options.device)  # (T, N) = (6, 1)
        for part in (ids[:-1], ids[1:])
    )

    where = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    rnn = command_line.NETWORKS[options.cell](K, HIDDEN, **where)
    out: mr.StatelessLayer = mr.Sequential() if options.bare else mr.Linear(HIDDEN, K, **where)
    model = mr.Model(rnn=rnn, out=out)
    optimizer = mr.Adam(model.parameters(), lr=0.1)
    mr.summary(model)
    print(f"guessing gives a loss of ln {K} = {math.log(K):.3f}\n")

    losses = []
    for step in range(options.steps):
        ys, _, cache = rnn.forward(x)
        scores, out_cache = out.forward(ys)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)

        optimizer.zero_grad()
        rnn.backward(cache, out.backward(out_cache, dscores))
        optimizer.step()

        losses.append(float(loss))
        said = "".join(LETTERS[k] for k in scores.argmax(axis=1)[:, 0].tolist())
        if step % 10 == 0 or step == options.steps - 1:
            print(f"{step:4d}  loss: {losses[-1]:.5f}  prediction: {said}")

    print(f'\n"{TEXT[:-1]}" -> "{said}"')
    draw(losses, ys[:, :, 0], said, options)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line.new_parser(__doc__, quick="100 steps")
    parser.add_argument("--cell", **command_line.CELL)
    parser.add_argument("--steps", type=int, help="of training (default 200)")
    parser.add_argument(
        "--bare", action="store_true", help="no output layer: the hidden state is the scores"
    )
    options = command_line.check(parser, parser.parse_args(), steps=1)
    options.steps = options.steps or (100 if options.quick else 200)
    return options


def draw(losses: list[float], h: np.ndarray, said: str, options: argparse.Namespace) -> None:
    """Put the loss and the hidden state over time side by side, in a PNG."""
    figure = command_line.new_figure(11, 4.2, options.show)
    if figure is None:
        return
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    plot.loss_curve(left, losses, guessing=math.log(len(LETTERS)))
    title = f"hidden state of the {options.cell.upper()}"
    units = list(LETTERS) if options.bare else None  # without an output layer, units are letters
    plot.states_over_time(right, h, list(TEXT[:-1]), list(said), title, units)
    name = f"hihello_{options.cell}{'_bare' if options.bare else ''}.png"
    command_line.save(figure, options.out / name)


if __name__ == "__main__":
    command_line.run(main)
