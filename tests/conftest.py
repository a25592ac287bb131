"""Shapes and dtypes in the signatures of the numerical core are checked while the tests run: see signatures.py.

Not those of `floss.qr`, `floss.lyapunov_spectrum`, `floss.flossing_loss` and `floss.step_from_module`, which check
their arguments themselves, for users; nor `floss.lyapunov.step`, through which every step of a map goes: the checks
would take half as long again.
"""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from signatures import check_signatures, start_anew

# Until the tests are there, whatever is made stays: no garbage to look for among hundreds of thousands of objects.
gc.disable()

# What these modules assert is shown in full, as in a test.
pytest.register_assert_rewrite(
    "command",
    "analysis.analyses",
    "figures.pictures",
    "networks.distributions",
    "sweep.stacked_sweep",
    "sweep.tiny_runs",
)

CHECKED = (
    "floss.training.adam",
    "floss.networks.cell",
    "floss.networks.gated",
    "floss.networks.gru",
    "floss.networks.lru",
    "floss.networks.lstm",
    "floss.networks.rate",
    "floss.networks.stacked",
    "floss.training.diagnostics",
    "floss.training.engine",
    "floss.training.engines.graph",
    "floss.training.engines.native",
    "floss.training.engines.operators",
    "floss.training.engines.torch_engine",
    "floss.training.engines.torch_epochs",
    "floss.training.ensemble",
    "floss.training.episode",
    "floss.training.flossed_networks",
    "floss.training.flossing",
    "floss.lyapunov.orthonormalisation",
    "floss.lyapunov.tangent_qr",
    "floss.random",
    "floss.tasks",
    "floss.training.ticks",
    "floss.training.training",
)


def hands_out_tests() -> bool:
    """Whether this process only hands out tests to others, as `-n auto` asks: it needs nothing of what they need."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-n", "--numprocesses")
    known, _ = parser.parse_known_args(sys.argv[1:])
    return "PYTEST_XDIST_WORKER" not in os.environ and known.numprocesses not in (None, "0")


def get_ready() -> None:
    """Import what is checked while it runs, and build the native engine, here instead of in the middle of a test."""
    import torch

    # The matrices here are tiny: a second thread only waits, and on a busy machine it waits long.
    torch.set_num_threads(1)

    check_signatures(CHECKED, lambda: [importlib.import_module(name) for name in CHECKED])
    from composed import compose_once

    from floss.runtime.messages import show_messages
    from floss.training import engines
    from floss.training.engines.call_arguments import NAMES

    show_messages()
    compose_once()
    for arch in NAMES:
        engines.find("auto", arch=arch, device="cpu")


if not hands_out_tests():
    get_ready()  # before other conftest.py import what is to be checked


def pytest_configure(config: pytest.Config) -> None:
    """Tests are run by processes that are ready for them."""
    if hands_out_tests() and not config.getoption("numprocesses", None):
        raise pytest.UsageError("-n: is not what xdist has understood, and signatures would not be checked")


LONGEST = (
    "papers/test_reproduce.py",
    "papers/test_published.py",
    "docs/test_examples.py",
    "jobs/test_extensions.py",
    "sweep/test_resume.py",
    "papers/test_claims.py",
    "papers/test_claim_numbers.py",
    "sweep/test_run.py",
    "training/engines/test_processor.py",
    "figures/test_runs.py",
    "figures/test_analyses.py",
    "training/engines/test_graph.py",
    "analysis/bench/test_bench.py",
    "training/test_until.py",
    "training/test_diagnostics.py",
)
"""Files that go first where several processes share the tests, so that none of them ends long after the others: a file
stays within one process, which makes what its tests share once."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; the others in the order of their names."""
    place = {Path(__file__).parent / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


_file: list[Path] = []
"""Of the test before."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    start_anew(item)
    if _file != [item.path]:
        _file[:] = [item.path]
        keep_what_is_there()


def keep_what_is_there() -> None:
    """What has been imported stays, so that looking for garbage need not go through all of it.

    Every ensemble begins by looking for what the one before has left. With all modules of torch, pandas and matplotlib
    to go through, that takes longer than the tiny ensembles of the tests, and was a fifth of the time of all tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def forgotten() -> Iterator[None]:
    """What this process learns of other packages is forgotten after the test."""
    from hydra.core.config_store import ConfigStore

    from floss.jobs import extensions
    from floss.networks import CELLS
    from floss.tasks import TASKS

    extensions._registered.cache_clear()
    yield
    extensions._registered.cache_clear()
    for key in extensions.GROUPS:
        ConfigStore.instance().repo.pop(key, None)
    for key, table in (("arch", CELLS), ("task", TASKS)):
        for name in table.keys() - {*extensions.shipped(key)}:
            del table[name]
    for name in [name for name in sys.modules if name.startswith(("floss_example", "broken", "my_"))]:
        del sys.modules[name]


@pytest.fixture
def no_pictures():
    """For tests that look at no picture: drawing takes several times as long as a tiny run."""
    from command import without_pictures

    with without_pictures():
        yield


def pytest_collection_finish():
    """What a test leaves can wait."""
    gc.enable()
    gc.set_threshold(20_000, 20, 20)
