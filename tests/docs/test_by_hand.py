"""The worked example of docs/by_hand.md: its numbers are the engine's, and its arithmetic is right."""

import importlib
import json
import re

import numpy as np
import pytest
from helpers import ROOT

import minirnn as mr
from minirnn.backend import sigmoid


@pytest.fixture
def by_hand():
    return importlib.import_module("by_hand")


@pytest.fixture
def signs(by_hand):
    return importlib.import_module("by_hand_signs")


@pytest.fixture
def page(by_hand):
    return importlib.import_module("by_hand_page")


def test_numbers_are_what_the_cell_gives(by_hand):
    numbers, engine = by_hand.evaluate(), by_hand.engine()
    assert len(engine) == 1 + 2 * (2 * 6 + 8 + 4 + 1 + 32) + 4  # L; at each t; the initial state's
    for name, value in engine.items():
        assert numbers[name] == pytest.approx(value, rel=0, abs=1e-15), name


def test_numbers_are_what_a_network_gives(by_hand):
    """The whole engine, with its scan in place, and not the cell alone."""
    numbers = by_hand.evaluate()
    lstm = mr.LSTM(1, 2, dtype="float64")
    lstm.load_state_dict({"l0.U": by_hand.U, "l0.W": by_hand.W, "l0.b": by_hand.B})
    ys, _, cache = lstm.forward(by_hand.X, (by_hand.H0[None], by_hand.C0[None]))
    loss, dh = mr.mse(ys[-1], by_hand.TARGET)
    dx, (dh0, dc0) = lstm.backward(cache, np.stack([np.zeros_like(dh), dh]))

    def column(name):
        return np.array([[numbers[name.format(u)]] for u in "12"])

    def rows(name):
        return np.array([numbers[name.format(row)] for row in by_hand.ROWS])

    near = {"rtol": 0, "atol": 1e-15}
    np.testing.assert_allclose(numbers["L"], loss, **near)
    for t in (0, 1):
        for letter in "ifoghc":
            np.testing.assert_allclose(
                column(f"{letter}{{}}_{t}"), cache[f"l0.{letter}"][t], **near
            )
        np.testing.assert_allclose(numbers[f"dx_{t}"], dx[t, 0, 0], **near)
    np.testing.assert_allclose(column("dh{}_start"), dh0[0], **near)
    np.testing.assert_allclose(column("dc{}_start"), dc0[0], **near)
    grads = {name: p.grad for name, p in lstm.named_parameters().items()}
    np.testing.assert_allclose(rows("dU_{}_0"), grads["l0.U"][:, 0], **near)
    np.testing.assert_allclose(rows("dW_{}1_0"), grads["l0.W"][:, 0], **near)
    np.testing.assert_allclose(rows("dW_{}2_0"), grads["l0.W"][:, 1], **near)
    np.testing.assert_allclose(rows("db_{}_0"), grads["l0.b"][:, 0], **near)


def test_every_gradient_is_that_of_the_complex_step(by_hand):
    """Those in between, too, which the engine does not hand out: di, df, do, dg and dc."""
    numbers, checked = by_hand.evaluate(), 0
    for name in (name for step in by_hand.STEPS for name in step.results if name.startswith("d")):
        of = name[1:].removesuffix("_sum")
        if re.match("[UWb]_", of):
            of, t = of.rsplit("_", 1)
            if t == "1":
                continue  # not all of it yet: with t = 0 it will be
        if f"{name}_sum" in numbers:
            continue
        nudged = by_hand.evaluate({of: 1e-30j})["L"].imag / 1e-30
        assert abs(numbers[name] - nudged) <= 1e-12 * max(abs(nudged), 1e-6), name
        checked += 1
    assert (
        checked == 32 + 2 * (1 + 2 + 2 * 4 + 2 * 4 + 2) + 4
    )  # parameters; at each t; initial state


def test_written_arithmetic_gives_what_is_printed(by_hand, signs):
    """From what the reader sees, the last decimal comes out one off at most, as the page says."""
    functions = {"σ": sigmoid, "tanh": np.tanh}
    for step in by_hand.STEPS:
        for name, expression in step.results.items():
            text = signs.arithmetic(expression)
            assert not re.search(r"[A-Za-z]", text.replace("tanh", "")), text
            python = text.replace("·", "*").replace("−", "-").replace("²", "**2")
            printed = float(signs.printed(name).replace("−", "-"))
            assert abs(round(eval(python, functions), 4) - printed) < 1.5e-4, text
            assert abs(printed - signs.VALUES[name]) < 0.5001e-4


