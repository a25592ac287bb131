"""`floss` on a CUDA card: a training with flossing, killed and gone on with, cut to the memory, and analysed."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.gpu

for _package in ("hydra", "omegaconf", "pandas", "matplotlib", "tqdm", "filelock"):
    pytest.importorskip(_package)

CARD = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
"""A sweep goes over all cards that it sees; what is tested here is one."""
FLOSS = (sys.executable, "-c", "from floss.commands.main import main; main()")
TINY = ("scale=smoke", "arch.n=16", "flossing.k=4", "train.steps=40", "train.batch=4", "d=4", "engine=torch")
LONG = (*TINY, "flossing.at=[0,150]", "flossing.epochs=30", "train.epochs=300", "seeds=3", "train.checkpoint_every=20")


def floss(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """What `floss ARGUMENTS` does in a folder."""
    return subprocess.run(
        [*FLOSS, *arguments],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": CARD, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def finished(folder: Path, *arguments: str) -> str:
    """What a command prints; it succeeds, and complains of nothing, so every epoch was captured in a graph."""
    done = floss(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_training_with_flossing(tmp_path, device):
    said = finished(tmp_path, "train", *TINY, f"device={device}", "flossing.at=[0,10]", "seeds=3")
    assert said.startswith("finished xor d=4 flossing=at-0-10: final_accuracy 0.")
    (folder,) = (tmp_path / "results").glob("xor-*")
    assert [row["status"] for row in rows(folder / "summary.csv")] == ["done"] * 3
    assert {row["phase"] for row in rows(folder / "metrics.csv")} == {"train", "floss"}
    environment = json.loads((folder / "environment.json").read_text())
    if device == "cuda":
        assert environment["device"] == torch.cuda.get_device_name()
        (ensemble,) = (tmp_path / "results/ensembles").glob("xor-*/environment.json")
        assert json.loads(ensemble.read_text())["engine"] == "graph"


def test_killed_it_goes_on_to_the_same_bytes(tmp_path, device):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    arguments = ("train", *LONG, f"device={device}")
    finished(whole, *arguments)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": CARD}
    process = subprocess.Popen([*FLOSS, *arguments], cwd=parts, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(parts.glob("results/ensembles/*/checkpoint.pt")):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    finished(parts, *arguments)
    tables = [next((folder / "results").glob("xor-*/metrics.csv")) for folder in (whole, parts)]
    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_a_sweep_is_cut_to_the_memory(tmp_path, device):
    sweep = ("train", "-m", *TINY, f"device={device}", "flossing=none,pre", "seeds=4", "memory_limit=2e-4")
    said = finished(tmp_path, *sweep)
    assert said.endswith("networks 8 done\n")
    assert len(list((tmp_path / "results/ensembles").glob("xor-*"))) > 1


@pytest.mark.parametrize("arch", ["vanilla", "lstm", "gru", "lru"])
def test_an_ensemble_takes_no_more_memory_than_the_plan_says(arch, tmp_path, card):
    """Within the factor of two that it is right within, of which half of the free memory leaves room for."""
    job = (f"arch={arch}", "d=40", "seeds=64", "flossing=pre", "flossing.k=40", "flossing.epochs=5", "train.epochs=6")
    job = (*job, f"device={card}", "engine=torch", "train.evaluation_batches=2")
    plan = finished(tmp_path, "plan", *job)
    number, unit = re.search(r" graph +([\d.]+) (GB|MB) ", plan).groups()  # pyright: ignore[reportOptionalMemberAccess]
    code = (
        "import torch\nfrom floss.commands.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('peak', torch.cuda.max_memory_allocated())"
    )
    command, environment = [sys.executable, "-c", code, "train", *job], {**os.environ, "CUDA_VISIBLE_DEVICES": CARD}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    peak = float(done.stdout.rpartition("peak ")[2])
    assert peak < 2 * float(number) * {"GB": 1e9, "MB": 1e6}[unit]


def test_spectra_are_those_of_the_cpu(tmp_path, device):
    tables = []
    for on in (device, "cpu"):
        job = ("arch.n=12", "seeds=2", "steps=60", "transient=20", "flossing.epochs=3", "flossing.k=4")
        finished(tmp_path, "spectrum", *job, f"device={on}", f"results={on}")
        tables.append(rows(next((tmp_path / on).glob("spectrum-*/spectrum.csv"))))
    for ours, theirs in zip(*tables, strict=True):
        assert float(ours["lambda"]) == pytest.approx(float(theirs["lambda"]), rel=1e-6, abs=1e-8)


def test_reduced_precision_is_refused(tmp_path, card):
    done = floss(tmp_path, "train", *TINY, f"device={card}", NVIDIA_TF32_OVERRIDE="1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "NVIDIA_TF32_OVERRIDE: must be 0 or not set" in done.stderr
