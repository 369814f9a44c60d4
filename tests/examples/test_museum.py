"""The bug museum: every mistake is one line, gradcheck sees it, and weak checks miss some."""

from dataclasses import replace
from functools import cache

import museum
import numpy as np
import pytest
from altered import altered
from exhibits import EXHIBITS
from helpers import run_example, run_here

import minirnn as mr
from minirnn.cells import LSTMCell
from minirnn.gradcheck.proof import Case

NAMES = pytest.mark.parametrize("name", EXHIBITS)
# What a check of one step, from zeros, with the sum of the outputs as loss, does see.
SEEN_BY_THE_WEAKEST = {
    "unshifted",
    "never_stored",
    "tanh_of_c",
    "shared_bias",
    "overwritten_dy",
    "one_direction",
}


strong, weak = cache(museum.strong), cache(museum.weak)  # several tests want the same reports


def says(report, part):
    return part in museum.summary(report)


@NAMES
def test_every_mistake_is_seen_and_named(name):
    exhibit = EXHIBITS[name]
    report = strong(exhibit)
    assert not report.ok
    assert says(report, exhibit.says), report
    assert exhibit.case.check().ok, "the engine is right again"


@NAMES
def test_one_step_says_where_to_look(name):
    exhibit = EXHIBITS[name]
    if isinstance(exhibit.case, Case) and exhibit.case.lengths:
        return  # of up to four steps
    report = strong(exhibit, T=1)
    assert report.ok == (not exhibit.one_step), report
    assert says(report, exhibit.one_step)
    assert exhibit.case.check(T=1).ok


@pytest.mark.exhaustive
@NAMES
def test_weaker_checks_pass_the_engine_and_see_less(name):
    exhibit = EXHIBITS[name]
    reports = {check: weak(exhibit, **less) for check, less in museum.WEAK.items()}
    missed = {check for check, report in reports.items() if report is not None and report.ok}
    assert ("outputs only" in missed) == (name == "final_state_lost")
    assert ("zero state" in missed) == (name in ("final_state_lost", "initial_c_lost"))
    assert ("plain sum" in missed) == (name in ("final_state_lost", "not_turned"))
    assert ("one step" in missed) == (not exhibit.one_step or name in LOST_WITH_ONE_STEP)
    if reports["all of these"] is not None:
        assert ("all of these" in missed) == (name not in SEEN_BY_THE_WEAKEST)


# One step shows these by the final state's gradient, which the weak check does not give.
LOST_WITH_ONE_STEP = ("dropped_dc", "dh_stays", "final_state_lost")


@pytest.mark.exhaustive
@pytest.mark.parametrize("less", museum.WEAK.values(), ids=museum.WEAK)
def test_weak_checks_do_not_complain_of_what_is_right(less):
    for exhibit in EXHIBITS.values():
        report = museum.weak(replace(exhibit, new=exhibit.old), **less)
        assert report is None or report.ok


@NAMES
def test_texts_are_finished(name):
    exhibit = EXHIBITS[name]
    assert exhibit.name == name
    assert exhibit.title
    assert exhibit.story.endswith(".")
    assert not exhibit.seen or (
        exhibit.seen.endswith(".") and "](https://github.com/" in exhibit.seen
    )
    assert exhibit.old != exhibit.new


def test_names_and_mistakes_are_different():
    mistakes = {(exhibit.place, exhibit.new) for exhibit in EXHIBITS.values()}
    assert len(mistakes) == len(EXHIBITS) >= 12


def test_line_that_is_not_there_once_is_refused():
    for old, count in (("dc = dc_old", 0), ("P: Arrays, x: Array", 0)):
        with (
            pytest.raises(ValueError, match=f"'{old}' is there {count} times in LSTMCell.backward"),
            altered(LSTMCell.backward, old, "pass"),
        ):
            pass
    with (
        pytest.raises(TypeError, match="function: got type, want a function"),
        altered(int, "", ""),
    ):
        pass


def twice(a):
    a += 1
    a += 1  # the same once more
    return a


