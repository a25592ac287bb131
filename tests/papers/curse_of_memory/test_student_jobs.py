"""Tables of trained and of flossed linear students at small sizes: against the engine, and against autodiff."""

import dataclasses
import math

import pytest
import torch

from floss.memory import authors_teacher, hessian
from floss.networks.linear_students import CELLS
from floss.papers.curse_of_memory import flossed_jobs, rates_jobs
from floss.tasks.teacher import Teacher
from floss.training.engines.convolution import ConvolutionEngine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

RATES = rates_jobs.RatesJob(results="", seeds=2, n=4, nu=0.9, steps=24, batch=3, epochs=6, lr=0.01)
FLOSSED = flossed_jobs.FlossedJob(
    results="",
    student="dense",
    seed=3,
    seeds=2,
    n=4,
    heads=2,
    nu=0.9,
    steps=20,
    targets=(-0.1,),
    k=4,
    t_ons=5,
    epochs=100,
    lr=0.03,
)


def rows(table, **wanted):
    columns, values = table
    found = [dict(zip(columns, row, strict=True)) for row in values]
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def trained():
    return rates_jobs.rates_tables(RATES)


@pytest.mark.parametrize("student", ["dense", "lru"])
def test_rates_are_those_of_the_training_engine(student, trained):
    """The loop of the figure is the protocol of `floss train` with a constant learning rate."""
    own = Network(0, 0, teacher=Teacher("authors", 0.9), nu=0.0 if student == "dense" else 0.9)
    ensemble = Ensemble(
        [dataclasses.replace(own, seed=seed) for seed in range(2)],
        Protocol(task="teacher", arch=f"linear_{student}", n=4, epochs=6, steps=24, batch=3, lr=0.01, clip=None),
    )
    training = Training(ensemble, ConvolutionEngine)
    for _ in training.run():
        pass
    losses = [row["loss"] for row in rows(trained["losses"], student=student)]
    assert losses == pytest.approx(training.evaluate()[0].tolist(), rel=1e-4)
    for group, names in rates_jobs.GROUPS[student].items():
        expected = torch.cat([ensemble.task_adam.effective_rate(name)[0].flatten() for name in names])
        found = torch.tensor([row["rate"] for row in rows(trained["entries"], student=student, group=group)])
        torch.testing.assert_close(found, expected, rtol=2e-3, atol=1e-7, msg=group)
        (summary,) = rows(trained["groups"], student=student, group=group, seed=0)
        assert summary["entries"] == len(expected)
        assert summary["negative"] == int((expected < 0).sum())
        positive = found[found > 0]
        if len(positive):
            assert summary["median"] == pytest.approx(math.log10(positive.quantile(0.5)), abs=1e-3)


def test_initial_values_of_the_code_keep_magnitudes_and_lose_angles():
    cell = CELLS["linear_s4"]
    seeds = torch.arange(3)
    text = cell.initial_parameters(seeds, torch.ones(3), n=8)
    code = {**text, **rates_jobs.code_initial(text)}
    magnitude = [cell.student.eigenvalues(p).abs() for p in (text, code)]
    torch.testing.assert_close(magnitude[1], magnitude[0], rtol=1e-4, atol=1e-6)
    step = -text["w_re"]
    angle = cell.student.eigenvalues({name: p.double() for name, p in code.items()}).angle()
    expected = torch.remainder((step * code["w_im"]).double() + math.pi, 2 * math.pi) - math.pi
    torch.testing.assert_close(angle, expected, rtol=1e-3, atol=1e-5)


def test_no_positive_rate_is_no_number():
    assert all(map(math.isnan, rates_jobs._quantiles(torch.tensor([-1.0, -2.0]))))


@pytest.fixture(scope="module")
def flossed():
    return flossed_jobs.flossed_tables(FLOSSED)


def test_networks_are_at_their_target(flossed):
    after = rows(flossed["networks"], target=-0.1)
    assert [row["seed"] for row in after] == [3, 4]
    assert [row["growth"] for row in after] == pytest.approx([-0.1] * 2, abs=0.05)


@pytest.mark.parametrize("student", ["dense", "lru", "diagonal"])
def test_measures_are_those_of_the_whole_hessian_and_of_autodiff(student):
    job = dataclasses.replace(FLOSSED, student=student, heads=2 if student == "dense" else 1, targets=())
    tables = flossed_jobs.flossed_tables(job)
    cell, parameters = flossed_jobs._flossed(job, [3, 4], flossed_jobs.NONE)
    matrix = hessian(student, parameters, job.steps).matrix
    squares = matrix**2
    off = 1 - squares.diagonal(dim1=-2, dim2=-1).sum(-1) / squares.sum((-1, -2))
    found = rows(tables["networks"])
    assert [row["off_diagonal"] for row in found] == pytest.approx(off.tolist(), rel=1e-5)
    assert [row["largest"] for row in found] == pytest.approx(torch.linalg.eigvalsh(matrix)[:, -1].tolist(), rel=1e-5)
    leaves = {name: p.clone().requires_grad_() for name, p in parameters.items()}
    k = cell.student.kernel(leaves, job.steps)
    k = torch.cat((k[:, :1] + leaves["D"][:, None], k[:, 1:]), -1)
    weights = 1 - torch.arange(job.steps, dtype=torch.float64) / job.steps
    loss = 0.5 * (weights * (k - authors_teacher(0.9, math.pi, job.steps)) ** 2).sum(-1)
    assert [row["loss"] for row in found] == pytest.approx(loss.tolist(), rel=1e-5)
    gradient = dict(zip(leaves, torch.autograd.grad(loss.sum(), list(leaves.values())), strict=True))
    for group, names in flossed_jobs.GROUPS[student].items():
        slopes = torch.cat([gradient[name].reshape(2, -1) for name in names], -1)
        values = [row["mean_square"] for row in rows(tables["gradients"], group=group)]
        assert values == pytest.approx(slopes.square().mean(-1).tolist(), rel=1e-5)


def test_flossed_networks_are_those_of_training(flossed):
    """The exponents that `floss train` reports at the end of the episode belong to the same networks."""
    own = Network(3, 0, episodes=(0,), k=4, target=-0.1, teacher=Teacher("authors", 0.9))
    protocol = Protocol(
        task="teacher",
        arch="linear_dense",
        n=4,
        heads=2,
        epochs=1,
        steps=20,
        batch=128,
        clip=None,
        lr=1e-12,
        flossing_epochs=100,
        flossing_lr=0.03,
        t_ons=5,
    )
    ensemble = Ensemble([own], protocol)
    for _ in Training(ensemble, ConvolutionEngine).run():
        pass
    cell, _ = flossed_jobs._flossed(FLOSSED, [3], -0.1)
    growth = cell.student.eigenvalues(ensemble.parameters).abs().log()
    (row,) = rows(flossed["networks"], target=-0.1, seed=3)
    assert float(growth.median()) == pytest.approx(row["growth"], abs=1e-4)
    assert float(growth.max()) == pytest.approx(row["largest_growth"], abs=1e-4)
