"""Data of Figs 4C, D and 9C, D: the learning rates that Adam gives to the parameters of trained linear students."""

from dataclasses import dataclass

import torch
from torch import Tensor

from floss.jobs.keys import key, real, whole
from floss.memory import authors_teacher
from floss.networks.linear_students import CELLS as STUDENTS
from floss.networks.linear_students.cells import InitialSpectrum, LinearStudent
from floss.papers.curse_of_memory.hessian_jobs import GROUPS
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind
from floss.random import Stream
from floss.tasks import TASKS
from floss.training.adam import Adam
from floss.training.engines.convolution import autocorrelation

CODE = "s4_code"
"""The S4-like student with the initial values of the authors' code: step sizes spread, Re a = -1, angles near 0."""
KINDS = ("dense", "diagonal", "lru", "s4", CODE)


@dataclass(frozen=True, kw_only=True)
class RatesJob(TablesJob):
    """Keys of `rates`."""

    seeds: int = key(whole(1), "networks of each kind; their seeds count up from 0")
    n: int = key(whole(2), "hidden units")
    nu: float = key(real(0.0, below=1.0), "least eigenvalue magnitude of the teacher, and of diagonal students")
    steps: int = key(whole(1), "steps T of a sequence")
    batch: int = key(whole(1), "sequences in a batch")
    epochs: int = key(whole(1), "training epochs, at a constant learning rate")
    lr: float = key(real(0.0, above=True), "learning rate")


def rates_tables(job: RatesJob) -> dict[str, Table]:
    """Effective learning rates at the end of training: what the next step would take of a gradient of ones.

    entries.csv: those of every parameter of the networks of seed 0. groups.csv: of every group of parameters of each
    network, how many entries it has and how many of the rates are negative, and log₁₀ of the median, tenth and
    ninetieth percentile of the positive ones. losses.csv: the expected loss at the end. Networks of one seed see the
    same data.
    """
    networks = {kind: _Networks(kind, job) for kind in KINDS}
    _train(list(networks.values()), job)
    entries, groups, losses = [], [], []
    for kind, own in networks.items():
        losses += rows_of([kind] * job.seeds, range(job.seeds), own.expected_loss())
        for group, names in GROUPS[own.student].items():
            rates = torch.cat([own.adam.effective_rate(name).reshape(job.seeds, -1) for name in names], -1).double()
            entries += [[kind, group, digits(rate, 6)] for rate in rates[0].tolist()]
            for seed, values in enumerate(rates):
                groups.append([kind, seed, group, len(values), int((values < 0).sum()), *_quantiles(values)])
    return {
        "entries": (("student", "group", "rate"), entries),
        "groups": (("student", "seed", "group", "entries", "negative", "median", "low", "high"), groups),
        "losses": (("student", "seed", "loss"), losses),
    }


def _quantiles(values: Tensor) -> list[float]:
    """log₁₀ of the median and of both outer tenths of the positive ones; NaN where there is none."""
    positive = values[values > 0]
    if not len(positive):
        return [float("nan")] * 3
    parts = torch.tensor([0.5, 0.1, 0.9], dtype=torch.float64)
    return [digits(value) for value in torch.log10(torch.quantile(positive, parts)).tolist()]


class _Networks:
    """Students of one kind, one for each seed, and their optimizer."""

    def __init__(self, kind: str, job: RatesJob) -> None:
        self.student = "s4" if kind == CODE else kind
        self.cell: LinearStudent = STUDENTS[f"linear_{self.student}"]
        seeds = torch.arange(job.seeds)
        nu = torch.full((job.seeds,), 0.0 if self.student == "dense" else job.nu, dtype=torch.float64)
        self.parameters = self.cell.initial_parameters(
            seeds, torch.ones(job.seeds), n=job.n, spectrum=InitialSpectrum(nu, torch.full_like(nu, torch.pi))
        )
        del self.parameters["h0"]
        if kind == CODE:
            self.parameters |= code_initial(self.parameters)
        self.adam = Adam(self.parameters, job.lr)
        self.teacher = authors_teacher(job.nu, torch.pi, job.steps)

    def response(self, parameters: dict[str, Tensor]) -> Tensor:
        """k_0 … k_{T-1}, [R, T]."""
        k = self.cell.student.kernel(parameters, len(self.teacher))
        return torch.cat((k[..., :1] + parameters["D"][..., None], k[..., 1:]), dim=-1)

    def step(self, G: Tensor) -> None:
        """One step of Adam along the gradient G (k - k*) of each network's own data."""
        leaves = {name: value.detach().requires_grad_() for name, value in self.parameters.items()}
        k = self.response(leaves)
        slope = torch.einsum("rst,rt->rs", G, k.detach() - self.teacher.to(k.dtype))
        gradient = torch.autograd.grad(k, list(leaves.values()), slope)
        everyone = torch.arange(len(k))
        active = torch.ones(len(k), dtype=torch.bool)
        self.adam.step(self.parameters, dict(zip(leaves, gradient, strict=True)), active, everyone)

    def expected_loss(self) -> Tensor:
        """½ Σ_τ (1 - τ/T) (k_τ - k*_τ)²."""
        difference = self.response(self.parameters).double() - self.teacher
        weights = 1.0 - torch.arange(len(self.teacher), dtype=torch.float64) / len(self.teacher)
        return 0.5 * (weights * difference**2).sum(-1)


def code_initial(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    """Initial values of the authors' S4-like networks, from those of the text (Δ = 1, exp a uniform in the ring).

    Re a = -1 and Δ = -log |λ|, so that |λ| is the same; Im a = angle / ω_Δ, with the parameter ω_Δ of Δ = softplus ω_Δ
    where Δ itself is meant, so that all angles Δ Im a are near 0.
    """
    step = -parameters["w_re"].double()
    raw = torch.log(torch.expm1(step))
    values = {"w_delta": raw, "w_re": -torch.ones_like(raw), "w_im": parameters["w_im"].double() / raw}
    return {name: value.to(parameters["w_re"].dtype) for name, value in values.items()}


def _train(networks: list[_Networks], job: RatesJob) -> None:
    task, seeds = TASKS["teacher"], torch.arange(job.seeds)
    for epoch in range(job.epochs):
        x = task.sample(seeds, Stream.TRAINING, epoch, steps=job.steps, batch=job.batch, dtype=torch.float32)
        G = autocorrelation(x[..., 0])
        for each in networks:
            each.step(G)


RATES = tables_kind("rates", RatesJob, rates_tables, seconds=300)
