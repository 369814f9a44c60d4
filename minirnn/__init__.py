"""minirnn: recurrent networks from scratch, on NumPy and CuPy."""

from .average import Average
from .backend import to_device, to_host
from .cache import Cache
from .cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from .checkpoint import load, save
from .clip import clip_grad_norm, clip_grad_value
from .gradcheck import gradcheck
from .language import LanguageModel
from .layers import Activation, Dropout, Embedding, Linear, OneHot, Sequential, StatelessLayer
from .losses import mse, softmax_cross_entropy
from .model import Model
from .networks import GRU, LSTM, RNN
from .optim import SGD, Adagrad, Adam, AdamW, RMSprop
from .parameter import Layer, Parameter
from .pool import threads
from .recurrent import Recurrent
from .report import explain, summary
from .sampling import generate, next_token_probabilities, sample_token
from .schedules import Constant, CosineWarmup, StepDecay

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Average",
    "Cache",
    "Constant",
    "CosineWarmup",
    "Dropout",
    "Embedding",
    "GRUCell",
    "GRUResetBeforeCell",
    "LSTMCell",
    "LanguageModel",
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
    "clip_grad_norm",
    "clip_grad_value",
    "explain",
    "generate",
    "gradcheck",
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
