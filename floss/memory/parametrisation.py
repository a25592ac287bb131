"""Parametrisations of an eigenvalue λ = ν exp(iθ) by two real numbers ω_ν and ω_θ."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parametrisation:
    """ν(ω_ν) and θ(ω_θ, ν), and what gives them back."""

    name: str
    magnitude: Callable[[Tensor], Tensor]
    """ν of ω_ν."""
    angle: Callable[[Tensor, Tensor], Tensor]
    """θ of ω_θ and ν, in radians."""
    inverse_magnitude: Callable[[Tensor], Tensor]
    """ω_ν of ν."""
    inverse_angle: Callable[[Tensor, Tensor], Tensor]
    """ω_θ of θ and ν."""


def _scale(nu: Tensor) -> Tensor:
    """θ'(ω_θ) at which the curvature of the normalised loss along ω_θ is one."""
    return (1.0 - nu**2) / (nu * torch.sqrt(1.0 + nu**2))


PARAMETRISATIONS = {
    p.name: p
    for p in (
        Parametrisation("polar", lambda w: w, lambda w, _: w, lambda nu: nu, lambda theta, _: theta),
        Parametrisation(
            "exp",
            lambda w: torch.exp(-torch.exp(w)),
            lambda w, _: torch.exp(w),
            lambda nu: torch.log(-torch.log(nu)),
            lambda theta, _: torch.log(theta),
        ),
        Parametrisation(
            "optimal",
            torch.tanh,
            lambda w, nu: w * _scale(nu),
            torch.atanh,
            lambda theta, nu: theta / _scale(nu),
        ),
        # A practical cure of the angle's curse: its step shrinks with 1 - ν, through which no gradient flows.
        Parametrisation(
            "scaled_exp",
            lambda w: torch.exp(-torch.exp(w)),
            lambda w, nu: (1.0 - nu.detach()) * w,
            lambda nu: torch.log(-torch.log(nu)),
            lambda theta, nu: theta / (1.0 - nu.detach()),
        ),
    )
}
"""`polar`: ν = ω_ν, θ = ω_θ. `exp`, as in the LRU: ν = exp(-exp ω_ν), θ = exp ω_θ. `optimal`: ν = tanh ω_ν,
θ = ω_θ (1 - ν²) / (ν √(1 + ν²)), along which the normalised loss has the curvature one everywhere. `scaled_exp`: ν as
`exp`, θ = (1 - ν) ω_θ. Source: Sec. 3.2 and App. B of Zucchet & Orvieto 2024."""
