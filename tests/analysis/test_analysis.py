"""`floss spectrum` and `floss condition`: tables against plain twins, many networks at once, checkpoints, signals."""

import functools
import hashlib
import itertools
import math
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import analysis, files, floss, inside, job, rows, run_jobs, start
from problems import DOUBLE
from torch import Tensor
from twins import step_twin

from floss import adaptive_t_ons, flossing_loss, lyapunov_spectrum, random
from floss.analysis import run
from floss.analysis.networks import Flossing
from floss.analysis.progress import AnalysisBar, WatchedStep
from floss.lyapunov.chain import Chain, initial_tangent, run_exponents
from floss.lyapunov.condition import condition_number
from floss.lyapunov.history import lyapunov_history
from floss.lyapunov.orthonormalisation import tangent_qr
from floss.networks import CELLS, Parameters
from floss.random import Stream
from floss.runtime.checkpoint import load_checkpoint, save_checkpoint
from floss.runtime.files import CHECKSUMS
from floss.tasks import TASKS

FLOSSED = ("arch.n=4", "flossing.k=2", "flossing.epochs=4", "flossing.steps=20", "transient=6")
TINY = {
    "spectrum": (*FLOSSED, "steps=30", "show=[1,3,9]"),
    "condition": (*FLOSSED, "steps=12", "at=8", "horizons=3"),
}
COMMANDS = list(TINY)
COUNTED, TRANSIENT = {"spectrum": 30, "condition": 12}, 6
IDENTITY = ["arch", "n", "init", "g", "seed", "flossing", "k", "target"]
COLUMNS = {
    "spectrum": ["state", "i", "lambda", "standard_error"],
    "dimensions": ["state", "lambda_1", "kaplan_yorke_dimension", "entropy_rate", "t_ons"],
    "convergence": ["state", "step", "i", "lambda"],
    "condition": ["horizon", "m", "method", "log10_condition"],
    "flossing": ["epoch", "floss_loss", "lambda_1", "lambda_k"],
}
TABLES = {
    "spectrum": ["convergence", "dimensions", "flossing", "spectrum"],
    "condition": ["condition", "flossing"],
}
PICTURES = {"spectrum": ["convergence", "flossing", "spectrum"], "condition": ["condition", "flossing"]}
MANY = ("seeds=2", "flossing.k=[1,2]", "flossing.target=[-0.5,0]")
Row = dict[str, str]


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Pictures take longer than the numbers: only the tests of `drawn` draw them."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(
            "floss.figures.draw", lambda folder: (folder / f"{folder.name.partition('-')[0]}.svg").touch()
        )


def done(folder: Path, command: str, *overrides: str) -> Path:
    """The folder of the tables of `floss COMMAND TINY OVERRIDES`."""
    said = inside(folder, command, *TINY[command], *overrides)
    assert (said.returncode, said.stderr) == (0, "")
    return folder / Path(re.findall(r"^table +(.+)$", said.stdout, re.MULTILINE)[0]).parent


def pick(table: list[Row], **wanted: object) -> list[Row]:
    """The rows with these values."""
    return [row for row in table if all(row[name] == str(value) for name, value in wanted.items())]


def numbers(table: list[Row], column: str) -> list[float]:
    """A column; an empty field is NaN."""
    return [float(row[column] or "nan") for row in table]


