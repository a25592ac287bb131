"""The jobs of a sweep, as the commands that compute nothing of it read them from their arguments."""

from typing import Any

from floss.errors import ConfigError


def jobs_of(command: str, arguments: list[str]) -> list[tuple[dict[str, Any], list[str]]]:
    """Values and explicit keys of the jobs that the arguments mean; none where Hydra answers (--help, --cfg, ...)."""
    from floss.commands.hydra_app import answered_by_hydra
    from floss.jobs.compose import sweep_jobs
    from floss.jobs.options import parse

    options = parse(command, arguments)
    if answered_by_hydra(command, arguments, options):
        return []
    return sweep_jobs(command, options.overrides, lambda values, keys: (values, keys), options)


def check_one_folder(jobs: list[Any]) -> None:
    """Raise a ConfigError where the jobs of a sweep have several results folders."""
    folders = sorted({job.results for job in jobs})
    if len(folders) > 1:
        raise ConfigError(f"results={','.join(folders)}: must be one folder for all jobs of a sweep")
