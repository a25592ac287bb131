"""A paper that is reproduced: a Python package with a file for each figure, and its experiments.

`floss/papers/NAME/__init__.py` defines `PAPER`, and `conf/experiment/NAME/` has the experiments. An installed package
adds a paper by an entry point of the group `floss.papers` whose name is the paper's and which leads to its `PAPER`.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata, resources
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from markupsafe import Markup

from floss.errors import ConfigError, one_line
from floss.jobs.keys import suggestion
from floss.jobs.paper import ENTRY_POINTS, figure_key, figure_keys, paper_names
from floss.papers.claim import Claim
from floss.papers.experiments import Experiment, order, read_experiment
from floss.papers.kind import Kind
from floss.papers.kinds import KINDS
from floss.papers.own_data import OwnData
from floss.papers.statement import Statement


@dataclass(frozen=True, eq=False, kw_only=True)
class Paper:
    """What belongs to one paper: its words, folders and kinds of jobs. The figures are modules of its package."""

    name: str
    """The value of `paper=`."""
    package: str
    """Package of the figures: FIGURE.py has `draw(findings) -> Figure`, and the list `CLAIMS`."""
    experiments: str
    """Package, or folder in one, of FIGURE.yaml for each figure."""
    title: str
    """Headline of the report."""
    citation: str
    """Authors, title, and where it was published."""
    address: str = ""
    """URL of the paper."""
    identifier: str = ""
    """The text that leads there: arXiv 2312.17306."""
    lead: str | Markup = ""
    """First paragraph of the report: text, or HTML as Markup."""
    scales: str = (
        "Paper scale has the sizes of the paper; small scale has less of them; smoke scale only tries the program, and"
        " gives no verdict."
    )
    """Note of the report on what the scales are."""
    results: str = ""
    """Folder of the reproduction where no other is given; empty: results/NAME."""
    report: str = ""
    """Folder of claims.csv and report.html where no other is given; empty: that of the reproduction."""
    kinds: tuple[Kind, ...] = KINDS
    """The kinds of jobs in its experiments, in the order in which they are computed."""
    own_data: OwnData | None = None
    """How figures are computed on data of the user's own; None where none of them can be."""
    data: Mapping[str, Any] | None = None
    """The record of the user's data that these figures are of; None of the paper as it is."""

    @property
    def results_folder(self) -> str:
        """Folder of the reproduction where no other is given."""
        return self.results or f"results/{self.name}"

    @property
    def report_folder(self) -> str:
        """Folder of claims.csv and report.html where no other is given."""
        return self.report or self.results_folder

    @functools.cache  # noqa: B019  # a paper lives as long as the process
    def figures(self) -> tuple[str, ...]:
        """Names of all figures, as the files of the experiments."""
        names = [file.name for file in resources.files(self.experiments).iterdir() if file.name.endswith(".yaml")]
        return tuple(sorted((name.removesuffix(".yaml") for name in names), key=order))

    @functools.cache  # noqa: B019
    def experiment(self, figure: str) -> Experiment:
        """The experiment behind a figure."""
        return read_experiment(self.name, resources.files(self.experiments) / f"{figure}.yaml", self.kinds)

    def label(self, figure: str) -> str:
        """What the paper calls a figure: Fig. 4, Table 1, App. D."""
        return self.experiment(figure).label

    def keys(self, figure: str) -> str:
        """The keys that name a figure on a command line."""
        data = "" if self.data is None else f" data={self.data['file']}"
        return figure_keys(self.name, figure) + data

    def module(self, figure: str) -> ModuleType:
        """The Python file of a figure."""
        import floss.figures  # noqa: F401  # before matplotlib, which the file imports

        return import_module(f"{self.package}.{figure}")

    def claims(self) -> list[Claim]:
        """Every claim, in the order of the figures."""
        return [claim for figure in self.figures() for claim in getattr(self.module(figure), "CLAIMS", ())]

    @functools.cache  # noqa: B019
    def statements(self) -> tuple[Statement, ...]:
        """Everything that the paper says of what is seen; none where the package has no list of it."""
        if find_spec(f"{self.package}.statements") is None:
            return ()
        return tuple(import_module(f"{self.package}.statements").STATEMENTS)

    def named(self, value: Any) -> tuple[str, ...]:
        """The figures that `fig=` means: a number, a name, a list of them, or all.

        Raises:
            ConfigError: there is no such figure.
        """
        if value == "all":
            return self.figures()
        names = [self._named(each) for each in (value if isinstance(value, list | tuple) else [value])]
        if not names:
            raise ConfigError("fig=[]: must name a figure")
        return tuple(dict.fromkeys(names))

    def _named(self, value: Any) -> str:
        numbers = {int(name[3:]): name for name in self.figures() if re.fullmatch(r"fig\d+", name)}
        text = str(value)
        number = re.fullmatch(r"(?:fig)?0*(\d+)", text)
        name = numbers.get(int(number[1]), text) if number else text
        if name in self.figures():
            return name
        words = [name for name in self.figures() if name not in numbers.values()]
        hint = suggestion(text, [*self.figures(), "all"])
        allowed = ", ".join(["all", *_ranges(sorted(numbers)), *words])
        raise ConfigError(f"fig={value}: must be {allowed}, or a list of them{hint}")


def paper_named(name: str) -> Paper:
    """The paper that `paper=` means.

    Raises:
        ConfigError: there is no such paper, or the package that brings it cannot be imported.
    """
    names = paper_names()
    if name not in names:
        raise ConfigError(f"paper={name}: must be one of {', '.join(names)}{suggestion(name, names)}")
    installed = {entry.name: entry for entry in metadata.entry_points(group=ENTRY_POINTS)}
    if name not in installed:
        return import_module(f"floss.papers.{name}").PAPER
    try:
        return installed[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"paper={name}: {installed[name].value} cannot be loaded: {one_line(error)}") from None


def on_own_data(paper: Paper, file: str, fig: Any = "all") -> Paper:
    """A paper's figures on the data in a file of the user's.

    Args:
        paper: as it is published.
        file: of the data.
        fig: value of `fig=`: the figures that are wanted. They are looked at before the file, which may be large.

    Raises:
        ConfigError: the paper or one of the figures takes none, or there are no such data in the file.
    """
    own = paper.own_data
    if own is None:
        raise ConfigError(f"data={file}: must be null with paper={paper.name}, whose figures take no data of one's own")
    for figure in () if fig == "all" else paper.named(fig):
        if figure not in own.figures:
            allowed = ", ".join(["all", *map(figure_key, own.figures)])
            raise ConfigError(
                f"fig={figure_key(figure)}: takes no data of one's own; with data= must be {allowed}, or a list of them"
            )
    return own.paper(paper, own.read(file))


def _ranges(numbers: Sequence[int]) -> list[str]:
    """Numbers in words: 1 to 16."""
    if len(numbers) > 2 and list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return [f"{numbers[0]} to {numbers[-1]}"]
    return [str(number) for number in numbers]
