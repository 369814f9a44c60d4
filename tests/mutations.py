"""Breaks the backward passes in one place at a time, and looks whether the gradients notice.

    python tests/mutations.py

A mutant is a backward function with one small change: a term or a factor dropped, a sign flipped, two
gates swapped, t shifted by one, a statement left out; `alternatives` is the list. It takes the place of
the original, and the problems that run through it are tried until one gives gradients that are not the
complex-step derivatives of the equations. So that no mutant lives on what was computed before, NumPy's
fresh memory is filled with NaN meanwhile.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path
from types import FunctionType
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "examples"))

from altered import compiled, definition

from minirnn import gradcheck, pool, products
from minirnn.attention import Attention
from minirnn.backend import get_backend
from minirnn.cells import CELLS, Cell
from minirnn.kernels import available, choose, threaded
from minirnn.scan import GenericScan, Scan

KERNELS = ("kernels.numpy_scan", "kernels.numpy_steps", "kernels.numpy_gru", "kernels.threaded")
MODULES = ("cells", "attention", "scan", *KERNELS, "products", "tokens")
FUNCTIONS = (
    r".*(backward|products|gradients|_slope|_unmix|\.add)|(SideBySide|OneHotRows|add_up_|by_step).*"
)

# Names to be taken for one another, where the function knows both.
FAMILIES = """
i f o g; r z n m; di df do dg dc_new; dr dz dn dm drz; da_i da_f da_o da_g; da_r da_z da_n dm;
dh dc y work; dh_new dc_new; h c; h h_new; c c_new; h x; U W b bw; dU dW db dbw; du dw;
W_r W_z W_n; W_rzT W_nT; rz r z; sigmoids a; da_ifo da; work work2; part kept; d held;
q m a; dq dm; da de dc; start stop; H height; Wb bU; W_rz W_n bU; tokens standing; dx dys; ordered order
"""
UNORDERED = {"add", "multiply", "max", "min"}  # what they are called with may be swapped
UNSEEN = {"tuple", "ascontiguousarray", "copy"}  # they return the same values, elsewhere

# What nothing can tell from the original. Function: argument, and the statements it is made for.
EQUIVALENT = """
Attention.backward: queries, memory and weights are of one type, on one device
    xp, backend = (array_module(a), backend_of(q)) | xp, backend = (array_module(m), backend_of(q))
    xp, backend = (array_module(q), backend_of(a)) | xp, backend = (array_module(q), backend_of(m))
    dc = checks.numbers('dcontext', dcontext, q.shape, a.dtype, backend)
    dc = checks.numbers('dcontext', dcontext, q.shape, m.dtype, backend)
Attention.backward: a cache of its own always passes
    without self._check_cache(cache, AttentionCache)
NumpyScan.backward: the sums are the same however many steps are multiplied at once
    k = steps_at_once(N, T)
NumpyScan.backward: dA has k steps, and stop - start is k, or else start is 0
    columns = side_a.copy(dA[:stop]) | columns = side_a.copy(dA[:stop + start])
LSTMSteps.backward: dh and dc are of one shape and type
    rest = np.empty((3 * H, dc.shape[1]), dh.dtype)
    rest = np.empty((3 * H, dh.shape[1]), dc.dtype)
    y = np.empty_like(dc)
LSTMSteps.backward: da_ifo is the first 3 H rows of da
    da_o, da_g = (da_ifo[2 * H:3 * H], da[3 * H:])
GRUResetBeforeSteps.backward: dm is done with when work2 is written, and work is read only at once
    work, dm = (np.empty_like(dh), work2[:H])
add_up_columns: both ways of adding up give the same sums, and all arrays here are NumPy's
    if K <= 512: | if xp is not np: | if K <= 513 or xp is not np: | if not (K <= 512 or xp is not np):
ThreadedScan.backward: every share has a dx, or none has
    dx = None if dxs[1] is None else np.concatenate(dxs, axis=-1)
GenericScan.backward: the gradients of the package's own cells always have the right shapes
    without if step is saved.steps[-1]: | if not step is saved.steps[-1]:
    if step is saved.steps[1]: | if step is saved.steps[-2]:
    without refuse_misfits(cell, P, step, dstate, dP_t)
GenericScan.backward: the package's own cells write to nothing that they are given
    new, dnew = (step.new, _read_only(dstate)) | new, dnew = (_read_only(step.new), dstate)
