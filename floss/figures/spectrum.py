"""Lyapunov spectra before and after flossing (Fig. 1D), and the convergence of single exponents (Fig. 16)."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from pathlib import Path

import pandas as pd

from floss.figures.analysed import count, looks, variants, with_variant
from floss.figures.style import COLOURS, DASHES, house_style, legend_inside, outer_panels, panels, save


def draw_spectrum(table: pd.DataFrame, stem: Path) -> list[Path]:
    """λ_i against i: single networks thin, their median thick. PNG and SVG."""
    table = with_variant(table)
    styles = looks(variants(table))
    with house_style():
        figure, ((axes,),) = panels(1, 1, (5.2, 3.6))
        for label in variants(table):
            rows = table[table["variant"] == label]
            colour, marker, dashes = styles[label]
            spectra = rows.pivot_table(index="i", columns="network", values="lambda", dropna=False)
            few = len(spectra) <= 40
            axes.plot(spectra.index, spectra.to_numpy(), color=colour, linewidth=0.4, alpha=0.4)
            axes.plot(
                spectra.index,
                spectra.median(axis=1),
                color=colour,
                linestyle=dashes,
                marker=marker if few else None,
                markersize=3,
                linewidth=1.8,
                label=f"{label} ({count(spectra)})",
            )
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0)
        axes.set_xlabel("i")
        axes.set_ylabel(r"$\lambda_i$ (nats per step)")
        axes.set_title(f"{table['arch'].iloc[0]}, N = {table['n'].iloc[0]}: single networks, median")
        legend_inside(axes)
        return save(figure, stem)


def draw_convergence(table: pd.DataFrame, stem: Path) -> list[Path]:
    """Running means of single exponents, every network and initial state; one panel for each variant. PNG and SVG."""
    table = with_variant(table)
    labels, exponents = variants(table), sorted(table["i"].unique())
    with house_style():
        figure, axes = panels(1, len(labels), (1.2 + 3.6 * len(labels), 3.2), sharex=True, sharey=True)
        for panel, label in zip(axes[0], labels, strict=True):
            for place, i in enumerate(exponents):
                rows = table[(table["variant"] == label) & (table["i"] == i)]
                course = rows.pivot_table(index="step", columns="network", values="lambda")
                colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
                panel.plot(course.index, course.to_numpy(), color=colour, linestyle=dashes, linewidth=0.7, alpha=0.7)
                panel.plot([], [], color=colour, linestyle=dashes, label=f"i = {i}")
            panel.set_title(label)
        (named,), lowest = outer_panels(axes)
        for panel in lowest:
            panel.set_xlabel("counted steps")
        for panel in named:
            panel.set_ylabel(r"running mean of $\lambda_i$ (nats per step)")
        axes[0, -1].legend(loc="best")
        return save(figure, stem)
