"""Training ensembles of networks on a task, with flossing episodes: the reference protocol, without files or screen.

An engine runs the epochs (`floss.training.engines`); this module says which, when and on what. A network whose numbers
stop being finite is frozen where it was, and the others go on as if it were not there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from floss.lyapunov.chain import initial_tangent
from floss.networks.workspace import Workspace
from floss.random import Stream
from floss.training.diagnostics import EXPONENTS, diagnose
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.flossing import finite_networks


@dataclass(frozen=True)
class Tick:
    """One or more finished epochs of some of the networks; what was measured is of the last one, before its update."""

    phase: str
    """`train` or `floss`."""
    within: int
    """Training epoch, or epoch within the flossing episode."""
    networks: Int64[Tensor, "m"]
    """Which networks took part; those that have diverged are not among them."""
    epoch: Int64[Tensor, "m"]
    """Training epoch, or number of the flossing epoch in each network's life."""
    loss: Float[Tensor, "m"]
    accuracy: Float[Tensor, "m"] | None = None
    lambda_1: Float[Tensor, "m"] | None = None
    diagnostics: dict[str, Float[Tensor, "m"]] | None = None
    """Further columns, at the epochs at which they are measured."""
    epochs: int = 1
    """How many epochs, the one that the rest is about being the last of them."""


class Training(Ensemble):
    """An ensemble in training, and how far it has come."""

    def __init__(
        self,
        networks: Sequence[Network],
        protocol: Protocol,
        device: torch.device | str = "cpu",
        *,
        engine: type[TorchEngine] = TorchEngine,
        diagnostics: Sequence[str] = (),
        every: int = 1,
    ) -> None:
        """Draw the networks; nothing is trained yet.

        Every `every`-th epoch, and the last of a phase, has a tick of its own measurements; the epochs between may go
        together. `diagnostics` (names from `floss.training.diagnostics`) are measured at those training epochs.
        """
        super().__init__(networks, protocol, device)
        self.diagnostics, self.every = tuple(diagnostics), every
        self.engine = engine(self)
        size = self.cell.state_size(protocol.n)
        self._watched = initial_tangent(self.seeds, size, min(EXPONENTS, size), protocol.dtype)
        """Initial tangent vectors of the diagnostic `lyapunov`."""
        self._workspace = Workspace()
        self.epoch = 0
        """The next training epoch."""
        self.flossing_epoch = 0
        """The next flossing epoch of the episode before training epoch `epoch`."""

    def run(self) -> Iterator[Tick]:
        """Train to the end, one tick after each stretch of epochs; may be left and taken up at any tick.

        Ends early where every network has diverged.
        """
        p = self.protocol
        while self.epoch < p.epochs and bool(self.alive.any()):
            due = (self.starts == self.epoch).any(-1)
            while self.flossing_epoch < p.flossing_epochs and bool((due & self.alive).any()):
                yield self.floss_epochs(due & self.alive, self._stretch(self.flossing_epoch, p.flossing_epochs))
            yield self.train_epochs(self._stretch(self.epoch, self._next_episode()))

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Mean loss and accuracy of the present parameters on fresh evaluation data; NaN for a diverged network."""
        loss, accuracy = (None if v is None else torch.where(self.alive, v, torch.nan) for v in self.engine.evaluate())
        assert loss is not None
        return loss, accuracy

    def state(self) -> dict[str, Tensor | int]:
        """Everything that going on needs, as named tensors and numbers."""
        copies = {name: tensor.detach().cpu().clone() for name, tensor in self.tensors().items()}
        return {**copies, "epoch": self.epoch, "flossing_epoch": self.flossing_epoch}

    def load(self, state: dict[str, Tensor | int]) -> None:
        """Take over what `state` returned; the networks and the protocol must be the same."""
        for name, tensor in self.tensors().items():
            tensor.copy_(torch.as_tensor(state[name]))
        self.epoch, self.flossing_epoch = int(state["epoch"]), int(state["flossing_epoch"])

    def train_epochs(self, count: int) -> Tick:
        """The next training epochs of all networks; diagnostics, if any, are of the first of them."""
        first, last = self.epoch, self.epoch + count - 1
        watched = self._diagnose() if self.diagnostics and self._has_own_tick(first, self.protocol.epochs) else None
        active, loss, accuracy = self.engine.train(first, count)
        self.epoch, self.flossing_epoch = last + 1, 0
        networks = active.nonzero()[:, 0]
        return Tick(
            "train",
            last,
            networks,
            torch.full_like(networks, last),
            loss[active],
            None if accuracy is None else accuracy[active],
            diagnostics=watched,
            epochs=count,
        )

    def floss_epochs(self, due: Bool[Tensor, "R"], count: int) -> Tick:
        """The next flossing epochs of the networks that are due; those with runs of one length go together."""
        within = self.flossing_epoch
        life = (self.starts < self.epoch).sum(-1) * self.protocol.flossing_epochs + within
        parts: list[tuple[Tensor, ...]] = []
        for run in self.runs[due].unique(dim=0):
            index = (due & (self.runs == run).all(-1)).nonzero()[:, 0]
            active, loss, lambda_1 = self.engine.floss(index, life[index], count, epoch=self.epoch)
            parts.append((index[active], life[index][active] + count - 1, loss[active], lambda_1[active]))
        self.flossing_epoch = within + count
        networks, epoch, loss, lambda_1 = (torch.cat(column) for column in zip(*parts, strict=True))
        return Tick("floss", within + count - 1, networks, epoch, loss, lambda_1=lambda_1, epochs=count)

    def _has_own_tick(self, epoch: int, end: int) -> bool:
        return epoch % self.every == 0 or epoch == end - 1

    def _stretch(self, epoch: int, end: int) -> int:
        """Epochs from `epoch` on that may go together: up to the next whose measurements are wanted, and to `end`."""
        if self._has_own_tick(epoch, end):
            return 1
        wanted = min(epoch - epoch % self.every + self.every, end - 1)
        own = 0 if self.diagnostics else 1  # diagnostics look at the parameters before the epoch
        return max(1, min(wanted - epoch + own, self.engine.stretch))

    def _next_episode(self) -> int:
        """The training epoch before which the next episode starts, or the end."""
        later = self.starts[self.starts > self.epoch]
        return int(later.min()) if len(later) else self.protocol.epochs

    def _diagnose(self) -> dict[str, Tensor]:
        """The diagnostics of the epoch to come, for the networks that will take its step."""
        p = self.protocol
        x = self.task.sample(self.seeds, Stream.TRAINING, self.epoch, steps=p.steps, batch=p.batch, dtype=p.dtype)
        loss, _, gradient = self.engine.task_gradient(self.parameters, x, self.d)
        active = self.alive & finite_networks(loss, gradient)
        if not bool(active.any()):
            return {}
        everyone = bool(active.all())

        def of(part: dict[str, Tensor]) -> dict[str, Tensor]:
            return part if everyone else {name: value[active] for name, value in part.items()}

        return diagnose(
            self.diagnostics,
            self.cell,
            self.task,
            of(self.parameters),
            of(gradient),
            x[active],
            self.d[active],
            self._watched[active],
            workspace=self._workspace if everyone else None,
        )
