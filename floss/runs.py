"""Results of `floss train` in Python: their tables, and their networks as steps, parameters and modules of torch."""

import functools
import io
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import pandas as pd
import torch
from torch import Tensor, nn

from floss.errors import CheckpointError, ConfigError
from floss.jobs.train import TrainJob
from floss.lyapunov.arguments import shown
from floss.lyapunov.step import Step
from floss.networks import CELLS
from floss.networks.linear_students import LinearStudent
from floss.networks.torch_network import TrainedNetwork, torch_network
from floss.random import Stream
from floss.runtime.files import AS_TEXT
from floss.runtime.network_ids import current
from floss.runtime.training_checkpoint import Trained, trained_file
from floss.sweep.assembly import network_of
from floss.sweep.columns import IDENTITY, METRICS, Columns
from floss.sweep.described import described_networks
from floss.sweep.packing import metrics_of
from floss.sweep.records import DONE, Record
from floss.sweep.store import ENSEMBLES, Store
from floss.tasks import TASKS
from floss.tasks.teacher import TeacherTask


@dataclass(frozen=True, eq=False)
class Run:
    """One network of some results."""

    network: str
    """Its id."""
    row: pd.Series
    """Its row of summary.csv."""
    runs: "Runs"

    @property
    def metrics(self) -> pd.DataFrame:
        """Its rows of metrics.csv."""
        return self.runs.metrics.loc[self.runs.metrics["network"] == self.network]  # pyright: ignore[reportReturnType]

    @property
    def job(self) -> TrainJob:
        """Every key of its configuration, as a job of one network.

        Raises:
            ConfigError: no config.yaml describes it.
        """
        return self.runs.job_of(self.network)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """Its trained parameters by the paper's letters (W, V, b, U, c, h0 [B, n], …).

        Warns (UserWarning) where a file has this network as another processor has computed it, and not as its row says.

        Raises:
            ConfigError: there is no file with them.
        """
        return self.runs.parameters_of(self.network)

    @property
    def step(self) -> Step:
        """Its one-step map on states [..., n] and inputs [..., S], for everything in `floss`."""
        job, parameters = self.job, self.parameters
        cell = CELLS[job.arch.name]
        own = {name: p for name, p in parameters.items() if name not in ("U", "c", "h0")}
        if isinstance(cell, LinearStudent) or job.arch.name not in ("vanilla", "relu", "linear", "lstm", "gru", "lru"):
            return _one_of(cell.step({name: p[None] for name, p in own.items()}))
        return cell.step(own)

    def to_torch(self) -> TrainedNetwork:
        """A module of torch that gives readouts [T, B] for inputs [T, B, S], from the trained initial states.

        `recurrent` is a `torch.nn.RNN`, `LSTM` or `GRU` and `readout` a `torch.nn.Linear` where the architecture is one
        of torch's; else the module holds the parameters and calls the cell of floss.
        """
        return torch_network(CELLS[self.job.arch.name], self.parameters)

    @torch.no_grad()
    def evaluate(self, module: nn.Module | None = None) -> tuple[float, float | None]:
        """Loss and accuracy on the evaluation data of its task, those behind `final_loss` and `final_accuracy`.

        The `final_loss` of a linear student is the expectation of this loss.

        Args:
            module: readouts [T, B] for inputs [T, B, S]; default `to_torch()`.
        """
        if module is not None and not callable(module):
            raise ConfigError(f"load: module={shown(module)} must be a module of torch, or None for to_torch()")
        job, module = self.job, self.to_torch() if module is None else module
        network, seeds = network_of(job), torch.tensor([job.seed])
        task, dtype = TASKS[job.task.name].held(job.task.hold), getattr(torch, job.dtype)
        if isinstance(task, TeacherTask):
            task = task.of([network.teacher], seeds, job.train.steps)
        losses, accuracies = [], []
        for batch in range(job.train.evaluation_batches):
            x = task.sample(seeds, Stream.EVALUATION, batch, steps=job.train.steps, batch=job.train.batch, dtype=dtype)
            loss, accuracy = task.loss(module(x[0])[None], x, torch.tensor([job.d]))
            losses.append(float(loss))
            accuracies.append(None if accuracy is None else float(accuracy))
        known = [a for a in accuracies if a is not None]
        return sum(losses) / len(losses), sum(known) / len(known) if known else None


