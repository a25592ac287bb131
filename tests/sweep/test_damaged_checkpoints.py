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
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import write_whole
from floss.sweep import ensemble_run as experiment

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
    """What only going on needs is in the checkpoint still, and in no folder that people open."""
    last, one = small(tmp_path, "seed=2", "seeds=1"), small(tmp_path)

    def dies(*arguments):
        assert statuses(ensemble(one)) == ["done"] * 2
        raise KeyboardInterrupt

    computed(last)
    with monkeypatch.context() as patch:
        patch.setattr(experiment.Trained, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            computed(one)
    with watched() as watch:
        three = computed(small(tmp_path, "seeds=3"))
        computed(one)
    assert watch.networks == []
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)
    names = load_checkpoint(one.folder / "checkpoint.pt")["training"].keys()
    assert names == load_checkpoint(three.folder / "checkpoint.pt")["training"].keys()


def test_load_checkpoint_of_a_folder_that_was_never_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint\.pt"):
        load_checkpoint(tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
        load_checkpoint(tmp_path / "checkpoint.pt")
