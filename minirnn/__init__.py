"""minirnn: recurrent networks from scratch, on NumPy and CuPy."""

from .attention import Attention
from .backend import to_device, to_host
from .cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from .checkpoint import load, save
from .gradcheck import gradcheck
from .kernels.pool import threads
from .layer import Layer
from .layers import (
    Activation,
    Dropout,
    Embedding,
    Linear,
    OneHot,
    Sequential,
    StatelessLayer,
)
from .losses import mse, softmax_cross_entropy
from .model import Model
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
from .parameter import Parameter
from .recurrent import GRU, LSTM, RNN, Cache, Last, Recurrent
from .report import explain, summary
from .text import (
    EncoderDecoder,
    LanguageModel,
    beam_search,
    generate,
    greedy_search,
    next_token_probabilities,
    sample_token,
)

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
