"""Pictures say what the numbers say: losses of a training, states over time."""

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from minirnn import plot


def axes():
    return Figure().subplots()


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([3.0, 2.0, 0.29], "log"),
        ([3.0, 2.0, 0.3], "linear"),  # tenfold, and no more
        ([3.0, 0.0], "linear"),  # which has no logarithm
        ([0.1, -5.0], "linear"),
        ([2.0], "linear"),
    ],
)
def test_a_loss_that_falls_tenfold_is_on_a_logarithmic_scale(losses, scale):
    ax = axes()
    plot.loss_curve(ax, losses)
    (line,) = ax.lines
    assert line.get_ydata().tolist() == losses
    assert line.get_xdata().tolist() == list(range(len(losses)))
    assert ax.get_yscale() == scale
    assert scale == "log" or ax.get_ylim()[0] == 0
    assert (line.get_marker() == "o") == (len(losses) == 1)  # a line needs two points
    assert not ax.texts
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("step", "loss (nats)", "training")
    assert len(losses) == 1 or all(tick == round(tick) for tick in ax.get_xticks())


def test_guessing_is_a_line_at_its_height():
    ax = axes()
    plot.loss_curve(ax, [4.0, 1.0], guessing=1.5)
    _, guessing = ax.lines
    assert list(guessing.get_ydata()) == [1.5, 1.5]
    (text,) = ax.texts
    assert text.get_text() == "guessing"
    assert text.get_position()[1] == 1.5


def test_lines_of_many_steps_have_no_markers_and_no_two_in_succession_one_colour():
    ax = axes()
    curves = {f"{n} steps": (range(n), np.ones(n)) for n in (30, 31, 2, 40)}
    plot.loss_curves(ax, curves, {"ln K": 1.25})
    *lines, guessing = ax.lines
    assert [line.get_marker() for line in lines] == ["o", "None", "o", "None"]
    assert [line.get_label() for line in lines] == list(curves)
    assert len({line.get_color() for line in lines}) == 4
    assert [len(line.get_xdata()) for line in lines] == [30, 31, 2, 40]
    assert list(guessing.get_ydata()) == [1.25, 1.25]
    assert [text.get_text() for text in ax.texts] == ["ln K  1.25"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(curves)
    assert ax.xaxis.get_major_formatter()(12345.0) == "12,345"


@pytest.mark.parametrize(("largest", "limit"), [(0.5, 1), (1.0, 1), (3.0, 3)])
def test_states_have_a_column_for_each_step_and_a_row_for_each_unit(largest, limit):
    h = largest * np.array([[0.0, 1, -0.5], [-1, 0.59, 0.61]])  # (T, H)
    ax = axes()
    plot.states_over_time(ax, h, "ab", "cd", title="it")
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), h.T)
    assert image.get_clim() == (-limit, limit)  # white is 0
    assert image.get_cmap().name == "RdBu_r"
    said = {text.get_position(): text for text in ax.texts}
    assert set(said) == {(t, unit) for t in range(2) for unit in range(3)}
    for (t, unit), text in said.items():
        assert float(text.get_text().replace("\N{MINUS SIGN}", "-")) == pytest.approx(
            h[t, unit], abs=0.0051
        )
        assert text.get_text()[0] in "+\N{MINUS SIGN}"
        dark = abs(h[t, unit]) > 0.6 * limit
        assert same_color(text.get_color(), "white" if dark else "black")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["unit 0", "unit 1", "unit 2"]
    (above,) = ax.child_axes
    assert [label.get_text() for label in above.get_xticklabels()] == ["c", "d"]
    assert (ax.get_xlabel(), above.get_xlabel(), ax.get_title()) == ("input", "output", "it")


def test_zero_is_no_negative_number_and_units_have_the_names_that_are_given():
    ax = axes()
    plot.states_over_time(ax, np.array([[-0.001, 0.0]]), "a", "b", units=["first", "second"])
    assert [text.get_text() for text in ax.texts] == ["+0.00", "+0.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["first", "second"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"below": "abc"}, r"below: got 3, want 2 for h of shape \(2, 3\)"),
        ({"above": "a"}, r"above: got 1, want 2 for h of shape \(2, 3\)"),
        ({"units": ["a"]}, r"units: got 1, want 3 for h of shape \(2, 3\)"),
        ({"h": np.zeros((2, 3, 1))}, r"h: got shape \(2, 3, 1\), want \(T, H\)"),
    ],
)
def test_words_and_names_that_do_not_fit_are_refused(given, message):
    fitting = {"h": np.zeros((2, 3)), "below": "ab", "above": "cd"}
    with pytest.raises(ValueError, match=message):
        plot.states_over_time(axes(), **fitting | given)


@pytest.mark.parametrize("name", ["guessing", "guessing of curves", "pale", "units", "activity"])
def test_what_cannot_be_drawn_is_refused_by_name(name):
    ax, curves = Figure().subplots(), {"a": ([1, 2], [3.0, 2.0])}
    with pytest.raises(TypeError, match=rf"^{name.split()[0]}\b.*: got .*, want (a |numbers)"):
        {
            "guessing": lambda: plot.loss_curve(ax, [2.0, 1.0], guessing="2"),
            "guessing of curves": lambda: plot.loss_curves(ax, curves, guessing={"ln K": "2"}),
            "pale": lambda: plot.loss_curves(ax, curves, pale=1),
            "units": lambda: plot.states_over_time(ax, np.ones((1, 2)), "a", "b", units=2),
            "activity": lambda: plot.text_by_unit(ax, "ab", np.array(["1", "2"])),
        }[name]()
