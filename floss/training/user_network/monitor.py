"""Numbers of a network's memory for the log of a training: exponents along the last batch."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from floss.lyapunov import arguments
from floss.lyapunov.condition import condition_from_exponents
from floss.training.flossing_loss import flossing_loss
from floss.training.user_network.measurement import exponents_of, stacked
from floss.training.user_network.watched import in_evaluation_mode, takes_one_argument, watched

_CALLER = "Monitor"


class Monitor:
    """Exponents of a network in training, for whatever the training logs with.

        monitor = floss.Monitor(model, k=8, every=100)          before the loop
        log({"loss": float(loss), **monitor.log()})             in the loop, once for every training step

    Every `every`-th call measures along up to eight sequences of the last batch that went through the network, in
    evaluation mode and without a trace; the other calls return an empty dictionary, and so do those before any batch.
    """

    def __init__(
        self,
        module: nn.Module | tuple[Any, int] | Any,
        k: int,
        *,
        every: int = 1,
        inputs: Callable[..., Any] | None = None,
        prefix: str = "floss/",
    ) -> None:
        """Nothing is measured yet.

        Args:
            module: as of `floss.Flosser`.
            k: number of exponents, 1 ≤ k ≤ n.
            every: calls of `log` between two measurements; the first one measures.
            inputs: a function of the number of the call, or of nothing, that gives a batch as the module takes it, or
                inputs [T, ..., S] of a map; None: of a module the last batch that went through it.
            prefix: what the names of the numbers begin with.

        Raises:
            ValueError: arguments that do not fit.
        """
        self._network = watched(_CALLER, module)
        most = min(one.n for one in self._network.maps)
        self.k = arguments.whole_number(_CALLER, "k", k, 1, most, allowed=f"from 1 to the state size {most}")
        self.every = arguments.whole_number(_CALLER, "every", every, 1)
        if not isinstance(prefix, str):
            raise ValueError(f"{_CALLER}: prefix={arguments.shown(prefix)} must be a text")
        self.prefix, self.inputs, self.calls = prefix, inputs, 0
        self._last_inputs = None
        if inputs is not None:
            arguments.function(_CALLER, "inputs", inputs, "a function that gives a batch, or None")
        elif self._network.feeds_itself:
            self._last_inputs = self._network.remember()
        else:
            raise ValueError(f"{_CALLER}: a map has no batch of its own: inputs= must be a function")

    def log(self) -> dict[str, float]:
        """The numbers of this training step; none where it is not its turn, or no batch has been seen.

        Returns:
            By their names after the prefix: `lambda_1` and `lambda_k` (nats per step, means over the sequences; of
            several directions of a module the mean), `standard_error` of λ_1, `horizon` 1/|λ_1| in steps,
            `horizon_share` of the sequence's length (at most 1), `log10_condition` (λ_1 - λ_k) T / ln 10 (Eq. 10),
            `flossing_loss` towards 0, without lost directions.

        Raises:
            ValueError: a batch that does not fit, or a state that is not finite.
        """
        number, self.calls = self.calls, self.calls + 1
        if self._last_inputs is not None:
            self._last_inputs.ended = True
        if number % self.every:
            return {}
        if self._last_inputs is not None and not self._last_inputs:
            self.calls -= 1  # the first batch is still to come
            return {}
        with in_evaluation_mode(self._network.whole), torch.no_grad():
            try:
                return self._measured(number)
            except ValueError as error:
                message = str(error).removeprefix("lyapunov_history: ").removeprefix(f"{_CALLER}: ")
                raise ValueError(f"{_CALLER}: {message}") from error

    def _measured(self, number: int) -> dict[str, float]:
        sequences = self._sequences(number)
        like = self._network.like()
        like = like if self._network.tensors or not sequences[0].is_floating_point() else sequences[0]
        x = stacked(sequences, like)
        several = [exponents_of(one, x.flip(0) if one.reverse else x, self.k, like) for one in self._network.maps]
        lam = torch.stack([lam for lam, _, _ in several]).double().mean(0)
        error = torch.stack([error for _, error, _ in several]).double().mean(0)
        first, finite = float(lam[0]), lam[lam > -math.inf]
        horizon = 1.0 / abs(first) if first else math.inf
        values = {
            "lambda_1": first,
            "lambda_k": float(lam[-1]),
            "standard_error": float(error[0]),
            "horizon": horizon,
            "horizon_share": min(horizon / len(x), 1.0),
            "log10_condition": float(condition_from_exponents(lam.sort(descending=True).values, len(x))),
            "flossing_loss": float(flossing_loss(finite)) if len(finite) else 0.0,
        }
        return {f"{self.prefix}{name}": value for name, value in values.items()}

    def _sequences(self, number: int) -> list[Tensor]:
        if self._last_inputs is not None:
            return self._network.remembered(self._last_inputs)
        assert self.inputs is not None
        batch = self.inputs(number) if takes_one_argument(self.inputs) else self.inputs()
        return self._network.sequences(_CALLER, batch)
