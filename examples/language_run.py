"""A run of training a language model: what it consists of, and how it goes to a file and comes back."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from command_line import in_a_line
from language_options import OPTIONS, PRECISIONS, move
from texts import text

import minirnn as mr
from minirnn.data import Ids, Vocabulary, encode, section

KIND = "minirnn language model"


@dataclass
class Text:
    """The ids of the three parts of a text, in the order in which they follow one another."""

    vocabulary: Vocabulary
    train: Ids
    valid: Ids
    test: Ids
    characters: dict[str, int]
    digest: str  # of the training part


def prepare(o: argparse.Namespace, vocabulary: Vocabulary | None = None) -> Text:
    """Cut a text into its parts by characters, and number the tokens of each.

    Args:
        o: the options `text`, `files`, `level`, `vocabulary`, `valid` and `test`, the last two being
            shares.
        vocabulary: of an earlier run; None collects the characters of the whole text, or the words of
            the training part.
    """
    try:
        read = text(o.text, o.files)
    except OSError as error:
        raise ValueError(f"argument --text: {in_a_line(error)}") from None
    try:
        total = sum(map(len, read()))
        last = int(total * (1 - o.test))
        ends = [0, last - int(total * o.valid), last, total]
        starts = dict(zip(("train", "valid", "test"), pairwise(ends), strict=True))
        if not ends[1]:
            raise ValueError(f"{o.text} has {total} characters, want more to train on")
        if vocabulary is None:
            seen = read() if o.level == "char" else section(read(), *starts["train"])
            vocabulary = Vocabulary.build(seen, o.level, o.vocabulary)
        ids, digest = {}, ""
        for part, (start, stop) in starts.items():
            if start == stop:
                ids[part] = np.zeros(0, vocabulary.dtype)
                continue
            ids[part], code = encode(section(read(), start, stop), vocabulary)
            digest = digest or code
    except (OSError, ValueError) as error:
        raise ValueError(f"argument --text: {in_a_line(error)}") from None
    sizes = {part: stop - start for part, (start, stop) in starts.items()}
    return Text(vocabulary, **ids, characters=sizes, digest=digest)


@dataclass
class Run:
    """All that a run needs to go on as if it had never been interrupted."""

    options: argparse.Namespace
    vocabulary: Vocabulary
    digest: str  # of the text it is trained on
    steps: int  # in all, for the schedule
    epoch: int = 0
    window: int = 0  # the next one of this epoch
    state: Any = None  # of the network, at the end of the last window
    losses: list[float] = field(default_factory=list)  # of each step, in nats
    valid: list[tuple[int, float]] = field(default_factory=list)  # after so many steps
    weights: dict[str, Any] | None = None  # to start from

    def __post_init__(self) -> None:
        o = self.options
        self.rng = np.random.default_rng(o.seed)
        self.model = mr.LanguageModel(
            len(self.vocabulary),
            o.hidden,
            o.cell,
            o.layers,
            o.embedding,
            o.share,
            o.dropout,
            device=o.device,
            rng=self.rng,
            precision=PRECISIONS[o.precision],
            scan=o.scan,
        )
        if self.weights is not None:
            self.model.load_state_dict(self.weights)
        parameters = self.model.parameters()
        self.optimizer = mr.AdamW(parameters, self.rate(), weight_decay=o.decay)
        self.average = mr.Average(parameters, o.average)

    def rate(self) -> mr.CosineWarmup:
        """The learning rate over all steps."""
        o = self.options
        return mr.CosineWarmup(o.lr, self.steps, min(o.warmup, self.steps - 1))

    def lengthen(self, steps: int) -> None:
        """Have so many steps in all; the learning rate falls over all of them from now on."""
        self.steps = steps
        self.optimizer.lr = self.rate()

    def save(self, path: Path) -> None:
        """Write everything to `path`; the file that was there stays whole until the new one is."""
        state = self.state and [mr.to_host(part) for part in self.state]
        mr.save(
            path,
            kind=KIND,
            options={name: getattr(self.options, name) for name in OPTIONS},
            vocabulary=self.vocabulary.tokens,
            digest=self.digest,
            steps=self.steps,
            epoch=self.epoch,
            window=self.window,
            state=state,
            losses=np.array(self.losses),
            valid=np.array(self.valid).reshape(-1, 2),
            rng=self.rng,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            average=self.average.state_dict(),
        )

    @classmethod
    def load(cls, path: Path, o: argparse.Namespace, argument: str = "file") -> Run:
        """Read a run from a file.

        Args:
            path: of the file.
            o: the options `device`, `precision` and `scan`, None for those of the run.
            argument: gave the file's name.

        Raises:
            ValueError: there is no such file, it is damaged, or not a run; or it cannot be computed so.
        """
        try:
            saved = mr.load(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"argument {argument}: {in_a_line(error)}") from None
        if saved.get("kind") != KIND:
            holds = f"got {path}, which holds {', '.join(saved) or 'nothing'}"
            raise ValueError(f"argument {argument}: {holds}; want the run of a language model")
        options = argparse.Namespace(**OPTIONS | saved["options"])  # newer ones at their defaults
        move(options, o)
        vocabulary = Vocabulary(saved["vocabulary"], options.level)
        run = cls(options, vocabulary, saved["digest"], saved["steps"])
        run.epoch, run.window = saved["epoch"], saved["window"]
        if saved["state"] is not None:
            run.state = tuple(mr.to_device(part, options.device) for part in saved["state"])
        run.losses = saved["losses"].tolist()
        run.valid = [(int(step), loss) for step, loss in saved["valid"].tolist()]
        run.rng = saved["rng"]
        run.model.load_state_dict(saved["model"])
        run.optimizer.load_state_dict(saved["optimizer"])
        run.average.load_state_dict(saved["average"])
        return run

    def prepared(self, given: str | None, options: argparse.Namespace) -> Text:
        """The text of the options, cut and numbered; `given` is what the user named, if anything."""
        try:
            return prepare(options, self.vocabulary)
        except ValueError as error:
            if given is not None:
                raise
            hint = "the run was trained on it: hand over its text by --text"
            raise ValueError(f"{error}; {hint}") from None

    def text_for(self, o: argparse.Namespace) -> Text:
        """The text that the options of writing and judging ask for: by default, that of training."""
        where = {"text": o.text or self.options.text, "files": o.files or self.options.files}
        data = self.prepared(o.text, argparse.Namespace(**vars(self.options) | where))
        if o.text is None and data.digest != self.digest:
            print(
                f"note: {where['text']} is not what it was; the model may have seen any part of it"
            )
        return data


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within a ``with``, use so many threads; 0 leaves them as they are by default."""
    if not count:
        yield
        return
    if importlib.util.find_spec("threadpoolctl") is None:
        raise RuntimeError(
            f"argument --threads: {count} need threadpoolctl: pip install threadpoolctl; "
            "or 0, which leaves them to BLAS and rounds differently"
        )
    with mr.threads(count):
        yield
