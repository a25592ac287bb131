"""Tables of `floss condition` beside the same networks one at a time."""

import math

import pytest
import torch
from analysis.analyses import Twin, done, near, numbers, pick
from command import rows
from problems import TRAINED_CELLS

from floss.lyapunov.condition import condition_number

# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_condition_numbers_are_those_of_the_product(tmp_path, arch):
    folder = done(tmp_path, "condition", f"arch={arch}", "arch.n=3", "flossing.epochs=0")
    table, twin = rows(folder / "condition.csv"), Twin(arch, 3, 0)
    (jacobians, q), lam, n = twin.jacobians(12), twin.spectrum(12), twin.size
    pairs = {(t, m) for t in (4, 8, 12) for m in (2, n)} | {(8, m) for m in range(1, n + 1)}
    assert sorted((int(row["horizon"]), int(row["m"])) for row in pick(table, method="exact")) == sorted(pairs)
    plain = 0
    for t, m in pairs:
        exact, theory = (pick(table, horizon=t, m=m, method=how)[0]["log10_condition"] for how in ("exact", "theory"))
        assert float(exact) == near(condition_number(jacobians, dims=m, horizons=t, q0=q).item(), 1e-6)
        assert float(theory) == near(float(lam[0] - lam[m - 1]) * t / math.log(10) if m > 1 else 0.0)
        values = torch.linalg.svdvals(torch.linalg.multi_dot([*jacobians[:t].flip(0), q[:, :m]]))
        if values[-1] > 1e-8 * values[0]:  # else singular values of the product are mostly rounding
            plain += 1
            assert float(exact) == near((values[0] / values[-1]).log10().item(), 1e-6)
    assert plain >= 4 or arch == "relu"


def test_chosen_dimensions(tmp_path):
    table = rows(done(tmp_path, "condition", "dims=[1,3]", "horizons=100", "flossing.epochs=0") / "condition.csv")
    assert {row["horizon"] for row in pick(table, m=3)} == {str(t) for t in range(1, 13)}
    assert {row["m"] for row in pick(table, horizon=5)} == {"1", "3"}
    assert {row["m"] for row in pick(table, horizon=8)} == {"1", "2", "3", "4"}


# --- wrong command lines --------------------------------------------------------------------------------------------


def test_limited_precision_saturates(tmp_path):
    pytest.importorskip("flint")
    long = ("steps=60", "at=40", "flossing.epochs=0")
    table = rows(done(tmp_path, "condition", *long, "bits=16") / "condition.csv")
    exact, limited = (numbers(pick(table, method=method, m=4), "log10_condition") for method in ("exact", "bits=16"))
    assert max(exact) > 15
    assert max(limited) < 8
    table = rows(done(tmp_path, "condition", *long, "bits=auto") / "condition.csv")
    exact, as_many = (numbers(pick(table, method=method), "log10_condition") for method in ("exact", "bits=auto"))
    assert as_many == near(exact, 1e-7)
