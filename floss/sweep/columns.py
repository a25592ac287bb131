"""The columns of metrics.csv and summary.csv."""

from typing import Any

from floss.jobs.train import TrainJob

IDENTITY = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed")
"""The columns that say which network a row is about."""

METRICS = (*IDENTITY, "epoch", "phase", "loss", "accuracy", "lambda_1", "floss_loss")
"""The first columns of metrics.csv; those of diagnostics follow, and last `network`, the network's id."""

SUMMARY = (
    *IDENTITY,
    *("final_loss", "final_accuracy", "diverged_at", "epochs", "seconds", "floss_seconds"),
    *("status", "reason", "network", "sha256"),
)


def identity(network: TrainJob) -> dict[str, Any]:
    """The identity columns of a network."""
    f, arch = network.flossing, network.arch
    values = (network.task.name, network.d, arch.name, arch.init, arch.g, f.label, f.k, f.t_ons, network.seed)
    return dict(zip(IDENTITY, values, strict=True))
