"""The Adam of a `Flosser`: it lives on from episode to episode, beside the user's own optimizer and gradients."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

Moments = dict[str, Tensor]
"""What Adam keeps of one parameter: `step`, `exp_avg` and `exp_avg_sq`; nothing before its first step."""


class OwnAdam:
    """Adam (β = 0.9, 0.999) of the flossed parameters."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        """No step is taken yet.

        Args:
            parameters: what is flossed.
            lr: learning rate.
        """
        self.parameters = list(parameters)
        self._lr = lr
        self._adam = torch.optim.Adam(self.parameters, lr=lr)

    def follow(self, present: Sequence[Tensor]) -> None:
        """Take other parameters, where they have been put in the place of those that were.

        Moments stay with the place of a parameter, as they do in a state that is loaded.
        """
        if [id(p) for p in present] == [id(p) for p in self.parameters]:
            return
        moments = [self._adam.state.get(p, {}) for p in self.parameters]
        self.parameters = list(present)
        self._adam = torch.optim.Adam(self.parameters, lr=self._lr)
        for p, kept in zip(self.parameters, moments, strict=False):
            if _fit(kept, p):
                self._take(p, kept)

    def step(self, gradient: Sequence[Tensor | None]) -> None:
        """One step; the gradients that a user has accumulated stay."""
        users = [p.grad for p in self.parameters]
        try:
            for p, g in zip(self.parameters, gradient, strict=True):
                p.grad = g
            self._adam.step()
        finally:
            for p, g in zip(self.parameters, users, strict=True):
                p.grad = g

    def moments(self) -> list[Moments]:
        """A copy of the moments of each parameter."""
        states = (self._adam.state.get(p, {}) for p in self.parameters)
        return [{name: value.detach().clone() for name, value in kept.items()} for kept in states]

    def fits(self, moments: Sequence[Moments]) -> bool:
        """Whether moments are those of parameters of these shapes; a ValueError where there are more or fewer."""
        return all(not kept or _fit(kept, p) for kept, p in zip(moments, self.parameters, strict=True))

    def load(self, moments: Sequence[Moments]) -> None:
        """Take over what `moments` returned."""
        self._adam.state.clear()
        for kept, p in zip(moments, self.parameters, strict=True):
            if kept:
                self._take(p, kept)

    def _take(self, p: Tensor, kept: Moments) -> None:
        # The number of steps stays where Adam has it, on the CPU.
        self._adam.state[p] = {name: v.clone() if name == "step" else v.to(p, copy=True) for name, v in kept.items()}


def _fit(kept: dict[str, Any], p: Tensor) -> bool:
    return bool(kept) and kept["exp_avg"].shape == p.shape
