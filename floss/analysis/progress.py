"""The progress bar of an analysis, which notices a signal at every step."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from floss.lyapunov.step import Step, TangentStep, advance, next_state
from floss.runtime.interrupt import Interrupt

if TYPE_CHECKING:
    from tqdm import tqdm


class AnalysisBar:
    """A bar that is begun anew for each phase."""

    def __init__(self, interrupt: Interrupt, bar: "tqdm[Any]") -> None:
        """Both are the caller's."""
        self._interrupt, self._bar = interrupt, bar

    def begin(self, phase: str, total: int) -> None:
        """Start counting anew."""
        self._bar.set_description_str(phase)
        self._bar.reset(total)

    def update(self) -> None:
        """One step further; SystemExit after a signal."""
        self._bar.update()
        if self._interrupt.signal:
            self._bar.close()
            raise SystemExit(self._interrupt.status)

    def at(self, done: int, total: int) -> None:
        """So many of so many steps are done."""
        self._bar.total = total
        self._bar.n = done - 1
        self.update()

    def watched(self, step: Step) -> Step:
        """The same map, counting its steps."""
        return WatchedStep(step, self)


class WatchedStep(TangentStep):
    """A map that tells a bar of every step."""

    def __init__(self, step: Step, bar: AnalysisBar) -> None:
        """The map, and the bar."""
        self._step, self._bar = step, bar

    def __call__(self, h: Tensor, *x: Tensor) -> Tensor:
        """The next state."""
        return next_state(self._step, h, *x)

    def advance(self, h: Tensor, q: Tensor, *x: Tensor) -> tuple[Tensor, Tensor]:
        """The next state, and D(h) q."""
        self._bar.update()
        return advance(self._step, h, q, *x)
