"""Hand-made tables of runs."""

import hashlib
from pathlib import Path

from omegaconf import OmegaConf

from floss.runtime.files import csv_text
from floss.sweep.columns import METRICS, SUMMARY

CURVES = ["learning_curves.png", "learning_curves.svg"]


def network(seed: int = 0, **different: object) -> dict[str, object]:
    """What tells a network apart; `accuracy`: whether its task has one, `diverged_at`: when it stopped, `status`."""
    return {
        "task": "xor",
        "d": 10,
        "arch": "vanilla",
        "init": "gaussian",
        "g": 1.0,
        "flossing": "during",
        "k": 75,
        "t_ons": 1,
        "seed": seed,
        "accuracy": True,
        "diverged_at": None,
        "status": "done" if different.get("diverged_at") is None else "diverged",
        **different,
    }


def config(one: dict[str, object]) -> dict[str, object]:
    """As much of config.yaml as figures read."""
    at = {"none": [], "pre": [0], "during": [0, 500]}.get(str(one["flossing"]), [7])
    return {
        "d": one["d"],
        "seed": one["seed"],
        "seeds": 1,
        "task": {"name": one["task"]},
        "arch": {name if name != "arch" else "name": one[name] for name in ("arch", "init", "g")},
        "flossing": {"at": at, "every": None, "k": one["k"], "t_ons": one["t_ons"]},
        "train": {"epochs": 1000},
        "label": one["flossing"],
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(folder: Path, *networks: dict[str, object], keys: tuple[str, ...] = ()) -> Path:
    """A folder with the tables of these networks, whose keys may be given."""
    metrics, summary = [], []
    for place, one in enumerate(networks):
        key = keys[place] if keys else digest(f"{place}")[:12]
        identity = [one[name] for name in SUMMARY[:9]]
        if one["status"] not in ("done", "diverged"):
            reason = "RuntimeError: no reason" if one["status"] == "failed" else None
            summary.append([*identity, *[None] * 7, one["status"], reason, key, None])
            continue
        own, end = [], one["diverged_at"]
        for epoch in range(0, 1000 if end is None else int(str(end)), 250):
            value = 0.5 + epoch / 4000 + 0.01 * int(str(one["seed"]))
            accuracy = value if one["accuracy"] else None
            own.append([*identity, epoch, "floss", None, None, -0.1, 0.2, key])
            own.append([*identity, epoch, "train", 1 - value, accuracy, None, None, key])
        metrics += own
        final = [0.3, 0.8 if one["accuracy"] else None] if end is None else [None, None]
        measured = [*final, end, 1000 if end is None else end, 1000, 1.0, 0.5]
        summary.append([*identity, *measured, one["status"], None, key, digest(csv_text((), own, header=False))[:16]])
    (folder / "metrics.csv").write_text(csv_text((*METRICS, "network"), metrics))
    (folder / "summary.csv").write_text(csv_text(SUMMARY, summary))
    configs = [config(one) for one in networks]
    own = [[row[SUMMARY.index("network")]] for row in summary]
    settings = {"runs": configs, "networks": own} if len(configs) > 1 else configs[0]
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(settings)))
    return folder
