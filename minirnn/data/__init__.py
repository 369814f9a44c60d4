"""Data on its way to a network: text, series, batches. All of it is on the host, in NumPy arrays."""

from .batches import batch_first, batches, one_hot, pad, real_steps, time_first
from .series import MinMaxScaler, chronological_split, windows
from .text import Streams, encode, read_text, section
from .vocabulary import LEVELS, UNKNOWN, Ids, Vocabulary, split

__all__ = [
    "LEVELS",
    "UNKNOWN",
    "Ids",
    "MinMaxScaler",
    "Streams",
    "Vocabulary",
    "batch_first",
    "batches",
    "chronological_split",
    "encode",
    "one_hot",
    "pad",
    "read_text",
    "real_steps",
    "section",
    "split",
    "time_first",
    "windows",
]
