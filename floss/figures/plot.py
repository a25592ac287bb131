"""Pictures of what the functions of `floss` return: `floss.plot.spectrum(lam)`, by the settings of matplotlib.

Each function draws into one panel and returns it, so that labels, limits and files stay the user's:

    axes = floss.plot.spectrum(lam, error=error, label="before flossing")
    floss.plot.spectrum(after, axes=axes, label="after it")
    axes.figure.savefig("spectrum.pdf")

Numbers are tensors, arrays or lists. Without `axes` there is a new figure, of the width `width` in inches: 3.3 is a
column of many journals. The pictures of `floss train` and the other commands are drawn elsewhere, in a look that no
setting changes.
"""

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from floss.figures.palette import COLOURS, DASHES, MARKERS

if TYPE_CHECKING:
    from floss.lyapunov.history import LyapunovHistory
    from floss.training.user_network.flosser import FlossingEpisode

__all__ = ["convergence", "flossing", "gradients", "spectrum"]

_FEW = 40
"""Exponents up to which each has a marker."""
_FLOOR = 1e-300
"""Norms that are zero in the arithmetic used are drawn nowhere: a logarithmic axis has no place for them."""


def spectrum(
    lam: Any,
    error: Any = None,
    *,
    axes: Axes | None = None,
    label: str | None = None,
    width: float | None = None,
) -> Axes:
    """Lyapunov exponents λ_i against i; of several spectra each thin, and their median thick.

    Args:
        lam: [k] or [..., k] exponents in nats per step, as of `floss.lyapunov_spectrum`. Those that are -inf have no
            place.
        error: [k] standard errors of one spectrum, drawn as bars.
        axes: where to draw; None: a new figure.
        label: what a legend calls it.
        width: of a new figure in inches; None: that of matplotlib's settings.

    Raises:
        ValueError: numbers that are no spectrum, or errors that do not fit.
    """
    several = _array("spectrum", "lam", lam, 1)
    spectra = np.where(np.isfinite(several), several, np.nan).reshape(-1, several.shape[-1])
    i = np.arange(1, spectra.shape[1] + 1)
    bars = None if error is None else _array("spectrum", "error", error, 1)
    if bars is not None and (len(spectra) > 1 or bars.shape != i.shape):
        raise ValueError(f"floss.plot.spectrum: error {list(bars.shape)} must be [{len(i)}], for one spectrum")
    panel, place = _panel(axes, width)
    colour, marker, dashes = COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place % len(DASHES)]
    if len(spectra) > 1:
        panel.plot(i, spectra.T, color=colour, linewidth=0.5, alpha=0.4, label="_nolegend_")
    middle = np.array([_median(column) for column in spectra.T])
    shape = {"color": colour, "linestyle": dashes, "marker": marker if len(i) <= _FEW else "", "markersize": 3.5}
    if bars is None:
        panel.plot(i, middle, label=label, **shape)
    else:
        panel.errorbar(i, middle, np.where(np.isfinite(bars), bars, 0.0), label=label, capsize=2, **shape)
    return _finished(panel, place, "i", r"$\lambda_i$ (nats per step)", label)


def convergence(
    history: "LyapunovHistory",
    *,
    show: tuple[int, ...] = (1,),
    axes: Axes | None = None,
    label: str | None = None,
    width: float | None = None,
) -> Axes:
    """Running means of exponents against the number of counted steps: whether a run was long enough.

    Args:
        history: what `floss.lyapunov_history` returns.
        show: which exponents, from 1 on.
        axes: as of `spectrum`.
        label: as of `spectrum`, before `i = 1`.
        width: as of `spectrum`.

    Raises:
        ValueError: exponents that the history does not have.
    """
    means = _array("convergence", "history", history.convergence, 2)  # [M, ..., k]
    steps = _array("convergence", "history", history.times, 1)
    k = means.shape[-1]
    if not show or any(not 1 <= i <= k for i in show):
        raise ValueError(f"floss.plot.convergence: show={show} must be from 1 to the {k} exponents of the history")
    panel, place = _panel(axes, width)
    for more, i in enumerate(show):
        first, *others = means[..., i - 1].reshape(len(steps), -1).T
        colour, dashes = COLOURS[(place + more) % len(COLOURS)], DASHES[(place + more) % len(DASHES)]
        name = f"{label}, i = {i}" if label else f"i = {i}"
        panel.plot(steps, first, color=colour, linestyle=dashes, linewidth=1.0, label=name)
        for course in others:
            panel.plot(steps, course, color=colour, linestyle=dashes, linewidth=1.0, label="_nolegend_")
    return _finished(panel, place, "counted steps", r"running mean of $\lambda_i$ (nats per step)", "i")


