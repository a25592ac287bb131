"""One ensemble, from its lease to its rows: resume from a checkpoint, train, log, checkpoint, evaluate."""

import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

from floss.errors import CheckpointError
from floss.runtime.environment import environment
from floss.runtime.files import CHECKPOINT, remove_leftovers, write_json, write_whole
from floss.runtime.interrupt import Interrupt
from floss.runtime.messages import LOGGER
from floss.runtime.training_checkpoint import Trained, Unfinished
from floss.sweep.assembly import training_of
from floss.sweep.loggers.log import LiveCurves
from floss.sweep.placement import place_of
from floss.sweep.records import config_text, summary_rows
from floss.sweep.rows import Rows, is_logged
from floss.sweep.stacking import flossing_work
from floss.sweep.store import Lease
from floss.training.ticks import FlossingTick, Tick
from floss.training.training import Training


def compute(lease: Lease, interrupt: Interrupt, label: str = "", bar: Callable[..., Any] = tqdm) -> None:
    """Compute a leased ensemble, or what is missing of it, and write its rows.

    Resuming from a checkpoint gives the same rows as a run that was never interrupted.

    Args:
        lease: the ensemble, which is this process's own.
        interrupt: polled after every stretch of epochs.
        label: what the progress bar begins with.
        bar: makes the progress bar, with the arguments of tqdm.

    Raises:
        SystemExit: after a signal, with everything finished on disk.
        OSError: a file cannot be written; what was written before is whole.
    """
    remove_leftovers(lease.folder)
    _EnsembleRun(lease).complete(interrupt, label, bar)


class _EnsembleRun:
    """One computation: the ensemble, each network's rows so far, and the clock."""

    def __init__(self, lease: Lease) -> None:
        self.lease, self.folder = lease, lease.folder
        jobs = list(lease.stack.networks.values())
        self.job = jobs[0]
        self.checkpoint_every = min(job.train.checkpoint_every for job in jobs)
        self.device, self.engine = place_of(self.job)
        self.training = self.fresh_training()
        self.rows = Rows(lease.stack.networks)
        self.curves = LiveCurves(lease.stack.networks)
        self.seconds = self.floss_seconds = 0.0
        self.doing = ""

    def fresh_training(self) -> Training:
        """The networks before the first epoch."""
        return training_of(self.lease.stack, self.device, self.engine)

    def complete(self, interrupt: Interrupt, label: str, make_bar: Callable[..., Any]) -> None:
        """Train to the end and write the rows; at a signal, write a checkpoint and leave."""
        self.resume()
        write_whole(self.folder / "config.yaml", config_text(self.lease.stack.networks).encode())
        engine = {"engine": self.engine.name, **self.engine.environment()}
        write_json(self.folder / "environment.json", {**environment(self.device), **engine})
        since_checkpoint, clock = 0, time.perf_counter()
        with self.progress_bar(make_bar) as bar:
            for tick in self.training.run():
                now = time.perf_counter()
                self.seconds += now - clock
                self.floss_seconds += (now - clock) * isinstance(tick, FlossingTick)
                clock = now
                self.show(tick, bar, label)
                if is_logged(tick, self.job):
                    self.rows.add(tick)
                elif isinstance(tick, FlossingTick):
                    self.rows.add(tick.of_ended())
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
        t, protocol = self.training, self.training.ensemble.protocol
        episodes, each = t.ensemble.episodes, protocol.flossing_epochs
        done = t.epoch + t.flossing_epoch + each * sum(e < t.epoch for e in episodes)
        total = protocol.epochs + each * len(episodes)
        return make_bar(total=total, initial=done, unit="epoch", disable=None, dynamic_ncols=True)

    def show(self, tick: Tick, bar: "tqdm[Any]", label: str) -> None:
        """Tell the bar what is going on, and how well at the logged epochs."""
        if isinstance(tick, FlossingTick):
            episodes = self.training.ensemble.episodes
            doing = f"flossing episode {episodes.index(self.training.epoch) + 1} of {len(episodes)}"
            name, measured = "λ₁", tick.lambda_1
        else:
            doing = "training"
            name, measured = ("loss", tick.loss) if tick.accuracy is None else ("accuracy", tick.accuracy)
        if doing != self.doing:
            self.doing = doing
            bar.set_description_str(f"{label}{self.job.task.name}, {doing}")
        if is_logged(tick, self.job) and len(measured):
            bar.set_postfix_str(f"mean {name} {float(measured.mean()):.3g}", refresh=False)

    def checkpoint(self) -> None:
        """Everything needed to resume in one file, and metrics.csv beside it as a human-readable copy."""
        write_whole(self.folder / "metrics.csv", self.rows.metrics().encode())
        state = Unfinished(self.rows.ids, self.training.state(), self.rows.texts, self.seconds, self.floss_seconds)
        state.save(self.folder / CHECKPOINT)
        # After it: what the curves show is what a run that goes on from here has.
        self.curves.show(self.rows.header.strip().split(","), dict(zip(self.rows.ids, self.rows.texts, strict=True)))

    def resume(self) -> None:
        """Continue from the lease's checkpoint, of which these networks may be a part, where it can be used."""
        if self.lease.origin is None:
            return
        path = self.lease.origin / CHECKPOINT
        try:
            state = Unfinished.load(path, self.rows.ids)
            self.training.load(state.training)
        except (CheckpointError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
            self.training = self.fresh_training()  # not half loaded
            reason = error if isinstance(error, CheckpointError | OSError) else f"{path}: not of these networks"
            LOGGER.warning("%s; starting them from the beginning", reason)
            if path.parent == self.folder:
                path.replace(path.with_name(f"{CHECKPOINT}.damaged"))
            return
        self.rows.texts, self.seconds, self.floss_seconds = state.rows, state.seconds, state.floss_seconds

    def finish(self) -> None:
        """Evaluate on fresh data and write all that stays: the summary last, since it says that the rest is there."""
        self.checkpoint()
        loss, accuracy = (None if v is None else v.tolist() for v in self.training.evaluate())
        ids, epochs = self.rows.ids, self.job.train.epochs
        spent: list[int] = self.training.ensemble.flossed.epochs_spent.tolist()
        flossing = self.floss_seconds_of(spent)
        each = (self.seconds - self.floss_seconds) / len(ids)
        results = {
            network_id: {
                "final_loss": loss[i] if loss else None,
                "final_accuracy": accuracy[i] if accuracy else None,
                "diverged_at": at if at >= 0 else None,
                "epochs": at if at >= 0 else epochs,
                "floss_epochs": spent[i],
                "seconds": round(each + flossing[i], 3),
                "floss_seconds": round(flossing[i], 3),
                "status": "diverged" if at >= 0 else "done",
            }
            for i, (network_id, at) in enumerate(zip(ids, self.training.ensemble.diverged_at.tolist(), strict=True))
        }
        rows = self.rows.by_network()
        summary = summary_rows(self.lease.stack.networks, results, rows)
        digests = {network_id: columns["sha256"] for network_id, columns in summary.items()}
        Trained.of(ids, self.training.state(), digests).save(self.folder)
        self.lease.write_summary(results, rows)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def floss_seconds_of(self, spent: list[int]) -> list[float]:
        """The seconds of flossing, shared by the networks that are flossed as their work is."""
        work = [flossing_work(n) * epochs for n, epochs in zip(self.lease.stack.networks.values(), spent, strict=True)]
        return [self.floss_seconds * each / (sum(work) or 1.0) for each in work]
