"""What the public docstrings say is complete: arguments, shapes, errors, sources.

Errors are read off the code: what a function raises itself, or through functions of this package that it
calls. The reference, ``docs/api*.md``, has every public name.
"""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import minirnn as mr
from minirnn import backend, cells, data, init
from minirnn.gradcheck import check as gradcheck
from minirnn.text import units

ROOT = Path(__file__).parents[2]

# Modules of which everything public is meant for others; of the rest, what minirnn exports
WHOLE = (
    "minirnn.cells",
    "minirnn.gradcheck.check",
    "minirnn.gradcheck.proof",
    "minirnn.text.ngram",
    "minirnn.nonlinearity",
    "minirnn.plot",
    "minirnn.text.units",
)
PAPERS = {  # names that implement what was published, or a part of it
    "RNN", "LSTM", "GRU", "Dropout", "Attention", "EncoderDecoder", "LanguageModel", "SGD", "RMSprop",
    "Adagrad", "Adam", "AdamW", "CosineWarmup", "clip_grad_norm", "Average",
    "next_token_probabilities", "NGram", "gradcheck", "glorot", "orthogonal",
}  # fmt: skip
ARRAYS = {"Array", "State", "Arrays", "Values", "Host", "Ids"}
SHAPE = re.compile(r"\((?:[a-zA-Z][\w·*+ -]*)?,[^()]*\)|\b(?:shapes?|scalar|element by element)\b")


def public():
    """Names and objects of all that is public."""
    found = {name: getattr(mr, name) for name in mr.__all__}
    found |= {f"data.{name}": getattr(data, name) for name in data.__all__}
    for path in WHOLE:
        module = importlib.import_module(path)
        found |= {
            f"{path.removeprefix('minirnn.')}.{name}": value
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == path
        }
    return {n: v for n, v in found.items() if inspect.isclass(v) or inspect.isfunction(v)}


RECORDS = (mr.Cache, gradcheck.Row, gradcheck.Report, units.UnitScore)  # made by the package alone


def callables():
    """Functions, constructors and methods that are public, and where they are documented."""
    seen = set()
    for name, value in public().items():
        if value in seen:
            continue
        seen.add(value)
        if inspect.isfunction(value):
            yield name, inspect.unwrap(value), inspect.getdoc(value)
            continue
        yield name, value, inspect.getdoc(value)
        for method, own in vars(value).items():
            own = getattr(own, "__func__", own)
            if inspect.isfunction(own) and not method.startswith("_"):
                yield (
                    f"{name}.{method}",
                    inspect.unwrap(own),
                    inspect.getdoc(getattr(value, method)),
                )


CALLABLES = [pytest.param(*found, id=found[0]) for found in callables()]


def words_of(name, value, doc):
    """The docstring, and those of what it is derived from: a method's base, a class's bases."""
    holder, _, method = name.rpartition(".")
    of = value if inspect.isclass(value) else public().get(holder)
    bases = [base for base in of.__mro__[1:] if base.__module__.startswith("minirnn")] if of else []
    if of in cell_classes():
        bases.append(cells.Cell)  # a protocol: nothing is derived from it
    if not inspect.isclass(value):
        bases = [getattr(base, method, None) for base in bases]
    return "\n".join([doc or "", *(inspect.getdoc(base) or "" for base in bases if base)])


def cell_classes():
    return {type(cell) for cell in cells.CELLS}


def arguments(value):
    if value in (*RECORDS, cells.Cell) or getattr(value, "__init__", None) is object.__init__:
        return []
    function = value.__init__ if inspect.isclass(value) else value
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.name not in ("self", "cls")]


def raised(function, owner):
    """Names of the errors that a function raises, itself or through what it calls in this package."""
    found, waiting, seen = (
        set(),
        [function],
        {backend.backend_of, backend.to_device, backend.to_host},
    )  # where it is known, or what comes is an array of our own
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(current)))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                found |= set(re.findall(r"^\w+Error", ast.unparse(node.exc)))
            if isinstance(node, ast.Call) and ast.unparse(node) != "get_backend('cpu')":
                called = resolve(node.func, current, owner)
                waiting += [] if called is None else [called]
    return found - {"NotImplementedError"}


