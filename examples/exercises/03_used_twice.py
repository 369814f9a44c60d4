"""Exercise 3: what is used twice gets a sum.

The minimal gated unit (Zhou et al. 2016, arXiv:1603.09420) has one gate, which does the work of both of
a GRU's. So f stands in two equations, and one of them was forgotten going back. Add what is missing.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check

from minirnn.backend import sigmoid, split_rows, stack_rows, tanh


class MinimalGatedUnit:
    """f = σ(…), n = tanh(U_n x + W_n (f * h) + b_n), h' = (1 - f) * h + f * n."""

    name = "minimal gated unit"
    gates = ("f", "n")
    states = ("h",)

    def shapes(self, D, H):
        """Shapes of the parameters."""
        return {"U": (2 * H, D), "W": (2 * H, H), "b": (2 * H, 1)}

    def forward(self, P, x, state):
        """One step."""
        (h,) = state
        (W_f, W_n), (u_f, u_n) = split_rows(P["W"], 2), split_rows(P["U"] @ x + P["b"], 2)
        f = sigmoid(u_f + W_f @ h)
        n = tanh(u_n + W_n @ (f * h))
        h_new = (1 - f) * h + f * n
        return (h_new,), {"f": f, "n": n}

    def backward(self, P, x, state, new, gates, dnew):
        """One step back."""
        (h,), (dh_new,), f, n = state, dnew, gates["f"], gates["n"]
        W_f, W_n = split_rows(P["W"], 2)
        da_n = dh_new * f * (1 - n * n)
        dm = W_n.T @ da_n  # of m = f * h
        df = dh_new * (n - h)
        da_f = df * f * (1 - f)
        dh = dh_new * (1 - f) + dm * f + W_f.T @ da_f
        da = stack_rows(da_f, da_n)
        dW = stack_rows(da_f @ h.T, da_n @ (f * h).T)
        return P["U"].T @ da, (dh,), {"U": da @ x.T, "W": dW, "b": da.sum(axis=1, keepdims=True)}


if __name__ == "__main__":
    check.cell(MinimalGatedUnit())
