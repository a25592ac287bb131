"""`floss reproduce`: compute what is missing of the paper's figures, and nothing else; then draw them.

Networks are found by what they compute, wherever they lie in the results folder, so figures share theirs. Started
again after an interruption, it goes on.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from floss.analysis.condition import measure_conditions
from floss.analysis.networks import Flossing, networks_of
from floss.analysis.progress import AnalysisBar
from floss.analysis.run import analyse
from floss.analysis.spectrum import measure_spectra
from floss.jobs.analysis import AnalysisJob, ConditionJob, SpectrumJob
from floss.jobs.bench import BenchJob
from floss.jobs.folders import check_folder
from floss.jobs.paper import ReproduceJob
from floss.jobs.train import TrainJob
from floss.papers.draw import draw_figures
from floss.papers.experiments import Run, experiment, folder_of, label, named
from floss.papers.findings import Reproduction, record_request
from floss.papers.mend import mend
from floss.papers.report.typesetting import plural
from floss.runtime.device import check_device, device_of
from floss.runtime.files import sealed
from floss.runtime.interrupt import Interrupt, interruptible
from floss.runtime.progress import OneBar
from floss.sweep.forecast import duration, timed_stacks
from floss.sweep.placement import memory_model
from floss.sweep.request import Request
from floss.sweep.run import complete
from floss.sweep.stacking import Stack
from floss.sweep.store import Store
from floss.sweep.summary import tally

Analysis = SpectrumJob | ConditionJob | BenchJob


@dataclass(frozen=True)
class Work:
    """What some figures need, and what of it is missing."""

    trained: list[TrainJob]
    analyses: list[Analysis]
    """Those that are not there."""
    stacks: list[tuple[Stack, float]]
    """Ensembles to compute, and the seconds that each is expected to take."""
    seconds: list[float]
    """Of the analyses."""

    @property
    def total(self) -> float:
        """Expected seconds."""
        return sum(seconds for _, seconds in self.stacks) + sum(self.seconds)


def reproduce(job: ReproduceJob) -> int:
    """Compute what is missing of some figures and draw them; 1 if a network failed or a figure cannot be drawn, else 0.

    Raises:
        SystemExit: after a signal; what was finished is on disk, and the same command goes on.
        ConfigError: something cannot be computed here, said before anything is.
        RunBusyError: another process computes one of the analyses.
        OSError: a file cannot be written; what was written before is whole.
    """
    figures = named(job.fig)
    check_device(job.device)
    check_folder(job.results)
    runs = {figure: list(experiment(figure).scales[job.scale].values()) for figure in figures}
    settings = {"device": job.device, "engine": job.engine, "memory_limit": job.memory_limit}
    work = _work(job.results, [run for several in runs.values() for run in several], settings)
    record_request(Path(job.results), figures, job.scale)
    print(_overview(job, runs, work), flush=True)
    bar = OneBar(work.total)
    _train(work, bar)
    if work.trained:
        with (store := Store(job.results)).locked():
            store.pack()  # thousands of networks are to fit into a repository
    for one, seconds in zip(work.analyses, work.seconds, strict=True):
        _analyse(one, bar, seconds)
    bar.bar.close()
    mend(job.results, [one for several in runs.values() for run in several for one in run.jobs(job.results)])
    _, damaged = draw_figures(Reproduction(job.results), figures)
    return int(damaged > 0 or _some_failed(work.trained))


def _work(results: str, runs: list[Run], settings: dict[str, Any]) -> Work:
    trained: list[TrainJob] = []
    analyses: dict[Path, Analysis] = {}
    for run in runs:
        for one in run.jobs(results, **settings):
            if isinstance(one, TrainJob):
                trained.append(one)
            elif isinstance(one, SpectrumJob | ConditionJob | BenchJob) and not sealed(folder_of(one)):
                analyses[folder_of(one)] = one
    stacks: list[tuple[Stack, float]] = []
    if trained:
        request = Request(trained)
        have = request.done()
        missing = {key: one for key, one in request.networks.items() if key not in have}
        stacks = timed_stacks(missing, request.store, memory_model(request.networks))
    return Work(trained, list(analyses.values()), stacks, [_seconds(one) for one in analyses.values()])


def _overview(job: ReproduceJob, runs: dict[str, list[Run]], work: Work) -> str:
    """What there is and what is missing, figure by figure, and how long that will take."""
    store = Store(job.results)
    lines = []
    for figure, several in runs.items():
        jobs = [one for run in several for one in run.jobs(job.results)]
        trained = [one for one in jobs if isinstance(one, TrainJob)]
        request = Request(trained, store) if trained else None
        networks, have = (request.networks, len(request.done())) if request else ({}, 0)
        others = [folder_of(one) for one in jobs if isinstance(one, AnalysisJob | BenchJob)]
        counts = [f"{plural(len(networks), 'network')}, {have} done"] if networks else []
        if others:
            counts.append(f"{_analyses(len(others))}, {sum(map(sealed, others))} done")
        lines.append(f"{label(figure):<8} {'; '.join(counts) or 'a drawing, nothing to compute'}")
    missing = sum(len(stack.networks) for stack, _ in work.stacks)
    todo = [f"{plural(missing, 'network')} in {plural(len(work.stacks), 'ensemble')}"] if missing else []
    todo += [_analyses(len(work.analyses))] if work.analyses else []
    if todo:
        lines.append(f"to compute: {', '.join(todo)}; about {duration(work.total)} on this machine")
    else:
        lines.append("nothing to compute")
    return "\n".join(lines)


def _analyses(number: int) -> str:
    return "1 analysis" if number == 1 else f"{number} analyses"


def _train(work: Work, bar: OneBar) -> None:
    """All networks of all figures in one sweep."""
    if not work.stacks:
        return
    expected = {key: seconds / len(stack.networks) for stack, seconds in work.stacks for key in stack.networks}
    with interruptible() as interrupt:
        complete(
            Request(work.trained),
            interrupt,
            lambda stack: bar.share(sum(expected.get(key, 0.0) for key in stack.networks)),
        )
        if interrupt.signal:  # it came too late to stop a network, but must stop what comes next
            raise SystemExit(interrupt.status)


def _analyse(job: Analysis, bar: OneBar, seconds: float) -> None:
    """One analysis or benchmark; its own bar is folded into the one over all."""
    with bar.share(seconds)(total=1) as share:
        if isinstance(job, BenchJob):
            from floss.bench.command import measure

            share.set_description_str("timing")
            with (
                open(os.devnull, "w") as nowhere,
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
            ):
                measure(job)
            return
        share.set_description_str(f"{job.kind} of {job.seeds} {job.arch.name} networks")
        share.set_postfix_str("")
        if isinstance(job, SpectrumJob):
            analyse(job, measure_spectra, states=job.states, make_bar=share.phases)
        else:
            analyse(job, measure_conditions, make_bar=share.phases)


def _seconds(job: Analysis) -> float:
    """About how long an analysis takes, by a small part of it."""
    if isinstance(job, BenchJob):
        from floss.bench.command import contenders, scans

        loops = len(contenders(job, ["native", "torch"], [])) + len(scans(job, ["native", "torch"]))
        return loops * (job.repeats + 3) * max(job.seconds, 0.02)
    networks = networks_of(job, device_of(job.device), states=getattr(job, "states", 1))
    variants, seconds = 0, 0.0
    if job.flossing.epochs:
        episode = Flossing(networks, job)
        variants = len(episode.networks) // len(networks)
        seconds += _timed(lambda: episode.run_epoch()) * job.flossing.epochs
    with torch.no_grad():
        return seconds + (1 + variants) * _measuring(job)


_PART = 50
"""An analysis is timed on this part of its steps."""


def _measuring(job: SpectrumJob | ConditionJob) -> float:
    """Seconds of the measurement of one group of networks."""
    part = {"steps": -(-job.steps // _PART), "transient": job.transient // _PART}
    bar = tqdm(disable=True)
    progress = AnalysisBar(Interrupt(), bar)
    if isinstance(job, SpectrumJob):
        short = replace(job, **part)
        networks = networks_of(short, device_of(job.device), states=job.states)
        return _timed(lambda: measure_spectra(short, [networks], progress)) * _PART
    part |= {"horizons": 1, "at": 1}
    seeds = 1 if job.bits is not None else job.seeds  # in arbitrary precision one network after the other
    few = replace(job, seeds=seeds, **part)
    networks = networks_of(few, device_of(job.device))
    return _timed(lambda: measure_conditions(few, [networks], progress)) * _PART * job.seeds / seeds


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _some_failed(jobs: list[TrainJob]) -> bool:
    """Print the networks that failed, with their reasons."""
    text, failed = tally(Request(jobs)) if jobs else ("", False)
    if failed:
        print(f"networks {text}", file=sys.stderr)
    return failed
