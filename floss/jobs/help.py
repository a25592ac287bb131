"""The commands: their keys, and their help texts, made from the same table of keys that checks the values."""

from dataclasses import dataclass

from floss.jobs import extensions
from floss.jobs.analysis import ConditionJob, SpectrumJob
from floss.jobs.bench import BenchJob
from floss.jobs.collect import CollectJob
from floss.jobs.keys import known_keys
from floss.jobs.paper import FiguresJob, ReportJob, ReproduceJob, paper_names
from floss.jobs.train import SbatchJob, TrainJob


@dataclass(frozen=True)
class Command:
    """What `floss --help` and `floss COMMAND --help` say of a command; `floss/commands/NAME.py` runs it."""

    job: type
    """Its keys."""
    summary: str
    """One line of `floss --help`."""
    usage: str
    """What stands above the keys in `floss COMMAND --help`."""


COMMANDS: dict[str, Command] = {
    "train": Command(
        TrainJob,
        "train networks on a task, with flossing episodes; -m sweeps",
        """train networks on a task, with flossing episodes (Engelken 2023)

usage: floss train [-m] [key=value ...]
  floss train task=xor d=70 seeds=3 flossing=during
  floss train -m task=xor d=10,20,40,70 flossing=none,pre,during seeds=3
Start an interrupted command again to go on where it stopped.
Results lie in results/, in a folder named by what it computes.

one word for a group of keys:
$APP_CONFIG_GROUPS""",
    ),
    "plan": Command(
        TrainJob,
        "what train would compute: networks, ensembles, time and memory",
        """what floss train would compute with the same arguments: the networks, how they are stacked, what is done
already, and about how long and how much memory it takes here; nothing is computed but a few epochs to time them

usage: floss plan [-m] [key=value ...]
  floss plan -m task=xor d=10,20,40,70 flossing=none,pre,during seeds=20

one word for a group of keys:
$APP_CONFIG_GROUPS""",
    ),
    "collect": Command(
        CollectJob,
        "one sorted table of all networks that have some values",
        """one sorted table of all networks that have some values, ready for pandas: summary.csv and metrics.csv

usage: floss collect [column=value,value ...]
  floss collect task=xor d=70
  floss collect flossing=pre,during status=done to=tables
A column that is not named may have any value.
""",
    ),
    "sbatch": Command(
        SbatchJob,
        "print a SLURM array script for a sweep",
        """print a script for SLURM's sbatch, in which the tasks of an array share a sweep of floss train

usage: floss sbatch [slurm.key=value ...] [-m] [key=value ...] > sweep.sh
  floss sbatch slurm.tasks=8 slurm.gpus=1 d=10,20,40,70 flossing=none,pre,during seeds=20 > sweep.sh
  sbatch sweep.sh
The results folder must be one that all nodes see, with working file locks.

one word for a group of keys:
$APP_CONFIG_GROUPS""",
    ),
    "spectrum": Command(
        SpectrumJob,
        "Lyapunov spectra of fresh or trained networks, before and after flossing",
        """Lyapunov spectra of fresh or trained networks, before and after flossing

usage: floss spectrum [-m] [key=value ...]
  floss spectrum arch=lstm seeds=10
  floss spectrum checkpoint=results/RUN flossing.epochs=0
  floss spectrum arch.n=32 seeds=10 random_g=true input=gaussian flossing.k=1 flossing.target=[-1,-0.5,0]
Writes spectrum.csv, dimensions.csv, convergence.csv, flossing.csv and pictures of them.

one word for a group of keys:
arch: {architectures}
""",
    ),
    "condition": Command(
        ConditionJob,
        "condition number of the long-term Jacobian against time and dimensions",
        """condition number of the long-term Jacobian against time and tangent dimensions (Fig. 2)

usage: floss condition [-m] [key=value ...]
  floss condition seeds=5 flossing.k=[1,15,30]
  floss condition bits=256
Writes condition.csv, flossing.csv and pictures of them.

one word for a group of keys:
arch: {architectures}
""",
    ),
    "reproduce": Command(
        ReproduceJob,
        "compute the data of a paper's figures, and draw them",
        """compute the data of a paper's figures, and draw them

usage: floss reproduce [paper=PAPER] [fig=FIGURE] [scale=paper|small|smoke]
  floss reproduce fig=4 scale=small
  floss reproduce fig=[4,5,table1]
Computes what is missing, and says how long that takes before it starts; figures share their networks. Start an
interrupted command again to go on where it stopped. What a figure needs is in conf/experiment/PAPER/FIGURE.yaml.
Scales: the paper's own grid; fewer networks of a smaller one, trained as long; a few epochs, which show nothing.
Papers: {papers}
""",
    ),
    "figures": Command(
        FiguresJob,
        "draw the figures of the papers and of all finished runs from their CSV files",
        """draw the figures of the papers and of all finished runs from their CSV files; computes nothing

usage: floss figures [paper=PAPER] [fig=FIGURE] [results=FOLDER]
  floss figures fig=4
Each figure is drawn from the largest scale of which nothing is missing. Without paper= and fig=, everything under
`results` is drawn: all figures of every paper, and every finished run.
  floss figures results=results/RUN figure.width=3.3
draws runs and analyses for a column of a paper, beside the pictures that are there: learning_curves-3.3in.pdf.
Papers: {papers}
""",
    ),
    "report": Command(
        ReportJob,
        "a paper's claims beside what was measured, as a table and as one page",
        """a paper's claims beside what was measured: a table, claims.csv, and one page with all figures

usage: floss report [paper=PAPER] [results=FOLDER] [to=FOLDER]
Computes nothing but the bootstrap. The exit status is 0 whatever the verdicts.
Papers: {papers}
""",
    ),
    "bench": Command(
        BenchJob,
        "measure the hot loops beside a plain PyTorch loop, and spectra beside other packages",
        """time both hot loops of every engine beside a plain PyTorch loop and JAX, the flossing of a user's own step
(floss-step, along one trajectory and sixteen) beside that loop, and gated cells beside torch.nn.LSTM, torch.nn.GRU and
a plain loop of the LRU; see how the cost grows; time a network of 1024 units, and spectra beside clvlib and lyapax
(pip install 'floss[bench]' adds jax, clvlib and lyapax)

usage: floss bench [key=value ...]
  floss bench repeats=3 seconds=0.05
Writes bench.csv, environment.json and a picture of the scaling. Gradients and exponents are compared before anything is
timed. Takes eleven minutes on two quiet cores, fewer without gated cells (cells=[]), and 2.4 GB of memory. Rows of
scans (scaling_*) have no peak_mb.
""",
    ),
}
"""The list of commands, in the order of `floss --help`."""

_CHOSEN_BY_GROUP = {"task.name", "task.delay", "arch.name", "flossing.name", "scale"}


def help_node(command: str) -> dict[str, str]:
    """Hydra's help configuration for a command."""
    rows = [
        f"  {name:<26} {field.metadata['meaning']} ({field.metadata['check'].allowed})"
        for name, field in known_keys(COMMANDS[command].job).items()
        if name not in _CHOSEN_BY_GROUP
    ]
    usage = COMMANDS[command].usage
    for place, names in (("{architectures}", _architectures), ("{papers}", paper_names)):
        if place in usage:
            usage = usage.replace(place, ", ".join(names()))
    template = "\n".join(
        [
            f"floss {command}: {usage}",
            "keys:",
            *rows,
            "",
            "defaults:",
            "$CONFIG",
            "Hydra's own options: -m sweeps, --cfg job prints the composed configuration, --info, --hydra-help;",
            f'tab completion: eval "$$(floss {command} -sc install=bash)"',
            "",
        ]
    )
    return {"template": template, "app_name": f"floss {command}"}


def _architectures() -> list[str]:
    return sorted([*extensions.shipped("arch"), *extensions.added("arch")])
