"""The claim of `make demo` at its own sizes: flossed networks learn a delay that the same networks else do not."""

import pytest

from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training


@pytest.mark.slow
def test_flossed_networks_learn_xor_over_thirty_steps():
    without = [Network(seed=seed, d=30) for seed in range(3)]
    flossed = [Network(seed=seed, d=30, episodes=(0,)) for seed in range(3)]
    training = Training(Ensemble(without + flossed, Protocol(epochs=1000)))
    for _ in training.run():
        pass
    _, accuracy = training.evaluate()
    assert accuracy is not None
    chance, solved = accuracy[:3], accuracy[3:]
    assert (chance - 0.5).abs().max() < 0.02  # three standard errors of 69120 independent decisions are 0.006
    assert solved.min() > 0.9
