"""Every small change to the package's code, with the lines that have to run for it to be felt.

Left out is what no program could feel, or none here: the wording of messages and of `repr`, annotations,
what Numba compiles, what needs a CUDA device, and what `mutations.py` changes in every way.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

from .making import Change, changes, more_alternatives

Line: TypeAlias = tuple[str, int]  # file and number

COMPILED = re.compile(r"^from numba import .*\bnjit\b", re.MULTILINE)
OF_DEVICES = re.compile(r"kernels\.cuda\..*")
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
# Functions, and calls of them, whose words nobody computes with, or whose numbers only divide the work
WORDS = {"__repr__", "__str__", "warn", "TypeVar", "ParamSpec", "cast", "shares"}


class Alteration(NamedTuple):
    """One change to one file."""

    path: str  # from the root
    function: str  # such as "optim.Adam._update"; outside of functions, the class or the module
    before: str
    after: str
    lines: frozenset[Line]  # tests that run none of them cannot notice
    start: int  # of the bytes that change
    stop: int
    new: str

    @property
    def key(self) -> tuple[str, str]:
        """What stands for it in lists."""
        return self.function, self.after

    def __str__(self) -> str:
        return f"{self.function}: {self.before}  ->  {self.after}"

    def place(self, seed: int) -> bytes:
        """In a random order, which the rest of the code has no part in."""
        return hashlib.sha256(repr((seed, self.before, *self.key)).encode()).digest()

    def applied(self, source: bytes) -> bytes:
        """The file's text with the change."""
        return source[: self.start] + self.new.encode() + source[self.stop :]


