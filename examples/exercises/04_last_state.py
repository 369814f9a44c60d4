"""Exercise 4: where do sequences of different lengths end?

The loss sees the last state of each sequence. Going back, its gradient is given to the output of the
last step of the batch, where only the longest sequence ends. Give it to the final state instead.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check
import numpy as np

import minirnn as mr

T, N, D, H, K = 5, 3, 4, 2, 3
random = np.random.default_rng(0)
rnn = mr.GRU(D, H, dtype="float64", rng=random)
out = mr.Linear(H, K, dtype="float64", rng=random)
lengths, targets = [3, 5, 1], np.array([0, 2, 1])


def forward(x):
    """Classify each sequence by its last state."""
    _, state, cache = rnn.forward(x, lengths=lengths)
    scores, out_cache = out.forward(rnn.last(state))
    loss, dscores = mr.softmax_cross_entropy(scores, targets)
    return loss, (cache, out_cache, dscores)


def backward(saved):
    """From the loss to x and the parameters."""
    cache, out_cache, dscores = saved
    dh = out.backward(out_cache, dscores)
    dys = np.zeros((T, H, N))
    dys[-1] = dh
    dx, _ = rnn.backward(cache, dys)
    return {"x": dx}


if __name__ == "__main__":
    check.gradients(
        forward, backward, [*rnn.parameters(), *out.parameters()], x=random.normal(size=(T, D, N))
    )
