"""The rows of metrics.csv, as the epochs of an ensemble finish."""

from collections.abc import Sequence

import torch

from floss.jobs.train import TrainJob
from floss.runtime.files import csv_text
from floss.sweep.columns import METRICS, identity
from floss.sweep.networks import NetworkJobs
from floss.training.diagnostics import DIAGNOSTICS
from floss.training.ticks import FlossingTick, Tick, TrainingTick


class Rows:
    """Each network's rows so far, as text, and their header."""

    def __init__(self, networks: NetworkJobs) -> None:
        """Empty; the columns of diagnostics are those of the networks' job."""
        self.ids = list(networks)
        self._identity = [list(identity(network).values()) for network in networks.values()]
        job = next(iter(networks.values()))
        measured = [column for name in job.diagnostics for column in DIAGNOSTICS[name]]
        self._further = [column for column in measured if column not in METRICS]
        self.header = csv_text((*METRICS, *self._further, "network"), [])
        self.texts = [""] * len(self.ids)

    def add(self, tick: Tick) -> None:
        """One row for each network that took part in a tick."""
        if isinstance(tick, TrainingTick):
            self._add_training(tick)
        else:
            self._add_flossing(tick)

    def _add_training(self, tick: TrainingTick) -> None:
        diagnostics = tick.diagnostics or {}
        names = ("lambda_1", *self._further)
        columns = [_values(column, tick) for column in (tick.loss, tick.accuracy, *map(diagnostics.get, names))]
        for network, loss, accuracy, exponent, *further in zip(tick.networks.tolist(), *columns, strict=True):
            self._append(network, tick.epoch, "train", (loss, accuracy, exponent, None, *further))

    def _add_flossing(self, tick: FlossingTick) -> None:
        columns = [column.tolist() for column in (tick.networks, tick.life, tick.loss, tick.lambda_1)]
        for network, epoch, loss, exponent in zip(*columns, strict=True):
            self._append(network, epoch, "floss", (None, None, exponent, loss, *[None] * len(self._further)))

    def _append(self, network: int, epoch: int, phase: str, measurements: Sequence[float | None]) -> None:
        row = [*self._identity[network], epoch, phase, *measurements, self.ids[network]]
        self.texts[network] += csv_text((), [row], header=False)

    def metrics(self) -> str:
        """Content of metrics.csv: the rows so far, network by network."""
        return self.header + "".join(self.texts)

    def by_network(self) -> dict[str, str]:
        """Header and rows of each network."""
        return {network_id: self.header + text for network_id, text in zip(self.ids, self.texts, strict=True)}


def _values(column: torch.Tensor | None, tick: TrainingTick) -> Sequence[float | None]:
    return [None] * len(tick.networks) if column is None else column.tolist()


def is_logged(tick: Tick, job: TrainJob) -> bool:
    """Whether a tick has rows: those of every `train.log_every`-th epoch and of the last one of its loop."""
    if isinstance(tick, TrainingTick):
        epoch, epochs = tick.epoch, job.train.epochs
    else:
        epoch, epochs = tick.within, job.flossing.epochs
    return epoch % job.train.log_every == 0 or epoch == epochs - 1
