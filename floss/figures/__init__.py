"""Figures, drawn from saved CSV files alone; one file for each kind."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import floss.figures.agg  # noqa: F401  # before matplotlib, which whatever draws imports next

DRAWN = ("summary.csv", "spectrum.csv", "condition.csv", "bench.csv")
"""The tables by which a folder with something to draw is known."""


def draw(folder: Path) -> list[Path]:
    """Draw what the folder of a run, a sweep or an analysis can show, and return the files written.

    Of runs the learning curves, and accuracy against delay where there are several delays; of an analysis the course of
    its flossing, and then the spectra and their convergence, or the condition numbers; of `floss bench` how cost grows.
    """
    if not (folder / "summary.csv").exists():
        return _draw_analysis(folder)
    from floss.figures.accuracy_vs_delay import draw_accuracy_vs_delay
    from floss.figures.learning_curves import draw_learning_curves
    from floss.figures.tables import read_runs

    runs = read_runs(folder)
    paths = []
    if runs.summary["d"].nunique() > 1 and runs.summary["final_loss"].notna().any():
        paths += draw_accuracy_vs_delay(runs, folder / "accuracy_vs_delay")
    return paths + draw_learning_curves(runs, folder / "learning_curves")


def _draw_analysis(folder: Path) -> list[Path]:
    import pandas as pd

    from floss.figures.condition import draw_condition
    from floss.figures.flossing import draw_flossing
    from floss.figures.scaling import draw_scaling
    from floss.figures.spectrum import draw_convergence, draw_spectrum
    from floss.runtime.files import AS_TEXT

    tables = {path.stem: pd.read_csv(path, dtype=AS_TEXT) for path in sorted(folder.glob("*.csv"))}
    for name in ("spectrum", "condition", "bench"):
        if name in tables and tables[name].empty:
            raise ValueError(f"{name}.csv has no rows")
    paths = []
    if "flossing" in tables and not tables["flossing"].empty:
        paths += draw_flossing(tables["flossing"], folder / "flossing")
    if "spectrum" in tables:
        if not tables["convergence"].empty:
            paths += draw_convergence(tables["convergence"], folder / "convergence")
        paths += draw_spectrum(tables["spectrum"], folder / "spectrum")
    if "condition" in tables:
        paths += draw_condition(tables["condition"], folder / "condition")
    if "bench" in tables:
        paths += draw_scaling(tables["bench"], folder / "scaling")
    return paths
