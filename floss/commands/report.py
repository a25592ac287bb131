"""`floss report`: a paper's claims beside what was measured."""

from pathlib import Path
from typing import Any

from floss.errors import ConfigError
from floss.jobs.keys import build
from floss.jobs.paper import ReportJob


def run(command: str, arguments: list[str]) -> None:
    """Write claims.csv and the page, and print the table."""
    from floss.commands.hydra_app import run_hydra

    run_hydra(command, arguments, _write_report)


def _write_report(config: Any) -> None:
    from floss.jobs.compose import plain
    from floss.jobs.folders import check_folder
    from floss.papers.claim import claims_csv
    from floss.papers.draw import FIGURES
    from floss.papers.findings import REQUESTS, Reproduction, check_paper, paper_in, reproduction_folders
    from floss.papers.judge import judged
    from floss.papers.paper import paper_named
    from floss.papers.report.page import page
    from floss.papers.report.tables import table
    from floss.runtime.files import write_whole

    job = build(ReportJob, plain(config))
    paper = paper_named(job.paper)
    root = Path(job.results or paper.results_folder)
    if not (root / REQUESTS).exists():
        others = reproduction_folders(root.parent) if root.parent.is_dir() else {}
        there = ", ".join(str(folder) for folder, name in others.items() if name == paper.name)
        hint = f"; of paper={paper.name} there is {there}" if there else ""
        raise ConfigError(f"results={root}: must be a folder of floss reproduce{hint}")
    if (there := paper_in(root)).name == paper.name:  # which may be of the user's own data
        paper = there
    check_paper(root, paper)
    folder = Path(job.to or (paper.report_folder if paper.data is None else root))
    check_folder(str(folder), "to")
    reproduction = Reproduction(root, paper)
    results = judged(reproduction)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "claims.csv", claims_csv(results).encode())
    write_whole(folder / "report.html", page(reproduction, results, root / FIGURES).encode())
    # Data of one's own may be such that nothing can be asked of them; the page says why.
    print(table(results, paper) if results else "no claim is judged on these data")
    print(f"claims   {folder / 'claims.csv'}\nreport   {folder / 'report.html'}")
