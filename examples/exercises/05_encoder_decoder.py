"""Exercise 5: what the encoder learns from.

The decoder starts from the encoder's final state, and nothing else ties the two together. Going back,
the encoder is told that nobody used what it did. Tell it what the decoder knows.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check
import numpy as np

import minirnn as mr

S, T, N, D, H = 4, 3, 2, 3, 2
random = np.random.default_rng(0)
encoder = mr.LSTM(D, H, dtype="float64", rng=random)
decoder = mr.LSTM(D, H, dtype="float64", rng=random)
model = mr.Model(encoder=encoder, decoder=decoder)
target = random.normal(size=(T, H, N))


def forward(source, written):
    """Read the source, then write."""
    _, state, read = encoder.forward(source)
    ys, _, wrote = decoder.forward(written, state)
    loss, dys = mr.mse(ys, target)
    return loss, (read, wrote, dys)


def backward(saved):
    """From the loss to both inputs and all parameters."""
    read, wrote, dys = saved
    dwritten, _ = decoder.backward(wrote, dys)
    dsource, _ = encoder.backward(read, np.zeros((S, H, N)))
    return {"source": dsource, "written": dwritten}


if __name__ == "__main__":
    inputs = {"source": random.normal(size=(S, D, N)), "written": random.normal(size=(T, D, N))}
    check.gradients(forward, backward, model.parameters(), **inputs)
