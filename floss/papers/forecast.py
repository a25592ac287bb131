"""About how long an analysis takes on this machine, by a small part of it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from floss.analysis.condition import measure_conditions
from floss.analysis.flossing import FlossingEpisode
from floss.analysis.networks import networks_of
from floss.analysis.progress import AnalysisBar
from floss.analysis.spectrum import measure_spectra
from floss.jobs.analysis import AnalysisJob, ConditionJob, SpectrumJob
from floss.runtime.device import device_of
from floss.runtime.interrupt import Interrupt

_PART = 50
"""An analysis is timed on this part of its steps."""


def spectra_seconds(job: SpectrumJob) -> float:
    """Seconds of flossing, and of measuring the spectra of all groups of networks."""
    short = replace(job, **_part(job))
    networks = networks_of(short, device_of(job.device), states=job.states)
    return _groups(job, job.states, job.steps / short.steps, lambda: measure_spectra(short, [networks], _silent()))


def conditions_seconds(job: ConditionJob) -> float:
    """Seconds of flossing, and of measuring the condition numbers of all groups of networks."""
    seeds = 1 if job.bits is not None else job.seeds  # in arbitrary precision one network after the other
    short = replace(job, seeds=seeds, horizons=1, at=1, **_part(job))
    networks = networks_of(short, device_of(job.device))
    parts = job.steps / short.steps * job.seeds / seeds
    return _groups(job, 1, parts, lambda: measure_conditions(short, [networks], _silent()))


def _part(job: AnalysisJob) -> dict[str, int]:
    return {"steps": -(-job.steps // _PART), "transient": job.transient // _PART}


def _groups(job: AnalysisJob, states: int, parts: float, measure_part: Callable[[], Any]) -> float:
    """Seconds of one epoch of flossing times the epochs, and of a part of one group's measurement times the parts."""
    networks = networks_of(job, device_of(job.device), states=states)
    variants, flossing = 0, 0.0
    if job.flossing.epochs:
        episode = FlossingEpisode(networks, job.flossing)
        variants = len(episode.networks) // len(networks)
        flossing = _timed(episode.advance) * job.flossing.epochs
    with torch.no_grad():
        return flossing + (1 + variants) * _timed(measure_part) * parts


def _silent() -> AnalysisBar:
    return AnalysisBar(Interrupt(), tqdm(disable=True))


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
