"""Who computes which networks: ensembles that are busy, leased, waited for, and tidied away."""

import contextlib
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable

import pytest
from command import expand, run_jobs
from sweep.tiny_runs import (
    computed,
    contents,
    copied,
    ensemble,
    parameters,
    result,
    said_waiting,
    small,
    statuses,
    watched,
)

from floss.jobs.networks import network_ids
from floss.runtime.locks import exclusive
from floss.sweep import run as sweep
from floss.sweep.stacking import Stack
from floss.sweep.store import Store

pytestmark = pytest.mark.usefixtures("no_pictures")


class Clock:
    """Stands in for the module time of `floss.sweep.run`, where waiting is a function's turn."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self.sleep = sleep


def test_a_busy_ensemble_is_left_alone(tmp_path, capsys, monkeypatch, interrupted):
    one, naps = copied(interrupted, tmp_path), []
    before = contents(ensemble(one))
    capsys.readouterr()

    def sleep(seconds):
        naps.append(seconds)
        assert contents(ensemble(one)) == {**before, ".owner": owner}
        if len(naps) == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sweep, "time", Clock(sleep))
    with exclusive(ensemble(one)), watched() as watch:
        owner = (ensemble(one) / ".owner").read_bytes()
        with pytest.raises(SystemExit) as left:
            run_jobs([one])
    assert left.value.code == 143
    assert naps == [sweep._WAIT] * 3
    assert watch.networks == []
    assert re.fullmatch(said_waiting(2, os.getpid()), capsys.readouterr().err)
    assert contents(ensemble(one)) == before


def test_what_nobody_computes_is_computed_before_waiting(tmp_path, capsys, monkeypatch, undisturbed_three):
    one, three, naps = small(tmp_path), small(tmp_path, "seeds=3"), []
    keys = network_ids(three)

    def sleep(seconds):
        naps.append(list(watch.networks))
        held.close()  # the other one leaves without having done anything

    monkeypatch.setattr(sweep, "time", Clock(sleep))
    with contextlib.ExitStack() as held, watched() as watch:
        assert held.enter_context(Store(tmp_path).lease(Stack(expand([one]))))
        computed(three)
    assert naps == [[keys[2:]]]
    assert watch.networks == [keys[2:], keys[:2]]
    assert watch.epochs == 60
    assert re.fullmatch(said_waiting(2, os.getpid()), capsys.readouterr().err)
    assert result(three.folder) == result(undisturbed_three.folder)
    assert parameters(three.folder) == parameters(undisturbed_three.folder)


def test_a_network_belongs_to_one_claim_at_a_time(tmp_path):
    """Whatever other networks it is stacked with."""
    networks = expand([small(tmp_path, "seeds=3")])
    first, second, third = networks

    @contextlib.contextmanager
    def leased(*keys):
        with Store(tmp_path).lease(Stack({key: networks[key] for key in keys})) as lease:
            yield list(lease.stack.networks) if lease else []

    with leased(first, second) as one:
        assert one == [first, second]
        with leased(second, third) as two:
            assert two == [third]
            with leased(first) as nothing, leased(third, second) as nothing_either:
                assert (nothing, nothing_either) == ([], [])
        with leased(second, third) as two:
            assert two == [third]
    with leased(second, third) as two:
        assert two == [second, third]


@pytest.mark.parametrize("first", ["records", "busy"])
def test_what_is_done_while_somebody_looks_is_not_claimed_again(tmp_path, monkeypatch, undisturbed, first):
    """A process that ends an ensemble between another one's two looks, at what is done and at who is busy."""
    one = copied(undisturbed, tmp_path)
    summary = ensemble(one) / "summary.csv"
    done = summary.read_text()
    summary.write_text(done.replace("done", "interrupted"))
    look = getattr(Store, first)

    def end_after(store):
        seen = look(store)
        summary.write_text(done)
        owner.close()
        return seen

    with contextlib.ExitStack() as owner:
        owner.enter_context(exclusive(ensemble(one)))
        monkeypatch.setattr(Store, first, end_after)
        with Store(tmp_path).lease(Stack(expand([one]))) as lease:
            assert lease is None
    assert summary.read_text() == done


def test_networks_go_on_from_the_latest_of_their_checkpoints(tmp_path, interrupted):
    one = copied(interrupted, tmp_path)
    assert set(Store(tmp_path).unfinished().values()) == {ensemble(one).name}
    for name, when in (("later", 10), ("aaa", -10)):
        other = ensemble(one).with_name(name)
        shutil.copytree(ensemble(one), other)
        stamp = (ensemble(one) / "checkpoint.pt").stat().st_mtime + when
        os.utime(other / "checkpoint.pt", (stamp, stamp))
    assert set(Store(tmp_path).unfinished().values()) == {"later"}


def test_what_somebody_is_at_is_not_tidied(tmp_path, undisturbed):
    """Neither a file that is being written nor an ensemble whose networks are done elsewhere."""
    one = copied(undisturbed, tmp_path)
    busy, idle = (ensemble(one).with_name(name) for name in ("busy", "idle"))
    for folder in (busy, idle):
        shutil.copytree(ensemble(one), folder)
        summary = folder / "summary.csv"
        summary.write_text(summary.read_text().replace("done", "interrupted"))
        (folder / ".metrics.csv.tmp").touch()
    with exclusive(busy), exclusive(ensemble(one)):
        (ensemble(one) / ".metrics.csv.tmp").touch()
        with (store := Store(tmp_path)).locked():
            store.tidy()
        assert (busy / ".metrics.csv.tmp").exists()
        assert (ensemble(one) / ".metrics.csv.tmp").exists()
        assert not idle.exists()
    with (store := Store(tmp_path)).locked():
        store.tidy()
    assert not busy.exists()
    assert not (ensemble(one) / ".metrics.csv.tmp").exists()
    assert statuses(ensemble(one)) == ["done"] * 2


def test_looking_who_is_busy_takes_no_ensemble_from_anybody(tmp_path, interrupted):
    """Whoever waits looks again and again, also at the moment in which another process begins."""
    one, looks = copied(interrupted, tmp_path), []
    over = threading.Event()

    def look():
        store = Store(tmp_path)
        while not over.is_set():
            looks.append(store.busy())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(100):
            with Store(tmp_path).lease(Stack(expand([one]))) as lease:
                assert lease
            time.sleep(0.01)  # the store's lock goes to whoever asks first
    finally:
        over.set()
        watcher.join()
    assert len(looks) > 10
