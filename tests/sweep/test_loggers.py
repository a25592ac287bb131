"""`logger=`: the curves of other programs have each row of metrics.csv once, whatever happened on the way."""

import json
import math
from collections import defaultdict
from importlib.util import find_spec

import pytest
from command import TINY, inside, rows, run_jobs
from sweep.tiny_runs import small, stop_after, watched

from floss.jobs.networks import network_ids
from floss.sweep import loggers
from floss.sweep.loggers import log
from floss.sweep.loggers.curves import Curves, Ended, update

pytestmark = pytest.mark.usefixtures("no_pictures")

PRESENT = find_spec("json")
"""Of a package that is there."""
HEADER = ["epoch", "phase", "loss", "floss_loss", "network"]
ROWS = ["0,floss,,0.5,n1", "0,train,1.5,,n1", "5,train,inf,,n1", "9,train,0.25,,n1"]
WRITTEN = {"floss/loss": [(0, 0.5)], "train/loss": [(0, 1.5), (9, 0.25)]}
"""What becomes of them."""


class Paper(Curves):
    """Curves in this process's memory, which is where another start finds them."""

    books: dict[str, dict] = {}
    killed_at = -1
    """Points after which the process is as if it were killed."""

    def remembered(self):
        return self.books.get(self.network_id, {}).get("state", "")

    def remember(self, text):
        self.books[self.network_id]["state"] = text

    def begin(self):
        new = {"points": defaultdict(list), "begun": self.books.get(self.network_id, {}).get("begun", 0) + 1}
        self.books[self.network_id] = new

    def add(self, points, ended):
        book = self.books[self.network_id]
        for place, point in enumerate(points):
            if place == self.killed_at:
                raise OSError("the disk is full")
            for name, value in point.values.items():
                book["points"][name].append((point.epoch, value))
        if ended is not None:
            book["end"] = ended.values


@pytest.fixture
def paper(monkeypatch):
    monkeypatch.setattr(Paper, "books", {})
    monkeypatch.setattr(log, "_failed", set())
    monkeypatch.setattr(log, "logger_of", lambda name: Paper)
    monkeypatch.setattr(loggers, "find_spec", lambda name: PRESENT)  # whatever is installed here
    return Paper


def curves_of(paper, tmp_path) -> Curves:
    return paper("n1", small(tmp_path))


def test_rows_are_added_once(paper, tmp_path):
    curves = curves_of(paper, tmp_path)
    for end in (1, 3, 3, 4):
        update(curves_of(paper, tmp_path), HEADER, "\n".join(ROWS[:end]))
    ended = Ended({"final_loss": "0.125", "final_accuracy": "", "sha256": "ab", "status": "done"})
    for _ in range(2):
        update(curves, HEADER, "\n".join(ROWS), ended)
    book = paper.books["n1"]
    assert (book["points"], book["end"], book["begun"]) == (WRITTEN, {"final/loss": 0.125}, 1)
    assert curves.name.startswith("xor-d4-vanilla-at-0-10/seed0-n1")


@pytest.mark.parametrize(
    "rows", [["0,train,7.0,,n1"], [ROWS[0], "0,train,7.0,,n1", *ROWS[2:]]], ids=["fewer rows", "others"]
)
def test_curves_that_are_of_other_rows_are_begun_anew(paper, tmp_path, rows):
    update(curves_of(paper, tmp_path), HEADER, "\n".join(ROWS[:3]))
    update(curves_of(paper, tmp_path), HEADER, "\n".join(rows))
    assert paper.books["n1"]["begun"] == 2
    assert paper.books["n1"]["points"]["train/loss"][0] == (0, 7.0)


def test_a_process_that_was_killed_while_it_wrote(paper, tmp_path, monkeypatch):
    update(curves_of(paper, tmp_path), HEADER, "\n".join(ROWS[:1]))
    with monkeypatch.context() as killed:
        killed.setattr(paper, "killed_at", 1)
        with pytest.raises(OSError, match="full"):
            update(curves_of(paper, tmp_path), HEADER, "\n".join(ROWS))
    assert json.loads(paper.books["n1"]["state"]) == {}
    update(curves_of(paper, tmp_path), HEADER, "\n".join(ROWS))
    assert (paper.books["n1"]["points"], paper.books["n1"]["begun"]) == (WRITTEN, 2)


def points_of(folder, network_id: str) -> dict[str, list[tuple[int, float]]]:
    """What curves of a network must have, from the tables of a folder."""
    points = defaultdict(list)
    for row in rows(folder / "metrics.csv"):
        if row["network"] == network_id:
            for column in ("loss", "accuracy", "lambda_1", "floss_loss"):
                if row[column] and math.isfinite(float(row[column])):
                    name = f"{row['phase']}/{column.removeprefix('floss_')}"
                    points[name].append((int(row["epoch"]), float(row[column])))
    return points


def test_a_run_that_is_stopped_and_started_again(paper, tmp_path):
    one = small(tmp_path, "logger=tensorboard", "train.log_every=3")
    assert stop_after(13, 15, one) == 143
    (first, _) = network_ids(one)
    seen = {name: list(points) for name, points in paper.books[first]["points"].items()}
    assert sum(map(len, seen.values())) > 2
    run_jobs([one])
    for network_id in network_ids(one):
        book = paper.books[network_id]
        assert book["points"] == points_of(one.folder, network_id)
        assert book["begun"] == 1
        assert set(book["end"]) == {"final/loss", "final/accuracy"}
    for name, points in seen.items():
        assert paper.books[first]["points"][name][: len(points)] == points


def test_a_run_that_was_finished_without_curves_gets_them(paper, tmp_path):
    run_jobs([small(tmp_path)])
    assert not paper.books
    with watched() as watch:
        one = small(tmp_path, "logger=[tensorboard]")
        run_jobs([one])
    assert watch.epochs == 0
    assert {i: book["points"] for i, book in paper.books.items()} == {
        i: points_of(one.folder, i) for i in network_ids(one)
    }


def test_a_logger_that_fails_stops_no_training(paper, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(paper, "killed_at", 0)
    one = small(tmp_path, "logger=tensorboard")
    run_jobs([one])
    assert {row["status"] for row in rows(one.folder / "summary.csv")} == {"done"}
    assert [r.getMessage() for r in caplog.records] == [
        "Paper failed, and the training goes on without it: OSError: the disk is full"
    ]


@pytest.mark.parametrize("options", [[], ["-m"]])
@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_said_before_anything_is_computed(tmp_path, monkeypatch, name, options):
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    done = inside(tmp_path, "train", *options, *TINY, f"logger={name}")
    assert (done.returncode, done.stdout) == (2, "")
    said = f"logger={name}: needs {name}, which is not installed; pip install 'floss[{name}]' adds it"
    assert done.stderr == f"floss train: {said}\n"
    assert not (tmp_path / "results").exists()
