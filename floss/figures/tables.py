"""Reading the CSV files that figures are drawn from."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from floss.schedule import episode_starts

# Columns that tell networks of one sweep apart, beside the delay and the seed, and how a legend names them.
_NAMES = {
    "task": "{}",
    "arch": "{}",
    "init": "{}",
    "g": "g = {}",
    "flossing": "{}",
    "k": "k = {}",
    "t_ons": "t_ONS = {}",
}


@dataclass(frozen=True)
class Runs:
    """The tables of one run, or of all runs of a sweep, with a `group` column: what a legend calls the network."""

    metrics: pd.DataFrame
    summary: pd.DataFrame
    episodes: dict[tuple[int, str], tuple[int, ...]]
    """Training epochs with flossing episodes, by delay and group."""

    @property
    def groups(self) -> list[str]:
        """Groups in the order of their first row."""
        return list(dict.fromkeys(self.summary["group"]))

    @property
    def judged_by_accuracy(self) -> bool:
        """Whether the task has an accuracy."""
        return bool(self.summary["final_accuracy"].notna().any() or self.metrics["accuracy"].notna().any())


def read_runs(folder: Path) -> Runs:
    """Tables of a run's or a sweep's folder."""
    metrics, summary = (pd.read_csv(folder / f"{name}.csv") for name in ("metrics", "summary"))
    config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    configs = config.get("runs", [config])
    varying = [c for c in _NAMES if summary[c].nunique() > 1] or ["flossing"]

    def label(values: Iterable[Any]) -> str:
        shown = (f"{value:g}" if isinstance(value, int | float) else value for value in values)
        return ", ".join(_NAMES[column].format(value) for column, value in zip(varying, shown, strict=True))

    def with_groups(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(group=[label(values) for values in zip(*(table[c].tolist() for c in varying), strict=True)])

    episodes = {}
    for c in configs:
        f = c["flossing"]
        row = {"task": c["task"]["name"], "arch": c["arch"]["name"], "init": c["arch"]["init"], "g": c["arch"]["g"]}
        row |= {"flossing": c["label"], "k": f["k"], "t_ons": f["t_ons"]}
        starts = episode_starts(f["at"], f["every"], c["train"]["epochs"])
        episodes[c["d"], label(row[column] for column in varying)] = starts
    return Runs(with_groups(metrics), with_groups(summary), episodes)
