"""Flossing to a criterion on disk: the rows of each network, what it has spent, and interruptions."""

import signal

import pytest
from command import rows
from sweep.tiny_runs import assert_same, computed, ensemble, small, stop_after

pytestmark = pytest.mark.usefixtures("no_pictures")

HOW = ("flossing.until=0.5", "flossing.epochs=40", "flossing.lr=0.02", "arch.g=0.3")


def test_each_network_has_a_row_of_its_last_epoch_and_says_how_many_it_took(tmp_path):
    folder = ensemble(computed(small(tmp_path, *HOW)))
    spent = [int(row["floss_epochs"]) for row in rows(folder / "summary.csv")]
    assert len(set(spent)) > 1, "or the test tells nothing"
    flossed = [row for row in rows(folder / "metrics.csv") if row["phase"] == "floss"]
    for row, total in zip(rows(folder / "summary.csv"), spent, strict=True):
        own = [each for each in flossed if each["network"] == row["network"]]
        total_by_episode = 0
        for number in (0, 1):
            episode = [each for each in own if int(each["epoch"]) // 40 == number]
            within = [int(each["epoch"]) % 40 for each in episode]
            assert within[:-1] == list(range(0, within[-1], 5))
            assert [float(each["floss_loss"]) < 0.5 for each in episode] == [False] * (len(episode) - 1) + [True]
            total_by_episode += within[-1] + 1
        assert total == total_by_episode < 80


def test_without_a_criterion_all_epochs_are_spent(tmp_path):
    for how, wanted in (("flossing.at=[0,10]", 10), ("flossing.at=[]", 0)):
        folder = ensemble(computed(small(tmp_path, how)))
        assert [int(row["floss_epochs"]) for row in rows(folder / "summary.csv")] == [wanted] * 2


@pytest.mark.parametrize("epochs", [2, 7, 11, 19])
def test_an_episode_that_is_interrupted_goes_on_with_those_that_do_not_rest(tmp_path, epochs):
    undisturbed = computed(small(tmp_path / "undisturbed", *HOW))
    one = small(tmp_path / "stopped", *HOW)
    assert stop_after(epochs, signal.SIGTERM, one) == 143
    assert_same(computed(one), undisturbed)
