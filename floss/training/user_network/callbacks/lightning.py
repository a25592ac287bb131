"""Flossing and watching a network within `lightning.Trainer`."""

# lightning is not there without the extra of its name.
# pyright: reportMissingImports=false, reportGeneralTypeIssues=false

from typing import Any

from lightning import Callback

from floss.training.user_network.callbacks.parts import Parts
from floss.training.user_network.flosser import Flosser, FlossingEpisode
from floss.training.user_network.monitor import Monitor


class LightningFlossing(Callback):
    """Episodes of flossing, and exponents for the loggers, in a training of Lightning.

        flossing = floss.callbacks.LightningFlossing(
            flosser=floss.Flosser(model, k=16, at=[0, 500], epochs=200), monitor=floss.Monitor(model, k=16, every=50)
        )
        lightning.Trainer(callbacks=[flossing]).fit(model, loader)

    Training steps are counted as Lightning's `global_step`. An episode runs before the batch of a step, and logs
    `floss/episode_loss` and `floss/episode_epochs`; after the batch the monitor logs its numbers. All go to the loggers
    of the trainer at once, and into its `callback_metrics`. The state is saved and loaded with Lightning's checkpoints.
    """

    def __init__(self, *, flosser: Flosser | None = None, monitor: Monitor | None = None) -> None:
        """Nothing is flossed yet.

        Args:
            flosser: whose `maybe` is called before each step; None: nothing is flossed.
            monitor: whose `log` is called after each batch; None: nothing is watched.

        Raises:
            ValueError: arguments that do not fit.
        """
        super().__init__()
        self._parts = Parts("LightningFlossing", flosser, monitor)

    @property
    def episodes(self) -> dict[int, FlossingEpisode]:
        """The episodes so far, by the number of the training step before which they ran."""
        return self._parts.episodes

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ARG002
        """Check that several processes floss alike."""
        self._parts.check(trainer.world_size)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Run an episode where one is due."""
        self._log(trainer, pl_module, self._parts.before(trainer.global_step))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        """Measure where it is the monitor's turn."""
        self._log(trainer, pl_module, self._parts.after())

    def _log(self, trainer: Any, pl_module: Any, values: dict[str, float]) -> None:
        """To the loggers directly: through the module they would get the numbers of every `log_every_n_steps` alone."""
        if values:
            pl_module.log_dict(values, logger=False)
            for logger in trainer.loggers:
                logger.log_metrics(values, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """For Lightning's checkpoints."""
        return self._parts.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From Lightning's checkpoints."""
        self._parts.load(state_dict)
