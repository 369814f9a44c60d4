"""The bug museum: a line of a backward pass wrong, what gradcheck says, and whether training shows it.

    python examples/bug_museum.py                 lists the exhibits
    python examples/bug_museum.py dropped_dc      makes that mistake, in memory, and looks at it
    python examples/bug_museum.py --all           what strong and weak checks see of each

The mistakes are those of hand-written back-propagation through time; most were seen in other projects.
"""

import argparse
import re
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import command_line
import numpy as np
from exhibits import EXHIBITS
from museum import WEAK, Exhibit, WithLoss, strong, summary, weak

import minirnn as mr
from minirnn.cells import CELLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TEXT = "if you want to build a ship, don't drum up people together to collect wood"
LETTERS = sorted(set(TEXT))
WINDOW = 20  # letters read at once
TASKS = ("next letter", "recall")
BLANK = 2  # symbols of the recall task: 0 and 1 come first, and then only 2 and 3
RECALL = 20  # steps of that task


def main() -> None:
    """List the exhibits, or show one, or all."""
    options = parse_arguments()
    if options.all:
        show_all()
    elif options.exhibit is None:
        for exhibit in EXHIBITS.values():
            print(f"{exhibit.name:<18}{exhibit.title}")
    else:
        show(EXHIBITS[options.exhibit], options)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line.new_parser(__doc__, quick="30 steps of training instead of 150")
    parser.add_argument("exhibit", nargs="?", choices=EXHIBITS, metavar="EXHIBIT")
    parser.add_argument("--all", action="store_true", help="a table of all exhibits")
    options = command_line.check(parser, parser.parse_args())
    if options.all and options.exhibit is not None:
        parser.error(f"argument --all: got {options.exhibit}, too; want one of them")
    options.steps = 30 if options.quick else 150
    return options


def show(exhibit: Exhibit, options: argparse.Namespace) -> None:
    """Tell of a mistake, check it, and train with it."""
    print(f"{exhibit.title}\n{exhibit.place}\n\n{exhibit.diff}\n")
    for text in (exhibit.story, f"Seen in: {exhibit.seen}" if exhibit.seen else ""):
        plain = re.sub(r"\[([^]]*)]\(([^)]*)\)", r"\1 (\2)", text)
        print(textwrap.fill(plain, 100, break_long_words=False, break_on_hyphens=False))
    print(f"\nover four steps:\n{strong(exhibit)}")
    if not arranged(exhibit):
        print(f"\nover one step:\n{summary(strong(exhibit, T=1))}\n")
        train_both(exhibit, options)


def show_all() -> None:
    """Print which check sees which mistake."""
    print(f"{'':<18}{'strong':>14}" + "".join(f"{name:>14}" for name in WEAK))
    for name, exhibit in EXHIBITS.items():
        reports = [strong(exhibit), *(weak(exhibit, **less) for less in WEAK.values())]
        words = ["" if r is None else "missed" if r.ok else f"{r.worst:.0e}" for r in reports]
        print(f"{name:<18}" + "".join(f"{word:>14}" for word in words))


def arranged(exhibit: Exhibit) -> bool:
    """Whether the mistake needs two directions, or lengths, which the two tasks do not have."""
    case = exhibit.case
    return not isinstance(case, WithLoss) and (case.bidirectional or case.lengths)


def train_both(exhibit: Exhibit, options: argparse.Namespace) -> None:
    """Train with the mistake and without, on two tasks, and draw the losses."""
    seeds = range(options.seed, options.seed + 3)
    print(f"{options.steps} steps of Adam, mean loss of the last ten, for three seeds:")
    figure = command_line.new_figure(11, 4, options.show)
    for k, task in enumerate(TASKS):
        runs = train_all(task, (exhibit,), options.steps, seeds, options.device)
        for name, losses in runs.items():
            ends = "  ".join(f"{np.mean(run[-10:]):.4f}" for run in losses)
            print(f"  {task:<12}{name:<18}{ends}")
        if figure is not None:
            axes = figure.add_subplot(1, 2, k + 1)
            draw(axes, task, runs)
            axes.legend()
    if figure is not None:
        command_line.save(figure, options.out / f"bug_museum_{exhibit.name}.png")


