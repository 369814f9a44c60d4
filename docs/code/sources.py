"""Sphinx extension: links out of docs/ lead to pages of the site, with no network.

Pages link as on GitHub, ``../minirnn/cells.py``. Here such a file gets a page of its own with its
highlighted text, ``[source]`` beside an entry of the reference leads to the line there, and a Markdown
file that a page includes is that page.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
SHOWN = ("minirnn", "examples", "benchmarks", "tests", "docs/code", "docs/performance")
INCLUDED = {  # files outside docs/, and the pages that include them
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "gallery.md",
    "benchmarks/laboratory/README.md": "laboratory.md",
}
LANGUAGES = {
    ".py": "python",
    ".cu": "cuda",
    ".cuh": "cuda",
    ".h": "cpp",
    ".json": "json",
    ".txt": "text",
}
NAMED = re.compile(rf"(?:python )?((?:{'|'.join(SHOWN)})/[\w./]+\w)(?: .*)?")
LINK = re.compile(r'(\]\(|src="|href=")(?!\w+:|#)([^)#"\s]+)')


def page_of(path: Path) -> str:
    """Name of the page with the text of a file of the repository."""
    return f"source/{path.relative_to(ROOT).as_posix()}"


def relinked(text: str, folder: Path) -> str:
    """Markdown whose relative links, which start at `folder`, start at docs/ instead."""

    def target(match: re.Match[str]) -> str:
        path = (folder / match[2]).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            return match[0]
        if path.is_dir():
            path = min(path.glob("*.py"))  # whose page lists the others
        page = INCLUDED.get(path.relative_to(ROOT).as_posix())
        return match[1] + (page or os.path.relpath(path, ROOT / "docs"))

    return LINK.sub(target, text)


def relink_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Adapt the links of a page."""
    source[0] = relinked(source[0], ROOT / "docs")


def relink_included(app: Sphinx, path: Path, docname: str, source: list[str]) -> None:
    """Adapt the links of what a page includes."""
    source[0] = relinked(source[0], (app.srcdir / path).resolve().parent)


def link_pages(app: Sphinx, doctree: nodes.document) -> None:
    """Make links to files, and their names where they stand as code, links to their pages."""
    for node in list(doctree.findall(addnodes.download_reference)):
        path = (app.srcdir / node["reftarget"]).resolve()
        reference = nodes.reference("", "", *node.children, internal=True)
        reference["refuri"] = f"{page_of(path)}.html"
        node.replace_self(reference)
    for node in list(doctree.findall(nodes.literal)):
        match = NAMED.fullmatch(node.astext())
        if match and (ROOT / match[1]).is_file() and not isinstance(node.parent, nodes.reference):
            reference = nodes.reference("", "", node.deepcopy(), internal=True)
            reference["refuri"] = f"{page_of(ROOT / match[1])}.html"
            node.replace_self(reference)


def add_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give the page of every source file."""
    if app.builder.name != "html":
        return
    files = [p for folder in SHOWN for p in (ROOT / folder).rglob("*") if p.suffix in LANGUAGES]
    files += [p for p in ROOT.iterdir() if p.suffix in {".cff", ".toml"} or p.name == "LICENSE"]
    for path in sorted(files):
        name = path.relative_to(ROOT).as_posix()
        code = app.builder.highlighter.highlight_block(
            path.read_text(encoding="utf-8"),
            LANGUAGES.get(path.suffix, "text"),
            linenos="inline",
            linespans="L",
        )
        beside = [p for p in files if p.parent == path.parent]
        links = (
            f'<li><a href="{quote(p.name)}.html">{escape(p.name)}</a></li>' for p in sorted(beside)
        )
        folder = escape(path.parent.relative_to(ROOT).as_posix())
        listing = f"<details><summary>{folder}</summary><ul>{''.join(links)}</ul></details>"
        body = f'<h1 class="source">{escape(name)}</h1>\n{listing}\n{code}'
        yield page_of(path), {"title": name, "body": body}, "page.html"


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Where the source of a name of the reference is; pages of the reference are not in folders."""
    found: Any = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        found = getattr(found, name, None)
    getter: Any = found.fget if isinstance(found, property) else found
    found = inspect.unwrap(getter)
    try:
        path, (_, line) = Path(inspect.getfile(found)), inspect.getsourcelines(found)
    except TypeError:  # a value: a number, a type alias
        return None
    return f"{page_of(path)}.html#L-{max(1, line)}" if path.is_relative_to(ROOT) else None


def skip_plain_fields(
    app: Sphinx, what: str, name: str, found: object, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples, whose comments are in the source."""
    return True if (inspect.getdoc(found) or "").startswith("Alias for field number") else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all that to Sphinx."""
    app.connect("source-read", relink_page, priority=100)
    app.connect("include-read", relink_included)
    app.connect("doctree-read", link_pages, priority=100)  # before files are copied
    app.connect("html-collect-pages", add_pages)
    app.connect("autodoc-skip-member", skip_plain_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
