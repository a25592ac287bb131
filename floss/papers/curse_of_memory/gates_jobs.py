"""Data of Fig. 15: sizes of states, and of their derivatives by biases, of gated neurons, beside the theory.

    GRU    h_t = f_t ∘ h_{t-1} + (1 - f_t) ∘ v_t,     f_t = σ(W_f x_t + U_f h_{t-1} + b),     v_t = W x_t
    LSTM   the same with an input gate i_t = σ(W_i x_t + U_i h_{t-1} - b) of its own in the place of 1 - f_t

The input is a surrogate of word embeddings, or the user's own; the embeddings of the paper are not to be had.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.jobs.keys import key, real, whole
from floss.lyapunov.qr import qr
from floss.memory import Autocorrelation, gated_moments, sensitivity_moment, state_moment
from floss.papers.curse_of_memory.embeddings_jobs import EmbeddingsJob, input_sequences, law_of, marked
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.curse_of_memory.weights import lecun
from floss.papers.tables import Table, tables_kind
from floss.papers.timing import seconds_by_steps
from floss.random import Stream, normal, uniform

GATES = ("constant", "input", "state")
"""What the gates depend on: nothing, the input, the input and the state."""
CELLS = ("gru", "lstm")
GRID = (2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 181, 256)
"""Time constants T at which means are taken."""
KERNEL = 100.0
"""Means at T have the weights exp(-(T_i - T)² / 100)."""
_SHOWN = 300
"""Neurons in the picture, of each kind of gates."""

Drives = dict[str, Float[Tensor, "R T N"]]
"""What the input adds at every step: `v`, and to the gates `f` and, in an LSTM, `i`."""


@dataclass(frozen=True, kw_only=True)
class GatesJob(EmbeddingsJob):
    """Keys of `gates`."""

    batches: int = key(whole(1), "batches of networks")
    networks: int = key(whole(1), "networks in a batch, each with a sequence; seeds count up from 0 over all batches")
    n: int = key(whole(2), "hidden units")
    features: int = key(whole(1), "features of the input")
    steps: int = key(whole(1), "steps of a sequence")
    longest: int = key(whole(1), "U is uniform in [1, longest], and biases are log U")
    gain: float = key(
        real(0.0), "variance of the gates' input weights, times their number: 2 in the code, 1 in the text"
    )


def gates_tables(job: GatesJob) -> dict[str, Table]:
    """h² and (∂h_i/∂b_i)² after the last step, against T_i = 1 + U_i, for three kinds of gates of both cells.

    means.csv: of every batch, the sum of the weights exp(-(T_i - T)² / 100) of its neurons at some T, and those of
    weighted squares. theory.csv: both for constant gates and a stationary input, by the law of the embeddings and for
    white noise of the same variance, and those of the derivative by λ itself instead of b. neurons.csv: some neurons of
    the first batch.
    """
    means, neurons = [], []
    column, source = job.source
    for batch in range(job.batches):
        seeds = batch * job.networks + torch.arange(job.networks)
        b, drives, recurrent = gated_networks(job, seeds)
        T = 1.0 + b.double().exp().flatten()
        weights = torch.exp(-((T - torch.tensor(GRID, dtype=torch.float64)[:, None]) ** 2) / KERNEL)
        for cell in CELLS:
            for gates in GATES:
                state, slope = (each.double().square().flatten() for each in run(cell, gates, b, drives, recurrent))
                same = [[value] * len(GRID) for value in (source, cell, gates, batch)]
                means += rows_of(*same, GRID, weights.sum(-1), weights @ state, weights @ slope, count=6)
                if batch == 0:
                    shown = slice(None, None, max(1, len(T) // _SHOWN))
                    same = [[value] * len(T[shown]) for value in (source, cell, gates)]
                    neurons += rows_of(*same, T[shown], state[shown], slope[shown], count=4)
    moments = ("state", "sensitivity")
    return {
        "means": ((column, "cell", "gates", "batch", "T", "weight", *moments), means),
        "neurons": ((column, "cell", "gates", "T", *moments), neurons),
        "theory": marked(
            job,
            ("cell", "T", *moments, *(f"white_{name}" for name in moments), "by_lambda"),
            [[cell, *row] for cell in CELLS for row in theory(cell, law_of(job))],
        ),
    }


def theory(cell: str, law: Autocorrelation) -> list[list[float]]:
    """T, E h², E (∂h/∂b)², both for white noise, and E (∂h/∂λ)², with λ = 1 - 1/T and gates that do not move.

    Of a GRU `floss.memory.gated_moments`; of an LSTM, whose input gate 1 - λ is held, (1 - λ)² Σ R_i F and
    (1 - λ)² (λ (1 - λ))² Σ R_i S.
    """
    T = torch.tensor(GRID, dtype=torch.float64)
    lam = 1.0 - 1.0 / T
    slope = lam * (1.0 - lam)
    values = []
    for white, slow in ((law.white, law.slow), (law.white + law.slow, 0.0)):
        R, rho = (torch.tensor(each, dtype=torch.float64) for each in ([white, slow], [0.0, law.decay]))
        if cell == "gru":
            values += gated_moments(torch.logit(lam), R, rho)
        else:
            values += [
                (1.0 - lam) ** 2 * (moment(lam[:, None], lam[:, None], rho) * R).sum(-1) * factor
                for moment, factor in ((state_moment, 1.0), (sensitivity_moment, slope**2))
            ]
    return [list(map(digits, row)) for row in zip(T, *values, values[1] / slope**2, strict=True)]


def gated_networks(
    job: GatesJob, seeds: Int64[Tensor, "R"]
) -> tuple[Float[Tensor, "R N"], Drives, dict[str, Float[Tensor, "R N N"]]]:
    """Biases b = log U, the inputs' parts, and the gates' recurrent weights: an orthogonal matrix for each, float32.

    W has LeCun's weights, those of the gates are N(0, gain / features).
    """
    x = input_sequences(job, seeds, 1)[:, 0].float()
    shape = (len(seeds), job.n, job.features)
    drives = {"v": x @ lecun(seeds, job.n, job.features, 1).float().mT}
    recurrent = {}
    for part, gate in enumerate("fi"):
        numbers = normal(seeds, Stream.WEIGHTS, job.n * job.features, part=3 + part).reshape(shape)
        drives[gate] = x @ ((job.gain / job.features) ** 0.5 * numbers).mT
        gaussian = normal(seeds, Stream.WEIGHTS, job.n**2, part=10 + part, dtype=torch.float64)
        recurrent[gate] = qr(gaussian.reshape(len(seeds), job.n, job.n))[0].float()
    U = 1.0 + (job.longest - 1.0) * uniform(seeds, Stream.WEIGHTS, job.n, part=2, dtype=torch.float64)
    return U.log().float(), drives, recurrent


def run(
    cell: str,
    gates: str,
    b: Float[Tensor, "R N"],
    drives: Drives,
    recurrent: dict[str, Float[Tensor, "R N N"]],
) -> tuple[Float[Tensor, "R N"], Float[Tensor, "R N"]]:
    """The state h and ∂h_i/∂b_i after the last step, from h = 0; b is that of the forget gate alone.

        S_t = [f + (h - v) f (1 - f) U_f] S_{t-1} + (h - v) f (1 - f)                         (GRU)
        S_t = [f + h f (1 - f) U_f + v i (1 - i) U_i] S_{t-1} + h f (1 - f)                   (LSTM)

    with diagonal matrices f, h, v, i. Without U both are diagonal, and so is S.
    """
    h = torch.zeros_like(b)
    full, coupled = gates == "state", cell == "gru"
    S = torch.zeros_like(recurrent["f"]) if full else torch.zeros_like(b)
    for t in range(drives["v"].shape[1]):
        v = drives["v"][:, t]
        inner = {"f": b, "i": -b}
        if gates != "constant":
            inner = {gate: value + drives[gate][:, t] for gate, value in inner.items()}
        if full:
            inner = {gate: value + (recurrent[gate] @ h[..., None])[..., 0] for gate, value in inner.items()}
        f = inner["f"].sigmoid()
        i = (-inner["f"]).sigmoid() if coupled else inner["i"].sigmoid()
        slope = (h - v if coupled else h) * f * (1.0 - f)
        if full:
            moved = f[..., None] * S + slope[..., None] * (recurrent["f"] @ S)
            if not coupled:
                moved = moved + (v * i * (1.0 - i))[..., None] * (recurrent["i"] @ S)
            S = moved + torch.diag_embed(slope)
        else:
            S = f * S + slope
        h = f * h + i * v
    return h, S.diagonal(dim1=-2, dim2=-1) if full else S


def gates_seconds(job: GatesJob) -> float:
    """About how long a job takes, by few steps of one batch."""
    return seconds_by_steps(
        lambda steps: gates_tables(replace(job, batches=1, steps=steps)), job.steps, least=1, times=job.batches
    )


GATED = tables_kind("gates", GatesJob, gates_tables, seconds=gates_seconds)
"""Fig. 15: sizes of states and of their derivatives by biases, of gated neurons."""
