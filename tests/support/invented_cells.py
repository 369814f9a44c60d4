"""Cells that the engine does not know, each one class: for the tests of what a user's own cell gets."""

from __future__ import annotations

import numpy as np

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


class UGRNNCell:
    """The update gate RNN (Collins et al. 2016): the LSTM's c and the GRU's mixing."""

    name = "UGRNN"
    gates = ("g", "n")
    states = ("h",)

    def shapes(self, D, H):
        return {"U": (2 * H, D), "W": (2 * H, H), "b": (2 * H, 1)}

    def forward(self, P, x, state):
        (h,) = state
        a_g, a_n = split_rows(P["U"] @ x + P["W"] @ h + P["b"], 2)
        g, n = sigmoid(a_g), tanh(a_n)
        return (g * h + (1 - g) * n,), {"g": g, "n": n}

    def backward(self, P, x, state, new, gates, dnew):
        (h,), (dh_new,), g, n = state, dnew, gates["g"], gates["n"]
        da = stack_rows(dh_new * (h - n) * g * (1 - g), dh_new * (1 - g) * (1 - n * n))
        dP = {"U": da @ x.T, "W": da @ h.T, "b": da.sum(axis=1, keepdims=True)}
        return P["U"].T @ da, (dh_new * g + P["W"].T @ da,), dP


class PeepholeCell:
    """The LSTM of Gers & Schmidhuber 2000: gates look at c, each unit through weights of its own."""

    name = "peephole LSTM"
    gates = ("i", "f", "o", "g")
    states = ("h", "c")

    def shapes(self, D, H):
        return {"U": (4 * H, D), "W": (4 * H, H), "b": (4 * H, 1), "p": (2 * H, 1), "po": (H, 1)}

    def forward(self, P, x, state):
        h, c = state
        pi, pf = split_rows(P["p"], 2)
        a_i, a_f, a_o, a_g = split_rows(P["U"] @ x + P["W"] @ h + P["b"], 4)
        i, f, g = sigmoid(a_i + pi * c), sigmoid(a_f + pf * c), tanh(a_g)
        c_new = f * c + i * g
        o = sigmoid(a_o + P["po"] * c_new)
        return (o * tanh(c_new), c_new), {"i": i, "f": f, "o": o, "g": g}

    def backward(self, P, x, state, new, gates, dnew):
        (h, c), (_, c_new), (dh_new, dc_new) = state, new, dnew
        i, f, o, g = (gates[name] for name in self.gates)
        pi, pf = split_rows(P["p"], 2)
        y = tanh(c_new)
        da_o = dh_new * y * o * (1 - o)
        dc_new = dc_new + dh_new * o * (1 - y * y) + P["po"] * da_o
        da_i, da_f = dc_new * g * i * (1 - i), dc_new * c * f * (1 - f)
        da = stack_rows(da_i, da_f, da_o, dc_new * i * (1 - g * g))
        dP = {"U": da @ x.T, "W": da @ h.T, "b": da.sum(axis=1, keepdims=True)}
        dP["p"] = stack_rows(da_i * c, da_f * c).sum(axis=1, keepdims=True)
        dP["po"] = (da_o * c_new).sum(axis=1, keepdims=True)
        return P["U"].T @ da, (P["W"].T @ da, dc_new * f + pi * da_i + pf * da_f), dP


class ByHandCell:
    """The MGU (Zhou et al. 2016), as by somebody else: cut by sizes, products by gate, np alone."""

    name = "MGU by hand"
    gates = ("f", "n")
    states = ("h",)

    def shapes(self, D, H):
        return {"U": (2 * H, D), "W": (2 * H, H), "b": (H, 1), "b_n": (H, 1), "bw": (H, 1)}

    def forward(self, P, x, state):
        (h,), H = state, len(state[0])
        U, W = P["U"], P["W"]
        f = 1 / (1 + np.exp(-(W[:H] @ h + U[:H] @ x + P["b"])))
        m = np.matmul(W[H:], h) + P["bw"]
        n = np.tanh(U[H:] @ x + f * m - -P["b_n"])
        f = np.where(f < 2, f, np.zeros_like(f))
        return (np.add(h * (1 - f), f * n),), {
            "both": np.concatenate([f, n]),
            "m": m,
            "f": f,
            "n": n,
        }

    def backward(self, P, x, state, new, gates, dnew):
        (h,), H, (dh,) = state, len(state[0]), dnew
        W = P["W"]
        f, n = gates["both"][:H], gates["both"][H:]
        da_n = dh * f * (1 - n**2)
        da_f = (dh * (n - h) + da_n * gates["m"]) * f * (1 - f)
        dm = da_n * f
        da = np.concatenate((da_f, da_n), axis=0)
        dW = np.concatenate((da_f @ h.T, dm @ h.T), axis=0)
        dP = {"U": da @ x.T, "W": dW, "bw": dm.sum(axis=1, keepdims=True)}
        dP |= {"b": da_f.sum(1, keepdims=True), "b_n": da_n.sum(axis=-1, keepdims=True)}
        return P["U"].T @ da, (W[:H].T @ da_f + dh * (1 - f) + W[H:].T @ dm,), dP


CELLS = (SLSTMCell(), UGRNNCell(), PeepholeCell(), ByHandCell())
