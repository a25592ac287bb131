"""Final accuracy (or loss) against the delay: mean, 20th to 80th percentile, and every network as a dot (Figs 3-5)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

from floss.figures.panels import Group, against, count
from floss.figures.style import house_style, legend_inside, look, panels, save
from floss.figures.tables import Runs


def draw_accuracy_vs_delay(runs: Runs, stem: Path) -> list[Path]:
    """One line for each group; needs networks of at least two delays. PNG and SVG."""
    measure = "final_accuracy" if runs.judged_by_accuracy else "final_loss"
    summary, names = runs.summary.dropna(subset=[measure]), runs.groups
    groups = []
    for name in names:
        rows = summary[summary["group"] == name]
        groups.append(Group(f"{name} ({count(rows, 'd', measure)})", rows, *look(name, names)))
    with house_style():
        figure, ((axes,),) = panels(1, 1, (5.2, 3.6))
        against(axes, groups, "d", measure)
        axes.set_xlabel("delay d (steps)")
        axes.set_title(f"{summary['task'].iloc[0]}: mean, 20th-80th percentile, single networks")
        if measure == "final_accuracy":
            axes.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
            axes.set_ylim(0.4, 1.02)
            axes.set_ylabel("final test accuracy")
        else:
            axes.set_yscale("log")
            axes.set_ylabel("final test loss")
        axes.set_xticks(sorted(summary["d"].unique()))
        legend_inside(axes)
        return save(figure, stem)
