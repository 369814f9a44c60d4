"""No wrong gradient passes and no right one is refused, over functions × planted errors."""

import pytest
from gradcheck_battery import ERRORS, FUNCTIONS, pairs

import minirnn as mr


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_planted_errors_are_found_and_right_gradients_pass(dtype):
    missed, refused, count = [], [], 0
    for function, error, inputs, backward in pairs(7, dtype, every=3):

        def forward(x, w, function=function):
            return function.loss(x, w), (x, w)

        report = mr.gradcheck(forward, backward, **inputs)
        count += 1
        if report.ok and error:
            missed.append((function.name, error))
        if not report.ok and not error:
            refused.append((function.name, str(report)))
    assert count == len(FUNCTIONS) * (1 + len(ERRORS) // 3) > 100
    assert (missed, refused) == ([], [])
