"""The basics in numbers: one cell, unfolding, batches, lengths, the loss of a sequence, parameters.

Nothing is trained here. Where the program says that two things are the same, it has compared them, and
it ends if they are not. Shapes are printed twice: batch first,
(N, T, D), as most courses and libraries have them, and as this package has them, (T, D, N).

    python examples/cell_basics.py --cell lstm
"""

import argparse
import math
from collections.abc import Sequence

import cell_pictures
import command_line
import numpy as np
from numpy.typing import ArrayLike

import minirnn as mr
from minirnn import data

LETTERS = "helo"  # h is 0, e is 1, l is 2, o is 3
HIDDEN = 2
BATCH = ("hello", "eolll", "lleel")
LENGTHS = {"hello": 5, "eoll": 3, "leel": 4}  # how much of each word is to be read
GREETINGS = ("hello", "hi", "why")
SIGNS = ("<pad>", *"heloiwy.")  # of the greetings, each of which is to end with a full stop
PAD = 0


def main() -> None:
    """Go through the sections, and draw what the cell did in them."""
    options = parse_arguments()
    where = {"dtype": "float64", "device": options.device, "rng": options.seed}
    rnn = command_line.NETWORKS[options.cell](len(LETTERS), HIDDEN, **where)
    one_step(rnn)
    unfolding(rnn)
    batching(rnn)
    by_hand(mr.RNN(len(LETTERS), HIDDEN, **where))
    traces = inside_the_cell(rnn)
    cut_short = different_lengths(rnn)
    weighted_loss()
    loss_of_padding()
    counting_parameters()
    cell_pictures.draw(traces, "hello", cut_short, LENGTHS, options)


def one_step(rnn: mr.Recurrent) -> None:
    """Print what a cell makes of one letter."""
    section(f"One cell, one step ({rnn})")
    x = one_hot(["h"])
    h = run(rnn, x)
    print(f'"h" as a one-hot vector:\n{x}\nits hidden state, as random as the weights:\n{h}')
    print_shapes(x, h)


def unfolding(rnn: mr.Recurrent) -> None:
    """Print what it makes of five letters, each read with the state that the one before it left."""
    section('Unfolding: the same cell reads "hello"')
    x = one_hot(["hello"])
    h = run(rnn, x)
    print(f"{x}\nbecomes\n{h}")
    print_shapes(x, h)
    print_same("its first step is the one step above", h[:, :1], run(rnn, one_hot(["h"])))
    print(f"the states after the two l differ, by up to {np.abs(h[0, 3] - h[0, 2]).max():.3f}")


def batching(rnn: mr.Recurrent) -> None:
    """Print what it makes of three words at once, as one-hot vectors and as integers."""
    section(f"Batching: {', '.join(BATCH)}")
    x = one_hot(BATCH)
    h = run(rnn, x)
    print(f"{x}\nbecomes\n{h}")
    print_shapes(x, h)
    alone = np.concatenate([run(rnn, one_hot([word])) for word in BATCH])
    print_same("each word gets the numbers that it gets alone", h, alone)

    tokens = ids(BATCH, LETTERS)
    print(f"as integers, time first: a column for each word\n{data.time_first(tokens)}")
    print_same("integers give what one-hot vectors give", run(rnn, tokens), h)


def by_hand(rnn: mr.RNN) -> None:
    """Compute the steps of the plain RNN with NumPy alone."""
    section("By hand: h = tanh(U x + W h + b), five times")
    U, W, b = (mr.to_host(p.data) for p in rnn.parameters())  # (2, 4), (2, 2), (2, 1)
    x = one_hot(["hello"])
    h, steps = np.zeros((HIDDEN, 1)), []
    for x_t in data.time_first(x):  # (4, 1), a column
        h = np.tanh(U @ x_t + W @ h + b)
        steps.append(h)
    hs = data.batch_first(np.stack(steps))
    print(hs)
    print_same("mr.RNN with these weights gives the same", run(rnn, x), hs)


