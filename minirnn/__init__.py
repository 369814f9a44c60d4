"""minirnn: recurrent networks from scratch, on NumPy and CuPy."""

from .attention import Attention
from .backend import to_device, to_host
from .cache import Cache
from .cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from .checkpoint import load, save
from .decoding import beam_search, greedy_search
from .embedding import Embedding, OneHot
from .gradcheck import gradcheck
from .language import LanguageModel
from .last import Last
from .layers import Activation, Dropout, Sequential, StatelessLayer
from .linear import Linear
from .losses import mse, softmax_cross_entropy
from .model import Model
from .networks import GRU, LSTM, RNN
from .optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Average,
    Constant,
    CosineWarmup,
    RMSprop,
    StepDecay,
    clip_grad_norm,
    clip_grad_value,
)
from .parameter import Layer, Parameter
from .pool import threads
from .recurrent import Recurrent
from .report import explain, summary
from .sampling import generate, next_token_probabilities, sample_token
from .seq2seq import EncoderDecoder

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Attention",
    "Average",
    "Cache",
    "Constant",
    "CosineWarmup",
    "Dropout",
    "Embedding",
    "EncoderDecoder",
    "GRUCell",
    "GRUResetBeforeCell",
    "LSTMCell",
    "LanguageModel",
    "Last",
    "Layer",
    "Linear",
    "Model",
    "OneHot",
    "Parameter",
    "RMSprop",
    "RNNCell",
    "Recurrent",
    "Sequential",
    "StatelessLayer",
    "StepDecay",
    "beam_search",
    "clip_grad_norm",
    "clip_grad_value",
    "explain",
    "generate",
    "gradcheck",
    "greedy_search",
    "load",
    "mse",
    "next_token_probabilities",
    "sample_token",
    "save",
    "softmax_cross_entropy",
    "summary",
    "threads",
    "to_device",
    "to_host",
]
