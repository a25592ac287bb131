"""The course of a flossing episode: λ₁ of every network, and the flossing loss (Figs 1B, 1C, 6)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import pandas as pd

from floss.figures.analysed import count, looks, variants, with_variant
from floss.figures.style import house_style, legend_outside, panels, save


def draw_flossing(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Left λ₁ against the flossing epoch, right the loss: median and quartiles. PNG and SVG."""
    table = with_variant(table)
    styles = looks(variants(table))
    with house_style():
        figure, ((left, right),) = panels(1, 2, (8, 3.2))
        for label in variants(table):
            rows = table[table["variant"] == label]
            colour, _, dashes = styles[label]
            course = rows.pivot_table(index="epoch", columns="network", values="lambda_1", dropna=False)
            left.plot(course.index, course.to_numpy(), color=colour, linewidth=0.6, alpha=0.6)
            left.plot([], [], color=colour, linestyle=dashes, label=f"{label} ({count(course)})")
            left.axhline(rows["target"].iloc[0], color=colour, linewidth=1.5, linestyle="--", alpha=0.6, zorder=0)
            loss = rows.groupby("epoch")["floss_loss"]
            low, high = loss.quantile(0.25), loss.quantile(0.75)
            right.fill_between(course.index, low, high, color=colour, alpha=0.2, linewidth=0)
            right.plot(course.index, loss.median(), color=colour, linestyle=dashes)
        left.set_ylabel("λ₁ (nats per step)")
        left.set_title(f"{table['arch'].iloc[0]}, N = {table['n'].iloc[0]}: single networks, targets dashed")
        if (table["floss_loss"] > 0).any():
            right.set_yscale("log")
        right.set_ylabel("mean of (λ − target)²")
        right.set_title("median, quartiles")
        for axes in (left, right):
            axes.set_xlabel("flossing epoch")
        legend_outside(figure, *left.get_legend_handles_labels(), ncols=3)
        return save(figure, stem)
