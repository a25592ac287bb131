"""`floss reproduce`: every figure of the paper, computed where it is missing and nowhere else, and drawn."""

import csv
import functools
import importlib
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from command import expand, floss, inside, rows, start

from floss.papers.claim import COLUMNS
from floss.papers.draw import draw_figure
from floss.papers.experiments import SCALES
from floss.papers.finding import Finding
from floss.papers.findings import REQUESTS, Reproduction, record_request
from floss.papers.gradient_flossing import PAPER
from floss.papers.paper import Paper
from floss.papers.reproduce import FigureRequest, mend
from floss.sweep.networks import NetworkJobs
from floss.sweep.store import Store

ROOT = Path(__file__).resolve().parents[2]
SMOKE = "scale=smoke"
KINDS = ("png", "svg")
"""Of pictures."""
SOME = ("fig02", "fig04", "fig06", "fig08", "fig09", "fig10", "fig14", "fig15", "table1", "until")
"""Of networks, exponents, condition numbers, diagnostics, single steps and timings, and one of ours: every kind of
data, and networks that several figures share. Slow tests compute all figures, and ask the same of them."""
DRAWN_AGAIN = ("fig02", "fig09", "fig14", "fig15", "table1")
"""Of exponents, diagnostics, accuracy, condition numbers and timings; slow tests draw all of them again."""
all_claims, experiment, figures, label, named = PAPER.claims, PAPER.experiment, PAPER.figures, PAPER.label, PAPER.named


@pytest.fixture(scope="module", params=[SOME, pytest.param(figures(), marks=pytest.mark.slow)], ids=["some", "all"])
def computed(request) -> tuple[str, ...]:
    """The figures that are computed."""
    return request.param


def asked(computed: tuple[str, ...]) -> str:
    """How a user asks for them."""
    return "fig=all" if computed == figures() else f"fig=[{','.join(computed)}]"


@pytest.fixture(scope="module")
def smoke(computed, tmp_path_factory) -> Path:
    """These figures at the smallest scale, as a user computes them."""
    folder = tmp_path_factory.mktemp("smoke")
    begin = time.process_time()  # unlike the clock, it does not count what runs beside this process
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Memory takes a process for every contender, which tests of the bench start.
        monkeypatch.setattr("floss.analysis.bench.memory.peak_megabytes", lambda *_: 1.25)
        done = inside(folder, "reproduce", asked(computed), SMOKE)
    assert done.returncode == 0, done.stderr
    assert time.process_time() - begin < 300
    (folder / "printed").write_text(done.stdout)
    return folder


@pytest.fixture
def copy(smoke, tmp_path) -> Path:
    """The same to spoil."""
    shutil.copytree(smoke / "results", tmp_path / "results")
    return tmp_path


@functools.cache
def networks_of(figure: str, scale: str) -> dict[str, NetworkJobs]:
    """The networks of every run of a figure that trains."""
    runs = experiment(figure).scales[scale].items()
    return {name: expand(run.jobs(Path("nowhere"))) for name, run in runs if run.kind.command == "train"}


