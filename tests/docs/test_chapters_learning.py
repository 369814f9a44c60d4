"""The chapters on learning: the code beside the maths is the package's; what docs/code/ computes."""

import importlib
import re

import numpy as np
import pytest
from helpers import ROOT

import minirnn as mr
from minirnn.text.ngram import NGram


@pytest.fixture
def chapter(monkeypatch):
    """A function that imports a module of docs/code/ by its name."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    return importlib.import_module


@pytest.mark.parametrize(
    ("page", "module", "lines"), [("losses", "losses", 7), ("optimizers", "optim/rules", 13)]
)
def test_lines_beside_the_maths_are_lines_of_the_code(page, module, lines):
    code = (ROOT / "minirnn" / f"{module}.py").read_text()
    shown = re.findall(r"^\|.*\| `(.*?)` \|$", (ROOT / "docs" / f"{page}.md").read_text(), re.M)
    shown = [line for line in shown if not line.endswith(("_entropy", ".py"))]  # the table's head
    assert len(shown) == lines
    stripped = {line.split("  #")[0].strip() for line in code.splitlines()}
    assert [line for line in shown if line not in stripped] == []


@pytest.fixture
def source(chapter):
    return chapter("known_text").Source(np.random.default_rng(0).dirichlet(np.full(3, 0.5), (3, 3)))


def test_entropy_of_a_source_that_forgets_is_that_of_its_tokens(chapter):
    p = np.array([0.5, 0.25, 0.25])
    source = chapter("known_text").Source(np.broadcast_to(p, (3, 3, 3)))
    assert source.entropy() == pytest.approx(1.5 * np.log(2), rel=1e-12)
    np.testing.assert_allclose(source.pairs(), np.outer(p, p), rtol=1e-12)


def test_pairs_of_a_source_stay_as_they_are_from_step_to_step(source):
    pairs = source.pairs()
    assert pairs.sum() == pytest.approx(1)
    assert pairs.min() > 0
    np.testing.assert_allclose(np.einsum("ab,abc->bc", pairs, source.p), pairs, atol=1e-14)


def test_a_long_text_has_the_probabilities_and_the_entropy_of_its_source(source):
    text = source.draw(60_000, np.random.default_rng(1))
    assert set(text) == {0, 1, 2}
    counts = np.zeros((3, 3, 3))
    np.add.at(counts, (text[:-2], text[1:-1], text[2:]), 1)
    total = counts.sum(axis=2, keepdims=True)
    assert (
        np.abs(counts / total - source.p) < 5 * np.sqrt(source.p * (1 - source.p) / total)
    ).all()
    nll = source.nll(text)
    assert nll.mean() == pytest.approx(source.entropy(), abs=5 * nll.std() / len(nll) ** 0.5)
    # and no counting of another text gets below it
    other = source.draw(60_000, np.random.default_rng(2))
    best = min(NGram(other, 3, order).mean_nll(text) for order in range(1, 6))
    assert nll.mean() < best < nll.mean() + 0.01


def test_descent_on_the_bowl_is_the_power_that_the_page_states(chapter):
    bowl = chapter("bowl")
    path = bowl.descend(lambda p: mr.SGD(p, 0.03), steps=20)
    powers = (1 - 0.03 * np.array(bowl.STEEPNESS)) ** np.arange(21)[:, None]
    np.testing.assert_allclose(path, bowl.START * powers, rtol=1e-12)


def test_gradient_at_the_wall_is_that_of_its_loss(chapter):
    unit = chapter("wall").Unit(1.9, -0.4)

    def loss_at(w, b):
        unit.place(w, b)
        return unit.loss()

    unit.loss()
    gradient = unit.w.grad.item(), unit.b.grad.item()
    step = 1e-6
    slopes = (
        (loss_at(1.9 + step, -0.4) - loss_at(1.9 - step, -0.4)) / (2 * step),
        (loss_at(1.9, -0.4 + step) - loss_at(1.9, -0.4 - step)) / (2 * step),
    )
    assert gradient == pytest.approx(slopes, rel=1e-6)
    h = 0.5
    for _ in range(10):
        h = np.tanh(1.9 * h - 0.4)
    assert loss_at(1.9, -0.4) == pytest.approx((h - 0.7) ** 2, rel=1e-12)


def test_at_the_wall_clipping_saves_what_was_learned(chapter):
    wall = chapter("wall")
    free, clipped = wall.descend(1e30), wall.descend(1.0)
    lengths = [
        np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1).max() for path, _ in (free, clipped)
    ]
    assert lengths[0] > 1
    assert lengths[1] <= 0.1 + 1e-12
    assert clipped[1] < 0.01 < free[1]
