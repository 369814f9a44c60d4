"""Every cell on every scan that can run it: what the tests of the engine are parametrised over."""

import pytest

from minirnn.backend import get_backend
from minirnn.cells import CELLS
from minirnn.kernels import available

SCANS = [(cell, scan) for cell in CELLS for scan in available(cell, get_backend("cpu"))]

each_scan = pytest.mark.parametrize(
    ("cell", "scan"), SCANS, ids=[f"{cell.name}-{scan}" for cell, scan in SCANS]
)
