"""What is computed already: the ensembles of a results folder, and who may compute what.

The truth is files. `ENSEMBLES/NAME/` holds one ensemble: `summary.csv` with one row for each network, which says by its
`status` how far it is, `metrics.csv` with the rows of its epochs, network by network (`metrics.csv.gz` where it was
packed), and while it goes on a `checkpoint.pt`. Each network's rows carry a SHA-256 of themselves, so a damaged one is
found and computed again, alone. There is no index: a scan reads the files, and remembers those that have not changed.

Several processes may work in one store. Whoever wants networks takes the store's lock, looks, locks an ensemble of what
is neither done nor being computed, and lets the store go. The kernel drops a dead process's locks; what it left is
taken over.
"""

import contextlib
import csv
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import OmegaConf

from floss.errors import ConfigError
from floss.jobs.train import TrainJob, config_values
from floss.runtime.files import csv_text, remove_leftovers, write_whole
from floss.runtime.locks import exclusive, locked, owner_of
from floss.sweep.columns import METRICS, SUMMARY
from floss.sweep.networks import Networks, merge
from floss.sweep.packing import LARGE, PACKED, metrics_of, packed, spans_of
from floss.sweep.stacking import Stack

ENSEMBLES = "ensembles"
"""Folder of the ensembles in a results folder."""

DONE = ("done", "diverged")
"""Statuses of a network that need not be computed again."""

_STATUSES = (*DONE, "failed", "interrupted", "damaged")

_NOT_COVERED = ("seconds", "floss_seconds", "sha256")
"""Columns that may differ between two computations of the same network, and so are not in its SHA-256."""


@dataclass(frozen=True)
class Record:
    """A network in an ensemble's files."""

    key: str
    folder: Path
    status: str
    """done, diverged, failed, interrupted; damaged where its rows are not those that were written."""
    row: dict[str, str]
    """Its row of summary.csv."""
    span: tuple[int, int] = (0, 0)
    """Where its rows lie in the bytes of metrics.csv."""


@dataclass(frozen=True)
class Claim:
    """An ensemble that this process alone may compute."""

    stack: Stack
    folder: Path
    origin: Path | None
    """Folder of the checkpoint to go on from."""


