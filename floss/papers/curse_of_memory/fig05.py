"""Fig. 5: activity and gradients of deep stacks at initialisation, against the memory of their cells.

The paper claims: LRU and GRU keep both under control but for the angle of the LRU's eigenvalues; a complex diagonal
network explodes, less so with layer norms. Inputs are a surrogate of word embeddings, which are not to be had.
"""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportGeneralTypeIssues=false, reportOperatorIssue=false, reportIndexIssue=false

from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from floss.figures.panels import legend_below
from floss.figures.style import COLOURS, MARKERS, house_style
from floss.papers.claim import Claim, Criterion, Sample
from floss.papers.curse_of_memory.plots import input_words
from floss.papers.curse_of_memory.stack_rows import activity, on_own_data, times, whole
from floss.papers.finding import Findings
from floss.papers.samples import count

WORDS = {"crnn": "cRNN", "lru": "LRU", "gru": "GRU", "crnn_norm": "cRNN, layer norm"}
GROUPS = {"crnn": ("λ", "rest"), "lru": ("ν", "θ", "rest"), "gru": ("cell", "rest")}
NORM_AT_ENDS = (1e-7, 1e-4)
"""Mean squared gradient of λ with layer norms at t = 1 and 100, read off the paper's plot."""


def draw(findings: Findings) -> Figure:
    """A: activity after blocks 1 and 4; B: gradients of cRNN, LRU and GRU; C: a cRNN with layer norms and without."""
    with house_style():
        figure, (a, b, c) = plt.subplots(1, 3, figsize=(10.8, 3.9))
        for place, run in enumerate(("crnn", "lru", "gru")):
            for layer, dashes in ((1, "--"), (4, "-")):
                look = {"color": COLOURS[place], "linestyle": dashes, "label": f"{WORDS[run]}, block {layer}"}
                _line(a, findings, run, activity(findings, run)[:, :, layer - 1], marker=MARKERS[place], **look)
        a.set_ylabel("mean square of the block's output")
        a.set_title("A  Activity")
        for place, (run, groups) in enumerate(GROUPS.items()):
            for group, dashes in zip(groups, ("-", "--", ":") if len(groups) == 3 else ("-", ":"), strict=True):
                look = {"color": COLOURS[place], "linestyle": dashes, "marker": MARKERS[place]}
                _line(b, findings, run, whole(findings, run, group), label=f"{WORDS[run]}: {group}", **look)
        b.set_title("B  Gradients")
        _norms(c, findings)
        if not on_own_data(findings):  # which are not of two kinds
            shared = whole(findings, "gru_shared", "cell")
            _line(b, findings, "gru_shared", shared, color="0.6", label="GRU: cell, shared")
        for axes in (b, c):
            axes.set_ylabel("mean squared gradient")
        for axes in (a, b, c):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel("memory t = 1/(1 − ν) (steps)")
        legend_below(figure, (a, b, c), ncols=5)
        words = input_words(findings["crnn"].tables["activity"], "independent, or shared")
        figure.suptitle(words, fontsize=10)
        return figure


def _norms(axes: Axes, findings: Findings) -> None:
    looks = {
        "crnn": ("-", "no norm"),
        "crnn_norm": ("--", "layer norm"),
        "crnn_norm_shared": (":", "layer norm, shared"),
    }
    for place, group in enumerate(("λ", "rest")):
        for run, (dashes, words) in looks.items():
            if run.endswith("_shared") and on_own_data(findings):
                continue
            look = {"color": COLOURS[3 + place], "marker": MARKERS[3 + place], "linestyle": dashes}
            _line(axes, findings, run, whole(findings, run, group), label=f"cRNN: {group}, {words}", **look)
    axes.set_title("C  Layer norms")


def _line(axes: Axes, findings: Findings, run: str, values: np.ndarray, **look: Any) -> None:
    """Mean over networks [networks, times], and the smallest and largest."""
    t, mean = times(findings, run), values.mean(axis=0)
    axes.plot(t, mean, markersize=3.5, linewidth=1.2, **look)
    axes.fill_between(t, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, linewidth=0)


# --- claims: rows are networks, of which the mean is taken first ---


def grows(values: np.ndarray) -> float:
    """Decades from the shortest to the longest memory, of [networks, times, ...]; the mean over what follows."""
    mean = values.mean(axis=0).reshape(values.shape[1], -1).mean(axis=-1)
    return float(np.log10(mean[-1] / mean[0]))


def spread(values: np.ndarray) -> float:
    """Largest over smallest mean along memories [networks, times, ...], the largest of what follows."""
    mean = values.mean(axis=0)
    return float((mean.max(axis=0) / mean.min(axis=0)).max())


def _growth(findings: Findings, run: str, group: str, absolute: bool = False) -> Sample:
    statistic = (lambda rows: abs(grows(rows))) if absolute else grows
    return Sample(whole(findings, run, group), statistic, 0)


def _activity_growth(findings: Findings, run: str) -> Sample:
    return Sample(activity(findings, run)[:, :, -1], grows, 0)


def _activity_spread(findings: Findings, runs: tuple[str, ...]) -> Sample:
    return Sample(np.concatenate([activity(findings, run)[:, :, [0, -1]] for run in runs], -1), spread, 0)


def _spread(findings: Findings, run: str, groups: tuple[str, ...]) -> Sample:
    return Sample(np.stack([whole(findings, run, group) for group in groups], -1), spread, 0)


def _below(findings: Findings, run: str, low: str, high: str) -> Sample:
    """Of how many networks' seeds one group's gradient is below another's at every memory."""
    return count((whole(findings, run, low) < whole(findings, run, high)).all(axis=1), each=0)


