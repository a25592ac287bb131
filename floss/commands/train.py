"""`floss train`: compute what is missing of a job or of a sweep, draw it, and report the state of its networks."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floss.commands.launched_job import in_a_launchers_job
from floss.commands.pictures import draw_folder
from floss.commands.sweep_arguments import check_one_folder
from floss.errors import LaunchError

if TYPE_CHECKING:
    from argparse import Namespace

    from floss.jobs.train import TrainJob
    from floss.sweep.request import Request
    from floss.sweep.summary import Outcome


def run(command: str, arguments: list[str]) -> None:
    """Compute what is missing; exit status 1 if a network failed."""
    from floss.commands.hydra_app import run_hydra
    from floss.jobs.checked import train_job
    from floss.jobs.compose import plain
    from floss.jobs.options import parse
    from floss.runtime.requeue import OF_ENSEMBLES

    options = parse(command, arguments)
    sweep = _checked_sweep(command, options) if options.multirun else None
    single: list[Request] = []

    def train_one(config: Any) -> str:
        job = train_job(plain(config))
        with in_a_launchers_job(Path(job.results), OF_ENSEMBLES):
            request = _train_one(job)
        if not options.multirun:
            single.append(request)
        return str(job.folder)

    try:
        run_hydra(command, arguments, train_one)
    except SystemExit:
        if sweep:
            from floss.sweep.summary import tally

            print(f"sweep    {tally(sweep)[0]}", file=sys.stderr)
        raise
    except LaunchError as error:  # what its other jobs have done is there
        print(f"floss {command}: {error}", file=sys.stderr)
        if sweep:
            _conclude_sweep(sweep)
        sys.exit(1)
    if sweep:
        _conclude_sweep(sweep)
    for request in single:
        _exit_if_any_failed(request)


def _checked_sweep(command: str, options: "Namespace") -> "Request":
    """All jobs of a sweep, every one of them checked before the first one starts."""
    from floss.jobs.checked import train_job
    from floss.jobs.compose import sweep_jobs
    from floss.sweep.loggers import check_loggers
    from floss.sweep.request import Request

    jobs = sweep_jobs(command, options.overrides, lambda values, _: train_job(values), options)
    check_one_folder(jobs)
    check_loggers(jobs)
    return Request(jobs)


def _train_one(job: "TrainJob") -> "Request":
    """One Hydra job: compute it, draw it, and name its files."""
    from floss.sweep.request import Request
    from floss.sweep.run import run as compute
    from floss.sweep.summary import describe

    outcome = compute(Request([job]))
    show_left_out(outcome)
    picture = job.folder / "learning_curves.png"
    if outcome.complete and not picture.with_suffix(".svg").exists():
        draw_folder(job.folder)
    print(describe(job, outcome))
    print(f"metrics  {job.folder / 'metrics.csv'}\nsummary  {job.folder / 'summary.csv'}", flush=True)
    if picture.exists():
        print(f"picture  {picture}", flush=True)
    return outcome.request


def _conclude_sweep(sweep: "Request") -> None:
    """Write and draw the folder of a sweep, and print how many networks are done; exit status 1 if any failed."""
    from floss.sweep.folders import write_sweep
    from floss.sweep.summary import tally

    folder, any_done = write_sweep(sweep)
    if any_done:
        draw_folder(folder)
    print(f"sweep    {folder / 'summary.csv'}")
    for picture in sorted(folder.glob("*.png")):
        print(f"picture  {picture}")
    text, failed = tally(sweep)
    print(f"networks {text}", flush=True)
    if failed:
        sys.exit(1)


def _exit_if_any_failed(request: "Request") -> None:
    """Exit status 1, with the reasons, where a network of a single job failed."""
    from floss.sweep.summary import tally

    text, failed = tally(request)
    if failed:
        print(f"networks {text}", flush=True)
        sys.exit(1)


def show_left_out(outcome: "Outcome") -> None:
    """Print which episodes of flossing lie beyond the end of training."""
    for text in outcome.left_out:
        print(f"floss: {text}", file=sys.stderr)
