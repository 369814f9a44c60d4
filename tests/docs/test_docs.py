"""What the README and the docs say is what the code does."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
CELL = re.compile(r"^```\{code-cell\}\n(?::[^\n]*\n)*(.*?)^```", re.DOTALL | re.MULTILINE)
CODE = {page: cells for page in PAGES if (cells := CELL.findall(page.read_text()))}
CHAPTERS = [page for page in PAGES if not page.name.startswith(("README", "api"))]
NO_SENTENCE = re.compile(  # front matter, blocks, commands, tags, maths, code, links, shapes
    r"(?<=\| --- \|\n)(?:\|[^\n]*\n)+"  # of generated tables: commands, names of machines
    r"|\A---\n.*?\n---\n|^```.*?^```|^ {4}\S[^\n]*|<[^>]*>|\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\]\([^)]*\)"
    r"|[(\[][\w\s·+]+,[\w\s·+,]+[)\]]",
    re.DOTALL | re.MULTILINE,
)
LETTER = re.compile(r"(?<![\w'’])(?!(?:[aAIC]|s|do|de)\b|n-gram)d?(?:[A-Za-zα-ω]|ys)'?(?![\w'’])")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?%?")


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(code):
    """Execute a page's code, and return its names and what it printed."""
    names, printed = {"__name__": "page"}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), names)
    return names, printed.getvalue()


def test_readme_example_prints_what_the_readme_says():
    _, printed = run(blocks("README.md", "python")[0])
    shown = blocks("README.md", "text")[0]
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    for got, want in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        assert float(got.rstrip("%")) == pytest.approx(float(want.rstrip("%")), rel=0.1, abs=2e-3)
    assert "100%" in printed.splitlines()[-1]


def test_equations_beside_the_readme_are_lines_of_the_code():
    cells = (ROOT / "minirnn" / "cells.py").read_text()
    lines = re.findall(r"\| `(.*?)` \|", (ROOT / "README.md").read_text())
    assert len(lines) == 7
    for line in lines:
        assert line in cells


@pytest.mark.exhaustive
def test_new_cell_of_the_docs_runs_and_proves_itself_in_every_arrangement():
    _, printed = run("\n".join(CODE[ROOT / "docs" / "new_cell.md"]))
    assert printed.count("all within 1e-12 by complex step") == 2
    assert float(re.search(r"72 arrangements, worst error (\S+)", printed)[1]) <= 1e-12


@pytest.mark.parametrize("page", CODE, ids=lambda page: page.name)
def test_code_of_a_page_compiles(page):
    for cell in CODE[page]:
        compile(cell, page, "exec")


def test_code_of_the_pages_has_the_style_of_all_code(tmp_path):
    """Each page is a notebook to Ruff, which knows that a cell may use the names of those before."""
    pytest.importorskip("ruff")
    kind = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    for page, cells in CODE.items():
        code = [kind | {"source": cell.removesuffix("\n")} for cell in cells]
        notebook = {"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (tmp_path / f"{page.stem}.ipynb").write_text(json.dumps(notebook))
    for command in (["check", "--ignore=D"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", "--no-cache"]
        done = subprocess.run(
            [*ruff, "--config", ROOT / "pyproject.toml", tmp_path],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_finished(page):
    text = page.read_text()
    assert len(text) > 400 or text.startswith("```{include}")
    assert "@@" not in text
    assert re.findall(r"<!-- TABLE (\w+) -->\s*(?!\||```|\s)", text) == []  # with no table after it


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_maths_survives_githubs_markdown(page):
    r"""GitHub takes a backslash before a sign for an escape, and shows ``\,`` as a comma."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for maths in re.findall(r"\$+([^$\n]+)\$+", text):
        assert not re.search(r"\\[^a-zA-Z]", maths), (
            f"{maths}: want \\thinspace, \\quad, \\cr, \\lbrace"
        )


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.name)
def test_letters_in_sentences_are_maths(page):
    sentences = NO_SENTENCE.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
    for number, line in enumerate(sentences.splitlines(), start=1):
        assert not LETTER.findall(line), f"line {number}: want $t$ or `name`, got {line}"


def test_proof_in_the_readme_is_what_the_command_ends_with():
    shown = blocks("README.md", "text")[1]
    assert NUMBER.sub("#", shown).strip() == "worst error #: all within the bar of #"
    assert float(re.search(r"worst error (\S+):", shown)[1]) <= 1e-12
