"""Epochs that can be captured in a CUDA graph: nothing looked at, nothing sent; and the same as run one by one.

No GPU is needed: the epochs run on torch's device `meta`, where looking at a number is an error, and on the CPU without
a graph.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from floss.lyapunov import orthonormalisation
from floss.training import engines
from floss.training.engines import graph
from floss.training.engines.graph import FlossingEpoch, GraphEngine, Replayed, TrainingEpoch
from floss.training.engines.torch_engine import TorchEngine
from floss.training.ensemble import Network, Protocol
from floss.training.training import Training

SMALL = Protocol(n=8, epochs=9, steps=30, batch=3, relaxation=5, evaluation_batches=2, flossing_epochs=4)
NETWORKS = [
    Network(seed=3, d=2, g=0.8, episodes=(0, 4), k=3, flossing_steps=20),
    Network(seed=11, d=6, g=1.0, episodes=(4,), k=8, target=-0.4, flossing_steps=31),
    Network(seed=2**40, d=4, g=0.9, episodes=(0, 2, 4), k=6, target=-0.1, flossing_steps=20),
]
ARCHITECTURES = ("vanilla", "relu", "linear", "lstm", "gru", "lru")


def protocol(**changed: Any) -> Protocol:
    return Protocol(**{**vars(SMALL), **changed})


def trained(engine: type[TorchEngine], given: Protocol, networks: list[Network] = NETWORKS, every: int = 5) -> Training:
    training = Training(networks, given, engine=engine, every=every)
    for _ in training.run():
        pass
    return training


def ticks(engine: type[TorchEngine], given: Protocol) -> list[tuple[Any, ...]]:
    """What a run measures, of the epochs that have a tick of their own with every engine."""
    found = []
    for tick in Training(NETWORKS, given, engine=engine, every=3).run():
        if tick.within % 3 == 0:
            measured = (tick.networks, tick.epoch, tick.loss, tick.accuracy, tick.lambda_1)
            found.append((tick.phase, tick.within, *(None if each is None else each.tolist() for each in measured)))
    return found


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
    if isinstance(value, dict):
        return {name: meta(each) for name, each in value.items()}
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def on_meta(given: Protocol) -> Training:
    training = Training(NETWORKS, given)
    for thing in (training, training.task_adam, training.flossing_adam):
        for name, value in vars(thing).items():
            if name != "runs":
                setattr(thing, name, meta(value))
    return training


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


@pytest.mark.parametrize("networks", [(0, 2), (0, 1, 2)])
@pytest.mark.parametrize("changed", [*CHANGED, {"t_ons": 3}, {"t_ons": 3, "arch": "lstm"}], ids=str)
def test_a_flossing_epoch_can_be_captured(changed, networks):
    training = Training(NETWORKS, protocol(**changed))
    selection = training.engine.select(torch.tensor(networks))
    selection = type(selection)(**{name: meta(value) for name, value in vars(selection).items()})
    epoch = FlossingEpoch(on_meta(training.protocol), selection, None)
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
    for name, tensor in one.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


@pytest.mark.parametrize("task", ["xor", "xor_continuous"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_replayed_epochs_are_those_of_the_torch_engine(arch, task):
    given = protocol(arch=arch, task=task)
    assert_same(trained(GraphEngine, given), trained(TorchEngine, given))
    assert ticks(GraphEngine, given) == ticks(TorchEngine, given)


class Watched(TorchEngine):
    """Counts epochs that are not replayed."""

    alone = 0

    def floss_epoch(self, selection, life, *, epoch, orthonormaliser=orthonormalisation.orthonormalise):
        Watched.alone += orthonormaliser.failed is None
        return super().floss_epoch(selection, life, epoch=epoch, orthonormaliser=orthonormaliser)


@pytest.mark.parametrize(
    ("arch", "spread"), [("vanilla", 1.0), ("lstm", 1.0), ("vanilla", 30.0), ("relu", 30.0), ("lstm", 3.0)]
)
def test_networks_that_need_householder_reflections_are_brought_up_to_the_others(arch, spread, monkeypatch):
    """With a bound so low that all networks need them in all epochs, or some in some."""
    monkeypatch.setattr(orthonormalisation, "_CHOLESKY_SPREAD", spread)
    monkeypatch.setattr(graph, "TorchEngine", Watched)
    monkeypatch.setattr(Watched, "alone", 0)
    given = protocol(arch=arch)
    assert_same(trained(GraphEngine, given), trained(TorchEngine, given))
    assert Watched.alone > 0
    assert ticks(GraphEngine, given) == ticks(TorchEngine, given)


def test_a_network_is_a_straggler_no_longer_than_it_must(monkeypatch):
    monkeypatch.setattr(graph, "TorchEngine", Watched)
    training = Training(NETWORKS, SMALL, engine=GraphEngine)
    index, life = torch.arange(3), torch.zeros(3, dtype=torch.int64)
    with monkeypatch.context() as patch:
        patch.setattr(orthonormalisation, "_CHOLESKY_SPREAD", 1.0)
        patch.setattr(Watched, "alone", 0)
        training.engine.floss(index[:2], life[:2], 3, epoch=0)
        assert Watched.alone == 3
    training.engine.floss(index[:2], life[:2] + 3, 3, epoch=0)
    assert Watched.alone == 0


@pytest.mark.parametrize("engine", [GraphEngine, TorchEngine])
def test_where_a_network_diverged_in_flossing(engine):
    """Though its tangent vectors are sound: the wanted exponent is infinite."""
    training = Training(NETWORKS, SMALL, engine=engine)
    training.target[1] = torch.inf
    index, before = torch.tensor([1, 2]), training.parameters["W"].clone()
    active, _, _ = training.engine.floss(index, torch.zeros(2, dtype=torch.int64), 2, epoch=4)
    assert active.tolist() == [False, True]
    assert training.diverged_at.tolist() == [-1, 4, -1]
    assert [torch.equal(*each) for each in zip(before, training.parameters["W"], strict=True)] == [True, True, False]


def test_without_need_no_epoch_goes_alone(monkeypatch):
    monkeypatch.setattr(graph, "TorchEngine", Watched)
    monkeypatch.setattr(Watched, "alone", 0)
    trained(GraphEngine, SMALL)
    assert Watched.alone == 0


@pytest.mark.parametrize("arch", ["vanilla", "lstm"])
def test_double_precision_agrees_with_householder_reflections(arch):
    given = protocol(arch=arch, dtype=torch.float64)
    ours, theirs = trained(GraphEngine, given), trained(TorchEngine, given)
    for name, p in theirs.parameters.items():
        torch.testing.assert_close(ours.parameters[name], p, rtol=1e-8, atol=1e-9, msg=name)


def test_a_network_that_explodes_is_marked_and_disturbs_nobody():
    networks = [*NETWORKS, Network(seed=5, d=4, g=1e30, episodes=(0,), k=4, flossing_steps=20)]
    ours, theirs = (trained(engine, protocol(arch="linear"), networks) for engine in (GraphEngine, TorchEngine))
    assert ours.diverged_at.tolist() == theirs.diverged_at.tolist() == [-1, -1, -1, 0]
    for name, p in trained(GraphEngine, protocol(arch="linear")).parameters.items():
        assert torch.equal(ours.parameters[name][:3], p)


@pytest.mark.parametrize("stop", range(1, 12, 2))
def test_a_run_that_was_stopped_goes_on_to_the_same_end(stop):
    first = Training(NETWORKS, SMALL, engine=GraphEngine)
    for count, _ in enumerate(first.run(), 1):
        if count == stop:
            break
    second = Training(NETWORKS, SMALL, engine=GraphEngine)
    second.load(first.state())
    for _ in second.run():
        pass
    assert_same(second, trained(TorchEngine, SMALL))


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
    default, captures = cuda.current, graph.Captures()
    replayed = Replayed(function, "flossing", captures)
    for count in range(1, 11):
        replayed()
        assert len(epochs) == count
        assert cuda.current is default
    assert cuda.captured_in == ("pool", captures.stream)
    assert cuda.replays == (0 if breaks else 10 - graph._WARM_UP)
    assert epochs == [captures.stream] * graph._WARM_UP + [default] * (10 - graph._WARM_UP)
    assert vars(captures.stream) == {"behind": [default] * graph._WARM_UP}
    assert default.behind == [captures.stream] * graph._WARM_UP
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
    captures = graph.Captures()
    for loop in ("flossing", "training", "flossing"):
        replayed = Replayed(function_of(loop), loop, captures)
        for _ in range(graph._WARM_UP + 2):
            replayed()
    assert captured == ["flossing", "training"]
    assert cuda.replays == 2
    assert capsys.readouterr().err == "floss: flossing goes without a CUDA graph, which is slower: no\n"
