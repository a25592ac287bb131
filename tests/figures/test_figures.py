"""Figures from hand-made CSV files: whatever a run can leave, drawn without a warning, the same bytes twice."""

import hashlib
import math
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command import TINY, inside, jobs
from omegaconf import OmegaConf

from floss.figures import draw
from floss.figures.tables import read_runs
from floss.runtime.files import csv_text
from floss.sweep.columns import METRICS, SUMMARY
from floss.sweep.networks import network_ids

CURVES = ["learning_curves.png", "learning_curves.svg"]
DELAYS = ["accuracy_vs_delay.png", "accuracy_vs_delay.svg"]


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
            summary.append([*identity, *[None] * 6, one["status"], reason, key, None])
            continue
        own, end = [], one["diverged_at"]
        for epoch in range(0, 1000 if end is None else int(str(end)), 250):
            value = 0.5 + epoch / 4000 + 0.01 * int(str(one["seed"]))
            accuracy = value if one["accuracy"] else None
            own.append([*identity, epoch, "floss", None, None, -0.1, 0.2, key])
            own.append([*identity, epoch, "train", 1 - value, accuracy, None, None, key])
        metrics += own
        final = [0.3, 0.8 if one["accuracy"] else None] if end is None else [None, None]
        measured = [*final, end, 1000 if end is None else end, 1.0, 0.5]
        summary.append([*identity, *measured, one["status"], None, key, digest(csv_text((), own, header=False))[:16]])
    (folder / "metrics.csv").write_text(csv_text((*METRICS, "network"), metrics))
    (folder / "summary.csv").write_text(csv_text(SUMMARY, summary))
    configs = [config(one) for one in networks]
    own = [[row[SUMMARY.index("network")]] for row in summary]
    settings = {"runs": configs, "networks": own} if len(configs) > 1 else configs[0]
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(settings)))
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


def test_nothing_to_compare_where_no_network_is_done(tmp_path):
    folder = write(tmp_path, *(network(d=d, status="interrupted") for d in (10, 20)))
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


def test_a_network_that_several_jobs_share_is_named_by_its_own_values(tmp_path):
    """Without flossing the learning rate of flossing changes nothing: one network of two jobs."""
    sweep = (*TINY, "flossing=none,pre", "train.lr=1e-3,1e-1", "flossing.lr=1e-3,1e-2")
    assert inside(tmp_path, "train", "-m", *sweep).returncode == 0
    runs = read_runs(next(tmp_path.glob("results/sweep-*")))
    named = dict(zip(runs.summary["network"], runs.summary["group"], strict=True))
    assert len(named) == len(set(named.values())) == 6
    for each in jobs(*sweep):
        (network_key,) = network_ids(each)
        assert named[network_key].startswith(f"{each.flossing.label}, ")
        assert f"train.lr = {each.train.lr:g}" in named[network_key]
        assert each.flossing.label == "none" or f"flossing.lr = {each.flossing.lr:g}" in named[network_key]


def test_networks_that_are_not_done_are_counted_nowhere(tmp_path):
    networks = [network(s, d=d, status="done" if s else "failed") for d in (10, 20) for s in range(3)]
    draw(write(tmp_path, *networks))
    for name in ("learning_curves.svg", "accuracy_vs_delay.svg"):
        assert "<!-- during (n = 2) -->" in texts(tmp_path / name)


def test_a_gain_of_more_digits_than_the_tables_hold(tmp_path):
    runs = read_runs(write(tmp_path, network(g=1 / 3), network(g=2 / 3)))
    assert runs.summary["group"].tolist() == ["g = 0.333333", "g = 0.666667"]


# --- analyses -------------------------------------------------------------------------------------------------------

OF_NETWORK = ("arch", "n", "init", "g", "seed", "flossing", "k", "target")
EPISODE = ["flossing.png", "flossing.svg"]
SPECTRA = ["convergence.png", "convergence.svg", "spectrum.png", "spectrum.svg"]
CONDITIONS = ["condition.png", "condition.svg"]
BEFORE = ("before", None, None)


