"""Data of the study M1 to M3: linear students right after flossing, before they are trained."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from floss.jobs.keys import key, list_of, one_of, real, whole
from floss.memory import authors_teacher
from floss.networks.linear_students import LinearStudent
from floss.papers.curse_of_memory.hessian_jobs import GROUPS
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind
from floss.tasks.teacher import Teacher
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

NONE = 9.0
"""Stands for the target of networks that are not flossed."""


@dataclass(frozen=True, kw_only=True)
class FlossedJob(TablesJob):
    """Keys of `flossed`: those of `floss train` with the same names, and `arch`, `targets` for `flossing.target`."""

    student: str = key(one_of("dense", "diagonal", "lru"), "kind of the networks")
    seed: int = key(whole(0), "seed of the first network")
    seeds: int = key(whole(1), "networks; their seeds count up from `seed`")
    n: int = key(whole(2), "hidden units")
    heads: int = key(whole(1), "blocks of a dense recurrence")
    nu: float = key(real(0.0, below=1.0), "least eigenvalue magnitude of the teacher, and of diagonal students")
    steps: int = key(whole(1), "steps T of a sequence")
    targets: tuple[float, ...] = key(list_of(real()), "wanted values of the exponents, each of networks of its own")
    k: int = key(whole(1), "number of flossed exponents")
    t_ons: int = key(whole(1), "orthonormalisation interval, in steps")
    epochs: int = key(whole(1), "flossing epochs")
    lr: float = key(real(0.0, above=True), "learning rate of flossing")


def flossed_tables(job: FlossedJob) -> dict[str, Table]:
    """Networks of each target, and those that are not flossed (target 9).

    networks.csv: median and largest log |λ|, loss, and of the Hessian Jᵀ diag(1 - τ/T) J the largest eigenvalue and the
    share of its squared entries off the diagonal. gradients.csv: mean squared gradient of the loss in each group of
    parameters. Both losses and gradients are expectations over white input.
    """
    networks, gradients = [], []
    seeds = list(range(job.seed, job.seed + job.seeds))
    teacher = authors_teacher(job.nu, math.pi, job.steps)
    weights = 1.0 - torch.arange(job.steps, dtype=torch.float64) / job.steps
    for target in (NONE, *job.targets):
        cell, parameters = _flossed(job, seeds, target)
        growth = cell.student.eigenvalues(parameters).abs().log()
        measured = [
            _measure(cell, {n: p[i] for n, p in parameters.items()}, teacher, weights) for i in range(job.seeds)
        ]
        columns = zip(*(own[0] for own in measured), strict=True)
        networks += rows_of(
            [target] * job.seeds, seeds, growth.median(-1).values, growth.max(-1).values, *columns, count=7
        )
        for seed, (_, slopes) in zip(seeds, measured, strict=True):
            for group, names in GROUPS[job.student].items():
                mean = torch.cat([slopes[name].flatten() for name in names]).square().mean()
                gradients.append([target, seed, group, digits(mean, 7)])
    columns = ("target", "seed", "growth", "largest_growth", "loss", "largest", "off_diagonal")
    return {"networks": (columns, networks), "gradients": (("target", "seed", "group", "mean_square"), gradients)}


def _flossed(job: FlossedJob, seeds: list[int], target: float) -> tuple[LinearStudent, dict[str, Tensor]]:
    """Networks after their episode, as `floss train` has them before its first epoch, in float64."""
    teacher = Teacher("authors", job.nu, math.pi)
    episodes = () if target == NONE else (0,)
    nu = 0.0 if job.student == "dense" else job.nu
    own = Network(0, 0, episodes=episodes, k=job.k, target=target, teacher=teacher, nu=nu)
    ensemble = Ensemble(
        [dataclasses.replace(own, seed=seed) for seed in seeds],
        Protocol(
            task="teacher",
            arch=f"linear_{job.student}",
            n=job.n,
            steps=job.steps,
            batch=1,
            clip=None,
            flossing_epochs=job.epochs,
            flossing_lr=job.lr,
            t_ons=job.t_ons,
            heads=job.heads,
        ),
    )
    training = Training(ensemble)
    episode = training.episode()
    while not episode.over:
        training.floss_epochs(episode, 1)
    cell = ensemble.cell
    assert isinstance(cell, LinearStudent)
    return cell, {name: ensemble.parameters[name].double() for name in cell.student.dims}


def _measure(
    cell: LinearStudent, parameters: dict[str, Tensor], teacher: Tensor, weights: Tensor
) -> tuple[tuple[float, float, float], dict[str, Tensor]]:
    """Loss, largest eigenvalue of the Hessian, share off its diagonal; and the gradient of the loss."""

    def response(own: dict[str, Tensor]) -> Tensor:
        k = cell.student.kernel(own, len(teacher))
        return torch.cat((k[..., :1] + own["D"][..., None], k[..., 1:]), dim=-1)

    difference = response(parameters) - teacher
    jacobian = torch.func.jacrev(response)(parameters)
    flat = torch.cat([part.reshape(len(teacher), -1) for part in jacobian.values()], -1) * weights.sqrt()[:, None]
    gram = flat @ flat.T  # its eigenvalues that are not zero, and its squares, are those of the Hessian
    off = 1.0 - (flat**2).sum(0).square().sum() / gram.square().sum()
    loss = 0.5 * (weights * difference**2).sum()
    slopes = {name: torch.tensordot(weights * difference, part, 1) for name, part in jacobian.items()}
    return (float(loss), float(torch.linalg.eigvalsh(gram)[-1]), float(off)), slopes


FLOSSED = tables_kind("flossed", FlossedJob, flossed_tables, seconds=120)
