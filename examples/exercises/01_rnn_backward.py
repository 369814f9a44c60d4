"""Exercise 1: the derivative of tanh.

The cell is h' = tanh(U x + W h + b). One backward line is not finished: da is the gradient of what goes
into tanh, and not that of what comes out. Finish it; `new` is (h',), which is all that it takes.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check

from minirnn.cells import RNNCell


class YourCell(RNNCell):
    """The plain RNN, whose forward pass is inherited."""

    def backward(self, P, x, state, new, gates, dnew):
        """From dh' to dx, dh and the parameters' gradients."""
        (h,), (dh_new,) = state, dnew
        da = dh_new
        dP = {"U": da @ x.T, "W": da @ h.T, "b": da.sum(axis=1, keepdims=True)}
        return P["U"].T @ da, (P["W"].T @ da,), dP


if __name__ == "__main__":
    check.cell(YourCell())
