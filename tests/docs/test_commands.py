"""Every command that the pages and the examples' docstrings show is one that its program takes."""

import argparse
import ast
import re
import runpy
import shlex
import sys

import pytest
from helpers import ROOT

PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")]
SOURCES = [*ROOT.glob("examples/*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "tests/mutations.py"]
COMMAND = re.compile(
    r"python ((?:-m (?:minirnn|benchmarks)[.\w]*|(?:examples|tests)/\w+\.py)[^`\n]*)"
)
PROSE = re.compile(r"  .*| (?:#|\[|&|\|).*|[.,;:)]$| (?:lists|makes|what|prints) .*")


class ParsedError(Exception):
    """All arguments have been read."""


def commands():
    """What stands behind ``python`` in all pages and docstrings, without what is said about it."""
    found = {}
    for path in (*PAGES, *SOURCES):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            text = ast.get_docstring(ast.parse(text)) or ""
        for command in COMMAND.findall(text.replace("\\\n", "")):
            found.setdefault(PROSE.sub("", command.strip()), path.name)
    return {c: page for c, page in found.items() if not re.search(r"\b(COMMAND|CELL)\b", c)}


COMMANDS = commands()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_is_taken(command, monkeypatch, tmp_path, capsys):
    def parse(self, arguments=None, namespace=None):
        _, rest = self.parse_known_args(arguments, namespace)
        assert not rest, f"{COMMANDS[command]}: {rest}"
        raise ParsedError

    first, *arguments = shlex.split(command.replace(" --device cuda", ""))  # there may be none
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    monkeypatch.chdir(tmp_path)
    if first == "-m":
        name = arguments.pop(0)
        for module in (name, f"{name}.__main__"):  # as other tests may have imported it
            if not hasattr(sys.modules.get(module), "__path__"):
                monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        call = lambda: runpy.run_module(name, run_name="__main__", alter_sys=True)  # noqa: E731
    else:
        monkeypatch.setattr(sys, "argv", [first, *arguments])
        call = lambda: runpy.run_path(str(ROOT / first), run_name="__main__")  # noqa: E731
    try:
        call()
    except (ParsedError, SystemExit) as end:
        said = capsys.readouterr().err
        taken = getattr(end, "code", 0) == 0 or "arguments are required" in said  # a mention of it
        assert taken, f"{COMMANDS[command]}: {said}"


def test_many_commands_are_shown():
    assert len(COMMANDS) > 40
