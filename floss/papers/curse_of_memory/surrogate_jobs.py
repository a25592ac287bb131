"""Data of Fig. 12: the autocorrelation of the surrogate of word embeddings; the embeddings are not to be had."""

from dataclasses import dataclass

import torch

from floss.jobs.keys import key, whole
from floss.memory import SURROGATES, fit_autocorrelation, measured_autocorrelation, surrogate_embeddings
from floss.memory.surrogate import EMBEDDINGS
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.tables import Table, TablesJob, tables_kind


@dataclass(frozen=True, kw_only=True)
class SurrogateJob(TablesJob):
    """Keys of `surrogate`."""

    seeds: int = key(whole(1), "batches; their seeds count up from 0")
    sequences: int = key(whole(1), "sequences in a batch")
    steps: int = key(whole(8), "steps of a sequence")
    features: int = key(whole(1), "features")


def surrogate_tables(job: SurrogateJob) -> dict[str, Table]:
    """autocorrelation.csv: R(Δ) of each batch at some lags, and the law that it is drawn by; fits.csv: a fit to each.

    The lags are 0 and those evenly spaced in the logarithm; a fit is to all of them up to half of a sequence.
    """
    lags = sorted({0, *torch.logspace(0, torch.log10(torch.tensor(job.steps / 2.0)), 40).long().tolist()})
    autocorrelation, fits = [], []
    for kind in SURROGATES:
        for seed in range(job.seeds):
            x = surrogate_embeddings(torch.tensor([seed]), job.sequences, job.steps, job.features, kind=kind)[0]
            R = measured_autocorrelation(x, job.steps // 2 + 1)
            law = EMBEDDINGS.at(torch.tensor(lags, dtype=torch.float64))
            same = [[value] * len(lags) for value in (kind, seed)]
            autocorrelation += rows_of(*same, lags, R[lags], law, count=8)
            fit = fit_autocorrelation(R)
            fits.append([kind, seed, *map(digits, (fit.white, fit.slow, fit.decay))])
    return {
        "autocorrelation": (("surrogate", "seed", "lag", "value", "law"), autocorrelation),
        "fits": (("surrogate", "seed", "white", "slow", "decay"), fits),
    }


SURROGATE = tables_kind("surrogate", SurrogateJob, surrogate_tables, seconds=60)
