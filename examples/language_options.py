"""The options of shakespeare.py: what they are by themselves, in presets, and on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from command_line import Parser
from language_types import (
    NOT_NEGATIVE,
    NUCLEUS,
    POSITIVE,
    RATE,
    SHARE,
    device,
    picture_file,
    run_file,
    whole,
)
from texts import NAMES

from minirnn.data import LEVELS
from minirnn.kernels.choice import SCANS
from minirnn.recurrent.by_name import of_cell

# Every option of a run that its file remembers, and what it is without a preset
OPTIONS: dict[str, Any] = {
    "text": "shakespeare",
    "files": "*",
    "level": "char",
    "vocabulary": None,
    "cell": "lstm",
    "layers": 2,
    "hidden": 128,
    "embedding": None,
    "share": False,
    "dropout": 0.0,
    "window": 50,
    "streams": 50,
    "epochs": 10,
    "lr": 3e-3,
    "warmup": 100,
    "clip": 5.0,
    "decay": 0.0,
    "average": 0.0,
    "valid": 0.05,
    "test": 0.1,
    "seed": 0,
    "device": "cpu",
    "precision": "float32",
    "scan": "auto",
    "threads": 0,
    "save_every": 200,
}
HOW = ("device", "precision", "scan")  # to compute, of which the weights know nothing
# Those of them that may change when a run goes on; how it is computed makes it round differently
FREE = ("text", "files", *HOW, "threads", "save_every")
# What weights are made for: a run that starts from another one's has these of it
SHAPE = ("level", "vocabulary", "cell", "layers", "hidden", "embedding", "share")
PRECISIONS = {"float32": None, "tf32": "tf32"}

PRESETS: dict[str, dict[str, Any]] = {
    "small": {"hidden": 128, "window": 50, "streams": 50, "epochs": 12, "lr": 1e-2},
    "base": {"hidden": 256, "dropout": 0.25, "window": 64, "streams": 64, "lr": 8e-3},
    "best": {
        "hidden": 384,
        "dropout": 0.35,
        "window": 64,
        "streams": 64,
        "lr": 6e-3,
        "clip": 1.0,
        "average": 0.998,
    },
    "karpathy": {"hidden": 512, "layers": 3, "dropout": 0.5, "epochs": 50, "lr": 2e-3},
    "words": {
        "level": "word",
        "vocabulary": 10_000,
        "layers": 1,
        "hidden": 256,
        "embedding": 256,
        "share": True,
        "dropout": 0.3,
        "window": 35,
        "streams": 32,
        "epochs": 5,
        "lr": 6e-3,
        "clip": 1.0,
    },
}


def flag(name: str) -> str:
    """An option as it is typed."""
    return "--" + name.replace("_", "-")


def complete(o: argparse.Namespace, of_weights: argparse.Namespace | None = None) -> None:
    """Give a new run the options that were not given, from its preset or by default; check them all.

    With `of_weights`, those of the run whose weights it starts from, it is of the same shape.
    """
    preset = PRESETS[o.preset] if o.preset else {}
    for name in SHAPE if of_weights else ():
        given, there = getattr(o, name), getattr(of_weights, name)
        if given is not None and given != there:
            raise ValueError(
                f"argument {flag(name)}: got {given}, but the weights of {o.weights} are for {there}"
            )
        preset = {**preset, name: there}
    for name, default in OPTIONS.items():
        if getattr(o, name) is None:
            setattr(o, name, preset.get(name, default))
    if o.valid + o.test >= 1:
        raise ValueError(
            f"argument --valid: got {o.valid:g}, and --test {o.test:g}; want less than 1 together, "
            "as the rest is to train on"
        )
    if o.share and o.embedding != o.hidden:
        raise ValueError(
            f"argument --share: one matrix for both needs --embedding {o.hidden}, as --hidden is, "
            f"got {o.embedding}"
        )
    check_how(o)


def check_how(o: argparse.Namespace) -> None:
    """Raise a ValueError that names the option unless layers can be computed as the options say."""
    options = {"precision": PRECISIONS[o.precision], "scan": o.scan}
    try:
        of_cell(o.cell)(1, o.hidden, device=o.device, **options)
    except RuntimeError as error:  # options were looked at when they were read, files were not
        raise ValueError(
            f"argument --device: the run was on {o.device}, and {error}; or name another, such as cpu"
        ) from None
    except ValueError as error:
        raise ValueError(f"argument --{error}") from None  # which begins with the option's name


def move(saved: argparse.Namespace, o: argparse.Namespace) -> None:
    """Put how to compute into the options of a run from a file; what is None stays as it was.

    But precision and scan are those of a kind of device: on another one they start from their defaults.
    """
    kind, before = (name.partition(":")[0] for name in (o.device or saved.device, saved.device))
    for name in HOW:
        if kind != before:
            setattr(saved, name, OPTIONS[name])
        if getattr(o, name) is not None:
            setattr(saved, name, getattr(o, name))
    check_how(saved)


def complete_resumed(o: argparse.Namespace, saved: argparse.Namespace) -> None:
    """Put the options that were given into those of the run that goes on, if they may change."""
    for name in ("preset", "out", "overwrite", "weights"):
        if getattr(o, name):
            raise ValueError(f"argument --{name}: is for a new run, and cannot be with --resume")
    for name in OPTIONS:
        given, is_now = getattr(o, name), getattr(saved, name)
        if given is None or given == is_now:
            continue
        if name == "epochs" and given < is_now:
            raise ValueError(
                f"argument --epochs: got {given}, but the run of {o.resume} has {is_now}, want more"
            )
        if name not in (*FREE, "epochs"):
            raise ValueError(
                f"argument {flag(name)}: got {given}, but the run of {o.resume} has {is_now}, "
                "which cannot change on the way; a new run with its weights is --weights"
            )
        setattr(saved, name, given)


def parser_of_all(description: str) -> argparse.ArgumentParser:
    """The command line of train, sample and eval; the first line of `description` says what it is."""
    first, _, rest = description.partition("\n")
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(description=first, epilog=rest, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True)
    add_train(commands.add_parser("train", help="train a model, or go on training it"))
    add_sample(commands.add_parser("sample", help="write text with a trained model"))
    add_eval(commands.add_parser("eval", help="judge a trained model on text it has not seen"))
    return parser


def add_train(parser: argparse.ArgumentParser) -> None:
    """The options of training; one that is not given is None, and comes from `complete`."""

    def add(name: str, help: str, *also: str, **how: Any) -> None:
        default = OPTIONS[name]
        if default is not None and default is not False:
            help += f" (default {default})"
        parser.add_argument(flag(name), *also, default=None, help=help, **how)

    parser.add_argument("--preset", choices=PRESETS, help="options that go together")
    parser.add_argument(
        "--resume",
        type=run_file,
        metavar="FILE",
        help="go on with this run; when it is at its end, with more --epochs",
    )
    parser.add_argument(
        "--weights", type=run_file, metavar="FILE", help="start a new run from those of this one"
    )
    parser.add_argument(
        "--out", type=run_file, metavar="FILE", help="where to save (default out/PRESET.npz)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is in FILE")
    known = "; ".join(f"{name}: {what}" for name, what in NAMES.items())
    add("text", f"a file or folder in UTF-8, or one of these: {known}", "--data")
    add("files", 'which files of a folder, such as "*.py"')
    add("level", "what a token is", choices=LEVELS)
    add("vocabulary", "at most so many different tokens, the others are <unk>", type=whole(2))
    add("cell", "of the recurrent layers", choices=("rnn", "lstm", "gru"))
    add("layers", "recurrent layers", type=whole(1))
    add("hidden", "units of each", type=whole(1))
    add("embedding", "numbers per token; without, tokens are one-hot columns", type=whole(1))
    add("share", "one matrix for embedding and output", action="store_const", const=True)
    add("dropout", "share of units set to zero in training", type=SHARE)
    add("window", "steps back through which gradients go", type=whole(1))
    add("streams", "places of the text that are read side by side", type=whole(1))
    add("epochs", "times through the text", type=whole(1))
    add("lr", "learning rate of Adam, at its highest", type=RATE)
    add("warmup", "steps in which it rises, to fall along half a cosine after", type=whole(0))
    add("clip", "longest gradient, longer ones are scaled down", type=POSITIVE)
    add("decay", "weight decay (AdamW)", type=NOT_NEGATIVE)
    add("average", "judge a moving average of the weights; 0.999 is of 1000", type=SHARE)
    add("valid", "share of the text, before the test part, to watch progress on", type=SHARE)
    add("test", "share of the text, at its end, that training never sees", type=SHARE)
    add("seed", "of the initial weights and of dropout", type=whole(0))
    add("device", '"cpu", "cuda" or "cuda:1"', type=device)
    add("precision", PRECISION, choices=PRECISIONS)
    add("scan", SCAN, choices=SCANS)
    add("threads", THREADS.removesuffix(" (default 0)"), type=whole(0), metavar="N")
    add(
        "save_every",
        "save after so many steps, and after each epoch",
        type=whole(1),
        metavar="STEPS",
    )


def add_sample(parser: argparse.ArgumentParser) -> None:
    """The options of writing, which is in float32 whatever a run was trained in."""
    add_trained(parser)
    parser.set_defaults(precision="float32", scan="auto")
    add = parser.add_argument
    add("--length", type=whole(1), default=500, help="tokens to write (default 500)")
    add("--prompt", help="how the text begins")
    add(
        "--temperature",
        type=NOT_NEGATIVE,
        default=1.0,
        help="1 as it was learned, below 1 more cautious, 0 always the likeliest (default 1)",
    )
    add("--top-k", type=whole(1), metavar="K", help="choose among the K likeliest tokens")
    add("--top-p", type=NUCLEUS, metavar="P", help="among the likeliest whose shares sum to P")
    add("--seed", type=whole(0), help="the same seed writes the same text")
    add("--picture", type=picture_file, metavar="PNG", help="draw the text on a unit's activity")
    add("--unit", metavar="l1.37", help="of layer 1 number 37 (default: the most telling one)")


def add_eval(parser: argparse.ArgumentParser) -> None:
    """The options of judging."""
    add_trained(parser)
    add = parser.add_argument
    add("--part", choices=("test", "valid"), default="test", help="(default test)")
    add("--streams", type=whole(1), default=1, help="1 is exact, 50 a good deal faster (default 1)")
    add("--ngram", type=whole(1), metavar="N", help="judge counts of N tokens on this text, too")
    add("--precision", choices=PRECISIONS, default="float32", help=f"{PRECISION} (default float32)")
    add("--scan", choices=SCANS, default="auto", help=f"{SCAN} (default auto)")
    add("--threads", type=whole(0), default=0, metavar="N", help=THREADS)


def add_trained(parser: argparse.ArgumentParser) -> None:
    """What writing and judging have in common."""
    add = parser.add_argument
    add("file", type=Path, help="of the trained model, such as out/small.npz")
    add("--device", type=device, help='"cpu", "cuda" or "cuda:1" (default: where it was trained)')
    add("--text", "--data", help="a file, a folder or a name (default: that of training)")
    add("--files", help='which files of a folder, such as "*.py"')


PRECISION = (
    "of products; tf32, for CUDA devices, keeps 10 bits behind the point of what is multiplied"
)
SCAN = "what runs the loop over time; auto is the fastest, on CUDA of those that have passed their tests"
THREADS = (
    "split the batch among so many threads; 0 takes as many as BLAS has where Numba is installed, "
    "and lets BLAS split each product where not (default 0)"
)
