"""What all sides share: their names, what they are told, and the parts of a training step."""

from __future__ import annotations

from .timing import Side

Parts = dict[str, Side]

# A small rate: a network that had learnt its only batch by heart would meet other numbers, some of them
# so small that processors take long over them, and how many depends on how long it has been measured.
LR, CLIP = 1e-6, 5.0
TF32 = " tf32"  # ends the name of a side that may use TensorFloat-32 in its products
HOST = ("numpy", "numba")  # scans that run on the CPU, whatever else is measured
LABELS = {
    "generic": "minirnn generic",
    "fused": "minirnn fused",
    "fused tf32": "minirnn fused, TF32",
    "persistent": "minirnn persistent",
    "persistent tf32": "minirnn persistent, TF32",
    "registers": "laboratory registers",
    "tensor-cores tf32": "laboratory tensor cores",
    "numpy": "minirnn numpy",
    "numba": "minirnn numba",
    "torch": "PyTorch",
    "torch tf32": "PyTorch, TF32",
    "compiled": "PyTorch compiled",
    "torch cells": "PyTorch cells",
    "textbook": "textbook NumPy",
    "products": "products alone",
    "large": "large products",
    "limit": "product limit",
    "limit tf32": "product limit, TF32",
}


def precision_of(side: str) -> str:
    """``"tf32"`` or ``"float32"``."""
    return "tf32" if side.endswith(TF32) else "float32"


class Unavailable(Exception):
    """A side that cannot run here, and why."""
