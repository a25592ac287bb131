"""Data of Figs 4, 9 and 10: Hessians at the optimum of linear students that compute the same function."""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.jobs.keys import key, whole
from floss.memory import Hessian, eigenvalue_hessian, hessian, participation
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind
from floss.random import Stream, normal, uniform

LEADING = 10
"""Eigenvectors that are drawn."""
AVERAGED = 4
"""Leading eigenvectors whose participation ratios are averaged."""
RESOLVED = 1e-11
"""Eigenvalues below this share of the largest, of a Hessian with a unit diagonal, are zero in float64."""
STEP_SIZE = 0.01
"""Δ of the S4-like student."""
GROUPS = {
    "dense": {"A": ("A",), "B": ("B",), "C": ("C",), "D": ("D",)},
    "diagonal": {"λ": ("re", "im"), "B": ("B_re", "B_im"), "C": ("C_re", "C_im"), "D": ("D",)},
    "lru": {
        "ν": ("w_nu",),
        "θ": ("w_theta",),
        "γ": ("w_gamma",),
        "B": ("B_re", "B_im"),
        "C": ("C_re", "C_im"),
        "D": ("D",),
    },
    "s4": {
        "Δ": ("w_delta",),
        "Re a": ("w_re",),
        "Im a": ("w_im",),
        "B": ("B_re", "B_im"),
        "C": ("C_re", "C_im"),
        "D": ("D",),
    },
}
"""Parameters of each student in groups, in the order of the rows of its Hessian."""
UNPAIRED = "unpaired"
"""A complex diagonal student whose eigenvalues are no conjugate pairs: it computes another function."""
ANGLES = {"π/100": math.pi / 100, "π/10": math.pi / 10, "π": math.pi}
"""Largest angles θ₀ in Fig. 10."""
MAGNITUDES = (0.99, 0.995)
"""Magnitudes in Fig. 10."""


