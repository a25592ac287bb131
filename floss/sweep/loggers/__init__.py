"""Curves of networks for other programs: a file for each value of `logger=`, written from the rows of metrics.csv."""

import importlib
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from floss.errors import ConfigError
from floss.jobs.train import TrainJob

if TYPE_CHECKING:
    from floss.sweep.loggers.curves import Curves

_CLASSES = {"tensorboard": "TensorBoard", "mlflow": "MLflow", "wandb": "WandB"}
"""The class of each logger, in the module of the logger's name; each stands on the package of that name."""


def logger_of(name: str) -> "type[Curves]":
    """The class that writes the curves of one network."""
    return getattr(importlib.import_module(f"{__name__}.{name}"), _CLASSES[name])


def check_loggers(jobs: Iterable[TrainJob]) -> None:
    """Raise a ConfigError where a job wants curves of a program that is not installed."""
    for name in dict.fromkeys(name for job in jobs for name in job.logger or ()):
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # a mere folder of this name is none
            raise ConfigError(
                f"logger={name}: needs {name}, which is not installed; pip install 'floss[{name}]' adds it"
            )