def analysed(
    *variants: tuple[str, int | None, float | None], seeds: int = 1, n: int = 4, g: float | None = None
) -> list[list[object]]:
    """The identity columns of networks: before flossing, and after it with these k and targets."""
    gains = [1.0 if g is None else g / (seed + 1) for seed in range(seeds)]
    return [["vanilla", n, "gaussian", gains[s], s, *variant] for variant in variants for s in range(seeds)]


def after(k: int, target: float = 0.0) -> tuple[str, int, float]:
    return ("after", k, target)


def number(identity: list[object]) -> float:
    """Another number for each network."""
    return sum(0.1 * float(str(value)) for value in identity[3:] if isinstance(value, int | float))


def table(folder: Path, name: str, columns: tuple[str, ...], rows: list[list[object]]) -> None:
    (folder / f"{name}.csv").write_text(csv_text((*OF_NETWORK, *columns), rows))


def write_flossing(folder: Path, networks: list[list[object]], epochs: int = 3, loss: float = 1.0) -> None:
    """flossing.csv of the networks after flossing."""
    flossed = [identity for identity in networks if identity[5] == "after"]
    rows = [[*one, e, loss / (e + 1), -1.0 / (e + 1), -2.0 / (e + 1)] for e in range(epochs) for one in flossed]
    table(folder, "flossing", ("epoch", "floss_loss", "lambda_1", "lambda_k"), rows)


def write_spectrum(
    folder: Path, networks: list[list[object]], lost: float = 0.0, *, states: int = 1, show: tuple[int, ...] = (1, 4)
) -> Path:
    """The tables of `floss spectrum`; `lost` is added to the last exponents of the first network, and of its course."""
    exponents, course, dimensions = [], [], []
    for place, identity in enumerate(networks):
        n = int(str(identity[1]))
        for state in range(states):
            lam = [number(identity) - 0.3 * i + (lost if place == 0 and 2 * i >= n else 0.0) for i in range(n)]
            exponents += [[*identity, state, i + 1, value, 0.01] for i, value in enumerate(lam)]
            dimensions.append([*identity, state, lam[0], 1.5, 0.2, 1])
            course += [[*identity, state, t, i, lam[i - 1] * (1 + 1 / t)] for i in show for t in (1, 5, 10)]
    table(folder, "spectrum", ("state", "i", "lambda", "standard_error"), exponents)
    table(folder, "convergence", ("state", "step", "i", "lambda"), course)
    names = ("state", "lambda_1", "kaplan_yorke_dimension", "entropy_rate", "t_ons")
    table(folder, "dimensions", names, dimensions)
    return folder


def write_condition(
    folder: Path,
    networks: list[list[object]],
    *,
    horizons: tuple[int, ...] = (10, 20, 30),
    dims: tuple[int, ...] = (2, 4),
    at: int = 20,
    lost: float = 0.0,
    bits: int | None = None,
    ceiling: float = 77.0,
) -> Path:
    """condition.csv; `lost` is added to what the first network has, and `ceiling` bounds what the limited bits give."""
    rows = []
    for place, identity in enumerate(networks):
        places = dict.fromkeys([(t, m) for t in horizons for m in dims] + [(at, m) for m in (1, 2, 3, 4)])
        for t, m in places:
            exact = (m - 1) * t * (1.0 + number(identity)) + (lost if place == 0 and m > 1 else 0.0)
            rows.append([*identity, t, m, "exact", exact])
            rows.append([*identity, t, m, "theory", 0.9 * exact])
            if bits:
                rows.append([*identity, t, m, f"bits={bits}", min(exact, ceiling)])
    table(folder, "condition", ("horizon", "m", "method", "log10_condition"), rows)
    return folder


EVERY_VARIANT = [BEFORE, *(after(k, target) for k in (1, 2, 3) for target in (-1.0, -0.5, 0.0))]
NETWORKS = {
    "one network": analysed(BEFORE),
    "flossed": analysed(BEFORE, after(2), seeds=2),
    "random gains, several k": analysed(BEFORE, after(1), after(2), seeds=3, g=1.0),
    "more variants than colours": analysed(*EVERY_VARIANT),
}


