"""`floss spectrum` and `floss condition`: the files that they write, and what they answer."""

import hashlib
import itertools
import re
import shutil
import sys
from pathlib import Path

import pytest
from analysis.analyses import COLUMNS, COMMANDS, TABLES, TINY, done, pick
from command import analysis, files, floss, inside, rows

from floss.analysis import run
from floss.runtime.files import CHECKSUMS

IDENTITY = ["arch", "n", "init", "g", "seed", "flossing", "k", "target"]


PICTURES = {"spectrum": ["convergence", "flossing", "spectrum"], "condition": ["condition", "flossing"]}


# --- files and answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_an_analysis_writes_the_documented_files(drawn, command):
    folder = drawn[command]
    pictures = [f"{name}.{kind}" for name in PICTURES[command] for kind in ("png", "svg")]
    tables = [f"{name}.csv" for name in TABLES[command]]
    assert files(folder) == sorted([*tables, *pictures, "config.yaml", "environment.json", CHECKSUMS])
    assert not (folder / "checkpoint.pt").exists()
    assert re.fullmatch(rf"{command}-vanilla-[0-9a-f]{{10}}", folder.name)
    for name in TABLES[command]:
        assert list(rows(folder / f"{name}.csv")[0]) == IDENTITY + COLUMNS[name]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spoil", ["changed", "gone", "unsealed"])
def test_a_damaged_table_is_computed_again(tmp_path, command, spoil, monkeypatch):
    monkeypatch.setattr("floss.figures.draw", lambda folder: [])
    folder = done(tmp_path, command)
    path, seal = folder / f"{command}.csv", folder / CHECKSUMS
    content, sums = path.read_bytes(), seal.read_text()
    assert f"{hashlib.sha256(content).hexdigest()}  {path.name}\n" in sums  # as `sha256sum -c` reads it
    if spoil == "changed":
        path.write_bytes(content.replace(b"1", b"2", 1))
    elif spoil == "gone":
        path.unlink()
    else:
        seal.unlink()
    said = inside(tmp_path, command, *TINY[command])
    assert said.returncode == 0
    assert said.stdout.startswith("finished")
    assert ("a table is damaged or missing" in said.stderr) == (spoil != "unsealed")
    assert (path.read_bytes(), seal.read_text()) == (content, sums)


@pytest.mark.parametrize("spoil", ["changed", "gone"])
def test_another_config_is_noticed_and_written_again(tmp_path, spoil, no_pictures):
    folder = done(tmp_path, "spectrum")
    path, seal = folder / "config.yaml", folder / CHECKSUMS
    content, sums = path.read_bytes(), seal.read_text()
    assert sums.endswith(f"\n{hashlib.sha256(content).hexdigest()}  config.yaml\n")
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes(content.replace(b"steps: ", b"steps: 1"))
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert (said.returncode, said.stdout[:7]) == (0, "known  ")
    assert said.stderr == f"floss: {path.relative_to(tmp_path)} was changed, damaged or missing: written again\n"
    assert (path.read_bytes(), seal.read_text()) == (content, sums)
    again = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert (again.stdout, again.stderr) == (said.stdout, "")


def test_the_seal_of_an_earlier_version_is_of_tables_alone(tmp_path, no_pictures):
    folder = done(tmp_path, "spectrum")
    path, seal = folder / "config.yaml", folder / CHECKSUMS
    older = "".join(line for line in seal.read_text().splitlines(keepends=True) if ".csv" in line)
    seal.write_text(older)
    path.write_text(path.read_text() + "# a note\n")
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert (said.stdout[:7], said.stderr) == ("known  ", "")
    assert seal.read_text() == older


def test_targets_that_differ_beyond_nine_digits_differ_in_every_table(tmp_path, no_pictures):
    folder = done(tmp_path, "spectrum", "flossing.target=[0.1,0.1000000000001]")
    for name in TABLES["spectrum"]:
        assert {row["target"] for row in rows(folder / f"{name}.csv")} - {""} == {"0.1", "0.1000000000001"}, name


@pytest.mark.parametrize("command", COMMANDS)
def test_rows_name_their_network(many, command):
    variants = [("before", "", "")] + [("after", k, target) for k, target in itertools.product("12", ("-0.5", "0"))]
    wanted = [("vanilla", "4", "gaussian", "1", seed, *v) for v in variants for seed in "01"]
    for name in TABLES[command]:
        seen = [tuple(row.values())[:8] for row in rows(many[command] / f"{name}.csv")]
        assert list(dict.fromkeys(seen)) == (wanted[2:] if name == "flossing" else wanted)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_known_analysis_is_not_computed_again(drawn, command):
    folder = drawn[command]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    said = inside(folder.parent.parent, command, *TINY[command], "device=cpu", "flossing.target=[0]", "flossing.k=[2]")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"known    {command} of 1 vanilla networks, n=4\n")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    named = re.findall(r"^(?:table|picture) +(.+)$", said.stdout, re.MULTILINE)
    assert sorted(Path(path).name for path in named) == [
        name for name in files(folder) if name[-4:] in (".csv", ".png")
    ]
    assert all((folder.parent.parent / path).is_file() for path in named)


