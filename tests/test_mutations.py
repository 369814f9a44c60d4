"""Every line of the backward passes matters: a change to any of them shows in some gradient."""

import mutations


def test_every_mutant_of_some_modules_is_caught_or_cannot_be(capsys, monkeypatch):
    """`python tests/mutations.py` makes those of all modules."""
    some = ("cells", "kernels.threaded", "products")
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


def test_survivors_that_no_argument_excuses_are_complained_of(capsys, monkeypatch):
    monkeypatch.setattr(mutations, "MODULES", ("kernels.numpy_scan",))
    monkeypatch.setattr(mutations, "ARGUMENTS", {})
    assert mutations.main(every=False) == 1
    *survivors, last = capsys.readouterr().out.splitlines()
    assert all(line.endswith(": SURVIVED") for line in survivors)
    assert last.endswith(f" 0 equivalent, {len(survivors)} survived")


def test_arguments_for_what_does_not_survive_are_complained_of(capsys, monkeypatch):
    monkeypatch.setattr(mutations, "MODULES", ("scan",))
    monkeypatch.setattr(mutations, "ARGUMENTS", {("GenericScan.backward", "dx[t] = dx"): "why"})
    assert mutations.main(every=False) == 1
    assert "dx[t] = dx'): listed, but survives nowhere" in capsys.readouterr().out
