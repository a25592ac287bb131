"""The command line as a person meets it: help, completion, and one line for what is wrong."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from command import ENVIRONMENT, TINY, floss, inside, installed

from floss.jobs.help import COMMANDS
from floss.jobs.keys import known_keys

HELPS = ("--help", "--version", *(f"{command} --help" for command in COMMANDS))
ASK = """
import contextlib, io, json, sys
from floss.commands.main import main

answers = {}
for line in sys.argv[1:]:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = ["floss", *line.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    loaded = [name for name in ("torch", "matplotlib", "pandas") if name in sys.modules]
    answers[line] = status, out.getvalue(), err.getvalue(), loaded
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def helps(tmp_path_factory) -> dict[str, tuple[int, str, str, list[str]]]:
    """Status, output, complaints and what is imported by then of everything that helps, one after the other."""
    folder = tmp_path_factory.mktemp("helps")
    program = [sys.executable, "-c", ASK, *HELPS]
    done = subprocess.run(program, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert not any(folder.iterdir())
    return json.loads(done.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_the_installed_program_helps(tmp_path, helps, arguments):
    done = installed(tmp_path, *arguments)
    assert [done.returncode, done.stdout, done.stderr] == list(helps[" ".join(arguments)])[:3]


def test_help_lists_the_commands(helps):
    status, out, err, _ = helps["--help"]
    assert (status, err) == (0, "")
    assert re.findall(r"^  (\w+) {2,}\S", out, re.MULTILINE) == list(COMMANDS)


def test_without_a_command_the_help_is_shown_and_nothing_done(tmp_path):
    done = floss(tmp_path)
    assert (done.returncode, done.stdout) == (2, floss(tmp_path, "-h").stdout)


@pytest.mark.parametrize("line", ["train --version", "figures results=x --version"])
def test_the_version_of_a_command_is_that_of_floss(tmp_path, line):
    assert inside(tmp_path, *line.split()).stdout == inside(tmp_path, "--version").stdout


def test_options_may_stand_between_keys(tmp_path):
    apart = inside(tmp_path, "train", "d=4", "--cfg", "job", "seeds=3")
    together = inside(tmp_path, "train", "d=4", "seeds=3", "--cfg", "job")
    assert (apart.returncode, apart.stderr, apart.stdout) == (0, "", together.stdout)
    swept = inside(tmp_path, "sbatch", "d=4,6", "-m", "seeds=3")
    assert "floss train -m d=4,6 seeds=3 parts=4" in swept.stdout


def test_version(tmp_path):
    assert re.fullmatch(r"floss \d+\.\d+\.\d+\n", installed(tmp_path, "--version").stdout)


@pytest.mark.parametrize(
    "line", ["reproduce fig=7 scale=paper", "reproduce nonsense", "collect task=xor", "train d=7", "bench x=1"]
)
def test_help_says_the_same_whatever_else_was_typed(tmp_path, helps, line):
    command = line.split()[0]
    done = inside(tmp_path, *line.split(), "--help")
    assert [done.returncode, done.stdout, done.stderr] == list(helps[f"{command} --help"])[:3]


@pytest.mark.parametrize("line", HELPS)
def test_help_does_not_wait_for_torch(helps, line):
    status, out, _, loaded = helps[line]
    assert status == 0
    assert out
    assert loaded == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_every_key_with_what_it_takes(helps, command):
    status, out, err, _ = helps[f"{command} --help"]
    assert (status, err) == (0, "")
    explained = dict(re.findall(r"^  ([\w.]+) {2,}(\S.*)$", out, re.MULTILINE))
    for name, field in known_keys(COMMANDS[command].job).items():
        if name not in ("task.name", "task.delay", "arch.name", "flossing.name", "scale"):
            assert field.metadata["check"].allowed in explained[name], name
    if command in ("train", "plan", "sbatch"):
        assert "flossing: during, early, none, pre, throughout" in out
        assert "task: copy, spatial_xor, teacher, xor, xor_continuous" in out
    if command in ("train", "plan", "sbatch", "spectrum", "condition"):
        assert "arch: gru, linear, linear_dense, linear_diagonal," in out


WRONG = {
    "tarin": "floss: tarin: there is no such command; did you mean train?",
    "train sede=1": "floss train: sede: there is no such key; did you mean seed?",
    "train task=xorr": "floss train: task=xorr: must be one of copy, spatial_xor, teacher, xor, xor_continuous; did",
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


WRONG_BESIDE_TRAIN = {
    "plan d=7": "floss plan: d=7: task=xor needs an even d >= 2",
    "plan d=10,21": "floss plan: d=21: task=xor needs an even d >= 2",
    "plan -m d=10,21": "floss plan: d=21: task=xor needs an even d >= 2",
    "plan sede=1": "floss plan: sede: there is no such key; did you mean seed?",
    "plan task=xorr": "floss plan: task=xorr: must be one of copy, spatial_xor, teacher, xor, xor_continuous; did",
    "plan results=/dev/null/x": "floss plan: results=/dev/null/x: must be a folder that can be written; /dev/null",
    "plan results=a,b": "floss plan: results=a,b: must be one folder for all jobs of a sweep",
    "plan slurm.tasks=2": "floss plan: slurm.tasks: there is no such key",
    "plan -m --cfg job": "floss plan: -m cannot go together with --cfg, --info or --shell-completion",
    "plan --fast": "floss plan: unrecognized arguments: --fast; `floss plan --help` lists the options",
    "collect task=xor --cfg job": "floss collect: --cfg and --info: there is nothing composed to show",
    "sbatch slurm.taks=3": "floss sbatch: slurm.taks: there is no such key; did you mean slurm.tasks?",
    "sbatch +slurm.account=x": "floss sbatch: slurm.account: there is no such key",
    "sbatch slurm.memory=banana": "floss sbatch: slurm.memory=banana: must be null or a whole number of megabytes, or ",
    "sbatch slurm.tasks=0": "floss sbatch: slurm.tasks=0: must be a whole number >= 1",
    "sbatch slurm.gpus=a100": "floss sbatch: slurm.gpus=a100: must be a whole number >= 0",
    "sbatch slurm.tasks=2,3": "floss sbatch: slurm: must be the same for all jobs of a sweep",
    "sbatch slurm=3": "floss sbatch: slurm=3: this is a group of keys, not a value",
    "sbatch slurm=x": "floss sbatch: slurm=x: this is a group of keys, not a value",
    "sbatch d=10,21": "floss sbatch: d=21: task=xor needs an even d >= 2",
    "sbatch results=a,b": "floss sbatch: results=a,b: must be one folder for all jobs of a sweep",
    "train arch=3": "floss train: arch=3: must be one of gru, linear, ",
    "train flossing.at={a:1}": "floss train: flossing.at={a:1}: is no value of this key",
    "train -m flossing.at={a:1}": "floss train: flossing.at={a:1}: is no value of this key",
    "train d==4": "floss train: d==4: cannot be read as key=value",
    "train arch.relaxation=1e30": "floss train: arch.relaxation=1e+30: must be a whole number",
    "train hydra.run.dir=q d=7": "floss train: hydra.run: cannot be set; results are in one folder of their own",
    "figures ++hydra.output_subdir=q": "floss figures: hydra.output_subdir: cannot be set; results are in one folder",
    "report hydra/job_logging=default": "floss report: hydra/job_logging: cannot be set; results are in one folder",
    "train hydra.sweep.dir=q": "floss train: hydra.sweep: cannot be set; results are in one folder of their own",
    "spectrum -m ++hydra.sweep.subdir=q": "floss spectrum: hydra.sweep: cannot be set; results are in one folder",
    "spectrum --config-name train steps=30": "floss spectrum: --config-name train: is the file of floss train; it",
    "train --config-name arch/lstm": "floss train: --config-name arch/lstm: there is no such file; it takes train",
    "spectrum t_ons=31 steps=30": "floss spectrum: t_ons=31: must be at most steps=30, the counted steps of the run",
    "spectrum flossing.t_ons=900": "floss spectrum: flossing.t_ons=900: must be at most ",
    "train flossing.t_ons=45": "floss train: flossing.t_ons=45: must be at most 44, the counted steps of a run of 60",
    "train --experimental-rerun x": "floss train: --experimental-rerun: the same command again finds what is done",
    "train --cfg job --package nope": "floss train: package 'nope' not found in config",
    "figures -sc query=bash": "floss figures: query=: is for the shell, which sets COMP_LINE",
    "bench n=1e30 k=1": "floss bench: n=1e+30: must be a whole number >= 1 and <= 1000000",
    "figures fig=1,2": "floss figures: fig=1,2: several values make a sweep, which needs -m; a list is [a,b]",
    "collect results=. d=interval(1,2)": "floss collect: d=interval(1,2): cannot be read as key=value",
    "collect results=. arch=glob(z*)": "floss collect: arch=glob(z*): matches nothing; the names that glob() matches",
    "reproduce fig=glob(*)": "floss reproduce: fig=glob(*): matches nothing; the names that glob() matches are files",
    "train -m d=interval(1,2)": "floss train: d=interval(1,2): has no end of values; range(a,b) has",
    "spectrum flossing=3": "floss spectrum: flossing: this is a group of keys, not a value",
    "spectrum inputs=1e30": "floss spectrum: inputs=1e+30: must be a whole number >= 1 and <=",
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
        ("floss train flossing.a", ["flossing.at="]),
        ("floss train flossing.at.", []),
        ("floss train diag", ["diagnostics="]),
        ("floss bench scaling_n", ["scaling_n=", "scaling_networks="]),
        ("floss train exper", []),
        ("floss ", list(COMMANDS)),
        ("floss", list(COMMANDS)),
        ("floss tr|ain flossing=", ["train"]),
        ("floss train see|ds=3 d=4", ["seed=", "seeds="]),
        ("floss train --c", []),
        ("floss train see xyz", []),
        ("floss b", ["bench"]),
        ("floss c", ["collect", "condition"]),
        ("floss p", ["plan"]),
        ("floss s", ["sbatch", "spectrum"]),
    ],
)
def test_completion_in_the_shell(tmp_path, line, words):
    # What the script of `floss train -sc install=bash` runs when TAB is pressed.
    point = line.find("|") % (len(line) + 1)  # the cursor, which is at the end where it is not marked
    done = floss(tmp_path, "-sc", "query=bash", COMP_LINE=line.replace("|", ""), COMP_POINT=str(point))
    assert (done.returncode, done.stderr) == (0, "")
    assert [candidate.rpartition("flossing=")[2].rpartition("task=")[2] for candidate in done.stdout.split()] == words


def test_the_completion_script_is_that_of_floss(tmp_path):
    done = floss(tmp_path, "train", "-sc", "install=bash")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"complete .*-F hydra_bash_completion floss$", done.stdout, re.MULTILINE)
