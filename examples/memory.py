"""How far back does a network remember? Gradients against distance, and two problems only memory solves.

The plain RNN forgets; LSTM and GRU were made to cure that. Here it is measured: how much of a change of
the state at t arrives in h_T, before and after training, and at which lengths each cell learns to add
two marked numbers, and to repeat ten symbols after a wait, in a fixed number of training steps.

    python examples/memory.py
    python examples/memory.py --task adding --lengths 200 400 --cells lstm gru

The first takes 4 minutes of one core (AMD EPYC); OPENBLAS_NUM_THREADS=1 spares a busy machine. With seed
0, both RNNs learn to add over 25 steps and not over 50, LSTM and GRU over 200. At copying, an RNN with
orthogonal W is the best: there, all is to be kept, and nothing to be chosen. In the picture, the line of
the trained LSTM's h has peaks at the four marked steps (of two sequences): there its gates open.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import command_line
import numpy as np
from memory_gradients import Curve, draw_curves, gradient_norms, pace, theory
from memory_tasks import TASKS, Task, draw_losses

import minirnn as mr

SPAN = 100  # steps over which gradients are measured
PRACTICE = 50  # length of the adding problem that is learned before they are measured again
BATCH, CHECK, JUDGED = 50, 100, 1000  # sequences a step; every so many steps, a look at so many
CLIP = 1.0  # the most that the norm of all gradients together may be


class Setting(NamedTuple):
    """How a network is drawn and trained."""

    cell: str
    values: dict[str, Any]  # initial ones
    rate: float  # of Adam
    color: str


# Rates: of 0.001, 0.003, 0.01 and so on, the best or next to it on adding over 25 steps, with the
# seeds 100 and 101
SETTINGS = {
    "RNN": Setting("rnn", {}, 0.003, "tab:red"),
    "orthogonal RNN": Setting("rnn", {"init": "orthogonal"}, 0.003, "tab:orange"),
    "LSTM": Setting("lstm", {"init": "orthogonal", "forget_bias": 1.0}, 0.01, "tab:blue"),
    "GRU": Setting("gru", {"init": "orthogonal"}, 0.01, "tab:green"),
}
ORDINARY = {  # networks drawn as usual, uniform within 1/sqrt(H), and the markers of their lines
    "RNN": ("rnn", {}, ""),
    "GRU": ("gru", {}, ""),
    "LSTM, forget bias 0": ("lstm", {"forget_bias": 0.0}, "o"),
    "LSTM, forget bias 1": ("lstm", {"forget_bias": 1.0}, "s"),
    "LSTM, forget bias 3": ("lstm", {"forget_bias": 3.0}, "^"),
}


class Run(NamedTuple):
    """What training came to."""

    rnn: mr.Recurrent
    steps: int  # made
    loss: float  # on sequences that it was not trained on


def main() -> None:
    """Measure gradients, train on longer and longer sequences, say and draw what came out."""
    options = parse_arguments()
    curves: dict[str, list[Curve]] = {}
    if options.task in ("gradients", "all"):
        curves["Untrained, with ordinary initial values"] = measure_untrained(options)
        curves["Before and after learning to add"] = measure_trained(options)
    runs: dict[str, dict[str, dict[int, Run]]] = {}
    for name, task in TASKS.items():
        if options.task in (name, "all"):
            runs[name] = learn(task, options)
    draw(curves, runs, options)


def measure_untrained(options: argparse.Namespace) -> list[Curve]:
    """Measure networks as they are usually drawn, beside what theory says."""
    print(f"""How much of a change of the state arrives in h_T: the norm of the Jacobian dh_T/dh_t over
sqrt(H), H = {options.hidden}, on sequences of the adding problem; with an LSTM, dh_T/dc_t too.

Untrained, drawn as usual, uniform within 1/sqrt(H):
""")
    curves = []
    for name, (cell, values, marker) in ORDINARY.items():
        if cell in options.cells:
            line = {"color": SETTINGS[cell.upper()].color, "marker": marker}
            curves += measure(name, new_network(cell, 2, values, options), line, options)
    return curves + theory(new_network("rnn", 2, {}, options), SPAN)


def measure_trained(options: argparse.Namespace) -> list[Curve]:
    """Let each network learn to add, and measure it before and after."""
    adding, T = TASKS["adding"], 10 if options.quick else PRACTICE
    print(f"""As drawn for training (LSTM and GRU with orthogonal W, the LSTM with forget bias 1),
and after at most {options.steps} steps of training on the adding problem of length {T}:
""")
    curves, trained = [], []
    for name, setting in chosen(options):
        rnn = new_network(setting.cell, 2, setting.values, options)
        line = {"color": setting.color, "linestyle": "--"}
        curves += measure(f"{name} untrained", rnn, line, options)
        run = train(setting, adding, T, options)
        verdict = "trained" if run.loss < adding.solved else "trained in vain"
        trained += measure(f"{name} {verdict}", run.rnn, {"color": setting.color}, options)
    longest, shortest = (f(trained, key=lambda curve: curve.norms[-1]) for f in (max, min))
    print(f"""
After {SPAN} steps, most of a change is left in "{longest.name}": {longest.norms[-1]:.1g};
and least in "{shortest.name}": {shortest.norms[-1]:.1g}.
""")
    return curves + trained


def measure(
    name: str, rnn: mr.Recurrent, line: dict[str, Any], options: argparse.Namespace
) -> list[Curve]:
    """Return the network's curves, one for h and a thin one for c if it has it; print some values."""
    x, _ = TASKS["adding"].batch(SPAN, 2, np.random.default_rng(options.seed))
    curves = []
    for state, norms in gradient_norms(rnn, x).items():
        title = f"{name}: {state}"
        values = "  ".join(f"{norms[k - 1]:.0e} after {k}" for k in (1, 10, SPAN))
        print(f"  {title:33}  {values}: {pace(norms)}", flush=True)
        size = {"linewidth": 1, "markersize": 3} if state == "c" else {"linewidth": 2.2}
        curves.append(Curve(title, norms, {**line, **size}))
    return curves


