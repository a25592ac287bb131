"""`floss sbatch`: an array script for SLURM."""

import os

from floss.commands.sweep_arguments import check_one_folder
from floss.errors import ConfigError
from floss.jobs.keys import build


def run(command: str, arguments: list[str]) -> None:
    """Print the script."""
    from floss.commands.hydra_app import answered_by_hydra
    from floss.jobs.compose import sweep_jobs
    from floss.jobs.options import parse

    options = parse(command, arguments)
    if answered_by_hydra(command, arguments, options):
        return
    from floss.jobs.checked import train_job
    from floss.jobs.slurm import check_grace, sbatch_script
    from floss.jobs.train import SbatchJob

    asked = [override for override in options.overrides if _is_for_slurm(override)]
    clusters = set(sweep_jobs(command, asked, lambda values, _: build(SbatchJob, values).slurm))
    if len(clusters) > 1:
        raise ConfigError("slurm: must be the same for all jobs of a sweep")
    slurm = clusters.pop()
    check_grace(slurm)
    training = [override for override in options.overrides if not _is_for_slurm(override)]
    jobs = sweep_jobs("train", training, lambda values, _: train_job(values), options)
    check_one_folder(jobs)
    folder = options.config_dir and os.path.abspath(options.config_dir)
    files = [("--config-dir", folder), ("--config-name", options.config_name)]
    given = [word for option in files if option[1] for word in option]
    kept = [o for o in options.typed if not _is_for_slurm(o) and not o.lstrip("+").startswith("parts=")]
    print(sbatch_script(slurm, [*given, *kept], jobs[0].results), end="")


def _is_for_slurm(override: str) -> bool:
    return override.lstrip("+").partition("=")[0].partition(".")[0] == "slurm"
