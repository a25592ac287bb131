"""One analysis, from its configuration to its folder: floss, measure, write, draw; interrupted, it goes on."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from floss.analysis.jobs import AnalysisJob
from floss.analysis.networks import IDENTITY, Flossing, Networks, networks_of
from floss.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from floss.config import config_yaml
from floss.device import device_of
from floss.engines.processor import lower_capability
from floss.figures import draw
from floss.interrupt import Interrupt, interruptible
from floss.jacobian import Step, advance
from floss.keys import ConfigError
from floss.memory import fits_in_memory
from floss.results import (
    CHECKSUMS,
    csv_text,
    environment,
    exclusive,
    remove_leftovers,
    seal,
    sealed,
    write_json,
    write_whole,
)

_CHECKPOINT_EVERY = 100
"""Flossing epochs between checkpoints."""

Table = tuple[Sequence[str], list[list[Any]]]
"""Columns beside the identity, and rows with it."""
Measure = Callable[[Any, list[Networks], "Progress"], dict[str, Table]]
"""Makes the tables of an analysis: (job, networks before and after flossing, progress) -> name of the CSV -> table."""


class Progress:
    """A progress bar that notices Ctrl-C at every step."""

    def __init__(self, interrupt: Interrupt, bar: "tqdm[Any]") -> None:
        """Both are the caller's."""
        self._interrupt, self._bar = interrupt, bar

    def begin(self, what: str, total: int) -> None:
        """Start counting anew."""
        self._bar.set_description_str(what)
        self._bar.reset(total)

    def update(self) -> None:
        """One step further; SystemExit after a signal."""
        self._bar.update()
        if self._interrupt.signal:
            self._bar.close()
            raise SystemExit(self._interrupt.status)

    def at(self, done: int, total: int) -> None:
        """So many of so many steps are done."""
        self._bar.total = total
        self._bar.n = done - 1
        self.update()

    def watched(self, step: Step) -> Step:
        """The same map, counting its steps."""
        return Watched(step, self)


class Watched:
    """A map that tells a progress bar of every step."""

    def __init__(self, step: Step, progress: Progress) -> None:
        """The map, and whom to tell."""
        self._step, self._progress = step, progress

    def __call__(self, h: Tensor, *x: Tensor) -> Tensor:
        """The next state."""
        return self._step(h, *x)

    def advance(self, h: Tensor, q: Tensor, *x: Tensor) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q."""
        self._progress.update()
        return advance(self._step, h, q, *x)


def analyse(
    job: AnalysisJob, measure: Measure, *, states: int = 1, pictures: bool = True, bar: Callable[..., Any] = tqdm
) -> tuple[Path, bool]:
    """Compute an analysis, or what is missing of it; its folder, and whether it was there already.

    Args:
        job: what to analyse.
        measure: makes the tables.
        states: initial states of each network.
        pictures: draw the tables as well.
        bar: makes the progress bar, with the arguments of tqdm.

    Raises:
        SystemExit: status 130 or 143 after Ctrl-C or SIGTERM; flossing goes on from there when started again.
        RunBusyError: another process computes the same analysis.
        ConfigError: the checkpoint cannot be used, or the folder cannot be made.
    """
    folder = job.folder
    if sealed(folder):
        if pictures and not (folder / f"{job.kind}.svg").exists():
            draw(folder)
        return folder, True
    if (folder / CHECKSUMS).exists():
        print(f"floss: {folder}: a table is damaged or missing; computing all of them again", file=sys.stderr)
    lower_capability()
    device = device_of(job.device)
    sizes = f"seeds={job.seeds}, arch.n={job.arch.n}, steps={job.steps}"
    with fits_in_memory(sizes):
        networks = networks_of(job, device, states=states)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results={job.results}: cannot make {folder}: {error.strerror}") from None
    with exclusive(folder), interruptible() as interrupt, fits_in_memory(sizes), torch.no_grad():
        remove_leftovers(folder)
        if sealed(folder):  # another process has just finished it
            return folder, True
        write_whole(folder / "config.yaml", config_yaml(job).encode())
        write_json(folder / "environment.json", environment(device))
        with bar(unit="step", disable=None, dynamic_ncols=True) as own:
            progress = Progress(interrupt, own)
            groups = [networks]
            try:
                if job.flossing.epochs:
                    groups.append(_floss(job, networks, folder, interrupt, progress))
                tables = measure(job, groups, progress)
            except SystemExit:
                print(f"floss: stopped; start the same command again to go on: {folder}", file=sys.stderr)
                raise
        for name, (columns, rows) in tables.items():
            write_whole(folder / f"{name}.csv", csv_text((*IDENTITY, *columns), rows).encode())
        seal(folder)
        if pictures:
            draw(folder)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
        if interrupt.signal:
            raise SystemExit(interrupt.status)
    return folder, False


def _floss(job: AnalysisJob, networks: Networks, folder: Path, interrupt: Interrupt, progress: Progress) -> Networks:
    """The flossed variants; their course is in flossing.csv."""
    flossing, path = Flossing(networks, job), folder / "checkpoint.pt"
    columns = (*IDENTITY, "epoch", "floss_loss", "lambda_1", "lambda_k")
    text = csv_text(columns, [])
    try:
        content = load_checkpoint(path)
        flossing.load(content["flossing"])
        text = content["rows"]
    except (CheckpointError, KeyError, TypeError, RuntimeError, OSError):
        flossing = Flossing(networks, job)  # not half loaded
    identity, last = flossing.networks.identity, (flossing.k - 1)[:, None]
    progress.begin("flossing", job.flossing.epochs)
    while not flossing.done:
        with torch.enable_grad():
            active, loss, exponents = flossing.run_epoch()
        values = torch.stack((loss, exponents[:, 0], exponents.gather(1, last)[:, 0]), -1).tolist()
        rows = [[*identity[i], flossing.epoch - 1, *values[i]] for i, goes_on in enumerate(active.tolist()) if goes_on]
        text += csv_text(columns, rows, header=False)
        if flossing.epoch % _CHECKPOINT_EVERY == 0 or interrupt.signal or flossing.done:
            save_checkpoint(path, {"flossing": flossing.state(), "rows": text})
        progress.update()
    write_whole(folder / "flossing.csv", text.encode())
    dead = (~flossing.alive).sum().item()
    if dead:
        print(f"floss: {dead} of {len(flossing.networks)} networks stopped being finite in flossing", file=sys.stderr)
    return flossing.networks
