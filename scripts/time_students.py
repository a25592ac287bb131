"""Times a training step of linear students by their impulse response beside loops over time: a row of docs/speed.md.

    python scripts/time_students.py --rounds 9

One dense student, n = 64, T = 300, batch 128, float32: loss and gradient of one minibatch, which every contender gets
as sequences and targets. Loss and gradients are compared first. The contenders of a round take turns by the clock, on
one thread; each round gives one ratio to the kernel path. JAX is timed where it can be imported.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import torch
from torch import Tensor

from floss.memory import impulse_response
from floss.networks.linear_students.impulse_response import STUDENTS
from floss.networks.linear_students.pullback import response_with_pullback
from floss.training.engines.convolution import autocorrelation

N, BATCH, STEPS = 64, 128, 300
TOLERANCE = 1e-4
"""Of loss and gradients, relative to the largest entry: sums of 38 400 products in float32."""

Parameters = dict[str, Tensor]
Step = Callable[[], tuple[Any, dict[str, Any]]]
"""Loss, and gradients by the names of the parameters."""


def drawn() -> tuple[Parameters, Tensor, Tensor]:
    """Parameters of a student, inputs [T, B], and the impulse response of a teacher."""
    generator = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    p = {"A": 0.9 * normal(1, N, N) / N**0.5, "B": normal(N), "C": normal(N) / N**0.5, "D": normal()}
    teacher = {"A": 0.9 * normal(1, N, N) / N**0.5, "B": normal(N), "C": normal(N) / N**0.5, "D": normal()}
    return p, normal(STEPS, BATCH), impulse_response("dense", teacher, STEPS)


def outputs_of(k: Tensor, x: Tensor) -> Tensor:
    """y_t = Σ_τ k_τ x_{t-τ} [T, B]."""
    spectra = torch.fft.rfft(k, 2 * STEPS)[:, None] * torch.fft.rfft(x, 2 * STEPS, dim=0)
    return torch.fft.irfft(spectra, 2 * STEPS, dim=0)[:STEPS]


def kernel_path(p: Parameters, x: Tensor, k_target: Tensor) -> Step:
    """½ δᵀ G δ of δ = k - k*, with G of the minibatch: as `floss train` computes it."""

    def step() -> tuple[Tensor, Parameters]:
        k, pull = response_with_pullback(STUDENTS["dense"], p, STEPS)
        difference = k - k_target
        slope = autocorrelation(x[None])[0] @ difference
        return 0.5 * (difference @ slope), pull(slope)

    return step


def torch_loop(p: Parameters, x: Tensor, y_target: Tensor) -> Step:
    """A plain loop over time, as a user would write it."""

    def step() -> tuple[Tensor, Parameters]:
        leaves = {name: value.detach().requires_grad_() for name, value in p.items()}
        A, B, C, D = leaves["A"][0], leaves["B"], leaves["C"], leaves["D"]
        h, states = torch.zeros(BATCH, N), []
        for drive in x[..., None] * B:
            h = h @ A.mT + drive
            states.append(h)
        y = torch.stack(states) @ C + D * x
        loss = 0.5 * (y - y_target).square().mean()
        gradient = torch.autograd.grad(loss, list(leaves.values()))
        return loss.detach(), dict(zip(leaves, gradient, strict=True))

    return step


def jax_scan(p: Parameters, x: Tensor, y_target: Tensor) -> Step | None:
    """`jax.lax.scan`, compiled; None where JAX cannot be imported."""
    try:
        import jax  # pyright: ignore[reportMissingImports]
        import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    own, inputs, targets = {name: jnp.asarray(v) for name, v in p.items()}, jnp.asarray(x), jnp.asarray(y_target)

    def loss(q: Any, x: Any, y_target: Any) -> Any:
        def advance(h: Any, drive: Any) -> Any:
            h = h @ q["A"][0].T + drive
            return h, h

        _, states = jax.lax.scan(advance, jnp.zeros((BATCH, N)), x[..., None] * q["B"])
        return 0.5 * ((states @ q["C"] + q["D"] * x - y_target) ** 2).mean()

    compiled = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(compiled(own, inputs, targets))


def check_equal(one: Step, other: Step, name: str) -> None:
    """Raise where loss or gradients differ."""
    (loss, gradient), (its_loss, its_gradient) = one(), other()
    pairs = {"loss": (loss, its_loss), **{each: (gradient[each], its_gradient[each]) for each in gradient}}
    for each, (wanted, found) in pairs.items():
        off = (torch.tensor(found.tolist()) - wanted).abs().max() / wanted.abs().max()
        if not off < TOLERANCE:
            raise SystemExit(f"{name}: {each} is off by {off:.1e}")


def quartiles(values: list[float]) -> str:
    """Median and quartiles in words."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g} ({low:.3g}-{high:.3g})"


def main() -> None:
    """Print the kernel path's milliseconds, and the ratio of each loop to it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    p, x, k_target = drawn()
    y_target = outputs_of(k_target, x)
    kernel = kernel_path(p, x, k_target)
    loops = {"torch loop": torch_loop(p, x, y_target), "jax.lax.scan": jax_scan(p, x, y_target)}
    contenders = {"kernel": kernel, **{name: step for name, step in loops.items() if step is not None}}
    for name, step in contenders.items():
        check_equal(kernel, step, name)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, step in contenders.items():
            count = 20 if name == "kernel" else 3
            start = time.perf_counter()
            for _ in range(count):
                step()
            times[name].append(1e3 * (time.perf_counter() - start) / count)
    print(f"kernel path {quartiles(times['kernel'])} ms per step")
    for name in list(contenders)[1:]:
        ratios = [loop / own for loop, own in zip(times[name], times["kernel"], strict=True)]
        print(f"{name} {quartiles(times[name])} ms; {name} / kernel path {quartiles(ratios)}")


if __name__ == "__main__":
    main()
