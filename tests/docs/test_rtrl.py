"""The page on real-time recurrent learning: its code is right for every cell, and its counts add up."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minirnn.cells import CELLS

PAGE = Path(__file__).parents[2] / "docs" / "rtrl.md"


def code_of_the_page():
    """The names that the page's own functions have, without running its measurements."""
    cells = re.findall(r"```\{code-cell\}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {"np": np}
    for cell in cells:
        if "\ndef " in cell:
            exec(compile(cell.split("\nrng = ")[0], str(PAGE), "exec"), names)
    return names


NAMES = code_of_the_page()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@given(T=st.integers(1, 12), D=st.integers(1, 4), H=st.integers(1, 5), seed=st.integers(0, 99))
def test_forward_in_time_gives_the_gradient_of_back_propagation(cell, T, D, H, seed):
    one = NAMES["problem"](cell, T, D, H, np.random.default_rng(seed))
    forwards, backwards = NAMES["rtrl"](*one), NAMES["bptt"](*one)
    assert list(forwards) == list(backwards) == list(cell.shapes(D, H))
    for name, wanted in backwards.items():
        assert np.abs(forwards[name] - wanted).max() <= 1e-12 * max(np.abs(wanted).max(), 1), name


def test_what_is_carried_does_not_depend_on_the_length():
    cell = CELLS[0]
    _, P, x, _ = NAMES["problem"](cell, 9, 2, 3, np.random.default_rng(0))
    state, J = (np.zeros((3, 1)),), {name: np.zeros((3, *p.shape)) for name, p in P.items()}
    for x_t in x:
        state, J = NAMES["rtrl_step"](cell, P, x_t, state, J)
        assert {name: part.shape for name, part in J.items()} == {
            "U": (3, 3, 2), "W": (3, 3, 3), "b": (3, 3, 1)
        }  # fmt: skip
