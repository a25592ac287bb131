"""The rows of metrics.csv, as the epochs of an ensemble finish."""

from collections.abc import Sequence

import torch

from floss.jobs.train import TrainJob
from floss.runtime.files import csv_text
from floss.sweep.columns import METRICS, identity
from floss.sweep.networks import NetworkJobs
from floss.training.diagnostics import DIAGNOSTICS
from floss.training.training import Tick


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
        diagnostics = tick.diagnostics or {}
        lambda_1 = diagnostics.get("lambda_1") if tick.lambda_1 is None else tick.lambda_1
        columns = [_values(values, tick) for values in (tick.loss, tick.accuracy, lambda_1)]
        columns += [_values(diagnostics.get(column), tick) for column in self._further]
        for network, epoch, loss, accuracy, exponent, *further in zip(
            tick.networks.tolist(), tick.epoch.tolist(), *columns, strict=True
        ):
            floss = tick.phase == "floss"
            measurements = (None, None, exponent, loss) if floss else (loss, accuracy, exponent, None)
            row = [*self._identity[network], epoch, tick.phase, *measurements, *further, self.ids[network]]
            self.texts[network] += csv_text((), [row], header=False)

    def metrics(self) -> str:
        """Content of metrics.csv: the rows so far, network by network."""
        return self.header + "".join(self.texts)

    def by_network(self) -> dict[str, str]:
        """Header and rows of each network."""
        return {network_id: self.header + text for network_id, text in zip(self.ids, self.texts, strict=True)}


def _values(column: torch.Tensor | None, tick: Tick) -> Sequence[float | None]:
    return [None] * len(tick.networks) if column is None else column.tolist()


def is_logged(tick: Tick, job: TrainJob) -> bool:
    """Whether a tick has rows: those of every `train.log_every`-th epoch and of the last one of its phase."""
    last = (job.flossing.epochs if tick.phase == "floss" else job.train.epochs) - 1
    return tick.within % job.train.log_every == 0 or tick.within == last
