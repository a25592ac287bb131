"""The columns of metrics.csv and summary.csv."""

IDENTITY = ("task", "d", "arch", "init", "g", "flossing", "k", "t_ons", "seed")
"""The columns that say which network a row is about."""


METRICS = (*IDENTITY, "epoch", "phase", "loss", "accuracy", "lambda_1", "floss_loss")
"""The first columns of metrics.csv; those of diagnostics follow, and last `network`, the network's key."""


SUMMARY = (
    *IDENTITY,
    *("final_loss", "final_accuracy", "diverged_at", "epochs", "seconds", "floss_seconds"),
    *("status", "reason", "network", "sha256"),
)
