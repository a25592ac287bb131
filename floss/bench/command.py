"""`floss bench`: rounds in which every contender runs once, so that a drifting machine is the same for all."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from floss import figures
from floss.bench import jax_peer, peers, spectrum, torch_single
from floss.jobs.bench import BenchJob
from floss.runtime.device import device_of
from floss.runtime.environment import environment
from floss.runtime.files import csv_text, seal, write_json, write_whole
from floss.training import engines
from floss.training.schedule import transient_steps
from floss.training.training import Network, Protocol, Training

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

Epochs = Callable[[int], Any]
"""Runs so many epochs; those of the loop `spectrum` are whole spectra."""


@dataclass(frozen=True)
class Contender:
    """One engine running one loop at one size."""

    engine: str
    loop: str
    n: int
    k: int
    t: int
    """Steps: T in training, T_f in flossing, or those of a spectrum."""
    batch: int
    networks: int

    @property
    def d(self) -> int:
        """Delay of the task: even, and shorter than a training sequence."""
        return min(DELAY, (self.t - 1) // 2 * 2)


def base(job: BenchJob, engine: str, loop: str, networks: int) -> Contender:
    """An engine running a loop at the sizes of the job."""
    steps, batch = (job.steps, job.batch) if loop == "train" else (job.flossing_steps, 1)
    return Contender(engine, loop, job.n, job.k, steps, batch, networks)


def contenders(job: BenchJob, ours: Sequence[str], others: Sequence[str]) -> list[Contender]:
    """What is compared, group by group: what the others are compared with first, the peers, then our engines."""
    ensembles = [*(peer for peer in others if peer == "jax"), *ours]
    out = []
    for loop in ("train", "floss"):
        out.append(base(job, "torch-single", loop, 1))
        out += [base(job, engine, loop, networks) for engine in ensembles for networks in job.networks]
    for n, k in job.spectrum_sizes:
        for networks in job.spectrum_networks:
            able = [peer for peer in spectrum.PEERS if peer in others and (networks == 1 or peer != "clvlib")]
            out += [Contender(e, "spectrum", n, k, job.spectrum_steps, 1, networks) for e in (*able, "floss")]
    return out


def scans(job: BenchJob, ours: Sequence[str]) -> list[Contender]:
    """One size at a time, for each of our engines and both loops."""
    out = []
    for engine in ours:
        train, floss = (base(job, engine, loop, job.scaling_networks) for loop in ("train", "floss"))
        k = min((job.k, *job.scaling_n))  # one that every N has
        out += [dataclasses.replace(one, n=n, k=k) for one in (train, floss) for n in job.scaling_n]
        out += [dataclasses.replace(floss, k=k) for k in job.scaling_k if k <= job.n]
        out += [dataclasses.replace(train, t=t) for t in job.scaling_steps]
        out += [dataclasses.replace(floss, t=t) for t in job.scaling_flossing_steps]
        out += [dataclasses.replace(train, batch=batch) for batch in job.scaling_batch]
    return list(dict.fromkeys(out))


def training_of(contender: Contender, device: str, dtype: torch.dtype = torch.float32) -> Training:
    """An ensemble of the reference protocol at the sizes of a contender; the torch engine stands in for a peer's."""
    c = contender
    one = Network(seed=0, d=c.d, episodes=(0,), k=c.k)
    protocol = Protocol(n=c.n, batch=c.batch, epochs=10**9, flossing_epochs=10**9, dtype=dtype)
    if c.loop == "train":
        protocol = dataclasses.replace(protocol, steps=c.t)
    else:
        one = dataclasses.replace(one, flossing_steps=c.t)
    engine = engines.ENGINES.get(c.engine, engines.ENGINES["torch"])
    return Training(
        [dataclasses.replace(one, seed=seed) for seed in range(c.networks)], protocol, device, engine=engine
    )


def epochs_of(contender: Contender, device: str) -> Epochs:
    """A function that runs epochs of a contender."""
    c = contender
    if c.loop == "spectrum":
        return _repeated(spectrum.run_of(c.engine, spectrum.networks_of(c.n, c.networks, device), c.k, c.t))
    training, transient = training_of(c, device), transient_steps(c.t)
    p, q0 = training.parameters, training.q0
    if c.engine == "jax":
        train = c.loop == "train"
        return _repeated(
            jax_peer.training_epoch(p, c.t, c.batch, c.d) if train else jax_peer.flossing_epoch(p, q0, c.t, transient)
        )
    if c.engine == "torch-single":
        one = {name: value[0] for name, value in p.items()}
        loop = (
            torch_single.TrainingLoop(one, c.t, c.batch, c.d)
            if c.loop == "train"
            else torch_single.FlossingLoop(one, q0[0], c.t, transient)
        )
        return _repeated(loop.epoch)
    if c.loop == "train":
        return training.train_epochs
    return lambda count: training.floss_epochs(training.alive, count)