def train_all(
    task: str, exhibits: Sequence[Exhibit], steps: int, seeds: Iterable[int], device: str = "cpu"
) -> dict[str, list[list[float]]]:
    """The losses of `train` for all seeds, by name: with no mistake, "right", and with each.

    Args:
        task, steps, device: see `train`.
        exhibits: whose mistakes to make. All train the cell of the first.
        seeds: one run each.
    """
    mistakes = {"right": None, **{exhibit.name: exhibit for exhibit in exhibits}}
    return {
        name: [train(task, exhibits[0], wrong, steps, seed, device) for seed in seeds]
        for name, wrong in mistakes.items()
    }


def draw(axes: "Axes", task: str, runs: dict[str, list[list[float]]]) -> None:
    """Draw the losses that `train_all` gave."""
    for k, (name, losses) in enumerate(runs.items()):
        labels = [name, *[None] * (len(losses) - 1)]
        width = 2.5 if name == "right" else 1.2
        axes.plot(np.transpose(losses), color=f"C{k}", linewidth=width, label=labels)
    axes.set(title=task, xlabel="step", ylabel="loss, nats", ylim=(0, None))


def train(
    task: str,
    exhibit: Exhibit,
    wrong: Exhibit | None,
    steps: int,
    seed: int = 0,
    device: str = "cpu",
) -> list[float]:
    """Train the cell that an exhibit is about, with the mistake `wrong` or none.

    Args:
        task: ``"next letter"`` of a sentence, or ``"recall"``, after 20 steps, of what came first.
        exhibit: whose cell is trained.
        wrong: the mistake to make.
        steps: of Adam.
        seed: of weights and data.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The loss before each step.
    """
    rng = np.random.default_rng(seed)
    D, H, K = (len(LETTERS), 32, len(LETTERS)) if task == "next letter" else (4, 8, BLANK)
    cell = CELLS[2] if isinstance(exhibit.case, WithLoss) else exhibit.case.cell
    rnn = mr.Recurrent(cell, D, H, device=device, rng=rng, scan="generic")
    out = mr.Linear(H, K, device=device, rng=rng)
    model = mr.Model(rnn=rnn, out=out)
    if cell.name.startswith("LSTM"):  # let it remember at first
        model.rnn.named_parameters()["l0.b"].data[H : 2 * H] = 2
    optimizer = mr.Adam(model.parameters(), lr=0.01 if task == "next letter" else 0.02)
    ids = np.array([LETTERS.index(letter) for letter in TEXT])
    windows = np.stack([ids[t : t + WINDOW + 1] for t in range(len(ids) - WINDOW)], axis=1)
    losses = []
    with nullcontext() if wrong is None else wrong.made():
        for _ in range(steps):
            if task == "next letter":
                x, targets = mr.to_device(windows[:-1], device), mr.to_device(windows[1:], device)
                h, _, cache = rnn.forward(x)
            else:
                symbols = rng.integers(BLANK, 4, (RECALL, 32))
                symbols[0] = rng.integers(0, BLANK, 32)
                x, targets = mr.to_device(symbols, device), mr.to_device(symbols[0], device)
                _, state, cache = rnn.forward(x)
                h = rnn.last(state)
            scores, out_cache = out.forward(h)
            loss, dscores = mr.softmax_cross_entropy(scores, targets)
            optimizer.zero_grad()
            dh = out.backward(out_cache, dscores)
            if task == "next letter":
                rnn.backward(cache, dh)
            else:
                rnn.backward(cache, dstate=rnn.last_backward(dh))
            optimizer.step()
            losses.append(float(loss))
    return losses


if __name__ == "__main__":
    command_line.run(main)
