"""What is said of the time of the figures on embeddings follows the sizes of the data."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from floss.errors import ConfigError
from floss.papers import timing
from floss.papers.curse_of_memory import PAPER
from floss.papers.curse_of_memory.gates_jobs import GATED, GatesJob, gates_tables
from floss.papers.curse_of_memory.jacobian_jobs import JACOBIANS, JacobiansJob, jacobians_tables
from floss.papers.curse_of_memory.stack_jobs import STACK, StackJob, stack_tables, together
from floss.papers.curse_of_memory.surrogate_jobs import SURROGATE, SurrogateJob
from floss.sweep.store import Store

MISSED = 0.05
"""Of the operations: what a job does beside its steps, and the rounding of a sixteenth of them."""


class Products(TorchDispatchMode):
    """Counts the multiplications and additions of products of matrices."""

    count = 0.0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.__name__.split(".")[0] in ("mm", "bmm", "addmm", "baddbmm"):
            self.count += 2.0 * result.numel() * args[-1].shape[-2]
        return result


def flops(compute, *steps) -> float:
    """As if each operation took a second: a clock that no other process disturbs."""
    with Products() as products:
        compute(*steps)
    return products.count


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(timing, "_timed", flops)


@pytest.mark.parametrize(("steps", "least"), [(1000, 2), (17, 2), (3, 2), (2, 2), (1, 1), (640, 20)])
@pytest.mark.parametrize(("fixed", "each"), [(0.3, 0.01), (50.0, 0.001), (0.0, 1e-5)])
def test_what_is_linear_in_its_steps_is_exact(monkeypatch, steps, least, fixed, each):
    monkeypatch.setattr(timing, "_timed", lambda compute, some: compute(some))
    seconds = timing.seconds_by_steps(lambda some: fixed + each * some, steps, least, times=3)
    assert seconds == pytest.approx(3 * (fixed + each * steps), rel=1e-9)


def test_a_clock_that_is_disturbed_gives_no_negative_time(monkeypatch):
    ticks = iter((0.5, 0.3, 0.2, 0.1, 0.3, 0.6))
    monkeypatch.setattr(timing, "_timed", lambda *_: next(ticks))
    assert timing.seconds_by_steps(lambda _: None, 160, 2) >= 0.3


STACKED = StackJob(
    cell="crnn", norm=False, times=(1.0, 10.0), layers=(1, 3), seeds=3, sequences=2, steps=16, width=8,
    features=8, surrogate="independent", data=None, data_file=None, results="",
)  # fmt: skip
TOLD = {
    "stack": (STACK, stack_tables, STACKED),
    "jacobians": (
        JACOBIANS,
        jacobians_tables,
        JacobiansJob(
            cell="lstm",
            gain=2.0,
            seeds=2,
            n=4,
            features=6,
            steps=40,
            entries=8,
            surrogate="white",
            data=None,
            data_file=None,
            results="",
        ),
    ),
    "gates": (
        GATED,
        gates_tables,
        GatesJob(
            batches=2,
            networks=2,
            n=4,
            features=6,
            steps=32,
            longest=16,
            gain=2.0,
            surrogate="white",
            data=None,
            data_file=None,
            results="",
        ),
    ),
}


@pytest.mark.parametrize("name", TOLD)
def test_it_is_what_the_whole_job_takes(name, counted):
    kind, tables, job = TOLD[name]
    told, whole = kind.seconds(job), flops(lambda: tables(job))
    assert told == pytest.approx(whole, rel=MISSED)


def test_it_grows_with_the_features(counted):
    """In the ends of a stack, which are a part of it, and not at all where nothing depends on them."""
    wider = replace(STACKED, features=64)
    ends = 3 * 2 * wider.width * (64 - STACKED.features)  # multiplications and additions, forward and backward twice
    positions = 2 * STACKED.sequences * STACKED.steps * len(STACKED.layers) * STACKED.seeds * len(STACKED.times)
    # The input needs no gradient: two thirds of the encoder's.
    assert STACK.seconds(wider) - STACK.seconds(STACKED) == pytest.approx(ends * positions * 5 / 6, rel=MISSED)


def test_fig_12_takes_time_for_every_sequence(monkeypatch):
    given = []
    monkeypatch.setattr(timing, "_timed", lambda _, some: given.append(some) or 0.5 + 0.25 * some)
    monkeypatch.setattr(
        "floss.papers.curse_of_memory.surrogate_jobs.own_embeddings",
        lambda _: type("Own", (), {"x": torch.zeros(1000, 40, 2)}),
    )
    job = SurrogateJob(seeds=1, sequences=1000, steps=40, features=2, data="embeddings-0", data_file=None, results="")
    assert SURROGATE.seconds(job) == pytest.approx(0.5 + 0.25 * 1000)
    assert max(given) < 100


PAPER_SIZE = {"sequences": 16, "steps": 512, "width": 256, "layers": (4,)}


def test_as_many_networks_are_side_by_side_as_fit():
    """All that are on disk were five; embeddings that are much wider than the paper's have fewer."""
    for figure, scale in itertools.product(("fig05", "fig13"), ("paper", "small")):
        for run in PAPER.experiment(figure).scales[scale].values():
            (job,) = run.jobs("")
            assert together(job) == 5
    assert together(replace(STACKED, features=8 * 768, **PAPER_SIZE)) == 2
    assert together(replace(STACKED, features=100 * 768, **PAPER_SIZE)) == 1


def test_what_does_not_fit_is_refused_before_it_is_tried(monkeypatch, tmp_path):
    job = replace(STACKED, features=100 * 768, results=str(tmp_path), **PAPER_SIZE)
    monkeypatch.setattr(timing, "_timed", lambda *_: 1.0)
    monkeypatch.setattr("floss.papers.tables.free_memory", lambda: 3e10)
    assert STACK.missing([job], Store(tmp_path)).memory == pytest.approx(1.58e10, rel=0.01)
    monkeypatch.setattr("floss.papers.tables.free_memory", lambda: 8e9)
    with pytest.raises(ConfigError, match=r"stack: needs 15\.8 GB of memory, and 8 GB are free"):
        STACK.missing([job], Store(tmp_path))
