"""Times the native engine's gated cells beside torch's own modules and the torch engine: the rows of docs/speed.md.

    python scripts/time_cells.py --rounds 9 --networks 8 --threads 1

N = 80, B = 16, T = 300, k = 75, T_f = 55. The contenders of a row take turns, in processor time of all threads or, with
`--wall`, by the clock; each round gives one ratio. Medians and quartiles are printed, in milliseconds per network and
epoch.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from floss.training.engines import ENGINES
from floss.training.ensemble import Ensemble, Network, Protocol
from floss.training.training import Training

N, BATCH, STEPS, DELAY = 80, 16, 300, 40

Epochs = Callable[[int], Any]
"""Runs so many epochs."""


class Recurrent(nn.Module):
    """A recurrent module of torch with a linear readout."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        """One layer."""
        super().__init__()
        self.recurrent, self.readout = kind(1, N), nn.Linear(N, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for inputs [T, B, 1]."""
        return self.readout(self.recurrent(x)[0])[..., 0]


class Diagonal(nn.Module):
    """A linear recurrent unit as a loop over time."""

    def __init__(self) -> None:
        """With the parameters of `arch=lru`."""
        super().__init__()
        self.nu, self.theta, self.gamma = (nn.Parameter(torch.rand(N) - 1.0) for _ in range(3))
        self.B = nn.Parameter(torch.randn(N, 1, dtype=torch.complex64))
        self.C = nn.Parameter(torch.randn(N, N, dtype=torch.complex64) / N**0.5)
        self.D, self.readout = nn.Linear(1, N), nn.Linear(N, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [T, B] for inputs [T, B, 1]."""
        eigenvalues = torch.exp(torch.complex(-self.nu.exp(), self.theta.exp()))
        state, states = torch.zeros(BATCH, N, dtype=torch.complex64), []
        for drive in self.gamma.exp() * (x.to(torch.complex64) @ self.B.mT):
            state = eigenvalues * state + drive
            states.append(state)
        seen = (torch.stack(states) @ self.C.mT).real + self.D(x)
        return self.readout(seen.tanh())[..., 0]


def peer(module: nn.Module) -> Epochs:
    """Training of one module on temporal XOR, as a user would write it."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)

    def epochs(count: int) -> None:
        for _ in range(count):
            x = torch.randint(0, 2, (STEPS, BATCH, 1)).float()
            target = (x[DELAY // 2 : STEPS - DELAY // 2, :, 0] - x[: STEPS - DELAY, :, 0]).abs()
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(module(x)[DELAY:], target).backward()
            for p in module.parameters():
                nn.utils.clip_grad_norm_(p, 0.03)
            optimizer.step()

    return epochs


def ours(arch: str, engine: str, loop: str, networks: int) -> Epochs:
    """An ensemble of the reference protocol."""
    members = [Network(seed=s, d=DELAY, episodes=(0,), flossing_steps=55) for s in range(networks)]
    protocol = Protocol(arch=arch, epochs=10**9, flossing_epochs=10**9)
    training = Training(Ensemble(members, protocol), ENGINES[engine])
    if loop == "train":
        return training.train_epochs
    episode = training.episode()
    return lambda count: training.floss_epochs(episode, count)


def seconds(epochs: Epochs, count: int, clock: Callable[[], float]) -> float:
    """Of one epoch."""
    start = clock()
    epochs(count)
    return (clock() - start) / count


def quartiles(values: list[float]) -> str:
    """Median and quartiles in words."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    """Print one line for each cell and loop."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="by the clock, not in processor time")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.perf_counter if options.wall else time.process_time
    peers = {"lstm": lambda: Recurrent(nn.LSTM), "gru": lambda: Recurrent(nn.GRU), "lru": Diagonal}
    for loop in ("train", "floss"):
        for arch, make in {"vanilla": None, **peers}.items():
            engines = {
                name: (ours(arch, name, loop, options.networks), options.networks) for name in ("native", "torch")
            }
            contenders = engines | ({"peer": (peer(make()), 1)} if make and loop == "train" else {})
            for epochs, _ in contenders.values():
                epochs(1)
            times: dict[str, list[float]] = {name: [] for name in contenders}
            for _ in range(options.rounds):
                for name, (epochs, networks) in contenders.items():
                    count = 4 if networks == 1 else 1
                    times[name].append(1e3 * seconds(epochs, count, clock) / networks)
            line = f"{arch:8s} {loop:6s} native {quartiles(times['native'])} ms"
            for name in list(contenders)[1:]:
                ratios = [theirs / mine for theirs, mine in zip(times[name], times["native"], strict=True)]
                line += f"; {name} / native {quartiles(ratios)}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
