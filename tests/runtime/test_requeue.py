"""Tasks that are queued again by a signal, and give up where they come no further."""

import os
import signal
from pathlib import Path

import pytest

from floss.errors import LaunchError
from floss.runtime.files import CHECKPOINT, CHECKSUMS, NETWORKS
from floss.runtime.requeue import OF_ANALYSIS, OF_ENSEMBLES, queued_again

GIVES_UP = "queued again twice without one more epoch, so this task gives up: more time"


@pytest.fixture
def handler():
    """What submitit does: it queues the job again, and leaves."""
    told = []

    def queue(number, frame):
        told.append(number)
        raise SystemExit(144)

    before = signal.signal(signal.SIGUSR2, queue)
    yield queue, told
    signal.signal(signal.SIGUSR2, before)


def time_is_up(
    folder: Path, written: str = "", seconds: float = 1.0, counts: tuple[str, ...] = OF_ENSEMBLES
) -> int | str | None:
    """One start of a task, which writes a file so long after it, and hears the signal; how it ends."""
    try:
        with queued_again(folder / ".floss-7", folder / "results", counts, "more time"):
            if written:
                path = folder / "results" / written
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"")
                later = path.stat().st_mtime + seconds
                os.utime(path, (later, later))
            signal.raise_signal(signal.SIGUSR2)
    except SystemExit as stop:
        return stop.code
    except LaunchError as error:
        return str(error)
    raise AssertionError


def test_it_is_queued_again_twice(tmp_path, handler, capsys):
    queue, told = handler
    assert [time_is_up(tmp_path) for _ in range(3)] == [144, 144, GIVES_UP]
    assert len(told) == 2
    assert capsys.readouterr().err == f"floss: {GIVES_UP}\n"
    assert signal.getsignal(signal.SIGUSR2) is queue
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [CHECKPOINT, NETWORKS])
def test_an_epoch_counts_from_the_start_on(tmp_path, handler, name):
    assert [time_is_up(tmp_path) for _ in range(2)] == [144, 144]
    assert [time_is_up(tmp_path, f"ensembles/a/{name}") for _ in range(4)] == [144] * 4
    assert [time_is_up(tmp_path, f"ensembles/a/{name}", -60.0) for _ in range(3)] == [144, 144, GIVES_UP]
    assert time_is_up(tmp_path, f"xor-vanilla-a/{name}") == 144  # a copy is no epoch
    assert [path.name for path in tmp_path.glob(".floss-*.stalled")] == [".floss-7.stalled"]


@pytest.mark.parametrize("name", [CHECKPOINT, CHECKSUMS])
def test_an_analysis_comes_further_by_its_own_files(tmp_path, handler, name):
    assert [time_is_up(tmp_path, counts=OF_ANALYSIS) for _ in range(2)] == [144, 144]
    assert [time_is_up(tmp_path, name, counts=OF_ANALYSIS) for _ in range(4)] == [144] * 4
    assert time_is_up(tmp_path, name, -60.0, OF_ANALYSIS) == 144  # of an earlier start
    others = (f"ensembles/a/{name}", "config.yaml")
    assert [time_is_up(tmp_path, other, counts=OF_ANALYSIS) for other in others] == [144, GIVES_UP]


def test_a_task_that_ends_leaves_no_marks(tmp_path, handler):
    assert time_is_up(tmp_path) == 144
    with queued_again(tmp_path / ".floss-7", tmp_path, OF_ENSEMBLES, "more time"):
        pass
    assert not list(tmp_path.iterdir())


def test_where_nobody_queues_it_again_nothing_is_marked(tmp_path):
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with queued_again(tmp_path / ".floss-7", tmp_path, OF_ENSEMBLES, "more time"):
            assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
            assert not list(tmp_path.iterdir())
    finally:
        signal.signal(signal.SIGUSR2, before)
