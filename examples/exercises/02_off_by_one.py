"""Exercise 2: which state did W multiply?

A plain RNN with its loop over time, in one array of states: states[0] is the initial one, and
states[t + 1] comes out of step t. One index of the backward pass is wrong. Find it.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check
import numpy as np

T, N, D, H = 4, 3, 5, 2
random = np.random.default_rng(0)
r = random.normal(size=(T, H, N))  # the loss is Σ r * h, over all steps


def forward(x, h0, U, W):
    """Give the loss, and what backward needs."""
    states = np.zeros((T + 1, H, N), h0.dtype)
    states[0] = h0
    for t in range(T):
        states[t + 1] = np.tanh(U @ x[t] + W @ states[t])
    return (r * states[1:]).sum(), (x, states, U, W)


def backward(saved):
    """From the loss to the gradient of each argument of `forward`."""
    x, states, U, W = saved
    dx, dU, dW, dh = np.zeros_like(x), np.zeros_like(U), np.zeros_like(W), np.zeros((H, N))
    for t in reversed(range(T)):
        da = (dh + r[t]) * (1 - states[t + 1] ** 2)
        dU += da @ x[t].T
        dW += da @ states[t + 1].T
        dx[t] = U.T @ da
        dh = W.T @ da
    return {"x": dx, "h0": dh, "U": dU, "W": dW}


if __name__ == "__main__":
    shapes = {"x": (T, D, N), "h0": (H, N), "U": (H, D), "W": (H, H)}
    check.gradients(
        forward, backward, **{name: random.normal(size=shapes[name]) for name in shapes}
    )
