"""Tables of `floss spectrum` beside the same networks one at a time."""

import pytest
import torch
from analysis.analyses import TRANSIENT, Twin, done, near, numbers, pick
from command import rows
from problems import TRAINED_CELLS

from floss import adaptive_t_ons, lyapunov_spectrum
from floss.lyapunov.history import lyapunov_history
from floss.random import Stream


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_spectra_are_those_of_lyapunov_spectrum(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "arch.n=3", "seeds=2", "flossing.epochs=0")
    table, dimensions = rows(folder / "spectrum.csv"), rows(folder / "dimensions.csv")
    for seed in (0, 1):
        twin = Twin(arch, 3, seed)
        lam = twin.spectrum(30)
        own = pick(table, seed=seed)
        assert [row["i"] for row in own] == [str(i + 1) for i in range(twin.size)]
        assert numbers(own, "lambda") == near(lam)
        (row,) = pick(dimensions, seed=seed)
        assert (float(row["lambda_1"]), row["t_ons"]) == (near(float(lam[0])), "1")
        assert float(row["entropy_rate"]) == near(sum(max(value, 0.0) for value in lam.tolist()))
        assert (float(row["kaplan_yorke_dimension"]) > 0) == (float(lam[0]) >= 0)


def test_convergence_and_standard_errors(tmp_path):
    folder, twin = done(tmp_path, "spectrum", "flossing.epochs=0", "t_ons=4", "blocks=4"), Twin("vanilla", 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    history = lyapunov_history(twin.step, h0, x, transient=TRANSIENT, t_ons=4, q0=twin.q0)
    table = rows(folder / "spectrum.csv")
    assert numbers(table, "lambda") == near(history.exponents)
    assert numbers(table, "standard_error") == near(history.standard_error(4))
    course = rows(folder / "convergence.csv")
    assert [row["step"] for row in pick(course, i=3)] == ["4", "8", "12", "16", "20", "24", "28", "30"]
    assert numbers(pick(course, i=3), "lambda") == near(history.convergence[:, 2])
    assert pick(course, i=1)[-1]["lambda"] == pick(table, i=1)[0]["lambda"]


def test_a_run_too_short_for_the_blocks_has_no_standard_errors(tmp_path):
    for how in ("blocks=31", "t_ons=7"):  # five intervals, and ten blocks
        assert {row["standard_error"] for row in rows(done(tmp_path, "spectrum", how) / "spectrum.csv")} == {""}


def test_a_long_convergence_is_thinned_out(tmp_path):
    folder = done(tmp_path, "spectrum", "flossing.epochs=0", "steps=450", "arch.n=2", "k=1")
    steps = [int(row["step"]) for row in rows(folder / "convergence.csv")]
    assert (len(steps), steps[0], steps[-1]) == (200, 1, 450)
    assert set(torch.tensor(steps).diff().tolist()) == {2, 3}


def test_fewer_exponents_and_longer_intervals(tmp_path):
    folder = done(tmp_path, "spectrum", "flossing.epochs=0", "k=2", "t_ons=4")
    twin = Twin("vanilla", 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    wanted = lyapunov_spectrum(twin.step, h0, x, transient=TRANSIENT, t_ons=4, q0=twin.q0[:, :2])
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(wanted)


@pytest.mark.parametrize("arch", ["vanilla", "lru"])
def test_an_adaptive_interval(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "flossing.epochs=0", "t_ons=adaptive")
    twin = Twin(arch, 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    interval = adaptive_t_ons(twin.step, h0, x, q0=twin.q0)
    assert [row["t_ons"] for row in rows(folder / "dimensions.csv")] == [str(interval)]
    assert interval > 1
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(twin.spectrum(30, t_ons=interval))


@pytest.mark.parametrize("kind", ["uniform", "bits", "gaussian", "none"])
def test_inputs(tmp_path, kind):
    folder = done(tmp_path, "spectrum", f"input={kind}", "inputs=2", "flossing.epochs=0")
    wanted = Twin("vanilla", 4, 0, inputs=2).spectrum(30, kind=kind)
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(wanted)


def test_several_initial_states(tmp_path):
    several = rows(done(tmp_path, "spectrum", "states=3", "seeds=2") / "spectrum.csv")
    alone = rows(done(tmp_path, "spectrum", "seeds=2") / "spectrum.csv")
    assert pick(several, flossing="before", state=0) == pick(alone, flossing="before")
    twin = Twin("vanilla", 4, 1, states=3)
    for state in (1, 2):
        own = pick(several, flossing="before", seed=1, state=state)
        assert numbers(own, "lambda") == near(twin.spectrum(30, state=state))
    assert len(several) == 2 * 2 * 3 * 4
