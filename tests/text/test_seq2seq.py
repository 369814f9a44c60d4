"""The encoder-decoder: its gradient as a whole, with lengths; steps as one run; sequences apart."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from helpers import assert_adds_up, gradients, same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr
from minirnn.recurrent.by_name import NETWORKS

quick = settings(max_examples=25, deadline=None, derandomize=True)
SOURCES, K, H, S, T, N = 5, 3, 4, 4, 3, 3
LENGTHS = (2, 0, 4)
FORMS = list(product(NETWORKS, (1, 2), (False, True), (False, True)))
PROVEN = [form for form in FORMS if form[1] == 1 or form == ("rnn", 2, True, True)]
MORE = [form for form in PROVEN if form[0] != "lstm" and form[2] != form[3]]
each_form = pytest.mark.parametrize(("cell", "layers", "both", "attention"), FORMS)
each_attention = pytest.mark.parametrize("attention", [False, True], ids=["plain", "attention"])


def make(cell="lstm", layers=1, both=False, attention=True, dtype="float64", seed=0, **more):
    return mr.EncoderDecoder(SOURCES, K, H, cell, layers, both, attention, dtype, rng=seed, **more)


def draw(rng, S=S, T=T, N=N):
    """Source tokens (S, N), what the decoder reads and what it is to say (T, N)."""
    return rng.integers(0, SOURCES, (S, N)), *rng.integers(0, K, (2, T, N))


@pytest.mark.parametrize(
    ("cell", "layers", "both", "attention", "lengths"),
    [
        *((*form, LENGTHS) for form in PROVEN if form not in MORE),  # one of which is whole
        *(pytest.param(*form, LENGTHS, marks=pytest.mark.exhaustive) for form in MORE),
        *((*form, None) for form in PROVEN if form[0] == "lstm"),
    ],
)
def test_its_gradient_is_the_derivative(rng, cell, layers, both, attention, lengths):
    model = make(cell, layers, both, attention)
    for p in model.parameters():
        p.data = rng.normal(0, 0.7, p.shape)
    source, inputs, targets = draw(rng)
    weights = rng.uniform(0, 1, (T, N))

    def forward():
        scores, cache = model.forward(source, inputs, lengths)
        loss, dscores = mr.softmax_cross_entropy(scores, targets, weights)
        return loss, (cache, dscores)

    report = mr.gradcheck(forward, lambda saved: model.backward(*saved), model.parameters())
    assert report.worst <= 1e-12, report
    assert {row.name for row in report.rows} == set(model.named_parameters())
    assert all(row.largest > 1e-5 for row in report.rows), report  # nothing is cut off


@pytest.mark.parametrize(
    ("embedding", "dropout"),
    [
        *(pytest.param(*of, marks=pytest.mark.exhaustive) for of in [(None, 0.4), (3, 0.0)]),
        (3, 0.4),
    ],
)
@pytest.mark.parametrize(
    ("layers", "both", "attention"),
    [(1, False, True), (1, True, False), (2, False, False), (2, True, True)],
)
def test_dropout_and_embeddings_have_the_derivative_as_gradient(
    rng, layers, both, attention, dropout, embedding
):
    model = make("gru", layers, both, attention, embedding=embedding, dropout=dropout)
    for p in model.parameters():
        p.data = rng.normal(0, 0.7, p.shape)
    source, inputs, targets = draw(rng)

    def forward():
        mask = np.random.default_rng(5)  # the same at every point
        scores, cache = model.forward(source, inputs, LENGTHS, mask)
        loss, dscores = mr.softmax_cross_entropy(scores, targets)
        return loss, (cache, dscores)

    report = mr.gradcheck(forward, lambda saved: model.backward(*saved), model.parameters())
    assert report.worst <= 1e-12, report
    names = set(model.named_parameters())
    assert {row.name for row in report.rows} == names
    assert {"embed_source.E", "embed_target.E"} <= names or embedding is None
    assert model.encoder.dropout == model.decoder.dropout == (dropout if layers > 1 else 0)
    plain = model.forward(source, inputs, LENGTHS)[0]
    dropped = model.forward(source, inputs, LENGTHS, np.random.default_rng(5))[0]
    assert np.allclose(plain, dropped) == (dropout == 0)
    state = model.encode(source, LENGTHS)
    for inputs_t, wanted in zip(inputs, plain, strict=True):
        scores, state = model.step(inputs_t, state)
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-13)


def test_every_mask_of_dropout_is_drawn_anew(rng):
    model = make(layers=2, embedding=3, dropout=0.4)
    source, inputs, _ = draw(rng)
    random = np.random.default_rng(0)
    one, other = (model.forward(source, inputs, dropout_rng=random)[0] for _ in range(2))
    assert not np.allclose(one, other)
    with pytest.raises(TypeError, match="dropout_rng: got"):
        model.forward(source, inputs, dropout_rng=0)


def test_with_embeddings_tokens_are_those_of_the_vocabularies(rng):
    model = make(embedding=2)
    source, inputs, _ = draw(rng)
    for name, wrong, most in (
        ("source", {"source": source + SOURCES}, 4),
        ("inputs", {"inputs": inputs + K}, 2),
    ):
        with pytest.raises(ValueError, match=rf"{name}: got tokens from . to .*, want 0 to {most}"):
            model.forward(**({"source": source, "inputs": inputs} | wrong))
    source[beyond := np.arange(S)[:, None] >= np.array(LENGTHS)] = -77  # is never read
    assert np.isfinite(model.forward(source, inputs, LENGTHS)[0]).all()
    assert beyond.any()


@each_form
def test_steps_are_one_run(rng, cell, layers, both, attention):
    model = make(cell, layers, both, attention)
    source, inputs, _ = draw(rng)
    for lengths in (None, LENGTHS):
        with unchanged(source, inputs, *(p.data for p in model.parameters())):
            whole, _ = model.forward(source, inputs, lengths)
            state = model.encode(source, lengths)
            assert {part.shape[-1] for part in state} == {N}  # so that a beam search can pick
            for inputs_t, wanted in zip(inputs, whole, strict=True):
                scores, state = model.step(inputs_t, state)
                assert scores.shape == (K, N)
                np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-13)


@each_form
def test_a_sequence_alone_gets_the_same_numbers_as_in_a_padded_batch(
    rng, cell, layers, both, attention
):
    model = make(cell, layers, both, attention)
    source, inputs, _ = draw(rng)
    beyond = np.arange(S)[:, None] >= np.array(LENGTHS)
    dscores = rng.standard_normal((T, K, N))
    scores, cache = model.forward(source, inputs, LENGTHS)
    model.backward(cache, dscores)
    together = gradients(model)
    source[beyond] = -77  # is never read
    assert same_bits(model.forward(source, inputs, LENGTHS)[0], scores)
    model.zero_grad()
    for n, end in enumerate(LENGTHS):
        keep = max(end, 1)  # one without any source keeps a step of padding
        alone, cache = model.forward(source[:keep, [n]], inputs[:, [n]], [end])
        np.testing.assert_allclose(alone[..., 0], scores[..., n], rtol=0, atol=1e-13)
        model.backward(cache, dscores[..., [n]])
    for name, gradient in gradients(model).items():
        np.testing.assert_allclose(gradient, together[name], rtol=0, atol=1e-12)


@each_attention
def test_what_comes_later_in_the_target_changes_nothing_before(rng, attention):
    model = make(attention=attention)
    source, inputs, _ = draw(rng)
    scores, _ = model.forward(source, inputs)
    inputs[-1] = (inputs[-1] + 1) % K
    changed, _ = model.forward(source, inputs)
    assert same_bits(changed[:-1], scores[:-1])
    assert not np.allclose(changed[-1], scores[-1])


def test_the_decoder_starts_where_the_encoder_ends(rng):
    """In two directions, both ends: l0 and l0.reverse on top of one another are the decoder's l0."""
    model, (source, inputs, _) = make(both=True, layers=2, attention=False), draw(rng)
    _, end, _ = model.encoder.forward(source, lengths=LENGTHS)
    start = model.encode(source, LENGTHS)
    for part, whole in zip(end, start, strict=True):
        assert whole.shape == (2, H, N)
        for layer in range(2):
            np.testing.assert_array_equal(whole[layer, : H // 2], part[2 * layer])
            np.testing.assert_array_equal(whole[layer, H // 2 :], part[2 * layer + 1])
    ys, _, _ = model.decoder.forward(inputs, start)
    scores, _ = model.forward(source, inputs, LENGTHS)
    np.testing.assert_array_equal(model.out.forward(ys)[0], scores)


def test_attention_reads_the_memory_and_goes_into_the_scores(rng):
    model, (source, inputs, _) = make(), draw(rng)
    memory, state, _ = model.encoder.forward(source, lengths=LENGTHS)
    ys, _, _ = model.decoder.forward(inputs, state)
    context, _ = model.attention.forward(ys, memory, LENGTHS)
    W, b = (p.data for p in model.combine.parameters())
    mixed = np.stack([np.tanh(W @ np.vstack(pair) + b) for pair in zip(context, ys, strict=True)])
    scores, cache = model.forward(source, inputs, LENGTHS)
    np.testing.assert_allclose(model.out.forward(mixed)[0], scores, rtol=0, atol=1e-13)
    assert cache.attention.weights.shape == (T, S, N)
    np.testing.assert_allclose(cache.attention.weights.sum(axis=1)[:, [0, 2]], 1)


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from(FORMS), st.integers(1, 4))
def test_it_can_be_searched(seed, form, width):
    """The beam's columns take their own memory with them: its log-probability is that of forward."""
    rng, length = np.random.default_rng(seed), 4
    model, (source, _, _) = make(*form), draw(rng)
    for p in model.parameters():
        p.data = rng.normal(0, 1, p.shape)
    start = rng.integers(0, K, N)
    state = model.encode(source, LENGTHS)
    tokens, found = mr.beam_search(model.step, state, start, 0, length, width)
    scores, _ = model.forward(source, np.concatenate((start[None], tokens[:-1])), LENGTHS)
    until = np.cumsum(tokens == 0, axis=0) - (tokens == 0) == 0
    loss, _ = mr.softmax_cross_entropy(scores, tokens, until)
    assert -loss * until.sum() == pytest.approx(found.sum(), abs=1e-10)
    if width == 1:
        assert same_bits(tokens, mr.greedy_search(model.step, state, start, 0, length))


@pytest.mark.parametrize("scan", ["generic", "numpy"])
def test_its_networks_run_the_scan_that_is_asked_for(scan):
    model = mr.EncoderDecoder(SOURCES, K, H, scan=scan, rng=0)
    assert (model.encoder.scan.name, model.decoder.scan.name) == (scan, scan)
    with pytest.raises(ValueError, match="scan: 'fused' cannot run here"):
        mr.EncoderDecoder(SOURCES, K, H, scan="fused")


def test_it_is_made_of_the_layers_it_names():
    recurrent = [f"{part}.l0.{letter}" for part in ("encoder", "decoder") for letter in "UWb"]
    plain, out = make(attention=False), ["out.V", "out.b"]
    assert list(plain.named_parameters()) == [*recurrent, *out]
    with_attention = [*recurrent, "combine.0.V", "combine.0.b", *out]
    assert list(make().named_parameters()) == with_attention
    model = make(both=True, layers=2)
    assert model.encoder.hidden_size == H // 2
    assert model.decoder.hidden_size == H
    assert model.encoder.num_layers == model.decoder.num_layers == 2


@pytest.mark.parametrize("cell", NETWORKS)
def test_tokens_can_be_told_apart_from_the_start(cell):
    model = mr.EncoderDecoder(300, 200, 50, cell, 2, bidirectional=True, rng=0)
    P = model.state_dict()
    for name in ("encoder.l0.U", "encoder.l0.reverse.U", "decoder.l0.U"):
        assert P[name].std() == pytest.approx(2, rel=0.05)
    assert abs(P["encoder.l1.U"]).max() <= 25**-0.5
    assert abs(P["decoder.l1.U"]).max() <= 50**-0.5


@each_attention
def test_a_seed_gives_the_same_model(attention):
    first, second = (make(attention=attention, dtype="float32") for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert same_bits(a.data, b.data)
        assert a.data.dtype == np.float32


def test_backward_adds_up_and_refuses_what_is_not_its_own(rng):
    model, (source, inputs, _) = make(), draw(rng)
    dscores = rng.standard_normal((T, K, N))
    scores, cache = model.forward(source, inputs)
    scores[...] = np.nan
    with unchanged(dscores):
        assert_adds_up(model, lambda: model.backward(cache, dscores))
    with pytest.raises(ValueError, match="cache: comes from another layer"):
        make().backward(cache, dscores)
    with pytest.raises(ValueError, match=r"dy: got shape \(2, 3, 3\), want \(3, 3, 3\)"):
        model.backward(cache, dscores[:2])


GOOD = {"source": np.zeros((S, N), int), "inputs": np.zeros((T, N), int)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": np.full((S, N), SOURCES)}, "source: got tokens from 5 to 5, want 0 to 4"),
        ({"source": np.zeros((S, N))}, "source: got float64"),
        ({"source": np.zeros((S, 2), int)}, r"source: got shape \(4, 2\), want \(S, 3\)"),
        ({"source": np.zeros(N, int)}, r"source: got shape \(3,\), want \(S, 3\)"),
        ({"inputs": np.full((T, N), K)}, "inputs: got tokens from 3 to 3, want 0 to 2"),
        ({"inputs": np.zeros(N, int)}, r"inputs: got shape \(3,\), want \(T, N\)"),
        ({"lengths": [1, 2]}, r"lengths: got shape \(2,\), want \(3,\)"),
        ({"lengths": [1, 2, 5]}, "lengths: got 1 to 5, want 0 to T = 4"),
    ],
)
def test_forward_refuses_what_does_not_fit(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make().forward(**(GOOD | options))


@each_attention
def test_step_refuses_a_state_of_another_kind(attention):
    model = make(attention=attention)
    state = model.encode(GOOD["source"])
    parts = "h, c, memory, real" if attention else "h, c"
    message = rf"state: got {len(state) - 1} part\(s\), want {len(state)}: \({parts}\)"
    with pytest.raises(ValueError, match=message):
        model.step(GOOD["inputs"][0], state[:-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "elman"}, "cell: got 'elman', want one of rnn, lstm, gru"),
        ({"source_tokens": 0}, "source_tokens: got 0, want 1 or more"),
        ({"target_tokens": 0}, "target_tokens: got 0, want 1 or more"),
        ({"hidden_size": 0}, "hidden_size: got 0, want 1 or more"),
        ({"embedding": 0}, "embedding: got 0, want 1 or more"),
        ({"dropout": 1.0}, r"dropout: got 1\.0, want a number in \[0, 1\)"),
        (
            {"hidden_size": 5, "bidirectional": True},
            "hidden_size: got 5 with bidirectional=True, want an even number",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        mr.EncoderDecoder(**({"source_tokens": 5, "target_tokens": 3, "hidden_size": 4} | options))
