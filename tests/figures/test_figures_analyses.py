"""Figures 1, 2, 6, 15, 16, Table 1 and Appendix D, from hand-made tables: what is drawn is what they say."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false

import functools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bench.test_scaling import scans, table
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.spread import curves
from floss.figures.style import house_style, save
from floss.papers.finding import Finding, Findings
from floss.papers.gradient_flossing import fig01, fig02, fig06, fig15, fig16, one_step, overlap, table1

INF, NAN = math.inf, math.nan


def finding(name: str = "run", **tables: pd.DataFrame) -> Finding:
    return Finding(name=name, scale="smoke", command="floss spectrum", tables=tables)


def identity(seed: int, k: float = NAN, target: float = NAN) -> dict[str, object]:
    return {
        "arch": "vanilla",
        "n": 4,
        "init": "gaussian",
        "g": 0.5 + seed,
        "seed": seed,
        "flossing": "before" if math.isnan(k) else "after",
        "k": k,
        "target": target,
    }


def flossing(courses: dict[tuple[float, float], list[list[float]]]) -> pd.DataFrame:
    """flossing.csv of λ₁[seed][epoch] for each (k, target)."""
    return pd.DataFrame(
        [
            identity(seed, k, target)
            | {"epoch": epoch, "lambda_1": value, "floss_loss": (value - target) ** 2, "lambda_k": value}
            for (k, target), networks in courses.items()
            for seed, course in enumerate(networks)
            for epoch, value in enumerate(course)
        ]
    )


def spectra(networks: dict[float, list[list[float]]]) -> pd.DataFrame:
    """spectrum.csv of λ_i[seed][i] for each k."""
    return pd.DataFrame(
        [
            identity(seed, k, NAN if math.isnan(k) else 0.0) | {"state": 0, "i": i, "lambda": value}
            for k, several in networks.items()
            for seed, own in enumerate(several)
            for i, value in enumerate(own, start=1)
        ]
    )


TARGETS = {(1, target): [[-1.0, target - 0.1], [-2.0, target - 0.3]] for target in (-1.0, -0.5, 0.0, 0.5)}
FASTER = {key: [[first, last + 0.05] for first, last in courses] for key, courses in TARGETS.items()}
NUMBERS = {(1, 0.0): [[-1.0, -0.1], [-3.0, -0.3]], (2, 0.0): [[-1.0, -0.5], [-2.0, -0.1]]}
SPECTRA = {NAN: [[-1.0, -2, -3, -4], [-2.0, -3, -4, -5]], 1: [[0.0, -2, -3, -4]] * 2, 2: [[0.0, -0.2, -3, -4]] * 2}


def first() -> dict[str, Finding]:
    return {
        "targets": finding(flossing=flossing(TARGETS)),
        "targets_faster": finding(flossing=flossing(FASTER)),
        "numbers": finding(flossing=flossing(NUMBERS), spectrum=spectra(SPECTRA)),
    }


def condition(slope: float = 1.0, ceiling: float = 20.0) -> pd.DataFrame:
    """condition.csv: log10 κ₂ = slope (m - 1) t / 10 for each of two networks, half of it after flossing."""
    rows = []
    for seed in (0, 1):
        for k, factor in ((NAN, 1.0), (15, 0.5), (40, 0.25)):
            for t, dims in ((10, (15, 80)), (20, (1, 15, 30, 80)), (40, (15, 80))):
                for m in dims:
                    value = slope * factor * (1 + seed) * (m - 1) * t / 100
                    for method, own in (("exact", value), ("theory", 0.9 * value), ("bits=256", min(value, ceiling))):
                        rows.append(
                            identity(seed, k, 0.0) | {"horizon": t, "m": m, "method": method, "log10_condition": own}
                        )
    return pd.DataFrame(rows)


def second(values: pd.DataFrame | None = None) -> dict[str, Finding]:
    """k = 15 in both runs, k = 40 in the one with few bits alone, which has one network and another scale."""
    values = condition() if values is None else values
    first = values[(values["method"] != "bits=256") & (values["k"] != 40)]
    other = values[values["seed"] == 0]
    again = (other["method"] != "bits=256") & (other["k"] != 40)
    other = other.assign(log10_condition=other["log10_condition"].where(~again, 9999))
    return {"condition": finding(condition=first), "saturating": finding(condition=other)}


def sixth() -> dict[str, Finding]:
    course = {(1, 0.0): [[-0.5, -0.2, 0.0], [-0.3, -0.1, 0.1]]}
    runs = {name: finding(name, flossing=flossing(course)) for name in ("lstm", "lstm_faster", "relu_centred")}
    silent = {(1, 0.0): [[-INF] * 3, [-0.5, -INF, -INF]]}
    unstable = {(1, 0.0): [[1.0, 0.5, 0.0], [1.2, NAN, 0.1]]}
    return runs | {
        "relu": finding("relu", flossing=flossing(silent)),
        "relu_unstable": finding("relu_unstable", flossing=flossing(unstable)),
    }


def fifteenth() -> dict[str, Finding]:
    tables = one_step.tables(one_step.OneStepJob(seed=15, maps=3, results=""))
    return {"step": finding(**{name: pd.DataFrame(rows, columns=columns) for name, (columns, rows) in tables.items()})}


def sixteenth() -> dict[str, Finding]:
    rows = [
        identity(0) | {"state": state, "step": step, "i": i, "lambda": -i + (state - 1) / step}
        for i in (1, 20)
        for state in (0, 1, 2)
        for step in (1, 2, 4)
    ]
    return {"convergence": finding(convergence=pd.DataFrame(rows))}


def seconds(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["flossing", "epochs", "seconds", "floss_seconds"])


SECONDS = seconds(("none", 1000, 12.0, 2.0), ("pre", 1000, 12.0, 2.0), ("during", 1000, 12.0, 2.0))


def cost() -> dict[str, Finding]:
    bench = table([*scans(loop="train"), *scans(loop="floss"), *scans(loop="train", engine="native")])
    return {"cost": finding(bench=bench), "share": Finding(name="share", scale="smoke", command="", summary=SECONDS)}


def trained(accuracies: dict[str, list[float]], overlaps: dict[str, list[float]], d: int) -> Finding:
    """Rows of metrics.csv every 20 epochs, of training and flossing."""
    text = ["d,seed,epoch,phase,accuracy,clv_overlap,network\n"]
    for seed, (key, values) in enumerate(accuracies.items()):
        own = zip(values, overlaps[key], strict=True)
        rows = [f"{d},{seed},{20 * e},train,{a:.9g},{o:.9g},{key}\n" for e, (a, o) in enumerate(own)]
        text.append(f"{d},{seed},0,floss,,,{key}\n" + "".join(rows).replace("nan", ""))
    return Finding(name="overlap", scale="smoke", command="", texts=tuple(text))


ACCURACIES = {"a": [0.5, 0.7, 0.8, 0.9], "b": [0.5, 0.5, 0.7, 0.8], "c": [0.5, 0.5, 0.5, 0.5]}
OVERLAPS = {"a": [0.1, 0.4, 0.3, 0.2], "b": [0.1, 0.2, 0.5, 0.2], "c": [NAN, 0.1, NAN, 0.1]}


def appendix() -> dict[str, Finding]:
    return {
        "flossed": trained(ACCURACIES, OVERLAPS, 70),
        "unflossed": trained(dict(list(ACCURACIES.items())[:2]), OVERLAPS, 20),
    }


ALL = {
    fig01: first,
    fig02: second,
    fig06: sixth,
    fig15: fifteenth,
    fig16: sixteenth,
    table1: cost,
    overlap: appendix,
}


def drawn(module, findings: Findings) -> Figure:
    """A figure whose artists were all drawn, without the layout, which takes most of the time."""
    figure = module.draw(findings)
    plt.close(figure)
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    return figure


@functools.cache
def usual(module) -> Figure:
    """The figure of the tables above."""
    return drawn(module, ALL[module]())


def panel(figure: Figure, letter: str) -> Axes:
    (found,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith(f"{letter}  "))
    return found


def lines(axes: Axes, *, thick: bool) -> list[list[float]]:
    """The values of the medians (thick), or of the single networks (thin)."""
    chosen = [line for line in axes.lines if (line.get_linewidth() == 1.8) == thick and line.get_zorder() > 0]
    return [list(np.asarray(line.get_ydata(), dtype=float)) for line in chosen]


def written(figure: Figure) -> str:
    """All texts outside of ticks, and those of the legends."""
    legends = [axes.get_legend() for axes in figure.axes] + figure.legends
    legends += [legend for part in figure.subfigs for legend in part.legends]
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]
    texts += [text for legend in legends if legend for text in (*legend.get_texts(), legend.get_title())]
    return "\n".join(text.get_text() for text in texts)


@pytest.mark.parametrize("module", ALL, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_figure_is_the_same_when_drawn_again(module, tmp_path):
    def pictures(name: str) -> list[bytes]:
        with house_style():
            paths = save(module.draw(ALL[module]()), tmp_path / name)
        return [Path(path).read_bytes() for path in paths]

    png, svg = pictures("once")
    assert png.startswith(b"\x89PNG\r\n")
    assert svg.rstrip().endswith(b"</svg>")
    assert pictures("again") == [png, svg]
    assert not plt.get_fignums()


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
    findings["numbers"] = finding(
        flossing=flossing(numbers), spectrum=spectra({NAN: [[-INF] * 3], 1: [[0.0, -1, -INF]]})
    )
    figure = drawn(fig01, findings)
    assert "target 0 (n = 2, 1 not finite)" in written(figure)
    assert panel(figure, "C").get_yscale() == "linear"
    nothing = finding(flossing=flossing(TARGETS).iloc[:0], spectrum=spectra(SPECTRA).iloc[:0])
    drawn(fig01, {"targets": nothing, "targets_faster": nothing, "numbers": nothing})


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
    assert list(diagonal.get_ydata()) == pytest.approx([0, 63.2])
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
    assert lines(lstm, thick=True) == [pytest.approx([-0.4, -0.15, 0.05])] * 2
    assert lines(lstm, thick=False) == [pytest.approx([-0.5, -0.2, 0.0]), pytest.approx([-0.3, -0.1, 0.1])] * 2
    assert lines(squares, thick=True)[0] == pytest.approx([0.17, 0.025, 0.01])  # a zero is passed over
    assert squares.get_yscale() == "log"
    unstable, _, silent = lines(relu, thick=True)
    assert unstable == pytest.approx([1.1, 0.5, 0.05])
    assert silent == pytest.approx([-0.5, NAN, NAN], nan_ok=True)
    (text,) = relu.texts
    assert text.get_text().splitlines()[0] == "mean of W −0.1, as the paper:"
    assert "λ₁ = −∞ in 2 of 2 networks from epoch 0 on, or later" in text.get_text()
    assert not lstm.texts
    assert "mean of W −0.1, as the paper (n = 2, 1 not finite)" in written(figure)


def test_fig06_says_that_nothing_ever_responds():
    findings = sixth() | {"relu": finding("relu", flossing=flossing({(1, 0.0): [[-INF] * 3] * 2}))}
    assert "λ₁ = −∞ in 2 of 2 networks from the first epoch on" in written(drawn(fig06, findings))
    findings = sixth() | {"relu": findings["lstm"]}
    assert not panel(drawn(fig06, findings), "C").texts


# --- Fig. 15 --------------------------------------------------------------------------------------------------------


def test_areas_are_those_of_the_parallelogram_and_of_the_rectangle():
    # Base 3 and height 2; R = [[3, 1], [0, 2]] whichever way the vectors point.
    for turn in (0.0, 0.3, 2.0, 4.0):
        q = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        assert one_step.areas(q @ np.array([[3.0, 1.0], [0.0, 2.0]])) == pytest.approx((6.0, 6.0), rel=1e-14)
    assert one_step.areas(np.array([[1.0, 0.0], [0.0, -2.0], [2.0, 1.0]])) == pytest.approx((math.sqrt(21),) * 2)
    assert one_step.areas(np.array([[1.0, 2.0], [2.0, 4.0]])) == pytest.approx((0.0, 0.0), abs=1e-7)


def test_fig15_draws_shapes_of_the_areas_that_it_writes():
    figure = usual(fig15)

    def area(corners: np.ndarray) -> float:
        x, y = corners[:4].T
        return abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2

    shapes = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "Polygon" and not patch.get_hatch()]
    areas = {round(area(np.asarray(patch.get_xy())), 6) for patch in shapes}
    determinant = round(float(np.linalg.det(one_step.JACOBIAN)), 6)
    assert areas == {1.0, determinant}  # the square, the parallelogram and the rectangle
    assert written(figure).count(f"area {determinant:.2f}") == 2
    for name in ("R_{11}", "R_{12}", "R_{22}", "q_{s+1}^1", "q_{s+1}^2"):
        assert name in written(figure)


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


# --- Table 1 --------------------------------------------------------------------------------------------------------


def test_flossing_share():
    def share(summary: pd.DataFrame, number: int = 2) -> float:
        return table1.flossing_share(table1.costs(summary), number)

    # Six seconds in 0 + 1 + 2 episodes: f = 2; t = 10; during has two episodes: 4 / 14.
    assert share(SECONDS) == pytest.approx(4 / 14)
    assert share(SECONDS, 1) == pytest.approx(2 / 12)
    # Ensembles of different delays: f = (1 + 3 + 3) / (0 + 1 + 2), t = (10 + 12 + 14) / 3.
    uneven = seconds(("none", 10000, 11.0, 1.0), ("pre", 10000, 15.0, 3.0), ("during", 10000, 17.0, 3.0))
    assert share(uneven) == pytest.approx((14 / 3) / (14 / 3 + 12))
    # A network that diverged before the second episode, and one of which no time is known.
    partly = seconds(("during", 1000, 12.0, 2.0), ("during", 300, 12.0, 2.0), ("pre", 1000, NAN, NAN))
    assert share(partly) == pytest.approx((8 / 3) / (8 / 3 + 10))
    assert math.isnan(share(seconds(("none", 1000, 12.0, 0.0))))


def test_table1_shows_measured_and_expected_exponents():
    figure = usual(table1)
    axes = panel(figure, "A")
    names = [label.get_text() for label in axes.get_yticklabels()]
    loops = {
        "training": ["units $N$", "steps $T$", "batch $B$"],
        "flossing": ["units $N$", "steps $T$", "exponents $k$"],
    }
    # `scans` varies all sizes in both loops, even those that a loop does not know.
    assert set(names) >= {f"{loop}: {size}" for loop, sizes in loops.items() for size in sizes}
    diamonds = {
        names[round(float(line.get_ydata()[0]))]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"
    }
    assert diamonds["training: units $N$"] == pytest.approx(2)
    assert diamonds["flossing: steps $T$"] == pytest.approx(1)
    assert 1 < diamonds["flossing: units $N$"] < 2
    circles = {
        names[round(float(line.get_ydata()[0]))]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"
    }
    assert circles["training: units $N$"] == pytest.approx(1.7)
    assert circles["flossing: exponents $k$"] == pytest.approx(0.4)
    assert "1.70 ± 0.00" in written(figure)
    assert {"torch", "native", "expected"} <= set(written(figure).splitlines())


def test_table1_shows_the_shares_beside_the_papers():
    axes = panel(usual(table1), "B")
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2 / 12, 4 / 14])
    assert [line.get_xdata()[0] for line in axes.lines] == [pytest.approx(37 / 1717)]
    assert [text.get_text().strip() for text in axes.texts] == ["16.7 %", "28.6 %", "paper: 2.2 %, one episode"]
    unflossed = seconds(("none", 1000, 12.0, 0.0))
    findings = cost() | {"share": Finding(name="share", scale="smoke", command="", summary=unflossed)}
    assert "nothing was flossed" in written(drawn(table1, findings))
    findings["cost"] = finding(bench=findings["cost"].tables["bench"].iloc[:1])  # nothing varies
    drawn(table1, findings)


# --- Appendix D -----------------------------------------------------------------------------------------------------


def metrics(**accuracies: list[float]) -> pd.DataFrame:
    rows = [(name, 20 * e, a) for name, values in accuracies.items() for e, a in enumerate(values)]
    return pd.DataFrame(rows, columns=["network", "epoch", "accuracy"])


def test_leaves_chance_is_the_first_epoch_from_which_accuracy_stays_above():
    training = metrics(
        at_once=[0.7, 0.8, 0.9],
        later=[0.5, 0.5, 0.61, 0.9],
        again=[0.7, 0.5, 0.9, 0.7],  # a first success that does not last
        never=[0.5, 0.5, 0.5],
        lost=[0.5, 0.9, 0.5],
        edge=[0.5, 0.6, 0.6],  # not above
        unknown=[0.5, 0.9, NAN, 0.9],
        diverged=[0.9, 0.9, NAN],
    )
    expected = {"at_once": 0, "later": 40, "again": 40, "unknown": 60}
    for rows in (training, training[::-1], training.sample(frac=1, random_state=1)):
        left = leaves_chance(rows)
        assert left.dropna().to_dict() == expected
        assert set(left.index) == set(training["network"])
    assert leaves_chance(training, threshold=0.5).to_dict()["edge"] == 20
    assert leaves_chance(training[training["epoch"] < 0]).empty


def test_overlap_shows_every_network_and_where_it_leaves_chance():
    figure = usual(overlap)
    flossed, unflossed = panel(figure, "A"), panel(figure, "B")
    (marks,) = (line for line in flossed.lines if line.get_color() == "black")
    assert sorted(zip(marks.get_xdata(), marks.get_ydata(), strict=True)) == [(20, 0.4), (40, 0.5)]
    assert lines(flossed, thick=False)[:3][0] == OVERLAPS["a"]
    assert lines(flossed, thick=True) == [pytest.approx([0.1, 0.2, 0.4, 0.2])]
    assert lines(unflossed, thick=True) == [pytest.approx([0.1, 0.3, 0.4, 0.2])]
    assert "flossed, d = 70 (n = 3, of which 2 leave chance)" in written(figure)


def test_overlap_aligns_networks_to_the_epoch_at_which_they_leave_chance():
    axes = panel(usual(overlap), "C")
    median = next(line for line in axes.lines if line.get_linewidth() == 1.8)
    assert list(median.get_xdata()) == [-40, -20, 0, 20, 40]
    assert list(median.get_ydata()) == pytest.approx([0.1, 0.15, 0.45, 0.25, 0.2])


def test_overlap_where_half_of_the_networks_or_fewer_have_a_value():
    training = trained(ACCURACIES | {"d": [0.9, 0.9, 0.9, 0.9]}, OVERLAPS | {"d": [0.2] * 4}, 70).training
    table = overlap.since_departure(training, "clv_overlap", leaves_chance(training))
    # a: -20 ... 40, b: -40 ... 20, d: 0 ... 60, c never.
    assert list(table.columns) == ["a", "b", "d"]
    assert list(table.index) == [-20, 0, 20, 40]
    assert list(overlap.since_departure(training, "accuracy", leaves_chance(training), around=20).index) == [-20, 0, 20]


def test_overlap_where_no_network_leaves_chance_or_no_overlap_is_finite():
    chance = {name: [0.5] * 4 for name in "ab"}
    figure = drawn(
        overlap, dict.fromkeys(("flossed", "unflossed"), trained(chance, {name: [NAN] * 4 for name in "ab"}, 70))
    )
    assert "flossed, d = 70 (n = 2, of which 0 leave chance)" in written(figure)


def test_curves_keep_the_columns_of_networks_without_a_finite_value():
    rows = pd.DataFrame({"network": ["a", "a", "b", "b"], "epoch": [0, 1, 0, 1], "x": [1.0, -INF, NAN, INF]})
    table = curves(rows, "epoch", "x")
    assert list(table.columns) == ["a", "b"]
    assert table.to_numpy() == pytest.approx(np.array([[1.0, NAN], [NAN, NAN]]), nan_ok=True)
    assert rows["x"].tolist()[1] == -INF
