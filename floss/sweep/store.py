"""What is computed already: the ensembles of a results folder, and which process may compute what.

The truth is files. `ENSEMBLES/NAME/` holds one ensemble: `summary.csv` with one row for each network, which says by its
`status` how far it is, `metrics.csv` with the rows of its epochs, network by network (`metrics.csv.gz` where it was
packed), until it is finished a `checkpoint.pt`, and then its networks in `networks.safetensors`. Each network's rows
carry a SHA-256 of themselves, so a damaged network is found and computed again, alone. There is no index: a scan reads
the files, and remembers those that have not changed.

Several processes may work in one store. A worker acquires the store's lock, looks for an ensemble of what is neither
done nor being computed, locks it, and releases the store. The kernel drops a dead process's locks; its unfinished
ensembles are taken over.
"""

import contextlib
import csv
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from floss.errors import ConfigError
from floss.runtime.files import CHECKPOINT, NETWORKS, csv_text, remove_leftovers, write_whole
from floss.runtime.locks import exclusive, locked, owner_of
from floss.runtime.network_ids import digits_of, with_current_id
from floss.sweep.columns import METRICS
from floss.sweep.packing import LARGE, PACKED, metrics_of, packed
from floss.sweep.records import DONE, Record, read_records, summary_text
from floss.sweep.stacking import Stack

ENSEMBLES = "ensembles"
"""Folder of the ensembles in a results folder."""


@dataclass(frozen=True)
class Lease:
    """An ensemble that this process alone may compute."""

    stack: Stack
    folder: Path
    origin: Path | None
    """Folder of the checkpoint to resume from."""

    def write_summary(self, results: Mapping[str, Mapping[str, Any]], rows: Mapping[str, str]) -> None:
        """Write the ensemble's summary.csv; once it says that a network is done, the network is."""
        write_whole(self.folder / "summary.csv", summary_text(self.stack.networks, results, rows).encode())


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
            if record.network_id not in best or record.rank > best[record.network_id].rank:
                best[record.network_id] = record
        return best

    def ensembles(self) -> dict[Path, list[Record]]:
        """The records of every ensemble, by its folder and in its order."""
        return {folder: self._records_of(folder) for folder in self._folders()}

    def locked(self) -> FileLock:
        """The store's lock, for a `with`: held while looking which ensembles are busy, and while writing copies.

        A process that holds it may acquire it again.

        Raises:
            ConfigError: the store's folder cannot be made.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"results={self.root.parent}: cannot make {self.root}: {error.strerror}") from None
        return self._lock

    def busy(self) -> dict[str, str]:
        """The process that computes a network, for those that are being computed."""
        owners: dict[str, str] = {}
        if not any(record.status == "interrupted" for record in self._all()):
            return owners
        with self.locked():
            for folder in {record.folder for record in self._all() if record.status == "interrupted"}:
                if locked(folder):
                    owner = owner_of(folder)
                    owners |= {record.network_id: owner for record in self._records_of(folder)}
        return owners

    def unfinished(self) -> dict[str, str]:
        """Name of the ensemble with the latest checkpoint from which a network that is not done may resume."""
        names: dict[str, str] = {}
        newest: dict[str, int] = {}
        for record in self._all():
            stamp = _stamp(record.folder / CHECKPOINT)
            if record.status in ("interrupted", "failed") and stamp and stamp[0] > newest.get(record.network_id, 0):
                names[record.network_id], newest[record.network_id] = record.folder.name, stamp[0]
        return names

    @contextlib.contextmanager
    def lease(self, stack: Stack) -> Iterator[Lease | None]:
        """Acquire those networks of a stack that are neither done nor being computed; None where there are none.

        The folder of the lease is this process's own until the end of the block.

        Raises:
            ConfigError: the folder cannot be made.
        """
        with contextlib.ExitStack() as held:
            with self.locked():
                busy = self.busy()
                # After it: what finishes between the two looks is done then, not idle and unfinished.
                records = self.records()
                taken = {i for i in stack.networks if i in busy or (i in records and records[i].status in DONE)}
                left = [network_id for network_id in stack.networks if network_id not in taken]
                lease = self._acquire(stack.only(left), held) if left else None
            yield lease

    def _acquire(self, stack: Stack, held: contextlib.ExitStack) -> Lease:
        folder = self.root / stack.name
        folder.mkdir(exist_ok=True)
        held.enter_context(exclusive(folder))
        (folder / PACKED).unlink(missing_ok=True)  # of these same networks, and damaged
        origin = self.root / stack.origin if stack.origin else None
        lease = Lease(stack, folder, origin if origin and (origin / CHECKPOINT).exists() else None)
        lease.write_summary({network_id: {"status": "interrupted"} for network_id in stack.networks}, {})
        return lease

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
            text = with_current_id(text, digits_of(record.network_id))
            if end and headers[record.folder] != columns:
                table = csv.DictReader(text.splitlines(), headers[record.folder])
                text = csv_text(columns, [[row.get(column) for column in columns] for row in table], header=False)
            texts.append(text)
        return columns, texts

    def tidy(self) -> None:
        """Delete what is of no use any more in ensembles that no process is computing; needs the store's lock.

        That is what killed processes left half written, checkpoints beside the finished networks, and ensembles without
        a result whose networks are done elsewhere.
        """
        best = self.records()
        for folder, records in self.ensembles().items():
            over = bool(records) and all(record.status in DONE for record in records) and (folder / NETWORKS).exists()
            spent = over and (folder / CHECKPOINT).exists()
            useless = bool(records) and all(
                best[record.network_id].folder != folder and best[record.network_id].status in DONE
                for record in records
            )
            if (useless or spent or any(folder.glob(".*.tmp"))) and not locked(folder):
                if useless:
                    shutil.rmtree(folder)
                    continue
                remove_leftovers(folder)
                if spent:
                    (folder / CHECKPOINT).unlink(missing_ok=True)

    def pack(self) -> None:
        """Compress the long tables of ensembles that are done and that no process is computing; needs the lock."""
        for folder, records in self.ensembles().items():
            path = folder / "metrics.csv"
            long = path.exists() and path.stat().st_size > LARGE
            if long and all(record.status in DONE for record in records) and not locked(folder):
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
            self._read[folder] = stamps, read_records(folder)
        return self._read[folder][1]


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
