"""Models of text and of translation, what is drawn from them, and what counting gets."""

from .decoding import beam_search, greedy_search
from .language import LanguageModel
from .sampling import generate, next_token_probabilities, sample_token
from .seq2seq import EncoderDecoder

__all__ = [
    "EncoderDecoder",
    "LanguageModel",
    "beam_search",
    "generate",
    "greedy_search",
    "next_token_probabilities",
    "sample_token",
]
