"""How far a recurrent state moves with its parameters: E‖∂h_t/∂θ‖² of any one-step map, forwards in time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from floss.lyapunov import arguments
from floss.lyapunov.derivatives import refuse_transforms
from floss.lyapunov.entry import checked_trajectory
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.step import Step, advance, next_state, same_random_numbers
from floss.memory.arguments import first_line, parameter_groups, refuse_inference_mode
from floss.random import SEED_LIMIT, Stream, bits
from floss.runtime.free_memory import free_memory

_CALLER = "sensitivity"
_NUMBERS = 2**24
"""Numbers that a pass may hold at once, unless `chunk` says otherwise."""
_COPIES = 4
"""Arrays of the size of the tangent vectors that one step holds: before, after, D S, ∂f/∂θ."""

_CUT = 1e-3
"""Part of a gradient that rounding may lose."""


@dataclass(frozen=True)
class Sensitivity:
    """Squared derivatives of the states with respect to each group of parameters, in float64, by the group's name."""

    mean: Mapping[str, Float[Tensor, "T"]]
    """‖∂h_t/∂θ‖², its mean over the trajectories; number t is that of the state after t + 1 steps."""
    standard_error: Mapping[str, Float[Tensor, "T"]] | None
    """Of `mean`, from the spread over the probes; None where nothing was estimated. The trajectories are as given: what
    another sample of them would change is no part of it."""
    trajectories: Mapping[str, Float[Tensor, "T *batch"]] | None
    """The same of every trajectory; None unless asked for."""


@dataclass(frozen=True)
class _Directions:
    """Directions in the space of parameters, as [C, *shape] for each of some tensors."""

    tensors: Sequence[Tensor]
    vectors: Sequence[Tensor]

    @property
    def count(self) -> int:
        return self.vectors[0].shape[0]


@in_full_precision
def sensitivity(
    step: Step,
    parameters: nn.Module | Mapping[str, Tensor | Sequence[Tensor]],
    h0: Float[Tensor, "*batch n"],
    inputs: Float[Tensor, "T *inputs"] | None = None,
    *,
    steps: int | None = None,
    probes: int | None = None,
    seed: int = 0,
    per_trajectory: bool = False,
    chunk: int | None = None,
) -> Sensitivity:
    """E‖∂h_t/∂θ‖² against time t, for each group θ of parameters of a one-step map; by forward sensitivity.

        S_t = D_t S_{t-1} + ∂f/∂θ (h_{t-1}, x_t),     S_0 = 0,     ‖S_t‖² = Σ_ij (S_t)_ij²

    where D_t is the map's own tangent map. The expectation is the mean over the trajectories. For a linear neuron it is
    `floss.memory.sensitivity_moment`, which grows as 1 / (1 - |λ|)³.

    θ is named by the tensors that the map reads, by closure, `functools.partial` or as a module's parameters:

        step, n = floss.step_from_module(gru)
        floss.sensitivity(step, gru, torch.zeros(16, n), inputs).mean["weight_hh_l0"]

        W.requires_grad_()
        floss.sensitivity(lambda h, x: torch.tanh(h @ W.T + x), {"W": W}, h0, inputs).mean["W"]

    Columns of S_t are independent of each other, so that they are followed in chunks, in memory for n × chunk numbers
    per trajectory. All P of them cost as much as a spectrum of P tangent vectors without QR. For many parameters,
    `probes` random directions v of independent signs estimate it without bias, E_v ‖S_t v‖² = ‖S_t‖², in memory for n
    numbers per probe. The relative error of m probes is at most √(2 / m); it is that large where one direction of
    states has all the sensitivity.

    Args:
        step: the map, as in `floss.lyapunov_spectrum`; it must be differentiable twice by autograd in reverse mode.
        parameters: name → tensor or list of tensors, or a module, each of whose parameters is a group of its own.
            They require gradients, and are the tensors that the map reads at every step: not copies or slices. A
            complex number is two real parameters.
        h0: initial states [..., n]; they do not depend on θ.
        inputs: one input per step, [T, ..., S]; None for an autonomous map.
        steps: number of steps; needed without inputs.
        probes: number m ≥ 2 of random directions for each group; None computes all columns.
        seed: of the random directions, a whole number from 0 to 2⁶³ - 1.
        per_trajectory: whether to return the values of each trajectory as well.
        chunk: columns at once; None takes as many as need a moderate amount of memory.

    Returns:
        A `Sensitivity`, whose `mean` has [T] for each group: the square of the state's unit over that of the parameter.
        It has no derivatives itself.

    Raises:
        ValueError: states and inputs that do not fit the map, parameters that are no tensors with gradients or that the
            map does not read, columns that do not fit into memory, or a result that is not finite.

    Source: Sec. 2 and App. A of Zucchet & Orvieto 2024; the probes are Hutchinson's (1990) trace estimator.
    """
    refuse_inference_mode(_CALLER)
    groups = parameter_groups(_CALLER, parameters)
    h0, inputs, total = checked_trajectory(_CALLER, step, h0, inputs, steps)
    refuse_transforms(_CALLER, h0, *(tensor for group in groups.values() for tensor in group))
    if probes is not None:
        probes = arguments.whole_number(_CALLER, "probes", probes, 2)
    if chunk is not None:
        chunk = arguments.whole_number(_CALLER, "chunk", chunk, 1)
    seed = arguments.whole_number(_CALLER, "seed", seed, 0, SEED_LIMIT - 1)
    h0 = h0.detach().contiguous()
    inputs = None if inputs is None else inputs.detach()
    _check_read(step, h0, () if inputs is None else (inputs[0],), groups)
    mean, error, trajectories = {}, {}, {}
    for i, (name, tensors) in enumerate(groups.items()):
        passes = _columns(h0, tensors, chunk) if probes is None else _probes(h0, tensors, chunk, probes, seed, i)
        values, samples = _run(step, h0, inputs, total, passes)
        if probes is not None:
            values = values / probes
            error[name] = samples.std(-1) / probes**0.5
        mean[name], trajectories[name] = values.reshape(total, -1).mean(-1), values
        _check_finite(name, mean[name])
    return Sensitivity(mean, None if probes is None else error, trajectories if per_trajectory else None)


