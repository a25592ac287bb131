"""`hydra/launcher=stacked`: all jobs of a multirun as a few ensembles in this process, instead of one after the other.

Hydra takes plugins from the package `hydra_plugins` alone, so this folder is installed as `hydra_plugins.floss`. Hydra
imports it for every command and every `--help`: what takes time to import is imported where it is needed.
"""

import contextlib
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class StackedLauncher(Launcher):
    """Each job gets what another launcher gives it: its configuration, its folder, and that as its return value.

    Networks that fail are rows of their job, not exceptions; the command's exit status tells.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Nothing of it is needed but the file that jobs are composed from."""
        self.name = str(config.hydra.job.config_name)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Compute what is missing of the jobs."""
        from floss.commands.hydra_app import Stop, running_command
        from floss.errors import ConfigError
        from floss.jobs.checked import train_job
        from floss.jobs.compose import Composer

        try:
            if running_command() != "train":
                raise ConfigError(f"hydra/launcher=stacked: is for floss train; floss {running_command()} has basic")
            from floss.commands.train import show_left_out
            from floss.sweep.request import Request
            from floss.sweep.run import run
            from floss.sweep.summary import describe

            composer = Composer(self.name)
            values = [composer.values(list(overrides)) for overrides in job_overrides]
            jobs = [train_job(composed) for composed in values]
            outcome = run(Request(jobs))
            show_left_out(outcome)
            for job in jobs:
                print(describe(job, outcome), flush=True)
        except Exception as error:
            raise Stop(error) from error
        returns = []
        for place, (job, config, overrides) in enumerate(zip(jobs, values, job_overrides, strict=True)):
            done = JobReturn(overrides=list(overrides), cfg=OmegaConf.create(config), working_dir=str(job.folder))
            done.task_name, done.status = f"floss {initial_job_idx + place}", JobStatus.COMPLETED
            done.return_value = str(job.folder)
            returns.append(done)
        return returns


class CheckedSweeper(BasicSweeper):
    """Hydra's own sweeper without a check that takes long: `floss.jobs.compose.sweep_jobs` has composed every job."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As Hydra's, once it is clear that the jobs of a cluster can start before they are told to stop."""
        from floss.commands.hydra_app import Stop
        from floss.errors import ConfigError

        launcher = config.hydra.launcher
        limit, delay = launcher.get("timeout_min"), launcher.get("signal_delay_s")
        if limit is not None and delay is not None and delay >= 60 * limit:
            text = f"hydra.launcher.timeout_min={limit}: must be more than the signal_delay_s={delay} s before its end"
            raise Stop(ConfigError(f"{text} at which a job stops"))
        if config.hydra.runtime.choices.get("hydra/launcher") in ("slurm", "submitit_slurm"):
            with contextlib.suppress(ImportError):  # which the launcher says itself
                from floss.commands.accounting import watch_quietly

                watch_quietly()
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)

    @staticmethod
    def split_arguments(overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """As Hydra's, of what `floss.jobs.compose.sweep_jobs` has composed."""
        from floss.jobs.globs import leave_out_misfits

        leave_out_misfits(overrides)
        return BasicSweeper.split_arguments(overrides, max_batch_size)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing is left to check."""
