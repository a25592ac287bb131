"""M5, a study of ours: does flossing the forget gates of gated networks make them sensitive to these gates?

The prediction was written down before the data: coupled gates normalise their input and reparametrise their memory, so
that the sensitivity stays within a factor of 3; that of a tanh network to its recurrent weights does not. The input is
a surrogate of word embeddings.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from floss.figures.style import COLOURS, DASHES, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.gated_flossing_jobs import BEFORE
from floss.papers.finding import Findings

RUNS = {
    "gru": "GRU, constant gates: b$_f$",
    "gru_dependent": "GRU, standard gates: b$_f$",
    "lstm": "LSTM, constant gates: b$_f$",
    "lstm_tied": "LSTM, b$_i$ = −b$_f$: b$_f$",
    "tanh": "tanh network: W",
}
WITHIN = 3.0
"""The factor of the prediction."""


def targets(findings: Findings, run: str) -> list[float]:
    """The targets of a run, ascending."""
    table = findings[run].tables["networks"]
    return sorted(float(target) for target in table["target"].unique() if target != BEFORE)


def column(findings: Findings, run: str, name: str) -> np.ndarray:
    """A number of every network before flossing, and after it for every target [seeds, 1 + targets]."""
    table = findings[run].tables["networks"]
    order = [BEFORE, *targets(findings, run)]
    words = table["target"].map(lambda target: BEFORE if target == BEFORE else float(target))
    wide = table.assign(target=words).pivot(index="seed", columns="target", values=name)
    return wide[order].to_numpy(dtype=float)


def ratios(findings: Findings, run: str) -> np.ndarray:
    """Sensitivity after flossing relative to that before [seeds, targets]."""
    values = column(findings, run, "sensitivity")
    return values[:, 1:] / values[:, :1]


def draw(findings: Findings) -> Figure:
    """A: sensitivity after flossing relative to that before, against the target; B: the exponents that were reached."""
    with house_style():
        figure, (a, b) = plt.subplots(1, 2, figsize=(9.4, 3.9))
        wanted = targets(findings, "gru")
        x = np.arange(len(wanted))
        for place, (run, label) in enumerate(RUNS.items()):
            values = ratios(findings, run)
            look = {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": DASHES[place], "markersize": 4}
            a.plot(x, np.exp(np.log(values).mean(axis=0)), linewidth=1.3, **look)
            a.fill_between(x, values.min(axis=0), values.max(axis=0), color=COLOURS[place], alpha=0.15, linewidth=0)
            exponents = column(findings, run, "exponent").mean(axis=0)
            b.plot(np.arange(-1, len(wanted)), exponents, label=label, linewidth=1.3, **look)
        a.axhspan(1 / WITHIN, WITHIN, color="0.9", zorder=0)
        a.set_yscale("log")
        a.set_ylabel("E ‖∂h/∂θ‖², after / before flossing")
        a.set_title("A  Sensitivity to what was flossed")
        b.set_yscale("symlog", linthresh=1e-2)
        b.set_yticks(ticks := [-0.5, -0.2, -0.1, -0.05, -0.02, -0.01], [f"{tick:g}" for tick in ticks])
        b.set_ylabel("mean of 16 exponents (nats/step)")
        b.set_title("B  Exponents")
        a.set_xticks(x, [f"{value:g}" for value in wanted])
        b.set_xticks(np.arange(-1, len(wanted)), ["before", *(f"{value:g}" for value in wanted)])
        for axes in (a, b):
            axes.set_xlabel("target of flossing λ° (nats/step)")
        b.legend(fontsize=7, loc="lower right")
        figure.suptitle("Input: surrogate of word embeddings (independent), not real ones", fontsize=10)
        return figure


# --- claims ---


def _means(rows: np.ndarray) -> np.ndarray:
    """Geometric means over networks."""
    return np.exp(np.log(rows).mean(axis=0))


def _grows(findings: Findings, run: str) -> Sample:
    return Sample(ratios(findings, run), lambda rows: float(_means(rows).max()), 0)


def _within(findings: Findings, run: str) -> Sample:
    def statistic(rows: np.ndarray) -> float:
        means = _means(rows)
        return float(np.maximum(means, 1 / means).max())

    return Sample(ratios(findings, run), statistic, 0)


def _at_zero(findings: Findings, run: str) -> Sample:
    return Sample(ratios(findings, run)[:, -1:], lambda rows: float(_means(rows)[0]), 0)


_BIAS = "E ‖∂h/∂b_f‖² after 512 steps, after flossing relative to before, geometric mean over networks"
_END = "surrogate embeddings, independent"


def _claim(name: str, sentence: str, statistic: str, criterion: Criterion, sample: Any, **more: Any) -> Claim:
    return Claim(
        name=f"m5.{name}",
        figure="m5",
        place="M5",
        sentence=sentence,
        statistic=f"{statistic}; {_END}",
        criterion=criterion,
        sample=sample,
        ours=True,
        **more,
    )


_CONTROL = {"control_says": "W of tanh networks"}
_TRIED = (
    "An LSTM's input gate is not tied to its forget gate: where its bias is held, the state itself grows with memory."
    " Where it follows, b_i = -b_f, both claims hold (m5.lstm_tied_bounded, m5.lstm_tied_within)."
)

CLAIMS = [
    _claim(
        f"{run}_{word}",
        sentence,
        f"{_BIAS}, {statistic}",
        Criterion(below=WITHIN),
        partial(sample, run=run),
        control=partial(sample, run="tanh"),
        tried=_TRIED if run == "lstm" else "",
        **_CONTROL,
    )
    for run, who in {
        "gru": "a GRU with constant gates",
        "gru_dependent": "a GRU whose gates depend on input and state",
        "lstm": "an LSTM with constant gates",
        "lstm_tied": "an LSTM whose input gates follow",
    }.items()
    for word, sentence, statistic, sample in (
        (
            "bounded",
            f"Flossing the forget biases of {who} does not raise the sensitivity to them by more than a factor of 3.",
            "the largest of five targets",
            _grows,
        ),
        (
            "within",
            f"That of {who} stays within a factor of 3, up or down.",
            "the largest factor up or down of five targets",
            _within,
        ),
    )
]
CLAIMS.append(
    _claim(
        "tanh_grows",
        "Flossing a tanh network to 0 raises the sensitivity to its recurrent weights by more than a factor of 3.",
        "E ‖∂h/∂W‖² after 512 steps, after flossing to 0 relative to before, geometric mean over networks",
        Criterion(above=WITHIN),
        partial(_at_zero, run="tanh"),
        control=partial(_at_zero, run="gru"),
        control_says="b_f of GRUs with constant gates",
    )
)