def test_no_number_is_hidden_by_rounding(by_hand):
    zeros = [name for name, value in by_hand.evaluate().items() if abs(value) < 5e-4]
    assert zeros == ["dc1_1", "dc2_1"]  # the loss does not look at c


def test_numbers_are_written_as_in_the_equations(by_hand, signs):
    expressions = {name: e for step in by_hand.STEPS for name, e in step.results.items()}

    def written(name, t):
        text = f"{signs.sign_of(name, t)} = {signs.letters(expressions[name], t)}"
        return re.sub("</?(i|sub)>", "", text)

    assert written("c1_1", 1) == "c′1 = f1 · c1 + i1 · g1"
    assert written("dc2_0_sum", 0) == "dc′2 = dc′2 + dh′2 · o2 · (1 − y2²)"
    assert written("dc2_0", 1) == "dc2 = dc′2 · f2"
    assert written("dW_f12_0", 0) == "dWf12 = dWf12 + daf1 · h2"
    assert written("y1_0", 0) == "y1 = tanh(c′1)"


def test_every_equation_of_the_cell_is_there_with_its_line(by_hand):
    numbers = [f"2.{k}" for k in range(1, 8)]
    back = [f"{number}'" for number in reversed(numbers)]
    assert [step.number for step in by_hand.STEPS] == [*numbers * 2, "loss", "loss'", *back * 2]
    source = (ROOT / "minirnn" / "cells.py").read_text()
    lines = {name: step.code(name) for step in by_hand.STEPS for name in step.results}
    assert all(line in source for line in lines.values())
    assert [name for name, line in lines.items() if not line] == [
        "L",
        "dh1_1",
        "dh2_1",
        "dc1_1",
        "dc2_1",
    ]
    assert lines["a_f1_1"].startswith("a_i, a_f, a_o, a_g = ")
    assert lines["dc1_0"] == "dc = dc_new * f"
    assert lines["dc1_0_sum"].startswith("dc_new = dc_new + ")
    assert lines["dW_f12_1"] == "dW = da @ h.T"


def test_arrows_are_what_the_equations_use(by_hand):
    graph = importlib.import_module("by_hand_graph")
    places = graph.boxes()
    box = {slot: name for name, place in places.items() for slot in place.slots}
    uses = set()
    for step in by_hand.STEPS:
        if not step.backward:
            for name, expression in step.results.items():
                operands = (box.get(word) for word in by_hand.NAME.findall(expression))
                uses |= {(operand, box[name]) for operand in operands if operand}
    assert set(graph.arrows(places)) == uses


def test_page_has_all_numbers_without_a_script(page, signs):
    place = r'data-slot="(\w+)"[^>]*>(?:<rect[^>]*>)?(?:<text[^>]*>)?([^<]*)<'
    found = re.findall(place, page.stepper())
    last = {signs.slot(name): signs.printed(name) for name in signs.VALUES}
    assert dict(found) == last
    assert len(found) == len(last)
    lines = page.lines(backward=False) + page.lines(backward=True)
    others = (*signs.GIVEN, "L", "dh1_1", "dh2_1", "dc1_1", "dc2_1")  # the loss's
    computed = [name for name in signs.VALUES if name not in others]
    assert sorted(re.findall("<b>(.*?)</b>", lines)) == sorted(map(signs.printed, computed))
    tables = page.vectors(backward=False) + page.vectors(backward=True)
    for name in computed:
        assert signs.WEIGHT.match(name) or f"<td>{signs.printed(name)}</td>" in tables, name


def test_stepper_is_given_every_number_and_where_it_comes_from(by_hand, page, signs):
    data = json.loads(page.data())
    expressions = dict.fromkeys(signs.GIVEN, "")
    expressions |= {name: e for step in by_hand.STEPS for name, e in step.results.items()}
    assert set(data["numbers"]) == set(expressions) == set(signs.VALUES)
    for name, number in data["numbers"].items():
        assert name in data["steps"][number["at"]]["names"]
        assert number["text"] == signs.printed(name)
        assert "".join(token["text"] for token in number["tokens"]) == signs.arithmetic(
            expressions[name]
        )
        operands = set(by_hand.NAME.findall(expressions[name])) - set(by_hand.FUNCTIONS)
        assert {token["name"] for token in number["tokens"]} - {""} == operands
        assert set(number["signs"]) == {name, *operands}
