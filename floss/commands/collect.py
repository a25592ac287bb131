"""`floss collect`: one table of all networks with some values."""

from floss.errors import ConfigError
from floss.jobs.keys import build, known_keys


def run(command: str, arguments: list[str]) -> None:
    """Write the table."""
    from floss.commands.hydra_app import answered_by_hydra
    from floss.jobs.compose import selection
    from floss.jobs.options import parse, refuse_files

    options = parse(command, arguments, groups=())
    refuse_files(options)
    if answered_by_hydra(command, arguments, options):
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
    if not count:
        asked = " ".join(f"{name}={','.join(map(str, values))}" for name, values in wanted.items())
        what = f"{asked}: there is no such network" if asked else f"results={job.results}: there is no network"
        raise ConfigError(f"{what} in {job.results}")
    print(f"networks {count}\nsummary  {folder / 'summary.csv'}\nmetrics  {folder / 'metrics.csv'}")
