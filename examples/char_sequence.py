"""Learn to say "if you want you" letter by letter: given each letter, the network says the next one.

Nothing is set by hand: the dictionary, and with it every size, comes from the text. A blank is followed
by y, by w and by y again, so the last letter alone does not tell the next; the network has to remember.

    python examples/char_sequence.py --cell gru
"""

import argparse
import math
from collections import Counter
from itertools import pairwise

import command_line
import numpy as np

import minirnn as mr
from minirnn import plot

TEXT = "if you want you"


def main() -> None:
    """Train, print what it says as it learns, and draw what it remembers."""
    options = parse_arguments()
    letters = sorted(set(TEXT))  # the dictionary: number -> letter
    number = {letter: k for k, letter in enumerate(letters)}  # letter -> number
    K = len(letters)
    ids = np.array([number[letter] for letter in TEXT])
    x, targets = (
        mr.to_device(part[:, None], options.device)  # (T, N) = (14, 1)
        for part in (ids[:-1], ids[1:])
    )

    where = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    rnn = command_line.NETWORKS[options.cell](K, K, **where)  # as many hidden units as letters
    out = mr.Linear(K, K, **where)
    model = mr.Model(rnn=rnn, out=out)
    optimizer = mr.Adam(model.parameters(), lr=0.1)

    print("dictionary   ", "  ".join(f"{k} {letter!r}" for k, letter in enumerate(letters)))
    mr.summary(model)
    guessing, no_memory = math.log(K), loss_without_memory()
    print(f"guessing gives a loss of ln {K} = {guessing:.3f}")
    print(f"knowing the last letter, but no others, gives {no_memory:.3f}\n")

    losses = []
    for step in range(options.steps):
        ys, _, cache = rnn.forward(x)
        scores, out_cache = out.forward(ys)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)

        optimizer.zero_grad()
        rnn.backward(cache, out.backward(out_cache, dscores))
        optimizer.step()

        losses.append(float(loss))
        said = "".join(letters[k] for k in scores.argmax(axis=1)[:, 0].tolist())
        if step % 10 == 0 or step == options.steps - 1:
            print(f'{step:4d}  loss: {losses[-1]:.5f}  prediction: "{said}"')

    print()
    for name, array, axes in (
        ("x", x, "T, N"),
        ("hidden states", ys, "T, H, N"),
        ("scores", scores, "T, K, N"),
        ("targets", targets, "T, N"),
    ):
        print(f"{name:14} ({axes}) = {array.shape}")
    print(f'\n"{TEXT[:-1]}" -> "{said}"')
    draw(losses, guessing, no_memory, ys[:, :, 0], said, options)


def loss_without_memory() -> float:
    """Return the loss of the best answer to the last letter alone, as 2/3 y and 1/3 w to a blank."""
    pairs = list(pairwise(TEXT))
    together, first = Counter(pairs), Counter(TEXT[:-1])
    return -sum(math.log(together[pair] / first[pair[0]]) for pair in pairs) / len(pairs)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line.new_parser(__doc__, quick="60 steps")
    parser.add_argument("--cell", **command_line.CELL)
    parser.add_argument("--steps", type=int, help="of training (default 100)")
    options = command_line.check(parser, parser.parse_args(), steps=1)
    options.steps = options.steps or (60 if options.quick else 100)
    return options


def draw(
    losses: list[float],
    guessing: float,
    no_memory: float,
    h: np.ndarray,
    said: str,
    options: argparse.Namespace,
) -> None:
    """Put the loss and the hidden state over time side by side, in a PNG.

    The three columns of a blank differ: that is the memory.
    """
    figure = command_line.new_figure(14, 5, options.show)
    if figure is None:
        return
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    plot.loss_curve(left, losses, guessing)
    left.axhline(no_memory, color="tab:gray", linestyle=":", linewidth=1.5)
    place = (0.98, no_memory)
    left.text(
        *place, "without memory", transform=left.get_yaxis_transform(), ha="right", va="bottom"
    )
    read, said = (text.replace(" ", "_") for text in (TEXT[:-1], said))
    plot.states_over_time(right, h, read, said, f"hidden state of the {options.cell.upper()}")
    command_line.save(figure, options.out / f"char_sequence_{options.cell}.png")


if __name__ == "__main__":
    command_line.run(main)
