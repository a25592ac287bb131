"""`floss collect` puts the networks with some values into one table."""

import shutil
from pathlib import Path

import pytest
from command import TINY, inside, jobs, rows, without_pictures
from commands.run_folders import METRICS, SUMMARY, held, names


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """The folder of networks whose numbers would have another order as texts."""
    folder = tmp_path_factory.mktemp("many")
    tiny = (*TINY, "seed=9", "seeds=2")
    for line in ((*tiny, "flossing=pre,none", "d=10,2"), (*tiny, "flossing=none", "d=3", "task=copy")):
        with without_pictures():
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
    "task=glob(xor*)": (8, lambda row: row["task"] == "xor"),
    "flossing=glob(p*)": (4, lambda row: row["flossing"] == "pre"),
    "d=2": (4, lambda row: row["d"] == "2"),
    "d=[3,10]": (6, lambda row: row["d"] in ("3", "10")),
    "seed=9": (5, lambda row: row["seed"] == "9"),
    "seed=9.0,11": (5, lambda row: row["seed"] == "9"),
    "flossing=none": (6, lambda row: row["flossing"] == "none"),
    "flossing=pre,none d=10": (4, lambda row: row["d"] == "10"),
    "d=2,10 seed=10 flossing=pre": (2, lambda row: (row["seed"], row["flossing"]) == ("10", "pre")),
    "arch=vanilla init=gaussian g=1 t_ons=1": (10, lambda row: True),
    "k=4": (4, lambda row: row["flossing"] != "none"),  # the others are not flossed, whatever k is
    "status=done": (10, lambda row: True),
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


@pytest.mark.usefixtures("no_pictures")
def test_collect_compares_numbers_as_they_are_written(tmp_path):
    """Nine digits of a gain, and all digits of a seed, of which a float has only sixteen."""
    seed = 2**53 + 1
    for one in (seed, seed + 1):
        assert (
            inside(tmp_path, "train", *TINY, "flossing=none", f"seed={one}", "arch.g=0.3333333333333").returncode == 0
        )
    summary, _ = collected(tmp_path, f"seed={seed}", "g=0.3333333333333")
    assert [line.split(",")[8] for line in summary.decode().splitlines()[1:]] == [str(seed)]


NOT_THERE = ["task=spatial_xor", "d=1", "arch=lstm", "g=0.5", "status=diverged,failed,interrupted"]


@pytest.mark.parametrize("line", NOT_THERE)
def test_collect_says_that_there_is_no_such_network(many, tmp_path, line):
    done = inside(many, "collect", line, f"to={tmp_path}/none")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"floss collect: {line}: there is no such network in results\n"
    assert not any(tmp_path.iterdir())


def test_collect_where_there_is_no_network(tmp_path):
    (tmp_path / "results").mkdir()
    done = inside(tmp_path, "collect")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "floss collect: results=results: there is no network in results\n"
    assert names(tmp_path / "results") == []


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


def test_a_row_that_was_cut_off_is_no_network(many, tmp_path):
    shutil.copytree(many / "results", tmp_path / "results")
    path = min(tmp_path.glob("results/ensembles/*/summary.csv"), key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    for missing in (40, 90):  # within its id, and within its numbers
        path.write_bytes(content[:-missing])
        collected(tmp_path)
        assert len(rows(tmp_path / "results" / "collected" / "summary.csv")) == 9


def test_what_was_collected_is_nothing_to_draw(many, tmp_path):
    shutil.copytree(many / "results", tmp_path / "results")
    collected(tmp_path)
    with without_pictures(instead=lambda folder: [folder / "picture"]):
        done = inside(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 7  # five jobs and two sweeps
    assert not [line for line in done.stdout.splitlines() if "collected" in line]


def test_ensembles_are_nothing_to_draw_from_within_either(many, tmp_path):
    ensembles = shutil.copytree(many / "results" / "ensembles", tmp_path / "ensembles")
    before = held(ensembles)
    done = inside(ensembles, "figures", "results=.")
    assert (done.returncode, done.stdout) == (2, "")
    assert held(ensembles) == before
