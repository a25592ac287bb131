"""Checkpoints of trainings: the files that are there already, and the parts of them that others ask for."""

import hashlib
import json
import zipfile
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, save

from floss.errors import CheckpointError
from floss.runtime.checkpoint import _parts, load_checkpoint, save_checkpoint, written_digest
from floss.runtime.files import NETWORKS as FILE
from floss.runtime.training_checkpoint import Trained, Unfinished, epochs_behind
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

NETWORKS = ["aaa", "bbb", "ccc"]
STATE = {
    "parameters.W": torch.arange(12.0).reshape(3, 2, 2),
    "parameters.b": torch.arange(6.0).reshape(3, 2),
    "task_adam.m.W": torch.ones(3, 2, 2),
    "diverged_at": torch.tensor([-1, 7, -1]),
    "epoch": 9,
    "flossing_epoch": 0,
}


@pytest.fixture
def unfinished(tmp_path):
    path = tmp_path / "checkpoint.pt"
    Unfinished(NETWORKS, STATE, ["a\n", "b\n", "c\n"], 6.0, 3.0).save(path)
    return path


@pytest.fixture
def trained(tmp_path):
    """As finished ensembles of earlier versions have it."""
    path = tmp_path / "trained.pt"
    training = {name: STATE[name] for name in ("parameters.W", "parameters.b", "diverged_at")}
    save_checkpoint(path, {"networks": NETWORKS, "training": training})
    return path


@pytest.fixture
def networks(tmp_path):
    Trained.of(NETWORKS, STATE).save(tmp_path)
    return tmp_path / FILE


def test_the_names_in_the_file_are_those_that_files_have(unfinished):
    """Old checkpoints are read by them."""
    content = load_checkpoint(unfinished)
    assert list(content) == ["networks", "training", "rows", "seconds", "floss_seconds"]
    assert list(content["training"]) == list(STATE)


def test_the_files_are_read_by_the_names_that_a_training_gives(tmp_path):
    networks = [Network(seed=seed, d=2, g=g) for seed, g in enumerate((1.0, 1e30, 1.0))]
    training = Training(Ensemble(networks, Protocol(arch="linear", n=3, epochs=5, steps=9, batch=2)))
    for _ in range(2):
        training.train_epochs(1)
    path = tmp_path / "checkpoint.pt"
    Unfinished(NETWORKS, training.state(), ["", "", ""], 0.0, 0.0).save(path)
    ensemble, trained = training.ensemble, Trained.load(path)
    assert list(trained.parameters) == list(ensemble.parameters)
    assert all(torch.equal(trained.parameters[n].nan_to_num(), p.nan_to_num()) for n, p in ensemble.parameters.items())
    assert trained.diverged_at.tolist() == ensemble.diverged_at.tolist() == [-1, 0, -1]
    assert epochs_behind(path) == training.epoch == 2


def test_a_part_of_an_unfinished_ensemble_has_its_share_of_the_clock(unfinished):
    part = Unfinished.load(unfinished, ["ccc", "aaa"])
    assert (part.networks, part.rows, part.seconds, part.floss_seconds) == (["ccc", "aaa"], ["c\n", "a\n"], 4.0, 2.0)
    assert part.training["epoch"] == 9
    for name in ("parameters.W", "task_adam.m.W", "diverged_at"):
        assert torch.equal(torch.as_tensor(part.training[name]), torch.as_tensor(STATE[name])[[2, 0]])
    assert epochs_behind(unfinished) == 9


def test_trained_networks_come_from_a_file_of_any_kind(unfinished, trained, networks):
    for path in (unfinished, trained, networks):
        every, two = Trained.load(path), Trained.load(path, ["bbb", "aaa"])
        assert (every.networks, two.networks) == (NETWORKS, ["bbb", "aaa"])
        assert list(every.parameters) == ["W", "b"]
        assert torch.equal(two.parameters["W"], every.parameters["W"][[1, 0]])
        assert two.diverged_at.tolist() == [7, -1]
    assert epochs_behind(trained) == 0


