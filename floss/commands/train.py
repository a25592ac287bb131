"""`floss train`: compute what is missing of a job or of a sweep, and say what became of it."""

import sys
from typing import Any

from floss.commands.sweep_arguments import check_one_folder
from floss.errors import LaunchError


def run(command: str, arguments: list[str]) -> None:
    """Compute what is missing, and say what became of it."""
    from floss.commands.hydra_app import run_hydra
    from floss.jobs.compose import parse, plain, sweep_jobs
    from floss.jobs.train import TrainJob, train_job

    options = parse(command, arguments)
    # Every job is checked before the first one starts.
    sweep = sweep_jobs(command, options.overrides, lambda values, _: train_job(values)) if options.multirun else []
    check_one_folder(sweep)
    alone: list[TrainJob] = []

    def train_one(config: Any) -> str:
        job = train_job(plain(config))
        if not options.multirun:
            alone.append(job)
        return _train_one(job)

    try:
        run_hydra(command, arguments, train_one)
    except SystemExit:
        if sweep:
            from floss.sweep.summary import report

            print(f"sweep    {report(sweep)[0]}", file=sys.stderr)
        raise
    except LaunchError as error:  # what its other jobs have done is there
        print(f"floss {command}: {error}", file=sys.stderr)
        _conclude(sweep, alone)
        sys.exit(1)
    if sweep or alone:
        _conclude(sweep, alone)


def _conclude(sweep: list[Any], alone: list[Any]) -> None:
    """Say what became of the networks; exit status 1 if any failed."""
    from floss.sweep.summary import draw_sweep, report

    if sweep:
        folder = draw_sweep(sweep)
        print(f"sweep    {folder / 'summary.csv'}")
        for picture in sorted(folder.glob("*.png")):
            print(f"picture  {picture}")
    text, failed = report(sweep or alone)
    if sweep or failed:
        print(f"networks {text}", flush=True)
    if failed:
        sys.exit(1)


def _train_one(job: Any) -> str:
    """One Hydra job; the return value is the folder of its results."""
    from floss.sweep.run import run as compute
    from floss.sweep.summary import describe

    outcome = compute([job])
    print(describe(job, outcome))
    print(f"metrics  {job.folder / 'metrics.csv'}\nsummary  {job.folder / 'summary.csv'}", flush=True)
    if (job.folder / "learning_curves.png").exists():
        print(f"picture  {job.folder / 'learning_curves.png'}", flush=True)
    return str(job.folder)
