"""SLURM's accounting, which submitit asks how far its jobs are: where a cluster has none, that is said once."""

import subprocess
import time

from submitit.slurm.slurm import SlurmInfoWatcher, SlurmJob

from floss.runtime.messages import LOGGER


class Watcher(SlurmInfoWatcher):
    """Submitit's own, which shows what `sacct` complains of at every look.

    Without accounting a job is known to have ended by the file that it leaves.
    """

    complained = False

    def update(self) -> None:
        """Ask, unless there is nothing that answers."""
        command = self._make_command()
        if command is None:
            return
        try:
            subprocess.run(command, check=True, capture_output=True, encoding="utf-8", errors="replace")
        except (OSError, subprocess.CalledProcessError) as error:
            self._last_status_check = time.time()
            if not self.complained:
                said = getattr(error, "stderr", None) or str(error)
                LOGGER.warning("SLURM does not say how far its jobs are: %s", " ".join(said.split()))
            self.complained = True
            return
        super().update()


def watch_quietly() -> None:
    """Let submitit's jobs be watched so."""
    if not isinstance(SlurmJob.watcher, Watcher):
        SlurmJob.watcher = Watcher(SlurmJob.watcher._delay_s)
