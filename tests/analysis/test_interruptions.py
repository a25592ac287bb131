"""Analyses that are stopped, killed or damaged end with the tables of those left alone."""

import itertools
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from analysis.analyses import COMMANDS, TINY, contents, done, touch_picture
from command import analysis, files, inside, start, without_pictures

from floss.analysis import run
from floss.analysis.flossing import FlossingEpisode
from floss.analysis.progress import AnalysisBar, WatchedStep
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.training.ticks import FlossingTick


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses, computed in one go."""
    with without_pictures(instead=touch_picture):
        return {command: done(tmp_path_factory.mktemp(command), command, "seeds=2") for command in COMMANDS}


def stop_at(monkeypatch: pytest.MonkeyPatch, place: type, method: str, count: int, number: int) -> None:
    """Let this process send itself a signal at the call of that number."""
    original, calls = getattr(place, method), itertools.count(1)

    def wrapped(*arguments: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), number)
        return original(*arguments)

    monkeypatch.setattr(place, method, wrapped)


@pytest.mark.parametrize(
    ("command", "place", "method", "count", "number", "status"),
    [
        ("spectrum", FlossingEpisode, "advance", 1, signal.SIGINT, 130),
        ("condition", FlossingEpisode, "advance", 3, signal.SIGTERM, 143),
        ("spectrum", FlossingEpisode, "advance", 4, signal.SIGINT, 130),
        ("spectrum", WatchedStep, "advance", 10, signal.SIGINT, 130),  # while the networks before flossing are measured
        ("spectrum", WatchedStep, "advance", 45, signal.SIGTERM, 143),
        ("condition", WatchedStep, "advance", 45, signal.SIGINT, 130),
        ("condition", AnalysisBar, "at", 3, signal.SIGTERM, 143),
    ],
)
def test_stopped_by_a_signal(tmp_path, monkeypatch, undisturbed, command, place, method, count, number, status):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    line, name = (command, *TINY[command], "seeds=2"), undisturbed[command].name
    with monkeypatch.context() as patch:
        stop_at(patch, place, method, count, number)
        said = inside(tmp_path, *line)
    assert (said.returncode, said.stdout) == (status, "")
    assert said.stderr == f"floss: stopped; start the same command again to go on: results/{name}\n"
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    folder = tmp_path / "results" / name
    assert set(files(folder)) <= {"config.yaml", "environment.json", "flossing.csv"}
    epoch = load_checkpoint(folder / "checkpoint.pt")["flossing"]["epoch"]
    assert epoch == (count if place is FlossingEpisode else 4)
    again = []
    original = FlossingEpisode.advance
    monkeypatch.setattr(FlossingEpisode, "advance", lambda self: again.append(self.epoch) or original(self))
    assert contents(done(tmp_path, command, "seeds=2")) == contents(undisturbed[command])
    assert again == list(range(epoch, 4))


def test_stopped_at_every_epoch_in_turn(tmp_path, monkeypatch, undisturbed):
    for _ in range(4):
        with monkeypatch.context() as patch:
            stop_at(patch, FlossingEpisode, "advance", 1, signal.SIGTERM)
            assert inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2").returncode == 143
    assert contents(done(tmp_path, "spectrum", "seeds=2")) == contents(undisturbed["spectrum"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR2, 140)])
def test_a_signal_while_a_picture_is_drawn_stops_a_sweep_after_it(tmp_path, monkeypatch, number, status):
    drawn = []

    def draw(folder: Path) -> None:
        os.kill(os.getpid(), number)
        drawn.append(folder)

    monkeypatch.setattr("floss.figures.draw", draw)
    said = inside(tmp_path, "spectrum", "-m", *TINY["spectrum"], "seed=0,1")
    assert said.returncode == status
    assert len(drawn) == len(list(tmp_path.glob("results/*"))) == 1


def test_killed_between_two_checkpoints(tmp_path, monkeypatch, undisturbed):
    class Killed(BaseException):
        pass

    original = FlossingEpisode.advance

    def advance(self: FlossingEpisode) -> FlossingTick:
        if self.epoch == 3:
            raise Killed
        return original(self)

    monkeypatch.setattr(run, "_CHECKPOINT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(FlossingEpisode, "advance", advance)
        with pytest.raises(Killed):
            inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    assert load_checkpoint(next(tmp_path.glob("results/*/checkpoint.pt")))["flossing"]["epoch"] == 2
    assert contents(done(tmp_path, "spectrum", "seeds=2")) == contents(undisturbed["spectrum"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def half(path: Path) -> None:
    """As another version might write it: weights are there, the moments of Adam are not."""
    content = load_checkpoint(path)
    content["flossing"] = {name: v for name, v in content["flossing"].items() if not name.startswith("adam.")}
    save_checkpoint(path, content)


def without_rows(path: Path) -> None:
    content = load_checkpoint(path)
    del content["rows"]
    save_checkpoint(path, content)


def a_number(path: Path) -> None:
    save_checkpoint(path, {"flossing": 3, "rows": ""})


@pytest.mark.parametrize("damage", [cut, half, without_rows, a_number])
def test_a_damaged_checkpoint_of_an_analysis_is_not_used(tmp_path, monkeypatch, undisturbed, damage):
    with monkeypatch.context() as patch:
        stop_at(patch, FlossingEpisode, "advance", 2, signal.SIGTERM)
        inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    damage(next(tmp_path.glob("results/*/checkpoint.pt")))
    said = inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    assert said.returncode == 0
    assert contents(tmp_path / "results" / undisturbed["spectrum"].name) == contents(undisturbed["spectrum"])


def test_signals_and_a_second_process(tmp_path):
    line = ("condition", *TINY["condition"], "flossing.epochs=1000000")
    folder = Path("results", analysis(*line).folder.name)

    def epochs() -> int:
        try:
            return load_checkpoint(tmp_path / folder / "checkpoint.pt")["flossing"]["epoch"]
        except FileNotFoundError:
            return 0

    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before, process = epochs(), start(tmp_path, *line)
        while epochs() <= before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        second = inside(tmp_path, *line)
        assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
        assert second.stderr.startswith(f"floss condition: {folder} is being computed by process {process.pid} on ")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (status, "")
        assert err == f"floss: stopped; start the same command again to go on: {folder}\n"
        assert not (tmp_path / folder / ".owner").exists()
        assert not (tmp_path / folder / "condition.csv").exists()