def resolve(node, function, owner):
    """The function of this package that a call leads to, where that can be told from its text."""
    if isinstance(node, ast.Name):
        found = function.__globals__.get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id in ("self", "cls"):
            found = getattr(owner, node.attr, None)
        else:
            module = function.__globals__.get(node.value.id)
            found = getattr(module, node.attr, None) if inspect.ismodule(module) else None
    else:
        return None
    found = inspect.unwrap(getattr(found, "__func__", found))
    ours = inspect.isfunction(found) and found.__module__.startswith("minirnn")
    return found if ours else None


def said(words):
    """Names of the errors in sections "Raises"."""
    sections = re.findall(r"^Raises:\n((?: .*\n?|\n)+)", words, re.MULTILINE)
    return set(re.findall(r"\w+Error", "".join(sections)))


@pytest.mark.parametrize(("name", "value", "doc"), CALLABLES)
def test_every_argument_is_in_the_docstring(name, value, doc):
    words = words_of(name, value, doc)
    for argument in arguments(value):
        assert re.search(rf"(?<!\w){argument.name}(?!\w)", words), argument.name


@pytest.mark.parametrize(("name", "value", "doc"), CALLABLES)
def test_arrays_have_shapes(name, value, doc):
    function = value.__init__ if inspect.isclass(value) else value
    kinds = [p.annotation for p in arguments(value)]
    kinds.append(inspect.signature(function).return_annotation)
    if ARRAYS & set(re.findall(r"\w+", " ".join(map(str, kinds)))):
        assert SHAPE.search(words_of(name, value, doc))


@pytest.mark.parametrize(("name", "value", "doc"), CALLABLES)
def test_errors_are_in_the_docstring(name, value, doc):
    owner = value if inspect.isclass(value) else public().get(name.rpartition(".")[0])
    functions = [value]
    if inspect.isclass(value):  # a dataclass's __init__ is made, not written
        functions = [getattr(value, name, None) for name in ("__init__", "__post_init__")]
    for function in functions:
        if inspect.isfunction(function) and function.__code__.co_filename.startswith(str(ROOT)):
            assert raised(function, owner) <= said(words_of(name, value, doc))


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_what_was_published_has_its_source(name):
    found = vars(init) | {key.rpartition(".")[2]: value for key, value in public().items()}
    words = inspect.getdoc(found[name]) + (inspect.getmodule(found[name]).__doc__ or "")
    assert re.search(r"\b[A-Z]\w+.* (?:19|20)\d\d\b", words), name


def test_errors_are_found_through_calls():
    """What the test of errors rests on: it would pass if nothing were found."""
    assert raised(data.Streams.__init__, data.Streams) == {"TypeError", "ValueError"}
    assert raised(mr.Model.__init__, mr.Model) == {"TypeError", "ValueError"}
    assert raised(backend.get_backend, None) == {"RuntimeError", "ValueError"}


def test_the_reference_has_every_public_name():
    pages = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("api_*.md")))
    entries, module = set(), ""
    for kind, name in re.findall(r"^\.\. (currentmodule|auto\w+):: ([\w.]+)", pages, re.MULTILINE):
        if kind == "currentmodule":
            module = name
        else:
            entries.add(name if name.startswith("minirnn.") else f"{module}.{name}")
    found = [
        getattr(importlib.import_module(e.rpartition(".")[0]), e.rpartition(".")[2])
        for e in entries
    ]
    assert [name for name, value in public().items() if value not in found] == []
    overview = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   ~?([a-zA-Z][\w.]+)$", overview, re.MULTILINE)
    assert {f"minirnn.{name.removeprefix('minirnn.')}" for name in listed} == entries
