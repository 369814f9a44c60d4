"""The same numbers as PyTorch: forward, and every gradient by name.

Both libraries get the same weights, the same input and the same gradient of the loss with respect to
what they return. Everything random comes from a seed, so a failure shows all that is needed to repeat
it. Arrays here are (T, rows, N), a batch being columns side by side; torch.nn has (T, N, rows). On a
CUDA device, where PyTorch's networks are cuDNN's, so are all scans that run there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from devices import NEEDS_DEVICE
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_weights import gradients_from_torch, weights_for_torch

import minirnn as mr

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is only compared with")
F = torch.nn.functional

pytestmark = pytest.mark.torch

Array = np.ndarray[Any, Any]

# The largest relative error allowed. Both libraries round, each in an order of its own.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

many = settings(max_examples=250, deadline=None, derandomize=True)
fewer = settings(many, max_examples=50)


def assert_close(what: str, ours: Array, theirs: Array, tolerance: float) -> None:
    """Compare one array: max |ours - theirs| / max |theirs|, with a floor for gradients that vanish."""
    assert ours.shape == theirs.shape, what
    assert ours.dtype == theirs.dtype, what
    error = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-6)
    assert error <= tolerance, f"{what}: relative error {error:.1e}, allowed {tolerance:.0e}"


def to_torch(columns: Array, requires_grad: bool = False, device: str = "cpu") -> torch.Tensor:
    """(…, rows, N) -> a tensor (…, N, rows)."""
    rows = np.ascontiguousarray(columns.swapaxes(-1, -2))
    return torch.tensor(rows, requires_grad=requires_grad, device=device)


def to_numpy(tensor: torch.Tensor) -> Array:
    """Back again: (…, N, rows) -> (…, rows, N)."""
    return tensor.detach().cpu().numpy().swapaxes(-1, -2)


# ------------------------------------------------------------------------------ recurrent networks


class Pair(NamedTuple):
    """A network here and its counterpart in torch.nn."""

    ours: Callable[..., mr.Recurrent]
    our_options: dict[str, Any]
    theirs: Callable[..., torch.nn.Module]
    their_options: dict[str, Any]


# relu has no derivative at 0. Random numbers do not fall there; a step whose whole input is zero, as
# from a layer below that is silent, does, and both libraries then take 0.
PAIRS = {
    "RNN-tanh": Pair(mr.RNN, {"activation": "tanh"}, torch.nn.RNN, {"nonlinearity": "tanh"}),
    "RNN-relu": Pair(mr.RNN, {"activation": "relu"}, torch.nn.RNN, {"nonlinearity": "relu"}),
    "LSTM": Pair(mr.LSTM, {}, torch.nn.LSTM, {}),
    "GRU": Pair(mr.GRU, {"reset_after": True}, torch.nn.GRU, {}),
}


@dataclass(frozen=True)
class Config:
    """What is drawn at random; the numbers themselves follow from the seed."""

    T: int
    N: int
    D: int
    H: int
    layers: int
    bidirectional: bool
    bias: bool
    tokens: bool  # x (T, N) integers here, one-hot vectors in PyTorch
    state: bool  # is an initial state given?
    lengths: bool  # do the sequences differ in length?
    gradient: str  # of which outputs: "ys", "state", "both", or "last": the last part of the state
    dtype: str
    seed: int


configs = st.builds(
    Config,
    T=st.integers(1, 7),
    N=st.integers(1, 5),
    D=st.integers(1, 6),
    H=st.integers(1, 7),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    tokens=st.sampled_from([False, False, False, True]),
    state=st.booleans(),
    lengths=st.booleans(),
    gradient=st.sampled_from(["ys", "state", "both", "last"]),
    dtype=st.sampled_from(["float64", "float32"]),
    seed=st.integers(0, 2**32 - 1),
)


class Problem(NamedTuple):
    """What goes into forward and backward, in the layout of this package."""

    x: Array  # (T, D, N)
    tokens: Array | None  # (T, N), if x is their one-hot columns
    state: tuple[Array, ...]  # each part (layers·directions, H, N)
    lengths: Array | None  # (N,)
    dys: Array | None  # (T, H·directions, N)
    dstate: tuple[Array | None, ...]  # like state


def draw_problem(c: Config, rnn: mr.Recurrent) -> Problem:
    rng = np.random.default_rng(c.seed)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(c.dtype)

    x, tokens = normal(c.T, c.D, c.N), None
    if c.tokens:
        tokens = rng.integers(0, c.D, (c.T, c.N))
        x = (np.arange(c.D)[:, None] == tokens[:, None]).astype(c.dtype)
    parts, shape = len(rnn.cell.states), (c.layers * rnn.num_directions, c.H, c.N)
    # where none is given, PyTorch gets the zeros that None stands for, so as to tell their gradient
    state = tuple(normal(*shape) if c.state else np.zeros(shape, c.dtype) for _ in range(parts))
    lengths = rng.integers(1, c.T + 1, c.N) if c.lengths else None  # PyTorch refuses a length of 0
    dys = normal(c.T, c.H * rnn.num_directions, c.N) if c.gradient in ("ys", "both") else None
    every = list(range(parts))
    given = {"ys": [], "state": every, "both": every, "last": every[-1:]}[c.gradient]
    dstate = tuple(normal(*shape) if k in given else None for k in every)
    return Problem(x, tokens, state, lengths, dys, dstate)


def run_ours(rnn: mr.Recurrent, c: Config, p: Problem) -> dict[str, Array]:
    """Every output and every gradient, by name."""

    def put(array: Array | None) -> Any:
        return None if array is None else mr.to_device(array, rnn.backend.name)

    x, initial = put(p.x if p.tokens is None else p.tokens), tuple(map(put, p.state))
    ys, state, cache = rnn.forward(x, initial if c.state else None, p.lengths)
    dx, dstate = rnn.backward(cache, put(p.dys), tuple(map(put, p.dstate)))
    found = {"ys": ys} if dx is None else {"ys": ys, "dx": dx}
    for letter, part, dpart in zip(rnn.cell.states, state, dstate, strict=True):
        found |= {f"final {letter}": part, f"d initial {letter}": dpart}
    found |= {f"d {name}": w.grad for name, w in rnn.named_parameters().items()}
    return {name: mr.to_host(array) for name, array in found.items()}


def run_theirs(rnn: mr.Recurrent, net: torch.nn.Module, p: Problem) -> dict[str, Array]:
    """The same from PyTorch, under the same names and in the same layout."""
    there = rnn.backend.name
    x = to_torch(p.x, requires_grad=True, device=there)
    initial = [to_torch(part, requires_grad=True, device=there) for part in p.state]
    # the state is a tensor h in torch.nn.RNN and GRU, and a tuple (h, c) in torch.nn.LSTM
    state = initial[0] if len(initial) == 1 else tuple(initial)
    if p.lengths is None:
        ys, final = net(x, state)
    else:
        lengths = torch.tensor(p.lengths)
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        packed_ys, final = net(packed, state)
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(packed_ys, total_length=len(x))
    final = [final] if len(initial) == 1 else list(final)

    given = [(ys, p.dys), *zip(final, p.dstate, strict=True)]
    given = [(output, to_torch(d, device=there)) for output, d in given if d is not None]
    torch.autograd.backward([output for output, _ in given], [d for _, d in given])

    found = {"ys": to_numpy(ys)}
    if p.tokens is None:  # tokens have no gradient
        found["dx"] = to_numpy(x.grad)
    for letter, part, start in zip(rnn.cell.states, final, initial, strict=True):
        found[f"final {letter}"] = to_numpy(part)
        found[f"d initial {letter}"] = to_numpy(start.grad)
    gradients = {name: w.grad.cpu().numpy() for name, w in net.named_parameters()}
    return found | {f"d {n}": g for n, g in gradients_from_torch(rnn, gradients).items()}


def check(pair: Pair, scan: str, c: Config, device: str = "cpu") -> None:
    """Build both networks, run both, and compare everything that comes out."""
    common = {"num_layers": c.layers, "bidirectional": c.bidirectional, "bias": c.bias}
    options = {"dtype": c.dtype, "device": device, "rng": c.seed, "scan": scan}
    rnn = pair.ours(c.D, c.H, **common, **pair.our_options, **options)
    dtype = getattr(torch, c.dtype)
    net = pair.theirs(c.D, c.H, **common, **pair.their_options, dtype=dtype, device=device)
    net.load_state_dict({n: torch.tensor(w) for n, w in weights_for_torch(rnn).items()})

    p = draw_problem(c, rnn)
    ours, theirs = run_ours(rnn, c, p), run_theirs(rnn, net, p)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert_close(name, ours[name], theirs[name], TOLERANCE[c.dtype])


on_both_scans = pytest.mark.parametrize("scan", ["generic", "numpy"])
for_each_cell = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


@on_both_scans
@for_each_cell
@many
@given(c=configs)
def test_recurrent_network(pair: Pair, scan: str, c: Config) -> None:
    check(pair, scan, c)


@on_both_scans
@for_each_cell
def test_many_steps(pair: Pair, scan: str) -> None:
    # T·N is more than the numpy scan multiplies at once (see products.py)
    c = Config(
        T=90, N=30, D=3, H=5, layers=2, bidirectional=True, bias=True, tokens=False, state=True,
        lengths=True, gradient="both", dtype="float64", seed=0,
    )  # fmt: skip
    check(pair, scan, c)


@pytest.mark.filterwarnings("ignore:Please use the new API")  # of some versions, about TF32
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("lengths", [False, True], ids=["equal", "ragged"])
@pytest.mark.parametrize(
    "scan", [pytest.param(scan, marks=NEEDS_DEVICE) for scan in ("generic", "fused", "persistent")]
)
@for_each_cell
def test_cudnn(pair: Pair, scan: str, lengths: bool, dtype: str, monkeypatch: Any) -> None:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch cannot use the device")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # its default is True
    c = Config(
        T=9, N=5, D=6, H=33, layers=2, bidirectional=True, bias=True, tokens=False, state=True,
        lengths=lengths, gradient="both", dtype=dtype, seed=0,
    )  # fmt: skip
    check(pair, scan, c, "cuda:0")


# ------------------------------------------------------------------------------- layers and losses

sizes = st.integers(1, 6)
dtypes = st.sampled_from(["float64", "float32"])
seeds = st.integers(0, 2**32 - 1)


@fewer
@given(
    T=st.sampled_from([None, 1, 2, 5, 500]),  # None: a single step, (H, N) instead of (T, H, N)
    H=sizes,
    K=sizes,
    N=sizes,
    bias=st.booleans(),
    dtype=dtypes,
    seed=seeds,
)
def test_linear(T: int | None, H: int, K: int, N: int, bias: bool, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = () if T is None else (T,)
    x = rng.standard_normal((*steps, H, N)).astype(dtype)
    dy = rng.standard_normal((*steps, K, N)).astype(dtype)
    layer = mr.Linear(H, K, bias=bias, dtype=dtype, rng=rng)
    y, cache = layer.forward(x)
    dx = layer.backward(cache, dy)
    V, *b = layer.parameters()

    x_torch = to_torch(x, requires_grad=True)
    V_torch = torch.tensor(V.data, requires_grad=True)
    b_torch = torch.tensor(b[0].data[:, 0], requires_grad=True) if bias else None
    y_torch = F.linear(x_torch, V_torch, b_torch)
    y_torch.backward(to_torch(dy))

    assert_close("y", y, to_numpy(y_torch), TOLERANCE[dtype])
    assert_close("dx", dx, to_numpy(x_torch.grad), TOLERANCE[dtype])
    assert_close("d V", V.grad, V_torch.grad.numpy(), TOLERANCE[dtype])
    if bias:
        assert_close("d b", b[0].grad, b_torch.grad.numpy()[:, None], TOLERANCE[dtype])


@fewer
@given(
    T=st.none() | sizes,
    N=sizes,
    K=st.sampled_from([1, 2, 3, 8, 600]),
    E=sizes,
    dtype=dtypes,
    seed=seeds,
)
def test_embedding(T: int | None, N: int, K: int, E: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = () if T is None else (T,)
    common = rng.integers(0, K, 3)  # few words, so that they repeat and most rows are not picked
    tokens = rng.choice(common, (*steps, N))
    dy = rng.standard_normal((*steps, E, N)).astype(dtype)
    layer = mr.Embedding(K, E, dtype=dtype, rng=rng)
    y, cache = layer.forward(tokens)
    layer.backward(cache, dy)
    (table,) = layer.parameters()

    table_torch = torch.tensor(table.data, requires_grad=True)
    y_torch = F.embedding(torch.tensor(tokens), table_torch)
    y_torch.backward(to_torch(dy))

    assert_close("y", y, to_numpy(y_torch), 0)
    assert_close("d E", table.grad, table_torch.grad.numpy(), TOLERANCE[dtype])


@fewer
@given(
    T=st.none() | sizes,
    K=st.integers(1, 9),
    N=sizes,
    weighted=st.booleans(),
    dtype=dtypes,
    seed=seeds,
)
def test_softmax_cross_entropy(
    T: int | None, K: int, N: int, weighted: bool, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    steps = () if T is None else (T,)
    scores = rng.standard_normal((*steps, K, N)).astype(dtype)
    targets = rng.integers(0, K, (*steps, N))
    weights = np.ones((*steps, N), dtype)
    if weighted:  # some of them 0, as in padding, but not the last
        weights *= rng.uniform(0.1, 2, weights.shape) * rng.integers(0, 2, weights.shape)
        weights[..., -1] = 1
        targets[weights == 0] = -100  # PyTorch's "ignore this one"; here a weight of 0 says it
    loss, dscores = mr.softmax_cross_entropy(scores, targets, weights if weighted else None)

    scores_torch = to_torch(scores, requires_grad=True).reshape(-1, K)
    scores_torch.retain_grad()
    w = torch.tensor(weights).reshape(-1)
    nll = F.cross_entropy(scores_torch, torch.tensor(targets).reshape(-1), reduction="none")
    loss_torch = (w * nll).sum() / w.sum()
    loss_torch.backward()

    assert_close("loss", np.asarray(loss), loss_torch.detach().numpy(), TOLERANCE[dtype])
    dscores_torch = to_numpy(scores_torch.grad.reshape(*steps, N, K))
    assert_close("dscores", dscores, dscores_torch, TOLERANCE[dtype])


def test_softmax_cross_entropy_of_large_scores() -> None:
    # exp(1000) is infinite: both have to subtract the largest score first
    scores = np.array([[1000.0, -1000.0], [0.0, 1000.0], [999.0, 999.5]])
    targets = np.array([2, 0])
    loss, dscores = mr.softmax_cross_entropy(scores, targets)
    scores_torch = to_torch(scores, requires_grad=True)
    loss_torch = F.cross_entropy(scores_torch, torch.tensor(targets))
    loss_torch.backward()
    assert_close("loss", np.asarray(loss), loss_torch.detach().numpy(), 1e-10)
    assert_close("dscores", dscores, to_numpy(scores_torch.grad), 1e-10)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_mse(dtype: str) -> None:
    pred, target = np.random.default_rng(0).standard_normal((2, 4, 3, 5)).astype(dtype)
    loss, dpred = mr.mse(pred, target)
    pred_torch = torch.tensor(pred, requires_grad=True)
    loss_torch = F.mse_loss(pred_torch, torch.tensor(target))
    loss_torch.backward()
    assert_close("loss", np.asarray(loss), loss_torch.detach().numpy(), TOLERANCE[dtype])
    assert_close("dpred", dpred, pred_torch.grad.numpy(), TOLERANCE[dtype])


# --------------------------------------------------------------------------- optimizers, clipping


def some_parameters(in_a_model: bool) -> list[mr.Parameter]:
    """Those of a model lie in one array, others apart: an optimizer goes over them differently."""
    layers = {
        "rnn": mr.GRU(3, 4, dtype="float64", rng=1),
        "out": mr.Linear(4, 2, dtype="float64", rng=2),
    }
    if in_a_model:
        return mr.Model(**layers).parameters()
    return [p for layer in layers.values() for p in layer.parameters()]


def copies_for_torch(parameters: list[mr.Parameter]) -> list[torch.Tensor]:
    return [torch.tensor(p.data, requires_grad=True) for p in parameters]


def set_gradients(
    rng: np.random.Generator, parameters: list[mr.Parameter], copies: list[torch.Tensor]
) -> None:
    """The same random gradients for both. From 1e-8 to 1, so that it matters where an ε stands."""
    for p, copy in zip(parameters, copies, strict=True):
        p.grad = rng.standard_normal(p.shape) * 10.0 ** rng.uniform(-8, 0, p.shape)
        copy.grad = torch.tensor(p.grad)


def assert_same_path(
    parameters: list[mr.Parameter],
    copies: list[torch.Tensor],
    ours: mr.optim.Optimizer,
    theirs: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """20 steps with the same gradients, compared after each."""
    rng = np.random.default_rng(3)
    for step in range(20):
        set_gradients(rng, parameters, copies)
        ours.step()
        theirs.step()
        if schedule is not None:
            schedule.step()
        for p, copy in zip(parameters, copies, strict=True):
            assert_close(f"{p.name} after step {step}", p.data, copy.detach().numpy(), 1e-10)


OPTIMIZERS = {  # the class, which has the same name in PyTorch, and options other than its defaults
    "SGD": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "Nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "RMSprop": ("RMSprop", {"decay": 0.9, "eps": 1e-6}),
    "Adagrad": ("Adagrad", {"eps": 1e-6}),
    "Adam": ("Adam", {"betas": (0.8, 0.95), "eps": 1e-6}),
    "AdamW": ("AdamW", {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
}


@pytest.mark.parametrize("in_a_model", [True, False])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer(name: str, options: dict[str, Any], in_a_model: bool) -> None:
    parameters = some_parameters(in_a_model)
    copies = copies_for_torch(parameters)
    torch_options = {{"decay": "alpha"}.get(key, key): value for key, value in options.items()}
    ours = getattr(mr, name)(parameters, lr=0.05, **options)
    theirs = getattr(torch.optim, name)(copies, lr=0.05, **torch_options)
    assert_same_path(parameters, copies, ours, theirs)


@pytest.mark.parametrize("name", ["RMSprop", "Adagrad", "Adam", "AdamW"])
def test_optimizer_defaults(name: str) -> None:
    parameters = some_parameters(in_a_model=True)
    copies = copies_for_torch(parameters)
    ours, theirs = getattr(mr, name)(parameters), getattr(torch.optim, name)(copies)
    assert_same_path(parameters, copies, ours, theirs)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            mr.StepDecay(0.02, every=7, factor=0.5),
            lambda opt: torch.optim.lr_scheduler.StepLR(opt, step_size=7, gamma=0.5),
        ),
        (
            mr.CosineWarmup(0.02, steps=20, final=0.001),
            lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=20, eta_min=0.001),
        ),
    ],
    ids=["StepDecay", "Cosine"],
)
def test_schedule(ours: Callable[[int], float], theirs: Callable[..., Any]) -> None:
    # with AdamW, whose weight decay is multiplied by the scheduled rate too
    parameters = some_parameters(in_a_model=True)
    copies = copies_for_torch(parameters)
    opt = torch.optim.AdamW(copies, lr=0.02)
    assert_same_path(parameters, copies, mr.AdamW(parameters, lr=ours), opt, theirs(opt))


@pytest.mark.parametrize("in_a_model", [True, False])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
def test_clip_grad_norm(max_norm: float, in_a_model: bool) -> None:
    parameters = some_parameters(in_a_model)
    copies = copies_for_torch(parameters)
    set_gradients(np.random.default_rng(4), parameters, copies)
    norm = mr.clip_grad_norm(parameters, max_norm)
    norm_torch = torch.nn.utils.clip_grad_norm_(copies, max_norm)
    assert 0.5 < norm < 1000  # clipped in one case, left alone in the other
    assert norm == pytest.approx(float(norm_torch), rel=1e-10)
    for p, copy in zip(parameters, copies, strict=True):
        # PyTorch scales by max_norm / (norm + 1e-6)
        assert_close(p.name, p.grad, copy.grad.numpy(), 1e-5)


def test_clip_grad_value() -> None:
    parameters = some_parameters(in_a_model=True)
    copies = copies_for_torch(parameters)
    set_gradients(np.random.default_rng(4), parameters, copies)
    mr.clip_grad_value(parameters, 0.05)
    torch.nn.utils.clip_grad_value_(copies, 0.05)
    for p, copy in zip(parameters, copies, strict=True):
        assert_close(p.name, p.grad, copy.grad.numpy(), 0)


# ------------------------------------------------------------------------------- all of it together


def test_training_runs_alike() -> None:
    """A language model's first 20 updates: embedding, LSTM, output layer, loss, SGD with momentum."""
    T, N, K, E, H = 6, 4, 7, 5, 8
    tokens = np.random.default_rng(5).integers(0, K, (T + 1, N))
    x, targets = tokens[:-1], tokens[1:]

    embedding = mr.Embedding(K, E, dtype="float64", rng=6)
    rnn = mr.LSTM(E, H, num_layers=2, dtype="float64", rng=7)
    out = mr.Linear(H, K, dtype="float64", rng=8)
    model = mr.Model(embedding=embedding, rnn=rnn, out=out)

    E_torch = torch.tensor(embedding.parameters()[0].data, requires_grad=True)
    V_torch = torch.tensor(out.parameters()[0].data, requires_grad=True)
    b_torch = torch.tensor(out.parameters()[1].data[:, 0], requires_grad=True)
    net = torch.nn.LSTM(E, H, num_layers=2, dtype=torch.float64)
    net.load_state_dict({n: torch.tensor(w) for n, w in weights_for_torch(rnn).items()})
    for name, p in net.named_parameters():
        p.requires_grad_(
            "bias_hh" not in name
        )  # there is one bias here; two would learn twice as fast

    opt = mr.SGD(model.parameters(), lr=0.5, momentum=0.9)
    learning = [p for p in net.parameters() if p.requires_grad]
    opt_torch = torch.optim.SGD([E_torch, *learning, V_torch, b_torch], lr=0.5, momentum=0.9)
    losses, losses_torch = [], []
    for _ in range(20):
        embedded, embedding_cache = embedding.forward(x)
        ys, _, rnn_cache = rnn.forward(embedded)
        scores, out_cache = out.forward(ys)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)
        opt.zero_grad()
        dys = out.backward(out_cache, dscores)
        dembedded, _ = rnn.backward(rnn_cache, dys)
        embedding.backward(embedding_cache, dembedded)
        opt.step()
        losses.append(loss)

        ys_torch, _ = net(F.embedding(torch.tensor(x), E_torch))
        scores_torch = F.linear(ys_torch, V_torch, b_torch)
        loss_torch = F.cross_entropy(scores_torch.reshape(-1, K), torch.tensor(targets).reshape(-1))
        opt_torch.zero_grad()
        loss_torch.backward()
        opt_torch.step()
        losses_torch.append(loss_torch.item())

    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, losses_torch, rtol=1e-10)
