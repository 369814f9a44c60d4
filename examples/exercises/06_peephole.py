"""Exercise 6: an LSTM whose gates look at the cell state (Gers & Schmidhuber 2000).

The forward pass has its peepholes: i and f see the old c, o sees the new one. The backward pass is still
that of an LSTM without, apart from the gradients of the peepholes' weights. Three terms are missing.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check

from minirnn.backend import sigmoid, split_rows, stack_rows, tanh


class PeepholeCell:
    """An LSTM with one more weight a unit in each of i, f and o."""

    name = "peephole LSTM"
    gates = ("i", "f", "o", "g")
    states = ("h", "c")

    def shapes(self, D, H):
        """Shapes of the parameters."""
        weights = {"U": (4 * H, D), "W": (4 * H, H), "b": (4 * H, 1)}
        return weights | {"pi": (H, 1), "pf": (H, 1), "po": (H, 1)}

    def forward(self, P, x, state):
        """One step."""
        h, c = state
        a_i, a_f, a_o, a_g = split_rows(P["U"] @ x + P["W"] @ h + P["b"], 4)
        i = sigmoid(a_i + P["pi"] * c)
        f = sigmoid(a_f + P["pf"] * c)
        g = tanh(a_g)
        c_new = f * c + i * g
        o = sigmoid(a_o + P["po"] * c_new)
        return (o * tanh(c_new), c_new), {"i": i, "f": f, "o": o, "g": g}

    def backward(self, P, x, state, new, gates, dnew):
        """One step back."""
        (h, c), (_, c_new), (dh_new, dc_new) = state, new, dnew
        i, f, o, g = (gates[name] for name in "ifog")
        y = tanh(c_new)
        da_o = dh_new * y * o * (1 - o)
        dc_new = dc_new + dh_new * o * (1 - y * y)
        da_i = dc_new * g * i * (1 - i)
        da_f = dc_new * c * f * (1 - f)
        da_g = dc_new * i * (1 - g * g)
        dc = dc_new * f
        da = stack_rows(da_i, da_f, da_o, da_g)
        dP = {"U": da @ x.T, "W": da @ h.T, "b": da.sum(axis=1, keepdims=True)}
        for name, product in {"pi": da_i * c, "pf": da_f * c, "po": da_o * c_new}.items():
            dP[name] = product.sum(axis=1, keepdims=True)
        return P["U"].T @ da, (P["W"].T @ da, dc), dP


if __name__ == "__main__":
    check.cell(PeepholeCell())
