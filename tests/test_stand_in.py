"""What is not done unasked: moving numbers, mixing devices, waiting. And the stand-in refuses it."""

import sys

import numpy as np
import pytest

import minirnn as mr
from minirnn.cells import CELLS
from minirnn.recurrent import Recurrent

HOST = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def a(stand_in):
    return stand_in.asarray(HOST)


@pytest.mark.parametrize(
    "mixing",
    [
        lambda a, xp: np.asarray(a),
        lambda a, xp: np.array([a, a]),
        lambda a, xp: np.tanh(a),
        lambda a, xp: np.add(HOST, a),
        lambda a, xp: np.concatenate([a, a]),
        lambda a, xp: np.where(a > 0, 1, 0),
        lambda a, xp: np.add.reduceat(a, [0, 1]),
        lambda a, xp: HOST + a,
        lambda a, xp: a + HOST,
        lambda a, xp: a @ HOST.T,
        lambda a, xp: a == HOST,
        lambda a, xp: a + HOST.tolist(),
        lambda a, xp: a.__iadd__(HOST),
        lambda a, xp: HOST.copy().__iadd__(a),
        lambda a, xp: HOST.copy().__setitem__(..., a),
        lambda a, xp: a.__setitem__(..., HOST),
        lambda a, xp: a[np.array([0, 1])],
        lambda a, xp: a[[0, 1]],
        lambda a, xp: HOST[xp.arange(2)],
        lambda a, xp: a.take(np.array([0, 1]), axis=1),
        lambda a, xp: xp.multiply(a, HOST),
        lambda a, xp: xp.multiply(a, a, out=HOST.copy()),
        lambda a, xp: xp.multiply(a, a, where=a > 0),
        lambda a, xp: xp.where(HOST > 0, a, 0),
        lambda a, xp: xp.concatenate([a, HOST]),
        lambda a, xp: xp.take(a, xp.arange(2), axis=1, mode="clip"),
        lambda a, xp: a.sum(initial=0),
        lambda a, xp: range(a.sum()),
        lambda a, xp: xp.asarray(None),
    ],
)
def test_host_arrays_and_what_cupy_has_not_are_refused(mixing, a, stand_in):
    with pytest.raises((TypeError, ValueError, IndexError)):
        mixing(a, stand_in)
    assert a.get().tobytes() == HOST.tobytes()


def test_names_that_are_not_listed_are_missing(stand_in):
    assert hasattr(stand_in, "add")
    assert not hasattr(stand_in.add, "reduceat")
    assert not any(hasattr(stand_in, name) for name in ("errstate", "nditer", "lib"))


@pytest.mark.parametrize(
    "mixing",
    [
        lambda a, b: a + b,
        lambda a, b: b + 1,
        lambda a, b: b.sum(),
        lambda a, b: b.copy(),
        lambda a, b: b.T.reshape(6),
        lambda a, b: b.__setitem__(0, 1),
        lambda a, b: a.__setitem__(0, b[0]),
        lambda a, b: b.__iadd__(1),
    ],
)
def test_devices_are_not_mixed(mixing, a, stand_in):
    with stand_in.cuda.Device(1):
        b = stand_in.asarray(HOST)
    with pytest.raises(ValueError, match="array on device 1, while 0 is current"):
        mixing(a, b)
    assert b[0].T.device.id == 1
    assert b.get().tobytes() == HOST.tobytes()


def test_results_stay_arrays_and_looking_at_them_is_counted(a, stand_in):
    total = a.sum()
    assert isinstance(total, stand_in.ndarray)
    assert total.shape == ()
    assert isinstance(a[0, 1] * np.float64(2) + 1 - True, stand_in.ndarray)
    assert stand_in.synchronised == []
    assert (float(total), int(total), bool(total), total.item()) == (15, 15, True, 15)
    assert f"{total:.1f}" == "15.0"
    assert a[a > 2].get().tolist() == [3, 4, 5]
    assert stand_in.argwhere(a > 4).tolist() == [[1, 2]]
    assert stand_in.synchronised == [
        *("float", "int", "bool", "item", "format"),
        *("mask as an index", "get", "argwhere", "tolist"),
    ]


def test_what_comes_from_the_host_is_counted(a, stand_in):
    assert stand_in.copied == [HOST.shape]
    with stand_in.cuda.Device(1):
        b = stand_in.asarray(stand_in.asarray(a))
        stand_in.asarray([1.0, 2.0])
        stand_in.ones(3) + b[0]
    assert stand_in.copied == [HOST.shape, (2,)]


def test_what_cupy_leaves_to_chance_is_refused(a, stand_in):
    with pytest.raises(IndexError, match="left to chance"):
        a[:, stand_in.asarray([0, 0])] = stand_in.ones((2, 2))
    assert np.isnan(stand_in.empty(3).get()).all()


def test_host_arrays_are_not_moved_unasked(device):
    wanted = r"{}: is an array on the host, but cuda:\d is where"
    x, target = np.zeros((4, 2, 1)), np.zeros((4, 1), int)
    for net in (mr.RNN(2, 3, device=device, rng=0), mr.Linear(2, 3, device=device, rng=0)):
        with pytest.raises(TypeError, match=wanted.format("x")):
            net.forward(x)
        y, *_, cache = net.forward(mr.to_device(x, device))
        with pytest.raises(TypeError, match=wanted.format("dys?")):
            net.backward(cache, np.zeros((4, 3, 1)))
        with pytest.raises(TypeError, match=wanted.format("targets")):
            mr.softmax_cross_entropy(y, target)
        with pytest.raises(TypeError, match=r"is an array on cuda:\d, but cpu is where"):
            mr.RNN(3, 3).forward(y)


