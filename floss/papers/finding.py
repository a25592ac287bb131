"""What the figures of the paper are drawn from: the CSV rows of one line of an experiment."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportArgumentType=false, reportReturnType=false

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from floss.runtime.files import AS_TEXT


@dataclass(frozen=True)
class Finding:
    """The rows that one run of an experiment has left, at the largest scale of which nothing is missing."""

    name: str
    """Name of the run in conf/experiment."""
    scale: str
    """paper, small or smoke."""
    command: str
    """What a user types to compute the same rows."""
    summary: pd.DataFrame = field(default_factory=pd.DataFrame)
    """summary.csv of trained networks, one row for each; last a column for every key that tells them apart besides."""
    texts: tuple[str, ...] = ()
    """Header of metrics.csv, and each network's rows, as text."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """The CSV files of an analysis or a benchmark, by name."""
    environments: tuple[Mapping[str, Any], ...] = ()
    """environment.json of every ensemble or analysis behind the rows."""
    folders: tuple[Path, ...] = ()
    """Where the rows lie."""

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv of trained networks, one row for each network and logged epoch."""
        return pd.read_csv(io.StringIO("".join(self.texts)), dtype=AS_TEXT)

    @property
    def training(self) -> pd.DataFrame:
        """The rows of training epochs alone."""
        return self.metrics[self.metrics["phase"] == "train"]

    @property
    def networks(self) -> int:
        """Number of networks behind the rows."""
        if len(self.summary):
            return len(self.summary)
        table = next(iter(self.tables.values()), pd.DataFrame())
        return int(table["seed"].nunique()) if "seed" in table else 0


Findings = Mapping[str, Finding]
"""The runs of one figure, by name."""
