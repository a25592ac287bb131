"""`floss reproduce`: compute the data of a paper's figures, and draw them."""

import sys
from pathlib import Path

from floss.jobs.keys import build
from floss.jobs.paper import ReproduceJob


def run(command: str, arguments: list[str]) -> None:
    """Compute what is missing; exit status 1 if a network failed or a figure cannot be drawn."""
    from floss.commands.hydra_app import answered_by_hydra
    from floss.jobs.compose import defaults_of, selection
    from floss.jobs.options import parse, refuse_files

    # Not composed by Hydra, to which `scale` is a group of files for the keys of `floss train`.
    options = parse(command, arguments, groups=())
    refuse_files(options)
    if answered_by_hydra(command, arguments, options):
        return
    if reproduce(build(ReproduceJob, {**defaults_of(command), **selection(command, options.overrides)})):
        sys.exit(1)


def reproduce(job: ReproduceJob) -> int:
    """Compute what is missing of some figures and draw them; 1 if a network failed or a figure cannot be drawn, else 0.

    Raises:
        ConfigError: something cannot be computed here, said before anything is.
        SystemExit, RunBusyError, OSError: as `Work.compute`.
    """
    from floss.commands.figures import draw_figures
    from floss.jobs.folders import check_folder
    from floss.papers.findings import Reproduction, check_paper, record_request
    from floss.papers.paper import on_own_data, paper_named
    from floss.papers.reproduce import FigureRequest, failures, mend, overview, plan
    from floss.runtime.device import check_device
    from floss.runtime.progress import OneBar

    paper = paper_named(job.paper)
    figures = paper.named(job.fig)
    if job.data is not None:
        paper = on_own_data(paper, job.data, job.fig)
        figures = paper.named(job.fig)
    results = Path(job.results or paper.results_folder)
    check_device(job.device)
    check_folder(str(results))
    check_paper(results, paper)
    settings = {"device": job.device, "engine": job.engine, "memory_limit": job.memory_limit, "data_file": job.data}
    request = FigureRequest(paper, figures, job.scale, results, settings)
    work = plan(request)
    record_request(results, paper, figures, job.scale)
    print(overview(work), flush=True)
    bar = OneBar(work.seconds)
    work.compute(bar)
    bar.bar.close()
    for line in mend(request):
        print(f"floss: {line}", file=sys.stderr)
    _, damaged = draw_figures(Reproduction(results, paper), figures)
    failed = failures(request)
    for text in failed:
        print(text, file=sys.stderr)
    return int(bool(damaged or failed))
