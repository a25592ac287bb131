"""`logger=wandb`: runs of Weights & Biases in `RESULTS/wandb`, offline, one for each network that is done.

    wandb sync results/wandb/offline-run-*

WANDB_MODE=online sends them at once; WANDB_PROJECT names the project, floss.
"""

# wandb is not there without the extra of its name.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floss.runtime.files import write_whole
from floss.sweep.loggers.curves import Curves, Ended, Point


class WandB(Curves):
    """A run for each network, grouped by everything but the seed.

    A run is written at the network's end alone: one that is interrupted could not be continued offline.
    """

    live = False

    @property
    def _state(self) -> Path:
        return self.results / "wandb" / f"{self.network_id}.json"

    def remembered(self) -> str:
        try:
            return self._state.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def remember(self, text: str) -> None:
        self._state.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._state, text.encode())

    def begin(self) -> None:
        for folder in self._state.parent.glob(f"*run-*-{self.network_id}"):
            shutil.rmtree(folder)

    def add(self, points: Sequence[Point], ended: Ended | None) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.results.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True, save_code=False, disable_git=True)
        mode: Any = os.environ.get("WANDB_MODE") or "offline"
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "floss",
            id=self.network_id,
            name=f"{self.group} seed{self.job.seed}",
            group=self.group,
            config=self.settings,
            dir=str(self.results),
            mode=mode,
            reinit="create_new",
            settings=quiet,
        )
        try:
            run.define_metric("epoch", hidden=True)
            for phase in ("train", "floss"):
                run.define_metric(f"{phase}/*", step_metric="epoch")
            for point in points:
                run.log({"epoch": point.epoch, **point.values})
            run.summary.update({} if ended is None else {**ended.values, "status": ended.row.get("status", "")})
        finally:
            run.finish()
