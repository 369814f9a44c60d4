"""Recurrent networks: layers times directions, each of them a scan."""

from .by_name import GRU, LSTM, RNN
from .cache import Cache
from .last import Last
from .network import Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Cache", "Last", "Recurrent"]
