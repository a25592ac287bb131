"""Data of Fig. 14: how far gated networks are from diagonal: entries of ∂h_Δ/∂h_0 of a GRU, and ∂c_Δ/∂c_0 of an LSTM.

The input is a surrogate of word embeddings, or the user's own; the embeddings of the paper are not to be had.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.jobs.keys import key, one_of, real, whole
from floss.lyapunov.qr import qr
from floss.networks.gru import GRUStep
from floss.networks.lstm import LSTMStep
from floss.papers.curse_of_memory.embeddings_jobs import EmbeddingsJob, input_sequences, marked
from floss.papers.curse_of_memory.neuron_jobs import digits
from floss.papers.tables import Table, tables_kind
from floss.papers.timing import seconds_by_steps
from floss.random import Stream, normal, uniform

PANELS = (
    *(("A", T, 0.0, 0.0) for T in (1, 16, 256)),
    *(("B", T, 1.0, 1.0) for T in (1, 16, 256)),
    *(("C", 16, 1.0, sigma) for sigma in (0.0, 1.0, 3.0)),
)
"""Row of the figure, largest U of the forget gates' biases log U(1, T), σ_x and σ_h."""
NETWORKS = tuple(dict.fromkeys(panel[1:] for panel in PANELS))
"""T, σ_x and σ_h of the networks; two panels show the same one."""
LAGS = 20
"""How many lags Δ are shown."""
_SHOWN = 128
"""Entries of each kind in the picture."""
GATES = {"gru": 3, "lstm": 4}
FORGET = {"gru": 1, "lstm": 1}
"""Which of the stacked gates forgets: z of the GRU, f of the LSTM."""


@dataclass(frozen=True, kw_only=True)
class JacobiansJob(EmbeddingsJob):
    """Keys of `jacobians`."""

    cell: str = key(one_of("gru", "lstm"), "the network; of an LSTM the part of its cells, ∂c_Δ/∂c_0")
    gain: float = key(
        real(0.0), "variance of input weights at σ_x = 1, times their number: 2 in the code, 1 in the text"
    )
    seeds: int = key(whole(1), "networks of each panel, each with a sequence; their seeds count up from 0")
    n: int = key(whole(2), "hidden units")
    features: int = key(whole(1), "features of the input")
    steps: int = key(whole(LAGS), "steps: the largest lag")
    entries: int = key(whole(1), "entries off the diagonal, drawn at random")


def jacobians_tables(job: JacobiansJob) -> dict[str, Table]:
    """Entries at 20 lags of the Jacobians of every panel's networks, which start at zero.

    entries.csv: some diagonal entries and some others of the networks of seed 0, a column for each lag. lags.csv:
    quantiles of all diagonal entries, and the largest of the others that were drawn. networks.csv: of all entries, how
    many off the diagonal are not zero at any lag, how far diagonal ones are from [U/(1 + U)]^Δ, and their correlation.
    """
    every = [tables_of_seed(job, seed) for seed in range(job.seeds)]
    return {
        name: (columns, [row for each in every for row in each[name][1]]) for name, (columns, _) in every[0].items()
    }


