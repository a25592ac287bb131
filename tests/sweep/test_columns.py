"""Every key that differs between the networks of a table is a column of it; ids that no program takes for numbers."""

import csv
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from command import TINY, inside, job, jobs, rows, run_jobs

import floss
from floss.errors import ConfigError
from floss.figures.tables import read_runs
from floss.jobs.keys import known_keys
from floss.jobs.train import TrainJob
from floss.runtime.network_ids import current, digits_of, network_id, with_current_id
from floss.sweep.columns import FURTHER, IDENTITY, SUMMARY, Columns, differing, in_words
from floss.sweep.folders import write_selection, write_sweep
from floss.sweep.records import read_records
from floss.sweep.request import Request
from floss.sweep.store import Store

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("results=r", "train.epochs=4", "train.log_every=2", "seeds=1")
OTHER = {
    **{"arch.n": "9", "arch.mean": "0.5", "arch.bias": "0.5", "arch.readout": "0.5", "arch.relaxation": "3"},
    **{"flossing.epochs": "3", "flossing.steps": "70", "flossing.transient": "3", "flossing.target": "-1"},
    **{"flossing.lr": "0.5", "train.epochs": "6", "train.steps": "22", "train.batch": "3", "train.lr": "0.5"},
    **{"train.clip": "0.5", "train.log_every": "3", "train.evaluation_batches": "5", "dtype": "float64"},
    **{"diagnostics": "[grad_h0]", "flossing.penalty": "one_step", "flossing.until": "0.5"},
    **{"train.schedule": "cosine", "task.hold": "2"},
}
OF_STUDENTS = {
    **{"task.teacher": "seeded", "task.nu": "0.5", "task.theta": "1", "arch.heads": "2", "arch.nu": "0.5"},
    "arch.theta": "1",
}
"""Keys that other networks than linear students do not have."""


def test_each_key_that_numbers_depend_on_is_a_column_or_can_be_one():
    hashed = {name for name, field in known_keys(TrainJob).items() if field.metadata["hashed"]}
    by_identity = {"d", "seed", "seeds", "task.name", "task.delay", "arch.name", "arch.init", "arch.g", "flossing.at"}
    by_identity |= {"flossing.every", "flossing.k", "flossing.t_ons"}
    assert set(FURTHER) == hashed - by_identity == {*OTHER, *OF_STUDENTS}


@pytest.mark.parametrize("key", OF_STUDENTS)
def test_a_key_of_students_that_differs_is_a_column(key):
    student = (*TINY, "task=teacher", "arch=linear_dense", "arch.n=8", "flossing=none")
    first, second = jobs(*student)[0], jobs(*student, f"{key}={OF_STUDENTS[key]}")[0]
    assert differing([first, second]) == [key]
    assert [str(value).removesuffix(".0") for value in Columns({"1": first, "2": second}).numbers["2"]] == [
        OF_STUDENTS[key]
    ]


@pytest.mark.parametrize("key", OTHER)
def test_a_key_that_differs_is_a_column(key):
    two = jobs(*TINY, "flossing=pre"), jobs(*TINY, "flossing=pre", f"{key}={OTHER[key]}")
    first, second = two[0][0], two[1][0]
    assert differing([first, second]) == [key]
    assert [str(value).removesuffix(".0") for value in Columns({"1": first, "2": second}).numbers["2"]] == [OTHER[key]]
    assert f"{key}={OTHER[key]}" in in_words(second, [first, second])


def test_keys_of_flossing_differ_between_flossed_networks_alone():
    mixed = jobs(*TINY, "flossing=none,pre", "flossing.lr=1e-3,1e-2")
    assert differing(mixed) == ["flossing.lr"]
    assert list(Columns(dict(zip("abcd", mixed, strict=True))).numbers.values()) == [[None], [None], [1e-3], [1e-2]]
    assert differing(jobs(*TINY, "flossing=none", "flossing.lr=1e-3,1e-2")) == []
    assert differing(jobs(*TINY, "flossing=pre", "d=4,100", "train.steps=200")) == []  # T_f follows from d


CLOSE = ("0.1", "0.1000000000001", "0.10000001")
"""Three numbers, of which the last differs within nine digits, and within six digits none."""


