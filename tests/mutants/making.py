"""Small changes to Python code, each of which is a mistake that somebody could make."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

# Names to be taken for one another, where the function knows both.
FAMILIES = """
i f o g; r z n m; di df do dg dc_new; dr dz dn dm drz; da_i da_f da_o da_g; da_r da_z da_n dm;
dh dc y work; dh_new dc_new; h c; h h_new; c c_new; h x; U W b bw; dU dW db dbw; du dw;
W_r W_z W_n; W_rzT W_nT; rz r z; sigmoids a; da_ifo da; work work2; part kept; d held;
q m a; dq dm; da de dc; start stop; H height; Wb bU; W_rz W_n bU; tokens padding; dx dys; ordered order
"""
UNORDERED = {"add", "multiply", "max", "min"}  # what they are called with may be swapped
TURNED = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPPOSITE = {"min": "max", "max": "min", "any": "all", "all": "any"}
COPIES = {
    "copy",
    "deepcopy",
    "astype",
    "array",
    "list",
    "dict",
    "tuple",
    "sorted",
    "strip",
    "lower",
}
UNSEEN = {"tuple", "ascontiguousarray", "copy"}  # they return the same values, elsewhere


def more_alternatives(node: ast.AST, known: Callable[[str, int], bool]) -> Iterator[ast.AST]:
    """Those of all code: comparisons, defaults, arguments, copies and whole statements, besides."""
    yield from alternatives(node, known)
    load, nothing = ast.Load(), ast.Pass()
    match node:
        case ast.Compare(a, ops, others):
            for k, op in enumerate(ops):
                for turned in TURNED[type(op)]:
                    yield ast.Compare(a, [*ops[:k], turned(), *ops[k + 1 :]], others)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
            if len(values) > 2:
                yield from (
                    ast.BoolOp(op, values[:k] + values[k + 1 :]) for k in range(len(values))
                )
        case ast.UnaryOp(ast.Not(), a) | ast.BinOp(a, ast.Div() | ast.Mod() | ast.Pow()):
            yield a
        case ast.BinOp(a, ast.FloorDiv(), b):
            yield from (a, ast.BinOp(a, ast.Div(), b))
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(float(number)):
            yield ast.Constant(2 * number if number else 1.0)
        case ast.Constant(int(number)) if number > 0:
            yield ast.Constant(number - 1)
        case ast.Constant(str(text)) if re.fullmatch(r"[\w.]+", text):
            yield ast.Constant(f"{text}_")
        case ast.Name(("min" | "max" | "any" | "all") as name, ast.Load()):
            yield ast.Name(OPPOSITE[name], load)
        case ast.Attribute(a, ("min" | "max" | "any" | "all") as name, ast.Load()):
            yield ast.Attribute(a, OPPOSITE[name], load)
        case ast.Constant(None):
            yield ast.Constant(1)
        case ast.Call(f, args, keywords):
            if ast.unparse(f).rpartition(".")[2] in COPIES and (
                args or isinstance(f, ast.Attribute)
            ):
                method = isinstance(f, ast.Attribute) and ast.unparse(f.value) not in ("np", "xp")
                yield f.value if method else args[0]
            for k in range(len(keywords)):
                yield ast.Call(f, args, keywords[:k] + keywords[k + 1 :])
        case ast.With(_, body):
            yield ast.If(ast.Constant(True), body, [])
        case ast.AugAssign(target, op, value) if not isinstance(op, ast.Add):
            yield nothing
            if isinstance(op, ast.Sub):
                yield ast.AugAssign(target, ast.Add(), value)
        case ast.Raise() | ast.Return() | ast.Continue() | ast.Break() | ast.Delete():
            yield nothing


def swaps(items: list[Any]) -> Iterator[list[Any]]:
    """The list with two neighbours swapped."""
    for k in range(len(items) - 1):
        yield [*items[:k], items[k + 1], items[k], *items[k + 2 :]]


def relatives(name: str) -> list[str]:
    """The other names of the families that a name is in."""
    families = (family.split() for family in FAMILIES.split(";"))
    return sorted({n for family in families if name in family for n in family} - {name})


def alternatives(node: ast.AST, known: Callable[[str, int], bool]) -> Iterator[ast.AST]:
    """What may stand in the place of a node; `known` tells what has a value on a line."""
    plus, minus, load, nothing = ast.Add(), ast.Sub(), ast.Load(), ast.Pass()
    match node:
        case ast.BinOp(a, ast.Add(), b):
            yield from (a, b, ast.BinOp(a, minus, b))
        case ast.BinOp(a, ast.Sub(), b):
            yield from (a, ast.UnaryOp(ast.USub(), b), ast.BinOp(a, plus, b))
        case ast.BinOp(a, ast.Mult() | ast.MatMult(), b):
            yield from (a, b)
        case ast.IfExp(_, a, b) | ast.BoolOp(_, [a, b]):
            yield from (a, b)
        case ast.UnaryOp(ast.USub(), a) | ast.Attribute(a, "T"):
            yield a
        case ast.Attribute(module, "add"):
            yield ast.Attribute(module, "subtract", load)
        case ast.Name(name, ast.Load()):
            yield from (ast.Name(n, load) for n in relatives(name) if known(n, node.lineno))
            if name == "t":
                yield from (ast.BinOp(node, op, ast.Constant(1)) for op in (plus, minus))
            if name in ("add", "subtract", "multiply"):
                yield ast.Name("subtract" if name == "add" else "add", load)
        case ast.Constant(str(text)):
            yield from (ast.Constant(s) for s in relatives(text) if known(repr(s), node.lineno))
        case ast.Constant(int(number)) if not isinstance(number, bool):
            yield ast.Constant(number + 1)
        case ast.Tuple(items, ast.Load()) | ast.List(items, ast.Load()):
            yield from (type(node)(swapped, load) for swapped in swaps(items))
        case ast.Call(f, args, keywords):
            name = ast.unparse(f).rpartition(".")[2]
            if len(args) == 1 and not keywords and name not in UNSEEN:
                yield args[0]
            if name not in UNORDERED:
                yield from (ast.Call(f, swapped, keywords) for swapped in swaps(args))
            copyto = ast.Attribute(ast.Name("np", load), "copyto", load)
            for out in (k.value for k in keywords if k.arg == "out"):  # f(a, b, out=c): a to c
                others = (a for a in args if ast.dump(a) != ast.dump(out))
                yield from (ast.Call(copyto, [out, a], []) for a in others)
        case ast.If(test, body, orelse):
            yield from (nothing, ast.If(ast.UnaryOp(ast.Not(), test), body, orelse))
        case ast.AugAssign(target, ast.Add(), value):
            yield from (nothing, ast.AugAssign(target, minus, value))
        case ast.Expr(ast.Call()) | ast.Assign():
            yield nothing


def places(node: ast.AST, statement: ast.AST) -> Iterator[tuple[ast.AST, Any, Any, ast.AST]]:
    """What is below a node: the statement it is in, a list or dict that holds it, the key, itself."""
    for field, value in ast.iter_fields(node):
        several = isinstance(value, list)
        for key, child in list(enumerate(value)) if several else [(field, value)]:
            if not isinstance(child, ast.AST) or field in ("annotation", "returns"):
                continue
            inner = child if isinstance(child, ast.stmt) else statement
            if isinstance(child, ast.expr | ast.stmt):
                yield inner, value if several else vars(node), key, child
            yield from places(child, inner)


class Change(NamedTuple):
    """One thing changed: what stood there and stands there now, and the statement that it is in."""

    statement: ast.AST
    node: ast.AST
    new: ast.AST
    before: str  # the first line of the statement
    after: str


def changes(
    definition: ast.AST,
    possible: Callable[[ast.AST, Callable[[str, int], bool]], Iterator[ast.AST]] = alternatives,
) -> Iterator[Change]:
    """Change what is in a definition in every possible way, one at a time."""
    first = {}  # line of the first value
    for node in ast.walk(definition):
        match node:
            case ast.arg(name) | ast.Name(name, ast.Store()):
                first[name] = min(node.lineno, first.get(name, node.lineno))
            case ast.Constant(str(text)):
                first[repr(text)] = 0
    seen = set()
    for statement, holder, key, node in list(places(definition, definition)):
        before = head(statement)
        for new in possible(node, lambda name, line: first.get(name, line) < line):
            holder[key] = new
            after = head(new if node is statement else statement)
            after = f"without {before}" if after == "pass" else after
            if after != before and (statement, after) not in seen:
                seen.add((statement, after))
                yield Change(statement, node, new, before, after)
            holder[key] = node


def head(statement: ast.AST) -> str:
    """The first line of a statement, and of a definition its decorators, too."""
    decorators = len(getattr(statement, "decorator_list", ()))
    return " ".join(ast.unparse(statement).splitlines()[: decorators + 1])


def listed(table: str) -> dict[tuple[str, str], str]:
    """What stands in a table about changes, by function and statement."""
    about = {}
    for row in table.strip().splitlines():
        if not row.startswith(" "):
            function, what = row.split(": ", 1)
        else:
            about |= {(function, s.strip()): what for s in row.split(" || ")}
    return about
