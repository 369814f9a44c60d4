"""The stepper of the worked example, driven in Chromium: buttons, keys, pointer, a phone."""

import json

import pytest

pytestmark = pytest.mark.site

NEXT, BACK = (f'#stepper [aria-label="One step {way}"]' for way in ("on", "back"))
STATE = """() => [...document.querySelectorAll("#stepper .number:not(.later)")]
  .map((place) => [place.dataset.slot, place.textContent])"""
MARKED = """(mark) => [...document.querySelectorAll(`#stepper .number.${mark}`)]
  .map((place) => place.dataset.slot)"""
HOT = """() => [...document.querySelectorAll("#stepper .arrow.hot")]
  .map((arrow) => `${arrow.dataset.from} ${arrow.dataset.to}`).sort()"""


@pytest.fixture
def stepper(site, browser_page):
    """A function that opens the page in a window of a size, light or dark, and gives it and its data."""

    def opened(*window):
        page = browser_page(*window)
        page.goto((site / "by_hand.html").as_uri())
        page.wait_for_selector("#stepper.live")
        return page, json.loads(page.text_content("#stepper-data"))

    return opened


def explained(page):
    return page.inner_text("#stepper .explanation")


def counted(page):
    return page.inner_text("#stepper .counter")


def test_stepper_goes_to_the_end_and_back(stepper):
    page, data = stepper()
    numbers, known, states = data["numbers"], {}, []
    for at, step in enumerate(data["steps"]):
        if at:
            page.click(NEXT)
        known |= {numbers[name]["slot"]: numbers[name]["text"] for name in step["names"]}
        states.append(known.copy())
        assert counted(page) == f"{at} / 30"
        assert step["number"] in explained(page)
        assert step["meaning"] in explained(page)
        assert dict(page.evaluate(STATE)) == known
    assert set(known) == {number["slot"] for number in numbers.values()}
    for at in reversed(range(30)):
        page.click(BACK)
        assert counted(page) == f"{at} / 30"
        assert dict(page.evaluate(STATE)) == states[at]


def test_every_number_explains_itself(stepper):
    """At its step, each number in turn: its equation, what it came from, and what it is."""
    page, data = stepper()
    numbers = data["numbers"]
    for step in data["steps"][1:]:
        page.click(NEXT)
        for name in step["names"]:
            number = numbers[name]
            operands = [token["name"] for token in number["tokens"] if token["name"]]
            page.dispatch_event(f'#stepper [data-slot="{number["slot"]}"]', "mouseenter")
            text = explained(page)
            assert text.startswith(step["number"])
            assert number["words"] in text
            assert number["code"] in text
            assert page.inner_text("#stepper .arithmetic b") == number["text"]
            found = page.locator("#stepper .operand").all_inner_texts()
            assert [t.split("\n")[0].strip("()") for t in found] == [
                numbers[n]["text"] for n in operands
            ]
            assert page.evaluate(MARKED, "chosen") == [number["slot"]]
            marked = {numbers[operand]["slot"] for operand in operands} - {number["slot"]}
            assert set(page.evaluate(MARKED, "from")) == marked


def test_hovering_shows_where_a_number_comes_from(stepper):
    page, _ = stepper()
    page.click('[aria-label="Last step"]')
    before = explained(page)
    page.hover('#stepper [data-slot="c2_1"]')
    assert explained(page).startswith("(2.6) c′ = f ⊙ c + i ⊙ g")
    assert page.evaluate(MARKED, "chosen") == ["c2_1"]
    assert set(page.evaluate(MARKED, "from")) == {"f2_1", "c2_0", "i2_1", "g2_1"}
    assert page.evaluate(HOT) == ["c_0 c_1", "f_1 c_1", "g_1 c_1", "i_1 c_1"]
    names = page.locator("#stepper .operand small").all_inner_texts()
    assert names == ["f2", "c2", "i2", "g2"]
    page.hover('#stepper [data-slot="dc2_start"]')
    assert explained(page).startswith("(2.6') ")
    assert page.evaluate(HOT) == ["c_start c_0"]  # f goes in, too, by no arrow of its own
    page.hover("#stepper .counter")
    assert explained(page) == before
    page.click('#stepper [data-slot="c2_1"]')
    page.hover("#stepper .counter")
    assert explained(page).startswith("(2.6) ")


def test_keys_and_the_line_of_progress(stepper):
    page, _ = stepper()
    page.keyboard.press("ArrowRight")
    assert counted(page) == "0 / 30"  # the page's own, as long as the stepper is not in use
    page.focus(NEXT)
    for key, at in {"ArrowRight": 1, "End": 30, "ArrowLeft": 29, "Home": 0}.items():
        page.keyboard.press(key)
        assert counted(page) == f"{at} / 30"
    progress = page.locator("#stepper input")
    progress.focus()
    page.keyboard.press("ArrowRight")
    assert counted(page) == "1 / 30"
    progress.fill("20")
    assert counted(page) == "20 / 30"
    assert progress.get_attribute("aria-valuetext") == "t = 1 back (2.4')"


def test_numbers_can_be_reached_by_tab_and_lead_on(stepper):
    page, _ = stepper()
    page.locator("#stepper input").fill("6")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.slot") == "c1_0"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.slot") == "c2_0"
    assert "c, unit 2, after t = 0" in explained(page)
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Tab")  # to the arithmetic's first number, f
    page.keyboard.press("Enter")
    assert explained(page).startswith("(2.3) ")
    page.keyboard.press("Enter")
    assert explained(page).startswith("(2.1) ")
    for name in page.locator("#stepper button").all():
        assert name.get_attribute("aria-label")
    assert page.get_attribute("#stepper .explanation", "aria-live") == "polite"


@pytest.mark.parametrize("dark", [False, True])
def test_stepper_on_a_phone(stepper, dark):
    page, _ = stepper(390, 844, dark)
    for _ in range(30):
        page.click(NEXT)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.wait_for_function(  # what is explained has been scrolled to
            """() => {
              const graph = document.querySelector("#stepper .graph").getBoundingClientRect();
              const { left, right } = document.querySelector("#stepper .chosen").getBoundingClientRect();
              return left >= graph.left - 1 && right <= graph.right + 1;
            }"""
        )
    page.locator('#stepper [data-slot="df1_0"]').click()
    assert explained(page).startswith("(2.6') ")
