"""The exhibits of the bug museum, one line of the engine each.

What is told of other projects was read in their source at the commit, or in the thread, that is linked.
"""

from __future__ import annotations

from inspect import unwrap

from museum import Exhibit, WithLoss

from minirnn.cells import CELLS, GRUCell, GRUResetBeforeCell, LSTMCell, RNNCell
from minirnn.gradcheck.proof import Case
from minirnn.losses import softmax_cross_entropy
from minirnn.recurrent import Recurrent
from minirnn.recurrent.stack import Stack
from minirnn.scan import GenericScan

RNN, LSTM, GRU, GRU_BEFORE = (
    Case(CELLS[k], "generic", state=True)  # the plain loop over the equations
    for k in (0, 2, 4, 5)
)
BOTH = Case(CELLS[2], "generic", bidirectional=True, state=True)
STACK = Case(CELLS[2], "generic", layers=2, bidirectional=True, state=True)
RAGGED = Case(CELLS[2], "generic", lengths=True, state=True)
FROM_THE_END = Case(CELLS[2], "generic", state=True, given="state")

GITHUB = "https://github.com"
THINC = f"{GITHUB}/explosion/thinc/blob/20eec355/thinc/backends/ops.py"
LEARN_DL = f"[learn_dl]({GITHUB}/hanbt/learn_dl/blob/c2ec5f1/lstm.py)"
COURSE = f"[rnn_lstm_from_scratch]({GITHUB}/nicklashansen/rnn_lstm_from_scratch/issues/1)"