def test_pictures_that_are_missing_are_drawn_again(drawn, tmp_path):
    folder = shutil.copytree(drawn["condition"], tmp_path / "results" / drawn["condition"].name)
    before = {path.name: path.read_bytes() for path in folder.glob("condition.*")}
    (folder / "condition.svg").unlink()
    done(tmp_path, "condition")
    assert {path.name: path.read_bytes() for path in folder.glob("condition.*")} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_the_tables_have_a_row_for_everything_that_was_looked_at(many, command):
    folder, networks = many[command], 2 + 2 * 4
    count = {name: len(rows(folder / f"{name}.csv")) for name in TABLES[command]}
    assert count.pop("flossing") == 4 * 8
    if command == "spectrum":
        # Of i = 1, 3, 9 a network with four exponents has two.
        assert count == {"spectrum": 4 * networks, "dimensions": networks, "convergence": 2 * 30 * networks}
    else:
        # m = 1, 2, 4 at 4, 8, 12 steps and m = 1, 2, 3, 4 at 8 steps; computed and predicted.
        assert count == {"condition": (9 + 1) * 2 * networks}


def test_without_flossing_there_is_nothing_about_it(tmp_path):
    for command in COMMANDS:
        folder = done(tmp_path, command, "flossing.epochs=0")
        assert not (folder / "flossing.csv").exists()
        assert {row["flossing"] for row in rows(folder / f"{command}.csv")} == {"before"}


def test_without_flossing_the_flossed_k_does_not_matter(tmp_path):
    """Its default is larger than such a network."""
    default = [each for each in TINY["condition"] if not each.startswith("flossing.k")]
    said = inside(tmp_path, "condition", *default, "flossing.epochs=0")
    assert (said.returncode, said.stderr) == (0, "")
    table = rows(next(tmp_path.glob("results/*/condition.csv")))
    assert {row["m"] for row in pick(table, horizon=12)} == {"4"}


# --- wrong command lines --------------------------------------------------------------------------------------------


WRONG = {
    "spectrum arch.n=4": "flossing.k=15: must be at most the state size, 4 for arch=vanilla",
    "spectrum k=81": "k=81: must be at most the state size, 80 for arch=vanilla",
    "spectrum flossing.kk=3": "flossing.kk: there is no such key; did you mean flossing.k?",
    "spectrum stepz=3": "stepz: there is no such key; did you mean steps?",
    "spectrum checkpoint=nothing": "checkpoint=nothing: cannot be read: No such file or directory",
    "spectrum checkpoint=.": "checkpoint=.: cannot be read: No such file or directory",
    "spectrum results=/dev/null/x": "results=/dev/null/x: must be a folder that can be written; /dev/null is not",
    "spectrum arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "spectrum arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "spectrum arch.n=4000 seeds=100000": "seeds=100000, arch.n=4000, steps=1000: does not fit into memory",
    "spectrum -m seed=0,1 k=2,81": "k=81: must be at most the state size, 80 for arch=vanilla",
    "spectrum -m arch.n=4,80": "flossing.k=15: must be at most the state size, 4 for arch=vanilla",
    "spectrum seed=0,1": "seed: several values make a sweep, which needs -m; a list is [a,b]",
    "condition dims=81": "dims=81: must be at most the state size, 80 for arch=vanilla",
    "condition at=600": "at=600: must be at most steps=500",
    "condition bits=1": "bits=1: must be null or a whole number >= 2",
    "condition bits=foo": "bits=foo: must be null or a whole number >= 2",
    "condition bits=256": "bits=256: needs python-flint; ",
    "condition bits=auto": "bits=auto: needs python-flint; ",
    "condition -m seed=0,1 at=100,600": "at=600: must be at most steps=500",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_answered_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, line):
    monkeypatch.setitem(sys.modules, "flint", None)
    said = inside(tmp_path, *line.split())
    command = line.partition(" ")[0]
    assert said.stderr.replace("seed=0,1: several", "seed: several").startswith(f"floss {command}: {WRONG[line]}")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_cuda_where_there_is_none(tmp_path, monkeypatch, command):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = inside(tmp_path, command, "device=cuda")
    assert said.stderr.startswith(f"floss {command}: device=cuda: this machine has no CUDA device")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "results").mkdir()
    name = analysis("spectrum", *TINY["spectrum"]).folder.name
    (tmp_path / "results" / name).write_text("a file")
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert said.stderr == f"floss spectrum: results=results: cannot make results/{name}: File exists\n"
    assert (said.returncode, said.stdout) == (2, "")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".csv":
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(content)

    monkeypatch.setattr(run, "write_whole", full)
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert (said.returncode, said.stdout) == (1, "")
    assert re.fullmatch(r"floss spectrum: results/\S+\.csv: No space left on device\n", said.stderr)


def test_a_sweep_has_a_folder_for_each_job(tmp_path):
    said = inside(tmp_path, "spectrum", "-m", *TINY["spectrum"], "arch=vanilla,lru")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.findall(r"^finished spectrum of 1 (\w+) networks", said.stdout, re.MULTILINE) == ["vanilla", "lru"]
    assert len(list(tmp_path.glob("results/spectrum-*/spectrum.csv"))) == 2


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_installed_program(tmp_path):
    said = floss(tmp_path, "condition", *TINY["condition"], PYTHONWARNINGS="error")
    assert (said.returncode, said.stderr) == (0, "")
    assert inside(tmp_path, "condition", *TINY["condition"]).stdout == said.stdout.replace("finished", "known   ")
