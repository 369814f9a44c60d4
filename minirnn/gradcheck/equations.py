"""Which equation of a cell's backward pass is wrong: one step, its quantities compared one by one.

In a copy of the forward step every quantity that it names (a gate, a state, what goes into a σ or tanh)
is nudged, and the change of the loss is its true gradient. A copy of the backward step tells what it
takes that gradient for: its variable ``da_f`` is to be the gradient of ``a_f``.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from textwrap import dedent
from types import FunctionType
from typing import Any, TypeAlias

import numpy as np

from ..cells import Cell
from .differences import EPS, slope

Values: TypeAlias = np.ndarray[Any, Any]

NUMBER = re.compile(r"#.*?(\(\d+\.\d+'\))")  # of an equation, in a comment
CLOSE = 1e-6
LOOP = "each equation of the cell is right: look at the loop over time, and at what is around it"


def wrong_equation(cell: Cell, D: int = 5, H: int = 2, N: int = 3, seed: int = 0) -> str:
    """Say which line of ``cell.backward`` is the first one that is wrong.

    Args:
        cell: whose step to take, once, from a random state.
        D, H, N: inputs, units and sequences.
        seed: of the random values.

    Returns:
        The number of the equation and the line, as in ``"(2.6') is wrong: dc = 0 * c"``; without numbers
        in its comments, the name of what is computed. Or, that all are right.
    """
    random = np.random.default_rng(seed)
    P = {name: random.normal(0, 0.7, shape) for name, shape in cell.shapes(D, H).items()}
    state = {name: random.normal(size=(H, N)) for name in cell.states}
    dnew = tuple(random.normal(size=(H, N)) for _ in state)
    inputs = P | state | {"x": random.normal(size=(D, N))}
    nudged = _Nudged(inputs)
    forward = _altered(type(cell).forward, _Nudging(inputs), _nudged=nudged)

    def loss(name: str, by: Any) -> float:
        nudged.name, nudged.by = name, by
        at = inputs | ({name: inputs[name] + by} if name in inputs else {})
        new, _ = forward(cell, {p: at[p] for p in P}, at["x"], tuple(at[s] for s in state))
        return float(sum((d * s).sum() for d, s in zip(dnew, new, strict=True)))

    here = loss("", 0.0)

    def is_gradient(got: Values, name: str) -> bool:
        for _ in range(2):
            v = random.normal(size=got.shape)
            want = slope(lambda t, v=v: loss(name, t * v), here, EPS * abs(here)).value  # type: ignore[misc]
            if not abs((v * got).sum() - want) <= CLOSE * (np.abs(v * got).sum() + abs(want)):
                return False
        return True

    told: dict[str, Any] = {}
    backward = _altered(type(cell).backward, _Telling(), _told=told)
    old = tuple(state.values())
    new, gates = cell.forward(P, inputs["x"], old)
    dx, dstate, dP = backward(cell, P, inputs["x"], old, new, gates, dnew)
    lines = _lines(type(cell).backward)
    for variable in sorted(told.keys() & lines, key=lambda name: lines[name][0]):
        got = np.asarray(told[variable])
        stacks = nudged.meant_by(variable, got, cell.states)
        if stacks and not any(
            all(map(is_gradient, np.split(got, len(stack)), stack)) for stack in stacks
        ):
            _, number, line = lines[variable]
            return f"{number or variable} is wrong: {line}"
    for name, got in ({"x": dx} | dict(zip(state, dstate, strict=True)) | dict(dP)).items():
        if not is_gradient(np.asarray(got), name):
            return (
                f"{cell.name}.backward: what it returns for {name} is wrong, what it names is right"
            )
    return LOOP


class _Nudged:
    """Takes each quantity of a forward step by its name, and adds to the one that is to be moved."""

    def __init__(self, inputs: Mapping[str, Values]) -> None:
        self.shapes = {name: value.shape for name, value in inputs.items()}
        self.name, self.by = "", np.zeros(())

    def __call__(self, name: str, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            self.shapes[name] = value.shape
            return value + self.by if name == self.name else value
        return value

    def meant_by(self, variable: str, got: Values, states: Collection[str]) -> list[list[str]]:
        """What a variable of backward may be the gradient of: one quantity, or several stacked."""
        d, name = variable[:1], variable[1:]
        if d != "d":
            return []
        fits = [other for other, shape in self.shapes.items() if shape == got.shape]
        if name in fits:
            stem = name.partition("_")[0]  # some write dc for the gradient of c_new
            kin = [n for n in fits if n.partition("_")[0] == stem] if stem in states else [name]
            return [[n] for n in kin]
        parts = [n for n in self.shapes if n.startswith(f"{name}_")]
        rows = sum(self.shapes[n][0] for n in parts)
        return [parts] if got.ndim == 2 and parts and rows == len(got) else []


class _Nudging(ast.NodeTransformer):
    """Hands every quantity that is assigned, and the argument of every σ or tanh, to a `_Nudged`."""

    def __init__(self, inputs: Collection[str]) -> None:
        self.inputs = inputs

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        targets, values = _pairs(node)
        for target, value in zip(targets, values, strict=True):
            arguments = value.args if isinstance(value, ast.Call) else []
            if len(arguments) == 1 and not isinstance(arguments[0], ast.Name):
                arguments[0] = _call(f"a_{target.id}", arguments[0])
        taken = [t for t in targets if t.id not in self.inputs]
        again: list[ast.stmt] = [
            ast.Assign([ast.Name(t.id, ast.Store())], _call(t.id, ast.Name(t.id, ast.Load())))
            for t in taken
        ]
        return [node, *again]


class _Telling(ast.NodeTransformer):
    """Keeps the variables of a function as they are when it returns."""

    def visit_Return(self, node: ast.Return) -> list[ast.stmt]:
        return [*ast.parse("_told.update(locals())").body, node]


def _call(name: str, value: ast.expr) -> ast.Call:
    return ast.Call(ast.Name("_nudged", ast.Load()), [ast.Constant(name), value], [])


def _pairs(node: ast.Assign) -> tuple[list[ast.Name], list[ast.expr | None]]:
    """The names that are assigned to, each with the expression for it alone, if there is one."""
    (target, *_), value = node.targets, node.value
    if isinstance(target, ast.Name):
        return [target], [value]
    targets = target.elts if isinstance(target, ast.Tuple) else []
    values: list[Any] = value.elts if isinstance(value, ast.Tuple) else []
    values = values if len(values) == len(targets) else [None] * len(targets)
    pairs = [(t, v) for t, v in zip(targets, values, strict=True) if isinstance(t, ast.Name)]
    return [t for t, _ in pairs], [v for _, v in pairs]


def _altered(
    function: Callable[..., Any], alteration: ast.NodeTransformer, **names: Any
) -> Callable[..., Any]:
    """A copy of a function with its source altered, which knows these `names`.

    It is the function itself where there is no source, or where that needs what is around it.
    """
    if not isinstance(function, FunctionType) or function.__code__.co_freevars:
        return function
    try:
        tree = ast.parse(dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):
        return function
    tree = ast.fix_missing_locations(alteration.visit(tree))
    scope = function.__globals__ | names
    exec(compile(tree, "<altered>", "exec"), scope)
    altered: Callable[..., Any] = scope[function.__name__]
    return altered


def _lines(function: Callable[..., Any]) -> dict[str, tuple[int, str, str]]:
    """For each variable: the line where it is assigned last, the equation's number, the text."""
    try:
        source = dedent(inspect.getsource(function))
    except OSError:
        return {}
    text = source.splitlines()
    found = {}
    for node in _assignments(ast.parse(source)):
        number = ""
        for line in text[: node.lineno]:
            comment = NUMBER.search(line)
            number = comment[1] if comment else number
        of_node = text[node.lineno - 1].partition("  #")[0].strip()
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                found[name.id] = node.lineno, number, of_node
    return found


def _assignments(tree: ast.Module) -> Iterator[ast.Assign | ast.AugAssign]:
    nodes = (n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AugAssign))
    yield from sorted(nodes, key=lambda node: node.lineno)
