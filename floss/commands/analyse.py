"""`floss spectrum` and `floss condition`."""

from typing import Any


def _analyse(command: str, arguments: list[str]) -> None:
    from floss.commands.hydra_app import run_hydra
    from floss.jobs.analysis import analysis_job
    from floss.jobs.compose import parse, sweep_jobs
    from floss.jobs.help import JOBS

    options = parse(command, arguments)
    if options.multirun:
        sweep_jobs(command, options.overrides, lambda values, keys: analysis_job(JOBS[command], values, keys))
    run_hydra(command, arguments, lambda config: _analyse_one(command, config))


def _analyse_one(command: str, config: Any) -> str:
    """One Hydra job; the return value is the folder of its results."""
    from floss.analysis.run import analyse
    from floss.jobs.analysis import SpectrumJob, analysis_job
    from floss.jobs.compose import explicit_keys, plain
    from floss.jobs.help import JOBS

    job = analysis_job(JOBS[command], plain(config), explicit_keys())
    if isinstance(job, SpectrumJob):
        from floss.analysis.spectrum import measure_spectra

        folder, known = analyse(job, measure_spectra, states=job.states)
    else:
        from floss.analysis.condition import measure_conditions

        folder, known = analyse(job, measure_conditions)
    print(f"{'known   ' if known else 'finished'} {job.kind} of {job.seeds} {job.arch.name} networks, n={job.arch.n}")
    for path in sorted((*folder.glob("*.csv"), *folder.glob("*.png"))):
        print(f"{'table   ' if path.suffix == '.csv' else 'picture '} {path}", flush=True)
    return str(folder)
