"""Many networks at once are those apart: seeds, gains, flossing, dead units, networks that diverge."""

import math

import pytest
from analysis.analyses import COLUMNS, COMMANDS, MANY, TABLES, TINY, Twin, done, near, numbers, pick
from command import inside, rows

from floss.analysis.flossing import FlossingEpisode
from floss.lyapunov.condition import condition_number
from floss.training.ticks import FlossingTick

# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_random_gains(tmp_path, command):
    folder = done(tmp_path, command, "random_g=true", "arch.g=1.5", "seeds=3", "flossing.epochs=0")
    table = rows(folder / f"{command}.csv")
    gains = dict.fromkeys(row["g"] for row in table)
    assert len(gains) == 3
    assert all(0 < float(g) < 1.5 for g in gains)
    if command == "spectrum":
        for seed, g in enumerate(gains):
            wanted = Twin("vanilla", 4, seed, g=float(g)).spectrum(30)
            assert numbers(pick(table, seed=seed), "lambda") == near(wanted, 1e-5)


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_flossing_is_that_of_a_plain_loop(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "seed=5", "flossing.target=-0.3")
    twin = Twin(arch, 4, 5)
    course = twin.floss(2, -0.3)
    for row, wanted in zip(rows(folder / "flossing.csv"), course, strict=True):
        assert tuple(numbers([row], name)[0] for name in COLUMNS["flossing"][1:]) == near(wanted, 1e-6)
    after = pick(rows(folder / "spectrum.csv"), flossing="after")
    assert numbers(after, "lambda") == near(twin.spectrum(30), 1e-6)
    folder = done(tmp_path, "condition", f"arch={arch}", "seed=5", "flossing.target=-0.3")
    exact = pick(rows(folder / "condition.csv"), flossing="after", method="exact", m=2)
    jacobians, q = twin.jacobians(12)
    wanted = condition_number(jacobians, dims=2, horizons=[4, 8, 12], q0=q)
    assert numbers(exact, "log10_condition") == near(wanted, 1e-5)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_largest_seed(tmp_path, command):
    last = 2**63 - 1
    folder = done(tmp_path, command, f"seed={last - 1}", "seeds=2", "flossing.epochs=0")
    assert {row["seed"] for row in rows(folder / f"{command}.csv")} == {str(last - 1), str(last)}


# --- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_before_flossing_do_not_depend_on_it(tmp_path, command):
    found = [
        pick(rows(done(tmp_path, command, "seeds=2", *how) / f"{command}.csv"), flossing="before")
        for how in ([], ["flossing.epochs=0"], ["flossing.lr=0.1", "flossing.target=1"])
    ]
    assert found[0] == found[1] == found[2] != []


@pytest.mark.parametrize(("arch", "command"), [("vanilla", "spectrum"), ("vanilla", "condition"), ("lstm", "spectrum")])
def test_seeds_ks_and_targets_at_once_are_those_apart(many, tmp_path, arch, command):
    together = many[command] if arch == "vanilla" else done(tmp_path, command, f"arch={arch}", *MANY)
    dims = ["dims=[1,2,4]"] if command == "condition" else []  # the flossed k, and all, where there are none given
    for seed, k, target in ((0, 1, -0.5), (1, 2, 0.0)):
        one = (f"arch={arch}", f"seed={seed}", f"flossing.k={k}", f"flossing.target={target}")
        apart = done(tmp_path, command, *one, *dims)
        for name in TABLES[command]:
            wanted = pick(rows(apart / f"{name}.csv"), flossing="after")
            found = pick(rows(together / f"{name}.csv"), flossing="after", seed=seed, k=k, target=f"{target:g}")
            assert len(found) == len(wanted) > 0
            for column in COLUMNS[name]:
                if column == "method":
                    assert [row["method"] for row in found] == [row["method"] for row in wanted]
                else:
                    assert numbers(found, column) == near(numbers(wanted, column), 1e-6), (name, column)


def test_another_seed_gives_other_numbers(many):
    """Or else the equalities of this file would say nothing."""
    table = pick(rows(many["spectrum"] / "spectrum.csv"), i=1)
    assert len({row["lambda"] for row in table}) == len(table) == 10


# --- dead units, networks that diverge ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_exponents_that_are_lost(tmp_path, drawn, command):
    """Units of a relu network that never respond: exponents -inf, condition numbers inf, and pictures all the same."""
    folder = done(tmp_path, command, "arch=relu", "arch.n=8", "arch.mean=-0.3", "seeds=2")
    table = rows(folder / f"{command}.csv")
    values = [row["lambda" if command == "spectrum" else "log10_condition"] for row in table]
    assert ("-inf" if command == "spectrum" else "inf") in values
    assert "" not in values
    assert (folder / f"{command}.svg").exists()
    if command == "spectrum":
        assert any(math.isfinite(float(value)) for value in values)
        assert all(0 <= float(row["kaplan_yorke_dimension"]) <= 8 for row in rows(folder / "dimensions.csv"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_exponent_of_every_network_lost(tmp_path, command):
    folder = done(tmp_path, command, "arch=relu", "arch.g=0", "arch.mean=-100", "seeds=2")
    values = numbers(rows(folder / f"{command}.csv"), "lambda" if command == "spectrum" else "log10_condition")
    assert set(values) <= {math.inf, -math.inf, 0.0}


def test_an_adaptive_interval_of_a_network_with_lost_exponents(tmp_path):
    said = inside(tmp_path, "spectrum", *TINY["spectrum"], "arch=relu", "arch.mean=-0.3", "t_ons=adaptive")
    assert said.returncode == 0 or (said.returncode, said.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_that_stop_being_finite_in_flossing(tmp_path, drawn, command):
    said = inside(tmp_path, command, *TINY[command], "arch=linear", "arch.g=1e30", "arch.relaxation=0", "seeds=2")
    assert said.stderr == "floss: 2 of 2 networks stopped being finite in flossing\n"
    assert said.returncode == 0
    assert next(tmp_path.glob(f"results/*/{command}.svg"))


def test_a_network_that_stops_being_finite_disturbs_no_other(tmp_path, monkeypatch):
    (tmp_path / "all").mkdir()
    (tmp_path / "one").mkdir()
    wanted = done(tmp_path / "all", "spectrum", "seeds=3")
    original = FlossingEpisode.advance

    def advance(self: FlossingEpisode) -> FlossingTick:
        if self.epoch == 2:
            self.networks.parameters["W"][1] = math.nan
        return original(self)

    monkeypatch.setattr(FlossingEpisode, "advance", advance)
    said = inside(tmp_path / "one", "spectrum", *TINY["spectrum"], "seeds=3")
    assert (said.returncode, said.stderr) == (0, "floss: 1 of 3 networks stopped being finite in flossing\n")
    found = tmp_path / "one" / "results" / wanted.name
    for seed in "02":
        for name in TABLES["spectrum"]:
            assert pick(rows(found / f"{name}.csv"), seed=seed) == pick(rows(wanted / f"{name}.csv"), seed=seed)
    assert [row["epoch"] for row in pick(rows(found / "flossing.csv"), seed=1)] == ["0", "1"]
    after = pick(rows(found / "spectrum.csv"), seed=1, flossing="after")
    assert {row["lambda"] for row in after} == {""}
