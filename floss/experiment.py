"""One training job, from its configuration to its folder: resume, train, log, checkpoint, draw."""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from floss.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from floss.config import TrainJob, config_yaml
from floss.diagnostics import DIAGNOSTICS
from floss.engines import BuildError, find
from floss.ensemble import Network, Protocol
from floss.figures import draw
from floss.interrupt import Interrupt, interruptible
from floss.keys import ConfigError
from floss.memory import fits_in_memory
from floss.results import (
    METRICS,
    SUMMARY,
    csv_text,
    environment,
    exclusive,
    remove_leftovers,
    write_json,
    write_whole,
)
from floss.schedule import flossing_steps
from floss.training import Tick, Training

_THREADS = torch.get_num_threads()
"""The number of threads depends on the job alone, not on the jobs before it in a sweep."""


def networks_of(job: TrainJob) -> list[Network]:
    """The networks of a job, one per seed."""
    f = job.flossing
    return [
        Network(
            seed=job.seed + i,
            d=job.d,
            g=job.arch.g,
            episodes=f.episodes(job.train.epochs),
            k=f.k,
            target=f.target,
            flossing_steps=flossing_steps(job.d) if f.steps is None else f.steps,
            flossing_transient=f.transient,
        )
        for i in range(job.seeds)
    ]


def protocol_of(job: TrainJob) -> Protocol:
    """What the networks of a job have in common."""
    return Protocol(
        task=job.task.name,
        arch=job.arch.name,
        n=job.arch.n,
        init=job.arch.init,
        mean=job.arch.mean,
        bias=job.arch.bias,
        readout=job.arch.readout,
        relaxation=job.arch.relaxation,
        epochs=job.train.epochs,
        steps=job.train.steps,
        batch=job.train.batch,
        lr=job.train.lr,
        clip=job.train.clip,
        evaluation_batches=job.train.evaluation_batches,
        flossing_epochs=job.flossing.epochs,
        flossing_lr=job.flossing.lr,
        t_ons=job.flossing.t_ons,
        dtype=getattr(torch, job.dtype),
    )


def finished(folder: Path) -> bool:
    """Whether the run in this folder is complete: its summary, with at least one network, is written last."""
    path = folder / "summary.csv"
    if not path.exists():
        return False
    header, *rows = path.read_text().splitlines() or [""]
    return header == ",".join(SUMMARY) and len(rows) > 0


