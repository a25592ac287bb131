"""Callbacks for Lightning and for Hugging Face's Trainer: real runs, stopped and resumed."""

# The packages are not there without their extras.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false, reportOptionalMemberAccess=false

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import floss
from floss.training.user_network.callbacks.parts import Parts

S, N, T, BATCH, STEPS = 3, 6, 12, 4, 6
EPISODE = {"floss/episode_loss", "floss/episode_epochs"}


def needs(name: str) -> Any:
    return pytest.importorskip(name, reason=f"needs pip install 'floss[{name}]'")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(S, N, batch_first=True), nn.Linear(N, 1)

    def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
        y = self.head(self.rnn(x)[0][:, -1])
        return {"loss": (y - labels).square().mean(), "logits": y}


def data() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(STEPS * BATCH, T, S), torch.randn(STEPS * BATCH, 1)


def flosser(model: nn.Module) -> floss.Flosser:
    """Episodes before steps 2 and 4."""
    return floss.Flosser(model, 2, at=[2, 4], epochs=2, lr=1e-2)


def by_hand(net: Net, order: Sequence[int] = range(STEPS)) -> tuple[list[dict[str, float]], list[float]]:
    """The loop that one would write, on batches in this order: what its monitor says, and its episodes' losses."""
    own, monitor, logs, losses = flosser(net), floss.Monitor(net, 2, every=2), [], []
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-1)
    batches = list(zip(*(part.split(BATCH) for part in data()), strict=True))
    for step, place in enumerate(order):
        x, y = batches[place]
        episode = own.maybe(step)
        losses += [] if episode is None else [float(episode.loss[-1])]
        net.zero_grad()
        net(x, y)["loss"].backward()
        optimizer.step()
        logs.append(monitor.log())
    return logs, losses


def start() -> Net:
    torch.manual_seed(0)
    return Net()


def assert_close(one: nn.Module, other: nn.Module) -> None:
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


# --- what both have in common ---------------------------------------------------------------------------------------


def test_parts_floss_watch_and_resume():
    net, twin = start(), start()
    logs, losses = by_hand(twin)
    parts = Parts("C", flosser(net), floss.Monitor(net, 2, every=2))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-1)
    for step, (x, y) in enumerate(zip(*(part.split(BATCH) for part in data()), strict=True)):
        values = parts.before(step)
        assert set(values) == (EPISODE if step in (2, 4) else set())
        if values:
            assert (values["floss/episode_loss"], values["floss/episode_epochs"]) == (losses.pop(0), 2)
        net.zero_grad()
        net(x, y)["loss"].backward()
        optimizer.step()
        assert parts.after() == logs[step]
        if step == 2:  # as if another process went on
            state = parts.state()
            parts = Parts("C", flosser(net), floss.Monitor(net, 2, every=2))
            parts.load(state)
    assert list(parts.episodes) == [4]
    assert_close(net, twin)


def test_what_does_not_fit_is_said_in_one_line():
    net = start()
    for message, arguments in {
        "^C: needs a flosser or a monitor$": (None, None),
        "^C: flosser must be a floss.Flosser, got GRU$": (net.rnn, None),
        "^C: monitor must be a floss.Monitor, got Flosser$": (None, flosser(net)),
    }.items():
        with pytest.raises(ValueError, match=message):
            Parts("C", *arguments)
    with pytest.raises(ValueError, match=r"^C: 2 processes have different batches.* needs inputs="):
        Parts("C", flosser(net), None).check(2)
    Parts("C", floss.Flosser(net, 2, inputs=lambda: torch.zeros(9, S)), None).check(2)
    Parts("C", flosser(net), None).check(1)


