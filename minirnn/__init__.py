"""minirnn: recurrent networks from scratch, on NumPy and CuPy."""

from .backend import to_device, to_host
from .cache import Cache
from .cells import GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from .clip import clip_grad_norm, clip_grad_value
from .gradcheck import gradcheck
from .layers import Activation, Dropout, Embedding, Linear, OneHot, Sequential, StatelessLayer
from .losses import mse, softmax_cross_entropy
from .model import Model
from .networks import GRU, LSTM, RNN
from .optim import SGD, Adagrad, Adam, AdamW, RMSprop
from .parameter import Layer, Parameter
from .recurrent import Recurrent
from .report import explain, summary
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
    "Cache",
    "Constant",
    "CosineWarmup",
    "Dropout",
    "Embedding",
    "GRUCell",
    "GRUResetBeforeCell",
    "LSTMCell",
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
    "gradcheck",
    "mse",
    "softmax_cross_entropy",
    "summary",
    "to_device",
    "to_host",
]
