"""Floating-point numbers in every scan: how far from the truth, and where some are not finite."""

from __future__ import annotations

import numpy as np
import pytest
from scans import SCANS, each_scan, everything

from minirnn.recurrent import Recurrent

# float32 from 0 to infinity, evenly by their bits, and closely where tanh bends
BITS = np.concatenate(
    [np.arange(0, 0x7F800001, 131101), np.arange(0x3F000000, 0x41102DE0, 2999), [1, 2, 0x7F7FFFFF]]
)
VALUES = np.concatenate([BITS.astype(np.uint32).view(np.float32), [np.float32(100)]])
VALUES = np.concatenate([VALUES, -VALUES])
END = {"numba": 9.02, "numpy": 10.01, "generic": 10.01}  # of tanh's slope; NumPy goes on to 10


def squashed(cell, scan, values):
    """What `cell` makes of pre-activations (M,): its gates and its h, by name."""
    net = Recurrent(cell, 1, 1, rng=0, scan=scan)
    for name, p in net.named_parameters().items():
        p.data = np.full(p.shape, name == "l0.U", np.float32)
    ys, _, cache = net.forward(values[None, None])
    return {"h": ys[0, 0]} | {name: cache[f"l0.{name}"][0, 0] for name in cell.gates}


@pytest.mark.parametrize(
    ("cell", "scan"),
    [pytest.param(c, s, id=f"{c.name}-{s}") for c, s in SCANS if "relu" not in c.name],
)
def test_tanh_and_the_logistic_function_are_right_to_3e_7(cell, scan):
    found = squashed(cell, scan, VALUES)
    a = VALUES.astype(np.float64)
    with np.errstate(over="ignore"):
        tanh, logistic = np.tanh(a), 1 / (1 + np.exp(-a))
    for name in found.keys() & set("ifozr"):
        assert np.abs(found[name] - logistic).max() <= 3e-7, name
        assert set(found[name][a > 2 * END[scan]]) == {1}, name
        assert set(found[name][a < -2 * END[scan]]) == {0}, name
    for name in found.keys() & (set("gn") if len(cell.gates) > 1 else {"h"}):
        assert (np.abs(found[name] - tanh) <= 3e-7 * np.abs(tanh)).all(), name
        far = np.abs(a) > END[scan]
        assert (found[name][far] == np.sign(a[far])).all(), name
    bad = squashed(cell, scan, np.array([np.nan, 1], np.float32))
    for name, value in bad.items():
        assert np.isnan(value).tolist() == [True, False], name


@each_scan
def test_a_shut_gate_keeps_nothing_and_an_open_one_all(cell, scan):
    net = Recurrent(cell, 1, 1, rng=0, scan=scan)
    for p in net.parameters():
        p.data = np.zeros(p.shape)
    b = net.named_parameters()["l0.b"]
    for gate, kept in ((-100, 0), (100, 1)):
        if "f" in cell.gates:
            b.data = np.float32(gate) * np.array([name == "f" for name in cell.gates])[:, None]
            state = np.zeros((1, 1, 1)), np.full((1, 1, 1), 1e10)
        elif "z" in cell.gates:
            b.data = np.float32(gate) * np.array([name == "z" for name in cell.gates])[:, None]
            state = (np.full((1, 1, 1), 1e10),)
        else:
            return
        x = np.zeros((1, 1, 1))
        _, final, _ = net.forward(x, state)
        _, stepped = net.step(x[0], state)
        for found in (final, stepped):
            assert found[-1].item() == np.float32(1e10) * kept


