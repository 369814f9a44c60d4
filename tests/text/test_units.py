"""Features of a text, by hand and without the future; units that tell them; pictures of both."""

from __future__ import annotations

import math
import warnings
from itertools import combinations, product

import numpy as np
import pytest
from helpers import unchanged
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from minirnn import plot
from minirnn.text.units import rank_units, text_features

quick = settings(max_examples=200, deadline=None, derandomize=True)

# ------------------------------------------------------------------------------------ features


@pytest.mark.parametrize(
    ("name", "text", "values"),  # with | for the end of a line
    [
        ("space",
         "a b\t|c",
         "010000"),
        ("vowel",
         "You, Ann!",
         "011001000"),
        ("capital letter",
         "You, ÄnN",
         "10000101"),
        ("digit",
         "a1 22",
         "01011"),
        ("position in the word",
         "an I'd|xyz1",
         "12010101230"),
        ("first character of a line",
         "ab|| c|d",
         "10001001"),
        ("position in the line",
         "ab||c|de",
         "12001012"),
        ("future: characters left in the line",
         "ab||c|de",
         "21001021"),
        ("indentation",
         "\t x y| z|a  b|  ",
         "1222201100000012"),
        ("depth of brackets",
         "a)(b[c]{}])d(",
         "0011221210001"),
        ("depth of brackets",
         "[a(}",
         "1121"),
        ("inside quotation marks",
         'a "b c" d|"e||f "g" “h ”i “j||k',
         "0011110000111000110011100011100"),
        ("inside a speaker's name",
         "KING HENRY:|Ay: so.||All:|No||3 men|Oh||A:|",
         "1111111111" "00000000000" "111" "0000000000000000" "1" "00"),
        ("inside a speaker's name",
         "**HAMLET**|To be.||**GHOST:**|Mark",
         "00" "111111" "0000000000000" "11111" "00000000"),
        ("inside a comment",
         "a // b|c /* d|e */ f # g|#h x//y #! z",
         "0001110000111111100000110000000000111"),
    ],
)  # fmt: skip
def test_a_feature_by_hand(name, text, values):
    features = text_features(text.replace("|", "\n"))
    assert "".join(f"{value:.0f}" for value in features[name]) == values
    assert all(feature.dtype == np.float64 for feature in features.values())
    assert all(feature.shape == (len(text),) for feature in features.values())


PIECES = ["a", "B", "7", " ", "\t", "\n", "\n\n", '"', "“", "”", "A:\n", "**B**", ":", "*"]
CODE = ["// ", "/*", "*/", "/", "# ", "#", "!", "(", "[", "}", "])"]


@quick
@given(pieces=st.lists(st.sampled_from(PIECES + CODE), max_size=30), data=st.data())
def test_a_feature_knows_what_has_been_read_and_no_more(pieces, data):
    text = "".join(pieces)
    cut = data.draw(st.integers(0, len(text)))
    features, so_far = text_features(text), text_features(text[:cut])
    for name, feature in features.items():
        if name in so_far and not name.startswith("future"):
            np.testing.assert_array_equal(so_far[name], feature[:cut], err_msg=name)
        elif name not in so_far and name != "inside a speaker's name":
            assert len(set(feature[:cut])) <= 1, name


def test_the_names_of_the_long_are_cut():
    text = "A:\n\nB:\n\nC:\n\n" + 50 * "D" + "\n"
    assert text_features(text)["inside a speaker's name"].sum() == 3 + 40


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", set()),
        ("     ", {"position in the line", "future: characters left in the line",
                   "first character of a line", "indentation"}),
        ("bb", {"position in the line", "future: characters left in the line",
                "first character of a line", "position in the word"}),
    ],
)  # fmt: skip
def test_only_features_that_vary_are_there(text, names):
    assert set(text_features(text)) == names


def test_there_are_speakers_only_in_plays():
    assert "inside a speaker's name" in text_features("A:\nhm\n\nB:\nhm\n\nProse\n")
    assert "inside a speaker's name" not in text_features("A:\nhm\n\nProse\n")


