"""`diagnostics=`: what is watched is what it says, at the logged epochs, and changes nothing else."""

import functools
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import TINY, job, rows, run_jobs
from problems import DOUBLE, TRAINED_CELLS
from torch import Tensor
from torch.nn import functional
from twins import readout_twin, step_twin, unroll_twin

from floss import lyapunov_spectrum
from floss.figures import draw
from floss.jobs.train import TrainJob
from floss.lyapunov.chain import initial_tangent
from floss.networks import Parameters
from floss.random import Stream
from floss.runtime.files import NETWORKS
from floss.runtime.training_checkpoint import Trained
from floss.sweep.columns import METRICS, SUMMARY
from floss.sweep.folders import write_sweep
from floss.sweep.request import Request
from floss.training.diagnostics import DIAGNOSTICS, effective_rank, neutral_share
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.ticks import TrainingTick
from floss.training.training import Training

EVERYTHING = ("grad_h0", "lyapunov", "neutral", "overlap", "spectrum", "svd")
NORMS = ("grad_norm_h0", "grad_norm_h0_last", "adam_step_h0")
NEUTRAL = ("neutral_share", "neutral_vectors")
SPECTRUM = ("near_zero", "lambda_20", "lambda_40", "lambda_60")
COLUMNS = (*NORMS, "lambda_10", *NEUTRAL, "clv_overlap", *SPECTRUM, "sv_1", "sv_20", "sv_40", "effective_rank")
ALL = "diagnostics=[grad_h0,svd,lyapunov,overlap,neutral,spectrum]"
SMALL = (*TINY, "flossing.at=[0,10]", "seeds=2", "train.checkpoint_every=4")


def small(folder: Path, *overrides: str) -> TrainJob:
    return job(*SMALL, f"results={folder}", *overrides)


def ensemble(arch: str, n: int, which: tuple[str, ...], *, task: str = "xor", seeds: int = 2, **how: Any) -> Training:
    protocol = Protocol(task=task, arch=arch, n=n, epochs=9, steps=24, batch=3, dtype=DOUBLE, **how)
    g = 0.9 if arch == "lru" else 1.0
    return Training(
        Ensemble([Network(seed=4 + r, d=2 * r + 2, g=g) for r in range(seeds)], protocol), diagnostics=which
    )


def twin(arch: str, one: Parameters, x: Tensor, h: Tensor) -> Tensor:
    return step_twin(arch, one, h, x)


def epoch_of(training: Training) -> tuple[Parameters, Tensor, dict[str, Tensor]]:
    """The parameters and data of the next training epoch, and what is measured in it."""
    before = {name: p.clone() for name, p in training.ensemble.parameters.items()}
    p = training.ensemble.protocol
    x = training.ensemble.task.sample(
        training.ensemble.seeds, Stream.TRAINING, training.epoch, steps=p.steps, batch=p.batch, dtype=p.dtype
    )
    watched = training.train_epochs(1).diagnostics
    assert watched is not None
    return before, x, watched


def network(parameters: Parameters, r: int) -> Parameters:
    """One network of an ensemble, as leaves."""
    return {name: p[r : r + 1].clone().requires_grad_() for name, p in parameters.items()}


