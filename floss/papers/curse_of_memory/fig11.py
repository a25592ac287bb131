"""Fig. 11: final loss (A) and Adam's effective learning rate of the recurrent matrix (B) against its number of blocks.

The paper claims: between 8 and 16 blocks of 64 units learning becomes possible, and the rates rise with their number.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.students import losses_panel, ratio, tuned
from floss.papers.finding import Findings
from floss.papers.samples import middle


def draw(findings: Findings) -> Figure:
    """A: loss; B: rate, both at the learning rates that are best for the other seeds."""
    summary = findings["heads"].summary
    results = {int(heads): tuned(rows) for heads, rows in summary.groupby("arch.heads")}
    rates = _rates(findings)
    with house_style():
        figure, (a, b) = plt.subplots(1, 2, figsize=(9.0, 3.6))
        losses_panel(a, [("", list(results), list(results.values()))])
        a.set_title("A  open: the best rate is at an edge of those tried")
        for heads, values in rates.items():
            b.plot([heads] * len(values), values, ".", color=COLOURS[0], alpha=0.5)
        b.plot(list(rates), [values.median() for values in rates.values()], "o-", color=COLOURS[0])
        b.set_yscale("log")
        b.set_ylabel("effective learning rate of A")
        b.set_title("B  in the middle of training")
        for axes in (a, b):
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(results), list(map(str, results)))
            axes.set_xlabel("number of blocks of the recurrent matrix")
        return figure


def _rates(findings: Findings) -> dict[int, pd.Series]:
    """Effective rate of the recurrent matrix by seed, at the tuned learning rate, nearest to the middle of training."""
    finding = findings["heads"]
    rows, rates = finding.training, {}
    middle_of = rows["epoch"].max() / 2
    for heads, summary in finding.summary.groupby("arch.heads"):
        chosen = tuned(summary).rates
        networks = summary[summary["train.lr"] == summary["seed"].map(chosen)].set_index("network")["seed"]
        own = rows[rows["network"].isin(networks.index)].dropna(subset=["effective_rate_recurrent"])
        nearest = own.loc[(own["epoch"] - middle_of).abs().groupby(own["network"]).idxmin()]
        rates[int(heads)] = pd.Series(
            nearest["effective_rate_recurrent"].to_numpy(), index=nearest["network"].map(networks).to_numpy()
        )
    return rates


# --- claims ---


def _gap(findings: Findings, fewer: int, more: int) -> Sample:
    summary = findings["heads"].summary
    return ratio(*(summary[summary["arch.heads"] == heads] for heads in (fewer, more)))


def _faster(findings: Findings, fewer: int, more: int) -> Sample:
    """Decades between the effective rates of two numbers of blocks, median over seeds."""
    rates = _rates(findings)
    return middle(np.log10(rates[more]) - np.log10(rates[fewer]), each=2)


_LOSS = (
    "log₁₀ of the final loss with {} blocks over that with {}, each at the learning rate that is best for the other"
    " seeds, median over seeds"
)

CLAIMS = [
    Claim(
        name="fig11.the_jump",
        figure="fig11",
        place="App. F, Fig. 11A",
        sentence="Between 8 and 16 blocks of 64 units learning becomes possible.",
        statistic=_LOSS.format(8, 16),
        criterion=Criterion(above=1.5),
        sample=partial(_gap, fewer=8, more=16),
        control=partial(_gap, fewer=4, more=8),
        control_says="4 blocks over 8",
        tried="In 3000 epochs the larger step is from 4 to 8 blocks, so that the control meets the criterion too.",
    ),
    Claim(
        name="fig11.rates_rise",
        figure="fig11",
        place="App. F, Fig. 11B",
        sentence="The more blocks, the larger are the effective learning rates of the recurrent matrix.",
        statistic="log₁₀ of the geometric mean of A's effective learning rates in the middle of training with 32 blocks"
        " over that with one, median over seeds",
        criterion=Criterion(above=1.0),
        sample=partial(_faster, fewer=1, more=32),
        control=partial(_faster, fewer=1, more=4),
        control_says="4 blocks over one",
    ),
]
