"""Text for whatever letters standard output has: a terminal may be of ASCII, or of Cyrillic letters."""

from __future__ import annotations

import codecs
import io
import sys

PLAIN = "minirnn.plain"  # the name of the handler of errors
SIGNS = {
    "×": "x", "·": "*", "⊙": "*", "Δ": "d", "∂": "d", "Σ": "sum ", "√": "sqrt ", "±": "+-", "−": "-",
    "–": "-", "—": "-", "≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "→": "->", "←": "<-", "∞": "inf",
    "…": "...", "²": "^2", "“": '"', "”": '"', "‘": "'", "’": "'", "′": "'", "µ": "u", "μ": "u",
}  # fmt: skip


def printable(text: str) -> str:
    """`text`, with plain signs, or escapes, for what standard output cannot print."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, PLAIN).decode(encoding)


def print_plainly(line_buffering: bool | None = None) -> None:
    """Have whatever a program prints be `printable`."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=PLAIN, line_buffering=line_buffering)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    escaped = (SIGNS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in letters)
    return "".join(escaped), error.end


codecs.register_error(PLAIN, _plain)
