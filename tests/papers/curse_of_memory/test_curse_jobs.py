"""Tables of the second paper at small sizes: against autodiff and stepping, and the pictures that are drawn of them."""

# The annotations of pandas and matplotlib leave scalars, columns and arrays apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from grids import covered
from papers.curse_of_memory.committed import committed

from floss.figures.style import house_style, save
from floss.memory import PARAMETRISATIONS, impulse_response, sensitivity_moment, teacher_student_loss
from floss.papers.curse_of_memory import PAPER, disc_jobs, hessian_jobs, learning_jobs, neuron_jobs, surrogate_jobs

NAMES = ("polar", "exp", "optimal")


def column(table, name):
    columns, rows = table
    return [row[columns.index(name)] for row in rows]


def test_the_gradient_of_learning_is_that_of_autodiff():
    """In the three parametrisations of Fig. 7, whose magnitudes are all tanh."""
    random = np.random.default_rng(0)
    w_nu = random.uniform(0.3, 2.5, size=(4, 3))
    w_theta = random.uniform(-1.5, 0.9, size=(4, 3))
    loss, gradient = learning_jobs.loss_and_gradient(w_nu, w_theta)
    teacher = torch.polar(*(torch.tensor(v, dtype=torch.float64) for v in (0.99, math.pi / 100)))
    for j, name in enumerate(NAMES):
        w = torch.tensor(np.stack((w_nu[:, j], w_theta[:, j])), requires_grad=True)
        nu = torch.tanh(w[0])
        lam = torch.polar(nu, PARAMETRISATIONS[name].angle(w[1], nu))
        value = teacher_student_loss(lam, teacher)
        value.sum().backward()
        assert w.grad is not None
        assert loss[:, j] == pytest.approx(value.detach().numpy(), rel=1e-10)
        assert gradient[:, :, j] == pytest.approx(w.grad.numpy(), rel=1e-8, abs=1e-10)


def test_both_rules_take_their_first_step_alike():
    """Adam's first step is lr · sign(g); the second is not."""
    job = learning_jobs.LearningJob(steps=20, lr=1e-3, kept=40, contours=2, results="")
    table = learning_jobs.learning_tables(job)["paths"]
    keys = zip(*(column(table, name) for name in ("rule", "parametrisation", "step")), strict=True)
    rows = dict(zip(keys, column(table, "w_nu"), strict=True))
    for name in NAMES:
        assert rows["sign", name, 1] == rows["adam", name, 1]
        assert rows["sign", name, 0] - rows["sign", name, 1] == pytest.approx(1e-3, rel=1e-3)


def test_the_students_compute_one_function():
    students = hessian_jobs.students(torch.arange(5), 4)
    responses = {
        name: impulse_response(name, parameters, 40)
        for name, parameters in students.items()
        if name != hessian_jobs.UNPAIRED
    }
    for name, response in responses.items():
        torch.testing.assert_close(response, responses["dense"], rtol=1e-7, atol=1e-7, msg=name)
    A = students["dense"]["A"][:, 0]
    magnitude = torch.linalg.eigvals(A).abs()
    assert 0.99 - 1e-9 < float(magnitude.min()) <= float(magnitude.max()) < 0.993 + 1e-9
    alone = hessian_jobs.students(torch.tensor([3]), 4)
    torch.testing.assert_close(alone["dense"]["A"][0], students["dense"]["A"][3], rtol=0, atol=1e-12)


def test_the_printed_formula_is_right_at_both_ends_alone():
    lam = torch.tensor(0.9, dtype=torch.float64)
    for rho in (0.0, 1.0):
        assert float(disc_jobs.printed_moment(lam, lam, rho)) == pytest.approx(
            float(sensitivity_moment(lam, lam, rho)), rel=1e-9
        )
    assert float(disc_jobs.printed_moment(lam, lam, 0.5)) == pytest.approx(519.66, abs=0.005)


def test_groups_cover_every_parameter():
    tables = hessian_jobs.optimum_tables(hessian_jobs.OptimumJob(seed=1, n=4, steps=20, results=""))
    rows = list(zip(column(tables["groups"], "student"), column(tables["groups"], "row"), strict=True))
    for student, size in (("dense", 25), ("diagonal", 25), ("lru", 29), ("s4", 29)):
        assert [row for name, row in rows if name == student] == list(range(size))
    shares = hessian_jobs.optima_tables(hessian_jobs.OptimaJob(seeds=2, n=4, steps=20, results=""))["shares"]
    assert sum(column(shares, "share")) == pytest.approx(2 * 4)


def test_the_optimum_is_among_the_curves():
    tables = neuron_jobs.parametrised_tables(neuron_jobs.ParametrisedJob(points=12, results=""))
    columns, rows = tables["curves"]
    for name in NAMES:
        for variable in ("nu", "theta"):
            own = [row for row in rows if row[0] == name and row[1] == variable and row[2] == 0.99]
            assert len(own) == 12
            assert min(row[columns.index("loss")] for row in own) == pytest.approx(0, abs=0.02)


def test_the_surrogate_is_fitted_by_what_it_is_drawn_by():
    job = surrogate_jobs.SurrogateJob(
        seeds=1, sequences=4, steps=128, features=64, data=None, data_file=None, results=""
    )
    fits = surrogate_jobs.surrogate_tables(job)["fits"]
    kinds = dict(zip(column(fits, "surrogate"), column(fits, "white"), strict=True))
    assert kinds["independent"] == pytest.approx(0.332, abs=0.02)
    assert kinds["white"] == pytest.approx(0.375, abs=0.02)


@pytest.mark.parametrize("figure", covered(["fig02", "fig10", "fig12"], ["fig12"]))
def test_a_figure_is_the_same_when_drawn_again(figure, tmp_path):
    others = plt.get_fignums()

    def pictures(name: str) -> list[bytes]:
        with house_style():
            paths = save(PAPER.module(figure).draw(committed(figure)), tmp_path / name)
        return [Path(path).read_bytes() for path in paths]

    png, svg = pictures("once")
    assert pictures("again") == [png, svg]
    assert svg.rstrip().endswith(b"</svg>")
    assert plt.get_fignums() == others


@pytest.mark.parametrize("figure", PAPER.figures())
def test_every_figure_is_drawn_of_its_committed_data(figure):
    """Nothing is rendered."""
    drawn = PAPER.module(figure).draw(committed(figure))
    assert len(drawn.axes) >= 1
    plt.close(drawn)
