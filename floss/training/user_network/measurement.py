"""What is measured of a network along its own sequences: exponents, condition number, gradients against lag, units."""

import copy
import warnings
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from floss import random
from floss.lyapunov.condition import condition_from_exponents, condition_number
from floss.lyapunov.convergence import BLOCKS, ConvergenceWarning
from floss.lyapunov.history import lyapunov_history
from floss.lyapunov.step import next_state
from floss.networks.torch_layers import layer_of
from floss.networks.torch_modules import ModuleStep, step_from_module
from floss.random import Stream
from floss.training.user_network.watched import DirectedMap, WatchedNetwork

SEQUENCES = 8
"""Of a batch; more would tell little more."""
_WHOLE = 300
"""Largest state size for which κ₂ is that of the Jacobians; above, it follows from the exponents."""
_PROBES = 8
"""Random cotangents behind the norms of gradients."""
_SATURATED = 0.05
"""Distance from its limits, relative to its range, below which a unit counts as saturated."""


@dataclass(frozen=True)
class Units:
    """Shares of units, from 0 to 1, by what they do at more than half of the steps."""

    dead: float
    """State numbers that are the same at all steps of all sequences."""
    saturated: float | None = None
    """Units, or gates of gated units, within 5 % of a limit of their range; None where no range is known."""
    gates: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of gated units: which share of each gate is closed (below 0.05), and open (above 0.95)."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """Of one map, along B sequences of T steps from the state zero."""

    exponents: Float[Tensor, "k"]
    """Nats per step, descending; means over the sequences."""
    standard_error: Float[Tensor, "k"]
    """From the scatter of the sequences, or of blocks of time where there are fewer than four; NaN for fewer steps."""
    settled: bool
    """Whether the exponents have converged, as `floss.lyapunov_history` tells."""
    log10_condition: float
    """log₁₀ κ₂ of the Jacobian of a whole sequence on the k directions."""
    gradient_norms: Float[Tensor, "lags"]
    """Root mean square norm of ∂(g · h_T)/∂h_{T-τ} for random g, against the lag τ = 0, …, T, relative to τ = 0."""
    units: Units
    length: int
    """Steps T."""
    sequences: int


def in_double(network: WatchedNetwork) -> WatchedNetwork:
    """The same maps in float64, of a copy of the recurrent module; as they are where it cannot be copied."""
    if network.part is None:
        return network
    try:
        part = copy.deepcopy(network.part).double()
        maps = [step_from_module(part, layer=s.layer, direction=s.direction) for s in _module_steps(network)]
    except (RuntimeError, ValueError, TypeError):
        return network
    several = tuple(replace(one, step=step) for one, (step, _) in zip(network.maps, maps, strict=True))
    return replace(network, maps=several, whole=part, part=part)


def _module_steps(network: WatchedNetwork) -> list[ModuleStep]:
    return [one.step for one in network.maps if isinstance(one.step, ModuleStep)]


def stacked(sequences: list[Tensor], like: Tensor) -> Float[Tensor, "T B S"]:
    """Some of the longest sequences of a batch, cut to the shortest of them."""
    several = sorted(sequences, key=len, reverse=True)[:SEQUENCES]
    shortest = min(map(len, several))
    x = torch.stack([one[:shortest] for one in several], 1).to(like.device)
    return x.to(like.dtype) if x.is_floating_point() else x


@torch.no_grad()
def measure(one: DirectedMap, part: nn.Module | None, x: Float[Tensor, "T B S"], k: int, like: Tensor) -> Measurement:
    """Everything that a diagnosis is made of.

    Raises:
        ValueError: of the map, at these inputs.
    """
    x = one.drive(x)  # pyright: ignore[reportAssignmentType]
    lam, error, settled = exponents_of(one, x, k, like)
    states = _states(one, x, like)
    if one.n <= _WHOLE:
        kappa = float(condition_number(one.step, states[0, 0], x[:, 0], dims=k))
    else:
        kappa = float(condition_from_exponents(lam, len(x)))
    return Measurement(
        lam, error, settled, kappa, _gradient_norms(one, x, like), _units(one, part, states, x), *x.shape[:2]
    )


def exponents_of(one: DirectedMap, x: Float[Tensor, "T B S"], k: int, like: Tensor) -> tuple[Tensor, Tensor, bool]:
    """The k largest exponents, their standard errors, and whether they have converged."""
    T, B = x.shape[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        h0 = like.new_zeros(B, one.n)
        history = lyapunov_history(one.step, h0, x, k=k, transient=T // 10, singular="-inf")
    each = history.exponents
    lam = each.mean(0)
    if B >= 4:
        error = each.std(0) / B**0.5
    elif len(history.lengths) >= BLOCKS:
        error = history.standard_error(BLOCKS).square().sum(0).sqrt() / B
    else:
        error = torch.full_like(lam, torch.nan)
    error = torch.where(lam == -torch.inf, 0.0, error)
    return lam, error, bool(history.converged is not None and history.converged.all())


def _states(one: DirectedMap, x: Tensor, like: Tensor) -> Float[Tensor, "T+1 B n"]:
    h = like.new_zeros(x.shape[1], one.n)
    states = [h]
    for u in x:
        states.append(next_state(one.step, states[-1], u))
    return torch.stack(states)


def _gradient_norms(one: DirectedMap, x: Tensor, like: Tensor) -> Tensor:
    copies = -(-_PROBES // x.shape[1])
    x = x.repeat(1, copies, *(1,) * (x.ndim - 2))
    B = x.shape[1]
    probe = random.normal(torch.tensor([0]), Stream.TANGENT, B * one.n, part=1, dtype=torch.float64)
    probe = probe.reshape(B, one.n).to(like)
    with torch.enable_grad():
        states = [like.new_zeros(B, one.n).requires_grad_()]
        for u in x:
            states.append(next_state(one.step, states[-1], u))
        gradients = torch.autograd.grad((states[-1] * probe).sum(), states, allow_unused=True, materialize_grads=True)
    norms = torch.stack(gradients).double().square().sum(-1).mean(-1).sqrt().flip(0)
    return norms / norms[0]


def _units(one: DirectedMap, part: nn.Module | None, states: Tensor, x: Tensor) -> Units:
    after = states[1:]
    still = (after.amax((0, 1)) - after.amin((0, 1))) <= 1e-12 * after.abs().amax().clamp(min=1e-30)
    dead = float(still.double().mean())
    step = one.step
    if part is None or not isinstance(step, ModuleStep):
        return Units(dead)
    gates = _gates(part, step, states, x)
    if gates:
        shares = {
            name: (_most(torch.cat(several, -1) < _SATURATED), _most(torch.cat(several, -1) > 1 - _SATURATED))
            for name, several in gates.items()
        }
        return Units(dead, sum(map(sum, shares.values())) / len(shares), shares)
    if getattr(part, "nonlinearity", "") == "tanh":
        return Units(dead, _most(after.abs() > 1 - _SATURATED))
    return Units(dead)


def _most(flags: Tensor) -> float:
    """Share of units [T, B, N] of which flags are set at more than half of all steps."""
    return float((flags.double().mean((0, 1)) > 0.5).double().mean())


def _gates(part: nn.Module, step: ModuleStep, states: Tensor, x: Tensor) -> dict[str, list[Tensor]]:
    """The gates [T, B, N] of each layer, by their names."""
    if not isinstance(part, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
        return {}
    suffix = "_reverse" if step.direction == "reverse" else ""
    numbers = range(part.num_layers) if step.layer is None and isinstance(part, nn.RNNBase) else [step.layer or 0]
    layers = [layer_of(part, f"_l{i}{suffix}" if isinstance(part, nn.RNNBase) else "") for i in numbers]
    before, after = (s.split([layer.state_size for layer in layers], -1) for s in (states[:-1], states[1:]))
    gates: dict[str, list[Tensor]] = {}
    for i, layer in enumerate(layers):
        inputs = x if i == 0 else after[i - 1][..., : layer.input_size]
        for name, values in layer.gates(before[i], inputs).items():  # pyright: ignore[reportAttributeAccessIssue]
            gates.setdefault(name, []).append(values)
    return gates
