"""`floss train` of one job: its answers, its exit status and its files."""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from command import TINY, files, floss, installed, job, rows
from commands.run_folders import METRICS, RUN_FILES, SUMMARY, TABLES, held, names, only

from floss.jobs.networks import network_ids
from floss.jobs.train import config_values, config_yaml
from floss.runtime.files import NETWORKS
from floss.runtime.training_checkpoint import Trained

JOB = (*TINY, "flossing.at=[0,10]", "seeds=2")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder in which `floss train TINY` ran once."""
    folder = tmp_path_factory.mktemp("finished")
    done = installed(folder, "train", *JOB)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_a_job_writes_the_documented_files(finished):
    run, ensemble = only(finished, "results/xor-*"), only(finished, "results/ensembles/xor-*")
    assert names(finished) == ["results"]
    assert names(finished / "results") == ["ensembles", run.name]
    assert names(finished / "results" / "ensembles") == [".lock", ensemble.name]
    assert run.name == job(*JOB).folder.name
    assert re.fullmatch(r"xor-vanilla-[0-9a-f]{10}", ensemble.name)
    assert names(run) == sorted([*RUN_FILES, NETWORKS])
    assert files(run) == RUN_FILES
    assert names(ensemble) == sorted([*TABLES, NETWORKS, ".lock"])
    for folder in (run, ensemble):
        assert (folder / "metrics.csv").read_text().splitlines()[0] == METRICS
        assert (folder / "summary.csv").read_text().splitlines()[0] == SUMMARY


def test_the_folder_of_a_job_shows_what_lies_in_the_ensemble(finished):
    run, ensemble = only(finished, "results/xor-*"), only(finished, "results/ensembles/xor-*")
    for name in ("metrics.csv", "summary.csv"):
        assert (run / name).read_bytes() == (ensemble / name).read_bytes()
    assert (run / "config.yaml").read_text() == config_yaml(job(*JOB))
    assert yaml.safe_load((ensemble / "config.yaml").read_text()) == {"runs": [config_values(job(*JOB))]}
    environment = json.loads((ensemble / "environment.json").read_text())
    assert environment["command"] == shlex.join(["floss", "train", *JOB])
    assert json.loads((run / "environment.json").read_text()) == {ensemble.name: environment}
    assert (run / NETWORKS).read_bytes() == (ensemble / NETWORKS).read_bytes()
    trained = Trained.load(run / NETWORKS)
    assert trained.networks == network_ids(job(*JOB))
    assert all(len(value) == 2 for value in trained.parameters.values())


def test_metrics_have_a_row_for_each_network_and_logged_epoch(finished):
    table = rows(only(finished, "results/xor-*/metrics.csv"))
    seen = [(row["network"], int(row["seed"]), row["phase"], int(row["epoch"])) for row in table]
    logged = [("floss", e) for e in (0, 4)] + [("train", e) for e in (0, 5)]  # log_every=5, and an episode's last
    logged += [("floss", e) for e in (5, 9)] + [("train", e) for e in (10, 15, 19)]
    keys = network_ids(job(*JOB))
    assert len(set(keys)) == 2
    assert all(re.fullmatch(r"n[0-9a-f]{12}", key) for key in keys)
    assert seen == [(key, seed, *place) for seed, key in enumerate(keys) for place in logged]  # network by network
    for row in table:
        trained = row["phase"] == "train"
        assert [bool(row[c]) for c in ("loss", "accuracy", "lambda_1", "floss_loss")] == [trained] * 2 + [
            not trained
        ] * 2
        assert list(row.values())[:8] == ["xor", "4", "vanilla", "gaussian", "1", "at-0-10", "4", "1"]


def test_summary_has_a_row_for_each_network(finished):
    table = rows(only(finished, "results/xor-*/summary.csv"))
    assert [row["seed"] for row in table] == ["0", "1"]
    assert [row["network"] for row in table] == network_ids(job(*JOB))
    assert len({row["sha256"] for row in table}) == 2
    for row in table:
        assert (row["status"], row["reason"]) == ("done", "")
        assert re.fullmatch(r"[0-9a-f]{16}", row["sha256"])
        assert 0 < float(row["final_loss"]) < 10
        assert 0 <= float(row["final_accuracy"]) <= 1
        assert (row["diverged_at"], row["epochs"]) == ("", "20")
        assert 0 < float(row["floss_seconds"]) < float(row["seconds"])


def test_starting_a_finished_job_again_computes_nothing_and_says_so(finished):
    before = held(finished)
    done = floss(finished, "train", *JOB, "train.checkpoint_every=3", "engine=torch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("known    xor d=4 flossing=at-0-10: final_accuracy ")
    assert held(finished) == before


def test_the_output_names_files_that_exist_and_no_bar_is_drawn(finished):
    done = floss(finished, "train", *JOB)
    paths = re.findall(r"^(?:metrics|summary|picture) +(.+)$", done.stdout, re.MULTILINE)
    assert len(paths) == 3
    assert all((finished / path).is_file() for path in paths)
    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout


def test_pictures_that_are_missing_are_drawn_again(finished):
    picture = only(finished, "results/*/learning_curves.svg")
    drawn = picture.read_bytes()
    picture.unlink()
    assert floss(finished, "train", *JOB).returncode == 0
    assert picture.read_bytes() == drawn


def test_what_else_a_job_may_have_to_say(tmp_path):
    done = floss(tmp_path, "train", *TINY, "task=copy", "flossing=during")
    assert done.stderr == "floss: training ended after 20 epochs: no flossing at [500]\n"
    # Without the second episode it is the other schedule; and the task has no accuracy.
    assert done.stdout.startswith("finished copy d=4 flossing=pre: final_loss 0.")
    assert [row["final_accuracy"] for row in rows(only(tmp_path, "results/*/summary.csv"))] == [""]