"""
ARGUMENTS: dict[tuple[str, str], str] = {}
for row in EQUIVALENT.strip().splitlines():
    if not row.startswith(" "):
        function, why = row.split(": ")
    else:
        ARGUMENTS |= {(function, s.strip()): f"equivalent: {why}" for s in row.split("|")}

Problem: TypeAlias = tuple[str, Callable[[], str | None]]  # name; says what is wrong, if anything
Mutant: TypeAlias = tuple[tuple[str, str], str, str]  # function and statement; fate; line to print
CPU = get_backend("cpu")
T, N, D, H = 4, 3, 2, 5  # all different, so that no axis passes for another


def pose(cell: Cell, kind: str, seed: int) -> Iterator[Problem]:
    """A problem with random numbers, for each scan that can run the cell."""
    random, K = np.random.default_rng(seed), 513 if kind == "many tokens" else D
    shapes = {"x": (T, K, N), **dict.fromkeys(cell.states, (H, N)), **cell.shapes(K, H)}
    inputs = {name: random.normal(size=shape) for name, shape in shapes.items()}
    tokens = mask = None
    if "tokens" in kind:
        tokens = random.integers(0, K, (T, N))
        tokens[:, 0], tokens[3, 1:] = 0, tokens[2, 1:]
        del inputs["x"]
    if kind not in ("numbers", "many tokens"):  # some end early, some start late, at t=2 all go on
        mask = np.array([[1, 1, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]], bool)
    dys = random.normal(size=(T, H, N)) * (kind != "without dys")
    dstate = tuple(random.normal(size=(H, N)) for _ in cell.states)
    for array in (*inputs.values(), dys, *dstate):
        array.flags.writeable = False

    def forward(scan: Scan, inputs: dict[str, np.ndarray]) -> tuple[Any, Any, Any]:
        state = tuple(inputs[name] for name in cell.states)
        P = {name: inputs[name] for name in cell.shapes(K, H)}
        return scan.forward(cell, P, inputs.get("x", tokens), state, mask)

    right = {name: np.zeros(value.shape) for name, value in inputs.items()}
    complex_inputs = {name: value + 0j for name, value in inputs.items()}
    for name, value in complex_inputs.items():
        for index in np.ndindex(value.shape):
            value[index] += 1e-30j
            ys, state, _ = forward(GenericScan(), complex_inputs)
            loss = (dys * ys).sum() + sum((d * s).sum() for d, s in zip(dstate, state, strict=True))
            right[name][index] = loss.imag / 1e-30
            value[index] = value[index].real

    def fault_of(scan: Scan, shares: int) -> str | None:
        try:
            with (
                patch.object(products, "COLUMNS", 3 * N),  # of 4 steps, 3 and 1 at once
                patch.object(threaded, "LEAST", 1),
                patch.dict(pool._chosen, now=pool.Choice(shares, 0)),
            ):
                saved = forward(scan, inputs)[2]
                if scan.backward(saved, dys, dstate, False)[0] is not None:
                    return "dx that is not wanted"
                for _ in range(2):  # the second time shows whether the first changed what was saved
                    given = None if kind == "without dys" else dys
                    dx, d_initial, got = scan.backward(saved, given, dstate)
                    got = got | dict(zip(cell.states, d_initial, strict=True))
                    got |= {} if dx is None else {"x": dx}
                    for name in right | got:
                        if not np.abs(got[name] - right[name]).max() <= 1e-9:
                            return f"d{name}"
        except Exception as error:
            return type(error).__name__
        return None

    for name in available(cell, CPU):
        if name == "numba":  # compiled: its code is not Python's, and it is held to the plain scan
            continue
        scan, _ = choose(cell, CPU, name)
        for shares in (1, 2) if name == "numpy" else (1,):
            cut = f", {shares} shares" if shares > 1 else ""
            yield f"{cell.name}, {kind}, {name} scan{cut}", partial(fault_of, scan, shares)


def pose_attention() -> Iterator[Problem]:
    """Attention, with a memory of which some is padding."""
    attention, random = Attention(), np.random.default_rng(0)
    queries, memory, r = (random.normal(size=(n, H, N)) for n in (T, D, T))

    def forward(**inputs: Any) -> tuple[Any, Any]:
        context, cache = attention.forward(**inputs, lengths=[D, D - 1, D])
        return (r * context).sum(), cache

    def backward(cache: Any) -> dict[str, Any]:
        attention.backward(
            cache, r
        )  # the second time shows whether the first changed what was saved
        return dict(zip(("queries", "memory"), attention.backward(cache, r), strict=True))

    def fault() -> str | None:
        try:
            report = gradcheck(forward, backward, queries=queries, memory=memory)
        except Exception as error:
            return type(error).__name__
        return next((f"d{row.name}" for row in report.rows if row.error > report.tol), None)

    yield "attention", fault


@cache
def problems() -> list[Problem]:
    """Of every kind, for every cell."""
    kinds = ("numbers", "padded", "tokens", "without dys")
    cases = [*product(CELLS, kinds), (CELLS[0], "many tokens")]
    of_cells = (p for seed, (cell, kind) in enumerate(cases) for p in pose(cell, kind, seed))
    return [*of_cells, *pose_attention()]


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
            if isinstance(child, ast.expr | ast.stmt) and field not in ("annotation", "returns"):
                inner = child if isinstance(child, ast.stmt) else statement
                yield inner, value if several else vars(node), key, child
                yield from places(child, inner)


def changes(definition: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    """Change a function in every way, one at a time: the line, the statement before and after."""
    first = {}  # line of the first value
    for node in ast.walk(definition):
        match node:
            case ast.arg(name) | ast.Name(name, ast.Store()):
                first[name] = min(node.lineno, first.get(name, node.lineno))
            case ast.Constant(str(text)):
                first[repr(text)] = 0
    seen = set()
    for statement, holder, key, node in list(places(definition, definition)):
        before = ast.unparse(statement).splitlines()[0]
        for new in alternatives(node, lambda name, line: first.get(name, line) < line):
            holder[key] = new
            after = ast.unparse(new if node is statement else statement).splitlines()[0]
            after = f"without {before}" if after == "pass" else after
            if after != before and (statement, after) not in seen:
                seen.add((statement, after))
                yield node.lineno, before, after
            holder[key] = node


def functions(name: str) -> Iterator[FunctionType]:
    """What is to be mutated in a module."""
    module = importlib.import_module(f"minirnn.{name}")
    for owner in (module, *(c for c in vars(module).values() if isinstance(c, type))):
        for f in vars(owner).values():
            own = isinstance(f, FunctionType) and f.__module__ == module.__name__
            if own and re.fullmatch(FUNCTIONS, f.__qualname__):
                yield inspect.unwrap(f)


def mutants(function: FunctionType) -> Iterator[Mutant]:
    """Make and try all mutants of a function."""
    mutant, original = definition(function), function.__code__
    try:
        function.__code__ = compiled(ast.parse("def stop(*_, **__): raise RuntimeError").body[0])
        through = [(name, fault) for name, fault in problems() if fault()]
        for line, before, after in changes(mutant):
            function.__code__ = compiled(mutant)
            key = (function.__qualname__, after)
            faults = (f"caught by {name}: {wrong}" for name, fault in through if (wrong := fault()))
            fate = next(faults, ARGUMENTS.get(key, "SURVIVED"))
            place = f"{Path(original.co_filename).name}:{line} {function.__qualname__}"
            yield key, fate, f"{place}: {before}  ->  {after}: {fate}"
    finally:
        function.__code__ = original


def main(every: bool = True) -> int:
    """Print what became of every mutant, or only of those that nothing excuses."""
    assert not any(fault() for _, fault in problems()), "the gradients are wrong as they are"
    fresh = patch.multiple(
        np,
        empty=lambda shape, dtype=float: np.full(shape, np.nan, dtype),
        empty_like=lambda array: np.full_like(array, np.nan),
    )
    with fresh, warnings.catch_warnings(action="ignore"):
        found = [m for name in MODULES for f in functions(name) for m in mutants(f)]
    survivors = {key: line for key, fate, line in found if not fate.startswith("caught")}
    wrong = [line for key, line in survivors.items() if key not in ARGUMENTS]
    idle = [f"{key}: listed, but survives nowhere" for key in ARGUMENTS if key not in survivors]
    print(*(line for _, _, line in found if every), *wrong, *idle, sep="\n")
    fates = [fate.split()[0] for _, fate, _ in found]
    caught, same, alive = map(fates.count, ("caught", "equivalent:", "SURVIVED"))
    errors = sum(fate.startswith("caught") and fate.endswith("Error") for _, fate, _ in found)
    how = f"{caught - errors} by a wrong gradient, {errors} by an error"
    print(f"{len(found)} mutants, {caught} caught ({how}), {same} equivalent, {alive} survived")
    return bool(wrong + idle)


if __name__ == "__main__":
    sys.exit(main())
