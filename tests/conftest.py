"""Fixtures for all tests."""

import importlib

import numpy as np
import pytest
from helpers import ROOT


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def example(monkeypatch):
    """A function that imports a module of examples/ by its name."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module
