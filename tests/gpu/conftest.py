"""Tests on a CUDA card: all of them have the mark `gpu`, and do not run where there is none.

They need torch, jaxtyping, filelock and pytest; those of the command line need what `floss train` does.
`FLOSS_TEST_DEVICE=cpu` runs them on the CPU, where no graph is captured: a check of the tests themselves.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from floss.runtime.device import device_of
from floss.training import engines
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

DEVICE = os.environ.get("FLOSS_TEST_DEVICE", "cuda")
SMALL = Protocol(n=8, epochs=12, steps=30, batch=3, relaxation=5, evaluation_batches=2, flossing_epochs=6)
NETWORKS = [
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=8, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=0.9, episodes=(0, 2, 4), k=6, target=-0.1, flossing_steps=20),
]

MakeTraining = Callable[..., Training]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a card: skip these tests where they alone are asked for, and leave them out where others run as well."""
    if DEVICE == "cpu" or torch.cuda.is_available():
        return
    ours = [item for item in items if item.get_closest_marker("gpu")]
    if len(ours) < len(items):
        items[:] = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)
    for item in ours:
        item.add_marker(pytest.mark.skip(reason="needs a CUDA card; on one, `make gpu` runs these tests"))


@pytest.fixture(scope="session")
def device() -> str:
    """Where the tests run."""
    return device_of(DEVICE)


@pytest.fixture(scope="session")
def card(device: str) -> str:
    """The same, for a test that the CPU cannot stand in for."""
    if device != "cuda":
        pytest.skip("needs a CUDA card")
    return device


@pytest.fixture
def training(device: str) -> MakeTraining:
    """Makes a training of three small networks, on the device unless told otherwise, with an engine by its name."""

    def make(
        engine: str, networks: list[Network] = NETWORKS, *, on: str = device, every: int = 5, **different: Any
    ) -> Training:
        protocol = Protocol(**{**vars(SMALL), **different})
        return Training(Ensemble(networks, protocol, on), engines.ENGINES[engine], every=every)

    return make


@pytest.fixture
def no_complaint(capsys) -> Iterator[None]:
    """Nothing is said on standard error: every epoch was captured in a graph."""
    yield
    assert capsys.readouterr().err == ""
