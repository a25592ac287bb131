"""The command line: `floss COMMAND key=value ...`, composed by Hydra.

The first word picks the command; everything after it goes to Hydra, so `-m`, `--cfg job`, `--help`, `--info` and tab
completion work as in any Hydra application. Bad input is answered in one line with exit status 2. Torch is imported
only where something is computed, so that `--help` answers at once.
"""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from floss.commands.train import collect, plan, sbatch, train
from floss.errors import ConfigError
from floss.jobs.keys import build, suggestion

USAGE = """floss: see and control the Lyapunov exponents of recurrent networks (Engelken 2023, arXiv 2312.17306)

usage: floss COMMAND [-m] [key=value ...]

commands:
{commands}
`floss COMMAND --help` lists the keys of a command; -m sweeps over values given with commas:
  floss train task=xor d=70 seeds=3 flossing=during
  floss train -m task=xor d=10,20,40,70 flossing=none,pre,during seeds=3
"""


def main() -> NoReturn:
    """Console script `floss`."""
    command = "floss"
    from floss.errors import RunBusyError

    try:
        command, arguments = _command_of(sys.argv[1:])
        COMMANDS[command][0](command, arguments)
        sys.stdout.flush()
    except ConfigError as error:
        _fail(f"floss {command}: {error}")
    except RunBusyError as error:
        _fail(f"floss {command}: {error}", status=1)
    except KeyboardInterrupt:
        _fail(f"floss {command}: interrupted", status=130)
    except BrokenPipeError:  # whoever read the output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"floss {command}: {error.filename or 'a file'}: {error.strerror or error}", status=1)
    sys.exit(0)


