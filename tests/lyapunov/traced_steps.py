"""Steps of many kinds as a user writes them, for the tests of recorded steps: each with states and inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from problems import DOUBLE, gaussian
from torch import Tensor, nn
from torch.nn import functional

import floss

N, T = 8, 40


@dataclass
class Case:
    """A step, where it starts, its inputs, and what it has that can be learnt."""

    name: str
    step: Callable[..., Any]
    h0: Tensor
    inputs: Tensor | None = None
    weights: list[Any] = field(default_factory=list)
    k: int = 4


def weight(seed: int, *shape: int) -> Tensor:
    return (1.2 * gaussian(seed, *shape) / shape[-1] ** 0.5).requires_grad_()


def _module(made: nn.Module) -> nn.Module:
    made = made.double()
    for i, p in enumerate(made.parameters()):
        with torch.no_grad():
            p.copy_(0.5 * gaussian(50 + i, *p.shape))
    return made


class Leaky(nn.Module):
    """A module with a buffer, a submodule and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(N, N)
        self.rate = nn.Buffer(torch.linspace(0.2, 0.8, N))
        self.scale = 1.3

    def forward(self, h, x):
        return (1 - self.rate) * h + self.rate * torch.tanh(self.scale * self.inner(h) + x)


def _filtered(kernel: Tensor) -> Callable[..., Tensor]:
    def step(h):
        return torch.tanh(torch.fft.ifft(torch.fft.fft(h) * torch.fft.fft(kernel.flatten(), n=N)).real * 1.4)

    return step


