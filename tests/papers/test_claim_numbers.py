"""Numbers of the claims beside twins in plain Python on made-up data; test_published has those of the committed."""

import pytest
from made_up_data import Row, World, findings, text, world
from papers.gradient_flossing.twins import twin
from papers.gradient_flossing.twins.committed import CLAIMS, measured
from papers.gradient_flossing.twins.rows import rows_of

from floss.papers.gradient_flossing import PAPER, one_step


def spoilt(world: World) -> World:
    """With the flossed networks of seed 0 diverged after 300 epochs; those of an analysis before the first."""

    def diverged(row: Row) -> bool:
        return row.get("seed") == 0 and row.get("flossing") not in ("none", "before")

    lost = {"final_loss": None, "final_accuracy": None, "diverged_at": 300, "epochs": 300, "status": "diverged"}
    found: World = {}
    for run, tables in world.items():
        found[run] = {}
        for name, rows in tables.items():
            if name == "summary":
                rows = [row | lost if diverged(row) else row for row in rows]
            elif name == "metrics":
                rows = [row for row in rows if not diverged(row) or row["epoch"] <= 300]
            elif name == "flossing":
                rows = [row for row in rows if row["seed"] != 0]
            found[run][name] = rows
    return found


@pytest.mark.parametrize("figure", PAPER.figures())
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "diverged"])
def test_numbers_equal_those_of_plain_python(figure, whole):
    tables = world(figure, "random") if whole else spoilt(world(figure, "random"))
    expected = twin(figure, {run: rows_of(text(each)) for run, each in tables.items()})
    assert measured(figure, findings(tables)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_area_of_the_rectangle_is_kept():
    columns, rows = one_step.tables(one_step.OneStepJob(seed=15, maps=100, results=""))["maps"]
    data = findings({"step": {"maps": [dict(zip(columns, row, strict=True)) for row in rows]}})
    sample = CLAIMS["fig15.area_kept"].sample(data)
    assert len(sample.rows) == 100
    assert 0 <= sample.statistic(sample.rows) < 1e-14