def _columns(h0: Tensor, tensors: Sequence[Tensor], chunk: int | None) -> Iterator[_Directions]:
    """Every real coordinate of every tensor as a direction."""
    for tensor in tensors:
        size = _reals(tensor)
        most = _chunk(h0, size, size, chunk)
        for first in range(0, size, most):
            count = min(most, size - first)
            vectors = torch.zeros(count, size, dtype=tensor.dtype.to_real(), device=tensor.device)
            vectors[range(count), range(first, first + count)] = 1.0
            yield _Directions([tensor], [_shaped(vectors, tensor)])


def _probes(
    h0: Tensor, tensors: Sequence[Tensor], chunk: int | None, probes: int, seed: int, group: int
) -> Iterator[_Directions]:
    """Directions of independent random signs, the same whatever the chunks are."""
    most = _chunk(h0, sum(map(_reals, tensors)), probes, chunk)
    for first in range(0, probes, most):
        numbers = torch.arange(first, min(first + most, probes))
        vectors = []
        for i, tensor in enumerate(tensors):
            seeds = torch.full_like(numbers, seed)
            signs = bits(seeds, Stream.TANGENT, _reals(tensor), epoch=numbers, part=(group << 16) + i)
            vectors.append(_shaped((2.0 * signs - 1.0).to(tensor.device, tensor.dtype.to_real()), tensor))
        yield _Directions(tensors, vectors)


def _reals(tensor: Tensor) -> int:
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def _shaped(vectors: Tensor, tensor: Tensor) -> Tensor:
    """Directions [C, reals] in the shape of a tensor."""
    if tensor.is_complex():
        vectors = torch.view_as_complex(vectors.unflatten(-1, (-1, 2)))
    return vectors.reshape(-1, *tensor.shape)