def alterations(root: Path, elsewhere: Callable[[str], bool]) -> Iterator[Alteration]:
    """All of a package's, but for functions that are altered elsewhere."""
    files = []
    for path in sorted((root / "minirnn").rglob("*.py")):
        name = ".".join(path.relative_to(root / "minirnn").with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if path.parent.name == "__pycache__":  # of a cell, printed
            continue
        if not OF_DEVICES.fullmatch(name) and not COMPILED.search(path.read_text("utf-8")):
            files.append((str(path.relative_to(root)), name, path.read_bytes()))
    trees = [(path, name, ast.parse(source)) for path, name, source in files]
    uses = used(trees)
    for (path, name, tree), (_, _, source) in zip(trees, files, strict=True):
        text, whole, quiet = Text(path, source), frozenset(bodies(path, tree)), set(wording(tree))

        def possible(node: ast.AST, known: Callable[[str, int], bool]) -> Iterator[ast.AST]:
            if id(node) in quiet:  # noqa: B023, which is used up before the next file
                return
            for new in more_alternatives(node, known):
                first_value = isinstance(new, ast.Pass) and isinstance(node, ast.Assign)
                if first_value and not all(known(n, node.lineno) for n in stored(node)):
                    continue  # leaving it out would be noticed by any test
                yield new

        for function, definition in definitions(tree, name):
            if elsewhere(function):
                continue
            for change in changes(definition, possible):
                lines = text.lines(definition, change)
                lines = lines or {u for n in stored(change.statement) for u in uses[n]} or whole
                of = (path, function, change.before, change.after, frozenset(lines))
                yield Alteration(*of, *text.replaced(change))


def definitions(tree: ast.AST, name: str) -> Iterator[tuple[str, ast.AST]]:
    """The functions and methods of a module by name, and modules and classes without them."""
    of_its_own = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            if node.name not in WORDS:
                yield f"{name}.{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from definitions(node, f"{name}.{node.name}")
        else:
            of_its_own.append(node)
    shell = type(tree)(**{**dict(ast.iter_fields(tree)), "body": of_its_own or [ast.Pass()]})
    yield name, ast.copy_location(shell, tree)


def wording(tree: ast.AST) -> Iterator[int]:
    """The nodes, by `id`, whose changes cannot be felt or would be a warning while compiling."""
    for node in ast.walk(tree):
        below = list(ast.walk(node))[1:]
        match node:
            case ast.Raise() | ast.JoinedStr() | ast.Assert() | ast.Import() | ast.ImportFrom():
                yield from map(id, below)
            case ast.Expr(ast.Constant()) | ast.If(ast.Name("TYPE_CHECKING")):
                yield from map(id, [node, *below])
            case ast.Call(f) if ast.unparse(f).rpartition(".")[2] in WORDS:
                yield from map(id, [node, *below])
            case ast.AnnAssign(annotation=ast.Name("TypeAlias")) | ast.Assign(
                [ast.Name("__all__")]
            ):
                yield from map(id, [node, *below])
            case ast.Compare(_, ops, others):
                kinds = zip(ops, others, strict=True)
                yield from (id(o) for op, o in kinds if not isinstance(op, ORDERED))
            case ast.Call(ast.Name("isinstance"), [_, kinds]):
                yield id(kinds)  # which may stand in any order


def stored(statement: ast.AST) -> set[str]:
    """The names that a statement gives a value."""
    nodes = [n for n in ast.walk(statement) if isinstance(getattr(n, "ctx", None), ast.Store)]
    return {name for n in nodes if (name := getattr(n, "id", getattr(n, "attr", None)))}


def bodies(path: str, definition: ast.AST) -> Iterator[Line]:
    """The lines that run when functions are called."""
    for node in ast.walk(definition):
        if isinstance(node, ast.FunctionDef):
            yield from ((path, n) for n in range(node.body[0].lineno, node.end_lineno + 1))


def used(trees: list[tuple[str, str, ast.AST]]) -> dict[str, set[Line]]:
    """The lines of functions that use a name, directly or by another that stands for it."""
    uses, means = defaultdict(set), []
    for path, name, tree in trees:
        for _, definition in definitions(tree, name):
            for node in ast.walk(definition):
                word = getattr(node, "id", getattr(node, "attr", None))
                if word and isinstance(definition, ast.FunctionDef):
                    inside = node.lineno >= definition.body[0].lineno
                    uses[word] |= {(path, node.lineno)} if inside else set(bodies(path, definition))
                elif word and isinstance(node.ctx, ast.Load):
                    of = (s for s in definition.body if any(node is n for n in ast.walk(s)))
                    means.extend((word, n) for s in of for n in stored(s))
    for _ in range(3):
        for word, name in means:
            uses[word] |= uses[name]
    return uses


class Text:
    """A file's text, in which the places of nodes are known."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.starts = path, [0]
        self.source = source
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Where a node starts and stops, in bytes."""
        start = self.starts[node.lineno - 1] + node.col_offset
        return start, self.starts[node.end_lineno - 1] + node.end_col_offset

    def replaced(self, change: Change) -> tuple[int, int, str]:
        """A stretch of bytes, and what has to stand there; all the rest stays as it is, to a comment."""
        node, new = change.node, change.new
        start, stop = self.span(node)
        match node, new:
            case ast.With(_, body), ast.If():
                return start, self.span(body[0])[0], "if True:\n" + " " * body[0].col_offset
            case ast.If(test), ast.If(other):
                return *self.span(test), f"({ast.unparse(other)})"
            case ast.If(test), ast.Pass() if self.source[start:].startswith(b"elif"):
                return *self.span(test), "False"
        text = ast.unparse(new).replace("\n", "\n" + " " * node.col_offset)
        index = isinstance(new, ast.Tuple) and any(isinstance(e, ast.Slice) for e in new.elts)
        return start, stop, text if index or isinstance(new, ast.stmt) else f"({text})"

    def lines(self, definition: ast.AST, change: Change) -> set[Line]:
        """The lines of a change in a function."""
        if not isinstance(definition, ast.FunctionDef):
            return set(bodies(self.path, definition)) if change.statement is definition else set()
        if change.statement is definition:  # a default
            return set(bodies(self.path, definition))
        node = change.node if hasattr(change.statement, "body") else change.statement
        block = isinstance(node, ast.stmt) and hasattr(node, "body")
        last = max(node.lineno, node.body[0].lineno - 1) if block else node.end_lineno
        return {(self.path, n) for n in range(node.lineno, last + 1)}
