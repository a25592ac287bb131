"""Data of Figs 1, 2 and 6: moments, losses and curvatures of one linear neuron, all closed forms."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from floss.jobs.keys import key, switch, whole
from floss.memory import (
    PARAMETRISATIONS,
    Parametrisation,
    curvature,
    sensitivity_moment,
    state_moment,
    teacher_student_loss,
)
from floss.papers.tables import Table, TablesJob, tables_kind

RHO = (0.0, 0.9, 0.99, 0.999, 1.0)
"""Correlations of the input from one step to the next: white noise to a constant."""
TEACHERS = (0.36, 0.68, 0.84, 0.92, 0.96, 0.98, 0.99)
"""|λ*|, 1 minus 0.64 … 0.01."""
TEACHER_ANGLE = math.pi / 100
"""Angle of the teacher in Fig. 6."""
SHOWN = ("polar", "exp", "optimal")
"""The paper's parametrisations, in the order of its figures."""


def digits(value: Any, count: int = 9) -> float:
    """A number in so many significant digits: what lies below is noise that differs between processors."""
    return float(f"{float(value):.{count}g}")


def rows_of(*columns: Iterable[Any], count: int = 9) -> list[list[Any]]:
    """Rows of columns of equal length; numbers of tensors have `count` significant digits."""
    lists = [column.tolist() if isinstance(column, Tensor) else list(column) for column in columns]
    return [
        [digits(value, count) if isinstance(value, float) else value for value in row]
        for row in zip(*lists, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class MomentsJob(TablesJob):
    """Keys of `moments`."""

    points: int = key(whole(2), "values of λ, evenly spaced in -log₁₀(1 - λ) from 0 to 4")
    normalised: bool = key(switch(), "whether inputs are multiplied by γ, and derivatives are along ω of λ = exp(-e^ω)")


def moments_tables(job: MomentsJob) -> dict[str, Table]:
    """moments.csv: E h² and E (∂h/∂λ)² of a real λ = 1 - 10^-nines, for every correlation ρ of the input.

    Normalised: γ² E h² and E (∂h/∂ω)² = γ² (λ log λ)² E (∂h/∂λ)², with γ = √(1 - λ²) through which no gradient flows.
    """
    nines = torch.linspace(0, 4, job.points, dtype=torch.float64)
    lam = 1.0 - 10.0**-nines
    rows = []
    for rho in RHO:
        state, sensitivity = state_moment(lam, lam, rho), sensitivity_moment(lam, lam, rho)
        if job.normalised:
            gamma2 = 1.0 - lam**2
            state, sensitivity = gamma2 * state, gamma2 * torch.xlogy(lam, lam) ** 2 * sensitivity
        rows += rows_of([rho] * job.points, nines, state, sensitivity)
    return {"moments": (("rho", "nines", "state", "sensitivity"), rows)}


@dataclass(frozen=True, kw_only=True)
class LandscapesJob(TablesJob):
    """Keys of `landscapes`."""

    points: int = key(whole(3), "values of λ, and of the angle")


def landscapes_tables(job: LandscapesJob) -> dict[str, Table]:
    """Losses of one neuron that learns the eigenvalue of another, white input, without normalisation.

    magnitude.csv: L(λ), real λ from 0 to 0.999, for every teacher. angle.csv: L at |λ| = λ* against the angle to the
    teacher's eigenvalue, from -π to π, the closer together the smaller. optimum.csv: loss at the angle π, the angle at
    which it is half of that, and the curvatures ∂²L/∂|λ|² and ∂²L/∂θ² at the optimum.
    """
    lam = torch.linspace(0, 0.999, job.points, dtype=torch.float64)
    angle = math.pi * torch.linspace(-1, 1, job.points, dtype=torch.float64) ** 3
    magnitude, turned, optimum = [], [], []
    for nu in TEACHERS:
        teacher = torch.tensor(nu, dtype=torch.float64)
        magnitude += rows_of([nu] * job.points, lam, teacher_student_loss(lam, teacher))
        turned += rows_of([nu] * job.points, angle, _turned(teacher, angle))
        curvatures = curvature("polar", teacher, torch.zeros_like(teacher), normalised=False)
        far = _turned(teacher, torch.tensor(math.pi, dtype=torch.float64))
        optimum.append([nu, *map(digits, (far, _half(teacher, far), *curvatures))])
    return {
        "magnitude": (("teacher", "lam", "loss"), magnitude),
        "angle": (("teacher", "angle", "loss"), turned),
        "optimum": (("teacher", "loss_at_pi", "half_width", "curvature_nu", "curvature_theta"), optimum),
    }


def _turned(teacher: Tensor, angle: Tensor) -> Tensor:
    """L of a student with the teacher's magnitude at some angle to it."""
    return teacher_student_loss(torch.polar(teacher.expand_as(angle), angle), teacher)


def _half(teacher: Tensor, far: Tensor) -> float:
    """The angle at which the loss is half of that at π, by bisection: it rises with the angle."""
    low, high = 0.0, math.pi
    for _ in range(60):
        middle = (low + high) / 2
        if float(_turned(teacher, torch.tensor(middle, dtype=torch.float64))) < float(far) / 2:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True, kw_only=True)
class ParametrisedJob(TablesJob):
    """Keys of `parametrised`."""

    points: int = key(whole(4), "points of each curve, a third of them around the optimum")


_AXES = {
    ("polar", "nu"): (0.001, 0.999),
    ("exp", "nu"): (-9.0, 2.0),
    ("optimal", "nu"): (-2.0, 5.0),
    ("polar", "theta"): (-math.pi, math.pi),
    ("exp", "theta"): (math.log(1e-3), math.log(math.pi)),
    ("optimal", "theta"): (-5 * math.pi, 5 * math.pi),
}
"""Ranges of ω_ν and ω_θ in Fig. 6; magnitudes at the open ends of theirs."""


def parametrised_tables(job: ParametrisedJob) -> dict[str, Table]:
    """Normalised loss along each variable of each parametrisation, the other held at its true value; white input.

    curves.csv: loss and second derivative against ω (w), for every teacher: angle 0 along ω_ν, where it does not
    matter, and π/100 along ω_θ. optimum.csv: where the optimum is, and the curvatures there.
    """
    curves, optimum = [], []
    for name in SHOWN:
        p = PARAMETRISATIONS[name]
        for nu in TEACHERS:
            teacher, theta = (torch.tensor(value, dtype=torch.float64) for value in (nu, TEACHER_ANGLE))
            truth = p.inverse_magnitude(teacher), p.inverse_angle(theta, teacher)
            at_optimum = curvature(name, teacher, theta)
            optimum.append([name, nu, *map(digits, (*truth, *at_optimum))])
            for variable in ("nu", "theta"):
                w = _around(truth[variable == "theta"], *_AXES[name, variable], job.points)
                wanted = teacher.expand_as(w)
                if variable == "nu":
                    loss, bend = _along_magnitude(p, w, teacher)
                else:
                    at = (truth[0].expand_as(w), w)
                    turned = torch.polar(wanted, p.angle(w, wanted))
                    loss = teacher_student_loss(turned, torch.polar(teacher, theta), normalised=True)
                    _, bend = curvature(name, wanted, theta.expand_as(w), at=at)
                same = [[value] * job.points for value in (name, variable, nu)]
                curves += rows_of(*same, w, loss, bend)
    return {
        "curves": (("parametrisation", "variable", "teacher", "w", "loss", "curvature"), curves),
        "optimum": (("parametrisation", "teacher", "w_nu", "w_theta", "curvature_nu", "curvature_theta"), optimum),
    }


def _along_magnitude(p: Parametrisation, w: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """L and ∂²L/∂ω_ν² of a student with the teacher's angle: here it is 0, and a magnitude of 0 no special place."""
    w = w.clone().requires_grad_()
    loss = teacher_student_loss(p.magnitude(w), teacher, normalised=True)
    (slope,) = torch.autograd.grad(loss.sum(), w, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), w)
    return loss.detach(), bend


def _around(centre: Tensor, low: float, high: float, points: int) -> Tensor:
    """Points of an axis: evenly spaced, and a third of them the closer together, the closer to a place on it."""
    number = points // 3 | 1  # odd, so that the place is one of them
    near = centre + 0.5 * (high - low) * torch.linspace(-1, 1, number, dtype=torch.float64) ** 3
    even = torch.linspace(low, high, points - number, dtype=torch.float64)
    return torch.cat((even, near.clamp(low, high))).sort().values


MOMENTS = tables_kind("moments", MomentsJob, moments_tables)
LANDSCAPES = tables_kind("landscapes", LandscapesJob, landscapes_tables)
PARAMETRISED = tables_kind("parametrised", ParametrisedJob, parametrised_tables)
