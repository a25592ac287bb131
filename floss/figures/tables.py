"""Reading the CSV files that figures are drawn from."""

# pandas' own annotations leave scalars and columns apart only at run time.
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf
from yaml import YAMLError

from floss.figures.schedules import in_words
from floss.runtime.files import AS_TEXT, texts_apart
from floss.training.schedule import episode_starts

# How a legend names what differs between the runs of a sweep: identity columns first, then keys of the configuration.
_NAMES = {
    "task": "{}",
    "arch": "{}",
    "init": "{}",
    "g": "g = {}",
    "flossing": "{}",
    "k": "k = {}",
    "t_ons": "t_ONS = {}",
    "flossing.steps": "T_f = {}",
}
_COLUMNS = ("task", "arch", "init", "g", "flossing", "k", "t_ons")
# Keys that are in the identity columns already, or change no number that a figure shows.
_PASSED_OVER = re.compile(
    r"(d|seeds?|label|device|engine|memory_limit|parts|results|scale|task\..*|arch\.(name|init|g)|flossing\.(name|at|every|k|t_ons)"
    r"|train\.(log_every|checkpoint_every))"
)


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
    metrics, summary = (pd.read_csv(folder / f"{name}.csv", dtype=AS_TEXT) for name in ("metrics", "summary"))
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
        configs = [_flat(c) for c in config.get("runs", [config])]
    except (YAMLError, AttributeError, LookupError, TypeError):
        raise ValueError("its config.yaml is damaged") from None
    labels = _labels(configs)
    episodes = {
        (c["d"], label): episode_starts(c["flossing.at"], c["flossing.every"], c["train.epochs"])
        for c, label in zip(configs, labels, strict=True)
    }
    group: dict[str, str] = {}  # of each network; one that several runs share is named by the first of them
    for label, keys in zip(labels, config.get("networks", [summary["network"]]), strict=True):
        group = {**dict.fromkeys(keys, label), **group}
    summary = summary.assign(group=summary["network"].map(group))
    return Runs(metrics.assign(group=metrics["network"].map(group)), summary, episodes)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration as one level of dotted keys, and the identity columns by their own names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= {f"{name}.{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
    columns = {"task": "task.name", "arch": "arch.name", "init": "arch.init", "g": "arch.g", "flossing": "label"}
    columns |= {"k": "flossing.k", "t_ons": "flossing.t_ons"}
    return flat | {column: flat[key] for column, key in columns.items()}


def _labels(configs: list[dict[str, Any]]) -> list[str]:
    """What distinguishes each run of a sweep, beside delay and seeds, in words of a legend."""
    names = [*_COLUMNS, *(key for key in configs[0] if key not in _COLUMNS and not _PASSED_OVER.fullmatch(key))]
    several = {name: {str(c.get(name)) for c in configs if _applies(c, name)} for name in names}
    varying = [name for name in names if len(several[name]) > 1] or ["flossing"]

    texts = {name: texts_apart([c.get(name) for c in configs if _applies(c, name)], 6, 9) for name in varying}

    def shown(name: str, value: Any) -> str:
        if isinstance(value, float):
            return texts[name][value]
        return "default" if value is None else f"{value:g}" if isinstance(value, int) else str(value)

    def label(config: dict[str, Any]) -> str:
        own = [name for name in varying if _applies(config, name)]
        words = [_NAMES.get(name, name + " = {}").format(shown(name, config.get(name))) for name in own]
        return ", ".join(in_words(word) if name == "flossing" else word for name, word in zip(own, words, strict=True))

    return [label(config) or in_words(str(config["flossing"])) for config in configs]


def _applies(config: dict[str, Any], name: str) -> bool:
    """Whether a key means anything to a run: those of flossing only where there is any."""
    if name not in ("k", "t_ons") and not name.startswith("flossing."):
        return True
    return bool(episode_starts(config["flossing.at"], config["flossing.every"], config["train.epochs"]))
