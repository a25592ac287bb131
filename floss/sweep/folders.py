"""What people open: the rows of the store again, by job, by sweep, or by selection. Can be deleted and made again.

Whoever writes holds the store's lock, so that what a killed process left half written can be told from what another one
is writing.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from floss.errors import CheckpointError
from floss.jobs.hashing import config_hash
from floss.jobs.train import TrainJob, config_values, config_yaml
from floss.runtime.checkpoint import save_checkpoint
from floss.runtime.environment import read_environment
from floss.runtime.files import csv_text, format_value, remove_leftovers, write_whole
from floss.sweep.columns import IDENTITY, SUMMARY
from floss.sweep.ensemble_run import parameters_of
from floss.sweep.networks import Networks, expand, network_keys
from floss.sweep.store import DONE, Record, Store, identity

_NUMBERS = {"d": int, "g": float, "k": int, "t_ons": int, "seed": int}


def statuses(networks: Networks, records: Mapping[str, Record]) -> dict[str, str]:
    """Status of every network: that of its record, or interrupted where it has none that is whole."""
    found = {key: records[key].status if key in records else "interrupted" for key in networks}
    return {key: "interrupted" if status == "damaged" else status for key, status in found.items()}


def write_job(job: TrainJob, store: Store, records: Mapping[str, Record]) -> Path:
    """The folder of a job: the rows of its networks, its configuration, and its trained networks."""
    networks, folder = expand([job]), job.folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder, networks, store, records)
    if not (folder / "config.yaml").exists():  # another one may differ in what changes no number
        _write(folder / "config.yaml", config_yaml(job))
    if all(status in DONE for status in statuses(networks, records).values()):
        _write_parameters(folder / "checkpoint.pt", list(networks), records)
    return folder


def sweep_folder(jobs: list[TrainJob]) -> Path:
    """Where the rows of a sweep lie together."""
    digest = hashlib.sha256(" ".join(sorted({config_hash(job) for job in jobs})).encode()).hexdigest()[:10]
    tasks = "-".join(dict.fromkeys(job.task.name for job in jobs))
    return Path(jobs[0].results) / f"sweep-{tasks}-{digest}"


def write_sweep(jobs: list[TrainJob], store: Store, records: Mapping[str, Record]) -> Path:
    """One folder with the rows of all networks of a sweep, each once."""
    unique = list({config_hash(job): job for job in jobs}.values())
    folder = sweep_folder(unique)
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder, expand(unique), store, records)
    configs = {
        "runs": [config_values(job) for job in unique],
        "folders": [job.folder.name for job in unique],
        "networks": [network_keys(job) for job in unique],
    }
    _write(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(configs)))
    return folder


def write_selection(folder: Path, wanted: Mapping[str, tuple[Any, ...]], store: Store) -> int:
    """summary.csv and metrics.csv of the store's networks whose columns have wanted values; how many there are.

    Args:
        folder: of the two files.
        wanted: allowed values of columns of summary.csv; no entry allows all.
        store: whose networks.
    """
    # As they are written, since a gain has nine digits there.
    allowed = {column: {format_value(value) for value in values} for column, values in wanted.items()}
    chosen = [
        record
        for record in map(_without_damage, store.records().values())
        if all(record.row.get(column) in texts for column, texts in allowed.items())
    ]
    chosen.sort(key=lambda record: (*(_place(c, record.row.get(c, "")) for c in IDENTITY), record.key))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "summary.csv", csv_text(SUMMARY, [[r.row.get(c) for c in SUMMARY] for r in chosen]))
    _write(folder / "metrics.csv", _metrics(chosen, store))
    return len(chosen)


def _place(column: str, text: str) -> tuple[bool, Any]:
    """What a column is sorted by: its number, and after the numbers what a damaged row has instead."""
    try:
        return False, _NUMBERS.get(column, str)(text)
    except ValueError:
        return True, text


def _without_damage(record: Record) -> Record:
    """A record whose row can be believed: of a damaged one, only which network it is."""
    if record.status != "damaged":
        return record
    row = {column: record.row.get(column, "") for column in (*IDENTITY, "network")}
    return replace(record, status="interrupted", row={**row, "status": "interrupted"})


def _write_tables(folder: Path, networks: Networks, store: Store, records: Mapping[str, Record]) -> None:
    remove_leftovers(folder)
    status = statuses(networks, records)
    lines = []
    for key, one in networks.items():
        missing = {**identity(one), "status": status[key], "network": key}
        row = records[key].row if key in records and status[key] in (*DONE, "failed") else missing
        lines.append([row.get(column) for column in SUMMARY])
    whole = [records[key] for key in networks if status[key] in DONE]
    _write(folder / "summary.csv", csv_text(SUMMARY, lines))
    _write(folder / "metrics.csv", _metrics(whole, store))
    ensembles = dict.fromkeys(record.folder for record in whole)
    environments = {ensemble.name: read_environment(ensemble) or None for ensemble in ensembles}
    _write(folder / "environment.json", json.dumps(environments, indent=2) + "\n")


def _metrics(records: list[Record], store: Store) -> str:
    columns, texts = store.rows(records)
    return csv_text(columns, []) + "".join(texts)


def _write_parameters(path: Path, keys: list[str], records: Mapping[str, Record]) -> None:
    """The trained networks of several ensembles in one checkpoint, if those still have them."""
    if path.exists():
        return
    folders: dict[Path, list[str]] = {}
    for key in keys:
        folders.setdefault(records[key].folder, []).append(key)
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for folder, mine in folders.items():
        try:
            tensors = parameters_of(folder / "checkpoint.pt", mine)
        except FileNotFoundError:  # a store that was copied without them
            return
        except CheckpointError as error:
            print(f"floss: {error}", file=sys.stderr)
            return
        for i, key in enumerate(mine):
            parts[key] = {name: tensor[i] for name, tensor in tensors.items()}
    training = {name: torch.stack([parts[key][name] for key in keys]) for name in parts[keys[0]]}
    save_checkpoint(path, {"networks": keys, "training": training})


def _write(path: Path, text: str) -> None:
    """Write a file, unless it holds this already."""
    content = text.encode()
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    write_whole(path, content)
