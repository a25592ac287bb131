"""One ensemble, from its claim to its rows: go on from a checkpoint, train, log, checkpoint, evaluate."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from floss.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from floss.config import TrainJob
from floss.device import device_of
from floss.diagnostics import DIAGNOSTICS
from floss.engines import BuildError, find
from floss.ensemble import Network, Protocol
from floss.interrupt import Interrupt
from floss.keys import ConfigError
from floss.planner import Stack, flossing_run
from floss.results import METRICS, csv_text, environment, remove_leftovers, write_json, write_whole
from floss.store import Claim, config_text, identity, write_summary
from floss.torch_engine import TorchEngine
from floss.training import Tick, Training

_THREADS = torch.get_num_threads()
"""The number of threads depends on the ensemble alone, not on those before it in a sweep."""


def network_of(one: TrainJob) -> Network:
    """What is a network's own in an ensemble, of the job of one network."""
    steps, transient = flossing_run(one)
    return Network(
        seed=one.seed,
        d=one.d,
        g=one.arch.g,
        episodes=one.flossing.episodes(one.train.epochs),
        k=one.flossing.k,
        target=one.flossing.target,
        flossing_steps=steps,
        flossing_transient=transient,
    )


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


def place_of(job: TrainJob) -> tuple[str, type[TorchEngine]]:
    """The device and the engine that a job's networks are computed with.

    Raises:
        ConfigError: the engine cannot be used here.
    """
    device = device_of(job.device, auto="cpu" if job.engine == "native" else "cuda")
    try:
        return device, find(job.engine, arch=job.arch.name, device=device)
    except BuildError as error:
        raise ConfigError(f"engine={job.engine}: cannot be used here: {error}; engine=torch can") from None


