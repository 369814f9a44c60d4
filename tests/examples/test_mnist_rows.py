"""Reading digits row by row: the pictures on their way, and the result."""

import re

import numpy as np
import pytest
from helpers import run_example
from hypothesis import given, settings
from hypothesis import strategies as st

import minirnn as mr


@pytest.fixture
def mnist_rows(example):
    return example("mnist_rows")


def test_a_step_is_a_row(mnist_rows, rng):
    images = rng.random((3, 5, 4))
    x = mnist_rows.as_steps(images)
    assert x.shape == (5, 4, 3)
    for n, t in np.ndindex(3, 5):
        assert np.array_equal(x[t, :, n], images[n, t])


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 3), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_moved_pictures_are_the_pictures_moved(request, shift, rows, columns, seed):
    moved = request.getfixturevalue("example")("mnist_rows").moved
    rng = np.random.default_rng(seed)
    images = rng.random((4, rows, columns)).astype("float32")
    for image, got in zip(images, moved(images, shift, rng), strict=True):
        paper = np.pad(image, shift)
        places = np.ndindex(2 * shift + 1, 2 * shift + 1)
        views = [paper[r : r + rows, c : c + columns] for r, c in places]
        assert any(np.array_equal(got, view) for view in views)
        assert got.dtype == np.float32


def test_pictures_are_moved_to_every_place_alike(mnist_rows, rng):
    point = np.zeros((5000, 7, 7))
    point[:, 3, 3] = 1
    share = mnist_rows.moved(point, 2, rng).mean(axis=0)
    assert share[1:6, 1:6] == pytest.approx(1 / 25, abs=0.015)
    assert share.sum() == pytest.approx(1)


def test_pictures_are_read_in_parts_as_if_at_once(mnist_rows, rng):
    rnn = mr.GRU(4, 5, bidirectional=True, dtype="float64", rng=rng)
    out = mr.Sequential(mr.Dropout(0.5), mr.Linear(10, 10, dtype="float64", rng=rng))
    model = mr.Model(rnn=mr.Last(rnn), out=out)
    images = rng.random((1003, 6, 4))
    p = mnist_rows.probabilities(model, images, "cpu")
    assert p.shape == (10, 1003)
    one = mnist_rows.rows_read(model, images[777], "cpu")
    assert one[:, -1] == pytest.approx(p[:, 777], abs=1e-12)
    for row in range(6):  # what is below is not looked at, from above or from below
        part = images[777:778, : row + 1]
        assert one[:, row] == pytest.approx(
            mnist_rows.probabilities(model, part, "cpu")[:, 0], abs=1e-12
        )


def test_confusions_are_counted_by_digit_and_by_what_was_said(mnist_rows, rng):
    said, labels = rng.integers(0, 10, (2, 300))
    counts = mnist_rows.confusion(said, labels)
    for digit, other in np.ndindex(10, 10):
        assert counts[digit, other] == ((labels == digit) & (said == other)).sum()


def test_small_digits_are_read_in_seconds(tmp_path):
    stdout = run_example("mnist_rows", "--quick", cwd=tmp_path)
    assert "pictures of 8 × 8 pixels, 1,437 to train on and 360 to judge by" in stdout
    assert "the commonest digit: 10.0% right" in stdout
    right = float(re.search(r"^right: ([\d.]+)% of 360", stdout, re.MULTILINE)[1])
    assert right >= 85  # and 57 if the network itself does not learn, but the linear layer
    line = r"^of the 5 % it is least sure of, (\d+)% are right; of the others ([\d.]+)%$"
    doubtful, others = map(float, re.search(line, stdout, re.MULTILINE).groups())
    assert doubtful < right < others
    table = re.findall(r"^ {3}(\d) ((?:[ \d.]{5}){10}) +([\d.]+)%$", stdout, re.MULTILINE)
    counts = np.array([[int(n.replace(".", "0")) for n in row.split()] for _, row, _ in table])
    assert counts.shape == (10, 10)
    assert counts.sum() == 360
    assert np.trace(counts) / 360 == pytest.approx(right / 100, abs=0.0006)
    shares = np.array([float(share) for *_, share in table]) / 100
    assert np.diag(counts) / counts.sum(axis=1) == pytest.approx(shares, abs=0.0006)
