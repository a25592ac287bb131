"""How cost grows, from hand-made bench.csv files: fitted exponents, and their picture."""

import itertools
import math
from pathlib import Path

import pandas as pd
import pytest
from command import inside
from figures.pictures import drawn_twice, texts
from grids import covered
from made_up_bench import BASE, POWERS, SCANS, bench_csv, row, scans, table

from floss.figures import draw
from floss.figures.growth import cost, growth

PICTURE = ["scaling.png", "scaling.svg"]


def write(folder, rows: list[list]):
    (folder / "bench.csv").write_text(bench_csv(rows))
    return folder


@pytest.mark.parametrize("loop", ["train", "floss", "spectrum"])
def test_fits_recover_the_exponents(loop):
    fits = growth(table(scans(loop=loop) + scans(loop=loop, engine="native", factor=0.1)))
    assert [(fit.engine, fit.size) for fit in fits] == [
        (engine, size) for size in ("n", "t", "k", "batch", "networks") for engine in ("torch", "native")
    ]
    for fit in fits:
        assert fit.exponent == pytest.approx(POWERS[fit.size], abs=1e-7)
        assert fit.error < 1e-7
        assert fit.loop == loop
        assert fit.values == tuple(sorted({*SCANS[fit.size], BASE[fit.size]}))
        assert fit.fixed == {name: value for name, value in BASE.items() if name != fit.size}
        assert fit.ms == tuple(sorted(fit.ms, reverse=fit.exponent < 0))


def test_the_order_of_the_rows_does_not_matter():
    rows = scans()
    assert {f.size: f for f in growth(table(rows))} == {f.size: f for f in growth(table(rows[::-1]))}


def test_the_error_says_how_far_the_cost_is_from_a_power_law():
    """Residuals ±1, ∓2, ±1 of log ms over equally spaced log n: variance 6 e² / (3 - 2) over Σu² = 2 log² 2."""
    rows = [row(n=n, factor=math.exp(0.01 * e)) for n, e in ((20, 1), (40, -2), (80, 1))]
    (fit,) = growth(table(rows))
    assert fit.exponent == pytest.approx(POWERS["n"], abs=1e-6)
    assert fit.error == pytest.approx(0.01 * math.sqrt(3) / math.log(2), rel=1e-5)


def test_rows_of_gated_cells_are_left_out_and_old_files_have_no_column_of_them():
    new = table(scans())
    other = new.assign(arch="lstm", ms_per_network_epoch=7.0)
    pairs = zip(growth(new), growth(pd.concat((new, other))), growth(new.drop(columns="arch")), strict=True)
    assert all(a == b == c for a, b, c in pairs)


def test_two_values_are_not_fitted():
    assert growth(table([row(n=32), row(n=64), row(k=8)])) == []


def test_rows_that_differ_in_two_sizes_are_not_fitted_together():
    assert growth(table([row(n=n, k=n) for n in (16, 32, 64)])) == []
    assert growth(table([row(engine=engine, n=n) for engine, n in zip("abc", (16, 32, 64), strict=True)])) == []
    assert growth(table([row(loop=loop, n=n) for loop, n in (("train", 16), ("floss", 32), ("train", 64))])) == []


def test_the_longest_of_several_families_is_fitted():
    rows = [row(n=n, t=55) for n in (16, 32, 64)] + [row(n=n, t=75) for n in (16, 32, 64, 128)]
    (fit,) = growth(table(rows))
    assert (fit.fixed["t"], fit.values) == (75, (16, 32, 64, 128))


def test_orders_of_table_1():
    assert cost("train", **BASE) == 300 * 80**2 * 16
    assert cost("floss", **BASE) == 300 * (80**2 * 75 + 80 * 75**2)
    fits = {(fit.loop, fit.size): fit.orders for fit in growth(table(scans() + scans(loop="floss")))}
    train = {"n": 2, "k": 0, "t": 1, "batch": 1, "networks": 0}
    assert {size: fits["train", size] for size in train} == pytest.approx(train, abs=1e-9)
    assert [fits["floss", size] for size in ("t", "batch", "networks")] == pytest.approx([1, 0, 0], abs=1e-9)
    assert 1 < fits["floss", "n"] < 2
    assert 1 < fits["floss", "k"] < 2


def by_units(**same) -> list[list]:
    """One size of one loop: a single panel, and the fewest rows of one."""
    return [row(**same, n=n) for n in (16, 32, 64)]