def _repeated(epoch: Callable[[], Any]) -> Epochs:
    def epochs(count: int) -> None:
        for _ in range(count):
            epoch()

    return epochs


def flop(contender: Contender) -> float:
    """Floating-point operations of one epoch of one network that no method can avoid.

    Training: forward, Wᵀ δ and δ rᵀ, 2 T B N² each. Flossing, per step: D Q, Dᵀ Z̄ and the gradient of W, 2 N² k each;
    the QR decomposition 2 N k², the re-projection 2 N k², the triangular solve N k². Spectrum, per step: D Q and the
    QR decomposition.
    """
    n, k, t = contender.n, contender.k, contender.t
    return {
        "train": 6.0 * t * contender.batch * n**2,
        "floss": t * (6.0 * n**2 * k + 5.0 * n * k**2),
        "spectrum": t * (2.0 * n**2 * k + 2.0 * n * k**2),
    }[contender.loop]


def matmul_rate(device: str, dtype: torch.dtype) -> Callable[[], float]:
    """A function that measures the machine's product rate once, in FLOP per second: that of torch's product.

    It is no upper bound. On a CPU whose vector units torch's library does not use in full, other code is faster.
    """
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


def gradient_differences(
    job: BenchJob, device: str, ours: Sequence[str], others: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Largest relative difference, over parameters, from the plain loop's gradient in float64, by engine and loop."""
    return {
        (engine, loop): difference(base(job, engine, loop, 2), device)
        for engine in (*(peer for peer in others if peer == "jax"), *ours)
        for loop, difference in (("train", _task_difference), ("floss", _flossing_difference))
    }


def _task_difference(contender: Contender, device: str) -> float:
    training = training_of(contender, device, torch.float64)
    p, d = training.parameters, contender.d
    x = torch.randint(0, 2, (2, contender.t, contender.batch, 1), device=device).double()
    if contender.engine == "jax":
        gradient = jax_peer.gradients(jax_peer.task_loss, p, x, last=d)
    else:
        gradient = training.engine.task_gradient(p, x, training.d)[2]
    return _difference(gradient, p, lambda one: torch_single.task_loss(one, x[1], d))


def _flossing_difference(contender: Contender, device: str) -> float:
    training = training_of(contender, device, torch.float64)
    p, q0, transient = training.parameters, training.q0, transient_steps(contender.t)
    x = torch.randint(0, 2, (2, contender.t, 1), device=device).double()
    if contender.engine == "jax":
        gradient = jax_peer.gradients(jax_peer.flossing_loss, p, x, q0, last=transient)
        gradient = {name: gradient[name] for name in training.cell.flossed}
    else:
        gradient = training.engine.flossing_gradient(
            p, x, q0, k=training.k, target=training.target, t_ons=1, transient=transient
        )[2]
    return _difference(gradient, p, lambda one: torch_single.flossing_loss(one, x[1], q0[1], transient))


def _difference(
    gradient: dict[str, Tensor], parameters: dict[str, Tensor], loss: Callable[[dict[str, Tensor]], Tensor]
) -> float:
    """Of the gradient of the second network from that of its `loss`; NaN where that is what it holds."""
    leaves = {name: value[1].clone().requires_grad_() for name, value in parameters.items()}
    expected = torch.autograd.grad(loss(leaves), [leaves[name] for name in gradient])
    relative = [(g[1] - e).norm() / e.norm() for g, e in zip(gradient.values(), expected, strict=True)]
    return float(torch.stack(relative).max())


def peak_megabytes(contender: Contender, device: str) -> float:
    """Memory that the contender adds to a process that has run a tiny one before, at its peak, over three epochs.

    What JAX takes for compiling is a part of it.
    """
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        epochs_of(contender, device)(3)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    command = [sys.executable, "-m", "floss.bench.memory", json.dumps(dataclasses.asdict(contender))]
    # Nothing is timed here: threads that wait leave their core to the process beside.
    calm = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=calm)
    return float(done.stdout)


def peaks_megabytes(of: Sequence[Contender], device: str) -> list[float]:
    """The same of several; on the CPU two at a time, since nothing is timed."""
    with ThreadPoolExecutor(1 if device == "cuda" else 2) as pool:
        results = pool.map(lambda contender: peak_megabytes(contender, device), of)
        return list(tqdm(results, desc="memory", total=len(of), disable=None))


