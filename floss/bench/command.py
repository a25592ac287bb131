"""`floss bench`: rounds in which every contender runs once, so that a drifting machine is the same for all."""

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from floss.bench import spectrum, torch_single
from floss.config import BenchJob
from floss.flossing import flossing_gradient
from floss.results import csv_text, environment, write_json, write_whole
from floss.schedule import transient_steps
from floss.training import Network, Protocol, Training, task_gradient

COLUMNS = (
    "device",
    "engine",
    "loop",
    "n",
    "k",
    "t",
    "batch",
    "networks",
    "ms_per_network_epoch",
    "spread",
    "share_of_matmul_rate",
    "peak_mb",
)
DELAY = 40
AGREE = {"gradients": 1e-8, "exponents": 1e-6}
"""Largest relative difference of two computations of the same in float64; a run adds up many rounding errors."""


@dataclass(frozen=True)
class Contender:
    """One engine running one loop on an ensemble of one size."""

    engine: str
    loop: str
    networks: int
    size: tuple[int, int] | None = None
    """N and k, where they are not those of the job."""

    def sizes(self, job: BenchJob) -> tuple[int, int, int, int]:
        """N, k, steps T and batch B."""
        n, k = self.size or (job.n, job.k)
        return {
            "train": (n, k, job.steps, job.batch),
            "floss": (n, k, job.flossing_steps, 1),
            "spectrum": (n, k, job.spectrum_steps, 1),
        }[self.loop]


def contenders(job: BenchJob, peers: Sequence[str] = ()) -> list[Contender]:
    """What the others are compared with, first; then the torch engine for each ensemble size."""
    out = []
    for loop in ("train", "floss"):
        out.append(Contender("torch-single", loop, 1))
        out += [Contender("torch", loop, networks) for networks in job.networks]
    for size in job.spectrum_sizes:
        for networks in job.spectrum_networks:
            engines = [peer for peer in peers if networks == 1 or peer != "clvlib"]
            out += [Contender(engine, "spectrum", networks, size) for engine in (*engines, "floss")]
    return out


