"""Damaged checkpoints, full disks, and processes that die at a write: what was whole stays whole."""

import hashlib
import io
from pathlib import Path

import pytest
import torch
from command import run_jobs
from sweep.damage import empty, flip_a_byte, foreign, signed_foreign, truncate
from sweep.tiny_runs import (
    assert_same,
    computed,
    copied,
    ensemble,
    parameters,
    result,
    small,
    statuses,
    stopped,
    watched,
)

from floss.errors import CheckpointError
from floss.jobs.networks import network_ids
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import CHECKPOINT, NETWORKS, write_whole
from floss.runtime.training_checkpoint import Trained
from floss.sweep.store import Lease

pytestmark = pytest.mark.usefixtures("no_pictures")


def a_number(path: Path) -> None:
    payload = io.BytesIO()
    torch.save(3, payload)
    path.write_bytes(hashlib.sha256(payload.getvalue()).hexdigest().encode() + b"\n" + payload.getvalue())


def without_a_key(path: Path) -> None:
    content = load_checkpoint(path)
    del content["training"]["epoch"]
    save_checkpoint(path, content)


def of_another_size(path: Path) -> None:
    content = load_checkpoint(path)
    content["training"]["parameters.W"] = content["training"]["parameters.W"][:, :5, :5]
    save_checkpoint(path, content)


def of_other_networks(path: Path) -> None:
    content = load_checkpoint(path)
    save_checkpoint(path, {**content, "networks": ["0123456789ab", content["networks"][1]]})


def without_rows(path: Path) -> None:
    content = load_checkpoint(path)
    del content["rows"]
    save_checkpoint(path, content)


def with_too_few_rows(path: Path) -> None:
    content = load_checkpoint(path)
    save_checkpoint(path, {**content, "rows": content["rows"][:1]})


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_byte,
        empty,
        foreign,
        signed_foreign,
        a_number,
        without_a_key,
        of_another_size,
        of_other_networks,
        without_rows,
        with_too_few_rows,
    ],
)
def test_a_damaged_checkpoint_is_said_and_not_used(tmp_path, capsys, undisturbed, damage, interrupted):
    one = copied(interrupted, tmp_path)
    folder = ensemble(one)
    damage(folder / "checkpoint.pt")
    capsys.readouterr()
    with watched() as watch:
        assert_same(computed(one), undisturbed)
    assert watch.epochs == 30
    said = capsys.readouterr().err
    assert said.startswith(f"floss: {folder / 'checkpoint.pt'}: ")
    assert said.endswith("; starting them from the beginning\n")
    assert said.count("\n") == 1
    assert (folder / "checkpoint.pt.damaged").exists()
    assert not (folder / "trace").exists()


def test_a_damaged_checkpoint_of_a_larger_ensemble_is_said_and_not_used(tmp_path, capsys, undisturbed):
    three = stopped(tmp_path, 13, "seeds=3")
    flip_a_byte(ensemble(three) / "checkpoint.pt")
    capsys.readouterr()
    assert_same(computed(small(tmp_path)), undisturbed)
    said = capsys.readouterr().err
    assert said.startswith(f"floss: {ensemble(three) / 'checkpoint.pt'}: this checkpoint is damaged")
    assert said.endswith("; starting them from the beginning\n")
    assert said.count("\n") == 1


def test_a_half_written_file_of_a_killed_process_is_removed(tmp_path, interrupted):
    one = copied(interrupted, tmp_path)
    for folder in (ensemble(one), one.folder):
        (folder / ".summary.csv.4711.tmp").write_bytes(b"half")
    computed(one)
    assert not list(tmp_path.rglob(".*.tmp"))


@pytest.mark.parametrize("files", [1, 6, 9, 12])
def test_a_full_disk_leaves_what_was_whole(tmp_path, monkeypatch, undisturbed, files):
    one, written = small(tmp_path), []

    def full(path, content):
        written.append(path.name)
        if len(written) > files:
            raise OSError(28, "No space left on device", str(path))
        write_whole(path, content)

    with monkeypatch.context() as patch:
        for module in (
            "runtime.files",
            "sweep.ensemble_run",
            "runtime.checkpoint",
            "runtime.trained_networks",
            "sweep.store",
            "sweep.folders",
        ):
            patch.setattr(f"floss.{module}.write_whole", full)
        with pytest.raises(OSError, match="No space left"):
            run_jobs([one])
    assert statuses(ensemble(one)) == ["interrupted"] * 2
    if "checkpoint.pt" in written[:files]:
        load_checkpoint(ensemble(one) / "checkpoint.pt")
    assert_same(computed(one), undisturbed)


def test_a_process_that_dies_right_after_its_summary_has_finished(tmp_path, monkeypatch, undisturbed_three):
    """What only going on needs is in a checkpoint still, which goes."""
    last, one = small(tmp_path, "seed=2", "seeds=1"), small(tmp_path)

    def dies(lease, results, rows):
        write(lease, results, rows)
        if statuses(ensemble(one)) == ["done"] * 2:
            raise KeyboardInterrupt

    write = Lease.write_summary
    computed(last)
    with monkeypatch.context() as patch:
        patch.setattr(Lease, "write_summary", dies)
        with pytest.raises(KeyboardInterrupt):
            computed(one)
    assert (ensemble(one) / CHECKPOINT).exists()
    with watched() as watch:
        three = computed(small(tmp_path, "seeds=3"))
        computed(one)
    assert watch.networks == []
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)
    assert not list(tmp_path.rglob(CHECKPOINT))


def test_networks_of_an_earlier_version_are_read(tmp_path, undisturbed, undisturbed_three):
    """Its finished ensembles have a checkpoint, of the trained networks or, where it was killed, of all; both stay."""
    one = copied(undisturbed, tmp_path)
    trained = Trained.load(ensemble(one) / NETWORKS)
    training = {f"parameters.{name}": value for name, value in trained.parameters.items()}
    training["diverged_at"] = trained.diverged_at
    for further in ({}, {"rows": ["", ""], "seconds": 1.0, "floss_seconds": 0.5}):
        save_checkpoint(ensemble(one) / CHECKPOINT, {"networks": trained.networks, "training": training, **further})
        for folder in (ensemble(one), one.folder):
            (folder / NETWORKS).unlink(missing_ok=True)
        with watched() as watch:
            computed(one)
            three = computed(small(tmp_path, "seeds=3"))
        assert watch.networks in ([network_ids(three)[2:]], [])  # the third one, once
        for folder, whole in ((one.folder, undisturbed.folder), (three.folder, undisturbed_three.folder)):
            read, other = Trained.load(folder / NETWORKS), Trained.load(whole / NETWORKS)
            assert read.networks == other.networks
            assert not set(read.rows) & set(trained.networks)  # of whose rows it said nothing
            torch.testing.assert_close(read.parameters, other.parameters, rtol=0, atol=0)
        assert (ensemble(one) / CHECKPOINT).exists()


def test_damaged_networks_are_said_and_not_copied(tmp_path, capsys, undisturbed):
    one = copied(undisturbed, tmp_path)
    (one.folder / NETWORKS).unlink()
    flip_a_byte(ensemble(one) / NETWORKS)
    computed(one)
    assert capsys.readouterr().err == (
        f"floss: {ensemble(one) / NETWORKS}: these networks are damaged (their SHA-256 does not fit)\n"
    )
    assert not (one.folder / NETWORKS).exists()


def test_load_checkpoint_of_a_folder_that_was_never_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.pt")
