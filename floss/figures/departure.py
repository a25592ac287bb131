"""When networks leave chance, and when the gradient that lets them rises: epochs from which a number stays high."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false, reportReturnType=false

import pandas as pd

LARGE = 1e-3
"""A gradient norm that counts as macroscopic (the threshold of Fig. 9B)."""


def leaves_chance(training: pd.DataFrame, threshold: float = 0.6) -> pd.Series:
    """First logged epoch from which the accuracy stays above the threshold, for each network; NaN if there is none.

    Takes rows of training epochs of metrics.csv, in any order. An accuracy that is not a number is not above it.
    """
    rows = training.sort_values("epoch")
    above = rows["accuracy"] > threshold
    # From the last epoch backwards, as long as every accuracy is above.
    stays = above[::-1].groupby(rows["network"]).cummin()
    return rows["epoch"].where(stays[::-1]).groupby(rows["network"]).min()
