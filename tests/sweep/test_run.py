"""Sweeps as a few ensembles: the same rows however they are run, and nothing computed twice."""

import json
import re
from collections import Counter
from itertools import chain

import pytest
from command import TINY, expand, files, floss, inside, job, jobs, rows, run_jobs, start
from grids import covered
from sweep.stacked_sweep import SWEEP, by_job, computed, ensembles, tables

from floss.commands.hydra_app import run_hydra
from floss.jobs.compose import Composer
from floss.jobs.networks import network_ids
from floss.sweep import run as sweep

pytestmark = pytest.mark.usefixtures("no_pictures")

# --- the same rows however they are run --------------------------------------------------------------------------


def test_a_sweep_is_one_ensemble(stacked):
    (ensemble,) = ensembles(stacked / "results")
    assert files(ensemble) == ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]
    table = rows(ensemble / "summary.csv")
    assert Counter(row["status"] for row in table) == {"done": 12}
    assert sorted(row["network"] for row in table) == sorted(expand(jobs(*SWEEP)))
    assert list(json.loads((stacked / "results" / jobs(*SWEEP)[0].folder.name / "environment.json").read_text())) == [
        ensemble.name
    ]


PIECES = ("parts=5", "memory_limit=1e-5", "parts=12")


@pytest.mark.parametrize("how", covered(["hydra/launcher=basic", *PIECES], ["hydra/launcher=basic", "parts=5"]))
def test_the_same_rows_by_another_launcher_and_in_other_pieces(stacked, tmp_path, how):
    done = floss(tmp_path, "train", "-m", *SWEEP, how)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(ensembles(tmp_path / "results")) > 3
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
    ((ours,), (theirs,)) = (list((folder / "results").glob("sweep-*")) for folder in (tmp_path, stacked))
    assert tables(ours) == tables(theirs)
    assert (ours / "accuracy_vs_delay.png").read_bytes() == (theirs / "accuracy_vs_delay.png").read_bytes()


def test_the_same_rows_alone(stacked, tmp_path):
    for each in jobs(*SWEEP, f"results={tmp_path}", "seed=0,2", "seeds=1"):
        run_jobs([each])
        metrics, summary = tables(each.folder)
        key = summary[0]["network"]
        theirs = next((stacked / "results").glob(f"xor-d{each.d}-vanilla-{each.flossing.label}-*"))
        lines = (theirs / "metrics.csv").read_text().splitlines()
        assert metrics.decode().splitlines() == [lines[0], *(line for line in lines if line.endswith(key))]
        assert summary == [row for row in tables(theirs)[1] if row["network"] == key]


def test_another_seed_gives_other_rows(stacked, tmp_path):
    """Or else the equalities of this file would say nothing."""
    other = job(*TINY, "d=2", "flossing=none", "seed=7", f"results={tmp_path}")
    run_jobs([other])
    ours = tables(other.folder)[1][0]
    theirs = [row for _, summary in by_job(stacked / "results").values() for row in summary]
    assert ours["final_loss"] not in {row["final_loss"] for row in theirs}
    assert ours["sha256"] not in {row["sha256"] for row in theirs}


@pytest.mark.parametrize("arch", ["relu", "lstm", "lru"])
def test_other_architectures_differ_by_rounding_alone(tmp_path, arch):
    """Their engine's sums depend on how many networks stand beside."""
    sizes = (*TINY, f"arch={arch}", "dtype=float64", "flossing=pre", "seeds=3", "train.epochs=6", "flossing.epochs=3")
    together, alone = job(*sizes, f"results={tmp_path / 'a'}"), job(*sizes, "parts=3", f"results={tmp_path / 'b'}")
    for each in (together, alone):
        run_jobs([each])
    for ours, theirs in zip(rows(together.folder / "summary.csv"), rows(alone.folder / "summary.csv"), strict=True):
        assert ours["network"] == theirs["network"]
        assert float(ours["final_loss"]) == pytest.approx(float(theirs["final_loss"]), rel=1e-6)


# --- what a Hydra job gets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("launcher", ["stacked", "basic"])
def test_what_a_launcher_returns(tmp_path, monkeypatch, launcher):
    returned = []
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    original = BasicSweeper.sweep

    def sweep_and_keep(self, arguments):
        returned.extend(original(self, arguments))
        return returned

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(BasicSweeper, "sweep", sweep_and_keep)
    given = [*TINY, "d=2,4", "flossing=none", f"hydra/launcher={launcher}"]

    def train_one(config):
        from floss.jobs.checked import train_job
        from floss.jobs.compose import plain

        one = train_job(plain(config))
        run_jobs([one])
        return str(one.folder)

    run_hydra("train", ["-m", *given], train_one)
    (batch,) = returned
    assert [each.return_value for each in batch] == [str(each.folder) for each in jobs(*given[:-1])]
    assert [each.cfg.d for each in batch] == [2, 4]
    assert [each.cfg.flossing.name for each in batch] == ["none", "none"]
    assert [[o for o in each.overrides if o.startswith("d=")] for each in batch] == [
        ["d=4", "d=2"][::-1][i : i + 1] for i in (0, 1)
    ]
    assert all((tmp_path / each.return_value / "metrics.csv").is_file() for each in batch)


