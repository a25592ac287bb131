"""The command line as a person meets it: the installed program, its answers, its exit status and its files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import TINY, files, floss, job, jobs, rows

from floss.cli import COMMANDS
from floss.help import JOBS
from floss.keys import known_keys

RUN_FILES = [
    "config.yaml",
    "environment.json",
    "learning_curves.png",
    "learning_curves.svg",
    "metrics.csv",
    "summary.csv",
]
JOB = (*TINY, "flossing.at=[0,10]", "seeds=2")
SWEEP = (*TINY, "d=2,4", "flossing=none,pre")
IDENTITY = "task,d,arch,init,g,flossing,k,t_ons,seed"


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
        "from floss.cli import main\n"
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
    for name, field in known_keys(JOBS[command]).items():
        if name not in ("task.name", "task.delay", "arch.name", "flossing.name", "scale"):
            assert field.metadata["check"].allowed in explained[name], name
    if command == "train":
        assert "flossing: during, early, none, pre, throughout" in done.stdout
    if command in ("train", "spectrum", "condition"):
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
    run = only(finished, "results/*")
    assert [path.name for path in finished.iterdir()] == ["results"]
    assert run.name == job(*JOB).folder.name
    assert files(run) == RUN_FILES
    assert (run / "metrics.csv").read_text().splitlines()[0] == (
        f"{IDENTITY},epoch,phase,loss,accuracy,lambda_1,floss_loss"
    )
    assert (run / "summary.csv").read_text().splitlines()[0] == (
        f"{IDENTITY},final_loss,final_accuracy,diverged_at,epochs,seconds,floss_seconds"
    )


def test_metrics_have_a_row_for_each_network_and_logged_epoch(finished):
    table = rows(only(finished, "results/*/metrics.csv"))
    seen = [(row["phase"], int(row["epoch"]), int(row["seed"])) for row in table]
    logged = [("floss", e) for e in (0, 4)] + [("train", e) for e in (0, 5)]  # log_every=5, and an episode's last
    logged += [("floss", e) for e in (5, 9)] + [("train", e) for e in (10, 15, 19)]
    assert seen == [(phase, epoch, seed) for phase, epoch in logged for seed in (0, 1)]
    for row in table:
        trained = row["phase"] == "train"
        assert [bool(row[c]) for c in ("loss", "accuracy", "lambda_1", "floss_loss")] == [trained] * 2 + [
            not trained
        ] * 2
        assert list(row.values())[:8] == ["xor", "4", "vanilla", "gaussian", "1", "at-0-10", "4", "1"]


def test_summary_has_a_row_for_each_network(finished):
    table = rows(only(finished, "results/*/summary.csv"))
    assert [row["seed"] for row in table] == ["0", "1"]
    for row in table:
        assert 0 < float(row["final_loss"]) < 10
        assert 0 <= float(row["final_accuracy"]) <= 1
        assert (row["diverged_at"], row["epochs"]) == ("", "20")
        assert 0 < float(row["floss_seconds"]) < float(row["seconds"])


def test_starting_a_finished_job_again_computes_nothing_and_says_so(finished):
    run = only(finished, "results/*")
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    done = floss(finished, "train", *JOB, "train.checkpoint_every=3", "engine=torch")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("known    xor d=4 flossing=at-0-10: final_accuracy ")
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


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
    assert files(sweep) == sorted([*RUN_FILES, "accuracy_vs_delay.png", "accuracy_vs_delay.svg"])
    runs = [swept / each.folder for each in jobs(*SWEEP)]
    for name in ("metrics.csv", "summary.csv"):
        assert rows(sweep / name) == [row for run in runs for row in rows(run / name)]
    assert yaml.safe_load((sweep / "config.yaml").read_text())["folders"] == [run.name for run in runs]
    assert (swept / "said.txt").read_text().count("finished xor d=") == 4
    assert f"sweep    {sweep.relative_to(swept) / 'summary.csv'}" in (swept / "said.txt").read_text()
    assert not list(swept.rglob("multirun.yaml"))


def test_figures_draws_the_same_bytes_again(swept):
    pictures = sorted([*swept.rglob("*.png"), *swept.rglob("*.svg")])
    before = {path: path.read_bytes() for path in pictures}
    assert len(before) == 12
    for path in pictures:
        path.write_bytes(b"")
    done = floss(swept, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(swept / line for line in done.stdout.splitlines()) == pictures
    assert {path: path.read_bytes() for path in pictures} == before


def test_a_sweep_that_is_finished_computes_nothing(swept):
    before = {path: path.stat().st_mtime_ns for path in swept.rglob("results/xor-*/*")}
    done = floss(swept, "train", "-m", *SWEEP)
    assert done.stdout.count("known    xor d=") == 4
    assert {path: path.stat().st_mtime_ns for path in swept.rglob("results/xor-*/*")} == before


def test_what_else_a_job_may_have_to_say(tmp_path):
    done = floss(tmp_path, "train", *TINY, "task=copy", "flossing=during")
    assert done.stderr == "floss: training ended after 20 epochs: no flossing at [500]\n"
    assert done.stdout.startswith("finished copy d=4 flossing=during: final_loss 0.")  # it has no accuracy
    assert [row["final_accuracy"] for row in rows(only(tmp_path, "results/*/summary.csv"))] == [""]


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
        ("floss b", ["bench"]),
        ("floss s", ["spectrum"]),
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