def _rolled(kernel: Tensor) -> Callable[..., Tensor]:
    """On a ring: the circular padding of torch is written into parts of a tensor."""

    def step(h):
        image = functional.pad(h.reshape(-1, 1, 2, N // 2), (1, 1, 1, 1), mode="circular")
        return torch.tanh(functional.conv2d(image, kernel[..., None].expand(-1, -1, -1, 3)).reshape(h.shape) + 0.5 * h)

    return step


def _writing(W: Tensor) -> Callable[..., Tensor]:
    """Into slices, entries, diagonals and transposed parts of its own tensors."""

    def step(h, x):
        new = h @ W.mT + x
        new[..., 2:5] *= 0.7
        new[..., 0] = 0.5 * new[..., 1].clone() * h[..., 7]
        square = torch.outer(new, h)
        square.diagonal().mul_(0.5)
        square.mT[1:3] += 0.3
        square[-1].mul_(0.8)
        return torch.tanh(new + 0.2 * square.sum(-1))

    return step


def _function_step(kind: str) -> Case:
    W = weight(3, 3, 3)
    if kind == "tuple":

        def pair(state, x):
            a, b = state
            return torch.tanh(W @ a + b + x), 0.5 * b + 0.1 * torch.sin(a)

        example = (torch.zeros(3, dtype=DOUBLE), torch.zeros(3, dtype=DOUBLE))
        step, n = floss.step_from_function(pair, example)
        return Case("function of a tuple", step, gaussian(4, n), gaussian(5, T, 3), [W])

    def rotate(z):
        return torch.polar(torch.tanh(z.abs() + 0.2), z.angle() + 0.4) + 0.1 * (W @ z.real)

    step, n = floss.step_from_function(rotate, torch.zeros(3, dtype=torch.complex128))
    return Case("complex function", step, gaussian(6, n), None, [W], k=3)


def cases() -> list[Case]:
    """All kinds."""
    W, V, b = weight(1, N, N), weight(2, N, 3), weight(7, N)
    h, x, x3 = gaussian(10, N), gaussian(11, T, N), gaussian(12, T, 3)
    index = torch.tensor([3, 1, 4, 0, 5, 7, 2, 6])
    kernel = weight(13, 1, 1, 3)
    norm, leaky = _module(nn.LayerNorm(N)), _module(Leaky())
    batch_norm = _module(nn.BatchNorm1d(N)).eval()  # whose operation has empty results besides
    gru, lstm = _module(nn.GRUCell(3, N)), _module(nn.LSTMCell(3, N))
    weights = {"gru": list(gru.parameters()), "lstm": list(lstm.parameters())}
    module_gru, module_lstm = _module(nn.GRU(3, N)), _module(nn.LSTM(3, N, num_layers=2))
    (step_gru, n_gru), (step_lstm, n_lstm) = (floss.step_from_module(m) for m in (module_gru, module_lstm))
    sharpened, n_gated = floss.step_from_function(lambda s, u: lstm(u, s), (h, h))

    def lorenz(h):
        a, b, c = h.unbind(-1)
        return torch.stack((10.0 * (b - a), a * (28.0 - c) - b, a * b - 8.0 / 3.0 * c), -1)

    def attention(h):
        scores = torch.softmax(h[..., :, None] * h[..., None, :], -1)
        return torch.tanh((scores @ h[..., None])[..., 0] @ W.T + b)

    return [
        Case("tanh", lambda h: W @ torch.tanh(h) + b, h, None, [W, b]),
        Case("batch", lambda h, x: torch.tanh(h @ W.T + x @ V.T), gaussian(14, 3, N), gaussian(15, T, 3, 3), [W, V]),
        Case("two axes", lambda h: torch.tanh(h @ W.T) + 0.1 * h, gaussian(16, 2, 3, N), None, [W]),
        Case("gru cell", lambda h, x: gru(x, h), h, x3, weights["gru"]),
        Case("lstm cell", sharpened, gaussian(17, n_gated), x3, weights["lstm"]),
        Case("gru module", step_gru, gaussian(18, n_gru), x3, list(module_gru.parameters())),
        Case("lstm stack", step_lstm, 0.3 * gaussian(19, n_lstm), x3, list(module_lstm.parameters())),
        Case("leaky module", leaky, h, x, list(leaky.parameters())),
        Case("layer norm", lambda h: torch.tanh(norm(h @ W.T) * 1.5), h, None, [W, *norm.parameters()]),
        Case(
            "batch norm",
            lambda h: batch_norm(h @ W.T).tanh() + 0.5 * h,
            gaussian(22, 3, N),
            None,
            [W, *batch_norm.parameters()],
        ),
        Case("softmax", attention, h, None, [W, b]),
        # Not chaotic: other sums would part from these as exp(λ₁ t).
        Case("einsum", lambda h: torch.sin(torch.einsum("ij,...j->...i", W, h)) * 0.9, h, None, [W]),
        Case("where", lambda h, x: torch.where(h > 0, h, torch.expm1(h)) @ W.T + x, h, x, [W]),
        Case("thresholds", lambda h: torch.where(h < 0.4, 0.9 * h + 0.1 * (b > -0.3), 0.3 - 0.2 * h), h),
        Case("relu", lambda h, x: 0.9 * h + torch.relu(h @ W.T) + x, h, 0.1 * x, [W]),
        Case("solve", lambda h: torch.tanh(torch.linalg.solve(torch.eye(N, dtype=DOUBLE) + W - W.T, 1.4 * h)), h),
        Case("cumsum", lambda h: torch.sin(torch.cumsum(h, -1) + b), h, None, [b]),
        Case("fft of complex numbers", _filtered(kernel), h, None, [kernel]),
        Case("conv2d", _rolled(kernel), h, None, [kernel]),
        Case("writes into parts", _writing(W), h, x, [W]),
        Case("fft", lambda h: torch.tanh(torch.fft.irfft(torch.fft.rfft(h @ W.T) * 1.4, n=N)), h, None, [W]),
        Case(
            "conv1d",
            lambda h: torch.tanh(functional.conv1d(h[None, None], kernel, padding=1)[0, 0] * 2 + h),
            h,
            None,
            [kernel],
        ),
        Case("indices", lambda h, x: torch.tanh(2 * h[..., index]) * h.roll(1, -1) + x, h, x),
        Case("normalized", lambda h: torch.tanh(h @ (W / W.norm(dim=1, keepdim=True)).T * 2 + b), h, None, [W, b]),
        Case("made anew", lambda h: torch.tanh(h @ W.T) * torch.tensor([1.1], dtype=DOUBLE) + 0.3, h, None, [W]),
        Case("words", lambda h, x: torch.tanh(h @ W.T + functional.embedding(x, V.T)), h, torch.arange(T) % 3, [W, V]),
        Case("flow", floss.stroboscopic_map(lorenz, 0.02, substeps=2), gaussian(20, 3) + 5.0, None, k=3),
        _function_step("tuple"),
        _function_step("complex"),
    ]