def xor(x: Tensor, d: int) -> Tensor:
    """Targets of steps t ≥ d, for bits x [T, B]: those of d and d/2 steps ago."""
    return (x[: len(x) - d] != x[d // 2 : len(x) - d // 2]).to(x.dtype)


@pytest.mark.parametrize(("arch", "n"), [("vanilla", 42), ("lstm", 41), ("gru", 21), ("vanilla", 5)])
def test_singular_values_are_those_of_the_gradient(arch, n):
    training = ensemble(arch, n, ("svd",))
    parameters, x, watched = epoch_of(training)
    assert list(watched) == [*(f"sv_{i}" for i in (1, 20, 40) if i <= n), "effective_rank"]
    for r, d in enumerate((2, 4)):
        leaves = network(parameters, r)
        y = unroll_twin(arch, leaves, x[r : r + 1])[0]
        loss = functional.binary_cross_entropy_with_logits(y[d:], xor(x[r, :, :, 0], d))
        (gradient,) = torch.autograd.grad(loss, leaves["W"])
        values = np.linalg.svd(gradient[0].numpy(), compute_uv=False)
        p = values / values.sum()
        for i in (1, 20, 40):
            if i <= n:
                assert watched[f"sv_{i}"][r].item() == pytest.approx(values[i - 1], rel=1e-6, abs=1e-12)
        assert watched["effective_rank"][r].item() == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "rank"),
    [([3.0, 3.0, 3.0], 3.0), ([5.0, 0.0, 0.0], 1.0), ([0.0, 0.0, 0.0], 0.0), ([1e300, 1e300, 0.0], 2.0)],
)
def test_effective_rank(values, rank):
    assert effective_rank(torch.tensor(values, dtype=DOUBLE)).item() == pytest.approx(rank)
    assert effective_rank(torch.tensor([values, values], dtype=DOUBLE)).shape == (2,)


@pytest.mark.parametrize(
    ("arch", "n"), [("vanilla", 12), ("linear", 12), ("lstm", 11), ("gru", 11), ("lru", 6), ("vanilla", 9)]
)
def test_exponents_are_those_along_the_same_inputs(arch, n):
    training = ensemble(arch, n, ("lyapunov",))
    parameters, x, watched = epoch_of(training)
    size = training.ensemble.cell.state_size(n)
    k = min(10, size)
    assert list(watched) == ["lambda_1", *(["lambda_10"] if size >= 10 else [])]
    for r in range(2):
        own = {name: p[r] for name, p in parameters.items()}
        step, h0 = functools.partial(step_twin, arch, own), own["h0"][0]
        # As many steps of a run of 24 as flossing leaves out: 10 + 3, but at most half.
        q0 = initial_tangent(training.ensemble.seeds[r : r + 1], size, k)[0]
        lam = lyapunov_spectrum(step, h0, x[r, :, 0], transient=12, q0=q0)
        if arch == "lru":  # whose exponents are known at once, and do not depend on the run
            lam = (-own["nu"].exp()).sort(descending=True).values.repeat_interleave(2)
        wanted = [lam[i].item() for i in (0, 9) if i < size]
        assert [value[r].item() for value in watched.values()] == pytest.approx(wanted)


