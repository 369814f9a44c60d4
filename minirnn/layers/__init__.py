"""Layers beside recurrent ones, and how layers are run one after the other."""

from .dropout import Dropout
from .embedding import Embedding, OneHot
from .linear import Linear
from .sequential import Sequential
from .stateless import Activation, StatelessLayer

__all__ = [
    "Activation",
    "Dropout",
    "Embedding",
    "Linear",
    "OneHot",
    "Sequential",
    "StatelessLayer",
]
