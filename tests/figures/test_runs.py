"""Pictures of runs and sweeps from hand-made CSV files: whatever a run can leave, drawn without a warning."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import TINY, inside, jobs
from figures.made_up_runs import CURVES, network, write
from figures.pictures import drawn, drawn_twice, texts
from grids import covered

from floss.figures import draw
from floss.figures.schedules import in_words
from floss.figures.tables import read_runs
from floss.jobs.networks import network_ids

DELAYS = ["accuracy_vs_delay.png", "accuracy_vs_delay.svg"]


FOLDERS = {
    "one network": [network()],
    "seeds": [network(s) for s in range(3)],
    "without flossing": [network(flossing="none")],
    "no accuracy": [network(s, task="copy", accuracy=False) for s in range(2)],
    "one diverged": [network(0), network(1, diverged_at=500), network(2, diverged_at=0)],
    "all diverged late": [network(s, diverged_at=500) for s in range(2)],
    "all diverged at once": [network(s, diverged_at=0) for s in range(2)],
    "all diverged without flossing": [network(flossing="none", diverged_at=0)],
    "one failed, one interrupted": [network(0), network(1, status="failed"), network(2, status="interrupted")],
    "all failed or interrupted": [network(s, status=("failed", "interrupted")[s]) for s in range(2)],
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
    "one delay all failed": [network(d=10), network(d=20, status="failed")],
}


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("name", FOLDERS)
def test_learning_curves(tmp_path, name):
    assert drawn(write(tmp_path, *FOLDERS[name])) == CURVES


@pytest.mark.usefixtures("kinds")
@pytest.mark.parametrize("name", SWEEPS)
def test_several_delays_are_compared(tmp_path, name):
    assert drawn(write(tmp_path, *SWEEPS[name])) == DELAYS + CURVES


@pytest.mark.parametrize("name", covered(FOLDERS, ["one diverged", "architectures and gains"]))
def test_learning_curves_are_the_same_when_drawn_twice(tmp_path, name):
    assert drawn_twice(write(tmp_path, *FOLDERS[name])) == CURVES


@pytest.mark.parametrize("name", covered(SWEEPS, ["one schedule all diverged"]))
def test_comparisons_of_delays_are_the_same_when_drawn_twice(tmp_path, name):
    assert drawn_twice(write(tmp_path, *SWEEPS[name])) == DELAYS + CURVES


@pytest.mark.usefixtures("kinds")
def test_nothing_to_compare_where_every_network_diverged(tmp_path):
    folder = write(tmp_path, *(network(d=d, diverged_at=250) for d in (10, 20)))
    assert drawn(folder) == CURVES


@pytest.mark.usefixtures("kinds")
def test_nothing_to_compare_where_no_network_is_done(tmp_path):
    folder = write(tmp_path, *(network(d=d, status="interrupted") for d in (10, 20)))
    assert drawn(folder) == CURVES


def test_other_numbers_give_another_picture(tmp_path):
    """Or else equal bytes would say nothing."""
    one, other = (draw(write(tmp_path, network(s)))[0].read_bytes() for s in (0, 5))
    assert one != other


@pytest.mark.usefixtures("kinds")
def test_axes_and_groups_are_named(tmp_path):
    draw(write(tmp_path, *SWEEPS["schedules and seeds"]))
    curves = texts(tmp_path / "learning_curves.svg")
    for text in (
        "xor, d = 10",
        "xor, d = 40",
        "test accuracy",
        "test loss",
        "training epoch",
        "never flossed (n = 4)",
        "flossing episode",
    ):
        assert f"<!-- {text} -->" in curves
    delays = texts(tmp_path / "accuracy_vs_delay.svg")
    for text in ("final test accuracy", "delay d (steps)", "flossed before training (n = 4)"):
        assert f"<!-- {text} -->" in delays


@pytest.mark.usefixtures("kinds")
def test_groups_are_named_by_what_varies(tmp_path):
    draw(write(tmp_path, *SWEEPS["k"]))
    assert "<!-- k = 75 (n = 1) -->" in texts(tmp_path / "accuracy_vs_delay.svg")
    draw(write(tmp_path, *FOLDERS["architectures and gains"]))
    assert "<!-- relu, g = 0.5 (n = 1) -->" in texts(tmp_path / "learning_curves.svg")


@pytest.mark.usefixtures("kinds")
def test_a_task_without_accuracy_is_drawn_by_its_loss(tmp_path):
    draw(write(tmp_path, *SWEEPS["no accuracy"]))
    assert "accuracy" not in texts(tmp_path / "learning_curves.svg") + texts(tmp_path / "accuracy_vs_delay.svg")
    assert "<!-- final test loss -->" in texts(tmp_path / "accuracy_vs_delay.svg")


@pytest.mark.parametrize("content", ["- 1", "d: 4", "d: 4\nd: 4", "runs: [1]", "a: ["])
def test_a_damaged_configuration_is_said(tmp_path, content):
    (tmp_path / "run").mkdir()
    write(tmp_path / "run", network())
    (tmp_path / "run/config.yaml").write_text(content)
    done = inside(tmp_path, "figures", "results=.")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "floss figures: run: cannot be drawn: its config.yaml is damaged\n"


def test_figures_need_neither_torch_nor_hydra(tmp_path):
    program = (
        "import sys; from pathlib import Path; from floss.figures import draw; draw(Path(sys.argv[1]))\n"
        "print([m for m in ('torch', 'hydra', 'floss.training.training', 'floss.sweep.run') if m in sys.modules])"
    )
    folder = write(tmp_path, *SWEEPS["one network each"])
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def write_lengths(folder: Path) -> Path:
    """Networks that no identity column tells apart: of two flossing lengths."""
    networks = [network(seed=seed) for seed in (0, 1)] * 2
    write(folder, *networks)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    for run, steps in zip(settings["runs"], (55, 55, 90, 90), strict=True):
        run["flossing"]["steps"] = steps
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder


def test_runs_that_no_identity_column_tells_apart_are_groups_of_their_own(tmp_path):
    runs = read_runs(write_lengths(tmp_path))
    assert runs.summary["group"].tolist() == ["T_f = 55", "T_f = 55", "T_f = 90", "T_f = 90"]
    assert runs.metrics.groupby("group")["seed"].unique().map(list).to_dict() == {
        "T_f = 55": [0, 1],
        "T_f = 90": [0, 1],
    }


def test_keys_that_look_like_numbers_are_kept_apart(tmp_path):
    keys = ("000000000010", "100000000000", "1e0000000001", "000010000000", "0000000000e1", "000000000009")
    networks = [network(seed=seed, k=k) for k in (1, 10, 75) for seed in (0, 1)]
    runs = read_runs(write(tmp_path, *networks, keys=keys))
    assert tuple(runs.summary["network"]) == keys
    assert list(runs.metrics["network"]) == [key for key in keys for _ in range(8)]
    assert list(runs.metrics["group"]) == [f"k = {one['k']}" for one in networks for _ in range(8)]


def test_rows_belong_to_the_network_of_their_key_in_whatever_order(tmp_path):
    folder = write_lengths(tmp_path)
    wanted = read_runs(folder).metrics
    header, *lines = (folder / "metrics.csv").read_text().splitlines()
    (folder / "metrics.csv").write_text("\n".join([header, *lines[::-1], ""]))
    assert read_runs(folder).metrics[::-1].reset_index(drop=True).equals(wanted)


@pytest.mark.usefixtures("no_pictures")
def test_a_network_that_several_jobs_share_is_named_by_its_own_values(tmp_path):
    """Without flossing the learning rate of flossing changes nothing: one network of two jobs."""
    sweep = (*TINY, "flossing=none,pre", "train.lr=1e-3,1e-1", "flossing.lr=1e-3,1e-2")
    assert inside(tmp_path, "train", "-m", *sweep).returncode == 0
    runs = read_runs(next(tmp_path.glob("results/sweep-*")))
    named = dict(zip(runs.summary["network"], runs.summary["group"], strict=True))
    assert len(named) == len(set(named.values())) == 6
    for each in jobs(*sweep):
        (network_key,) = network_ids(each)
        assert named[network_key].startswith(f"{in_words(each.flossing.label)}, ")
        assert f"train.lr = {each.train.lr:g}" in named[network_key]
        assert ("flossing.lr" in named[network_key]) == (each.flossing.label != "none")
        assert each.flossing.label == "none" or f"flossing.lr = {each.flossing.lr:g}" in named[network_key]


@pytest.mark.usefixtures("kinds")
def test_networks_that_are_not_done_are_counted_nowhere(tmp_path):
    networks = [network(s, d=d, status="done" if s else "failed") for d in (10, 20) for s in range(3)]
    draw(write(tmp_path, *networks))
    for name in ("learning_curves.svg", "accuracy_vs_delay.svg"):
        assert "<!-- flossed before and during training (n = 2) -->" in texts(tmp_path / name)


def test_a_gain_of_more_digits_than_the_tables_hold(tmp_path):
    runs = read_runs(write(tmp_path, network(g=1 / 3), network(g=2 / 3)))
    assert runs.summary["group"].tolist() == ["g = 0.333333", "g = 0.666667"]
