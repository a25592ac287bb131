"""Loss or accuracy against the training epoch: single networks thin, their mean thick, flossing episodes marked."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from floss.figures.panels import Group, courses, mark_episodes
from floss.figures.style import house_style, legend_outside, look, outer_panels, panels, save
from floss.figures.tables import Runs

_MOST_PANELS = 6


def draw_learning_curves(runs: Runs, stem: Path) -> list[Path]:
    """One column of panels for each delay (the first six), one colour for each group; PNG and SVG."""
    delays = sorted(runs.summary["d"].unique())[:_MOST_PANELS]
    measures = ["accuracy", "loss"] if runs.judged_by_accuracy else ["loss"]
    with house_style():
        size = (1.5 + 3.6 * len(delays), 0.6 + 2.4 * len(measures))
        figure, axes = panels(len(measures), len(delays), size, sharex=True, sharey="row")
        named, lowest = outer_panels(axes)
        for column, d in enumerate(delays):
            for row, measure in enumerate(measures):
                _panel(axes[row, column], runs, d, measure)
            task = f"{runs.summary['task'].iloc[0]}, " if runs.summary["task"].nunique() == 1 else ""
            axes[0, column].set_title(f"{task}d = {d}", pad=6 + 5 * len(runs.groups))
        for panel in lowest:
            panel.set_xlabel("training epoch")
            panel.xaxis.set_major_locator(MaxNLocator(nbins=6 if len(named[0]) == 1 else 3, integer=True))
        for of_measure, measure in zip(named, measures, strict=True):
            for panel in of_measure:
                panel.set_ylabel(f"test {measure}")
        if any(runs.episodes.values()):
            axes[0, 0].plot([], [], "v", color="0.3", markersize=4, label="flossing episode")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if handles:
            legend_outside(figure, handles, labels, ncols=2 if len(delays) == 1 else 6)
        return save(figure, stem)


def _panel(axes: Axes, runs: Runs, d: int, measure: str) -> None:
    train = runs.metrics[(runs.metrics["phase"] == "train") & (runs.metrics["d"] == d)]
    groups = runs.groups
    for place, group in enumerate(groups):
        rows = train[train["group"] == group]
        if rows.empty:
            continue
        n = rows.loc[rows[measure].notna(), "network"].nunique()
        networks = Group(f"{group} (n = {n})", rows, *look(group, groups))
        courses(axes, networks, measure)
        starts = runs.episodes.get((d, group), ())
        if measure != "accuracy" and runs.judged_by_accuracy:
            continue  # marked once, in the upper panel
        mark_episodes(axes, starts, place, networks.colour)
    if measure == "accuracy":
        axes.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
        axes.set_ylim(0.4, 1.01)
    else:
        axes.set_yscale("log")
