"""Pictures of analyses from hand-made CSV files: whatever an analysis can leave, drawn without a warning."""

import math
from pathlib import Path

import pytest
from command import inside
from figures.made_up_runs import CURVES, network, write
from figures.pictures import drawn, drawn_twice, texts

from floss.figures import draw
from floss.runtime.files import csv_text

pytestmark = pytest.mark.usefixtures("kinds")

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


def test_an_analysis_is_drawn_the_same_twice(tmp_path):
    networks = NETWORKS["flossed"]
    write_flossing(tmp_path, networks)
    write_condition(write_spectrum(tmp_path, networks), networks)  # which no command puts into one folder
    assert drawn_twice(tmp_path) == sorted(SPECTRA + CONDITIONS + EPISODE)


@pytest.mark.parametrize("name", NETWORKS)
def test_spectra(tmp_path, name):
    assert drawn(write_spectrum(tmp_path, NETWORKS[name])) == SPECTRA


@pytest.mark.parametrize("name", NETWORKS)
def test_condition_numbers(tmp_path, name):
    flossed = any(identity[5] == "after" for identity in NETWORKS[name])
    if flossed:
        write_flossing(tmp_path, NETWORKS[name])
    assert drawn(write_condition(tmp_path, NETWORKS[name])) == sorted(CONDITIONS + EPISODE * flossed)


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
    assert drawn(write_spectrum(tmp_path, **ODD_SPECTRA[name])) == SPECTRA


def test_a_spectrum_whose_convergence_is_not_shown(tmp_path):
    folder = write_spectrum(tmp_path, analysed(BEFORE), show=())
    assert drawn(folder) == ["spectrum.png", "spectrum.svg"]


ODD_CONDITIONS = {
    "singular": {"networks": analysed(BEFORE, after(2), seeds=2), "lost": math.inf},
    "one horizon": {"networks": analysed(BEFORE), "horizons": (20,)},
    "only m = 1": {"networks": analysed(BEFORE), "dims": (1,), "lost": 0.0},
    "limited precision, singular": {"networks": analysed(BEFORE, seeds=2), "lost": math.inf, "bits": 256},
}


@pytest.mark.parametrize("name", ODD_CONDITIONS)
def test_odd_condition_numbers(tmp_path, name):
    assert drawn(write_condition(tmp_path, **ODD_CONDITIONS[name])) == CONDITIONS


@pytest.mark.parametrize(("epochs", "loss"), [(1, 1.0), (3, 0.0)])
def test_odd_episodes(tmp_path, epochs, loss):
    networks = analysed(BEFORE, after(2), seeds=2)
    write_flossing(tmp_path, networks, epochs, loss)
    assert drawn(tmp_path) == EPISODE


def test_an_episode_in_which_no_network_stayed_finite(tmp_path):
    networks = analysed(BEFORE)
    write_flossing(tmp_path, networks, epochs=0)
    assert set(drawn(write_condition(tmp_path, networks))) >= set(CONDITIONS)


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
