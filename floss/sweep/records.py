"""What the files of an ensemble say of each network: its status, its row, where its rows lie, and their SHA-256."""

import contextlib
import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from floss.jobs.train import config_values
from floss.runtime.files import csv_text
from floss.runtime.network_ids import current
from floss.sweep.columns import SUMMARY, identity
from floss.sweep.networks import NetworkJobs, merge
from floss.sweep.packing import metrics_of, spans_of

DONE = ("done", "diverged")
"""Statuses of a network that need not be computed again."""

_STATUSES = (*DONE, "failed", "interrupted", "damaged")
"""From the best to the worst."""

_NOT_COVERED = ("seconds", "floss_seconds", "sha256")
"""Columns that may differ between two computations of the same network, and so are not in its SHA-256."""


@dataclass(frozen=True)
class Record:
    """A network in an ensemble's files."""

    network_id: str
    folder: Path
    status: str
    """done, diverged, failed, interrupted; damaged where its rows are not those that were written."""
    row: dict[str, str]
    """Its row of summary.csv, with its id as it is written now."""
    span: tuple[int, int] = (0, 0)
    """Where its rows lie in the bytes of metrics.csv."""

    @property
    def rank(self) -> int:
        """Higher for a better status; 0 for one that does not exist."""
        return len(_STATUSES) - _STATUSES.index(self.status) if self.status in _STATUSES else 0


def read_records(folder: Path) -> list[Record]:
    """The records of an ensemble's folder, in the order of its rows; none where summary.csv cannot be read."""
    try:
        with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
            table = [row for row in csv.DictReader(file) if None not in row.values()]  # others were cut off
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    spans: dict[str, list[tuple[int, int]]] = {}
    content = b""
    with contextlib.suppress(OSError):
        content = metrics_of(folder)
        spans = spans_of(content)
    header = content[: content.find(b"\n") + 1]
    records = []
    for row in table:
        written, status = row.get("network") or "", row.get("status") or ""
        span = (0, 0)
        if status in DONE:
            # A network's rows lie together; those of a network that diverged at once are none.
            places = spans.get(written, [])
            span = places[0] if len(places) == 1 else (0, 0)
            if len(places) > 1 or row.get("sha256") != network_digest(row, header + content[slice(*span)]):
                status, span = "damaged", (0, 0)
        network_id = current(written)
        records.append(Record(network_id, folder, status, {**row, "network": network_id}, span))
    return records


def statuses(networks: NetworkJobs, records: Mapping[str, Record]) -> dict[str, str]:
    """Status of every network: that of its record, or interrupted where it has none that is whole."""
    recorded = {i: records[i].status if i in records else "interrupted" for i in networks}
    return {i: "interrupted" if status == "damaged" else status for i, status in recorded.items()}


def network_digest(row: Mapping[str, Any], rows: bytes) -> str:
    """SHA-256 over a network's row of summary.csv, but for what the clock says, and header and rows of metrics.csv."""
    fields = "\n".join(f"{column}={row[column]}" for column in SUMMARY if column not in _NOT_COVERED and column in row)
    return hashlib.sha256(fields.encode() + b"\n" + rows).hexdigest()[:16]


def config_text(networks: NetworkJobs) -> str:
    """config.yaml of some networks: the shortest list of runs that has them in this order."""
    return OmegaConf.to_yaml(OmegaConf.create({"runs": [config_values(job) for job in merge(networks.values())]}))


def summary_rows(
    networks: NetworkJobs, results: Mapping[str, Mapping[str, Any]], rows: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """The columns of summary.csv of some networks, by network id, with the SHA-256 of those that are done.

    Args:
        networks: whose rows they are.
        results: the columns that are not of the identity, by network id.
        rows: header and rows of metrics.csv of each network.
    """
    several = {}
    for network_id, network in networks.items():
        columns = {**identity(network), **results[network_id], "network": network_id}
        text = csv_text(SUMMARY, [[columns.get(column) for column in SUMMARY]])
        written = next(csv.DictReader(text.splitlines()))
        if written["status"] in DONE:
            columns["sha256"] = network_digest(written, rows.get(network_id, "").encode())
        several[network_id] = columns
    return several


def summary_text(networks: NetworkJobs, results: Mapping[str, Mapping[str, Any]], rows: Mapping[str, str]) -> str:
    """summary.csv of some networks, in their order; the arguments are those of `summary_rows`."""
    several = summary_rows(networks, results, rows).values()
    return csv_text(SUMMARY, [[columns.get(column) for column in SUMMARY] for columns in several])