def inside_the_cell(rnn: mr.Recurrent) -> dict[str, np.ndarray]:
    """Print the gates while it reads "hello"; return states and gates by name, each (T, H)."""
    section("Inside the cell: the states and gates of unit 0")
    x = data.time_first(one_hot(["hello"]))
    _, _, cache = rnn.forward(mr.to_device(x, rnn.backend.name))
    traces = {name.removeprefix("l0."): mr.to_host(cache[name])[:, :, 0] for name in cache.names()}
    print("read", *(f"{letter:>6}" for letter in "hello"))
    for name, values in traces.items():
        print(f"{name:4}", *(f"{value:6.3f}" for value in values[:, 0]))

    before = {s: np.pad(traces[s], ((1, 0), (0, 0)))[:-1] for s in rnn.cell.states}  # at first 0
    if "c" in traces:  # LSTM
        i, f, o, g, h, c = (traces[name] for name in "ifoghc")
        print_same("c = f * (c before) + i * g", c, f * before["c"] + i * g)
        print_same("h = o * tanh(c)", h, o * np.tanh(c))
    elif "z" in traces:  # GRU
        z, n, h = (traces[name] for name in "znh")
        print_same("h = (1 - z) * n + z * (h before)", h, (1 - z) * n + z * before["h"])
    return traces


def different_lengths(rnn: mr.Recurrent) -> np.ndarray:
    """Print what it makes of words of different lengths in one batch; return that, (N, T, H)."""
    section("Different lengths: " + ", ".join(f"{n} of {word}" for word, n in LENGTHS.items()))
    x, _ = data.pad([ids([word], LETTERS)[0] for word in LENGTHS])  # (T, N), filled up with 0
    lengths = list(LENGTHS.values())
    ys, state, _ = rnn.forward(mr.to_device(x, rnn.backend.name), lengths=lengths)
    h = mr.to_host(data.batch_first(ys))
    final = mr.to_host(rnn.last(state)).T  # (N, H)
    print(f"{data.batch_first(x)}\nwith the lengths {lengths}, so that no 0 is read, becomes\n{h}")
    for n, (word, length) in enumerate(LENGTHS.items()):
        alone = run(rnn, one_hot([word[:length]]))[0]
        print_same(f"{word[:length]:5} gets the numbers that it gets alone", h[n, :length], alone)
        print_same("      its final state is that after its last letter", final[n], alone[-1])
        print_same("      past its end there are zeros", h[n, length:], 0)
    return h


def weighted_loss() -> None:
    """Print the loss of a sequence for better and worse scores, and with weights."""
    section("The loss of a sequence: three steps, two classes, class 1 is right")
    targets = np.array([[1, 1, 1]]).T  # (T, N)
    for pair in ((0.3, 0.7), (0.1, 0.9)):
        loss, _ = mr.softmax_cross_entropy(data.time_first(np.array([[pair] * 3])), targets)
        print(f"scores {pair} at each step: {loss:.6f}")
    print(f"Scores are not probabilities: a probability of 0.7 would cost {-math.log(0.7):.6f}.\n")

    scores = data.time_first(np.array([[(0.3, 0.7), (0.3, 0.7), (9.0, -9.0)]]))
    print("weights of the steps, the third of which is quite wrong -> loss, gradient of class 1")
    for weights in ([1, 1, 1], [1, 1, 0], [0, 0, 0]):
        loss, dscores = mr.softmax_cross_entropy(scores, targets, np.array([weights]).T)
        print(f"{weights} -> {loss:.6f}, {dscores[:, 1, 0].round(3) + 0.0}")


