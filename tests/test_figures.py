"""Figures from hand-made CSV files: whatever a run can leave, drawn without a warning, the same bytes twice."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from floss.figures import draw
from floss.figures.tables import read_runs
from floss.results import METRICS, SUMMARY, csv_text

CURVES = ["learning_curves.png", "learning_curves.svg"]
DELAYS = ["accuracy_vs_delay.png", "accuracy_vs_delay.svg"]


def network(seed: int = 0, **different: object) -> dict[str, object]:
    """What tells a network apart; `accuracy`: whether its task has one, `diverged_at`: when it stopped."""
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


def write(folder: Path, *networks: dict[str, object]) -> Path:
    """A folder with the tables of these networks."""
    metrics, summary = [], []
    for one in networks:
        identity = [one[name] for name in SUMMARY[:9]]
        end = one["diverged_at"]
        for epoch in range(0, 1000 if end is None else int(str(end)), 250):
            value = 0.5 + epoch / 4000 + 0.01 * int(str(one["seed"]))
            metrics.append([*identity, epoch, "floss", None, None, -0.1, 0.2])
            metrics.append([*identity, epoch, "train", 1 - value, value if one["accuracy"] else None, None, None])
        final = [0.3, 0.8 if one["accuracy"] else None] if end is None else [None, None]
        summary.append([*identity, *final, end, 1000 if end is None else end, 1.0, 0.5])
    (folder / "metrics.csv").write_text(csv_text(METRICS, metrics))
    (folder / "summary.csv").write_text(csv_text(SUMMARY, summary))
    configs = [config(one) for one in networks]
    (folder / "config.yaml").write_text(yaml.safe_dump({"runs": configs} if len(configs) > 1 else configs[0]))
    return folder


FOLDERS = {
    "one network": [network()],
    "seeds": [network(s) for s in range(3)],
    "without flossing": [network(flossing="none")],
    "no accuracy": [network(s, task="copy", accuracy=False) for s in range(2)],
    "one diverged": [network(0), network(1, diverged_at=500), network(2, diverged_at=0)],
    "all diverged late": [network(s, diverged_at=500) for s in range(2)],
    "all diverged at once": [network(s, diverged_at=0) for s in range(2)],
    "all diverged without flossing": [network(flossing="none", diverged_at=0)],
    "schedules": [network(s, flossing=f) for f in ("none", "pre", "during", "at-7") for s in range(2)],
    "k": [network(k=k) for k in (1, 10, 75)],
    "architectures and gains": [network(arch=a, g=g) for a in ("vanilla", "relu") for g in (0.5, 1.0)],
    "tasks": [network(), network(task="copy", accuracy=False)],
    "more groups than colours": [network(k=k) for k in range(1, 9)],
}
SWEEPS = {
    "one network each": [network(d=d) for d in (10, 20)],
    "schedules and seeds": [
        network(s, d=d, flossing=f) for d in (10, 20, 40) for f in ("none", "pre") for s in range(4)
    ],
    "many delays": [network(d=d) for d in range(2, 40, 2)],
    "no accuracy": [network(d=d, task="copy", accuracy=False) for d in (10, 20)],
    "k": [network(d=d, k=k) for d in (10, 20) for k in (1, 75)],
    "one delay all diverged": [network(d=10), network(d=20, diverged_at=250)],
    "one schedule all diverged": [
        network(d=d, flossing=f, diverged_at=e) for d in (10, 20) for f, e in (("none", 250), ("pre", None))
    ],
    "a schedule that lacks a delay": [network(d=10, flossing="none"), network(d=10), network(d=20)],
}


def drawn_twice(folder: Path) -> list[str]:
    """Names of the pictures, after making sure that they are complete and the same when drawn again."""
    paths = draw(folder)
    first = [path.read_bytes() for path in paths]
    for path, content in zip(paths, first, strict=True):
        assert content.startswith(b"\x89PNG\r\n" if path.suffix == ".png" else b"<?xml")
        assert content.rstrip().endswith(b"IEND\xaeB`\x82" if path.suffix == ".png" else b"</svg>")
        path.unlink()
    assert [path.read_bytes() for path in draw(folder)] == first
    return sorted(path.name for path in paths)


@pytest.mark.parametrize("name", FOLDERS)
def test_learning_curves(tmp_path, name):
    assert drawn_twice(write(tmp_path, *FOLDERS[name])) == CURVES


@pytest.mark.parametrize("name", SWEEPS)
def test_several_delays_are_compared(tmp_path, name):
    assert drawn_twice(write(tmp_path, *SWEEPS[name])) == DELAYS + CURVES


def test_nothing_to_compare_where_every_network_diverged(tmp_path):
    folder = write(tmp_path, *(network(d=d, diverged_at=250) for d in (10, 20)))
    assert drawn_twice(folder) == CURVES


def test_other_numbers_give_another_picture(tmp_path):
    """Or else equal bytes would say nothing."""
    one, other = (draw(write(tmp_path, network(s)))[0].read_bytes() for s in (0, 5))
    assert one != other


def texts(picture: Path) -> str:
    """What is written in an SVG: matplotlib notes each text in a comment beside its outlines."""
    return "\n".join(line.strip() for line in picture.read_text().splitlines() if "<!--" in line)


def test_axes_and_groups_are_named(tmp_path):
    draw(write(tmp_path, *SWEEPS["schedules and seeds"]))
    curves = texts(tmp_path / "learning_curves.svg")
    for text in (
        "xor, d = 10",
        "xor, d = 40",
        "test accuracy",
        "test loss",
        "training epoch",
        "none (n = 4)",
        "flossing episode",
    ):
        assert f"<!-- {text} -->" in curves
    delays = texts(tmp_path / "accuracy_vs_delay.svg")
    for text in ("final test accuracy", "delay d (steps)", "pre (n = 4)"):
        assert f"<!-- {text} -->" in delays


def test_groups_are_named_by_what_varies(tmp_path):
    draw(write(tmp_path, *SWEEPS["k"]))
    assert "<!-- k = 75 (n = 1) -->" in texts(tmp_path / "accuracy_vs_delay.svg")
    draw(write(tmp_path, *FOLDERS["architectures and gains"]))
    assert "<!-- relu, g = 0.5 (n = 1) -->" in texts(tmp_path / "learning_curves.svg")


def test_a_task_without_accuracy_is_drawn_by_its_loss(tmp_path):
    draw(write(tmp_path, *SWEEPS["no accuracy"]))
    assert "accuracy" not in texts(tmp_path / "learning_curves.svg") + texts(tmp_path / "accuracy_vs_delay.svg")
    assert "<!-- final test loss -->" in texts(tmp_path / "accuracy_vs_delay.svg")


def test_figures_need_neither_torch_nor_hydra(tmp_path):
    program = (
        "import sys; from pathlib import Path; from floss.figures import draw; draw(Path(sys.argv[1]))\n"
        "print([m for m in ('torch', 'hydra', 'floss.training', 'floss.experiment') if m in sys.modules])"
    )
    folder = write(tmp_path, *SWEEPS["one network each"])
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_runs_that_no_identity_column_tells_apart_are_groups_of_their_own(tmp_path):
    networks = [network(seed=seed) for seed in (0, 1)] * 2
    folder = write(tmp_path, *networks)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    for run, steps in zip(settings["runs"], (55, 55, 90, 90), strict=True):
        run["flossing"]["steps"] = steps
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    runs = read_runs(folder)
    assert runs.summary["group"].tolist() == ["T_f = 55", "T_f = 55", "T_f = 90", "T_f = 90"]
    assert runs.metrics.groupby("group")["seed"].unique().map(list).to_dict() == {
        "T_f = 55": [0, 1],
        "T_f = 90": [0, 1],
    }


def test_a_gain_of_more_digits_than_the_tables_hold(tmp_path):
    runs = read_runs(write(tmp_path, network(g=1 / 3), network(g=2 / 3)))
    assert runs.summary["group"].tolist() == ["g = 0.333333", "g = 0.666667"]
