"""The common part of `floss spectrum` and `floss condition`: check every job, compute them in turn, list the files."""

import sys
from pathlib import Path
from typing import Any

from floss.commands.launched_job import in_a_launchers_job
from floss.commands.pictures import draw_folder
from floss.errors import LaunchError


def run(command: str, arguments: list[str]) -> None:
    """Compute what is missing of the analyses that the arguments mean."""
    from floss.commands.hydra_app import run_hydra
    from floss.jobs.analysis import analysis_job
    from floss.jobs.compose import sweep_jobs
    from floss.jobs.help import COMMANDS
    from floss.jobs.options import parse

    kind = COMMANDS[command].job
    options = parse(command, arguments)
    if options.multirun:  # every job is checked before the first one starts
        sweep_jobs(command, options.overrides, lambda values, keys: analysis_job(kind, values, keys), options)
    try:
        run_hydra(command, arguments, lambda config: _analyse(kind, config))
    except LaunchError as error:  # what its other jobs have done is there
        print(f"floss {command}: {error}", file=sys.stderr)
        sys.exit(1)


def _analyse(kind: type, config: Any) -> str:
    """One Hydra job; the return value is the folder of its results."""
    from floss.jobs.analysis import analysis_job
    from floss.jobs.compose import explicit_keys, plain
    from floss.runtime.requeue import OF_ANALYSIS

    job = analysis_job(kind, plain(config), explicit_keys())
    with in_a_launchers_job(job.folder, OF_ANALYSIS):
        folder, already_done = _compute(job)
    if not already_done or not (folder / f"{job.kind}.svg").exists():
        draw_folder(folder)
    state = "known   " if already_done else "finished"
    print(f"{state} {job.kind} of {job.seeds} {job.arch.name} networks, n={job.arch.n}")
    for path in sorted((*folder.glob("*.csv"), *folder.glob("*.png"))):
        print(f"{'table   ' if path.suffix == '.csv' else 'picture '} {path}", flush=True)
    return str(folder)


def _compute(job: Any) -> tuple[Path, bool]:
    """The folder of an analysis that is done, and whether it was before."""
    from floss.analysis.run import analyse
    from floss.jobs.analysis import SpectrumJob

    if isinstance(job, SpectrumJob):
        from floss.analysis.spectrum import measure_spectra

        return analyse(job, measure_spectra, states=job.states)
    from floss.analysis.condition import measure_conditions

    return analyse(job, measure_conditions)
