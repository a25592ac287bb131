"""Figures, drawn from saved CSV files alone; one file for each kind."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path


def draw(folder: Path) -> list[Path]:
    """Draw what the folder of a run or a sweep can show, and return the files written.

    Always the learning curves; accuracy against delay where there are several delays.
    """
    from floss.figures.accuracy_vs_delay import draw_accuracy_vs_delay
    from floss.figures.learning_curves import draw_learning_curves
    from floss.figures.tables import read_runs

    runs = read_runs(folder)
    paths = []
    if runs.summary["d"].nunique() > 1 and runs.summary["final_loss"].notna().any():
        paths += draw_accuracy_vs_delay(runs, folder / "accuracy_vs_delay")
    return paths + draw_learning_curves(runs, folder / "learning_curves")