def run(job: TrainJob) -> Path:
    """Compute a job, or what is missing of it, and return its folder.

    Starting a finished job again does nothing; an interrupted one goes on from its last checkpoint, and ends with the
    same `metrics.csv` as if it had never stopped.

    Raises:
        SystemExit: status 130 or 143 after Ctrl-C or SIGTERM, with everything finished on disk.
        RunBusyError: another process computes the same job.
        ConfigError: the folder cannot be made.
        OSError: a file cannot be written; what was written before is whole.
    """
    folder = job.folder
    if finished(folder):
        if not (folder / "learning_curves.svg").exists():  # stopped between the last row and the picture
            draw(folder)
        return folder
    with fits_in_memory(_sizes(job)):
        computation = _Run(job, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results={job.results}: cannot make {folder}: {error.strerror}") from None
    with exclusive(folder), interruptible() as interrupt:
        remove_leftovers(folder)
        if not finished(folder):
            with fits_in_memory(_sizes(job)):
                computation.complete(interrupt)
            draw(folder)
        if interrupt.signal:  # it came too late to stop this run, but must stop a sweep
            raise SystemExit(interrupt.status)
    return folder


def _sizes(job: TrainJob) -> str:
    return f"seeds={job.seeds}, arch.n={job.arch.n}, train.batch={job.train.batch}, train.steps={job.train.steps}"


class _Run:
    """One computation: the ensemble, its rows so far, and the clock."""

    def __init__(self, job: TrainJob, folder: Path) -> None:
        self.job, self.folder = job, folder
        wanted = "cpu" if job.engine == "native" else "cuda"
        self.device = job.device if job.device != "auto" else wanted if torch.cuda.is_available() else "cpu"
        try:
            self.engine = find(job.engine, arch=job.arch.name, device=self.device)
        except BuildError as error:
            raise ConfigError(f"engine={job.engine}: cannot be used here: {error}; engine=torch can") from None
        torch.set_num_threads(min(_THREADS, max(1, job.seeds // self.engine.networks_per_thread)))
        self.training = self.fresh_training()
        j, f = job, job.flossing
        self.identity = [
            [j.task.name, n.d, j.arch.name, j.arch.init, n.g, f.label, f.k, f.t_ons, n.seed]
            for n in self.training.networks
        ]
        watched = [column for name in j.diagnostics for column in DIAGNOSTICS[name]]
        self.extra = [column for column in watched if column not in METRICS]
        self.metrics = csv_text((*METRICS, *self.extra), [])
        self.seconds = self.floss_seconds = 0.0
        self.doing = ""

    def fresh_training(self) -> Training:
        """The job's networks before the first epoch."""
        return Training(
            networks_of(self.job),
            protocol_of(self.job),
            self.device,
            engine=self.engine,
            diagnostics=self.job.diagnostics,
            every=self.job.train.log_every,
        )

    def complete(self, interrupt: Interrupt) -> None:
        """Train to the end and write the summary; at a signal, write a checkpoint and leave."""
        if not self.resume():
            write_whole(self.folder / "config.yaml", config_yaml(self.job).encode())
            write_json(self.folder / "environment.json", {**environment(self.device), "engine": self.engine.name})
        since_checkpoint, clock = 0, time.perf_counter()
        with self.progress_bar() as bar:
            for tick in self.training.run():
                now = time.perf_counter()
                self.seconds += now - clock
                self.floss_seconds += (now - clock) * (tick.phase == "floss")
                clock = now
                self.log(tick, bar)
                bar.update(tick.epochs)
                since_checkpoint += tick.epochs
                if interrupt.signal or since_checkpoint >= self.job.train.checkpoint_every:
                    self.checkpoint()
                    since_checkpoint = 0
                if interrupt.signal:
                    bar.close()
                    print(f"floss: stopped; start the same command again to go on: {self.folder}", file=sys.stderr)
                    raise SystemExit(interrupt.status)
        self.checkpoint()
        write_whole(self.folder / "summary.csv", self.summary().encode())

    def progress_bar(self) -> "tqdm[Any]":
        """A bar over training and flossing epochs, silent where the output is not a terminal."""
        t = self.training
        episodes, each = t.episodes, t.protocol.flossing_epochs
        done = t.epoch + t.flossing_epoch + each * sum(e < t.epoch for e in episodes)
        total = t.protocol.epochs + each * len(episodes)
        return tqdm(total=total, initial=done, unit="epoch", disable=None, dynamic_ncols=True)

    def log(self, tick: Tick, bar: "tqdm[Any]") -> None:
        """Add a tick's rows where it is the time, and tell the bar what is going on."""
        t = self.training
        floss = tick.phase == "floss"
        last = (t.protocol.flossing_epochs if floss else t.protocol.epochs) - 1
        doing = f"flossing episode {t.episodes.index(t.epoch) + 1} of {len(t.episodes)}" if floss else "training"
        if doing != self.doing:
            self.doing = doing
            bar.set_description_str(f"{self.job.task.name} d={self.job.d}, {doing}")
        if tick.within % self.job.train.log_every and tick.within != last:
            return
        watched = tick.diagnostics or {}
        measured = (tick.loss, tick.accuracy, watched.get("lambda_1") if tick.lambda_1 is None else tick.lambda_1)
        nothing = [None] * len(tick.networks)
        loss, accuracy, lambda_1 = (nothing if v is None else v.tolist() for v in measured)
        extra = [watched[column].tolist() if column in watched else nothing for column in self.extra]
        rows = [
            [
                *self.identity[network],
                epoch,
                tick.phase,
                *((None, None, l1, value) if floss else (value, acc, l1, None)),
                *further,
            ]
            for network, epoch, value, acc, l1, *further in zip(
                tick.networks.tolist(), tick.epoch.tolist(), loss, accuracy, lambda_1, *extra, strict=True
            )
        ]
        self.metrics += csv_text((*METRICS, *self.extra), rows, header=False)
        shown = tick.lambda_1 if floss else tick.loss if tick.accuracy is None else tick.accuracy
        if shown is not None and len(shown):
            label = "λ₁" if floss else "loss" if tick.accuracy is None else "accuracy"
            bar.set_postfix_str(f"mean {label} {float(shown.mean()):.3g}", refresh=False)

    def checkpoint(self) -> None:
        """The rows first, then the checkpoint that counts them: rows beyond its count are cut off on resume."""
        write_whole(self.folder / "metrics.csv", self.metrics.encode())
        content = {
            "training": self.training.state(),
            "metrics_length": len(self.metrics.encode()),
            "metrics_sha256": hashlib.sha256(self.metrics.encode()).hexdigest(),
            "seconds": self.seconds,
            "floss_seconds": self.floss_seconds,
        }
        save_checkpoint(self.folder / "checkpoint.pt", content)

    def resume(self) -> bool:
        """Go on from the folder's checkpoint; False where there is none that can be used."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            content = load_checkpoint(path)
            rows = (self.folder / "metrics.csv").read_bytes()[: content["metrics_length"]]
            if hashlib.sha256(rows).hexdigest() != content["metrics_sha256"]:
                raise CheckpointError(f"{self.folder / 'metrics.csv'}: its rows are not those of the checkpoint")
            self.training.load(content["training"])
        except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            self.training = self.fresh_training()  # not half loaded
            text = error if isinstance(error, CheckpointError | OSError) else f"{path}: not of this run"
            print(f"floss: {text}; starting this run from the beginning", file=sys.stderr)
            path.replace(path.with_name("checkpoint.pt.damaged"))
            return False
        self.metrics = rows.decode()
        self.seconds, self.floss_seconds = content["seconds"], content["floss_seconds"]
        return True

    def summary(self) -> str:
        """One row per network: the final evaluation on fresh data, and what it cost."""
        loss, accuracy = (None if v is None else v.tolist() for v in self.training.evaluate())
        count, epochs = len(self.identity), self.job.train.epochs
        rows = [
            [
                *identity,
                loss[i] if loss else None,
                accuracy[i] if accuracy else None,
                at if at >= 0 else None,
                at if at >= 0 else epochs,
                round(self.seconds / count, 3),
                round(self.floss_seconds / count, 3),
            ]
            for i, (identity, at) in enumerate(zip(self.identity, self.training.diverged_at.tolist(), strict=True))
        ]
        return csv_text(SUMMARY, rows)
