"""Fixtures for all tests, and options of the command line."""

import importlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import stand_in as stand_in_for_cupy
from browser import browser_page, chromium, site  # noqa: F401, which pytest finds here by their names
from devices import NEEDS_DEVICE
from helpers import compile_scan
from proven import (  # noqa: F401, which pytest finds here by their names
    pytest_collection_modifyitems,
    pytest_runtest_logreport,
    pytest_sessionfinish,
)


def pytest_addoption(parser):
    group = parser.getgroup("minirnn")
    group.addoption("--site", type=Path, help="the built site; without it, the tests build it")
    group.addoption("--screenshots", type=Path, help="folder for pictures of every page")
    group.addoption(
        "--commit", help="of the sources, for the list of proofs, where git cannot tell"
    )


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    """Beside other workers, compile for one dtype, and load what another one compiled for the other."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return  # it is compiled when it is needed
    from filelock import FileLock  # which only workers need

    folder = tmp_path_factory.getbasetemp().parent  # of all workers
    dtypes = ["float32", "float64"]
    if int(worker.removeprefix("gw")) % 2:
        dtypes.reverse()
    for dtype in dtypes:
        with FileLock(folder / f"{dtype}.lock"):
            compile_scan(dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def path(tmp_path):
    """Where there is no checkpoint yet."""
    return tmp_path / "ckpt.npz"


@pytest.fixture
def example():
    """A function that imports a module of examples/ by its name."""
    return importlib.import_module


@pytest.fixture
def stand_in(monkeypatch):
    """The stand-in for CuPy in place of CuPy."""
    monkeypatch.setitem(sys.modules, "cupy", stand_in_for_cupy)
    # It runs no kernels
    monkeypatch.setattr("minirnn.kernels.choice.last_pass", lambda *names: None)
    monkeypatch.setattr(stand_in_for_cupy, "_current", [0])  # programs make another device current
    for counted in ("synchronised", "copied", "launched"):
        getattr(stand_in_for_cupy, counted).clear()
    return stand_in_for_cupy


@pytest.fixture(params=["stand-in", pytest.param("cuda:0", marks=NEEDS_DEVICE)])
def device(request):
    """A CUDA device, and the second one of the stand-in, which is never the current one."""
    if request.param != "stand-in":
        return request.param
    request.getfixturevalue("stand_in")
    return "cuda:1"


@pytest.fixture
def read_prices(tmp_path):
    """A function that writes text to prices.csv, in an encoding, and reads it."""

    def read(text, encoding="utf-8", **options):
        path = tmp_path / "prices.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return importlib.import_module("prices").read_prices(path, **options)

    return read