@pytest.mark.parametrize("key", ["arch.g", "train.lr", "flossing.target"])
def test_numbers_that_differ_beyond_nine_digits_differ_in_every_table(tmp_path, no_pictures, key):
    line = (*TINY, *QUICK, "flossing=pre", "flossing.epochs=1", f"{key}={','.join(CLOSE)}")
    done = inside(tmp_path, "train", "-m", *line)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(rf"{re.escape(key)}=([^\s:]+)", done.stdout) == list(CLOSE)
    assert inside(tmp_path, "collect", "results=r").returncode == 0
    column = "g" if key == "arch.g" else key
    for folder in (next((tmp_path / "r").glob("sweep-*")), tmp_path / "r/collected"):
        for name in ("summary", "metrics"):
            table = rows(folder / f"{name}.csv")
            assert sorted({row["network"]: row[column] for row in table}.values()) == sorted(CLOSE), name
            assert len({(row[column], row["network"]) for row in table}) == 3
    assert sorted(read_runs(next((tmp_path / "r").glob("sweep-*"))).groups) == sorted(
        f"{column} = {text}" for text in CLOSE
    )
    assert sorted(floss.load(tmp_path / "r").summary[column]) == sorted(map(float, CLOSE))


def test_a_gain_beyond_nine_digits_is_collected_by_its_value_or_its_digits(tmp_path, no_pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_jobs(jobs(*TINY, *QUICK, "flossing=none", "arch.g=0.1,0.1000000000001,5.656854249492381"))

    def gains(*values: float) -> list[str]:
        write_selection(Path("c"), {"g": values}, Store("r"))
        return sorted(row["g"] for row in rows(Path("c/summary.csv")))

    assert gains(0.1) == ["0.1"]
    assert gains(0.1000000000001) == ["0.1"]  # of one network there is nothing to tell it from
    assert gains(0.1, 0.1000000000001) == ["0.1", "0.1000000000001"]
    assert gains(5.65685425) == gains(5.656854249492381) == ["5.65685425"]


def test_a_sweep_over_what_is_no_identity_column_has_it_in_every_table(tmp_path, no_pictures):
    line = ("-m", *TINY, *QUICK, "flossing=none,pre", "arch.n=8,12", "flossing.lr=1e-3,1e-2", "flossing.epochs=2")
    done = inside(tmp_path, "train", *line)
    assert (done.returncode, done.stderr) == (0, "")
    assert "finished xor d=4 flossing=none arch.n=8: final_accuracy" in done.stdout
    assert "finished xor d=4 flossing=pre arch.n=12 flossing.lr=0.01: final_accuracy" in done.stdout
    assert "networks 6 done" in done.stdout
    collected = inside(tmp_path, "collect", "results=r")
    assert (collected.returncode, collected.stderr) == (0, "")
    (sweep,) = (tmp_path / "r").glob("sweep-*")
    for folder in (sweep, tmp_path / "r/collected"):
        for name, per_network in (("summary", 1), ("metrics", None)):
            table = pd.read_csv(folder / f"{name}.csv")
            assert list(table)[: len(IDENTITY) + 2] == [*IDENTITY, "arch.n", "flossing.lr"]
            assert list(table)[-1 if name == "metrics" else -2] == "network"
            told_apart = table.groupby(["flossing", "arch.n", "flossing.lr"], dropna=False)["network"].nunique()
            assert told_apart.tolist() == [1] * 6
            assert per_network is None or len(table) == 6
            assert list(table["flossing.lr"].isna()) == list(table["flossing"] == "none")
    for folder in (tmp_path / "r").glob("xor-*"):  # of one job each: nothing differs
        assert tuple(rows(folder / "summary.csv")[0]) == SUMMARY


def test_a_damaged_configuration_costs_the_further_columns_of_its_networks_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_jobs(jobs(*TINY, *QUICK, "flossing=none", "arch.n=8,12,16"))
    damaged = next(Path("r/ensembles").glob("xor-*"))
    (damaged / "config.yaml").write_text("runs: [")
    assert write_selection(Path("c"), {}, Store("r")) == 3
    assert sum(row["arch.n"] == "" for row in rows(Path("c/summary.csv"))) == 1
    assert f"floss: {damaged}: no config.yaml describes its networks, whose further keys" in capsys.readouterr().err


@pytest.mark.parametrize("line", [("d=6",), ("task=copy", "seed=3"), ("flossing=pre",)])
def test_collecting_what_there_is_not_leaves_the_table_that_was_there(tmp_path, no_pictures, line):
    inside(tmp_path, "train", *TINY, *QUICK, "flossing=none")
    assert inside(tmp_path, "collect", "results=r").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "r/collected").iterdir()}
    done = inside(tmp_path, "collect", "results=r", *line)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"floss collect: {' '.join(sorted(line, reverse=True))}: there is no such network in r\n"
    assert {path: path.read_bytes() for path in (tmp_path / "r/collected").iterdir()} == before
    assert inside(tmp_path, "collect", "results=r", "to=elsewhere", *line).returncode == 2
    assert not (tmp_path / "elsewhere").exists()


# --- what tells no networks apart ---------------------------------------------------------------------------------


def test_keys_that_change_nothing_make_no_further_network(tmp_path, no_pictures):
    line = (*TINY, *QUICK, "flossing=none", "flossing.k=4,8", "flossing.t_ons=1,2", "flossing.lr=1e-3,1e-2")
    done = inside(tmp_path, "train", "-m", *line)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("networks 1 done\n")


