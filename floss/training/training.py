"""Training ensembles of networks on a task, with flossing episodes: the reference protocol, without files or screen.

An engine runs the epochs (`floss.training.engines`); this module says which, when and on what. A network whose numbers
stop being finite is frozen where it was, and the others go on as if it were not there.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from floss.lyapunov.chain import initial_tangent
from floss.random import Stream
from floss.training.diagnostics import EXPONENTS, WHOLE, diagnose, measured_after
from floss.training.engine import Engine
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble
from floss.training.episode import Episode
from floss.training.flossing import finite_networks
from floss.training.state import State, restore, saved
from floss.training.ticks import FlossingTick, Tick, TrainingTick


class Training:
    """An ensemble, the engine that trains it, and how far it has come."""

    def __init__(
        self,
        ensemble: Ensemble,
        engine: Callable[[Ensemble], Engine] = TorchEngine,
        *,
        diagnostics: Sequence[str] = (),
        every: int = 1,
    ) -> None:
        """Nothing is trained yet.

        Args:
            ensemble: the networks, which training changes in place.
            engine: makes the engine for them, such as a class of the table ENGINES.
            diagnostics: names from `floss.training.diagnostics`, measured at every `every`-th training epoch.
            every: so many epochs may go together. Every `every`-th epoch, and the last one of training and of each
                episode, has a tick of its own measurements.
        """
        self.ensemble, self.engine = ensemble, engine(ensemble)
        self.diagnostics, self.every = tuple(diagnostics), every
        cell, protocol = ensemble.cell, ensemble.protocol
        size = cell.state_size(protocol.n)
        watched = min(EXPONENTS, size) if set(WHOLE).isdisjoint(self.diagnostics) else size
        self._tangent = initial_tangent(ensemble.seeds, size, watched, protocol.dtype)
        """Initial tangent vectors of diagnostics."""
        self.epoch = 0
        """The next training epoch."""
        self.flossing_epoch = 0
        """The next flossing epoch of the episode before training epoch `epoch`."""

    def run(self) -> Iterator[Tick]:
        """Train to the end, one tick after each stretch of epochs; may be left and taken up at any tick.

        Ends early where every network has diverged.
        """
        epochs = self.ensemble.protocol.epochs
        while self.epoch < epochs and bool(self.ensemble.alive.any()):
            episode = self.episode()
            while not episode.over:
                most = 1 if self.ensemble.flossed.one_at_a_time else self.engine.stretch
                yield self.floss_epochs(episode, self._stretch(episode.epoch, episode.epochs, most))
            yield self.train_epochs(self._stretch(self.epoch, self._next_episode(), self.engine.stretch))

    def evaluate(self) -> tuple[Float[Tensor, "R"], Float[Tensor, "R"] | None]:
        """Mean loss and accuracy of the present parameters on fresh evaluation data; NaN for a diverged network."""
        alive = self.ensemble.alive
        loss, accuracy = (None if v is None else torch.where(alive, v, torch.nan) for v in self.engine.evaluate())
        assert loss is not None
        return loss, accuracy

    def state(self) -> State:
        """Everything needed to resume, as named tensors and numbers."""
        return saved(self.ensemble.tensors(), epoch=self.epoch, flossing_epoch=self.flossing_epoch)

    def load(self, state: State) -> None:
        """Take over what `state` returned; the networks and the protocol must be the same."""
        restore(self.ensemble.tensors(), state)
        self.epoch, self.flossing_epoch = int(state["epoch"]), int(state["flossing_epoch"])

    def train_epochs(self, count: int) -> TrainingTick:
        """The next training epochs of all networks.

        Raises:
            ValueError: several, of which the first has diagnostics; it goes alone.
        """
        first, last, end = self.epoch, self.epoch + count - 1, self.ensemble.protocol.epochs
        watched = self._diagnose() if self.diagnostics and self._has_own_tick(first, end) else None
        if watched is not None and count > 1:
            raise ValueError(f"count={count}: epoch {first} has diagnostics, and goes alone")
        active, loss, accuracy = self.engine.train(first, count)
        if watched is not None and bool(active.any()):
            after = measured_after(self.diagnostics, self.ensemble.cell, self.ensemble.task_adam)
            watched |= {name: column[active] for name, column in after.items()}
        self.epoch, self.flossing_epoch = last + 1, 0
        accuracy = None if accuracy is None else accuracy[active]
        return TrainingTick(last, active.nonzero()[:, 0], loss[active], accuracy, watched, count)

    def episode(self, due: Bool[Tensor, "R"] | None = None) -> Episode:
        """The flossing episode before training epoch `epoch`, as far as it has come.

        Args:
            due: the networks that have it; None: those whose schedule says so.
        """
        e, epochs = self.ensemble, self.ensemble.protocol.flossing_epochs
        return Episode(
            e.flossed,
            self.engine.floss,
            epochs,
            due=(e.starts == self.epoch).any(-1) if due is None else due,
            first=(e.starts < self.epoch).sum(-1) * epochs,
            before=self.epoch,
            epoch=self.flossing_epoch,
        )

    def floss_epochs(self, episode: Episode, count: int) -> FlossingTick:
        """The next flossing epochs of the episode that is going on."""
        tick = episode.advance(count)
        self.flossing_epoch = episode.epoch
        return tick

    def _has_own_tick(self, epoch: int, end: int) -> bool:
        return epoch % self.every == 0 or epoch == end - 1

    def _stretch(self, epoch: int, end: int, most: int) -> int:
        """Epochs from `epoch` on that go together: up to the next whose measurements are wanted, `end`, and `most`."""
        if self._has_own_tick(epoch, end):
            return 1
        wanted = min(epoch - epoch % self.every + self.every, end - 1)
        last = 0 if self.diagnostics else 1  # diagnostics look at the parameters before the epoch
        return max(1, min(wanted - epoch + last, most))

    def _next_episode(self) -> int:
        """The training epoch before which the next episode starts, or the end."""
        later = self.ensemble.starts[self.ensemble.starts > self.epoch]
        return int(later.min()) if len(later) else self.ensemble.protocol.epochs

    def _diagnose(self) -> dict[str, Tensor]:
        """The diagnostics of the epoch to come, for the networks that will take its step."""
        e, p = self.ensemble, self.ensemble.protocol
        x = e.task.sample(e.seeds, Stream.TRAINING, self.epoch, steps=p.steps, batch=p.batch, dtype=p.dtype)
        loss, _, gradient = self.engine.task_gradient(e.parameters, x, e.d)
        active = e.alive & finite_networks(loss, gradient)
        if not bool(active.any()):
            return {}
        everyone = bool(active.all())

        def of(part: dict[str, Tensor]) -> dict[str, Tensor]:
            return part if everyone else {name: value[active] for name, value in part.items()}

        return diagnose(
            self.diagnostics,
            self.engine,
            of(e.parameters),
            of(gradient),
            x[active],
            e.d[active],
            self._tangent[active],
        )