@pytest.mark.parametrize(("arch", "n"), [("vanilla", 22), ("lstm", 10), ("lru", 6)])
def test_the_whole_spectrum_is_that_along_the_same_inputs(arch, n):
    training = ensemble(arch, n, ("spectrum",))
    training.ensemble.parameters["h0"] *= 0.1  # so that some exponents are near zero, and not all
    parameters, x, watched = epoch_of(training)
    size = training.ensemble.cell.state_size(n)
    assert list(watched) == ["near_zero", *(["lambda_20"] if size >= 20 else [])]
    for r, d in enumerate((2, 4)):
        own = {name: p[r] for name, p in parameters.items()}
        step, h0 = functools.partial(step_twin, arch, own), own["h0"][0]
        q0 = initial_tangent(training.ensemble.seeds[r : r + 1], size, size)[0]
        lam = lyapunov_spectrum(step, h0, x[r, :, 0], transient=12, q0=q0, singular="-inf")
        if arch == "lru":
            lam = (-own["nu"].exp()).sort(descending=True).values.repeat_interleave(2)
        near = int((lam.abs() < 1 / d).sum())
        assert watched["near_zero"][r].item() == near
        if arch == "vanilla":
            assert 0 < near < size, "or the test tells nothing"
        if size >= 20:
            assert watched["lambda_20"][r].item() == pytest.approx(lam[19].item())


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_the_overlap_is_that_of_the_gradient_and_the_first_covariant_vector(arch):
    training = ensemble(arch, 6, ("overlap",))
    before, x, watched = epoch_of(training)
    steps = x.shape[1]
    for r in range(2):
        one = {name: p[r] for name, p in before.items()}
        cosines = []
        for b in range(3):
            h, size = one["h0"][b], one["h0"].shape[-1]
            v = initial_tangent(training.ensemble.seeds, size, min(10, size), DOUBLE)[r, :, 0]
            for past in x[r, : steps // 2, b]:
                jacobian = torch.autograd.functional.jacobian(functools.partial(twin, arch, one, past), h)
                assert isinstance(jacobian, Tensor)
                h, v = step_twin(arch, one, h, past), jacobian @ v
            middle = h = h.detach().requires_grad_()
            for to_come in x[r, steps // 2 :, b]:
                h = step_twin(arch, one, h, to_come)
            y, target = readout_twin(arch, one, h, x[r, -1, b]), xor(x[r, :, :, 0], 2 * r + 2)[-1, b]
            (gradient,) = torch.autograd.grad(functional.binary_cross_entropy_with_logits(y, target), middle)
            cosines.append(abs(float(gradient @ v / gradient.norm() / v.norm())))
        assert float(watched["clv_overlap"][r]) == pytest.approx(np.mean(cosines), rel=1e-9)


@pytest.mark.parametrize("arch", TRAINED_CELLS)
def test_the_share_is_that_of_the_span_of_what_outlasts_the_delay(arch):
    training = ensemble(arch, 6, ("neutral",))
    before, x, watched = epoch_of(training)
    half, size, seen = x.shape[1] // 2, before["h0"].shape[-1], set()
    for r, d in enumerate((2, 4)):
        one = {name: p[r] for name, p in before.items()}
        q0 = initial_tangent(training.ensemble.seeds, size, size)[r]
        growth, images = np.zeros(size), []
        for b in range(3):
            h, q, image = one["h0"][b], q0.numpy(), q0.numpy()
            for s, past in enumerate(x[r, :half, b]):
                jacobian = torch.autograd.functional.jacobian(functools.partial(twin, arch, one, past), h)
                assert isinstance(jacobian, Tensor)
                h, image = step_twin(arch, one, h, past).detach(), jacobian.numpy() @ image
                q, triangle = np.linalg.qr(jacobian.numpy() @ q)
                if s >= half // 2:
                    with np.errstate(divide="ignore"):  # of units that do not respond: -inf, or rounding's 1e-17
                        growth += np.log(np.abs(np.diag(triangle))) / (half - half // 2) / 3
            images.append((h, image))
        outlasting = [i for i in range(size) if (growth[: i + 1] > -1 / d).all()]
        shares = []
        for b, (h, image) in enumerate(images):
            middle = h = h.requires_grad_()
            for to_come in x[r, half:, b]:
                h = step_twin(arch, one, h, to_come)
            y, target = readout_twin(arch, one, h, x[r, -1, b]), xor(x[r, :, :, 0], d)[-1, b]
            (gradient,) = torch.autograd.grad(functional.binary_cross_entropy_with_logits(y, target), middle)
            g, span = gradient.numpy() / gradient.norm().item(), image[:, outlasting]
            shares.append(1 - np.square(g - span @ np.linalg.lstsq(span, g)[0]).sum() if outlasting else 0.0)
        assert watched["neutral_vectors"][r].item() == len(outlasting)
        assert watched["neutral_share"][r].item() == pytest.approx(np.mean(shares), rel=1e-6, abs=1e-9)
        seen.add(len(outlasting))
    assert arch in ("lru", "lstm") or seen & set(range(1, size)), seen  # or else the test would say little


def test_the_share_is_of_the_first_sequences_of_a_batch():
    protocol = Protocol(n=6, epochs=9, steps=24, batch=7, dtype=DOUBLE)
    large = Training(Ensemble([Network(seed=4, d=4)], protocol), diagnostics=["neutral"])
    before, x, watched = epoch_of(large)
    q0 = initial_tangent(large.ensemble.seeds, 6, 6)
    few = {**before, "h0": before["h0"][:, :4]}
    share, _ = neutral_share(large.ensemble.cell, large.ensemble.task, few, x[:, :, :4], large.ensemble.d, q0)
    assert watched["neutral_share"].item() == pytest.approx(share.item(), rel=1e-12)


def test_a_long_run_leaves_out_as_many_steps_as_flossing():
    training = Training(
        Ensemble([Network(seed=0, d=2)], Protocol(n=4, steps=60, batch=1, dtype=DOUBLE)), diagnostics=["lyapunov"]
    )
    parameters, x, watched = epoch_of(training)
    own = {name: p[0] for name, p in parameters.items()}
    step, q0 = functools.partial(step_twin, "vanilla", own), initial_tangent(training.ensemble.seeds, 4, 4)[0]
    lam = lyapunov_spectrum(step, own["h0"][0], x[0, :, 0], transient=16, q0=q0)
    assert watched["lambda_1"].item() == pytest.approx(lam[0].item())


def test_stacked_networks_are_watched_as_if_alone():
    together = epoch_of(ensemble("lstm", 10, EVERYTHING, seeds=3))[2]
    for r in range(3):
        protocol = ensemble("lstm", 10, ()).ensemble.protocol
        alone = epoch_of(Training(Ensemble([Network(seed=4 + r, d=2 * r + 2)], protocol), diagnostics=EVERYTHING))[2]
        assert list(alone) == list(together)
        for name, value in alone.items():
            assert together[name][r].item() == pytest.approx(value.item(), rel=1e-9)


# --- nothing else changes -------------------------------------------------------------------------------------------


def same_but(table: list[dict[str, str]], *columns: str) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in table]


def computed(one: TrainJob) -> Path:
    """The folder of a job, with all that was missing computed."""
    run_jobs([one])
    return one.folder


@pytest.mark.parametrize("arch", ["vanilla", "lru"])
def test_watching_changes_neither_the_networks_nor_their_other_rows(tmp_path, arch):
    watched = "diagnostics=[grad_h0,lyapunov]" if arch == "lru" else ALL
    plain, ours = (small(tmp_path, f"arch={arch}", *also) for also in ([], [watched]))
    assert plain.folder != ours.folder
    computed(plain)
    computed(ours)
    metrics = [rows(each.folder / "metrics.csv") for each in (plain, ours)]
    trained = [[row for row in table if row["phase"] == "train"] for table in metrics]
    flossed = [[row for row in table if row["phase"] == "floss"] for table in metrics]
    extra = (*NORMS, "lambda_10") if "sv" not in watched else COLUMNS
    assert tuple(metrics[0][0]) == (*METRICS, "network")
    assert tuple(metrics[1][0]) == (*METRICS, *extra, "network")
    assert same_but(trained[1], "lambda_1", "network", *extra) == same_but(trained[0], "lambda_1", "network")
    assert same_but(flossed[1], "network", *extra) == same_but(flossed[0], "network")
    assert {row[column] for row in flossed[1] for column in extra} == {""}
    summaries = [
        same_but(rows(each.folder / "summary.csv"), "seconds", "floss_seconds", "network", "sha256")
        for each in (plain, ours)
    ]
    assert summaries[0] == summaries[1]
    assert (ours.folder / "summary.csv").read_text().splitlines()[0] == ",".join(SUMMARY)
    parameters = [Trained.load(each.folder / NETWORKS).parameters for each in (plain, ours)]
    assert parameters[0].keys() == parameters[1].keys()
    assert all(torch.equal(parameters[0][name], parameters[1][name]) for name in parameters[0])


def test_columns_that_a_small_network_does_not_have_are_empty(tmp_path):
    for overrides, filled in (
        ([], {*NORMS, *NEUTRAL, "clv_overlap", "near_zero", "sv_1", "effective_rank"}),
        (
            ["arch.n=21"],
            {*NORMS, *NEUTRAL, "clv_overlap", "lambda_10", *SPECTRUM[:2], "sv_1", "sv_20", "effective_rank"},
        ),
        (["arch=lstm"], {*NORMS, *NEUTRAL, "clv_overlap", "lambda_10", "near_zero", "sv_1", "effective_rank"}),
    ):
        one = small(tmp_path, "flossing.at=[]", "train.epochs=2", ALL, *overrides)
        table = rows(computed(one) / "metrics.csv")
        assert {column for row in table for column in COLUMNS if row[column]} == filled
        assert {column for row in table for column in COLUMNS if not row[column]} == set(COLUMNS) - filled
        assert all(row["lambda_1"] for row in table)


def test_it_is_measured_at_the_logged_epochs_alone(tmp_path, monkeypatch):
    measured, original = [], Training._diagnose

    def diagnose(self: Training, *arguments: Any) -> dict[str, Tensor]:
        measured.append(self.epoch)
        return original(self, *arguments)

    monkeypatch.setattr(Training, "_diagnose", diagnose)
    table = rows(computed(small(tmp_path, ALL, "train.epochs=18")) / "metrics.csv")
    assert measured == [0, 5, 10, 15, 17]
    trained = [row for row in table if row["phase"] == "train"]
    assert [int(row["epoch"]) for row in trained] == measured * 2
    assert all(row["grad_norm_h0"] and row["effective_rank"] and row["lambda_1"] for row in trained)


@pytest.mark.parametrize(
    "order", ["[svd,overlap,lyapunov,spectrum,neutral,grad_h0]", "[overlap,grad_h0,neutral,spectrum,lyapunov,svd]"]
)
def test_the_order_of_the_names_does_not_matter(order):
    assert job(f"diagnostics={order}") == job(ALL)
    assert job(f"diagnostics={order}").diagnostics == EVERYTHING


def test_every_diagnostic_can_be_chosen_alone(tmp_path):
    for name, columns in DIAGNOSTICS.items():
        one = small(tmp_path, "flossing.at=[]", "train.epochs=1", f"diagnostics=[{name}]")
        table = rows(computed(one) / "metrics.csv")
        assert tuple(table[0]) == (*METRICS, *(column for column in columns if column != "lambda_1"), "network")
        not_small = ("sv_20", "sv_40", "lambda_10", *SPECTRUM[1:])
        assert all(table[0][column] for column in columns if column not in not_small)


# --- networks that diverge ------------------------------------------------------------------------------------------


def ticks(training: Training, at: int = -1) -> list[TrainingTick]:
    """All epochs; before the one of that number, network 1 of the ensemble breaks."""
    found = []
    while training.epoch < training.ensemble.protocol.epochs:
        if training.epoch == at:
            training.ensemble.parameters["W"][1] = math.nan
        found.append(training.train_epochs(1))
    return found


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_a_network_that_diverges_disturbs_no_other(arch):
    whole, broken = (ensemble(arch, 10, EVERYTHING, seeds=3) for _ in range(2))
    found = list(zip(ticks(whole), ticks(broken, at=4), strict=True))
    assert broken.ensemble.diverged_at.tolist() == [-1, 4, -1]
    for epoch, (ours, theirs) in enumerate(found):
        alive = [0, 1, 2] if epoch < 4 else [0, 2]
        assert theirs.networks.tolist() == alive
        assert torch.equal(ours.loss[alive], theirs.loss)
        assert ours.diagnostics is not None
        assert theirs.diagnostics is not None
        assert list(ours.diagnostics) == list(theirs.diagnostics)
        for name, value in theirs.diagnostics.items():
            assert value.tolist() == pytest.approx(ours.diagnostics[name][alive].tolist(), rel=1e-9)
    for name, value in broken.ensemble.parameters.items():
        assert torch.equal(value[[0, 2]], whole.ensemble.parameters[name][[0, 2]])


def test_all_networks_diverge(tmp_path):
    one = small(tmp_path, "arch=linear", "arch.g=1e30", "flossing.at=[]", ALL)
    folder = computed(one)
    assert (folder / "metrics.csv").read_text() == ",".join((*METRICS, *COLUMNS, "network")) + "\n"
    assert [row["diverged_at"] for row in rows(folder / "summary.csv")] == ["0", "0"]


def test_values_that_are_not_finite(tmp_path):
    """Units that never respond: exponents -inf, and a gradient that does not reach the initial states."""
    one = small(tmp_path, "arch=relu", "arch.mean=-9", "arch.g=0", "flossing.at=[]", ALL, "arch.n=11")
    table = rows(computed(one) / "metrics.csv")
    assert {row["lambda_10"] for row in table} == {"-inf"}
    assert {row[column] for row in table for column in NORMS} == {"0"}
    assert all(float(row["sv_1"]) >= 0 for row in table)
    assert all(0 <= float(row["effective_rank"]) <= 11 for row in table)


# --- interruptions, sweeps, pictures --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """Folder of SMALL with everything watched, computed in one go."""
    return computed(small(tmp_path_factory.mktemp("undisturbed"), ALL))


@pytest.mark.parametrize("epochs", [6, 8, 19, 30])  # two of them within an episode, one at a logged epoch, the last
def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path, monkeypatch, undisturbed, epochs):
    one, count = small(tmp_path, ALL), 0

    def wrapped(function):
        def epoch(*arguments):
            nonlocal count
            count += arguments[-1]
            if count - arguments[-1] < epochs <= count:
                os.kill(os.getpid(), signal.SIGINT)
            return function(*arguments)

        return epoch

    with monkeypatch.context() as patch:
        patch.setattr(Training, "train_epochs", wrapped(Training.train_epochs))
        patch.setattr(Training, "floss_epochs", wrapped(Training.floss_epochs))
        with pytest.raises(SystemExit) as stopped:
            computed(one)
    assert stopped.value.code == 130
    assert (computed(one) / "metrics.csv").read_bytes() == (undisturbed / "metrics.csv").read_bytes()


def test_a_sweep_over_diagnostics_has_the_columns_of_all(tmp_path):
    runs = [
        small(tmp_path, "flossing.at=[]", f"diagnostics={which}") for which in ("[]", "[svd]", "[grad_h0,lyapunov]")
    ]
    for each in runs:
        computed(each)
    folder, _ = write_sweep(Request(runs))
    draw(folder)
    table, metrics = rows(folder / "metrics.csv"), [rows(each.folder / "metrics.csv") for each in runs]
    place = METRICS.index("epoch")
    assert (
        tuple(table[0])
        == (
            *METRICS[:place],
            "diagnostics",  # in which the jobs differ
            *METRICS[place:],
            "sv_1",
            "sv_20",
            "sv_40",
            "effective_rank",
            *NORMS,
            "lambda_10",
            "network",
        )
    )
    own = [row for each in metrics for row in each]
    asked = [row.pop("diagnostics") for row in table]
    assert list(dict.fromkeys(asked)) == ["[]", "[svd]", "[grad_h0,lyapunov]"]
    assert [{name: value for name, value in row.items() if value} for row in table] == [
        {name: value for name, value in row.items() if value} for row in own
    ]
    summary = rows(folder / "summary.csv")
    assert {row.pop("diagnostics") for row in summary} == {*asked}
    assert summary == [row for each in runs for row in rows(each.folder / "summary.csv")]


def test_rows_with_other_columns_are_computed_again(tmp_path, capsys):
    one = small(tmp_path, "flossing.at=[]", "train.epochs=2")
    wanted = (computed(one) / "metrics.csv").read_bytes()
    (path,) = tmp_path.glob("ensembles/*/metrics.csv")
    path.write_text(path.read_text().replace("accuracy", "exactness", 1))
    assert (computed(one) / "metrics.csv").read_bytes() == wanted
    assert capsys.readouterr().err == f"floss: 2 networks are damaged and computed again: {path.parent}\n"


def test_pictures_of_a_watched_run(undisturbed):
    assert [path.name for path in draw(undisturbed)] == ["learning_curves.png", "learning_curves.svg"]
