"""Fixtures for all tests."""

import importlib
import sys

import numpy as np
import pytest
import stand_in as stand_in_for_cupy
from helpers import ROOT

import minirnn as mr


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def example(monkeypatch):
    """A function that imports a module of examples/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in for CuPy in place of CuPy."""
    monkeypatch.setitem(sys.modules, "cupy", stand_in_for_cupy)
    stand_in_for_cupy.synchronised.clear()
    return stand_in_for_cupy


def _missing_device():
    try:
        mr.to_device(np.zeros(1), "cuda")
    except RuntimeError as error:
        return str(error)
    return ""


_MISSING = _missing_device()
_REAL = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING or "there is a device"),
]


@pytest.fixture(params=["stand-in", pytest.param("cuda:0", marks=_REAL)])
def device(request):
    """A CUDA device, and the second one of the stand-in, which is never the current one."""
    if request.param != "stand-in":
        return request.param
    request.getfixturevalue("stand_in")
    return "cuda:1"