def test_features_of_what_is_no_text_are_refused():
    with pytest.raises(TypeError, match=r"text: got bytes, want str"):
        text_features(b"text")


# --------------------------------------------------------------------------------------- units


def by_pairs(unit, feature):
    """2·AUC - 1: all pairs of a step with the feature and one without."""
    pairs = list(product(unit[feature == 1], unit[feature == 0]))
    return sum(np.sign(one - other) for one, other in pairs) / len(pairs)


def by_ranks(unit, feature):
    """Spearman's correlation: that of the numbers of smaller values, and half of equal ones."""
    ranks = [[(x < y).sum() + 0.5 * (x == y).sum() for y in x] for x in (unit, feature)]
    return np.corrcoef(*ranks)[0, 1]


@pytest.mark.parametrize("T", [30, 31])
@pytest.mark.parametrize(("levels", "plain"), [(2, by_pairs), (5, by_ranks)])
def test_the_score_is_that_of_its_definition(T, levels, plain, rng):
    h = rng.integers(-4, 5, (T, 3)) / 4  # with equal values
    feature = rng.integers(0, levels, T).astype(float)
    records = rank_units(h, {"f": feature})
    assert sorted(record.unit for record in records) == [0, 1, 2]
    half = T // 2
    for name, unit, sign, score, chosen_by in records:
        assert name == "f"
        first = plain(h[:half, unit], feature[:half])
        assert sign * first == pytest.approx(chosen_by, abs=1e-12)
        assert chosen_by >= 0
        assert sign * plain(h[half:, unit], feature[half:]) == pytest.approx(score, abs=1e-12)


def planted(rng, T=400, units=20):
    """Features, and units of noise; but 3 tells `rare`, and 7 falls with `place`."""
    rare = (np.arange(T) % 50 == 7).astype(float)
    place = np.arange(T) % 40.0
    h = rng.uniform(-1, 1, (T, units))
    h[:, 3] = 0.2 * rng.uniform(-1, 1, T) + 0.5 * rare
    h[:, 7] = -place / 40
    return h, {"rare": rare, "place": place}


def test_planted_units_are_found(rng):
    h, features = planted(rng)
    with unchanged(h, *features.values()):
        records = rank_units(h, features, best=2)
    assert len(records) == 4
    assert {(r.feature, r.unit, r.sign) for r in records[:2]} == {("rare", 3, 1), ("place", 7, -1)}
    assert [r.score for r in records[:2]] == pytest.approx([1, 1])
    assert all(r.score < 0.5 for r in records[2:])
    assert [r.score for r in records] == sorted((r.score for r in records), reverse=True)


def test_how_a_unit_saturates_does_not_count(rng):
    h, features = planted(rng)
    assert rank_units(np.tanh(4 * h), features) == rank_units(h, features)


def test_the_type_of_the_states_does_not_count(rng):
    h = rng.integers(-8, 9, (60, 4)) / 8
    features = {"f": rng.integers(0, 2, 60), "g": rng.integers(0, 9, 60)}
    expected = rank_units(h, {name: f.astype(float) for name, f in features.items()})
    assert rank_units(h.astype(np.float32), features) == expected


def test_a_feature_of_truth_values_is_one_of_zeros_and_ones(rng):
    h, features = planted(rng)
    rare = features["rare"]
    assert rank_units(h, {"rare": rare == 1}) == rank_units(h, {"rare": rare})


def test_units_are_chosen_on_the_first_half_alone(rng):
    feature = rng.integers(0, 2, 80).astype(float)
    h = np.stack([2 * feature - 1, 2 * feature - 1], axis=1)
    h[40:, 0] *= -1  # turns round
    h[:40, 1] = rng.uniform(-1, 1, 40)  # tells it later
    (record,) = rank_units(h, {"f": feature}, best=1)
    assert record[:3] == ("f", 0, 1)
    assert record[3:] == pytest.approx((-1, 1))


