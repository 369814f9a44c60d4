"""Layers beside recurrent ones, and how layers are run one after the other."""

from .embedding import Embedding, OneHot
from .linear import Linear
from .stateless import Activation, Dropout, Sequential, StatelessLayer

__all__ = [
    "Activation",
    "Dropout",
    "Embedding",
    "Linear",
    "OneHot",
    "Sequential",
    "StatelessLayer",
]