def test_parts_join_to_the_whole(trained):
    parts = [Trained.load(trained, ["ccc"]), Trained.load(trained, ["aaa", "bbb"])]
    joined, every = Trained.join(parts), Trained.load(trained)
    assert joined.networks == ["ccc", "aaa", "bbb"]
    assert all(torch.equal(joined.select(NETWORKS).parameters[name], every.parameters[name]) for name in ("W", "b"))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"networks": NETWORKS},
        {"networks": 3, "training": STATE},
        {"networks": NETWORKS, "training": []},
        {"networks": NETWORKS, "training": {"epoch": 3}},
        {"networks": NETWORKS, "training": {**STATE, "diverged_at": 3}},
        {"networks": NETWORKS, "training": {**STATE, "parameters.W": "W"}},
    ],
)
def test_a_checkpoint_of_something_else_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, content)
    with pytest.raises(CheckpointError, match=r"^\S+: is not a checkpoint of floss train$"):
        Trained.load(path)
    with pytest.raises(CheckpointError, match=r"^\S+: not of these networks$"):
        Unfinished.load(path, NETWORKS)


def test_other_networks_are_not_found(unfinished, trained):
    with pytest.raises(CheckpointError, match="is not a checkpoint of these networks"):
        Trained.load(trained, ["aaa", "ddd"])
    with pytest.raises(CheckpointError, match="not of these networks"):
        Unfinished.load(unfinished, ["aaa", "ddd"])
    with pytest.raises(CheckpointError, match="not of these networks"):
        Unfinished.load(trained, NETWORKS)  # which has nothing to resume from


def test_a_checkpoint_is_an_archive_of_torch(unfinished, trained):
    for path in (unfinished, trained):
        assert torch.load(path, weights_only=True).keys() == load_checkpoint(path).keys()
        assert zipfile.ZipFile(path).testzip() is None


def test_every_byte_of_a_checkpoint_is_checked(trained):
    content = trained.read_bytes()
    for place in (*range(0, len(content), 97), *range(len(content) - 100, len(content))):
        trained.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match="this checkpoint is damaged"):
            load_checkpoint(trained)


def test_a_checkpoint_of_an_earlier_version_is_read_and_has_the_same_digest(unfinished, tmp_path):
    """Its digest stands in a line before the archive, and its ids are without a letter."""
    digits = ["0123456789ab", "4321467e7953", "000000000000"]
    rows = [f"xor,1,{network}\n" for network in digits]
    Unfinished(digits, STATE, rows, 6.0, 3.0).save(unfinished)
    digest, archive = _parts(unfinished.read_bytes())
    old = tmp_path / "old.pt"
    old.write_bytes(digest.encode() + b"\n" + archive)
    assert written_digest(old) == written_digest(unfinished) == digest
    part = Unfinished.load(old, ["n4321467e7953"])
    assert part.rows == ["xor,1,n4321467e7953\n"]
    assert Trained.load(old).networks == [f"n{network}" for network in digits]


def test_networks_are_read_without_floss(networks):
    with safe_open(networks, "numpy") as file:
        content: Any = file
        assert json.loads(content.metadata()["networks"]) == NETWORKS
        assert set(content.keys()) == {"W", "b", "diverged_at"}
        assert content.get_tensor("W").tolist() == STATE["parameters.W"].tolist()
        digest = content.metadata()["sha256"]
    before = networks.read_bytes()
    assert hashlib.sha256(before.replace(digest.encode(), b"0" * 64)).hexdigest() == digest
    Trained.load(networks).save(networks.parent)
    assert networks.read_bytes() == before  # the same networks give the same bytes


def test_every_byte_of_the_networks_is_checked(networks):
    content = networks.read_bytes()
    for place in range(len(content)):
        networks.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CheckpointError, match=r"^\S+networks\.safetensors: .* damaged[^\n]*$"):
            Trained.load(networks)


def test_networks_without_a_digest_are_read(networks):
    networks.write_bytes(save(load(networks.read_bytes()), {"networks": json.dumps(NETWORKS)}))
    assert Trained.load(networks).networks == NETWORKS


@pytest.mark.parametrize("metadata", [{}, {"other": "3"}, {"networks": "3"}, {"networks": "[1, 2]"}, {"networks": "x"}])
def test_tensors_of_something_else_are_said_in_one_line(networks, metadata):
    networks.write_bytes(save(load(networks.read_bytes()), metadata))
    with pytest.raises(CheckpointError, match=r"^\S+: is damaged, or holds no networks of floss train$"):
        Trained.load(networks)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_of_networks_is_said_in_one_line(tmp_path, content):
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"networks\.safetensors: is damaged, or holds no networks of floss"):
        Trained.load(path)