def draw_only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Of all figures draw these alone: a picture takes longer than looking whether anything is missing of its data."""

    def draw_some(reproduction: Reproduction, figure: str) -> list[Path]:
        return draw_figure(reproduction, figure) if figure in names else []

    monkeypatch.setattr("floss.papers.draw.draw_figure", draw_some)


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "results/paper/figures").iterdir()}


FURTHER = {"fig14_more", "gated", "linear", "qr"}
"""Experiments on what the paper says without a figure."""
OURS = {"budget", "capacity", "control", "items", "spectra", "until"}
"""Experiments on what it does not say."""


def test_a_figure_is_a_file_in_each_of_two_places():
    names = {*(f"fig{i:02d}" for i in range(1, 17)), "table1", "overlap", *FURTHER, *OURS}
    assert set(figures()) == names
    for folder in ("conf/experiment/gradient_flossing", "floss/papers/gradient_flossing"):
        assert names <= {path.stem for path in (ROOT / folder).iterdir()}
    for figure in names:
        assert callable(importlib.import_module(f"floss.papers.gradient_flossing.{figure}").draw)
        assert {claim.figure for claim in all_claims()} == names


def test_names_of_claims_are_unique_and_tell_their_figure():
    names = [claim.name for claim in all_claims()]
    assert len(set(names)) == len(names)
    assert all(claim.name.startswith(f"{claim.figure}.") for claim in all_claims())


@pytest.mark.parametrize("figure", figures())
def test_the_smaller_scales_are_parts_of_the_larger(figure):
    """So that nothing that was computed for one is lost for the other; smoke trains for fewer epochs."""
    assert set(experiment(figure).scales) == set(SCALES)
    every = networks_of(figure, "paper")
    for name, small in networks_of(figure, "small").items():
        if name in every:
            paper = every[name]
            assert set(small) <= set(paper)
            assert all(one.train.epochs == next(iter(paper.values())).train.epochs for one in small.values())


def test_the_papers_own_grid():
    runs = networks_of("fig04", "paper").values()
    networks = {name: network for run in runs for name, network in run.items()}
    assert len(networks) == 2 * 8 * 3 * 20
    one = next(iter(networks.values()))
    assert (one.train.epochs, one.train.steps, one.train.batch, one.arch.n, one.flossing.k) == (10_000, 300, 16, 80, 75)
    assert {one.d for one in networks.values()} == set(range(10, 81, 10))


@pytest.mark.parametrize("figure", figures())
def test_smoke_scale_trains_for_a_few_epochs(figure):
    """Nothing is learnt there: more would only take longer."""
    networks = [network for run in networks_of(figure, "smoke").values() for network in run.values()]
    assert all(network.train.epochs <= 20 and network.flossing.epochs <= 25 for network in networks)
    assert {network.seeds for network in networks} <= {1}
    assert len(networks) <= 32


def test_figures_share_networks():
    def keys(figure: str, name: str) -> set[str]:
        return set(networks_of(figure, "paper")[name])

    assert keys("fig13", "spatial") <= keys("fig04", "spatial")
    assert keys("fig05", "during") & keys("fig04", "temporal")
    assert keys("fig07", "pre") & keys("fig04", "temporal")
    assert keys("fig09", "gradient") & keys("fig08", "gradient")
    assert keys("fig08", "gradient") <= keys("fig12", "gradient")
    assert keys("table1", "share") < keys("fig03", "copy")
    assert keys("until", "fixed") <= keys("control", "exponents")
    assert keys("budget", "early") & keys("control", "exponents")


def test_the_seeds_of_our_figures_are_their_own():
    """No choice was made on them, and no claim of the paper counts them."""

    def seeds(figure: str) -> set[int]:
        runs = [run for scale in SCALES for run in networks_of(figure, scale).values()]
        return {network.seed for run in runs for network in run.values()}

    assert min(seed for figure in OURS for seed in seeds(figure)) == 100
    assert max(seed for figure in set(figures()) - OURS for seed in seeds(figure)) < 100


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (4, ("fig04",)),
        ("table1", ("table1",)),
        ("fig4", ("fig04",)),
        ([16, "overlap", 16], ("fig16", "overlap")),
        ("all", figures()),
    ],
)
def test_what_fig_means(given, names):
    assert named(given) == names


def test_what_the_paper_calls_them():
    names = {"fig04": "Fig. 4", "fig16": "Fig. 16", "table1": "Table 1", "overlap": "App. D"}
    names |= {"control": "Control (ours)", "until": "Until (ours)"}
    assert {name: label(name) for name in names} == names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fig=17"], "fig=17: must be all, 1 to 16, fig14_more, table1,"),
        (["fig=tabel1"], "did you mean table1?"),
        (["fig=[]"], "fig=[]: must name a figure"),
        (["fig=1.5"], "fig=1.5: must be all, 1 to 16"),
        (["scale=huge"], "scale=huge: must be one of paper, small, smoke"),
        (["figure=4"], "figure: there is no such key; did you mean fig?"),
        (["engine=magic", "fig=4"], "engine=magic: must be one of auto, torch, native"),
        (["fig=4", "results=/dev/null/no"], "results=/dev/null/no: must be a folder that can be written"),
        (["fig=4", "device=cuda", "engine=torch"], "device=cuda: "),
    ],
)
def test_wrong_input_is_answered_in_one_line(tmp_path, arguments, words):
    done = inside(tmp_path, "reproduce", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_every_figure_is_drawn(smoke, computed):
    assert set(pictures(smoke)) == {f"{figure}.{suffix}" for figure in computed for suffix in KINDS}
    text = (smoke / "printed").read_text()
    for figure in computed:
        assert re.search(rf"^{re.escape(label(figure))} ", text, re.MULTILINE)
    assert re.search(r"^to compute: \d+ networks in \d+ ensembles, \d+ analyses; about .* on this machine$", text, re.M)
    # No folder of jobs or sweeps, which repeat the rows of the ensembles.
    names = {path.name for path in (smoke / "results/paper").iterdir()}
    assert names == {"ensembles", "analyses", "figures", "reproduction.json"}


def test_nothing_is_computed_twice_and_pictures_are_the_same_bytes(copy, computed, monkeypatch):
    draw_only(monkeypatch, "fig06", "until")
    before, ensembles = pictures(copy), set((copy / "results/paper/ensembles").iterdir())
    stamps = {path: path.stat().st_mtime_ns for path in (copy / "results/paper").rglob("*.csv")}
    shutil.rmtree(copy / "results/paper/figures")
    done = inside(copy, "reproduce", asked(computed), SMOKE)
    assert done.returncode == 0, done.stderr
    assert "nothing to compute" in done.stdout
    redrawn = pictures(copy)
    assert redrawn == {
        f"{figure}.{kind}": before[f"{figure}.{kind}"] for figure in ("fig06", "until") for kind in KINDS
    }
    assert set((copy / "results/paper/ensembles").iterdir()) == ensembles
    assert {path: path.stat().st_mtime_ns for path in (copy / "results/paper").rglob("*.csv")} == stamps


def test_figures_draws_what_is_asked_for_without_computing(copy):
    before = pictures(copy)
    shutil.rmtree(copy / "results/paper/figures")
    done = inside(copy, "figures", "fig=4")
    assert done.returncode == 0, done.stderr
    assert pictures(copy) == {name: before[name] for name in ("fig04.png", "fig04.svg")}


def test_figures_draws_all_without_computing_and_pictures_are_the_same_bytes(copy, computed, monkeypatch):
    names = DRAWN_AGAIN if computed == SOME else computed
    draw_only(monkeypatch, *names)
    before = pictures(copy)
    shutil.rmtree(copy / "results/paper/figures")
    assert inside(copy, "figures").returncode == 0
    assert pictures(copy) == {f"{name}.{kind}": before[f"{name}.{kind}"] for name in names for kind in KINDS}


def test_what_is_damaged_is_repaired_and_nothing_else(copy, computed, monkeypatch):
    """A deleted row of metrics.csv costs its network, and a changed table its analysis."""
    before, root = pictures(copy), copy / "results/paper"
    networks, _ = sorted(Store(root).records().values(), key=lambda record: record.network_id)[:2]
    metrics = networks.folder / "metrics.csv"
    lines = metrics.read_text().splitlines(keepends=True)
    gone = next(i for i, line in enumerate(lines) if line.endswith(f",{networks.network_id}\n"))
    metrics.write_text("".join(lines[:gone] + lines[gone + 1 :]))
    spectrum = next(root.glob("analyses/spectrum-lstm-*/flossing.csv"))
    text = spectrum.read_text()
    spectrum.write_text(text.replace("lstm", "gru", 1))
    of_network = {f for f in computed for run in networks_of(f, "smoke").values() if networks.network_id in run}
    assert of_network
    drawn_from = of_network | {"fig06"}
    draw_only(monkeypatch, *drawn_from)
    for name in drawn_from:
        (root / "figures" / f"{name}.svg").unlink()
    done = inside(copy, "reproduce", asked(computed), SMOKE)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^to compute: 1 network in 1 ensemble, 1 analysis; ", done.stdout, re.MULTILINE)
    assert spectrum.read_text() == text
    assert pictures(copy) == before


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGES = (
    halved,
    lambda content: b"",
    lambda content: b"\xff" + content,
    lambda content: content.replace(b"lr: 0.001", b"lr: 0.002"),  # a number in its place
    lambda content: content.replace(b"delay: ", b"relay: "),
    lambda content: content.replace(b"runs:", b"runs: 3\nothers:"),
)


def said_by_mending(copy: Path, computed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said of the files beside the tables of all that was computed."""
    monkeypatch.chdir(copy)
    return sorted(mend(FigureRequest(PAPER, computed, "smoke", Path("results/paper"))))


