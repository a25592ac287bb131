"""Networks in continuous time: the flow of dh/dt = f(h, x) over a period as a one-step map, with its derivative."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from floss.lyapunov import arguments
from floss.lyapunov.recurrent_module import refuse_recurrent_module
from floss.lyapunov.step import Step, WrappingStep, advance, next_state


@dataclass(frozen=True, eq=False)
class FlowMap(WrappingStep):
    """The map h(t) → h(t + period) of dh/dt = f(h, x), by some numerical method."""

    vector_field: Step
    period: float
    """Time from one state to the next."""

    def per_time(self, exponents: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch k"]:
        """Exponents of the map, in nats per step, in nats per unit of time: λ / period."""
        return arguments.exponents("per_time", exponents) / self.period


@dataclass(frozen=True, eq=False)
class EulerMap(FlowMap):
    """The map h → h + dt f(h, x)."""

    @property
    def wrapped(self) -> Step:
        """The vector field."""
        return self.vector_field

    def __call__(self, h: Float[Tensor, "*batch n"], *x: Tensor) -> Float[Tensor, "*batch n"]:
        """The next state."""
        return torch.add(h, next_state(self.vector_field, h, *x), alpha=self.period)

    def advance(
        self, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
    ) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
        """The next state, and D(h) q = q + dt ∂f/∂h q."""
        slope, pushed = advance(self.vector_field, h, q, *x)
        return torch.add(h, slope, alpha=self.period), torch.add(q, pushed, alpha=self.period)


@dataclass(frozen=True, eq=False)
class StroboscopicMap(FlowMap):
    """The map h(t) → h(t + period) of dh/dt = f(h, x), x constant over the period, by classical Runge-Kutta steps."""

    substeps: int
    jacobian_product: Callable[..., Tensor] | None = None

    @property
    def wrapped(self) -> Step | None:
        """The vector field, where its derivative is not given."""
        return self.vector_field if self.jacobian_product is None else None

    def __call__(self, h: Float[Tensor, "*batch n"], *x: Tensor) -> Float[Tensor, "*batch n"]:
        """The state one period later."""
        (after,) = self._integrate(lambda h: (next_state(self.vector_field, h, *x),), (h,))
        return after

    def advance(
        self, h: Float[Tensor, "*batch n"], q: Float[Tensor, "*batch n k"], *x: Tensor
    ) -> tuple[Float[Tensor, "*batch n"], Float[Tensor, "*batch n k"]]:
        """The state one period later, and D(h) q: the variational equation dq/dt = ∂f/∂h q, integrated along.

        Runge-Kutta steps commute with differentiation: those of (h, q) give the derivative of those of h exactly.
        """

        def slope(h: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
            if self.jacobian_product is None:
                return advance(self.vector_field, h, q, *x)
            return next_state(self.vector_field, h, *x), self.jacobian_product(h, q, *x)

        after, tangent = self._integrate(slope, (h, q))
        return after, tangent

    def _integrate(self, slope: Callable[..., tuple[Tensor, ...]], y: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        dt = self.period / self.substeps
        for _ in range(self.substeps):
            first = slope(*y)
            second = slope(*_along(y, first, 0.5 * dt))
            third = slope(*_along(y, second, 0.5 * dt))
            fourth = slope(*_along(y, third, dt))
            middle = tuple(b + c for b, c in zip(second, third, strict=True))
            outer = tuple(a + d for a, d in zip(first, fourth, strict=True))
            y = _along(_along(y, outer, dt / 6.0), middle, dt / 3.0)
        return y


def _along(y: tuple[Tensor, ...], slope: tuple[Tensor, ...], dt: float) -> tuple[Tensor, ...]:
    return tuple(torch.add(value, rate, alpha=dt) for value, rate in zip(y, slope, strict=True))


def stroboscopic_map(
    vector_field: Step,
    period: float,
    *,
    substeps: int = 10,
    jacobian_product: Callable[..., Tensor] | None = None,
) -> StroboscopicMap:
    """The time-`period` map of dh/dt = f(h) or dh/dt = f(h, x), as a step for `floss.lyapunov_spectrum` and the others.

        step = floss.stroboscopic_map(lambda h, x: -h + torch.tanh(h) @ W.T + x, period=0.1)
        lam = step.per_time(floss.lyapunov_spectrum(step, h0, inputs))      # / 0.1: per unit of time

    Each call takes `substeps` steps dt = period / substeps of the classical Runge-Kutta method, with x constant over
    the period. The error of the state over a fixed time is O(dt⁴); the tangent vectors are the exact derivative of the
    numerical map, so the exponents are those of the numerical map, O(dt⁴) from the flow's. An explicit method: dt times
    the fastest rate |eig ∂f/∂h| must stay below 2.8, or the map explodes though the flow does not. Differentiable with
    respect to what f, h and x depend on.

    Args:
        vector_field: f, on the last axis of h ([..., n]) and of x ([..., S]), with independent leading axes; returns
            [..., n]. Its class may have a method `advance(h, q, *x) -> (f(h, *x), ∂f/∂h q)`.
        period: time from one state to the next, above 0, in the unit of time of f.
        substeps: Runge-Kutta steps per period, at least 1.
        jacobian_product: `(h, q, *x) -> ∂f/∂h(h, x) q` for tangent vectors q [..., n, k], in closed form; default
            forward-mode automatic differentiation of f at each stage, which for small n costs several times as much.

    Returns:
        A map `step(h, *x) -> h` with `step.advance(h, q, *x) -> (h, D(h) q)`. Exponents of it are in nats per period.

    Raises:
        ValueError: a period that is not positive and finite, fewer than one substep, or a
            recurrent module of torch as f.

    Source: Kutta 1901; the variational equation beside the flow as in Benettin et al. 1980.
    """
    caller = "stroboscopic_map"
    arguments.function(caller, "vector_field", vector_field, "f(h, x) or f(h)")
    refuse_recurrent_module(caller, vector_field, "vector_field")
    if jacobian_product is not None:
        arguments.function(caller, "jacobian_product", jacobian_product, "a function (h, q, *x) -> q, or None")
    period = arguments.real_number(caller, "period", period, "positive and finite", lambda t: isfinite(t) and t > 0.0)
    substeps = arguments.whole_number(caller, "substeps", substeps, 1)
    return StroboscopicMap(vector_field, period, substeps, jacobian_product)


def euler_map(f: Step, dt: float) -> EulerMap:
    """Explicit Euler's map h → h + dt f(h, x) of dh/dt = f(h, x), or of dh/dt = f(h), with its exact tangent map.

        step = floss.euler_map(lambda h, x: (-h + torch.tanh(h) @ W.T + x) / tau, dt=0.1)
        lam = step.per_time(floss.lyapunov_spectrum(step, h0, inputs))      # per unit of time

    It is the network that most simulations of leaky units compute. Its exponents are those of the map itself, O(dt)
    from the flow's; for those of the flow see `floss.stroboscopic_map`.

    Args:
        f: the vector field, on the last axis of h ([..., n]) and of x ([..., S]); returns [..., n]. Its class may have
            a method `advance(h, q, *x) -> (f(h, *x), ∂f/∂h q)`.
        dt: time step, above 0, in the unit of time of f.

    Returns:
        A map `step(h, *x) -> h` with `step.advance(h, q, *x)`, and `step.per_time(lam)` for exponents in nats per unit
        of time.

    Raises:
        ValueError: a step that is not positive and finite, or a recurrent module of torch as f.

    Source: Euler 1768.
    """
    arguments.function("euler_map", "f", f, "f(h, x) or f(h)")
    refuse_recurrent_module("euler_map", f, "f")
    dt = arguments.real_number("euler_map", "dt", dt, "positive and finite", lambda t: isfinite(t) and t > 0.0)
    return EulerMap(f, dt)
