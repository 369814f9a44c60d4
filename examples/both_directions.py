"""Put the spaces back into a text that has lost them: one direction against two.

"thentheycametogether": after "the" and "to", the letters that follow decide whether the word is over.
A network that reads from left to right has to answer before it sees them. One that reads in both
directions has seen them, and so has one that may answer some letters late. All are of the same size.

    python examples/both_directions.py
    python examples/both_directions.py --cell gru --layers 2
    python examples/both_directions.py --text FILE --line "any line you would like to see"

It begins with sentences that have a gap, which no network can fill that stops reading there. The
picture shows what each network makes of --line, letter by letter; without it, of a line of the text.

It takes 160 seconds of one core's time. On a machine that is busy with other things,
OPENBLAS_NUM_THREADS=1 makes it several times as fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from typing import NamedTuple

import both_directions_report as report
import command_line
import missing_spaces as spaces
import numpy as np
from both_directions_report import ONE, STACKED, TWO
from missing_spaces import Batch, Gaps, Line, Values

import minirnn as mr
from minirnn.data import UNKNOWN, Vocabulary
from minirnn.init import spread_tokens

GAP = "[???]"
SENTENCES = (  # and what belongs into the gap
    ("if you exercise hard [???] grows", "muscle"),
    ("if you exercise hard [???] shrinks", "fat"),
    ("if you only rest [???] grows", "fat"),
    ("if you only rest [???] shrinks", "muscle"),
    ("if you only work [???] grows", "stress"),
    ("if you only work [???] shrinks", "muscle"),
)
GAP_STEPS, GAP_LR = 200, 0.05
TEXT = "shakespeare"
LINE = "then they came together with their father"


class Size(NamedTuple):
    """How much is done."""

    hidden: int  # units in each of the two directions
    steps: int
    lr: float
    batch: int  # lines
    lines: int | None  # of the text; None is all
    watched: int  # validation lines, after every tenth of the steps


FULL = Size(hidden=128, steps=1500, lr=0.01, batch=64, lines=None, watched=2000)
QUICK = Size(hidden=24, steps=200, lr=0.03, batch=32, lines=6_000, watched=100)


class Network(mr.Model):
    """Tokens -> recurrent layers -> a score for each answer at every step."""

    rnn: mr.Recurrent
    out: mr.Linear


class Result(NamedTuple):
    """What a network came to."""

    parameters: int
    curve: dict[int, float]  # F1 on validation lines after so many steps
    said: list[Gaps]  # of the test lines
    shown: Values  # how likely a space is in each gap of the line --line


def main() -> None:
    """Fill the gaps of sentences, then put back spaces, and show who can do it, and where."""
    options, lines = parse_arguments()
    size = QUICK if options.quick else FULL
    losses = fill_gaps(options)

    a, b = (int(share * len(lines)) for share in (0.8, 0.9))
    train, valid, test = lines[:a], lines[a:b], lines[b:]
    print(
        f"\nLines of {options.text} without spaces, capitals and punctuation: {len(train):,} to learn "
        f"from,\nthe {len(valid):,} after them to watch progress on, the last {len(test):,} to judge by."
    )
    vocabulary = Vocabulary([UNKNOWN, *sorted({*"".join(train)} - {" "})])
    learned, watched, judged, (shown,) = (
        [spaces.take_out(line, vocabulary) for line in part]
        for part in (train, valid[: size.watched], test, [options.line])
    )
    right = [line.gaps for line in judged]
    scores = {
        name: spaces.score([method(line.letters) for line in judged], right)
        for name, method in spaces.methods(train)
    }

    results = {}
    plan = [(ONE, False, 0), (f"one, {options.delay} letters late", False, options.delay)]
    for name, two_ways, delay in [*plan[: 2 if options.delay else 1], (TWO, True, 0)]:
        network = build(len(vocabulary), 2, two_ways, options)
        print(f"\n{name}: {network.rnn}, {count(network):,} parameters", flush=True)
        batches = spaces.shuffled(learned, size.batch, delay, options.seed, options.device)
        curve: dict[int, float] = {}
        for step, loss in learn(network, batches, options.steps, size.lr):
            if step % max(1, options.steps // 10) == 0 or step == options.steps:
                said = [p > 0.5 for p in answers(network, watched, delay, options.device)]
                curve[step] = spaces.score(said, [line.gaps for line in watched]).f1
                print(f"  step {step:5d}  loss {loss:.4f}  F1 {curve[step]:.3f}", flush=True)
        said = [p > 0.5 for p in answers(network, judged, delay, options.device)]
        scores[name] = spaces.score(said, right)
        (p,) = answers(network, [shown], delay, options.device)
        results[name] = Result(count(network), curve, said, p)

    report.tell_scores(scores, {name: result.parameters for name, result in results.items()})
    report.tell_differences(results[ONE].said, results[TWO].said, judged, options.seed)
    bars = {name: result.shown for name, result in results.items()}
    report.tell_line(shown, bars)
    figure = command_line.new_figure(15, 10, options.show)
    if figure is not None:
        curves = {name: result.curve for name, result in results.items()}
        report.draw(figure, losses, curves, scores, shown, bars)
        command_line.save(figure, options.out / f"both_directions_{options.cell}.png")


def fill_gaps(options: argparse.Namespace) -> dict[str, list[float]]:
    """Teach networks the sentences, say what they cannot know, and return their losses."""
    sentences, words = zip(*SENTENCES, strict=True)
    vocabulary, choices = Vocabulary.build(sentences, "spaces"), sorted(set(words))
    x = np.stack([vocabulary.encode(sentence) for sentence in sentences], axis=1)  # (T, N)
    in_gap = x == vocabulary.encode(GAP)
    targets = in_gap * np.array([choices.index(word) for word in words])
    batch = Batch(*(mr.to_device(part, options.device) for part in (x, targets, in_gap)))
    losses, sure = {}, {}
    for name, two_ways, layers in ((ONE, False, 1), (TWO, True, 1), (STACKED, True, 2)):
        small = argparse.Namespace(**{**vars(options), "hidden": 8, "layers": layers})
        network = build(len(vocabulary), len(choices), two_ways, small)
        losses[name] = [loss for _, loss in learn(network, repeat(batch), GAP_STEPS, GAP_LR)]
        p = probabilities(network, batch)  # (T, K, N)
        sure[name] = np.take_along_axis(p, targets[:, None], axis=1)[:, 0][in_gap]

    report.tell_gaps(SENTENCES, sure, losses)
    return losses


def build(K: int, choices: int, two_ways: bool, options: argparse.Namespace) -> Network:
    """Make a network. One that is to read one way gets as many units as make the sizes equal."""

    def make(hidden: int, two_ways: bool) -> Network:
        rng, device = np.random.default_rng(options.seed), options.device
        cell = command_line.NETWORKS[options.cell]
        rnn = cell(K, hidden, options.layers, bidirectional=two_ways, device=device, rng=rng)
        spread_tokens(rnn, rng)  # so that letters can be told apart from the start
        return Network(rnn=rnn, out=mr.Linear(rnn.output_size, choices, device=device, rng=rng))

    H = options.hidden
    both = make(H, two_ways=True)
    if two_ways:
        return both
    candidates = (make(h, two_ways=False) for h in range(H, 2 * H + 1))
    return min(candidates, key=lambda network: abs(count(network) - count(both)))


def count(network: Network) -> int:
    """The number of parameters."""
    return sum(p.size for p in network.parameters())


def learn(
    network: Network, batches: Iterator[Batch], steps: int, lr: float
) -> Iterator[tuple[int, float]]:
    """Train, and say after each step how many there were and what the loss was."""
    parameters = network.parameters()
    optimizer = mr.Adam(parameters, lr=mr.CosineWarmup(lr, steps, steps // 20))
    for step, batch in enumerate(islice(batches, steps), start=1):
        scores, _, cache = network.forward(batch.x, lengths=batch.lengths)
        loss, dscores = mr.softmax_cross_entropy(scores, batch.targets, batch.weights)

        optimizer.zero_grad()
        network.backward(cache, dscores)
        mr.clip_grad_norm(parameters, 1.0)
        optimizer.step()
        yield step, float(loss)


def probabilities(network: Network, batch: Batch) -> Values:
    """Return (T, answers, N), how likely the network takes each answer to be."""
    scores, _, _ = network.forward(batch.x, lengths=batch.lengths, want_cache=False)
    T, K, N = scores.shape
    p = mr.next_token_probabilities(scores.swapaxes(0, 1).reshape(K, -1))
    return p.reshape(K, T, N).swapaxes(0, 1)


def answers(network: Network, lines: Sequence[Line], delay: int, device: str) -> list[Values]:
    """Return for each line (n - 1,), how likely a space is in each of its gaps."""
    found: dict[int, Values] = {}
    ordered = sorted(range(len(lines)), key=lambda n: len(lines[n].letters))
    for start in range(0, len(ordered), 500):
        part = ordered[start : start + 500]
        batch = spaces.batch_of([lines[n] for n in part], delay, device)
        p = probabilities(network, batch)[delay:, 1]
        found |= {n: p[: len(lines[n].gaps), column] for column, n in enumerate(part)}
    return [found[n] for n in range(len(lines))]


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line, and the lines of the text it names."""
    parser = command_line.new_parser(__doc__, quick="200 steps of small networks on 6,000 lines")
    add = parser.add_argument
    add("--text", "--data", default=TEXT, help=f"a file, a folder or a name (default {TEXT})")
    add("--cell", **command_line.CELL)
    add("--layers", type=int, default=1, help="recurrent layers on top of each other (default 1)")
    add("--hidden", type=int, help=f"units in each of two directions (default {FULL.hidden})")
    add("--steps", type=int, help=f"of training (default {FULL.steps})")
    add("--delay", type=int, default=4, help="letters that one answers late; 0: none (default 4)")
    add("--line", help=f'to draw (default "{LINE}", or of FILE a line that is kept for the end)')
    options = command_line.check(parser, parser.parse_args(), layers=1, hidden=1, steps=1, delay=0)
    size = QUICK if options.quick else FULL
    options.hidden, options.steps = options.hidden or size.hidden, options.steps or size.steps
    if options.line is not None:
        with command_line.blame(parser, "--line"):
            found = spaces.read_lines([options.line])
            if len(found) != 1:
                most = f"two words or more, and {spaces.LONGEST} characters at most"
                raise ValueError(f"got {options.line!r}, want one line of {most}")
            options.line = found[0]
    with command_line.blame(parser, "--text"):
        lines = spaces.read(options.text)[: size.lines]
    if options.line is None:  # of the last tenth the one that is closest to LINE in length
        kept = [LINE] if options.text == TEXT else lines[-(len(lines) // 10) :]
        options.line = min(kept, key=lambda line: abs(len(line) - len(LINE)))
    return options, lines


if __name__ == "__main__":
    command_line.run(main)
