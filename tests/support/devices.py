"""What the tests of devices use: the same work on the host and on a device."""

import numpy as np
import pytest

import minirnn as mr
from minirnn.backend import get_backend


def _missing():
    """Why there is no CUDA device; empty if there is one."""
    try:
        get_backend("cuda")
    except RuntimeError as error:
        return str(error)
    return ""


MISSING = _missing()
NEEDS_DEVICE = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(MISSING), reason=MISSING or "there is a CUDA device"),
]


class Place:
    """A device, and random arrays on it that are the same on all of them."""

    def __init__(self, device):
        self.device, self.rng = device, np.random.default_rng(0)
        self.options = {"dtype": "float64", "device": device, "rng": 0}

    def put(self, array):
        return mr.to_device(np.asarray(array), self.device)

    def normal(self, *shape):
        return self.put(self.rng.normal(size=shape))

    def tokens(self, K, *shape):
        return self.put(self.rng.integers(0, K, shape))


def leaves(value):
    """All that is not a dict, list or tuple, in its order."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in leaves(part)]
    return [value]


def same(work, device, on_host=False, bar=1e-12):
    """Hold what ``work(Place(device))`` gives to what it gives on the CPU, and look where it is."""
    host, there = (leaves(work(Place(where))) for where in ("cpu", device))
    assert len(host) == len(there)
    where = get_backend("cpu" if on_host else device)
    for a, b in zip(host, there, strict=True):
        if a is None or isinstance(a, str):
            assert a == b
            continue
        assert where.owns(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        b = mr.to_host(b)
        np.testing.assert_allclose(b, a, rtol=0, atol=bar * max(1, np.abs(a).max(initial=0)))


def grads(layer):
    return [p.grad for p in layer.parameters()]
