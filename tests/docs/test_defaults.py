"""What is not given: every default of the public interface, stated once, and fresh random numbers."""

import inspect

import numpy as np
import pytest
from helpers import all_same_bits
from test_docstrings import callables

import minirnn as mr
from minirnn.data import batches

TABLE = """
GRU: num_layers=1, bidirectional=False, dropout=0.0, reset_after=True, bias=True, dtype='float32',
    device='cpu', rng=None, init='uniform', scan='auto', precision=None
LSTM: num_layers=1, bidirectional=False, dropout=0.0, activation='tanh', bias=True, dtype='float32',
    device='cpu', rng=None, init='uniform', forget_bias=None, scan='auto', precision=None
RNN: num_layers=1, bidirectional=False, dropout=0.0, activation='tanh', bias=True, dtype='float32',
    device='cpu', rng=None, init='uniform', scan='auto', precision=None
SGD: momentum=0.0, nesterov=False, on_nonfinite=None, check=None
Activation.forward Embedding.forward Linear.forward OneHot.forward StatelessLayer.forward:
    want_cache=True
Adagrad: lr=0.01, eps=1e-10, on_nonfinite=None, check=None
Adam: lr=0.001, betas=(0.9, 0.999), eps=1e-08, on_nonfinite=None, check=None
AdamW: lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01, on_nonfinite=None, check=None
Attention.forward: lengths=None, want_cache=True
Average: decay=0.999
CosineWarmup: warmup=0, final=0.0
Dropout.forward Sequential.forward: dropout_rng=None, want_cache=True
Embedding: dtype='float32', device='cpu', rng=None
EncoderDecoder: cell='lstm', num_layers=1, bidirectional=False, attention=True, dtype='float32',
    device='cpu', rng=None, precision=None, scan='auto', embedding=None, dropout=0.0
EncoderDecoder.forward: lengths=None, dropout_rng=None, want_cache=True
EncoderDecoder.encode: lengths=None
LSTMCell RNNCell: activation='tanh'
LanguageModel: cell='lstm', num_layers=1, embedding=None, share=False, dropout=0.0, dtype='float32',
    device='cpu', rng=None, precision=None, scan='auto'
LanguageModel.forward: state=None, dropout_rng=None, want_cache=True
LanguageModel.evaluate: N=1, T=None
Last.forward Model.forward: state=None, lengths=None, dropout_rng=None, want_cache=True
Last.backward: dstate=None, want_dx=True
LanguageModel.step Last.step Model.step Recurrent.step: state=None
Layer.load_state_dict: strict=True
Linear: bias=True, dtype='float32', device='cpu', rng=None, init='uniform', share=None,
    precision=None
Model.backward Recurrent.backward: dys=None, dstate=None, want_dx=True
OneHot: dtype='float32', device='cpu'
Parameter: blocks=()
Parameter.replaced_by: grad=None
RMSprop: lr=0.01, decay=0.99, eps=1e-08, on_nonfinite=None, check=None
Recurrent: num_layers=1, bidirectional=False, dropout=0.0, bias=True, dtype='float32', device='cpu',
    rng=None, init='uniform', scan='auto', precision=None
Recurrent.forward: state=None, lengths=None, dropout_rng=None, want_cache=True, check_finite=False,
    recompute_every=None
StepDecay: factor=0.1
beam_search: min_length=0, length_penalty=0.0, n_best=None
clip_grad_norm: error_if_nonfinite=False
explain: x=None, source=False
generate: temperature=1.0, top_k=None, top_p=None, state=None
gradcheck: parameters=(), method='auto', tol=None
greedy_search: min_length=0
mse softmax_cross_entropy: weights=None
next_token_probabilities sample_token: temperature=1.0, top_k=None, top_p=None
threads: count=None
to_host: name='array'
data.Streams: remainder=False
data.Vocabulary: level='char'
data.Vocabulary.build: level='char', limit=None
data.batches: rng=None, drop_last=False
data.chronological_split: overlap=0, axis=None
data.one_hot: dtype='float32'
data.pad: value=0
data.read_text: pattern='*'
data.windows: ahead=1
gradcheck.proof.Case: layers=1, bidirectional=False, lengths=False, state=False, given='both',
    tokens=False, dropout=0.0, bias=True
gradcheck.proof.Case.check: seed=0, T=4, D=5, H=2, N=3
text.ngram.NGram: order=5
text.ngram.NGram.nll text.ngram.NGram.mean_nll: context=None
nonlinearity.nonlinearity: allowed=('tanh', 'sigmoid', 'relu')
plot.loss_curve: guessing=None
plot.loss_curves: guessing=None, pale=()
plot.states_over_time: title='hidden state', units=None
plot.text_by_unit: title='activity of a unit', width=80
text.units.rank_units: best=3
"""


def stated():
    """The table, by name."""
    found = {}
    for row in TABLE.replace("\n    ", " ").strip().splitlines():
        names, _, defaults = row.partition(": ")
        found |= dict.fromkeys(names.split(), eval(f"dict({defaults})"))
    return found


def actual():
    """What Python says of every public function, constructor and method that has a default."""
    found = {}
    for name, value, _ in callables():
        parameters = inspect.signature(value).parameters.values()
        given = {p.name: p.default for p in parameters if p.default is not p.empty}
        found |= {name: given} if given else {}
    return found


def test_every_default_is_the_one_that_is_stated():
    found, wanted = actual(), stated()
    wrong = {name: (given, wanted.get(name)) for name, given in found.items()}
    wrong = {name: pair for name, pair in wrong.items() if repr(pair[0]) != repr(pair[1])}
    assert wrong == {}, "TABLE says otherwise, or nothing"
    assert not wanted.keys() - found.keys()


UNSEEDED = {
    "RNN": lambda: mr.RNN(2, 3).state_dict(),
    "LSTM": lambda: mr.LSTM(2, 3).state_dict(),
    "GRU": lambda: mr.GRU(2, 3).state_dict(),
    "Recurrent": lambda: mr.Recurrent(mr.LSTMCell(), 2, 3).state_dict(),
    "Linear": lambda: mr.Linear(2, 3).state_dict(),
    "Embedding": lambda: mr.Embedding(2, 3).state_dict(),
    "LanguageModel": lambda: mr.LanguageModel(4, 3).state_dict(),
    "EncoderDecoder": lambda: mr.EncoderDecoder(4, 5, 3).state_dict(),
    "data.batches": lambda: {"order": np.concatenate(list(batches(50, 50)))},
}


@pytest.mark.parametrize("name", UNSEEDED)
def test_without_a_seed_no_two_are_equal(name):
    one, other = UNSEEDED[name](), UNSEEDED[name]()
    assert not all_same_bits(one, other)
    drawn = [key for key, value in one.items() if np.unique(value).size > 1]
    assert drawn
    assert all((one[key] != other[key]).any() for key in drawn)


def test_everything_that_draws_by_itself_is_tried_without_a_seed():
    assert {name for name, given in actual().items() if given.get("rng", 0) is None} == set(
        UNSEEDED
    )