def train_ensemble(stack: Stack, device: str, engine: type[TorchEngine]) -> Training:
    """The networks of a stack before the first epoch."""
    one = next(iter(stack.networks.values()))
    torch.set_num_threads(min(_THREADS, max(1, len(stack.networks) // engine.networks_per_thread)))
    return Training(
        [network_of(each) for each in stack.networks.values()],
        protocol_of(one),
        device,
        engine=engine,
        diagnostics=one.diagnostics,
        every=one.train.log_every,
    )


def compute(claim: Claim, interrupt: Interrupt, label: str = "", bar: Callable[..., Any] = tqdm) -> None:
    """Compute a claimed ensemble, or what is missing of it, and write its rows.

    Going on from a checkpoint gives the same rows as if nothing had ever stopped.

    Args:
        claim: the ensemble, which is this process's own.
        interrupt: asked after every stretch of epochs.
        label: what the progress bar begins with.
        bar: makes the progress bar, with the arguments of tqdm.

    Raises:
        SystemExit: after a signal, with everything finished on disk.
        OSError: a file cannot be written; what was written before is whole.
    """
    remove_leftovers(claim.folder)
    _EnsembleRun(claim).complete(interrupt, label, bar)


class _EnsembleRun:
    """One computation: the ensemble, each network's rows so far, and the clock."""

    def __init__(self, claim: Claim) -> None:
        self.claim, self.folder = claim, claim.folder
        self.keys = list(claim.stack.networks)
        ones = list(claim.stack.networks.values())
        self.job = ones[0]
        self.checkpoint_every = min(one.train.checkpoint_every for one in ones)
        self.device, self.engine = place_of(self.job)
        self.training = self.fresh_training()
        self.identity = [list(identity(one).values()) for one in ones]
        watched = [column for name in self.job.diagnostics for column in DIAGNOSTICS[name]]
        self.extra = [column for column in watched if column not in METRICS]
        self.header = csv_text((*METRICS, *self.extra, "network"), [])
        self.rows = [""] * len(ones)
        self.seconds = self.floss_seconds = 0.0
        self.doing = ""

    def fresh_training(self) -> Training:
        """The networks before the first epoch."""
        return train_ensemble(self.claim.stack, self.device, self.engine)

    def complete(self, interrupt: Interrupt, label: str, make_bar: Callable[..., Any]) -> None:
        """Train to the end and write the rows; at a signal, write a checkpoint and leave."""
        self.resume()
        write_whole(self.folder / "config.yaml", config_text(self.claim.stack.networks).encode())
        engine = {"engine": self.engine.name, **self.engine.environment()}
        write_json(self.folder / "environment.json", {**environment(self.device), **engine})
        since_checkpoint, clock = 0, time.perf_counter()
        with self.progress_bar(make_bar) as bar:
            for tick in self.training.run():
                now = time.perf_counter()
                self.seconds += now - clock
                self.floss_seconds += (now - clock) * (tick.phase == "floss")
                clock = now
                self.log(tick, bar, label)
                bar.update(tick.epochs)
                since_checkpoint += tick.epochs
                if interrupt.signal or since_checkpoint >= self.checkpoint_every:
                    self.checkpoint()
                    since_checkpoint = 0
                if interrupt.signal:
                    bar.close()
                    raise SystemExit(interrupt.status)
        self.finish()

    def progress_bar(self, make_bar: Callable[..., Any]) -> "tqdm[Any]":
        """A bar over training and flossing epochs, silent where the output is not a terminal."""
        t = self.training
        episodes, each = t.episodes, t.protocol.flossing_epochs
        done = t.epoch + t.flossing_epoch + each * sum(e < t.epoch for e in episodes)
        total = t.protocol.epochs + each * len(episodes)
        return make_bar(total=total, initial=done, unit="epoch", disable=None, dynamic_ncols=True)

    def log(self, tick: Tick, bar: "tqdm[Any]", label: str) -> None:
        """Add a tick's rows where it is the time, and tell the bar what is going on."""
        t = self.training
        floss = tick.phase == "floss"
        last = (t.protocol.flossing_epochs if floss else t.protocol.epochs) - 1
        doing = f"flossing episode {t.episodes.index(t.epoch) + 1} of {len(t.episodes)}" if floss else "training"
        if doing != self.doing:
            self.doing = doing
            bar.set_description_str(f"{label}{self.job.task.name}, {doing}")
        if tick.within % self.job.train.log_every and tick.within != last:
            return
        watched = tick.diagnostics or {}
        measured = (tick.loss, tick.accuracy, watched.get("lambda_1") if tick.lambda_1 is None else tick.lambda_1)
        nothing = [None] * len(tick.networks)
        loss, accuracy, lambda_1 = (nothing if v is None else v.tolist() for v in measured)
        extra = [watched[column].tolist() if column in watched else nothing for column in self.extra]
        for network, epoch, value, acc, l1, *further in zip(
            tick.networks.tolist(), tick.epoch.tolist(), loss, accuracy, lambda_1, *extra, strict=True
        ):
            measurements = (None, None, l1, value) if floss else (value, acc, l1, None)
            row = [*self.identity[network], epoch, tick.phase, *measurements, *further, self.keys[network]]
            self.rows[network] += csv_text((), [row], header=False)
        shown = tick.lambda_1 if floss else tick.loss if tick.accuracy is None else tick.accuracy
        if shown is not None and len(shown):
            what = "λ₁" if floss else "loss" if tick.accuracy is None else "accuracy"
            bar.set_postfix_str(f"mean {what} {float(shown.mean()):.3g}", refresh=False)

    def checkpoint(self) -> None:
        """One file with all that going on needs; metrics.csv beside it, for people."""
        self.write_metrics()
        content = {
            "networks": self.keys,
            "training": self.training.state(),
            "rows": self.rows,
            "seconds": self.seconds,
            "floss_seconds": self.floss_seconds,
        }
        save_checkpoint(self.folder / "checkpoint.pt", content)

    def write_metrics(self) -> None:
        """The rows so far, network by network."""
        write_whole(self.folder / "metrics.csv", (self.header + "".join(self.rows)).encode())

    def resume(self) -> None:
        """Go on from the claim's checkpoint, of which these networks may be a part, where it can be used."""
        if self.claim.origin is None:
            return
        path = self.claim.origin / "checkpoint.pt"
        try:
            content = load_checkpoint(path)
            index = [content["networks"].index(key) for key in self.keys]
            state = content["training"]
            self.training.load({n: v[index] if isinstance(v, torch.Tensor) else v for n, v in state.items()})
            rows = [content["rows"][i] for i in index]
            seconds, floss_seconds = float(content["seconds"]), float(content["floss_seconds"])
        except (CheckpointError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
            self.training = self.fresh_training()  # not half loaded
            text = error if isinstance(error, CheckpointError | OSError) else f"{path}: not of these networks"
            print(f"floss: {text}; starting them from the beginning", file=sys.stderr)
            if path.parent == self.folder:
                path.replace(path.with_name("checkpoint.pt.damaged"))
            return
        share = len(self.keys) / len(content["networks"])
        self.rows, self.seconds, self.floss_seconds = rows, seconds * share, floss_seconds * share

    def finish(self) -> None:
        """Evaluate on fresh data and write the rows: metrics first, since the summary says that they are there."""
        self.checkpoint()
        loss, accuracy = (None if v is None else v.tolist() for v in self.training.evaluate())
        count, epochs = len(self.keys), self.job.train.epochs
        results = {
            key: {
                "final_loss": loss[i] if loss else None,
                "final_accuracy": accuracy[i] if accuracy else None,
                "diverged_at": at if at >= 0 else None,
                "epochs": at if at >= 0 else epochs,
                "seconds": round(self.seconds / count, 3),
                "floss_seconds": round(self.floss_seconds / count, 3),
                "status": "diverged" if at >= 0 else "done",
            }
            for i, (key, at) in enumerate(zip(self.keys, self.training.diverged_at.tolist(), strict=True))
        }
        texts = {key: self.header + rows for key, rows in zip(self.keys, self.rows, strict=True)}
        write_summary(self.claim, results, texts)
        # The trained networks stay; what only going on needs does not.
        save_checkpoint(
            self.folder / "checkpoint.pt", {"networks": self.keys, "training": _trained(self.training.state())}
        )


def _trained(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if name.startswith("parameters.") or name == "diverged_at"}


def parameters_of(path: Path, keys: list[str]) -> dict[str, torch.Tensor]:
    """What a checkpoint holds of some networks: named tensors, stacked in the order of the keys.

    Raises:
        CheckpointError: the file is damaged, or has not all of these networks.
    """
    content = load_checkpoint(path)
    try:
        index = [content["networks"].index(key) for key in keys]
        return {name: tensor[index] for name, tensor in _trained(content["training"]).items()}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise CheckpointError(f"{path}: is not a checkpoint of these networks") from None
