"""Training epochs in torch, for every architecture and device, one operation after the other."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from floss.networks import Parameters
from floss.networks.workspace import Workspace
from floss.random import Stream
from floss.training.adam import clip_gradient
from floss.training.ensemble import Ensemble
from floss.training.flossing import finite_networks


class TorchEpochs:
    """The training epochs of an ensemble, with the workspace that they reuse."""

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        self.ensemble = ensemble
        self._workspace = Workspace()

    def gradient(
        self,
        parameters: Parameters,
        x: Float[Tensor, "R T B S"],
        d: Int64[Tensor, "R"],
        first: Int64[Tensor, "R"] | None = None,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        """Task loss, accuracy and gradient of one epoch for each network: see `Engine.task_gradient`."""
        leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        y = self.ensemble.cell.unroll(leaves, x, workspace=self._workspace)
        loss, accuracy = self.ensemble.task.loss(y, x, d, first=first)
        gradient = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return loss.detach(), accuracy, dict(zip(leaves, gradient, strict=True))

    def train_epoch(self, now: int | Int64[Tensor, "R"]) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Training epoch `now` of all networks, in place; loss and accuracy before its step.

        Nothing here looks at a number on the way, so that an epoch can be captured in a CUDA graph.
        """
        e, p = self.ensemble, self.ensemble.protocol
        x = e.task.sample(e.seeds, Stream.TRAINING, now, steps=p.steps, batch=p.batch, dtype=p.dtype)
        loss, accuracy, gradient = self.gradient(e.parameters, x, e.d)
        finite, alive = finite_networks(loss, gradient), e.alive
        e.diverged_at.copy_(torch.where(alive & ~finite, now, e.diverged_at))
        clipped = {name: g if p.clip is None else clip_gradient(g, p.clip) for name, g in gradient.items()}
        if not e.cell.trains_initial_state:
            del clipped["h0"]
        everyone = torch.arange(len(e.networks), device=e.seeds.device)
        e.task_adam.step(e.parameters, clipped, alive & finite, everyone)
        return loss, accuracy

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Mean loss and accuracy of the present parameters on fresh evaluation data."""
        e, p = self.ensemble, self.ensemble.protocol
        losses, accuracies = [], []
        with torch.no_grad():
            for batch in range(p.evaluation_batches):
                x = e.task.sample(e.seeds, Stream.EVALUATION, batch, steps=p.steps, batch=p.batch, dtype=p.dtype)
                loss, accuracy = e.task.loss(e.cell.unroll(e.parameters, x, workspace=self._workspace), x, e.d)
                losses.append(loss)
                accuracies.append(accuracy)
        return torch.stack(losses).mean(0), torch.stack(accuracies).mean(0) if e.task.binary else None
