"""Epochs that can be captured in a CUDA graph: nothing looked at, nothing sent; and the same as run one by one.

No GPU is needed: the epochs run on torch's device `meta`, where looking at a number is an error, and on the CPU without
a graph.
"""

import dataclasses
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from grids import grid
from ticks import life, measurements, place
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from floss.lyapunov import orthonormalisation
from floss.training import engines, ensemble
from floss.training.engine import Engine
from floss.training.engines import capture, graph
from floss.training.engines.capture import Captures, Replayed
from floss.training.engines.graph import FlossingEpoch, GraphEngine, TrainingEpoch
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.flossed_networks import FlossedNetworks, Selection
from floss.training.schedule import FlossingRun
from floss.training.training import Training

SMALL = Protocol(n=8, epochs=9, steps=12, batch=3, relaxation=5, evaluation_batches=2, flossing_epochs=4)
NETWORKS = [
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=14),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=8, target=-0.4, flossing_steps=19),
    Network(seed=2**40, d=4, g=0.9, episodes=(0, 2, 4), k=6, target=-0.1, flossing_steps=14),
]
ARCHITECTURES = ("vanilla", "relu", "linear", "lstm", "gru", "lru")


def protocol(**changed: Any) -> Protocol:
    return Protocol(**{**vars(SMALL), **changed})


def trained(engine: type[Engine], given: Protocol, networks: list[Network] = NETWORKS, every: int = 5) -> Training:
    training = Training(Ensemble(networks, given), engine, every=every)
    for _ in training.run():
        pass
    return training


def run(engine: type[Engine], given: Protocol) -> tuple[Training, list[tuple[Any, ...]]]:
    """A training to its end, and what it measures, of the epochs that have a tick of their own with every engine."""
    training = Training(Ensemble(NETWORKS, given), engine, every=3)
    return training, [
        (*place(tick), *(column.tolist() for column in (tick.networks, life(tick), *measurements(tick).values())))
        for tick in training.run()
        if place(tick)[1] % 3 == 0
    ]


# --- what a graph can hold ------------------------------------------------------------------------------------------


class NothingSent(TorchFunctionMode):
    """No tensor is made of Python's numbers: they would be sent to the device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.tensor, torch.as_tensor, torch.from_numpy), func
        return func(*args, **(kwargs or {}))


class OnTheDevice(TorchDispatchMode):
    """Every tensor that is computed or read is on one device: nothing comes from the CPU, nothing goes there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        devices = {each.device.type for each in tree_leaves((args, kwargs, out)) if isinstance(each, torch.Tensor)}
        assert devices <= {"meta"}, f"{func} on {devices}"
        return out


