"""Train a language model on Shakespeare, or on any text; write with it; judge it.

    python examples/shakespeare.py train --preset small
    python examples/shakespeare.py sample out/small.npz --prompt "ROMEO:" --temperature 0.8
    python examples/shakespeare.py eval out/small.npz

Training goes through the text in parallel streams and carries the state from window to window. It can be
interrupted at any time, and goes on with `train --resume FILE` as if it had not been. A finished run
goes on with more `--epochs`, and `train --weights FILE` starts a new one from its weights.
"""

from __future__ import annotations

import argparse
import math
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import command_line
import numpy as np
from language_options import complete, complete_resumed, parser_of_all
from language_pictures import draw_losses, draw_unit, unit_number
from language_run import Run, Text, prepare, threads
from tqdm import tqdm

import minirnn as mr
from minirnn.data import Streams
from minirnn.text.ngram import NGram

GUESS = 2_000_000  # tokens that are counted, and judged, for what guessing gives
SAMPLE = 300  # tokens written after each epoch


def main() -> None:
    """Do what the command line says; a mistake of the user's ends in one line."""
    parser = parser_of_all(__doc__ or "")
    if len(sys.argv) == 1:
        parser.print_help()
        raise SystemExit(2)
    o = parser.parse_args()
    try:
        {"train": train, "sample": sample, "eval": evaluate}[o.command](o)
    except BrokenPipeError:  # an OSError, but not the user's mistake
        raise
    except (OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog} {o.command}: {command_line.in_a_line(error)}\n")


def train(o: argparse.Namespace) -> None:
    """Train from the beginning, or go on with a run."""
    run, data, path = start(o)
    model, optimizer, average, o = run.model, run.optimizer, run.average, run.options
    streams = Streams(data.train, o.streams, o.window)
    guessing = guesses(run, data)
    introduce(run, data, guessing, path)
    run.save(path)
    with threads(o.threads), stop_signal() as stopped:
        while run.epoch < o.epochs and not stopped:
            with progress_bar(run, len(streams)) as bar:
                while run.window < len(streams) and not stopped:
                    x, targets = (
                        mr.to_device(part, o.device) for part in streams.window(run.window)
                    )
                    scores, run.state, cache = model.forward(x, run.state, run.rng)
                    loss, dscores = mr.softmax_cross_entropy(scores, targets)
                    optimizer.zero_grad()
                    model.backward(cache, dscores)
                    norm = mr.clip_grad_norm(model.parameters(), o.clip)
                    check_finite(run, float(loss), float(norm), path)
                    optimizer.step()
                    average.update()

                    run.losses.append(float(loss))
                    run.window += 1
                    bar.set_postfix_str(quoted(recent(run), o.level), refresh=False)
                    bar.update()
                    if len(run.losses) % o.save_every == 0:
                        run.save(path)
            if run.window == len(streams):
                run.epoch, run.window, run.state = run.epoch + 1, 0, None
                report(run, data)
            run.save(path)
    if run.epoch < o.epochs:
        print(f"stopped after {len(run.losses):,} of {run.steps:,} steps, and saved; go on with")
        print(f"    {resume_command(path)}")
        raise SystemExit(128 + stopped[0])
    print(f"trained: {path}; --resume {path} goes on with it if there are more --epochs")
    draw_losses(run, guessing, path.with_suffix(".png"))


