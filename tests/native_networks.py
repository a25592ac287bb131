"""A few small networks for tests of the native engine, unlike in all that may differ within an ensemble."""

from typing import Any

from problems import DOUBLE
from torch import Tensor

from floss.training.engine import Engine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

SMALL = Protocol(n=11, epochs=9, steps=23, batch=5, evaluation_batches=2, flossing_epochs=4, dtype=DOUBLE)
NETWORKS = (
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=11, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=1.2, episodes=(0, 2, 4), k=6, target=0.1, flossing_steps=20),
    Network(seed=5, d=22, g=1.5, episodes=(0, 8), k=1, flossing_steps=25),
)


def distance(ours: Tensor, reference: Tensor) -> float:
    """‖error‖ / ‖reference‖."""
    return float((ours.double() - reference).norm() / reference.norm())


def training(
    engine: type[Engine], protocol: Protocol, networks: tuple[Network, ...] = NETWORKS, **how: Any
) -> Training:
    return Training(Ensemble(networks, protocol), engine, **how)
