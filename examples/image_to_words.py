"""Look at a picture of a digit once, and write its name, letter by letter: s, e, v, e, n.

One to many: the picture comes in at a single place, the initial state of a decoder, and a sequence
comes out. The only way for the network to learn to see is the gradient of that initial state, which
`rnn.backward` returns. Many to one, a sequence in and one answer out, is mnist_rows.py. Many to many is
char_sequence.py, which answers at every step, and seq2seq_dates.py, which reads all before it writes.

    python examples/image_to_words.py
    python examples/image_to_words.py --data DIR

The first command sees 1,797 small digits of 8 × 8 pixels, and takes 5 seconds of one core's time (AMD
EPYC); the second sees MNIST in the folder DIR. Nobody tells the network that there are only ten names:
any letter can follow any other, and of a doubtful picture it may write "sive".
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from typing import Any, NamedTuple

import command_line
import confidence
import digit_pictures
import digits
import numpy as np

import minirnn as mr
from minirnn.data import batches, pad, real_steps

Values = np.ndarray[Any, Any]
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = sorted(set("".join(NAMES)))
STOP, START = len(LETTERS), len(LETTERS) + 1  # tokens behind the last letter and before the first
LONGEST = 8  # letters that are written at most
WIDTH = 4  # beams
BATCH = 50


class Parts(NamedTuple):
    """The layers of the network."""

    see: mr.Sequential  # pixels -> the decoder's initial state
    rnn: mr.Recurrent  # the last letter -> state
    out: mr.Linear  # state -> a score for each letter, and for the end


def main() -> None:
    """Train with the names in view, then have it write names by itself."""
    options, split = parse_arguments()
    train, test, _ = split
    digits.introduce(split)
    where = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    parts = build(train.images[0].size, options.hidden, options.cell, where)
    learn(parts, train, options, where["rng"])

    x = mr.to_device(as_columns(test.images), options.device)
    names, p = write(parts, x, WIDTH)
    report(names, p, *write(parts, x, 1), test.labels)
    spell_out(parts, test, names, p)
    halfway(parts, test, where["rng"])
    draw(parts, test, names, p, options)


def build(pixels: int, hidden: int, cell: str, where: dict[str, Any]) -> Parts:
    """Return the layers; `see` makes all parts of the decoder's state, two for an LSTM."""
    rnn = command_line.NETWORKS[cell](len(LETTERS) + 2, hidden, **where)
    states = len(rnn.cell.states)
    see = mr.Sequential(mr.Linear(pixels, states * hidden, **where), mr.Activation("tanh"))
    return Parts(see, rnn, mr.Linear(hidden, len(LETTERS) + 1, **where))


