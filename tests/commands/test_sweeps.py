"""`floss train -m`: one ensemble, a folder for each job, and one that compares them."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from command import TINY, floss, inside, jobs, rows
from commands.run_folders import METRICS, RUN_FILES, SUMMARY, SWEEP, TABLES, held, names, only

from floss.jobs.networks import network_ids
from floss.jobs.train import config_values
from floss.runtime.files import NETWORKS


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The folder in which a tiny sweep ran once; what it said is in said.txt."""
    folder = tmp_path_factory.mktemp("swept")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said.txt").write_text(done.stdout)
    return folder


def test_a_sweep_collects_its_runs_and_compares_them(swept):
    sweep = only(swept, "results/sweep-*")
    assert names(sweep) == sorted([*RUN_FILES, "accuracy_vs_delay.png", "accuracy_vs_delay.svg"])
    runs = [swept / each.folder for each in jobs(*SWEEP)]
    for name in ("metrics.csv", "summary.csv"):
        assert rows(sweep / name) == [row for run in runs for row in rows(run / name)]
    settings = yaml.safe_load((sweep / "config.yaml").read_text())
    assert settings == {
        "runs": [config_values(each) for each in jobs(*SWEEP)],
        "folders": [run.name for run in runs],
        "networks": [network_ids(each) for each in jobs(*SWEEP)],
    }
    said = (swept / "said.txt").read_text()
    assert re.findall(r"^finished (xor d=\S+ flossing=\S+):", said, re.MULTILINE) == [
        f"xor d={d} flossing={flossing}" for d in (2, 4) for flossing in ("none", "pre")
    ]
    assert f"sweep    {sweep.relative_to(swept) / 'summary.csv'}" in said
    assert said.endswith("\nnetworks 4 done\n")
    assert not list(swept.rglob("multirun.yaml"))


def test_a_sweep_is_one_ensemble_and_its_jobs_have_folders_without_pictures(swept):
    sweep, ensemble = only(swept, "results/sweep-*"), only(swept, "results/ensembles/xor-*")
    assert names(ensemble) == sorted([*TABLES, NETWORKS, ".lock"])
    runs = [each.folder.name for each in jobs(*SWEEP)]
    assert names(swept / "results") == sorted(["ensembles", sweep.name, *runs])
    for run in runs:
        assert names(swept / "results" / run) == sorted([*TABLES, NETWORKS])
    environment = {ensemble.name: json.loads((ensemble / "environment.json").read_text())}
    for run in (*runs, sweep.name):
        assert json.loads((swept / "results" / run / "environment.json").read_text()) == environment
    for name in ("metrics.csv", "summary.csv"):
        theirs, ours = (folder.joinpath(name).read_text().splitlines() for folder in (ensemble, sweep))
        assert ours[0] == theirs[0] == (METRICS if name == "metrics.csv" else SUMMARY)
        assert sorted(ours) == sorted(theirs)


def test_jobs_one_after_the_other_have_pictures_as_well(swept, tmp_path):
    some = (*SWEEP, "flossing=pre")  # the later value of a key counts
    done = inside(tmp_path, "train", "-m", *some, "hydra/launcher=basic")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nnetworks 2 done\n")
    assert len(list(tmp_path.glob("results/ensembles/xor-*"))) == 2
    for each in jobs(*some):
        assert names(tmp_path / each.folder) == sorted([*RUN_FILES, NETWORKS])
        assert f"picture  {each.folder / 'learning_curves.png'}\n" in done.stdout
        seen = [[row["network"] for row in rows(top / each.folder / "summary.csv")] for top in (tmp_path, swept)]
        assert seen == [network_ids(each)] * 2


def test_figures_draws_the_same_bytes_again(swept, tmp_path):
    results = shutil.copytree(swept / "results", tmp_path / "results")
    for each in jobs(*SWEEP)[1:]:
        shutil.rmtree(tmp_path / each.folder)
    drawn = {path: path.read_bytes() for kind in ("png", "svg") for path in results.rglob(f"*.{kind}")}
    assert len(drawn) == 4  # those of the sweep; the jobs have none yet
    done = floss(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    pictures = sorted([*results.rglob("*.png"), *results.rglob("*.svg")])
    before = {path: path.read_bytes() for path in pictures}
    assert (len(before), before | drawn) == (6, before)
    for path in pictures:
        path.write_bytes(b"")
    done = floss(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(tmp_path / line for line in done.stdout.splitlines()) == pictures
    assert {path: path.read_bytes() for path in pictures} == before


@pytest.mark.parametrize("command", [("train", "-m"), ("plan",), ("sbatch",)])
def test_a_sweep_without_a_job_is_refused(tmp_path, command):
    done = inside(tmp_path, *command, "d=glob(x)")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"floss {command[0]}: d=glob(x): a sweep without a single job")
    assert done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_a_sweep_that_is_finished_computes_nothing(swept):
    before = held(swept / "results")
    done = floss(swept, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("known    xor d=") == 4
    assert "finished" not in done.stdout
    assert done.stdout.endswith("\nnetworks 4 done\n")
    after = held(swept / "results")
    assert {path: content for path, (_, content) in after.items()} == {p: content for p, (_, content) in before.items()}
    changed = {path for path, (time, _) in after.items() if before[path][0] != time}
    assert changed == set(swept.glob("results/sweep-*/*.[ps][nv]g"))  # these are drawn again, the same


@pytest.mark.usefixtures("no_pictures")
def test_a_sweep_says_once_what_several_jobs_have_to_say(tmp_path):
    done = inside(tmp_path, "train", "-m", *TINY, "task=copy", "flossing=during,none", "d=2,4")
    assert done.returncode == 0
    assert done.stderr == "floss: training ended after 20 epochs: no flossing at [500]\n"
    assert done.stdout.endswith("\nnetworks 4 done\n")
