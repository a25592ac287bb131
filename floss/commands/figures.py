"""`floss figures`: draw from the tables that are there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floss.errors import ConfigError, one_line
from floss.jobs.keys import build
from floss.jobs.paper import DEFAULT_PAPER, FiguresJob

if TYPE_CHECKING:
    from floss.papers.findings import Reproduction


def run(command: str, arguments: list[str]) -> None:
    """Draw the figures of every paper and of all finished runs, or those that `paper=` and `fig=` name."""
    from floss.commands.hydra_app import run_hydra

    run_hydra(command, arguments, _draw)


def _draw(config: Any) -> None:
    from floss.jobs.compose import plain

    job = build(FiguresJob, plain(config))
    root = Path(job.results)
    if not root.is_dir():
        raise ConfigError(f"results={root}: must be a folder that exists")
    everything, width = job.paper is None and job.fig is None, job.figure.width
    if width is not None and not everything:
        raise ConfigError(f"figure.width={width:g}: is for runs and analyses, without paper= and fig=")
    drawn, damaged = (0, 0) if width else _draw_papers(root, job)
    if everything:
        runs, spoilt = _draw_runs(root, width)
        drawn, damaged = drawn + runs, damaged + spoilt
    if not drawn and not damaged:
        missing = "finished run" if everything else "complete data of these figures; floss reproduce computes it"
        raise ConfigError(f"results={root}: there is no {missing} in this folder")
    if damaged:
        sys.exit(1)


def _draw_papers(root: Path, job: FiguresJob) -> tuple[int, int]:
    """Figures of papers, from the folder itself and those in it: how many were drawn, and could not be."""
    from floss.papers.findings import Reproduction, paper_in, reproduction_folders
    from floss.papers.paper import paper_named

    wanted = job.paper or (None if job.fig is None else DEFAULT_PAPER)
    figures = "all" if job.fig is None else job.fig
    if wanted is not None:
        paper_named(wanted).named(figures)  # a wrong name is said whatever the folder holds
    counts = []
    for folder, name in reproduction_folders(root).items():
        if wanted in (None, name):
            try:
                paper = paper_in(folder, name)
                # A folder of data of one's own has those figures alone that take such data.
                named = [figure for figure in paper_named(name).named(figures) if figure in paper.figures()]
            except ConfigError as error:  # of a package that is not installed any more
                print(f"floss: {folder}: {error}", file=sys.stderr)
                counts.append((0, 1))
                continue
            counts.append(draw_figures(Reproduction(folder, paper), named))
    return sum(drawn for drawn, _ in counts), sum(damaged for _, damaged in counts)


def draw_figures(reproduction: "Reproduction", figures: Sequence[str]) -> tuple[int, int]:
    """Draw figures of a paper and print the files; how many were drawn, and how many cannot be."""
    from floss.papers.draw import draw_figure

    drawn = damaged = 0
    for figure in figures:
        try:
            paths = draw_figure(reproduction, figure)
        except (OSError, ValueError, KeyError) as error:
            damaged += 1
            print(f"floss: {reproduction.results}: {figure} cannot be drawn: {one_line(error)}", file=sys.stderr)
            continue
        drawn += bool(paths)
        for path in paths:
            print(path, flush=True)
    return drawn, damaged


def _draw_runs(root: Path, width: float | None) -> tuple[int, int]:
    """The pictures of finished runs, so many inches wide: how many folders were drawn, and could not be."""
    from floss.figures import DRAWN, draw
    from floss.figures.style import column_width
    from floss.papers.tables import ANALYSES
    from floss.sweep.store import ENSEMBLES

    tables = [name for name in DRAWN if width is None or name != "bench.csv"]  # which has too many panels for a column
    drawable = {path.parent for name in tables for path in root.rglob(name)}
    # Not what those of jobs and sweeps are made from, nor what `floss collect` has put together.
    collected = {folder for folder in drawable if (folder / "summary.csv").exists()} - {
        p.parent for p in root.rglob("config.yaml")
    }
    folders = [f for f in drawable - collected if f.resolve().parent.name not in (ENSEMBLES, ANALYSES)]
    damaged = 0
    for folder in sorted(folders):
        try:
            with column_width(width):
                paths = draw(folder)
            for path in paths:
                print(path, flush=True)
        except (OSError, ValueError, KeyError) as error:
            damaged += 1
            print(f"floss figures: {folder}: cannot be drawn: {one_line(error)}", file=sys.stderr)
    return len(folders) - damaged, damaged
