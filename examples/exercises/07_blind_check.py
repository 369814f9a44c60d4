"""Exercise 7: a gradient check that passes nearly everything.

This check is handed LSTMs that are wrong in one line each, and passes many of them. Change the check so
that it sees every mistake of the museum that an LSTM in one direction can have.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

import check
import numpy as np

import minirnn as mr


def your_check(net):
    """Check a network of 5 inputs and 2 units; return gradcheck's report."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 5, 3))

    def forward(x):
        ys, _, cache = net.forward(x)
        return ys.sum(), (cache, np.ones(ys.shape))

    def backward(saved):
        dx, _ = net.backward(*saved)
        return {"x": dx}

    return mr.gradcheck(forward, backward, net.parameters(), x=x)


if __name__ == "__main__":
    check.sharpness(your_check)
