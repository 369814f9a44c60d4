"""The proof: every gradient of every cell, by the complex step, within 1e-12."""

import re
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from helpers import compile_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import SCANS, each_scan

from minirnn.cells import CELLS
from minirnn.gradcheck import Report, Row
from minirnn.gradcheck.proof import Case, arrangements
from minirnn.kernels.compiled import why_not_compiled

BAR = 1e-12


def test_all_cells_have_an_in_place_scan_on_the_cpu_and_most_a_compiled_one():
    of_cells = {cell.name: [scan for c, scan in SCANS if c is cell] for cell in CELLS}
    assert all(scans[:2] == ["generic", "numpy"] for scans in of_cells.values())
    compiled = [name for name, scans in of_cells.items() if "numba" in scans]
    expected = [] if why_not_compiled() else list(of_cells)[:5]
    assert compiled == expected
    assert list(of_cells)[5] == "GRU(reset_after=False)"


def some(case):
    """Every option, without all others and with them: what the few arrangements of all runs are."""
    rest = [case.layers > 1, case.bidirectional, case.lengths, case.state, case.given != "both"]
    return case.layers < 3 and (sum(rest) <= 1 or all(rest[:4]))


@each_scan
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_every_arrangement(cell, scan, every):
    """`python -m minirnn.gradcheck` has all of three layers, too."""
    cases = list(arrangements(cell, scan))
    assert len(cases) == 3 * 2 * 2 * 2 * 3
    few = list(filter(some, cases))
    assert len(few) == 10
    for case in (c for c in cases if c.layers < 3 and c not in few) if every else few:
        report = case.check()
        assert report.worst <= BAR, f"{case}\n{report}"
        if case.layers == 1:  # a check of nothing but zeros would prove nothing
            assert min(row.largest for row in report.rows) > 1e-3, case
        inputs = {row.name for row in report.rows}
        assert {"x", "l0.U"} <= inputs
        assert ({"h0", "c0"} & inputs == set()) is not case.state


@pytest.mark.exhaustive
@each_scan
@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_shape_and_option(cell, scan, data):
    """Sizes, tokens, dropout with a fixed mask, no bias: whatever hypothesis thinks of."""
    layers = data.draw(st.integers(1, 3), "layers")
    case = Case(
        cell,
        scan,
        layers,
        bidirectional=data.draw(st.booleans(), "bidirectional"),
        state=data.draw(st.booleans(), "state"),
        tokens=data.draw(st.booleans(), "tokens"),
        dropout=0.4 if layers > 1 and data.draw(st.booleans(), "dropout") else 0.0,
        bias=data.draw(st.booleans(), "bias"),
    )
    T, D, H, N = (data.draw(st.integers(1, 4), name) for name in "TDHN")
    report = case.check(data.draw(st.integers(0, 99), "seed"), T, D, H, N)
    assert report.worst <= BAR, f"{case}\n{report}"


@each_scan
def test_lengths_with_tokens_dropout_and_no_bias_and_sizes_of_one(cell, scan):
    for tokens in (False, True):
        case = Case(
            cell, scan, 2, True, lengths=True, state=True, tokens=tokens, dropout=0.5, bias=False
        )
        report = case.check(seed=7)
        assert report.worst <= BAR, f"{case}\n{report}"
    for sizes in ((1, 1, 1, 1), (3, 1, 4, 2), (2, 4, 1, 1)):
        report = Case(cell, scan, state=True).check(7, *sizes)
        assert report.worst <= BAR, f"{sizes}\n{report}"


@each_scan
def test_gradients_that_are_summed_in_several_chunks(cell, scan, monkeypatch):
    """The NumPy scan multiplies some steps at a time; make it so few that there are several chunks."""
    monkeypatch.setattr("minirnn.kernels.side_by_side.COLUMNS", 6)
    for tokens in (False, True):
        report = Case(cell, scan, 2, lengths=True, tokens=tokens).check(T=5)
        assert report.worst <= BAR, report