def students(seeds: Tensor, n: int) -> dict[str, dict[str, Tensor]]:
    """Parameters [R, ...] of one random function per seed, written as each student of `GROUPS`; and unpaired ones.

    n / 2 conjugate pairs of eigenvalues, |λ| uniform in [0.99, 0.993], angles uniform; A = P diag(λ) P⁻¹ with complex
    normal eigenvectors; B ~ N(0, 1), C ~ N(0, 1/n), D ~ N(0, 1). The diagonal students have b = P⁻¹ B and c = C P.
    """
    draw = functools.partial(normal, seeds, Stream.WEIGHTS, dtype=torch.float64)
    nu, turn = uniform(seeds, Stream.WEIGHTS, n, part=0, dtype=torch.float64).chunk(2, dim=-1)
    lam = _paired(torch.polar(0.99 + 0.003 * nu, 2 * math.pi * turn))
    P = _paired(torch.complex(*(draw(n * n // 2, part=part).unflatten(-1, (n, n // 2)) for part in (1, 2))))
    B, C, D = draw(n, part=3), draw(n, part=4) / math.sqrt(n), draw(1, part=5)[:, 0]
    inverse = torch.linalg.inv(P)
    A = (P * lam[:, None]) @ inverse
    b, c = (inverse @ B.to(P)[..., None])[..., 0], (C.to(P)[:, None] @ P)[:, 0]
    free = {"re": lam.real, "im": lam.imag, **_complex(b, c), "D": D}
    gamma = torch.sqrt(1 - lam.abs() ** 2)
    angle = torch.remainder(lam.angle(), 2 * math.pi)
    exp = {"w_nu": torch.log(-torch.log(lam.abs())), "w_theta": torch.log(angle), "w_gamma": torch.log(gamma)}
    log_step = torch.full_like(lam.real, math.log(math.expm1(STEP_SIZE)))
    a = torch.log(lam) / STEP_SIZE
    turned = lam * torch.exp(1j * torch.arange(n, dtype=torch.float64))  # no two of them conjugate
    return {
        "dense": {"A": A.real[:, None], "B": B, "C": C, "D": D},
        "diagonal": free,
        "lru": {**exp, **_complex(b / gamma, c), "D": D},
        "s4": {"w_delta": log_step, "w_re": a.real, "w_im": a.imag, **_complex(b / STEP_SIZE, c), "D": D},
        UNPAIRED: {**free, "re": turned.real, "im": turned.imag},
    }


def _paired(each: Tensor) -> Tensor:
    """Each number of the last axis, followed by its complex conjugate."""
    return torch.stack((each, each.conj()), dim=-1).flatten(-2)


def _complex(b: Tensor, c: Tensor) -> dict[str, Tensor]:
    return {"B_re": b.real, "B_im": b.imag, "C_re": c.real, "C_im": c.imag}


def _hessian(student: str, parameters: dict[str, Tensor], steps: int) -> Hessian:
    return hessian("diagonal" if student == UNPAIRED else student, parameters, steps)


@dataclass(frozen=True, kw_only=True)
class OptimumJob(TablesJob):
    """Keys of `optimum`."""

    seed: int = key(whole(0), "seed of the function")
    n: int = key(whole(2), "hidden units, an even number")
    steps: int = key(whole(1), "steps T of a sequence")


def optimum_tables(job: OptimumJob) -> dict[str, Table]:
    """Hessians of the students that compute one random function, with white input.

    matrix.csv: their entries; groups.csv: which parameter a row belongs to; eigenvalues.csv: descending; vectors.csv:
    the leading eigenvectors.
    """
    matrix, groups, eigenvalues, vectors = [], [], [], []
    for student, parameters in students(torch.tensor([job.seed]), job.n).items():
        if student == UNPAIRED:
            continue
        H = _hessian(student, parameters, job.steps)
        values = H.matrix[0].tolist()
        matrix += [[student, i, j, digits(v, 6)] for i, row in enumerate(values) for j, v in enumerate(row)]
        for group, names in GROUPS[student].items():
            rows = [i for name in names for i in range(len(values))[H.rows[name]]]
            groups += [[student, i, group] for i in rows]
        eigenvalues += [[student, i, digits(v)] for i, v in enumerate(H.eigenvalues()[0].tolist(), 1)]
        leading = H.eigenvectors(LEADING)[0].T.tolist()
        vectors += [[student, i, j, digits(v, 6)] for i, own in enumerate(leading, 1) for j, v in enumerate(own)]
    return {
        "matrix": (("student", "row", "column", "value"), matrix),
        "groups": (("student", "row", "group"), groups),
        "eigenvalues": (("student", "i", "value"), eigenvalues),
        "vectors": (("student", "i", "row", "value"), vectors),
    }


@dataclass(frozen=True, kw_only=True)
class OptimaJob(TablesJob):
    """Keys of `optima`."""

    seeds: int = key(whole(1), "random functions; their seeds count up from 0")
    n: int = key(whole(2), "hidden units, an even number")
    steps: int = key(whole(1), "steps T of a sequence")


def optima_tables(job: OptimaJob) -> dict[str, Table]:
    """Numbers of the students' Hessians for many random functions.

    draws.csv: parameters, rank (of the Hessian scaled to a unit diagonal), largest eigenvalue, and the mean
    participation ratio of the four leading eigenvectors. shares.csv: part of the trace of each group of parameters.
    """
    draws, shares = [], []
    seeds = torch.arange(job.seeds)
    for student, parameters in students(seeds, job.n).items():
        H = _hessian(student, parameters, job.steps)
        scale = H.matrix.diagonal(dim1=-2, dim2=-1).sqrt()
        rank = torch.linalg.matrix_rank(H.matrix / (scale[:, :, None] * scale[:, None]), rtol=RESOLVED)
        spread = participation(H.eigenvectors(AVERAGED), dim=-2).mean(-1)
        size = [H.matrix.shape[-1]] * job.seeds
        draws += rows_of([student] * job.seeds, seeds, size, rank, H.eigenvalues()[:, 0], spread)
        for group, names in GROUPS.get(student, {}).items():
            shares += rows_of([student] * job.seeds, seeds, [group] * job.seeds, H.share(*names), count=8)
    return {
        "draws": (("student", "seed", "parameters", "rank", "largest", "participation"), draws),
        "shares": (("student", "seed", "group", "share"), shares),
    }


@dataclass(frozen=True, kw_only=True)
class RingJob(TablesJob):
    """Keys of `ring`."""

    seeds: int = key(whole(1), "draws of eigenvalues and residues; their seeds count up from 0")
    n: int = key(whole(2), "eigenvalues")


def ring_tables(job: RingJob) -> dict[str, Table]:
    """Hessians over (Re λ, Im λ) of complex diagonal students with eigenvalues in a ring, |θ| ≤ θ₀.

    |λ| from 0.99 to 0.995, uniform in the area; θ uniform; b and c complex normal, variance 1. draws.csv: share of
    the squared entries that lie off the diagonal, and the largest entry, for ρ = 0.99 and 0. example.csv: the
    Hessians of the first draw with ρ = 0.99.
    """
    seeds = torch.arange(job.seeds)
    u, turn = uniform(seeds, Stream.WEIGHTS, 2 * job.n, part=0, dtype=torch.float64).chunk(2, dim=-1)
    nu = torch.sqrt(u * (MAGNITUDES[1] ** 2 - MAGNITUDES[0] ** 2) + MAGNITUDES[0] ** 2)
    parts = normal(seeds, Stream.WEIGHTS, 4 * job.n, part=1, dtype=torch.float64) / math.sqrt(2)
    b, c = (torch.complex(*each.chunk(2, dim=-1)) for each in parts.chunk(2, dim=-1))
    draws, example = [], []
    for rho in (0.99, 0.0):
        for name, theta in ANGLES.items():
            H = eigenvalue_hessian(torch.polar(nu, theta * (2 * turn - 1)), b * c, rho)
            squares = H**2
            off = 1 - squares.diagonal(dim1=-2, dim2=-1).sum(-1) / squares.sum((-1, -2))
            draws += rows_of([rho] * job.seeds, [name] * job.seeds, seeds, off, H.abs().amax((-1, -2)), count=8)
            if rho:
                entries = H[0].tolist()
                example += [[name, i, j, digits(v, 6)] for i, row in enumerate(entries) for j, v in enumerate(row)]
    return {
        "draws": (("rho", "theta0", "seed", "off_diagonal", "largest"), draws),
        "example": (("theta0", "row", "column", "value"), example),
    }


OPTIMUM = tables_kind("optimum", OptimumJob, optimum_tables)
OPTIMA = tables_kind("optima", OptimaJob, optima_tables, seconds=10)
RING = tables_kind("ring", RingJob, ring_tables)