def start(o: argparse.Namespace) -> tuple[Run, Text, Path]:
    """A new run, or the one to be resumed; its text; and its file."""
    if o.resume is not None:
        run = Run.load(o.resume, o, "--resume")
        before = run.options.epochs
        complete_resumed(o, run.options)
        if run.options.epochs != before:
            run.lengthen(run.steps // before * run.options.epochs)
        data = run.prepared(o.text, run.options)
        if data.digest != run.digest:
            raise ValueError(
                f"argument --text: {run.options.text} is not what {o.resume} was trained on"
            )
        return run, data, o.resume
    path = o.out or Path("out") / f"{o.preset or 'language'}.npz"
    vocabulary = weights = of_weights = None
    if o.weights is not None:
        on_host = argparse.Namespace(device="cpu", precision=None, scan="auto")
        first = Run.load(o.weights, on_host, "--weights")
        vocabulary, of_weights = first.vocabulary, first.options
        with first.average.applied():  # as they are judged
            weights = first.model.state_dict()
    complete(o, of_weights)
    if path.exists() and not o.overwrite:
        raise ValueError(
            f"argument --out: {path} is there already; go on with it by --resume {path}, "
            "or choose another name by --out, or replace it by --overwrite"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"argument --out: got {path}, want a folder for it ({error})") from None
    data = prepare(o, vocabulary)
    least = o.streams * o.window + 1
    if len(data.train) < least:
        raise ValueError(
            f"argument --text: {o.text} has {len(data.train):,} tokens to train on, want {least:,} or "
            f"more for --streams {o.streams} and --window {o.window}; lower one of the two"
        )
    if len(data.valid) == 1:
        raise ValueError(
            f"argument --valid: got {o.valid:g}, which is 1 token, want 0, or 2 or more"
        )
    steps = o.epochs * len(Streams(data.train, o.streams, o.window))
    return Run(o, data.vocabulary, data.digest, steps, weights=weights), data, path


@contextmanager
def stop_signal() -> Iterator[list[int]]:
    """A list that is empty until somebody presses Ctrl-C; the second time interrupts at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    stops = (int(signal.SIGINT), int(signal.SIGTERM))
    before = {number: signal.signal(number, note) for number in stops}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress_bar(run: Run, windows: int) -> Any:
    """The bar of an epoch, on stderr; in a file, with a line every half a minute."""
    label = f"epoch {run.epoch + 1}/{run.options.epochs}"
    pause = 0.1 if sys.stderr.isatty() else 30
    return tqdm(total=windows, initial=run.window, desc=label, mininterval=pause)


def check_finite(run: Run, loss: float, norm: float, path: Path) -> None:
    """Raise an error before the weights become NaN; so the file on disk is good to go on from."""
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise ValueError(
            f"after {len(run.losses)} steps, the loss is {loss} and the length of its gradient {norm}: "
            f"try a smaller --lr than {run.options.lr:g}; {path} has the run as it was saved last"
        )


def introduce(run: Run, data: Text, guessing: dict[str, float], path: Path) -> None:
    """Say what is trained on what, and how, and what guessing gives."""
    mr.summary(run.model)
    print(mr.explain(run.model.rnn))
    sizes = "; ".join(f"{part} {n:,} characters" for part, n in data.characters.items())
    print(f"\n{run.options.text}: {sizes}; {len(data.vocabulary):,} different tokens")
    print("what guessing gives:")
    for name, loss in guessing.items():
        print(f"  {name:<34} {quoted(loss, run.options.level)}")
    print(f"{len(run.losses):,} of {run.steps:,} steps are made; saved to {path}")
    print(f"Ctrl-C stops, and this goes on:\n    {resume_command(path)}\n")


def guesses(run: Run, data: Text) -> dict[str, float]:
    """The loss of knowing nothing, how often tokens are, or which follows which in training."""
    train = np.asarray(data.train[:GUESS])
    held = data.valid if len(data.valid) else data.train
    K = len(data.vocabulary)
    counted = {"as often as each is there: unigram": 1, "given the last one: bigram": 2}
    return {f"any of {K:,} alike: ln K": math.log(K)} | {
        name: NGram(train, K, order).mean_nll(np.asarray(held[:GUESS]))
        for name, order in counted.items()
    }


def quoted(loss: float, level: str) -> str:
    """A loss in nats as people quote it: bits for characters, perplexity for words."""
    if level == "char":
        return f"{loss:.4f} nats = {loss / math.log(2):.3f} bits per character"
    return f"{loss:.4f} nats, perplexity {math.exp(min(loss, 700)):.1f}"


def recent(run: Run) -> float:
    """The mean loss of the last hundred steps."""
    return float(np.mean(run.losses[-100:]))


def resume_command(path: Path) -> str:
    """What to type to go on: Python and this program as they were called, and the file."""
    return shlex.join([sys.orig_argv[0], sys.argv[0], "train", "--resume", str(path)])


def report(run: Run, data: Text) -> None:
    """At the end of an epoch: the loss in training and on the part held out, and a sample."""
    level = run.options.level
    print(f"epoch {run.epoch}, last 100 steps: {quoted(recent(run), level)}")
    guessing, last = math.log(len(run.vocabulary)), float(np.mean(run.losses[-10:]))
    if last > guessing:
        print(
            f"it does not learn: the last ten steps have {last:.4f} nats, above the {guessing:.4f} of "
            f"guessing; try a smaller --lr than {run.options.lr:g}"
        )
    rng = np.random.default_rng(run.epoch)  # not the run's own, whose draws are for training
    with run.average.applied():
        if len(data.valid):
            loss = run.model.evaluate(data.valid, N=min(25, len(data.valid) - 1))
            run.valid.append((len(run.losses), loss))
            print(f"epoch {run.epoch}, validation:     {quoted(loss, level)}")
        text = "".join(written(run, encode_prompt(run, None), rng, SAMPLE, temperature=0.8))
    print("\n" + "".join(f"    {line}\n" for line in text.strip().split("\n")))


def written(
    run: Run, prompt: Any, rng: np.random.Generator, length: int, **options: Any
) -> Iterator[str]:
    """`length` tokens that the model writes after `prompt`, one by one, as they are written."""
    ids = mr.to_device(np.asarray(prompt), run.options.device)
    previous = run.vocabulary.tokens[prompt[-1]]
    for k in islice(mr.generate(run.model.step, ids, rng, **options), length):
        token = run.vocabulary.tokens[k]
        yield run.vocabulary.written(token, previous)
        previous = token


def sample(o: argparse.Namespace) -> None:
    """Write text, token by token as it comes."""
    run = Run.load(o.file, o)
    prompt = encode_prompt(run, o.prompt)
    if o.picture:
        if run.options.level != "char":
            raise ValueError(f"argument --picture: wants characters, not {run.options.level}")
        if o.unit:
            unit_number(run, o.unit)
        data = run.text_for(o)
    elif o.unit:
        raise ValueError("argument --unit: is for a --picture, want that, too")
    print(o.prompt or "", end="", flush=True)
    said = [run.vocabulary.decode(prompt)]
    how = {"temperature": o.temperature, "top_k": o.top_k, "top_p": o.top_p}
    with run.average.applied():
        for token in written(run, prompt, np.random.default_rng(o.seed), o.length, **how):
            print(token, end="", flush=True)
            said.append(token)
        print()
        if o.picture:
            draw_unit(run, data, "".join(said), o.unit, o.picture)


def encode_prompt(run: Run, prompt: str | None) -> Any:
    """The ids of the prompt, or of something to start from."""
    tokens = run.vocabulary.tokens
    if prompt is None:
        return [tokens.index("\n") if "\n" in tokens else 0]
    try:
        ids = run.vocabulary.encode(prompt)
    except ValueError as error:
        raise ValueError(f"argument --prompt: {command_line.in_a_line(error)}") from None
    if not len(ids):
        raise ValueError(f"argument --prompt: got {prompt!r}, want at least one token")
    return ids


def evaluate(o: argparse.Namespace) -> None:
    """Judge a model on a part of the text that it was not trained on, exactly."""
    run = Run.load(o.file, o)
    data = run.text_for(o)
    ids = getattr(data, o.part)
    if len(ids) <= o.streams:
        raise ValueError(
            f"argument --part: {o.part} has {len(ids):,} tokens of this text, want {o.streams + 1:,} or "
            "more: one for each of --streams and one to predict"
        )
    with threads(o.threads), run.average.applied():
        judge(run, data, o.part, "this model", run.model.evaluate(ids, N=o.streams))
    if o.ngram:
        counted = NGram(np.asarray(data.train), len(data.vocabulary), o.ngram)
        nll = counted.nll(np.asarray(ids))[1:]  # the first token is given to the network, too
        judge(run, data, o.part, f"{o.ngram}-gram (Kneser-Ney)", float(nll.mean()))


def judge(run: Run, data: Text, part: str, who: str, loss: float) -> None:
    """Print a loss on a part of the text, in all units that people quote."""
    tokens, characters = len(getattr(data, part)) - 1, data.characters[part]
    bits = loss / math.log(2) * tokens / characters
    print(
        f"{who} on {part}, {characters:,} characters: {loss:.4f} nats a token, "
        f"perplexity {math.exp(loss):.2f}, {bits:.4f} bits per character"
    )
    if "<unk>" in run.vocabulary.tokens:
        unknown = (np.asarray(getattr(data, part)) == run.vocabulary.tokens.index("<unk>")).mean()
        print(f"  {unknown:.1%} of the tokens are <unk>, whose letters are not paid for")


if __name__ == "__main__":
    command_line.run(main)