def test_line_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="is there 2 times"), altered(twice, "a += 1", "pass"):
        pass
    with altered(twice, "return a", "return -a"):
        assert twice(0) == -2
    assert twice(0) == 2


def test_engine_is_right_again_after_an_error():
    code = LSTMCell.backward.__code__

    def fail_within():
        with EXHIBITS["dropped_dc"].made():
            assert LSTMCell.backward.__code__ is not code
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert LSTMCell.backward.__code__ is code


def test_gradcheck_of_two_steps_and_one_gate_misses_a_cell_state_that_is_not_handed_on():
    """The check that the page tells of: W is right, and U and b were not looked at."""
    net = mr.LSTM(3, 2, dtype="float64", rng=0, scan="generic")

    def forward(x):
        ys, _, cache = net.forward(x)
        return ys[-1].sum(), cache

    def backward(cache):
        dys = np.zeros((2, 2, 1))
        dys[-1] = 1
        net.backward(cache, dys)

    with EXHIBITS["dc_stays"].made():
        report = mr.gradcheck(forward, backward, net.parameters(), x=np.ones((2, 3, 1)))
    assert {row.name: row.error <= 1e-12 for row in report.rows} == {
        "l0.U": False,
        "l0.W": True,
        "l0.b": False,
    }


@pytest.mark.exhaustive
def test_training_hides_a_dropped_dc_and_shows_a_lost_gradient(example):
    bug_museum = example("bug_museum")
    exhibits = [EXHIBITS[name] for name in ("dropped_dc", "never_stored", "averaged")]
    runs = bug_museum.train_all("next letter", exhibits, 100, [0])
    ends = {name: losses[0][-1] for name, losses in runs.items()}
    assert ends["dropped_dc"] < 1.2 * ends["right"] < 0.5
    assert ends["averaged"] == pytest.approx(ends["right"], rel=0.05)  # Adam divides by it
    assert ends["never_stored"] > 2
    recall = bug_museum.train_all("recall", [EXHIBITS["dropped_dc"]], 80, [1])
    assert recall["right"][0][-1] < 0.05
    assert recall["dropped_dc"][0][-1] > 0.5


def test_command_shows_a_mistake_and_draws_its_training(tmp_path):
    said = run_example("bug_museum", "shared_bias", "--quick", cwd=tmp_path)
    assert "minirnn/cells.py, LSTMCell.backward" in said
    assert "- db = da.sum(axis=1, keepdims=True)\n+ db = stack_rows(da_f" in said
    assert "learn_dl (https://github.com/" in said
    assert "l0.b        8×1   6.1e-01  WRONG: only the rows of i, o are wrong" in said
    assert "over one step:\nx, h0, c0, l0.U, l0.W: right" in said
    assert said.count("right   ") == 2


def test_command_lists_all_exhibits(tmp_path):
    listed = run_here("bug_museum", cwd=tmp_path)[1].splitlines()
    assert [line.split()[0] for line in listed] == list(EXHIBITS)
    assert list(tmp_path.iterdir()) == []  # no folder for a picture that is not drawn


@pytest.mark.exhaustive
def test_table_has_what_each_check_says_of_each_exhibit(example, monkeypatch, capsys):
    bug_museum = example("bug_museum")
    monkeypatch.setattr(bug_museum, "strong", strong)
    monkeypatch.setattr(bug_museum, "weak", weak)
    monkeypatch.setattr("sys.argv", ["bug_museum.py", "--all"])
    bug_museum.main()
    head, *rows = capsys.readouterr().out.splitlines()
    assert "strong" in head
    assert [row.split()[0] for row in rows] == list(EXHIBITS)
    assert all(float(row.split()[1]) > 1e-12 for row in rows)
    assert sum(row.split()[-1] == "missed" for row in rows) >= 12


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dropped"], "argument EXHIBIT: invalid choice: 'dropped'"),
        (["--all", "dropped_dc"], "argument --all: got dropped_dc, too; want one of them"),
    ],
)
def test_command_refuses_an_unknown_exhibit_and_one_among_all_in_one_line(
    arguments, words, tmp_path
):
    code, _, err = run_here("bug_museum", *arguments, cwd=tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