def _one_of(stacked: Step) -> Step:
    """The map of one network, of a map of stacked ones."""

    def step(h: Tensor, *x: Tensor) -> Tensor:
        batch = h.reshape(1, -1, h.shape[-1])
        inputs = (u.expand(*h.shape[:-1], u.shape[-1]).reshape(1, -1, u.shape[-1]) for u in x)
        return stacked(batch, *inputs).reshape(h.shape)

    return step


class Runs(Sequence[Run]):
    """The networks of a results folder, of a run, a sweep, an ensemble or a selection; see `floss.load`."""

    def __init__(self, folder: Path, summary: pd.DataFrame, read_metrics: Callable[[], pd.DataFrame]) -> None:
        """The tables of some networks; what is long is read when it is asked for."""
        self.folder = folder
        self.summary = summary
        """One row for each network: summary.csv."""
        self._read_metrics = read_metrics
        self._files: dict[Path, Trained] = {}

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """One row for each network and logged epoch: metrics.csv."""
        return self._read_metrics()

    def __len__(self) -> int:
        return len(self.summary)

    @overload
    def __getitem__(self, index: int) -> Run: ...

    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...

    def __getitem__(self, index: int | slice) -> Run | list[Run]:
        """The network of one row of `summary`, counted from 0."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise TypeError(f"load: a network is chosen by a whole number or a slice, not by {shown(index)}")
        if not -len(self) <= index < len(self):
            raise IndexError(f"load: index={index} must be from {-len(self)} to {len(self) - 1}, of {self!r}")
        row = self.summary.iloc[index]
        return Run(str(row["network"]), row, self)

    def __iter__(self) -> Iterator[Run]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Runs({str(self.folder)!r}): {len(self)} networks"

    def job_of(self, network: str) -> TrainJob:
        """The configuration of a network, by its id; a ConfigError where no config.yaml describes it."""
        for folder in self._folders(network):
            if network in (described := self._described(folder)):
                return described[network]
        raise ConfigError(f"load: {self.folder}: no config.yaml describes the network {network}")

    def parameters_of(self, network: str) -> dict[str, Tensor]:
        """The trained parameters of a network, by its id; a ConfigError where there is no file with them.

        Warns where they were computed elsewhere than its row.
        """
        others = []
        for folder in self._folders(network):
            trained = self._trained(folder)
            if trained is None or network not in trained.networks:
                continue
            if self._belongs(trained, folder, network):
                return _parameters(trained, network)
            others.append((trained, trained_file(folder)))
        if others:
            trained, file = others[0]
            message = f"load: {file}: its network {network} was computed elsewhere than its row in {self.folder}"
            warnings.warn(f"{message}: last digits may differ from those of the tables", UserWarning, stacklevel=3)
            return _parameters(trained, network)
        raise ConfigError(
            f"load: {self.folder}: has no networks.safetensors with the network {network}: committed results are "
            "tables alone; start the run again (floss train, with the keys of its config.yaml) to have it"
        )

    def _belongs(self, trained: Trained, folder: Path, network: str) -> bool:
        """Whether the weights that a folder has of a network are those of its row here.

        The id is the same wherever the network is computed, and the last digits are not. The file says which row its
        weights belong to; one of an earlier version does not, and then the numbers in the folder's own table do.
        """
        row = self.summary[self.summary["network"] == network].iloc[0]
        digest = trained.rows.get(network)
        if digest is not None and digest == row.get("sha256"):
            return True
        if folder == self.folder:
            return digest is None
        records = (store.records().get(network) for store in self._stores)
        theirs = next((record.row for record in records if record is not None and record.folder == folder), {})
        return all(_number(row.get(name)) == _number(theirs.get(name)) for name in _RESULTS)

    def _folders(self, network: str) -> list[Path]:
        """Where the configuration and the parameters of a network may lie."""
        records = [store.records().get(network) for store in self._stores]
        found = [self.folder, *(record.folder for record in records if record is not None)]
        return list(dict.fromkeys(found))

    @functools.cached_property
    def _stores(self) -> list[Store]:
        roots = (self.folder, self.folder.resolve().parent, self.folder.resolve().parent.parent)
        return [Store(root) for root in roots if (root / ENSEMBLES).is_dir()]

    @functools.cache  # noqa: B019  # one reader for one look at a folder
    def _described(self, folder: Path) -> dict[str, TrainJob]:
        return described_networks([folder])

    def _trained(self, folder: Path) -> Trained | None:
        file = trained_file(folder)
        if file not in self._files:
            if not file.exists():
                return None
            try:
                self._files[file] = Trained.load(file)
            except (CheckpointError, OSError) as error:
                raise ConfigError(f"load: {error}") from None
        return self._files[file]


_RESULTS = ("final_loss", "final_accuracy", "diverged_at")
"""Columns of a row that follow from the weights."""


def _number(value: Any) -> Any:
    """A field of a table as a number; None for one that is empty, and a damaged one as it is."""
    try:
        return None if value is None or value == "" or value != value else float(value)
    except ValueError:
        return value


def _parameters(trained: Trained, network: str) -> dict[str, Tensor]:
    place = trained.networks.index(network)
    return {name: p[place] for name, p in trained.parameters.items()}


def load(path: str | Path) -> Runs:
    """Results of `floss train`, read in one line.

        runs = floss.load("results/demo")
        runs.summary, runs.metrics              tables of pandas, with a column for every key that differs
        model = runs[0].to_torch()              the trained network of the first row, as a module of torch
        floss.lyapunov_spectrum(runs[0].step, runs[0].parameters["h0"][0], inputs)

    Args:
        path: a results folder, or the folder of a run, a sweep, an ensemble or a selection; or a file in one of them.

    Returns:
        The networks, one for each row of `summary`; of a results folder all of them. Their parameters are read when
        they are asked for, and are there where `networks.safetensors` or `checkpoint.pt` is: committed results have
        tables alone, and say so in one line.

    Raises:
        ConfigError: (a ValueError) no such folder, or none of results of `floss train`.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"load: path={shown(path)} must be a text or a path, of a folder of results")
    folder = Path(path)
    folder = folder.parent if folder.is_file() else folder
    if (folder / "summary.csv").is_file():
        summary = _table(path, lambda: (folder / "summary.csv").read_bytes())
        return Runs(folder, summary, lambda: _table(path, lambda: metrics_of(folder)))
    records = Store(folder).records() if (folder / ENSEMBLES).is_dir() else {}
    whole = {network: record for network, record in records.items() if record.status != "damaged"}
    if whole:
        return _of_store(folder, path, whole)
    what = "has no results of floss train" if folder.is_dir() else "is no folder"
    raise ConfigError(
        f"load: path={str(path)!r} {what}; it takes a results folder, or that of a run, sweep or ensemble"
    )


