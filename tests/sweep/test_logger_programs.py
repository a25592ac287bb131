"""The programs behind `logger=` read what was written for them; each needs its extra, and is skipped without it."""

# The programs are not there without their extras.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import rows, run_jobs
from sweep.test_loggers import points_of
from sweep.tiny_runs import small, stop_after

from floss.jobs.networks import network_ids
from floss.jobs.train import TrainJob

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures"), pytest.mark.filterwarnings("ignore")]


def needs(name: str) -> Any:
    return pytest.importorskip(name, reason=f"needs pip install 'floss[{name}]'")


def stopped_and_finished(folder: Path, name: str) -> TrainJob:
    """A run that was stopped, resumed, and started once more."""
    one = small(folder, f"logger={name}", "train.log_every=3")
    assert stop_after(13, 15, one) == 143
    for _ in range(2):
        run_jobs([one])
    return one


def wanted(one: TrainJob, network_id: str) -> dict[str, list[tuple[int, float]]]:
    """Each curve, the ends too."""
    (row,) = (row for row in rows(one.folder / "summary.csv") if row["network"] == network_id)
    ends = {f"final/{name}": [(one.train.epochs, float(row[f"final_{name}"]))] for name in ("loss", "accuracy")}
    return {**points_of(one.folder, network_id), **ends}


def same(found: dict[str, list[tuple[int, float]]], expected: dict[str, list[tuple[int, float]]]) -> None:
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert [epoch for epoch, _ in found[name]] == [epoch for epoch, _ in points], name
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in points], rel=1e-6), name


def test_tensorboard(tmp_path):
    needs("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = stopped_and_finished(tmp_path, "tensorboard")
    for seed, network_id in enumerate(network_ids(one)):
        read = EventAccumulator(str(tmp_path / f"tensorboard/xor-d4-vanilla-at-0-10/seed{seed}-{network_id}"))
        read.Reload()
        tags = read.Tags()["scalars"]
        same({tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in tags}, wanted(one, network_id))
        assert "settings/text_summary" in read.Tags()["tensors"]


def test_mlflow(tmp_path, monkeypatch):
    needs("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    one = stopped_and_finished(tmp_path, "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("floss xor-d4-vanilla-at-0-10")
    assert experiment is not None
    runs = {run.data.tags["floss.network"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {*network_ids(one)}
    for seed, network_id in enumerate(network_ids(one)):
        run, found = runs[network_id], {}
        for name in run.data.metrics:
            history = client.get_metric_history(run.info.run_id, name)
            found[name] = sorted((point.step, point.value) for point in history)
        same(found, wanted(one, network_id))
        assert (run.info.status, run.data.params["seed"], run.data.params["arch.n"]) == ("FINISHED", str(seed), "8")


def test_wandb(tmp_path, monkeypatch):
    """What lies there offline is read back by the reader of the program itself."""
    needs("wandb")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    one = stopped_and_finished(tmp_path, "wandb")
    for network_id in network_ids(one):
        (run,) = (tmp_path / "wandb").glob(f"offline-run-*-{network_id}/run-{network_id}.wandb")
        same(history_of(run), points_of(one.folder, network_id))


def history_of(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of an offline run, against the epoch."""
    from wandb.proto import wandb_internal_pb2

    found: dict[str, list[tuple[int, float]]] = {}
    for content in records_of(run.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        items = {(i.key or i.nested_key[0]): json.loads(i.value_json) for i in record.history.item}
        for name, value in items.items():
            if not name.startswith("_") and name != "epoch":
                found.setdefault(name, []).append((items["epoch"], value))
    return found


def records_of(content: bytes) -> Iterator[bytes]:
    """Records of a log of LevelDB, behind seven bytes of the program's own: blocks of 2¹⁵ bytes, chunks in them."""
    at, record = 7, b""
    while at + 7 <= len(content):
        left = 2**15 - at % 2**15
        if left < 7:
            at += left
            continue
        size, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        record += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last chunk
            yield record
            record = b""