def _at_ends(findings: Findings, run: str) -> Sample:
    def statistic(rows: np.ndarray) -> float:
        ratio = rows.mean(axis=0)[[0, -1]] / NORM_AT_ENDS
        return float(np.maximum(ratio, 1 / ratio).max())

    return Sample(whole(findings, run, "λ"), statistic, 0)


def _claim(
    name: str, panel: str, sentence: str, statistic: str, criterion: Criterion, sample: Callable[[Findings], Sample],
    shared: bool = False, **more: Any,
) -> Claim:  # fmt: skip
    return Claim(
        name=f"fig05.{name}",
        figure="fig05",
        place=f"Sec. 5, Fig. 5{panel}",
        sentence=sentence,
        statistic=f"{statistic}; surrogate embeddings, {'shared' if shared else 'independent'}",
        criterion=criterion,
        sample=sample,
        **more,
    )


_DECADES = "decades from t = 1 to 100 of the mean squared gradient of"
_NO_NORM = "without layer norms"
_FLAT = "largest / smallest mean squared gradient over t"

CLAIMS = [
    _claim(
        "crnn_grows",
        "A",
        "Without normalised inputs activity grows with memory: that of a cRNN's block 4 from 2 to 2 × 10⁵.",
        "decades from t = 1 to 100 of the mean square of block 4's output",
        Criterion(above=4.3, below=5.7),
        partial(_activity_growth, run="crnn"),
        control=partial(_activity_growth, run="lru"),
        control_says="the LRU",
    ),
    _claim(
        "activity_flat",
        "A",
        "In LRU and GRU it stays the same, within a factor of 2.",
        "largest / smallest mean square of a block's output over t, the largest of blocks 1 and 4 and both cells",
        Criterion(below=2),
        partial(_activity_spread, runs=("lru", "gru")),
        control=partial(_activity_spread, runs=("crnn",)),
        control_says="the cRNN",
    ),
    _claim(
        "lru_angle",
        "B",
        "In the LRU the gradient of the eigenvalues' angles explodes.",
        f"{_DECADES} θ",
        Criterion(above=2),
        partial(_growth, run="lru", group="θ"),
        control=partial(_growth, run="lru", group="ν"),
        control_says="ν",
    ),
    _claim(
        "lru_magnitude",
        "B",
        "That of their magnitudes does not.",
        f"|{_DECADES} ν|",
        Criterion(below=1),
        partial(_growth, run="lru", group="ν", absolute=True),
        control=partial(_growth, run="lru", group="θ", absolute=True),
        control_says="θ",
        tried="It grows by a factor of 12, nearly all of it from t = 1 to 10; that of the angles by 7 × 10⁴.",
    ),
    _claim(
        "lru_rest",
        "B",
        "Nor do those of its other parameters.",
        f"|{_DECADES} the rest|",
        Criterion(below=1),
        partial(_growth, run="lru", group="rest", absolute=True),
        control=partial(_growth, run="crnn", group="rest", absolute=True),
        control_says="the cRNN",
    ),
    _claim(
        "crnn_explodes",
        "B, C",
        "In the cRNN gradients of the eigenvalues explode, from 10⁻⁶ to 10¹⁰.",
        f"{_DECADES} λ",
        Criterion(above=14.5, below=17.5),
        partial(_growth, run="crnn", group="λ"),
        control=partial(_growth, run="crnn_norm", group="λ"),
        control_says="with layer norms",
    ),
    _claim(
        "norm_tames",
        "C",
        "With layer norms they grow by three decades only.",
        f"{_DECADES} λ",
        Criterion(above=2, below=4),
        partial(_growth, run="crnn_norm_shared", group="λ"),
        shared=True,
        control=partial(_growth, run="crnn", group="λ"),
        control_says=_NO_NORM,
        tried="Five networks; eight networks on independent sequences have 3.8 decades.",
    ),
    _claim(
        "norm_values",
        "C",
        "They are then 10⁻⁷ at t = 1 and 10⁻⁴ at t = 100; within a factor of 4, and 2 for reading the plot.",
        "factor between the mean squared gradient of λ and these values, the larger of t = 1 and 100",
        Criterion(below=8),
        partial(_at_ends, run="crnn_norm_shared"),
        shared=True,
        control=partial(_at_ends, run="crnn"),
        control_says=_NO_NORM,
    ),
    _claim(
        "norm_rest",
        "C",
        "The gradients of its other parameters stay the same with layer norms.",
        f"{_FLAT}, rest of the parameters",
        Criterion(below=10),
        partial(_spread, run="crnn_norm_shared", groups=("rest",)),
        shared=True,
        control=partial(_spread, run="crnn", groups=("rest",)),
        control_says=_NO_NORM,
    ),
    _claim(
        "gru_flat",
        "B",
        "In the GRU no gradient depends on memory by more than a decade.",
        f"{_FLAT}, the larger of cell and feed-forward parameters",
        Criterion(below=10),
        partial(_spread, run="gru_shared", groups=("cell", "rest")),
        shared=True,
        control=partial(_spread, run="lru", groups=("θ",)),
        control_says="the angle of the LRU",
    ),
    _claim(
        "gru_cell",
        "B",
        "Those of the GRU's cells are below those of its feed-forward parameters.",
        "networks in which the mean squared gradient of the cells is below that of the rest at every t",
        Criterion(above=0.4),
        partial(_below, run="gru", low="cell", high="rest"),
        changed="It was that of five networks on the shared surrogate, five of five; no count of five misses 0.4.",
        control=partial(_below, run="crnn", low="λ", high="rest"),
        control_says="λ and the rest of a cRNN",
    ),
]