def measure(job: BenchJob) -> Path:
    """Measure, print tables, write bench.csv and environment.json, and draw the scaling; returns the CSV's path."""
    device = device_of(job.device)
    others = peers.installed() if device == "cpu" else []
    if device == "cpu" and (line := peers.missing_line(others)):
        print(line, file=sys.stderr)
    ours = engines.available(device)
    _check_agreement(job, device, ours, others)
    compared = contenders(job, ours, others)
    everyone = list(dict.fromkeys([*compared, *scans(job, ours)]))
    times, rates = _timed_rounds(job, everyone, device)
    single, double = (statistics.median(rate) for rate in zip(*rates, strict=True))
    peak = dict(zip(compared, peaks_megabytes(compared, device), strict=True))
    info = environment(device)
    info["packages"] |= peers.versions(others)
    for engine in ours:
        info |= engines.ENGINES[engine].environment()
    rows = []
    for contender, own in zip(everyone, times, strict=True):
        low, middle, high = (1e3 * t / contender.networks for t in statistics.quantiles(own, n=4))
        share = flop(contender) / (middle / 1e3) / (double if contender.loop == "spectrum" else single)
        megabytes = round(peak[contender], 1) if contender in peak else None
        numbers = [round(middle, 4), round(high - low, 4), round(share, 4), megabytes]
        rows.append([info["device"], *dataclasses.astuple(contender), *numbers])
    folder = Path(job.results)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "bench.csv", csv_text(COLUMNS, rows).encode())
    gflops = {"matmul_gflops": round(single / 1e9, 1), "matmul_gflops_float64": round(double / 1e9, 1)}
    write_json(folder / "environment.json", {**info, **gflops})
    seal(folder)
    _print(rows[: len(compared)])
    _print_growth(folder / "bench.csv")
    print(f"table    {folder / 'bench.csv'}")
    for path in figures.draw(folder):
        print(f"picture  {path}")
    return folder / "bench.csv"


def _timed_rounds(
    job: BenchJob, everyone: Sequence[Contender], device: str
) -> tuple[list[list[float]], list[tuple[float, ...]]]:
    """Seconds per epoch of every contender in every round, and the product rates (float32, float64) of every round."""
    prepared = []
    for contender in tqdm(everyone, desc="preparing", disable=None):
        epochs = epochs_of(contender, device)
        epochs(1)  # compiles, and takes memory
        prepared.append((epochs, max(1, round(job.seconds / _timed(epochs, 1, device)))))
    products = [matmul_rate(device, torch.float32), matmul_rate(device, torch.float64)]
    times: list[list[float]] = [[] for _ in everyone]
    rates = []
    for _ in tqdm(range(job.repeats), desc="rounds", disable=None):
        rates.append(tuple(rate() for rate in products))
        for own, (epochs, count) in zip(times, prepared, strict=True):
            if count > 1:  # the caches are another contender's; to an epoch that is as long as that, it makes no odds
                epochs(1)
            own.append(_timed(epochs, count, device))
    return times, rates


def _check_agreement(job: BenchJob, device: str, ours: Sequence[str], others: Sequence[str]) -> None:
    for (engine, loop), difference in gradient_differences(job, device, ours, others).items():
        print(f"gradients of {loop}: {engine} and torch-single differ by {difference:.1e} (float64)")
        if not difference <= AGREE["gradients"]:
            raise RuntimeError(f"{engine} and torch-single do not compute the same gradient of {loop}")
    for peer in (peer for peer in spectrum.PEERS if peer in others):
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


def _print_growth(path: Path) -> None:
    """Exponents from the table, as anybody can fit them again."""
    import pandas as pd

    from floss.figures.growth import ORDERS, SIZES, growth

    fits = growth(pd.read_csv(path))
    if fits:
        print("ms/network/epoch grows as a power of one size (± standard error); beside it what Table 1's orders give")
        print("loop     engine       size         values    exponent  Table 1")
    for g in fits:
        values = f"{g.values[0]}..{g.values[-1]}"
        exponent = f"{g.exponent:.2f} ± {g.error:.2f}"
        print(
            f"{g.loop:8} {g.engine:12} {SIZES[g.size]:4} {values:>14} {exponent:>11}  {g.orders:4.2f}  {ORDERS[g.loop]}"
        )


def _timed(epochs: Epochs, count: int, device: str) -> float:
    """Seconds per epoch."""
    _synchronize(device)
    start = time.perf_counter()
    epochs(count)
    _synchronize(device)
    return (time.perf_counter() - start) / count


def _synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