def _chunk(h0: Tensor, parameters: int, columns: int, chunk: int | None) -> int:
    """Columns at once; a ValueError where they do not fit into memory."""
    each = _COPIES * h0.numel() + parameters
    chosen = min(columns, max(1, _NUMBERS // each) if chunk is None else chunk)
    needed, free = chosen * each * h0.element_size(), _free(h0.device)
    if needed > free:
        help_ = "fewer trajectories at once" if chosen == 1 else "a smaller chunk"
        sizes = f"chunk={chosen} columns of {h0.numel()} state variables need {needed / 2**30:.3g} GB"
        raise ValueError(f"{_CALLER}: {sizes}, and {free / 2**30:.3g} GB are free: take {help_}")
    return chosen


def _free(device: torch.device) -> float:
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else free_memory()


def _run(
    step: Step, h0: Tensor, inputs: Tensor | None, total: int, passes: Iterator[_Directions]
) -> tuple[Tensor, Tensor]:
    """Σ over all columns of their squares, [T, *batch], and the square of each column, averaged over trajectories.

    Every pass goes along the same trajectory: a map that draws random numbers draws the same ones in each.
    """
    values = torch.zeros(total, *h0.shape[:-1], dtype=torch.float64, device=h0.device)
    samples: list[Tensor] = []
    with torch.no_grad():
        for directions in passes:
            squares = torch.empty(total, directions.count, dtype=torch.float64, device=h0.device)
            with same_random_numbers(h0):
                h, S = h0, h0.new_zeros(*h0.shape, directions.count)
                for t in range(total):
                    h, S = _push(step, h, S, () if inputs is None else (inputs[t],), directions)
                    square = torch.linalg.vector_norm(S, dim=-2, dtype=torch.float64).square()
                    values[t] += square.sum(-1)
                    squares[t] = square.reshape(-1, directions.count).mean(0)
            samples.append(squares)
    return values, torch.cat(samples, -1)


def _push(step: Step, h: Tensor, S: Tensor, x: tuple[Tensor, ...], directions: _Directions) -> tuple[Tensor, Tensor]:
    """The next state, and D S + ∂f/∂θ v for all directions v."""
    with same_random_numbers(h):
        forced = _by_parameters(step, h, x, directions)
    n = h.shape[-1]
    if S.shape[-1] <= n:
        after, moved = advance(step, h, S, *x)
    else:  # the whole Jacobian has fewer columns
        after, D = advance(step, h, torch.eye(n, dtype=h.dtype, device=h.device).expand(*h.shape, n), *x)
        moved = D @ S
    return after, moved + forced


def _by_parameters(step: Step, h: Tensor, x: tuple[Tensor, ...], directions: _Directions) -> Tensor:
    """∂f/∂θ v at h, [*batch, n, C].

    The tensors that a map reads cannot be exchanged for others from outside, but autograd knows them: uᵀ ∂f/∂θ is
    linear in u, and its derivative by u along v is ∂f/∂θ v, for all trajectories at once.
    """
    with torch.enable_grad():
        after = next_state(step, h, *x)
        u = torch.zeros_like(after, requires_grad=True)
        pulled = torch.autograd.grad(after, directions.tensors, u, create_graph=True, allow_unused=True)
        pairs = [(g, v) for g, v in zip(pulled, directions.vectors, strict=True) if g is not None and g.requires_grad]
        if not pairs:
            return h.new_zeros(*h.shape, directions.count)
        outputs, vectors = zip(*pairs, strict=True)
        # The anomaly detection looks at numbers, and cannot at several derivatives at once.
        with torch.autograd.set_detect_anomaly(False):
            (forced,) = torch.autograd.grad(outputs, u, vectors, retain_graph=True, is_grads_batched=True)
    return forced.detach().movedim(0, -1)


def _check_read(step: Step, h0: Tensor, x: tuple[Tensor, ...], groups: Mapping[str, Sequence[Tensor]]) -> None:
    """Raise a ValueError for a tensor that the map does not read, and for a map without the derivatives needed."""
    tensors = [tensor for group in groups.values() for tensor in group]
    names = [name for name, group in groups.items() for _ in group]
    with torch.enable_grad(), same_random_numbers(h0):
        after = next_state(step, h0, *x)
        read: Sequence[Any] = [None] * len(tensors)
        if after.requires_grad:
            read = torch.autograd.grad(after.sum(), tensors, allow_unused=True, retain_graph=True)
    for name, tensor, gradient in zip(names, tensors, read, strict=True):
        if gradient is None:
            what = f"the map does not read parameters[{name!r}], {arguments.shown(tensor)}"
            raise ValueError(f"{_CALLER}: {what}: a copy or a slice is another tensor, and detach() cuts it off")
    for name, tensor in zip(names, tensors, strict=True):
        try:
            with torch.enable_grad(), same_random_numbers(h0):  # not from h0, where a gradient is often zero
                linear = _is_linear_in_u(next_state(step, after.detach(), *x), tensor)
        except RuntimeError as error:
            raise ValueError(f"{_CALLER}: {_twice(name)}: {first_line(error)}") from error
        if not linear:
            raise ValueError(f"{_CALLER}: {_twice(name)}: an operation's gradient is cut off from its graph")


def _is_linear_in_u(after: Tensor, tensor: Tensor) -> bool:
    """Whether autograd knows that uᵀ ∂f/∂θ is linear in u; it does not where a backward is `once_differentiable`."""
    u = torch.ones_like(after, requires_grad=True)
    (pulled,) = torch.autograd.grad(after, tensor, u, create_graph=True)
    wanted = pulled.detach().abs().sum()
    if not pulled.requires_grad:
        return not wanted
    (found,) = torch.autograd.grad(pulled, u, pulled.detach().sgn(), retain_graph=True, allow_unused=True)
    return bool(abs((0.0 if found is None else found.sum()) - wanted) <= _CUT * wanted) or not wanted.isfinite()


def _twice(name: str) -> str:
    return f"the map cannot be differentiated twice by parameters[{name!r}]"


def _check_finite(name: str, values: Tensor) -> None:
    bad = ~torch.isfinite(values)
    if bad.any():
        t = int(bad.nonzero()[0]) + 1
        raise ValueError(f"{_CALLER}: ∂h/∂θ of parameters[{name!r}] is not finite after step {t} of {len(values)}")