def names(paths: list[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_an_analysis_is_drawn_the_same_twice(tmp_path):
    networks = NETWORKS["flossed"]
    write_flossing(tmp_path, networks)
    write_condition(write_spectrum(tmp_path, networks), networks)  # which no command puts into one folder
    assert drawn_twice(tmp_path) == sorted(SPECTRA + CONDITIONS + EPISODE)


@pytest.mark.parametrize("name", NETWORKS)
def test_spectra(tmp_path, name):
    assert names(draw(write_spectrum(tmp_path, NETWORKS[name]))) == SPECTRA


@pytest.mark.parametrize("name", NETWORKS)
def test_condition_numbers(tmp_path, name):
    flossed = any(identity[5] == "after" for identity in NETWORKS[name])
    if flossed:
        write_flossing(tmp_path, NETWORKS[name])
    assert names(draw(write_condition(tmp_path, NETWORKS[name]))) == sorted(CONDITIONS + EPISODE * flossed)


ODD_SPECTRA = {
    "exponents lost": {"networks": analysed(BEFORE, after(2), seeds=2), "lost": -math.inf},
    "not a number": {"networks": analysed(BEFORE, after(2), seeds=2), "lost": math.nan},
    "all lost": {"networks": analysed(BEFORE, n=1), "lost": -math.inf, "show": (1,)},
    "states": {"networks": analysed(BEFORE), "states": 3},
    "one exponent": {"networks": analysed(BEFORE, n=1), "show": (1,)},
    "many exponents": {"networks": analysed(BEFORE, n=90), "show": (1, 20, 60, 80)},
}


@pytest.mark.parametrize("name", ODD_SPECTRA)
def test_odd_spectra(tmp_path, name):
    assert names(draw(write_spectrum(tmp_path, **ODD_SPECTRA[name]))) == SPECTRA


def test_a_spectrum_whose_convergence_is_not_shown(tmp_path):
    folder = write_spectrum(tmp_path, analysed(BEFORE), show=())
    assert names(draw(folder)) == ["spectrum.png", "spectrum.svg"]


ODD_CONDITIONS = {
    "singular": {"networks": analysed(BEFORE, after(2), seeds=2), "lost": math.inf},
    "one horizon": {"networks": analysed(BEFORE), "horizons": (20,)},
    "only m = 1": {"networks": analysed(BEFORE), "dims": (1,), "lost": 0.0},
    "limited precision, singular": {"networks": analysed(BEFORE, seeds=2), "lost": math.inf, "bits": 256},
}


@pytest.mark.parametrize("name", ODD_CONDITIONS)
def test_odd_condition_numbers(tmp_path, name):
    assert names(draw(write_condition(tmp_path, **ODD_CONDITIONS[name]))) == CONDITIONS


@pytest.mark.parametrize(("epochs", "loss"), [(1, 1.0), (3, 0.0)])
def test_odd_episodes(tmp_path, epochs, loss):
    networks = analysed(BEFORE, after(2), seeds=2)
    write_flossing(tmp_path, networks, epochs, loss)
    assert names(draw(tmp_path)) == EPISODE


def test_an_episode_in_which_no_network_stayed_finite(tmp_path):
    networks = analysed(BEFORE)
    write_flossing(tmp_path, networks, epochs=0)
    assert set(names(draw(write_condition(tmp_path, networks)))) >= set(CONDITIONS)


def test_limited_precision_says_where_it_saturates(tmp_path):
    note, networks = "bits saturate near", analysed(BEFORE, after(2), seeds=2)
    draw(write_condition(tmp_path, networks, bits=256, ceiling=30.0))
    assert "<!-- 256 bits saturate near 10^30 -->" in texts(tmp_path / "condition.svg")
    assert "<!-- before flossing: 256 bits per float -->" in texts(tmp_path / "condition.svg")
    draw(write_condition(tmp_path, networks, bits=512, ceiling=1e3))
    assert note not in texts(tmp_path / "condition.svg")
    assert "<!-- before flossing: 512 bits per float -->" in texts(tmp_path / "condition.svg")
    draw(write_condition(tmp_path, networks))
    assert note not in texts(tmp_path / "condition.svg")


def test_an_analysis_names_its_networks(tmp_path):
    networks = analysed(BEFORE, after(1, -0.5), after(2, -0.5), seeds=2)
    write_flossing(tmp_path, networks)
    draw(write_spectrum(tmp_path, networks))
    spectrum, course = texts(tmp_path / "spectrum.svg"), texts(tmp_path / "convergence.svg")
    for text in ("before flossing (n = 2)", "flossed, k = 2 (n = 2)", "vanilla, N = 4: single networks, median"):
        assert f"<!-- {text} -->" in spectrum
    for text in ("before flossing", "flossed, k = 1", "i = 4", "counted steps"):
        assert f"<!-- {text} -->" in course
    for text in ("flossed, k = 1 (n = 2)", "flossing epoch", "vanilla, N = 4: single networks, targets dashed"):
        assert f"<!-- {text} -->" in texts(tmp_path / "flossing.svg")
    draw(write_condition(tmp_path, analysed(BEFORE, after(2, -1.0), after(1, 0.0))))
    condition = texts(tmp_path / "condition.svg")
    for text in (
        "before flossing: computed (n = 1)",
        "flossed, k = 2, target -1: predicted (Eq. 10)",
        "A  m = 2",
        "B  after 20 steps",
        "time horizon (steps)",
        "tangent dimensions m",
        "predicted log₁₀ κ₂",
    ):
        assert f"<!-- {text} -->" in condition, text


def test_figures_finds_runs_and_analyses(tmp_path):
    for name in ("run", "spectrum", "deep/er/condition", "nothing", "ensembles/xor-vanilla-0", "deep/ensembles/xor-0"):
        (tmp_path / "results" / name).mkdir(parents=True)
    for name in ("run", "ensembles/xor-vanilla-0", "deep/ensembles/xor-0"):  # ensembles are no runs
        write(tmp_path / "results" / name, network())
    write_spectrum(tmp_path / "results" / "spectrum", analysed(BEFORE))
    write_condition(tmp_path / "results" / "deep" / "er" / "condition", analysed(BEFORE))
    done = inside(tmp_path, "figures")
    assert (done.returncode, done.stderr) == (0, "")
    found = [*(f"run/{name}" for name in CURVES), *(f"spectrum/{name}" for name in SPECTRA)]
    found += [f"deep/er/condition/{name}" for name in CONDITIONS]
    assert sorted(done.stdout.splitlines()) == sorted(f"results/{name}" for name in found)
    assert all((tmp_path / line).is_file() for line in done.stdout.splitlines())
    drawn = {path for kind in ("png", "svg") for path in (tmp_path / "results").rglob(f"*.{kind}")}
    assert drawn == {tmp_path / line for line in done.stdout.splitlines()}


def cut(folder: Path) -> None:
    (folder / "spectrum.csv").write_text((folder / "spectrum.csv").read_text()[:40])


def without_rows(folder: Path) -> None:
    (folder / "spectrum.csv").write_text((folder / "spectrum.csv").read_text().splitlines()[0] + "\n")


def nothing(folder: Path) -> None:
    (folder / "spectrum.csv").write_text("")


def without_another(folder: Path) -> None:
    (folder / "convergence.csv").unlink()


@pytest.mark.parametrize("damage", [cut, without_rows, nothing, without_another])
def test_a_damaged_analysis_is_named_and_the_others_are_drawn(tmp_path, damage):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    write_spectrum(tmp_path / "a", analysed(BEFORE))
    write_spectrum(tmp_path / "b", analysed(BEFORE), show=())
    damage(tmp_path / "a")
    done = inside(tmp_path, "figures", "results=.")
    assert done.stderr.startswith("floss figures: a: cannot be drawn: ")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stdout.splitlines()[-2:] == ["b/spectrum.png", "b/spectrum.svg"]
