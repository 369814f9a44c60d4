"""Optimizers, and what else belongs to a step: schedules, clipping, an average of the parameters."""

from .average import Average
from .clip import clip_grad_norm, clip_grad_value
from .optimizer import Optimizer
from .rules import SGD, Adagrad, Adam, AdamW, RMSprop
from .schedules import Constant, CosineWarmup, Schedule, StepDecay

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Average",
    "Constant",
    "CosineWarmup",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepDecay",
    "clip_grad_norm",
    "clip_grad_value",
]