def gradients(
    norms: Any,
    *,
    axes: Axes | None = None,
    label: str | None = None,
    width: float | None = None,
) -> Axes:
    """The norm of a gradient against the number of steps that it went back in time, on a logarithmic axis.

    Args:
        norms: [T + 1] norms for 0, …, T steps, as `gradient_norms` of `floss.diagnose`.
        axes: as of `spectrum`.
        label: as of `spectrum`.
        width: as of `spectrum`.

    Raises:
        ValueError: numbers that are no course.
    """
    course = _array("gradients", "norms", norms, 1)
    if course.ndim != 1:
        raise ValueError(f"floss.plot.gradients: norms {list(course.shape)} must be [T + 1]")
    panel, place = _panel(axes, width)
    colour, dashes = COLOURS[place % len(COLOURS)], DASHES[place % len(DASHES)]
    seen = np.where(course > _FLOOR, course, np.nan)
    panel.plot(np.arange(len(course)), seen, color=colour, linestyle=dashes, label=label)
    panel.set_yscale("log")
    return _finished(panel, place, "steps back in time", "relative norm of the gradient", label, zero=False)


def flossing(
    episode: "FlossingEpisode",
    *,
    axes: Axes | None = None,
    width: float | None = None,
) -> Axes:
    """The exponents of an episode of flossing against its epochs, the first and the last of them thick.

    Args:
        episode: what `floss.Flosser.maybe` and `episode` return.
        axes: as of `spectrum`.
        width: as of `spectrum`.
    """
    courses = _array("flossing", "episode", episode.exponents, 2)  # [E, k]
    courses = np.where(np.isfinite(courses), courses, np.nan)
    panel, place = _panel(axes, width)
    epochs, k = np.arange(len(courses)), courses.shape[1]
    panel.plot(epochs, courses, color="0.7", linewidth=0.5, label="_nolegend_")
    for more, i in enumerate(dict.fromkeys((1, k))):
        colour, dashes = COLOURS[(place + more) % len(COLOURS)], DASHES[(place + more) % len(DASHES)]
        panel.plot(epochs, courses[:, i - 1], color=colour, linestyle=dashes, label=f"i = {i}")
    return _finished(panel, place, "flossing epoch", r"$\lambda_i$ (nats per step)", "i")


def _array(function: str, name: str, values: Any, least: int) -> np.ndarray:
    """Numbers of any kind as an array of float64, with at least so many axes."""
    detach = getattr(values, "detach", None)
    try:
        array = np.asarray(detach().cpu().numpy() if detach else values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"floss.plot.{function}: {name} must be numbers, got {type(values).__name__}") from None
    if array.ndim < least or not array.size:
        raise ValueError(f"floss.plot.{function}: {name} {list(array.shape)} must have {least} axes and be not empty")
    return array


def _panel(axes: Axes | None, width: float | None) -> tuple[Axes, int]:
    """Where to draw, and how many labelled things are there already."""
    if axes is None:
        size = None if width is None else (width, 0.75 * width)
        _, axes = plt.subplots(figsize=size, layout="constrained")
    return axes, len(axes.get_legend_handles_labels()[1])


def _finished(axes: Axes, place: int, x: str, y: str, label: str | None, *, zero: bool = True) -> Axes:
    """Names of the axes, and a legend where something has a name."""
    if zero and not place:
        axes.axhline(0.0, color="0.6", linewidth=0.8, zorder=0, label="_nolegend_")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if label is not None:
        axes.legend()
    return axes


def _median(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
