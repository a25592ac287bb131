"""`floss condition`: κ₂ of the long-term Jacobian, computed and predicted, against time and dimensions (Fig. 2)."""

import math
from typing import Any

from torch import Tensor

from floss.analysis.networks import StackedNetworks
from floss.analysis.progress import AnalysisBar
from floss.analysis.run import Table
from floss.jobs.analysis import ConditionJob
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.condition import condition_from_exponents, condition_number
from floss.lyapunov.iteration import qr_chain
from floss.lyapunov.jacobian import one_step_jacobians
from floss.random import Stream

_DIMENSIONS = 40
"""Values of m in the panel against m, at most."""


def measure_conditions(job: ConditionJob, groups: list[StackedNetworks], bar: AnalysisBar) -> dict[str, Table]:
    """The table condition.csv: log10 κ₂ by `method`: exact, theory (Eq. 10), or bits with so many of them."""
    rows: list[list[Any]] = []
    for networks in groups:
        rows += _conditions(job, networks, bar)
    return {"condition": (("horizon", "m", "method", "log10_condition"), rows)}


def _conditions(job: ConditionJob, networks: StackedNetworks, bar: AnalysisBar) -> list[list[Any]]:
    h0 = networks.parameters["h0"][:, 0]
    size, dtype = h0.shape[-1], h0.dtype
    step = networks.cell.step(networks.parameters)
    inputs = networks.inputs(Stream.EVALUATION, job.transient + job.steps)
    q = initial_tangent(networks.seeds, size, size, dtype)
    stage = "after flossing" if networks.k else "before flossing" if job.flossing.epochs else "networks"
    bar.begin(f"Jacobians {stage}", job.transient + 2 * job.steps)
    watched = bar.watched(step)
    if job.transient:  # the state reaches the attractor and Q the Oseledets basis
        before = inputs[: job.transient]
        _, h0, q = qr_chain(watched, Chain(h0, q, before, job.transient, 1, 0), total=True)
    counted = inputs[job.transient :]
    growth, _, _ = qr_chain(watched, Chain(h0, q, counted, job.steps, 1, 0), total=True)
    exponents = (growth[0] / job.steps).sort(-1, descending=True).values
    jacobians = one_step_jacobians(watched, h0, counted)

    several: list[int] = sorted(set(job.dims) if job.dims else {*(k for k in job.flossing.k if k <= size), size})
    every: list[int] = sorted({*range(1, size + 1, math.ceil(size / _DIMENSIONS)), *several})
    times = sorted({max(1, round(job.steps * (i + 1) / job.horizons)) for i in range(job.horizons)})
    rows: list[list[Any]] = []
    for horizons, dims in ((times, several), ([job.at], every)):
        bar.begin(f"condition numbers {stage}", 0)
        exact = condition_number(jacobians, dims=dims, horizons=horizons, q0=q, callback=bar.at)
        rows += _rows(networks, horizons, dims, "exact", exact)
        rows += _rows(networks, horizons, dims, "theory", condition_from_exponents(exponents, horizons, dims))
        if job.bits is not None:
            bar.begin(f"condition numbers {stage}, bits={job.bits}", 0)
            bits: Any = job.bits
            saturating = condition_number(jacobians, dims=dims, horizons=horizons, q0=q, bits=bits, callback=bar.at)
            rows += _rows(networks, horizons, dims, f"bits={job.bits}", saturating)
    # The two sets of horizons and dimensions may meet.
    return list({tuple(row[:-1]): row for row in rows}.values())


def _rows(
    networks: StackedNetworks, horizons: list[int], dims: list[int], method: str, values: Tensor
) -> list[list[Any]]:
    """Values [horizons, R, dims] as rows."""
    table = values.cpu().tolist()
    return [
        [*identity, t, m, method, table[i][r][j]]
        for r, identity in enumerate(networks.identity)
        for i, t in enumerate(horizons)
        for j, m in enumerate(dims)
    ]
