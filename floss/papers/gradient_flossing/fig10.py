"""Fig. 10: singular values of the gradient of the recurrent weights, ∂L/∂W, and accuracy, of one network.

The paper claims: flossing raises the small singular values of dL/dW, and hardly the first one.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOperatorIssue=false, reportReturnType=false

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.departure import leaves_chance
from floss.figures.panels import accuracy_axis, at_delay, by_schedule, epoch_axis, legend_below, mark_schedules, pad
from floss.figures.style import house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.finding import Findings
from floss.papers.samples import middle

_VALUES = {"sv_1": ("σ₁", "-"), "sv_20": ("σ₂₀", "--"), "sv_40": ("σ₄₀", ":")}
"""What the legend calls each singular value, and its line style."""


def draw(findings: Findings, *, latest: bool = False) -> Figure:
    """Singular values (A) and accuracy (B) against the epoch, of one seed without flossing and with early episodes.

    The flossed networks are put in the order in which they leave chance: by the epoch from which on their accuracy
    stays above 60 %, then by seed, and those that never leave it last. Shown is the first of them; with `latest` the
    last other one that leaves chance, or the next in the order where no other does.
    """
    d, training = at_delay(findings["gradient"].training)
    seed, departure = _chosen(training, latest)
    pair = training[training["seed"] == seed]
    when = "does not leave chance" if departure is None else f"leaves chance at epoch {departure}"
    with house_style():
        figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 6.4), sharex=True, height_ratios=(3, 2))
        for group in by_schedule(pair):
            _singular_values(upper, group.rows, group.label, group.colour)
            lower.plot(group.rows["epoch"], group.rows["accuracy"], color=group.colour, linewidth=1.5)
        rows = mark_schedules(upper, training)
        upper.set_title(
            f"A  gradient of the recurrent weights, d = {d}, seed {seed} (flossed, it {when})", pad=pad(rows)
        )
        upper.set_yscale("log")
        upper.set_ylabel("singular value σᵢ of ∂L/∂W")
        lower.set_title("B  accuracy of the same networks")
        accuracy_axis(lower)
        lower.set_ylabel("test accuracy")
        epoch_axis(lower, training)
        legend_below(figure, (upper, lower), title="n = 1 network each", ncols=4)
        return figure


def _singular_values(axes: Axes, rows: pd.DataFrame, label: str, colour: str) -> None:
    for column, (name, dashes) in _VALUES.items():
        if column in rows:  # a network of fewer units does not have it
            values = rows[column].where(rows[column] > 0)  # zero cannot be shown
            axes.plot(rows["epoch"], values, color=colour, linestyle=dashes, linewidth=1.4, label=f"{label}: {name}")


def _chosen(training: pd.DataFrame, latest: bool) -> tuple[int, int | None]:
    """The seed to show, and the epoch when its flossed network leaves chance."""
    flossed = training[training["flossing"] != "none"]
    table = pd.DataFrame({"seed": flossed.groupby("network")["seed"].first(), "epoch": leaves_chance(flossed)})
    order = table.sort_values(["epoch", "seed"])
    row, others = order.iloc[0], order.iloc[1:]
    if latest and len(others):
        row = others[others["epoch"].notna()].iloc[-1] if others["epoch"].notna().any() else others.iloc[0]
    return int(row["seed"]), None if np.isnan(row["epoch"]) else int(row["epoch"])


# --- claims ---


EPISODES = (100, 200, 300, 400)
"""Those with training before them."""


def singular_values(findings: Findings, schedule: str, i: int) -> pd.DataFrame:
    """σ_i of dL/dW by epoch (rows) and network (columns)."""
    rows = findings["gradient"].training
    rows = rows[rows["flossing"] == schedule]
    return rows.pivot_table(index="epoch", columns="network", values=f"sv_{i}", dropna=False)


def peaks(findings: Findings, i: int) -> pd.Series:
    """log₁₀ of how much higher σ_i is within 25 epochs after an episode than before: each network's median."""
    table = singular_values(findings, "early", i)
    ratios = {}
    for e in EPISODES:
        after = table[(table.index >= e) & (table.index < e + 25)].max()
        before = table[(table.index >= e - 25) & (table.index < e)].median()
        ratios[e] = np.log10(after / before)
    return pd.DataFrame(ratios).median(axis=1)


def _peak(findings: Findings, i: int) -> Sample:
    return middle(peaks(findings, i))


def _diminish(findings: Findings, i: int) -> Sample:
    table = singular_values(findings, "none", i)
    late = table[table.index >= table.index.max() * 0.9].median()
    return middle(np.log10(late / table[table.index == 0].median()))


def _comparable(findings: Findings) -> Sample:
    rows = findings["gradient"].training
    table = rows.groupby(["seed", "flossing"])["sv_1"].median().unstack("flossing")
    pairs = table.reindex(columns=["early", "none"]).dropna().to_numpy()
    return Sample(pairs, lambda rows: np.log10(np.median(rows[:, 0]) / np.median(rows[:, 1])), pairs.size)


_PEAK = (
    "log₁₀ of the highest {} at an epoch from 0 to 24 after an episode over the median of the 25 before: median over"
    " the episodes at 100, 200, 300, 400, then over networks, early"
)

CLAIMS = [
    Claim(
        name="fig10.sv20_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="At episodes of flossing the twentieth singular value of dL/dW peaks.",
        statistic=_PEAK.format("σ₂₀"),
        criterion=Criterion(above=0.5),
        sample=partial(_peak, i=20),
    ),
    Claim(
        name="fig10.sv40_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="At episodes of flossing the fortieth singular value of dL/dW peaks.",
        statistic=_PEAK.format("σ₄₀"),
        criterion=Criterion(above=0.5),
        sample=partial(_peak, i=40),
    ),
    Claim(
        name="fig10.sv1_hardly_peaks",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value has only a slight peak.",
        statistic=_PEAK.format("σ₁"),
        criterion=Criterion(below=0.5),
        sample=partial(_peak, i=1),
        tried="Nothing else. Beside the peaks of the two smaller singular values its own is small.",
    ),
    Claim(
        name="fig10.unflossed_diminishes",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="Without flossing the fortieth singular value quickly becomes extremely small.",
        statistic="log₁₀ of the median σ₄₀ over the last tenth of the epochs over that of the first epoch, median"
        " over networks, none",
        criterion=Criterion(below=-1.0),
        sample=partial(_diminish, i=40),
    ),
    Claim(
        name="fig10.sv1_comparable",
        figure="fig10",
        place="App. D.1, Fig. 10A",
        sentence="The first singular value is about as large with flossing as without.",
        statistic="log₁₀ of the median over networks of the median σ₁ over epochs, early, over that of none",
        criterion=Criterion(above=-1.0, below=1.0),
        sample=_comparable,
    ),
]