class Store:
    """The ensembles of one results folder."""

    def __init__(self, results: str | Path) -> None:
        """Nothing is read or made yet."""
        self.root = Path(results) / ENSEMBLES
        self._read: dict[Path, tuple[Any, list[Record]]] = {}
        self._lock = FileLock(self.root / ".lock")

    def records(self) -> dict[str, Record]:
        """The best record of every network: one that is done where there is one."""
        best: dict[str, Record] = {}
        for record in self._all():
            if record.key not in best or _rank(record) > _rank(best[record.key]):
                best[record.key] = record
        return best

    def ensembles(self) -> dict[Path, list[Record]]:
        """The records of every ensemble, by its folder and in its order."""
        return {folder: self._records_of(folder) for folder in self._folders()}

    def locked(self) -> FileLock:
        """The store's lock, for a `with`: while one process looks who is busy, or writes what people open.

        Whoever holds it may take it again.

        Raises:
            ConfigError: the store's folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"results={self.root.parent}: cannot make {self.root}: {error.strerror}") from None
        return self._lock

    def busy(self) -> dict[str, str]:
        """Who computes a network now, for those that are being computed."""
        owners: dict[str, str] = {}
        if not any(record.status == "interrupted" for record in self._all()):
            return owners
        with self.locked():
            for folder in {record.folder for record in self._all() if record.status == "interrupted"}:
                if locked(folder):
                    owner = owner_of(folder)
                    owners |= {record.key: owner for record in self._records_of(folder)}
        return owners

    def unfinished(self) -> dict[str, str]:
        """Name of the ensemble with the latest checkpoint from which a network that is not done may go on."""
        names: dict[str, str] = {}
        newest: dict[str, int] = {}
        for record in self._all():
            stamp = _stamp(record.folder / "checkpoint.pt")
            if record.status in ("interrupted", "failed") and stamp and stamp[0] > newest.get(record.key, 0):
                names[record.key], newest[record.key] = record.folder.name, stamp[0]
        return names

    @contextlib.contextmanager
    def claim(self, stack: Stack) -> Iterator[Claim | None]:
        """Take those networks of a stack that nobody has computed or computes; None where none is left.

        The folder of the claim is this process's own until the end of the block.

        Raises:
            ConfigError: the folder cannot be made.
        """
        with contextlib.ExitStack() as held:
            with self.locked():
                busy = self.busy()
                records = self.records()  # after it, so that what ends between the two is done, not idle and unfinished
                left = [
                    key
                    for key in stack.networks
                    if key not in busy and not (key in records and records[key].status in DONE)
                ]
                claim = self._take(stack.only(left), held) if left else None
            yield claim

    def _take(self, stack: Stack, held: contextlib.ExitStack) -> Claim | None:
        folder = self.root / stack.name
        folder.mkdir(exist_ok=True)
        held.enter_context(exclusive(folder))
        (folder / PACKED).unlink(missing_ok=True)  # of these same networks, and damaged
        origin = self.root / stack.origin if stack.origin else None
        claim = Claim(stack, folder, origin if origin and (origin / "checkpoint.pt").exists() else None)
        write_summary(claim, {key: {"status": "interrupted"} for key in stack.networks}, {})
        return claim

    def rows(self, records: Sequence[Record]) -> tuple[list[str], list[str]]:
        """Columns of metrics.csv of some networks (all that any of them has), and each network's rows as text."""
        headers: dict[Path, list[str]] = {}
        contents: dict[Path, bytes] = {}
        for record in records:
            if record.folder not in contents and record.status in DONE:
                contents[record.folder] = metrics_of(record.folder)
                headers[record.folder] = contents[record.folder].split(b"\n", 1)[0].decode().split(",")
        further = dict.fromkeys(c for h in headers.values() for c in h if c not in METRICS and c != "network")
        columns = [*METRICS, *further, "network"]
        texts = []
        for record in records:
            start, end = record.span
            text = contents[record.folder][start:end].decode() if end else ""
            if end and headers[record.folder] != columns:
                table = csv.DictReader(text.splitlines(), headers[record.folder])
                text = csv_text(columns, [[row.get(column) for column in columns] for row in table], header=False)
            texts.append(text)
        return columns, texts

    def tidy(self) -> None:
        """Delete what is of no use any more in ensembles that nobody is at; for whoever holds the lock.

        That is what killed processes left half written, and ensembles without a result, done elsewhere by now.
        """
        records = self.records()
        for folder in self._folders():
            mine = self._records_of(folder)
            useless = mine and all(records[r.key].folder != folder and records[r.key].status in DONE for r in mine)
            if (useless or any(folder.glob(".*.tmp"))) and not locked(folder):
                if useless:
                    shutil.rmtree(folder)
                else:
                    remove_leftovers(folder)

    def pack(self) -> None:
        """Compress the long tables of what is done, where nobody is at it; for whoever holds the lock."""
        for folder in self._folders():
            path = folder / "metrics.csv"
            long = path.exists() and path.stat().st_size > LARGE
            if long and all(record.status in DONE for record in self._records_of(folder)) and not locked(folder):
                write_whole(folder / PACKED, packed(path.read_bytes()))
                path.unlink()

    def _all(self) -> Iterator[Record]:
        for folder in self._folders():
            yield from self._records_of(folder)

    def _folders(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def _records_of(self, folder: Path) -> list[Record]:
        """The records of an ensemble, read again only when its files have changed."""
        stamps = tuple(_stamp(folder / name) for name in ("summary.csv", "metrics.csv", PACKED))
        if folder not in self._read or self._read[folder][0] != stamps:
            self._read[folder] = stamps, _read_records(folder)
        return self._read[folder][1]


def _rank(record: Record) -> int:
    return len(_STATUSES) - _STATUSES.index(record.status) if record.status in _STATUSES else 0


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _read_records(folder: Path) -> list[Record]:
    try:
        with (folder / "summary.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    spans: dict[str, list[tuple[int, int]]] = {}
    content = b""
    with contextlib.suppress(OSError):
        content = metrics_of(folder)
        spans = spans_of(content)
    records = []
    for row in table:
        key, status = row.get("network") or "", row.get("status") or ""
        span = (0, 0)
        if status in DONE:
            # A network's rows lie together; those of a network that diverged at once are none.
            span = spans[key][0] if len(spans.get(key, ())) == 1 else (0, 0)
            header = content[: content.find(b"\n") + 1]
            if row.get("sha256") != network_digest(row, header + content[slice(*span)]) or len(spans.get(key, ())) > 1:
                status, span = "damaged", (0, 0)
        records.append(Record(key, folder, status, row, span))
    return records


def network_digest(row: Mapping[str, Any], rows: bytes) -> str:
    """SHA-256 over a network's row of summary.csv, but for what the clock says, and header and rows of metrics.csv."""
    fields = "\n".join(f"{column}={row[column]}" for column in SUMMARY if column not in _NOT_COVERED and column in row)
    return hashlib.sha256(fields.encode() + b"\n" + rows).hexdigest()[:16]


def identity(one: TrainJob) -> dict[str, Any]:
    """The identity columns of a network."""
    f = one.flossing
    values = (one.task.name, one.d, one.arch.name, one.arch.init, one.arch.g, f.label, f.k, f.t_ons, one.seed)
    return dict(zip(SUMMARY, values, strict=False))


def config_text(networks: Networks) -> str:
    """config.yaml of some networks: the shortest list of runs that has them in this order."""
    return OmegaConf.to_yaml(OmegaConf.create({"runs": [config_values(job) for job in merge(networks.values())]}))


def summary_text(networks: Networks, results: Mapping[str, Mapping[str, Any]], rows: Mapping[str, str]) -> str:
    """summary.csv of some networks.

    Args:
        networks: in the order of the rows.
        results: the columns that are not of the identity, by key.
        rows: header and rows of metrics.csv of each network, for the SHA-256 of those that are done.
    """
    lines = []
    for key, one in networks.items():
        columns = {**identity(one), **results[key], "network": key}
        text = csv_text(SUMMARY, [[columns.get(column) for column in SUMMARY]])
        written = next(csv.DictReader(text.splitlines()))
        if written["status"] in DONE:
            columns["sha256"] = network_digest(written, rows.get(key, "").encode())
        lines.append([columns.get(column) for column in SUMMARY])
    return csv_text(SUMMARY, lines)


def write_summary(claim: Claim, results: Mapping[str, Mapping[str, Any]], rows: Mapping[str, str]) -> None:
    """Write an ensemble's summary.csv; once it says that a network is done, the network is."""
    write_whole(claim.folder / "summary.csv", summary_text(claim.stack.networks, results, rows).encode())
