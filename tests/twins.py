"""Slow and obvious twins: every architecture as its equations stand, one network and one slot at a time."""

from collections.abc import Callable

import torch
from problems import DOUBLE
from torch import Tensor

import floss

RATE_TRANSFER: dict[str, Callable[[Tensor], Tensor]] = {
    "vanilla": torch.tanh,
    "relu": torch.relu,
    "linear": torch.clone,
}
"""φ of each rate architecture."""


def step_twin(arch: str, p: dict[str, Tensor], h: Tensor, x: Tensor) -> Tensor:
    """The next state [n] of one network with parameters `p`, which have no network axis; x [S]."""
    if arch in RATE_TRANSFER:
        return p["W"] @ RATE_TRANSFER[arch](h) + p["V"] @ x / len(x) + p["b"]
    if arch == "lru":
        eigenvalues = torch.polar(torch.exp(-torch.exp(p["nu"])), torch.exp(p["theta"]))
        state = torch.complex(*h.chunk(2))
        state = eigenvalues * state + torch.exp(p["gamma"]) * (
            torch.complex(p["B"][0], p["B"][1]) @ x.to(torch.complex128)
        )
        return torch.cat((state.real, state.imag))
    N = p["U"].shape[-1]

    def part(name: str, gate: int) -> Tensor:
        return p[name][gate * N : (gate + 1) * N]

    if arch == "lstm":
        out, cell = h[:N], h[N:]
        i, f, g, o = (part("W", j) @ out + part("V", j) @ x + part("b", j) for j in range(4))
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.cat((torch.sigmoid(o) * torch.tanh(cell), cell))
    assert arch == "gru"
    r, z = (torch.sigmoid(part("W", j) @ h + part("V", j) @ x + part("b", j)) for j in range(2))
    candidate = torch.tanh(part("V", 2) @ x + part("b", 2) + r * (part("W", 2) @ h + p["b_h"]))
    return (1.0 - z) * candidate + z * h


def readout_twin(arch: str, p: dict[str, Tensor], h: Tensor, x: Tensor) -> Tensor:
    """y of one network in the state h [n], which it reached with the input x [S]."""
    if arch == "lstm":
        h = h[: len(h) // 2]
    if arch == "lru":
        seen = torch.complex(p["C"][0], p["C"][1]) @ torch.complex(*h.chunk(2))
        h = torch.tanh(seen.real + p["D"] @ x + p["b"])
    return p["U"] @ h + p["c"]


def unroll_twin(arch: str, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    """Readouts [R, T, B] for inputs [R, T, B, S]."""
    R, T, B, _ = x.shape
    y = []
    for r in range(R):
        p = {name: value[r] for name, value in parameters.items()}
        for b in range(B):
            h = p["h0"][b]
            for t in range(T):
                h = step_twin(arch, p, h, x[r, t, b])
                y.append(readout_twin(arch, p, h, x[r, t, b]))
    return torch.stack(y).reshape(R, B, T).mT


def exponents_twin(step, h: Tensor, inputs: Tensor, q: Tensor, *, t_ons: int = 1, transient: int = 0) -> Tensor:
    """Exponents of one trajectory in the order of q's columns; differentiable, with the general pullback of floss.qr.

    Whole Jacobians, by reverse-mode differentiation of `step(h, x)`.
    """
    total, steps = torch.zeros(q.shape[-1], dtype=DOUBLE), len(inputs)
    for s in range(steps):
        D = torch.autograd.functional.jacobian(lambda state: step(state, inputs[s]), h, create_graph=True)  # noqa: B023
        assert isinstance(D, Tensor)
        h, q = step(h, inputs[s]), D @ q
        in_part, length = (s, transient) if s < transient else (s - transient, steps - transient)
        if (in_part + 1) % t_ons and in_part + 1 < length:
            continue
        q, r = floss.qr(q)
        if s >= transient:
            total = total + r.diagonal().log()
    return total / (steps - transient)


def relative(ours: Tensor, wanted: Tensor) -> float:
    """Norm of the difference, relative to what is wanted."""
    return float((ours - wanted).norm() / wanted.norm())
