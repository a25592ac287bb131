"""Data of Fig. 12: the autocorrelation of the surrogate of word embeddings, or of the user's own, and its fit."""

from dataclasses import dataclass, replace

import torch

from floss.jobs.keys import key, whole
from floss.memory import SURROGATES, fit_autocorrelation, fit_embeddings, measured_autocorrelation, surrogate_embeddings
from floss.memory.embeddings_fit import PARTS
from floss.memory.surrogate import EMBEDDINGS
from floss.papers.curse_of_memory.embeddings_jobs import OwnEmbeddingsJob, own_embeddings
from floss.papers.curse_of_memory.neuron_jobs import digits, rows_of
from floss.papers.tables import Table, tables_kind
from floss.papers.timing import seconds_by_steps


@dataclass(frozen=True, kw_only=True)
class SurrogateJob(OwnEmbeddingsJob):
    """Keys of `surrogate`."""

    seeds: int = key(whole(1), "batches; their seeds count up from 0; of own data, 1")
    sequences: int = key(whole(1), "sequences in a batch")
    steps: int = key(whole(8), "steps of a sequence")
    features: int = key(whole(1), "features")


def surrogate_tables(job: SurrogateJob) -> dict[str, Table]:
    """autocorrelation.csv: R(Δ) of each batch at some lags, and the law that it is drawn by; fits.csv: a fit to each.

    The lags are 0 and those evenly spaced in the logarithm; a fit is to all of them up to half of a sequence.
    """
    if job.data is not None:
        return own_tables(job)
    lags = lags_of(job.steps)
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


def own_tables(job: SurrogateJob) -> dict[str, Table]:
    """The same of the user's embeddings: R(Δ) of parts of the sequences, and the law that is fitted to all of them.

    fits.csv: white, slow and decay of the fit, with their standard errors; misfit is the largest |R(Δ) - law(Δ)| over
    the fitted lags Δ ≥ 1, relative to R(0).
    """
    fit, lags = own_embeddings(job).fit, lags_of(job.steps)
    every = torch.arange(1, len(fit.autocorrelation), dtype=torch.float64)
    misfit = (fit.autocorrelation[1:] - fit.law.at(every)).abs().max() / fit.autocorrelation[0]
    law = fit.law.at(torch.tensor(lags, dtype=torch.float64))
    autocorrelation = []
    for part, R in enumerate(fit.parts):
        same = [[value] * len(lags) for value in (job.data, part)]
        autocorrelation += rows_of(*same, lags, R[lags], law, count=8)
    values = [[getattr(each, name) for each in (fit.law, fit.error)] for name in ("white", "slow", "decay")]
    pairs = [digits(value) for pair in values for value in pair]
    errors = ("white", "white_error", "slow", "slow_error", "decay", "decay_error")
    return {
        "autocorrelation": (("data", "part", "lag", "value", "law"), autocorrelation),
        "fits": (("data", *errors, "misfit"), [[job.data, *pairs, digits(misfit, 4)]]),
    }


def lags_of(steps: int) -> list[int]:
    """0, and up to 40 lags up to half of a sequence, evenly spaced in the logarithm."""
    return sorted({0, *torch.logspace(0, torch.log10(torch.tensor(steps / 2.0)), 40).long().tolist()})


def surrogate_seconds(job: SurrogateJob) -> float:
    """About how long a job takes: few steps of one batch, or a few of the user's sequences."""
    if job.data is not None:
        x = own_embeddings(job).x
        # With so many sequences there are as many fits as with all.
        return seconds_by_steps(lambda sequences: fit_embeddings(x[:sequences]), len(x), least=min(len(x), PARTS))
    return seconds_by_steps(
        lambda steps: surrogate_tables(replace(job, seeds=1, steps=steps)), job.steps, least=8, times=job.seeds
    )


SURROGATE = tables_kind("surrogate", SurrogateJob, surrogate_tables, seconds=surrogate_seconds)
