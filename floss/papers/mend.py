"""The files beside the tables, which say how numbers were made: none depends on them, and a damaged one is mended.

A `config.yaml` follows from what the networks are known by, so it is written again, with every value that a number
depends on. An `environment.json` follows from nothing; that it is lost is said.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from floss.errors import ConfigError
from floss.jobs.analysis import AnalysisJob
from floss.jobs.hashing import hashed_values
from floss.jobs.train import TrainJob, config_yaml, train_job
from floss.papers.experiments import SCALES, Job, experiment, figures, folder_of
from floss.runtime.environment import read_environment
from floss.runtime.files import write_whole
from floss.runtime.messages import LOGGER
from floss.sweep.networks import NetworkJobs
from floss.sweep.records import DONE, config_text
from floss.sweep.request import Request
from floss.sweep.store import Store


def mend(results: str, jobs: Iterable[Job]) -> None:
    """Look at the files beside the tables of some jobs that are computed, and write again what can be.

    Args:
        results: folder of the reproduction.
        jobs: of its figures.

    Raises:
        OSError: a file cannot be written.
    """
    jobs = list(jobs)
    trained = [job for job in jobs if isinstance(job, TrainJob)]
    networks = Request(trained).networks if trained else {}
    for folder, records in Store(results).ensembles().items():
        keys = dict.fromkeys(record.network_id for record in records if record.status in DONE).keys()
        if keys & networks.keys():
            if not keys <= _described(folder):
                known = networks if keys <= networks.keys() else _of_all_figures(results)
                whole = keys <= known.keys()
                _mend_config(folder, config_text({key: known[key] for key in keys}) if whole else None)
            _check_environment(folder)
    for job in jobs:
        if isinstance(job, AnalysisJob) and not _holds(_config(job.folder), _plain(hashed_values(job))):
            _mend_config(job.folder, config_yaml(job))
        if not isinstance(job, TrainJob):
            _check_environment(folder_of(job))


def _config(folder: Path) -> Any:
    """What config.yaml says; None where it cannot be read."""
    try:
        return yaml.safe_load((folder / "config.yaml").read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        return None


def _described(folder: Path) -> set[str]:
    """Keys of the networks that an ensemble's config.yaml describes; none where it is damaged."""
    elsewhere = {"device": "auto", "engine": "auto", "results": str(folder)}  # it may come from another machine
    try:
        runs = [{**run, **elsewhere} for run in _config(folder)["runs"]]
        jobs = [train_job({key: run[key] for key in run if key != "label"}) for run in runs]
        return set(Request(jobs).networks) if jobs else set()
    except (KeyError, TypeError, ConfigError):
        return set()


def _plain(values: Mapping[str, Any]) -> Any:
    """As a file has them: lists for tuples, and without the version of what the values mean."""
    return json.loads(json.dumps({key: value for key, value in values.items() if key != "schema"}))


def _holds(found: Any, wanted: Any) -> bool:
    """Whether nested values have all those that are wanted."""
    if not isinstance(wanted, dict):
        return type(found) is type(wanted) and found == wanted
    return isinstance(found, dict) and all(name in found and _holds(found[name], wanted[name]) for name in wanted)


def _of_all_figures(results: str) -> NetworkJobs:
    """The networks of every figure at every scale: an ensemble of one figure may have those of others."""
    runs = [run for figure in figures() for scale in SCALES for run in experiment(figure).scales[scale].values()]
    return Request([job for run in runs for job in run.jobs(results) if isinstance(job, TrainJob)]).networks


def _mend_config(folder: Path, text: str | None) -> None:
    path = folder / "config.yaml"
    if text is None:
        _say(f"{path} is damaged or missing, and has networks of no figure: take it from a copy")
        return
    write_whole(path, text.encode())
    _say(f"{path} was damaged or missing: written again")


def _check_environment(folder: Path) -> None:
    if not read_environment(folder):
        path = folder / "environment.json"
        _say(f"{path} is damaged or missing: the numbers are sound, but only a copy knows where they were computed")


def _say(text: str) -> None:
    LOGGER.warning("%s", text)
