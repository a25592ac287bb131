"""Fig. 12: the autocorrelation of the surrogate of word embeddings, with the fit that it is drawn by.

The paper has that of BERT embeddings of Wikipedia, which cannot be had here: this is a test of the surrogate alone.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle, sample

SLOW = 0.0430564
"""The paper's fit of the correlated part, at lag 0."""
TOTAL = 0.376
"""R(0) of the embeddings."""


def draw(findings: Findings) -> Figure:
    """R(Δ) of every surrogate: mean over batches, and the law."""
    table = findings["surrogate"].tables["autocorrelation"]
    with house_style():
        figure, axes = plt.subplots(figsize=(5.2, 3.4))
        for place, (kind, rows) in enumerate(table.groupby("surrogate", sort=False)):
            courses = rows.pivot(index="lag", columns="seed", values="value")
            axes.plot(
                courses.index + 1,
                courses.mean(axis=1),
                color=COLOURS[place],
                marker=MARKERS[place],
                markersize=3,
                linestyle="",
                label=f"surrogate: {kind}",
            )
        law = table[(table["surrogate"] == "independent") & (table["seed"] == 0)]
        axes.plot(law["lag"] + 1, law["law"], color="black", linewidth=1, label="0.332 δ + 0.0431 · 0.9970$^Δ$")
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(-0.01, 0.5)
        axes.set_yticks(
            [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4], ["0", "0.02", "0.04", "0.06", "0.08", "0.1", "0.2", "0.4"]
        )
        axes.set_xlabel("lag Δ + 1 (tokens)")
        axes.set_ylabel("autocorrelation R(Δ)")
        axes.set_title("Surrogate embeddings, not real ones")
        axes.legend()
        return figure


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
