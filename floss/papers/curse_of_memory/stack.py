"""The deep stacks of Figs 5 and 13, many networks side by side, at initialisation.

    encoder → blocks → decoder,     block(x) = x + (W₁ v + b₁) ∘ σ(W₂ v + b₂),     v = norm(gelu(cell(norm(x))))

with a layer norm, one for both places of a block, or none. All weights have a leading axis R. `crnn` and `lru` have the
cell y = Re(C h) + D x, h_t = λ ∘ h_{t-1} + γ ∘ (B x_t); `gru` is that of `floss.networks.gru`.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import gelu, layer_norm

from floss.lyapunov.qr import qr
from floss.papers.curse_of_memory.scans import diagonal_scan, gru_scan
from floss.papers.curse_of_memory.weights import lecun
from floss.random import Stream, normal, uniform

CELLS = ("crnn", "lru", "gru")
RECURRENT = {
    "crnn": {"λ": ("lam_re", "lam_im")},
    "lru": {"ν": ("nu",), "θ": ("theta",)},
    "gru": {"cell": ("W", "V", "b", "b_h")},
}
"""Groups of parameters of each cell; everything else is the group `rest`."""
_EPS = 1e-6
_PARTS = 40
"""Random streams of a block."""

Weights = dict[str, Tensor]


def initial_stack(
    seeds: Int64[Tensor, "R"],
    memory: Float[Tensor, "R"],
    *,
    cell: str,
    norm: bool,
    layers: int,
    width: int,
    features: int,
    gain: float = 2.0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Weights, list[Weights]]:
    """Weights of the encoder and the decoder, and of every block.

    Magnitudes |λ| are area-uniform in a ring from ν to (1 + ν)/2, ν = 1 - 1/t, angles uniform; γ = √(1 - |λ|²) in an
    LRU, which is 1 in a cRNN. B, C, D have entries of variance 1/width. A GRU has orthogonal recurrent weights, input
    weights of variance gain/width, and its gate z the bias log U with U uniform in [t, 2t]. Dense layers are LeCun's.

    Args:
        seeds: one per network; its numbers depend on nothing else.
        memory: t ≥ 1 of each network.
        cell: a name from `CELLS`.
        norm: whether there are layer norms.
        layers: number of blocks.
        width: units everywhere.
        features: size of inputs and outputs.
        gain: of a GRU's input weights.
        dtype: of the result; everything is drawn in float64.
    """
    zeros = torch.zeros(len(seeds), width, dtype=torch.float64)
    ends = {
        "encoder": lecun(seeds, width, features, 0),
        "encoder_b": zeros,
        "decoder": lecun(seeds, features, width, 1),
        "decoder_b": torch.zeros(len(seeds), features, dtype=torch.float64),
    }
    blocks = []
    for layer in range(layers):
        first = (layer + 1) * _PARTS
        own = _gru(seeds, memory, width, gain, first) if cell == "gru" else _diagonal(seeds, memory, width, first, cell)
        own |= {"W1": lecun(seeds, width, width, first + 1), "b1": zeros}
        own |= {"W2": lecun(seeds, width, width, first + 2), "b2": zeros}
        if norm:
            own |= {"scale": zeros + 1.0, "shift": zeros}
        blocks.append(own)
    return _leaves(ends, dtype), [_leaves(own, dtype) for own in blocks]


def _leaves(weights: Weights, dtype: torch.dtype) -> Weights:
    return {name: value.to(dtype, copy=True).requires_grad_() for name, value in weights.items()}


def _diagonal(seeds: Tensor, memory: Tensor, n: int, first: int, cell: str) -> Weights:
    least = (1.0 - 1.0 / memory.double())[:, None]
    most = (1.0 + least) / 2.0
    u, v = (uniform(seeds, Stream.WEIGHTS, n, part=first + 3 + i, dtype=torch.float64) + 2.0**-25 for i in (0, 1))
    squared, angle = least**2 + u * (most**2 - least**2), 2.0 * math.pi * v
    B_re, B_im, C_re, C_im, D = (
        normal(seeds, Stream.WEIGHTS, n * n, part=first + 5 + i, dtype=torch.float64).reshape(-1, n, n) / n**0.5
        for i in range(5)
    )
    weights = {"B_re": B_re, "B_im": B_im, "C_re": C_re, "C_im": C_im, "D": D}
    if cell == "crnn":
        return {"lam_re": squared.sqrt() * angle.cos(), "lam_im": squared.sqrt() * angle.sin(), **weights}
    return {
        "nu": (-0.5 * squared.log()).log(),
        "theta": angle.log(),
        "gamma": 0.5 * torch.log1p(-squared),
        **weights,
    }


def _gru(seeds: Tensor, memory: Tensor, n: int, gain: float, first: int) -> Weights:
    W = [normal(seeds, Stream.WEIGHTS, n * n, part=first + 10 + i, dtype=torch.float64) for i in range(3)]
    V = normal(seeds, Stream.WEIGHTS, 3 * n * n, part=first + 3, dtype=torch.float64).reshape(-1, 3 * n, n)
    b = torch.zeros(len(seeds), 3, n, dtype=torch.float64)
    b[:, 1] = (
        memory.double()[:, None] * (1.0 + uniform(seeds, Stream.WEIGHTS, n, part=first + 4, dtype=b.dtype))
    ).log()
    return {
        "W": torch.cat([qr(each.reshape(-1, n, n))[0] for each in W], 1),
        "V": (gain / n) ** 0.5 * V,
        "b": b.flatten(1),
        "b_h": torch.zeros(len(seeds), n, dtype=torch.float64),
    }


def forward(
    weights: tuple[Weights, list[Weights]], x: Float[Tensor, "R T B F"]
) -> tuple[Float[Tensor, "R T B F"], list[Float[Tensor, "R T B N"]]]:
    """Outputs, and what every block gives on."""
    ends, blocks = weights
    h, outputs = _dense(ends["encoder"], ends["encoder_b"], x), []
    for own in blocks:
        v = gelu(_cell(own, _normed(own, h)), approximate="tanh")
        v = _normed(own, v)
        h = h + _dense(own["W1"], own["b1"], v) * _dense(own["W2"], own["b2"], v).sigmoid()
        outputs.append(h)
    return _dense(ends["decoder"], ends["decoder_b"], h), outputs


def next_token_loss(y: Float[Tensor, "R T B F"], x: Float[Tensor, "R T B F"]) -> Float[Tensor, "R"]:
    """½ (y_t - x_{t+1})², averaged over steps, sequences and features."""
    return 0.5 * (y[:, :-1] - x[:, 1:]).square().mean((1, 2, 3))


def groups(cell: str, weights: tuple[Weights, list[Weights]]) -> list[tuple[int, str, list[Float[Tensor, "R *shape"]]]]:
    """The layer (0: encoder and decoder), the name and the tensors of every group of parameters."""
    ends, blocks = weights
    found = [(0, "rest", list(ends.values()))]
    for layer, own in enumerate(blocks, start=1):
        named = {name: [own[each] for each in names] for name, names in RECURRENT[cell].items()}
        taken = {name for names in RECURRENT[cell].values() for name in names}
        named["rest"] = [value for name, value in own.items() if name not in taken]
        found += [(layer, name, tensors) for name, tensors in named.items()]
    return found


def _dense(W: Tensor, b: Tensor, x: Tensor) -> Tensor:
    R, T, B, _ = x.shape
    return torch.baddbmm(b[:, None], x.reshape(R, T * B, -1), W.mT).reshape(R, T, B, -1)


def _normed(own: Weights, x: Tensor) -> Tensor:
    if "scale" not in own:
        return x
    scale, shift = (own[name][:, None, None] for name in ("scale", "shift"))
    return torch.addcmul(shift, layer_norm(x, x.shape[-1:], eps=_EPS), scale)


def _cell(own: Weights, x: Tensor) -> Tensor:
    if "W" in own:
        return gru_scan(own["W"], own["b_h"], _dense(own["V"], own["b"], x))
    none = torch.zeros_like(own["B_re"][..., 0])
    u = torch.complex(_dense(own["B_re"], none, x), _dense(own["B_im"], none, x))
    if "nu" in own:
        lam = torch.polar((-own["nu"].exp()).exp(), own["theta"].exp())
        u = own["gamma"].exp()[:, None, None] * u
    else:
        lam = torch.complex(own["lam_re"], own["lam_im"])
    h = diagonal_scan(lam, u)
    return _dense(own["C_re"], none, h.real) - _dense(own["C_im"], none, h.imag) + _dense(own["D"], none, x)