def everything() -> list[list]:
    """As of a whole run: two engines with scans, two peers, two loops, and spectra."""
    rows = []
    for loop in ("train", "floss"):
        rows += [row("torch-single", loop, networks=1, factor=2.0)]
        rows += [row("jax", loop, networks=networks, factor=0.7) for networks in (1, 8, 32)]
        rows += scans(engine="torch", loop=loop) + scans(engine="native", loop=loop, factor=0.1)
    return rows + [row("floss", "spectrum", n=n) for n in (16, 32, 64)]


TABLES = {
    "engines that are equally fast": by_units() + by_units(engine="native"),
    "without spread": by_units(spread=0.0),
    "a spread that is larger than the median": by_units(spread=30.0),
    "one size of one loop": by_units(),
    "only ensemble sizes": [row(loop=loop, networks=r) for loop in ("train", "floss") for r in (1, 8, 32)],
    "an unknown engine": [row(engine="new", networks=r) for r in (1, 8, 32)],
    "spectra": [row(engine, "spectrum", n=n) for engine in ("clvlib", "floss") for n in (16, 32, 64)],
    "many values": [row(t=t) for t in range(20, 100)],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder of a whole run, and the names of its pictures, drawn twice."""
    folder = write(tmp_path_factory.mktemp("whole"), everything())
    return folder, drawn_twice(folder)


@pytest.mark.parametrize("name", covered(TABLES, ["many values", "without spread"]))
def test_the_picture_is_the_same_when_drawn_twice(tmp_path, name):
    assert drawn_twice(write(tmp_path, TABLES[name])) == PICTURE


def test_the_picture_of_a_whole_run_is_the_same_when_drawn_twice(whole):
    assert whole[1] == PICTURE


def test_other_numbers_give_another_picture(tmp_path):
    one, other = (draw(write(tmp_path, by_units(factor=factor)))[0].read_bytes() for factor in (1.0, 2.0))
    assert one != other


def test_the_picture_names_engines_sizes_and_exponents(whole):
    said = texts(whole[0] / "scaling.svg")
    for text in (
        *("torch", "native", "jax", "torch-single", "orders of Table 1"),
        *("units N (Table 1: $N^{2.00}$)", "steps T_f (Table 1: $T_f^{1.00}$)", "networks R"),
        *("$N^{1.70}$", "$k^{0.40}$", "$T^{1.00}$", "$B^{0.75}$", "$R^{-0.25}$"),
        *("T = 300, B = 16, R = 8", "T_f = 300, k = 75, R = 8"),
        *("training: ms per network and epoch", "flossing: ms per network and epoch"),
    ):
        assert f"<!-- {text} -->" in said, text


def test_nothing_is_drawn_where_nothing_varies(tmp_path):
    assert draw(write(tmp_path, [row(), row("torch-single", networks=1)])) == []
    assert [path.name for path in tmp_path.iterdir()] == ["bench.csv"]


@pytest.mark.usefixtures("kinds")
def test_figures_finds_measurements(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "results" / name).mkdir(parents=True)
    write(tmp_path / "results" / "a", by_units())
    write(tmp_path / "results" / "b", [])
    done = inside(tmp_path, "figures")
    assert done.stdout.splitlines() == [f"results/a/{name}" for name in PICTURE]
    assert (done.returncode, done.stderr) == (
        1,
        "floss figures: results/b: cannot be drawn: bench.csv has no rows\n",
    )


@pytest.mark.parametrize("column", ["ms_per_network_epoch", "networks", "spread"])
def test_a_table_without_a_column_is_named(tmp_path, column):
    table(scans()).drop(columns=column).to_csv(tmp_path / "bench.csv", index=False)
    done = inside(tmp_path, "figures", "results=.")
    assert done.stderr.startswith("floss figures: .: cannot be drawn: ")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.usefixtures("kinds")
def test_every_combination_of_engines_keeps_its_colours(tmp_path):
    """An engine looks the same whatever is beside it."""
    colours = {}
    for engines in itertools.combinations(("torch", "native", "jax"), 2):
        draw(write(tmp_path, [line for engine in engines for line in by_units(engine=engine)]))
        svg = (tmp_path / "scaling.svg").read_text().lower()
        found = frozenset(colour for colour in ("#0072b2", "#d55e00", "#009e73") if colour in svg)
        colours[engines] = found
    blue, red, green = "#0072b2", "#d55e00", "#009e73"
    assert colours == {
        ("torch", "native"): {blue, red},
        ("torch", "jax"): {blue, green},
        ("native", "jax"): {red, green},
    }