def test_the_best_of_many_units_of_noise_are_found_to_be_noise(rng):
    h = rng.standard_normal((100, 300))
    features = {f"{k}": rng.integers(0, levels, 100) for k, levels in enumerate((2, 9) * 10)}
    records = rank_units(h, features, best=5)
    assert np.mean([record.chosen_by for record in records]) > 0.3
    assert abs(np.mean([record.score for record in records])) < 0.05


@pytest.mark.parametrize("value", [0.0, 0.1, -1.0])
def test_a_constant_unit_scores_zero(value, rng):
    h = rng.standard_normal((50, 2))
    h[:, 1] = value
    features = {"f": rng.integers(0, 2, 50), "g": rng.integers(0, 5, 50)}
    constant = [record for record in rank_units(h, features) if record.unit == 1]
    assert len(constant) == 2
    assert all((record.score, record.chosen_by) == (0, 0) for record in constant)
    assert {record.sign for record in constant} == {1}


@pytest.mark.parametrize("T", [0, 1, 2, 3, 20])
def test_features_that_do_not_vary_in_each_half_are_left_out(T):
    h = np.arange(3.0 * T).reshape(T, 3)
    constant, first = np.ones(T), np.arange(T) == 1
    last = first[::-1]
    assert rank_units(h, {"constant": constant, "first": first, "last": last}) == []
    assert rank_units(h, {}) == []


