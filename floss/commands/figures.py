"""`floss figures`: draw from the tables that are there."""

import sys
from pathlib import Path
from typing import Any

from floss.errors import ConfigError, one_line
from floss.jobs.keys import build


def run(command: str, arguments: list[str]) -> None:
    """Draw the figures of the paper and of all finished runs, or those that `fig=` names."""
    from floss.commands.hydra_app import run_hydra

    run_hydra(command, arguments, _draw_all)


def _draw_all(config: Any) -> None:
    from floss.jobs.compose import plain
    from floss.jobs.paper import FiguresJob

    job = build(FiguresJob, plain(config))
    root = Path(job.results)
    if not root.is_dir():
        raise ConfigError(f"results={root}: must be a folder that exists")
    drawn, damaged = _draw_paper(root, job.fig)
    if job.fig is None:
        runs, spoilt = _draw_runs(root)
        drawn, damaged = drawn + runs, damaged + spoilt
    if not drawn and not damaged:
        what = "finished run" if job.fig is None else "complete data of these figures; floss reproduce computes it"
        raise ConfigError(f"results={root}: there is no {what} in this folder")
    if damaged:
        sys.exit(1)


def _draw_paper(root: Path, fig: Any) -> tuple[int, int]:
    """Figures of the paper, from the folder itself or its `paper`: how many were drawn, and could not be."""
    from floss.papers.draw import draw_figures
    from floss.papers.experiments import figures, named
    from floss.papers.findings import REQUESTS, Reproduction

    wanted = figures() if fig is None else named(fig)
    found = [folder for folder in (root, root / "paper") if (folder / REQUESTS).exists()]
    counts = [draw_figures(Reproduction(folder), wanted) for folder in found]
    return sum(drawn for drawn, _ in counts), sum(damaged for _, damaged in counts)


def _draw_runs(root: Path) -> tuple[int, int]:
    """The pictures of finished runs: how many folders were drawn, and could not be."""
    from floss.figures import DRAWN, draw
    from floss.papers.experiments import ANALYSES
    from floss.sweep.store import ENSEMBLES

    found = {path.parent for name in DRAWN for path in root.rglob(name)}
    # Not what those of jobs and sweeps are made from, nor what `floss collect` has put together.
    collected = {folder for folder in found if (folder / "summary.csv").exists()} - {
        p.parent for p in root.rglob("config.yaml")
    }
    folders = [f for f in found - collected if f.resolve().parent.name not in (ENSEMBLES, ANALYSES)]
    damaged = 0
    for folder in sorted(folders):
        try:
            for path in draw(folder):
                print(path, flush=True)
        except (OSError, ValueError, KeyError) as error:
            damaged += 1
            print(f"floss figures: {folder}: cannot be drawn: {one_line(error)}", file=sys.stderr)
    return len(folders) - damaged, damaged
