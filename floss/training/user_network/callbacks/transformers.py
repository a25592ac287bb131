"""Flossing and watching a network within `transformers.Trainer`."""

# transformers is not there without the extra of its name.
# pyright: reportMissingImports=false, reportGeneralTypeIssues=false

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.messages import LOGGER
from floss.training.user_network.callbacks.parts import Parts
from floss.training.user_network.flosser import Flosser, FlossingEpisode
from floss.training.user_network.monitor import Monitor

_FILE = "floss.pt"
"""What lies in each checkpoint of the trainer."""


class TransformersFlossing(TrainerCallback):
    """Episodes of flossing, and exponents for the log, in a training of Hugging Face's Trainer.

        flosser = floss.Flosser(model, k=16, at=[0, 500], epochs=200)
        trainer.add_callback(floss.callbacks.TransformersFlossing(trainer, flosser=flosser))

    Training steps are counted as the trainer's `global_step`. An episode runs before a step, and logs
    `floss/episode_loss` and `floss/episode_epochs`; after the step the monitor logs its numbers: through `trainer.log`,
    so into `log_history` and to whatever the trainer reports to. The state is saved with the trainer's checkpoints, as
    `floss.pt` in their folders, and loaded from there when the training is resumed.
    """

    def __init__(self, trainer: Any, *, flosser: Flosser | None = None, monitor: Monitor | None = None) -> None:
        """Nothing is flossed yet.

        Args:
            trainer: the `transformers.Trainer` that the callback is added to: callbacks cannot log without it.
            flosser: whose `maybe` is called before each step; None: nothing is flossed.
            monitor: whose `log` is called after each step; None: nothing is watched.

        Raises:
            ValueError: arguments that do not fit.
        """
        self._parts = Parts("TransformersFlossing", flosser, monitor)
        if not callable(getattr(trainer, "log", None)):
            raise ValueError(f"TransformersFlossing: trainer must be a transformers.Trainer, got {trainer!r:.60}")
        self._trainer = trainer

    @property
    def episodes(self) -> dict[int, FlossingEpisode]:
        """The episodes so far, by the number of the training step before which they ran."""
        return self._parts.episodes

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Take over the state of the checkpoint that the training is resumed from."""
        self._parts.check(args.world_size)
        if not state.global_step:
            return
        path = _folder(args, state) / _FILE
        if path.exists():
            self._parts.load(load_checkpoint(path))
        else:
            LOGGER.warning("%s is not there; the flossing begins anew at step %d", path, state.global_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Run an episode where one is due."""
        self._log(self._parts.before(state.global_step))

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Measure where it is the monitor's turn."""
        self._log(self._parts.after())

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Save the state beside what the trainer has saved."""
        folder = _folder(args, state)
        if state.is_world_process_zero and folder.is_dir():
            save_checkpoint(folder / _FILE, self._parts.state())

    def _log(self, values: dict[str, float]) -> None:
        if values:
            self._trainer.log(values)


def _folder(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"