def test_arrays_do_not_move_between_devices_unasked(stand_in):
    for here, there in (("cuda:0", "cuda:1"), ("cuda:1", "cuda:0")):
        net = mr.RNN(2, 3, device=here, rng=0)
        x = mr.to_device(np.zeros((4, 2, 1)), there)
        with pytest.raises(TypeError, match=f"x: is an array on {there}, but {here} is where"):
            net.forward(x)
        assert mr.to_device(x, here).device.id == int(here[-1])
    with pytest.raises(ValueError, match="want one dtype and one device"):
        mr.Adam([*net.parameters(), *mr.Linear(3, 2, device=there).parameters()])


def test_cupy_is_needed_only_for_a_device_and_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # so that to import it is an ImportError
    mr.RNN(2, 3, dtype="float64", rng=0).forward(np.zeros((4, 2, 1)))
    with pytest.raises(RuntimeError) as caught:
        mr.RNN(2, 3, device="cuda")
    said = str(caught.value)
    assert said.startswith("device='cuda' needs CuPy: pip install cupy-cuda13x")
    assert "extras cuda13 and cuda12" in said
    assert "\n" not in said


def test_without_a_driver_one_line_says_so(stand_in, monkeypatch):
    def count():
        raise stand_in.CUDARuntimeError("cudaErrorInsufficientDriver")

    with pytest.raises(RuntimeError, match=r"device='cuda:2': this machine has 2 CUDA device\(s\)"):
        mr.RNN(2, 3, device="cuda:2")
    monkeypatch.setattr(stand_in.cuda.runtime, "getDeviceCount", count)
    with pytest.raises(RuntimeError, match=r"no CUDA device can be used here \(cudaErrorIns"):
        mr.RNN(2, 3, device="cuda")


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])
def test_a_training_step_waits_for_nothing(cell, tokens, stand_in):
    rng, options = np.random.default_rng(0), {"device": "cuda:1", "rng": 0}
    x = rng.integers(0, 5, (7, 3)) if tokens else rng.normal(size=(7, 5, 3))
    targets, weights = rng.integers(0, 4, (7, 3)), rng.random((7, 3))
    x, targets, weights = (mr.to_device(a, "cuda:1") for a in (x, targets, weights))
    model = mr.Model(
        rnn=Recurrent(cell, 5, 6, 2, True, 0.5, **options),
        out=mr.Sequential(mr.Dropout(0.1), mr.Linear(12, 4, **options)),
    )
    optimizer = mr.Adam(model.parameters())
    average = mr.Average(model.parameters())
    stand_in.synchronised.clear()
    for every in (None, "sqrt"):
        ys, _, cache = model.rnn.forward(
            x, lengths=[7, 2, 5], dropout_rng=np.random.default_rng(1), recompute_every=every
        )
        scores, out_cache = model.out.forward(ys, dropout_rng=np.random.default_rng(2))
        loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)
        optimizer.zero_grad()
        model.rnn.backward(cache, model.out.backward(out_cache, dscores))
        mr.clip_grad_norm(model.parameters(), 1.0)
        mr.clip_grad_value(model.parameters(), 1.0)
        optimizer.step()
        average.update()
    assert stand_in.synchronised == []
    assert float(loss) > 0
    assert stand_in.synchronised == ["float"]


def test_nor_do_the_steps_of_whole_models(stand_in):
    rng, options = np.random.default_rng(0), {"device": "cuda:1", "rng": 0}
    source, inputs = (mr.to_device(rng.integers(0, 5, (6, 3)), "cuda:1") for _ in range(2))
    translator = mr.EncoderDecoder(5, 5, 6, bidirectional=True, **options)
    language = mr.LanguageModel(5, 6, embedding=6, share=True, dropout=0.1, **options)
    optimizers = [mr.AdamW(model.parameters()) for model in (translator, language)]
    stand_in.synchronised.clear()
    scores, cache = translator.forward(source, inputs, lengths=[6, 1, 4])
    translator.backward(cache, mr.softmax_cross_entropy(scores, inputs)[1])
    scores, _, cache = language.forward(source, dropout_rng=np.random.default_rng(1))
    language.backward(cache, mr.softmax_cross_entropy(scores, inputs)[1])
    for optimizer in optimizers:
        optimizer.step()
    assert stand_in.synchronised == []


@pytest.mark.parametrize("lengths", [None, [6, 1, 4]], ids=["whole", "lengths"])
def test_decoding_waits_for_what_is_read_and_nothing_else(lengths, stand_in):
    source = mr.to_device(np.random.default_rng(0).integers(0, 5, (6, 3)), "cuda:1")
    model = mr.EncoderDecoder(5, 7, 6, bidirectional=True, device="cuda:1", rng=0)
    start = mr.to_device(np.array([0, 1, 2]), "cuda:1")
    stand_in.synchronised.clear()
    _, state = model.step(start, model.encode(source, lengths))
    model.step(start, state)
    assert stand_in.synchronised == []
    never, length = 6, 4
    b = model.out.named_parameters()["b"]
    b.data = np.where(
        np.arange(7)[:, None] == never, -1e3, 0
    )  # so that every search goes to its end
    problem = (model.step, model.encode(source, lengths), start, never, length)
    stand_in.synchronised.clear()
    mr.greedy_search(*problem)
    mr.beam_search(*problem, 3)
    # the first tokens, and the scores of each step
    assert stand_in.synchronised == ["get"] * 2 * (1 + length)