@pytest.mark.exhaustive
def test_command_prints_the_table_and_succeeds():
    compile_scan("float64")
    command = [sys.executable, "-m", "minirnn.gradcheck", "--cell", "rnn(tanh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    rows = [line for line in done.stdout.splitlines() if line.startswith("RNN")]
    assert len(rows) == (2 if why_not_compiled() else 3) * 3 * 2 * 2
    assert "all within the bar of 1e-12" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--scan", "fused"],
            "argument --scan: 'fused' cannot run here: the parameters are on cpu",
        ),
        (["--scan", "numba", "--cell", "GRU(reset_after=False)"], "has the product W @ m"),
        (["--scan", "auto"], "argument --scan: invalid choice: 'auto'"),
        (["--cell", "none"], "argument --cell: got 'none', want one of RNN"),
        (["--cell", "invented_cells:None"], "argument --cell: module 'invented_cells' has no"),
        (["--cell", "no_such_module:Cell"], "argument --cell: No module named 'no_such_module'"),
    ],
)
def test_command_that_would_check_nothing_says_so_in_one_line(arguments, says, monkeypatch, capsys):
    from minirnn.gradcheck import __main__ as command

    monkeypatch.setattr(sys, "argv", ["gradcheck", *arguments])
    with pytest.raises(SystemExit, match="2"):
        command.main()
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert said.err.count("\n") == 1


def test_command_checks_the_scan_that_is_asked_for_in_every_arrangement(monkeypatch, capsys):
    from minirnn.gradcheck import __main__ as command

    checked = []
    row = Row("l0.U", (1,), 0.0, 1.0, "", 1e-12, "complex step")
    monkeypatch.setattr(Case, "check", lambda case, seed: checked.append(case) or Report((row,)))
    for scan in ("generic", "numpy"):
        monkeypatch.setattr(sys, "argv", ["gradcheck", "--scan", scan])
        assert command.main() == 0
        assert {(case.cell.name, case.scan) for case in checked} == {(c.name, scan) for c in CELLS}
        assert {
            (case.layers, case.bidirectional, case.lengths, case.state) for case in checked
        } == {*product((1, 2, 3), (False, True), (False, True), (False, True))}
        assert capsys.readouterr().out.count("\n") > len(CELLS) * 12
        checked.clear()


def test_command_fails_when_a_gradient_is_wrong(monkeypatch, capsys):
    from minirnn.cells import RNNCell
    from minirnn.gradcheck import __main__ as command

    right = RNNCell.backward

    def wrong(self, P, x, state, new, gates, dnew):
        dx, dstate, dP = right(self, P, x, state, new, gates, dnew)
        return dx, dstate, dP | {"b": -dP["b"]}

    monkeypatch.setattr(RNNCell, "backward", wrong)
    few = [Case(RNNCell(), "generic", given=given) for given in ("ys", "both")]
    monkeypatch.setattr(command, "arrangements", lambda cell, scan: few)
    arguments = ["gradcheck", "--cell", "RNN(tanh)", "--scan", "generic"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 1
    printed = capsys.readouterr().out
    assert "l0.b:" in printed
    assert "it has the wrong sign" in printed
    assert np.all(["l0.W:" not in line for line in printed.splitlines()])


@pytest.mark.parametrize("scan", ["generic", "numba"])
def test_command_proves_a_cell_of_ones_own(scan, monkeypatch, capsys):
    from minirnn.gradcheck import __main__ as command

    if scan == "numba" and why_not_compiled():
        pytest.skip(why_not_compiled())
    monkeypatch.setattr(
        sys, "argv", ["gradcheck", "--cell", "invented_cells:SLSTMCell", "--scan", scan]
    )
    monkeypatch.setattr(command, "arrangements", lambda *of: list(arrangements(*of))[:6])
    assert command.main() == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("h0", "c0", "n0", "m0"))
    assert re.search(r"what is compiled of sLSTM differs from its class by .* in float32", shown)
    found = {"float64": {"dc": 1e-11}, "float32": {"dc": 1e-7}}
    monkeypatch.setattr(command, "errors_of", lambda cell, dtype, seed: found[dtype])
    assert command.main() == 1
    assert "sLSTM, float64: dc differs by 1.0e-11" in capsys.readouterr().out
