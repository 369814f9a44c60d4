"""Gradient checking: is a hand-written backward pass the derivative of its forward pass?

`gradcheck` answers for any model and loss; ``python -m minirnn.gradcheck`` prints the proof of every
cell of this package.
"""

from .check import gradcheck
from .report import Report, Row

__all__ = ["Report", "Row", "gradcheck"]
