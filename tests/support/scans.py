"""Every cell on every scan that can run it, which tests are parametrised over; all results of a scan."""

import numpy as np
import pytest

import minirnn as mr
from minirnn.backend import get_backend
from minirnn.cells import CELLS
from minirnn.kernels.choice import available

SCANS = [(cell, scan) for cell in CELLS for scan in available(cell, get_backend("cpu"))]

each_scan = pytest.mark.parametrize(
    ("cell", "scan"), SCANS, ids=[f"{cell.name}-{scan}" for cell, scan in SCANS]
)


def moved(value, device):
    """Arrays, or tuples of them, on the device."""
    if isinstance(value, tuple):
        return tuple(moved(part, device) for part in value)
    return None if value is None else mr.to_device(value, device)


def everything(net, x, state, lengths, dys, dstate, want_dx=True, every=None):
    """All that forward and backward give, by name, on the host."""
    device = net.backend.name
    net.zero_grad()
    ys, final, cache = net.forward(
        moved(x, device), moved(state, device), lengths, recompute_every=every
    )
    dx, initial = net.backward(cache, moved(dys, device), moved(dstate, device), want_dx=want_dx)
    assert (dx is None) == (not want_dx or x.ndim == 2)
    found = {"ys": ys} | ({} if dx is None else {"dx": dx})
    found |= {f"{s} after": part for s, part in zip(net.cell.states, final, strict=True)}
    found |= {f"d{s} before": part for s, part in zip(net.cell.states, initial, strict=True)}
    found |= {p.name: p.grad for p in net.parameters()}
    found |= {f"cache {name}": cache[name] for name in cache.names()}
    return {name: mr.to_host(value).copy() for name, value in found.items()}


def assert_close(got, wanted, tol):
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert (got[name].shape, got[name].dtype) == (value.shape, value.dtype), name
        size = max(np.abs(value).max(initial=0), 1e-6)
        assert np.abs(got[name] - value).max(initial=0) <= tol * size, name


def assert_near_float32(cell, got, wanted):
    """Within 2e-3; but where a unit falls to the other side of relu's kink, gradients jump."""
    bar = 0.1 if "relu" in cell.name else 2e-3
    forward = {
        name for name in wanted if name.startswith(("ys", "cache")) or name.endswith("after")
    }
    for names, tol in ((forward, 2e-3), (wanted.keys() - forward, bar)):
        assert_close_in_norm(
            *({n: found[n] for n in sorted(names)} for found in (got, wanted)), tol
        )


def assert_close_in_norm(got, wanted, tol):
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert (got[name].shape, got[name].dtype) == (value.shape, value.dtype), name
        size = max(np.linalg.norm(value), 1e-6)
        assert np.linalg.norm(got[name] - value) <= tol * size, name
