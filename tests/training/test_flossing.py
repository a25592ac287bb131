"""The flossing loss, one flossing epoch of an ensemble against single networks, and the paper's schedules."""

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from problems import DOUBLE, gaussian
from twins import exponents_twin

import floss
from floss.lyapunov.chain import initial_tangent
from floss.networks import CELLS
from floss.training.flossing import FlossingObjective, flossing_gradient
from floss.training.schedule import FlossingRun, episode_starts, flossing_steps, transient_steps

CONF = Path(__file__).parents[2] / "conf"
N, STEPS = 6, 27
EXACT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-12}
"""Float64 sums in another order, through a chain of QR decompositions."""


def ensemble(arch: str) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Parameters of three networks, inputs [R, T, S], and Q₀ with all N columns."""
    seeds = torch.arange(3)
    parameters = CELLS[arch].initial_parameters(seeds, torch.ones(3).double(), n=N, inputs=2, batch=2, dtype=DOUBLE)
    return parameters, gaussian(1, 3, STEPS, 2), initial_tangent(seeds, N, N)


def slow_gradient(arch, parameters, x, q0, r, k, target, t_ons):
    """One network, its own k columns, and automatic differentiation with whole Jacobians and the general pullback."""
    own = {name: parameters[name][r].detach().requires_grad_() for name in ("W", "V", "b")}
    step = CELLS[arch].step(own)
    lam = exponents_twin(step, parameters["h0"][r, 0], x[r], q0[r, :, :k], t_ons=t_ons, transient=13)
    loss = floss.flossing_loss(lam, target)
    gradient = torch.autograd.grad(loss, list(own.values()), allow_unused=True, materialize_grads=True)
    return loss.detach(), lam.detach(), dict(zip(own, gradient, strict=True))


def test_loss_is_the_mean_of_squares():
    lam = torch.tensor([[0.5, -1.0], [0.0, 2.0]], requires_grad=True)
    assert floss.flossing_loss(lam).tolist() == [0.625, 2.0]
    assert floss.flossing_loss(lam, -1.0).tolist() == [1.125, 5.0]
    assert floss.flossing_loss(lam, torch.tensor([[0.5], [1.0]])).tolist() == [1.125, 1.0]
    (gradient,) = torch.autograd.grad(floss.flossing_loss(lam).sum(), lam)
    assert torch.equal(gradient, lam.detach())


@pytest.mark.parametrize("t_ons", [1, 4])
@pytest.mark.parametrize("arch", ["vanilla", "linear"])
def test_each_network_flosses_its_own_exponents(arch, t_ons):
    parameters, x, q0 = ensemble(arch)
    k, target = torch.tensor([2, 5, 6]), torch.tensor([0.0, -0.5, 0.3], dtype=DOUBLE)
    loss, exponents, gradient = flossing_gradient(
        CELLS[arch], parameters, x, FlossingObjective(q0, k, target, FlossingRun.of_length(STEPS), t_ons)
    )
    assert gradient.keys() == {"W", "V", "b"}
    for r in range(3):
        slow, lam, by_autograd = slow_gradient(arch, parameters, x, q0, r, int(k[r]), float(target[r]), t_ons)
        torch.testing.assert_close(loss[r], slow, **EXACT)
        torch.testing.assert_close(exponents[r, : k[r]], lam, **EXACT)
        for name, wanted in by_autograd.items():
            difference = float((gradient[name][r] - wanted).norm())
            assert difference <= 1e-11 * float(wanted.norm()), name  # of linear units V and b: exactly 0


def test_starts_from_the_first_initial_state():
    parameters, x, q0 = ensemble("vanilla")
    k, target = torch.full((3,), 3), torch.zeros(3, dtype=DOUBLE)

    def loss(h0):
        objective = FlossingObjective(q0, k, target, FlossingRun.of_length(STEPS), 1)
        return flossing_gradient(CELLS["vanilla"], {**parameters, "h0": h0}, x, objective)[0]

    first, second = torch.zeros(3, 2, N, dtype=DOUBLE), torch.zeros(3, 2, N, dtype=DOUBLE)
    first[:, 0], second[:, 1] = 1.0, 1.0
    before = loss(parameters["h0"])
    assert bool((loss(parameters["h0"] + first) != before).all())
    assert torch.equal(loss(parameters["h0"] + second), before)


def half_asleep() -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor]:
    """Relu networks whose last unit (0), whose every unit (1), or none (2), never responds."""
    parameters, x, q0 = ensemble("relu")
    parameters["W"] = 0.1 * parameters["W"] + 0.1 * torch.eye(N, dtype=DOUBLE)
    parameters["b"] += 10.0  # the others always respond
    asleep = torch.zeros(3, N, dtype=torch.bool)
    asleep[0, -1], asleep[1] = True, True
    parameters["b"] = torch.where(asleep, -20.0, parameters["b"])
    parameters["h0"] = torch.where(asleep[:, None], -20.0, 10.0).expand(3, 2, N).to(DOUBLE)
    return parameters, x, q0


def test_lost_directions_are_left_out():
    parameters, x, q0 = half_asleep()
    k, target = torch.full((3,), N), torch.full((3,), -0.5, dtype=DOUBLE)
    loss, exponents, gradient = flossing_gradient(
        CELLS["relu"], parameters, x, FlossingObjective(q0, k, target, FlossingRun.of_length(STEPS), 1)
    )
    assert exponents.isneginf().sum(-1).tolist() == [1, N, 0]
    for r, left in ((0, N - 1), (2, N)):
        slow, _, by_autograd = slow_gradient("relu", parameters, x, q0, r, left, -0.5, 1)
        torch.testing.assert_close(loss[r], slow * left / N, **EXACT)  # the mean is over all k
        torch.testing.assert_close(gradient["W"][r], by_autograd["W"] * left / N, **EXACT)
    assert float(loss[1]) == 0.0
    for g in gradient.values():
        assert torch.equal(g[1], torch.zeros_like(g[1]))


def starts(name: str, epochs: int) -> tuple[int, ...]:
    """Of a schedule of conf/flossing, laid over what the schedules share."""
    base, own = (OmegaConf.load(CONF / path) for path in ("flossing_base.yaml", f"flossing/{name}.yaml"))
    merged = OmegaConf.merge(base, own)
    return episode_starts(merged.at, merged.every, epochs)


@pytest.mark.parametrize(
    ("name", "epochs", "expected"),
    [  # paper.md, section 5
        ("none", 10_000, ()),
        ("pre", 10_000, (0,)),
        ("during", 10_000, (0, 500)),
        ("early", 10_000, (0, 100, 200, 300, 400)),
        ("throughout", 10_000, tuple(range(0, 10_000, 100))),
        ("throughout", 201, (0, 100, 200)),
        ("throughout", 200, (0, 100)),
        ("during", 500, (0,)),
    ],
)
def test_schedules(name, epochs, expected):
    assert starts(name, epochs) == expected


def test_every_schedule_is_named_after_its_file():
    for path in (CONF / "flossing").glob("*.yaml"):
        assert OmegaConf.load(path).name == path.stem


def test_episodes_are_sorted_and_counted_once():
    assert episode_starts([300, 0, 300, 200], 200, 500) == (0, 200, 300, 400)


def test_lengths():
    assert [transient_steps(T) for T in (55, 50, 51, 90)] == [16, 15, 16, 19]
    assert flossing_steps(20) == 55
    assert flossing_steps(70) > 70  # long enough that the correlations of the task are bridged


def test_runs():
    assert FlossingRun.for_delay(20) == FlossingRun.of_length(55) == FlossingRun(55, 16)
    assert FlossingRun.for_delay(70) == FlossingRun(90, 19)
    assert FlossingRun.for_delay(70, 50) == FlossingRun(50, 15)
    assert FlossingRun.for_delay(70, 50, 0) == FlossingRun.of_length(50, 0) == FlossingRun(50, 0)
    assert FlossingRun(55, 16).counted == 39
    assert sorted([FlossingRun(55, 16), FlossingRun(50, 20), FlossingRun(55, 3)])[1] == FlossingRun(55, 3)
