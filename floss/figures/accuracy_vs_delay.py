"""Final accuracy (or loss) against the delay: mean, 20th to 80th percentile, and every network as a dot (Figs 3-5)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from floss.figures.style import house_style, look, save
from floss.figures.tables import Runs


def draw_accuracy_vs_delay(runs: Runs, stem: Path) -> list[Path]:
    """One line for each group; needs networks of at least two delays. PNG and SVG."""
    measure = "final_accuracy" if runs.judged_by_accuracy else "final_loss"
    summary, groups = runs.summary.dropna(subset=[measure]), runs.groups
    delays = np.array(sorted(summary["d"].unique()))
    gap = min(np.diff(delays).min(), np.ptp(delays) / 8) if len(delays) > 1 else 1
    with house_style():
        figure, axes = plt.subplots(figsize=(5.2, 3.6))
        for place, group in enumerate(groups):
            rows = summary[summary["group"] == group]
            if rows.empty:
                continue
            colour, marker, dashes = look(group, groups)
            by_delay = rows.groupby("d")[measure]
            mean, low, high = by_delay.mean(), by_delay.quantile(0.2), by_delay.quantile(0.8)
            shift = 0.16 * gap * (place - (len(groups) - 1) / 2)
            axes.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(rows["d"] + shift, rows[measure], ".", color=colour, markersize=4, alpha=0.6)
            count = f"n = {by_delay.count().min()}" + (
                f"-{by_delay.count().max()}" if by_delay.count().nunique() > 1 else ""
            )
            axes.plot(
                mean.index,
                mean,
                color=colour,
                marker=marker,
                linestyle=dashes,
                markersize=5,
                label=f"{group} ({count})",
            )
        axes.set_xlabel("delay d (steps)")
        axes.set_title(f"{summary['task'].iloc[0]}: mean, 20th-80th percentile, single networks")
        if measure == "final_accuracy":
            axes.axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
            axes.set_ylim(0.4, 1.02)
            axes.set_ylabel("final test accuracy")
        else:
            axes.set_yscale("log")
            axes.set_ylabel("final test loss")
        axes.set_xticks(delays)
        axes.legend(title="flossing" if set(groups) <= set(summary["flossing"]) else None)
        return save(figure, stem)