def learn(
    parts: Parts, train: digits.Digits, options: argparse.Namespace, rng: np.random.Generator
) -> None:
    """Train by teacher forcing: what is read at each step is the right letter, not the one written."""
    model = mr.Model(**parts._asdict())
    mr.summary(model)
    inputs, targets, weights = spelled()
    N = len(train.labels)
    steps = options.epochs * -(-N // BATCH)
    optimizer = mr.Adam(model.parameters(), lr=mr.CosineWarmup(0.005, steps, warmup=steps // 20))

    letters = weights.sum() / len(NAMES)
    blind = math.log(len(NAMES)) / letters
    print(
        f"knowing the names without seeing the pictures gives ln 10 / {letters:g} = {blind:.3f}\n"
    )
    for epoch in range(options.epochs):
        total = 0.0
        for batch in batches(N, BATCH, rng):
            named = train.labels[batch]
            columns = (inputs[:, named], targets[:, named], weights[:, named])
            read, want, real = (mr.to_device(part, options.device) for part in columns)
            x = mr.to_device(as_columns(train.images[batch]), options.device)
            scores, caches = forward(parts, x, read)
            loss, dscores = mr.softmax_cross_entropy(scores, want, real)

            optimizer.zero_grad()
            backward(parts, caches, dscores)
            optimizer.step()
            total += float(loss) * len(batch)
        if epoch % (1 + options.epochs // 10) == 0 or epoch == options.epochs - 1:
            print(f"epoch {epoch + 1:3d}  loss {total / N:.4f}", flush=True)
    print()


def spelled() -> tuple[Values, Values, Values]:
    """Return what is read, what is to be written and its weights, 0 for padding: (T, 10) each."""
    letters = [[LETTERS.index(letter) for letter in name] for name in NAMES]
    inputs, _ = pad([[START, *name] for name in letters], STOP)
    targets, lengths = pad([[*name, STOP] for name in letters], STOP)
    return inputs, targets, real_steps(lengths, len(targets))


def as_columns(images: Values) -> Values:
    """Return pictures (N, rows, columns) as columns of pixels: (pixels, N)."""
    return images.reshape(len(images), -1).T


def forward(parts: Parts, x: Values, tokens: Values) -> tuple[Values, tuple[Any, Any, Any]]:
    """Return scores (T, K, N) of what follows each of the tokens (T, N), and the caches."""
    state, see_cache = look(parts, x)
    ys, _, cache = parts.rnn.forward(tokens, state)
    scores, out_cache = parts.out.forward(ys)
    return scores, (see_cache, cache, out_cache)


def look(parts: Parts, x: Values) -> tuple[tuple[Values, ...], Any]:
    """Return the decoder's initial state, each part (1, H, N), for pictures (pixels, N)."""
    seen, see_cache = parts.see.forward(x)
    states = len(parts.rnn.cell.states)
    return tuple(seen.reshape(states, 1, -1, x.shape[1])), see_cache


def backward(parts: Parts, caches: tuple[Any, Any, Any], dscores: Values) -> Any:
    """Go back through the letters to the initial state, and from there to the pixels; return dx."""
    see_cache, cache, out_cache = caches
    _, dstate = parts.rnn.backward(cache, parts.out.backward(out_cache, dscores))
    dseen = parts.rnn.backend.xp.concatenate([part[0] for part in dstate])
    return parts.see.backward(see_cache, dseen)


def write(parts: Parts, x: Values, width: int) -> tuple[list[str], Values]:
    """Return the name of each picture (pixels, N), and how likely the network finds it.

    What is read at each step is the letter written before. With a width of 1 the likeliest letter is
    taken at every step, which is greedy; with more, so many beginnings are followed.
    """

    def step(tokens: Values, state: Any) -> tuple[Values, Any]:
        y, state = parts.rnn.step(tokens, state)
        return parts.out.forward(y, want_cache=False)[0], state

    state, _ = look(parts, x)
    start = mr.to_device(np.full(x.shape[1], START), parts.rnn.backend.name)
    tokens, log_p = mr.beam_search(step, state, start, STOP, LONGEST, width)
    rows = ("".join([*LETTERS, " "][token] for token in column) for column in tokens.T.tolist())
    return [row.split(" ")[0] for row in rows], np.exp(log_p)


def report(
    names: list[str], p: Values, greedy: list[str], greedy_p: Values, labels: Values
) -> None:
    """Say how many names are right, which are no digit's, and what following more of them changes."""
    n, right = len(labels), [NAMES[label] for label in labels.tolist()]
    for how, said in (("greedy", greedy), (f"{WIDTH} beams", names)):
        exact = sum(map(str.__eq__, said, right))
        print(f"{how}: the whole name is right for {confidence.in_words(exact, n)}")
        print(f"  not the name of any digit: {invented(said)}")
    changed = [k for k in range(n) if names[k] != greedy[k]]
    print("\nGreedy takes the likeliest letter, beams look for the likeliest name;", end=" ")
    print(f"{len(changed)} differ")
    for k in changed[:4]:
        was = f"greedy {greedy[k]} {greedy_p[k]:.2f}, beams {names[k]} {p[k]:.2f}"
        print(f"  a picture of {right[k]:5}  {was}")


def invented(names: list[str]) -> str:
    """Say how many names no digit has, and which occur most."""
    counts = Counter(name or "nothing at all" for name in names if name not in NAMES)
    most = ", ".join(f"{name} {count}" for name, count in counts.most_common(8))
    return f"{counts.total()} of {len(names):,}" + (f": {most}" if most else "")


def spell_out(parts: Parts, test: digits.Digits, names: list[str], p: Values) -> None:
    """Show how likely each letter of some names was: the first two, and the least likely name."""
    print("\nletter by letter, with the probability of each; a dot is the end")
    for k in (0, 1, int(p.argmin())):
        steps = letter_by_letter(parts, test.images[k], names[k])
        chances = [steps[[*LETTERS, "."].index(c), t] for t, c in enumerate(names[k] + ".")]
        written = "  ".join(f"{c} {p:.2f}" for c, p in zip(names[k] + ".", chances, strict=True))
        print(f"  a picture of {NAMES[test.labels[k]]:5}  {written}")


def letter_by_letter(parts: Parts, image: Values, name: str) -> Values:
    """Return how likely each letter and the end are at each step of writing `name`: (K, T)."""
    tokens = np.array([[START, *map(LETTERS.index, name)]]).T
    x = as_columns(image[None])
    scores, _ = forward(
        parts, *(mr.to_device(part, parts.rnn.backend.name) for part in (x, tokens))
    )
    return mr.next_token_probabilities(scores[:, :, 0].T)


def halfway(parts: Parts, test: digits.Digits, rng: np.random.Generator) -> None:
    """Write names of pictures that are half one digit and half another."""
    drawn = rng.integers(0, len(test.labels), (1000, 2))
    drawn = drawn[test.labels[drawn[:, 0]] != test.labels[drawn[:, 1]]]
    if not len(drawn):  # there is one digit only
        return
    mixed = test.images[drawn].mean(axis=1)
    names, _ = write(parts, mr.to_device(as_columns(mixed), parts.rnn.backend.name), WIDTH)
    pairs = zip(names, test.labels[drawn].tolist(), strict=True)
    share = sum(name in (NAMES[a], NAMES[b]) for name, (a, b) in pairs) / len(names)
    print(f"\ntwo digits over one another: {share:.0%} get the name of either (guessing: 20%)")
    print(f"  not the name of any digit: {invented(names)}\n")


def parse_arguments() -> tuple[argparse.Namespace, digits.Split]:
    """Read the command line, and the pictures it names."""
    parser = command_line.new_parser(__doc__, quick="15 epochs of small digits")
    digits.add_options(parser)
    parser.add_argument("--cell", **command_line.CELL)
    parser.add_argument("--hidden", type=int, default=128, help="units (default 128)")
    parser.add_argument("--epochs", type=int, help="of training (default 20)")
    options = command_line.check(parser, parser.parse_args(), hidden=1, epochs=1)
    options.epochs = options.epochs or (15 if options.quick else 20)
    return options, digits.load(parser, options)


def draw(
    parts: Parts, test: digits.Digits, names: list[str], p: Values, options: argparse.Namespace
) -> None:
    """Put pictures with the names they got, and two names letter by letter, in a PNG."""
    figure = command_line.new_figure(14, 8, options.show)
    if figure is None:
        return
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.1, 1)).flat
    right = [NAMES[label] for label in test.labels.tolist()]
    digit_pictures.draw_names(above, test.images, names, right, p)
    clear = max(range(len(names)), key=lambda k: (names[k] == right[k], len(names[k]), p[k]))
    sides = below.subfigures(1, 2, squeeze=False).flat
    for side, k in zip(sides, (clear, int(p.argmin())), strict=True):
        steps = letter_by_letter(parts, test.images[k], names[k])
        picture = (test.images[k], f"a picture of {right[k]}")
        digit_pictures.draw_letters(side, *picture, names[k], steps, [*LETTERS, "end"])
    command_line.save(figure, options.out / f"image_to_words_{options.cell}.png")


if __name__ == "__main__":
    command_line.run(main)