def said_by_fig04(copy: Path) -> list[str]:
    """What `floss reproduce fig=4` says of them, as a user sees it."""
    done = inside(copy, "reproduce", SMOKE, "fig=4")
    assert done.returncode == 0, done.stderr
    assert "nothing to compute" in done.stdout
    return done.stderr.splitlines()


def test_config_files_are_written_again_as_they_were(copy, computed, monkeypatch):
    """Of all ensembles and analyses; each is damaged in another way, and one is gone."""
    before = {path: path.read_bytes() for path in sorted(copy.glob("results/paper/*/*/config.yaml"))}
    assert len(before) > len(DAMAGES)
    damaged = []
    for i, (path, content) in enumerate(before.items()):
        spoiled = DAMAGES[i % len(DAMAGES)](content)
        if spoiled != content:
            path.write_bytes(spoiled)
            damaged.append(path)
    damaged[-1].unlink()
    assert {path.parent.parent.name for path in damaged} == {"ensembles", "analyses"}
    said = said_by_mending(copy, computed, monkeypatch)
    where = [path.relative_to(copy) for path in damaged]
    assert said == sorted(f"{path} was damaged, changed or missing: written again" for path in where)
    assert {path: path.read_bytes() for path in before} == before
    assert said_by_mending(copy, computed, monkeypatch) == []


