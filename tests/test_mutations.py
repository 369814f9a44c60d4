"""Every line of the backward passes matters: a change to any of them shows in some gradient."""

import mutations
import pytest
from mutants.package import alterations


@pytest.mark.exhaustive
def test_every_mutant_of_some_modules_is_caught_or_cannot_be(capsys, monkeypatch):
    """`python tests/mutations.py` makes those of all modules."""
    some = ("cells", "kernels.threaded", "kernels.side_by_side")
    before = {f: f.__code__ for name in some for f in mutations.functions(name)}
    names = {f.__qualname__ for f in before}
    arguments = {key: why for key, why in mutations.ARGUMENTS.items() if key[0] in names}
    monkeypatch.setattr(mutations, "MODULES", some)
    monkeypatch.setattr(mutations, "ARGUMENTS", arguments)
    failed = mutations.main(every=False)
    printed = capsys.readouterr().out
    assert not failed, printed
    assert int(printed.split()[0]) > 700  # of the only line, "768 mutants, ..."
    assert all(function.__code__ is code for function, code in before.items())


@pytest.mark.exhaustive
def test_survivors_that_no_argument_excuses_are_complained_of(capsys, monkeypatch):
    monkeypatch.setattr(mutations, "MODULES", ("kernels.in_place.scan",))
    monkeypatch.setattr(mutations, "ARGUMENTS", {})
    assert mutations.main(every=False) == 1
    *survivors, last = capsys.readouterr().out.splitlines()
    assert all(line.endswith(": SURVIVED") for line in survivors)
    assert last.endswith(f" 0 equivalent, {len(survivors)} survived")


@pytest.mark.exhaustive
def test_arguments_for_what_does_not_survive_are_complained_of(capsys, monkeypatch):
    monkeypatch.setattr(mutations, "MODULES", ("scan",))
    monkeypatch.setattr(mutations, "ARGUMENTS", {("GenericScan.backward", "dx[t] = dx"): "why"})
    assert mutations.main(every=False) == 1
    assert "dx[t] = dx'): listed, but survives nowhere" in capsys.readouterr().out


CODE = '''"""What it is."""

from numpy import ndarray

RATE: float = 0.5


def clipped(x: ndarray, most=RATE, name="x") -> ndarray:
    """Not above `most`."""
    if len(x) > 3:  # a comment
        raise ValueError(f"{name}: got {len(x) + 1}, want 3")
    with open(name):
        x = x.copy()
    return min(x, most)
'''


def test_alterations_of_a_package_are_its_code_with_one_thing_changed(tmp_path):
    (tmp_path / "minirnn").mkdir()
    (tmp_path / "minirnn" / "a.py").write_text(CODE)
    found = {a.after: a for a in alterations(tmp_path, lambda function: False)}
    texts = {after: a.applied(CODE.encode()).decode() for after, a in found.items()}
    one = {  # what changes, and where it is felt
        "RATE: float = 1.0": ("= 0.5", "= (1.0)", {10, 11, 12, 13, 14}),
        "def clipped(x: ndarray, most=RATE, name='x_') -> ndarray:": ('"x"', "('x_')", {10}),
        "if len(x) >= 3:": ("len(x) > 3", "(len(x) >= 3)", {10}),
        "if not len(x) > 3:": ("len(x) > 3", "(not len(x) > 3)", {10}),
        "if len(x) > 4:": ("> 3", "> (4)", {10}),
        "if True:": ("with open(name):", "if True:", {12}),
        "x = x": ("x.copy()", "(x)", {13}),
        "without x = x.copy()": ("x = x.copy()", "pass", {13}),
        "return max(x, most)": ("min(x", "(max)(x", {14}),
        "return min(most, x)": None,  # the same
    }
    for after, change in one.items():
        assert (after in found) == (change is not None), after
        if change is not None:
            old, new, lines = change
            assert texts[after] == CODE.replace(old, new, 1), after
            assert ("minirnn/a.py", max(lines)) in found[after].lines
    of_the_message = [after for after in found if "got" in after]
    assert of_the_message == ["without raise ValueError(f'{name}: got {len(x) + 1}, want 3')"]
    assert [a.function for a in found.values()].count("a.clipped") == len(found) - 1 == 15


def test_a_draw_keeps_its_places_when_other_code_changes(tmp_path):
    (tmp_path / "minirnn").mkdir()
    (tmp_path / "minirnn" / "a.py").write_text(CODE)
    whole = sorted(alterations(tmp_path, lambda function: False), key=lambda a: a.place(0))
    (tmp_path / "minirnn" / "a.py").write_text(CODE.replace("RATE: float = 0.5", "\n\nRATE = 9"))
    changed = sorted(alterations(tmp_path, lambda function: False), key=lambda a: a.place(0))
    in_function = [[a.key for a in each if a.function == "a.clipped"] for each in (whole, changed)]
    assert in_function[0] == in_function[1]
    assert [a.key for a in whole] != [a.key for a in sorted(whole, key=lambda a: a.place(1))]