def near(values: Any, tolerance: float = 1e-8) -> Any:
    """What the nine digits of a table leave of these values."""
    listed = values.tolist() if isinstance(values, Tensor) else values
    return pytest.approx(listed, rel=tolerance, abs=tolerance, nan_ok=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Every table of a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


# --- one network at a time, as its equations stand -------------------------------------------------------------------


class Twin:
    """One fresh network of an analysis."""

    def __init__(self, arch: str, n: int, seed: int, *, g: float | None = None, inputs: int = 1, states: int = 1):
        default = analysis("spectrum", f"arch={arch}", "flossing.k=1").arch
        self.arch, self.inputs, self.seeds = arch, inputs, torch.tensor([seed])
        stacked = CELLS[arch].initial_parameters(
            self.seeds,
            torch.tensor([default.g if g is None else g], dtype=DOUBLE),
            n=n,
            inputs=inputs,
            batch=states,
            bias=default.bias,
            dtype=DOUBLE,
        )
        self.parameters: Parameters = {name: value[0] for name, value in stacked.items()}

    @property
    def size(self) -> int:
        return self.parameters["h0"].shape[-1]

    @property
    def q0(self) -> Tensor:
        return initial_tangent(self.seeds, self.size, self.size)[0]

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        return step_twin(self.arch, self.parameters, h, x)

    def drive(self, stream: Stream, steps: int, epoch: int = 0, kind: str = "uniform") -> Tensor:
        """Inputs [T, S]."""
        if kind == "none":
            return torch.zeros(steps, self.inputs, dtype=DOUBLE)
        draw = {"uniform": random.uniform, "bits": random.bits, "gaussian": random.normal}[kind]
        return draw(self.seeds, stream, steps * self.inputs, epoch=epoch, dtype=DOUBLE).reshape(steps, self.inputs)

    def spectrum(self, steps: int, *, state: int = 0, kind: str = "uniform", **how: Any) -> Tensor:
        x = self.drive(Stream.EVALUATION, TRANSIENT + steps, kind=kind)
        h0 = self.parameters["h0"][state]
        if self.arch == "relu":  # whose exponents may be lost
            chain = Chain(h0, self.q0, x, len(x), 1, TRANSIENT)
            return run_exponents(self.step, chain).sort(descending=True).values
        return lyapunov_spectrum(self.step, h0, x, transient=TRANSIENT, q0=self.q0, **how)

    def jacobians(self, steps: int) -> tuple[Tensor, Tensor]:
        """The Jacobians after the transient, by reverse-mode differentiation, and the tangent vectors there."""
        h, q, found = self.parameters["h0"][0], self.q0, []
        for drive in self.drive(Stream.EVALUATION, TRANSIENT + steps):
            D = torch.autograd.functional.jacobian(lambda h: self.step(h, drive), h)  # noqa: B023
            assert isinstance(D, Tensor)
            h = self.step(h, drive)
            found.append(D)
        for D in found[:TRANSIENT]:
            q = tangent_qr(D @ q)[0]
        return torch.stack(found[TRANSIENT:]), q

    def floss(self, k: int, target: float, epochs: int = 4) -> list[tuple[float, float, float]]:
        """An episode of flossing with torch's own Adam, in place; loss, λ₁ and λ_k of each epoch."""
        flossed = [self.parameters[name].requires_grad_() for name in CELLS[self.arch].flossed]
        adam, course = torch.optim.Adam(flossed, lr=1e-3), []
        for epoch in range(epochs):
            x = self.drive(Stream.FLOSSING, 20, epoch)
            h0 = self.parameters["h0"][0]
            lam = lyapunov_spectrum(self.step, h0, x, transient=12, q0=self.q0[:, :k])
            loss = flossing_loss(lam, target)
            course.append((loss.item(), lam[0].item(), lam[-1].item()))
            adam.zero_grad()
            loss.backward()
            adam.step()
        for name, value in self.parameters.items():
            self.parameters[name] = value.detach()
        return course


# --- files and answers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses, with their pictures."""
    return {command: done(tmp_path_factory.mktemp(command), command) for command in COMMANDS}


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses without pictures, with two networks, two k and two targets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("floss.figures.draw", lambda folder: (folder / f"{folder.name.partition('-')[0]}.svg").touch())
        return {command: done(tmp_path_factory.mktemp(command), command, *MANY) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_analysis_writes_the_documented_files(drawn, command):
    folder = drawn[command]
    pictures = [f"{name}.{kind}" for name in PICTURES[command] for kind in ("png", "svg")]
    tables = [f"{name}.csv" for name in TABLES[command]]
    assert files(folder) == sorted([*tables, *pictures, "config.yaml", "environment.json", CHECKSUMS])
    assert not (folder / "checkpoint.pt").exists()
    assert re.fullmatch(rf"{command}-vanilla-[0-9a-f]{{10}}", folder.name)
    for name in TABLES[command]:
        assert list(rows(folder / f"{name}.csv")[0]) == IDENTITY + COLUMNS[name]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spoil", ["changed", "gone", "unsealed"])
def test_a_damaged_table_is_computed_again(tmp_path, command, spoil, monkeypatch):
    monkeypatch.setattr("floss.figures.draw", lambda folder: [])
    folder = done(tmp_path, command)
    path, seal = folder / f"{command}.csv", folder / CHECKSUMS
    content, sums = path.read_bytes(), seal.read_text()
    assert f"{hashlib.sha256(content).hexdigest()}  {path.name}\n" in sums  # as `sha256sum -c` reads it
    if spoil == "changed":
        path.write_bytes(content.replace(b"1", b"2", 1))
    elif spoil == "gone":
        path.unlink()
    else:
        seal.unlink()
    said = inside(tmp_path, command, *TINY[command])
    assert said.returncode == 0
    assert said.stdout.startswith("finished")
    assert ("a table is damaged or missing" in said.stderr) == (spoil != "unsealed")
    assert (path.read_bytes(), seal.read_text()) == (content, sums)


@pytest.mark.parametrize("command", COMMANDS)
def test_rows_name_their_network(many, command):
    variants = [("before", "", "")] + [("after", k, target) for k, target in itertools.product("12", ("-0.5", "0"))]
    wanted = [("vanilla", "4", "gaussian", "1", seed, *v) for v in variants for seed in "01"]
    for name in TABLES[command]:
        seen = [tuple(row.values())[:8] for row in rows(many[command] / f"{name}.csv")]
        assert list(dict.fromkeys(seen)) == (wanted[2:] if name == "flossing" else wanted)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_known_analysis_is_not_computed_again(drawn, command):
    folder = drawn[command]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    said = inside(folder.parent.parent, command, *TINY[command], "device=cpu", "flossing.target=[0]", "flossing.k=[2]")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.startswith(f"known    {command} of 1 vanilla networks, n=4\n")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    named = re.findall(r"^(?:table|picture) +(.+)$", said.stdout, re.MULTILINE)
    assert sorted(Path(path).name for path in named) == [
        name for name in files(folder) if name[-4:] in (".csv", ".png")
    ]
    assert all((folder.parent.parent / path).is_file() for path in named)


def test_pictures_that_are_missing_are_drawn_again(drawn, tmp_path):
    folder = shutil.copytree(drawn["condition"], tmp_path / "results" / drawn["condition"].name)
    before = {path.name: path.read_bytes() for path in folder.glob("condition.*")}
    (folder / "condition.svg").unlink()
    done(tmp_path, "condition")
    assert {path.name: path.read_bytes() for path in folder.glob("condition.*")} == before


@pytest.mark.parametrize("command", COMMANDS)
def test_the_tables_have_a_row_for_everything_that_was_looked_at(many, command):
    folder, networks = many[command], 2 + 2 * 4
    count = {name: len(rows(folder / f"{name}.csv")) for name in TABLES[command]}
    assert count.pop("flossing") == 4 * 8
    if command == "spectrum":
        # Of i = 1, 3, 9 a network with four exponents has two.
        assert count == {"spectrum": 4 * networks, "dimensions": networks, "convergence": 2 * 30 * networks}
    else:
        # m = 1, 2, 4 at 4, 8, 12 steps and m = 1, 2, 3, 4 at 8 steps; computed and predicted.
        assert count == {"condition": (9 + 1) * 2 * networks}


def test_without_flossing_there_is_nothing_about_it(tmp_path):
    for command in COMMANDS:
        folder = done(tmp_path, command, "flossing.epochs=0")
        assert not (folder / "flossing.csv").exists()
        assert {row["flossing"] for row in rows(folder / f"{command}.csv")} == {"before"}


def test_without_flossing_the_flossed_k_does_not_matter(tmp_path):
    """Its default is larger than such a network."""
    default = [each for each in TINY["condition"] if not each.startswith("flossing.k")]
    said = inside(tmp_path, "condition", *default, "flossing.epochs=0")
    assert (said.returncode, said.stderr) == (0, "")
    table = rows(next(tmp_path.glob("results/*/condition.csv")))
    assert {row["m"] for row in pick(table, horizon=12)} == {"4"}


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arch", CELLS)
def test_spectra_are_those_of_lyapunov_spectrum(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "arch.n=3", "seeds=2", "flossing.epochs=0")
    table, dimensions = rows(folder / "spectrum.csv"), rows(folder / "dimensions.csv")
    for seed in (0, 1):
        twin = Twin(arch, 3, seed)
        lam = twin.spectrum(30)
        own = pick(table, seed=seed)
        assert [row["i"] for row in own] == [str(i + 1) for i in range(twin.size)]
        assert numbers(own, "lambda") == near(lam)
        (row,) = pick(dimensions, seed=seed)
        assert (float(row["lambda_1"]), row["t_ons"]) == (near(float(lam[0])), "1")
        assert float(row["entropy_rate"]) == near(sum(max(value, 0.0) for value in lam.tolist()))
        assert (float(row["kaplan_yorke_dimension"]) > 0) == (float(lam[0]) >= 0)


def test_convergence_and_standard_errors(tmp_path):
    folder, twin = done(tmp_path, "spectrum", "flossing.epochs=0", "t_ons=4", "blocks=4"), Twin("vanilla", 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    history = lyapunov_history(twin.step, h0, x, transient=TRANSIENT, t_ons=4, q0=twin.q0)
    table = rows(folder / "spectrum.csv")
    assert numbers(table, "lambda") == near(history.exponents)
    assert numbers(table, "standard_error") == near(history.standard_error(4))
    course = rows(folder / "convergence.csv")
    assert [row["step"] for row in pick(course, i=3)] == ["4", "8", "12", "16", "20", "24", "28", "30"]
    assert numbers(pick(course, i=3), "lambda") == near(history.convergence[:, 2])
    assert pick(course, i=1)[-1]["lambda"] == pick(table, i=1)[0]["lambda"]


def test_a_run_too_short_for_the_blocks_has_no_standard_errors(tmp_path):
    for how in ("blocks=31", "t_ons=7"):  # five intervals, and ten blocks
        assert {row["standard_error"] for row in rows(done(tmp_path, "spectrum", how) / "spectrum.csv")} == {""}


def test_a_long_convergence_is_thinned_out(tmp_path):
    folder = done(tmp_path, "spectrum", "flossing.epochs=0", "steps=450", "arch.n=2", "k=1")
    steps = [int(row["step"]) for row in rows(folder / "convergence.csv")]
    assert (len(steps), steps[0], steps[-1]) == (200, 1, 450)
    assert set(torch.tensor(steps).diff().tolist()) == {2, 3}


def test_fewer_exponents_and_longer_intervals(tmp_path):
    folder = done(tmp_path, "spectrum", "flossing.epochs=0", "k=2", "t_ons=4")
    twin = Twin("vanilla", 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    wanted = lyapunov_spectrum(twin.step, h0, x, transient=TRANSIENT, t_ons=4, q0=twin.q0[:, :2])
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(wanted)


@pytest.mark.parametrize("arch", ["vanilla", "lru"])
def test_an_adaptive_interval(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "flossing.epochs=0", "t_ons=adaptive")
    twin = Twin(arch, 4, 0)
    x, h0 = twin.drive(Stream.EVALUATION, 36), twin.parameters["h0"][0]
    interval = adaptive_t_ons(twin.step, h0, x, q0=twin.q0)
    assert [row["t_ons"] for row in rows(folder / "dimensions.csv")] == [str(interval)]
    assert interval > 1
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(twin.spectrum(30, t_ons=interval))


@pytest.mark.parametrize("kind", ["uniform", "bits", "gaussian", "none"])
def test_inputs(tmp_path, kind):
    folder = done(tmp_path, "spectrum", f"input={kind}", "inputs=2", "flossing.epochs=0")
    wanted = Twin("vanilla", 4, 0, inputs=2).spectrum(30, kind=kind)
    assert numbers(rows(folder / "spectrum.csv"), "lambda") == near(wanted)


def test_several_initial_states(tmp_path):
    several = rows(done(tmp_path, "spectrum", "states=3", "seeds=2") / "spectrum.csv")
    alone = rows(done(tmp_path, "spectrum", "seeds=2") / "spectrum.csv")
    assert pick(several, flossing="before", state=0) == pick(alone, flossing="before")
    twin = Twin("vanilla", 4, 1, states=3)
    for state in (1, 2):
        own = pick(several, flossing="before", seed=1, state=state)
        assert numbers(own, "lambda") == near(twin.spectrum(30, state=state))
    assert len(several) == 2 * 2 * 3 * 4


@pytest.mark.parametrize("command", COMMANDS)
def test_random_gains(tmp_path, command):
    folder = done(tmp_path, command, "random_g=true", "arch.g=1.5", "seeds=3", "flossing.epochs=0")
    table = rows(folder / f"{command}.csv")
    gains = dict.fromkeys(row["g"] for row in table)
    assert len(gains) == 3
    assert all(0 < float(g) < 1.5 for g in gains)
    if command == "spectrum":
        for seed, g in enumerate(gains):
            wanted = Twin("vanilla", 4, seed, g=float(g)).spectrum(30)
            assert numbers(pick(table, seed=seed), "lambda") == near(wanted, 1e-5)


@pytest.mark.parametrize("arch", CELLS)
def test_condition_numbers_are_those_of_the_product(tmp_path, arch):
    folder = done(tmp_path, "condition", f"arch={arch}", "arch.n=3", "flossing.epochs=0")
    table, twin = rows(folder / "condition.csv"), Twin(arch, 3, 0)
    (jacobians, q), lam, n = twin.jacobians(12), twin.spectrum(12), twin.size
    pairs = {(t, m) for t in (4, 8, 12) for m in (2, n)} | {(8, m) for m in range(1, n + 1)}
    assert sorted((int(row["horizon"]), int(row["m"])) for row in pick(table, method="exact")) == sorted(pairs)
    plain = 0
    for t, m in pairs:
        exact, theory = (pick(table, horizon=t, m=m, method=how)[0]["log10_condition"] for how in ("exact", "theory"))
        assert float(exact) == near(condition_number(jacobians, dims=m, horizons=t, q0=q).item(), 1e-6)
        assert float(theory) == near(float(lam[0] - lam[m - 1]) * t / math.log(10) if m > 1 else 0.0)
        values = torch.linalg.svdvals(torch.linalg.multi_dot([*jacobians[:t].flip(0), q[:, :m]]))
        if values[-1] > 1e-8 * values[0]:  # else singular values of the product are mostly rounding
            plain += 1
            assert float(exact) == near((values[0] / values[-1]).log10().item(), 1e-6)
    assert plain >= 4 or arch == "relu"


def test_chosen_dimensions(tmp_path):
    table = rows(done(tmp_path, "condition", "dims=[1,3]", "horizons=100", "flossing.epochs=0") / "condition.csv")
    assert {row["horizon"] for row in pick(table, m=3)} == {str(t) for t in range(1, 13)}
    assert {row["m"] for row in pick(table, horizon=5)} == {"1", "3"}
    assert {row["m"] for row in pick(table, horizon=8)} == {"1", "2", "3", "4"}


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_flossing_is_that_of_a_plain_loop(tmp_path, arch):
    folder = done(tmp_path, "spectrum", f"arch={arch}", "seed=5", "flossing.target=-0.3")
    twin = Twin(arch, 4, 5)
    course = twin.floss(2, -0.3)
    for row, wanted in zip(rows(folder / "flossing.csv"), course, strict=True):
        assert tuple(numbers([row], name)[0] for name in COLUMNS["flossing"][1:]) == near(wanted, 1e-6)
    after = pick(rows(folder / "spectrum.csv"), flossing="after")
    assert numbers(after, "lambda") == near(twin.spectrum(30), 1e-6)
    folder = done(tmp_path, "condition", f"arch={arch}", "seed=5", "flossing.target=-0.3")
    exact = pick(rows(folder / "condition.csv"), flossing="after", method="exact", m=2)
    jacobians, q = twin.jacobians(12)
    wanted = condition_number(jacobians, dims=2, horizons=[4, 8, 12], q0=q)
    assert numbers(exact, "log10_condition") == near(wanted, 1e-5)


# --- many at once ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_before_flossing_do_not_depend_on_it(tmp_path, command):
    found = [
        pick(rows(done(tmp_path, command, "seeds=2", *how) / f"{command}.csv"), flossing="before")
        for how in ([], ["flossing.epochs=0"], ["flossing.lr=0.1", "flossing.target=1"])
    ]
    assert found[0] == found[1] == found[2] != []


@pytest.mark.parametrize(("arch", "command"), [("vanilla", "spectrum"), ("vanilla", "condition"), ("lstm", "spectrum")])
def test_seeds_ks_and_targets_at_once_are_those_apart(many, tmp_path, arch, command):
    together = many[command] if arch == "vanilla" else done(tmp_path, command, f"arch={arch}", *MANY)
    dims = ["dims=[1,2,4]"] if command == "condition" else []  # the flossed k, and all, where there are none given
    for seed, k, target in ((0, 1, -0.5), (1, 2, 0.0)):
        one = (f"arch={arch}", f"seed={seed}", f"flossing.k={k}", f"flossing.target={target}")
        apart = done(tmp_path, command, *one, *dims)
        for name in TABLES[command]:
            wanted = pick(rows(apart / f"{name}.csv"), flossing="after")
            found = pick(rows(together / f"{name}.csv"), flossing="after", seed=seed, k=k, target=f"{target:g}")
            assert len(found) == len(wanted) > 0
            for column in COLUMNS[name]:
                if column == "method":
                    assert [row["method"] for row in found] == [row["method"] for row in wanted]
                else:
                    assert numbers(found, column) == near(numbers(wanted, column), 1e-6), (name, column)


def test_another_seed_gives_other_numbers(many):
    """Or else the equalities of this file would say nothing."""
    table = pick(rows(many["spectrum"] / "spectrum.csv"), i=1)
    assert len({row["lambda"] for row in table}) == len(table) == 10


# --- dead units, networks that diverge ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_exponents_that_are_lost(tmp_path, drawn, command):
    """Units of a relu network that never respond: exponents -inf, condition numbers inf, and pictures all the same."""
    folder = done(tmp_path, command, "arch=relu", "arch.n=8", "arch.mean=-0.3", "seeds=2")
    table = rows(folder / f"{command}.csv")
    values = [row["lambda" if command == "spectrum" else "log10_condition"] for row in table]
    assert ("-inf" if command == "spectrum" else "inf") in values
    assert "" not in values
    assert (folder / f"{command}.svg").exists()
    if command == "spectrum":
        assert any(math.isfinite(float(value)) for value in values)
        assert all(0 <= float(row["kaplan_yorke_dimension"]) <= 8 for row in rows(folder / "dimensions.csv"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_exponent_of_every_network_lost(tmp_path, command):
    folder = done(tmp_path, command, "arch=relu", "arch.g=0", "arch.mean=-100", "seeds=2")
    values = numbers(rows(folder / f"{command}.csv"), "lambda" if command == "spectrum" else "log10_condition")
    assert set(values) <= {math.inf, -math.inf, 0.0}


def test_an_adaptive_interval_of_a_network_with_lost_exponents(tmp_path):
    said = inside(tmp_path, "spectrum", *TINY["spectrum"], "arch=relu", "arch.mean=-0.3", "t_ons=adaptive")
    assert said.returncode == 0 or (said.returncode, said.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_networks_that_stop_being_finite_in_flossing(tmp_path, drawn, command):
    said = inside(tmp_path, command, *TINY[command], "arch=linear", "arch.g=1e30", "arch.relaxation=0", "seeds=2")
    assert said.stderr == "floss: 2 of 2 networks stopped being finite in flossing\n"
    assert said.returncode == 0
    assert next(tmp_path.glob(f"results/*/{command}.svg"))


def test_a_network_that_stops_being_finite_disturbs_no_other(tmp_path, monkeypatch):
    (tmp_path / "all").mkdir()
    (tmp_path / "one").mkdir()
    wanted = done(tmp_path / "all", "spectrum", "seeds=3")
    original = Flossing.run_epoch

    def run_epoch(self: Flossing) -> tuple[Tensor, Tensor, Tensor]:
        if self.epoch == 2:
            self.networks.parameters["W"][1] = math.nan
        return original(self)

    monkeypatch.setattr(Flossing, "run_epoch", run_epoch)
    said = inside(tmp_path / "one", "spectrum", *TINY["spectrum"], "seeds=3")
    assert (said.returncode, said.stderr) == (0, "floss: 1 of 3 networks stopped being finite in flossing\n")
    found = tmp_path / "one" / "results" / wanted.name
    for seed in "02":
        for name in TABLES["spectrum"]:
            assert pick(rows(found / f"{name}.csv"), seed=seed) == pick(rows(wanted / f"{name}.csv"), seed=seed)
    assert [row["epoch"] for row in pick(rows(found / "flossing.csv"), seed=1)] == ["0", "1"]
    after = pick(rows(found / "spectrum.csv"), seed=1, flossing="after")
    assert {row["lambda"] for row in after} == {""}


# --- networks of a checkpoint ---------------------------------------------------------------------------------------

TRAINED = (
    "scale=smoke",
    "arch.n=6",
    "flossing.k=4",
    "flossing=pre",
    "train.steps=20",
    "train.batch=2",
    "d=4",
    "seeds=3",
)


@pytest.fixture(scope="module")
def training_runs(tmp_path_factory) -> dict[str, Path]:
    """Folders of short training runs, by architecture."""
    folder = tmp_path_factory.mktemp("trained")
    vanilla = job(*TRAINED, f"results={folder}")
    lstm = job(*TRAINED, "arch=lstm", "task=spatial_xor", "seed=7", f"results={folder}")
    for each in (vanilla, lstm):
        assert set(run_jobs([each]).status.values()) == {"done"}
    return {"vanilla": vanilla.folder, "lstm": lstm.folder}


@pytest.fixture
def trained(training_runs, tmp_path) -> Path:
    """A copy of the run of the tanh networks, in run/."""
    return shutil.copytree(training_runs["vanilla"], tmp_path / "run")


@pytest.mark.parametrize(("arch", "first", "task"), [("vanilla", 0, "xor"), ("lstm", 7, "spatial_xor")])
def test_trained_networks(training_runs, tmp_path, arch, first, task):
    shutil.copytree(training_runs[arch], tmp_path / "run")
    folder = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6", "states=2")
    table = pick(rows(folder / "spectrum.csv"), flossing="before")
    assert [row["arch"] for row in table] == [arch] * len(table)
    state = load_checkpoint(tmp_path / "run" / "checkpoint.pt")["training"]
    x = TASKS[task].sample(torch.arange(3) + first, Stream.EVALUATION, 0, steps=36, batch=1, dtype=DOUBLE)[:, :, 0]
    for i, which in itertools.product(range(3), (0, 1)):
        p = {name.removeprefix("parameters."): v[i].double() for name, v in state.items() if name.startswith("par")}
        size = p["h0"].shape[-1]
        q0 = initial_tangent(torch.tensor([first + i]), size, size)[0]
        step = functools.partial(step_twin, arch, p)
        wanted = lyapunov_spectrum(step, p["h0"][which], x[i], transient=TRANSIENT, q0=q0)
        assert numbers(pick(table, seed=first + i, state=which), "lambda") == near(wanted)


def test_a_checkpoint_and_its_folder_are_the_same(trained, tmp_path):
    first = [each for each in TINY["condition"] if not each.startswith("arch.")]
    said = inside(tmp_path, "condition", *first, "checkpoint=run/checkpoint.pt")
    assert said.stdout.startswith("finished condition of 3 vanilla networks, n=6\n")
    again = inside(tmp_path, "condition", *first, "checkpoint=run", "arch=vanilla", "seeds=3", "arch.g=1")
    assert (again.returncode, again.stdout) == (0, said.stdout.replace("finished", "known   "))
    assert {row["seed"] for row in rows(next(tmp_path.glob("results/*/condition.csv")))} == {"0", "1", "2"}


def test_other_weights_are_another_analysis(trained, tmp_path):
    first = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    content = load_checkpoint(trained / "checkpoint.pt")
    content["training"]["parameters.W"] *= 0.5
    save_checkpoint(trained / "checkpoint.pt", content)
    second = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    assert first.name != second.name
    assert contents(first) != contents(second)


def test_networks_that_diverged_in_training_are_left_out(trained, tmp_path):
    wanted = done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6")
    content = load_checkpoint(trained / "checkpoint.pt")
    content["training"]["diverged_at"][1] = 5
    content["training"]["parameters.W"][1] = math.nan
    save_checkpoint(trained / "checkpoint.pt", content)
    table = rows(done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6") / "spectrum.csv")
    assert {row["seed"] for row in table} == {"0", "2"}
    assert pick(table, seed=2) == pick(rows(wanted / "spectrum.csv"), seed=2)


def test_trained_networks_with_other_inputs(trained, tmp_path):
    found = [
        contents(done(tmp_path, "spectrum", "checkpoint=run", "arch.n=6", f"input={kind}"))["spectrum.csv"]
        for kind in ("auto", "bits", "gaussian", "none")
    ]
    assert found[0] == found[1]  # those of the task
    assert len(set(found)) == 3


def test_networks_that_were_trained_in_several_ensembles(training_runs, tmp_path, monkeypatch):
    run_jobs([job(*TRAINED, "seed=2", "seeds=1", f"results={tmp_path / 'trained'}")])
    again = job(*TRAINED, f"results={tmp_path / 'trained'}")
    run_jobs([again])
    assert len(list(tmp_path.glob("trained/ensembles/*/checkpoint.pt"))) == 2
    found = done(tmp_path, "spectrum", f"checkpoint={again.folder}", "arch.n=6")
    wanted = done(tmp_path, "spectrum", f"checkpoint={training_runs['vanilla']}", "arch.n=6")
    for name in TABLES["spectrum"]:
        theirs, ours = rows(wanted / f"{name}.csv"), rows(found / f"{name}.csv")
        assert [row["seed"] for row in ours] == [row["seed"] for row in theirs]
        for column in COLUMNS[name]:
            assert numbers(ours, column) == near(numbers(theirs, column), 1e-5), (name, column)


def test_an_ensemble_is_not_the_run_of_an_analysis(training_runs, tmp_path):
    (ensemble,) = (training_runs["vanilla"].parent / "ensembles").glob("xor-*")
    settings = [each for each in TINY["spectrum"] if not each.startswith("arch.")]
    said = inside(tmp_path, "spectrum", *settings, f"checkpoint={ensemble}")
    wanted = f"checkpoint={ensemble}: needs the config.yaml of its run beside it\n"
    assert (said.returncode, said.stdout, said.stderr) == (2, "", f"floss spectrum: {wanted}")
    assert not any(tmp_path.iterdir())


def truncate(run: Path) -> None:
    path = run / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(run: Path) -> None:
    content = bytearray((run / "checkpoint.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "checkpoint.pt").write_bytes(content)


def random_bytes(run: Path) -> None:
    (run / "checkpoint.pt").write_bytes(os.urandom(3000))


def empty(run: Path) -> None:
    (run / "checkpoint.pt").write_bytes(b"")


def remove(run: Path) -> None:
    (run / "checkpoint.pt").unlink()


def without_config(run: Path) -> None:
    (run / "config.yaml").unlink()


def of_something_else(run: Path) -> None:
    save_checkpoint(run / "checkpoint.pt", {"flossing": {"epoch": 3}, "rows": ""})


def without_states(run: Path) -> None:
    content = load_checkpoint(run / "checkpoint.pt")
    content["training"] = {"epoch": 3, "diverged_at": torch.full((3,), -1)}
    save_checkpoint(run / "checkpoint.pt", content)


def of_fewer_networks(run: Path) -> None:
    content = load_checkpoint(run / "checkpoint.pt")
    content["training"]["diverged_at"] = content["training"]["diverged_at"][:2]
    save_checkpoint(run / "checkpoint.pt", content)


def all_diverged(run: Path) -> None:
    content = load_checkpoint(run / "checkpoint.pt")
    content["training"]["diverged_at"] += 6
    save_checkpoint(run / "checkpoint.pt", content)


def edit(old: str, new: str) -> Callable[[Path], None]:
    """Another config.yaml."""

    def change(run: Path) -> None:
        text = (run / "config.yaml").read_text()
        assert text.count(old) == 1
        (run / "config.yaml").write_text(text.replace(old, new))

    return change


def whole_config(text: str) -> Callable[[Path], object]:
    return lambda run: (run / "config.yaml").write_text(text)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "this checkpoint is damaged"),
    "flipped byte": (flip_a_byte, "this checkpoint is damaged"),
    "random": (random_bytes, "this checkpoint is damaged"),
    "empty": (empty, "this checkpoint is damaged"),
    "missing": (remove, "cannot be read: No such file or directory"),
    "without config": (without_config, "needs the config.yaml of its run beside it"),
    "of something else": (of_something_else, "is not a checkpoint of floss train"),
    "without states": (without_states, "its networks are not those of arch=vanilla with 6 units"),
    "of fewer networks": (of_fewer_networks, ""),
    "all diverged": (all_diverged, "all of its networks have diverged"),
    "lstm": (edit("name: vanilla", "name: lstm"), "its networks are not those of arch=lstm with 6 units"),
    "gru": (edit("name: vanilla", "name: gru"), "its networks are not those of arch=gru with 6 units"),
    "more units": (edit("'n': 6", "'n': 7"), "its networks are not those of arch=vanilla with 7 units"),
    "more seeds": (edit("seeds: 3", "seeds: 4"), "its networks are not those of arch=vanilla with 6 units"),
    "more inputs": (edit("name: xor", "name: spatial_xor"), "its networks are not those of arch=vanilla with 6 units"),
    "another batch": (edit("batch: 2", "batch: 3"), "its networks are not those of arch=vanilla with 6 units"),
    "no batch": (edit("batch: 2", "batch: many"), ""),
    "unknown task": (edit("name: xor", "name: rox"), ""),
    "no task": (edit("task:", "tusk:"), ""),
    "no training": (edit("train:", "trian:"), ""),
    "list": (whole_config("[1, 2]"), "needs the config.yaml of its run beside it"),
    "not yaml": (whole_config("a: b: c"), "needs the config.yaml of its run beside it"),
    "empty config": (whole_config(""), "needs the config.yaml of its run beside it"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_checkpoint_that_cannot_be_used_is_answered_in_one_line(trained, tmp_path, name):
    damage, wanted = DAMAGE[name]
    damage(trained)
    settings = [each for each in TINY["spectrum"] if not each.startswith("arch.")]
    said = inside(tmp_path, "spectrum", *settings, "checkpoint=run")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert said.stderr.startswith("floss spectrum: checkpoint=run: ")
    assert wanted in said.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


AGAINST_CHECKPOINT = {
    "arch=lstm": "arch=lstm: the networks of the checkpoint have arch=vanilla; leave it out",
    "arch.n=7": "arch.n=7: the networks of the checkpoint have arch.n=6; leave it out",
    "arch.g=2": "arch.g=2: the networks of the checkpoint have arch.g=1.0; leave it out",
    "seeds=2": "seeds=2: the networks of the checkpoint have seeds=3; leave it out",
    "seed=1": "seed=1: the networks of the checkpoint have seed=0; leave it out",
    "random_g=true": "random_g=True: the networks of the checkpoint have random_g=False; leave it out",
    "inputs=2": "inputs=2: the networks of the checkpoint have inputs=its task's; leave it out",
    "states=3": "states=3: must be at most 2, the initial states of the checkpoint",
    "k=7": "k=7: must be at most the state size, 6 for arch=vanilla",
    "flossing.k=7": "flossing.k=7: must be at most the state size, 6 for arch=vanilla",
}


@pytest.mark.parametrize("override", AGAINST_CHECKPOINT)
def test_what_contradicts_the_checkpoint_is_answered_in_one_line(trained, tmp_path, override):
    settings = [each for each in TINY["spectrum"] if not each.startswith("arch.")]
    said = inside(tmp_path, "spectrum", *settings, "checkpoint=run", override)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == f"floss spectrum: {AGAINST_CHECKPOINT[override]}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# --- wrong command lines --------------------------------------------------------------------------------------------

WRONG = {
    "spectrum arch.n=4": "flossing.k=15: must be at most the state size, 4 for arch=vanilla",
    "spectrum k=81": "k=81: must be at most the state size, 80 for arch=vanilla",
    "spectrum flossing.kk=3": "flossing.kk: there is no such key; did you mean flossing.k?",
    "spectrum stepz=3": "stepz: there is no such key; did you mean steps?",
    "spectrum checkpoint=nothing": "checkpoint=nothing: cannot be read: No such file or directory",
    "spectrum checkpoint=.": "checkpoint=.: cannot be read: No such file or directory",
    "spectrum results=/dev/null/x": "results=/dev/null/x: must be a folder that can be written; /dev/null is not",
    "spectrum arch=lru arch.g=1.5": "arch.g=1.5: must be above 0 and at most 1 for arch=lru",
    "spectrum arch=lru arch.init=orthogonal": "arch.init and mean: must be gaussian and 0 for arch=lru",
    "spectrum arch.n=4000 seeds=100000": "seeds=100000, arch.n=4000, steps=1000: does not fit into memory",
    "spectrum -m seed=0,1 k=2,81": "k=81: must be at most the state size, 80 for arch=vanilla",
    "spectrum -m arch.n=4,80": "flossing.k=15: must be at most the state size, 4 for arch=vanilla",
    "spectrum seed=0,1": "seed: several values make a sweep, which needs -m; a list is [a,b]",
    "condition dims=81": "dims=81: must be at most the state size, 80 for arch=vanilla",
    "condition at=600": "at=600: must be at most steps=500",
    "condition bits=1": "bits=1: must be null or a whole number >= 2",
    "condition bits=foo": "bits=foo: must be null or a whole number >= 2",
    "condition bits=256": "bits=256: needs python-flint; ",
    "condition bits=auto": "bits=auto: needs python-flint; ",
    "condition -m seed=0,1 at=100,600": "at=600: must be at most steps=500",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_answered_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, line):
    monkeypatch.setitem(sys.modules, "flint", None)
    said = inside(tmp_path, *line.split())
    command = line.partition(" ")[0]
    assert said.stderr.replace("seed=0,1: several", "seed: several").startswith(f"floss {command}: {WRONG[line]}")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_cuda_where_there_is_none(tmp_path, monkeypatch, command):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = inside(tmp_path, command, "device=cuda")
    assert said.stderr.startswith(f"floss {command}: device=cuda: this machine has no CUDA device")
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "results").mkdir()
    name = analysis("spectrum", *TINY["spectrum"]).folder.name
    (tmp_path / "results" / name).write_text("a file")
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert said.stderr == f"floss spectrum: results=results: cannot make results/{name}: File exists\n"
    assert (said.returncode, said.stdout) == (2, "")


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".csv":
            raise OSError(28, "No space left on device", str(path))
        path.write_bytes(content)

    monkeypatch.setattr(run, "write_whole", full)
    said = inside(tmp_path, "spectrum", *TINY["spectrum"])
    assert (said.returncode, said.stdout) == (1, "")
    assert re.fullmatch(r"floss spectrum: results/\S+\.csv: No space left on device\n", said.stderr)


def test_a_sweep_has_a_folder_for_each_job(tmp_path):
    said = inside(tmp_path, "spectrum", "-m", *TINY["spectrum"], "arch=vanilla,lru")
    assert (said.returncode, said.stderr) == (0, "")
    assert re.findall(r"^finished spectrum of 1 (\w+) networks", said.stdout, re.MULTILINE) == ["vanilla", "lru"]
    assert len(list(tmp_path.glob("results/spectrum-*/spectrum.csv"))) == 2


def test_limited_precision_saturates(tmp_path):
    pytest.importorskip("flint")
    long = ("steps=60", "at=40", "flossing.epochs=0")
    table = rows(done(tmp_path, "condition", *long, "bits=16") / "condition.csv")
    exact, limited = (numbers(pick(table, method=method, m=4), "log10_condition") for method in ("exact", "bits=16"))
    assert max(exact) > 15
    assert max(limited) < 8
    table = rows(done(tmp_path, "condition", *long, "bits=auto") / "condition.csv")
    exact, as_many = (numbers(pick(table, method=method), "log10_condition") for method in ("exact", "bits=auto"))
    assert as_many == near(exact, 1e-7)


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, Path]:
    """Folders of both analyses, computed in one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("floss.figures.draw", lambda folder: (folder / f"{folder.name.partition('-')[0]}.svg").touch())
        return {command: done(tmp_path_factory.mktemp(command), command, "seeds=2") for command in COMMANDS}


def stop_at(monkeypatch: pytest.MonkeyPatch, place: type, method: str, count: int, number: int) -> None:
    """Let this process send itself a signal at the call of that number."""
    original, calls = getattr(place, method), itertools.count(1)

    def wrapped(*arguments: Any) -> Any:
        if next(calls) == count:
            os.kill(os.getpid(), number)
        return original(*arguments)

    monkeypatch.setattr(place, method, wrapped)


@pytest.mark.parametrize(
    ("command", "place", "method", "count", "number", "status"),
    [
        ("spectrum", Flossing, "run_epoch", 1, signal.SIGINT, 130),
        ("condition", Flossing, "run_epoch", 3, signal.SIGTERM, 143),
        ("spectrum", Flossing, "run_epoch", 4, signal.SIGINT, 130),
        ("spectrum", WatchedStep, "advance", 10, signal.SIGINT, 130),  # while the networks before flossing are measured
        ("spectrum", WatchedStep, "advance", 45, signal.SIGTERM, 143),
        ("condition", WatchedStep, "advance", 45, signal.SIGINT, 130),
        ("condition", AnalysisBar, "at", 3, signal.SIGTERM, 143),
    ],
)
def test_stopped_by_a_signal(tmp_path, monkeypatch, undisturbed, command, place, method, count, number, status):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    line, name = (command, *TINY[command], "seeds=2"), undisturbed[command].name
    with monkeypatch.context() as patch:
        stop_at(patch, place, method, count, number)
        said = inside(tmp_path, *line)
    assert (said.returncode, said.stdout) == (status, "")
    assert said.stderr == f"floss: stopped; start the same command again to go on: results/{name}\n"
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    folder = tmp_path / "results" / name
    assert set(files(folder)) <= {"config.yaml", "environment.json", "flossing.csv"}
    epoch = load_checkpoint(folder / "checkpoint.pt")["flossing"]["epoch"]
    assert epoch == (count if place is Flossing else 4)
    again = []
    original = Flossing.run_epoch
    monkeypatch.setattr(Flossing, "run_epoch", lambda self: again.append(self.epoch) or original(self))
    assert contents(done(tmp_path, command, "seeds=2")) == contents(undisturbed[command])
    assert again == list(range(epoch, 4))


def test_stopped_at_every_epoch_in_turn(tmp_path, monkeypatch, undisturbed):
    for _ in range(4):
        with monkeypatch.context() as patch:
            stop_at(patch, Flossing, "run_epoch", 1, signal.SIGTERM)
            assert inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2").returncode == 143
    assert contents(done(tmp_path, "spectrum", "seeds=2")) == contents(undisturbed["spectrum"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR2, 140)])
def test_a_signal_while_a_picture_is_drawn_stops_a_sweep_after_it(tmp_path, monkeypatch, number, status):
    drawn = []

    def draw(folder: Path) -> None:
        os.kill(os.getpid(), number)
        drawn.append(folder)

    monkeypatch.setattr("floss.figures.draw", draw)
    said = inside(tmp_path, "spectrum", "-m", *TINY["spectrum"], "seed=0,1")
    assert said.returncode == status
    assert len(drawn) == len(list(tmp_path.glob("results/*"))) == 1


def test_killed_between_two_checkpoints(tmp_path, monkeypatch, undisturbed):
    class Killed(BaseException):
        pass

    original = Flossing.run_epoch

    def run_epoch(self: Flossing) -> tuple[Tensor, Tensor, Tensor]:
        if self.epoch == 3:
            raise Killed
        return original(self)

    monkeypatch.setattr(run, "_CHECKPOINT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(Flossing, "run_epoch", run_epoch)
        with pytest.raises(Killed):
            inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    assert load_checkpoint(next(tmp_path.glob("results/*/checkpoint.pt")))["flossing"]["epoch"] == 2
    assert contents(done(tmp_path, "spectrum", "seeds=2")) == contents(undisturbed["spectrum"])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def half(path: Path) -> None:
    """As another version might write it: weights are there, the moments of Adam are not."""
    content = load_checkpoint(path)
    content["flossing"] = {name: v for name, v in content["flossing"].items() if not name.startswith("adam.")}
    save_checkpoint(path, content)


def without_rows(path: Path) -> None:
    content = load_checkpoint(path)
    del content["rows"]
    save_checkpoint(path, content)


def a_number(path: Path) -> None:
    save_checkpoint(path, {"flossing": 3, "rows": ""})


@pytest.mark.parametrize("damage", [cut, half, without_rows, a_number])
def test_a_damaged_checkpoint_of_an_analysis_is_not_used(tmp_path, monkeypatch, undisturbed, damage):
    with monkeypatch.context() as patch:
        stop_at(patch, Flossing, "run_epoch", 2, signal.SIGTERM)
        inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    damage(next(tmp_path.glob("results/*/checkpoint.pt")))
    said = inside(tmp_path, "spectrum", *TINY["spectrum"], "seeds=2")
    assert said.returncode == 0
    assert contents(tmp_path / "results" / undisturbed["spectrum"].name) == contents(undisturbed["spectrum"])


def test_signals_and_a_second_process(tmp_path):
    line = ("condition", *TINY["condition"], "flossing.epochs=1000000")
    folder = Path("results", analysis(*line).folder.name)

    def epochs() -> int:
        try:
            return load_checkpoint(tmp_path / folder / "checkpoint.pt")["flossing"]["epoch"]
        except FileNotFoundError:
            return 0

    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before, process = epochs(), start(tmp_path, *line)
        while epochs() <= before:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        second = inside(tmp_path, *line)
        assert (second.returncode, second.stdout, second.stderr.count("\n")) == (1, "", 1)
        assert second.stderr.startswith(f"floss condition: {folder} is being computed by process {process.pid} on ")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (status, "")
        assert err == f"floss: stopped; start the same command again to go on: {folder}\n"
        assert not (tmp_path / folder / ".owner").exists()
        assert not (tmp_path / folder / "condition.csv").exists()


@pytest.mark.slow
def test_the_installed_program(tmp_path):
    said = floss(tmp_path, "condition", *TINY["condition"], PYTHONWARNINGS="error")
    assert (said.returncode, said.stderr) == (0, "")
    assert inside(tmp_path, "condition", *TINY["condition"]).stdout == said.stdout.replace("finished", "known   ")
