"""Fig. 12: the autocorrelation of the surrogate of word embeddings, with the fit that it is drawn by.

The paper has that of BERT embeddings of Wikipedia, which cannot be had here: this is a test of the surrogate alone. Of
embeddings of the user's own it is the paper's figure: their autocorrelation, with the law that is fitted to them.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle, sample

SLOW = 0.0430564
"""The paper's fit of the correlated part, at lag 0."""
TOTAL = 0.376
"""R(0) of the embeddings."""


def draw(findings: Findings) -> Figure:
    """R(Δ) of every surrogate, mean over batches, or of one's own embeddings, mean over parts; and the law."""
    table = findings["surrogate"].tables["autocorrelation"]
    with house_style():
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
        axes.set_xscale("log")
        axes.set_xlabel("lag Δ + 1 (tokens)")
        axes.set_ylabel("autocorrelation R(Δ)")
        if "data" in table:
            _own(axes, table, findings["surrogate"].tables["fits"].iloc[0])
        else:
            _surrogates(axes, table)
        axes.legend()
        return figure


def _surrogates(axes: Axes, table: pd.DataFrame) -> None:
    for place, (kind, rows) in enumerate(table.groupby("surrogate", sort=False)):
        _course(axes, rows, "seed", COLOURS[place], MARKERS[place], f"surrogate: {kind}")
    law = table[(table["surrogate"] == "independent") & (table["seed"] == 0)]
    axes.plot(law["lag"] + 1, law["law"], color="black", linewidth=1, label="0.332 δ + 0.0431 · 0.9970$^Δ$")
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(-0.01, 0.5)
    axes.set_yticks(
        [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4], ["0", "0.02", "0.04", "0.06", "0.08", "0.1", "0.2", "0.4"]
    )
    axes.set_title("Surrogate embeddings, not real ones")


def _own(axes: Axes, table: pd.DataFrame, fit: pd.Series) -> None:
    """The smallest and largest of the parts as a band."""
    courses = _course(axes, table, "part", COLOURS[0], MARKERS[0], "measured")
    axes.fill_between(courses.index + 1, courses.min(axis=1), courses.max(axis=1), color=COLOURS[0], alpha=0.15)
    law = table[table["part"] == 0]
    words = f"{fit['white']:.3g} δ + {fit['slow']:.3g} · {fit['decay']:.4f}$^Δ$"
    axes.plot(law["lag"] + 1, law["law"], color="black", linewidth=1, label=words)
    # Linear to the size of the slow part, which would otherwise not be seen beside the variance.
    most = float(table["value"].max())
    linear = max(2.0 * float(fit["slow"]), 0.01 * most)
    axes.set_yscale("symlog", linthresh=linear)
    ticks = [tick for tick in MaxNLocator(5).tick_values(0.0, linear) if 0.0 <= tick <= linear]
    axes.set_yticks([*ticks, most], [f"{tick:.3g}" for tick in (*ticks, most)])
    axes.minorticks_off()
    axes.set_title(f"Embeddings of one's own ({fit['data']})")


def _course(axes: Axes, rows: pd.DataFrame, by: str, colour: str, marker: str, label: str) -> pd.DataFrame:
    """Mean over what is repeated, as dots; all repetitions [lag, repetition]."""
    courses = rows.pivot(index="lag", columns=by, values="value")
    look = {"color": colour, "marker": marker, "markersize": 3, "linestyle": "", "label": label}
    axes.plot(courses.index + 1, courses.mean(axis=1), **look)
    return courses


# --- claims ---


def _law(findings: Findings, kind: str) -> Sample:
    """Largest |R(Δ) - law(Δ)| / law(1) over the lags, of the mean over batches."""
    table = findings["surrogate"].tables["autocorrelation"]
    rows = table[table["surrogate"] == kind]
    off = rows.assign(off=(rows["value"] - rows["law"]) / SLOW).pivot(index="seed", columns="lag", values="off")
    return sample(off, lambda values: np.abs(values.mean(axis=0)).max(), 0)


def _variance(findings: Findings) -> Sample:
    table = findings["surrogate"].tables["autocorrelation"]
    rows = table[(table["surrogate"] == "independent") & (table["lag"] == 0)]
    return middle(rows["value"] / TOTAL - 1, each=0)


CLAIMS = [
    Claim(
        name="fig12.surrogate",
        figure="fig12",
        place="App. C, Fig. 12",
        sentence="The surrogate has the autocorrelation that the paper fits to the embeddings.",
        statistic="|R(Δ) - fit|, relative to 0.0431, the largest over lags up to 256, of the mean over batches;"
        " independent sequences",
        criterion=Criterion(below=0.15),
        sample=partial(_law, kind="independent"),
        control=partial(_law, kind="white"),
        control_says="the white surrogate",
        ours=True,
    ),
    Claim(
        name="fig12.variance",
        figure="fig12",
        place="App. C, Fig. 12",
        sentence="It has the variance of the embeddings, 0.376.",
        statistic="R(0) / 0.376 - 1, median over batches; independent sequences",
        criterion=Criterion(above=-0.02, below=0.02),
        sample=_variance,
        ours=True,
    ),
]