def test_what_is_not_flossed_has_no_seconds_of_flossing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    several = jobs(*TINY, *QUICK, "flossing=none,pre", "flossing.epochs=5")
    outcome = run_jobs(several)
    (folder,) = Path("r/ensembles").glob("xor-*")
    table = rows(folder / "summary.csv")
    assert [float(row["floss_seconds"]) > 0 for row in table] == [row["flossing"] == "pre" for row in table]
    assert all(float(row["seconds"]) >= float(row["floss_seconds"]) for row in table)
    assert len(outcome.status) == 2


# --- ids -----------------------------------------------------------------------------------------------------------


def test_an_id_is_a_text_to_every_reader(tmp_path):
    for digits in ("4321467e7953", "123456789012", "00000000e000"):
        path = tmp_path / "table.csv"
        path.write_text(f"network,x\n{network_id(digits)},1\n")
        assert pd.read_csv(path)["network"].tolist() == [f"n{digits}"]
        assert current(digits) == current(network_id(digits)) == network_id(digits)
        assert digits_of(network_id(digits)) == digits_of(digits) == digits
    assert current("made up") == "made up"
    assert with_current_id("a,1,0123456789ab\nb,2,0123456789ab\n", "0123456789ab") == (
        "a,1,n0123456789ab\nb,2,n0123456789ab\n"
    )


def without_letters(folder: Path) -> None:
    """A store as an earlier version has written it."""
    from floss.sweep.records import network_digest

    table = rows(folder / "summary.csv")
    metrics = (folder / "metrics.csv").read_text()
    header = metrics.splitlines(keepends=True)[0]
    for row in table:
        old = digits_of(row["network"])
        metrics = metrics.replace(f",{row['network']}\n", f",{old}\n")
        row["network"] = old
        lines = "".join(line for line in metrics.splitlines(keepends=True) if line.endswith(f",{old}\n"))
        row["sha256"] = network_digest(row, (header + lines).encode())
    (folder / "metrics.csv").write_text(metrics)
    with (folder / "summary.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, SUMMARY, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def test_a_store_of_an_earlier_version_is_found_and_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    three = job(*TINY, "results=r", "train.epochs=4", "flossing=none", "seeds=3")
    run_jobs([three])
    (folder,) = Path("r/ensembles").glob("xor-*")
    tables = {path: path.read_bytes() for path in three.folder.glob("*.csv")}
    name = folder.name
    without_letters(folder)
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    assert [record.status for record in read_records(folder)] == ["done"] * 3
    shutil.rmtree(three.folder)
    outcome = run_jobs([three])
    assert outcome.already_done == set(Request([three]).networks)
    assert {path: path.read_bytes() for path in folder.glob("*.csv")} == before
    for path, content in tables.items():
        copies = rows(path)
        assert [row["network"] for row in copies] == [
            row["network"] for row in csv.DictReader(content.decode().splitlines())
        ]
    more = job(*TINY, "results=r", "train.epochs=4", "flossing=none", "seeds=4")
    assert len(run_jobs([more]).already_done) == 3
    assert [path.name for path in Path("r/ensembles").glob("xor-*")].count(name) == 1


def test_folders_of_ensembles_have_the_names_that_they_had():
    """`xor-vanilla-10e4591a5d` is committed, with ids without a letter."""
    (folder,) = (ROOT / "results/demo/ensembles").glob("xor-*")
    stored = {record.network_id for record in read_records(folder)}
    from floss.sweep.described import described_networks
    from floss.sweep.stacking import Stack

    networks = described_networks([folder])
    assert set(networks) == stored
    assert Stack(networks).name == folder.name


@pytest.mark.parametrize("folder", sorted((ROOT / "results").glob("*/sweep-*")), ids=lambda path: path.name)
def test_the_tables_of_a_committed_sweep_are_made_as_they_were(tmp_path, folder):
    """But for the letters of the ids."""
    shutil.copytree(folder.parent / "ensembles", tmp_path / "r/ensembles")
    import yaml

    from floss.jobs.keys import build
    from floss.jobs.train import DERIVED

    runs = yaml.safe_load((folder / "config.yaml").read_bytes())["runs"]
    of_sweep = [{**run, "results": str(tmp_path / "r")} for run in runs]
    request = Request([build(TrainJob, {k: v for k, v in run.items() if k not in DERIVED}) for run in of_sweep])
    written, _ = write_sweep(request)
    for name in ("summary.csv", "metrics.csv"):
        text = (written / name).read_text()
        for network in request.networks:
            text = text.replace(network, digits_of(network))
        assert text == (folder / name).read_text()


def test_a_key_that_a_job_does_not_have_is_an_error():
    with pytest.raises(ConfigError, match="network"):
        jobs("network=1")
