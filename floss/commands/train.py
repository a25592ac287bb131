"""`floss train`: compute what is missing of a job or of a sweep, draw it, and say what became of it."""

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
            from floss.sweep.request import Request
            from floss.sweep.summary import tally

            print(f"sweep    {tally(Request(sweep))[0]}", file=sys.stderr)
        raise
    except LaunchError as error:  # what its other jobs have done is there
        print(f"floss {command}: {error}", file=sys.stderr)
        _conclude(sweep, alone)
        sys.exit(1)
    if sweep or alone:
        _conclude(sweep, alone)


def _conclude(sweep: list[Any], alone: list[Any]) -> None:
    """Draw a sweep and say what became of the networks; exit status 1 if any failed."""
    from floss.figures import draw
    from floss.sweep.folders import write_sweep
    from floss.sweep.request import Request
    from floss.sweep.summary import tally

    request = Request(sweep or alone)
    if sweep:
        folder, any_done = write_sweep(request)
        if any_done:
            draw(folder)
        print(f"sweep    {folder / 'summary.csv'}")
        for picture in sorted(folder.glob("*.png")):
            print(f"picture  {picture}")
    text, failed = tally(request)
    if sweep or failed:
        print(f"networks {text}", flush=True)
    if failed:
        sys.exit(1)


def _train_one(job: Any) -> str:
    """One Hydra job; the return value is the folder of its results."""
    from floss.figures import draw
    from floss.sweep.request import Request
    from floss.sweep.run import run as compute
    from floss.sweep.summary import describe

    outcome = compute(Request([job]))
    for finished in outcome.complete:
        if not (finished.folder / "learning_curves.svg").exists():
            draw(finished.folder)
    show_left_out(outcome)
    print(describe(job, outcome))
    print(f"metrics  {job.folder / 'metrics.csv'}\nsummary  {job.folder / 'summary.csv'}", flush=True)
    if (job.folder / "learning_curves.png").exists():
        print(f"picture  {job.folder / 'learning_curves.png'}", flush=True)
    return str(job.folder)


def show_left_out(outcome: Any) -> None:
    """Say which episodes of flossing lie beyond the end of training."""
    for text in outcome.left_out:
        print(f"floss: {text}", file=sys.stderr)