@each_scan
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_goes_where_the_equations_take_it(cell, scan, value, rng):
    T, D, N, H = 3, 5, 3, 10
    plain, net = (Recurrent(cell, D, H, rng=0, scan=s) for s in ("generic", scan))
    parameters = plain.parameters()
    given = {
        "x": rng.standard_normal((T, D, N)),
        "dys": rng.standard_normal((T, H, N)),
        **{f"state {s}": rng.standard_normal((1, H, N)) for s in cell.states},
        **{f"dstate {s}": rng.standard_normal((1, H, N)) for s in cell.states},
        **{p.name: p.data.astype(np.float64) for p in parameters},
    }
    for name, array in given.items():
        # In a step that is not there, 0 times an infinite weight is NaN in some scans only
        weights = name.startswith("l0.")
        for lengths in (None,) if weights else (None, [3, 1, 2]):
            place = tuple(rng.integers(size) for size in array.shape)
            kept, array[place] = array[place], value
            with np.errstate(all="ignore"):
                both = []
                for one in (plain, net):
                    for p in one.parameters():
                        p.data = given[p.name]
                    state, dstate = (
                        tuple(given[f"{d}state {s}"] for s in cell.states) for d in ("", "d")
                    )
                    both.append(everything(one, given["x"], state, lengths, given["dys"], dstate))
            wanted, found = both
            for result in wanted:
                here, there = np.isfinite(found[result]), np.isfinite(wanted[result])
                if lengths and scan == "numba":  # which has no 0 times infinity in such steps
                    there |= here
                assert np.array_equal(here, there), f"{name}{list(place)}, {result}"
            array[place] = kept


@each_scan
@pytest.mark.parametrize(
    ("T", "N", "D", "H", "lengths"),
    [
        (6, 1, 5, 5, False),
        (28, 16, 28, 48, False),
        (60, 5, 20, 33, True),
        (400, 3, 3, 20, False),
        (99, 170, 3, 16, False),
    ],
)
def test_float32_is_within_1e_6_of_float64(cell, scan, T, N, D, H, lengths):
    rng = np.random.default_rng(T)
    net, truth = (
        Recurrent(cell, D, H, dtype=dtype, rng=0, scan=s)
        for dtype, s in (("float32", scan), ("float64", "numpy"))
    )
    x, dys = (rng.standard_normal((T, rows, N)).astype(np.float32) for rows in (D, H))
    for p, same in zip(truth.parameters(), net.parameters(), strict=True):
        p.data = same.data
    ends = rng.integers(0, T + 1, N) if lengths else None
    wanted = everything(truth, x, None, ends, dys, None)
    found = everything(net, x, None, ends, dys, None)
    for name, value in wanted.items():
        error = np.linalg.norm(found[name] - value) / max(np.linalg.norm(value), 1e-6)
        assert error <= 1e-6, f"{name}: {error:.1e}"


@each_scan
def test_numpy_raises_nothing_for_what_is_rounded_to_zero(cell, scan, rng):
    net = Recurrent(cell, 3, 20, 2, dropout=0.2, rng=0, scan=scan)
    for scale in (1e-38, 1.0, 1e3):
        x, dys, tiny = (rng.standard_normal((5, k, 2)).astype(np.float32) for k in (3, 20, 20))
        x *= np.float32(scale)
        tiny *= np.float32(1e-38)
        with np.errstate(all="raise"):
            _, state, cache = net.forward(x, None, [5, 2], rng)
            for dy in (dys, tiny):
                net.backward(cache, dy)
            net.step(x[0], state)


@each_scan
def test_arrays_may_lie_anywhere(cell, scan, rng):
    """At odd addresses, in any order, read-only."""
    net = Recurrent(cell, 3, 5, rng=0, scan=scan)

    def odd(array):
        room = np.zeros(array.nbytes + 1, np.uint8)[1:]
        moved = room.view(array.dtype).reshape(array.shape)
        moved[...] = array
        moved.flags.writeable = False
        assert not moved.flags.aligned
        return moved

    def turned(array):
        return array.transpose().copy().transpose()

    def reversed_(array):
        return array[..., ::-1].copy()[..., ::-1]

    for N in (1, 4):
        x, dys = (rng.standard_normal((6, k, N)).astype(np.float32) for k in (3, 5))
        state = tuple(rng.standard_normal((1, 5, N)).astype(np.float32) for _ in cell.states)
        wanted = everything(net, x, state, None, dys, state), net.step(x[0], state)
        for move in (odd, turned, reversed_):
            at = tuple(map(move, state))
            found = everything(net, move(x), at, None, move(dys), at), net.step(move(x[0]), at)
            for name, value in wanted[0].items():
                assert np.allclose(found[0][name], value, rtol=1e-5, atol=1e-6), name
            assert np.allclose(found[1][0], wanted[1][0], rtol=1e-5, atol=1e-6)