@pytest.mark.parametrize(
    "overrides",
    [
        ["d=10", "seed=3", "flossing.k=7"],
        ["task=copy", "arch=lstm", "flossing=early", "scale=small", "train.lr=1e-2"],
        ["scale=smoke", "train.epochs=7", "flossing.at=[0,3]", "arch.g=${d}"],
        ["+flossing.at=[1]", "train.steps=1e2"],
        ["diagnostics=[svd,grad_h0]", "flossing.steps=null", "results='a b'"],
        ["hydra/launcher=basic", "d=12"],
    ],
)
def test_jobs_are_composed_as_hydra_does(overrides):
    import hydra

    from floss.jobs.compose import CONFIG_MODULE, VERSION_BASE, plain

    composer = Composer("train")
    composer.values(["d=6", *overrides[:1]])  # something to have been composed before
    ours = composer.values(overrides)
    with hydra.initialize_config_module(CONFIG_MODULE, "floss", **VERSION_BASE):
        assert ours == plain(hydra.compose("train", overrides=overrides))


def test_other_commands_have_no_stacked_launcher(tmp_path):
    done = inside(tmp_path, "spectrum", "-m", "seed=0,1", "hydra/launcher=stacked")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "floss spectrum: hydra/launcher=stacked: is for floss train; floss spectrum has basic\n"


# --- nothing twice -----------------------------------------------------------------------------------------------


def test_more_seeds_and_another_delay_compute_only_those(tmp_path, monkeypatch):
    seen = computed(monkeypatch)
    first = jobs(*TINY, "d=2,4", "flossing=none,pre", "seeds=2", f"results={tmp_path}")
    run_jobs(first)
    assert sorted([*chain(*seen)]) == sorted(expand(first))
    more = jobs(*TINY, "d=2,4,6", "flossing=none,pre", "seeds=3", f"results={tmp_path}")
    run_jobs(more)
    assert Counter([*chain(*seen)]) == dict.fromkeys(expand(more), 1)
    outcome = run_jobs(more)
    assert Counter([*chain(*seen)]) == dict.fromkeys(expand(more), 1)
    assert outcome.already_done == set(expand(more))
    assert [len(rows(each.folder / "summary.csv")) for each in more] == [3] * 6


def test_jobs_that_share_networks_compute_them_once(tmp_path, monkeypatch):
    seen = computed(monkeypatch)
    same = jobs(*TINY, "flossing=none", "flossing.steps=55,90", "seeds=2", f"results={tmp_path}")
    run_jobs(same)
    assert [*chain(*seen)] == network_ids(same[0]) == network_ids(same[1])
    assert tables(same[0].folder) == tables(same[1].folder)


def test_two_processes_share_a_sweep(stacked, tmp_path):
    """Both end with all rows, and no network is computed twice."""
    argument = (*SWEEP, "parts=6")
    both = [start(tmp_path, "train", "-m", *argument, pictures=False) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=110)
        assert process.returncode == 0, err
        assert out.endswith("networks 12 done\n")
        assert re.fullmatch(r"(floss: waiting for \d+ networks? that (is|are) being computed by .*\n)?", err)
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
    keys = [row["network"] for folder in ensembles(tmp_path / "results") for row in rows(folder / "summary.csv")]
    assert sorted(keys) == sorted(expand(jobs(*SWEEP)))


def test_further_processes_for_further_devices(stacked, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "gpus", lambda networks: ["0", "1"])
    run_jobs([*jobs(*SWEEP, f"results={tmp_path}")])
    assert by_job(tmp_path) == by_job(stacked / "results")
    assert len(ensembles(tmp_path)) == 2


# --- the store ---------------------------------------------------------------------------------------------------


def test_views_can_be_deleted_and_come_again(stacked, tmp_path):
    import shutil

    shutil.copytree(stacked / "results" / "ensembles", tmp_path / "results" / "ensembles")
    done = floss(tmp_path, "train", "-m", *SWEEP, pictures=False)
    assert done.stdout.count("known    xor") == 4
    assert by_job(tmp_path / "results") == by_job(stacked / "results")
