"""What the jobs of Figs 5, 12, 13, 14 and 15 share: their input, a surrogate of word embeddings or the user's own.

A batch of a surrogate is drawn by its seed. Of embeddings of one's own the batch of seed s has the sequences s B, s B
+ 1, …, s B + B - 1, counted round, so that batches of neighbouring seeds have none in common while there are enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.errors import ConfigError
from floss.jobs.keys import key, one_of, optional, text
from floss.memory import SURROGATES, Autocorrelation, surrogate_embeddings
from floss.memory.surrogate import EMBEDDINGS
from floss.papers.curse_of_memory.own_embeddings import Embeddings, read_embeddings
from floss.papers.tables import Table, TablesJob


@dataclass(frozen=True, kw_only=True)
class OwnEmbeddingsJob(TablesJob):
    """Keys of jobs that take embeddings of one's own."""

    data: str | None = key(
        optional(text()), "embeddings of one's own, named by a hash of their numbers; null: none", added=None
    )
    data_file: str | None = key(optional(text()), "the file where they are", hashed=False, added=None)


@dataclass(frozen=True, kw_only=True)
class EmbeddingsJob(OwnEmbeddingsJob):
    """Keys of jobs whose input is a surrogate, or embeddings of one's own."""

    surrogate: str | None = key(
        optional(one_of(*SURROGATES)), "the surrogate of word embeddings that is the input; null: data of one's own"
    )

    @property
    def source(self) -> tuple[str, str]:
        """The column of the tables that says what the input is, and its value."""
        return ("surrogate", self.surrogate or "") if self.data is None else ("data", self.data)


def marked(job: OwnEmbeddingsJob, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table that has no column for the surrogate; of embeddings of one's own its first column says which."""
    if job.data is None:
        return columns, rows
    return ("data", *columns), [[job.data, *row] for row in rows]


def own_embeddings(job: OwnEmbeddingsJob) -> Embeddings:
    """The user's embeddings that a job is of.

    Raises:
        ConfigError: the file cannot be read, or holds other numbers than when the job was made.
    """
    found = read_embeddings(str(job.data_file))
    if found.name != job.data:
        raise ConfigError(f"data={job.data_file}: must not be changed meanwhile; holds {found.name} and not {job.data}")
    return found


def input_sequences(
    job: Any, seeds: Int64[Tensor, "R"], sequences: int, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "R sequences steps features"]:
    """A batch of input sequences for each seed.

    Args:
        job: an `EmbeddingsJob` with the keys `steps` and `features`.
        seeds: one for each batch.
        sequences: B, sequences in a batch.
        dtype: of the result.
    """
    if job.data is None:
        return surrogate_embeddings(seeds, sequences, job.steps, job.features, kind=job.surrogate, dtype=dtype)
    x = own_embeddings(job).x
    place = (seeds[:, None] * sequences + torch.arange(sequences)) % len(x)
    return x[place, : job.steps].to(dtype)


def law_of(job: OwnEmbeddingsJob) -> Autocorrelation:
    """The law of the input's autocorrelation: that of the surrogates, or the fit to all of one's own embeddings."""
    return EMBEDDINGS if job.data is None else own_embeddings(job).fit.law
