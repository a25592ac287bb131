"""`floss bench`: measure beside what a user would pick instead."""

from pathlib import Path
from typing import Any

from floss.errors import ConfigError
from floss.jobs.keys import build


def run(command: str, arguments: list[str]) -> None:
    """Measure, and write the tables."""
    from floss.commands.hydra_app import run_hydra

    run_hydra(command, arguments, _measure)


def _measure(config: Any) -> None:
    from omegaconf import OmegaConf

    from floss.bench.command import measure
    from floss.jobs.bench import BenchJob
    from floss.jobs.folders import check_folder
    from floss.runtime.device import check_device

    job = build(BenchJob, OmegaConf.to_container(config, resolve=True))  # pyright: ignore[reportArgumentType]
    if job.k > job.n:
        raise ConfigError(f"k={job.k}: must be at most n={job.n}")
    check_device(job.device)
    check_folder(job.results)
    try:
        Path(job.results).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results={job.results}: cannot be made: {error.strerror}") from None
    measure(job)