def configs_beside(figure: str, copy: Path) -> tuple[Path, Path]:
    """config.yaml of an ensemble with networks of this figure and of others, and of one without any of this figure."""
    wanted = {name for run in networks_of(figure, "smoke").values() for name in run}
    ensembles = Store(copy / "results/paper").ensembles().items()
    keys = {folder: {record.network_id for record in records} for folder, records in ensembles}
    shared = next(folder for folder in keys if keys[folder] & wanted and keys[folder] - wanted)
    foreign = next(folder for folder in keys if not keys[folder] & wanted)
    return shared / "config.yaml", foreign / "config.yaml"


def test_an_ensemble_of_several_figures_is_described_for_any_of_them(copy):
    shared, foreign = configs_beside("fig04", copy)
    before = shared.read_bytes()
    for path in (shared, foreign):
        path.write_bytes(b"")
    assert said_by_fig04(copy) == [f"floss: {shared.relative_to(copy)} was damaged, changed or missing: written again"]
    assert (shared.read_bytes(), foreign.read_bytes()) == (before, b"")


def test_networks_of_no_figure_are_not_forgotten(copy, monkeypatch):
    """Where config.yaml cannot be written again, it stays as it is."""
    shared, _ = configs_beside("fig04", copy)
    shared.write_bytes(b"runs: [")
    monkeypatch.setattr(Paper, "figures", lambda paper: ("fig04",))
    assert said_by_fig04(copy) == [
        f"floss: {shared.relative_to(copy)} is damaged or missing, and has networks of no figure: take it from a copy"
    ]
    assert shared.read_bytes() == b"runs: ["


