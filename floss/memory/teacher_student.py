"""The smallest learning problem of the paper: one linear neuron learns the eigenvalue of another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from floss.lyapunov.arguments import check_broadcast, shown
from floss.memory.arguments import numbers, require
from floss.memory.neuron import state_moment
from floss.memory.parametrisation import PARAMETRISATIONS


def teacher_student_loss(eigenvalue: Tensor, teacher: Tensor, rho: float = 0.0, *, normalised: bool = False) -> Tensor:
    """L = ½ E|h - h*|² of a neuron with eigenvalue λ and its teacher with λ*, driven by the same input.

        L = ½ [F(λ, λ̄, ρ) + F(λ*, λ̄*, ρ)] - Re F(λ, λ̄*, ρ)

    Normalised, the input of each is multiplied by its own γ(λ) = √(1 - |λ|²), so that E|h|² = 1 where it is white;
    gradients flow through γ.

    Args:
        eigenvalue: λ, |λ| < 1.
        teacher: λ*, broadcastable to λ.
        rho: correlation of the input from one step to the next.
        normalised: whether inputs are multiplied by γ.

    Returns:
        L, real, of the shape that both broadcast to; differentiable in λ.

    Raises:
        ValueError: |λ| or |λ*| is not below 1.

    Source: Sec. 3.2 and App. B of Zucchet & Orvieto 2024.
    """
    _check_switch(normalised)
    given = {"eigenvalue": numbers("eigenvalue", eigenvalue), "teacher": numbers("teacher", teacher)}
    for name, value in given.items():
        require(value.abs() < 1, f"{name}: must be inside the unit circle", value)
    student, teacher = (value if value.is_complex() else value + 0j for value in given.values())
    same = state_moment(student, student.conj(), rho).real
    wanted = state_moment(teacher, teacher.conj(), rho).real
    both = state_moment(student, teacher.conj(), rho).real
    if normalised:
        gamma, gamma_star = _gamma(student), _gamma(teacher)
        same, wanted, both = gamma**2 * same, gamma_star**2 * wanted, gamma * gamma_star * both
    return 0.5 * (same + wanted) - both


def curvature(
    parametrisation: str,
    nu: Tensor,
    theta: Tensor,
    *,
    at: tuple[Tensor, Tensor] | None = None,
    rho: float = 0.0,
    normalised: bool = True,
) -> tuple[Tensor, Tensor]:
    """∂²L/∂ω_ν² and ∂²L/∂ω_θ², each with the other variable's value held and not followed.

    At the optimum of the polar parametrisation, with γ and white input: 1 / (1 - r)² and r (1 + r) / (1 - r)², r = ν²;
    without γ the first is (1 + r) / (1 - r)³.

    Args:
        parametrisation: a name from PARAMETRISATIONS.
        nu: magnitude of the teacher's eigenvalue.
        theta: its angle in radians.
        at: ω_ν and ω_θ of the student; None: the optimum.
        rho: correlation of the input from one step to the next.
        normalised: whether inputs are multiplied by γ.

    Returns:
        Both curvatures, of the shape of `nu`.

    Raises:
        ValueError: an unknown parametrisation, or a magnitude that is not between 0 and 1.

    Source: Sec. 3.2 and App. B of Zucchet & Orvieto 2024.
    """
    if not isinstance(parametrisation, str) or parametrisation not in PARAMETRISATIONS:
        given = parametrisation if isinstance(parametrisation, str) else shown(parametrisation)
        raise ValueError(f"parametrisation={given}: must be one of {', '.join(PARAMETRISATIONS)}")
    p = PARAMETRISATIONS[parametrisation]
    nu, theta = numbers("nu", nu, real=True), numbers("theta", theta, real=True)
    require((nu > 0) & (nu < 1), "nu: must be between 0 and 1", nu)
    theta = theta.to(nu)
    check_broadcast("curvature", "theta", theta.shape, nu.shape)
    _check_switch(normalised)
    teacher = torch.polar(nu, theta)
    w_nu, w_theta = (p.inverse_magnitude(nu), p.inverse_angle(theta, nu)) if at is None else _place(at, nu)
    fixed_nu = p.magnitude(w_nu).detach()
    fixed_theta = p.angle(w_theta, fixed_nu).detach()

    def along_magnitude(w: Tensor) -> Tensor:
        return teacher_student_loss(torch.polar(p.magnitude(w), fixed_theta), teacher, rho, normalised=normalised)

    def along_angle(w: Tensor) -> Tensor:
        return teacher_student_loss(torch.polar(fixed_nu, p.angle(w, fixed_nu)), teacher, rho, normalised=normalised)

    return _second_derivative(along_magnitude, w_nu), _second_derivative(along_angle, w_theta)


def _place(at: Any, nu: Tensor) -> tuple[Tensor, Tensor]:
    if not isinstance(at, tuple | list) or len(at) != 2:
        raise ValueError(f"at={shown(at)} must be the pair of ω_ν and ω_θ, or None")
    w_nu, w_theta = (numbers(name, value, real=True).to(nu) for name, value in zip(("ω_ν", "ω_θ"), at, strict=True))
    return w_nu, w_theta


def _check_switch(normalised: Any) -> None:
    if not isinstance(normalised, bool | np.bool_):
        raise ValueError(f"normalised={shown(normalised)} must be True or False")


def _gamma(eigenvalue: Tensor) -> Tensor:
    """√(1 - |λ|²), with |λ|² as a polynomial, whose derivatives exist at 0 as well."""
    return torch.sqrt(1.0 - (eigenvalue.real**2 + eigenvalue.imag**2))


def _second_derivative(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Of a function that works element by element."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x)
    return bend
