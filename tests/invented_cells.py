"""Cells that the engine does not know, each one class: for the tests of what a user's own cell gets."""

from __future__ import annotations

from minirnn.backend import array_module, sigmoid, split_rows, stack_rows, tanh


class SLSTMCell:
    """The sLSTM (Beck et al. 2024, "xLSTM"): exponential gates, scaled by m, and a divisor n."""

    name = "sLSTM"
    gates = ("i", "f", "o", "z")
    states = ("h", "c", "n", "m")

    def shapes(self, D, H):
        return {"U": (4 * H, D), "W": (4 * H, H), "b": (4 * H, 1)}

    def forward(self, P, x, state):
        h, c, n, m = state
        xp = array_module(h)
        a_i, a_f, a_o, a_z = split_rows(P["U"] @ x + P["W"] @ h + P["b"], 4)
        s = sigmoid(a_f)
        kept = xp.log(s) + m
        m_new = xp.maximum(kept, a_i)
        first = (kept > a_i).astype(h.dtype)
        i, f = xp.exp(a_i - m_new), xp.exp(kept - m_new)
        o, z = sigmoid(a_o), tanh(a_z)
        c_new = f * c + i * z
        n_new = f * n + i
        h_new = o * c_new / n_new
        gates = {"i": i, "f": f, "o": o, "z": z, "s": s, "first": first}
        return (h_new, c_new, n_new, m_new), gates

    def backward(self, P, x, state, new, gates, dnew):
        (h, c, n, _), (_, c_new, n_new, _), (dh_new, dc_new, dn_new, dm_new) = state, new, dnew
        i, f, o, z, s, first = (gates[name] for name in ("i", "f", "o", "z", "s", "first"))
        y = c_new / n_new
        do = dh_new * y
        dc_new = dc_new + dh_new * o / n_new
        dn_new = dn_new - do * o / n_new
        dz = dc_new * i
        de_i = (dc_new * z + dn_new) * i
        de_f = (dc_new * c + dn_new * n) * f
        dm_new = dm_new - de_i - de_f
        dm = de_f + dm_new * first
        da_i = de_i + dm_new * (1 - first)
        da = stack_rows(da_i, dm * (1 - s), do * o * (1 - o), dz * (1 - z * z))
        dP = {"U": da @ x.T, "W": da @ h.T, "b": da.sum(axis=1, keepdims=True)}
        return P["U"].T @ da, (P["W"].T @ da, dc_new * f, dn_new * f, dm), dP