def test_a_lost_environment_is_said(copy, computed, monkeypatch):
    kinds = ("ensembles/*", "analyses/spectrum-*", "analyses/*-smoke")
    paths = [next(copy.glob(f"results/paper/{kind}/environment.json")) for kind in kinds]
    paths[0].unlink()
    paths[1].write_text("{")
    paths[2].write_text("[]")
    assert said_by_mending(copy, computed, monkeypatch) == sorted(
        f"{path.relative_to(copy)} is damaged or missing: "
        "the numbers are sound, but only a copy knows where they were computed"
        for path in paths
    )


@pytest.mark.parametrize("content", [b"", b"\xff{", b"[1, 2]", b'{"fig04": 3}'])
def test_a_damaged_record_of_what_was_asked_for_hides_nothing(copy, content):
    root = copy / "results/paper"
    before = Reproduction(root).findings("fig04")
    (root / REQUESTS).write_bytes(content)
    found = Reproduction(root).findings("fig04")
    assert before is not None
    assert found is not None
    assert {name: one.command for name, one in found.items()} == {name: one.command for name, one in before.items()}
    record_request(root, PAPER, ("fig04",), "smoke")
    assert set(Reproduction(root).requested) == set(figures())
    assert Reproduction(root).findings("fig08") is not None


def test_interrupted_twice_it_ends_with_the_same_pictures(smoke, tmp_path):
    """SIGINT while networks are trained: status 130, and the same command goes on."""
    arguments = ("reproduce", "fig=[4,8]", SMOKE)
    for begun in (1, 2):
        process = start(tmp_path, *arguments)
        while process.poll() is None and len([*tmp_path.glob("results/paper/ensembles/*/summary.csv")]) < begun:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        assert process.returncode in (0, 130), (out, err)
        assert "Traceback" not in err
    done = floss(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    before = pictures(smoke)
    assert pictures(tmp_path) == {f"{f}.{s}": before[f"{f}.{s}"] for f in ("fig04", "fig08") for s in KINDS}


def test_the_larger_scale_is_shown_where_it_is_complete(copy, tmp_path):
    reproduction = Reproduction(copy / "results/paper")
    findings = reproduction.findings("fig04")
    assert findings is not None
    assert {finding.scale for finding in findings.values()} == {"smoke"}
    assert isinstance(findings["temporal"], Finding)
    overrides = experiment("fig04").scales["smoke"]["temporal"].overrides
    assert findings["temporal"].command == f"floss train -m {' '.join(overrides)}"
    assert Reproduction(tmp_path / "nothing").findings("fig04") is None


def test_a_report_of_data_that_show_nothing(copy):
    done = inside(copy, "report")
    assert done.returncode == 0, done.stderr
    with (copy / "results/claims.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == list(COLUMNS)
    assert [row["claim"] for row in table] == [claim.name for claim in all_claims()]
    measured = {row["figure"]: row["verdict"] for row in table}
    assert measured.pop("fig15") == "reproduced"  # a theorem
    assert set(measured.values()) == {"not yet enough data"}
    assert "</html>" in (copy / "results/report.html").read_text()


def test_a_report_needs_a_reproduction(tmp_path):
    done = inside(tmp_path, "report")
    assert done.returncode == 2
    assert done.stderr == "floss report: results=results/paper: must be a folder of floss reproduce\n"


def test_rows_are_those_of_the_store(copy):
    """A finding's tables against the files, read by hand."""
    findings = Reproduction(copy / "results/paper").findings("fig10")
    assert findings is not None
    finding = findings["gradient"]
    # Of `early` in 20 epochs there is one episode: the store has these networks under the name of `pre`.
    keys = {network.removesuffix("-early") for network in finding.summary["network"]}
    by_hand = [row for folder in finding.folders for row in rows(folder / "metrics.csv") if row["network"] in keys]
    assert len(finding.metrics) == len(by_hand)
    assert sorted(finding.metrics["sv_20"].dropna()) == sorted(float(row["sv_20"]) for row in by_hand if row["sv_20"])
