"""A user's network, looked at once: what its exponents, gradients and units say about its memory."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from floss.lyapunov import arguments
from floss.lyapunov.precision import in_full_precision
from floss.training.user_network.measurement import Measurement, Units, in_double, measure, stacked
from floss.training.user_network.watched import DirectedMap, WatchedNetwork, in_evaluation_mode, watched
from floss.training.user_network.words import advice_of, horizon, lines_of

_DIRECTIONS = 32
"""Exponents that are looked at, unless something else is asked for."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `floss.diagnose` has found; `print` shows it in a few lines."""

    name: str
    """Class of the network."""
    n: int
    """Size of its state."""
    measurement: Measurement
    advice: tuple[str, ...]
    """What is wrong and what helps, in words."""

    @property
    def exponents(self) -> Float[Tensor, "k"]:
        """The k largest Lyapunov exponents in nats per step, descending: means over the sequences."""
        return self.measurement.exponents

    @property
    def standard_error(self) -> Float[Tensor, "k"]:
        """Of the exponents, from the scatter of the sequences or of blocks of time."""
        return self.measurement.standard_error

    @property
    def horizon(self) -> float:
        """1/|λ_1|, in steps."""
        return horizon(self.measurement)

    @property
    def length(self) -> int:
        """Steps of the sequences."""
        return self.measurement.length

    @property
    def log10_condition(self) -> float:
        """log₁₀ κ₂ of the Jacobian of a whole sequence on the k directions; inf where it is singular."""
        return self.measurement.log10_condition

    @property
    def gradient_norms(self) -> Float[Tensor, "lags"]:
        """Norm of a gradient that came τ steps back in time, relative to what it was, for τ = 0, …, T."""
        return self.measurement.gradient_norms

    @property
    def units(self) -> Units:
        """Shares of dead and saturated units, and of closed and open gates."""
        return self.measurement.units

    def __str__(self) -> str:
        m = self.measurement
        title = f"{self.name}: {self.n} state variables, {m.sequences} sequences of {m.length} steps"
        return "\n".join((title, *(f"  {line}" for line in lines_of(m)), *(f"- {line}" for line in self.advice)))

    __repr__ = __str__


@in_full_precision
def diagnose(module: nn.Module | tuple[Any, int] | Any, batch: Any, *, k: int | None = None) -> Diagnosis:
    """What is wrong with a recurrent network's memory, and what helps: its exponents along a batch, in words.

        print(floss.diagnose(model, x))

    Along up to eight sequences of the batch, from the state zero, in evaluation mode and, where the recurrent layer is
    one of torch's, in float64 on a copy of it:

    - the k largest Lyapunov exponents with standard errors; the first tenth of the steps is not counted;
    - the horizon 1/|λ_1| against the length of the sequences;
    - log₁₀ κ₂ of the Jacobian of a whole sequence on k random directions (above 300 state variables from the
      exponents, Eq. 10);
    - the norm of a random gradient against the lag over which it came back;
    - the shares of dead units, of saturated units (within 5 % of a limit of their range at more than half of the
      steps), and of closed and open gates.

    The module, its mode, its gradients and torch's random numbers are left as they were.

    Args:
        module: a torch `RNN`, `LSTM`, `GRU` or one of their cells, a module with one of them in it, or the pair
            (step, n) of any map, as of `floss.step_from_function`.
        batch: what the module takes (`batch_first`, packed sequences; a tuple or a dictionary for several arguments),
            or the inputs [T, ..., S] of a cell or a map.
        k: number of exponents; default 32, or all.

    Returns:
        The diagnosis. Of a bidirectional layer that of the direction with the larger |λ_1|.

    Raises:
        ValueError: a module without one recurrent layer, or a batch that does not fit.

    Source: Eqs. 4-10 and Figs 2, 8 of Engelken 2023; Pascanu, Mikolov & Bengio 2013 for the gradients.
    """
    caller = "diagnose"
    network = watched(caller, module)
    n = min(one.n for one in network.maps)
    k = min(n, _DIRECTIONS) if k is None else arguments.whole_number(caller, "k", k, 1, n, allowed=f"from 1 to {n}")
    with torch.inference_mode(False), in_evaluation_mode(network.whole):
        sequences = network.sequences(caller, batch)
        precise = in_double(network)
        like = precise.like() if precise.tensors else _like(sequences[0])
        x = stacked(sequences, like)
        if len(x) < 2:
            raise ValueError(f"{caller}: the sequences have {len(x)} steps, and need at least 2")
        measured = [(one, _measured(caller, one, precise, x, k, like)) for one in precise.maps]
    one, found = max(measured, key=lambda pair: abs(float(pair[1].exponents[0])))
    name = network.name + (" (reverse)" if one.reverse else "")
    dtype = network.like().dtype if network.tensors else like.dtype
    return Diagnosis(name, one.n, found, tuple(advice_of(found, network.part, dtype)))


def _like(x: Tensor) -> Tensor:
    return x if x.dtype in (torch.float32, torch.float64) else torch.zeros(())


def _measured(caller: str, one: DirectedMap, network: WatchedNetwork, x: Tensor, k: int, like: Tensor) -> Measurement:
    with in_evaluation_mode(network.whole):
        try:
            return measure(one, network.part, x, k, like)
        except ValueError as error:
            raise ValueError(f"{caller}: {str(error).partition(': ')[2] or error}") from error
