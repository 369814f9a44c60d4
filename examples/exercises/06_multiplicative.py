"""Exercise 6: back through what stands between.

In a multiplicative LSTM (Krause et al. 2016, arXiv:1609.07959) the gates do not read h, but m, a product
of what x says and what h says: what is read decides how the past is looked at. The backward pass ends at
m, and hands on m's gradient as if it were h's. Go on from m to all that it is made of.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check

from minirnn.backend import sigmoid, split_rows, stack_rows, tanh


class MultiplicativeLSTM:
    """m = (Um x) * (Wm h), and then an LSTM that has m where it has h."""

    name = "multiplicative LSTM"
    gates = ("i", "f", "o", "g")
    states = ("h", "c")

    def shapes(self, D, H):
        """Shapes of the parameters."""
        weights = {"U": (4 * H, D), "W": (4 * H, H), "b": (4 * H, 1)}
        return weights | {"Um": (H, D), "Wm": (H, H)}

    def forward(self, P, x, state):
        """One step."""
        h, c = state
        u, w = P["Um"] @ x, P["Wm"] @ h
        m = u * w
        a_i, a_f, a_o, a_g = split_rows(P["U"] @ x + P["W"] @ m + P["b"], 4)
        i, f, o, g = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o), tanh(a_g)
        c_new = f * c + i * g
        return (o * tanh(c_new), c_new), {"i": i, "f": f, "o": o, "g": g, "u": u, "w": w}

    def backward(self, P, x, state, new, gates, dnew):
        """One step back."""
        (h, c), (_, c_new), (dh_new, dc_new) = state, new, dnew
        i, f, o, g, u, w = (gates[name] for name in "ifoguw")
        y = tanh(c_new)
        dc_new = dc_new + dh_new * o * (1 - y * y)
        da_i = dc_new * g * i * (1 - i)
        da_f = dc_new * c * f * (1 - f)
        da_o = dh_new * y * o * (1 - o)
        da_g = dc_new * i * (1 - g * g)
        da = stack_rows(da_i, da_f, da_o, da_g)
        dP = {"U": da @ x.T, "W": da @ (u * w).T, "b": da.sum(axis=1, keepdims=True)}
        dm = P["W"].T @ da
        du, dw = 0 * dm, 0 * dm
        dP |= {"Um": du @ x.T, "Wm": dw @ h.T}
        return P["U"].T @ da, (dm, dc_new * f), dP


if __name__ == "__main__":
    check.cell(MultiplicativeLSTM())
