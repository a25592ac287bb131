"""The curves of an ensemble while it trains, and those of all networks of a request that are done."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from floss.runtime.interrupt import Interrupt
from floss.runtime.messages import LOGGER
from floss.sweep.loggers import logger_of
from floss.sweep.loggers.curves import Curves, Ended, update
from floss.sweep.networks import NetworkJobs
from floss.sweep.records import DONE
from floss.sweep.request import Request
from floss.sweep.store import ENSEMBLES

_failed: set[str] = set()
"""Loggers that have failed in this process, and are left alone from then on: training goes on without them."""


class LiveCurves:
    """The curves of an ensemble's networks, as far as their loggers show them during the training."""

    def __init__(self, networks: NetworkJobs) -> None:
        """Nothing is written yet; networks without a logger have no curves."""
        self._of = {i: [c for c in _curves(i, networks) if c.live] for i in networks if networks[i].logger}

    def show(self, header: Sequence[str], texts: dict[str, str]) -> None:
        """Add what is new in the rows of the networks, by their ids."""
        several = [(curves, texts[network_id]) for network_id, each in self._of.items() for curves in each]
        if several:
            with _lock(several[0][0].results):
                for curves, text in several:
                    _update(curves, header, text)


def log_done(request: Request, interrupt: Interrupt) -> None:
    """Write the curves of all networks that are done, those of earlier runs as well; what is written already stays.

    A signal ends it after a network; the rest is written at the next start.
    """
    wanted = {i: job for job in request.jobs if job.logger for i in request.ids[job]}
    if not wanted:
        return
    records = request.store.records()
    done = [records[i] for i in wanted if i in records and records[i].status in DONE]
    header, texts = request.store.rows(done)
    with _lock(request.store.root.parent):
        for record, text in zip(done, texts, strict=True):
            if interrupt.signal:
                return
            network, name = request.networks[record.network_id], wanted[record.network_id].logger
            for curves in _curves(record.network_id, {record.network_id: network}, name):
                _update(curves, header, text, Ended(record.row))


def _lock(results: Path) -> FileLock:
    """Of all curves of a results folder: several processes may share its networks."""
    return FileLock(results / ENSEMBLES / ".loggers")


def _curves(network_id: str, networks: NetworkJobs, names: Sequence[str] | None = None) -> list[Curves]:
    network = networks[network_id]
    return [logger_of(name)(network_id, network) for name in names or network.logger or ()]


def _update(curves: Curves, header: Sequence[str], text: str, ended: Ended | None = None) -> None:
    """Bring curves up to date, unless this logger has failed before; a failure is said once, and stops no training."""
    name = type(curves).__name__
    if name in _failed:
        return
    try:
        with warnings.catch_warnings():  # of what these programs stand on
            warnings.simplefilter("ignore")
            update(curves, header, text, ended)
    except Exception as error:
        _failed.add(name)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        LOGGER.warning("%s failed, and the training goes on without it: %s", name, reason)
