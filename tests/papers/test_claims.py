"""The paper's claims: each true and each false on made-up data, and on data that is not as one would like it."""

import csv
import functools
import io
import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
from grids import grid
from made_up_data import Row, World, findings, made, world

from floss.papers import intervals
from floss.papers.claim import COLUMNS, NOT_ENOUGH, NOT_REPRODUCED, REPRODUCED, Result, claims_csv
from floss.papers.gradient_flossing import PAPER
from floss.papers.judge import judge

all_claims, experiment, figures = PAPER.claims, PAPER.experiment, PAPER.figures
CLAIMS = {each.name: each for each in all_claims()}
NAMES = sorted(CLAIMS)


@pytest.fixture
def quick(monkeypatch):
    """Few bootstrap replicates."""
    monkeypatch.setattr(intervals, "REPLICATES", 100)


@functools.cache
def judged_where_true(name: str) -> Result:
    return judge(CLAIMS[name], made(CLAIMS[name].figure, "true"))


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_that_is_true_is_reproduced(name, quick):
    result = judged_where_true(name)
    assert result.verdict == REPRODUCED, (result.value, result.low, result.high)


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_that_is_false_is_not_reproduced(name, quick):
    result = judge(CLAIMS[name], made(CLAIMS[name].figure, "false"))
    assert result.verdict == NOT_REPRODUCED, (result.value, result.low, result.high)


@pytest.mark.parametrize("name", [name for name in NAMES if CLAIMS[name].control])
def test_a_control_misses_the_criterion(name, quick):
    """Where the claim meets it: a criterion that data without the effect meet as well says nothing."""
    control = judged_where_true(name).control
    assert control is not None
    assert control.misses, (control.value, control.low, control.high)
    assert control.verdict != REPRODUCED


def test_every_figure_has_claims_of_its_own_name():
    assert len(CLAIMS) == len(all_claims())
    assert {each.figure for each in all_claims()} == set(figures())
    assert all(each.name.startswith(each.figure + ".") for each in all_claims())


def test_made_up_data_is_of_runs_of_the_experiments():
    for figure in figures():
        runs = {name for name in world(figure, "true") if "/" not in name}
        assert runs <= set(experiment(figure).scales["paper"])


def judged(figure: str, world: World, scale: str = "paper") -> dict[str, Result]:
    data = findings(world, scale)
    return {one.name: judge(one, data) for one in CLAIMS.values() if one.figure == figure}


def changed(figure: str, change: Callable[[str, Row], Row | None]) -> World:
    """The true world of a figure with every row changed, or left out."""
    return {
        run: {name: [new for row in rows if (new := change(name, row)) is not None] for name, rows in tables.items()}
        for run, tables in world(figure, "true").items()
    }


@pytest.mark.parametrize("figure", figures())
def test_smoke_data_has_no_verdict(figure, quick):
    """Two networks, and a few epochs."""

    def few(name: str, row: Row) -> Row | None:
        return row if row.get("seed", 0) < 2 and row.get("state", 0) < 2 and row.get("epoch", 0) < 20 else None

    assert {r.verdict for r in judged(figure, changed(figure, few), "smoke").values()} == {NOT_ENOUGH}


LASTS = (-1, 0, 300)


@pytest.mark.parametrize(
    ("last", "figure"), grid([*zip(itertools.cycle(LASTS), figures(), strict=False)], LASTS, figures())
)
def test_diverged_networks_are_no_obstacle(figure, last, quick):
    """All networks of seed 0, after so many epochs; they have no final accuracy or loss."""

    def lose(name: str, row: Row) -> Row | None:
        if row.get("seed") != 0:
            return row
        if name == "summary":
            return row | {"final_loss": None, "final_accuracy": None, "diverged_at": last, "epochs": max(last, 0)}
        return row if name not in ("metrics", "flossing") or row["epoch"] <= last else None

    for name, result in judged(figure, changed(figure, lose)).items():
        if figure not in ("fig15", "fig16"):
            assert result.verdict in (REPRODUCED, NOT_ENOUGH), (name, result)


@pytest.mark.parametrize("figure", figures())
@pytest.mark.parametrize("everything", [True, False], ids=["all", "all_but_one"])
def test_networks_that_learn_nothing(figure, everything, quick):
    """Claims about networks that learn have no value then, or one of a single unit."""

    def chance(name: str, row: Row) -> Row:
        if not everything and row.get("seed") == 0:
            return row
        own = {"final_loss": 10.0, "final_accuracy": 0.5} if name == "summary" else {"accuracy": 0.5}
        return row | {column: value for column, value in own.items() if column in row}

    results = judged(figure, changed(figure, chance))
    for name, result in results.items():
        if re.search(r"learning networks|that have one|stays above 60|accuracy > 95 %", result.claim.statistic):
            assert np.isnan(result.value) == everything, name
            if name not in UNSUCCESSFUL:  # it has those that fail
                assert result.units == (0 if everything else 1), name