def _command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The command and its arguments; answers --help and --version, and what the shell wants completed."""
    if "COMP_LINE" in os.environ:
        arguments = _complete_after_command(arguments)
    elif not arguments or arguments[0] in ("-h", "--help", "help"):
        rows = "".join(f"  {name:<10} {text}\n" for name, (_, text) in COMMANDS.items())
        print(USAGE.format(commands=rows), end="", flush=True)
        sys.exit(0 if arguments else 2)
    elif arguments[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"floss {version('floss')}", flush=True)
        sys.exit(0)
    elif arguments[0] not in COMMANDS:
        known = "; the commands are " + ", ".join(COMMANDS)
        _fail(f"floss: {arguments[0]}: there is no such command{suggestion(arguments[0], list(COMMANDS)) or known}")
    os.environ["FLOSS_COMMAND"] = shlex.join(["floss", *arguments])
    return arguments[0], arguments[1:]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str, status: int = 2) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _complete_after_command(arguments: list[str]) -> list[str]:
    """Take the command out of the line that the shell wants completed, and put it first: Hydra knows nothing of it."""
    line = os.environ["COMP_LINE"]
    program, _, rest = line.partition(" ")
    command, space, rest = rest.lstrip().partition(" ")
    if not space or command not in COMMANDS:
        print(*(name for name in COMMANDS if name.startswith(command) and not space), sep="\n")
        sys.exit(0)
    os.environ["COMP_LINE"] = f"{program} {rest}"
    point = int(os.environ.get("COMP_POINT", len(line)))
    os.environ["COMP_POINT"] = str(max(0, point - len(line) + len(os.environ["COMP_LINE"])))
    return [command, *(arguments[1:] if arguments and arguments[0] in COMMANDS else arguments)]


def _analyse(command: str, arguments: list[str]) -> None:
    from floss.jobs.analysis import analysis_job
    from floss.jobs.compose import parse, run_hydra, sweep_jobs
    from floss.jobs.help import JOBS

    options = parse(command, arguments)
    if options.multirun:
        sweep_jobs(command, options.overrides, lambda values, keys: analysis_job(JOBS[command], values, keys))
    run_hydra(command, arguments, lambda config: _analyse_one(command, config))


def _analyse_one(command: str, config: Any) -> str:
    """One Hydra job; the return value is the folder of its results."""
    from floss.analysis.run import analyse
    from floss.jobs.analysis import SpectrumJob, analysis_job
    from floss.jobs.compose import explicit_keys, plain
    from floss.jobs.help import JOBS

    job = analysis_job(JOBS[command], plain(config), explicit_keys())
    if isinstance(job, SpectrumJob):
        from floss.analysis.spectrum import measure_spectra

        folder, known = analyse(job, measure_spectra, states=job.states)
    else:
        from floss.analysis.condition import measure_conditions

        folder, known = analyse(job, measure_conditions)
    print(f"{'known   ' if known else 'finished'} {job.kind} of {job.seeds} {job.arch.name} networks, n={job.arch.n}")
    for path in sorted((*folder.glob("*.csv"), *folder.glob("*.png"))):
        print(f"{'table   ' if path.suffix == '.csv' else 'picture '} {path}", flush=True)
    return str(folder)


def _figures(command: str, arguments: list[str]) -> None:
    from floss.jobs.compose import run_hydra

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
            print(f"floss figures: {folder}: cannot be drawn: {_one_line(error)}", file=sys.stderr)
    return len(folders) - damaged, damaged


def _reproduce(command: str, arguments: list[str]) -> None:
    from floss.jobs.compose import asks_hydra, defaults_of, parse, run_hydra, selection

    # Not composed by Hydra, to which `scale` is a group of files for the keys of `floss train`.
    options = parse(command, arguments, groups=())
    if options.cfg or options.info:
        raise ConfigError("--cfg and --info: there is nothing composed to show; --help lists the keys")
    if asks_hydra(options):
        run_hydra(command, arguments, lambda config: None)  # noqa: ARG005
        return
    from floss.jobs.paper import ReproduceJob
    from floss.papers.reproduce import reproduce

    job = build(ReproduceJob, {**defaults_of(command), **selection(command, options.overrides)})
    if reproduce(job):
        sys.exit(1)


def _report(command: str, arguments: list[str]) -> None:
    from floss.jobs.compose import run_hydra

    run_hydra(command, arguments, _write_report)


def _write_report(config: Any) -> None:
    from floss.jobs.compose import plain
    from floss.jobs.folders import check_folder
    from floss.jobs.paper import ReportJob
    from floss.papers.claim import claims_csv
    from floss.papers.draw import FIGURES
    from floss.papers.findings import REQUESTS, Reproduction
    from floss.papers.judge import judged
    from floss.papers.report.page import page
    from floss.papers.report.tables import table
    from floss.runtime.files import write_whole

    job = build(ReportJob, plain(config))
    root, folder = Path(job.results), Path(job.to)
    if not (root / REQUESTS).exists():
        raise ConfigError(f"results={root}: must be a folder of floss reproduce")
    check_folder(job.to, "to")
    reproduction = Reproduction(root)
    results = judged(reproduction)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "claims.csv", claims_csv(results).encode())
    write_whole(folder / "report.html", page(reproduction, results, root / FIGURES).encode())
    print(table(results))
    print(f"claims   {folder / 'claims.csv'}\nreport   {folder / 'report.html'}")


def _bench(command: str, arguments: list[str]) -> None:
    from floss.jobs.compose import run_hydra

    run_hydra(command, arguments, _measure)


def _measure(config: Any) -> None:
    from omegaconf import OmegaConf

    from floss.bench.command import measure
    from floss.jobs.bench import BenchJob
    from floss.jobs.folders import check_folder
    from floss.runtime.device import check_device

    job = build(BenchJob, OmegaConf.to_container(config, resolve=True))  # pyright: ignore[reportArgumentType]
    if job.k > job.n:
        raise ConfigError(f"k={job.k}: must be at most n={job.n}")
    check_device(job.device)
    check_folder(job.results)
    try:
        Path(job.results).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"results={job.results}: cannot be made: {error.strerror}") from None
    measure(job)


COMMANDS: dict[str, tuple[Callable[[str, list[str]], None], str]] = {
    "train": (train, "train networks on a task, with flossing episodes; -m sweeps"),
    "plan": (plan, "what train would compute: networks, ensembles, time and memory"),
    "collect": (collect, "one sorted table of all networks that have some values"),
    "sbatch": (sbatch, "print a SLURM array script for a sweep"),
    "spectrum": (_analyse, "Lyapunov spectra of fresh or trained networks, before and after flossing"),
    "condition": (_analyse, "condition number of the long-term Jacobian against time and dimensions"),
    "reproduce": (_reproduce, "compute the data of the paper's figures, and draw them"),
    "figures": (_figures, "draw the figures of the paper and of all finished runs from their CSV files"),
    "report": (_report, "the paper's claims beside what was measured, as a table and as one page"),
    "bench": (_bench, "measure the hot loops beside a plain PyTorch loop, and spectra beside other packages"),
}
