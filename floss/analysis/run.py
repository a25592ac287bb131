"""One analysis, from its configuration to the tables in its folder: floss, or resume flossing, measure, write."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from floss.analysis.flossing import FlossingEpisode
from floss.analysis.networks import IDENTITY, StackedNetworks, networks_of
from floss.analysis.progress import AnalysisBar
from floss.errors import CheckpointError, ConfigError
from floss.jobs.analysis import AnalysisJob
from floss.jobs.train import config_yaml
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.device import device_of
from floss.runtime.environment import environment
from floss.runtime.files import (
    CHECKPOINT,
    CHECKSUMS,
    config_is_whole,
    csv_text,
    remove_leftovers,
    seal,
    sealed,
    write_config,
    write_json,
    write_whole,
)
from floss.runtime.free_memory import fits_in_memory
from floss.runtime.interrupt import Interrupt, interruptible
from floss.runtime.locks import exclusive
from floss.runtime.messages import LOGGER
from floss.training.engines.processor import lower_capability

_CHECKPOINT_EVERY = 100
"""Flossing epochs between checkpoints."""

Table = tuple[Sequence[str], list[list[Any]]]
"""Columns beside the identity, and rows with it."""
Measure = Callable[[Any, list[StackedNetworks], AnalysisBar], dict[str, Table]]
"""Makes the tables of an analysis: (job, networks before and after flossing, bar) -> name of the CSV -> table."""


def analyse(
    job: AnalysisJob, measure: Measure, *, states: int = 1, make_bar: Callable[..., Any] = tqdm
) -> tuple[Path, bool]:
    """Compute an analysis, or what is missing of it; its folder, and whether it was there already. Draws nothing.

    Args:
        job: what to analyse.
        measure: makes the tables.
        states: initial states of each network.
        make_bar: makes the progress bar, with the arguments of tqdm.

    Raises:
        SystemExit: status 130 or 143 after Ctrl-C or SIGTERM; flossing resumes from there when started again.
        RunBusyError: another process computes the same analysis.
        ConfigError: the checkpoint cannot be used, or the folder cannot be made.
    """
    folder = job.folder
    if sealed(folder):
        _mend_config(job, folder)
        return folder, True
    if (folder / CHECKSUMS).exists():
        LOGGER.warning("%s: a table is damaged or missing; computing all of them again", folder)
    device = device_of(job.device)
    lower_capability()
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
        with make_bar(unit="step", disable=None, dynamic_ncols=True) as progress:
            bar = AnalysisBar(interrupt, progress)
            groups = [networks]
            try:
                if job.flossing.epochs:
                    groups.append(_floss(job, networks, folder, interrupt, bar))
                tables = measure(job, groups, bar)
            except SystemExit:
                LOGGER.warning("stopped; start the same command again to go on: %s", folder)
                raise
        for name, (columns, rows) in tables.items():
            write_whole(folder / f"{name}.csv", csv_text((*IDENTITY, *columns), rows).encode())
        seal(folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        if interrupt.signal:
            raise SystemExit(interrupt.status)
    return folder, False


def _mend_config(job: AnalysisJob, folder: Path) -> None:
    """Write the config.yaml of finished tables again, where it is another one: no number of theirs follows from it."""
    if not config_is_whole(folder):
        write_config(folder, config_yaml(job).encode())
        LOGGER.warning("%s was changed, damaged or missing: written again", folder / "config.yaml")


def _floss(
    job: AnalysisJob, networks: StackedNetworks, folder: Path, interrupt: Interrupt, bar: AnalysisBar
) -> StackedNetworks:
    """The flossed variants; their course is in flossing.csv."""
    flossing, path = FlossingEpisode(networks, job.flossing), folder / CHECKPOINT
    columns = (*IDENTITY, "epoch", "floss_loss", "lambda_1", "lambda_k")
    text = csv_text(columns, [])
    try:
        content = load_checkpoint(path)
        flossing.load(content["flossing"])
        text = content["rows"]
    except (CheckpointError, KeyError, TypeError, RuntimeError, OSError):
        flossing = FlossingEpisode(networks, job.flossing)  # not half loaded
    identity = flossing.networks.identity
    bar.begin("flossing", job.flossing.epochs)
    while not flossing.over:
        tick = flossing.advance()
        values = [column.tolist() for column in (tick.networks, tick.life, tick.loss, tick.lambda_1, tick.lambda_k)]
        rows = [[*identity[network], *measured] for network, *measured in zip(*values, strict=True)]
        text += csv_text(columns, rows, header=False)
        if flossing.epoch % _CHECKPOINT_EVERY == 0 or interrupt.signal or flossing.over:
            save_checkpoint(path, {"flossing": flossing.state(), "rows": text})
        bar.update()
    write_whole(folder / "flossing.csv", text.encode())
    diverged = (~flossing.flossed.alive).sum().item()
    if diverged:
        LOGGER.warning("%d of %d networks stopped being finite in flossing", diverged, len(flossing.networks))
    return flossing.networks