def meta(value: Any) -> Any:
    """The same on the device `meta`, in containers and the fields of dataclasses too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **meta(vars(value)))
    if isinstance(value, dict):
        return {name: meta(each) for name, each in value.items()}
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def on_meta(given: Protocol) -> Ensemble:
    networks = Ensemble(NETWORKS, given)
    for part in (networks.task_adam, networks.flossed.adam, networks.flossed, networks):
        for name, value in vars(part).items():
            if name not in ("networks", "protocol", "cell", "task"):
                setattr(part, name, meta(value))
    return networks


def selected(networks: Ensemble, *rows: int) -> Selection:
    """To be flossed together, whatever the lengths of their own runs."""
    return networks.flossed.select(torch.tensor(rows), FlossingRun.of_length(14))


CHANGED = [
    *({"arch": arch} for arch in ARCHITECTURES),
    *({"task": task} for task in ("xor_continuous", "copy", "spatial_xor")),
    *({"dtype": torch.float64, "arch": arch} for arch in ("vanilla", "lstm")),
]


@pytest.mark.parametrize("changed", CHANGED, ids=str)
def test_a_training_epoch_can_be_captured(changed):
    epoch = TrainingEpoch(on_meta(protocol(**changed)), None)
    with NothingSent(), OnTheDevice():
        epoch._once()


FLOSSED = [*CHANGED, {"t_ons": 3}, {"t_ons": 3, "arch": "lstm"}]
SOME, ALL = (0, 2), (0, 1, 2)
QUICK = [(changed, SOME) for changed in FLOSSED] + [({"arch": "vanilla"}, ALL), ({"arch": "lstm"}, ALL)]


@pytest.mark.parametrize(("changed", "networks"), grid(QUICK, FLOSSED, (SOME, ALL)), ids=str)
def test_a_flossing_epoch_can_be_captured(changed, networks):
    selection = meta(selected(Ensemble(NETWORKS, protocol(**changed)), *networks))
    epoch = FlossingEpoch(on_meta(protocol(**changed)).flossed, selection, None)
    with NothingSent(), OnTheDevice():
        epoch._once()


@pytest.mark.parametrize(
    "breach",
    [
        lambda x: bool(x.any()),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x + torch.ones(3),
        lambda x: torch.tensor([1.0, 2.0], device="meta"),
        lambda x: x.cpu(),
    ],
)
def test_what_cannot_be_captured_is_found(breach: Callable[[torch.Tensor], Any]):
    x = torch.ones(3, device="meta")
    with pytest.raises((RuntimeError, NotImplementedError, AssertionError)), NothingSent(), OnTheDevice():
        breach(x)


# --- the same as one by one -----------------------------------------------------------------------------------------


def assert_same(one: Training, other: Training) -> None:
    for name, tensor in one.ensemble.tensors().items():
        assert torch.equal(tensor, other.ensemble.tensors()[name]), name


BOTH = ("xor", "xor_continuous")


@pytest.mark.parametrize(("arch", "task"), grid([*zip(ARCHITECTURES, BOTH * 3, strict=True)], ARCHITECTURES, BOTH))
def test_replayed_epochs_are_those_of_the_torch_engine(arch, task):
    (ours, measured), (theirs, expected) = (run(e, protocol(arch=arch, task=task)) for e in (GraphEngine, TorchEngine))
    assert_same(ours, theirs)
    assert measured == expected


@pytest.fixture
def alone(monkeypatch) -> list[int]:
    """Grows by the number of networks of each flossing epoch that a graph engine does not replay."""
    counted: list[int] = []

    class Watched(FlossedNetworks):
        def floss_epoch(self, selection, life, *, epoch, orthonormaliser=orthonormalisation.orthonormalise):
            if orthonormaliser.failed is None:
                counted.append(len(selection.index))
            return super().floss_epoch(selection, life, epoch=epoch, orthonormaliser=orthonormaliser)

    monkeypatch.setattr(ensemble, "FlossedNetworks", Watched)
    return counted


@pytest.mark.parametrize(
    ("arch", "spread"), [("vanilla", 1.0), ("lstm", 1.0), ("vanilla", 30.0), ("relu", 30.0), ("lstm", 3.0)]
)
def test_networks_that_need_householder_reflections_are_brought_up_to_the_others(arch, spread, alone, monkeypatch):
    """With a bound so low that all networks need them in all epochs, or some in some."""
    monkeypatch.setattr(orthonormalisation, "_CHOLESKY_SPREAD", spread)
    ours, measured = run(GraphEngine, protocol(arch=arch))
    assert alone
    theirs, expected = run(TorchEngine, protocol(arch=arch))
    assert_same(ours, theirs)
    assert measured == expected


def test_a_network_is_a_straggler_no_longer_than_it_must(alone, monkeypatch):
    training = Training(Ensemble(NETWORKS, SMALL), GraphEngine)
    selection, life = selected(training.ensemble, 0, 2), torch.zeros(2, dtype=torch.int64)
    with monkeypatch.context() as patch:
        patch.setattr(orthonormalisation, "_CHOLESKY_SPREAD", 1.0)
        training.engine.floss(selection, life, 3, epoch=0)
    assert alone == [2, 2, 2]
    training.engine.floss(selection, life + 3, 3, epoch=0)
    assert alone == [2, 2, 2]


@pytest.mark.parametrize("engine", [GraphEngine, TorchEngine])
def test_where_a_network_diverged_in_flossing(engine):
    """Though its tangent vectors are sound: the wanted exponent is infinite."""
    training = Training(Ensemble(NETWORKS, SMALL), engine)
    training.ensemble.flossed.target[1] = torch.inf
    before = training.ensemble.parameters["W"].clone()
    selection = selected(training.ensemble, 1, 2)
    active = training.engine.floss(selection, torch.zeros(2, dtype=torch.int64), 2, epoch=4).active
    assert active.tolist() == [False, True]
    assert training.ensemble.diverged_at.tolist() == [-1, 4, -1]
    assert [torch.equal(*each) for each in zip(before, training.ensemble.parameters["W"], strict=True)] == [
        True,
        True,
        False,
    ]


def test_without_need_no_epoch_goes_alone(alone):
    trained(GraphEngine, SMALL)
    assert alone == []


def test_only_so_many_selections_of_networks_are_kept(monkeypatch):
    """The least recently used gives way, and nothing refers to it any more; the numbers stay."""
    monkeypatch.setattr(graph, "_MOST_FLOSSING_GRAPHS", 2)
    training = Training(Ensemble(NETWORKS, SMALL), GraphEngine)
    engine, kept = training.engine, []
    assert isinstance(engine, GraphEngine)
    for networks in ((0,), (2,), (0,), (0, 2), (0,)):
        selection = selected(training.ensemble, *networks)
        engine.floss(selection, torch.zeros_like(selection.index), 1, epoch=0)
        kept.append(list(engine._flossing))
    assert kept == [[(0,)], [(0,), (2,)], [(2,), (0,)], [(0,), (0, 2)], [(0, 2), (0,)]]
    evicted = weakref.ref(engine._flossing[0, 2])
    selection = selected(training.ensemble, 2)
    gc.disable()
    engine.floss(selection, torch.zeros_like(selection.index), 1, epoch=0)
    gc.enable()
    assert evicted() is None
    monkeypatch.setattr(graph, "_MOST_FLOSSING_GRAPHS", 1)
    assert_same(trained(GraphEngine, SMALL), trained(TorchEngine, SMALL))


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_double_precision_agrees_with_householder_reflections(arch):
    given = protocol(arch=arch, dtype=torch.float64)
    ours, theirs = trained(GraphEngine, given), trained(TorchEngine, given)
    for name, p in theirs.ensemble.parameters.items():
        torch.testing.assert_close(ours.ensemble.parameters[name], p, rtol=1e-8, atol=1e-9, msg=name)


def test_a_network_that_explodes_is_marked_and_disturbs_nobody():
    networks = [*NETWORKS, Network(seed=5, d=4, g=1e30, episodes=(0,), k=4, flossing_steps=20)]
    ours, theirs = (trained(engine, protocol(arch="linear"), networks) for engine in (GraphEngine, TorchEngine))
    assert ours.ensemble.diverged_at.tolist() == theirs.ensemble.diverged_at.tolist() == [-1, -1, -1, 0]
    for name, p in trained(GraphEngine, protocol(arch="linear")).ensemble.parameters.items():
        assert torch.equal(ours.ensemble.parameters[name][:3], p)


@pytest.fixture(scope="module")
def reference() -> Training:
    return trained(TorchEngine, SMALL)


@pytest.mark.parametrize("stop", range(1, 12, 2))
def test_a_run_that_was_stopped_goes_on_to_the_same_end(stop, reference):
    first = Training(Ensemble(NETWORKS, SMALL), GraphEngine)
    for count, _ in enumerate(first.run(), 1):
        if count == stop:
            break
    second = Training(Ensemble(NETWORKS, SMALL), GraphEngine)
    second.load(first.state())
    for _ in second.run():
        pass
    assert_same(second, reference)


def test_the_torch_engine_on_a_gpu_replays():
    for arch in ARCHITECTURES:
        assert engines.find("auto", arch=arch, device="cuda") is GraphEngine
        assert engines.find("torch", arch=arch, device="cuda") is GraphEngine
        assert engines.find("torch", arch=arch, device="cpu") is TorchEngine


# --- capturing ------------------------------------------------------------------------------------------------------


class FakeCuda:
    """In place of torch.cuda: a graph that calls again what was captured, and counts."""

    def __init__(self, function: Callable[[], None], breaks: bool) -> None:
        self.function, self.breaks, self.capturing, self.replays = function, breaks, False, 0
        self.current = FakeStream()

    def CUDAGraph(self) -> "FakeCuda":  # noqa: N802
        return self

    def graph(self, graph: Any, pool: Any, stream: Any) -> Any:
        self.captured_in, fake = (pool, stream), self

        class Capture:
            def __enter__(self) -> None:
                fake.capturing, fake.current = True, stream

            def __exit__(self, *error: object) -> None:
                fake.capturing = False  # and the stream stays, as with torch.cuda.graph where a capture fails

        return Capture()

    def replay(self) -> None:
        self.replays += 1
        self.function()

    def graph_pool_handle(self) -> str:
        return "pool"

    def Stream(self) -> "FakeStream":  # noqa: N802
        return FakeStream()

    def current_stream(self) -> "FakeStream":
        return self.current

    @contextmanager
    def stream(self, stream: "FakeStream") -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before


class FakeStream:
    """Knows what it waits for."""

    def __init__(self) -> None:
        self.behind: list[FakeStream] = []

    def wait_stream(self, other: "FakeStream") -> None:
        self.behind.append(other)


@pytest.mark.parametrize("breaks", [False, True])
def test_every_call_is_one_epoch_whether_warming_up_captured_or_replayed(breaks, monkeypatch, capsys):
    epochs: list[FakeStream] = []

    def function() -> None:
        if not cuda.capturing:  # a capture computes nothing
            epochs.append(cuda.current)
        elif breaks:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")

    cuda = FakeCuda(function, breaks)
    monkeypatch.setattr(torch, "cuda", cuda)
    default, captures = cuda.current, Captures()
    replayed = Replayed("flossing", captures)
    for count in range(1, 11):
        replayed(function)
        assert len(epochs) == count
        assert cuda.current is default
    assert cuda.captured_in == ("pool", captures.stream)
    assert cuda.replays == (0 if breaks else 10 - capture._WARM_UP)
    assert epochs == [captures.stream] * capture._WARM_UP + [default] * (10 - capture._WARM_UP)
    assert vars(captures.stream) == {"behind": [default] * capture._WARM_UP}
    assert default.behind == [captures.stream] * capture._WARM_UP
    said = (
        "floss: flossing goes without a CUDA graph, which is slower: operation not permitted when stream is capturing\n"
    )
    assert capsys.readouterr().err == (said if breaks else "")
    assert captures.refused == ({"flossing"} if breaks else set())


def test_a_capture_that_failed_is_not_tried_again_in_the_same_loop(monkeypatch, capsys):
    captured: list[str] = []

    def function_of(loop: str) -> Callable[[], None]:
        def function() -> None:
            if cuda.capturing:
                captured.append(loop)
                if loop == "flossing":
                    raise RuntimeError("no")

        return function

    cuda = FakeCuda(lambda: None, breaks=False)
    monkeypatch.setattr(torch, "cuda", cuda)
    captures = Captures()
    for loop in ("flossing", "training", "flossing"):
        replayed = Replayed(loop, captures)
        for _ in range(capture._WARM_UP + 2):
            replayed(function_of(loop))
    assert captured == ["flossing", "training"]
    assert cuda.replays == 2
    assert capsys.readouterr().err == "floss: flossing goes without a CUDA graph, which is slower: no\n"
