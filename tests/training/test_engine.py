"""The abstract engine: what each engine does, and nothing beside it; how a training is put together."""

import gc
import inspect
import weakref

import pytest

from floss.training import engines
from floss.training.engine import Engine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

SMALL = Protocol(n=6, epochs=3, steps=9, batch=2, relaxation=3, flossing_epochs=2)
NETWORKS = [Network(seed=seed, d=2, k=3, episodes=(0,), flossing_steps=20) for seed in range(2)]
PUBLIC = {name for name in vars(Engine) if not name.startswith("_")} | {"name", "networks_per_thread"}

GENERAL = {name: engine for name, engine in engines.ENGINES.items() if name != "convolution"}
every_engine = pytest.mark.parametrize("engine", GENERAL.values(), ids=list(GENERAL))


@every_engine
def test_an_engine_has_the_interface_and_nothing_beside_it(engine):
    assert engine.__bases__ == (Engine,)
    assert set(Engine.__abstractmethods__) <= set(vars(engine))
    assert {name for name in dir(engine) if not name.startswith("_")} == PUBLIC
    for name in Engine.__abstractmethods__:
        ours, wanted = getattr(engine, name), getattr(Engine, name)
        if callable(ours):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(wanted).parameters), name


def test_what_is_missing_is_noticed_when_an_engine_is_made():
    class Half(Engine):
        def train(self, epoch, count):
            raise NotImplementedError

    with pytest.raises(TypeError, match="abstract"):
        Half(Ensemble(NETWORKS, SMALL))  # pyright: ignore[reportAbstractUsage]


@pytest.mark.parametrize("engine", ["torch", "graph"])
def test_a_training_and_its_networks_leave_the_memory_at_once(engine):
    """Nothing in it refers back to what it belongs to."""
    training = Training(Ensemble(NETWORKS, SMALL), engines.ENGINES[engine])
    list(training.run())
    parts = [weakref.ref(part) for part in (training, training.ensemble, training.ensemble.flossed, training.engine)]
    gc.disable()
    try:
        del training
        assert [part() for part in parts] == [None] * 4
    finally:
        gc.enable()


def test_an_engine_is_whatever_makes_one():
    made = []

    def factory(ensemble: Ensemble) -> Engine:
        made.append(ensemble)
        return engines.ENGINES["torch"](ensemble)

    ensemble = Ensemble(NETWORKS, SMALL)
    training = Training(ensemble, factory)
    assert made == [ensemble]
    assert training.ensemble is training.engine.ensemble is ensemble
