"""What the callbacks have in common: a flosser, a monitor, both or none, and the state to resume with."""

from typing import Any

from floss.training.user_network.flosser import Flosser, FlossingEpisode
from floss.training.user_network.monitor import Monitor


class Parts:
    """A flosser that is asked before each training step, and a monitor that is asked after it."""

    def __init__(self, caller: str, flosser: Flosser | None, monitor: Monitor | None) -> None:
        """Both are the user's; either may be missing.

        Raises:
            ValueError: something else, or neither of them.
        """
        for name, value, kind in (("flosser", flosser, Flosser), ("monitor", monitor, Monitor)):
            if value is not None and not isinstance(value, kind):
                raise ValueError(f"{caller}: {name} must be a floss.{kind.__name__}, got {type(value).__name__}")
        if flosser is None and monitor is None:
            raise ValueError(f"{caller}: needs a flosser or a monitor")
        self.caller, self.flosser, self.monitor = caller, flosser, monitor
        self.episodes: dict[int, FlossingEpisode] = {}

    def check(self, processes: int) -> None:
        """Raise a ValueError where several processes would floss along different inputs, each its own batch."""
        if processes > 1 and self.flosser is not None and self.flosser.takes_last_batch:
            raise ValueError(
                f"{self.caller}: {processes} processes have different batches, and their networks would part; the "
                "Flosser needs inputs=, which gives the same numbers in all of them"
            )

    def before(self, step: int) -> dict[str, float]:
        """Run an episode where one is due; numbers of it for the log."""
        episode = None if self.flosser is None else self.flosser.maybe(step)
        if episode is None:
            return {}
        self.episodes[step] = episode
        return {"floss/episode_loss": float(episode.loss[-1]), "floss/episode_epochs": float(len(episode))}

    def after(self) -> dict[str, float]:
        """What the monitor has measured, where it is its turn."""
        return {} if self.monitor is None else self.monitor.log()

    def state(self) -> dict[str, Any]:
        """Everything needed to resume."""
        return {
            "flosser": None if self.flosser is None else self.flosser.state_dict(),
            "calls": 0 if self.monitor is None else self.monitor.calls,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned.

        Raises:
            ValueError: the flosser's state does not fit.
        """
        if self.flosser is not None and state.get("flosser") is not None:
            self.flosser.load_state_dict(state["flosser"])
        if self.monitor is not None:
            self.monitor.calls = int(state.get("calls", 0))