UNSUCCESSFUL = ("fig13.unsuccessful_are_smaller", "fig13.unsuccessful_lambda10_smaller")
"""Of networks that fail as well, and of two schedules together."""
SCHEDULES = {
    figure: sorted({row["flossing"] for run in world(figure, "true").values() for row in run.get("summary", ())})
    for figure in figures()
}


@pytest.mark.parametrize(
    ("figure", "schedule"),
    [(f, s) for f, several in SCHEDULES.items() for s in several if len(several) > 1 and f not in ("fig07", "overlap")],
)
def test_without_a_schedule_there_is_no_number_about_it(figure, schedule, quick):
    results = judged(figure, changed(figure, lambda name, row: None if row.get("flossing") == schedule else row))
    for name, result in results.items():
        if re.search(rf"\b{schedule}\b", result.claim.statistic) and name not in UNSUCCESSFUL:
            assert np.isnan(result.value), name
            assert result.verdict == NOT_ENOUGH


OVER_DELAYS = ("fig03", "fig04", "fig05", "fig07", "fig13", "fig14")
LEFT_OUT = [("none",), ("pre", "early"), ("during",), ("none", "pre", "during", "early")]
QUICK = [(schedules, place, "fig04") for schedules in LEFT_OUT for place in (40, 70)]
QUICK += [(LEFT_OUT[i % 4], (40, 70)[i // 2 % 2], figure) for i, figure in enumerate(OVER_DELAYS * 2)]


@pytest.mark.parametrize(("schedules", "place", "figure"), grid(QUICK, LEFT_OUT, (40, 70), OVER_DELAYS))
def test_without_a_delay_there_is_no_number_about_it(figure, place, schedules, quick):
    """Nor about a comparison in which only one side has it."""

    def leave_out(name: str, row: Row) -> Row | None:
        return None if row.get("d") == place and row["flossing"] in schedules else row

    for name, result in judged(figure, changed(figure, leave_out)).items():
        words = result.claim.statistic
        about = any(re.search(rf"\b{schedule}\b", words) for schedule in schedules)
        one_sided = len(schedules) < 4 and f"{schedules[0]} minus" in words and "spatial" not in words
        if (about and f"d = {place}" in words) or (one_sided and "learn every one" not in words):
            assert np.isnan(result.value), name
            assert result.verdict == NOT_ENOUGH


@pytest.mark.parametrize("figure", ["fig03", "fig04", "fig05", "fig07", "fig13", "fig14", "fig12"])
def test_a_single_network_that_is_missing_is_not_one_at_chance(figure, quick):
    gone = {run: tables["summary"][0]["network"] for run, tables in world(figure, "true").items()}

    def leave_out(name: str, row: Row) -> Row | None:
        return None if row.get("network") in gone.values() else row

    whole = judged(figure, world(figure, "true"))
    for name, result in judged(figure, changed(figure, leave_out)).items():
        assert np.isnan(result.value) or result.value == pytest.approx(whole[name].value, abs=0.01)


def test_networks_trained_for_different_times_are_not_compared(quick):
    claim, tables = CLAIMS["fig14.orthogonal_slightly_better"], world("fig14", "true")

    def beside(scale: str) -> Result:
        return judge(claim, {**findings(tables), "fig04/temporal": findings(tables, scale)["fig04/temporal"]})

    assert beside("smoke").units == 0
    assert np.isnan(beside("smoke").value)
    assert beside("small").value == beside("paper").value == judge(claim, findings(tables)).value


def test_claims_csv():
    results = [judge(one, made(one.figure, "true")) for one in CLAIMS.values() if one.figure in ("fig04", "fig15")]
    results += [Result(CLAIMS["fig16.converges"])]
    content = claims_csv(results)
    assert content == claims_csv(results)
    rows = list(csv.DictReader(io.StringIO(content)))
    assert content.splitlines()[0] == ",".join(COLUMNS)
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        assert row["claim"] == result.claim.name
        assert row["figure"] == result.claim.figure
        assert row["statistic"] == result.claim.statistic
        assert row["criterion"] == str(result.claim.criterion)
        assert row["verdict"] == result.verdict
        assert int(row["networks"]) == result.networks
        assert row["interval"] == (
            "" if np.isnan(result.low) else "exact" if result.counted is not None else "bootstrap"
        )
        assert row["of"] == ("ours" if result.claim.ours else "paper")
        assert (row["changed"], row["after_data"]) == (result.claim.changed, result.claim.after_data)
        assert row["control"] == result.claim.control_says
        assert row["control_misses"] == ("" if result.control is None else "yes" if result.control.misses else "no")
        for name in ("value", "low", "high"):
            expected = getattr(result, name)
            assert float(row[name] or "nan") == pytest.approx(expected, rel=1e-5, nan_ok=True)


def test_words_are_whole():
    for one in CLAIMS.values():
        assert all((one.sentence, one.statistic, one.place))
        for words in (one.sentence, one.statistic, one.place, one.tried, one.control_says, one.changed, one.after_data):
            assert words == " ".join(words.split())
        assert np.isfinite([one.criterion.above, one.criterion.below]).any()