_ALL = (
    # A term or a path is lost
    Exhibit(
        "dropped_dc",
        "the plus after (2.7')",
        LSTMCell.backward,
        "dc_new = dc_new + dh_new * o * self.act.df(y)",
        "dc_new = dh_new * o * self.act.df(y)",
        "c' is used twice, by h' and by the next step, and what the next step sends back is overwritten "
        "by what h' sends.",
        f"{LEARN_DL}, which keeps no gradient of c from step to step. Elsewhere, a reader took the "
        f"right plus [for a mistake]({GITHUB}/cthorey/CS231/issues/1).",
        LSTM,
        "(2.7') is wrong",
        "(2.7') is wrong",
    ),
    Exhibit(
        "dc_stays",
        "dc is not handed on",
        LSTMCell.backward,
        "dc = dc_new * f",
        "dc = 0 * c",
        "The step works out dc for the step before, which begins with zeros all the same.",
        f"{COURSE}, a course's notebook: `dC_prev` and `dh_prev` are computed, and never become "
        "`dC_next` and `dh_next`. A reader's gradient check found it.",
        LSTM,
        "(2.6') is wrong",
        "(2.6') is wrong",
    ),
    Exhibit(
        "dh_stays",
        "dh is not handed on",
        GenericScan.backward,
        "dstate = (dstate[0] + dy, *dstate[1:])",
        "dstate = (dy, *dstate[1:])",
        "dh is what the output receives, and what the next step sends back is forgotten: "
        "back-propagation, but not through time.",
        f"[qixianbiao/RNN]({GITHUB}/qixianbiao/RNN/issues/2), where outputs' gradients are added up "
        "over time, but never go through W.",
        RNN,
        "each equation of the cell is right",
        "each equation of the cell is right",
    ),
    Exhibit(
        "past_the_gates",
        "the way past the gates is forgotten",
        GRUCell.backward,
        "dh = W.T @ dw + dh_new * z",
        "dh = W.T @ dw",
        "h enters a GRU's step twice: through the gates, and past them as z * h. The second way has no "
        "matrix, and is easily overlooked.",
        "",
        GRU,
        "(3.2') is wrong",
        "(3.2') is wrong",
    ),
    Exhibit(
        "final_state_lost",
        "the final state's gradient is lost",
        Recurrent._final,
        "given = tuple(zero if part is None else part for part, zero in parts)",
        "given = tuple(zero for part, zero in parts)",
        "The loop back begins with zeros, whatever the caller says of the final state. An encoder then "
        "learns nothing from its decoder.",
        f"[deeplearning4j]({GITHUB}/deeplearning4j/deeplearning4j/issues/8838), for the last cell "
        "state; found by a gradient check, and mended within two days.",
        FROM_THE_END,
        "it is zero: the gradient is lost on its way here",
        "it is zero",
    ),
    Exhibit(
        "initial_c_lost",
        "the initial cell state's gradient is lost",
        GenericScan.backward,
        "return dx, dstate, dP",
        "return dx, (dstate[0], *(0 * d for d in dstate[1:])), dP",
        "The loop keeps the gradient of the initial h and drops that of the initial c, because the "
        "decoder it was written for is given only h.",
        f"[deep-learning-from-scratch-2]({GITHUB}/oreilly-japan/deep-learning-from-scratch-2/blob/"
        "842ae31/common/time_layers.py): `TimeLSTM` keeps `self.dh` and no `dc`.",
        LSTM,
        "it is zero: the gradient is lost on its way here",
        "it is zero",
    ),
    # The wrong quantity
    Exhibit(
        "unshifted",
        "the gradient of W from the state after the step",
        LSTMCell.backward,
        "dW = da @ h.T",
        "dW = da @ new[0].T",
        "W was multiplied by the state *before* the step. Where all states lie in one array, the slice "
        "without a shift fits as well.",
        f"[thinc]({THINC}#L1591), `dWh += dG.T @ Y[i, d]`, with `Y[t]` the output of step t.",
        LSTM,
        "(2.1') is wrong",
        "(2.1') is wrong",
    ),
    Exhibit(
        "never_stored",
        "gradients are computed, and not stored",
        LSTMCell.backward,
        "da = stack_rows(da_i, da_f, da_o, da_g)",
        "da = 0 * stack_rows(da_i, da_f, da_o, da_g)",
        "An array for the gates' gradients of all steps is made of zeros, every step computes its part, "
        "and no line stores it.",
        f"[thinc]({THINC}#L1522), `dG`, in the version for Python: every gradient of the LSTM is zero. "
        "Its tests looked at shapes, and trained on sequences of one step.",
        LSTM,
        "(2.1') is wrong",
        "(2.1') is wrong",
    ),
    Exhibit(
        "overwritten_y",
        "a value is overwritten between its two uses",
        LSTMCell.backward,
        "do = dh_new * y",
        "do = y = dh_new * y",
        "tanh(c') is used twice. An operation in place for its first use leaves something else for the "
        "second.",
        f"[thinc, January 2020]({GITHUB}/explosion/thinc/blob/c9ad3a0a/thinc/backends/ops.py#L387): "
        "`d_ho = cells_tanh` makes no copy, and the next line writes to it. Gone four days later.",
        LSTM,
        "(2.7') is wrong",
        "(2.7') is wrong",
    ),
    Exhibit(
        "tanh_of_c",
        "tanh' of what goes into tanh",
        LSTMCell.backward,
        "dc_new = dc_new + dh_new * o * self.act.df(y)",
        "dc_new = dc_new + dh_new * o * self.act.df(c_new)",
        "tanh' = 1 - tanh² is written in terms of the output of tanh, and gets the input.",
        "",
        LSTM,
        "(2.7') is wrong",
        "(2.7') is wrong",
    ),
    Exhibit(
        "sigmoid_twice",
        "σ' of what has been through σ",
        LSTMCell.backward,
        "da_f = df * f * (1 - f)",
        "da_f = df * sigmoid(f) * (1 - sigmoid(f))",
        "The other way round: a function for σ' that takes the pre-activation is given the gate, which "
        "has been through σ already.",
        f"[neural2d]({GITHUB}/davidrmiller/neural2d/issues/40), a feed-forward network, as tanh' of "
        f"tanh. In {COURSE} the forget gate's factor is `sigmoid(f)` alone.",
        LSTM,
        "(2.3') is wrong",
        "(2.3') is wrong",
    ),
    Exhibit(
        "transposed_W",
        "W in the place of its transpose",
        RNNCell.backward,
        "dh = W.T @ da",
        "dh = W @ da",
        "W of a plain RNN is square, so that no shape complains.",
        "",
        RNN,
        "(1.1') is wrong",
        "(1.1') is wrong",
    ),
    Exhibit(
        "shared_bias",
        "gates share the gradient of a bias",
        LSTMCell.backward,
        "db = da.sum(axis=1, keepdims=True)",
        "db = stack_rows(da_f, da_f, da_f, da_g).sum(axis=1, keepdims=True)",
        "Four lines for four gates, made by copying the first and changing what differs, except twice.",
        f"{LEARN_DL}, just so; reported [in 2019]({GITHUB}/hanbt/learn_dl/issues/53), mended "
        f"[in 2026]({GITHUB}/hanbt/learn_dl/pull/63). numpy-ml added the output gate's bias to three "
        f"gates, [forward]({GITHUB}/ddbourgin/numpy-ml/issues/42).",
        LSTM,
        "i's hold the gradient of f",
        "i's hold the gradient of f",
    ),
    Exhibit(
        "reset_elsewhere",
        "the reset gate in the other place",
        GRUResetBeforeCell.forward,
        "n = tanh(u_n + W_n @ m)",
        "n = tanh(u_n + r * (W_n @ h))",
        "The reset gate acts behind the product going forward, and before it going back: two papers, or "
        "two tutorials, in one class.",
        "",
        GRU_BEFORE,
        "(4.5') is wrong",
        "(4.5') is wrong",
    ),
    # Time and sums over time
    Exhibit(
        "forward_order",
        "time is walked forward",
        GenericScan.backward,
        "for t in reversed(range(len(saved.steps))):",
        "for t in range(len(saved.steps)):",
        "The way back is walked from the first step to the last. Each step's factor is right, and their "
        "order is not, which matters because matrices do not commute.",
        f"[Axon]({GITHUB}/elixir-nx/axon/pull/646), by default and until August 2026: the gradient of "
        "its loop combined the steps in the order forward.",
        RNN,
        "each equation of the cell is right",
    ),
    Exhibit(
        "averaged",
        "averaged over T once more",
        GenericScan.backward,
        "dP[name] += gradient",
        "dP[name] += gradient / len(saved.steps)",
        "The loss is averaged over steps already, and the gradients of the parameters are averaged once "
        "more.",
        "",
        RNN,
        "T = 4 times too small",
    ),
    Exhibit(
        "set_not_added",
        "set, not added",
        GenericScan.backward,
        "dP[name] += gradient",
        "dP[name] = gradient",
        "Every step uses the parameters, so their gradients are sums; set instead of added, the step "
        "that is computed last wins.",
        f"{LEARN_DL}: the gradients of U come from one step alone. A review of "
        f"[Arraymancer's GRU]({GITHUB}/mratsim/Arraymancer/pull/237) caught it in time.",
        RNN,
        "each equation of the cell is right",
    ),
    Exhibit(
        "loss_not_averaged",
        "the mean in the loss is forgotten",
        unwrap(softmax_cross_entropy),
        "return loss, p",
        "return loss, p * len(scores)",
        "The loss is a mean over steps, and its gradient is a sum: it was divided by N only.",
        "",
        WithLoss(),
        "T = 4 times too large",
    ),
    # Directions and lengths
    Exhibit(
        "overwritten_dy",
        "dx is written over dy",
        Stack._backward,
        "dx = dx_d if dx is None else dx + dx_d",
        "dx = dys = dx_d if dx is None else dx + dx_d",
        "dx of the first direction is written where dy was, to save memory, and the second direction "
        "reads it as dy.",
        f"[MXNet]({GITHUB}/apache/mxnet/pull/18203), LSTMs of more than two layers in both directions, "
        "without oneDNN, until 2020.",
        STACK,
        "each equation of the cell is right",
        "each equation of the cell is right",
    ),
    Exhibit(
        "one_direction",
        "dx of one direction only",
        Stack._backward,
        "dx = dx_d if dx is None else dx + dx_d",
        "dx = dx_d",
        "Both directions read x, so dx is a sum; here, the second overwrites the first.",
        f"[mlpack]({GITHUB}/mlpack/mlpack/pull/1742), as one direction's part left out of the gradient "
        "of the parameters, in 2019.",
        STACK,
        "each equation of the cell is right",
        "each equation of the cell is right",
    ),
    Exhibit(
        "not_turned",
        "gradients are not turned around in time",
        Stack._backward,
        "None if dy is None else d.in_order(dy),",
        "dy,",
        "The reverse direction's outputs are turned around in time to stand beside the other's, and "
        "their gradients are not turned back.",
        "",
        BOTH,
        "each equation of the cell is right",
    ),
    Exhibit(
        "first_mask",
        "the first step's mask at every step",
        GenericScan.backward,
        "dy = dys[t] if real is None else xp.where(real[t], dys[t], 0)",
        "dy = dys[t] if real is None else xp.where(real[0], dys[t], 0)",
        "Every step is given the first step's mask, so that gradients of padding leak into the states.",
        f"[haste]({GITHUB}/lmnt-com/haste/issues/43), with zoneout's mask: GRU and IndRNN, not LSTM.",
        RAGGED,
        "only the steps t = 0, 1 of the sequences n = 0 are wrong",
    ),
)
EXHIBITS = {exhibit.name: exhibit for exhibit in _ALL}
