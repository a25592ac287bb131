"""Fig. 8: E[∂h/∂λ · ∂h/∂λ₀] of two eigenvalues with one input, over the disc of λ.

The paper claims: it is large where the eigenvalues are conjugate, and for correlated input where both are near 1. The
formula that it prints is right for ρ = 0 and 1 alone.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import formula, sample

CONJUGATE = 0.99 * np.exp(-0.25j * np.pi)
"""The complex conjugate of λ₀."""


def draw(findings: Findings) -> Figure:
    """Above: |S| over the disc for every ρ; below: the printed formula relative to the corrected one."""
    table = findings["disc"].tables["disc"]
    with house_style():
        figure, grid = plt.subplots(2, 5, figsize=(10.5, 4.9))
        colours = LogNorm(1e-2, 1e5), Normalize(0, 2)
        images = [None, None]
        for place, (rho, rows) in enumerate(table.groupby("rho")):
            ratio = rows["printed"] / rows["corrected"]
            for line, values in enumerate((rows["corrected"].clip(1e-2, 1e5), ratio.clip(0, 2))):
                images[line] = _disc(grid[line][place], rows, values, colours[line], ("viridis", "RdBu_r")[line])
            grid[0][place].set_title(f"{'ABCDE'[place]}  ρ = {rho:g}")
        grid[0][0].set_ylabel("corrected |S(λ, λ₀)|, λ₀ at ×")
        grid[1][0].set_ylabel("printed / corrected")
        for line, label in enumerate(("|S|", "ratio")):
            figure.colorbar(images[line], ax=grid[line].tolist(), label=label, shrink=0.8)
        for axes in grid[0]:
            axes.plot(np.real(CONJUGATE), -np.imag(CONJUGATE), "x", color="black", markersize=5)
        for axes in grid.flat:
            axes.set_xlim(-1.05, 1.05)
            axes.set_ylim(-1.05, 1.05)
        return figure


def _disc(axes: Axes, rows: pd.DataFrame, values: pd.Series, norm: Any, colours: str) -> Any:
    table = rows.assign(value=values).pivot(index="radius", columns="degrees", values="value")
    radius, degrees = table.index.to_numpy(dtype=float), table.columns.to_numpy(dtype=float)
    turned = np.deg2rad(np.append(degrees, 180.0))
    x, y = radius[:, None] * np.cos(turned), radius[:, None] * np.sin(turned)
    shown = np.append(table.to_numpy(dtype=float), table.to_numpy(dtype=float)[:, :1], axis=1)
    image = axes.pcolormesh(x, y, shown, norm=norm, cmap=colours, shading="gouraud", rasterized=True)
    axes.set_aspect("equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.set_xlabel("Re λ")
    return image


# --- claims ---


def _rows(findings: Findings, rho: float) -> tuple[pd.DataFrame, np.ndarray]:
    table = findings["disc"].tables["disc"]
    rows = table[table["rho"] == rho]
    return rows, (rows["radius"] * np.exp(1j * np.deg2rad(rows["degrees"]))).to_numpy()


def _peak(findings: Findings, rho: float, at: complex) -> Sample:
    """Distance of the largest |S| from a place."""
    rows, lam = _rows(findings, rho)
    return formula([abs(lam[rows["corrected"].to_numpy().argmax()] - at)], np.max)


def _shrinks(findings: Findings) -> Sample:
    """|S| at λ̄₀ for each ρ, relative to that for the next smaller one."""
    values = []
    for rho in sorted(findings["disc"].tables["disc"]["rho"].unique()):
        rows, lam = _rows(findings, rho)
        values.append(rows["corrected"].to_numpy()[np.abs(lam - CONJUGATE).argmin()])
    return formula(np.array(values[1:]) / np.array(values[:-1]), np.max)


def _printed(findings: Findings) -> Sample:
    """|printed / corrected - 1| at the conjugate of λ₀, for every 0 < ρ < 1."""
    table = findings["disc"].tables["disc"]
    values = []
    for rho in sorted(table.loc[table["rho"].between(0, 1, inclusive="neither"), "rho"].unique()):
        rows, lam = _rows(findings, rho)
        at = rows.iloc[np.abs(lam - CONJUGATE).argmin()]
        values.append(abs(at["printed"] / at["corrected"] - 1))
    return formula(values, np.max)


def _simulated(findings: Findings, column: str) -> Sample:
    table = findings["simulated"].tables["batches"]
    return sample((table[["sensitivity"]].div(table[column], axis=0) - 1), np.mean, 0)


CLAIMS = [
    Claim(
        name="fig08.conjugates",
        figure="fig08",
        place="App. D, Fig. 8",
        sentence="For white input the derivatives of two hidden states go together most where their eigenvalues are"
        " conjugate.",
        statistic="distance of the largest |S(λ, λ₀, ρ)| over the disc from the conjugate of λ₀, ρ = 0",
        criterion=Criterion(below=1e-6),
        sample=partial(_peak, rho=0.0, at=CONJUGATE),
        control=partial(_peak, rho=1.0, at=CONJUGATE),
        control_says="ρ = 1",
    ),
    Claim(
        name="fig08.shrinks",
        figure="fig08",
        place="App. D, Fig. 8",
        sentence="This peak shrinks as the input becomes correlated.",
        statistic="|S| at the conjugate of λ₀, relative to the next smaller ρ, the largest of ρ = 0.9, 0.99, 0.999, 1",
        criterion=Criterion(below=1.0),
        sample=_shrinks,
    ),
    Claim(
        name="fig08.towards_one",
        figure="fig08",
        place="App. D, Fig. 8",
        sentence="A peak at λ = 1 takes over for correlated input.",
        statistic="distance of the largest |S(λ, λ₀, ρ)| over the disc |λ| ≤ 0.99 from 0.99, ρ = 1",
        criterion=Criterion(below=1e-6),
        sample=partial(_peak, rho=1.0, at=0.99),
        control=partial(_peak, rho=0.0, at=0.99),
        control_says="ρ = 0",
    ),
    Claim(
        name="fig08.printed",
        figure="fig08",
        place="App. A, Fig. 8",
        sentence="S is the expression that the paper prints.",
        statistic="|printed / ∂²F/∂a∂b - 1| at the conjugate of λ₀, the largest of ρ = 0.9, 0.99, 0.999",
        criterion=Criterion(below=1e-3),
        sample=_printed,
        tried="Its numerator has 1 - ρ in two places where 1 - ρ² belongs. With ρ = 0 and 1, where the two are equal,"
        " the printed form is right to six digits.",
        changed="It was the largest over the whole disc, which depends on how close the grid is to zeros of S: 3.06"
        " and 9.68 on two grids.",
    ),
    Claim(
        name="fig08.corrected_simulated",
        figure="fig08",
        place="App. A",
        sentence="The corrected expression is the mean of (∂h/∂λ)² in a simulation, and the printed one is not.",
        statistic="simulated E (∂h/∂λ)² relative to S(λ, λ, ρ), minus 1, λ = 0.9, ρ = 0.5, mean over batches of 200"
        " sequences",
        criterion=Criterion(above=-0.05, below=0.05),
        sample=partial(_simulated, column="corrected"),
        control=partial(_simulated, column="printed"),
        control_says="relative to the printed expression",
        ours=True,
        after_data="A simulation of 20 000 sequences with other random numbers.",
    ),
]
