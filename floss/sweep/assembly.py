"""The training of a stack: its networks, what they have in common, and the engine that computes them."""

import torch

from floss.jobs.train import TEACHER, TrainJob
from floss.sweep.stacking import Stack
from floss.training.engine import Engine
from floss.training.ensemble import Ensemble, Network, Protocol, Teacher
from floss.training.training import Training

_THREADS = torch.get_num_threads()
"""The number of threads depends on the ensemble alone, not on those before it in a sweep."""


def network_of(job: TrainJob) -> Network:
    """What may differ between the networks of an ensemble, of a job of one network."""
    run = job.flossing_run
    return Network(
        seed=job.seed,
        d=job.d,
        g=job.arch.g,
        episodes=job.flossing.episodes(job.train.epochs),
        k=job.flossing.k,
        target=job.flossing.target,
        flossing_steps=run.length,
        flossing_transient=run.transient,
        flossing_until=job.flossing.until,
        lr=job.train.lr if job.task.name == TEACHER else None,
        teacher=Teacher(job.task.teacher or "authors", *job.teacher_spectrum),
        nu=job.initial_spectrum[0],
        theta=job.initial_spectrum[1],
    )


def protocol_of(job: TrainJob) -> Protocol:
    """What the networks of a job have in common."""
    return Protocol(
        task=job.task.name,
        arch=job.arch.name,
        n=job.arch.n,
        init=job.arch.init,
        mean=job.arch.mean,
        bias=job.arch.bias,
        readout=job.arch.readout,
        relaxation=job.arch.relaxation,
        epochs=job.train.epochs,
        steps=job.train.steps,
        batch=job.train.batch,
        lr=job.train.lr,
        schedule=job.train.schedule,
        clip=job.train.clip,
        evaluation_batches=job.train.evaluation_batches,
        flossing_epochs=job.flossing.epochs,
        flossing_lr=job.flossing.lr,
        t_ons=job.flossing.t_ons,
        penalty=job.flossing.penalty,
        dtype=getattr(torch, job.dtype),
        heads=job.arch.heads,
        hold=job.task.hold,
    )


def training_of(stack: Stack, device: str, engine: type[Engine]) -> Training:
    """The networks of a stack before the first epoch."""
    first = next(iter(stack.networks.values()))
    torch.set_num_threads(min(_THREADS, max(1, len(stack.networks) // engine.networks_per_thread)))
    ensemble = Ensemble(list(map(network_of, stack.networks.values())), protocol_of(first), device)
    return Training(ensemble, engine, diagnostics=first.diagnostics, every=first.train.log_every)
