"""Tiny analyses, their tables, and one network of an analysis as its equations stand."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from command import analysis, inside
from problems import DOUBLE
from torch import Tensor
from twins import step_twin

from floss import flossing_loss, lyapunov_spectrum, random
from floss.lyapunov.chain import Chain, initial_tangent
from floss.lyapunov.iteration import run_exponents
from floss.lyapunov.tangent_qr import TangentQR
from floss.networks import CELLS, Parameters
from floss.random import Stream

FLOSSED = ("arch.n=4", "flossing.k=2", "flossing.epochs=4", "flossing.steps=20", "transient=6")
TINY = {
    "spectrum": (*FLOSSED, "steps=30", "show=[1,3,9]"),
    "condition": (*FLOSSED, "steps=12", "at=8", "horizons=3"),
}
COMMANDS = list(TINY)
COUNTED, TRANSIENT = {"spectrum": 30, "condition": 12}, 6


COLUMNS = {
    "spectrum": ["state", "i", "lambda", "standard_error"],
    "dimensions": ["state", "lambda_1", "kaplan_yorke_dimension", "entropy_rate", "t_ons"],
    "convergence": ["state", "step", "i", "lambda"],
    "condition": ["horizon", "m", "method", "log10_condition"],
    "flossing": ["epoch", "floss_loss", "lambda_1", "lambda_k"],
}
TABLES = {
    "spectrum": ["convergence", "dimensions", "flossing", "spectrum"],
    "condition": ["condition", "flossing"],
}


MANY = ("seeds=2", "flossing.k=[1,2]", "flossing.target=[-0.5,0]")
Row = dict[str, str]


def touch_picture(folder: Path) -> None:
    """What stands for drawing an analysis: the picture by which it is known to be drawn."""
    (folder / f"{folder.name.partition('-')[0]}.svg").touch()


def done(folder: Path, command: str, *overrides: str) -> Path:
    """The folder of the tables of `floss COMMAND TINY OVERRIDES`."""
    said = inside(folder, command, *TINY[command], *overrides)
    assert (said.returncode, said.stderr) == (0, "")
    return folder / Path(re.findall(r"^table +(.+)$", said.stdout, re.MULTILINE)[0]).parent


def pick(table: list[Row], **wanted: object) -> list[Row]:
    """The rows with these values."""
    return [row for row in table if all(row[name] == str(value) for name, value in wanted.items())]


def numbers(table: list[Row], column: str) -> list[float]:
    """A column; an empty field is NaN."""
    return [float(row[column] or "nan") for row in table]


def near(values: Any, tolerance: float = 1e-8) -> Any:
    """What the nine digits of a table leave of these values."""
    listed = values.tolist() if isinstance(values, Tensor) else values
    return pytest.approx(listed, rel=tolerance, abs=tolerance, nan_ok=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Every table of a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


class Twin:
    """One fresh network of an analysis."""

    def __init__(self, arch: str, n: int, seed: int, *, g: float | None = None, inputs: int = 1, states: int = 1):
        default = analysis("spectrum", f"arch={arch}", "flossing.k=1").arch
        self.arch, self.inputs, self.seeds = arch, inputs, torch.tensor([seed])
        stacked = CELLS[arch].initial_parameters(
            self.seeds,
            torch.tensor([default.g if g is None else g], dtype=DOUBLE),
            n=n,
            inputs=inputs,
            batch=states,
            bias=default.bias,
            dtype=DOUBLE,
        )
        self.parameters: Parameters = {name: value[0] for name, value in stacked.items()}

    @property
    def size(self) -> int:
        return self.parameters["h0"].shape[-1]

    @property
    def q0(self) -> Tensor:
        return initial_tangent(self.seeds, self.size, self.size)[0]

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        return step_twin(self.arch, self.parameters, h, x)

    def drive(self, stream: Stream, steps: int, epoch: int = 0, kind: str = "uniform") -> Tensor:
        """Inputs [T, S]."""
        if kind == "none":
            return torch.zeros(steps, self.inputs, dtype=DOUBLE)
        draw = {"uniform": random.uniform, "bits": random.bits, "gaussian": random.normal}[kind]
        return draw(self.seeds, stream, steps * self.inputs, epoch=epoch, dtype=DOUBLE).reshape(steps, self.inputs)

    def spectrum(self, steps: int, *, state: int = 0, kind: str = "uniform", **how: Any) -> Tensor:
        x = self.drive(Stream.EVALUATION, TRANSIENT + steps, kind=kind)
        h0 = self.parameters["h0"][state]
        if self.arch == "relu":  # whose exponents may be lost
            chain = Chain(h0, self.q0, x, len(x), 1, TRANSIENT)
            return run_exponents(self.step, chain).sort(descending=True).values
        return lyapunov_spectrum(self.step, h0, x, transient=TRANSIENT, q0=self.q0, **how)

    def jacobians(self, steps: int) -> tuple[Tensor, Tensor]:
        """The Jacobians after the transient, by reverse-mode differentiation, and the tangent vectors there."""
        h, q, found = self.parameters["h0"][0], self.q0, []
        for drive in self.drive(Stream.EVALUATION, TRANSIENT + steps):
            D = torch.autograd.functional.jacobian(lambda h: self.step(h, drive), h)  # noqa: B023
            assert isinstance(D, Tensor)
            h = self.step(h, drive)
            found.append(D)
        for D in found[:TRANSIENT]:
            q = TangentQR()(D @ q)[0]
        return torch.stack(found[TRANSIENT:]), q

    def floss(self, k: int, target: float, epochs: int = 4) -> list[tuple[float, float, float]]:
        """An episode of flossing with torch's own Adam, in place; loss, λ₁ and λ_k of each epoch."""
        flossed = [self.parameters[name].requires_grad_() for name in CELLS[self.arch].flossed]
        adam, course = torch.optim.Adam(flossed, lr=1e-3), []
        for epoch in range(epochs):
            x = self.drive(Stream.FLOSSING, 20, epoch)
            h0 = self.parameters["h0"][0]
            lam = lyapunov_spectrum(self.step, h0, x, transient=12, q0=self.q0[:, :k])
            loss = flossing_loss(lam, target)
            course.append((loss.item(), lam[0].item(), lam[-1].item()))
            adam.zero_grad()
            loss.backward()
            adam.step()
        for name, value in self.parameters.items():
            self.parameters[name] = value.detach()
        return course
