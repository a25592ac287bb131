"""`floss sbatch`: an array script for SLURM."""

from floss.commands.sweep_arguments import check_one_folder, jobs_of
from floss.errors import ConfigError
from floss.jobs.keys import build


def run(command: str, arguments: list[str]) -> None:
    """Print the script."""
    jobs = jobs_of(command, arguments)
    if not jobs:
        return
    from floss.jobs.compose import parse
    from floss.jobs.slurm import sbatch_script
    from floss.jobs.train import SbatchJob, train_job

    clusters = {build(SbatchJob, values).slurm for values, _ in jobs}
    if len(clusters) > 1:
        raise ConfigError("slurm: must be the same for all jobs of a sweep")
    training = [{name: value for name, value in values.items() if name != "slurm"} for values, _ in jobs]
    check_one_folder([train_job(values) for values in training])
    overrides = [o for o in parse(command, arguments).overrides if not o.lstrip("+").startswith(("slurm.", "parts="))]
    print(sbatch_script(clusters.pop(), overrides), end="")
