"""Human-readable copies of the store: the rows of a job, of a sweep, or of a selection, each in a folder.

They can be deleted and are made again. A process that writes them holds the store's lock, so that what a killed process
left half written can be told from what another one is writing.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from floss.errors import CheckpointError
from floss.jobs.hashing import config_hash
from floss.jobs.train import TrainJob, config_values, config_yaml
from floss.runtime.environment import read_environment
from floss.runtime.files import NETWORKS, csv_text, format_value, remove_leftovers, write_whole
from floss.runtime.messages import LOGGER
from floss.runtime.trained_networks import rows_of
from floss.runtime.training_checkpoint import Trained, trained_file
from floss.sweep.columns import IDENTITY, LATER, SUMMARY, Columns, identity
from floss.sweep.described import described_networks, is_described
from floss.sweep.networks import NetworkJobs
from floss.sweep.records import DONE, Record, statuses
from floss.sweep.request import Request
from floss.sweep.store import Store

_NUMBERS = {"d": int, "g": float, "k": int, "t_ons": int, "seed": int}


def write_job(job: TrainJob, request: Request, records: Mapping[str, Record]) -> Path:
    """The folder of one of a request's jobs: its networks' rows, its configuration, and its trained networks."""
    networks, folder = request.networks_of(job), job.folder
    folder.mkdir(parents=True, exist_ok=True)
    _write_tables(folder, networks, request.store, records)
    if not is_described(folder, job):  # where it is, another one may differ in what changes no number
        if (path := folder / "config.yaml").exists():
            LOGGER.warning("%s was changed or damaged: written again", path)
        _write(path, config_yaml(job))
    if all(status in DONE for status in statuses(networks, records).values()):
        _write_trained(folder, list(networks), records)
    return folder


def sweep_folder(jobs: list[TrainJob]) -> Path:
    """Where the rows of a sweep lie together."""
    digest = hashlib.sha256(" ".join(sorted({config_hash(job) for job in jobs})).encode()).hexdigest()[:10]
    tasks = "-".join(dict.fromkeys(job.task.name for job in jobs))
    return Path(jobs[0].results) / f"sweep-{tasks}-{digest}"


def write_sweep(request: Request) -> tuple[Path, bool]:
    """One folder with the rows of all networks of a sweep, each once; and whether any of them is done."""
    store = request.store
    jobs = list({config_hash(job): job for job in request.jobs}.values())
    folder = sweep_folder(jobs)
    with store.locked():
        records = store.records()
        folder.mkdir(parents=True, exist_ok=True)
        _write_tables(folder, request.networks, store, records)
        configs = {
            "runs": [config_values(job) for job in jobs],
            "folders": [job.folder.name for job in jobs],
            "networks": [request.ids[job] for job in jobs],
        }
        _write(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(configs)))
    return folder, any(status in DONE for status in statuses(request.networks, records).values())


def write_selection(folder: Path, columns: Mapping[str, tuple[Any, ...]], store: Store) -> int:
    """summary.csv and metrics.csv of the store's networks whose columns have some values; how many there are.

    Nothing is written where there are none.

    Args:
        folder: of the two files.
        columns: allowed values of columns of summary.csv; a column without an entry may have any.
        store: whose networks.
    """
    # As they are written, since a gain has nine digits there.
    allowed = {column: {format_value(value) for value in values} for column, values in columns.items()}
    chosen = [
        record
        for record in map(_without_damage, store.records().values())
        if all(record.row.get(column) in texts for column, texts in allowed.items())
    ]
    chosen.sort(key=lambda record: (*(_place(c, record.row.get(c, "")) for c in IDENTITY), record.network_id))
    if not chosen:
        return 0
    described = described_networks(dict.fromkeys(record.folder for record in chosen))
    networks = {record.network_id: described.get(record.network_id) for record in chosen}
    chosen = _of_gains(chosen, networks, columns.get("g", ()))
    networks = {record.network_id: networks[record.network_id] for record in chosen}
    if unknown := sorted({str(record.folder) for record in chosen if networks[record.network_id] is None}):
        what = "no config.yaml describes its networks, whose further keys are not known (changed, damaged or missing)"
        LOGGER.warning("%s: %s", ", ".join(unknown), what)
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder, {record.network_id: record.row for record in chosen}, chosen, networks, store)
    return len(chosen)


def _of_gains(
    records: list[Record], networks: Mapping[str, TrainJob | None], wanted: Collection[float]
) -> list[Record]:
    """Of records whose nine digits fit, those of a wanted gain itself, where there is a network that has it."""
    gains = {record.network_id: n.arch.g for record in records if (n := networks[record.network_id]) is not None}
    loose = {format_value(gain) for gain in wanted if gain not in gains.values()}
    if not wanted:
        return records
    return [r for r in records if gains.get(r.network_id) in (None, *wanted) or r.row.get("g") in loose]


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


def _write_tables(folder: Path, networks: NetworkJobs, store: Store, records: Mapping[str, Record]) -> None:
    remove_leftovers(folder)
    status = statuses(networks, records)
    rows: dict[str, Mapping[str, Any]] = {}
    for network_id, network in networks.items():
        if network_id in records and status[network_id] in (*DONE, "failed"):
            rows[network_id] = records[network_id].row
        else:
            rows[network_id] = {**identity(network), "status": status[network_id], "network": network_id}
    done = [records[network_id] for network_id in networks if status[network_id] in DONE]
    _write_csv(folder, rows, done, networks, store)
    ensembles = dict.fromkeys(record.folder for record in done)
    environments = {ensemble.name: read_environment(ensemble) or None for ensemble in ensembles}
    _write(folder / "environment.json", json.dumps(environments, indent=2) + "\n")


def _write_csv(
    folder: Path,
    rows: Mapping[str, Mapping[str, Any]],
    done: list[Record],
    networks: Mapping[str, TrainJob | None],
    store: Store,
) -> None:
    """summary.csv and metrics.csv with a column for every key that differs between the networks.

    Args:
        folder: of the two files.
        rows: of summary.csv, by network id.
        done: the records of the networks that have rows of metrics.csv.
        networks: the jobs of the networks, None where one is not known.
        store: whose records they are.
    """
    further = Columns(networks)
    own = [column for column in SUMMARY if column not in IDENTITY and column not in _unknown(rows.values())]
    lines = [
        further.in_row(network_id, [row.get(c) for c in IDENTITY]) + [row.get(c) for c in own]
        for network_id, row in rows.items()
    ]
    _write(folder / "summary.csv", csv_text(further.header([*IDENTITY, *own]), lines))
    header, texts = store.rows(done)
    several = zip(done, texts, strict=True)
    text = "".join(further.in_metrics(record.network_id, rows_of_one) for record, rows_of_one in several)
    _write(folder / "metrics.csv", csv_text(further.header(header), []) + text)


def _unknown(rows: Collection[Mapping[str, Any]]) -> set[str]:
    """Columns that came later, of a table of networks that were all computed before: it stays as it was written."""
    done = [row for row in rows if row.get("status") in DONE]
    return {column for column in LATER if done and not any(column in row for row in done)}


def _write_trained(folder: Path, ids: list[str], records: Mapping[str, Record]) -> None:
    """The trained networks of several ensembles in one file, if those still have them.

    Those that are there stay, unless a network was computed again, perhaps by another processor, after it was damaged.
    """
    if (folder / NETWORKS).exists():
        held = rows_of(folder / NETWORKS)
        if all(held.get(network_id, digest) == digest for network_id, digest in _digests(ids, records)):
            return
    by_folder: dict[Path, list[str]] = {}
    for network_id in ids:
        by_folder.setdefault(records[network_id].folder, []).append(network_id)
    parts = []
    for ensemble, members in by_folder.items():
        try:
            parts.append(Trained.load(trained_file(ensemble), members))
        except FileNotFoundError:  # a store that was copied without them
            return
        except CheckpointError as error:
            LOGGER.warning("%s", error)
            return
    Trained.join(parts).select(ids).save(folder)


def _digests(ids: list[str], records: Mapping[str, Record]) -> list[tuple[str, str | None]]:
    return [(network_id, records[network_id].row.get("sha256")) for network_id in ids]


def _write(path: Path, text: str) -> None:
    """Write a file, unless it holds this already."""
    content = text.encode()
    try:
        if path.read_bytes() == content:
            return
    except OSError:
        pass
    write_whole(path, content)
