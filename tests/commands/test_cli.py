"""The command line as a person meets it: the installed program, its answers, its exit status and its files."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from command import TINY, files, floss, inside, job, jobs, rows

from floss.jobs.help import COMMANDS
from floss.jobs.keys import known_keys
from floss.jobs.train import config_values, config_yaml
from floss.runtime.checkpoint import load_checkpoint
from floss.sweep import ensemble_run as experiment
from floss.sweep.forecast import duration
from floss.sweep.networks import network_ids

TABLES = ["config.yaml", "environment.json", "metrics.csv", "summary.csv"]
RUN_FILES = sorted([*TABLES, "learning_curves.png", "learning_curves.svg"])
JOB = (*TINY, "flossing.at=[0,10]", "seeds=2")
SWEEP = (*TINY, "d=2,4", "flossing=none,pre")
IDENTITY = "task,d,arch,init,g,flossing,k,t_ons,seed"
METRICS = f"{IDENTITY},epoch,phase,loss,accuracy,lambda_1,floss_loss,network"
SUMMARY = f"{IDENTITY},final_loss,final_accuracy,diverged_at,epochs,seconds,floss_seconds,status,reason,network,sha256"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder in which `floss train TINY` ran once."""
    folder = tmp_path_factory.mktemp("finished")
    done = floss(folder, "train", *JOB)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> Path:
    """The folder in which a tiny sweep ran once; what it said is in said.txt."""
    folder = tmp_path_factory.mktemp("swept")
    done = floss(folder, "train", "-m", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said.txt").write_text(done.stdout)
    return folder


def only(folder: Path, pattern: str) -> Path:
    """The one path that fits the pattern."""
    (found,) = folder.glob(pattern)
    return found


def names(folder: Path) -> list[str]:
    """Everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


def held(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Time and content of every file under a folder."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_help_lists_the_commands(tmp_path):
    done = floss(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"^  (\w+) {2,}\S", done.stdout, re.MULTILINE) == list(COMMANDS)


def test_without_a_command_the_help_is_shown_and_nothing_done(tmp_path):
    done = floss(tmp_path)
    assert (done.returncode, done.stdout) == (2, floss(tmp_path, "-h").stdout)


def test_version(tmp_path):
    assert re.fullmatch(r"floss \d+\.\d+\.\d+\n", floss(tmp_path, "--version").stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)])
def test_help_does_not_wait_for_torch(tmp_path, arguments):
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*(m for m in ('torch', 'matplotlib', 'pandas') if m in sys.modules)))\n"
        "from floss.commands.main import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *text, modules = done.stdout.splitlines()
    assert text
    assert modules == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_every_key_with_what_it_takes(tmp_path, command):
    done = floss(tmp_path, command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    explained = dict(re.findall(r"^  ([\w.]+) {2,}(\S.*)$", done.stdout, re.MULTILINE))
    for name, field in known_keys(COMMANDS[command].job).items():
        if name not in ("task.name", "task.delay", "arch.name", "flossing.name", "scale"):
            assert field.metadata["check"].allowed in explained[name], name
    if command in ("train", "plan", "sbatch"):
        assert "flossing: during, early, none, pre, throughout" in done.stdout
        assert "task: copy, spatial_xor, xor, xor_continuous" in done.stdout
    if command in ("train", "plan", "sbatch", "spectrum", "condition"):
        assert "arch: gru, linear, lru, lstm, relu, vanilla" in done.stdout


WRONG = {
    "tarin": "floss: tarin: there is no such command; did you mean train?",
    "train sede=1": "floss train: sede: there is no such key; did you mean seed?",
    "train task=xorr": "floss train: task=xorr: must be one of copy, spatial_xor, xor, xor_continuous; did you",
    "train d=7": "floss train: d=7: task=xor needs an even d >= 2",
    "train arch.n=8": "floss train: flossing.k=75: must be at most the state size, 8 for arch=vanilla",
    "train d=10,20": "floss train: d=10,20: several values make a sweep, which needs -m; a list is [a,b]",
    "train -m d=10,21": "floss train: d=21: task=xor needs an even d >= 2",
    "train results=/dev/null/x": "floss train: results=/dev/null/x: must be a folder that can be written; /dev/null",
    "train --fast": "floss train: unrecognized arguments: --fast; `floss train --help` lists the options",
    "train -m --cfg job": "floss train: -m cannot go together with --cfg, --info or --shell-completion",
    "train ~d": "floss train: ",
    "train seed=${sede}": "floss train: seed: Interpolation key 'sede' not found",
    "train arch=lru diagnostics=[svd]": "floss train: diagnostics=[svd]: needs a recurrent weight matrix, and arch=lru",
    "spectrum arch.n=4": "floss spectrum: flossing.k=15: must be at most the state size, 4 for arch=vanilla",
    "spectrun": "floss: spectrun: there is no such command; did you mean spectrum?",
    "figures": "floss figures: results=results: must be a folder that exists",
    "figures results=.": "floss figures: results=.: there is no finished run in this folder",
    "bench n=8 k=9": "floss bench: k=9: must be at most n=8",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_answered_in_one_line_and_nothing_is_written(tmp_path, line):
    done = floss(tmp_path, *line.split())
    assert done.stderr.startswith(WRONG[line])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


def test_cuda_where_there_is_none(tmp_path):
    done = floss(tmp_path, "train", "device=cuda", CUDA_VISIBLE_DEVICES="")
    assert done.stderr.startswith("floss train: device=cuda: this machine has no CUDA device")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


def test_a_wrong_job_in_a_sweep_without_the_flag_starts_nothing(tmp_path):
    done = floss(tmp_path, "train", *TINY, "flossing=pre", "hydra.mode=MULTIRUN", "d=4,5")
    assert (done.returncode, done.stdout) == (2, "")
    assert not any(tmp_path.iterdir())


def test_a_job_writes_the_documented_files(finished):
    run, ensemble = only(finished, "results/xor-*"), only(finished, "results/ensembles/xor-*")
    assert names(finished) == ["results"]
    assert names(finished / "results") == ["ensembles", run.name]
    assert names(finished / "results" / "ensembles") == [".lock", ensemble.name]
    assert run.name == job(*JOB).folder.name
    assert re.fullmatch(r"xor-vanilla-[0-9a-f]{10}", ensemble.name)
    assert names(run) == sorted([*RUN_FILES, "checkpoint.pt"])
    assert files(run) == RUN_FILES
    assert names(ensemble) == sorted([*TABLES, "checkpoint.pt", ".lock"])
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
    ours, theirs = (load_checkpoint(folder / "checkpoint.pt") for folder in (run, ensemble))
    assert ours["networks"] == theirs["networks"] == network_ids(job(*JOB))
    assert sorted(ours["training"]) == sorted(theirs["training"])
    for name, value in ours["training"].items():
        assert len(value) == 2
        assert value.equal(theirs["training"][name])


def test_metrics_have_a_row_for_each_network_and_logged_epoch(finished):
    table = rows(only(finished, "results/xor-*/metrics.csv"))
    seen = [(row["network"], int(row["seed"]), row["phase"], int(row["epoch"])) for row in table]
    logged = [("floss", e) for e in (0, 4)] + [("train", e) for e in (0, 5)]  # log_every=5, and an episode's last
    logged += [("floss", e) for e in (5, 9)] + [("train", e) for e in (10, 15, 19)]
    keys = network_ids(job(*JOB))
    assert len(set(keys)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{12}", key) for key in keys)
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
    assert names(ensemble) == sorted([*TABLES, "checkpoint.pt", ".lock"])
    runs = [each.folder.name for each in jobs(*SWEEP)]
    assert names(swept / "results") == sorted(["ensembles", sweep.name, *runs])
    for run in runs:
        assert names(swept / "results" / run) == sorted([*TABLES, "checkpoint.pt"])
    environment = {ensemble.name: json.loads((ensemble / "environment.json").read_text())}
    for run in (*runs, sweep.name):
        assert json.loads((swept / "results" / run / "environment.json").read_text()) == environment
    for name in ("metrics.csv", "summary.csv"):
        theirs, ours = (folder.joinpath(name).read_text().splitlines() for folder in (ensemble, sweep))
        assert ours[0] == theirs[0] == (METRICS if name == "metrics.csv" else SUMMARY)
        assert sorted(ours) == sorted(theirs)


def test_jobs_one_after_the_other_have_pictures_as_well(swept, tmp_path):
    done = inside(tmp_path, "train", "-m", *SWEEP, "hydra/launcher=basic")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nnetworks 4 done\n")
    assert len(list(tmp_path.glob("results/ensembles/xor-*"))) == 4
    for each in jobs(*SWEEP):
        assert names(tmp_path / each.folder) == sorted([*RUN_FILES, "checkpoint.pt"])
        assert f"picture  {each.folder / 'learning_curves.png'}\n" in done.stdout
        seen = [[row["network"] for row in rows(top / each.folder / "summary.csv")] for top in (tmp_path, swept)]
        assert seen == [network_ids(each)] * 2


def test_figures_draws_the_same_bytes_again(swept, tmp_path):
    results = shutil.copytree(swept / "results", tmp_path / "results")
    drawn = {path: path.read_bytes() for kind in ("png", "svg") for path in results.rglob(f"*.{kind}")}
    assert len(drawn) == 4  # those of the sweep; the jobs have none yet
    done = floss(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    pictures = sorted([*results.rglob("*.png"), *results.rglob("*.svg")])
    before = {path: path.read_bytes() for path in pictures}
    assert (len(before), before | drawn) == (12, before)
    for path in pictures:
        path.write_bytes(b"")
    done = floss(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(tmp_path / line for line in done.stdout.splitlines()) == pictures
    assert {path: path.read_bytes() for path in pictures} == before


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


def test_what_else_a_job_may_have_to_say(tmp_path):
    done = floss(tmp_path, "train", *TINY, "task=copy", "flossing=during")
    assert done.stderr == "floss: training ended after 20 epochs: no flossing at [500]\n"
    assert done.stdout.startswith("finished copy d=4 flossing=during: final_loss 0.")  # it has no accuracy
    assert [row["final_accuracy"] for row in rows(only(tmp_path, "results/*/summary.csv"))] == [""]


def test_a_sweep_says_once_what_several_jobs_have_to_say(tmp_path):
    done = inside(tmp_path, "train", "-m", *TINY, "task=copy", "flossing=during,none", "d=2,4")
    assert done.returncode == 0
    assert done.stderr == "floss: training ended after 20 epochs: no flossing at [500]\n"
    assert done.stdout.endswith("\nnetworks 4 done\n")


# --- floss plan -----------------------------------------------------------------------------------------------------

PLANNED = (*SWEEP, "seeds=2", "device=cpu", "engine=torch")


def planned(folder: Path, *arguments: str) -> list[list[str]]:
    """What `floss plan` says, by lines and by words between which there are two spaces; it must write nothing."""
    before = held(folder)
    done = inside(folder, "plan", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert held(folder) == before
    return [re.split(" {2,}", line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("flag", [(), ("-m",)])
def test_plan_says_what_would_be_computed_and_writes_nothing(tmp_path, flag):
    counts, head, ensemble, last = planned(tmp_path, *flag, *PLANNED)
    assert counts == ["8 networks, 0 done, 8 to compute in results"]
    assert head == ["ensemble", "networks", "of", "device", "engine", "memory", "time"]
    assert ensemble[:5] == ["1", "8", "xor vanilla d=2,4 flossing=pre,none seeds=0,1", "cpu", "torch"]
    assert re.fullmatch(r"[\d.]+ [MG]B", ensemble[5])
    assert re.fullmatch(r"[\d.]+ (s|min|hours|days)", ensemble[6])
    assert last == [f"about {ensemble[6]} on this machine, by a few epochs of each kind"]
    assert not any(tmp_path.iterdir())


def test_plan_shows_every_ensemble(tmp_path):
    counts, _, *table, _ = planned(tmp_path, *PLANNED, "d=2,4,6", "arch=vanilla,relu", "parts=2")
    assert counts == ["24 networks, 0 done, 24 to compute in results"]
    assert [row[0] for row in table] == ["1", "2", "3", "4"]
    assert sum(int(row[1]) for row in table) == 24
    assert sorted(row[2].split()[1] for row in table) == ["relu", "relu", "vanilla", "vanilla"]


def test_plan_counts_what_is_done_before_and_after_runs(tmp_path):
    assert planned(tmp_path, "-m", *PLANNED)[0] == ["8 networks, 0 done, 8 to compute in results"]
    assert inside(tmp_path, "train", "-m", *PLANNED, "d=2", "seeds=1").returncode == 0
    counts, _, ensemble, _ = planned(tmp_path, "-m", *PLANNED)
    assert counts == ["8 networks, 2 done, 6 to compute in results"]
    assert ensemble[1] == "6"
    assert planned(tmp_path, *PLANNED, "d=2", "seeds=1") == [["2 networks, 2 done, 0 to compute in results"]]
    assert inside(tmp_path, "train", "-m", *PLANNED).returncode == 0
    for flag in ((), ("-m",)):
        assert planned(tmp_path, *flag, *PLANNED) == [["8 networks, 8 done, 0 to compute in results"]]
    assert planned(tmp_path, *PLANNED, "results=others")[0] == ["8 networks, 0 done, 8 to compute in others"]


def test_plan_knows_what_was_left_unfinished(tmp_path, monkeypatch):
    def show(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        os.kill(os.getpid(), signal.SIGINT)

    original = experiment._EnsembleRun.show
    with monkeypatch.context() as patch:
        patch.setattr(experiment._EnsembleRun, "show", show)
        assert inside(tmp_path, "train", "-m", *PLANNED, "seeds=1").returncode == 130
    counts, _, *table, _ = planned(tmp_path, *PLANNED)
    assert counts == ["8 networks, 0 done, 8 to compute in results"]
    assert sorted((row[1], row[2]) for row in table) == [
        ("4", "xor vanilla d=2,4 flossing=none,pre seeds=0 (goes on)"),
        ("4", "xor vanilla d=2,4 flossing=pre,none seeds=1"),
    ]
    assert inside(tmp_path, "train", "-m", *PLANNED).returncode == 0
    assert planned(tmp_path, *PLANNED) == [["8 networks, 8 done, 0 to compute in results"]]


def test_plan_cuts_a_sweep_to_the_memory_that_it_may_take(tmp_path):
    *_, one, _ = planned(tmp_path, *PLANNED)
    _, _, *table, _ = planned(tmp_path, *PLANNED, "memory_limit=1e-6")  # less than a network takes
    assert [row[:2] for row in table] == [[str(i + 1), "1"] for i in range(8)]
    assert one[1] == "8"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (0.2, "1 s"),
        (89.4, "89 s"),
        (90.0, "1.5 min"),
        (5394.0, "89.9 min"),
        (5400.0, "1.5 hours"),
        (129_000.0, "35.8 hours"),
        (129_600.0, "1.5 days"),
        (8_640_000.0, "100.0 days"),
    ],
)
def test_time_spans_in_words(seconds, words):
    assert duration(seconds) == words


# --- floss collect --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """The folder of networks whose numbers would have another order as texts."""
    folder = tmp_path_factory.mktemp("many")
    tiny = (*TINY, "seed=9", "seeds=2")
    for line in ((*tiny, "flossing=pre,none", "d=10,2"), (*tiny, "flossing=none", "d=3", "task=copy")):
        done = inside(folder, "train", "-m", *line)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def collected(folder: Path, *arguments: str, to: str = "results/collected") -> tuple[bytes, bytes]:
    """summary.csv and metrics.csv that `floss collect` writes."""
    done = inside(folder, "collect", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    summary, metrics = (Path(to) / name for name in ("summary.csv", "metrics.csv"))
    assert names(folder / to) == ["metrics.csv", "summary.csv"]
    count = len(rows(folder / summary))
    assert done.stdout == f"networks {count}\nsummary  {summary}\nmetrics  {metrics}\n"
    return (folder / summary).read_bytes(), (folder / metrics).read_bytes()


def test_collect_puts_all_networks_into_one_sorted_table(many, tmp_path):
    shutil.copytree(many / "results", tmp_path / "results")
    collected(tmp_path)
    summary, metrics = (tmp_path / "results" / "collected" / name for name in ("summary.csv", "metrics.csv"))
    assert summary.read_text().splitlines()[0] == SUMMARY
    assert metrics.read_text().splitlines()[0] == METRICS
    table = rows(summary)
    wanted = [("copy", 3, "none", 9), ("copy", 3, "none", 10)]
    wanted += [("xor", d, flossing, seed) for d in (2, 10) for flossing in ("none", "pre") for seed in (9, 10)]
    assert [(r["task"], int(r["d"]), r["flossing"], int(r["seed"])) for r in table] == wanted
    order = list(dict.fromkeys(row["network"] for row in table))
    assert len(order) == len(table) == 10
    assert list(dict.fromkeys(row["network"] for row in rows(metrics))) == order  # network by network, in that order
    for name, path in (("summary.csv", summary), ("metrics.csv", metrics)):
        runs = [row for run in (tmp_path / "results").glob(f"*-vanilla-*/{name}") for row in rows(run)]
        assert sorted(map(str, rows(path))) == sorted(map(str, runs))
        for key in order:
            assert [r for r in rows(path) if r["network"] == key] == [r for r in runs if r["network"] == key]


CHOSEN = {
    "task=xor": (8, lambda row: row["task"] == "xor"),
    "task=copy": (2, lambda row: row["task"] == "copy"),
    "task=copy,xor": (10, lambda row: True),
    "task=[copy,spatial_xor]": (2, lambda row: row["task"] == "copy"),
    "task=null": (10, lambda row: True),
    "task=spatial_xor": (0, lambda row: False),
    "d=2": (4, lambda row: row["d"] == "2"),
    "d=[3,10]": (6, lambda row: row["d"] in ("3", "10")),
    "d=1": (0, lambda row: False),
    "seed=9": (5, lambda row: row["seed"] == "9"),
    "seed=9.0,11": (5, lambda row: row["seed"] == "9"),
    "flossing=none": (6, lambda row: row["flossing"] == "none"),
    "flossing=pre,none d=10": (4, lambda row: row["d"] == "10"),
    "d=2,10 seed=10 flossing=pre": (2, lambda row: (row["seed"], row["flossing"]) == ("10", "pre")),
    "arch=vanilla init=gaussian g=1 k=4 t_ons=1": (10, lambda row: True),
    "arch=lstm": (0, lambda row: False),
    "g=0.5": (0, lambda row: False),
    "status=done": (10, lambda row: True),
    "status=failed,interrupted,diverged": (0, lambda row: False),
    "seed=null": (10, lambda row: True),
}


@pytest.mark.parametrize("line", CHOSEN)
def test_collect_takes_the_networks_with_some_values(many, line):
    everything = [text.decode().splitlines() for text in collected(many, "to=all", to="all")]
    chosen = [text.decode().splitlines() for text in collected(many, *line.split(), "to=some", to="some")]
    count, fits = CHOSEN[line]
    table = rows(many / "all" / "summary.csv")
    keys = {row["network"] for row in table if fits(row)}
    assert len(keys) == count
    for name, ours, theirs in zip(("summary.csv", "metrics.csv"), chosen, everything, strict=True):
        kept = [fits["network"] in keys for fits in rows(many / "all" / name)]
        assert ours == [theirs[0], *(line for line, keep in zip(theirs[1:], kept, strict=True) if keep)]


def test_collect_compares_numbers_as_they_are_written(tmp_path):
    """Nine digits of a gain, and all digits of a seed, of which a float has only sixteen."""
    seed = 2**53 + 1
    for one in (seed, seed + 1):
        assert (
            inside(tmp_path, "train", *TINY, "flossing=none", f"seed={one}", "arch.g=0.3333333333333").returncode == 0
        )
    summary, _ = collected(tmp_path, f"seed={seed}", "g=0.3333333333333")
    assert [line.split(",")[8] for line in summary.decode().splitlines()[1:]] == [str(seed)]


def test_collect_where_there_is_no_network(tmp_path):
    (tmp_path / "results").mkdir()
    summary, metrics = collected(tmp_path)
    assert (summary.decode(), metrics.decode()) == (f"{SUMMARY}\n", f"{METRICS}\n")


def test_collect_writes_the_same_bytes_again(many, tmp_path):
    results = shutil.copytree(many / "results", tmp_path / "results")
    first = collected(tmp_path, "task=xor")
    before = held(tmp_path)
    assert collected(tmp_path, "task=xor") == first
    assert held(tmp_path) == before
    assert collected(tmp_path, "task=xor", "to=else/where", to="else/where") == first
    assert collected(tmp_path, "-m", "task=xor") == first
    for view in (*results.glob("*-vanilla-*"), *results.glob("sweep-*"), results / "collected"):
        shutil.rmtree(view)
    assert names(results) == ["ensembles"]
    assert collected(tmp_path, "task=xor") == first
    assert collected(tmp_path) != first


def test_collect_changes_nothing_of_what_was_computed(many):
    before = held(many / "results")
    collected(many, "to=apart", to="apart")
    assert held(many / "results") == before


def test_a_damaged_network_is_not_collected_as_done(many, tmp_path):
    shutil.copytree(many / "results", tmp_path / "results")
    key = rows(many / next(iter(jobs(*TINY, "flossing=none", "d=2", "seed=9", "seeds=2"))).folder / "summary.csv")[0]
    (place,) = (p for p in tmp_path.glob("results/ensembles/*/summary.csv") if key["network"] in p.read_text())
    place.write_text(place.read_text().replace(f",{key['final_loss']},", ",0.123,"))
    collected(tmp_path, "status=done")
    seen = {row["network"] for row in rows(tmp_path / "results" / "collected" / "summary.csv")}
    assert (len(seen), key["network"] in seen) == (9, False)
    collected(tmp_path)
    assert "0.123" not in {row["final_loss"] for row in rows(tmp_path / "results" / "collected" / "summary.csv")}


def test_what_was_collected_is_nothing_to_draw(many, tmp_path):
    shutil.copytree(many / "results", tmp_path / "results")
    collected(tmp_path)
    done = inside(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert not [line for line in done.stdout.splitlines() if "collected" in line]


def test_ensembles_are_nothing_to_draw_from_within_either(many, tmp_path):
    ensembles = shutil.copytree(many / "results" / "ensembles", tmp_path / "ensembles")
    before = held(ensembles)
    done = inside(ensembles, "figures", "results=.")
    assert (done.returncode, done.stdout) == (2, "")
    assert held(ensembles) == before


# --- floss sbatch ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [(), ("-m",)])
def test_sbatch_prints_a_script_with_the_asked_options(tmp_path, flag):
    slurm = ("tasks=8", "gpus=1", "time=1-12:30", "partition=long", "cpus=3", "memory=8G", "grace=90")
    setup = "slurm.setup='module load python'"
    train = ("d=2,4", "flossing.at=[0,500]", "results='a b'", "train.lr=1e-3,2e-3")
    done = inside(tmp_path, "sbatch", *flag, *(f"slurm.{each}" for each in slurm), setup, *train, "parts=2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "#!/bin/sh"
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    for option in (
        *("--array=0-7", "--gpus-per-task=1", "--time=1-12:30", "--partition=long", "--cpus-per-task=3", "--mem=8G"),
        *("--signal=B:USR2@90", "--requeue"),
    ):
        assert options.count(option) == 1
    assert len({option.partition("=")[0] for option in options}) == len(options)
    assert lines.count("module load python") == lines.count("export OMP_NUM_THREADS=3") == 1
    (command,) = (line for line in lines if line.startswith("floss "))
    assert lines.index("module load python") < lines.index(command)
    assert shlex.split(command) == ["floss", "train", "-m", *train, "parts=8", "&"]
    assert [str(each.folder.parent) for each in jobs(*shlex.split(command)[3:-1])] == ["a b"] * 4
    checked = subprocess.run(["sh", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert not any(tmp_path.iterdir())


def test_sbatch_asks_for_nothing_that_it_was_not_told_to(tmp_path):
    done = inside(tmp_path, "sbatch", *SWEEP)
    assert (done.returncode, done.stderr) == (0, "")
    options = re.findall(r"^#SBATCH (--[\w-]+)(?:=(.*))?$", done.stdout, re.MULTILINE)
    assert dict(options) == {
        "--job-name": "floss",
        "--array": "0-3",
        "--time": "04:00:00",
        "--cpus-per-task": "2",
        "--ntasks": "1",
        "--signal": "B:USR2@120",
        "--requeue": "",
        "--open-mode": "append",
        "--output": "floss-%A_%a.log",
    }
    assert len(options) == 9
    assert shlex.join(["floss", "train", "-m", *SWEEP, "parts=4"]) + " &\n" in done.stdout
    assert inside(tmp_path, "sbatch", "-m", *SWEEP).stdout == done.stdout
    assert inside(tmp_path, "sbatch", "++parts=3", "++slurm.tasks=4", *SWEEP).stdout == done.stdout


# --- what only some commands take -----------------------------------------------------------------------------------

WRONG_BESIDE_TRAIN = {
    "plan d=7": "floss plan: d=7: task=xor needs an even d >= 2",
    "plan d=10,21": "floss plan: d=21: task=xor needs an even d >= 2",
    "plan -m d=10,21": "floss plan: d=21: task=xor needs an even d >= 2",
    "plan sede=1": "floss plan: sede: there is no such key; did you mean seed?",
    "plan task=xorr": "floss plan: task=xorr: must be one of copy, spatial_xor, xor, xor_continuous; did you mean xor?",
    "plan results=/dev/null/x": "floss plan: results=/dev/null/x: must be a folder that can be written; /dev/null",
    "plan results=a,b": "floss plan: results=a,b: must be one folder for all jobs of a sweep",
    "plan slurm.tasks=2": "floss plan: slurm.tasks: there is no such key",
    "plan -m --cfg job": "floss plan: -m cannot go together with --cfg, --info or --shell-completion",
    "plan --fast": "floss plan: unrecognized arguments: --fast; `floss plan --help` lists the options",
    "collect task=xor --cfg job": "floss collect: --cfg and --info: there is nothing composed to show",
    "sbatch slurm.taks=3": "floss sbatch: slurm.taks: there is no such key; did you mean slurm.tasks?",
    "sbatch +slurm.account=x": "floss sbatch: slurm.account: there is no such key",
    "sbatch slurm.tasks=0": "floss sbatch: slurm.tasks=0: must be a whole number >= 1",
    "sbatch slurm.gpus=a100": "floss sbatch: slurm.gpus=a100: must be a whole number >= 0",
    "sbatch slurm.tasks=2,3": "floss sbatch: slurm: must be the same for all jobs of a sweep",
    "sbatch slurm=3": "floss sbatch: slurm=3: this is a group of keys, not a value",
    "sbatch slurm=x": "floss sbatch: slurm=x: this is a group of keys, not a value",
    "sbatch d=10,21": "floss sbatch: d=21: task=xor needs an even d >= 2",
    "sbatch results=a,b": "floss sbatch: results=a,b: must be one folder for all jobs of a sweep",
    "train slurm.tasks=2": "floss train: slurm.tasks: there is no such key",
    "train parts=0": "floss train: parts=0: must be a whole number >= 1",
    "train -m results=a,b": "floss train: results=a,b: must be one folder for all jobs of a sweep",
    "train -m hydra/launcher=stackd": "floss train: hydra/launcher=stackd: must be one of basic, s",
    "spectrum -m hydra/launcher=stacked seed=0,1": "floss spectrum: hydra/launcher=stacked: is for floss train",
    "collect": "floss collect: results=results: must be a folder that exists",
    "collect results=. dd=3": "floss collect: dd: there is no such key; did you mean d?",
    "collect results=. d=x": "floss collect: d=x: must be whole numbers, separated by commas",
    "collect results=. d=2,2": "floss collect: d=[2, 2]: must be whole numbers, separated by commas",
    "collect results=. status=don": "floss collect: status=don: must be some of done, diverged, failed, interrupted",
    "collect results=. task=": "floss collect: task=",
    "collect results=. d": "floss collect: d: cannot be read as key=value",
    "collect results=. =3": "floss collect: =3: cannot be read as key=value",
    "collect results=. +d=3": "floss collect: +d=3: cannot be read as key=value",
    "collect results=. train.lr=1": "floss collect: train.lr: there is no such key",
    "collect results=. to=/dev/null/x": "floss collect: to=/dev/null/x: must be a folder that can be written",
    "collect -m --cfg job": "floss collect: -m cannot go together with --cfg, --info or --shell-completion",
}


@pytest.mark.parametrize("line", WRONG_BESIDE_TRAIN)
def test_what_a_command_does_not_take_is_answered_in_one_line_and_nothing_is_written(tmp_path, line):
    done = inside(tmp_path, *line.split())
    assert done.stderr.startswith(WRONG_BESIDE_TRAIN[line])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["plan d=70", "sbatch d=70 slurm.tasks=2"])
def test_hydra_prints_the_configuration_of_every_command(tmp_path, line):
    done = inside(tmp_path, *line.split(), "--cfg", "job")
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(done.stdout)["d"] == 70
    assert not any(tmp_path.iterdir())


def test_hydras_own_options(tmp_path):
    composed = yaml.safe_load(floss(tmp_path, "train", "--cfg", "job", "d=70", "flossing=early").stdout)
    assert (composed["d"], composed["flossing"]["at"]) == (70, [0, 100, 200, 300, 400])
    assert "floss.conf" in floss(tmp_path, "train", "--info", "searchpath").stdout
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("floss train flossing=", ["during", "early", "none", "pre", "throughout"]),
        ("floss train d=10 task=xor_", ["xor_continuous"]),
        ("floss train train.ep", ["train.epochs="]),
        ("floss spectrum sta", ["states="]),
        ("floss condition horiz", ["horizons="]),
        ("floss figures res", ["results="]),
        ("floss bench rep", ["repeats="]),
        ("floss plan flossing=", ["during", "early", "none", "pre", "throughout"]),
        ("floss plan mem", ["memory_limit="]),
        ("floss sbatch slurm.t", ["slurm.tasks=", "slurm.time="]),
        ("floss collect sta", ["status="]),
        ("floss b", ["bench"]),
        ("floss c", ["collect", "condition"]),
        ("floss p", ["plan"]),
        ("floss s", ["sbatch", "spectrum"]),
    ],
)
def test_completion_in_the_shell(tmp_path, line, words):
    # What the script of `floss train -sc install=bash` runs when TAB is pressed.
    done = floss(tmp_path, "-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (done.returncode, done.stderr) == (0, "")
    assert [candidate.rpartition("flossing=")[2].rpartition("task=")[2] for candidate in done.stdout.split()] == words


def test_the_completion_script_is_that_of_floss(tmp_path):
    done = floss(tmp_path, "train", "-sc", "install=bash")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"complete .*-F hydra_bash_completion floss$", done.stdout, re.MULTILINE)
