"""The commands about training runs: train, plan, sbatch, collect. What takes time to import is imported when needed."""

import sys
from typing import Any

from floss.errors import ConfigError
from floss.jobs.keys import build, known_keys


def train(command: str, arguments: list[str]) -> None:
    """`floss train`: compute what is missing of a job or of a sweep, and say what became of it."""
    from floss.errors import LaunchError
    from floss.jobs.compose import parse, plain, run_hydra, sweep_jobs
    from floss.jobs.train import TrainJob, train_job

    options = parse(command, arguments)
    # Every job is checked before the first one starts.
    sweep = sweep_jobs(command, options.overrides, lambda values, _: train_job(values)) if options.multirun else []
    _check_one_folder(sweep)
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


def _check_one_folder(jobs: list[Any]) -> None:
    folders = sorted({job.results for job in jobs})
    if len(folders) > 1:
        raise ConfigError(f"results={','.join(folders)}: must be one folder for all jobs of a sweep")


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
    from floss.sweep.run import run
    from floss.sweep.summary import describe

    outcome = run([job])
    print(describe(job, outcome))
    print(f"metrics  {job.folder / 'metrics.csv'}\nsummary  {job.folder / 'summary.csv'}", flush=True)
    if (job.folder / "learning_curves.png").exists():
        print(f"picture  {job.folder / 'learning_curves.png'}", flush=True)
    return str(job.folder)


def plan(command: str, arguments: list[str]) -> None:
    """`floss plan`: say what `floss train` would compute."""
    jobs = _jobs_of(command, arguments)
    if jobs:
        from floss.jobs.train import train_job
        from floss.sweep.forecast import forecast

        checked = [train_job(values) for values, _ in jobs]
        _check_one_folder(checked)
        print(forecast(checked))


def sbatch(command: str, arguments: list[str]) -> None:
    """`floss sbatch`: print an array script for SLURM."""
    jobs = _jobs_of(command, arguments)
    if not jobs:
        return
    from floss.jobs.compose import parse
    from floss.jobs.slurm import sbatch_script
    from floss.jobs.train import SbatchJob, train_job

    asked = {build(SbatchJob, values).slurm for values, _ in jobs}
    if len(asked) > 1:
        raise ConfigError("slurm: must be the same for all jobs of a sweep")
    own = [{name: value for name, value in values.items() if name != "slurm"} for values, _ in jobs]
    _check_one_folder([train_job(values) for values in own])
    overrides = [o for o in parse(command, arguments).overrides if not o.lstrip("+").startswith(("slurm.", "parts="))]
    print(sbatch_script(asked.pop(), overrides), end="")


def _jobs_of(command: str, arguments: list[str]) -> list[tuple[dict[str, Any], list[str]]]:
    """Values and explicit keys of the jobs that the arguments mean; none where Hydra answers (--help, --cfg, ...)."""
    from floss.jobs.compose import asks_hydra, parse, run_hydra, sweep_jobs

    options = parse(command, arguments)
    if asks_hydra(options):
        run_hydra(command, arguments, lambda config: None)  # noqa: ARG005
        return []
    return sweep_jobs(command, options.overrides, lambda values, keys: (values, keys))


def collect(command: str, arguments: list[str]) -> None:
    """`floss collect`: write one table of all networks with some values."""
    from floss.jobs.compose import asks_hydra, parse, run_hydra, selection

    options = parse(command, arguments, groups=())
    if options.cfg or options.info:
        raise ConfigError("--cfg and --info: there is nothing composed to show; --help lists the keys")
    if asks_hydra(options):
        run_hydra(command, arguments, lambda config: None)  # noqa: ARG005
        return
    from dataclasses import asdict
    from pathlib import Path

    from floss.jobs.collect import CollectJob
    from floss.jobs.folders import check_folder

    values = dict.fromkeys(known_keys(CollectJob))
    job = build(CollectJob, {**values, "results": "results", **selection(command, options.overrides)})
    wanted = {column: allowed for column, allowed in asdict(job).items() if isinstance(allowed, tuple)}
    if not Path(job.results).is_dir():
        raise ConfigError(f"results={job.results}: must be a folder that exists")
    folder = Path(job.to) if job.to else Path(job.results) / "collected"
    check_folder(str(folder), "to")
    from floss.sweep.folders import write_selection
    from floss.sweep.store import Store

    count = write_selection(folder, wanted, Store(job.results))
    print(f"networks {count}\nsummary  {folder / 'summary.csv'}\nmetrics  {folder / 'metrics.csv'}")
