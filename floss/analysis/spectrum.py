"""`floss spectrum`: the Lyapunov spectra of networks, their convergence, and what follows from them."""

from typing import Any

import torch

from floss.analysis.networks import StackedNetworks
from floss.analysis.progress import AnalysisBar
from floss.analysis.run import Table
from floss.jobs.analysis import SpectrumJob
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.dimension import entropy_rate, kaplan_yorke_dimension
from floss.lyapunov.history import LyapunovHistory
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.spectrum import adaptive_t_ons
from floss.random import Stream

_POINTS = 200
"""Rows of the convergence table per exponent, at most."""


def measure_spectra(job: SpectrumJob, groups: list[StackedNetworks], bar: AnalysisBar) -> dict[str, Table]:
    """The tables spectrum.csv, dimensions.csv and convergence.csv."""
    spectrum: list[list[Any]] = []
    dimensions: list[list[Any]] = []
    convergence: list[list[Any]] = []
    for networks in groups:
        history = _history(job, networks, bar)
        _tabulate(job, networks, history, spectrum, dimensions, convergence)
    return {
        "dimensions": (("state", "lambda_1", "kaplan_yorke_dimension", "entropy_rate", "t_ons"), dimensions),
        "convergence": (("state", "step", "i", "lambda"), convergence),
        "spectrum": (("state", "i", "lambda", "standard_error"), spectrum),
    }


def _history(job: SpectrumJob, networks: StackedNetworks, bar: AnalysisBar) -> LyapunovHistory:
    """All networks and all their initial states in one run; [R, B] trajectories."""
    h0 = networks.parameters["h0"]
    size = h0.shape[-1]
    steps, k = job.transient + job.steps, size if job.k is None else job.k
    inputs = networks.inputs(Stream.EVALUATION, steps)[:, :, None].expand(-1, -1, h0.shape[1], -1)
    q = initial_tangent(networks.seeds, size, k, h0.dtype)[:, None].expand(-1, h0.shape[1], -1, -1)
    step = networks.cell.step(networks.parameters)
    t_ons = job.t_ons
    if isinstance(t_ons, str):
        try:
            t_ons = adaptive_t_ons(step, h0, inputs, q0=q)
        except ValueError:  # exponents that are lost, or a state that is not finite: no interval is safe
            t_ons = 1
    bar.begin("spectrum after flossing" if networks.k else "spectrum", steps)
    watched = bar.watched(step)
    if job.transient:  # a run of its own: a direction that is lost in it is replaced, and not missed afterwards
        _, h0, q = qr_chain(watched, Chain(h0, q, inputs[: job.transient], job.transient, t_ons, 0), total=True)
    growth, h, q = qr_chain(watched, Chain(h0, q, inputs[job.transient :], job.steps, t_ons, 0))
    growth = torch.where(torch.isfinite(h).all(-1, keepdim=True), growth, torch.nan)
    lengths = torch.full((len(growth),), t_ons, dtype=torch.int64)
    lengths[-1] = job.steps - t_ons * (len(growth) - 1)
    return LyapunovHistory(growth, lengths, t_ons, h, q)


def _tabulate(
    job: SpectrumJob,
    networks: StackedNetworks,
    history: LyapunovHistory,
    spectrum: list[list[Any]],
    dimensions: list[list[Any]],
    convergence: list[list[Any]],
) -> None:
    exponents = history.exponents.cpu()
    enough = len(history.growth) >= job.blocks
    errors = history.standard_error(job.blocks).cpu() if enough else torch.full_like(exponents, torch.nan)
    dimension, entropy = kaplan_yorke_dimension(exponents), entropy_rate(exponents)
    rows = torch.linspace(0, len(history.growth) - 1, min(_POINTS, len(history.growth))).round().long().unique()
    times, running = history.times[rows].tolist(), history.convergence[rows].cpu()
    shown = [i for i in job.show if i <= exponents.shape[-1]]
    for r, identity in enumerate(networks.identity):
        for state in range(exponents.shape[1]):
            network = [*identity, state]
            lam, error = exponents[r, state].tolist(), errors[r, state].tolist()
            spectrum += [[*network, i + 1, *pair] for i, pair in enumerate(zip(lam, error, strict=True))]
            dimensions.append([*network, lam[0], float(dimension[r, state]), float(entropy[r, state]), history.t_ons])
            for i in shown:
                course = running[:, r, state, i - 1].tolist()
                convergence += [[*network, t, i, value] for t, value in zip(times, course, strict=True)]
