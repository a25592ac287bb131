"""floss.load: results in one line, and networks that do what the committed tables say."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from command import TINY, job, jobs, run_jobs
from sweep.tiny_runs import stopped
from torch import nn

import floss
from floss.errors import ConfigError
from floss.jobs.train import TrainJob
from floss.runtime.files import AS_TEXT, NETWORKS
from floss.runtime.training_checkpoint import Trained
from floss.sweep.folders import sweep_folder, write_selection, write_sweep
from floss.sweep.request import Request
from floss.sweep.store import Store

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("vanilla", "relu", "linear", "lstm", "gru", "lru")
QUICK = (*TINY, "train.epochs=8", "flossing.at=[0]", "flossing.epochs=2", "seeds=2", "engine=torch")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> tuple[Path, list[TrainJob]]:
    """A sweep over the architectures, computed once."""
    folder = tmp_path_factory.mktemp("results")
    several = jobs(f"arch={','.join(ARCHITECTURES)}", *QUICK, f"results={folder}")
    run_jobs(several)
    write_sweep(Request(several))
    return folder, several


def test_the_tables_of_a_run(results):
    several = results[1]
    runs = floss.load(several[0].folder)
    pd.testing.assert_frame_equal(runs.summary, pd.read_csv(several[0].folder / "summary.csv"))
    assert len(runs) == len(runs.summary) == 2
    assert set(runs.metrics["network"]) == set(runs.summary["network"])
    assert set(runs[1].metrics["seed"]) == {1}
    assert [run.row["seed"] for run in runs] == [0, 1]
    assert [run.job.seed for run in runs[:2]] == [0, 1]
    assert runs[-1].network == runs[1].network
    assert str(floss.load(str(several[0].folder / NETWORKS))) == f"Runs({str(several[0].folder)!r}): 2 networks"


@pytest.mark.parametrize("index", range(len(ARCHITECTURES)), ids=ARCHITECTURES)
def test_a_module_of_torch_has_the_accuracy_of_the_table(results, index):
    for run in floss.load(results[1][index].folder):
        module = run.to_torch()
        assert isinstance(module, nn.Module)
        kinds = {"vanilla": nn.RNN, "relu": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        name = ARCHITECTURES[index]
        assert name not in kinds or isinstance(module.recurrent, kinds[name])
        loss, accuracy = run.evaluate(module)
        assert loss == pytest.approx(run.row["final_loss"], rel=1e-5)
        assert accuracy == pytest.approx(run.row["final_accuracy"], abs=1e-8)
        module(torch.zeros(3, 5, 1)).sum().backward()  # five slots of two initial states
        assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("index", range(len(ARCHITECTURES)), ids=ARCHITECTURES)
def test_a_step_is_that_of_the_network(results, index):
    """The states of the step, read out, are the readouts of the module; and it has a spectrum."""
    (run, _) = floss.load(results[1][index].folder)
    p, x = run.parameters, torch.randint(0, 2, (6, 2, 1)).float()
    h, outputs = p["h0"], []
    for u in x:
        h = run.step(h, u)
        seen = h.chunk(2, -1)[0] if ARCHITECTURES[index] == "lstm" else h
        outputs.append(seen @ p["U"] + p["c"] if ARCHITECTURES[index] != "lru" else None)
    lam = floss.lyapunov_spectrum(run.step, p["h0"], torch.zeros(30, 2, 1), k=2, singular="-inf")
    assert lam.shape == (2, 2)
    if ARCHITECTURES[index] != "lru":
        torch.testing.assert_close(torch.stack(outputs), run.to_torch()(x), rtol=1e-4, atol=1e-5)


def test_folders_of_every_kind(results, tmp_path):
    folder, several = results
    everything = floss.load(folder)
    assert len(everything) == 2 * len(ARCHITECTURES)
    assert sorted(set(everything.summary["arch"])) == sorted(ARCHITECTURES)
    ensemble = Store(folder).records()[everything[0].network].folder
    write_selection(folder / "chosen", {"arch": ("gru",)}, Store(folder))
    for place in (folder, sweep_folder(several), several[0].folder, ensemble, folder / "chosen"):
        runs = floss.load(place)
        for run in (runs[0], runs[-1]):
            assert run.job.arch.name == run.row["arch"]
            assert run.evaluate()[1] == pytest.approx(run.row["final_accuracy"], abs=1e-8)
    alone = tmp_path / "copied"
    shutil.copytree(several[0].folder, alone)  # a folder taken elsewhere
    assert floss.load(alone)[0].evaluate()[1] == pytest.approx(floss.load(alone).summary["final_accuracy"][0])


def test_a_results_folder_has_the_tables_that_floss_collect_writes(results, tmp_path):
    folder, _ = results
    write_selection(tmp_path, {}, Store(folder))
    runs = floss.load(folder)
    for ours, name, by in ((runs.summary, "summary", []), (runs.metrics, "metrics", ["phase", "epoch"])):
        wanted = pd.read_csv(tmp_path / f"{name}.csv").sort_values(["network", *by], ignore_index=True)
        found = ours.sort_values(["network", *by], ignore_index=True)
        pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_a_linear_student(tmp_path):
    one = job(
        "arch=linear_diagonal",
        "task=teacher",
        "task.nu=0.5",
        "scale=smoke",
        "arch.n=4",
        "flossing=none",
        f"results={tmp_path}",
    )
    one = dataclasses.replace(one, train=dataclasses.replace(one.train, epochs=5, steps=20))
    run_jobs([one])
    (run,) = floss.load(one.folder)
    # The table has the expectation: five thousand numbers scatter by a tenth of it.
    assert run.evaluate() == (pytest.approx(run.row["final_loss"], rel=0.1), None)
    lam = floss.lyapunov_spectrum(run.step, torch.zeros(3, 8), torch.zeros(20, 3, 1))
    modulus = torch.complex(run.parameters["re"], run.parameters["im"]).abs().log()
    torch.testing.assert_close(lam.sum(-1), 2 * modulus.sum().expand(3), rtol=1e-4, atol=1e-4)  # log|det D|


def test_committed_results_have_tables_alone(tmp_path):
    demo = tmp_path / "demo"  # beside it, `make demo` leaves the same networks with their weights
    shutil.copytree(ROOT / "results" / "demo", demo)
    runs = floss.load(demo)
    assert len(runs) == 6
    assert runs[0].job.arch.n == 80
    assert set(runs.metrics["network"]) == set(runs.summary["network"])
    with pytest.raises(
        ConfigError, match=r"^load: .*demo: has no networks.safetensors with the network n\w+: committed"
    ):
        _ = runs[0].parameters
    with pytest.raises(ValueError, match=r"has no networks.safetensors"):
        floss.load(demo / "xor-d30-vanilla-none-a050aad12a")[0].to_torch()
    packed = floss.load(next((ROOT / "results" / "paper" / "ensembles").glob("xor*/metrics.csv.gz")).parent)
    assert set(packed.metrics["network"]) == set(packed.summary["network"])


def test_what_does_not_fit(tmp_path):
    for path, message in (
        (tmp_path / "nowhere", "is no folder; it takes a results folder"),
        (tmp_path, "has no results of floss train; it takes"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            floss.load(path)
        assert str(caught.value).startswith(f"load: path={str(path)!r} ")
    with pytest.raises(ConfigError, match=r"^load: path=None must be a text or a path"):
        floss.load(None)  # pyright: ignore[reportArgumentType]
    (tmp_path / "summary.csv").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^load: path='.*' has a table that cannot be read: No columns"):
        floss.load(tmp_path)


def computed_elsewhere(folder: Path) -> None:
    """Change the numbers of all rows of a folder by their last digits, as another processor has them."""
    table = pd.read_csv(folder / "summary.csv", dtype=AS_TEXT)
    table["final_loss"] *= 1.000001
    table["sha256"] = "0123456789abcdef"
    table.to_csv(folder / "summary.csv", index=False)


@pytest.mark.parametrize("version", ["current", "earlier"])
def test_weights_that_do_not_belong_to_a_row_say_so(results, tmp_path, version):
    """Those of the store beside a folder, whose network has the same id."""
    folder, several = results
    shutil.copytree(folder, tmp_path / "copied")
    run = tmp_path / "copied" / several[0].folder.name
    if version == "earlier":  # whose files do not say which row they belong to
        for file in (tmp_path / "copied").glob("ensembles/*/networks.safetensors"):
            dataclasses.replace(Trained.load(file), rows={}).save(file.parent)
    (run / NETWORKS).unlink()
    wanted = floss.load(run)[0].parameters
    computed_elsewhere(run)
    (one, _) = floss.load(run)
    message = (
        rf"^load: \S+{NETWORKS}: its network {one.network} was computed elsewhere than its row in \S+: last digits"
    )
    with pytest.warns(UserWarning, match=message):
        found = one.parameters
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with pytest.warns(UserWarning, match=message):
        one.to_torch()


def test_a_row_of_an_earlier_version_has_the_weights_of_the_same_numbers(results, tmp_path):
    """It has no column `floss_epochs`, so that its SHA-256 is another."""
    folder, several = results
    shutil.copytree(folder, tmp_path / "copied")
    run = tmp_path / "copied" / several[0].folder.name
    (run / NETWORKS).unlink()
    table = (
        pd.read_csv(run / "summary.csv", dtype=AS_TEXT).drop(columns="floss_epochs").assign(sha256="0123456789abcdef")
    )
    table.to_csv(run / "summary.csv", index=False)
    assert floss.load(run)[0].parameters.keys() >= {"W", "h0"}


def test_networks_of_a_run_follow_the_rows_that_were_computed_again(tmp_path, no_pictures):
    (one,) = jobs(*QUICK, "seeds=1", f"results={tmp_path}")
    run_jobs([one])
    before = Trained.load(one.folder / NETWORKS)
    (network,) = before.networks
    assert before.rows == {network: floss.load(one.folder).summary["sha256"][0]}
    dataclasses.replace(before, rows={network: "0123456789abcdef"}).save(one.folder)  # as of another processor
    run_jobs([one])
    assert Trained.load(one.folder / NETWORKS).rows == before.rows
    stamp = (one.folder / NETWORKS).stat().st_mtime_ns
    run_jobs([one])
    assert (one.folder / NETWORKS).stat().st_mtime_ns == stamp


def test_a_network_that_is_not_there(results):
    runs: Any = floss.load(results[1][0].folder)
    with pytest.raises(IndexError, match=r"^load: index=2 must be from -2 to 1, of Runs\(.*\): 2 networks$"):
        _ = runs[2]
    with pytest.raises(TypeError, match=r"^load: a network is chosen by a whole number or a slice, not by 'a'$"):
        _ = runs["a"]
    with pytest.raises(ConfigError, match=r"^load: module='x' must be a module of torch, or None for to_torch\(\)$"):
        runs[0].evaluate("x")


def test_damaged_networks(results, tmp_path):
    copy = tmp_path / "copied"
    shutil.copytree(results[1][0].folder, copy)
    content = bytearray((copy / NETWORKS).read_bytes())
    content[-1] ^= 1
    (copy / NETWORKS).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^load: .*these networks are damaged"):
        _ = floss.load(copy)[0].parameters


def test_a_run_that_is_not_finished(tmp_path, no_pictures):
    one = stopped(tmp_path, 13)
    for place in (one.folder, tmp_path):
        runs = floss.load(place)
        assert [run.row["status"] for run in runs] == ["interrupted"] * 2
        assert runs[0].parameters["W"].shape == (8, 8)
        assert len(runs.metrics) == 0
        loss, accuracy = runs[1].evaluate()
        assert loss > 0
        assert accuracy is not None
