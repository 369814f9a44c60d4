"""Translate dates as people write them, letter by letter: "3rd of May 1999" -> "1999-05-03".

Many to many: an encoder reads the source, and hands the state it ends in to a decoder, which writes the
target. With attention, the decoder also looks back at the letters it needs; the picture shows where.

    python examples/seq2seq_dates.py --translate "the 1st of April, 2001"
    python examples/seq2seq_dates.py --no-attention
    python examples/seq2seq_dates.py --data FILE

The dates are written by the program. FILE has pairs of other texts, one in a line, with _ or a tab
between the two, such as 16+75_91.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path

import command_line
import numpy as np
from seq2seq_report import Curves, draw, report, translate
from written_pairs import FEWEST, Pairs, Tokens, read_pairs, write_dates

import minirnn as mr
from minirnn.data import batches

BATCH = 32
DATES = 30_000  # to write
QUICK = 7_000  # pairs
LR = 5e-3
VALIDATED = 500  # sources of the validation part, while training


def main() -> None:
    """Train, say how many unseen sources come out without a mistake, and draw where it looked."""
    options, pairs = parse_arguments()
    if (options.pairs or 0) > len(pairs.targets):
        print(f"{options.data} has {len(pairs.targets):,} pairs, fewer than {options.pairs:,}")
    print(
        f"{len(pairs.train):,} pairs to train on, {len(pairs.valid):,} to validate, "
        f"{len(pairs.test):,} to judge by; no source is in two parts"
    )
    if several := len(pairs.others.keys() & pairs.targets.keys()):
        print(
            f"{several:,} sources have several answers: the first is learned, and any of them is right"
        )
    rng = np.random.default_rng(options.seed)
    model = mr.EncoderDecoder(
        len(pairs.reading),
        len(pairs.writing),
        options.hidden,
        options.cell,
        attention=options.attention,
        bidirectional=options.attention,  # so that a letter is remembered with those on both sides
        device=options.device,
        rng=rng,
        embedding=options.embedding,
        dropout=options.dropout,
    )
    mr.summary(model)
    curves = learn(model, pairs, options, rng)
    report(model, pairs, options)
    draw(model, pairs, curves, options)


def learn(
    model: mr.EncoderDecoder, pairs: Pairs, options: argparse.Namespace, rng: np.random.Generator
) -> Curves:
    """Train: every epoch sees each pair of the training part once."""
    K, put = len(pairs.writing), partial(mr.to_device, device=options.device)
    steps = options.epochs * math.ceil(len(pairs.train) / BATCH)
    optimizer = mr.Adam(model.parameters(), mr.CosineWarmup(LR, steps, min(100, steps // 10)))
    every, start = math.ceil(steps / 10), time.perf_counter()
    curves = Curves([], {})
    print(f"guessing gives a loss of ln {K} = {math.log(K):.3f}\n")
    for _ in range(options.epochs):
        for own in batches(len(pairs.train), BATCH, rng):
            sources = [pairs.train[k] for k in own]
            source, lengths = pairs.read(sources)
            source, inputs, targets, weights = map(put, (source, *pairs.write(sources)))
            if options.scheduled_sampling:
                share = options.scheduled_sampling * len(curves.losses) / steps
                inputs = with_own_letters(model, source, lengths, inputs, share, rng)

            scores, cache = model.forward(source, inputs, lengths, rng)
            loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)

            optimizer.zero_grad()
            model.backward(cache, dscores)
            mr.clip_grad_norm(model.parameters(), 1.0)
            optimizer.step()

            curves.losses.append(float(loss))
            step = len(curves.losses)
            if step % every == 0 or step == steps:
                sources = pairs.valid[:VALIDATED]
                curves.exact[step] = pairs.right(sources, translate(model, pairs, sources))
                print(
                    f"step {step:5d} of {steps}  loss {np.mean(curves.losses[-every:]):.4f}  "
                    f"validation {curves.exact[step]:6.1%} exact  {time.perf_counter() - start:4.0f} s",
                    flush=True,
                )
    return curves


def with_own_letters(
    model: mr.EncoderDecoder,
    source: Tokens,
    lengths: Tokens,
    inputs: Tokens,
    share: float,
    rng: np.random.Generator,
) -> Tokens:
    """Return `inputs` (T, N), each but the first replaced by the decoder's own letter with a chance.

    Scheduled sampling (Bengio et al. 2015): it has to learn to go on from its own mistakes. What it says
    depends on what it has read, so this walks through time; the gradient does not go through the choice.
    """
    backend = model.out.backend
    inputs, state = inputs.copy(), model.encode(source, lengths)
    for t in range(len(inputs) - 1):
        scores, state = model.step(inputs[t], state)
        own = mr.to_device(rng.random(inputs.shape[1]) < share, backend.name)
        inputs[t + 1] = backend.xp.where(own, scores.argmax(axis=0), inputs[t + 1])
    return inputs


def parse_arguments() -> tuple[argparse.Namespace, Pairs]:
    """Read the command line, and read or write the pairs."""
    parser = command_line.new_parser(__doc__, quick=f"one epoch of {QUICK:,} pairs")
    add = parser.add_argument
    add("--data", type=Path, metavar="FILE", help="of pairs, a tab or _ between, for dates")
    add("--pairs", type=int, help=f"how many (default {DATES:,} dates, or all of FILE)")
    add("--cell", **command_line.CELL)
    add("--hidden", type=int, default=128, help="units (default 128)")
    add("--embedding", type=int, metavar="E", help="numbers per letter; without, one-hot columns")
    dropped = "share of units set to zero in training (default 0)"
    add("--dropout", type=float, default=0.0, metavar="SHARE", help=dropped)
    add("--epochs", type=int, help="of training (default 4)")
    yes_no = argparse.BooleanOptionalAction
    add("--attention", action=yes_no, default=True, help="look back at the source (default: yes)")
    add("--reverse", action="store_true", help="read the source from its end")
    own = "share of its own letters that the decoder reads by the end of training (default 0)"
    add("--scheduled-sampling", type=float, default=0.0, metavar="SHARE", help=own)
    add("--beam", type=int, default=5, metavar="WIDTH", help="of the search (default 5)")
    penalty = "of the beam: log p / letters^A is compared (default 0)"
    add("--length-penalty", type=float, default=0.0, metavar="A", help=penalty)
    add("--translate", nargs="+", default=[], metavar="TEXT", help="what else to translate")
    options = parser.parse_args()
    least = {"pairs": FEWEST, "hidden": 1, "epochs": 1, "scheduled_sampling": 0, "beam": 1}
    least |= {"embedding": 1, "dropout": 0, "length_penalty": 0}
    command_line.check(parser, options, **least)
    if options.dropout >= 1:
        parser.error(f"argument --dropout: got {options.dropout}, want less than 1")
    if options.length_penalty >= 10:
        parser.error(f"argument --length-penalty: got {options.length_penalty}, want less than 10")
    if options.scheduled_sampling > 1:
        share = options.scheduled_sampling
        parser.error(f"argument --scheduled-sampling: got {share}, want 1 or less")
    if options.attention and options.hidden % 2:
        parser.error(f"argument --hidden: got {options.hidden}, want an even number with attention")
    options.epochs = options.epochs or (1 if options.quick else 4)
    options.pairs = options.pairs or (QUICK if options.quick else None)
    rng = np.random.default_rng(options.seed)
    with command_line.blame(parser, "--pairs" if options.data is None else "--data"):
        if options.data is None:
            targets, others = write_dates(options.pairs or DATES, rng), dict[str, set[str]]()
        else:
            targets, others = read_pairs(options.data)
            targets = dict(list(targets.items())[: options.pairs])
    pairs = Pairs(targets, rng, options.reverse, others)
    with command_line.blame(parser, "--translate"):
        if "" in options.translate:
            raise ValueError("got an empty text, want one letter or more")
        pairs.reading.encode("".join(options.translate))
    return options, pairs


if __name__ == "__main__":
    command_line.run(main)
