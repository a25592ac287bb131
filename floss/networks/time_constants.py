"""How long the modes of linear recurrences last: those of state-space layers, and of any linear map."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import softplus

from floss.lyapunov import arguments
from floss.lyapunov.precision import in_full_precision
from floss.lyapunov.recurrent_module import layers_of_wrapping, refuse_recurrent_module
from floss.lyapunov.step import SizedStep, advance

_CALLER = "time_constants"
_ALLOWED = "a module with linear recurrences in it, a square nn.Linear, or the pair (step, n) of a linear map"

_LOG_RATE: dict[str, Callable[[Tensor], Tensor]] = {
    "nu_log": torch.exp,
    "log_nu": torch.exp,
    "time_decay": torch.exp,
    "recurrent_param": lambda p: 8.0 * softplus(p),
}
"""Parameters that say -log|λ| themselves: of LRUs |λ| = exp(-exp(ν)), of RWKV, of RG-LRU with an open gate."""
_CONTINUOUS: dict[str, Callable[[Tensor], Tensor]] = {
    "A_log": torch.exp,
    "log_A_real": torch.exp,
    "Lambda": lambda p: -_real(p),
    "Lambda_re": torch.neg,
}
"""Parameters that say the rate -Re A in continuous time: of Mamba, S4D and S5."""
_TIME_STEP: dict[str, Callable[[Tensor], Tensor]] = {
    "log_dt": torch.exp,
    "log_step": torch.exp,
    "inv_dt": softplus,
    "dt_bias": softplus,
    "dt_proj.bias": softplus,
}
"""Parameters that say the time step Δ, so that |λ| = exp(Δ Re A); a bias is Δ at an input of zero."""


class TimeConstantWarning(RuntimeWarning):
    """Modes that last longer than the sequences: nothing in these can teach them what to keep."""


@in_full_precision
@torch.no_grad()
def time_constants(
    module: nn.Module | tuple[Callable[..., Tensor], int] | Any, steps: int | None = None
) -> dict[str, Float[Tensor, "..."]]:
    """Time constants τ = -1 / log|λ| = 1/|λ_Lyapunov|, in steps, of the modes of linear recurrences.

    A mode with eigenvalue λ falls to 1/e within τ steps; its Lyapunov exponent is log|λ|, whatever the input. inf for
    |λ| = 1; negative for a mode that grows.

        floss.time_constants(mamba, steps=512)          {"layers.0.mixer": [...], ...}, longest first

    State-space layers are known by their parameters: `nu_log` (LRU), `A_log` with `dt_proj.bias` or `dt_bias` (Mamba,
    Mamba-2), `log_A_real` with `log_dt` or `inv_dt` (S4D), `Lambda` or `Lambda_re` with `log_step` (S5, zero-order
    hold), `time_decay` (RWKV), `recurrent_param` (RG-LRU with its gate open). Where Δ depends on the input, it is that
    of an input of zero.

    Warns (`floss.TimeConstantWarning`) of modes that last longer than the sequences.

    Args:
        module: a module with such layers in it, a square `torch.nn.Linear` (the recurrence h → W h), or the pair
            (step, n) of a linear map h → A h + b of real states, whose Jacobian is computed (of a map with inputs at an
            input of zeros; its step must know its `input_size`).
        steps: length of the sequences, for the warning; None: no warning.

    Returns:
        By the names of the layers ("" for the module itself), the time constants of each, in descending order of |λ|.

    Raises:
        ValueError: no linear recurrence in the module, or a map that is not linear.

    Source: Orvieto et al. 2023, Sec. 3; Gu et al. 2022 for S4D, Smith et al. 2023 for S5, Gu & Dao 2023 for Mamba.
    """
    if steps is not None:
        steps = arguments.whole_number(_CALLER, "steps", steps, 1)
    if isinstance(module, tuple) and len(module) == 2 and callable(module[0]):
        rates = {"": -_of_linear_map(*module).abs().log()}
    elif isinstance(module, nn.Module):
        rates = dict(_rates(layers_of_wrapping(module)[-1]))
    else:
        raise ValueError(f"{_CALLER}: module={arguments.shown(module)} must be {_ALLOWED}")
    if not rates:
        raise ValueError(f"{_CALLER}: {type(module).__name__} has no linear recurrence; it takes {_ALLOWED}")
    constants = {name: 1.0 / rate.flatten().sort().values for name, rate in rates.items()}
    if steps is not None:
        _warn(constants, steps)
    return constants


def _warn(constants: dict[str, Tensor], steps: int) -> None:
    several = []
    for name, tau in constants.items():
        count = int(((tau > steps) | (tau < 0)).sum())
        if count:
            several.append(f"{count} of {len(tau)} modes{f' of {name}' if name else ''}")
    if several:
        message = f"{_CALLER}: {', '.join(several)} last longer than the sequences of {steps} steps"
        warnings.warn(message, TimeConstantWarning, stacklevel=5)


def _rates(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """-log|λ| of each layer with a linear recurrence, by its name."""
    if isinstance(module, nn.Linear):
        if module.in_features == module.out_features:
            yield "", -torch.linalg.eigvals(module.weight.double()).abs().log()
        return
    for name, layer in module.named_modules():
        parameters: dict[str, Tensor] = dict(layer.named_parameters(recurse=False))
        for child, sub in layer.named_children():
            parameters |= {f"{child}.{key}": p for key, p in sub.named_parameters(recurse=False)}
        rate = _rate_of(parameters)
        if rate is not None:
            yield name, rate


def _rate_of(parameters: dict[str, Tensor]) -> Tensor | None:
    for key, rate in _LOG_RATE.items():
        if key in parameters:
            return rate(_wide(parameters[key]))
    for key, rate in _CONTINUOUS.items():
        dt = next((of(_wide(parameters[name])) for name, of in _TIME_STEP.items() if name in parameters), None)
        if key in parameters and dt is not None:
            A = _wide(parameters[key])
            # Two real modes, and no pair of a real and an imaginary part, where each has a time step of its own.
            A = -A if key == "Lambda" and A.shape == dt.shape and not A.is_complex() else rate(A)
            # Time steps of one number for each row of A, as of channels with several modes, or of one for each number.
            return A * (
                dt[..., None] if A.ndim == dt.ndim + 1 else dt.reshape(A.shape) if dt.numel() == A.numel() else dt
            )
    return None


def _wide(parameter: Tensor) -> Tensor:
    return parameter.detach() if parameter.is_complex() else parameter.detach().double()


def _real(parameter: Tensor) -> Tensor:
    """Real parts, of complex numbers or of pairs along the last axis."""
    if parameter.is_complex():
        return parameter.real.double()
    return parameter[..., 0] if parameter.ndim > 1 and parameter.shape[-1] == 2 else parameter


def _of_linear_map(step: Callable[..., Tensor], n: Any) -> Tensor:
    """Eigenvalues of the Jacobian, which must be the same at two states."""
    n = arguments.whole_number(_CALLER, "the state size n", n, 1)
    refuse_recurrent_module(_CALLER, step)
    D, error = None, None
    for dtype in (torch.float64, torch.float32):
        h = torch.stack((torch.zeros(n, dtype=dtype), torch.linspace(-1.0, 2.0, n, dtype=dtype)))
        x = (torch.zeros(2, step.input_size, dtype=dtype),) if isinstance(step, SizedStep) else ()
        try:
            D = advance(step, h, torch.eye(n, dtype=dtype).expand(2, n, n), *x)[1]
            break
        except Exception as problem:  # whatever the map does
            error = error or problem
    if D is None:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{_CALLER}: the map cannot take h [2, {n}]: {line}") from error
    if not torch.allclose(D[0], D[1], rtol=1e-5, atol=1e-6):
        raise ValueError(f"{_CALLER}: the map is not linear: its Jacobian differs between two states")
    return torch.linalg.eigvals(D[0].double())
