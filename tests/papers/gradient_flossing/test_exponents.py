"""Figures 1, 2, 6 and 16, from hand-made tables: what is drawn is what they say."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import numpy as np
import pytest
from papers.gradient_flossing.made_up_findings import (
    INF,
    NAN,
    SPECTRA,
    TARGETS,
    condition,
    drawn,
    finding,
    first,
    flossing,
    lines,
    panel,
    second,
    sixteenth,
    sixth,
    spectra,
    usual,
    written,
)

from floss.papers.gradient_flossing import fig01, fig02, fig06, fig16

# --- Fig. 1 ---------------------------------------------------------------------------------------------------------


def test_fig01_shows_the_course_of_every_network_and_its_target():
    figure = usual(fig01)
    axes = panel(figure, "B")
    assert lines(axes, thick=True) == [pytest.approx([-1.5, target - 0.2]) for target in (-1.0, -0.5, 0.0, 0.5)]
    single = [line for line in lines(axes, thick=False) if line[0] != line[1]]
    assert single == [
        pytest.approx([start, t - off]) for t in (-1.0, -0.5, 0, 0.5) for start, off in ((-1, 0.1), (-2, 0.3))
    ]
    levels = {line.get_ydata()[0]: line.get_linestyle() for line in axes.lines if line.get_zorder() == 0}
    assert levels == {-1.0: "--", -0.5: "--", 0.0: "--", 0.5: ":"}
    faster = lines(panel(figure, "B′"), thick=True)
    assert faster == [pytest.approx([-1.5, target - 0.15]) for target in (-1.0, -0.5, 0.0, 0.5)]
    assert {text.get_text() for text in axes.texts} == {"target −1", "target −0.5", "target 0", "target 0.5: positive"}


def test_fig01_shows_medians_and_quartiles_of_the_squares():
    axes = panel(usual(fig01), "C")
    assert axes.get_yscale() == "log"
    assert lines(axes, thick=True) == [pytest.approx([5.0, 0.05]), pytest.approx([2.5, 0.13])]
    band = axes.collections[0].get_paths()[0].vertices
    at_0 = sorted({round(y, 9) for x, y in band if x == 0})
    assert at_0 == pytest.approx([3.0, 7.0])  # of 1 and 9


def test_fig01_shows_spectra_and_marks_the_last_flossed_exponent():
    figure = usual(fig01)
    axes = panel(figure, "D")
    assert lines(axes, thick=True) == [[-1.5, -2.5, -3.5, -4.5], [0, -2, -3, -4], [0, -0.2, -3, -4]]
    marks = [
        (*line.get_xdata(), *line.get_ydata()) for line in axes.lines if line.get_marker() not in ("None", "", None)
    ]
    assert marks == [(1, 0), (2, -0.2)]
    legend = axes.get_legend()
    assert legend is not None
    names = ["before flossing (n = 2)", "flossed, k = 1 (n = 2)", "flossed, k = 2 (n = 2)"]
    assert [text.get_text() for text in legend.get_texts()] == names


def test_fig01_of_exponents_that_are_not_finite_or_zero():
    findings = first()
    lost = {(1, t): [[-INF, NAN], [0.0, 0.0]] for t in (-0.5, 0.0)}
    findings["targets"] = finding(flossing=flossing(lost))
    numbers = {(1, 0.0): [[0.0, 0.0], [NAN, 0.0]]}
    findings["numbers"] = findings["numbers_longer"] = finding(
        flossing=flossing(numbers), spectrum=spectra({NAN: [[-INF] * 3], 1: [[0.0, -1, -INF]]})
    )
    figure = drawn(fig01, findings)
    assert "target 0 (n = 2, 1 not finite)" in written(figure)
    assert panel(figure, "C").get_yscale() == "linear"
    nothing = finding(flossing=flossing(TARGETS).iloc[:0], spectrum=spectra(SPECTRA).iloc[:0])
    drawn(fig01, {"targets": nothing, "targets_faster": nothing, "numbers": nothing, "numbers_longer": nothing})


# --- Fig. 2 ---------------------------------------------------------------------------------------------------------


def test_fig02_against_time_shows_what_was_computed_and_predicted():
    figure = usual(fig02)
    axes = panel(figure, "A")
    assert axes.get_title(loc="left") == "A  15 tangent dimensions"
    assert lines(axes, thick=True) == [pytest.approx([2.1, 4.2, 8.4]), pytest.approx([1.05, 2.1, 4.2])]
    dashed = [list(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == [pytest.approx([1.89, 3.78, 7.56]), pytest.approx([0.945, 1.89, 3.78])]
    dotted = [list(line.get_ydata()) for line in axes.lines if line.get_linestyle() == ":"]
    assert dotted == [pytest.approx([1.4, 2.8, 5.6]), pytest.approx([0.7, 1.4, 2.8])]  # of the first network alone


def test_fig02_says_where_few_bits_saturate():
    figure = usual(fig02)
    (axes,) = (axes for axes in figure.axes if "all 80" in axes.get_title(loc="left"))
    assert [text.get_text() for text in axes.texts] == ["256 bits per float saturate near $10^{20}$"]
    assert not panel(figure, "A").texts
    assert "256" in written(figure)
    findings = second()
    findings["saturating"] = finding(condition=findings["saturating"].tables["condition"].query("method == 'exact'"))
    assert "256" not in written(drawn(fig02, findings))


def test_fig02_against_dimensions_and_prediction():
    figure = usual(fig02)
    dots = [line for line in panel(figure, "B").lines if line.get_linestyle() == "None"]
    assert [list(line.get_xdata()) for line in dots] == [[1, 15, 30, 80]] * 4
    assert list(dots[1].get_ydata()) == pytest.approx([0, 5.6, 11.6, 31.6])
    # Medians before: 0, 4.2, 8.7, ...; after: 0, 2.1, 4.35, ...
    assert "κ₂ ≤ $10^5$ (grey line): m = 15 before, 30 after" in written(figure)
    *clouds, diagonal = panel(figure, "C").lines
    assert [len(line.get_xdata()) for line in clouds] == [14, 14, 7]  # of two networks or one; m = 1 is left out
    for line in clouds:
        assert list(line.get_xdata()) == pytest.approx(list(0.9 * np.asarray(line.get_ydata())))
    assert list(diagonal.get_ydata()) == pytest.approx([0.1, 63.2])
    assert "flossed, k = 40 (n = 1)" in written(figure)


def test_fig02_of_condition_numbers_that_are_not_finite():
    values = condition()
    values.loc[values["seed"] == 1, "log10_condition"] = INF
    assert "before flossing (n = 2, 1 not finite)" in written(drawn(fig02, second(values)))
    drawn(fig02, second(values.assign(log10_condition=NAN)))


# --- Fig. 6 ---------------------------------------------------------------------------------------------------------


def test_fig06_shows_both_architectures_and_says_where_no_unit_responds():
    figure = usual(fig06)
    lstm, squares, relu = (panel(figure, letter) for letter in "ABC")
    assert lines(lstm, thick=True) == [pytest.approx([-0.4, -0.15, 0.05])] * 3
    assert lines(lstm, thick=False) == [pytest.approx([-0.5, -0.2, 0.0]), pytest.approx([-0.3, -0.1, 0.1])] * 3
    assert lines(squares, thick=True)[0] == pytest.approx([0.17, 0.025, 0.01])  # a zero is passed over
    assert squares.get_yscale() == "log"
    *_, silent, unstable = lines(relu, thick=True)
    assert unstable == pytest.approx([1.1, 0.5, 0.05])
    assert silent == pytest.approx([-0.5, NAN, NAN], nan_ok=True)
    assert not [*lstm.texts, *relu.texts]  # nothing lies over the curves
    assert "mean of W −0.1, as the text (λ₁ = −∞ in 2 of 2 from epoch 0 on, or later)" in written(figure)
    assert written(figure).count("no unit responds") == 1


def test_fig06_says_that_nothing_ever_responds():
    findings = sixth() | {"relu": finding("relu", flossing=flossing({(1, 0.0): [[-INF] * 3] * 2}))}
    assert "mean of W −0.1, as the text (λ₁ = −∞ in 2 of 2 from the first epoch on)" in written(drawn(fig06, findings))
    findings = sixth() | {"relu": findings["lstm"]}
    assert "no unit responds" not in written(drawn(fig06, findings))


# --- Fig. 16 --------------------------------------------------------------------------------------------------------


def test_fig16_shows_running_estimates_and_their_differences():
    figure = usual(fig16)
    left, right = panel(figure, "A"), panel(figure, "B")
    assert left.get_title(loc="left") == "A  One network, 3 initial states"
    assert lines(left, thick=True) == [[-1, -1, -1], [-20, -20, -20]]
    assert lines(left, thick=False)[:3] == [[-2, -1.5, -1.25], [-1, -1, -1], [0, -0.5, -0.75]]
    assert [list(line.get_ydata()) for line in right.lines] == [pytest.approx([2, 1, 0.5])] * 2
    assert right.get_yscale() == "log"


def test_fig16_of_one_state_or_none_that_is_finite():
    course = sixteenth()["convergence"].tables["convergence"]
    assert (
        panel(drawn(fig16, {"convergence": finding(convergence=course[course["state"] == 0])}), "B").get_yscale()
        == "linear"
    )
    drawn(fig16, {"convergence": finding(convergence=course.assign(**{"lambda": -INF}))})
