"""Files that hold models and all that belongs to a training run."""

from .files import CheckpointError, load, save

__all__ = ["CheckpointError", "load", "save"]