def _table(path: Any, read: Callable[[], bytes]) -> pd.DataFrame:
    """A table of floss, with ids of networks as they are written now."""
    try:
        # In one piece: of a long table in parts, a column may have numbers here and texts there.
        table = pd.read_csv(io.BytesIO(read()), dtype=AS_TEXT, low_memory=False)
        ids = {written: current(written) for written in table["network"].unique()}
        table["network"] = [ids[written] for written in table["network"]]
    except (OSError, ValueError, KeyError) as error:
        line = " ".join(str(error).split())
        raise ConfigError(f"load: path={str(path)!r} has a table that cannot be read: {line}") from None
    return table


def _of_store(folder: Path, path: Any, records: Mapping[str, Record]) -> Runs:
    """Every network of a results folder, each from its best ensemble, with a column for every key that differs."""
    ensembles = sorted({record.folder for record in records.values()})
    described = described_networks(ensembles)
    further = Columns({network: described.get(network) for network in records})

    def of_ensembles(read: Callable[[Path], bytes], wanted: Collection[str]) -> pd.DataFrame:
        tables = []
        for ensemble in ensembles:
            own = [network for network in wanted if records[network].folder == ensemble]
            if own:
                table = _table(path, lambda ensemble=ensemble: read(ensemble))
                tables.append(table[table["network"].isin(own)])
        if not tables:
            return pd.DataFrame(columns=pd.Index([*METRICS, "network"]))
        table = pd.concat(tables, ignore_index=True)
        for i, key in enumerate(further.keys):
            column = [further.numbers[network][i] for network in table["network"]]
            table.insert(len(IDENTITY) + i, key, column)
        if further.gains:
            own = dict(zip(table["network"], table["g"], strict=True)) | further.gains
            table["g"] = [float(own[network]) for network in table["network"]]
        return table

    summary = of_ensembles(lambda ensemble: (ensemble / "summary.csv").read_bytes(), records)
    summary = summary.sort_values([*IDENTITY, "network"], ignore_index=True, kind="stable")
    done = [network for network, record in records.items() if record.status in DONE]
    return Runs(folder, summary, lambda: of_ensembles(metrics_of, done))