def loss_of_padding() -> None:
    """Print what becomes of the loss if the padding counts, for two sets of scores."""
    section(f"The loss and the padding: {', '.join(GREETINGS)}")
    x, lengths = data.pad([ids([word], SIGNS)[0] for word in GREETINGS], PAD)
    targets, _ = data.pad([ids([word[1:] + "."], SIGNS)[0] for word in GREETINGS], PAD)
    print(f"{'read, in lengths of ' + str(lengths.tolist()):33}to be said next")
    for read, said in zip(x.T, targets.T, strict=True):
        print(*(f"{SIGNS[k]:5}" for k in read), "  ", *(f"{SIGNS[k]:5}" for k in said))

    T, N = x.shape
    weights = data.real_steps(lengths, T).astype(float)  # (T, N)
    guessing = np.zeros((T, len(SIGNS), N))  # all signs are equally likely
    leaning = guessing.copy()
    leaning[:, PAD] = math.log(4)  # as if there were four <pad>: 4/12 instead of 1/9
    print(f"\n{'loss':44}{'guessing':>10}{'leaning to <pad>':>18}")
    for name, w, factor in (
        ("weights: 1 for letters, 0 for padding", weights, 1.0),
        (f"no weights: all {T * N} steps count", None, 1.0),
        (f"weights, but divided by {T * N}, not {lengths.sum()}", weights, weights.mean()),
    ):
        losses = (mr.softmax_cross_entropy(s, targets, w)[0] * factor for s in (guessing, leaning))
        print(f"{name:44}{next(losses):10.3f}{next(losses):18.3f}")
    print(
        "Leaning to <pad> makes every letter less likely, and the first line says so. The second takes\n"
        "it for progress: it would teach the network to say <pad>. The third says less than a letter\n"
        "costs, and the less, the more padding there happens to be in the batch."
    )


def counting_parameters() -> None:
    """Print the parameters of a network without biases, and of all cells with them."""
    D, H, K = 4, 3, 4
    section(f"Counting parameters: {D} inputs, {H} hidden units, {K} outputs")
    rnn, out = mr.RNN(D, H, bias=False), mr.Linear(H, K, bias=False)
    mr.summary(mr.Model(rnn=rnn, out=out))

    print("\nwith biases, of G gates (or other blocks of rows) each: G (H D + H H + H)")
    for name, make in command_line.NETWORKS.items():
        cell = make(D, H)
        G, bw = len(cell.cell.gates), H if name == "gru" else 0  # its bias of W h, inside r * (...)
        formula, counted = G * (H * D + H * H + H) + bw, sum(p.size for p in cell.parameters())
        print(f"{name:5}{G} ({H * D} + {H * H} + {H}){f' + {bw} of bw' * bool(bw)} = {formula}")
        print_same("     is what the network has", counted, formula)


def section(title: str) -> None:
    """Print a heading."""
    print(f"\n{title}\n{'-' * len(title)}")


def ids(words: Sequence[str], signs: Sequence[str]) -> np.ndarray:
    """Words of one length as integers, (N, T)."""
    return np.array([[signs.index(letter) for letter in word] for word in words])


def one_hot(words: Sequence[str]) -> np.ndarray:
    """Words of one length as one-hot vectors, (N, T, D)."""
    columns = data.one_hot(data.time_first(ids(words, LETTERS)), len(LETTERS), "float64")
    x: np.ndarray = data.batch_first(columns)
    return x


def run(rnn: mr.Recurrent, x: np.ndarray) -> np.ndarray:
    """Run from batch first to batch first: (N, T, D), or integers (N, T), -> (N, T, H)."""
    ys, _, _ = rnn.forward(mr.to_device(data.time_first(x), rnn.backend.name))
    return mr.to_host(data.batch_first(ys))


def print_shapes(x: np.ndarray, h: np.ndarray) -> None:
    """Print the shapes of input and output in both layouts; the helpers go from one to the other."""
    print(f"batch first      (N, T, D) {x.shape} -> (N, T, H) {h.shape}")
    x, h = data.time_first(x), data.time_first(h)
    print(f"data.time_first  (T, D, N) {x.shape} -> (T, H, N) {h.shape}  data.batch_first")


def print_same(claim: str, a: ArrayLike, b: ArrayLike) -> None:
    """Print the largest difference; end the program if that is more than rounding."""
    difference = float(np.max(np.abs(np.subtract(a, b)), initial=0))
    if not difference < 1e-12:
        raise SystemExit(f"{claim}: not so, they differ by {difference}")
    print(f"{claim}: largest difference {difference:.0e}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = command_line.new_parser(__doc__, quick="changes nothing: this takes a second")
    parser.add_argument("--cell", **command_line.CELL)
    return command_line.check(parser, parser.parse_args())


if __name__ == "__main__":
    command_line.run(main)