def test_a_network_that_remembers_a_quotation_mark_is_found_out(rng):
    """From the text to the unit."""
    text = 'Then "no, I will not", said she.\nAnd he "but yes".\n' * 6
    features = text_features(text)
    h = 0.1 * rng.standard_normal((len(text), 9))
    on = 0.0
    for t, letter in enumerate(text):
        on = 1 - on if letter == '"' else on
        h[t, 4] -= on
    records = rank_units(h, features, best=1)
    assert records[0][:3] == ("inside quotation marks", 4, -1)
    assert records[0].score > 0.99


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"h": np.zeros(6)}, ValueError, r"h: got shape \(6,\), want \(T, units\)"),
        ({"h": np.zeros((6, 2, 1))}, ValueError, r"h: got shape \(6, 2, 1\), want \(T, units\)"),
        ({"h": np.full((6, 2), np.nan)}, ValueError, r"h: nan at index \(0, 0\), want finite"),
        ({"h": np.full((6, 2), 1j)}, TypeError, r"h: got complex128, want real numbers"),
        ({"features": {"x": np.zeros(5)}}, ValueError,
         r"features\['x'\]: got shape \(5,\), want \(6,?\)"),
        ({"features": {"x": np.full(6, np.inf)}}, ValueError, r"features\['x'\]: inf at index"),
        ({"features": {"x": ["a"] * 6}}, TypeError, r"features\['x'\]: got <U1, want real"),
        ({"best": 0}, ValueError, r"best: got 0, want 1 or more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(changed, error, message):
    fitting = {"h": np.zeros((6, 2)), "features": {"x": np.arange(6)}}
    rank_units(**fitting)
    with pytest.raises(error, match=message):
        rank_units(**fitting | changed)


# ------------------------------------------------------------------------------------ pictures


def drawn(text, activity, **options):
    """The rows of activities that are drawn, and how many letters."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    ax = figure.subplots()
    plot.text_by_unit(ax, text, activity, **options)
    figure.draw_without_rendering()
    (image,), (letters,) = ax.images, ax.collections
    return np.ma.filled(image.get_array().astype(float), np.nan), letters, image


@pytest.mark.parametrize(
    ("text", "width", "lengths"),
    [
        ("To be, or\nnot to be", 80, [10, 9]),
        ("\n\nTo be\n", 80, [1, 1, 6]),
        ("To be, or not to be", 8, [7, 7, 5]),
        ("To be, or not", 10, [10, 3]),
        ("To be, or\nno", 9, [10, 2]),  # what ends a line may stand beside it
        ("abcdefghij kl", 4, [4, 4, 3, 2]),
        ("ab  cdefghij", 4, [4, 4, 4]),
        ("a", 1, [1]),
        ("\n", 5, [1]),
        ("$x$ \\frac\t_^", 80, [12]),
    ],
    ids=str,
)
def test_a_text_is_drawn_line_by_line(text, width, lengths, rng):
    activity = rng.uniform(-1, 1, len(text))
    cells, letters, image = drawn(text, activity, width=width)
    assert cells.shape == (len(lengths), max(lengths))
    assert (~np.isnan(cells)).sum(axis=1).tolist() == lengths
    np.testing.assert_array_equal(cells[~np.isnan(cells)], activity)
    assert len(letters.get_paths()) == sum(letter != " " for letter in text)
    assert image.get_clim() == (-1, 1)
    for path, (y, x) in zip(letters.get_paths(), places(text, cells), strict=True):
        low, high = path.get_extents().min, path.get_extents().max
        assert (np.round([x, y]) - 0.55 < low).all(), (x, y)
        assert (high < np.round([x, y]) + 0.55).all(), (x, y)


def places(text, cells):
    cells = zip(text, np.argwhere(~np.isnan(cells)), strict=True)
    return [place for letter, place in cells if letter != " "]


def test_letters_are_light_on_dark_colours():
    _, letters, image = drawn("abcd", np.array([-2.0, -0.5, 0.5, 2.0]))
    assert image.get_clim() == (-2, 2)  # for what is not a tanh
    np.testing.assert_array_equal(letters.get_facecolor()[:, 0], [1, 0, 0, 1])


@pytest.mark.parametrize(
    ("text", "activity", "width", "message"),
    [
        ("", [], 80, r"text: got '', want one character or more"),
        ("abc", np.zeros(2), 80, r"activity: got shape \(2,\), want \(3,?\)"),
        ("abc", np.zeros((3, 1)), 80, r"activity: got shape \(3, 1\), want \(3,?\)"),
        ("abc", [0, np.nan, 0], 80, r"activity: nan at index \(1,\), want finite"),
        ("abc", np.zeros(3), 0, r"width: got 0, want 1 or more"),
    ],
)
def test_a_picture_of_what_does_not_fit_is_refused(text, activity, width, message):
    with pytest.raises(ValueError, match=message):
        plot.text_by_unit(Figure().subplots(), text, np.array(activity), width=width)


@pytest.mark.parametrize(
    "guessing",
    [
        {"ln K": math.log(65), "unigram": 3.31, "bigram": 2.45},
        {"ln K": 3.30, "unigram": 3.21, "bigram": 2.45, "trigram": 2.40},
        {"a": 3.0, "b": 3.01, "c": 3.02, "d": 3.03, "e": 3.03},
        {"a": 0.02, "b": 0.05, "c": 0.1},
        {"a": 4.9, "b": 5.0, "c": 5.1},
        {"a": 1.0},
        {},
    ],
    ids=str,
)
def test_labels_of_losses_do_not_overlap(guessing):
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    ax = figure.subplots()
    losses = [4.2, 2.0, 1.6]
    plot.loss_curves(ax, {"training": (range(3), losses)}, guessing)
    figure.draw_without_rendering()
    frame = ax.get_window_extent()
    labels = [text.get_window_extent() for text in ax.texts]
    assert len(labels) == len(guessing)
    assert not any(a.overlaps(b) for a, b in combinations(labels, 2))
    assert all(frame.y0 < label.y0 and label.y1 < frame.y1 for label in labels)
    bottom, top = ax.get_ylim()
    assert bottom == 0
    assert top > max([*losses, *guessing.values()])
    heights = [line.get_ydata()[0] for line in ax.lines[1:]]
    assert heights == sorted(guessing.values())


def test_a_label_stands_at_its_line_when_two_are_close():
    figure = Figure(figsize=(6, 3.5))
    ax = figure.subplots()
    plot.loss_curves(ax, {"training": ([0, 1], [4, 2])}, {"high": 3.30, "low": 3.21})
    figure.draw_without_rendering()
    low, high = (text.get_window_extent() for text in ax.texts)
    for label, edge, line in ((low, low.y1, ax.lines[1]), (high, high.y0, ax.lines[2])):
        (_, y) = ax.transData.transform((0, line.get_ydata()[0]))
        assert abs(edge - y) < 0.6 * label.height
    assert low.y1 < high.y0


def test_losses_in_bits_stand_on_the_right():
    figure = Figure()
    ax = figure.subplots()
    curves = {"each": (range(50), np.ones(50)), "mean": ([9], [2]), "validation": ([1, 49], [3, 1])}
    plot.loss_curves(ax, curves, pale=["each"])
    figure.draw_without_rendering()
    (bits,) = ax.child_axes
    assert bits.get_ylim() == pytest.approx([y / math.log(2) for y in ax.get_ylim()])
    each, mean, validation = ax.lines
    assert each.get_color() == mean.get_color() != validation.get_color()
    assert each.get_linewidth() < mean.get_linewidth() == validation.get_linewidth()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(curves)


@pytest.fixture
def installed(monkeypatch):
    """A function that makes Matplotlib list fonts of these names, and find no others."""
    from matplotlib import font_manager

    def install(*names):
        plot.fonts.cache_clear()
        monkeypatch.setattr(font_manager, "get_font_names", lambda: list(names))
        monkeypatch.setattr(font_manager, "findSystemFonts", list)

    yield install
    plot.fonts.cache_clear()


def test_fonts_are_those_installed_that_have_more_letters(installed):
    installed("DejaVu Sans Mono", "Malgun Gothic", "NanumGothicCoding")
    assert plot.fonts("monospace") == [
        "monospace",
        "NanumGothicCoding",
        "Malgun Gothic",
        "DejaVu Sans",
    ]
    installed("DejaVu Sans Mono")
    assert plot.fonts("sans-serif") == ["sans-serif", "DejaVu Sans"]


def test_font_that_was_installed_since_matplotlib_has_looked_is_found(installed, monkeypatch):
    from matplotlib import font_manager

    names = ["DejaVu Sans"]
    installed()
    monkeypatch.setattr(font_manager, "get_font_names", lambda: names)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["new/D2Coding.ttf"])
    monkeypatch.setattr(
        font_manager.fontManager, "addfont", lambda path: names.append("D2Coding"), raising=True
    )
    assert plot.fonts("monospace") == ["monospace", "D2Coding", "DejaVu Sans"]


def test_letters_are_drawn_in_these_fonts(monkeypatch):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    drawn = {}
    for font in ("DejaVu Sans Mono", "DejaVu Serif"):
        monkeypatch.setattr(plot, "fonts", lambda family, font=font: [font])
        ax = Figure().subplots()
        plot.text_by_unit(ax, "a", np.zeros(1))
        drawn[font] = ax.collections[0].get_paths()[0].codes
        assert np.array_equal(drawn[font], TextPath((0, 0), "a", prop=FontProperties(font)).codes)
    assert len({len(codes) for codes in drawn.values()}) == 2


def test_letters_that_no_font_has_are_warned_of():
    with pytest.warns(UserWarning, match="Glyph 1114109 missing from"):
        plot.text_by_unit(Figure().subplots(), "a 날\n\U0010fffd", np.zeros(5))


def test_cells_are_wide_enough_for_korean_letters():
    aspects = []
    for text in ("to be", "to 가!"):
        ax = Figure().subplots()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # where no font has them
            plot.text_by_unit(ax, text, np.zeros(5))
        aspects.append(ax.get_aspect())
        assert max(path.vertices[:, 0].max() for path in ax.collections[0].get_paths()) < 4.6
    assert aspects == pytest.approx([1.17 / 0.602, 1.17])