def chosen(options: argparse.Namespace) -> list[tuple[str, Setting]]:
    """Return the settings of the cells asked for."""
    return [(name, s) for name, s in SETTINGS.items() if s.cell in options.cells]


def new_network(
    cell: str, input_size: int, values: dict[str, Any], options: argparse.Namespace
) -> mr.Recurrent:
    """Return one layer of the cell, with the initial values asked for."""
    where = {"device": options.device, "rng": np.random.default_rng(options.seed)}
    rnn: mr.Recurrent = command_line.NETWORKS[cell](input_size, options.hidden, **where, **values)
    return rnn


def train(setting: Setting, task: Task, T: int, options: argparse.Namespace) -> Run:
    """Train on fresh sequences at every step, until it is solved or the steps are used up."""
    rng = np.random.default_rng((options.seed, T))
    rnn = new_network(setting.cell, task.input_size, setting.values, options)
    out = mr.Linear(options.hidden, task.outputs, device=options.device, rng=rng)
    model = mr.Model(rnn=rnn, out=out)
    optimizer = mr.Adam(model.parameters(), lr=setting.rate)
    for step in range(1, options.steps + 1):
        x, targets = (mr.to_device(part, options.device) for part in task.batch(T, BATCH, rng))
        ys, _, cache = rnn.forward(x)
        scores, out_cache = out.forward(ys[-task.answers :])
        _, dscores = task.loss(scores, targets)

        optimizer.zero_grad()
        dys = 0 * ys  # what is said before the end has no part in the loss
        dys[-task.answers :] = out.backward(out_cache, dscores)
        rnn.backward(cache, dys)
        mr.clip_grad_norm(model.parameters(), CLIP)
        optimizer.step()

        if step % CHECK == 0 or step == options.steps:
            x, targets = (mr.to_device(part, options.device) for part in task.batch(T, JUDGED, rng))
            ys, _, _ = rnn.forward(x, want_cache=False)
            scores, _ = out.forward(ys[-task.answers :], want_cache=False)
            loss = float(task.loss(scores, targets)[0])
            if loss < task.solved:
                break
    return Run(rnn, step, loss)


def learn(task: Task, options: argparse.Namespace) -> dict[str, dict[int, Run]]:
    """Train at every length, and say where each network stops learning."""
    lengths = options.lengths or ([task.quick] if options.quick else task.lengths)
    print(f"""{task.says}
Loss on fresh sequences after at most {options.steps} steps, fewer if it falls below {task.solved}:
""")
    settings = chosen(options)
    print("  length" + "".join(f"{name:>21}" for name, _ in settings))
    runs: dict[str, dict[int, Run]] = {name: {} for name, _ in settings}
    for T in sorted(set(lengths)):
        print(f"  {T:6}", end="", flush=True)
        for name, setting in settings:
            run = runs[name][T] = train(setting, task, T, options)
            print(f"{run.loss:10.4f} after {run.steps:4}", end="", flush=True)
        print()
    print()
    for name, by_length in runs.items():
        solved = [T for T, run in by_length.items() if run.loss < task.solved]
        failed = [T for T in by_length if T not in solved]
        words = {"solves": solved, "does not solve": failed}
        told = (f"{verb} {', '.join(map(str, at))}" for verb, at in words.items() if at)
        print(f"The {name} {', and '.join(told)}.")
    print()
    return runs


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    quick = "one short length of each, 200 steps"
    parser = command_line.new_parser(__doc__, quick=quick)
    add = parser.add_argument
    add("--task", choices=("gradients", *TASKS, "all"), default="all", help="(default all)")
    cells = tuple(command_line.NETWORKS)
    add("--cells", nargs="+", type=str.lower, choices=cells, default=cells, help="(default all)")
    add("--lengths", nargs="+", type=int, metavar="T", help="of the sequences, or of the wait")
    add("--steps", type=int, help="of training at most (default 3000)")
    add("--hidden", type=int, default=64, help="units (default 64)")
    options = command_line.check(parser, parser.parse_args(), steps=1, hidden=1)
    if options.lengths and min(options.lengths) < 2:
        parser.error(f"argument --lengths: got {min(options.lengths)}, want 2 or more")
    options.steps = options.steps or (200 if options.quick else 3000)
    return options


def draw(
    curves: dict[str, list[Curve]],
    runs: dict[str, dict[str, dict[int, Run]]],
    options: argparse.Namespace,
) -> None:
    """Put gradients over distance, and losses over length, in a PNG."""
    panels = len(curves) + len(runs)
    columns, rows = min(panels, 2), (panels + 1) // 2
    figure = command_line.new_figure(8.5 * columns, 5.8 * rows, options.show)
    if figure is None:
        return
    axes = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for title, some in curves.items():
        draw_curves(next(axes), some, title)
    colors = [setting.color for _, setting in chosen(options)]
    for task, networks in runs.items():
        losses = {
            name: {T: run.loss for T, run in by_length.items()}
            for name, by_length in networks.items()
        }
        draw_losses(next(axes), task, losses, colors)
    command_line.save(figure, options.out / f"memory_{options.task}.png")


if __name__ == "__main__":
    command_line.run(main)
