"""The kinds `spectrum`, `condition` and `bench`.

Torch is imported where something is computed, since drawing and reporting need none of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from floss.jobs.analysis import AnalysisJob, ConditionJob, SpectrumJob, analysis_job
from floss.jobs.bench import BenchJob
from floss.jobs.compose import sweep_jobs
from floss.jobs.keys import build
from floss.papers.kind import Job, Run
from floss.papers.tables import ANALYSES, Tables
from floss.runtime.progress import Share


def analysis_kind(
    job_type: type[AnalysisJob], seconds: Callable[[Job], float], compute: Callable[[Job, Share], None]
) -> Tables:
    """The kind of an analysis command, by the keys of the command; the rest as in `Tables`."""

    def make(values: dict[str, Any], explicit: list[str]) -> AnalysisJob:
        return analysis_job(job_type, values, explicit)

    return Tables(
        job_type.kind,
        composed=lambda overrides: sweep_jobs(job_type.kind, list(overrides), make),
        folder=lambda job: job.folder,
        seconds=seconds,
        compute=compute,
    )


def _spectra(job: SpectrumJob, share: Share) -> None:
    from floss.analysis.spectrum import measure_spectra

    _analyse(job, share, measure_spectra, states=job.states)


def _conditions(job: ConditionJob, share: Share) -> None:
    from floss.analysis.condition import measure_conditions

    _analyse(job, share, measure_conditions)


def _analyse(job: AnalysisJob, share: Share, measure: Callable[..., Any], **settings: Any) -> None:
    from floss.analysis.run import analyse

    share.set_description_str(f"{job.kind} of {job.seeds} {job.arch.name} networks")
    share.set_postfix_str("")
    analyse(job, measure, make_bar=share.phases, **settings)


def _spectra_seconds(job: SpectrumJob) -> float:
    from floss.papers.forecast import spectra_seconds

    return spectra_seconds(job)


def _conditions_seconds(job: ConditionJob) -> float:
    from floss.papers.forecast import conditions_seconds

    return conditions_seconds(job)


def _timings_folder(run: Run, results: Path) -> Path:
    """A folder for each run: timings are of a machine, and not of a configuration."""
    return results / ANALYSES / f"{run.figure}-{run.name}-{run.scale}"


def _timings_seconds(job: BenchJob) -> float:
    from floss.analysis.bench.measurement import expected_seconds

    return expected_seconds(job)


def _time(job: BenchJob, share: Share) -> None:
    from floss.analysis.bench.measurement import measure

    measure(job, bar=share.phases)


SPECTRUM = analysis_kind(SpectrumJob, _spectra_seconds, _spectra)
CONDITION = analysis_kind(ConditionJob, _conditions_seconds, _conditions)
BENCH = Tables(
    "bench",
    composed=lambda overrides: sweep_jobs("bench", list(overrides), lambda values, _: build(BenchJob, values)),
    folder=lambda job: Path(job.results),
    seconds=_timings_seconds,
    compute=_time,
    results=_timings_folder,
    config=None,
)
