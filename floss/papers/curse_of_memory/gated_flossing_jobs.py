"""Data of M5: how sensitive gated networks are to their forget biases before and after flossing these to a target.

Beside them tanh networks, of which the recurrent weights are flossed. The input is a surrogate of word embeddings.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.jobs.keys import key, list_of, one_of, real, switch, whole
from floss.lyapunov.qr import qr
from floss.lyapunov.spectrum import lyapunov_spectrum
from floss.lyapunov.step import Step
from floss.memory import SURROGATES, surrogate_embeddings
from floss.memory.sensitivity import sensitivity
from floss.networks.gru import GRUStep
from floss.networks.lstm import LSTMStep
from floss.networks.rate.network import RateStep
from floss.networks.vanilla import Tanh
from floss.papers.curse_of_memory.neuron_jobs import digits
from floss.papers.curse_of_memory.weights import lecun
from floss.papers.tables import Table, TablesJob, tables_kind
from floss.random import Stream, normal, uniform
from floss.training.adam import Adam
from floss.training.flossing_loss import flossing_loss

BEFORE = "none"
"""What the tables call the networks before flossing."""
PROBES = 16
"""Random directions of the sensitivity; for constant gates, whose derivative is diagonal, any one is exact."""
_SEQUENCES = 20
"""Sequences that flossing goes through again and again; the sensitivity is measured on further ones."""


@dataclass(frozen=True, kw_only=True)
class GatedFlossingJob(TablesJob):
    """Keys of `gated_flossing`."""

    cell: str = key(
        one_of("gru", "lstm", "tanh"), "what is flossed: the forget gates' biases, or the recurrent weights"
    )
    sigma: float = key(real(0.0), "size of what the gates get from the input and the state; 0: constant gates")
    tied: bool = key(switch(), "whether the biases of an LSTM's input gates follow, b_i = -b_f")
    targets: tuple[float, ...] = key(list_of(real(), least=1), "targets of flossing, in nats per step")
    lr: float = key(real(0.0, above=True), "learning rate of flossing")
    episodes: int = key(whole(1), "steps of Adam")
    k: int = key(whole(1), "exponents that are flossed in a tanh network, and measured in all of them")
    window: int = key(whole(2), "steps over which a tanh network's exponents are flossed")
    seeds: int = key(whole(1), "networks; seeds count up from 0")
    n: int = key(whole(2), "hidden units")
    features: int = key(whole(1), "features of the input")
    steps: int = key(whole(2), "steps after which the sensitivity is measured")
    sequences: int = key(whole(1), "sequences on which it is measured")
    surrogate: str = key(one_of(*SURROGATES), "the surrogate of word embeddings that is the input")


def gated_flossing_tables(job: GatedFlossingJob) -> dict[str, Table]:
    """networks.csv: mean of the k largest exponents, and the state's mean squared derivative by a flossed parameter.

    E‖∂h_T/∂θ‖² / P for the P parameters θ that are flossed (forget biases, or W), by forward sensitivity. For every
    network before flossing (target `none`), and after it for every target.
    """
    R, targets = job.seeds, (BEFORE, *job.targets)
    seeds = torch.arange(R).repeat(len(targets))
    every = surrogate_embeddings(
        torch.arange(R), _SEQUENCES + job.sequences, job.steps, job.features, kind=job.surrogate
    )
    every = every.repeat(len(targets), 1, 1, 1)
    theta, build = tanh_networks(job, seeds) if job.cell == "tanh" else gated_networks(job, seeds)
    wanted = torch.tensor(job.targets, dtype=torch.float64).repeat_interleave(R)
    if job.cell == "tanh":
        after = floss_weights(job, theta[R:], lambda W: build(W, slice(R, None)), every[R:], wanted)
    else:
        after = floss_biases(theta[R:], wanted, job.lr, job.episodes)
    theta = torch.cat((theta[:R], after)).requires_grad_()
    step, inputs = build(theta, slice(None)), every[:, _SEQUENCES:].movedim(2, 0).contiguous()
    size = step.state_size
    h0 = torch.zeros(len(seeds), job.sequences, size, dtype=torch.float64)
    with torch.no_grad():
        exponents = lyapunov_spectrum(step, h0[:, 0], inputs[:, :, 0], k=job.k).mean(-1)
    found = sensitivity(step, {"theta": theta}, h0, inputs, probes=PROBES, per_trajectory=True)
    assert found.trajectories is not None
    squares = found.trajectories["theta"][-1].mean(-1) / theta[0].numel()
    rows = [
        [job.surrogate, job.cell, f"{job.sigma:g}", int(job.tied), seed, target if place == 0 else digits(target, 4)]
        for place, target in enumerate(targets)
        for seed in range(R)
    ]
    numbers = [[digits(a, 6), digits(b, 6)] for a, b in zip(exponents, squares, strict=True)]
    columns = ("surrogate", "cell", "sigma", "tied", "seed", "target", "exponent", "sensitivity")
    return {"networks": (columns, [a + b for a, b in zip(rows, numbers, strict=True)])}


# --- gated networks ---


@dataclass(frozen=True)
class BiasedStep:
    """A gated network's map, of which the biases of the forget gates are the tensor that is given."""

    bias: Float[Tensor, "R N"]
    network: Callable[[Tensor], GRUStep | LSTMStep]

    @property
    def state_size(self) -> int:
        return self.network(self.bias).state_size

    def __call__(self, h: Tensor, x: Tensor) -> Tensor:
        return self.network(self.bias)(h, x)

    def advance(self, h: Tensor, q: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(self.bias).advance(h, q, x)


def gated_networks(
    job: GatedFlossingJob, seeds: Int64[Tensor, "R"]
) -> tuple[Float[Tensor, "R N"], Callable[[Tensor, slice], BiasedStep]]:
    """Biases log U of the forget gates, U uniform in [1, 16], and the map with any others in their place.

    Candidates get LeCun's weights of the input. Gates get σ times N(0, 2 / features) of the input, and everything σ
    times orthogonal weights of the state. The biases of an LSTM's input gates are -log U, or, tied, minus the others.
    """
    n, gates, R = job.n, {"gru": 3, "lstm": 4}[job.cell], len(seeds)
    candidate = 2  # n of r, z, n; g of i, f, g, o
    V = normal(seeds, Stream.WEIGHTS, gates * n * job.features, part=1, dtype=torch.float64)
    V = job.sigma * (2.0 / job.features) ** 0.5 * V.reshape(R, gates, n, job.features)
    V[:, candidate] = lecun(seeds, n, job.features, 2)
    V = V.flatten(1, 2)
    parts = [normal(seeds, Stream.WEIGHTS, n * n, part=10 + gate, dtype=torch.float64) for gate in range(gates)]
    W = job.sigma * torch.cat([qr(part.reshape(R, n, n))[0] for part in parts], 1)
    b = (1.0 + 15.0 * uniform(seeds, Stream.WEIGHTS, n, part=3, dtype=torch.float64)).log()
    zero = torch.zeros_like(b)

    def network(bias: Tensor, own: slice) -> GRUStep | LSTMStep:
        if job.cell == "gru":
            return GRUStep(W[own], V[own], torch.cat((zero[own], bias, zero[own]), -1), zero[own])
        held = bias.detach() if job.tied else b[own]
        return LSTMStep(W[own], V[own], torch.cat((-held, bias, zero[own], zero[own]), -1))

    return b, lambda bias, own: BiasedStep(bias, functools.partial(network, own=own))


def floss_biases(
    bias: Float[Tensor, "R N"], target: Float[Tensor, "R"], lr: float, episodes: int
) -> Float[Tensor, "R N"]:
    """Biases after flossing all exponents of constant gates, λ_i = log σ(b_i) = -log(1 + exp(-b_i)), to a target."""
    return _flossed(bias, lambda b, _: torch.nn.functional.logsigmoid(b), target, lr, episodes)


# --- tanh networks ---


def tanh_networks(
    job: GatedFlossingJob, seeds: Int64[Tensor, "R"]
) -> tuple[Float[Tensor, "R N N"], Callable[[Tensor, slice], RateStep]]:
    """Recurrent weights N(0, 1/n), and the map h → W tanh(h) + V x with LeCun's V."""
    W = normal(seeds, Stream.WEIGHTS, job.n**2, part=1, dtype=torch.float64).reshape(-1, job.n, job.n) / job.n**0.5
    V = job.features * lecun(seeds, job.n, job.features, 2)  # the map divides by the number of inputs
    b = torch.zeros(len(seeds), job.n, dtype=torch.float64)
    return W, lambda W, own: RateStep(W, V[own], b[own], Tanh())


def floss_weights(
    job: GatedFlossingJob,
    W: Float[Tensor, "R N N"],
    build: Callable[[Tensor], Step],
    every: Float[Tensor, "R sequences T S"],
    target: Float[Tensor, "R"],
) -> Float[Tensor, "R N N"]:
    """Weights after flossing the k largest exponents along windows of the first sequences."""
    h0 = torch.zeros(len(W), job.n, dtype=torch.float64)

    def exponents(W: Tensor, episode: int) -> Tensor:
        inputs = every[:, episode % _SEQUENCES, : job.window].transpose(0, 1)
        return lyapunov_spectrum(build(W), h0, inputs, k=job.k)

    return _flossed(W, exponents, target, job.lr, job.episodes)


def _flossed(
    theta: Tensor, exponents: Callable[[Tensor, int], Tensor], target: Tensor, lr: float, episodes: int
) -> Tensor:
    theta = theta.clone()
    adam, everyone = Adam({"theta": theta}, lr), torch.arange(len(theta))
    for episode in range(episodes):
        own = theta.clone().requires_grad_()
        loss = flossing_loss(exponents(own, episode), target[:, None]).sum()
        (gradient,) = torch.autograd.grad(loss, own)
        adam.step({"theta": theta}, {"theta": gradient}, torch.ones(len(theta), dtype=torch.bool), everyone)
    return theta


GATED_FLOSSING = tables_kind("gated_flossing", GatedFlossingJob, gated_flossing_tables, seconds=120)
"""M5: sensitivity of gated networks to their forget biases, before and after flossing these."""
