"""What `floss bench` compares: contenders, each an engine or a peer that runs one loop at one size."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from floss.analysis.bench import spectrum
from floss.jobs.bench import BenchJob
from floss.training.cost import MATRICES, flossing_flop, spectrum_flop, training_flop

TANH = "vanilla"
"""The architecture of everything but the rows of other cells."""
_DELAY = 40
_TRAJECTORIES = 16
"""Trajectories of a batch along which a user's step is flossed, beside one alone."""


@dataclass(frozen=True)
class Contender:
    """One engine or peer running one loop (`train`, `floss` or `spectrum`) at one size."""

    engine: str
    loop: str
    n: int
    k: int
    t: int
    """Steps: T in training, T_f in flossing, or those of a spectrum."""
    batch: int
    networks: int
    arch: str = TANH

    @property
    def d(self) -> int:
        """Delay of the task: even, and shorter than a training sequence."""
        return min(_DELAY, (self.t - 1) // 2 * 2)


def contender(job: BenchJob, engine: str, loop: str, networks: int) -> Contender:
    """An engine running a loop at the sizes of the job."""
    steps, batch = (job.steps, job.batch) if loop == "train" else (job.flossing_steps, 1)
    return Contender(engine, loop, job.n, job.k, steps, batch, networks)


def compared(job: BenchJob, engines: Sequence[str], peers: Sequence[str]) -> list[Contender]:
    """The contenders of each loop: first what the others are compared with, then the peers, then our engines."""
    ensembles = [*(peer for peer in peers if peer == "jax"), *engines]
    out = []
    for loop in ("train", "floss"):
        out.append(contender(job, "torch-single", loop, 1))
        out += [contender(job, engine, loop, networks) for engine in ensembles for networks in job.networks]
    single = contender(job, "torch-single", "floss", 1)
    own = dataclasses.replace(single, engine=spectrum.OWN_STEP)
    out += [own, *(dataclasses.replace(one, batch=_TRAJECTORIES) for one in (single, own))]
    for arch in job.cells:
        out += _of_a_cell(job, arch, engines, peers)
    for n in job.large if "native" in engines else ():
        both = (contender(job, "native", loop, 1) for loop in ("train", "floss"))
        out += [dataclasses.replace(one, n=n, k=min(job.k, n)) for one in both]
    for n, k in job.spectrum_sizes:
        for networks in job.spectrum_networks:
            able = [peer for peer in spectrum.PEERS if peer in peers and (networks == 1 or peer != "clvlib")]
            out += [
                Contender(e, "spectrum", n, k, job.spectrum_steps, 1, networks)
                for e in (*able, "floss", spectrum.OWN_STEP)
            ]
    return list(dict.fromkeys(out))


def _of_a_cell(job: BenchJob, arch: str, engines: Sequence[str], peers: Sequence[str]) -> list[Contender]:
    """Of both loops; the peers train alone, which is what their modules are made for."""
    single = dataclasses.replace(contender(job, "torch-single", "train", 1), arch=arch)
    train, floss = (contender(job, "", loop, job.cell_networks) for loop in ("train", "floss"))
    able = {"train": [*(peer for peer in peers if peer == "jax"), *engines], "floss": engines}
    both = [dataclasses.replace(of, engine=engine, arch=arch) for of in (train, floss) for engine in able[of.loop]]
    return [single, *both]


def scanned(job: BenchJob, engines: Sequence[str]) -> list[Contender]:
    """For each of our engines and both loops, one size varied at a time."""
    out = []
    for engine in engines:
        train, floss = (contender(job, engine, loop, job.scaling_networks) for loop in ("train", "floss"))
        k = min((job.k, *job.scaling_n))  # the same for every N
        out += [dataclasses.replace(base, n=n, k=k) for base in (train, floss) for n in job.scaling_n]
        out += [dataclasses.replace(floss, k=k) for k in job.scaling_k if k <= job.n]
        out += [dataclasses.replace(train, t=t) for t in job.scaling_steps]
        out += [dataclasses.replace(floss, t=t) for t in job.scaling_flossing_steps]
        out += [dataclasses.replace(train, batch=batch) for batch in job.scaling_batch]
    return list(dict.fromkeys(out))


def flop(contender: Contender) -> float:
    """Floating-point operations of one epoch of one network that no method can avoid: `floss.training.cost`."""
    c = contender
    if c.loop == "train":
        return training_flop(c.t, c.batch, c.n) * MATRICES.get(c.arch, 1)
    if c.loop == "spectrum":
        return c.batch * spectrum_flop(c.t, c.n, c.k)
    return c.batch * flossing_flop(c.t, c.n, c.k, c.arch)