@pytest.mark.parametrize("name", floss.callbacks.__all__)
def test_a_missing_package_is_said_in_one_line(monkeypatch, name):
    package = {"LightningFlossing": "lightning", "TransformersFlossing": "transformers"}[name]
    monkeypatch.delitem(sys.modules, f"floss.training.user_network.callbacks.{package}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    said = rf"^floss\.callbacks\.{name}: needs {package}, which is not installed; pip install 'floss\[{package}\]' adds"
    with pytest.raises(ImportError, match=said):
        getattr(floss.callbacks, name)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = floss.callbacks.Nothing


# --- Lightning --------------------------------------------------------------------------------------------------------


def lightning_run(net: Net, folder: Path, steps: int, resume: str | None = None) -> tuple[Any, list[dict[str, float]]]:
    """A real training of so many steps: its callback, and what its logger was told."""
    lightning = needs("lightning")
    from lightning.pytorch.loggers import Logger

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: Any, index: int) -> Tensor:
            return self.net(*batch)["loss"]

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e-1)

    class Told(Logger):
        name, version = "told", "0"

        def __init__(self) -> None:
            super().__init__()
            self.rows: list[dict[str, float]] = []

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            self.rows.append({**metrics, "step": step or 0})

        def log_hyperparams(self, *_: Any, **__: Any) -> None:
            """None are wanted."""

    told = Told()
    callback = floss.callbacks.LightningFlossing(flosser=flosser(net), monitor=floss.Monitor(net, 2, every=2))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=BATCH)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_steps=steps, accelerator="cpu", logger=told, callbacks=[callback], **quiet)
    trainer.fit(Model(), loader, ckpt_path=resume)
    trainer.save_checkpoint(folder / f"{steps}.ckpt")
    if steps == STEPS:
        assert "floss/lambda_1" in trainer.callback_metrics
    return callback, [row for row in told.rows if any(name.startswith("floss/") for name in row)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cut", [None, 3])
def test_lightning(tmp_path, cut):
    """As the loop that one would write, also from a checkpoint on."""
    needs("lightning")
    net, twin = start(), start()
    # Lightning does not take up a loader in the middle of an epoch: it begins with the first batch again.
    logs, losses = by_hand(twin, [*range(cut), *range(STEPS - cut)] if cut else range(STEPS))
    rows, resume = [], None
    if cut:
        _, rows = lightning_run(net, tmp_path, cut)
        resume, net = str(tmp_path / f"{cut}.ckpt"), Net()
    callback, more = lightning_run(net, tmp_path, STEPS, resume)
    rows += more
    assert_close(net, twin)
    assert list(callback.episodes) == ([4] if cut else [2, 4])
    assert [row["floss/episode_loss"] for row in rows if "floss/episode_loss" in row] == pytest.approx(losses)
    watched = [row["floss/lambda_1"] for row in rows if "floss/lambda_1" in row]
    assert watched == pytest.approx([log["floss/lambda_1"] for log in logs if log], rel=1e-5)


# --- Hugging Face -----------------------------------------------------------------------------------------------------


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return STEPS * BATCH

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        x, y = data()
        return {"x": x[i], "labels": y[i]}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cut", [None, 3])
def test_transformers(tmp_path, cut, monkeypatch):
    """As the loop that one would write, also from a checkpoint on."""
    transformers = needs("transformers")
    needs("accelerate")
    monkeypatch.setattr(transformers.Trainer, "_get_train_sampler", lambda self, *_: None)  # in the order of the rows
    settings: dict[str, Any] = {
        "output_dir": str(tmp_path),
        "per_device_train_batch_size": BATCH,
        "num_train_epochs": 1,
        "max_grad_norm": 0.0,
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "steps",
        "save_steps": 3,
        "logging_steps": 1000,
        "use_cpu": True,
    }

    def trainer(net: Net, steps: int) -> tuple[Any, Any]:
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-1)
        constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
        arguments = transformers.TrainingArguments(**settings, max_steps=steps)
        made = transformers.Trainer(net, arguments, train_dataset=Rows(), optimizers=(optimizer, constant))
        monitor = floss.Monitor(net, 2, every=2)
        callback = floss.callbacks.TransformersFlossing(made, flosser=flosser(net), monitor=monitor)
        made.add_callback(callback)
        return made, callback

    net, twin = start(), start()
    logs, losses = by_hand(twin)
    if cut:
        first, _ = trainer(net, cut)
        first.train()
        net = Net()
    second, callback = trainer(net, STEPS)
    second.train(resume_from_checkpoint=bool(cut))
    assert_close(net, twin)
    rows = second.state.log_history  # which a checkpoint has as well
    assert list(callback.episodes) == ([4] if cut else [2, 4])
    assert [row["floss/episode_loss"] for row in rows if "floss/episode_loss" in row] == pytest.approx(losses)
    watched = [row["floss/lambda_1"] for row in rows if "floss/lambda_1" in row]
    assert watched == pytest.approx([log["floss/lambda_1"] for log in logs if log], rel=1e-5)
    with pytest.raises(ValueError, match=r"trainer must be a transformers\.Trainer"):
        floss.callbacks.TransformersFlossing(net, flosser=flosser(net))