def training_of(job: BenchJob, networks: int, device: str, dtype: torch.dtype = torch.float32) -> Training:
    """An ensemble of the reference protocol at the sizes of the job."""
    one = Network(
        seed=0,
        d=min(DELAY, (job.steps - 1) // 2 * 2),
        episodes=(0,),
        k=job.k,
        flossing_steps=job.flossing_steps,
    )
    protocol = Protocol(n=job.n, steps=job.steps, batch=job.batch, epochs=10**9, flossing_epochs=10**9, dtype=dtype)
    return Training([dataclasses.replace(one, seed=seed) for seed in range(networks)], protocol, device)


def epoch_of(contender: Contender, job: BenchJob, device: str) -> Callable[[], Any]:
    """A function that runs one epoch of a contender; of `spectrum`, one whole spectrum."""
    if contender.loop == "spectrum":
        n, k, steps, _ = contender.sizes(job)
        return spectrum.run_of(contender.engine, spectrum.networks_of(n, contender.networks, device), k, steps)
    training = training_of(job, contender.networks, device)
    if contender.engine == "torch":
        return training.train_epoch if contender.loop == "train" else lambda: training.floss_epoch(training.alive)
    parameters = {name: p[0] for name, p in training.parameters.items()}
    if contender.loop == "train":
        return torch_single.TrainingLoop(parameters, job.steps, job.batch, training.networks[0].d).epoch
    transient = transient_steps(job.flossing_steps)
    return torch_single.FlossingLoop(parameters, training.q0[0], job.flossing_steps, transient).epoch


def flop(contender: Contender, job: BenchJob) -> float:
    """Floating-point operations of one epoch of one network that no method can avoid.

    Training: forward, Wᵀ δ and δ rᵀ, 2 T B N² each. Flossing, per step: D Q, Dᵀ Z̄ and the gradient of W, 2 N² k each;
    the QR decomposition 2 N k², the re-projection 2 N k², the triangular solve N k². Spectrum, per step: D Q and the
    QR decomposition.
    """
    n, k, steps, batch = contender.sizes(job)
    return {
        "train": 6.0 * steps * batch * n**2,
        "floss": steps * (6.0 * n**2 * k + 5.0 * n * k**2),
        "spectrum": steps * (2.0 * n**2 * k + 2.0 * n * k**2),
    }[contender.loop]


def matmul_rate(device: str, dtype: torch.dtype) -> Callable[[], float]:
    """A function that measures the machine's product rate once, in FLOP per second."""
    size = 2048 if device == "cpu" else 8192
    a = torch.randn(size, size, dtype=dtype, device=device)

    def once() -> float:
        _synchronize(device)
        start = time.perf_counter()
        _ = a @ a
        _synchronize(device)
        return 2.0 * size**3 / (time.perf_counter() - start)

    once()
    return once


def gradient_difference(job: BenchJob, device: str) -> dict[str, float]:
    """Largest relative difference, over parameters, between the peer's gradient and ours, in float64, for each loop."""
    training = training_of(job, 2, device, torch.float64)
    p, d = training.parameters, training.networks[0].d
    transient = transient_steps(job.flossing_steps)
    x = torch.randint(0, 2, (2, job.steps, job.batch, 1), device=device).double()
    xf = torch.randint(0, 2, (2, job.flossing_steps, 1), device=device).double()
    ours = task_gradient(training.cell, training.task, p, x, training.d)[2]
    floss = flossing_gradient(
        training.cell, p, xf, training.q0, k=training.k, target=training.target, t_ons=1, transient=transient
    )[2]
    leaves = {name: value[1].clone().requires_grad_() for name, value in p.items()}
    peer = torch.autograd.grad(torch_single.task_loss(leaves, x[1], d), list(leaves.values()))
    flossed = [leaves[name] for name in floss]
    peer_floss = torch.autograd.grad(torch_single.flossing_loss(leaves, xf[1], training.q0[1], transient), flossed)

    def worst(mine: list[torch.Tensor], theirs: tuple[torch.Tensor, ...]) -> float:
        return max(float((a[1] - b).norm() / b.norm()) for a, b in zip(mine, theirs, strict=True))

    return {"train": worst(list(ours.values()), peer), "floss": worst(list(floss.values()), peer_floss)}


def peak_megabytes(contender: Contender, job: BenchJob, device: str) -> float:
    """Memory that the contender adds to a process that has torch loaded, at its peak, over five epochs."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        epoch = epoch_of(contender, job, device)
        for _ in range(5):
            epoch()
        return torch.cuda.max_memory_allocated() / 1e6
    request = json.dumps({"contender": dataclasses.asdict(contender), "job": dataclasses.asdict(job)})
    command = [sys.executable, "-m", "floss.bench.memory", request]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(job: BenchJob) -> Path:
    """Measure, print a table and write bench.csv and environment.json; returns the CSV's path."""
    device = job.device if job.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    peers = spectrum.installed() if device == "cpu" else []
    if device == "cpu" and (line := spectrum.missing_line(peers)):
        print(line, file=sys.stderr)
    _check_agreement(job, device, peers)
    all_of = contenders(job, peers)
    epochs = [epoch_of(contender, job, device) for contender in all_of]
    products = [matmul_rate(device, torch.float32), matmul_rate(device, torch.float64)]
    rates: list[tuple[float, ...]] = []
    times: list[list[float]] = [[] for _ in all_of]
    counts = [max(1, round(job.seconds / _timed(epoch, 2, device))) for epoch in epochs]
    for _ in tqdm(range(job.repeats), desc="rounds", disable=None):
        rates.append(tuple(rate() for rate in products))
        for own, epoch, count in zip(times, epochs, counts, strict=True):
            own.append(_timed(epoch, count, device))
    single, double = (statistics.median(rate) for rate in zip(*rates, strict=True))
    info = environment(device)
    info["packages"] |= spectrum.versions(peers)
    rows = []
    for contender, own in zip(all_of, times, strict=True):
        low, middle, high = (1e3 * t / contender.networks for t in statistics.quantiles(own, n=4))
        share = flop(contender, job) / (middle / 1e3) / (double if contender.loop == "spectrum" else single)
        peak = peak_megabytes(contender, job, device)
        numbers = [round(middle, 4), round(high - low, 4), round(share, 4), round(peak, 1)]
        sizes = [*contender.sizes(job), contender.networks]
        rows.append([info["device"], contender.engine, contender.loop, *sizes, *numbers])
    folder = Path(job.results)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "bench.csv", csv_text(COLUMNS, rows).encode())
    gflops = {"matmul_gflops": round(single / 1e9, 1), "matmul_gflops_float64": round(double / 1e9, 1)}
    write_json(folder / "environment.json", {**info, **gflops})
    _print(rows)
    print(f"table    {folder / 'bench.csv'}")
    return folder / "bench.csv"


def _check_agreement(job: BenchJob, device: str, peers: Sequence[str]) -> None:
    for loop, difference in gradient_difference(job, device).items():
        print(f"gradients of {loop}: peer and floss differ by {difference:.1e} (float64)")
        if difference > AGREE["gradients"]:
            raise RuntimeError(f"the peer does not compute the gradient of {loop}")
    for peer in peers:
        for n, k in job.spectrum_sizes:
            difference = spectrum.exponent_difference(peer, n, k, job.spectrum_steps, device)
            print(f"exponents of N = {n}, k = {k}: {peer} and floss differ by {difference:.1e} (float64)")
            if not difference <= AGREE["exponents"]:
                raise RuntimeError(f"{peer} does not compute the exponents of N = {n}, k = {k}")


def _print(rows: list[list[Any]]) -> None:
    print("loop     engine          N    k    R  ms/network/epoch  spread  faster  of matmul  peak MB")
    first: dict[tuple[Any, ...], float] = {}
    for _, engine, loop, n, k, _, _, networks, ms, spread, share, peak in rows:
        faster = f"{first.setdefault((loop, n, k), ms) / ms:.1f}x"  # than the first of the same loop and sizes
        sizes = f"{n:4} {k:4} {networks:4}"
        print(f"{loop:8} {engine:12} {sizes} {ms:17.2f} {spread:7.2f} {faster:>7} {share:10.0%} {peak:8.0f}")


def _timed(epoch: Callable[[], Any], count: int, device: str) -> float:
    """Seconds per epoch."""
    epoch()
    _synchronize(device)
    start = time.perf_counter()
    for _ in range(count):
        epoch()
    _synchronize(device)
    return (time.perf_counter() - start) / count


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
