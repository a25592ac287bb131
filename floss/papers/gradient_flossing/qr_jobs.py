"""Data of the panels on orthonormalisation (App. F, J): what it costs, how often it is needed, and what it leads to.

`qr_cost` times flossing epochs by the clock. `qr_interval` follows tangent vectors of random networks in float64.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from floss.jobs.keys import key, whole
from floss.papers.tables import Table, TablesJob, tables_kind

INTERVALS = {"cost": (1, 2, 3, 5), "exponents": (1, 2, 3, 4, 6, 8, 12, 16)}
"""Orthonormalisation intervals t_ONS in steps."""
SHOWN = (1, 20, 60, 80)
"""Columns of Q whose convergence is tabled, as in Fig. 16, where there are so many."""


@dataclass(frozen=True, kw_only=True)
class QRCostJob(TablesJob):
    """Keys of `qr_cost`."""

    n: int = key(whole(2), "units")
    k: int = key(whole(1), "flossed exponents")
    steps: int = key(whole(1), "steps T_f of a flossing epoch")
    networks: int = key(whole(1), "networks side by side")
    rounds: int = key(whole(1), "rounds, in each of which every interval is timed once")
    epochs: int = key(whole(1), "flossing epochs that are timed together")


def cost_tables(job: QRCostJob) -> dict[str, Table]:
    """cost.csv: milliseconds of one network's flossing epoch, by round and interval, and its number of QR steps.

    Of orthogonal weights, whose tangent vectors remain well-conditioned over the longest interval. In rounds, so that
    a drifting machine is the same for all intervals.
    """
    from floss.training import engines
    from floss.training.ensemble import Ensemble, Network, Protocol
    from floss.training.training import Training

    engine = engines.find("auto", arch="vanilla", device="cpu")

    def episode(t_ons: int) -> Any:
        protocol = Protocol(n=job.n, init="orthogonal", epochs=10**9, flossing_epochs=10**9, t_ons=t_ons)
        networks = [
            Network(seed=seed, d=2, episodes=(0,), k=job.k, flossing_steps=job.steps) for seed in range(job.networks)
        ]
        training = Training(Ensemble(networks, protocol, "cpu"), engine)
        own = training.episode()
        return lambda count: training.floss_epochs(own, count)

    loops = {t_ons: episode(t_ons) for t_ons in INTERVALS["cost"]}
    for loop in loops.values():
        loop(1)
    rows = []
    for number in range(job.rounds):
        for t_ons, loop in loops.items():
            start = time.perf_counter()
            loop(job.epochs)
            ms = 1e3 * (time.perf_counter() - start) / (job.epochs * job.networks)
            rows.append([engine.name, job.n, job.k, job.steps, number, t_ons, -(-job.steps // t_ons), ms])
    return {"cost": (("engine", "n", "k", "steps", "round", "t_ons", "decompositions", "ms"), rows)}


@dataclass(frozen=True, kw_only=True)
class QRIntervalJob(TablesJob):
    """Keys of `qr_interval`."""

    n: int = key(whole(2), "units")
    seeds: int = key(whole(1), "networks; their seeds count up from 0")
    steps: int = key(whole(1), "steps over which exponents are measured, after as many that are not")
    turn: int = key(whole(1), "steps along which two sets of tangent vectors are compared")


def interval_tables(job: QRIntervalJob) -> dict[str, Table]:
    """intervals.csv and basis.csv, of networks with g = 1 driven by standard normal input, all N tangent vectors.

    intervals.csv: of each interval t_ONS the medians over the run of log10 κ₂ of the tangent vectors right before they
    are orthonormalised, by its singular values (exact) and by R₁₁ / R_NN (estimate, Eq. 28; the largest and smallest of
    the diagonal), and the largest error of the exponents relative to those of t_ONS = 1.
    basis.csv: the angle between the columns i of two Q along the same trajectory that began with different ones, in
    radians, whatever their signs.
    """
    step, h0, inputs = _networks(job, max(2 * job.steps, job.turn))
    intervals: list[list[Any]] = []
    exponents: dict[int, Tensor] = {}
    for t_ons in INTERVALS["exponents"]:
        growth = torch.zeros(job.seeds, job.n, dtype=torch.float64)
        exact, estimate = [], []
        for s, z, q, r in _chain(step, h0, _tangent(job, 0), inputs[: 2 * job.steps], t_ons, job.steps):
            if s <= job.steps:
                continue
            del q
            log_r = r.log()
            growth += log_r
            estimate.append((log_r.amax(-1) - log_r.amin(-1)) / torch.log(torch.tensor(10.0)))
            sigma = torch.linalg.svdvals(z)
            exact.append((sigma[:, 0] / sigma[:, -1]).log10())
        exponents[t_ons] = growth / job.steps
        error = (exponents[t_ons] - exponents[1]).abs().amax(-1)
        middle = [torch.stack(each).median(0).values for each in (exact, estimate)]
        intervals += [
            [seed, t_ons, *map(float, (middle[0][seed], middle[1][seed], error[seed]))] for seed in range(job.seeds)
        ]
    pairs = zip(*(_chain(step, h0, _tangent(job, i), inputs[: job.turn], 1, 0) for i in (0, 1)), strict=True)
    shown = [i for i in SHOWN if i <= job.n]
    rows = []
    for (s, _, q, _), (_, _, other, _) in pairs:
        if s in _times(job.turn):
            angle = torch.atan2((q - other * (q * other).sum(-2, keepdim=True)).norm(dim=-2), (q * other).sum(-2).abs())
            rows += [[seed, s, i, float(angle[seed, i - 1])] for seed in range(job.seeds) for i in shown]
    return {
        "intervals": (("seed", "t_ons", "log10_exact", "log10_estimate", "error"), intervals),
        "basis": (("seed", "step", "i", "angle"), rows),
    }


def _times(steps: int) -> set[int]:
    """About fifty steps, spread evenly."""
    return set(range(max(1, steps // 50), steps + 1, max(1, steps // 50))) | {steps, min(10, steps)}


def _networks(job: QRIntervalJob, steps: int) -> tuple[Any, Tensor, Tensor]:
    """The map of the networks, their initial states [R, N] and inputs [T, R, 1]."""
    from floss.networks import CELLS
    from floss.random import Stream, normal

    seeds, gains = torch.arange(job.seeds), torch.ones(job.seeds)
    parameters = CELLS["vanilla"].initial_parameters(seeds, gains, n=job.n, inputs=1, batch=1, dtype=torch.float64)
    drive = normal(seeds, Stream.EVALUATION, steps, dtype=torch.float64)
    return CELLS["vanilla"].step(parameters), parameters["h0"][:, 0], drive.T[..., None]


def _tangent(job: QRIntervalJob, number: int) -> Tensor:
    """One of several random orthonormal Q₀ [R, N, N]."""
    from floss.lyapunov.chain import initial_tangent

    return initial_tangent(torch.arange(job.seeds) + job.seeds * number, job.n, job.n)


def _chain(
    step: Any, h: Tensor, q: Tensor, inputs: Tensor, t_ons: int, transient: int
) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """The QR iteration as plainly as it can be written: after each interval the step, D⋯D Q, the new Q, and diag R.

    An interval ends at the end of the transient and of the run as well.
    """
    last = 0
    for s, x in enumerate(inputs, 1):
        h, q = step.advance(h, q, x)
        if s - last == t_ons or s in (transient, len(inputs)):
            z, last = q, s
            q, r = torch.linalg.qr(z)
            diagonal = r.diagonal(dim1=-2, dim2=-1)
            q = q * diagonal.sign()[:, None, :]
            yield s, z, q, diagonal.abs()


QR_COST = tables_kind("qr_cost", QRCostJob, cost_tables, seconds=30)
QR_INTERVAL = tables_kind("qr_interval", QRIntervalJob, interval_tables, seconds=120)