def tables_of_seed(job: JacobiansJob, seed: int) -> dict[str, Table]:
    """The rows of all panels' networks of one seed."""
    lags = lags_of(job.steps)
    entries, by_lag, networks = [], [], []
    column, source = job.source
    U, jacobians = panel_jacobians(job, torch.tensor([seed]), lags)
    i, j = drawn_entries(seed, job.n, job.entries)
    law = (U / (1.0 + U))[:, None, :] ** torch.tensor(lags, dtype=torch.float64)[None, :, None]
    diagonal, others = jacobians.diagonal(dim1=-2, dim2=-1), jacobians[:, :, i, j]
    apart = jacobians - torch.diag_embed(diagonal)
    for row, T, sigma_x, sigma_h in PANELS:
        place = NETWORKS.index((T, sigma_x, sigma_h))
        panel = [row, T, f"{sigma_x:g}", f"{sigma_h:g}"]
        own, off, expected = diagonal[place], others[place], law[place]
        networks.append(
            [
                *(source, seed, *panel, int((apart[place] != 0).sum())),
                *map(digits, (apart[place].abs().max(), off.abs().max(), (own / expected - 1).abs().max())),
                digits(torch.corrcoef(torch.stack((own.flatten(), expected.flatten())))[0, 1]),
            ]
        )
        quantiles = torch.quantile(own, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64), dim=-1)
        columns = zip(lags, *quantiles, off.square().mean(-1).sqrt(), off.abs().amax(-1), strict=True)
        by_lag += [[source, seed, *panel, lag, *(digits(value, 5) for value in values)] for lag, *values in columns]
        if seed == 0:
            every = max(1, job.n // _SHOWN)
            shown = zip(range(0, job.n, every), _short(own.T[::every]), strict=True)
            entries += [[*panel, "diagonal", place, place, *values] for place, values in shown]
            pairs = zip(i[:_SHOWN].tolist(), j[:_SHOWN].tolist(), _short(off.T[:_SHOWN]), strict=True)
            entries += [[*panel, "other", *places, *values] for *places, values in pairs]
    panel_columns = ("row", "T", "sigma_x", "sigma_h")
    return {
        "entries": marked(job, (*panel_columns, "kind", "i", "j", *(f"lag{lag}" for lag in lags)), entries),
        "lags": (
            (column, "seed", *panel_columns, "lag", "low", "median", "high", "others_rms", "others_largest"),
            by_lag,
        ),
        "networks": (
            (column, "seed", *panel_columns, "nonzero", "largest", "others_largest", "off_law", "correlation"),
            networks,
        ),
    }


def lags_of(steps: int, count: int = LAGS) -> list[int]:
    """Different whole numbers from 1 to `steps`, as evenly spaced in the logarithm as they can be."""
    lags = [1]
    for left in range(count - 1, 0, -1):
        lags.append(max(lags[-1] + 1, round(lags[-1] * (steps / lags[-1]) ** (1 / left))))
    return lags


def drawn_entries(seed: int, n: int, count: int) -> tuple[Int64[Tensor, "entries"], Int64[Tensor, "entries"]]:
    """Rows and columns of entries off the diagonal."""
    places = uniform(torch.tensor([seed]), Stream.EVALUATION, 2 * count, part=2, dtype=torch.float64)[0]
    i, shift = (places[:count] * n).long(), (places[count:] * (n - 1)).long()
    return i, (i + 1 + shift) % n


def _short(values: Float[Tensor, "entries lags"]) -> list[list[float]]:
    """Three digits: the table is for the picture."""
    return [[digits(value, 3) for value in row] for row in values.tolist()]


def panel_jacobians(
    job: JacobiansJob, seeds: Int64[Tensor, "R"], lags: Sequence[int]
) -> tuple[Float[Tensor, "networks*R n"], Float[Tensor, "networks*R lags n n"]]:
    """U of each forget gate, and ∂h_Δ/∂h_0 at some lags Δ of all networks, those of one panel after the other."""
    x = input_sequences(job, seeds, 1)[:, 0]
    U, parameters = panel_networks(job, seeds)
    step = {"gru": GRUStep, "lstm": LSTMStep}[job.cell](**parameters)
    inputs = x.repeat(len(U) // len(seeds), 1, 1)
    size, n = step.state_size, job.n
    h = torch.zeros(len(inputs), size, dtype=torch.float64)
    q = torch.eye(size, dtype=torch.float64)[:, size - n :].repeat(len(inputs), 1, 1)  # c is behind h
    kept = []
    for t in range(max(lags)):
        h, q = step.advance(h, q, inputs[:, t])
        if t + 1 in lags:
            kept.append(q[:, size - n :].clone())
    return U, torch.stack(kept, 1)


def panel_networks(
    job: JacobiansJob, seeds: Int64[Tensor, "R"]
) -> tuple[Float[Tensor, "networks*R n"], dict[str, Tensor]]:
    """Weights of the networks of every panel; those of one seed differ by their scales alone.

    V ~ N(0, gain σ_x / features); W is σ_h times an orthogonal matrix for each gate; the bias of a forget gate is log
    U with U uniform in [1, T], that of an LSTM's input gate -log U, the others 0.
    """
    gates, n, R = GATES[job.cell], job.n, len(seeds)
    V = normal(seeds, Stream.WEIGHTS, gates * n * job.features, part=1, dtype=torch.float64)
    V = V.reshape(R, gates * n, job.features)
    W = [normal(seeds, Stream.WEIGHTS, n * n, part=10 + gate, dtype=torch.float64) for gate in range(gates)]
    W = torch.cat([qr(part.reshape(R, n, n))[0] for part in W], 1)
    place = uniform(seeds, Stream.WEIGHTS, n, part=2, dtype=torch.float64)
    U = torch.cat([1.0 + place * (T - 1.0) for T, _, _ in NETWORKS])
    b = torch.zeros(len(U), gates, n, dtype=torch.float64)
    b[:, FORGET[job.cell]] = U.log()
    parameters = {
        "V": torch.cat([(job.gain * sigma_x / job.features) ** 0.5 * V for _, sigma_x, _ in NETWORKS]),
        "W": torch.cat([sigma_h * W for *_, sigma_h in NETWORKS]),
        "b": b.flatten(1),
    }
    if job.cell == "lstm":
        b[:, 0] = -U.log()
    else:
        parameters["b_h"] = torch.zeros_like(U)
    return U, parameters


def jacobians_seconds(job: JacobiansJob) -> float:
    """About how long a job takes, by few steps of the networks of one seed."""
    return seconds_by_steps(
        lambda steps: panel_jacobians(replace(job, steps=steps), torch.tensor([0]), [steps]),
        job.steps,
        least=1,
        times=job.seeds,
    )


JACOBIANS = tables_kind("jacobians", JacobiansJob, jacobians_tables, seconds=jacobians_seconds)
"""Fig. 14: entries of the Jacobians of gated networks against the lag."""
