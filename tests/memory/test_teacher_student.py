"""One neuron that learns another's eigenvalue: losses and curvatures against their closed forms."""

import math

import pytest
import torch
from problems import DOUBLE

from floss.memory import PARAMETRISATIONS, curvature, state_moment, teacher_student_loss

NU = torch.tensor([0.36, 0.68, 0.9, 0.99], dtype=DOUBLE)
THETA = torch.full_like(NU, 0.3)


def test_loss_of_white_and_of_constant_input():
    lam, teacher = torch.polar(NU, THETA), torch.polar(NU.flip(0), -THETA)
    white = teacher_student_loss(lam, teacher)
    expected = 0.5 / (1 - NU**2) + 0.5 / (1 - NU.flip(0) ** 2) - (1 / (1 - lam * teacher.conj())).real
    torch.testing.assert_close(white, expected, rtol=1e-12, atol=0)
    constant = teacher_student_loss(lam, teacher, 1.0)
    torch.testing.assert_close(constant, 0.5 * (1 / (1 - lam) - 1 / (1 - teacher)).abs() ** 2, rtol=1e-9, atol=0)
    normalised = teacher_student_loss(lam, teacher, normalised=True)
    gamma = torch.sqrt((1 - NU**2) * (1 - NU.flip(0) ** 2))
    torch.testing.assert_close(normalised, 1 - (gamma / (1 - lam * teacher.conj())).real, rtol=1e-9, atol=1e-12)
    assert float(teacher_student_loss(lam, lam, 0.7).abs().max()) < 1e-10


def test_curvatures_at_the_optimum():
    r = NU**2
    magnitude, angle = curvature("polar", NU, THETA)
    torch.testing.assert_close(magnitude, 1 / (1 - r) ** 2, rtol=1e-6, atol=0)
    torch.testing.assert_close(angle, r * (1 + r) / (1 - r) ** 2, rtol=1e-6, atol=0)
    assert float(angle[-1]) == pytest.approx(4900.6, abs=0.05)
    magnitude, _ = curvature("polar", NU, THETA, normalised=False)
    torch.testing.assert_close(magnitude, (1 + r) / (1 - r) ** 3, rtol=1e-6, atol=0)
    assert float(magnitude[-1]) == pytest.approx(251_263, abs=1)
    magnitude, angle = curvature("exp", NU, THETA)
    torch.testing.assert_close(magnitude, (NU * NU.log() / (1 - r)) ** 2, rtol=1e-6, atol=0)
    torch.testing.assert_close(angle, THETA**2 * r * (1 + r) / (1 - r) ** 2, rtol=1e-6, atol=0)
    for bend in curvature("optimal", NU, THETA):
        torch.testing.assert_close(bend, torch.ones_like(NU), rtol=1e-6, atol=0)


def test_the_optimal_parametrisation_sees_one_landscape():
    """Along ω_ν the loss is 1 - sech(ω - ω*), whatever the teacher."""
    w, teacher = torch.linspace(-2, 4, 13, dtype=DOUBLE), torch.tensor(0.7, dtype=DOUBLE)
    loss = teacher_student_loss(torch.tanh(w), torch.tanh(teacher), normalised=True)
    torch.testing.assert_close(loss, 1 - 1 / torch.cosh(w - teacher), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PARAMETRISATIONS)
def test_parametrisations_are_undone(name):
    p = PARAMETRISATIONS[name]
    torch.testing.assert_close(p.magnitude(p.inverse_magnitude(NU)), NU)
    torch.testing.assert_close(p.angle(p.inverse_angle(THETA, NU), NU), THETA)


def test_the_basin_of_the_angle():
    """Without γ its half-width at half height is 2 (1 - |λ*|)."""
    nu = 0.99
    theta = torch.linspace(0, math.pi, 200_001, dtype=DOUBLE)
    loss = teacher_student_loss(torch.polar(torch.full_like(theta, nu), theta), torch.tensor(nu, dtype=DOUBLE))
    half = theta[int((loss > 0.5 * loss[-1]).nonzero()[0])]
    assert float(half) == pytest.approx(2 * (1 - nu), rel=0.01)
    assert float(loss[-1]) == pytest.approx(float(state_moment(nu, nu) - state_moment(-nu, nu)), rel=1e-9)


def test_an_unknown_parametrisation():
    with pytest.raises(ValueError, match=r"^parametrisation=log: must be one of polar, exp, optimal, scaled_exp$"):
        curvature("log", NU, THETA)
