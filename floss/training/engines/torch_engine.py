"""The two hot loops in torch, for every architecture and device: the reference for every other engine.

An engine belongs to one `Ensemble`. It computes gradients (parameters and data in; loss, metrics and gradients out),
and runs whole epochs on the ensemble in place: data, gradient, clipping, Adam, and freezing what is not finite.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov.orthonormalisation import Orthonormaliser, orthonormalise
from floss.networks import Parameters
from floss.networks.workspace import Workspace
from floss.random import Stream
from floss.training.adam import clip_gradient
from floss.training.ensemble import Ensemble
from floss.training.flossing import finite_networks, flossing_gradient, flossing_step


@dataclass(frozen=True)
class Selection:
    """Some networks of an ensemble, with what their flossing needs and no epoch changes."""

    index: Int64[Tensor, "m"]
    """Rows of the ensemble, ascending."""
    seeds: Int64[Tensor, "m"]
    k: Int64[Tensor, "m"]
    target: Float[Tensor, "m"]
    q0: Float[Tensor, "m N k"]
    steps: int
    transient: int

    def only(self, which: Int64[Tensor, "n"]) -> "Selection":
        """Some of these."""
        own = {name: getattr(self, name)[which] for name in ("index", "seeds", "k", "target", "q0")}
        return replace(self, **own)


class TorchEngine:
    """`engine=torch`. Losses are summed over networks, never averaged."""

    name: ClassVar[str] = "torch"
    networks_per_thread: ClassVar[int] = 4
    """Below about this many a further thread gains nothing, and waits long where other programs run. The bits of sums
    in float32 depend on the number of threads."""

    def __init__(self, ensemble: Ensemble) -> None:
        """For the networks of `ensemble`, which the epochs change in place."""
        self.ensemble = ensemble
        self._workspace = Workspace()

    @classmethod
    def environment(cls) -> dict[str, str]:
        """What the bits of this engine depend on beside torch, for environment.json."""
        return {}

    @property
    def stretch(self) -> int:
        """How many epochs one call should run, so that calls stay short enough to interrupt."""
        return 1

    def task_gradient(
        self, parameters: Parameters, x: Float[Tensor, "R T B S"], d: Int64[Tensor, "R"]
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None, Parameters]:
        """Task loss, accuracy and gradient of one epoch for each network.

        Args:
            parameters: of the networks, stacked.
            x: inputs.
            d: delay of each network.

        Returns:
            Loss, accuracy (None where the task has none), and the gradient of every parameter.
        """
        leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        y = self.ensemble.cell.unroll(leaves, x, workspace=self._workspace)
        loss, accuracy = self.ensemble.task.loss(y, x, d)
        gradient = torch.autograd.grad(loss.sum(), list(leaves.values()))
        return loss.detach(), accuracy, dict(zip(leaves, gradient, strict=True))

    def flossing_gradient(
        self,
        parameters: Parameters,
        inputs: Float[Tensor, "R T S"],
        q0: Float[Tensor, "R N k"],
        *,
        k: Int64[Tensor, "R"],
        target: Float[Tensor, "R"],
        t_ons: int,
        transient: int,
    ) -> tuple[Float[Tensor, "R"], Float[Tensor, "R k"], Parameters]:
        """Flossing loss, exponents and gradient of one flossing epoch: see `floss.training.flossing`."""
        return flossing_gradient(
            self.ensemble.cell, parameters, inputs, q0, k=k, target=target, t_ons=t_ons, transient=transient
        )

    def train(self, epoch: int, count: int) -> tuple[Bool[Tensor, "R"], Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Training epochs `epoch`, …, `epoch + count - 1` of all networks.

        A network whose loss or gradient is not finite is marked in `diverged_at` and stays as it is, bit for bit.

        Returns:
            Which networks took the last step; loss and accuracy of the last epoch, before its step.
        """
        for now in range(epoch, epoch + count):
            loss, accuracy = self.train_epoch(now)
        return self.ensemble.alive, loss, accuracy  # pyright: ignore[reportPossiblyUnboundVariable]

    def train_epoch(self, now: int | Int64[Tensor, "R"]) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Training epoch `now` of all networks, in place; loss and accuracy before its step.

        Neither this nor `floss_epoch` looks at a number on the way, so that both can be captured in a CUDA graph.
        """
        e, p = self.ensemble, self.ensemble.protocol
        x = e.task.sample(e.seeds, Stream.TRAINING, now, steps=p.steps, batch=p.batch, dtype=p.dtype)
        loss, accuracy, gradient = self.task_gradient(e.parameters, x, e.d)
        finite, alive = finite_networks(loss, gradient), e.alive
        e.diverged_at.copy_(torch.where(alive & ~finite, now, e.diverged_at))
        clipped = {name: clip_gradient(g, p.clip) for name, g in gradient.items()}
        everyone = torch.arange(len(e.networks), device=e.seeds.device)
        e.task_adam.step(e.parameters, clipped, alive & finite, everyone)
        return loss, accuracy

    def floss(
        self, index: Int64[Tensor, "m"], life: Int64[Tensor, "m"], count: int, *, epoch: int
    ) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
        """`count` flossing epochs of the networks `index`, whose flossing runs have one length.

        Args:
            index: rows of the ensemble, ascending; none of them has diverged.
            life: number of the first of these epochs in each network's life, which picks its data.
            count: how many epochs.
            epoch: the training epoch that the episode comes before: where a network diverged.

        Returns:
            Which networks took the last step; loss and largest flossed exponent of the last epoch, before its step.
        """
        selection = self.select(index)
        for since in range(count):
            active, loss, lambda_1 = self.floss_epoch(selection, life + since, epoch=epoch)
        return active, loss, lambda_1  # pyright: ignore[reportPossiblyUnboundVariable]

    def select(self, index: Int64[Tensor, "m"]) -> "Selection":
        """The networks `index`, to be flossed together."""
        e = self.ensemble
        steps, transient = e.runs[index[0]].tolist()
        k = e.k[index]
        q0 = e.q0[index, :, : int(k.max())]
        return Selection(index, e.seeds[index], k, e.target[index], q0, steps, transient)

    def floss_epoch(
        self,
        selection: "Selection",
        life: Int64[Tensor, "m"],
        *,
        epoch: int | Int64[Tensor, ""],
        orthonormaliser: Orthonormaliser = orthonormalise,
    ) -> tuple[Bool[Tensor, "m"], Float[Tensor, "m"], Float[Tensor, "m"]]:
        """One flossing epoch of some networks, in place; those that the orthonormaliser fails stay behind."""
        e, p = self.ensemble, self.ensemble.protocol
        x = e.task.sample(selection.seeds, Stream.FLOSSING, life, steps=selection.steps, batch=1, dtype=p.dtype)
        alive = e.alive[selection.index]
        active, loss, exponents = flossing_step(
            e.cell,
            e.parameters,
            e.flossing_adam,
            x[:, :, 0],
            selection.q0,
            index=selection.index,
            alive=alive,
            k=selection.k,
            target=selection.target,
            t_ons=p.t_ons,
            transient=selection.transient,
            orthonormaliser=orthonormaliser,
        )
        lost = alive & ~active
        if orthonormaliser.failed is not None:
            lost &= ~orthonormaliser.failed
        before = e.diverged_at[selection.index]
        e.diverged_at.index_copy_(0, selection.index, torch.where(lost, epoch, before))
        return active, loss, exponents[:, 0]

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
