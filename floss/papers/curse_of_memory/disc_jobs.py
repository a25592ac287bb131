"""Data of Fig. 8: how the sensitivities of two neurons go together, over the disc, and a simulation that checks it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.jobs.keys import key, real, whole
from floss.memory import sensitivity_moment
from floss.papers.curse_of_memory.neuron_jobs import RHO, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind

MAGNITUDE, ANGLE = 0.99, math.pi / 4
"""Of λ₀."""


@dataclass(frozen=True, kw_only=True)
class DiscJob(TablesJob):
    """Keys of `disc`."""

    radii: int = key(whole(2), "magnitudes of λ from 0 to 0.99, the closer together the larger")
    eighths: int = key(whole(1), "angles of λ in an eighth of the circle")


def disc_tables(job: DiscJob) -> dict[str, Table]:
    """disc.csv: |S(λ, λ₀, ρ)| with λ₀ = 0.99 exp(iπ/4), at λ = radius · exp(i · degrees): corrected, and as printed."""
    radius = 1.0 - (1.0 - MAGNITUDE) ** torch.linspace(0, 1, job.radii, dtype=torch.float64)
    degrees = 45.0 / job.eighths * torch.arange(-4 * job.eighths, 4 * job.eighths, dtype=torch.float64)
    radius, degrees = (each.flatten() for each in torch.meshgrid(radius, degrees, indexing="ij"))
    lam = torch.polar(radius, torch.deg2rad(degrees))
    own = torch.polar(*(torch.tensor(v, dtype=torch.float64) for v in (MAGNITUDE, ANGLE)))
    rows = []
    for rho in RHO:
        values = [each.abs() for each in (sensitivity_moment(lam, own, rho), printed_moment(lam, own, rho))]
        rows += rows_of([rho] * len(lam), radius, degrees, *values, count=6)
    return {"disc": (("rho", "radius", "degrees", "corrected", "printed"), rows)}


def printed_moment(a: Tensor, b: Tensor, rho: float) -> Tensor:
    """S(a, b, ρ) as the paper prints it (App. A): 1 - ρ stands in two places where 1 - ρ² belongs."""
    ab = a * b
    numerator = (1 - rho) * (1 + ab) + rho**2 * (1 - ab) ** 3
    numerator = numerator + rho * (1 - rho) * ab * (rho * ab * (1 + ab) - 2 * a - 2 * b)
    return numerator / ((1 - ab) ** 3 * (1 - rho * a) ** 2 * (1 - rho * b) ** 2)


@dataclass(frozen=True, kw_only=True)
class SimulatedJob(TablesJob):
    """Keys of `simulated`."""

    lam: float = key(real(0.0), "eigenvalue λ, real")
    rho: float = key(real(0.0), "correlation ρ of the input")
    batches: int = key(whole(1), "batches of sequences; seeds count up from 0")
    sequences: int = key(whole(1), "sequences in a batch")
    steps: int = key(whole(1), "steps of a sequence")


def simulated_tables(job: SimulatedJob) -> dict[str, Table]:
    """batches.csv: means of h² and of (∂h/∂λ)² at the last step over the sequences of a batch, and both formulas."""
    from floss.random import Stream, normal

    shape = (job.batches, job.steps, job.sequences)
    noise = normal(torch.arange(job.batches), Stream.EVALUATION, job.steps * job.sequences, dtype=torch.float64)
    noise = noise.reshape(shape)
    x = noise[:, 0]
    h, slope = x, torch.zeros_like(x)
    for t in range(1, job.steps):
        x = job.rho * x + math.sqrt(1 - job.rho**2) * noise[:, t]
        h, slope = job.lam * h + x, job.lam * slope + h
    lam = torch.tensor(job.lam, dtype=torch.float64)
    formulas = [float(f(lam, lam, job.rho)) for f in (sensitivity_moment, printed_moment)]
    means = [(each**2).mean(-1) for each in (h, slope)]
    rows = rows_of(range(job.batches), *means, *([value] * job.batches for value in formulas))
    return {"batches": (("seed", "state", "sensitivity", "corrected", "printed"), rows)}


DISC = tables_kind("disc", DiscJob, disc_tables)
SIMULATED = tables_kind("simulated", SimulatedJob, simulated_tables, seconds=5)
